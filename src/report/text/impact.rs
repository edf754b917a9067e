//! Impact report for people: what cannot be undone comes first.

use std::collections::{BTreeMap, BTreeSet};

use super::{few, not_judged};
use crate::report::{entries::ObjectName, location::IgnoredKinds};
use crate::terminal::{TextLayout, TextPage, Tone};
use rempart_core::{
    admission::AdmissionRefusal,
    impact::{ClearanceChange, MovedWorkload, PlanImpact, SourcePresence},
    name::PoolName,
    plan::{Plan, PolicyRefusal},
    text::counted,
    workload::{Workload, WorkloadIdentity},
};

/// How many entries a list has at most.
const MOST: usize = 50;

/// How many rows the table of what moves has at most.
const ROWS: usize = 200;

/// How many names an entry lists.
const NAMED: usize = 6;

/// Says `impact`, which `new` has beside `old`, and what of either was not judged.
#[must_use]
pub fn impact(
    impact: &PlanImpact<'_>,
    old: &Plan<'_>,
    new: &Plan<'_>,
    ignored: &IgnoredKinds,
    layout: TextLayout,
) -> String {
    let mut page = super::page(layout);
    if old.at != new.at {
        page.say(&format!("From {} to {}.", old.at, new.at), Tone::Faint);
    }
    if impact.is_empty() {
        not_judged::print(&mut page, ignored);
        page.close(if ignored.is_all_judged() { "Nothing changes." } else { "Nothing changes for what was judged." });
        return page.into_text();
    }
    ended(&mut page, impact);
    restarted(&mut page, &impact.restarted);
    refused(&mut page, impact, old);
    stranded(&mut page, impact, new);
    silent(&mut page, &impact.silent_namespaces);
    freed(&mut page, &impact.freed);
    moved(&mut page, &impact.moved);
    standings(&mut page, &impact.standings);
    not_judged::print(&mut page, ignored);
    let parts: Vec<String> = std::iter::once(summary(impact)).chain(not_judged::summary(ignored)).collect();
    page.close(&parts.join("; "));
    page.into_text()
}

fn list(page: &mut TextPage, title: &str, mark: &str, tone: Tone, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.ruled_heading(title);
    for line in lines.iter().take(MOST) {
        page.item(mark, line, tone);
    }
    let left_out = lines.len().saturating_sub(MOST);
    if left_out > 0 {
        page.say(&format!("And {left_out} more; -o json lists each."), Tone::Faint);
    }
}

fn ended(page: &mut TextPage, impact: &PlanImpact<'_>) {
    let line = |ended: &rempart_core::impact::EndedDaemonSet<'_>| {
        let object = ObjectName::from(&ended.workload.identity);
        let pools = match &*ended.pools {
            [] => String::new(),
            pools => format!(" (it loses {})", few(pools, NAMED)),
        };
        let place = match &*ended.nodes {
            [] => "every node of a pool that it loses".to_owned(),
            nodes => few(nodes, NAMED),
        };
        format!("{object}: on {place}{pools}")
    };
    let lines: Vec<String> = impact.ended.iter().map(line).collect();
    list(page, "DaemonSets that lose pods at once, whatever disruption budgets say", "!", Tone::Bad, &lines);
    let namespaces: BTreeSet<&str> = impact.ended.iter().map(|ended| &*ended.workload.identity.namespace).collect();
    if !namespaces.is_empty() {
        let names: Vec<&str> = namespaces.into_iter().collect();
        let add = format!(
            "If nodes need them, exempt their namespaces before: helm upgrade with --set 'exemptNamespaces={{{}}}', which adds \
             to those that are exempt by default.",
            names.join(",")
        );
        page.say(&add, Tone::Faint);
    }
}

/// Namespaces that leave it to the policy how sensitive is what runs in them.
fn silent(page: &mut TextPage, namespaces: &[&str]) {
    let lines: Vec<String> = namespaces.iter().map(|name| format!("Namespace {name}")).collect();
    let title = "Say no level: what says none in them gets the default of the policy; kubectl label namespace NAME \
                 rempart.dev/sensitivity=LEVEL";
    list(page, title, "·", Tone::Plain, &lines);
}

fn restarted(page: &mut TextPage, restarted: &[&Workload]) {
    let lines: Vec<String> =
        restarted.iter().map(|workload| ObjectName::from(&workload.identity).to_string()).collect();
    let title = "DaemonSets that restart by their own strategy, freed of a key that they need not have any more";
    list(page, title, "·", Tone::Plain, &lines);
}

/// Objects that ask for what an edit removes, then what else is refused.
fn refused(page: &mut TextPage, impact: &PlanImpact<'_>, old: &Plan<'_>) {
    let asks = |refusals: &[PolicyRefusal<'_>]| {
        let gone = |refusal: &AdmissionRefusal<'_>| match refusal {
            AdmissionRefusal::UnknownLevel { policy, value, .. } => {
                let before = old.inventory.world.policies.get(&policy.name);
                before.is_some_and(|before| before.levels.rank(value).is_some())
            }
            AdmissionRefusal::UnknownCategory { policy, value, .. } => {
                let before = old.inventory.world.policies.get(&policy.name);
                before.is_some_and(|before| before.categories.contains_key(value.as_str()))
            }
            _ => false,
        };
        refusals.iter().any(|refused| refused.in_force && gone(&refused.refusal))
    };
    let (mut gone, mut others) = (Vec::new(), Vec::new());
    for namespace in &impact.namespaces {
        let line = format!("Namespace {}: {}", namespace.name, namespace.message());
        if asks(&namespace.refusals) { gone.push(line) } else { others.push(line) }
    }
    for refusing in &impact.refused {
        let line = format!("{}: {}", ObjectName::from(&refusing.workload.identity), refusing.message());
        if asks(&refusing.refusals) { gone.push(line) } else { others.push(line) }
    }
    list(page, "Ask for a level or category that is no longer there: no restart succeeds", "!", Tone::Bad, &gone);
    list(page, "Would be refused: no restart succeeds", "·", Tone::Plain, &others);
}

fn stranded(page: &mut TextPage, impact: &PlanImpact<'_>, new: &Plan<'_>) {
    let wanted: BTreeSet<&WorkloadIdentity> =
        impact.stranded.iter().map(|stranded| &stranded.workload.identity).collect();
    let planned = new.workloads.iter().filter(|planned| wanted.contains(&planned.workload.identity));
    let messages: BTreeMap<&WorkloadIdentity, String> =
        planned.map(|planned| (&planned.workload.identity, new.message(planned))).collect();
    // What is refused has been told of already.
    let told: BTreeSet<&WorkloadIdentity> = impact.refused.iter().map(|refusing| &refusing.workload.identity).collect();
    let untold = impact.stranded.iter().filter(|stranded| !told.contains(&stranded.workload.identity));
    let lines = untold.map(|stranded| {
        let identity = &stranded.workload.identity;
        let lost = match &*stranded.lost {
            [] => "it was free to run anywhere".to_owned(),
            pools => format!("it loses {}", few(pools, NAMED)),
        };
        match messages.get(identity) {
            Some(message) => format!("{}: {lost}; {message}", ObjectName::from(identity)),
            None => format!("{}: {lost}", ObjectName::from(identity)),
        }
    });
    list(page, "Left with nowhere to run", "·", Tone::Plain, &lines.collect::<Vec<_>>());
}

/// What an edit sets free is what a security officer must not overlook.
fn freed(page: &mut TextPage, freed: &[&Workload]) {
    let lines: Vec<String> = freed.iter().map(|workload| ObjectName::from(&workload.identity).to_string()).collect();
    list(page, "No longer restricted: may run anywhere", "!", Tone::Bad, &lines);
}

fn moved(page: &mut TextPage, moved: &[MovedWorkload<'_>]) {
    if moved.is_empty() {
        return;
    }
    page.ruled_heading("Moved");
    let lost = |pools: &[&PoolName]| if pools.is_empty() { "any place".to_owned() } else { few(pools, 3) };
    let mut rows: Vec<Vec<(String, Tone)>> = Vec::new();
    if moved.len() > ROWS {
        let mut groups: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
        for MovedWorkload { workload, lost: pools, left, .. } in moved {
            let count = groups.entry((&workload.identity.namespace, lost(pools), few(left, 3))).or_default();
            *count = count.saturating_add(1);
        }
        let all = format!("{} workloads, those that move alike in one row; -o json lists each.", moved.len());
        page.say(&all, Tone::Faint);
        page.gap();
        for ((namespace, from, to), count) in groups {
            let title = format!("{namespace}: {}", counted(count, "workload", "workloads"));
            rows.push([title, from, to, "?".to_owned()].map(|text| (text, Tone::Plain)).into());
        }
    } else {
        let mut above = None;
        for MovedWorkload { workload, lost: pools, left, pods } in moved {
            let WorkloadIdentity { namespace, kind, name } = &workload.identity;
            if above != Some(namespace) {
                rows.push(vec![(namespace.to_string(), Tone::Strong)]);
                above = Some(namespace);
            }
            let pods = pods.map_or_else(|| "?".to_owned(), |pods| pods.to_string());
            let cells = [format!("  {kind} {name}"), lost(pools), few(left, 3), pods];
            rows.push(cells.map(|text| (text, Tone::Plain)).into());
        }
    }
    let left_out = rows.len().saturating_sub(ROWS.saturating_mul(2));
    rows.truncate(ROWS.saturating_mul(2));
    page.table(&["workload", "leaves", "may run on", "pods"], rows, &[0, 3]);
    if left_out > 0 {
        page.say(&format!("And {}.", counted(left_out, "row more", "rows more")), Tone::Faint);
    }
}

/// The pools of each level and category, gained and lost.
fn standings(page: &mut TextPage, standings: &[ClearanceChange<'_>]) {
    if standings.is_empty() {
        return;
    }
    page.ruled_heading("Pools gained (+) and lost (-)");
    let signed = |sign: char, pools: &[&PoolName]| pools.iter().map(|pool| format!("{sign}{pool}")).collect::<Vec<_>>();
    let mut above = None;
    let mut rows = Vec::new();
    for ClearanceChange { policy, demander, presence, gained, lost } in standings {
        if above != Some(policy) {
            rows.push(vec![(format!("policy {policy}"), Tone::Strong)]);
            above = Some(policy);
        }
        let note = match presence {
            SourcePresence::Kept => "",
            SourcePresence::Added => " (new)",
            SourcePresence::Removed => " (removed)",
        };
        let (gained, lost) = (signed('+', gained).join(", "), signed('-', lost).join(", "));
        let row = [(format!("  {demander}{note}"), Tone::Plain), (gained, Tone::Good), (lost, Tone::Bad)];
        rows.push(row.into());
    }
    page.table(&["for", "gained", "lost"], rows, &[0]);
}

fn summary(impact: &PlanImpact<'_>) -> String {
    let PlanImpact { standings: _, silent_namespaces, ended, restarted, namespaces, refused, freed, moved, stranded } =
        impact;
    let ended = counted(ended.len(), "DaemonSet", "DaemonSets");
    let refused = refused.len().saturating_add(namespaces.len());
    let lose = if impact.ended.len() == 1 { "loses" } else { "lose" };
    let set_free = if freed.is_empty() { String::new() } else { format!(", {} no longer restricted", freed.len()) };
    let restart = if restarted.is_empty() { String::new() } else { format!(", {} restarted", restarted.len()) };
    let (stranded, moved) = (stranded.len(), moved.len());
    let silent = match silent_namespaces.len() {
        0 => String::new(),
        silent => format!(", {} without a level", counted(silent, "namespace", "namespaces")),
    };
    format!(
        "{ended} {lose} pods at once{restart}, {refused} refused, {stranded} stranded, {moved} moved{set_free}{silent}"
    )
}
