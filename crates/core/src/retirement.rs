//! Retirement: keys that nobody demands any more and that something still selects by.
//!
//! Takes everything that runs and keys of the past, and gives those by which a pod that has not ended, or a template,
//! still asks for a node. Their stamps stay, so that nothing waits or ends for a key that no policy would add now.

use alloc::{collections::BTreeSet, string::String, sync::Arc};

use super::{
    cluster_objects::{ClusterObjects, Controller, ControllerSpec, PodPhase},
    workload::NodeRequirements,
};

impl NodeRequirements {
    /// The keys of labels that it is about.
    pub fn label_keys(&self) -> impl Iterator<Item = &str> {
        let terms = self.affinity.iter().flatten();
        self.selector.keys().map(String::as_str).chain(terms.flat_map(|term| term.labels.keys()))
    }
}

impl<'a> ClusterObjects<'a> {
    /// Where everything wants to run that has not ended: what many have in common, once.
    fn node_requirements(&self) -> impl Iterator<Item = &'a NodeRequirements> {
        let pods = self.pods.values().filter(|pod| pod.phase != PodPhase::Done).map(|pod| &pod.node_requirements);
        let is_over = |controller: &Controller| matches!(controller.spec, ControllerSpec::Job { finished: true, .. });
        let controllers = self.controllers.all().map(|(_, controller)| controller);
        let templates =
            controllers.filter(move |controller| !is_over(controller)).map(|found| &found.node_requirements);
        let mut last = None;
        pods.chain(templates).filter_map(move |shared| {
            // Pods of one workload follow each other.
            let address = Arc::as_ptr(shared).addr();
            (last.replace(address) != Some(address)).then_some(&**shared)
        })
    }

    /// Those of `keys` that something selects by.
    #[must_use]
    pub fn selected<'k>(&self, keys: &BTreeSet<&'k str>) -> BTreeSet<&'k str> {
        let mut found = BTreeSet::new();
        if keys.is_empty() {
            return found;
        }
        for wanted in self.node_requirements() {
            found.extend(wanted.label_keys().filter_map(|key| keys.get(key).copied()));
            if found.len() == keys.len() {
                break;
            }
        }
        found
    }
}
