//! A cluster in which all is as it should be, and one thing wrong with it at a time.

use super::*;
use crate::chaos::facts::{FaultState, NAMESPACES, POOL_LABEL, pools};

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn pod(name: &str, app: &str, node: &str) -> Value {
    json!({
        "metadata": {
            "namespace": "claims", "name": name, "labels": {"app": app}, "ownerReferences": [{"uid": app}],
        },
        "spec": if node.is_empty() { json!({}) } else { json!({"nodeName": node}) },
        "status": {"phase": if node.is_empty() { "Pending" } else { "Running" }},
    })
}

fn workload(kind: &str, name: &str, level: &str) -> Value {
    json!({
        "kind": kind,
        "metadata": {
            "namespace": "claims", "name": name, "uid": name, "annotations": {"rempart.dev/sensitivity": level},
            "labels": {},
        },
        "spec": {"replicas": 2, "template": {}},
    })
}

fn record(kind: &str, name: &str, placed: u64, compliant: &str) -> Value {
    json!({
        "metadata": {"namespace": "claims", "name": format!("{kind}-{name}")},
        "status": {
            "workload": {"kind": kind, "name": name},
            "pods": {"total": placed, "placed": placed, "pending": 0, "violating": 0},
            "conditions": [{"type": "Compliant", "status": compliant}],
        },
    })
}

/// One node of `nord` and one of `est`, a `DaemonSet` of the level `restricted`, for which `nord` alone is cleared, and a
/// Deployment of the level `internal` with a pod on each.
fn sound() -> ObjectSnapshot {
    let state = FaultState::default();
    let node = |pool: &str| {
        json!({
            "metadata": {"name": format!("{pool}-1"), "labels": {POOL_LABEL: pool}},
            "spec": {"providerID": format!("made:///{pool}/1")},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        })
    };
    let mut snapshot = ObjectSnapshot {
        providers: state.providers().into_values().flatten().collect(),
        pools: pools(),
        policies: state.policies().into_values().flatten().collect(),
        namespaces: NAMESPACES.map(|(name, _)| state.namespace(name)).into(),
        nodes: vec![node("nord"), node("est")],
        pods: vec![pod("a", "set", "nord-1"), pod("b", "web", "nord-1"), pod("c", "web", "est-1")],
        workloads: vec![
            (LoadKind::DaemonSet, workload("DaemonSet", "set", "restricted")),
            (LoadKind::Deployment, workload("Deployment", "web", "internal")),
        ],
        records: vec![record("DaemonSet", "set", 1, "True"), record("Deployment", "web", 2, "True")],
        budgets: Vec::new(),
    };
    stamp(&mut snapshot);
    snapshot
}

/// Stamps every node as the facts grant.
fn stamp(snapshot: &mut ObjectSnapshot) {
    while let Err(error) = snapshot.stamps_agree(now()) {
        let said = error.to_string();
        let node = said.split([' ', ':']).nth(1).unwrap().to_owned();
        let key = said.split(" for ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        let found = snapshot.nodes.iter_mut().find(|found| text(found, "/metadata/name") == node).unwrap();
        found["metadata"]["labels"][&key] = json!("true");
    }
}

fn said(change: impl FnOnce(&mut ObjectSnapshot)) -> String {
    let mut snapshot = sound();
    change(&mut snapshot);
    match snapshot.sound(now()) {
        Ok((kept, records)) => format!("{kept} kept, {records} records"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn one_thing_wrong_is_told() {
    assert_eq!(said(|_| ()), "0 kept, 2 records");
    let key = "clearance.rempart.node-restriction.kubernetes.io/state.secret";
    let told = said(|found| found.nodes[1]["metadata"]["labels"][key] = json!("true"));
    assert!(told.contains("node est-1: stamped true for"), "{told}");
    let told = said(|found| drop(found.pods.remove(0)));
    assert!(told.contains("1 pods of DaemonSets are missing, as of claims/set on nord-1"), "{told}");
    let waiting = |key: &str| {
        let mut waiting = pod("d", "web", "");
        waiting["spec"]["nodeSelector"][key] = json!("true");
        said(|found| found.pods.push(waiting))
    };
    let told = waiting("clearance.rempart.node-restriction.kubernetes.io/state.inner");
    assert!(told.contains("claims/d waits for what nobody demands"), "{told}");
    let told = waiting("clearance.rempart.node-restriction.kubernetes.io/state.internal");
    assert!(told.contains("the record of Deployment claims/web says"), "{told}");
    let told = said(|found| {
        let mut job = workload("Job", "once", "internal");
        job["status"] = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        found.workloads.push((LoadKind::Job, job));
    });
    assert!(told.contains("the Job claims/once has failed"), "{told}");
    // What its workload says now is heard, whatever the pod carries.
    let told =
        said(|found| found.workloads[1].1["metadata"]["annotations"]["rempart.dev/sensitivity"] = json!("secret"));
    assert!(told.contains("1 pods stand where they may not, as claims/c on est-1"), "{told}");
    let told = said(|found| found.records[1]["status"]["conditions"][0]["status"] = json!("False"));
    assert!(told.contains("says Compliant \"False\""), "{told}");
    let told = said(|found| found.records[1]["status"]["pods"]["violating"] = json!(1));
    assert!(told.contains("violating: 1"), "{told}");
}

#[test]
fn what_is_left_to_its_owner_or_has_no_other_place_is_kept() {
    let raised = |change: &dyn Fn(&mut Value)| {
        said(|found| {
            let web = &mut found.workloads[1].1;
            web["metadata"]["annotations"]["rempart.dev/sensitivity"] = json!("secret");
            change(web);
            found.records[1]["status"]["pods"]["violating"] = json!(1);
            found.records[1]["status"]["conditions"][0]["status"] = json!("False");
        })
    };
    let claim = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "web"}}]);
    for (change, kept) in [
        (&(|_: &mut Value| ()) as &dyn Fn(&mut Value), false),
        (&|web| web["spec"]["paused"] = json!(true), true),
        (&|web| web["spec"]["strategy"] = json!({"type": "Recreate"}), true),
        (&|web| web["spec"]["template"]["spec"]["volumes"] = claim.clone(), true),
        (
            &|web| {
                web["spec"]["template"]["spec"]["volumes"] = claim.clone();
                web["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = json!(0);
            },
            false,
        ),
        (&|web| web["metadata"]["labels"]["chaos.example/reverted"] = json!("true"), false),
        (
            &|web| {
                web["metadata"]["labels"]["chaos.example/reverted"] = json!("true");
                web["spec"]["replicas"] = json!(1);
            },
            true,
        ),
    ] {
        let told = raised(change);
        assert_eq!(told == "1 kept, 2 records", kept, "{told}");
    }
}

#[test]
fn a_pod_of_a_daemon_set_that_its_node_has_all_stamps_for_waits_for_the_scheduler() {
    const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.restricted";
    for (node, key, waits) in [("nord-1", KEY, true), ("nord-1", "other", false), ("est-1", KEY, false)] {
        let mut made = pod("d", "set", "");
        made["spec"]["nodeSelector"][key] = json!("true");
        let own = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["nord-1"]}]}]);
        made["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] =
            own;
        let mut snapshot = sound();
        snapshot.pods = vec![made];
        assert_eq!(snapshot.waits_for_scheduler("claims/set", node), waits, "{node} {key}");
        assert!(!snapshot.waits_for_scheduler("claims/web", node));
        assert!(snapshot.missing_of_daemon_sets(now()).contains(&("claims/set".to_owned(), "nord-1".to_owned())));
    }
}

#[test]
fn what_a_budget_takes_for_going_already_is_kept() {
    for (disrupted, kept) in [(json!({}), false), (json!({"b": "2026-11-27T12:00:00Z"}), true)] {
        let told = said(|found| {
            found.workloads[1].1["metadata"]["annotations"]["rempart.dev/sensitivity"] = json!("secret");
            found.records[1]["status"]["pods"]["violating"] = json!(1);
            found.records[1]["status"]["conditions"][0]["status"] = json!("False");
            found.budgets = vec![json!({
                "metadata": {"namespace": "claims"},
                "spec": {"selector": {"matchLabels": {"app": "web"}}},
                "status": {"disruptionsAllowed": 0, "disruptedPods": disrupted.clone()},
            })];
        });
        assert_eq!(told == "1 kept, 2 records", kept, "{told}");
    }
}
