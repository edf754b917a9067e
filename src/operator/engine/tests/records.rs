//! Records of workloads: what each says, when it is written, and when it goes.

use k8s_openapi::api::{apps::v1 as apps, core::v1 as k8s};

use super::{
    workloads::{deployment, owned_by, pod, uid},
    *,
};
use rempart_core::cluster_objects::{Controller, Pod};

impl Cluster {
    fn record_writes(&self) -> Vec<&str> {
        self.log.iter().filter(|line| line.contains("record WorkloadPlacement")).map(String::as_str).collect()
    }
}

#[test]
fn a_record_says_what_became_of_its_workload() {
    let mut cluster = Cluster::with_api("Enforce");
    assert_eq!(cluster.record_writes(), ["record WorkloadPlacement shop/deployment-api"]);
    let mut record = cluster.records["shop/deployment-api"].clone();
    record["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    insta::assert_yaml_snapshot!("a_record", record);
    let of_nodes = std::mem::take(&mut cluster.told);
    assert!(of_nodes.iter().all(|told| told.starts_with("PlacementPool ")), "{of_nodes:?}");
    // The certificate ends.
    cluster.at = instant("2026-07-01T00:00:00Z");
    cluster.rest();
    insta::assert_yaml_snapshot!(
        "a_record_of_a_workload_that_lost_its_clearance",
        cluster.records["shop/deployment-api"]["status"]
    );
    insta::assert_yaml_snapshot!("what_is_told_of_a_workload_that_lost_its_clearance", cluster.told);
    let levels = &cluster.policies["state"]["status"]["levels"];
    assert_eq!((&levels[1]["workloads"], &levels[1]["violatingPods"]), (&json!(1), &json!(1)), "{levels:#}");
    assert_eq!((&levels[0]["workloads"], &levels[0]["violatingPods"]), (&json!(0), &json!(0)), "{levels:#}");
}

/// Cycles in which writes of records get no answer in time, and `arrive` or do not. Returns what was told meanwhile.
fn unanswered(arrive: bool) -> Vec<String> {
    let mut cluster = Cluster::with_api("Enforce");
    cluster.told.clear();
    cluster.at = instant("2026-07-01T00:00:00Z");
    for _ in 0..8 {
        cluster.wait(500);
        for request in cluster.engine.cycle(cluster.at, cluster.now) {
            let target = request.target();
            if !matches!(target, WriteTarget::Record(_)) {
                let seen = cluster.perform(request);
                cluster.engine.on_write_result(&target, Ok(seen), cluster.now);
                continue;
            }
            let seen = if arrive { cluster.perform(request) } else { None };
            cluster.engine.on_write_result(&target, Err(WriteError::Deadline), cluster.now);
            if let Some(seen) = seen {
                cluster.engine.observe(seen);
            }
        }
    }
    let before = cluster.told.len();
    if !arrive {
        assert_eq!(before, 1, "of the policy alone: {:#?}", cluster.told);
    }
    cluster.rest();
    cluster.told
}

#[test]
fn what_a_record_says_is_told_once_whatever_became_of_the_answer() {
    let told = |arrive| {
        let reasons = unanswered(arrive).into_iter().filter_map(|told| Some(told.split(": ").nth(1)?.to_owned()));
        let mut reasons: Vec<String> = reasons.collect();
        reasons.sort_unstable();
        reasons
    };
    for arrive in [true, false] {
        assert_eq!(told(arrive), ["ClearanceChanged", "ClearanceLost", "PlacementBlocked"], "arrived: {arrive}");
    }
}

#[test]
fn a_policy_that_only_watches_has_it_recorded_what_it_would_do() {
    let cluster = Cluster::with_api("Audit");
    insta::assert_yaml_snapshot!("a_record_under_audit", cluster.records["shop/deployment-api"]["status"]);
}

#[test]
fn a_record_is_written_once_for_each_change() {
    let mut cluster = Cluster::with_api("Enforce");
    let before = cluster.records["shop/deployment-api"].clone();
    // Nothing that it says differs.
    cluster.put(&pod("api-1-a", &owned_by("ReplicaSet", "api-1", 2), Some("n")));
    cluster.run::<apps::Deployment>(WorkloadKind::Deployment, &deployment("api", 1));
    cluster.rest();
    assert_eq!(cluster.record_writes().len(), 1);
    // A pod after the other within a pace is one change.
    cluster.at = instant("2026-03-01T13:00:00Z");
    for i in ["c", "d", "e"] {
        cluster.put(&pod(&format!("api-1-{i}"), &owned_by("ReplicaSet", "api-1", 2), Some("n")));
        cluster.step();
    }
    cluster.rest();
    assert!(cluster.record_writes().len() <= 3, "{:#?}", cluster.log);
    let after = &cluster.records["shop/deployment-api"];
    assert_eq!(after["status"]["pods"]["total"], 5);
    let time = |record: &Value| record["status"]["conditions"][0]["lastTransitionTime"].clone();
    assert_eq!(time(after), time(&before), "what holds still has its time");
}

#[test]
fn while_everything_changes_a_record_is_written_every_two_seconds() {
    let mut cluster = Cluster::with_api("Enforce");
    let before = cluster.record_writes().len();
    for i in 0..100 {
        cluster.put(&pod(&format!("api-1-{i:03}"), &owned_by("ReplicaSet", "api-1", 2), Some("n")));
        cluster.wait(100);
        cluster.step();
    }
    let written = cluster.record_writes().len() - before;
    assert!((4..=6).contains(&written), "{written} in ten seconds");
    cluster.rest();
    assert_eq!(cluster.records["shop/deployment-api"]["status"]["pods"]["total"], 102);
}

#[test]
fn records_take_turns_however_often_those_before_them_change() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.space(&json!({}));
    let name = |number: u32| format!("db-{number:02}");
    for number in 0..40 {
        cluster.run::<apps::StatefulSet>(WorkloadKind::StatefulSet, &deployment(&name(number), number + 1));
    }
    for round in 0..12 {
        // The first ones by name never come to rest, and each round has time for a few writes alone.
        for number in 0..16 {
            let owner = owned_by("StatefulSet", &name(number), number + 1);
            cluster.put(&pod(&format!("{}-{round}", name(number)), &owner, Some("n")));
        }
        cluster.wait(2000);
        cluster.step();
    }
    assert!(cluster.records.contains_key("shop/statefulset-db-39"), "{:?}", cluster.records.keys());
}

#[test]
fn a_record_that_somebody_deleted_or_altered_is_written_anew() {
    let mut cluster = Cluster::with_api("Enforce");
    let name = "shop/deployment-api".to_owned();
    let original = cluster.records[&name].clone();
    cluster.engine.observe(Observation::Record(WatchChange::Deleted(name.clone(), u64::MAX)));
    cluster.engine.cache.drop_tombstones();
    cluster.rest();
    assert_eq!(cluster.record_writes().len(), 2);
    let mut altered = original;
    altered["status"]["pods"]["violating"] = 7.into();
    let altered = cluster.decoded::<WorkloadPlacement, RecordDigest>(&altered);
    cluster.engine.observe(Observation::Record(WatchChange::Applied(name, altered)));
    cluster.rest();
    assert_eq!(cluster.record_writes().len(), 3);
}

#[test]
fn a_record_goes_when_no_policy_governs_its_workload_any_more() {
    let mut cluster = Cluster::with_api("Enforce");
    cluster.edit_policy(|policy| {
        policy["spec"]["namespaceSelector"] = json!({"matchLabels": {"tenant": "other"}});
        policy["metadata"]["generation"] = 2.into();
    });
    cluster.rest();
    let ended = cluster.log.iter().filter(|line| *line == "end record WorkloadPlacement shop/deployment-api").count();
    assert_eq!(ended, 1, "{:#?}", cluster.log);
    assert!(cluster.records.is_empty());
}

#[test]
fn a_record_of_a_workload_that_is_gone_is_left_to_the_garbage_collector() {
    let mut cluster = Cluster::with_api("Enforce");
    for (kind, name) in [(WorkloadKind::Deployment, "api"), (WorkloadKind::ReplicaSet, "api-1")] {
        cluster.engine.observe(Observation::Controller(kind, WatchChange::Deleted(format!("shop/{name}"), u64::MAX)));
    }
    for name in ["api-1-a", "api-1-b"] {
        cluster.engine.observe(Observation::Pod(WatchChange::Deleted(format!("shop/{name}"), u64::MAX)));
    }
    cluster.rest();
    assert_eq!(cluster.record_writes().len(), 1, "{:#?}", cluster.log);
}

#[test]
fn who_has_a_record() {
    let mut cluster = Cluster::listed(&[policy("Enforce")], &[pool("p")], &[node("n", &json!({"pool": "p"}))]);
    cluster.space(&json!({}));
    let mut job = deployment("nightly-7", 4);
    job["metadata"]["ownerReferences"] = owned_by("CronJob", "nightly", 3);
    cluster.run::<k8s_openapi::api::batch::v1::Job>(WorkloadKind::Job, &job);
    let mut cron = deployment("nightly", 3);
    cron["spec"] = json!({"jobTemplate": {"spec": {"template": cron["spec"]["template"]}}});
    cluster.run::<k8s_openapi::api::batch::v1::CronJob>(WorkloadKind::CronJob, &cron);
    cluster.put(&pod("nightly-7-a", &owned_by("Job", "nightly-7", 4), Some("n")));
    cluster.run::<apps::StatefulSet>(WorkloadKind::StatefulSet, &deployment("db", 5));
    cluster.run::<apps::ReplicaSet>(WorkloadKind::ReplicaSet, &deployment("lone", 6));
    // An operator that runs as a Deployment makes jobs of its own.
    let mut made = deployment("made", 7);
    made["metadata"]["ownerReferences"] = owned_by("StatefulSet", "db", 5);
    cluster.run::<k8s_openapi::api::batch::v1::Job>(WorkloadKind::Job, &made);
    // One that is being deleted counts where it stands until it is gone.
    let mut leaving = pod("own-x", &json!([]), Some("n"));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z");
    cluster.put(&leaving);
    cluster.put(&pod("own-b", &json!([]), Some("n")));
    let foreign =
        json!([{"apiVersion": "x.example/v1", "kind": "Cluster", "name": "pg", "uid": uid(9), "controller": true}]);
    cluster.put(&pod("pg-c", &foreign, Some("n")));
    cluster.put(&pod("pg-d", &foreign, None));
    cluster.rest();
    let lines: Vec<_> = cluster
        .records
        .iter()
        .map(|(name, record)| {
            let owner = &record["metadata"]["ownerReferences"][0];
            let pods = &record["status"]["pods"];
            format!("{name}: {} {}, {} of {} placed", owner["kind"], owner["uid"], pods["placed"], pods["total"])
        })
        .collect();
    insta::assert_yaml_snapshot!("who_has_a_record", lines);
}

#[test]
fn a_policy_that_is_being_deleted_governs_nothing_whoever_holds_it() {
    let mut cluster = Cluster::with_api("Enforce");
    cluster.at = instant("2026-07-01T00:00:00Z");
    cluster.rest();
    assert_eq!(cluster.records.len(), 1);
    cluster.edit_policy(|policy| {
        policy["metadata"]["deletionTimestamp"] = json!("2026-07-01T00:00:00Z");
        policy["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("somebody.example/else"));
    });
    cluster.rest();
    assert!(cluster.records.is_empty(), "{:#?}", cluster.records);
    assert_eq!(cluster.condition("Enforced").1, "Deleting");
    let violating = cluster.engine.metrics.text();
    let violating = violating.lines().find(|line| line.starts_with("rempart_violating_pods{") && line.contains("high"));
    assert!(violating.is_some_and(|line| line.ends_with(" 0")), "{violating:?}");
}

#[test]
fn pods_of_a_level_that_is_gone_are_violating_and_counted() {
    let mut cluster = Cluster::with_api("Enforce");
    cluster.edit_policy(|policy| {
        policy["spec"]["levels"][1]["name"] = json!("top");
        policy["metadata"]["generation"] = json!(2);
    });
    cluster.rest();
    assert_eq!(cluster.records["shop/deployment-api"]["status"]["pods"]["violating"], 1);
    assert_eq!(cluster.policies["state"]["status"]["unjudgedPods"], 1);
    let text = cluster.engine.metrics.text();
    let counted =
        text.lines().find(|line| line.starts_with("rempart_violating_pods{") && line.contains(r#"level="?""#));
    assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{counted:?}");
}

#[test]
fn what_says_a_level_where_no_policy_holds_is_counted() {
    let mut cluster = Cluster::with_api("Enforce");
    let counted = |cluster: &Cluster| {
        let text = cluster.engine.metrics.text();
        let of = |line: &&str| line.starts_with("rempart_exempt_sensitive_objects{");
        text.lines().filter(of).map(str::to_owned).collect::<Vec<_>>()
    };
    let said = |number: u8| vec![format!("rempart_exempt_sensitive_objects{{namespace=\"{EXEMPT}\"}} {number}")];
    cluster.rest();
    assert_eq!(counted(&cluster), said(0), "what is governed does not count");
    let hidden = cluster.decoded::<k8s::Pod, Pod>(&pod("hidden", &json!([]), Some("n")));
    cluster.engine.observe(Observation::Pod(WatchChange::Applied(format!("{EXEMPT}/hidden"), hidden)));
    let makes = cluster.decoded::<apps::Deployment, Controller>(&deployment("makes", 8));
    let makes = WatchChange::Applied(format!("{EXEMPT}/makes"), makes);
    cluster.engine.observe(Observation::Controller(WorkloadKind::Deployment, makes));
    cluster.rest();
    assert_eq!(counted(&cluster), said(2));
    cluster.engine.lead(false);
    assert_eq!(counted(&cluster), Vec::<String>::new(), "the leader tells");
}

#[test]
fn pods_without_a_place_are_counted() {
    let mut cluster = Cluster::with_api("Enforce");
    let counted = |cluster: &Cluster| {
        let text = cluster.engine.metrics.text();
        let mut lines =
            text.lines().filter(|line| line.starts_with("rempart_unplaceable_pods{") && line.contains("high"));
        lines.next().and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
    };
    assert_eq!(counted(&cluster), Some(0), "one waits, and has a place to wait for");
    cluster.at = instant("2026-07-01T00:00:00Z");
    cluster.rest();
    assert_eq!(counted(&cluster), Some(1));
    cluster.engine.lead(false);
    assert_eq!(counted(&cluster), None, "the leader tells");
}
