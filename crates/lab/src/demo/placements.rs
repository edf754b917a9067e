//! Placements of each workload's pods, and the reasons why some are pending.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::snapshot::{ClearanceSubject, ClusterSnapshot, ObservedPod, ObservedWorkload};
use crate::terminal::{TerminalOutput, TextStyle, counted, listed};
use rempart_core::{admission::SensitivitySource, keys};

/// From so many pods on, nodes are counted instead of named.
const MANY: usize = 6;

/// The table of workloads.
pub(super) fn print(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    let mut rows = Vec::new();
    let mut namespace = "";
    let mut workloads: Vec<&ObservedWorkload> = seen.workloads.iter().collect();
    workloads.sort_by_key(|workload| (&workload.namespace, workload.kind == "Pod", &workload.name));
    for workload in workloads {
        if workload.namespace != namespace {
            namespace = &workload.namespace;
            rows.push(vec![(namespace.to_owned(), TextStyle::Strong)]);
        }
        let source = match workload.need.source {
            SensitivitySource::Namespace => "namespace",
            SensitivitySource::Workload => "workload",
            SensitivitySource::Pod if workload.kind == "Pod" => "pod",
            SensitivitySource::Pod => "template",
            SensitivitySource::Default | SensitivitySource::Minimum => "policy",
        };
        let (place, look) = whereabouts(terminal, seen, workload);
        rows.push(vec![
            (format!("  {} {}", workload.kind, workload.name), TextStyle::Plain),
            (workload.need.words(), TextStyle::Plain),
            (source.to_owned(), TextStyle::Faint),
            (place, look),
        ]);
    }
    let header = ["workload", "level, category", "said by", "its pods run at"];
    terminal.table(&header, rows, &[0, 1, 2])?;
    Ok(())
}

/// Providers and nodes, or that the pods wait.
fn whereabouts(terminal: TerminalOutput, seen: &ClusterSnapshot, workload: &ObservedWorkload) -> (String, TextStyle) {
    let waiting = workload.pods.iter().filter(|pod| pod.node.is_none()).count();
    let nodes: Vec<&str> = workload.pods.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let mut by_provider: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for node in &nodes {
        let provider = seen.stamp(node, keys::PROVIDER).unwrap_or("no pool");
        *by_provider.entry(provider).or_default().entry(node).or_default() += 1;
    }
    let many = nodes.len() > MANY;
    let at_provider = |(provider, nodes_there): (&&str, &BTreeMap<&str, usize>)| {
        if many || terminal.narrow() {
            return format!("{provider}: {}", counted(nodes_there.len(), "node"));
        }
        let named = nodes_there.iter().map(|(node, pods)| match pods {
            1 => (*node).to_owned(),
            more => format!("{node} ({more})"),
        });
        format!("{provider}: {}", listed(named))
    };
    let mut parts: Vec<String> = by_provider.iter().map(at_provider).collect();
    if many && !terminal.narrow() {
        parts = vec![parts.join(", ")];
    }
    if waiting > 0 {
        parts.push(format!("{} not run: no node is cleared", if waiting == 1 { "1 does" } else { "some do" }));
    }
    if !nodes.is_empty() && workload.pods.iter().all(|pod| pod.finished) {
        parts.push("finished".to_owned());
    }
    (parts.join("\n"), if waiting > 0 { TextStyle::Bad } else { TextStyle::Plain })
}

/// Number of pods that have a node, and of those that are pending.
pub(super) fn count(seen: &ClusterSnapshot) -> (usize, usize) {
    let pods = || seen.workloads.iter().flat_map(|workload| &workload.pods);
    (pods().filter(|pod| pod.node.is_some()).count(), pods().filter(|pod| pod.node.is_none()).count())
}

/// Why each pod that waits does: what the scheduler says, and what the pools' verdicts say.
pub(super) fn print_waiting<'a>(
    terminal: TerminalOutput,
    seen: &ClusterSnapshot,
    waiting: impl IntoIterator<Item = (&'a ObservedWorkload, &'a ObservedPod)>,
) -> Result<()> {
    // One answer often holds for many.
    let mut by_answer: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for (workload, pod) in waiting {
        let own = pod.selector.iter().filter(|(key, _)| !workload.need.keys.contains(*key));
        let own: Vec<String> = own.map(|(key, value)| format!("{key}={value}")).collect();
        let mut title = format!("{} ({})", workload.title(), workload.need.words());
        if !own.is_empty() {
            title = format!("{title}, which its author lets run only where {}", listed(own));
        }
        let answer = pod.unschedulable.as_deref().unwrap_or("nothing");
        *by_answer.entry(answer).or_default().entry(title).or_default() += 1;
        keys.extend(workload.need.keys.iter().cloned());
    }
    for (answer, workloads) in by_answer {
        for (title, pods) in workloads {
            terminal.item("·", &format!("{} of {title}", counted(pods, "pod")))?;
        }
        terminal.say("kube-scheduler says:")?;
        terminal.quote(answer, TextStyle::Plain)?;
    }
    seen.subjects_of(&keys).iter().try_for_each(|subject| print_standing(terminal, seen, subject))
}

/// The pods that have no node.
pub(super) fn waiting(seen: &ClusterSnapshot) -> impl Iterator<Item = (&ObservedWorkload, &ObservedPod)> {
    let pods = seen.workloads.iter().flat_map(|workload| workload.pods.iter().map(move |pod| (workload, pod)));
    pods.filter(|(_, pod)| pod.node.is_none())
}

/// Which pools are cleared for `subject`, and the codes that keep the others from it.
fn print_standing(terminal: TerminalOutput, seen: &ClusterSnapshot, subject: &ClearanceSubject) -> Result<()> {
    let mut by_codes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut cleared = Vec::new();
    for pool in seen.pools.keys() {
        match seen.verdict(pool, subject) {
            Some(verdict) if verdict.cleared => cleared.push(pool.as_str()),
            Some(verdict) => {
                let codes: BTreeSet<_> = verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
                by_codes.entry(listed(codes)).or_default().push(pool);
            }
            None => {}
        }
    }
    let cleared = if cleared.is_empty() { "no pool".to_owned() } else { listed(cleared) };
    terminal.say(&format!("Cleared for {subject}: {cleared}. Not cleared:"))?;
    for (codes, pools) in by_codes {
        terminal.item("  ·", &format!("{}: {codes}", listed(pools)))?;
    }
    Ok(())
}
