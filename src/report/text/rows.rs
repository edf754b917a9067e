//! Workload table: one row each, or one for all that fare alike where they are many.

use std::collections::BTreeMap;

use super::few;
use crate::report::entries::EntryOutcome;
use crate::terminal::{TextPage, Tone};
use rempart_core::{
    admission::SensitivitySource,
    plan::{PlacementOutcome, Plan, PlannedWorkload},
    text::counted,
    workload::WorkloadIdentity,
};

/// How many rows are read at most.
const MOST: usize = 200;

/// How many pools a row names.
const POOLS: usize = 3;

/// A level, who said so, and the mode of its policy where that is not in force, ready to be appended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LevelCell {
    level: String,
    by: &'static str,
    idle: String,
}

/// How a workload fares, as its row says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OutcomeCells {
    levels: Vec<LevelCell>,
    categories: String,
    fate: EntryOutcome,
    pools: String,
}

impl OutcomeCells {
    fn of(plan: &Plan<'_>, planned: &PlannedWorkload<'_>) -> Self {
        let policies = &planned.judgement.policies;
        let levels = policies.iter().map(|levelled| {
            let whose = if policies.len() > 1 { format!("{}: ", levelled.policy.name) } else { String::new() };
            let idle = if levelled.in_force { String::new() } else { format!(" ({})", levelled.policy.mode) };
            LevelCell { level: format!("{whose}{}", levelled.level), by: said_by(levelled.source), idle }
        });
        let pools = match &planned.outcome {
            PlacementOutcome::Placeable(pools) => few(names(plan, pools), POOLS),
            PlacementOutcome::Unplaceable(_) => "none".to_owned(),
            PlacementOutcome::Refused => "–".to_owned(),
            PlacementOutcome::Unrestricted(_) => "any".to_owned(),
        };
        Self {
            levels: levels.collect(),
            categories: planned.judgement.categories.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            fate: EntryOutcome::of(&planned.outcome),
            pools,
        }
    }
}

fn said_by(source: SensitivitySource) -> &'static str {
    match source {
        SensitivitySource::Namespace => "namespace",
        SensitivitySource::Workload => "workload",
        SensitivitySource::Pod => "pod",
        SensitivitySource::Default | SensitivitySource::Minimum => "policy",
    }
}

/// The names of pools by their places.
pub(super) fn names<'p>(plan: &'p Plan<'_>, pools: &'p [usize]) -> impl Iterator<Item = &'p str> {
    pools.iter().filter_map(|index| plan.pool(*index)).map(|pool| pool.name.as_str())
}

/// A row, under the namespace whose it is; of all namespaces together when `None`.
struct TableRow {
    namespace: Option<String>,
    title: String,
    faring: OutcomeCells,
}

/// Writes the table.
pub(super) fn print(page: &mut TextPage, plan: &Plan<'_>) {
    if plan.workloads.is_empty() {
        return;
    }
    page.ruled_heading("Workloads");
    let mut rows = one_by_one(plan);
    if rows.len() > MOST {
        let groups = alike(plan);
        rows = if groups.len() > MOST { of_all_namespaces(groups) } else { by_namespace(groups) };
        let all = plan.workloads.len();
        page.say(&format!("{all} workloads, those that fare alike in one row; -o json lists each."), Tone::Faint);
        page.gap();
    }
    let left_out = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    table(page, rows);
    if left_out > 0 {
        page.say(&format!("And {}.", counted(left_out, "row more", "rows more")), Tone::Faint);
    }
}

fn one_by_one(plan: &Plan<'_>) -> Vec<TableRow> {
    let mut ordered: Vec<&PlannedWorkload<'_>> = plan.workloads.iter().collect();
    ordered.sort_by_key(|planned| &planned.workload.identity);
    // One more than is printed tells that there are more; the sentences of the rest are not needed.
    let rows = ordered.into_iter().take(MOST.saturating_add(1)).map(|planned| {
        let WorkloadIdentity { namespace, kind, name } = &planned.workload.identity;
        let faring = OutcomeCells::of(plan, planned);
        TableRow { namespace: Some(namespace.to_string()), title: format!("{kind} {name}"), faring }
    });
    rows.collect()
}

/// How many fare alike, namespace by namespace.
type RowGroups<'p> = BTreeMap<(&'p str, OutcomeCells), usize>;

fn alike<'p>(plan: &'p Plan<'_>) -> RowGroups<'p> {
    let mut groups = RowGroups::new();
    for planned in &plan.workloads {
        let count = groups.entry((&planned.workload.identity.namespace, OutcomeCells::of(plan, planned))).or_default();
        *count = count.saturating_add(1);
    }
    groups
}

fn by_namespace(groups: RowGroups<'_>) -> Vec<TableRow> {
    let rows = groups.into_iter().map(|((namespace, faring), count)| {
        let title = counted(count, "workload", "workloads");
        TableRow { namespace: Some(namespace.to_owned()), title, faring }
    });
    rows.collect()
}

fn of_all_namespaces(groups: RowGroups<'_>) -> Vec<TableRow> {
    // How many there are, and in how many namespaces.
    let mut merged: BTreeMap<OutcomeCells, (usize, usize)> = BTreeMap::new();
    for ((_, faring), number) in groups {
        let (count, namespaces) = merged.entry(faring).or_default();
        (*count, *namespaces) = (count.saturating_add(number), namespaces.saturating_add(1));
    }
    let rows = merged.into_iter().map(|(faring, (count, namespaces))| {
        let title = format!(
            "{}\nin {}",
            counted(count, "workload", "workloads"),
            counted(namespaces, "namespace", "namespaces")
        );
        TableRow { namespace: None, title, faring }
    });
    rows.collect()
}

fn table(page: &mut TextPage, rows: Vec<TableRow>) {
    // Lines of two columns stay beside each other only where neither is broken, for which a narrow page has no room.
    let merged = page.layout().width < super::COMFORTABLE && rows.iter().any(|row| row.faring.levels.len() > 1);
    let categorised = rows.iter().any(|row| !row.faring.categories.is_empty());
    let plain = |text: String| (text, Tone::Plain);
    let mut cells = Vec::new();
    let mut last = None;
    for TableRow { namespace, title, faring } in rows {
        let title = match &namespace {
            Some(name) => {
                if last.as_ref() != Some(name) {
                    cells.push(vec![(name.clone(), Tone::Strong)]);
                }
                format!("  {title}")
            }
            None => title,
        };
        last = namespace;
        let OutcomeCells { levels, categories, fate, pools } = faring;
        let tone = match fate {
            EntryOutcome::Placeable => Tone::Good,
            EntryOutcome::Unplaceable | EntryOutcome::Refused => Tone::Bad,
            EntryOutcome::Unrestricted => Tone::Plain,
        };
        let lines = |of: fn(&LevelCell) -> String| match &*levels {
            [] => "–".to_owned(),
            levels => levels.iter().map(of).collect::<Vec<_>>().join("\n"),
        };
        let mut row = vec![plain(title)];
        if merged {
            row.push(plain(lines(|LevelCell { level, by, idle }| format!("{level}\n  by {by}{idle}"))));
        } else {
            row.push(plain(lines(|LevelCell { level, idle, .. }| format!("{level}{idle}"))));
            row.push((lines(|said| said.by.to_owned()), Tone::Faint));
        }
        row.extend(categorised.then(|| plain(categories)));
        row.extend([(fate.as_str().to_owned(), tone), plain(pools)]);
        cells.push(row);
    }
    let mut header = vec!["workload"];
    header.extend(if merged { &["level, said by"][..] } else { &["level", "said by"] });
    header.extend(categorised.then_some("categories"));
    header.extend(["outcome", "pools"]);
    let whole: Vec<usize> = (0..header.len().saturating_sub(1)).filter(|column| !merged || *column != 1).collect();
    page.table(&header, cells, &whole);
}
