//! Sentences about moves: what is done to a workload, and why, as events tell it.

use rempart_core::{
    cluster_objects::{OwnerRef, split},
    compliance::{Compliance, MisplacedPod, OwnedPods},
    instant::Timestamp,
    migration::{
        BlockedReason, DeadlineNotice, MigrationCause, MigrationFailure, MigrationStep, PlannedMigration,
        ReplacementShortfall,
    },
    text::counted,
    workload::WorkloadKind,
};

/// Why a move of `owned` has not come about, and what follows; `by_evictions` where its pods go one by one now.
pub(super) fn of_failure(failure: MigrationFailure, owned: &OwnedPods<'_>, by_evictions: bool) -> String {
    let kind = owned.kind_said();
    match failure {
        MigrationFailure::Stuck => BlockedReason::Stuck.to_string(),
        MigrationFailure::TemplateReverted => BlockedReason::TemplateReverted.to_string(),
        MigrationFailure::NoteTaken if !by_evictions => BlockedReason::TemplateReverted.to_string(),
        MigrationFailure::Unanswered => BlockedReason::Unanswered.to_string(),
        MigrationFailure::NoteTaken if owned.pods.staying() <= 1 => BlockedReason::NoteTaken.to_string(),
        MigrationFailure::NoteTaken => format!(
            "what owns the {kind} takes the annotation rempart.dev/migration out of its template again, so that it does not \
             roll; its pods are evicted one by one instead, while others of it are ready"
        ),
        MigrationFailure::NotReplaced(before) => {
            let maker = format!("{kind} {}", owned.name());
            let shortfall = ReplacementShortfall { owner: maker, ready: owned.pods.ready, before };
            format!("{shortfall}; no other pod of it is evicted before as many are")
        }
    }
}

/// That `pod`, the last of `owner`, was evicted and has no successor.
pub(super) fn of_not_remade(pod: &str, owner: &OwnerRef) -> String {
    let OwnerRef { kind_said, name, .. } = owner;
    format!(
        "pod {} was evicted, and {kind_said} {name} has had no pod for a minute: unless somebody is deleting it, ask its \
         controller why it makes none",
        split(pod).1
    )
}

/// What becomes of a pod whose deadline is `at`.
pub(super) fn at_deadline(at: Timestamp) -> String {
    format!(
        "at {at}, the deadline of its level, it is evicted, and deleted where a disruption budget refuses that, if a cleared node \
         can take it and another pod of its workload is ready"
    )
}

/// That pods are about to go by their deadline, the first of them by its name.
pub(super) fn of_deadline(notice: &DeadlineNotice<'_>) -> String {
    let Some((pod, deadline)) = notice.pods.iter().min_by_key(|(pod, deadline)| (deadline.at, *pod)) else {
        return String::new();
    };
    let more = match notice.pods.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let (name, since) = (split(pod).1, deadline.since);
    format!("pod {name}{more} stands where it may not, since {since}; {}", at_deadline(deadline.at))
}

/// How `owned` stands, of which nothing more is to be moved.
pub(super) fn of_done(owned: &OwnedPods<'_>) -> String {
    if owned.pods.total == 0 {
        return "none of its pods is left".to_owned();
    }
    let wrong = |pod: &&MisplacedPod<'_>| pod.worst() != Compliance::Compliant;
    let terminating = owned.misplaced.iter().filter(wrong).count();
    let tolerated = owned.misplaced.len().saturating_sub(terminating);
    match (terminating, tolerated) {
        (0, 0) => "all its pods run where they may".to_owned(),
        (_, 1..) => format!(
            "nothing of it is moved any more, though {}, by policies that are not in force",
            counted(tolerated, "pod runs where it may not", "pods run where they may not")
        ),
        (1, 0) => "all its pods run where they may, but for one that is being deleted".to_owned(),
        (more, 0) => format!("all its pods run where they may, but for {more} that are being deleted"),
    }
}

/// What is done to `unit`, and why, in a sentence.
pub(super) fn sentence(due: &PlannedMigration<'_>, unit: &OwnedPods<'_>) -> String {
    let how = match due.steps.as_slice() {
        [MigrationStep::AnnotateTemplate { kind: WorkloadKind::Deployment | WorkloadKind::StatefulSet, .. }]
            if !due.cause.concerns_template_alone() =>
        {
            "its pods are replaced by a rollout".to_owned()
        }
        [MigrationStep::AnnotateTemplate { .. }] if due.cause == MigrationCause::KeyRetired => {
            "its template is completed anew".to_owned()
        }
        [MigrationStep::AnnotateTemplate { .. }] => "its template is completed".to_owned(),
        [MigrationStep::Evict { name, .. }] => format!("pod {name} is to be evicted"),
        [MigrationStep::Delete { name, .. }] => {
            format!("pod {name} is deleted, since its disruption budget refuses its eviction")
        }
        steps => format!("{} pods are to be evicted", steps.len()),
    };
    let why = match due.cause {
        MigrationCause::Stale => {
            unit.stale.first().map(|stale| format!("pod {} waits for {}", stale.key, stale.keys()))
        }
        MigrationCause::TemplateBehind => Some(
            "its template says less than is said of it now, and its next pods would be admitted by that".to_owned(),
        ),
        MigrationCause::KeyRetired => {
            Some(format!("its template selects by {}, which its pods would not be given now", unit.surplus.join(", ")))
        }
        MigrationCause::Overdue | MigrationCause::Violating | MigrationCause::Expiring => {
            unit.misplaced.iter().find(|pod| pod.is_to_move()).map(|pod| {
                let node = pod.pod.node.as_deref().unwrap_or_default();
                let asked = pod.unsatisfied().map(|(required, _)| {
                    let level = required.need.as_ref().map_or("", |need| need.level.as_str());
                    format!("level {level} of policy {}", required.policy.name)
                });
                let asked = asked.collect::<Vec<_>>().join(" and ");
                let (verb, long) = match due.cause {
                    MigrationCause::Expiring => ("is being withdrawn from", ""),
                    MigrationCause::Overdue => ("is not cleared for", ", for longer than its deadline lets it be so"),
                    MigrationCause::Violating
                    | MigrationCause::Stale
                    | MigrationCause::TemplateBehind
                    | MigrationCause::KeyRetired => ("is not cleared for", ""),
                };
                format!("node {node} {verb} {asked}{long}")
            })
        }
    };
    match why {
        Some(why) => format!("{why}; {how}"),
        None => how,
    }
}

#[cfg(test)]
mod tests {
    use std::{rc::Rc, sync::Arc};

    use super::*;
    use rempart_core::{
        cluster_objects::{Controller, ControllerSpec, ObjectUid, OwnerRef, RolloutStrategy},
        compliance::{PodCounts, PodOwner},
        sensitivity::{SensitivityStatement, TemplateStatements},
        workload::NodeRequirements,
    };

    /// A workload of which so many pods are ready.
    fn owned(owner: PodOwner<'_>, ready: u32) -> OwnedPods<'_> {
        let pods = PodCounts { total: ready, placed: ready, ready, ..PodCounts::default() };
        OwnedPods { pods, ..OwnedPods::new(ObjectUid(1), "shop", owner, Rc::default()) }
    }

    #[test]
    fn an_owner_that_takes_the_note_away_is_told_of_with_what_follows() {
        let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
        let (paused, stuck, total, updated, available) = (false, false, 3, 3, 3);
        let web = Controller {
            version: 1,
            uid: ObjectUid(1),
            owner: None,
            statement: SensitivityStatement::default(),
            template_statements: Arc::new(TemplateStatements::default()),
            node_requirements: Arc::new(NodeRequirements::default()),
            migration: None,
            terminating: false,
            replicas: 3,
            observed: true,
            spec: ControllerSpec::Deployment { paused, strategy, total, updated, available, stuck },
        };
        assert_eq!(
            of_failure(MigrationFailure::NoteTaken, &owned(PodOwner::Known("web", &web), 3), true),
            "what owns the Deployment takes the annotation rempart.dev/migration out of its template again, so that it does \
             not roll; its pods are evicted one by one instead, while others of it are ready"
        );
    }

    #[test]
    fn an_owner_that_makes_no_pod_anew_is_named() {
        let maker = OwnerRef { kind: None, kind_said: "Cluster".into(), name: "ledger".into(), uid: ObjectUid(1) };
        assert_eq!(
            of_failure(MigrationFailure::NotReplaced(3), &owned(PodOwner::Unknown(&maker), 2), false),
            "a pod of Cluster ledger was evicted and is not made anew: 2 of 3 are ready; no other pod of it is evicted before \
             as many are"
        );
    }
}
