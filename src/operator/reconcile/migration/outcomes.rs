//! Outcomes of moves: which of those in flight have ended, what follows, and what records and events say of them.

use std::collections::BTreeMap;

use super::{BlockedReason, InFlightMove, MigrationReconciler, MigrationStatus, MoveWait, rest, sentence};
use crate::{
    api::conditions,
    operator::{
        metrics::MoveOutcome,
        reconcile::CycleClocks,
        write::{EventRequest, WriteRequest},
    },
};
use rempart_core::{
    cluster_objects::{ObjectUid, split},
    compliance::{ComplianceReport, OwnedPods, PodRevision},
    migration::{
        AwaitedChange, MigrationCause, MigrationFailure, MigrationPlan, MigrationProgress, ReplacementStrategy,
    },
};

impl MigrationReconciler {
    /// Looks how far the moves in flight are.
    pub(super) fn progress(
        &mut self,
        report: &ComplianceReport<'_>,
        clocks: CycleClocks,
        events: &mut Vec<EventRequest>,
    ) {
        let CycleClocks { wall: at, monotonic: now } = clocks;
        for (uid, flight) in &mut self.in_flight {
            if let Some(owned) = report.workloads.get(uid) {
                flight.look(owned, now);
            }
        }
        let mut paused = Vec::new();
        let ended: Vec<_> = self
            .in_flight
            .iter()
            .filter_map(|(unit, flight)| match flight.progress(report.workloads.get(unit), now) {
                MigrationProgress::UnderWay => None,
                MigrationProgress::Done => Some((*unit, None)),
                MigrationProgress::Failed(why) => Some((*unit, Some(why))),
                MigrationProgress::Paused => {
                    paused.push(*unit);
                    None
                }
            })
            .collect();
        for unit in paused {
            if let Some(flight) = self.in_flight.remove(&unit) {
                self.metrics.moved(flight.why, MoveOutcome::Dropped);
            }
        }
        for (unit, failure) in ended {
            let Some(flight) = self.in_flight.remove(&unit) else { continue };
            // Whoever deleted the workload, or took its namespace out of every policy, is told nothing of it.
            let Some(owned) = report.workloads.get(&unit) else {
                self.metrics.moved(flight.why, MoveOutcome::Dropped);
                self.resting.remove(&unit);
                continue;
            };
            self.metrics.moved(flight.why, if failure.is_none() { MoveOutcome::Done } else { MoveOutcome::Failed });
            let to_move = owned.misplaced.iter().filter(|pod| pod.is_to_move()).count();
            if let Some(failure) = failure {
                let note = sentence::of_failure(failure, owned, is_left_to_evictions(owned));
                events.push(flight.event(conditions::MIGRATION_FAILED, note, true, at));
                match failure {
                    // Another method is taken, where one is left.
                    MigrationFailure::NoteTaken if is_left_to_evictions(owned) => drop(self.reverting.insert(unit)),
                    // What is left of it waits for that.
                    MigrationFailure::NotReplaced(before) => drop(self.missing.insert(unit, before)),
                    MigrationFailure::Stuck => rest(&mut self.resting, unit, BlockedReason::Stuck, now),
                    MigrationFailure::Unanswered => rest(&mut self.resting, unit, BlockedReason::Unanswered, now),
                    MigrationFailure::NoteTaken | MigrationFailure::TemplateReverted => {
                        rest(&mut self.resting, unit, BlockedReason::TemplateReverted, now);
                    }
                }
            } else if flight.why == MigrationCause::TemplateBehind {
                // What stands wrong is moved next, or is kept for a reason of its own.
                self.resting.remove(&unit);
                let note = "its template says all that is said of it now".to_owned();
                events.push(flight.event(conditions::MIGRATED, note, false, at));
            } else if matches!(flight.why, MigrationCause::Stale | MigrationCause::KeyRetired) {
                // Whether its pods find a node is for the scheduler to say. What somebody puts back rests all the same.
                if flight.why == MigrationCause::Stale {
                    self.resting.remove(&unit);
                }
                let note = match flight.until {
                    AwaitedChange::Rollout { .. } => "its template asks for what its pods need now",
                    AwaitedChange::Replacement { .. } => "its pods that waited for what is gone are replaced",
                };
                events.push(flight.event(conditions::MIGRATED, note.to_owned(), false, at));
            } else if to_move == 0 {
                self.resting.remove(&unit);
                events.push(flight.event(conditions::MIGRATED, sentence::of_done(owned), false, at));
            } else if matches!(flight.until, AwaitedChange::Rollout { .. })
                && !flight.inherited
                && !self.facts.have_changed_since(flight.since)
                // What is still of the former template, its strategy has not reached: that is told as it is.
                && owned.misplaced.iter().any(|pod| pod.is_to_move() && pod.revision == PodRevision::Current)
            {
                // Its controller has done what was asked, and it did not help: not again at once.
                rest(&mut self.resting, unit, BlockedReason::Stuck, now);
            }
        }
    }

    /// What records say of it.
    pub(super) fn workload_statuses(
        &self,
        plan: &MigrationPlan<'_>,
        report: &ComplianceReport<'_>,
        waiting: &BTreeMap<ObjectUid, MoveWait>,
    ) -> BTreeMap<ObjectUid, MigrationStatus> {
        let mut statuses: BTreeMap<ObjectUid, MigrationStatus> = BTreeMap::new();
        for (unit, flight) in &self.in_flight {
            let status = statuses.entry(*unit).or_default();
            // What was refused and is asked for again does not move before it is answered otherwise.
            status.kept = self.asked_again(flight, report.workloads.get(unit));
            let asked_again = u32::try_from(status.kept.len()).unwrap_or(u32::MAX);
            status.moving = flight.pods_moving.saturating_sub(asked_again);
        }
        for (unit, wait) in waiting {
            statuses.entry(*unit).or_default().waiting = Some(*wait);
        }
        for (unit, pods) in &plan.stranded {
            let told = pods.iter().map(|(pod, why)| (split(pod).1.to_owned(), (why.code(), why.to_string())));
            statuses.entry(*unit).or_default().stranded = told.collect();
        }
        for (unit, pods) in &plan.blocked {
            let kept = pods.iter().map(|(pod, why)| (split(pod).1.to_owned(), (why.code(), why.to_string())));
            statuses.entry(*unit).or_default().kept = kept.collect();
        }
        statuses
    }

    /// Pods of `owned` whose eviction was refused before and is being asked for again, with what was said of it.
    fn asked_again(
        &self,
        flight: &InFlightMove,
        owned: Option<&OwnedPods<'_>>,
    ) -> BTreeMap<String, (&'static str, String)> {
        let refused = flight.steps.values().filter_map(|step| match step {
            WriteRequest::EvictPod { uid, .. } => Some((*uid, self.refused.get(uid)?)),
            _ => None,
        });
        let named = refused.filter_map(|(uid, refused)| {
            let pod = owned?.misplaced.iter().find(|pod| pod.pod.uid == uid)?;
            let why = BlockedReason::Budget(refused.said.clone());
            Some((split(pod.key).1.to_owned(), (why.code(), why.to_string())))
        });
        named.collect()
    }
}

/// Whether pods of `owned` can go one by one where no rollout can be begun: its template says all that is said, and it is a
/// Deployment that surges, of which others stand meanwhile.
fn is_left_to_evictions(owned: &OwnedPods<'_>) -> bool {
    ReplacementStrategy::of(owned, None, true) == ReplacementStrategy::Reverted && !owned.template_behind
}
