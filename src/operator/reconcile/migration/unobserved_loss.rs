//! Unobserved losses: clearance labels that a replica finds when it begins to lead, and that current facts no longer grant.
//! They are the only baseline that the breaker has for changes nobody observed.
//!
//! Takes the nodes and an evaluation, and returns the nodes that have lost a clearance for no recorded end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::operator::{cache::ClusterCache, evaluate::Evaluation, watch::node::NodeRecord};
use rempart_core::{
    breaker::{ClearanceLoss, LossBaseline, losses},
    catalogue::Qualification,
    clearance::{ClearanceInput, Judge},
    compliance::ComplianceReport,
    instant::Timestamp,
    keys,
    name::PoolName,
    pod_requirements::LevelRef,
    selector::Labels,
};

/// So many past ends are looked at for one that explains a lost stamp; those before them were acted on long ago.
const ENDS: usize = 64;

/// The nodes that had stamps which the facts did not grant when a replica began to lead, and which no certificate's or
/// exception's own end explains.
#[derive(Debug)]
pub struct UnobservedLoss {
    /// When they were looked at.
    pub(super) since: Instant,
    /// The same by the wall clock.
    pub(super) at: Timestamp,
    /// By node, the stamps that it carried.
    nodes: BTreeMap<String, Labels>,
}

impl UnobservedLoss {
    /// Looks at all nodes; `None` where there is none such, which is nearly always.
    pub fn find<'c>(cache: &'c ClusterCache, evaluation: &Evaluation, at: Timestamp, now: Instant) -> Option<Self> {
        // Not even a pool that is being left is granted them. What nobody demands any more stays.
        let lost = |(name, node): (&'c String, &'c NodeRecord)| {
            let mut lost = node.stamps_beyond(&evaluation.retained);
            lost.retain(|key| !evaluation.world.is_retired(key));
            (name, node, lost)
        };
        let losing: Vec<_> = cache.nodes.iter().map(lost).filter(|(.., lost)| !lost.is_empty()).collect();
        if losing.is_empty() {
            return None;
        }
        let before = granted_before(&evaluation.world, at);
        let planned = |node: &NodeRecord, lost: &BTreeSet<String>| {
            let all = |granted: &Labels| lost.iter().all(|key| granted.contains_key(key));
            node.membership.pool().is_some_and(|pool| before.iter().filter_map(|pools| pools.get(pool)).any(all))
        };
        let nodes: BTreeMap<_, _> = losing
            .into_iter()
            .filter(|(_, node, lost)| !planned(node, lost))
            .map(|(name, node, _)| (name.clone(), node.stamps()))
            .collect();
        (!nodes.is_empty()).then_some(Self { since: now, at, nodes })
    }

    /// What each level lost on the `nodes` where pods violate.
    pub(super) fn lost<'a>(
        &self,
        cache: &ClusterCache,
        report: &ComplianceReport<'a>,
        evaluation: &Evaluation,
        nodes: &BTreeSet<&str>,
    ) -> BTreeMap<LevelRef<'a>, ClearanceLoss> {
        let nodes = nodes.iter().filter_map(|name| Some((*name, self.nodes.get(*name)?))).collect();
        losses(
            &cache.objects(),
            report,
            &LossBaseline { policies: &evaluation.world.policies, nodes, led: BTreeMap::new() },
        )
    }

    /// The objects that the nodes of `loss` were stamped by, as kind and name.
    pub(super) fn involved(&self, policy: &str, loss: &ClearanceLoss) -> BTreeSet<(&'static str, String)> {
        let stamps = loss.nodes.iter().filter_map(|node| self.nodes.get(node));
        let named = stamps.flat_map(|stamps| {
            [("PlacementPool", keys::POOL), ("CloudProvider", keys::PROVIDER)]
                .into_iter()
                .filter_map(|(kind, key)| Some((kind, stamps.get(key)?.clone())))
        });
        named.chain([("PlacementPolicy", policy.to_owned())]).collect()
    }
}

/// What these very facts granted to each pool just before each of the last ends until `at`.
fn granted_before(world: &ClearanceInput, at: Timestamp) -> Vec<BTreeMap<PoolName, Labels>> {
    let offers = world.catalogue.providers.values().flat_map(|provider| provider.offers.values());
    let certificates = offers.flat_map(|offer| offer.qualifications.iter().filter_map(Qualification::ends));
    let exceptions =
        world.policies.values().flat_map(|policy| policy.exceptions.values().map(|found| found.until.ends()));
    let ends: BTreeSet<_> = certificates.chain(exceptions).filter(|end| *end <= at).collect();
    let judge = Judge::new(world);
    let granted = |end: &Timestamp| {
        let pools = judge.pools(end.before(Duration::from_secs(1)));
        pools.map(|clearance| (clearance.pool.name.clone(), clearance.retained())).collect()
    };
    ends.iter().rev().take(ENDS).map(granted).collect()
}
