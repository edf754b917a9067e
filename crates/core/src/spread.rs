//! Spread: over how many providers, regions, zones or pools the pods of a level could be spread, beside how many are demanded.
//!
//! Takes how pools fare and which of them have nodes that could take a pod, and returns the levels whose demand cannot be met.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::fmt;

use super::{
    catalogue::ResolvedPool,
    clearance::PoolClearance,
    name::{LevelName, PolicyName, PoolName},
    scheduling::{Spread, SpreadDomain},
    text::ListDisplay,
};

/// Where the pods of a level that must be spread may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadDemand<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level.
    pub level: &'a LevelName,
    /// What is demanded.
    pub spread: Spread,
    /// The domains that pods of the level may be in, with the pools that each has.
    pub domains: BTreeMap<&'a str, BTreeSet<&'a PoolName>>,
}

/// A demand that is not met: there are fewer domains than pods must be spread over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadShortfall<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// The level.
    pub level: &'a LevelName,
    /// What is demanded.
    pub spread: Spread,
    /// The domains that there are.
    pub left: BTreeSet<&'a str>,
}

/// Every level whose pods must be spread over a number of domains, by how the `pools` fare.
#[must_use]
pub fn demands<'a>(pools: &[PoolClearance<'a>]) -> Vec<SpreadDemand<'a>> {
    let policies = pools.first().into_iter().flat_map(|pool| pool.policies.iter().enumerate());
    let mut demands = Vec::new();
    for (index, first) in policies {
        let policy = first.policy();
        for (rank, level) in policy.levels.iter().enumerate() {
            let Some(spread) = level.scheduling.spread.filter(|spread| spread.needed() > 1) else { continue };
            let mut domains: BTreeMap<&str, BTreeSet<&PoolName>> = BTreeMap::new();
            for pool in pools {
                let admits = pool.policies.get(index).is_some_and(|clearance| clearance.admits(rank));
                if let (true, Ok(site)) = (admits, pool.site) {
                    domains.entry(domain(spread.across, site)).or_default().insert(&site.pool.name);
                }
            }
            demands.push(SpreadDemand { policy: &policy.name, level: &level.name, spread, domains });
        }
    }
    demands
}

/// The value of the node label that tells the domain of `site`.
#[must_use]
pub fn domain(across: SpreadDomain, site: ResolvedPool<'_>) -> &str {
    match across {
        SpreadDomain::Provider => site.provider.name.as_str(),
        SpreadDomain::Region => site.zone.region.as_str(),
        SpreadDomain::Zone => site.zone.name.as_str(),
        SpreadDomain::Pool => site.pool.name.as_str(),
    }
}

impl<'a> SpreadDemand<'a> {
    /// The domains with a pool that `can_take` pods.
    pub fn available(&self, can_take: impl Fn(&PoolName) -> bool) -> BTreeSet<&'a str> {
        let has_some = |pools: &BTreeSet<&PoolName>| pools.iter().any(|pool| can_take(pool));
        self.domains.iter().filter(|(_, pools)| has_some(pools)).map(|(domain, _)| *domain).collect()
    }

    /// What is missing where the pools that `can_take` pods are these; nothing where the demand can be met.
    pub fn shortfall(&self, can_take: impl Fn(&PoolName) -> bool) -> Option<SpreadShortfall<'a>> {
        let left = self.available(can_take);
        let Self { policy, level, spread, .. } = *self;
        (left.len() < usize::from(spread.needed())).then_some(SpreadShortfall { policy, level, spread, left })
    }

    /// Whether losing one of the domains leaves fewer than are demanded, so that most pods of a workload would wait.
    #[must_use]
    pub fn fails_with_one_less(&self) -> bool {
        self.domains.len() <= usize::from(self.spread.needed())
    }
}

impl fmt::Display for SpreadShortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, level, spread, left } = self;
        let (needed, across, skew) = (spread.needed(), spread.across, spread.max_skew);
        write!(f, "level {level} of PlacementPolicy {policy} demands {needed} {across}s (spread.minDomains), and ")?;
        match left.len() {
            0 => f.write_str("none can take its pods: all of them wait")?,
            1 => write!(f, "1 can take its pods: {}", ListDisplay(left.iter()))?,
            many => write!(f, "{many} can take its pods: {}", ListDisplay(left.iter()))?,
        }
        if let Some(most) = spread.most(left.len()).filter(|most| *most > 0) {
            write!(f, "; of each workload {most} can run (maxSkew {skew}), and any more wait")?;
        }
        match left.len() {
            0 => write!(f, "; clear pools of {needed} {across}s for the level"),
            some => write!(f, "; clear a pool of another {across} for the level, or set minDomains to {some}"),
        }
    }
}
