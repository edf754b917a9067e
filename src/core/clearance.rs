//! The judgement: which pool is cleared for which level and category of which policy, and if not, why.
//!
//! Pure, total and deterministic: a function of the catalogue, the policies and an instant.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    catalogue::{Catalogue, Exposure, Party, Pool, Role, Site, Technology, Unresolved},
    coverage::Coverage,
    instant::Instant,
    jurisdiction::{Areas, Jurisdiction},
    keys,
    law::KNOWN_LAWS,
    name::{CategoryName, PolicyName},
    policy::{Policy, Requirements},
    reason::{Cause, Demander, Reason, Subject},
    selector::Labels,
};

/// Everything that a judgement depends on, but for the instant.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What is known of offers and pools.
    pub catalogue: Catalogue,
    /// What officers demand, by name.
    pub policies: BTreeMap<PolicyName, Policy>,
}

/// A judge of one world. Holds what all pools share, so that it is worked out once.
#[derive(Debug)]
pub struct Judge<'a> {
    world: &'a World,
    known_laws: BTreeSet<&'a str>,
}

/// How one pool fares under every policy.
#[derive(Clone, Debug)]
pub struct PoolClearance<'a> {
    /// The pool's name and claims.
    pub pool: &'a Pool,
    /// What it stands on, or why on nothing.
    pub site: Result<Site<'a>, Unresolved<'a>>,
    /// How it fares, in the order of the policies' names.
    pub policies: Vec<PolicyClearance<'a>>,
}

/// How one pool fares under one policy.
#[derive(Clone, Debug)]
pub struct PolicyClearance<'a> {
    policy: &'a Policy,
    pool: &'a Pool,
    site: Option<Site<'a>>,
    /// What speaks against the pool by the demands of each level's own, in the order of the levels.
    levels: Vec<Vec<Cause<'a>>>,
    categories: BTreeMap<&'a CategoryName, Vec<Cause<'a>>>,
}

impl<'a> Judge<'a> {
    /// A judge of `world`.
    #[must_use]
    pub fn new(world: &'a World) -> Self {
        let listed = world
            .catalogue
            .providers
            .values()
            .flat_map(|provider| provider.offers.values())
            .flat_map(|offer| offer.exposed_to.iter().flatten())
            .map(super::name::Law::as_str);
        Self { world, known_laws: KNOWN_LAWS.iter().map(|law| law.name).chain(listed).collect() }
    }

    /// Judges every pool at `at`, in the order of their names.
    pub fn pools(&self, at: Instant) -> impl Iterator<Item = PoolClearance<'a>> {
        self.world.catalogue.pools.values().map(move |pool| self.pool(pool, at))
    }

    /// Judges `pool` at `at`.
    #[must_use]
    pub fn pool(&self, pool: &'a Pool, at: Instant) -> PoolClearance<'a> {
        let site = self.world.catalogue.resolve(pool);
        let policies = self.world.policies.values().map(|policy| self.policy(policy, pool, site, at)).collect();
        PoolClearance { pool, site, policies }
    }

    fn policy(
        &self,
        policy: &'a Policy,
        pool: &'a Pool,
        site: Result<Site<'a>, Unresolved<'a>>,
        at: Instant,
    ) -> PolicyClearance<'a> {
        let against = |require: &'a Option<Requirements>| match (require, site) {
            (None, _) => Vec::new(),
            (Some(_), Err(unresolved)) => vec![Cause::Unresolved(unresolved)],
            (Some(require), Ok(site)) => self.against(require, site, at),
        };
        PolicyClearance {
            policy,
            pool,
            site: site.ok(),
            levels: policy.levels.iter().map(|level| against(&level.require)).collect(),
            categories: policy.categories.iter().map(|(name, require)| (name, against(require))).collect(),
        }
    }

    /// All that speaks against `site` by `require`.
    fn against(&self, require: &'a Requirements, site: Site<'a>, at: Instant) -> Vec<Cause<'a>> {
        // Destructured whole, so that a new demand does not compile until it is judged here.
        let Requirements {
            operator,
            controlling_party,
            technology,
            data,
            not_exposed_to,
            qualifications,
            providers,
            regions,
            max_pue,
            max_carbon_intensity,
        } = require;
        let Site { pool: _, provider, offer, zone } = site;
        let mut causes = Vec::new();

        if let Some(areas) = operator {
            causes.extend(party_outside(areas, Role::Operator, &provider.operator));
        }
        if let Some(areas) = controlling_party {
            causes.extend(party_outside(areas, Role::ControllingParty, provider.controller()));
        }
        if let Some(areas) = technology {
            if offer.technology.is_empty() {
                causes.push(Cause::JurisdictionUnknown(Subject::Technology(None), areas));
            }
            causes.extend(
                foreign(areas, &offer.technology)
                    .filter_map(|part| outside(areas, Subject::Technology(Some(part)), part.jurisdiction)),
            );
        }
        if let Some(areas) = data {
            causes.extend(outside(areas, Subject::Data, zone.country));
        }
        for law in not_exposed_to {
            match provider.exposure_to(offer, law) {
                Exposure::Reached(reach) => causes.push(Cause::ExposedToLaw(law, reach)),
                _ if !self.known_laws.contains(law.as_str()) => causes.push(Cause::LawUnknown(law)),
                Exposure::None => {}
                Exposure::Unknown(gap) => causes.push(Cause::ExposureUnknown(law, gap)),
            }
        }
        for scheme in qualifications {
            causes.extend(match offer.coverage(scheme, &zone.region, at) {
                Coverage::InForce { .. } => None,
                Coverage::NotYet { next } => Some(Cause::QualificationNotYetValid(next)),
                Coverage::Ended { last, on } => Some(Cause::QualificationExpired(last, on)),
                Coverage::OutOfScope { other } => Some(Cause::QualificationOutOfScope(other)),
                Coverage::Missing => Some(Cause::QualificationMissing(scheme)),
            });
        }
        if providers.deny.contains(&provider.name) {
            causes.push(Cause::ProviderDenied);
        } else if let Some(allow) = providers.allow.as_ref().filter(|allow| !allow.contains(&provider.name)) {
            causes.push(Cause::ProviderNotAllowed(allow));
        }
        if regions.deny.contains(&zone.region) {
            causes.push(Cause::RegionDenied);
        } else if let Some(allow) = regions.allow.as_ref().filter(|allow| !allow.contains(&zone.region)) {
            causes.push(Cause::RegionNotAllowed(allow));
        }
        if let Some(limit) = *max_pue {
            causes.extend(above(zone.pue, limit, Cause::PueTooHigh, Cause::PueUnknown));
        }
        if let Some(limit) = *max_carbon_intensity {
            causes.extend(above(zone.carbon_intensity, limit, Cause::CarbonTooHigh, Cause::CarbonUnknown));
        }
        causes
    }

    /// For each policy, the next instant after `at` at which a verdict changes by itself, reasons included.
    #[must_use]
    pub fn next_changes(&self, at: Instant) -> BTreeMap<&'a PolicyName, Instant> {
        let mut next: BTreeMap<&'a PolicyName, Instant> = BTreeMap::new();
        for pool in self.world.catalogue.pools.values() {
            let Ok(site) = self.world.catalogue.resolve(pool) else {
                continue;
            };
            let boundaries: BTreeSet<Instant> = site.offer.boundaries(at).collect();
            for (name, policy) in &self.world.policies {
                let now = self.policy(policy, pool, Ok(site), at);
                let change =
                    boundaries.iter().copied().find(|then| self.policy(policy, pool, Ok(site), *then).differs(&now));
                if let Some(then) = change {
                    let earliest = next.entry(name).or_insert(then);
                    *earliest = then.min(*earliest);
                }
            }
        }
        next
    }
}

fn outside<'a>(areas: &'a Areas, subject: Subject<'a>, country: Option<Jurisdiction>) -> Option<Cause<'a>> {
    match country {
        None => Some(Cause::JurisdictionUnknown(subject, areas)),
        Some(country) if areas.contain(country) => None,
        Some(country) => Some(Cause::JurisdictionNotAllowed(subject, country, areas)),
    }
}

/// The parts that `areas` does not allow, in an order that does not depend on how they were listed.
fn foreign<'a>(areas: &Areas, parts: &'a [Technology]) -> impl Iterator<Item = &'a Technology> + use<'a> {
    let allowed = |part: &&Technology| part.jurisdiction.is_some_and(|country| areas.contain(country));
    let found: BTreeSet<&Technology> = parts.iter().filter(|part| !allowed(part)).collect();
    found.into_iter()
}

fn party_outside<'a>(areas: &'a Areas, role: Role, party: &'a Party) -> Option<Cause<'a>> {
    outside(areas, Subject::Party { role, party }, party.jurisdiction)
}

fn above<'a>(
    fact: Option<f64>,
    limit: f64,
    too_high: fn(f64, f64) -> Cause<'a>,
    unknown: fn(f64) -> Cause<'a>,
) -> Option<Cause<'a>> {
    match fact.filter(|fact| fact.is_finite()) {
        Some(fact) if fact <= limit => None,
        Some(fact) => Some(too_high(fact, limit)),
        None => Some(unknown(limit)),
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
    }

    /// Whether the pool is cleared for `category`. Never for one that is not there.
    #[must_use]
    pub fn cleared_category(&self, category: &CategoryName) -> bool {
        self.categories.get(category).is_some_and(Vec::is_empty)
    }

    /// All that keeps the pool from the level at `rank`, the demands of the levels below included. Of a level that is
    /// there, none if and only if the pool is cleared for it.
    pub fn reasons(&self, rank: usize) -> impl Iterator<Item = Reason<'a>> {
        let levels = self.policy.levels.iter().zip(&self.levels).take(rank.saturating_add(1));
        levels.flat_map(|(level, causes)| causes.iter().map(|cause| self.reason(Demander::Level(&level.name), *cause)))
    }

    /// All that keeps the pool from `category`.
    pub fn category_reasons(&self, category: &CategoryName) -> impl Iterator<Item = Reason<'a>> {
        let found = self.categories.get_key_value(category);
        found
            .into_iter()
            .flat_map(|(category, causes)| causes.iter().map(|cause| self.reason(Demander::Category(category), *cause)))
    }

    /// Whether a verdict or a reason differs, both being about one pool and one policy.
    fn differs(&self, other: &Self) -> bool {
        self.levels != other.levels || self.categories != other.categories
    }

    fn reason(&self, demander: Demander<'a>, cause: Cause<'a>) -> Reason<'a> {
        Reason { policy: &self.policy.name, demander, pool: self.pool, site: self.site, cause }
    }
}

impl PoolClearance<'_> {
    /// The labels that a place of this pool carries. None where the pool stands on nothing.
    #[must_use]
    pub fn stamps(&self) -> Labels {
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
                .filter(|rank| clearance.cleared(*rank))
                .filter_map(|rank| policy.clearance_key(rank));
            let categories = policy
                .categories
                .keys()
                .filter(|category| clearance.cleared_category(category))
                .filter_map(|category| policy.category_key(category.as_str()));
            stamps.extend(levels.chain(categories).map(|key| (key, keys::GRANTED.to_owned())));
        }
        stamps
    }
}
