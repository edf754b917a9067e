//! Coverage of a `DaemonSet`: the nodes that may have one of its pods, and have none.
//!
//! It takes the facts at one instant, the raw `DaemonSet` and raw pods; what its pods need is recomputed from what it
//! and its template say, and where they may stand from the facts. Neither stamps nor its status are read: it has fewer
//! pods than it may have exactly when this is not empty.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    clearance::{NodeClearance, is_stamp},
    facts::ClusterFacts,
    log::text,
    needs::PlacementNeed,
    selectors,
};

/// Taints that the pods of every `DaemonSet` tolerate, since its controller says so of them.
const TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

/// The nodes that may have a pod of this `DaemonSet`, and on which none stands that stays.
pub fn uncovered_nodes<'a>(facts: &ClusterFacts<'a>, daemon_set: &Value, pods: &[Value]) -> Vec<&'a str> {
    let uid = text(daemon_set, "/metadata/uid");
    let owned = |pod: &&Value| {
        let mut owners = list(pod, "/metadata/ownerReferences");
        let lasts = text(pod, "/metadata/deletionTimestamp").is_empty();
        lasts
            && !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
            && owners.any(|owner| text(owner, "/uid") == uid)
    };
    let covered: BTreeSet<&str> = pods.iter().filter(owned).map(|pod| text(pod, "/spec/nodeName")).collect();
    let need = PlacementNeed::of_template(facts, daemon_set);
    let template = daemon_set.pointer("/spec/template").unwrap_or(&Value::Null);
    let nodes = facts.nodes.iter().filter(|(name, node)| {
        !covered.contains(*name)
            && text(node, "/metadata/deletionTimestamp").is_empty()
            && asks_for(template, node)
            && tolerates(template, node)
            && NodeClearance::of(facts, name).is_offered(&need)
    });
    nodes.map(|(name, _)| *name).collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Whether a template selects a node by labels that are not stamps.
fn asks_for(template: &Value, node: &Value) -> bool {
    let mut selector = template.pointer("/spec/nodeSelector").cloned().unwrap_or_default();
    if let Some(selector) = selector.as_object_mut() {
        selector.retain(|key, _| !is_stamp(key));
    }
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let meets = |term: &Value| selectors::says_anything(term) && selectors::matches(term, node, |_| false);
    selectors::matches(&json!({ "matchLabels": selector }), node, |_| false)
        && (template.pointer(required).is_none() || list(template, required).any(meets))
}

/// Whether pods of a template may come to a node in spite of its taints.
fn tolerates(template: &Value, node: &Value) -> bool {
    let mut keeping = list(node, "/spec/taints").filter(|taint| text(taint, "/effect") != "PreferNoSchedule");
    keeping.all(|taint| {
        let key = text(taint, "/key");
        TOLERATED.contains(&key)
            || list(template, "/spec/tolerations").any(|toleration| {
                let same = |field: &str| text(toleration, field) == text(taint, field);
                let whatever = text(toleration, "/operator") == "Exists";
                (same("/key") || (whatever && text(toleration, "/key").is_empty()))
                    && (whatever || same("/value"))
                    && (text(toleration, "/effect").is_empty() || same("/effect"))
            })
    })
}
