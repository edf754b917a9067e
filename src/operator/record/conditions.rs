//! What the conditions of a record say.

use std::collections::BTreeMap;

use crate::api::conditions;

use super::{Motion, Said, Subject, number};
use rempart_core::{
    plan::{Free, Outcome, Outlook, Planned, Stuck},
    standing::{Footing, Misplaced, Tally},
    text::{Few, counted},
};

/// Whether some cleared pool is left. With `aside`, that comes first, and nobody is kept from anything.
pub(super) fn placeable<'a>(outlook: Outlook<'_, 'a>, planned: &Planned<'a>, aside: Option<&str>) -> Said {
    let (holds, reason) = match planned.outcome {
        Outcome::Placeable(_) => (true, conditions::POOLS_CLEARED),
        Outcome::Unrestricted(Free::NotEnforced) => (true, conditions::NOT_ENFORCED),
        Outcome::Unrestricted(_) => (true, conditions::NOTHING_REQUIRED),
        Outcome::Unplaceable(Stuck::NoPool) => (false, conditions::NO_CLEARED_POOL),
        Outcome::Unplaceable(Stuck::NoNode) => (false, conditions::NO_CLEARED_NODE),
        Outcome::Unplaceable(Stuck::OwnWishes) => (false, conditions::OWN_WISHES),
        Outcome::Refused => (false, conditions::REFUSED),
    };
    let message = outlook.message(planned);
    match aside {
        // Nobody is kept from anything.
        Some(aside) => {
            Said { holds: true, reason: conditions::NOT_ENFORCED, message: format!("{aside}; in Enforce, {message}") }
        }
        None => Said { holds, reason, message },
    }
}

/// Whether every pod stands where it may.
pub(super) fn compliant<'a>(
    outlook: Outlook<'_, 'a>,
    planned: &Planned<'a>,
    subject: &Subject<'_, '_>,
    pool_of: &dyn Fn(&str) -> Option<usize>,
) -> Said {
    let Tally { total, placed, violating, leaving, .. } = subject.pods;
    if violating == 0 {
        let message = match (total, placed) {
            (0, _) => "it has no pod".to_owned(),
            (_, 0) => "none of its pods has a node yet".to_owned(),
            _ => number(placed, "pod stands where it may", "pods stand where they may"),
        };
        let ending = if leaving == 0 {
            String::new()
        } else {
            format!("; {} on nodes whose clearance is about to end", number(leaving, "of them is", "of them are"))
        };
        return Said { holds: true, reason: conditions::ALL_CLEARED, message: format!("{message}{ending}") };
    }
    let mut places: BTreeMap<(Option<usize>, String), u32> = BTreeMap::new();
    for pod in subject.misplaced.iter().filter(|pod| pod.footings.contains(&Footing::Violating)) {
        let node = pod.pod.node.as_deref().unwrap_or_default();
        let pool = pool_of(node);
        let why = why(outlook, planned, pod, node, pool);
        let count = places.entry((pool, why)).or_default();
        *count = count.saturating_add(1);
    }
    let told: Vec<_> = places.keys().map(|(_, why)| why.as_str()).collect();
    let of = number(placed, "pod", "pods");
    let stand = if violating == 1 { "stands where it" } else { "stand where they" };
    let message = format!("{violating} of {of} {stand} may not: {}", Few(told.iter()));
    Said { holds: false, reason: conditions::VIOLATING, message }
}

/// Why `pod` may not be on `node`, of `pool`.
fn why<'a>(
    outlook: Outlook<'_, 'a>,
    planned: &Planned<'a>,
    pod: &Misplaced<'_>,
    node: &str,
    pool: Option<usize>,
) -> String {
    let refused = pod.needs.asked.iter().find_map(|asked| asked.need.as_ref().err()?.first().map(ToString::to_string));
    if let Some(refused) = refused {
        return format!("nobody can say where its pods may be: {refused}");
    }
    let Some((pool, clearance)) = pool.and_then(|index| Some((outlook.pool(index)?, outlook.pools().get(index)?)))
    else {
        return format!("node {node} is of no pool; describe it in a PlacementPool, or move the pod");
    };
    let reasons = outlook.demand(planned).map(|demand| demand.reasons(clearance)).unwrap_or_default();
    match reasons.as_slice() {
        [] => format!("pool {} lacks what the pod's own annotations ask for", pool.name),
        [one] => format!("pool {}: {one}", pool.name),
        [first, rest @ ..] => {
            format!("pool {}: {first} (and {})", pool.name, counted(rest.len(), "reason more", "reasons more"))
        }
    }
}

/// Whether pods are being moved.
pub(super) fn migrating(motion: &Motion) -> Said {
    let Motion { moving, waiting, kept } = motion;
    if *moving > 0 {
        let message = format!("{} being moved", number(*moving, "pod is", "pods are"));
        return Said { holds: true, reason: conditions::MOVING, message };
    }
    if *waiting {
        let message = "its pods are moved when it is their turn".to_owned();
        return Said { holds: true, reason: conditions::WAITING, message };
    }
    match kept.iter().next() {
        Some((name, (code, sentence))) => {
            let more = kept.len().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            Said { holds: false, reason: code, message: format!("pod {name}{more}: {sentence}") }
        }
        None => Said {
            holds: false,
            reason: conditions::NOTHING_TO_MOVE,
            message: "no pod of it is to be moved".to_owned(),
        },
    }
}
