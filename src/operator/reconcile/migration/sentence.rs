//! Sentences about moves: what is done to a workload, and why, as events tell it.

use rempart_core::{
    migration::{Move, Step, Why},
    standing::{Footing, Unit},
    workload::Kind,
};

/// What is done to `unit`, and why, in a sentence.
pub(super) fn sentence(due: &Move<'_>, unit: &Unit<'_>) -> String {
    let how = match due.steps.as_slice() {
        [Step::Touch { kind: Kind::Deployment, .. }] => "its pods are replaced by a rollout".to_owned(),
        [Step::Touch { .. }] => "its template is completed".to_owned(),
        [Step::Evict { name, .. }] => format!("pod {name} is evicted"),
        steps => format!("{} pods are evicted", steps.len()),
    };
    let why = match due.why {
        Why::Stale => unit.stale.first().map(|stale| format!("pod {} waits for {}", stale.key, stale.keys())),
        Why::Violating | Why::Leaving => unit.misplaced.iter().find(|pod| pod.worst() != Footing::Sound).map(|pod| {
            let node = pod.pod.node.as_deref().unwrap_or_default();
            let asked = pod.unsatisfied().map(|(asked, _)| {
                let level = asked.need.as_ref().map_or("", |need| need.level.as_str());
                format!("level {level} of policy {}", asked.policy.name)
            });
            let asked = asked.collect::<Vec<_>>().join(" and ");
            let verb = if due.why == Why::Leaving { "is being withdrawn from" } else { "is not cleared for" };
            format!("node {node} {verb} {asked}")
        }),
    };
    match why {
        Some(why) => format!("{why}; {how}"),
        None => how,
    }
}
