//! The judgement: which pool is cleared for which level and category of which policy, and if not, why.
//!
//! Pure, total and deterministic: a function of the catalogue, the policies and an instant.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::{
    catalogue::{Catalogue, Pool, PoolRole, ResolvedPool, UnresolvedReference},
    control_plane::{ControlPlaneCause, ControlPlaneClearance},
    instant::Timestamp,
    keys,
    law::KNOWN_LAWS,
    name::{CategoryName, ExceptionName, Law, PolicyName, PoolName},
    policy::{Exception, LevelRequirements, Policy},
    ranking,
    reason::{Cause, Reason, RequirementSource},
    scheduling::Preference,
    selector::Labels,
    validity::{ClearanceEnd, ClearanceValidity},
};

/// Everything that a judgement depends on, but for the instant.
#[derive(Clone, Debug, Default)]
pub struct ClearanceInput {
    /// What is known of offers and pools.
    pub catalogue: Catalogue,
    /// What officers demand, by name.
    pub policies: BTreeMap<PolicyName, Policy>,
    /// The names of policies that are there and cannot be read whole. They clear nothing, and whatever key is of one of
    /// them is in demand.
    pub unread_policies: BTreeSet<String>,
}

impl ClearanceInput {
    /// Whether `key` is one of a policy, and nobody demands it any more: its policy is gone, or no pod is given it.
    #[must_use]
    pub fn is_retired(&self, key: &str) -> bool {
        let Some((policy, subject)) = keys::parse(key) else { return false };
        match self.policies.get(policy) {
            Some(policy) => !policy.demands(subject),
            None => !self.unread_policies.contains(policy),
        }
    }
}

/// A judge of one world. Holds what all pools share, so that it is worked out once.
#[derive(Debug)]
pub struct Judge<'a> {
    world: &'a ClearanceInput,
    known_laws: BTreeSet<&'a str>,
}

/// How one pool fares under every policy.
#[derive(Clone, Debug)]
pub struct PoolClearance<'a> {
    /// The pool's name and claims.
    pub pool: &'a Pool,
    /// What it stands on, or why on nothing.
    pub site: Result<ResolvedPool<'a>, UnresolvedReference<'a>>,
    /// How it fares, in the order of the policies' names.
    pub policies: Vec<PolicyClearance<'a>>,
}

/// How one pool fares under one policy.
#[derive(Clone, Debug)]
pub struct PolicyClearance<'a> {
    policy: &'a Policy,
    pool: &'a Pool,
    site: Option<ResolvedPool<'a>>,
    /// What speaks against the pool by the demands of each level's own, in the order of the levels.
    levels: Vec<Vec<Cause<'a>>>,
    categories: BTreeMap<&'a CategoryName, Vec<Cause<'a>>>,
    /// What speaks against every pool alike, because it speaks against the control plane. None of a place of that itself.
    control_plane: Arc<ControlPlaneClearance<'a>>,
    /// The exceptions in force that name the pool.
    exceptions: BTreeSet<&'a ExceptionName>,
    /// The levels for which the pool is cleared and near its end, by rank.
    ends: BTreeMap<usize, ClearanceValidity<'a>>,
    /// How good the pool is for the levels that it admits and that prefer anything, by rank.
    scores: BTreeMap<usize, u8>,
}

impl<'a> Judge<'a> {
    /// A judge of `world`.
    #[must_use]
    pub fn new(world: &'a ClearanceInput) -> Self {
        let listed = world
            .catalogue
            .providers
            .values()
            .flat_map(|provider| provider.offers.values())
            .flat_map(|offer| offer.exposed_to.iter().flatten())
            .map(super::name::Law::as_str);
        Self { world, known_laws: KNOWN_LAWS.iter().map(|law| law.name).chain(listed).collect() }
    }

    /// What `pool` stands on.
    ///
    /// # Errors
    /// The first of its provider, offer and zone that is not recorded.
    pub fn resolve(&self, pool: &'a Pool) -> Result<ResolvedPool<'a>, UnresolvedReference<'a>> {
        self.world.catalogue.resolve(pool)
    }

    /// Judges every pool at `at`, in the order of their names, where nobody knows which pools have a place in them: each
    /// is taken to have one.
    pub fn pools(&self, at: Timestamp) -> impl Iterator<Item = PoolClearance<'a>> {
        self.pools_where(at, |_| true).into_iter()
    }

    /// Judges every pool at `at`, in the order of their names. Pods could go to those that are `peopled`.
    ///
    /// Always all of them: whether one that ends soon is withdrawn depends on the others.
    pub fn pools_where(&self, at: Timestamp, has_nodes: impl Fn(&PoolName) -> bool) -> Vec<PoolClearance<'a>> {
        let counted = self.control_plane_by_policy(at);
        let mut pools: Vec<_> = self.world.catalogue.pools.values().map(|pool| self.pool(pool, at, &counted)).collect();
        let has_nodes: Vec<bool> = pools.iter().map(|found| has_nodes(&found.pool.name)).collect();
        for (index, policy) in self.world.policies.values().enumerate() {
            for rank in policy.levels.with_lead() {
                let cleared = pools.iter().enumerate().filter_map(|(i, pool)| {
                    let clearance = pool.policies.get(index).filter(|clearance| clearance.cleared(rank))?;
                    Some((i, (clearance.end(rank, at), has_nodes.get(i).is_some_and(|has_nodes| *has_nodes))))
                });
                let (places, cleared): (Vec<usize>, Vec<_>) = cleared.unzip();
                let validities = policy.levels.validities(rank, &cleared, at);
                for (i, validity) in
                    places.into_iter().zip(validities).filter(|(_, validity)| *validity != ClearanceValidity::Open)
                {
                    if let Some(clearance) = pools.get_mut(i).and_then(|pool| pool.policies.get_mut(index)) {
                        clearance.ends.insert(rank, validity);
                    }
                }
            }
            for (rank, level) in policy.levels.iter().enumerate() {
                score(&mut pools, index, rank, &level.scheduling.prefer);
            }
        }
        pools
    }

    /// The labels that a place of `pool` would carry at `at` if no pool were ever withdrawn ahead of its end: of one pool
    /// what [`PoolClearance::retained`] says, since that depends on no other.
    #[must_use]
    pub fn retained(&self, pool: &'a Pool, at: Timestamp) -> Labels {
        self.pool(pool, at, &self.control_plane_by_policy(at)).retained()
    }

    /// Judges every place of the control plane at `at`, in the order of their names, as if it were a pool of nodes. What ends
    /// within the lead time of a level that counts it in is expiring, and never withdrawn: no pod runs there.
    #[must_use]
    pub fn control_plane(&self, at: Timestamp) -> Vec<PoolClearance<'a>> {
        let places = self.world.catalogue.control_plane.values();
        let mut places: Vec<_> = places.map(|pool| self.pool(pool, at, &[])).collect();
        for place in &mut places {
            let Ok(site) = place.site else { continue };
            for clearance in &mut place.policies {
                let levels = &clearance.policy.levels;
                let ranks = levels.with_lead().filter(|rank| levels.counts_control_plane(*rank));
                for rank in ranks.filter(|rank| clearance.cleared(*rank)).collect::<Vec<_>>() {
                    let end = clearance.end(rank, at).map(|end| ClearanceEnd { control_plane: Some(site), ..end });
                    let validities = levels.validities(rank, &[(end, true)], at);
                    let validities = validities.into_iter().filter(|validity| *validity != ClearanceValidity::Open);
                    clearance.ends.extend(validities.map(|validity| (rank, validity)));
                }
            }
        }
        places
    }

    /// What the judgement is of.
    pub(super) fn world(&self) -> &'a ClearanceInput {
        self.world
    }

    /// Whether somebody has heard of `law`.
    pub(super) fn is_law_known(&self, law: &Law) -> bool {
        self.known_laws.contains(law.as_str())
    }

    /// How the control plane fares at `at` under each policy, in the order of their names.
    fn control_plane_by_policy(&self, at: Timestamp) -> Vec<Arc<ControlPlaneClearance<'a>>> {
        self.world.policies.values().map(|policy| Arc::new(self.control_plane_under(policy, at))).collect()
    }

    /// Judges `pool` at `at`, without its tenure, where the control plane fares so under each policy; a place of the control
    /// plane itself is judged without.
    fn pool(&self, pool: &'a Pool, at: Timestamp, counted: &[Arc<ControlPlaneClearance<'a>>]) -> PoolClearance<'a> {
        let site = self.world.catalogue.resolve(pool);
        let policies = self.world.policies.values().enumerate().map(|(index, policy)| {
            let control_plane = counted.get(index).cloned().unwrap_or_default();
            PolicyClearance { control_plane, ..self.policy(policy, pool, site, at) }
        });
        PoolClearance { pool, site, policies: policies.collect() }
    }

    fn policy(
        &self,
        policy: &'a Policy,
        pool: &'a Pool,
        site: Result<ResolvedPool<'a>, UnresolvedReference<'a>>,
        at: Timestamp,
    ) -> PolicyClearance<'a> {
        let against = |require: &'a Option<LevelRequirements>| match (require, site) {
            (None, _) => Vec::new(),
            (Some(_), Err(unresolved)) => vec![Cause::Unresolved(unresolved)],
            (Some(require), Ok(site)) => self.against(require, site, at),
        };
        let named = |exception: &Exception| {
            // Of a pool that stands on nothing nobody knows what an exception would let pods onto.
            site.is_ok() && exception.in_force(at) && exception.pools.contains(&pool.name)
        };
        PolicyClearance {
            policy,
            pool,
            site: site.ok(),
            levels: policy.levels.iter().map(|level| against(&level.require)).collect(),
            categories: policy.categories.iter().map(|(name, require)| (name, against(require))).collect(),
            control_plane: Arc::default(),
            exceptions: policy.exceptions.iter().filter(|(_, found)| named(found)).map(|(name, _)| name).collect(),
            ends: BTreeMap::new(),
            scores: BTreeMap::new(),
        }
    }

    /// For each policy, the next instant after `at` at which a verdict changes by itself, reasons included, at which a
    /// pool comes so near to its end that a level's lead time begins, or at which an exception ends.
    #[must_use]
    pub fn next_changes(&self, at: Timestamp) -> BTreeMap<&'a PolicyName, Timestamp> {
        let first_end = |policy: &Policy| policy.exceptions.values().filter_map(|exception| exception.end(at)).min();
        let policies = self.world.policies.iter();
        let mut next: BTreeMap<&'a PolicyName, Timestamp> =
            policies.filter_map(|(name, policy)| first_end(policy).map(|end| (name, end))).collect();
        let counted = self.control_plane_by_policy(at);
        for pool in self.world.catalogue.all_pools() {
            let Ok(site) = self.world.catalogue.resolve(pool) else {
                continue;
            };
            let is_of_nodes = pool.role == PoolRole::Nodes;
            let boundaries: BTreeSet<Timestamp> = site.offer.boundaries(at).collect();
            for ((name, policy), counted) in self.world.policies.iter().zip(&counted) {
                let now = self.policy(policy, pool, Ok(site), at);
                let change =
                    boundaries.iter().copied().find(|then| self.policy(policy, pool, Ok(site), *then).differs(&now));
                let control_plane = if is_of_nodes { Arc::clone(counted) } else { Arc::default() };
                let now = PolicyClearance { control_plane, ..now };
                // While no verdict changes no end does either.
                let ranks = policy.levels.with_lead().filter(|rank| now.cleared(*rank));
                let ranks = ranks.filter(|rank| is_of_nodes || policy.levels.counts_control_plane(*rank));
                let leads = ranks.filter_map(|rank| {
                    now.end(rank, at).map(|end| end.at.before(policy.levels.lead_at(rank))).filter(|then| *then > at)
                });
                if let Some(then) = change.into_iter().chain(leads).min() {
                    let earliest = next.entry(name).or_insert(then);
                    *earliest = then.min(*earliest);
                }
            }
        }
        next
    }
}

/// Scores, for the level at `rank` of the policy at `index`, the pools that admit its pods.
fn score(pools: &mut [PoolClearance<'_>], index: usize, rank: usize, prefer: &[Preference]) {
    if prefer.is_empty() {
        return;
    }
    let admitting = pools.iter().enumerate().filter_map(|(place, pool)| {
        pool.policies.get(index).filter(|clearance| clearance.admits(rank))?;
        Some((place, pool.site.ok()?))
    });
    let (places, sites): (Vec<usize>, Vec<ResolvedPool<'_>>) = admitting.unzip();
    let scores = ranking::rank(prefer, &sites).scores;
    for (place, score) in places.into_iter().zip(scores) {
        if let Some(clearance) = pools.get_mut(place).and_then(|pool| pool.policies.get_mut(index)) {
            clearance.scores.insert(rank, score);
        }
    }
}

impl<'a> PolicyClearance<'a> {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// Whether the pool is cleared for the level at `rank`: for that one and all below. Never for one that is not there.
    #[must_use]
    pub fn cleared(&self, rank: usize) -> bool {
        self.levels.get(..=rank).is_some_and(|levels| levels.iter().all(Vec::is_empty))
            && self.control_plane.meets(rank)
    }

    /// How the pool stands in time, of a level at `rank` that it is cleared for.
    #[must_use]
    pub fn validity(&self, rank: usize) -> ClearanceValidity<'a> {
        self.ends.get(&rank).copied().unwrap_or(ClearanceValidity::Open)
    }

    /// Whether new pods of the level at `rank` may go to the pool: it is cleared, and not withdrawn ahead of its end.
    #[must_use]
    pub fn admits(&self, rank: usize) -> bool {
        self.cleared(rank) && !matches!(self.validity(rank), ClearanceValidity::Withdrawn(_))
    }

    /// How good the pool is for pods of the level at `rank`, 0 to 100; `None` where it admits none or nothing is preferred.
    #[must_use]
    pub fn score(&self, rank: usize) -> Option<u8> {
        self.scores.get(&rank).copied()
    }

    /// When the pool ceases to be cleared for the level at `rank`, for which it is cleared at `at`.
    #[must_use]
    pub fn end(&self, rank: usize, at: Timestamp) -> Option<ClearanceEnd<'a>> {
        self.policy.end(rank, self.site?, at).into_iter().chain(self.control_plane.end(rank)).min()
    }

    /// Whether the pool is cleared for `category`. Never for one that is not there.
    #[must_use]
    pub fn cleared_category(&self, category: &CategoryName) -> bool {
        self.categories.get(category).is_some_and(Vec::is_empty) && self.control_plane.category(category).is_empty()
    }

    /// Whether the exception `name`, in force, lets its pods onto the pool, cleared or not: it names the pool. What speaks
    /// against the control plane it does not waive: that is the same for every pool, and would leave those alone that the
    /// exception names.
    #[must_use]
    pub fn excepted(&self, name: &ExceptionName) -> bool {
        self.exceptions.contains(name)
            && self.policy.exceptions.get(name).is_some_and(|found| self.control_plane.meets(found.rank))
    }

    /// Whether new pods of the exception `name` may go to the pool: because it admits those of the exception's level, or
    /// because the exception names it. Never for one that is not there.
    #[must_use]
    pub fn cleared_by_exception(&self, name: &ExceptionName) -> bool {
        let exception = self.policy.exceptions.get(name);
        exception.is_some_and(|exception| self.excepted(name) || self.admits(exception.rank))
    }

    /// All that keeps pods of the exception `name` from the pool. Of an exception that is there, none if and only if they
    /// may run on it.
    pub fn exception_reasons(&self, name: &ExceptionName) -> impl Iterator<Item = Reason<'a>> {
        let exception = self.policy.exceptions.get(name).filter(|_| !self.excepted(name));
        exception.into_iter().flat_map(|exception| self.obstacles(exception.rank))
    }

    /// The exceptions that let pods onto the pool which is not cleared for their level, by name.
    pub fn let_in(&self) -> impl Iterator<Item = (&'a ExceptionName, &'a Exception)> {
        let named = self.exceptions.iter().filter(|name| self.excepted(name));
        let named = named.filter_map(|name| self.policy.exceptions.get_key_value(*name));
        named.filter(|(_, exception)| !self.cleared(exception.rank))
    }

    /// All that keeps the pool from the level at `rank`, the demands of the levels below included. Of a level that is
    /// there, none if and only if the pool is cleared for it.
    pub fn reasons(&self, rank: usize) -> impl Iterator<Item = Reason<'a>> {
        let levels = self.policy.levels.iter().zip(&self.levels).enumerate().take(rank.saturating_add(1));
        levels.flat_map(|(rank, (level, causes))| {
            self.reasons_of(RequirementSource::Level(&level.name), causes, self.control_plane.level(rank))
        })
    }

    /// That the pool, which is cleared for the level at `rank`, ends soon, and what follows from that.
    #[must_use]
    pub fn ending(&self, rank: usize) -> Option<Reason<'a>> {
        let level = self.policy.levels.at(rank)?;
        let validity = self.validity(rank);
        let end = validity.end()?;
        let cause = Cause::QualificationEnding { validity, lead: self.policy.levels.lead_at(rank) };
        let demander = RequirementSource::Level(&level.name);
        Some(match end.control_plane {
            Some(site) => self.reason_of(demander, site.pool, Some(site), PoolRole::ControlPlane, cause),
            None => self.reason(demander, cause),
        })
    }

    /// All that keeps new pods of the level at `rank` from the pool: none if and only if it admits them.
    pub fn obstacles(&self, rank: usize) -> impl Iterator<Item = Reason<'a>> {
        let leaving = self.ending(rank).filter(|_| !self.admits(rank));
        self.reasons(rank).chain(leaving)
    }

    /// All that keeps the pool from `category`.
    pub fn category_reasons(&self, category: &CategoryName) -> impl Iterator<Item = Reason<'a>> {
        let found = self.categories.get_key_value(category);
        found.into_iter().flat_map(|(category, causes)| {
            self.reasons_of(RequirementSource::Category(category), causes, self.control_plane.category(category))
        })
    }

    /// Of what speaks against the pool itself, and of what speaks against the control plane, by what `demander` says.
    fn reasons_of<'s>(
        &'s self,
        demander: RequirementSource<'a>,
        of_pool: &'s [Cause<'a>],
        of_control_plane: &'s [ControlPlaneCause<'a>],
    ) -> impl Iterator<Item = Reason<'a>> + 's {
        let of_pool = of_pool.iter().map(move |cause| self.reason(demander, *cause));
        let of_control_plane = of_control_plane.iter().map(move |ControlPlaneCause { place, cause }| match place {
            Some(place) => self.reason_of(demander, place.pool, place.site.ok(), PoolRole::ControlPlane, *cause),
            None => self.reason(demander, *cause),
        });
        of_pool.chain(of_control_plane)
    }

    /// Whether a verdict or a reason differs, both being about one pool and one policy, whatever becomes of the control plane.
    fn differs(&self, other: &Self) -> bool {
        self.levels != other.levels || self.categories != other.categories || self.exceptions != other.exceptions
    }

    fn reason(&self, demander: RequirementSource<'a>, cause: Cause<'a>) -> Reason<'a> {
        self.reason_of(demander, self.pool, self.site, PoolRole::Nodes, cause)
    }

    fn reason_of(
        &self,
        demander: RequirementSource<'a>,
        pool: &'a Pool,
        site: Option<ResolvedPool<'a>>,
        judged_as: PoolRole,
        cause: Cause<'a>,
    ) -> Reason<'a> {
        Reason { policy: &self.policy.name, demander, pool, site, judged_as, cause }
    }
}

impl<'a> PoolClearance<'a> {
    /// How it fares under the policy of this name.
    #[must_use]
    pub fn under(&self, policy: &PolicyName) -> Option<&PolicyClearance<'a>> {
        self.policies.iter().find(|clearance| clearance.policy.name == *policy)
    }

    /// The labels that a place of this pool carries. None where the pool stands on nothing.
    #[must_use]
    pub fn stamps(&self) -> Labels {
        let mut stamps = self.labels(PolicyClearance::admits);
        for clearance in &self.policies {
            let ranks = clearance.scores.iter();
            let ranks = ranks.filter_map(|(rank, score)| Some((clearance.policy.rank_key(*rank)?, score.to_string())));
            stamps.extend(ranks);
        }
        stamps
    }

    /// The labels that a place of this pool would carry if no pool were ever withdrawn ahead of its end: what is among
    /// them and not among the stamps is what pods are to leave, though they violate nothing. Without ranks, which nobody needs.
    #[must_use]
    pub fn retained(&self) -> Labels {
        self.labels(PolicyClearance::cleared)
    }

    /// The labels of a place, with a clearance for each level that `admitted` is true of.
    fn labels(&self, admitted: impl Fn(&PolicyClearance<'a>, usize) -> bool) -> Labels {
        let Ok(site) = self.site else {
            return Labels::new();
        };
        let mut stamps: Labels = [
            (keys::POOL, site.pool.name.as_str()),
            (keys::PROVIDER, site.provider.name.as_str()),
            (keys::REGION, site.zone.region.as_str()),
            (keys::ZONE, site.zone.name.as_str()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for clearance in &self.policies {
            let policy = clearance.policy;
            let levels = (0..policy.levels.iter().len())
                .filter(|rank| admitted(clearance, *rank))
                .filter_map(|rank| policy.clearance_key(rank));
            let categories = policy
                .categories
                .keys()
                .filter(|category| clearance.cleared_category(category))
                .filter_map(|category| policy.category_key(category.as_str()));
            let exceptions = policy
                .exceptions
                .iter()
                .filter(|(name, exception)| clearance.excepted(name) || admitted(clearance, exception.rank))
                .filter_map(|(name, _)| policy.exception_key(name.as_str()));
            stamps.extend(levels.chain(categories).chain(exceptions).map(|key| (key, keys::GRANTED.to_owned())));
        }
        stamps
    }
}
