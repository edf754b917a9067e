//! The cache: what it shares between objects, and which observations it counts.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as k8s;
use serde_json::json;

use super::*;
use crate::operator::watch::partial::DecodedObject;
use rempart_core::{cluster_objects::Pod, workload::WorkloadKind};

fn pod(name: &str, version: &str) -> Pod {
    let selector = json!({"clearance.rempart.node-restriction.kubernetes.io/state.high": "true"});
    let object = json!({
        "metadata": {"name": name, "namespace": "n", "resourceVersion": version},
        "spec": {"nodeName": "node", "nodeSelector": selector, "tolerations": [{"operator": "Exists"}]},
    });
    serde_json::from_value::<DecodedObject<k8s::Pod, Pod>>(object).unwrap().value.unwrap().unwrap()
}

fn applied(name: &str, version: &str) -> Observation {
    Observation::Pod(WatchChange::Applied(format!("n/{name}"), pod(name, version)))
}

#[test]
fn what_many_pods_share_is_kept_once() {
    let mut cache = ClusterCache::default();
    for name in ["a", "b"] {
        cache.observe(applied(name, "1"));
    }
    let objects = cache.objects();
    let (a, b) = (&objects.pods["n/a"], &objects.pods["n/b"]);
    assert!(Arc::ptr_eq(&a.node_requirements, &b.node_requirements) && Arc::ptr_eq(&a.statements, &b.statements));
    assert!(Arc::ptr_eq(&a.scheduling, &b.scheduling) && Arc::ptr_eq(&a.claims, &b.claims));
    assert!(Arc::ptr_eq(a.node.as_ref().unwrap(), b.node.as_ref().unwrap()));
    assert!(Arc::strong_count(&a.node_requirements) == 3, "two pods and the interner");
}

#[test]
fn news_of_what_runs_is_noted_and_old_news_is_not() {
    let mut cache = ClusterCache::default();
    for (observation, news) in [
        (applied("a", "5"), true),
        (applied("a", "4"), false),
        (Observation::Pod(WatchChange::Unreadable("n/a".into())), false),
        (Observation::Pod(WatchChange::Restarted), false),
        (Observation::Pod(WatchChange::Complete), true),
        (Observation::Controller(WorkloadKind::Job, WatchChange::Complete), true),
        (Observation::Namespace(WatchChange::Complete), true),
        (Observation::Claim(WatchChange::Complete), true),
        (Observation::Volume(WatchChange::Complete), true),
    ] {
        let runs = |cache: &ClusterCache| (cache.revisions.workloads, cache.revisions.namespaces);
        let before = runs(&cache);
        let said = format!("{observation:?}");
        cache.observe(observation);
        assert_eq!(runs(&cache) != before, news, "{said}");
    }
}

/// Not a limit but a figure: the rest of 50,000 of them must find room in what the operator may take.
#[test]
fn a_pod_takes_little() {
    assert!(size_of::<Pod>() <= 128, "{} bytes", size_of::<Pod>());
}
