//! Node departures: nodes that belong to their pools no more since their own labels or provider IDs were changed.
//!
//! By which labels nodes belong to pools is a fact that others write: whoever renames one may take most of a pool away. The
//! breaker counts what stood there as lost, as if the pool had been deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    breaker::{FactsSnapshot, WINDOW},
    fact_changes::FactKey,
};
use crate::operator::cache::{ClusterCache, LastSeen, Revision};
use rempart_core::{name::PoolName, pool_membership::claims, text::counted};

/// The nodes that have left their pools within the last minute.
#[derive(Debug, Default)]
pub(super) struct NodeDepartures {
    seen: LastSeen<Revision>,
    /// To which pool each node belongs.
    homes: BTreeMap<String, PoolName>,
    /// The pool that a node belonged to, and when it was seen to leave.
    departed: BTreeMap<String, (PoolName, Instant)>,
}

impl NodeDepartures {
    /// Takes in to which pools nodes belong `now`.
    pub(super) fn observe(&mut self, cache: &ClusterCache, now: Instant) {
        self.departed.retain(|name, (_, at)| *at + WINDOW > now && cache.nodes.get(name).is_some());
        if !self.seen.update(cache.revisions.nodes) {
            return;
        }
        let mut homes = BTreeMap::new();
        for (name, node) in cache.nodes.iter() {
            let pool = node.membership.pool();
            if let Some(before) = self.homes.get(name).filter(|before| Some(*before) != pool) {
                self.departed.entry(name.clone()).or_insert_with(|| (before.clone(), now));
            }
            if self.departed.get(name).is_some_and(|(before, _)| Some(before) == pool) {
                self.departed.remove(name);
            }
            homes.extend(pool.map(|pool| (name.clone(), pool.clone())));
        }
        self.homes = homes;
    }

    /// Whether none has.
    pub(super) fn is_empty(&self) -> bool {
        self.departed.is_empty()
    }

    /// The pool that the node `name` has left since `then` by what it says itself, and not by what the pool says.
    pub(super) fn since(&self, name: &str, then: &FactsSnapshot, cache: &ClusterCache) -> Option<&PoolName> {
        let (pool, _) = self.departed.get(name).filter(|(_, at)| *at > then.since)?;
        let node = cache.nodes.get(name)?;
        let place = node.identity();
        let is_by_itself = claims(&then.world.catalogue.pools, place).owner() != Some(pool);
        is_by_itself.then_some(pool)
    }

    /// What to tell of those among `nodes` that have left since `then`: the pool, in words, and which they are.
    pub(super) fn told(
        &self,
        nodes: &BTreeSet<String>,
        then: &FactsSnapshot,
        cache: &ClusterCache,
    ) -> Vec<(FactKey, String, String)> {
        let mut left: BTreeMap<&PoolName, Vec<&str>> = BTreeMap::new();
        for name in nodes {
            if let Some(pool) = self.since(name, then, cache) {
                left.entry(pool).or_default().push(name);
            }
        }
        let told = |(pool, names): (&PoolName, Vec<&str>)| {
            let number = counted(names.len(), "node belongs", "nodes belong");
            let change =
                format!("{number} to PlacementPool {pool} no more, since their own labels or providerIDs were changed");
            (("PlacementPool", pool.to_string()), change, format!("left by {names:?}"))
        };
        left.into_iter().map(told).collect()
    }
}
