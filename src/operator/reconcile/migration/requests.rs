//! Move requests: the steps of moves as writes, and whose step each write is.

use std::collections::BTreeMap;

use crate::operator::write::{TemplateKind, WriteFailure, WriteRequest, WriteTarget};
use rempart_core::{
    cluster_objects::ObjectUid,
    migration::{MigrationMemory, RequestedStep, StepAnswer, StepTarget},
};

/// Whose steps the writes are that were last asked for.
#[derive(Debug, Default)]
pub(super) struct RequestedWrites(BTreeMap<WriteTarget, (ObjectUid, StepTarget)>);

impl RequestedWrites {
    /// The writes that `memory` asks for now, which are remembered.
    pub(super) fn of(&mut self, memory: &MigrationMemory) -> Vec<WriteRequest> {
        self.0.clear();
        let mut requests = Vec::new();
        for (owner, step) in memory.requested() {
            if let Some(request) = request(owner, step) {
                self.0.insert(request.target(), (owner, step.target()));
                requests.push(request);
            }
        }
        requests
    }

    /// The workload of whose move a write about `target` is a step, and which one.
    pub(super) fn step(&self, target: &WriteTarget) -> Option<(ObjectUid, StepTarget)> {
        self.0.get(target).copied()
    }
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
    }
}

/// What a write that ended so tells of its step; nothing where it is still to be made.
pub(super) fn answer(failure: Option<&WriteFailure>) -> Option<StepAnswer> {
    match failure {
        // The watch tells the rest.
        None | Some(WriteFailure::Gone) => Some(StepAnswer::Taken),
        Some(WriteFailure::Conflict) => Some(StepAnswer::Outdated),
        Some(WriteFailure::Refused(said)) => Some(StepAnswer::Refused(said.clone())),
        Some(WriteFailure::Timeout) => Some(StepAnswer::Unanswered),
        Some(_) => None,
    }
}
