//! Moves in flight: a move that has begun, what it waits for, and how far it is.
//!
//! [`InFlightMove::progress`] takes what the report says of the workload and the monotonic clock, and returns whether the
//! move goes on, is done or has failed. A rollout that goes on is never late: Kubernetes says when one is stuck.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;

use crate::operator::write::{EventRequest, WriteRequest, WriteTarget, workload_reference};
use rempart_core::{
    compliance::OwnedPods,
    instant::Timestamp,
    migration::{
        AwaitedChange, JOB_COUNTS_WITHIN, MigrationCause, MigrationProgress, NOTE_SEEN_WITHIN, STEP_DEADLINE,
        is_still_due, progress,
    },
};

/// A move that has begun.
#[derive(Debug)]
pub(super) struct InFlightMove {
    pub(super) since: Instant,
    pub(super) why: MigrationCause,
    pub(super) pods_moving: u32,
    /// What it is called, for events.
    pub(super) about: ObjectReference,
    /// What is still to be written.
    pub(super) steps: BTreeMap<WriteTarget, WriteRequest>,
    /// What is waited for.
    pub(super) until: AwaitedChange,
    /// Whether somebody else began it: nobody knows by which facts.
    pub(super) inherited: bool,
    /// How long a rollout of it may go on, by the pods that it had when it was last looked at.
    pub(super) rollout_deadline: Duration,
}

impl InFlightMove {
    /// When it may be over though nothing is observed.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let waits = [NOTE_SEEN_WITHIN, JOB_COUNTS_WITHIN, STEP_DEADLINE, self.rollout_deadline];
        let since = self.since;
        waits.into_iter().map(move |wait| since + wait)
    }

    /// What there is to tell of it at `at`.
    pub(super) fn event(&self, reason: &'static str, note: String, warning: bool, at: Timestamp) -> EventRequest {
        EventRequest { about: self.about.clone(), reason, note, action: "Migrate", warning, at }
    }

    /// Drops steps that are not to be taken any more and that are not on their way by `is_sent`, and returns whether
    /// anything of the move is left.
    pub(super) fn drop_unsent(
        &mut self,
        owned: &OwnedPods<'_>,
        stopped: &BTreeMap<(String, String), String>,
        is_sent: impl Fn(&WriteTarget) -> bool,
    ) -> bool {
        let (why, until) = (self.why, &mut self.until);
        let (mut dropped, mut is_left) = (false, true);
        self.steps.retain(|target, request| {
            let pod = match request {
                WriteRequest::EvictPod { uid, .. } => Some(*uid),
                _ => None,
            };
            let is_kept = is_sent(target) || is_still_due(owned, why, pod, stopped);
            if !is_kept {
                dropped = true;
                match (pod, &mut *until) {
                    (Some(pod), AwaitedChange::Replacement { pods, .. }) => {
                        pods.remove(&pod);
                        is_left = !pods.is_empty();
                    }
                    // A template is changed as a whole.
                    (Some(_) | None, _) => is_left = false,
                }
            }
            is_kept
        });
        !dropped || is_left
    }

    /// How far it is, where its workload was found as `owned`.
    pub(super) fn progress(&self, owned: Option<&OwnedPods<'_>>, now: Instant) -> MigrationProgress {
        let waited = now.saturating_duration_since(self.since);
        let goes_on = |owned: &OwnedPods<'_>| match self.why {
            MigrationCause::Violating | MigrationCause::Expiring => {
                owned.misplaced.iter().any(rempart_core::compliance::MisplacedPod::is_to_move)
            }
            MigrationCause::Stale | MigrationCause::TemplateBehind | MigrationCause::KeyRetired => true,
        };
        // What waits to be written is dropped when nothing stands wrong any more.
        if !self.steps.is_empty() && owned.is_some_and(goes_on) {
            // Not even begun: the API server has not answered.
            return if waited >= STEP_DEADLINE { MigrationProgress::Failed } else { MigrationProgress::UnderWay };
        }
        if !self.steps.is_empty() {
            return MigrationProgress::Done;
        }
        progress(&self.until, self.why, owned, waited)
    }
}

/// What `unit` is called, for events.
pub(super) fn reference(unit: &OwnedPods<'_>) -> ObjectReference {
    workload_reference(unit.kind(), unit.kind_said(), unit.namespace, unit.name(), unit.uid)
}
