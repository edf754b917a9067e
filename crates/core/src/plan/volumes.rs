//! Bound volumes in plans: whether some node that is cleared for a workload's pods reaches the volumes that they hold.
//!
//! Takes a workload with its claims, and returns what is out of reach now, or would be at a higher level. A volume's reach
//! is judged as migration judges it.

use alloc::{sync::Arc, vec::Vec};

use super::{ClusterSource, EffectiveLevel, NodeOwnership, PlanContext, PlannedWorkload, PolicyDemand};
use crate::{
    clearance::PoolClearance,
    cluster_objects::NodeViewLabels,
    name::{LevelName, PolicyName},
    selector::Labels,
    volume::VolumeReach,
    workload::{NodeRequirements, Workload},
};

/// A claim that is bound to a volume which no node can reach where its pod may run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinnedClaim {
    /// The claim.
    pub claim: Arc<str>,
    /// The volume.
    pub volume: Arc<str>,
}

/// A level at which the pods of a workload would be out of reach of their volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedLevel<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// Its level.
    pub level: &'a LevelName,
    /// The claims, one for each pod that would have no place.
    pub claims: Vec<PinnedClaim>,
}

/// The volumes of a workload's pods, pod by pod, as far as they limit where it may run.
pub(super) fn reaches<'a>(cluster: &'a dyn ClusterSource, workload: &Workload) -> Vec<Vec<VolumeReach<'a>>> {
    let namespace = &workload.identity.namespace;
    let pods = workload.claims.iter().map(|claims| -> Vec<VolumeReach<'a>> {
        let reach = |claim| VolumeReach::of(namespace, claim, cluster.claims()?, cluster.volumes()?);
        claims.iter().filter_map(reach).collect()
    });
    pods.filter(|reaches| !reaches.is_empty()).collect()
}

/// What tells whether nodes will do: their labels, and the stamps of their pools.
pub(super) struct NodeChoice<'p> {
    pub(super) cluster: &'p dyn ClusterSource,
    pub(super) stamps: &'p [Labels],
    pub(super) node_requirements: &'p NodeRequirements,
}

impl NodeChoice<'_> {
    /// The claims of those pods, one for each, that have no place among `nodes`, each with its pool.
    pub(super) fn pinned<'n>(
        &self,
        reaches: &[Vec<VolumeReach<'_>>],
        nodes: &(impl Iterator<Item = (&'n str, usize)> + Clone),
    ) -> Vec<PinnedClaim> {
        let pods = reaches.iter().filter_map(|reaches| {
            let within = |reach: &VolumeReach<'_>, (name, pool): (&str, usize)| {
                self.labels(name, pool)
                    .is_some_and(|labels| self.node_requirements.accept(name, &labels) && reach.includes(name, &labels))
            };
            if nodes.clone().any(|node| reaches.iter().all(|reach| within(reach, node))) {
                return None;
            }
            // The claim that no node reaches; where each is reached by some, the first.
            let nowhere = reaches.iter().find(|reach| !nodes.clone().any(|node| within(reach, node)));
            let reach = nowhere.or_else(|| reaches.first())?;
            Some(PinnedClaim { claim: Arc::clone(&reach.claim), volume: Arc::clone(&reach.name) })
        });
        pods.collect()
    }

    fn labels(&self, name: &str, pool: usize) -> Option<NodeViewLabels<'_>> {
        Some(NodeViewLabels { own: self.cluster.labels_of(name)?, stamps: self.stamps.get(pool)? })
    }
}

impl<'a> PlanContext<'_, 'a> {
    /// The lowest level above its own at which pods of `planned` would be out of reach of the volumes that they hold, though
    /// some node is cleared for it.
    #[must_use]
    pub fn pinned_above(&self, planned: &PlannedWorkload<'a>) -> Option<PinnedLevel<'a>> {
        let reaches = reaches(self.cluster, planned.workload);
        if reaches.is_empty() {
            return None;
        }
        let stamps: Vec<Labels> = self.pools.iter().map(PoolClearance::stamps).collect();
        let node_requirements = planned.workload.node_requirements.without_stamps();
        let choice = NodeChoice { cluster: self.cluster, stamps: &stamps, node_requirements: &node_requirements };
        planned.judgement.policies.iter().filter(|level| level.in_force).find_map(|of| {
            let EffectiveLevel { policy, rank, .. } = of;
            let asks = self.demand(planned).map(|demand| demand.asks.as_slice()).unwrap_or_default();
            let others = |pool: &PoolClearance<'_>| {
                asks.iter().filter(|ask| *ask.policy != policy.name).all(|ask: &PolicyDemand<'_>| ask.met_by(pool))
            };
            let levels = policy.levels.iter().enumerate().skip(rank.saturating_add(1));
            levels.into_iter().find_map(|(rank, level)| {
                let admits = |pool: &PoolClearance<'_>| {
                    others(pool) && pool.under(&policy.name).is_some_and(|clearance| clearance.admits(rank))
                };
                let nodes = self.nodes.iter().filter_map(|(name, of)| match of {
                    NodeOwnership::Pool(pool) => Some((*name, *pool)),
                    NodeOwnership::Nobody | NodeOwnership::Disputed => None,
                });
                let nodes = nodes.filter(|(_, pool)| self.pools.get(*pool).is_some_and(admits));
                // Where nothing is cleared, it is not the volume that keeps its pods waiting.
                nodes.clone().next()?;
                let claims = choice.pinned(&reaches, &nodes);
                (!claims.is_empty()).then_some(PinnedLevel { policy: &policy.name, level: &level.name, claims })
            })
        })
    }
}
