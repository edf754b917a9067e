//! What is told of pods that come and go.

use super::{
    workloads::{owned_by, pod},
    *,
};
use crate::operator::reconcile::history::{HistoryReconciler, HistorySettings};

impl Cluster {
    /// What was told since this was last asked, by kind, of pods.
    fn told_of_pods(&mut self) -> Vec<String> {
        self.go_on();
        let lines = self.engine.take_history();
        let entries = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let kinds = entries.map(|entry| entry["kind"].as_str().unwrap().to_owned());
        kinds.filter(|kind| kind.starts_with("Pod")).collect()
    }

    fn end_pod(&mut self, name: &str) {
        let version = self.next_version().parse().unwrap();
        self.engine.observe(Observation::Pod(WatchChange::Deleted(format!("shop/{name}"), version)));
    }
}

#[test]
fn a_pod_is_told_of_when_it_comes_and_when_it_goes_and_each_once() {
    let mut cluster = Cluster::with_api("Enforce");
    cluster.engine.history = HistoryReconciler::new(Some(HistorySettings { replica: "a".to_owned() }));
    cluster.engine.cache.keep_departures();
    assert_eq!(cluster.told_of_pods(), ["PodPlaced"], "the other has no node");
    assert_eq!(cluster.told_of_pods(), [""; 0]);
    cluster.end_pod("api-1-a");
    assert_eq!(cluster.told_of_pods(), ["PodLeft"]);
    // Between two looks.
    cluster.put(&pod("api-1-c", &owned_by("ReplicaSet", "api-1", 2), Some("n")));
    cluster.step();
    cluster.put(&pod("api-1-d", &owned_by("ReplicaSet", "api-1", 2), Some("n")));
    cluster.end_pod("api-1-d");
    assert_eq!(cluster.told_of_pods(), ["PodPlaced", "PodPlaced", "PodLeft"]);
}
