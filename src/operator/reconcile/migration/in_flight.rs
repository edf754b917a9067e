//! Moves in flight: a move that has begun, what it waits for, and how far it is.
//!
//! [`InFlightMove::progress`] takes what the report says of the workload and the monotonic clock, and returns whether the
//! move goes on, is done or has failed. What goes on is never late, and what does not is over after a while.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;

use crate::operator::write::{EventRequest, WriteRequest, WriteTarget, workload_reference};
use rempart_core::{
    cluster_objects::Pod,
    compliance::{OwnedPods, PodOwner},
    instant::Timestamp,
    migration::{
        AwaitedChange, AwaitedPods, JOB_COUNTS_WITHIN, MigrationCause, MigrationFailure, MigrationProgress,
        MigrationStep, NOTE_SEEN_WITHIN, PlannedMigration, ProgressMark, STEP_DEADLINE, is_still_due, progress,
        step_deadline,
    },
    workload::WorkloadKind,
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
    /// What showed when it was last looked at that it goes on, and since when.
    pub(super) mark: ProgressMark,
    pub(super) marked_at: Instant,
    /// How long that may stay the same, by the pods that it had when it was last looked at.
    pub(super) step_deadline: Duration,
    /// What went with it, where something goes before its successor stands.
    pub(super) going: Option<GoingPods>,
}

/// Pods that go with a move before their successors stand.
#[derive(Debug)]
pub(super) struct GoingPods {
    /// How many pods the workload had that stayed.
    pub(super) before: u32,
    /// How many go at a time.
    pub(super) number: u32,
    /// The name of one, with its namespace.
    pub(super) key: String,
    /// That one.
    pub(super) pod: Pod,
}

impl GoingPods {
    /// Those that are to go by `due`, one move of `owned`: evicted, or taken by an ordered controller one by one.
    pub(super) fn of(due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> Option<Self> {
        let evicted = due.steps.iter().filter(|step| matches!(step, MigrationStep::Evict { .. })).count();
        let is_ordered = owned.kind() == Some(WorkloadKind::StatefulSet) && !due.cause.concerns_template_alone();
        let number = if evicted == 0 { u32::from(is_ordered) } else { u32::try_from(evicted).unwrap_or(u32::MAX) };
        let one = owned.misplaced.iter().find(|pod| pod.is_to_move()).filter(|_| number > 0)?;
        Some(Self { before: owned.pods.staying(), number, key: one.key.to_owned(), pod: one.pod.clone() })
    }

    /// Those whose successors are not there, where the workload stands like `owned`.
    pub(super) fn awaited(&self, owned: &OwnedPods<'_>) -> Option<AwaitedPods> {
        let number = self.before.saturating_sub(owned.pods.staying()).min(self.number);
        (number > 0).then(|| AwaitedPods { number, key: self.key.clone(), pod: self.pod.clone() })
    }
}

impl InFlightMove {
    /// When it may be over though nothing is observed.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let waits = [NOTE_SEEN_WITHIN, JOB_COUNTS_WITHIN, STEP_DEADLINE];
        let since = self.since;
        waits.into_iter().map(move |wait| since + wait).chain([self.marked_at + self.step_deadline])
    }

    /// Takes in how its workload is found at `now`.
    pub(super) fn look(&mut self, owned: &OwnedPods<'_>, now: Instant) {
        let mark = ProgressMark::of(owned);
        if mark != self.mark {
            (self.mark, self.marked_at) = (mark, now);
        }
        self.step_deadline = step_deadline(owned);
        if let (AwaitedChange::Rollout { note, seen }, PodOwner::Known(_, controller)) = (&mut self.until, owned.owner)
        {
            *seen |= controller.migration.as_deref() == Some(note.as_str());
        }
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
            return if waited >= STEP_DEADLINE {
                MigrationProgress::Failed(MigrationFailure::Unanswered)
            } else {
                MigrationProgress::UnderWay
            };
        }
        if !self.steps.is_empty() {
            return MigrationProgress::Done;
        }
        progress(&self.until, self.why, owned, (waited, now.saturating_duration_since(self.marked_at)))
    }
}

/// What `unit` is called, for events.
pub(super) fn reference(unit: &OwnedPods<'_>) -> ObjectReference {
    workload_reference(unit.kind(), unit.kind_said(), unit.namespace, unit.name(), unit.uid)
}
