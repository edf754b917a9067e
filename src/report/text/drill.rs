//! Drill report for people: the verdict first, then what is stranded, then the levels with what would cure them.

use super::{few, not_judged};
use crate::report::{entries::ObjectName, location::IgnoredKinds};
use crate::terminal::{TextLayout, TextPage, Tone};
use rempart_core::{
    cluster_objects::ComputeResources,
    drill::{CureNodes, Drill, DrillCounts, ESTIMATE, LevelDrill, StrandedPods, VerdictDisplay},
    text::counted,
};

/// How many entries a list has at most.
const MOST: usize = 50;

/// How many names an entry lists.
const NAMED: usize = 6;

/// Says `drill`, and what was not judged.
#[must_use]
pub fn drill(drill: &Drill<'_>, ignored: &IgnoredKinds, layout: TextLayout) -> String {
    let mut page = super::page(layout);
    page.say(&VerdictDisplay(drill).to_string(), Tone::Strong);
    page.say(ESTIMATE, Tone::Faint);
    stranded(&mut page, "Stranded: they lose their node and find no other", &drill.stranded);
    stranded(&mut page, "Without a node even with all that is there", &drill.waiting);
    levels(&mut page, &drill.levels);
    counts(&mut page, drill);
    not_judged::print(&mut page, ignored);
    let DrillCounts { displaced, fitting, stranded, .. } = drill.counts;
    let summary = format!("{displaced} displaced, {fitting} fitting, {stranded} stranded");
    let parts: Vec<String> = std::iter::once(summary).chain(not_judged::summary(ignored)).collect();
    page.close(&parts.join("; "));
    page.into_text()
}

fn stranded(page: &mut TextPage, title: &str, stranded: &[StrandedPods]) {
    if stranded.is_empty() {
        return;
    }
    page.ruled_heading(title);
    for StrandedPods { workload, reason, pods, levels } in stranded.iter().take(MOST) {
        let levels = match levels.as_slice() {
            [] => String::new(),
            levels => format!(" of level {}", few(levels.iter().map(|(_, level)| level), NAMED)),
        };
        let pods = counted(*pods, "pod", "pods");
        page.item("·", &format!("{}: {pods}{levels}; {reason}", ObjectName::from(workload)), Tone::Plain);
    }
    let left_out = stranded.len().saturating_sub(MOST);
    if left_out > 0 {
        page.say(&format!("And {left_out} more; -o json lists each."), Tone::Faint);
    }
}

fn levels(page: &mut TextPage, levels: &[LevelDrill<'_>]) {
    if levels.is_empty() {
        return;
    }
    page.ruled_heading("By level");
    let mut rows: Vec<Vec<(String, Tone)>> = Vec::new();
    let mut above = None;
    for counted in levels {
        let name = match &counted.level {
            Some(level) => {
                if above != Some(level.policy) {
                    rows.push(vec![(format!("policy {}", level.policy), Tone::Strong)]);
                    above = Some(level.policy);
                }
                format!("  {}{}", level.level, if counted.in_force { "" } else { " (not enforced)" })
            }
            None => "no policy".to_owned(),
        };
        let tone = if counted.stranded > 0 { Tone::Bad } else { Tone::Good };
        let number = |count: usize| (count.to_string(), Tone::Plain);
        rows.push(vec![
            (name, Tone::Plain),
            number(counted.running),
            number(counted.displaced),
            number(counted.fitting),
            (counted.stranded.to_string(), tone),
            (counted.first_out.clone().unwrap_or_else(|| "–".to_owned()), Tone::Plain),
            (cure(counted), Tone::Plain),
        ]);
    }
    let header = ["level", "pods", "displaced", "fit", "stranded", "runs out first", "cure"];
    page.table(&header, rows, &[0, 1, 2, 3, 4, 5]);
}

/// What would cure a level, as its cell says it.
fn cure(counted: &LevelDrill<'_>) -> String {
    let nodes = |CureNodes { pool, nodes, allocatable, pods: _ }: &CureNodes<'_>| {
        let ComputeResources { cpu_milli, memory, pods: _ } = *allocatable;
        let many = rempart_core::text::counted(*nodes, "node", "nodes");
        format!("{many} of {pool} ({}, {})", processors(cpu_milli), bytes(memory))
    };
    let mut parts: Vec<String> = counted.cure.iter().map(nodes).collect();
    match counted.incurable {
        0 => {}
        some if counted.cure.is_empty() => parts.push(format!("no node cures {some}")),
        some => parts.push(format!("no node cures the other {some}")),
    }
    if parts.is_empty() { "–".to_owned() } else { parts.join("\n") }
}

/// `4 CPU`, `500m CPU`.
fn processors(milli: u64) -> String {
    if milli.is_multiple_of(1000) { format!("{} CPU", milli / 1000) } else { format!("{milli}m CPU") }
}

/// `16 GiB`, or in smaller units what is not whole.
fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " bytes")];
    let whole = units.into_iter().find(|(size, _)| bytes.is_multiple_of(*size)).unwrap_or((1, " bytes"));
    format!("{}{}", bytes / whole.0, whole.1)
}

/// What was counted how, where that matters.
fn counts(page: &mut TextPage, drill: &Drill<'_>) {
    let DrillCounts { gated, ended, unowned, without_requests, nodes_of_no_pool, unknown_claims, .. } = drill.counts;
    let mut lines = Vec::new();
    let mut add = |count: usize, one: &str, many: &str, rest: &str| {
        if count > 0 {
            lines.push(format!("{} {rest}", counted(count, one, many)));
        }
    };
    let without = "of the displaced with no request for CPU or memory: counted as needing a pod slot alone";
    add(without_requests, "pod", "pods", without);
    add(unowned, "pod", "pods", "of the displaced that no controller makes anew: counted as if somebody did");
    add(ended, "pod", "pods", "of DaemonSets or static: they end with their node and need no other");
    add(gated, "pod", "pods", "held back by a scheduling gate, and not counted otherwise");
    add(nodes_of_no_pool, "node", "nodes", "of no pool, or of several: nobody can tell whose, and they stay");
    add(unknown_claims, "claim", "claims", "not among what was read: they keep no pod off any node here");
    if !drill.uncounted.is_empty() {
        let names = few(drill.uncounted.iter().map(ObjectName::from), NAMED);
        lines.push(format!("no pod is counted of {names}: how many run depends on when one looks"));
    }
    if lines.is_empty() {
        return;
    }
    page.ruled_heading("Counted");
    for line in lines {
        page.item("·", &line, Tone::Plain);
    }
}
