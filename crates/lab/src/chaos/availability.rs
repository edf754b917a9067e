//! Availability of each workload: never fewer ready pods than its own strategy allows.
//!
//! A monitor takes the events of a watch of the load's pods, in the order in which the store made them, so that no
//! moment is missed, and returns breaches. A workload is held to its floor once it has reached it; the load lowers a
//! floor before it shrinks a workload. Faults are discounted: a workload with a pod on a node that is cut off is not
//! held to its floor until it has reached it again, and such pardons are counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};

use super::load::LoadWorkload;
use crate::is_ready;

/// A workload: its namespace and name.
type WorkloadKey = (String, String);

#[derive(Clone, Debug)]
struct ObservedReadiness {
    of: WorkloadKey,
    node: Option<String>,
    ready: bool,
    /// It has ended, or is asked to.
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct AvailabilityFloor {
    least: usize,
    /// Whether it was reached.
    armed: bool,
}

#[derive(Debug, Default)]
struct AvailabilityState {
    pods: BTreeMap<String, ObservedReadiness>,
    /// Those of a list that is under way.
    listing: Option<BTreeMap<String, ObservedReadiness>>,
    availability: BTreeMap<WorkloadKey, AvailabilityFloor>,
    /// Nodes that are cut off, or were until their pods are ready again.
    down: BTreeSet<String>,
    /// Pods that were seen to lose their readiness on such a node.
    lost: usize,
    pardons: usize,
    looks: usize,
    breaches: Vec<String>,
}

/// Outcome of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct AvailabilityOutcome {
    /// Checks of a workload against its floor.
    pub(super) looks: usize,
    /// Pods that lost their readiness because their node was cut off.
    pub(super) lost: usize,
    /// Times that a workload was below its floor because of such a node.
    pub(super) pardons: usize,
    /// Times that it was below without such a node.
    pub(super) breaches: Vec<String>,
}

/// Monitor of every workload's ready pods.
#[derive(Debug, Default)]
pub(super) struct AvailabilityMonitor(Mutex<AvailabilityState>);

impl AvailabilityMonitor {
    fn state(&self) -> MutexGuard<'_, AvailabilityState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the pods of the load, for ever.
    pub(super) async fn watch(&self, client: Client, now: impl Fn() -> Timestamp) {
        let config = watcher::Config::default().labels("chaos.example/load");
        let events = watcher::watcher(Api::<Pod>::all(client), config).default_backoff();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            if let Ok(event) = event {
                self.state().take(event, now());
            }
        }
    }

    /// From now on a workload is held to the floor of what it is, once it has reached it.
    pub(super) fn hold(&self, workload: &LoadWorkload) {
        if let Some(least) = workload.floor() {
            let mut state = self.state();
            let key = (workload.namespace.to_owned(), workload.name.clone());
            let armed = state.availability.get(&key).is_some_and(|floor| floor.armed && floor.least >= least);
            state.availability.insert(key.clone(), AvailabilityFloor { least, armed });
            state.look(&key, None, Timestamp::UNIX_EPOCH);
        }
    }

    /// From now on nothing is expected of it.
    pub(super) fn release(&self, workload: &LoadWorkload) {
        self.state().availability.remove(&(workload.namespace.to_owned(), workload.name.clone()));
    }

    /// Nodes are about to be cut off.
    pub(super) fn cut_off(&self, nodes: impl IntoIterator<Item = String>) {
        self.state().down.extend(nodes);
    }

    /// Nodes are back, and this watch has seen that all of their pods are ready; false when it has not yet.
    pub(super) fn joined(&self, nodes: &BTreeSet<String>) -> bool {
        let mut state = self.state();
        let there = |pod: &ObservedReadiness| pod.node.as_ref().is_some_and(|node| nodes.contains(node));
        let well = state.pods.values().all(|pod| pod.ready || pod.over || !there(pod));
        if well {
            state.down.retain(|node| !nodes.contains(node));
        }
        well
    }

    /// The outcome so far.
    pub(super) fn outcome(&self) -> AvailabilityOutcome {
        let AvailabilityState { looks, lost, pardons, breaches, .. } = &*self.state();
        AvailabilityOutcome { looks: *looks, lost: *lost, pardons: *pardons, breaches: breaches.clone() }
    }
}

impl AvailabilityState {
    fn take(&mut self, event: watcher::Event<Pod>, now: Timestamp) {
        match event {
            watcher::Event::Init => self.listing = Some(BTreeMap::new()),
            watcher::Event::InitApply(pod) => {
                if let (Some(listing), Some((uid, seen))) = (&mut self.listing, seen(&pod)) {
                    listing.insert(uid, seen);
                }
            }
            watcher::Event::InitDone => {
                self.pods = self.listing.take().unwrap_or_default();
                let all: Vec<WorkloadKey> = self.availability.keys().cloned().collect();
                for key in all {
                    self.look(&key, None, now);
                }
            }
            watcher::Event::Apply(pod) => {
                if let Some((uid, seen)) = seen(&pod) {
                    let (key, node) = (seen.of.clone(), seen.node.clone());
                    let ill = !seen.ready && !seen.over && node.as_ref().is_some_and(|node| self.down.contains(node));
                    let was_ready = self.pods.insert(uid, seen).is_some_and(|before| before.ready);
                    self.lost += usize::from(ill && was_ready);
                    self.look(&key, node.as_deref(), now);
                }
            }
            watcher::Event::Delete(pod) => {
                let gone = pod.metadata.uid.as_ref().and_then(|uid| self.pods.remove(uid));
                if let Some(gone) = gone {
                    self.look(&gone.of, gone.node.as_deref(), now);
                }
            }
        }
    }

    /// Holds a workload to its floor, after a change of a pod on `node`.
    fn look(&mut self, key: &WorkloadKey, node: Option<&str>, now: Timestamp) {
        let Some(floor) = self.availability.get_mut(key) else { return };
        let own = || self.pods.values().filter(|pod| pod.of == *key);
        let ready = own().filter(|pod| pod.ready).count();
        if !floor.armed {
            floor.armed = ready >= floor.least;
            return;
        }
        self.looks += 1;
        if ready >= floor.least {
            return;
        }
        floor.armed = false;
        let is_down = |node: &str| self.down.contains(node);
        if node.is_some_and(is_down) || own().any(|pod| pod.node.as_deref().is_some_and(is_down)) {
            self.pardons += 1;
        } else {
            let (namespace, name) = key;
            self.breaches.push(format!(
                "{now}: {namespace}/{name} has {ready} ready pods, and its strategy or budget allows no fewer than {}",
                floor.least
            ));
        }
    }
}

fn seen(pod: &Pod) -> Option<(String, ObservedReadiness)> {
    let name = pod.labels().get("app")?.clone();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let over = pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"));
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    Some((pod.uid()?, ObservedReadiness { of: (pod.namespace()?, name), node, ready: is_ready(pod) && !over, over }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, node: &str, ready: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"uid": uid, "name": uid, "namespace": "vault", "labels": {"app": "kept"}},
            "spec": {"nodeName": node, "containers": []},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        }))
        .unwrap()
    }

    fn follow(availability: &AvailabilityMonitor, event: watcher::Event<Pod>) -> (usize, usize) {
        availability.state().take(event, Timestamp::UNIX_EPOCH);
        let AvailabilityOutcome { pardons, breaches, .. } = availability.outcome();
        (pardons, breaches.len())
    }

    #[test]
    fn a_workload_is_held_to_its_floor_once_it_has_reached_it() {
        let availability = AvailabilityMonitor::default();
        availability.hold(&LoadWorkload::kept());
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("a", "one", true))), (0, 0));
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("b", "two", true))), (0, 0));
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("c", "two", true))), (0, 0));
        assert_eq!(follow(&availability, watcher::Event::Delete(pod("a", "one", true))), (0, 0));
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("b", "two", false))), (0, 1));
        // Told once, until it is well again.
        assert_eq!(follow(&availability, watcher::Event::Delete(pod("c", "two", true))), (0, 1));
        availability.release(&LoadWorkload::kept());
        assert_eq!(follow(&availability, watcher::Event::Delete(pod("b", "two", true))), (0, 1));
    }

    #[test]
    fn what_a_node_that_is_cut_off_takes_is_pardoned_until_it_is_back() {
        let availability = AvailabilityMonitor::default();
        availability.hold(&LoadWorkload::kept());
        for (uid, node) in [("a", "one"), ("b", "two")] {
            follow(&availability, watcher::Event::Apply(pod(uid, node, true)));
        }
        availability.cut_off(["one".to_owned()]);
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("a", "one", false))), (1, 0));
        let nodes = BTreeSet::from(["one".to_owned()]);
        assert!(!availability.joined(&nodes));
        follow(&availability, watcher::Event::Apply(pod("a", "one", true)));
        assert!(availability.joined(&nodes));
        assert_eq!(follow(&availability, watcher::Event::Apply(pod("a", "one", false))), (1, 1));
    }

    #[test]
    fn a_list_counts_when_it_is_whole() {
        let availability = AvailabilityMonitor::default();
        availability.hold(&LoadWorkload::kept());
        for uid in ["a", "b"] {
            follow(&availability, watcher::Event::Apply(pod(uid, "one", true)));
        }
        follow(&availability, watcher::Event::Init);
        assert_eq!(follow(&availability, watcher::Event::InitApply(pod("a", "one", true))), (0, 0));
        assert_eq!(follow(&availability, watcher::Event::InitDone), (0, 1));
    }
}
