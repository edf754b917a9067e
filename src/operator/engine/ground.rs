//! What everything that runs is looked at against.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::operator::{index::Index, ruling::Ruling};
use rempart_core::{
    fleet::{Spot, SpotLabels},
    name::{PolicyName, PoolName},
    selector::Labels,
    standing::Ground,
};

/// The stamps of a node that is nobody's.
static NONE: Labels = BTreeMap::new();

/// What a look at everything rests on.
pub(super) struct Basis<'a> {
    ruling: &'a Ruling,
    settled: BTreeSet<PolicyName>,
    exempt: BTreeSet<String>,
    spots: Vec<Spot<'a>>,
}

impl<'a> Basis<'a> {
    /// What is seen and ruled, with the policies that admission acts on and the namespaces that none governs.
    pub(super) fn new(index: &'a Index, ruling: &'a Ruling, settled: &BTreeSet<String>, exempt: &[String]) -> Self {
        Self {
            ruling,
            settled: settled.iter().filter_map(|name| PolicyName::parse(name).ok()).collect(),
            exempt: exempt.iter().cloned().collect(),
            spots: spots(index, ruling),
        }
    }

    /// It, to look from.
    pub(super) fn ground(&self) -> Ground<'_> {
        let Self { ruling, settled, exempt, spots } = self;
        Ground { world: &ruling.world, settled, exempt, spots }
    }
}

/// Every node, by name, with the stamps that it should carry.
fn spots<'a>(index: &'a Index, ruling: &'a Ruling) -> Vec<Spot<'a>> {
    let spot = |(name, node): (&'a String, &'a crate::operator::node::NodeRecord)| {
        let pool = node.membership.pool();
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
            others: &node.others,
        }
    };
    index.nodes.iter().map(spot).collect()
}
