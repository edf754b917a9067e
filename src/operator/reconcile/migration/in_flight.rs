//! Moves in flight: a move that has begun, what it waits for, and how far it is.
//!
//! [`InFlightMove::progress`] takes what the survey says of the workload and the monotonic clock, and returns whether the
//! move goes on, is done or has failed. A rollout that goes on is never late: Kubernetes says when one is stuck.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;

use crate::operator::write::{EventRequest, WriteRequest, WriteTarget, workload_reference};
use rempart_core::{
    fleet::{Controller, Form, Uid},
    instant::Instant as Timestamp,
    migration::Why,
    standing::{Mover, Unit},
    workload::Kind,
};

/// How long a step may take before it counts as failed: as long as Kubernetes gives a rollout.
pub(super) const DEADLINE: Duration = Duration::from_mins(10);
/// How long a Job may take to count a pod that was evicted.
pub(super) const COUNTED: Duration = Duration::from_secs(5);

/// A move that has begun.
#[derive(Debug)]
pub(super) struct InFlightMove {
    pub(super) since: Instant,
    pub(super) why: Why,
    pub(super) weight: u32,
    /// What it is called, for events.
    pub(super) about: ObjectReference,
    /// What is still to be written.
    pub(super) steps: BTreeMap<WriteTarget, WriteRequest>,
    /// What is waited for.
    pub(super) until: MoveGoal,
    /// Whether somebody else began it: nobody knows by which facts.
    pub(super) inherited: bool,
}

/// What ends a step of a move.
#[derive(Clone, Debug)]
pub(super) enum MoveGoal {
    /// The controller has made all its pods by the template with this note.
    Rolled(String),
    /// These pods are gone, and as many are ready as were.
    Replaced { pods: BTreeSet<Uid>, ready: u32 },
}

/// How far a move is.
pub(super) enum MoveProgress {
    UnderWay,
    Done,
    Failed,
}

impl InFlightMove {
    /// What there is to tell of it at `at`.
    pub(super) fn event(&self, reason: &'static str, note: String, warning: bool, at: Timestamp) -> EventRequest {
        EventRequest { about: self.about.clone(), reason, note, action: "Migrate", warning, at }
    }

    /// How far it is, where the survey found its workload as `unit`.
    pub(super) fn progress(&self, unit: Option<&Unit<'_>>, now: Instant) -> MoveProgress {
        // It is gone, or no policy governs it any more.
        let Some(unit) = unit else { return MoveProgress::Done };
        let late = now >= self.since + DEADLINE;
        if !self.steps.is_empty() {
            return if late { MoveProgress::Failed } else { MoveProgress::UnderWay };
        }
        let (done, stuck) = match (&self.until, &unit.mover) {
            (MoveGoal::Rolled(note), Mover::Controller(_, controller)) => rolled(controller, note, self.why, unit),
            (MoveGoal::Rolled(_), _) => (true, false),
            (MoveGoal::Replaced { pods, ready }, _) => {
                let gone = !unit.misplaced.iter().map(|pod| pod.pod.uid).any(|pod| pods.contains(&pod))
                    && !unit.stale.iter().map(|pod| pod.pod.uid).any(|pod| pods.contains(&pod));
                // A Job is slow to count the pod as failed, and how many more it bears is decided by that.
                let counted = unit.kind() != Some(Kind::Job) || now >= self.since + COUNTED;
                (gone && counted && (self.why == Why::Stale || unit.pods.ready >= awaited(unit, *ready)), false)
            }
        };
        // However large it is: a rollout that goes on is not late, and Kubernetes says when one does not. One of which
        // somebody has taken the note away is none any more.
        let rolls = match (&self.until, &unit.mover) {
            (MoveGoal::Rolled(note), Mover::Controller(_, controller)) => {
                unit.kind() == Some(Kind::Deployment) && controller.migration.as_deref() == Some(note)
            }
            _ => false,
        };
        match (done, stuck || (late && !rolls)) {
            (true, _) => MoveProgress::Done,
            (false, true) => MoveProgress::Failed,
            (false, false) => MoveProgress::UnderWay,
        }
    }
}

/// What `unit` is called, for events.
pub(super) fn reference(unit: &Unit<'_>) -> ObjectReference {
    workload_reference(unit.kind(), unit.kind_said(), unit.namespace, unit.name(), unit.uid)
}

/// How many pods of `unit` are to be ready after an eviction where `before` were: no more than it should still have.
fn awaited(unit: &Unit<'_>, before: u32) -> u32 {
    match &unit.mover {
        // Pods that have come to their end are not ready any more.
        Mover::Controller(_, Controller { form: Form::Job { .. }, .. }) => 0,
        Mover::Controller(_, controller) => before.min(controller.replicas),
        Mover::Foreign(_) | Mover::Nobody(..) => before,
    }
}

/// Whether `controller` has made all its pods by the template with `note`, and whether it has given up.
fn rolled(controller: &Controller, note: &str, why: Why, unit: &Unit<'_>) -> (bool, bool) {
    if controller.migration.as_deref() != Some(note) || !controller.observed {
        return (false, false);
    }
    match controller.form {
        _ if why == Why::Stale => (true, false),
        Form::Deployment { total, updated, available, stuck, .. } => {
            let wanted = controller.replicas;
            (updated >= wanted && total <= updated && available >= wanted, stuck)
        }
        _ => (unit.misplaced.is_empty(), false),
    }
}
