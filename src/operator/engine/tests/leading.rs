//! Leadership: a follower asks for nothing, and knows everything when it leads.

use super::*;
use crate::operator::lease::NotLeading;

fn labelled() -> Value {
    node("n", &json!({"pool": "p"}))
}

#[test]
fn who_follows_judges_and_asks_for_nothing() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[labelled()]);
    cluster.engine.lead(false);
    cluster.rest();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert!(cluster.engine.next_change().is_some(), "it knows when a certificate ends");
    // Nor does it when that has come, of which the leader tells.
    cluster.at = instant("2026-07-01T00:00:00Z");
    cluster.rest();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert_eq!(cluster.engine.next_change(), None);
}

#[test]
fn who_takes_over_does_at_once_what_was_left_to_do() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[labelled()]);
    cluster.engine.lead(false);
    cluster.rest();
    cluster.engine.lead(true);
    let first = cluster.step();
    for kind in ["finalizer", "stamps", "status"] {
        assert!(first.iter().any(|found| found == kind), "{kind} is not in {first:?}");
    }
    cluster.rest();
    assert!(cluster.stamped("n", CLEARED));
    assert_eq!(cluster.condition("Enforced").0, "True");
}

#[test]
fn who_takes_over_what_is_in_order_writes_nothing() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[labelled()]);
    cluster.rest();
    cluster.engine.lead(false);
    cluster.rest();
    cluster.log.clear();
    cluster.engine.lead(true);
    cluster.rest();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
}

#[test]
fn what_was_refused_for_want_of_the_lease_is_asked_for_again_without_a_wait() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[labelled()]);
    let kinds = |writes: &[WriteRequest]| writes.iter().map(|write| write.target().kind()).collect::<Vec<_>>();
    let asked = cluster.engine.cycle(cluster.at, cluster.now);
    assert!(!asked.is_empty());
    for key in targets(&asked) {
        cluster.engine.on_write_result(&key, Err(WriteError::NotLeading(NotLeading)), cluster.now);
    }
    assert!(cluster.engine.cycle(cluster.at, cluster.now).is_empty(), "it follows");
    cluster.engine.lead(true);
    assert_eq!(kinds(&cluster.engine.cycle(cluster.at, cluster.now)), kinds(&asked));
}

#[test]
fn an_ending_policy_is_ended_by_whoever_leads_then() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[]);
    cluster.rest();
    let left = |cluster: &Cluster| cluster.admission.len();
    let before = left(&cluster);
    let mut ending = cluster.policies["state"].clone();
    ending["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z");
    cluster.policies.insert("state".into(), ending.clone());
    let record = cluster.record::<PlacementPolicy>(&ending);
    cluster.engine.observe(Observation::Policy(WatchChange::Applied("state".into(), record)));
    // The leader ends its validations, and is lost; its follower has seen that, and waited.
    cluster.step();
    let freed = left(&cluster);
    assert!(freed > 0 && freed < before);
    cluster.engine.lead(false);
    for _ in 0..2 {
        cluster.wait(5_000);
        assert!(cluster.step().is_empty());
    }
    assert_eq!(left(&cluster), freed);
    cluster.engine.lead(true);
    cluster.rest();
    assert_eq!(left(&cluster), 0);
}
