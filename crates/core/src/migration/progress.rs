//! Migration progress: how far a migration is that has begun.
//!
//! Takes what it waits for, how long it has waited and how its workload stands now, and gives whether it goes on, is done
//! or has failed. It is done when nothing of the workload stands wrong any more, whatever became of the note in its
//! template; and it never waits without end: what goes on by itself has a deadline for each of its pods, or a controller
//! that says when it is stuck.

use alloc::{collections::BTreeSet, string::String};
use core::time::Duration;

use super::MigrationCause;
use crate::{
    cluster_objects::{Controller, ControllerSpec, ObjectUid},
    compliance::{MisplacedPod, OwnedPods, PodOwner},
};

/// How long a step may take before it counts as failed: as long as Kubernetes gives a rollout.
pub const STEP_DEADLINE: Duration = Duration::from_mins(10);
/// How long the watch may take to tell of a note that was written.
pub const NOTE_SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How long a Job may take to count a pod that was evicted.
pub const JOB_COUNTS_WITHIN: Duration = Duration::from_secs(5);

/// What a migration waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AwaitedChange {
    /// That the controller has made all its pods by the template with this note.
    Rollout {
        /// What was noted in the template.
        note: String,
        /// Whether it was seen there.
        seen: bool,
    },
    /// That these pods are gone, and as many are ready as were.
    Replacement {
        /// The pods, by their identifiers.
        pods: BTreeSet<ObjectUid>,
        /// How many of the workload's pods were ready.
        ready: u32,
    },
}

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationProgress {
    /// It goes on.
    UnderWay,
    /// What it was begun for has come about.
    Done,
    /// It has not, and will not by itself.
    Failed(MigrationFailure),
    /// Somebody has paused it: it is over, and whatever keeps its pods is told of them.
    Paused,
}

/// Why a migration has not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MigrationFailure {
    /// Its controller does not go on, or its replacements do not become ready.
    Stuck,
    /// Its template says less again, or selects by what was taken away.
    TemplateReverted,
    /// The note of the move was taken away.
    NoteTaken,
    /// What went is not made anew; so many were ready before.
    NotReplaced(u32),
    /// What was asked of the API server was not answered, or not done.
    Unanswered,
}

/// What shows that a migration goes on: as long as it changes, nothing is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProgressMark {
    pods: u32,
    ready: u32,
    updated: u32,
    to_move: usize,
}

impl ProgressMark {
    /// That of `owned`.
    #[must_use]
    pub fn of(owned: &OwnedPods<'_>) -> Self {
        let updated = match owned.owner {
            PodOwner::Known(
                _,
                Controller {
                    spec: ControllerSpec::Deployment { updated, .. } | ControllerSpec::DaemonSet { updated, .. },
                    ..
                },
            ) => *updated,
            PodOwner::Known(..) | PodOwner::Unknown(_) | PodOwner::None(..) => 0,
        };
        let to_move = owned.misplaced.iter().filter(|pod| pod.is_to_move()).count();
        Self { pods: owned.pods.total, ready: owned.pods.ready, updated, to_move }
    }
}

/// How the rollout of a template stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RolloutState {
    /// Its controller has not seen the latest template yet.
    Unobserved,
    /// Somebody has taken the note away.
    NoteGone,
    /// It goes on.
    Rolling,
    /// Its controller says that it does not go on.
    Stuck,
    /// Somebody has paused it.
    Paused,
    /// It is complete.
    Complete,
}

/// How far a migration for `cause` is, which has waited for `awaited` for so long, the last of it, `idle`, without a new
/// [`ProgressMark`], and whose workload stands like `owned` now; nothing where it is gone, or no policy governs it any more.
#[must_use]
pub fn progress(
    awaited: &AwaitedChange,
    cause: MigrationCause,
    owned: Option<&OwnedPods<'_>>,
    (waited, idle): (Duration, Duration),
) -> MigrationProgress {
    use MigrationFailure::{NotReplaced, NoteTaken, Stuck, TemplateReverted, Unanswered};
    let Some(owned) = owned else { return MigrationProgress::Done };
    match (awaited, cause) {
        (AwaitedChange::Rollout { note, .. }, MigrationCause::TemplateBehind) => {
            match (owned.template_behind, rollout(owned, note)) {
                (false, _) => MigrationProgress::Done,
                (true, RolloutState::Unobserved) => unless_late(waited, STEP_DEADLINE, Unanswered),
                // The watch may not have told of the note yet.
                (true, RolloutState::NoteGone) => unless_late(waited, NOTE_SEEN_WITHIN, TemplateReverted),
                // It was completed, and says less again or still.
                (true, RolloutState::Rolling | RolloutState::Paused | RolloutState::Stuck | RolloutState::Complete) => {
                    MigrationProgress::Failed(TemplateReverted)
                }
            }
        }
        (AwaitedChange::Rollout { note, .. }, MigrationCause::Stale) => match rollout(owned, note) {
            RolloutState::Rolling | RolloutState::Stuck | RolloutState::Paused | RolloutState::Complete => {
                MigrationProgress::Done
            }
            RolloutState::Unobserved => unless_late(waited, STEP_DEADLINE, Unanswered),
            RolloutState::NoteGone => unless_late(waited, STEP_DEADLINE, TemplateReverted),
        },
        (AwaitedChange::Rollout { note, .. }, MigrationCause::KeyRetired) => match rollout(owned, note) {
            // It was taken, and is there again or still.
            RolloutState::Rolling | RolloutState::Complete | RolloutState::Paused | RolloutState::Stuck
                if !owned.surplus.is_empty() =>
            {
                MigrationProgress::Failed(TemplateReverted)
            }
            // Its controller goes on by itself: the next has its turn.
            RolloutState::Rolling | RolloutState::Complete if waited >= STEP_DEADLINE || is_updated(owned) => {
                MigrationProgress::Done
            }
            RolloutState::Rolling | RolloutState::Complete => MigrationProgress::UnderWay,
            RolloutState::Paused | RolloutState::Stuck => MigrationProgress::Done,
            RolloutState::Unobserved => unless_late(waited, STEP_DEADLINE, Unanswered),
            RolloutState::NoteGone => unless_late(waited, STEP_DEADLINE, TemplateReverted),
        },
        (
            AwaitedChange::Rollout { note, seen },
            MigrationCause::Overdue | MigrationCause::Violating | MigrationCause::Expiring,
        ) => {
            match (rollout(owned, note), owned.misplaced.iter().any(MisplacedPod::is_to_move)) {
                (RolloutState::Complete, _) | (RolloutState::NoteGone | RolloutState::Rolling, false) => {
                    MigrationProgress::Done
                }
                (RolloutState::Paused, _) => MigrationProgress::Paused,
                (RolloutState::Stuck, _) => MigrationProgress::Failed(Stuck),
                (RolloutState::NoteGone, true) if *seen => MigrationProgress::Failed(NoteTaken),
                (RolloutState::NoteGone, true) => unless_late(waited, NOTE_SEEN_WITHIN, NoteTaken),
                (RolloutState::Unobserved, _) => unless_late(waited, STEP_DEADLINE, Unanswered),
                // Kubernetes says earlier when one is stuck, unless its author has told it never to.
                (RolloutState::Rolling, true) => unless_late(idle, step_deadline(owned), Stuck),
            }
        }
        (AwaitedChange::Replacement { pods, ready }, cause) => {
            let stays = |pod: &crate::cluster_objects::Pod| !pod.terminating && pods.contains(&pod.uid);
            let gone = !owned.misplaced.iter().any(|found| stays(found.pod))
                && !owned.stale.iter().any(|found| stays(found.pod));
            let replaced = match cause {
                // None of them had a node.
                MigrationCause::Stale => true,
                MigrationCause::Overdue
                | MigrationCause::Violating
                | MigrationCause::Expiring
                | MigrationCause::TemplateBehind
                | MigrationCause::KeyRetired => owned.pods.ready >= awaited_ready(owned, *ready),
            };
            let why = match owned.owner {
                _ if !gone => Unanswered,
                PodOwner::Unknown(_) => NotReplaced(*ready),
                PodOwner::Known(..) | PodOwner::None(..) => Stuck,
            };
            if gone && replaced && is_counted(owned, waited) {
                MigrationProgress::Done
            } else {
                unless_late(idle, step_deadline(owned), why)
            }
        }
    }
}

fn unless_late(waited: Duration, deadline: Duration, why: MigrationFailure) -> MigrationProgress {
    if waited >= deadline { MigrationProgress::Failed(why) } else { MigrationProgress::UnderWay }
}

/// How long nothing of a migration may change: [`STEP_DEADLINE`], beside what its pods may take to end.
#[must_use]
pub fn step_deadline(owned: &OwnedPods<'_>) -> Duration {
    let grace = owned.misplaced.iter().map(|found| found.pod.lifecycle().grace_seconds).max().unwrap_or_default();
    STEP_DEADLINE.saturating_add(Duration::from_secs(grace.into()))
}

/// How the rollout of the template with `note` stands.
fn rollout(owned: &OwnedPods<'_>, note: &str) -> RolloutState {
    let PodOwner::Known(_, controller) = owned.owner else { return RolloutState::Complete };
    let Controller { migration, observed, replicas, spec, .. } = controller;
    if migration.as_deref() != Some(note) {
        return RolloutState::NoteGone;
    }
    if !*observed {
        return RolloutState::Unobserved;
    }
    let none_misplaced =
        |from: u64| !owned.misplaced.iter().any(|pod| pod.is_to_move() && super::method::ordinal(pod.key) >= from);
    let complete = match spec {
        ControllerSpec::Deployment { paused: true, .. } => return RolloutState::Paused,
        ControllerSpec::Deployment { stuck: true, .. } => return RolloutState::Stuck,
        ControllerSpec::Deployment { paused: false, stuck: false, total, updated, available, .. } => {
            updated >= replicas && total <= updated && available >= replicas
        }
        // Those below a partition are not reached, and at one that is not ready it stops for good (kubernetes#67250).
        ControllerSpec::StatefulSet { first_updated, .. } => {
            let is_left =
                |pod: &&MisplacedPod<'_>| pod.is_to_move() && super::method::ordinal(pod.key) >= *first_updated;
            owned.misplaced.iter().filter(is_left).all(|pod| !pod.pod.is_ready())
        }
        ControllerSpec::DaemonSet { .. } => none_misplaced(0),
        // Their templates are for pods to come.
        ControllerSpec::ReplicaSet | ControllerSpec::Job { .. } | ControllerSpec::CronJob => true,
    };
    if complete { RolloutState::Complete } else { RolloutState::Rolling }
}

/// Whether the controller of `owned` has made all pods by its latest template that it makes by itself.
fn is_updated(owned: &OwnedPods<'_>) -> bool {
    let PodOwner::Known(_, controller) = owned.owner else { return true };
    match &controller.spec {
        ControllerSpec::DaemonSet { on_delete, updated } => *on_delete || *updated >= controller.replicas,
        ControllerSpec::Deployment { updated, .. } => *updated >= controller.replicas,
        // Nothing of these is counted by template, or their templates are for pods to come.
        ControllerSpec::StatefulSet { .. }
        | ControllerSpec::ReplicaSet
        | ControllerSpec::Job { .. }
        | ControllerSpec::CronJob => true,
    }
}

/// How many pods of `owned` are to be ready after an eviction where `before` were: no more than it should still have.
fn awaited_ready(owned: &OwnedPods<'_>, before: u32) -> u32 {
    match &owned.owner {
        PodOwner::Known(_, controller) => match &controller.spec {
            // Pods that have come to their end are not ready any more.
            ControllerSpec::Job { .. } => 0,
            ControllerSpec::Deployment { .. }
            | ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::CronJob => before.min(controller.replicas),
        },
        PodOwner::Unknown(_) | PodOwner::None(..) => before,
    }
}

/// Whether the controller of `owned` has counted what became of its pods: a Job is slow to count one as failed, and how
/// many more it bears is decided by that.
fn is_counted(owned: &OwnedPods<'_>, waited: Duration) -> bool {
    match &owned.owner {
        PodOwner::Known(_, controller) => match &controller.spec {
            ControllerSpec::Job { .. } => waited >= JOB_COUNTS_WITHIN,
            ControllerSpec::Deployment { .. }
            | ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::CronJob => true,
        },
        PodOwner::Unknown(_) | PodOwner::None(..) => true,
    }
}
