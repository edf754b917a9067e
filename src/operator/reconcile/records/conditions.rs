//! Record conditions: `Placeable`, `Compliant` and `Migrating`, each with a stable reason and a sentence.
//!
//! Takes what the planner judged, what the report found and how the migration stands.

use std::collections::BTreeMap;

use super::subject::{ConditionContent, RecordSubject, number};
use crate::{api::conditions, operator::reconcile::migration::status::MigrationStatus};
use rempart_core::{
    compliance::{Compliance, MisplacedPod, PodCounts},
    migration::MoveWait,
    plan::{PlacementOutcome, PlanContext, PlannedWorkload, UnplaceableReason, UnrestrictedReason},
    text::{FewDisplay, counted},
};

/// `Placeable`: at least one cleared pool remains. With `aside` (policy not enforced) the condition is True and the text
/// begins with it.
pub(super) fn placeable<'a>(
    plan_context: PlanContext<'_, 'a>,
    planned: &PlannedWorkload<'a>,
    aside: Option<&str>,
    subject: &RecordSubject<'_, '_>,
) -> ConditionContent {
    let pods = &subject.pods;
    let (holds, reason) = match planned.outcome {
        PlacementOutcome::Placeable(_) => (true, conditions::POOLS_CLEARED),
        PlacementOutcome::Unrestricted(UnrestrictedReason::NotEnforced) => (true, conditions::NOT_ENFORCED),
        PlacementOutcome::Unrestricted(_) => (true, conditions::NOTHING_REQUIRED),
        PlacementOutcome::Unplaceable(UnplaceableReason::NoPool) => (false, conditions::NO_CLEARED_POOL),
        PlacementOutcome::Unplaceable(UnplaceableReason::NoNode) => (false, conditions::NO_CLEARED_NODE),
        PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes) => (false, conditions::OWN_WISHES),
        PlacementOutcome::Unplaceable(UnplaceableReason::VolumePinned(_)) => (false, conditions::VOLUME_PINNED),
        PlacementOutcome::Refused => (false, conditions::REFUSED),
    };
    let message = plan_context.message(planned, Some(pods));
    match aside {
        // Nobody is kept from anything.
        Some(aside) => ConditionContent {
            holds: true,
            reason: conditions::NOT_ENFORCED,
            message: format!("{aside}; in Enforce, {message}"),
        },
        None => match subject.migration.stranded.iter().next() {
            // Pools are left for it, and for this pod no node of theirs.
            Some((name, (code, sentence))) if matches!(planned.outcome, PlacementOutcome::Placeable(_)) => {
                let more = and_more(subject.migration.stranded.len());
                let message = format!("pod {name}{more} waits for a node: {sentence}; {message}");
                ConditionContent { holds: false, reason: code, message }
            }
            Some(_) | None => ConditionContent { holds, reason, message },
        },
    }
}

/// What follows the first of `all` pods that a sentence is about.
fn and_more(all: usize) -> String {
    match all.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}

/// `Compliant`: every pod stands where it may.
pub(super) fn compliant<'a>(
    plan_context: PlanContext<'_, 'a>,
    planned: &PlannedWorkload<'a>,
    subject: &RecordSubject<'_, '_>,
    pool_of: &dyn Fn(&str) -> Option<usize>,
) -> ConditionContent {
    let PodCounts { total, placed, violating, expiring, .. } = subject.pods;
    if violating == 0 {
        let message = match (total, placed) {
            (0, _) => "it has no pod".to_owned(),
            (_, 0) => "none of its pods has a node yet".to_owned(),
            _ => number(placed, "pod stands where it may", "pods stand where they may"),
        };
        let ending = if expiring == 0 {
            String::new()
        } else {
            format!("; {} on nodes whose clearance is about to end", number(expiring, "of them is", "of them are"))
        };
        return ConditionContent {
            holds: true,
            reason: conditions::ALL_CLEARED,
            message: format!("{message}{ending}"),
        };
    }
    let mut places: BTreeMap<(Option<usize>, String), u32> = BTreeMap::new();
    for pod in subject.misplaced.iter().filter(|pod| pod.compliance.contains(&Compliance::Violating)) {
        let node = pod.pod.node.as_deref().unwrap_or_default();
        let pool = pool_of(node);
        let why = why(plan_context, planned, pod, node, pool);
        let count = places.entry((pool, why)).or_default();
        *count = count.saturating_add(1);
    }
    let mut told: Vec<&str> = Vec::new();
    for (_, why) in places.keys() {
        if !told.contains(&why.as_str()) {
            told.push(why);
        }
    }
    let of = number(placed, "pod", "pods");
    let stand = if violating == 1 { "stands where it" } else { "stand where they" };
    let message = format!("{violating} of {of} {stand} may not: {}", FewDisplay(told.iter()));
    ConditionContent { holds: false, reason: conditions::VIOLATING, message }
}

/// Why `pod` may not be on `node`, of `pool`.
fn why<'a>(
    plan_context: PlanContext<'_, 'a>,
    planned: &PlannedWorkload<'a>,
    pod: &MisplacedPod<'_>,
    node: &str,
    pool: Option<usize>,
) -> String {
    let refused = pod
        .requirements
        .policies
        .iter()
        .find_map(|required| required.need.as_ref().err()?.first().map(ToString::to_string));
    if let Some(refused) = refused {
        return format!("nobody can say where its pods may be: {refused}");
    }
    let Some((pool, clearance)) =
        pool.and_then(|index| Some((plan_context.pool(index)?, plan_context.pools().get(index)?)))
    else {
        return format!("node {node} is of no pool; describe it in a PlacementPool, or move the pod");
    };
    let reasons = plan_context.demand(planned).map(|demand| demand.reasons(clearance)).unwrap_or_default();
    let held_higher = plan_context.held_higher(planned);
    match reasons.as_slice() {
        [] => format!("pool {} lacks what the pod's own annotations ask for", pool.name),
        [one] => format!("pool {}: {one}{held_higher}", pool.name),
        [first, rest @ ..] => {
            let more = counted(rest.len(), "reason more", "reasons more");
            format!("pool {}: {first} (and {more}){held_higher}", pool.name)
        }
    }
}

/// `Migrating`: pods are being moved, or wait for their turn.
pub(super) fn migrating(migration: &MigrationStatus, misplaced: &[&MisplacedPod<'_>]) -> ConditionContent {
    let MigrationStatus { moving, waiting, kept, stranded: _, awaited_ready: _, violating: _ } = migration;
    if *moving > 0 {
        let message = format!("{} being moved", number(*moving, "pod is", "pods are"));
        return ConditionContent { holds: true, reason: conditions::MOVING, message };
    }
    if let Some(wait) = waiting {
        let when = match wait {
            MoveWait::Turn => "it is their turn",
            MoveWait::Stamps => "nodes that have lost a clearance carry it no more",
            MoveWait::StableFacts => "what is recorded has not changed for two seconds",
        };
        let message = format!("its pods are moved when {when}");
        return ConditionContent { holds: true, reason: conditions::WAITING, message };
    }
    // What is replaced by its own controller is on its way; what stays is told first.
    let is_under_way = |code: &str| code == conditions::ROLLOUT_UNDER_WAY;
    let stays = kept.iter().find(|(_, (code, _))| !is_under_way(code));
    if let Some((name, (code, sentence))) = stays.or_else(|| kept.iter().next()) {
        let more = and_more(kept.len());
        let message = format!("pod {name}{more}: {sentence}");
        return ConditionContent { holds: is_under_way(code), reason: code, message };
    }
    let wrong = misplaced.iter().filter(|pod| pod.worst() != Compliance::Compliant);
    let message = match wrong.filter(|pod| pod.pod.terminating).count() {
        0 => "no pod of it is to be moved".to_owned(),
        1 => format!("the pod that stands wrong is being deleted, and counts until it is gone; {HANGS}"),
        many => format!("the {many} pods that stand wrong are being deleted, and count until they are gone; {HANGS}"),
    };
    ConditionContent { holds: false, reason: conditions::NOTHING_TO_MOVE, message }
}

/// What to look at when a deletion does not end.
const HANGS: &str = "if that does not end, see their metadata.finalizers";
