//! Unobserved losses when a replica begins to lead: what counts as one, and what ended as it was meant to.

use super::{
    workloads::{owned_by, pod as pod_of},
    *,
};
use crate::operator::reconcile::migration::UnobservedLoss;

const POOL: &str = "rempart.node-restriction.kubernetes.io/pool";

/// The first look at nodes that carry a clearance, at `at`, where `edit` has been done to the policy.
fn first_look(at: &str, pools: &[Value], edit: impl FnOnce(&mut Value)) -> bool {
    let mut policy = policy("Enforce");
    edit(&mut policy);
    let stamped = node("n", &json!({"pool": "p", POOL: "p", CLEARED: "true"}));
    let mut cluster = Cluster::listed(&[policy], pools, &[stamped]);
    cluster.at = instant(at);
    let _ = cluster.engine.cycle(cluster.at, cluster.now);
    UnobservedLoss::find(&cluster.engine.cache, &cluster.engine.evaluation, cluster.at, cluster.now).is_some()
}

#[test]
fn a_clearance_that_is_still_granted_is_not_lost() {
    assert!(!first_look("2026-03-01T12:00:00Z", &[pool("p")], |_| ()));
}

#[test]
fn a_clearance_that_ended_with_its_certificate_was_meant_to() {
    assert!(!first_look("2026-07-01T00:00:00Z", &[pool("p")], |_| ()));
    assert!(!first_look("2027-07-01T00:00:00Z", &[pool("p")], |_| ()), "however long ago");
}

#[test]
fn a_clearance_that_a_pool_or_a_policy_took_with_it_is_lost() {
    assert!(first_look("2026-03-01T12:00:00Z", &[], |_| ()), "the pool is gone");
    let asks = |what: &'static str| {
        move |policy: &mut Value| policy["spec"]["levels"][1]["require"] = json!({"qualifications": [what]})
    };
    assert!(first_look("2026-03-01T12:00:00Z", &[pool("p")], asks("secnumcloud")), "the level asks for more");
    assert!(
        first_look("2026-07-01T00:00:00Z", &[pool("p")], asks("secnumcloud")),
        "that a certificate ended too is chance"
    );
}

#[test]
fn who_takes_over_long_after_a_change_that_no_leader_saw_moves_nothing_by_itself() {
    let mut cluster = Cluster::with_api("Enforce");
    // Half of a level would not be stopped.
    cluster.put(&pod_of("api-1-b", &owned_by("ReplicaSet", "api-1", 2), Some("n")));
    cluster.engine.lead(false);
    cluster.edit_policy(|policy| {
        policy["metadata"]["generation"] = json!(2);
        policy["spec"]["levels"][1]["require"] = json!({"qualifications": ["secnumcloud"]});
    });
    // It stands by, and has long forgotten what held before.
    for _ in 0..120 {
        cluster.wait(1_000);
        assert_eq!(cluster.step(), [""; 0], "it does not lead");
    }
    cluster.engine.lead(true);
    cluster.log.clear();
    cluster.go_on();
    let (status, reason, message) = cluster.condition("MoveStopped");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "TooManyAtOnce"), "{message}");
    let moves: Vec<_> = cluster.log.iter().filter(|line| line.contains("rollout") || line.contains("evict")).collect();
    assert!(moves.is_empty(), "{moves:?}");
}
