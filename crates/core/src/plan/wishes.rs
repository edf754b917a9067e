//! Wishes of a plan: how good the pools are for each level that prefers any, and which spreads cannot be met.

use alloc::vec::Vec;

use super::{NodeOwnership, Plan};
use crate::{
    name::{LevelName, PolicyName, PoolName},
    spread::{self, SpreadDemand},
};

/// How good the pools are for a level, the best first and those of one score by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelScores<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level.
    pub level: &'a LevelName,
    /// The pools that admit its pods, with their scores of 0 to 100.
    pub pools: Vec<(&'a PoolName, u8)>,
}

impl<'a> Plan<'a> {
    /// Every level that prefers pools, in the order of policies and levels.
    #[must_use]
    pub fn scores(&self) -> Vec<LevelScores<'a>> {
        let mut found = Vec::new();
        for (index, policy) in self.inventory.world.policies.values().enumerate() {
            let levels = policy.levels.iter().enumerate().filter(|(_, level)| !level.scheduling.prefer.is_empty());
            for (rank, level) in levels {
                let score = |pool: &crate::clearance::PoolClearance<'a>| {
                    Some((&pool.pool.name, pool.policies.get(index)?.score(rank)?))
                };
                let mut pools: Vec<_> = self.pools.iter().filter_map(score).collect();
                pools.sort_by(|(name, score), (other_name, other)| other.cmp(score).then(name.cmp(other_name)));
                found.push(LevelScores { policy: &policy.name, level: &level.name, pools });
            }
        }
        found
    }

    /// Whether a node of the pool is known; of every pool where no node is.
    #[must_use]
    pub fn has_node(&self, pool: &PoolName) -> bool {
        let is_it = |index: &usize| self.pools.get(*index).is_some_and(|found| found.pool.name == *pool);
        self.nodes.is_empty()
            || self.nodes.values().any(|of| match of {
                NodeOwnership::Pool(index) => is_it(index),
                NodeOwnership::Nobody | NodeOwnership::Disputed => false,
            })
    }

    /// Every level whose pods must be spread over a number of domains.
    #[must_use]
    pub fn spreads(&self) -> Vec<SpreadDemand> {
        spread::demands(&self.pools)
    }
}
