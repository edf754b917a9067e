//! Move requests: the steps of moves as writes, whose step each write is, and what waits for a record.

use std::collections::BTreeMap;

use crate::operator::{
    reconcile::view::ClusterView,
    write::{TemplateKind, WriteFailure, WriteRequest, WriteTarget},
};
use rempart_core::{
    cluster_objects::ObjectUid,
    instant::Timestamp,
    migration::{LevelViolation, MigrationMemory, RequestedStep, StepAnswer, StepTarget},
};

/// Whose steps the writes are that were last asked for.
#[derive(Debug, Default)]
pub(super) struct RequestedWrites(BTreeMap<WriteTarget, (ObjectUid, StepTarget)>);

impl RequestedWrites {
    /// The writes that `memory` asks for now, which are remembered, and how many wait for a record.
    pub(super) fn of(&mut self, memory: &MigrationMemory, view: &ClusterView<'_>) -> (Vec<WriteRequest>, usize) {
        self.0.clear();
        let mut steps = memory.requested().peekable();
        if steps.peek().is_none() {
            return (Vec::new(), 0);
        }
        let unrecorded = memory.unrecorded(&view.objects(), recorded(view));
        let (mut requests, mut waiting) = (Vec::new(), 0_usize);
        for (owner, step) in steps {
            let Some(request) = request(owner, step) else { continue };
            let target = request.target();
            // What is on its way is answered, whatever has become of the record.
            if unrecorded.contains(&owner) && !view.writes.is_in_flight(&target) {
                waiting = waiting.saturating_add(1);
            } else {
                self.0.insert(target, (owner, step.target()));
                requests.push(request);
            }
        }
        (requests, waiting)
    }

    /// The workload of whose move a write about `target` is a step, and which one.
    pub(super) fn step(&self, target: &WriteTarget) -> Option<(ObjectUid, StepTarget)> {
        self.0.get(target).copied()
    }
}

/// What the records of pods say of evictions that are not made good yet, by the identifiers of the pods.
pub(super) fn recorded<'v>(view: &ClusterView<'v>) -> impl Iterator<Item = (ObjectUid, u32)> + use<'v> {
    view.cache.records.iter().filter_map(|(_, record)| Some((record.owner, record.awaited_ready?)))
}

/// Since when pods violate levels that have a deadline, as records say, by the identifiers of the pods: never before the
/// record was made, which the API server says.
pub(super) fn recorded_violations<'v>(
    view: &ClusterView<'v>,
) -> impl Iterator<Item = (ObjectUid, LevelViolation)> + use<'v> {
    view.cache.records.iter().flat_map(|(_, record)| {
        let created = Timestamp::from_seconds(record.created);
        record.violations.iter().map(move |(pod, violation)| {
            (*pod, LevelViolation { since: violation.since.max(created), ..violation.clone() })
        })
    })
}

/// `step`, of the workload `owner`, as a write.
pub(super) fn request(owner: ObjectUid, step: &RequestedStep) -> Option<WriteRequest> {
    match step {
        RequestedStep::AnnotateTemplate { kind, name, note, surplus } => Some(WriteRequest::RestartRollout {
            kind: TemplateKind::of(*kind)?,
            name: name.clone(),
            note: note.clone(),
            surplus: surplus.iter().cloned().collect(),
            uid: owner,
        }),
        RequestedStep::Evict { name, pod, version } => {
            Some(WriteRequest::EvictPod { name: name.clone(), uid: *pod, version: *version })
        }
        RequestedStep::Delete { name, pod, version } => {
            Some(WriteRequest::DeletePod { name: name.clone(), uid: *pod, version: *version })
        }
    }
}

/// What a write that ended so tells of its step; nothing where it is still to be made.
pub(super) fn answer(failure: Option<&WriteFailure>) -> Option<StepAnswer> {
    match failure {
        // The watch tells the rest.
        None | Some(WriteFailure::Gone) => Some(StepAnswer::Taken),
        Some(WriteFailure::Conflict) => Some(StepAnswer::Outdated),
        Some(WriteFailure::Refused(said)) => Some(StepAnswer::Refused(said.clone())),
        Some(WriteFailure::OverBudget(said)) => Some(StepAnswer::OverBudget(said.clone())),
        Some(WriteFailure::Timeout) => Some(StepAnswer::Unanswered),
        Some(_) => None,
    }
}
