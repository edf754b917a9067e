//! Workloads for the tests of the engine.

use k8s_openapi::api::{apps::v1 as apps, core::v1 as k8s};

use super::*;
use crate::operator::watch::partial::FromPartial;
use rempart_core::{
    cluster_objects::{Controller, Pod},
    namespace::Namespace,
};

pub(super) const HIGH: &str = "clearance.rempart.node-restriction.kubernetes.io/state.high";

pub(super) fn uid(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

pub(super) fn deployment(name: &str, number: u32) -> Value {
    let template = json!({
        "metadata": {"annotations": {"rempart.dev/workload-sensitivity": "high"}},
        "spec": {"nodeSelector": {HIGH: "true"}, "containers": [{"name": "c"}]},
    });
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": uid(number), "generation": 1,
            "annotations": {"rempart.dev/sensitivity": "high"}},
        "spec": {"replicas": 2, "template": template},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    })
}

pub(super) fn owned_by(kind: &str, name: &str, number: u32) -> Value {
    let group = if matches!(kind, "Job" | "CronJob") { "batch/v1" } else { "apps/v1" };
    json!([{"apiVersion": group, "kind": kind, "name": name, "uid": uid(number), "controller": true}])
}

pub(super) fn pod(name: &str, owners: &Value, node: Option<&str>) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": uid(1000 + u32::from(name.as_bytes()[name.len() - 1])),
            "ownerReferences": owners, "annotations": {"rempart.dev/workload-sensitivity": "high"}},
        "spec": {"nodeName": node, "nodeSelector": {HIGH: "true"}, "containers": [{"name": "c"}]},
        "status": {"phase": if node.is_some() { "Running" } else { "Pending" },
            "conditions": [{"type": "Ready", "status": if node.is_some() { "True" } else { "False" }}]},
    })
}

impl Cluster {
    pub(super) fn decoded<K, V: FromPartial<K>>(&mut self, object: &Value) -> V {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = self.next_version().into();
        serde_json::from_value::<DecodedObject<K, V>>(object).unwrap().value.unwrap().unwrap()
    }

    pub(super) fn run<K>(&mut self, kind: WorkloadKind, object: &Value)
    where
        Controller: FromPartial<K>,
    {
        let controller = self.decoded::<K, Controller>(object);
        let change = WatchChange::Applied(format!("shop/{}", name(object)), controller);
        self.engine.observe(Observation::Controller(kind, change));
    }

    pub(super) fn put(&mut self, object: &Value) {
        let pod = self.decoded::<k8s::Pod, Pod>(object);
        self.engine.observe(Observation::Pod(WatchChange::Applied(format!("shop/{}", name(object)), pod)));
    }

    pub(super) fn space(&mut self, labels: &Value) {
        self.space_named("shop", labels);
    }

    pub(super) fn space_named(&mut self, name: &str, labels: &Value) {
        let namespace =
            self.decoded::<k8s::Namespace, Namespace>(&json!({"metadata": {"name": name, "labels": labels}}));
        self.engine.observe(Observation::Namespace(WatchChange::Applied(name.into(), namespace)));
    }

    /// A Deployment `api` with a pod on node `n` and one that waits.
    pub(super) fn with_api(mode: &str) -> Self {
        let mut cluster = Self::listed(&[policy(mode)], &[pool("p"), pool("q")], &[node("n", &json!({"pool": "p"}))]);
        cluster.space(&json!({}));
        cluster.run::<apps::Deployment>(WorkloadKind::Deployment, &deployment("api", 1));
        let mut set = deployment("api-1", 2);
        set["metadata"]["ownerReferences"] = owned_by("Deployment", "api", 1);
        cluster.run::<apps::ReplicaSet>(WorkloadKind::ReplicaSet, &set);
        cluster.put(&pod("api-1-a", &owned_by("ReplicaSet", "api-1", 2), Some("n")));
        cluster.put(&pod("api-1-b", &owned_by("ReplicaSet", "api-1", 2), None));
        cluster.rest();
        cluster
    }
}

#[test]
fn a_policy_that_left_enforce_counts_who_keeps_its_keys() {
    let message = |mode: &str| {
        let mut cluster = Cluster::with_db(&policy(mode));
        cluster.engine.lead(true);
        cluster.go_on();
        cluster.condition("Enforced").2
    };
    let kept = "; 1 workload keeps its keys in spec.nodeSelector, and its pods still go where those say";
    for mode in ["Warn", "Audit"] {
        let said = message(mode);
        assert!(said.ends_with(kept), "{said}");
    }
    assert!(!message("Enforce").contains("keeps its keys"));
}
