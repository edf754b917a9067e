//! Node stamps: what the nodes of each pool should carry, and what stays on whatever node carries it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rempart_core::{name::PoolName, selector::Labels};

/// What nodes should carry.
#[derive(Clone, Debug, Default)]
pub struct NodeStamps {
    /// By pool, retired keys included.
    pools: BTreeMap<PoolName, Arc<Labels>>,
    /// Keys that stay on whatever node carries them.
    retired: BTreeSet<String>,
    /// Those that stay for a moment, until it is known whether anybody still demands them.
    vanishing: BTreeSet<String>,
}

impl NodeStamps {
    /// What the nodes of each of `pools` should carry, the `retired` keys that they are given included; those that are
    /// `vanishing` nobody is given.
    #[must_use]
    pub fn new(pools: BTreeMap<PoolName, Arc<Labels>>, retired: BTreeSet<String>, vanishing: BTreeSet<String>) -> Self {
        Self { pools, retired, vanishing }
    }

    /// What the nodes of each pool should carry.
    pub fn pools(&self) -> impl Iterator<Item = (&PoolName, &Arc<Labels>)> {
        self.pools.iter()
    }

    /// What a node of `pool` should carry.
    #[must_use]
    pub fn of(&self, pool: &PoolName) -> Option<&Arc<Labels>> {
        self.pools.get(pool)
    }

    /// Whether `key` stays where it is.
    #[must_use]
    pub fn keeps(&self, key: &str) -> bool {
        self.retired.contains(key) || self.vanishing.contains(key)
    }

    /// The keys that stay for a moment, until it is known whether anybody still demands them.
    #[must_use]
    pub fn vanishing(&self) -> &BTreeSet<String> {
        &self.vanishing
    }

    /// The keys that stay although nobody demands them.
    #[must_use]
    pub fn retired(&self) -> &BTreeSet<String> {
        &self.retired
    }
}
