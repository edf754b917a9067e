//! Remaining capacity: what each node has left for pods.
//!
//! Takes what runs and what waits, and gives what is left on each node. What waits for a node takes one as well: it is about to
//! have it.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use super::accepts_pod;
use crate::{
    cluster_objects::{ClusterObjects, ComputeResources, ExtendedResources, NodeView, Pod, PodPhase, has_others},
    compliance::PlacementFacts,
};

/// What a place must have left for `pod`.
pub(super) fn asked(pod: &Pod) -> ComputeResources {
    ComputeResources { pods: 1, ..pod.requests }
}

/// What is left on a node.
pub(super) struct RemainingCapacity {
    pub(super) common: ComputeResources,
    /// Of other resources, once some of them are taken; all of them before.
    pub(super) others: Option<ExtendedResources>,
}

impl RemainingCapacity {
    /// Whether `pod` finds room in it, on `node`.
    pub(super) fn has_room_for(&self, pod: &Pod, node: &NodeView<'_>) -> bool {
        let others = self.others.as_ref().unwrap_or(node.extended_resources);
        self.common.has_room_for(&asked(pod)) && has_others(others, &pod.scheduling.extended_resources)
    }

    /// Takes what `pod` asks for of it.
    pub(super) fn take(&mut self, pod: &Pod, node: &NodeView<'_>) {
        self.common = self.common.without(&asked(pod));
        if pod.scheduling.extended_resources.is_empty() {
            return;
        }
        let others = self.others.get_or_insert_with(|| node.extended_resources.clone());
        for (name, amount) in &pod.scheduling.extended_resources {
            if let Some(left) = others.get_mut(name) {
                *left = left.saturating_sub(*amount);
            }
        }
    }
}

/// What is left on each node.
pub(super) fn left(objects: &ClusterObjects<'_>, facts: &PlacementFacts<'_>) -> Vec<RemainingCapacity> {
    let mut left: Vec<_> =
        facts.nodes.iter().map(|node| RemainingCapacity { common: node.allocatable, others: None }).collect();
    let mut take = |place: usize, pod: &Pod| {
        if let (Some(left), Some(node)) = (left.get_mut(place), facts.nodes.get(place)) {
            left.take(pod, node);
        }
    };
    for pod in objects.pods.values().filter(|pod| pod.phase != PodPhase::Done) {
        if let Some(place) = pod.node.as_deref().and_then(|node| facts.node_index(node)) {
            take(place, pod);
        }
    }
    // Who waits for a node, as a successor of what was moved a moment ago does, is about to have one.
    let waits = |pod: &&Pod| pod.is_active() && pod.node.is_none() && pod.phase != PodPhase::Gated;
    // Rooms only become fewer: where one found none, its like need not look again.
    let mut from: BTreeMap<_, usize> = BTreeMap::new();
    for pod in objects.pods.values().filter(waits) {
        let like = (Arc::as_ptr(&pod.node_requirements).addr(), Arc::as_ptr(&pod.scheduling).addr(), pod.requests);
        let from = from.entry(like).or_default();
        let rest = facts.nodes.iter().zip(&mut left).enumerate().skip(*from);
        let mut found = rest
            .filter(|(_, (node, left))| accepts_pod(node, pod, &pod.node_requirements) && left.has_room_for(pod, node));
        match found.next() {
            Some((at, (node, left))) => {
                left.take(pod, node);
                *from = at;
            }
            None => *from = facts.nodes.len(),
        }
    }
    left
}
