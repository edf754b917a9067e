//! Engine tests against a cluster that is a few maps: what is written, in which order, and when it rests.

mod cluster;
mod history;
mod leading;
mod moves;
mod records;
mod reports;
mod unobserved_loss;
mod webhook;
mod workloads;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use kube::api::ObjectMeta;
use serde_json::{Value, json};

use self::cluster::*;
use super::*;
use crate::{
    admission::{AdmissionKind, AdmissionObject, AdmissionObjects, AdmissionSettings, installed::InstalledAdmission},
    api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement},
    operator::{
        cache::{DeclaredObject, ObservedAdmission},
        names::FINALIZER,
        reconcile::{events::UNSENT, settings::MoveLimits},
        watch::{node::PartialNode, partial::DecodedObject, record::RecordDigest},
    },
};
use rempart_core::workload::WorkloadKind;

#[test]
fn nothing_is_written_before_every_kind_is_listed() {
    let mut cluster = Cluster::new();
    let stale = node("n", &json!({"pool": "p", CLEARED: "true"}));
    cluster.list_nodes(std::slice::from_ref(&stale));
    assert!(cluster.step().is_empty());
    cluster.list_all_but_nodes(&[policy("Enforce")], &[pool("p")]);
    assert!(!cluster.step().is_empty());
    assert!(cluster.stamped("n", CLEARED));
}

#[test]
fn nodes_carry_the_stamps_of_their_pool_and_lose_those_of_others() {
    let mut cluster = Cluster::listed(
        &[policy("Enforce")],
        &[pool("p"), pool("q")],
        &[
            node("mine", &json!({"pool": "p", "else": "kept"})),
            node("nobodys", &json!({"pool": "x", CLEARED: "true", "else": "kept"})),
        ],
    );
    cluster.rest();
    assert!(cluster.stamped("mine", CLEARED) && cluster.stamped("mine", rempart_core::keys::POOL));
    assert_eq!(cluster.nodes["nobodys"]["metadata"]["labels"], json!({"pool": "x", "else": "kept"}));
}

#[test]
fn a_pool_is_withdrawn_while_another_that_outlasts_it_has_a_node() {
    let mut policy = policy("Enforce");
    policy["spec"]["levels"][1]["onClearanceLoss"] = json!({"leadTime": "720h"});
    let mut second = pool("q");
    second["spec"]["zone"] = json!("later");
    let mut cluster = Cluster::listed(&[policy], &[pool("p"), second], &[node("first", &json!({"pool": "p"}))]);
    let mut provider = provider();
    provider["metadata"]["generation"] = json!(2);
    let offer = &mut provider["spec"]["offers"][0];
    let zone = |name: &str, region: &str| json!({"name": name, "region": region, "country": "FR"});
    offer["zones"] = json!([zone("z", "r"), zone("later", "later")]);
    offer["qualifications"] = json!([
        {"scheme": "hds", "validFrom": "2026-01-01", "validUntil": "2026-06-30", "regions": ["r"]},
        {"scheme": "hds", "validFrom": "2026-01-01", "regions": ["later"]},
    ]);
    let record = cluster.record(&provider);
    cluster.engine.observe(Observation::Provider(WatchChange::Applied("acme".into(), record)));
    let due = |cluster: &mut Cluster| {
        // Statuses are not what is tried here.
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let key = request.target();
            let seen = if key.is_status() { None } else { cluster.perform(request) };
            cluster.engine.on_write_result(&key, Ok(seen), cluster.now);
        }
    };
    due(&mut cluster);
    assert!(cluster.stamped("first", CLEARED));
    assert_eq!(
        cluster.engine.next_change(),
        Some(instant("2026-06-01T00:00:00Z")),
        "it wakes when the lead time begins"
    );
    cluster.at = instant("2026-06-01T00:00:00Z");
    due(&mut cluster);
    assert!(cluster.stamped("first", CLEARED), "where there is no node nothing can go");

    let second = node("second", &json!({"pool": "q"}));
    cluster.nodes.insert("second".into(), second.clone());
    let slim = cluster.slim(&second);
    cluster.engine.observe(Observation::Node(WatchChange::Applied("second".into(), slim)));
    due(&mut cluster);
    due(&mut cluster);
    assert!(!cluster.stamped("first", CLEARED) && cluster.stamped("second", CLEARED));
    let ruling = &cluster.engine.evaluation;
    let held = &ruling.retained["p"];
    assert!(held.contains_key(CLEARED) && !ruling.stamps["p"].contains_key(CLEARED), "it is cleared all the same");

    let version = cluster.next_version().parse().unwrap();
    cluster.engine.observe(Observation::Node(WatchChange::Deleted("second".into(), version)));
    due(&mut cluster);
    due(&mut cluster);
    assert!(cluster.stamped("first", CLEARED), "the last pool with a node is kept");
}

#[test]
fn at_rest_unrelated_news_writes_nothing() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.rest();
    let written = cluster.log.len();
    let again = cluster.nodes["n"].clone();
    let slim = cluster.slim(&again);
    cluster.engine.observe(Observation::Node(WatchChange::Applied("n".into(), slim)));
    cluster.edit_policy(|policy| policy["metadata"]["annotations"] = json!({"note": "seen"}));
    cluster.rest();
    assert_eq!(cluster.log[written..], [] as [String; 0]);
}

#[test]
fn a_policy_begins_with_finalizer_mutations_and_only_then_validations() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    cluster.rest();
    let order = |what: &str| cluster.log.iter().position(|line| line.starts_with(what)).unwrap();
    let steps = [
        order("finalizer"),
        order("admission MutatingAdmissionPolicyBinding"),
        order("admission ValidatingAdmissionPolicy "),
    ];
    assert!(steps.is_sorted_by(|a, b| a < b), "{:#?}", cluster.log);
    assert_eq!(cluster.condition("Enforced").0, "True");
}

#[test]
fn validations_wait_until_mutations_act() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    let has = |cluster: &Cluster| !cluster.admission(AdmissionKind::Validation).is_empty();
    while cluster.admission(AdmissionKind::MutatingBinding).is_empty() {
        cluster.step();
    }
    cluster.step();
    assert!(!has(&cluster) && cluster.engine.wake().is_some());
    cluster.wait(1900);
    cluster.step();
    assert!(!has(&cluster));
    cluster.wait(200);
    cluster.step();
    assert!(has(&cluster));
}

#[test]
fn a_policy_ends_with_its_validations_its_mutations_and_only_then_its_finalizer() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    cluster.rest();
    cluster.edit_policy(|policy| policy["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z"));
    let state = |cluster: &Cluster| {
        (
            cluster.admission(AdmissionKind::Validation).len(),
            cluster.admission(AdmissionKind::MutatingBinding).len(),
            cluster.policies["state"]["metadata"]["finalizers"] == json!([FINALIZER]),
        )
    };
    let mut seen = Vec::new();
    for half_seconds in 0..50 {
        // What is written shows in the next cycle.
        cluster.step();
        cluster.step();
        if seen.last().is_none_or(|(_, before)| *before != state(&cluster)) {
            seen.push((half_seconds, state(&cluster)));
        }
        cluster.wait(500);
    }
    let expected = [(0, (0, 5, true)), (20, (0, 0, true)), (40, (0, 0, false))];
    assert_eq!(seen, expected, "{:#?}", cluster.log);
}

/// What is told of an admission object, at a version.
type AdmissionChange<'a> = &'a dyn Fn(u64) -> WatchChange<ObservedAdmission>;

#[test]
fn what_is_gone_or_altered_of_the_chart_is_told_by_name_in_status_and_metrics() {
    let alter = |_| WatchChange::Applied("rempart-stamps".to_owned(), altered(1_000));
    let end = |version| WatchChange::Deleted("rempart-stamps".to_owned(), version);
    let add = |name: &'static str| move |version| WatchChange::Applied(name.to_owned(), altered(version));
    let (another, of_policy) = (add("rempart-another"), add("rempart.state.another"));
    let table: [(AdmissionKind, AdmissionChange<'_>, &str, &str, &str); 5] = [
        (AdmissionKind::ValidatingBinding, &end, "ValidatingAdmissionPolicyBinding", "rempart-stamps", "missing"),
        (AdmissionKind::Validation, &end, "ValidatingAdmissionPolicy", "rempart-stamps", "missing"),
        (AdmissionKind::Validation, &alter, "ValidatingAdmissionPolicy", "rempart-stamps", "altered"),
        // Whoever binds a mutation of ours elsewhere has pods completed that no policy governs.
        (AdmissionKind::MutatingBinding, &another, "MutatingAdmissionPolicyBinding", "rempart-another", "foreign"),
        (AdmissionKind::Validation, &of_policy, "ValidatingAdmissionPolicy", "rempart.state.another", "foreign"),
    ];
    for (kind, change, object, name, fault) in table {
        let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
        cluster.rest();
        assert_eq!(cluster.condition("Enforced").0, "True");
        let sample = |cluster: &Cluster| {
            let text = cluster.engine.metrics.text();
            text.lines()
                .filter(|line| line.starts_with("rempart_admission_faults{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert!(sample(&cluster).is_empty());
        let version = cluster.next_version().parse().unwrap();
        cluster.engine.observe(Observation::Admission(kind, change(version)));
        cluster.rest();
        let (status, reason, message) = cluster.condition("Enforced");
        assert_eq!((status.as_str(), reason.as_str()), ("False", "InstallationDiffers"));
        let expected = format!("not as the chart installs it: {object} {name} ({fault}); delete what is altered");
        assert!(message.starts_with(&expected), "{message}");
        let expected = format!("rempart_admission_faults{{kind=\"{object}\",name=\"{name}\",fault=\"{fault}\"}} 1");
        assert_eq!(sample(&cluster), [expected]);
    }
}

fn altered(version: u64) -> ObservedAdmission {
    ObservedAdmission { version, digest: 1, authorities: None, terminating: false, passes_for_ours: true }
}

#[test]
fn modes_bind_what_they_say() {
    for (mode, mutations, action) in [("Enforce", 5, "Deny"), ("Warn", 0, "Warn"), ("Audit", 0, "Audit")] {
        let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
        cluster.rest();
        cluster.edit_policy(|policy| {
            policy["spec"]["mode"] = mode.into();
            policy["metadata"]["generation"] = 2.into();
        });
        cluster.rest();
        assert_eq!(cluster.admission(AdmissionKind::MutatingBinding).len(), mutations, "{mode}");
        assert_eq!(cluster.actions(), [action.to_owned()].into());
        assert_eq!(cluster.condition("Enforced").0, if mode == "Enforce" { "True" } else { "False" });
    }
}

#[test]
fn a_policy_that_cannot_be_decoded_keeps_its_bindings_clears_nothing_and_says_so_once() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.rest();
    assert!(cluster.stamped("n", CLEARED));
    let before = cluster.admission.clone();
    cluster.edit_policy(|policy| {
        policy["spec"]["mode"] = "Maybe".into();
        policy["metadata"]["generation"] = 2.into();
    });
    cluster.rest();
    assert!(!cluster.stamped("n", CLEARED));
    assert_eq!(cluster.admission, before);
    let (status, reason, message) = cluster.condition("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "InvalidSpec"));
    assert!(message.contains("cannot be decoded") && message.contains("Maybe"), "{message}");
}

#[test]
fn the_end_of_a_certificate_takes_the_stamp_at_its_instant() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.rest();
    assert_eq!(cluster.engine.next_change(), Some(instant("2026-07-01T00:00:00Z")));
    cluster.at = instant("2026-06-30T23:59:59Z");
    cluster.rest();
    assert!(cluster.stamped("n", CLEARED));
    cluster.at = instant("2026-07-01T00:00:00Z");
    cluster.rest();
    assert!(!cluster.stamped("n", CLEARED) && cluster.stamped("n", rempart_core::keys::POOL));
    assert_eq!(cluster.engine.next_change(), None);
    assert!(cluster.log.iter().any(|line| line == "event PlacementPolicy state"));
}

#[test]
fn nodes_that_lose_a_clearance_come_first() {
    let stale: Vec<_> = ["y", "z"].iter().map(|name| node(name, &json!({CLEARED: "true"}))).collect();
    let fresh: Vec<_> = ["a", "b"].iter().map(|name| node(name, &json!({"pool": "p"}))).collect();
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[fresh, stale].concat());
    cluster.rest();
    let stamped: Vec<_> = cluster.log.iter().filter_map(|line| line.strip_prefix("stamps Node ")).collect();
    assert_eq!(stamped[..4], ["y", "z", "a", "b"]);
}

#[test]
fn a_failed_write_is_tried_again_after_a_while_and_not_before() {
    let mut cluster = Cluster::listed(&[], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    let stamps = |writes: &[WriteRequest]| writes.iter().any(|write| matches!(write, WriteRequest::LabelNode(..)));
    let writes = cluster.engine.cycle(cluster.at, cluster.now);
    assert!(stamps(&writes));
    for key in targets(&writes) {
        cluster.engine.on_write_result(&key, Err(WriteError::Deadline), cluster.now);
    }
    assert!(!stamps(&cluster.engine.cycle(cluster.at, cluster.now)));
    let wake = cluster.engine.wake().expect("asks to be woken");
    assert!(stamps(&cluster.engine.cycle(cluster.at, wake.max(cluster.now + Duration::from_millis(200)))));
}

#[test]
fn altered_and_deleted_bindings_are_restored_and_strange_ones_ended() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    cluster.rest();
    let before = cluster.log.len();
    let of_others = ObservedAdmission { passes_for_ours: false, ..altered(950_003) };
    let mut tell = |kind, change| cluster.engine.observe(Observation::Admission(kind, change));
    for (version, (kind, name)) in cluster.admission.keys().enumerate() {
        tell(*kind, WatchChange::Applied(name.clone(), altered(900_000 + version as u64)));
    }
    let gone = (AdmissionKind::ValidatingBinding, "rempart.state.workloads".to_owned());
    tell(gone.0, WatchChange::Deleted(gone.1.clone(), 950_000));
    tell(AdmissionKind::Validation, WatchChange::Applied("rempart.state.pods-strange".into(), altered(950_001)));
    tell(AdmissionKind::Validation, WatchChange::Applied("rempart.nobody.workloads".into(), altered(950_002)));
    tell(AdmissionKind::Validation, WatchChange::Applied("rempart-else".into(), of_others));
    cluster.version = 1_000_000;
    // What was in force is restored at once, whatever became of the mutations. So many go out at a time.
    cluster.step();
    cluster.step();
    for (kind, name) in cluster.admission.keys() {
        let line = format!("admission {} {name}", kind.as_str());
        assert!(cluster.log[before..].contains(&line), "{line} in {:#?}", &cluster.log[before..]);
    }
    cluster.rest();
    let stores = &cluster.engine.cache.admission;
    let known = |kind| -> Vec<_> { stores.of(kind).iter().map(|(name, _)| name.clone()).collect() };
    assert!(known(AdmissionKind::Validation).contains(&"rempart-else".to_owned()), "it is not a policy's");
    for name in ["rempart.state.pods-strange", "rempart.nobody.workloads"] {
        assert!(!known(AdmissionKind::Validation).contains(&name.to_owned()), "{name}");
    }
    assert_eq!(cluster.condition("Enforced").1, "Bound");
}

fn not_found(name: &str) -> WriteError {
    let details = json!({"name": name});
    let status =
        json!({"status": "Failure", "code": 404, "reason": "NotFound", "message": "not found", "details": details});
    WriteError::Api(kube::Error::Api(serde_json::from_value(status).unwrap()))
}

#[test]
fn a_policy_that_comes_to_enforce_goes_on_warning_until_mutations_act() {
    let mut cluster = Cluster::listed(&[policy("Warn")], &[], &[]);
    cluster.rest();
    assert_eq!(cluster.actions(), ["Warn".to_owned()].into());
    cluster.edit_policy(|policy| {
        policy["spec"]["mode"] = "Enforce".into();
        policy["metadata"]["generation"] = 2.into();
    });
    while cluster.admission(AdmissionKind::MutatingBinding).is_empty() {
        cluster.step();
    }
    cluster.step();
    cluster.wait(1900);
    cluster.step();
    assert_eq!(cluster.actions(), ["Warn".to_owned()].into());
    cluster.wait(200);
    cluster.step();
    assert!(cluster.actions().contains("Deny"));
    cluster.rest();
    assert_eq!(cluster.actions(), ["Deny".to_owned()].into());
}

#[test]
fn what_cannot_be_decoded_is_told_once_though_time_passes_and_writes_fail() {
    let mut broken = policy("Enforce");
    broken["spec"]["mode"] = "Maybe".into();
    let mut cluster = Cluster::listed(&[broken], &[], &[]);
    let mut written = 0;
    for round in 0..40 {
        cluster.at = Timestamp::from_seconds(cluster.at.timestamp().as_second() + 1);
        cluster.wait(1000);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let key = request.target();
            let outcome = match &key {
                WriteTarget::PolicyStatus(_) if round < 10 => Err(WriteError::Deadline),
                _ => Ok(cluster.perform(request)),
            };
            written += usize::from(outcome.is_ok() && matches!(key, WriteTarget::PolicyStatus(_)));
            cluster.engine.on_write_result(&key, outcome, cluster.now);
        }
    }
    assert_eq!(written, 1);
}

#[test]
fn a_node_that_was_made_anew_outlives_the_news_that_the_old_one_is_gone() {
    let mut cluster = Cluster::listed(&[], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    let writes = cluster.engine.cycle(cluster.at, cluster.now);
    let key = targets(&writes).into_iter().find(|key| matches!(key, WriteTarget::NodeLabels(_))).unwrap();
    let anew = cluster.nodes["n"].clone();
    let slim = cluster.slim(&anew);
    cluster.engine.observe(Observation::Node(WatchChange::Applied("n".into(), slim)));
    cluster.engine.on_write_result(&key, Err(not_found("n")), cluster.now);
    cluster.rest();
    assert!(cluster.stamped("n", rempart_core::keys::POOL));
}

#[test]
fn an_api_server_that_finds_nothing_at_all_has_not_lost_the_node() {
    let mut cluster = Cluster::listed(&[], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    for key in targets(&cluster.engine.cycle(cluster.at, cluster.now)) {
        cluster.engine.on_write_result(&key, Err(not_found("")), cluster.now);
    }
    assert!(cluster.engine.cycle(cluster.at, cluster.now).is_empty(), "tried again after a while and not before");
    cluster.rest();
    assert!(cluster.stamped("n", rempart_core::keys::POOL));
}

#[test]
fn a_clock_that_is_set_back_brings_back_what_it_had_ended() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.at = instant("2027-03-01T12:00:00Z");
    cluster.rest();
    assert!(!cluster.stamped("n", CLEARED));
    cluster.at = instant("2026-03-01T12:00:00Z");
    cluster.rest();
    assert!(cluster.stamped("n", CLEARED));
}

#[test]
fn however_many_statuses_differ_stamps_are_written() {
    let pools: Vec<_> = (0..20).map(|i| pool(&format!("p{i}"))).collect();
    let mut cluster = Cluster::listed(&[], &pools, &[]);
    let writes = cluster.engine.cycle(cluster.at, cluster.now);
    let statuses = targets(&writes).iter().filter(|key| key.is_status()).count();
    assert_eq!(statuses, 2, "as many as are written at a time");
    let slim = cluster.slim(&node("n", &json!({"pool": "p1"})));
    cluster.engine.observe(Observation::Node(WatchChange::Applied("n".into(), slim)));
    let writes = cluster.engine.cycle(cluster.at, cluster.now);
    assert!(writes.iter().any(|write| matches!(write, WriteRequest::LabelNode(..))), "{writes:?}");
}

#[test]
fn an_api_server_that_is_away_is_not_asked_for_every_node() {
    let nodes: Vec<_> = (0..500).map(|i| node(&format!("n{i}"), &json!({"pool": "p"}))).collect();
    let mut cluster = Cluster::listed(&[], &[pool("p")], &nodes);
    let mut asked = 0;
    for _ in 0..600 {
        cluster.wait(100);
        for key in targets(&cluster.engine.cycle(cluster.at, cluster.now)) {
            asked += usize::from(matches!(key, WriteTarget::NodeLabels(_)));
            cluster.engine.on_write_result(&key, Err(WriteError::Deadline), cluster.now);
        }
    }
    assert!((10..60).contains(&asked), "asked {asked} times in a minute");
    cluster.wait(5000);
    cluster.rest_within(3000);
    assert!((0..500).all(|i| cluster.stamped(&format!("n{i}"), rempart_core::keys::POOL)));
}

#[test]
fn mutations_that_are_on_their_way_out_are_not_taken_for_those_to_come() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    cluster.rest();
    let mode = |cluster: &mut Cluster, mode: &str, generation: u64| {
        cluster.edit_policy(|policy| {
            policy["spec"]["mode"] = mode.into();
            policy["metadata"]["generation"] = generation.into();
        });
    };
    mode(&mut cluster, "Warn", 2);
    let mut ends = 0;
    for _ in 0..30 {
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            if let WriteRequest::DeleteAdmission(AdmissionKind::MutatingBinding, ..) = request {
                ends += 1;
                continue;
            }
            let key = request.target();
            let seen = cluster.perform(request);
            cluster.engine.on_write_result(&key, Ok(seen), cluster.now);
        }
        cluster.wait(500);
    }
    assert_eq!(ends, 5);
    // The answers to these are still out when the officer changes their mind.
    mode(&mut cluster, "Enforce", 3);
    for _ in 0..8 {
        let writes = cluster.engine.cycle(cluster.at, cluster.now);
        let denies =
            |write: &WriteRequest| matches!(write.target(), WriteTarget::Admission(AdmissionKind::Validation, _));
        assert!(!writes.iter().any(denies), "{writes:?}");
        cluster.wait(500);
    }
}

#[test]
fn a_policy_that_governs_no_namespace_says_so_while_it_is_so() {
    let mut selective = policy("Enforce");
    selective["spec"]["namespaceSelector"] = json!({"matchLabels": {"team": "a"}});
    let mut cluster = Cluster::listed(&[selective], &[], &[]);
    cluster.space(&json!({"team": "b"}));
    cluster.rest();
    let says_so = |cluster: &Cluster| {
        let (status, reason, message) = cluster.condition("Enforced");
        assert_eq!((status.as_str(), reason.as_str()), ("True", "Bound"));
        message.contains("no namespace that exists is governed by it")
    };
    assert!(says_so(&cluster));
    cluster.space(&json!({"team": "a"}));
    cluster.rest();
    assert!(!says_so(&cluster));
    let absent: Vec<_> = cluster.engine.absent_exempt_namespaces().collect();
    assert_eq!(absent, [EXEMPT]);
}

#[test]
fn a_policy_is_enforced_when_api_servers_have_taken_its_bindings_up() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    while cluster.admission(AdmissionKind::ValidatingBinding).is_empty() {
        cluster.wait(500);
        cluster.step();
    }
    cluster.wait(600);
    cluster.step();
    assert_eq!(cluster.condition("Enforced").1, "Settling");
    cluster.rest();
    assert_eq!(cluster.condition("Enforced").1, "Bound");
}

#[test]
fn a_policy_is_held_until_what_is_refused_to_end_is_known_to_be_gone() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[], &[]);
    cluster.rest();
    let held = WriteTarget::Admission(AdmissionKind::Validation, "rempart.state.pods".to_owned());
    cluster.edit_policy(|policy| policy["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z"));
    let (mut asked, mut released) = (0, None);
    for round in 0..160 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let target = request.target();
            let is_held = target == held;
            if let WriteRequest::SetFinalizers { .. } = request {
                released = released.or(Some(round));
            }
            asked += usize::from(is_held);
            // For fifteen seconds it is refused.
            let outcome =
                if is_held && round < 30 { Err(moves::declined(403, "not now")) } else { Ok(cluster.perform(request)) };
            cluster.engine.on_write_result(&target, outcome, cluster.now);
        }
    }
    assert!(asked > 2, "{asked}");
    assert!(released.is_some_and(|round| round >= 30), "{released:?}");
}

#[test]
fn however_much_people_are_to_be_told_it_waits_its_turn() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[]);
    cluster.rest();
    let told = |number: usize| {
        let (policy, at) = (format!("policy-{number}"), instant("2026-03-01T12:00:00Z"));
        EventRequest::of_policy(&policy, None, "ClearanceChanged", String::new(), at)
    };
    cluster.engine.events.enqueue((0..UNSENT + 10).map(told));
    let sent = cluster.engine.cycle(cluster.at, cluster.now);
    let sent: Vec<_> =
        targets(&sent).iter().filter(|key| matches!(key, WriteTarget::Event { .. })).map(WriteTarget::object).collect();
    assert_eq!(sent, ["PlacementPolicy policy-10"], "the oldest are dropped when there are too many");
    assert_eq!(cluster.engine.events.waiting(), UNSENT - 1);
    assert!(cluster.engine.cycle(cluster.at, cluster.now).is_empty(), "the next when that one has ended");
}

#[test]
fn without_any_policy_nothing_is_undone_of_one_that_nobody_was_seen_to_delete() {
    let labels = json!({"pool": "p", CLEARED: "true"});
    let mut cluster = Cluster::listed(&[], &[pool("p")], &[node("n", &labels)]);
    // What admission has of a policy, and a label that passes for a stamp.
    for (version, name) in (2_000..).zip(["rempart.state.pods", "rempart.state.workloads"]) {
        let change = WatchChange::Applied(name.to_owned(), altered(version));
        cluster.engine.observe(Observation::Admission(AdmissionKind::Validation, change));
    }
    cluster.version = 10_000;
    cluster.rest();
    assert_eq!(cluster.log, [""; 0]);
    assert!(cluster.stamped("n", CLEARED));
    let faults = cluster.engine.metrics.text();
    assert!(faults.contains("name=\"rempart.state.pods\",fault=\"orphaned\"} 1"), "{faults}");
    // It is applied again, and what it must have is put right.
    cluster.policies.insert("state".into(), policy("Enforce"));
    cluster.edit_policy(|_| ());
    cluster.rest();
    assert!(
        cluster.log.contains(&"admission ValidatingAdmissionPolicy rempart.state.pods".to_owned()),
        "{:#?}",
        cluster.log
    );
    // Who deletes it then is heard.
    cluster.edit_policy(|policy| policy["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z".into());
    cluster.rest();
    assert!(cluster.admission(AdmissionKind::Validation).is_empty());
}
