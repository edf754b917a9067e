//! Migration of the pods that are in violation, replacement first.
//!
//! It takes the snapshot before the change, approves what the circuit breaker has stopped, waits until every pod that
//! can move has moved, and prints from where to where. It fails when a Deployment had fewer ready pods than its
//! strategy allows.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};

use super::{
    actors::DemoActors,
    propagation::{self, RetainedPods},
    snapshot::{ClusterSnapshot, ObservedPod, ObservedWorkload},
};
use crate::{
    ControlPlane, ProgressDisplay, eventually,
    terminal::{TerminalOutput, TextStyle, counted, listed},
};
use rempart_core::keys;

/// Timeout until a record follows.
const PATIENCE: Duration = Duration::from_mins(1);
/// The most approvals of an officer.
const WORDS: usize = 3;

/// Counts the ready pods of every `Deployment`, by namespace and name.
pub(super) type DeploymentReadiness = crate::ReadinessRecorder<(String, String)>;

/// Begins to count.
pub(super) fn record_readiness(client: &Client) -> DeploymentReadiness {
    DeploymentReadiness::new(Api::all(client.clone()), deployment_of)
}

/// The `Deployment` that a pod is of: its `ReplicaSet` is named after it.
fn deployment_of(pod: &Pod) -> Option<(String, String)> {
    let owner = pod.owner_references().iter().find(|owner| owner.kind == "ReplicaSet")?;
    let (deployment, _) = owner.name.rsplit_once('-')?;
    Some((pod.namespace()?, deployment.to_owned()))
}

/// The pods of `workload` that run where they lack a stamp; those that have somewhere to go, or else those that have not.
fn misplaced<'a>(
    seen: &'a ClusterSnapshot,
    workload: &'a ObservedWorkload,
    movable: bool,
) -> impl Iterator<Item = &'a ObservedPod> {
    let lacks = |pod: &&ObservedPod| pod.node.as_ref().is_some_and(|node| !seen.carries(node, &workload.need.keys));
    let of_kind = move |pod: &&ObservedPod| !pod.finished && seen.somewhere_fits(&pod.selector) == movable;
    workload.pods.iter().filter(of_kind).filter(lacks)
}

/// Whether a controller replaces the pods of `workload`: only then are they migrated.
fn moves(workload: &ObservedWorkload) -> bool {
    matches!(workload.kind, "Deployment" | "StatefulSet" | "ReplicaSet")
}

/// Waits until every pod that can move has moved, prints from where to where, and approves what is stopped.
pub(super) async fn print(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    before: &ClusterSnapshot,
    readiness: &DeploymentReadiness,
) -> Result<()> {
    let policy = before.policy_name().to_owned();
    let client = cluster.admin();
    terminal.gap()?;
    terminal.say(
        "Nobody restarts anything. Two seconds later, when the facts have settled, the operator begins to move what \
         runs where it may no longer run:",
    )?;
    let mut approved = BTreeSet::new();
    let step = progress.step("waiting for the moves");
    let after = loop {
        let seen = propagation::read_until(&client, &policy, &step, "all that can to have moved", |seen| {
            if next_stop(seen, &approved).is_some() {
                return Ok(());
            }
            seen.workloads.iter().filter(|workload| moves(workload)).try_for_each(|workload| {
                let left = misplaced(seen, workload, true).count();
                ensure!(left == 0, "{} has {} to move", workload.title(), counted(left, "pod"));
                Ok(())
            })
        })
        .await?;
        let Some((id, message)) = next_stop(&seen, &approved) else { break seen };
        ensure!(approved.len() < WORDS, "moves stop again and again: {message}");
        terminal.gap()?;
        terminal.say(
            "That is more than half of a level at one blow, and facts have been lost by mistake before. So nothing \
             moves yet; the policy says why, and what to write:",
        )?;
        terminal.quote(&message, TextStyle::Faint)?;
        let word = format!("rempart.dev/approve-move={id}");
        let arguments = ["annotate", "placementpolicy", &policy, "--overwrite", &word];
        terminal.command(&actors.officer.name, &format!("kubectl {}", arguments.join(" ")))?;
        actors.officer.must(cluster, &arguments).await?;
        approved.insert(id);
    };
    let standing: RetainedPods = before
        .workloads
        .iter()
        .filter(|found| !moves(found))
        .flat_map(|found| &found.pods)
        .map(|pod| pod.uid.clone())
        .collect();
    let kept: RetainedPods = after.workloads.iter().flat_map(|found| &found.pods).map(|pod| pod.uid.clone()).collect();
    let after = propagation::pods_placed(&client, &policy, &step, &standing.union(&kept).cloned().collect()).await?;
    drop(step);
    terminal.gap()?;
    let mut moved = 0;
    for workload in before.workloads.iter().filter(|workload| moves(workload)) {
        moved += usize::from(print_move(terminal, before, &after, workload, readiness)?);
    }
    ensure!(moved > 0, "nothing has moved");
    for workload in before.workloads.iter().filter(|workload| workload.kind == "DaemonSet") {
        let now = after.workload(workload.kind, &workload.namespace, &workload.name);
        let left = now.map_or(0, |now| now.pods.len());
        if left < workload.pods.len() {
            let ended = workload.pods.len().saturating_sub(left);
            terminal.item(
                "·",
                &format!(
                    "{}: Kubernetes itself has ended {}, since its template selects the stamp.",
                    workload.title(),
                    counted(ended, "pod")
                ),
            )?;
        }
    }
    print_kept(terminal, cluster, actors, &after).await?;
    print_record(terminal, cluster, actors, before, &after).await
}

/// Prints the pods that are not migrated, with the reason in their record.
async fn print_kept(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    after: &ClusterSnapshot,
) -> Result<()> {
    for workload in after.workloads.iter().filter(|workload| moves(workload)) {
        if misplaced(after, workload, false).next().is_none() {
            continue;
        }
        let record = format!("{}-{}", workload.kind.to_lowercase(), workload.name);
        let path = r#"jsonpath={.status.conditions[?(@.type=="Migrating")].message}"#;
        let arguments = ["get", "workloadplacement", &record, "-n", &workload.namespace, "-o", path];
        let said = eventually(format!("the record of {}", workload.title()), PATIENCE, async || {
            let said = actors.developer.must(cluster, &arguments).await?;
            ensure!(said.contains("kept"), "it says {said:?}");
            anyhow::Ok(said)
        })
        .await?;
        terminal.item("·", &format!("{}: {said}.", workload.title()))?;
    }
    Ok(())
}

/// A stopped move of the policy that nobody has answered yet: its id, and what the policy says of it.
fn next_stop(seen: &ClusterSnapshot, approved: &BTreeSet<String>) -> Option<(String, String)> {
    let status = seen.policy.status.as_ref()?;
    let stop = status.stops.iter().find(|stop| !approved.contains(&stop.id))?;
    let said = rempart::api::find_condition(&status.conditions, "MoveStopped")?;
    Some((stop.id.clone(), said.message.clone()))
}

/// Prints the migration of the pods of `workload`, if they have moved.
fn print_move(
    terminal: TerminalOutput,
    before: &ClusterSnapshot,
    after: &ClusterSnapshot,
    workload: &ObservedWorkload,
    readiness: &DeploymentReadiness,
) -> Result<bool> {
    let title = workload.title();
    let now = after.workload(workload.kind, &workload.namespace, &workload.name);
    let now = now.with_context(|| format!("{title} is gone"))?;
    let old: BTreeSet<&String> = workload.pods.iter().map(|pod| &pod.uid).collect();
    let places = |seen: &ClusterSnapshot, pods: &mut dyn Iterator<Item = &ObservedPod>| -> BTreeSet<String> {
        pods.filter_map(|pod| pod.node.as_ref())
            .map(|node| seen.stamp(node, keys::POOL).unwrap_or("no pool").to_owned())
            .collect()
    };
    let left: Vec<&ObservedPod> =
        workload.pods.iter().filter(|pod| !now.pods.iter().any(|found| found.uid == pod.uid)).collect();
    if left.is_empty() {
        return Ok(false);
    }
    let from = places(before, &mut left.iter().copied());
    let to = places(after, &mut now.pods.iter().filter(|pod| !old.contains(&pod.uid)));
    let how = match (workload.kind, readiness.least(&(workload.namespace.clone(), workload.name.clone()))) {
        ("Deployment", Some(least)) => {
            // What a rollout may take away by default: a quarter, rounded down.
            let floor = workload.wanted.saturating_sub(workload.wanted / 4);
            ensure!(least >= floor, "{title} had only {least} ready pods at some moment");
            format!("; at every moment at least {least} of {} ready", workload.wanted)
        }
        ("StatefulSet", _) => "; one pod after the other".to_owned(),
        _ => String::new(),
    };
    terminal
        .item("·", &format!("{title}: {} from {} to {}{how}.", counted(left.len(), "pod"), listed(from), listed(to)))?;
    Ok(true)
}

/// Shows the records of a namespace in which something moved, as whoever asks for them sees them.
async fn print_record(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    before: &ClusterSnapshot,
    after: &ClusterSnapshot,
) -> Result<()> {
    let changed = before.workloads.iter().find(|workload| {
        let now = after.workload(workload.kind, &workload.namespace, &workload.name);
        moves(workload)
            && now.is_some_and(|now| now.pods.iter().any(|pod| !workload.pods.iter().any(|old| old.uid == pod.uid)))
    });
    let Some(workload) = changed else { return Ok(()) };
    if misplaced(after, workload, false).next().is_none() {
        // Records follow within two seconds.
        let record = format!("{}-{}", workload.kind.to_lowercase(), workload.name);
        let path = r#"jsonpath={.status.conditions[?(@.type=="Compliant")].status}"#;
        let arguments = ["get", "workloadplacement", &record, "-n", &workload.namespace, "-o", path];
        eventually(format!("the record of {} to follow", workload.title()), PATIENCE, async || {
            let said = actors.developer.must(cluster, &arguments).await?;
            ensure!(said == "True", "it is compliant: {said:?}");
            anyhow::Ok(())
        })
        .await?;
    }
    terminal.gap()?;
    terminal.say("What became of each workload is on record beside it:")?;
    let arguments = ["get", "workloadplacements", "-n", &workload.namespace];
    terminal.command(&actors.developer.name, &format!("kubectl {}", arguments.join(" ")))?;
    let table = actors.developer.must(cluster, &arguments).await?;
    for line in table.lines() {
        terminal.verbatim(line)?;
    }
    Ok(())
}
