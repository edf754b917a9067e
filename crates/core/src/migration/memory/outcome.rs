//! Outcomes of moves: which of those in flight have ended, and what is remembered of each.

use alloc::{string::String, vec::Vec};

use super::{InFlightMove, MigrationMemory, MigrationSurroundings};
use crate::{
    cluster_objects::{ObjectUid, OwnerRef},
    compliance::{ComplianceReport, OwnedPods, PodRevision},
    migration::{
        AwaitedChange, BlockedReason, MigrationCause, MigrationFailure, MigrationProgress, ReplacementStrategy,
    },
    monotonic::MonotonicTime,
};

/// A move that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedMove {
    /// What makes the pods.
    pub owner: ObjectUid,
    /// Why they were moved.
    pub cause: MigrationCause,
    /// How it ended.
    pub outcome: MigrationOutcome,
}

/// How a move ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationOutcome {
    /// Nothing of the workload is to be moved any more.
    Migrated,
    /// Its template says all that is said of it now.
    TemplateCompleted,
    /// What waited for what is gone, or the template that selects by it, was replaced.
    Replaced {
        /// Whether the template was.
        is_template: bool,
    },
    /// What was asked for is done, and more is left to move.
    StepDone,
    /// It did not come about, and will not by itself.
    Failed {
        /// Why.
        why: MigrationFailure,
        /// Whether pods go one by one instead.
        by_evictions: bool,
    },
    /// The last pod of an owner that Rempart does not know was evicted, and it has made no other for a
    /// minute: it may have been deleted, or wait for somebody.
    NotRemade {
        /// The pod that went, by its name, with its namespace.
        pod: String,
        /// Its owner.
        owner: OwnerRef,
    },
    /// It is not told of any more: its workload is gone or governed by nobody, somebody has paused it, or its reason went
    /// before it had begun.
    Dropped,
}

impl MigrationMemory {
    /// Looks how far the moves in flight are.
    pub(super) fn end_moves(
        &mut self,
        report: &ComplianceReport<'_>,
        surroundings: &dyn MigrationSurroundings,
        now: MonotonicTime,
    ) -> Vec<EndedMove> {
        for (uid, flight) in &mut self.in_flight {
            if let Some(owned) = report.workloads.get(uid) {
                flight.observe(owned, now);
            }
        }
        let ended = self.in_flight.iter().filter_map(|(uid, flight)| {
            let progress = flight.progress(report.workloads.get(uid), now);
            (progress != MigrationProgress::UnderWay).then_some((*uid, progress))
        });
        let ended: Vec<_> = ended.collect();
        let mut told = Vec::new();
        for (owner, progress) in ended {
            let Some(flight) = self.in_flight.remove(&owner) else { continue };
            let outcome = match (progress, report.workloads.get(&owner)) {
                (MigrationProgress::UnderWay | MigrationProgress::Paused, _) => MigrationOutcome::Dropped,
                (MigrationProgress::Done | MigrationProgress::Failed(_), None) => {
                    self.resting.remove(&owner);
                    match flight.evicted_of_unknown_owner() {
                        Some((pod, owner)) => MigrationOutcome::NotRemade { pod: pod.clone(), owner: owner.clone() },
                        None => MigrationOutcome::Dropped,
                    }
                }
                (MigrationProgress::Failed(why), Some(owned)) => self.failed(owned, why, now),
                (MigrationProgress::Done, Some(owned)) => self.done(owned, &flight, surroundings, now),
            };
            told.push(EndedMove { owner, cause: flight.cause, outcome });
        }
        told
    }

    /// Remembers that the move of `owned` did not come about.
    fn failed(&mut self, owned: &OwnedPods<'_>, why: MigrationFailure, now: MonotonicTime) -> MigrationOutcome {
        let by_evictions = is_left_to_evictions(owned);
        match why {
            // Another method is taken, where one is left.
            MigrationFailure::NoteTaken if by_evictions => {
                self.reverting.insert(owned.uid);
            }
            // What is left of it waits for that.
            MigrationFailure::NotReplaced(before) => {
                self.miss(owned.uid, before, now);
            }
            MigrationFailure::Stuck => self.rest(owned.uid, BlockedReason::Stuck, now),
            MigrationFailure::Unanswered => self.rest(owned.uid, BlockedReason::Unanswered, now),
            MigrationFailure::NoteTaken | MigrationFailure::TemplateReverted => {
                self.rest(owned.uid, BlockedReason::TemplateReverted, now);
            }
        }
        MigrationOutcome::Failed { why, by_evictions }
    }

    /// Remembers that `flight`, a move of `owned`, did what was asked.
    fn done(
        &mut self,
        owned: &OwnedPods<'_>,
        flight: &InFlightMove,
        surroundings: &dyn MigrationSurroundings,
        now: MonotonicTime,
    ) -> MigrationOutcome {
        let is_template = matches!(flight.awaited, AwaitedChange::Rollout { .. });
        match flight.cause {
            // What stands wrong is moved next, or is kept for a reason of its own.
            MigrationCause::TemplateBehind => {
                self.resting.remove(&owned.uid);
                MigrationOutcome::TemplateCompleted
            }
            // Whether its pods find a node is for the scheduler to say.
            MigrationCause::Stale => {
                self.resting.remove(&owned.uid);
                MigrationOutcome::Replaced { is_template }
            }
            // What somebody puts back rests all the same.
            MigrationCause::KeyRetired => MigrationOutcome::Replaced { is_template },
            MigrationCause::Overdue | MigrationCause::Violating | MigrationCause::Expiring => {
                let mut left = owned.misplaced.iter().filter(|pod| pod.is_to_move()).peekable();
                if left.peek().is_none() {
                    self.resting.remove(&owned.uid);
                    return MigrationOutcome::Migrated;
                }
                // What is still of the former template, its strategy has not reached: that is told as it is.
                let is_in_vain = left.any(|pod| pod.revision == PodRevision::Current);
                if is_template
                    && is_in_vain
                    && !flight.inherited
                    && !surroundings.have_facts_changed_since(flight.since)
                {
                    // Its controller has done what was asked, and it did not help: not again at once.
                    self.rest(owned.uid, BlockedReason::Stuck, now);
                }
                MigrationOutcome::StepDone
            }
        }
    }
}

/// Whether pods of `owned` can go one by one where no rollout can be begun: its template says all that is said, and it is a
/// Deployment that surges, of which others stand meanwhile.
fn is_left_to_evictions(owned: &OwnedPods<'_>) -> bool {
    ReplacementStrategy::of(owned, None, true) == ReplacementStrategy::Reverted && !owned.template_behind
}
