//! Binds, evictions and deletions of a log.

use super::*;

#[test]
fn a_bind_is_held_against_the_facts() {
    let mut log = certified();
    log.placed(20.0, "good", "nord");
    log.pod(20.0, "public", &json!({}));
    log.bind(20.1, "public", "stray");
    let found = log.checked();
    assert_eq!((breaches(&found), found.binds, found.demanding, found.late), (vec![], 2, 1, 0));
    log.placed(21.0, "bad", "stray");
    let found = log.checked();
    assert_eq!(
        breaches(&found),
        ["pod claims/bad was bound to stray: level restricted of policy state: the node is of no pool"]
    );
    assert_eq!(found.breaches[0].at, at(21.02));
}

#[test]
fn every_demand_is_held_against_its_fact() {
    for (require, pointer, fact, said) in [
        (json!({"jurisdictions": {"operator": ["EU"]}}), "/spec/operator/jurisdiction", json!("US"), "operator is of"),
        (
            json!({"jurisdictions": {"controllingParty": ["FR", "DE"]}}),
            "/spec/controllingParty/jurisdiction",
            json!("CN"),
            "controllingParty is of",
        ),
        (
            json!({"jurisdictions": {"technology": ["EU", "CH"]}}),
            "/spec/offers/0/technology/0/jurisdiction",
            json!("NO"),
            "technology is of \"NO\"",
        ),
        (
            json!({"jurisdictions": {"technology": ["CH"]}}),
            "/spec/offers/0/technology",
            json!([]),
            "technology is of \"\"",
        ),
        (
            json!({"jurisdictions": {"data": ["EEA"]}}),
            "/spec/offers/0/zones/0/country",
            json!("GB"),
            "data is of \"GB\"",
        ),
        (
            json!({"notExposedTo": ["us-cloud-act"]}),
            "/spec/controllingParty/jurisdiction",
            json!("US"),
            "follows a party",
        ),
        (json!({"notExposedTo": ["us-fisa-702"]}), "/spec/offers/0/exposedTo", json!(["us-fisa-702"]), "is exposed to"),
        (json!({"notExposedTo": ["us-fisa-702"]}), "/spec/operator/jurisdiction", json!(null), "is unknown"),
        (
            json!({"qualifications": ["hds", "secnumcloud"]}),
            "/spec/offers/0/qualifications/0/validUntil",
            json!("2026-11-21"),
            "no qualification secnumcloud",
        ),
        (
            json!({"qualifications": ["secnumcloud"]}),
            "/spec/offers/0/qualifications/0/validFrom",
            json!("2026-11-23"),
            "no qualification secnumcloud",
        ),
        (
            json!({"qualifications": ["secnumcloud"]}),
            "/spec/offers/0/qualifications/0/regions",
            json!(["sud"]),
            "in region nord",
        ),
        (
            json!({"qualifications": ["hds"]}),
            "/spec/offers/0/qualifications/1/scheme",
            json!("c5"),
            "no qualification hds",
        ),
        (json!({"regions": {"deny": ["sud"]}}), "/spec/offers/0/zones/0/region", json!("sud"), "that are denied"),
        (json!({"regions": {"allow": ["nord"]}}), "/spec/offers/0/zones/0/region", json!("sud"), "that are allowed"),
        (json!({"maxPUE": 1.5}), "/spec/offers/0/zones/0/pue", json!(1.6), "pue is Some(1.6)"),
        (
            json!({"maxCarbonIntensity": 40}),
            "/spec/offers/0/zones/0/carbonIntensity",
            json!(null),
            "carbonIntensity is None",
        ),
        (
            json!({"jurisdictions": {"data": ["FR"]}}),
            "/spec/offers/0/zones/0/name",
            json!("other"),
            "stands on nothing",
        ),
    ] {
        let mut log = world(&require);
        log.placed(20.0, "good", "nord");
        assert_eq!(breaches(&log.checked()), Vec::<String>::new(), "{require}");
        let mut changed = provider();
        *changed.pointer_mut(pointer).unwrap() = fact;
        log.fact(30.0, "cloudproviders", &changed);
        log.placed(40.0, "bad", "nord");
        let found = breaches(&log.checked());
        assert!(found.len() == 1 && found[0].contains(said), "{require} {changed}: {found:?}");
    }
    for (require, said) in [
        (json!({"notExposedTo": ["zz-act"]}), "nobody has heard of zz-act"),
        (json!({"notExposedTo": ["xx-act"]}), "the offer is exposed to xx-act"),
        (json!({"providers": {"deny": ["nord"]}}), "providers that are denied"),
        (json!({"providers": {"allow": ["sud"]}}), "providers that are allowed"),
    ] {
        let mut log = world(&require);
        log.placed(20.0, "bad", "nord");
        let found = breaches(&log.checked());
        assert!(found.len() == 1 && found[0].contains(said), "{require}: {found:?}");
    }
}

#[test]
fn who_says_how_sensitive_a_pod_is_is_heard() {
    let of_namespace = |labels: Value| {
        let mut log = certified();
        let mut changed = namespace();
        changed["metadata"]["labels"] = labels;
        log.fact(1.0, "namespaces", &changed);
        log
    };
    for (labels, annotations, breach) in [
        (json!({"tenant": "state"}), json!({}), false),
        (json!({"tenant": "state"}), json!({"rempart.dev/sensitivity": "restricted"}), true),
        (json!({"tenant": "state"}), json!({"rempart.dev/workload-sensitivity": "secret"}), true),
        (json!({"tenant": "state", "rempart.dev/sensitivity": "restricted"}), json!({}), true),
        (
            json!({"tenant": "state", "rempart.dev/sensitivity": "restricted"}),
            json!({"rempart.dev/sensitivity": "public"}),
            true,
        ),
        (json!({"tenant": "other"}), json!({"rempart.dev/sensitivity": "restricted"}), false),
        (json!({"tenant": "state"}), json!({"rempart.dev/sensitivity": ""}), true),
        (json!({"tenant": "state"}), json!({"rempart.dev/categories": "remark"}), false),
        (json!({"tenant": "state"}), json!({"rempart.dev/categories": "remark,health"}), true),
        (json!({"tenant": "state", "rempart.dev/categories": "remark.health"}), json!({}), true),
        (json!({"tenant": "state"}), json!({"rempart.dev/workload-categories": "wealth"}), true),
    ] {
        let mut log = of_namespace(labels.clone());
        log.pod(20.0, "it", &annotations);
        log.bind(20.1, "it", "stray");
        assert_eq!(!log.checked().breaches.is_empty(), breach, "{labels} {annotations}");
    }
}

#[test]
fn whose_a_node_is_is_worked_out_from_foreign_labels_and_its_identifier() {
    let mut log = certified();
    let mut proven = pool();
    proven["spec"]["providerIDPrefix"] = json!("made:///nord/");
    log.fact(1.0, "placementpools", &proven);
    let mut pretender = node("pretender");
    pretender["metadata"]["labels"] = json!({"pool": "nord"});
    log.fact(1.0, "nodes", &pretender);
    let mut stamped = node("stamped");
    stamped["metadata"]["labels"] = json!({"pool": "x", "rempart.node-restriction.kubernetes.io/pool": "nord",
            "clearance.rempart.node-restriction.kubernetes.io/state.restricted": "true"});
    log.fact(1.0, "nodes", &stamped);
    log.placed(20.0, "good", "nord");
    log.placed(20.0, "bad", "pretender");
    log.placed(20.0, "worse", "stamped");
    log.placed(20.0, "nowhere", "no-node");
    assert_eq!(log.checked().breaches.len(), 3);
    // Two pools that claim it own it both, and neither.
    let mut rival = pool();
    rival["metadata"]["name"] = json!("rival");
    rival["spec"]["nodeSelector"] = json!({"matchExpressions": [{"key": "pool", "operator": "Exists"}]});
    log.fact(30.0, "placementpools", &rival);
    log.placed(40.0, "disputed", "nord");
    assert_eq!(log.checked().breaches.len(), 4);
    log.gone(50.0, "placementpools", "rival");
    log.placed(60.0, "again", "nord");
    assert_eq!(log.checked().breaches.len(), 4);
}

#[test]
fn all_policies_must_agree_and_only_those_that_enforce() {
    let mut log = certified();
    let mut other = policy(&json!({"providers": {"deny": ["nord"]}}));
    other["metadata"]["name"] = json!("other");
    other["spec"]["mode"] = json!("Audit");
    log.fact(1.0, "placementpolicies", &other);
    log.placed(20.0, "good", "nord");
    assert!(log.checked().breaches.is_empty());
    other["spec"]["mode"] = json!("Enforce");
    log.fact(30.0, "placementpolicies", &other);
    let enforced = 31.0 + admission_learns();
    log.placed(enforced, "bad", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
    // It is on its way out, held by a finalizer; and then it is gone.
    other["metadata"]["deletionTimestamp"] = json!(at(enforced + 10.0).to_string());
    other["metadata"]["finalizers"] = json!(["rempart.dev/policy"]);
    log.fact(enforced + 10.0, "placementpolicies", &other);
    log.placed(enforced + 20.0, "leaving", "nord");
    other["metadata"]["finalizers"] = json!([]);
    log.fact(enforced + 30.0, "placementpolicies", &other);
    log.placed(enforced + 40.0, "left", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
}

#[test]
fn an_exception_is_for_its_namespaces_pools_levels_and_days() {
    let granted = json!({"name": "legacy", "namespaces": ["claims"], "level": "restricted", "pools": ["nord"],
        "until": "2026-11-22", "reason": "r", "approvedBy": "a"});
    for (field, value, breach) in [
        ("name", json!("legacy"), false),
        ("namespaces", json!(["other"]), true),
        ("pools", json!(["sud"]), true),
        ("level", json!("public"), true),
        ("level", json!("secret"), false),
        ("until", json!("2026-11-21"), true),
    ] {
        let mut log = world(&json!({"qualifications": ["c5"]}));
        let mut changed = policy(&json!({"qualifications": ["c5"]}));
        let mut exception = granted.clone();
        exception[field] = value.clone();
        changed["spec"]["exceptions"] = json!([exception]);
        log.fact(1.0, "placementpolicies", &changed);
        log.placed(20.0, "it", "nord");
        assert_eq!(!log.checked().breaches.is_empty(), breach, "{field} {value}");
        // It waives no category.
        log.pod(30.0, "ill", &json!({"rempart.dev/categories": "health,wealth"}));
        log.bind(30.1, "ill", "nord");
        assert!(!log.checked().breaches.is_empty());
    }
}

/// The certificate ends by an edit at second 30.
fn revoked() -> AuditLogWriter {
    let mut log = certified();
    let mut changed = provider();
    changed["spec"]["offers"][0]["qualifications"] = json!([]);
    log.fact(30.0, "cloudproviders", &changed);
    log
}

#[test]
fn what_was_allowed_a_moment_before_is_late_and_what_was_longer_before_is_a_breach() {
    let mut log = revoked();
    log.pod(25.0, "late", &json!({"rempart.dev/sensitivity": "restricted"}));
    log.bind(31.01, "late", "nord");
    let found = log.checked();
    assert_eq!((breaches(&found), found.late), (vec![], 1));
    assert_eq!(found.latest, Duration::from_secs(1));
    log.placed(32.1, "too-late", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
    // Before a fact is a breach as well as after it.
    let mut early = revoked();
    early.fact(50.0, "cloudproviders", &provider());
    early.placed(49.9, "early", "nord");
    assert_eq!(early.checked().breaches.len(), 1);
    early.placed(50.1, "good", "nord");
    assert_eq!(early.checked().breaches.len(), 1);
}

#[test]
fn while_nobody_leads_facts_wait() {
    let mut log = revoked();
    log.placed(44.0, "unattended", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
    let nobody = |from, until| LeaderGap { from: at(from), until: at(until), why: "killed".to_owned() };
    let record = RunRecord { leader_gaps: vec![nobody(29.0, 43.0)], ..RunRecord::default() };
    assert!(log.checked_with(&record).breaches.is_empty());
    log.placed(45.1, "attended-again", "nord");
    assert_eq!(log.checked_with(&record).breaches.len(), 1);
    let elsewhere = RunRecord { leader_gaps: vec![nobody(20.0, 29.0)], ..RunRecord::default() };
    assert_eq!(log.checked_with(&elsewhere).breaches.len(), 2);
}

#[test]
fn a_day_that_begins_by_the_operators_clock_ends_a_certificate() {
    let days = |days: u64| Duration::from_hours(24 * days);
    let mut log = certified();
    log.placed(20.0, "good", "nord");
    log.placed(40.0, "it", "nord");
    let turned = |ahead| RunRecord { clock: vec![(at(30.0), ahead)], ..RunRecord::default() };
    // The last day is 8 days ahead.
    assert!(log.checked_with(&turned(days(8))).breaches.is_empty());
    assert_eq!(log.checked_with(&turned(days(9))).breaches.len(), 1);
    // Midnight of that day comes at 39.5: half a second is within the tolerance.
    let noon_to_midnight = Duration::from_millis(12 * 3_600_000 - 39_500);
    let found = log.checked_with(&turned(days(8) + noon_to_midnight));
    assert_eq!((breaches(&found), found.late), (vec![], 1));
    assert_eq!(found.latest, Duration::from_millis(520));
    let found = log.checked_with(&turned(days(8) + noon_to_midnight + Duration::from_secs(3)));
    assert_eq!(found.breaches.len(), 1);
}

#[test]
fn what_a_killed_api_server_did_not_write_down_is_repaired_by_a_list() {
    let mut log = certified();
    let mut lost = provider();
    lost["spec"]["offers"][0]["qualifications"] = json!([]);
    lost["metadata"]["resourceVersion"] = json!("100");
    log.revision = 100;
    log.listed(40.0, "cloudproviders", &[lost]);
    let pod = json!({"metadata": {"namespace": "claims", "name": "unwritten", "uid": "unwritten",
        "annotations": {"rempart.dev/sensitivity": "restricted"}, "creationTimestamp": at(35.0).to_string()}, "spec": {}});
    log.listed(41.0, "pods", &[pod]);
    // It is not known when the certificate was lost between 0 and 40.
    log.placed(39.0, "unknown", "nord");
    log.bind(41.5, "unwritten", "nord");
    assert_eq!(breaches(&log.checked()), Vec::<String>::new());
    log.bind(50.0, "unwritten", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
    // What is not in a list is gone, since some instant after it was last seen.
    let mut known = policy(&json!({"qualifications": ["secnumcloud"]}));
    known["metadata"]["resourceVersion"] = json!("3");
    log.listed(51.0, "placementpolicies", &[known]);
    log.listed(60.0, "placementpolicies", &[]);
    log.placed(70.0, "free", "nord");
    assert_eq!(log.checked().breaches.len(), 1);
}

#[test]
fn the_operator_evicts_and_never_deletes_a_pod_that_stands() {
    let operator = "system:serviceaccount:rempart-system:rempart";
    let mut log = certified();
    log.placed(20.0, "stands", "nord");
    log.pod(20.0, "waits", &json!({}));
    log.event(30.0, operator, "create", "pods/eviction", ("claims", "stands"), 429);
    log.event(31.0, operator, "create", "pods/eviction", ("claims", "stands"), 201);
    log.event(31.0, "somebody", "delete", "pods", ("claims", "stands"), 200);
    log.event(32.0, operator, "delete", "pods", ("claims", "waits"), 200);
    let found = log.checked();
    assert_eq!((found.refused, found.evictions, found.unbound_deleted, breaches(&found)), (1, 1, 1, vec![]));
    log.event(33.0, operator, "delete", "pods", ("claims", "stands"), 200);
    log.event(33.0, operator, "deletecollection", "pods", ("claims", ""), 200);
    assert_eq!(
        breaches(&log.checked()),
        [
            "the operator deleted pod claims/stands from its node, past every budget",
            "the operator deleted all pods that it found in claims",
        ]
    );
}

#[test]
fn a_log_that_is_altered_anywhere_is_caught() {
    let mut log = certified();
    for i in 0..5 {
        log.placed(20.0 + f64::from(i), &format!("pod-{i}"), "nord");
    }
    let binds = |log: &AuditLogWriter| {
        let number = |(i, line): (usize, &Value)| (line["objectRef"]["subresource"] == "binding").then_some(i);
        log.lines.iter().enumerate().filter_map(number).collect::<Vec<_>>()
    };
    assert!(log.checked().breaches.is_empty());
    for line in binds(&log) {
        let mut elsewhere = log.clone();
        elsewhere.lines[line]["requestObject"]["target"]["name"] = json!("stray");
        assert_eq!(elsewhere.checked().breaches.len(), 1);
        // A bind of which nothing tells what it needs is not passed over.
        let mut unknown = log.clone();
        unknown.lines.remove(line - 1);
        assert_eq!(unknown.checked().breaches.len(), 1);
    }
    // Without any one of the facts but the stray node, somebody is where nobody may be, or nobody demands anything.
    for line in 0..5 {
        let mut without = log.clone();
        without.lines.remove(line);
        let found = without.checked();
        assert!(found.breaches.len() == 5 || found.demanding == 0, "{line}: {found:?}");
    }
    let torn = format!("{}{{\"stage\":\"Respo", log.text());
    let found = check(torn.as_bytes(), &RunRecord::default(), AuditTolerance::default()).unwrap();
    assert_eq!((found.unreadable, found.binds), (1, 5));
}

#[test]
fn what_was_only_tried_is_no_bind() {
    let mut log = certified();
    log.placed(20.0, "it", "nord");
    log.event(21.0, "somebody", "create", "pods/binding", ("claims", "it"), 403)["requestObject"] =
        json!({"metadata": {"name": "it"}, "target": {"name": "stray"}});
    log.bind(22.0, "it", "stray");
    log.lines.last_mut().unwrap()["requestURI"] = json!("/api/v1/namespaces/claims/pods/it/binding?dryRun=All");
    let found = log.checked();
    assert_eq!((found.binds, breaches(&found)), (1, vec![]));
}

#[test]
fn a_pod_whose_author_names_its_node_is_bound_too() {
    let mut log = certified();
    log.pod(20.0, "it", &json!({"rempart.dev/sensitivity": "restricted"}));
    log.lines.last_mut().unwrap()["responseObject"]["spec"]["nodeName"] = json!("stray");
    assert_eq!(log.checked().breaches.len(), 1);
}

#[test]
fn what_nobody_demands_any_more_is_met_and_what_somebody_demands_again_is_not() {
    let gone = |log: &mut AuditLogWriter, second| log.gone(second, "placementpolicies", "state");
    let renamed = |log: &mut AuditLogWriter, second| {
        let mut renamed = policy(&json!({"qualifications": ["secnumcloud"]}));
        renamed["spec"]["levels"][1]["name"] = json!("confined");
        log.fact(second, "placementpolicies", &renamed);
    };
    let ending = |log: &mut AuditLogWriter, second| {
        let mut ending = policy(&json!({"qualifications": ["secnumcloud"]}));
        ending["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:30Z");
        ending["metadata"]["finalizers"] = json!(["rempart.dev/policy"]);
        log.fact(second, "placementpolicies", &ending);
    };
    for (what, edit) in
        [("gone", &gone as &dyn Fn(&mut AuditLogWriter, f64)), ("renamed", &renamed), ("ending", &ending)]
    {
        let mut log = certified();
        log.pod(20.0, "waits", &json!({"rempart.dev/sensitivity": "restricted"}));
        log.pod(20.0, "longer", &json!({"rempart.dev/sensitivity": "restricted"}));
        edit(&mut log, 30.0);
        log.bind(40.0, "waits", "stray");
        assert_eq!(breaches(&log.checked()), Vec::<String>::new(), "{what}");
        log.fact(50.0, "placementpolicies", &policy(&json!({"qualifications": ["secnumcloud"]})));
        log.bind(60.0, "longer", "stray");
        assert_eq!(log.checked().breaches.len(), 1, "{what}");
    }
}

#[test]
fn of_a_pod_that_was_made_while_rempart_was_away_nobody_asks_anything() {
    let away = LeaderGap { from: at(30.0), until: at(40.0), why: "uninstalled".to_owned() };
    let record = RunRecord { uninstalled: vec![away], ..RunRecord::default() };
    let asked = 40.0 + admission_learns();
    for (second, breach) in
        [(25.0, true), (29.0, true), (31.0, false), (39.0, false), (asked - 1.0, false), (asked + 1.0, true)]
    {
        let mut log = certified();
        log.placed(second, "it", "stray");
        assert_eq!(!log.checked_with(&record).breaches.is_empty(), breach, "{second}");
    }
}

#[test]
fn what_was_admitted_by_an_exception_is_held_to_it_until_it_is_removed() {
    let with = |exceptions: Value| {
        let mut policy = policy(&json!({"qualifications": ["c5"]}));
        policy["spec"]["exceptions"] = exceptions;
        policy
    };
    let exception = |pool: &str| json!({"name": "legacy", "namespaces": ["claims"], "level": "restricted", "pools": [pool], "until": "2099-12-31"});
    let restricted = json!({"rempart.dev/sensitivity": "restricted"});
    for (then, breach) in [
        (json!([exception("nord")]), false),
        (json!([]), false),
        // It is there, and lends another pool now.
        (json!([exception("sud")]), true),
    ] {
        let mut log = certified();
        log.fact(1.0, "placementpolicies", &with(json!([exception("nord")])));
        log.pod(20.0, "waits", &restricted);
        log.fact(30.0, "placementpolicies", &with(then.clone()));
        log.bind(40.0, "waits", "nord");
        // Nobody is admitted by what is gone.
        log.placed(50.0, "after", "nord");
        assert_eq!(
            log.checked().breaches.len(),
            usize::from(breach) + usize::from(then != json!([exception("nord")])),
            "{then}"
        );
    }
}

#[test]
fn what_goes_with_a_pool_or_provider_that_is_deleted_goes_two_seconds_later() {
    for resource in ["cloudproviders", "placementpools"] {
        for (second, breach) in [(33.5, false), (34.5, true)] {
            let mut log = certified();
            log.gone(30.0, resource, "nord");
            log.placed(second, "it", "nord");
            assert_eq!(!log.checked().breaches.is_empty(), breach, "{resource} {second}");
        }
        // What is recorded again, and otherwise, is otherwise at once.
        let mut log = certified();
        log.gone(30.0, resource, "nord");
        let mut changed = if resource == "cloudproviders" { provider() } else { pool() };
        let pointer = if resource == "cloudproviders" { "offers" } else { "offer" };
        changed["spec"][pointer] = json!(null);
        log.fact(30.5, resource, &changed);
        log.placed(33.0, "it", "nord");
        assert_eq!(log.checked().breaches.len(), 1, "{resource}");
    }
}

#[test]
fn a_level_that_is_known_again_is_what_it_says() {
    let renamed = |name: &str| {
        let mut renamed = policy(&json!({"qualifications": ["secnumcloud"]}));
        renamed["spec"]["levels"][1]["name"] = json!(name);
        renamed
    };
    let mut log = certified();
    log.fact(1.0, "placementpolicies", &renamed("confined"));
    for name in ["waits", "strays"] {
        log.pod(20.0, name, &json!({"rempart.dev/sensitivity": "restricted"}));
    }
    log.pod(20.0, "early", &json!({"rempart.dev/sensitivity": "restricted"}));
    log.bind(25.0, "early", "nord");
    log.fact(30.0, "placementpolicies", &renamed("restricted"));
    log.bind(40.0, "waits", "nord");
    log.bind(40.0, "strays", "stray");
    assert_eq!(
        breaches(&log.checked()),
        [
            "pod claims/early was bound to nord: policy state does not know \"restricted\"",
            "pod claims/strays was bound to stray: level restricted of policy state: the node is of no pool",
        ]
    );
}
