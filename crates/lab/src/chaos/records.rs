//! Records of workloads, held against the cluster by the second opinion.
//!
//! It takes raw records, workloads and pods and the facts, recomputes how many pods of each workload stand where they may
//! not, and fails when a record says something else.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    raw_object::{condition, text},
    snapshot::ObjectSnapshot,
};
use rempart_audit::{ClusterFacts, NodeClearance};

/// What a record counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct PodCounts {
    total: u64,
    placed: u64,
    pending: u64,
    violating: u64,
}

impl PodCounts {
    fn told(record: &Value) -> Self {
        let of =
            |field: &str| record.pointer(&format!("/status/pods/{field}")).and_then(Value::as_u64).unwrap_or_default();
        Self { total: of("total"), placed: of("placed"), pending: of("pending"), violating: of("violating") }
    }

    fn counted(snapshot: &ObjectSnapshot, facts: &ClusterFacts<'_>, namespace: &str, app: &str) -> Self {
        let mut counts = Self::default();
        let is_left = |pod: &&Value| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        for pod in snapshot.pods_of(namespace, app).filter(is_left) {
            counts.total += 1;
            let node = text(pod, "/spec/nodeName");
            if node.is_empty() {
                counts.pending += 1;
                continue;
            }
            counts.placed += 1;
            // Who is admitted by an exception stands right where its key is, and nowhere else, though its level be lower.
            let is_offered = NodeClearance::of(facts, node).is_offered(&snapshot.need(facts, pod));
            counts.violating += u64::from(!is_offered);
        }
        counts
    }
}

/// When a record was last written, as its managed fields say.
fn written_at(record: &Value) -> &str {
    let fields = record.pointer("/metadata/managedFields").and_then(Value::as_array);
    fields.into_iter().flatten().map(|entry| text(entry, "/time")).max().unwrap_or_default()
}

/// Fails unless every record says of its workload's pods what is the case. Counts them.
pub(super) fn agree(snapshot: &ObjectSnapshot, facts: &ClusterFacts<'_>) -> Result<usize> {
    for record in &snapshot.records {
        let (namespace, app) = (text(record, "/metadata/namespace"), text(record, "/status/workload/name"));
        let what = format!("the record of {} {namespace}/{app}", text(record, "/status/workload/kind"));
        let (told, counted) = (PodCounts::told(record), PodCounts::counted(snapshot, facts, namespace, app));
        ensure!(
            told == counted,
            "{what} says {told:?}, and there are {counted:?}; it says \"{}\", as of {}, of {}",
            text(record, "/status/summary/message"),
            written_at(record),
            snapshot.whereabouts(namespace, app)
        );
        let compliant = condition(record, "Compliant").map(|found| text(found, "/status")).unwrap_or_default();
        let expected = if counted.violating == 0 { "True" } else { "False" };
        ensure!(compliant == expected, "{what} says Compliant {compliant:?} of {counted:?}");
    }
    Ok(snapshot.records.len())
}
