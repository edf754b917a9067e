//! Moves in flight: a move that has begun, what it asks for and waits for, and how far it is.
//!
//! [`InFlightMove::progress`] takes what the report says of the workload and the time, and returns whether the move goes
//! on, is done or has failed. What goes on is never late, and what does not is over after a while.

use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use super::step::{RequestedStep, StepTarget};
use crate::{
    cluster_objects::{OwnerRef, Pod},
    compliance::{MisplacedPod, OwnedPods, PodOwner},
    migration::{
        AwaitedChange, AwaitedPods, JOB_COUNTS_WITHIN, MigrationCause, MigrationFailure, MigrationProgress,
        MigrationStep, NOTE_SEEN_WITHIN, PlannedMigration, ProgressMark, STEP_DEADLINE, StepConditions, is_still_due,
        progress, step_deadline,
    },
    monotonic::MonotonicTime,
    workload::WorkloadKind,
};

/// How long an owner of a kind that Rempart does not know may be without any pod, after the eviction of one.
const OWNER_REMAKES_WITHIN: Duration = Duration::from_mins(1);

/// A move that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InFlightMove {
    pub(super) since: MonotonicTime,
    pub(super) cause: MigrationCause,
    pub(super) pods_moving: u32,
    /// What is still to be asked for.
    pub(super) steps: BTreeMap<StepTarget, RequestedStep>,
    pub(super) awaited: AwaitedChange,
    /// Whether somebody else began it: nobody knows by which facts.
    pub(super) inherited: bool,
    /// What showed when it was last looked at that it goes on, and since when.
    mark: ProgressMark,
    marked_at: MonotonicTime,
    /// When its workload was last seen with a pod.
    seen_at: MonotonicTime,
    /// How long that may stay the same, by the pods that it had when it was last looked at.
    step_deadline: Duration,
    /// What went with it, where something goes before its successor stands.
    going: Option<GoingPods>,
}

/// Pods that go with a move before their successors stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct GoingPods {
    /// How many pods the workload had that stayed.
    before: u32,
    /// How many go at a time.
    number: u32,
    /// The name of one, with its namespace.
    key: String,
    /// That one.
    pod: Pod,
    /// The levels of which it was one, by the names of their policies and their own.
    levels: Vec<(String, String)>,
    /// Whether its owner is told of without a pod: nobody knows what one of another kind should have.
    is_owner_known: bool,
}

/// Whether `step` takes a pod away.
fn removes(step: &MigrationStep<'_>) -> bool {
    match step {
        MigrationStep::Evict { .. } | MigrationStep::Delete { .. } => true,
        MigrationStep::AnnotateTemplate { .. } => false,
    }
}

impl GoingPods {
    /// Those that are to go by `due`, one move of `owned`: evicted, or taken by an ordered controller one by one.
    fn of(due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> Option<Self> {
        let evicted = due.steps.iter().filter(|step| removes(step)).count();
        let is_ordered = owned.kind() == Some(WorkloadKind::StatefulSet) && !due.cause.concerns_template_alone();
        let number = if evicted == 0 { u32::from(is_ordered) } else { u32::try_from(evicted).unwrap_or(u32::MAX) };
        let one = owned.misplaced.iter().find(|pod| pod.is_to_move()).filter(|_| number > 0)?;
        Some(Self {
            before: owned.pods.staying(),
            number,
            key: one.key.to_owned(),
            pod: one.pod.clone(),
            levels: owned.requirements.levels().map(|level| level.named()).collect(),
            is_owner_known: !matches!(owned.owner, PodOwner::Unknown(_)),
        })
    }

    /// Those whose successors are not there, where the workload stands like `owned`, or has no pod.
    fn awaited(&self, owned: Option<&OwnedPods<'_>>) -> Option<AwaitedPods> {
        let staying = owned.map_or(0, |owned| owned.pods.staying());
        let number = self.before.saturating_sub(staying).min(self.number);
        let Self { key, pod, levels, .. } = self;
        (number > 0).then(|| AwaitedPods { number, key: key.clone(), pod: pod.clone(), levels: levels.clone() })
    }
}

impl InFlightMove {
    /// What `due`, a move of `owned`, begins as at `now`; what is written into a template is `note`.
    pub(super) fn begun(due: &PlannedMigration<'_>, owned: &OwnedPods<'_>, note: &str, now: MonotonicTime) -> Self {
        let steps = due.steps.iter().map(|step| {
            let step = match step {
                MigrationStep::AnnotateTemplate { kind, name, surplus } => RequestedStep::AnnotateTemplate {
                    kind: *kind,
                    name: format!("{}/{name}", due.namespace),
                    note: note.to_owned(),
                    surplus: surplus.iter().map(|key| (*key).to_owned()).collect(),
                },
                MigrationStep::Evict { name, pod, version } => {
                    RequestedStep::Evict { name: format!("{}/{name}", due.namespace), pod: *pod, version: *version }
                }
                MigrationStep::Delete { name, pod, version } => {
                    RequestedStep::Delete { name: format!("{}/{name}", due.namespace), pod: *pod, version: *version }
                }
            };
            (step.target(), step)
        });
        let pods: BTreeSet<_> = due
            .steps
            .iter()
            .filter_map(|step| match step {
                MigrationStep::Evict { pod, .. } | MigrationStep::Delete { pod, .. } => Some(*pod),
                MigrationStep::AnnotateTemplate { .. } => None,
            })
            .collect();
        let awaited = if pods.is_empty() {
            AwaitedChange::Rollout { note: note.to_owned(), seen: false }
        } else {
            // Who is not ready before need not be ready after.
            AwaitedChange::Replacement { pods, ready: owned.pods.ready }
        };
        Self {
            since: now,
            cause: due.cause,
            pods_moving: due.pods_moving,
            steps: steps.collect(),
            awaited,
            inherited: false,
            mark: ProgressMark::of(owned),
            marked_at: now,
            seen_at: now,
            step_deadline: step_deadline(owned),
            going: GoingPods::of(due, owned),
        }
    }

    /// The rollout of `owned` by `note` that another replica began, or somebody else, as of `now`.
    pub(super) fn inherited(owned: &OwnedPods<'_>, cause: MigrationCause, note: &str, now: MonotonicTime) -> Self {
        Self {
            since: now,
            cause,
            pods_moving: owned.pods.staying(),
            steps: BTreeMap::new(),
            awaited: AwaitedChange::Rollout { note: note.to_owned(), seen: true },
            inherited: true,
            mark: ProgressMark::of(owned),
            marked_at: now,
            seen_at: now,
            step_deadline: step_deadline(owned),
            going: None,
        }
    }

    /// One that waits for `awaited`, as of `since`.
    #[cfg(test)]
    pub(super) fn awaiting(since: MonotonicTime, cause: MigrationCause, awaited: AwaitedChange) -> Self {
        Self {
            since,
            cause,
            pods_moving: 1,
            steps: BTreeMap::new(),
            awaited,
            inherited: false,
            mark: ProgressMark::default(),
            marked_at: since,
            seen_at: since,
            step_deadline: STEP_DEADLINE,
            going: None,
        }
    }

    /// When it may be over though nothing is observed.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = MonotonicTime> {
        let waits = [NOTE_SEEN_WITHIN, JOB_COUNTS_WITHIN, STEP_DEADLINE];
        let since = self.since;
        let waits = waits.into_iter().map(move |wait| since + wait).chain([self.marked_at + self.step_deadline]);
        waits.chain(self.is_owner_unknown().then(|| self.seen_at + OWNER_REMAKES_WITHIN))
    }

    /// Takes in how its workload is found at `now`.
    pub(super) fn observe(&mut self, owned: &OwnedPods<'_>, now: MonotonicTime) {
        let mark = ProgressMark::of(owned);
        if mark != self.mark {
            (self.mark, self.marked_at) = (mark, now);
        }
        self.step_deadline = step_deadline(owned);
        if self.is_owner_unknown() {
            self.seen_at = now;
        }
        if let (AwaitedChange::Rollout { note, seen }, PodOwner::Known(_, controller)) =
            (&mut self.awaited, owned.owner)
        {
            *seen |= controller.migration.as_deref() == Some(note.as_str());
        }
    }

    /// The pods that went with it and whose successors are not there, where its workload stands like `owned`, or has none.
    pub(super) fn awaited_pods(&self, owned: Option<&OwnedPods<'_>>) -> Option<AwaitedPods> {
        self.going.as_ref()?.awaited(owned)
    }

    /// Whether pods of an owner of another kind go by it.
    fn is_owner_unknown(&self) -> bool {
        self.going.as_ref().is_some_and(|going| !going.is_owner_known)
    }

    /// A pod that was evicted, by its name, and its owner, where that is of a kind that Rempart does not know.
    pub(super) fn evicted_of_unknown_owner(&self) -> Option<(&String, &OwnerRef)> {
        let going = self.going.as_ref().filter(|_| self.steps.is_empty() && self.is_owner_unknown())?;
        Some((&going.key, going.pod.owner.as_ref()?))
    }

    /// How many pods are to be ready before another is evicted, where nobody but their owner knows how many there should be.
    pub(super) fn awaited_ready(&self) -> Option<u32> {
        match &self.awaited {
            AwaitedChange::Replacement { ready, .. } => self.is_owner_unknown().then_some(*ready),
            AwaitedChange::Rollout { .. } => None,
        }
    }

    /// Drops steps that are not to be taken any more and that are not on their way by `is_sent`, and returns whether
    /// anything of the move is left.
    pub(super) fn drop_unsent(
        &mut self,
        owned: &OwnedPods<'_>,
        conditions: StepConditions<'_>,
        is_sent: impl Fn(&RequestedStep) -> bool,
    ) -> bool {
        let (cause, awaited) = (self.cause, &mut self.awaited);
        let (mut dropped, mut is_left) = (false, true);
        self.steps.retain(|_, step| {
            let pod = match step {
                RequestedStep::Evict { pod, .. } | RequestedStep::Delete { pod, .. } => Some(*pod),
                RequestedStep::AnnotateTemplate { .. } => None,
            };
            let is_kept = is_sent(step) || is_still_due(owned, cause, pod, conditions);
            if !is_kept {
                dropped = true;
                match (pod, &mut *awaited) {
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
    pub(super) fn progress(&self, owned: Option<&OwnedPods<'_>>, now: MonotonicTime) -> MigrationProgress {
        let waited = now.since(self.since);
        let goes_on = |owned: &OwnedPods<'_>| match self.cause {
            MigrationCause::Overdue | MigrationCause::Violating | MigrationCause::Expiring => {
                owned.misplaced.iter().any(MisplacedPod::is_to_move)
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
        // Without a pod there is nothing to be seen of it: it may be about to make one.
        if owned.is_none() && self.is_owner_unknown() && now.since(self.seen_at) < OWNER_REMAKES_WITHIN {
            return MigrationProgress::UnderWay;
        }
        progress(&self.awaited, self.cause, owned, (waited, now.since(self.marked_at)))
    }

    /// The same, with its times as [`MigrationMemory::as_of`](super::MigrationMemory::as_of) has them.
    pub(super) fn rebase(&mut self, rebased: impl Fn(MonotonicTime) -> MonotonicTime) {
        self.since = rebased(self.since);
        self.marked_at = rebased(self.marked_at);
        self.seen_at = rebased(self.seen_at);
    }
}
