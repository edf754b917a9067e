//! Cures: how many more nodes of which remaining pools would hold the pods that lack room.
//!
//! Takes the pods of a level that find no room, and packs them, the largest first, into empty nodes like the smallest that a
//! pool has, less what `DaemonSet`s run on that. The pool that holds most of them is taken first, then the next one for the
//! rest.

use alloc::{collections::BTreeMap, vec::Vec};
use core::cmp::Reverse;

use super::simulation::{Simulation, SimulationOutcome};
use crate::{
    cluster_objects::{ComputeResources, NodeView},
    migration::EmptyNodes,
    name::PoolName,
};

/// Nodes that would hold pods that lack room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CureNodes<'a> {
    /// The pool.
    pub pool: &'a PoolName,
    /// How many nodes.
    pub nodes: usize,
    /// What each of them has for pods: as much as the smallest that the pool has now.
    pub allocatable: ComputeResources,
    /// How many of the pods they would hold.
    pub pods: usize,
}

/// The nodes that would hold the pods at `indices`, as far as any would.
pub(super) fn cure<'a>(
    simulation: &Simulation<'_, 'a>,
    outcome: &SimulationOutcome<'a>,
    indices: &[usize],
) -> Vec<CureNodes<'a>> {
    let mut rest = indices.to_vec();
    if rest.is_empty() {
        return Vec::new();
    }
    let size = |index: &usize| simulation.running.pods.get(*index).map(|pod| pod.pod.requests);
    rest.sort_by_key(|index| (Reverse(size(index)), *index));
    let views = outcome.places.views(simulation.inventory, simulation.running);
    let mut pools = smallest(&views);
    let mut cure = Vec::new();
    while !rest.is_empty() {
        let packed = pools.iter().map(|(pool, node)| {
            let taken = outcome.daemons.get(node.name).copied().unwrap_or_default();
            let mut nodes = EmptyNodes::like(node, &taken);
            let held = |index: &usize| {
                let pod = simulation.running.pods.get(*index).zip(simulation.needs.get(*index));
                pod.is_some_and(|(pod, needs)| nodes.pack(&pod.pod, needs))
            };
            let held: Vec<usize> = rest.iter().copied().filter(held).collect();
            (*pool, node.allocatable, nodes.len(), held)
        });
        let best = packed.max_by_key(|(pool, _, nodes, held)| (held.len(), Reverse(*nodes), Reverse(*pool)));
        let Some((pool, allocatable, nodes, held)) = best.filter(|(_, _, _, held)| !held.is_empty()) else { break };
        pools.remove(pool);
        rest.retain(|index| !held.contains(index));
        let known = simulation.inventory.world.catalogue.pools.get_key_value(pool);
        cure.extend(known.map(|(pool, _)| CureNodes { pool, nodes, allocatable, pods: held.len() }));
    }
    cure
}

/// The smallest node of each pool that takes new pods: by its processors, then by its memory, then by its pods.
fn smallest<'n, 'v>(views: &'n [NodeView<'v>]) -> BTreeMap<&'v PoolName, &'n NodeView<'v>> {
    let mut smallest: BTreeMap<&PoolName, &NodeView<'_>> = BTreeMap::new();
    for node in views.iter().filter(|node| node.schedulable) {
        let Some(pool) = node.pool else { continue };
        let known = smallest.entry(pool).or_insert(node);
        if (node.allocatable, node.name) < (known.allocatable, known.name) {
            *known = node;
        }
    }
    smallest
}
