//! Clusters as they stand: where pods of a `DaemonSet` are missing, and what pods wait for.

use super::*;
use crate::{ClusterFacts, PlacementNeed, uncovered_nodes, undemanded_keys};

/// Nodes `nord` and `nord-2` of the one pool, `stray` of none, and what the changes make of all facts.
fn with_facts<T>(
    require: &Value,
    change: impl FnOnce(&mut [Value; 4]),
    look: impl FnOnce(&ClusterFacts<'_>) -> T,
) -> T {
    let mut second = node("nord-2");
    second["metadata"]["labels"] = json!({"pool": "nord"});
    let mut objects = [policy(require), node("nord"), second, node("stray")];
    change(&mut objects);
    let (provider, pool, namespace) = (provider(), pool(), namespace());
    let [policy, nodes @ ..] = &objects;
    let facts = ClusterFacts {
        providers: [("nord", &provider)].into(),
        pools: [("nord", &pool)].into(),
        policies: if policy.is_null() { [].into() } else { [("state", policy)].into() },
        namespaces: [("claims", &namespace)].into(),
        nodes: ["nord", "nord-2", "stray"].into_iter().zip(nodes).collect(),
        now: at(0.0),
    };
    look(&facts)
}

fn daemon_set(annotations: &Value, template: &Value) -> Value {
    json!({
        "metadata": {"namespace": "claims", "name": "agent", "uid": "agent", "annotations": annotations},
        "spec": {"template": template},
    })
}

fn of_agent(node: &str) -> Value {
    json!({"metadata": {"namespace": "claims", "ownerReferences": [{"uid": "agent"}]}, "spec": {"nodeName": node}})
}

#[test]
fn a_daemon_set_is_held_to_the_nodes_that_may_have_it() {
    let certified = json!({"qualifications": ["secnumcloud"]});
    let restricted = json!({"rempart.dev/sensitivity": "restricted"});
    let plain = json!({"metadata": {}, "spec": {}});
    let template = |spec: Value| json!({"metadata": {}, "spec": spec});
    for (annotations, template, expected) in [
        (json!({}), plain.clone(), vec!["nord", "nord-2", "stray"]),
        (restricted.clone(), plain.clone(), vec!["nord", "nord-2"]),
        (json!({"rempart.dev/sensitivity": "gone"}), plain.clone(), vec![]),
        (
            json!({}),
            json!({"metadata": {"annotations": {"rempart.dev/sensitivity": "secret"}}}),
            vec!["nord", "nord-2"],
        ),
        // A mirror of what its workload says no more.
        (
            json!({}),
            json!({"metadata": {"annotations": {"rempart.dev/workload-sensitivity": "secret"}}}),
            vec!["nord", "nord-2", "stray"],
        ),
        (restricted.clone(), template(json!({"nodeSelector": {"pool": "stray"}})), vec![]),
        (json!({}), template(json!({"nodeSelector": {"pool": "stray"}})), vec!["stray"]),
        // Stamps are what is checked, and never believed.
        (
            restricted.clone(),
            template(json!({"nodeSelector": {"clearance.rempart.node-restriction.kubernetes.io/state.x": "true"}})),
            vec!["nord", "nord-2"],
        ),
        (
            json!({}),
            template(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["stray"]}]}]}}}})),
            vec!["stray"],
        ),
    ] {
        let set = daemon_set(&annotations, &template);
        let found = with_facts(&certified, |_| (), |facts| uncovered_nodes(facts, &set, &[]).join(" "));
        assert_eq!(found, expected.join(" "), "{set}");
        let pods: Vec<Value> = expected.iter().map(|node| of_agent(node)).collect();
        assert!(with_facts(&certified, |_| (), |facts| uncovered_nodes(facts, &set, &pods).is_empty()), "{set}");
    }
}

#[test]
fn a_pod_that_goes_has_ended_or_is_anothers_covers_no_node() {
    let set = daemon_set(&json!({}), &json!({}));
    for (pointer, value) in [
        ("/metadata/deletionTimestamp", json!("2026-11-22T12:00:00Z")),
        ("/status", json!({"phase": "Failed"})),
        ("/metadata/ownerReferences", json!([{"uid": "another"}])),
        ("/spec/nodeName", json!("nord-2")),
    ] {
        let mut pods = ["nord", "nord-2", "stray"].map(of_agent);
        if pointer.starts_with("/metadata/d") || pointer == "/status" {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            pods[0].pointer_mut(parent).unwrap()[field] = value;
        } else {
            *pods[0].pointer_mut(pointer).unwrap() = value;
        }
        let found = with_facts(&json!({}), |_| (), |facts| uncovered_nodes(facts, &set, &pods).join(" "));
        assert_eq!(found, "nord", "{pointer}");
    }
}

#[test]
fn a_node_that_keeps_pods_away_may_have_none_unless_they_tolerate_it() {
    let taint = |key: &str, effect: &str| json!([{"key": key, "value": "v", "effect": effect}]);
    for (taints, toleration, may) in [
        (taint("node.kubernetes.io/not-ready", "NoExecute"), json!(null), true),
        (taint("dedicated", "NoSchedule"), json!(null), false),
        (taint("dedicated", "PreferNoSchedule"), json!(null), true),
        (taint("dedicated", "NoSchedule"), json!({"key": "dedicated", "value": "v"}), true),
        (taint("dedicated", "NoSchedule"), json!({"key": "dedicated", "value": "w"}), false),
        (
            taint("dedicated", "NoSchedule"),
            json!({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}),
            false,
        ),
        (taint("dedicated", "NoSchedule"), json!({"operator": "Exists"}), true),
    ] {
        let set = daemon_set(&json!({}), &json!({"spec": {"tolerations": [toleration]}}));
        let found = with_facts(
            &json!({}),
            |objects| objects[3]["spec"]["taints"] = taints.clone(),
            |facts| uncovered_nodes(facts, &set, &[]).contains(&"stray"),
        );
        assert_eq!(found, may, "{taints} {toleration}");
    }
}

#[test]
fn what_a_pod_waits_for_is_held_against_the_policies() {
    let require = json!({"qualifications": ["secnumcloud"]});
    let key = |kind: &str, name: &str| format!("{kind}.rempart.node-restriction.kubernetes.io/{name}");
    for (key, demanded) in [
        (key("clearance", "state.restricted"), true),
        (key("clearance", "state.secret"), true),
        // It asks for nothing.
        (key("clearance", "state.public"), false),
        (key("clearance", "state.renamed"), false),
        (key("clearance", "gone.restricted"), false),
        (key("category", "state.health"), true),
        (key("category", "state.remark"), false),
        (key("exception", "state.legacy"), true),
        (key("exception", "state.ended"), false),
        // Nobody's policy.
        (key("rank", "gone.restricted"), false),
        ("rempart.node-restriction.kubernetes.io/zone".to_owned(), true),
        ("disk".to_owned(), true),
    ] {
        let mut selector = serde_json::Map::new();
        selector.insert(key.clone(), json!("true"));
        let pod = json!({"spec": {"nodeSelector": selector}});
        let change = |objects: &mut [Value; 4]| objects[0]["spec"]["exceptions"] = json!([{"name": "legacy"}]);
        let found = with_facts(&require, change, |facts| undemanded_keys(facts, &pod).is_empty());
        assert_eq!(found, demanded, "{key}");
    }
    let pod = json!({"spec": {"nodeSelector": {"clearance.rempart.node-restriction.kubernetes.io/state.restricted": "true"}}});
    let gone = |objects: &mut [Value; 4]| objects[0] = Value::Null;
    assert_eq!(with_facts(&require, gone, |facts| undemanded_keys(facts, &pod).len()), 1);
}

#[test]
fn a_pod_hears_what_its_workload_says_now() {
    let workload = |said: Value| json!({"metadata": {"annotations": said}});
    let pod =
        json!({"metadata": {"namespace": "claims", "annotations": {"rempart.dev/workload-sensitivity": "secret"}}});
    for (said, demands) in [
        (json!({}), 0),
        (json!({"rempart.dev/sensitivity": "restricted"}), 1),
        (json!({"rempart.dev/sensitivity": "restricted", "rempart.dev/categories": "health"}), 2),
    ] {
        let owner = workload(said);
        let found = with_facts(&json!({}), |_| (), |facts| PlacementNeed::of_owned(facts, &pod, &owner).demands.len());
        assert_eq!(found, demands, "{owner}");
    }
}

#[test]
fn who_is_admitted_by_an_exception_selects_what_it_lends_and_what_is_cleared_for_its_level() {
    let certified = json!({"qualifications": ["c5"]});
    for (pools, expected) in [(json!(["nord"]), "nord nord-2"), (json!(["sud"]), "")] {
        let exception = json!([{"name": "legacy", "namespaces": ["claims"], "level": "secret", "pools": pools,
            "until": "2099-12-31"}]);
        let change = |objects: &mut [Value; 4]| {
            objects[0]["spec"]["exceptions"] = exception;
            objects[0]["spec"]["levels"][1]["require"] = json!({"qualifications": ["hds"]});
            objects[0]["spec"]["levels"][2]["require"] = certified.clone();
        };
        let set = daemon_set(&json!({"rempart.dev/sensitivity": "restricted"}), &json!({}));
        let found = with_facts(&certified, change, |facts| uncovered_nodes(facts, &set, &[]).join(" "));
        assert_eq!(found, expected);
    }
}
