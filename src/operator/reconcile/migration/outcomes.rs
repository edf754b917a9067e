//! Outcomes of moves: what metrics, events and records say of those that have begun, have ended or wait.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;

use super::{MigrationReconciler, MigrationStatus, sentence};
use crate::{
    api::conditions,
    operator::{
        metrics::MoveOutcome,
        write::{EventRequest, workload_reference},
    },
};
use rempart_core::{
    cluster_objects::{ObjectUid, split},
    compliance::{ComplianceReport, MisplacedPod, OwnedPods},
    instant::Timestamp,
    migration::{
        BlockedReason, DeadlineNotice, EndedMove, MigrationLook, MigrationOutcome, PlannedMigration, PodDeadline,
    },
};

impl MigrationReconciler {
    /// Tells of a move that is over.
    pub(super) fn tell_ended(
        &self,
        ended: &EndedMove,
        owned: Option<&OwnedPods<'_>>,
        at: Timestamp,
    ) -> Option<EventRequest> {
        let counted = match &ended.outcome {
            MigrationOutcome::Dropped => MoveOutcome::Dropped,
            MigrationOutcome::Failed { .. } | MigrationOutcome::NotRemade { .. } => MoveOutcome::Failed,
            MigrationOutcome::Migrated
            | MigrationOutcome::TemplateCompleted
            | MigrationOutcome::Replaced { .. }
            | MigrationOutcome::StepDone => MoveOutcome::Done,
        };
        self.metrics.moved(ended.cause, counted);
        if let MigrationOutcome::NotRemade { pod, owner } = &ended.outcome {
            let (namespace, note) = (split(pod).0, sentence::of_not_remade(pod, owner));
            let about = workload_reference(owner.kind, &owner.kind_said, namespace, &owner.name, owner.uid);
            return Some(event(about, conditions::MIGRATION_FAILED, note, true, at));
        }
        // Whoever deleted the workload, or took its namespace out of every policy, is told nothing of it.
        let owned = owned?;
        let (reason, note, warning) = match ended.outcome {
            MigrationOutcome::Dropped | MigrationOutcome::StepDone | MigrationOutcome::NotRemade { .. } => return None,
            MigrationOutcome::Failed { why, by_evictions } => {
                (conditions::MIGRATION_FAILED, sentence::of_failure(why, owned, by_evictions), true)
            }
            MigrationOutcome::Migrated => (conditions::MIGRATED, sentence::of_done(owned), false),
            MigrationOutcome::TemplateCompleted => {
                (conditions::MIGRATED, "its template says all that is said of it now".to_owned(), false)
            }
            MigrationOutcome::Replaced { is_template: true } => {
                (conditions::MIGRATED, "its template asks for what its pods need now".to_owned(), false)
            }
            MigrationOutcome::Replaced { is_template: false } => {
                (conditions::MIGRATED, "its pods that waited for what is gone are replaced".to_owned(), false)
            }
        };
        Some(event(reference(owned), reason, note, warning, at))
    }

    /// Tells of a move that has begun.
    pub(super) fn tell_begun(&self, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>, at: Timestamp) -> EventRequest {
        self.metrics.moved(due.cause, MoveOutcome::Begun);
        event(reference(owned), conditions::MIGRATING, sentence::sentence(due, owned), false, at)
    }

    /// What records say of moves.
    pub(super) fn workload_statuses(
        &self,
        look: &MigrationLook<'_>,
        report: &ComplianceReport<'_>,
        to_record: &BTreeMap<ObjectUid, (&str, u32)>,
        now: Timestamp,
    ) -> BTreeMap<ObjectUid, MigrationStatus> {
        let mut statuses: BTreeMap<ObjectUid, MigrationStatus> = BTreeMap::new();
        for (owner, pods_moving) in self.memory.moving() {
            let status = statuses.entry(owner).or_default();
            // What was refused and is asked for again does not move before it is answered otherwise.
            status.kept = self.asked_again(owner, report.workloads.get(&owner), &look.deadlines, now);
            let asked_again = u32::try_from(status.kept.len()).unwrap_or(u32::MAX);
            status.moving = pods_moving.saturating_sub(asked_again);
        }
        for (owner, (pod, ready)) in to_record {
            statuses.entry(*owner).or_default().awaited_ready = Some((split(pod).1.to_owned(), *ready));
        }
        for (owner, wait) in &look.waiting {
            statuses.entry(*owner).or_default().waiting = Some(*wait);
        }
        for (owner, pods) in &look.stranded {
            let told = pods.iter().map(|(pod, why)| (split(pod).1.to_owned(), (why.code(), why.to_string())));
            statuses.entry(*owner).or_default().stranded = told.collect();
        }
        for (owner, pods) in &look.blocked {
            let owned = report.workloads.get(owner);
            let kept = pods.iter().map(|(pod, why)| {
                let found =
                    owned.and_then(|owned| Some((owned, owned.misplaced.iter().find(|found| found.key == *pod)?)));
                kept(pod, why, found.and_then(|(owned, pod)| deadline_of(pod, owned, &look.deadlines)), now)
            });
            statuses.entry(*owner).or_default().kept = kept.collect();
        }
        for (owner, owned) in &report.workloads {
            let violating = owned.misplaced.iter().filter_map(|pod| {
                let levels = self.memory.violations_of(pod.pod.uid);
                (!levels.is_empty()).then(|| (split(pod.key).1.to_owned(), (pod.pod.uid, levels.to_vec())))
            });
            let violating: BTreeMap<_, _> = violating.collect();
            if !violating.is_empty() {
                statuses.entry(*owner).or_default().violating = violating;
            }
        }
        statuses
    }

    /// Pods of `owned` whose eviction was refused before and is being asked for again, with what was said of it.
    fn asked_again(
        &self,
        uid: ObjectUid,
        found: Option<&OwnedPods<'_>>,
        deadlines: &BTreeMap<ObjectUid, PodDeadline>,
        now: Timestamp,
    ) -> BTreeMap<String, (&'static str, String)> {
        let named = self.memory.asked_again(uid).filter_map(|(asked, why)| {
            let owned = found?;
            let pod = owned.misplaced.iter().find(|pod| pod.pod.uid == asked)?;
            Some(kept(pod.key, &why, deadline_of(pod, owned, deadlines), now))
        });
        named.collect()
    }
}

/// The deadline of `pod`, one of `owned`, and whether it may go then though nothing of it stands elsewhere.
fn deadline_of(
    pod: &MisplacedPod<'_>,
    owned: &OwnedPods<'_>,
    deadlines: &BTreeMap<ObjectUid, PodDeadline>,
) -> Option<(PodDeadline, bool)> {
    Some((*deadlines.get(&pod.pod.uid)?, owned.can_spare(pod.pod)))
}

/// A pod that stays at `now`, by its name, and why, with what its deadline makes of that.
fn kept(
    key: &str,
    why: &BlockedReason,
    deadline: Option<(PodDeadline, bool)>,
    now: Timestamp,
) -> (String, (&'static str, String)) {
    let then = match deadline.filter(|_| why.yields_to_deadline()) {
        Some((deadline, _)) if now < deadline.at => format!("; {}", sentence::at_deadline(deadline.at)),
        Some((deadline, false)) => format!(
            "; the deadline of its level was {}, and it is deleted as soon as another pod of its workload is ready",
            deadline.at
        ),
        Some((_, true)) | None => String::new(),
    };
    (split(key).1.to_owned(), (why.code(), format!("{why}{then}")))
}

/// That pods of `owned` are about to go by their deadline.
pub(super) fn announcement(notice: &DeadlineNotice<'_>, owned: &OwnedPods<'_>, at: Timestamp) -> EventRequest {
    event(reference(owned), conditions::DEADLINE_NEAR, sentence::of_deadline(notice), true, at)
}

fn event(about: ObjectReference, reason: &'static str, note: String, warning: bool, at: Timestamp) -> EventRequest {
    EventRequest { about, reason, note, action: "Migrate", warning, at }
}

/// What `owned` is called, for events.
fn reference(owned: &OwnedPods<'_>) -> ObjectReference {
    workload_reference(owned.kind(), owned.kind_said(), owned.namespace, owned.name(), owned.uid)
}
