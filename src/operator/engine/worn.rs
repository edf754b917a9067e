//! What nodes still carried when this replica first looked: nobody saw facts change while no replica ran, and stamps are
//! what is left of how they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant as Moment},
};

use super::nodes::change;
use crate::operator::{index::Index, node::NodeRecord, ruling::Ruling};
use rempart_core::{
    breaker::{Baseline, Loss, losses},
    catalogue::Qualification,
    clearance::{Judge, World},
    instant::Instant,
    keys,
    name::PoolName,
    selector::Labels,
    standing::{Subject, Survey},
};

/// So many past ends are looked at for one that explains a lost stamp; those before them were acted on long ago.
const ENDS: usize = 64;

/// The nodes that had stamps which the facts of the first ruling do not grant, and which no certificate's or exception's
/// own end explains.
#[derive(Debug)]
pub(super) struct Worn {
    /// When they were looked at.
    pub(super) since: Moment,
    /// The same by the wall clock.
    pub(super) at: Instant,
    /// By node, the stamps that it carried.
    nodes: BTreeMap<String, Labels>,
}

impl Worn {
    /// Looks at all nodes; `None` where there is none such, which is nearly always.
    pub(super) fn find(index: &Index, ruling: &Ruling, at: Instant, now: Moment) -> Option<Self> {
        // Not even a pool that is being left is granted them.
        let lost = |(name, node)| (name, node, change(node, &ruling.held).remove);
        let losing: Vec<_> = index.nodes.iter().map(lost).filter(|(.., lost)| !lost.is_empty()).collect();
        if losing.is_empty() {
            return None;
        }
        let before = granted_before(&ruling.world, at);
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
        index: &Index,
        survey: &Survey<'a>,
        ruling: &Ruling,
        nodes: &BTreeSet<&str>,
    ) -> BTreeMap<Subject<'a>, Loss> {
        let nodes = nodes.iter().filter_map(|name| Some((*name, self.nodes.get(*name)?))).collect();
        losses(&index.fleet(), survey, &Baseline { policies: &ruling.world.policies, nodes })
    }

    /// The objects that the nodes of `loss` were stamped by, as kind and name.
    pub(super) fn involved(&self, policy: &str, loss: &Loss) -> BTreeSet<(&'static str, String)> {
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
fn granted_before(world: &World, at: Instant) -> Vec<BTreeMap<PoolName, Labels>> {
    let offers = world.catalogue.providers.values().flat_map(|provider| provider.offers.values());
    let certificates = offers.flat_map(|offer| offer.qualifications.iter().filter_map(Qualification::ends));
    let exceptions =
        world.policies.values().flat_map(|policy| policy.exceptions.values().map(|found| found.until.ends()));
    let ends: BTreeSet<_> = certificates.chain(exceptions).filter(|end| *end <= at).collect();
    let judge = Judge::new(world);
    let granted = |end: &Instant| {
        let pools = judge.pools(end.before(Duration::from_secs(1)));
        pools.map(|clearance| (clearance.pool.name.clone(), clearance.held())).collect()
    };
    ends.iter().rev().take(ENDS).map(granted).collect()
}
