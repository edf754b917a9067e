//! Cycle reports: why nothing was written, as data.

use super::moves::{declined, stopped};
use super::*;
use crate::operator::engine::report::CycleStage;

/// What the latest report says is held, as `stage: reason`.
fn held(cluster: &Cluster) -> Vec<String> {
    let report = cluster.engine.reports().latest().to_json();
    let stages = report["held"].as_object().unwrap();
    let reasons = stages
        .iter()
        .flat_map(|(stage, held)| held.as_object().unwrap().keys().map(move |reason| format!("{stage}: {reason}")));
    reasons.collect()
}

fn examples(cluster: &Cluster, stage: &str, reason: &str) -> Value {
    cluster.engine.reports().latest().to_json()["held"][stage][reason]["examples"].clone()
}

#[test]
fn what_is_waited_for_before_anything_is_written_is_told() {
    let mut cluster = Cluster::new();
    cluster.list_nodes(&[]);
    cluster.step();
    assert_eq!(held(&cluster), ["cycle: NotSynced"]);
    cluster.list_all_but_nodes(&[policy("Enforce")], &[pool("p")]);
    cluster.engine.lead(false);
    cluster.step();
    assert_eq!(held(&cluster), ["cycle: NotLeading"]);
    cluster.engine.lead(true);
    for key in targets(&cluster.engine.cycle(cluster.at, cluster.now)) {
        cluster.engine.on_write_result(&key, Err(WriteError::Deadline), cluster.now);
    }
    cluster.step();
    assert_eq!(held(&cluster), ["cycle: ApiServerAbsent"]);
    cluster.rest();
    assert_eq!(held(&cluster), [""; 0], "at rest nothing is held");
}

#[test]
fn a_report_names_what_admission_waits_for() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    while cluster.admission(AdmissionKind::MutatingBinding).is_empty() {
        cluster.step();
    }
    cluster.step();
    assert_eq!(examples(&cluster, "admission", "AdmissionPropagating"), json!(["PlacementPolicy state"]));
}

#[test]
fn a_report_says_why_pods_are_not_moved() {
    let mut cluster = Cluster::with_db(&policy("Enforce"));
    cluster.engine.lead(true);
    let (mut settling, mut refused) = (false, false);
    for _ in 0..40 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let key = request.target();
            let outcome = match key {
                WriteTarget::Eviction(_) => Err(declined(403, "not now")),
                _ => Ok(cluster.perform(request)),
            };
            cluster.engine.on_write_result(&key, outcome, cluster.now);
        }
        settling |= examples(&cluster, "migration", "FactsSettling") == json!(["StatefulSet shop/db"]);
        refused |= examples(&cluster, "migration", "Blocked") == json!(["Pod shop/db-0: DisruptionBudget"]);
    }
    assert!(settling && refused, "settling: {settling}, refused: {refused}");

    let mut cluster = Cluster::with_db(&stopped());
    cluster.engine.lead(true);
    cluster.go_on();
    assert_eq!(examples(&cluster, "migration", "CircuitBreaker"), json!(["Pod shop/db-0: MoveStopped"]));
}

#[test]
fn a_report_counts_what_was_asked_for_and_what_is_on_its_way() {
    let mut cluster = Cluster::listed(&[], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    let requests = cluster.engine.cycle(cluster.at, cluster.now);
    let report = cluster.engine.reports().latest();
    assert_eq!(report.requested.get("stamps"), Some(&1));
    assert_eq!(report.in_flight, report.requested);
    assert_eq!(report.requested.values().sum::<usize>(), requests.len());
    assert!(!report.held.contains_key(&CycleStage::Cycle), "{report:?}");
    let _ = cluster.engine.cycle(cluster.at, cluster.now);
    let report = cluster.engine.reports().latest();
    assert!(report.requested.is_empty() && !report.in_flight.is_empty(), "{report:?}");
}
