//! Sentences about moves: what is done to a workload, and why, as events tell it.

use rempart_core::{
    compliance::OwnedPods,
    migration::{MigrationCause, MigrationStep, PlannedMigration},
    workload::WorkloadKind,
};

/// What is done to `unit`, and why, in a sentence.
pub(super) fn sentence(due: &PlannedMigration<'_>, unit: &OwnedPods<'_>) -> String {
    let how = match due.steps.as_slice() {
        [MigrationStep::AnnotateTemplate { kind: WorkloadKind::Deployment | WorkloadKind::StatefulSet, .. }]
            if !due.cause.concerns_template_alone() =>
        {
            "its pods are replaced by a rollout".to_owned()
        }
        [MigrationStep::AnnotateTemplate { .. }] => "its template is completed".to_owned(),
        [MigrationStep::Evict { name, .. }] => format!("pod {name} is evicted"),
        steps => format!("{} pods are evicted", steps.len()),
    };
    let why = match due.cause {
        MigrationCause::Stale => {
            unit.stale.first().map(|stale| format!("pod {} waits for {}", stale.key, stale.keys()))
        }
        MigrationCause::TemplateBehind => Some(
            "its template says less than is said of it now, and its next pods would be admitted by that".to_owned(),
        ),
        MigrationCause::Violating | MigrationCause::Expiring => {
            unit.misplaced.iter().find(|pod| pod.is_to_move()).map(|pod| {
                let node = pod.pod.node.as_deref().unwrap_or_default();
                let asked = pod.unsatisfied().map(|(required, _)| {
                    let level = required.need.as_ref().map_or("", |need| need.level.as_str());
                    format!("level {level} of policy {}", required.policy.name)
                });
                let asked = asked.collect::<Vec<_>>().join(" and ");
                let verb = if due.cause == MigrationCause::Expiring {
                    "is being withdrawn from"
                } else {
                    "is not cleared for"
                };
                format!("node {node} {verb} {asked}")
            })
        }
    };
    match why {
        Some(why) => format!("{why}; {how}"),
        None => how,
    }
}
