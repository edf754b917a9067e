//! Spread: over how many providers, regions, zones or pools the pods of a level could be spread, beside how many are demanded.
//!
//! Takes how pools fare and which of them have nodes that could take a pod, and returns the levels whose demand cannot be met.

use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    string::String,
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
pub struct SpreadDemand {
    /// The policy.
    pub policy: PolicyName,
    /// The level.
    pub level: LevelName,
    /// What is demanded.
    pub spread: Spread,
    /// The domains that pods of the level may be in, with the pools that each has.
    pub domains: BTreeMap<String, BTreeSet<PoolName>>,
}

/// A demand that is not met: there are fewer domains than pods must be spread over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadShortfall<'d> {
    demand: &'d SpreadDemand,
    /// The domains that there are.
    left: BTreeSet<&'d str>,
}

/// Every level whose pods must be spread over a number of domains, by how the `pools` fare; in the order of policies and
/// levels.
#[must_use]
pub fn demands(pools: &[PoolClearance<'_>]) -> Vec<SpreadDemand> {
    let policies = pools.first().into_iter().flat_map(|pool| pool.policies.iter().enumerate());
    let mut demands = Vec::new();
    for (index, first) in policies {
        let policy = first.policy();
        for (rank, level) in policy.levels.iter().enumerate() {
            let Some(spread) = level.scheduling.spread.filter(|spread| spread.needed() > 1) else { continue };
            let mut domains: BTreeMap<String, BTreeSet<PoolName>> = BTreeMap::new();
            for pool in pools {
                let admits = pool.policies.get(index).is_some_and(|clearance| clearance.admits(rank));
                if let (true, Ok(site)) = (admits, pool.site) {
                    let domain = domain(spread.across, site).to_owned();
                    domains.entry(domain).or_default().insert(site.pool.name.clone());
                }
            }
            demands.push(SpreadDemand { policy: policy.name.clone(), level: level.name.clone(), spread, domains });
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

impl SpreadDemand {
    /// The domains with a pool that `can_take` pods.
    pub fn available(&self, can_take: impl Fn(&PoolName) -> bool) -> BTreeSet<&str> {
        let with_one = self.domains.iter().filter(|(_, pools)| pools.iter().any(&can_take));
        with_one.map(|(domain, _)| domain.as_str()).collect()
    }

    /// What is missing where the pools that `can_take` pods are these; nothing where the demand can be met.
    pub fn shortfall(&self, can_take: impl Fn(&PoolName) -> bool) -> Option<SpreadShortfall<'_>> {
        let left = self.available(can_take);
        (left.len() < usize::from(self.spread.needed())).then_some(SpreadShortfall { demand: self, left })
    }

    /// Whether losing one of the domains leaves fewer than are demanded, so that most pods of a workload would wait.
    #[must_use]
    pub fn fails_with_one_less(&self) -> bool {
        self.domains.len() <= usize::from(self.spread.needed())
    }
}

impl fmt::Display for SpreadShortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { demand: SpreadDemand { policy, level, spread, domains: _ }, left } = self;
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
