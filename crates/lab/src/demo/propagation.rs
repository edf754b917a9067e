//! Propagation of facts to stamps and pods, which is waited for before anything is printed about it.
//!
//! Each function takes the name of the policy and returns the first snapshot in which verdicts, stamps, selectors and
//! placements agree. A pod may be pending only when no node has what it selects, and kube-scheduler has said so.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail, ensure};
use kube::Client;

use super::snapshot::{ClusterSnapshot, ObservedPod, ObservedWorkload};
use crate::{ProgressDisplay, ProgressStep, eventually};
use rempart_core::keys;

/// Timeout of controllers and scheduler, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(2);

/// UIDs of pods that were placed before a fact changed, and may stay where they are.
pub(super) type RetainedPods = BTreeSet<String>;

/// Reads the cluster, again while the API server is away.
pub(super) async fn read(client: &Client, policy: &str) -> Result<ClusterSnapshot> {
    read_until(client, policy, &ProgressDisplay::Silent.step(""), "the cluster to be read", |_| Ok(())).await
}

/// Waits until verdicts and stamps agree, and returns what was seen then.
pub(super) async fn stamps_propagated(client: &Client, policy: &str, step: &ProgressStep) -> Result<ClusterSnapshot> {
    read_until(client, policy, step, "the stamps of all nodes to say what the verdicts say", ensure_stamps_agree).await
}

/// Waits until every workload has its pods, and each of them a node or a reason why not.
pub(super) async fn pods_placed(
    client: &Client,
    policy: &str,
    step: &ProgressStep,
    earlier: &RetainedPods,
) -> Result<ClusterSnapshot> {
    let placed = |seen: &ClusterSnapshot| {
        ensure_stamps_agree(seen)?;
        seen.workloads.iter().try_for_each(|workload| ensure_placed(seen, workload, earlier))
    };
    read_until(client, policy, step, "every workload to be placed, or to say why not", placed).await
}

/// Reads the cluster until `holds` does.
pub(super) async fn read_until(
    client: &Client,
    policy: &str,
    step: &ProgressStep,
    what: &str,
    holds: impl Fn(&ClusterSnapshot) -> Result<()>,
) -> Result<ClusterSnapshot> {
    let seen = eventually(what, PATIENCE, async || {
        let seen = ClusterSnapshot::read(client, policy).await.map_err(|error| format!("{error:#}"))?;
        match holds(&seen) {
            Ok(()) => Ok(seen),
            Err(reason) => {
                step.note(&reason.to_string());
                Err(reason.to_string())
            }
        }
    });
    Ok(seen.await?)
}

/// Every node of a pool carries the stamps that the pool's verdicts grant, and no other; a node of no pool carries none.
fn ensure_stamps_agree(seen: &ClusterSnapshot) -> Result<()> {
    let ready = |kind: &str| {
        let conditions = seen.policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        rempart::api::find_condition(conditions, kind).is_some_and(|condition| condition.status == "True")
    };
    for kind in ["Ready", "Enforced"] {
        ensure!(ready(kind), "PlacementPolicy {} is not yet {kind}", seen.policy_name());
    }
    ensure!(!seen.pools.is_empty(), "there is no PlacementPool");
    for pool in seen.pools.keys() {
        ensure!(seen.nodes_of(pool).next().is_some(), "no node carries the stamp of pool {pool}");
        for subject in seen.subjects() {
            let Some(verdict) = seen.verdict(pool, &subject) else {
                bail!("the status of pool {pool} says nothing of {subject}");
            };
            let Some(key) = seen.key(&subject) else { continue };
            for (node, labels) in seen.nodes_of(pool) {
                let stamped = labels.get(&key).is_some_and(|value| value == keys::GRANTED);
                ensure!(
                    stamped == verdict.cleared,
                    "node {node} of pool {pool} {} {key}, and the pool is{} cleared for {subject}",
                    if stamped { "carries" } else { "lacks" },
                    if verdict.cleared { "" } else { " not" },
                );
            }
        }
    }
    let strays = seen.nodes.iter().filter(|(_, labels)| !labels.contains_key(keys::POOL));
    for (node, labels) in strays {
        let stamp = labels.keys().find(|key| keys::is_stamp(key));
        ensure!(
            stamp.is_none(),
            "node {node} is of no pool and carries the stamp {}",
            stamp.map_or("", String::as_str)
        );
    }
    Ok(())
}

fn ensure_placed(seen: &ClusterSnapshot, workload: &ObservedWorkload, earlier: &RetainedPods) -> Result<()> {
    let title = workload.title();
    ensure!(workload.observed, "the controller of {title} has not seen its latest change");
    for pod in &workload.pods {
        ensure_selector(workload, pod)?;
        match &pod.node {
            Some(node) => {
                let stays = earlier.contains(&pod.uid);
                ensure!(
                    stays || seen.carries(node, &workload.need.keys),
                    "pod {} of {title} runs on node {node}, which lacks a stamp that it needs",
                    pod.name
                );
                ensure!(pod.running || pod.finished, "pod {} of {title} does not run yet", pod.name);
            }
            None => ensure_unschedulable(seen, workload, pod)?,
        }
    }
    // A rollout waits for its first pod that finds no node, and a StatefulSet does not make the next.
    let waits = workload.pods.iter().any(|pod| pod.node.is_none());
    let number = workload.pods.len();
    ensure!(number == workload.wanted || waits, "{title} has {number} of {} pods", workload.wanted);
    if workload.kind == "DaemonSet" {
        let cleared = seen.nodes.keys().filter(|node| seen.carries(node, &workload.need.keys)).count();
        ensure!(number == cleared, "{title} has {number} pods and {cleared} nodes are cleared for it");
    }
    Ok(())
}

/// Fails unless the pod selects exactly the stamps that it needs.
fn ensure_selector(workload: &ObservedWorkload, pod: &ObservedPod) -> Result<()> {
    let demands = |key: &str| key.starts_with("clearance.") || key.starts_with("category.");
    let given: BTreeSet<_> = pod.selector.keys().filter(|key| keys::is_stamp(key) && demands(key)).cloned().collect();
    ensure!(
        given == workload.need.keys,
        "pod {} of {} selects {given:?}, and {} needs {:?}",
        pod.name,
        workload.title(),
        workload.need.words(),
        workload.need.keys
    );
    Ok(())
}

/// Fails unless no node has what the pending pod selects, and the scheduler has said so.
fn ensure_unschedulable(seen: &ClusterSnapshot, workload: &ObservedWorkload, pod: &ObservedPod) -> Result<()> {
    let name = format!("pod {} of {}", pod.name, workload.title());
    ensure!(!seen.somewhere_fits(&pod.selector), "{name} waits though a node has all that it selects");
    ensure!(pod.unschedulable.is_some(), "the scheduler has not looked at {name} yet");
    Ok(())
}
