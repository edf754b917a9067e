//! Where the pods of each workload are, and why some are nowhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{
    paper::{Look, Paper, counted, listed},
    snapshot::{PodView, Snapshot, Workload},
};
use crate::core::{admission::Source, keys};

/// From so many pods on, nodes are counted instead of named.
const MANY: usize = 6;

/// The table of workloads.
pub(super) fn print(paper: Paper, seen: &Snapshot) -> Result<()> {
    let mut rows = Vec::new();
    let mut namespace = "";
    let mut workloads: Vec<&Workload> = seen.workloads.iter().collect();
    workloads.sort_by_key(|workload| (&workload.namespace, workload.kind == "Pod", &workload.name));
    for workload in workloads {
        if workload.namespace != namespace {
            namespace = &workload.namespace;
            rows.push(vec![(namespace.to_owned(), Look::Strong)]);
        }
        let source = match workload.need.source {
            Source::Namespace => "namespace",
            Source::Workload => "workload",
            Source::Pod if workload.kind == "Pod" => "pod",
            Source::Pod => "template",
            Source::Default => "policy",
        };
        let (place, look) = whereabouts(paper, seen, workload);
        rows.push(vec![
            (format!("  {} {}", workload.kind, workload.name), Look::Plain),
            (workload.need.words(), Look::Plain),
            (source.to_owned(), Look::Faint),
            (place, look),
        ]);
    }
    let header = ["workload", "level, category", "said by", "its pods run at"];
    paper.table(&header, rows, &[0, 1, 2])?;
    Ok(())
}

/// Providers and nodes, or that the pods wait.
fn whereabouts(paper: Paper, seen: &Snapshot, workload: &Workload) -> (String, Look) {
    let waiting = workload.pods.iter().filter(|pod| pod.node.is_none()).count();
    let nodes: Vec<&str> = workload.pods.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let mut by_provider: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for node in &nodes {
        let provider = seen.stamp(node, keys::PROVIDER).unwrap_or("no pool");
        *by_provider.entry(provider).or_default().entry(node).or_default() += 1;
    }
    let many = nodes.len() > MANY;
    let at_provider = |(provider, nodes_there): (&&str, &BTreeMap<&str, usize>)| {
        if many || paper.narrow() {
            return format!("{provider}: {}", counted(nodes_there.len(), "node"));
        }
        let named = nodes_there.iter().map(|(node, pods)| match pods {
            1 => (*node).to_owned(),
            more => format!("{node} ({more})"),
        });
        format!("{provider}: {}", listed(named))
    };
    let mut parts: Vec<String> = by_provider.iter().map(at_provider).collect();
    if many && !paper.narrow() {
        parts = vec![parts.join(", ")];
    }
    if waiting > 0 {
        parts.push(format!("{} not run: no node is cleared", if waiting == 1 { "1 does" } else { "some do" }));
    }
    if !nodes.is_empty() && workload.pods.iter().all(|pod| pod.finished) {
        parts.push("finished".to_owned());
    }
    (parts.join("\n"), if waiting > 0 { Look::Bad } else { Look::Plain })
}

/// How many pods run or have run, how many wait.
pub(super) fn count(seen: &Snapshot) -> (usize, usize) {
    let pods = || seen.workloads.iter().flat_map(|workload| &workload.pods);
    (pods().filter(|pod| pod.node.is_some()).count(), pods().filter(|pod| pod.node.is_none()).count())
}

/// Why each pod that waits does: what the scheduler says, and what the pools' verdicts say.
pub(super) fn print_waiting(paper: Paper, seen: &Snapshot) -> Result<()> {
    for workload in &seen.workloads {
        for pod in workload.pods.iter().filter(|pod| pod.node.is_none()) {
            explain(paper, seen, workload, pod)?;
        }
    }
    Ok(())
}

/// Why one pod waits.
pub(super) fn explain(paper: Paper, seen: &Snapshot, workload: &Workload, pod: &PodView) -> Result<()> {
    paper.item(
        "·",
        &format!("pod {}/{} ({}) waits. kube-scheduler says:", workload.namespace, pod.name, workload.need.words()),
    )?;
    paper.quote(pod.unschedulable.as_deref().unwrap_or("nothing"), Look::Plain)?;
    // Beside the stamps it may select by labels of its author's choice.
    let own: Vec<String> = pod
        .selector
        .iter()
        .filter(|(key, _)| !workload.need.keys.contains(*key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !own.is_empty() {
        paper.item(" ", &format!("Its author lets it run only where {}.", listed(&own)))?;
    }
    for subject in seen.subjects_of(&workload.need.keys) {
        let mut by_codes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut cleared = Vec::new();
        for pool in seen.pools.keys() {
            match seen.verdict(pool, &subject) {
                Some(verdict) if verdict.cleared => cleared.push(pool.as_str()),
                Some(verdict) => {
                    let codes: BTreeSet<_> = verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
                    by_codes.entry(listed(codes)).or_default().push(pool);
                }
                None => {}
            }
        }
        let cleared = if cleared.is_empty() { "no pool".to_owned() } else { listed(cleared) };
        let rejected = by_codes.iter().map(|(codes, pools)| format!("{} ({codes})", listed(pools)));
        paper.item(
            " ",
            &format!("Cleared for {subject}: {cleared}. Not cleared: {}.", rejected.collect::<Vec<_>>().join("; ")),
        )?;
    }
    Ok(())
}
