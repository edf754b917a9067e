//! The nodes as places for pods.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    core::{
        fleet::{Spot, SpotLabels},
        name::PoolName,
        selector::Labels,
    },
    operator::{index::Index, node::Membership, ruling::Ruling},
};

/// The stamps of a node that is nobody's.
static NONE: Labels = BTreeMap::new();

/// Every node, by name, with the stamps that it should carry.
pub(super) fn spots<'a>(index: &'a Index, ruling: &'a Ruling) -> Vec<Spot<'a>> {
    let spot = |(name, node): (&'a String, &'a crate::operator::node::NodeRecord)| {
        let pool = match &node.membership {
            Membership::Of(pool) => Some(pool),
            _ => None,
        };
        let of = |stamps: &'a BTreeMap<PoolName, Arc<Labels>>| {
            pool.and_then(|pool| stamps.get(pool)).map_or(&NONE, |stamps| &**stamps)
        };
        let stamps = of(&ruling.stamps);
        Spot {
            name,
            pool,
            labels: SpotLabels { own: node, stamps },
            held: of(&ruling.held),
            taints: &node.taints,
            open: node.ready && !node.closed,
            allocatable: node.allocatable,
        }
    };
    index.nodes.iter().map(spot).collect()
}
