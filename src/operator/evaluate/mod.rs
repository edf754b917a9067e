//! Evaluation: every verdict of the core on what the cache holds, at one instant, ready for statuses and stamps.
//!
//! Takes the catalogue and the policies of the cache and an instant, and returns an [`Evaluation`] with the next instant at
//! which one of them changes by itself. What cannot be read counts as unknown and clears nothing.

pub mod offer_status;
pub mod stamps;
mod tally;
pub mod verdicts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use self::{
    offer_status::{QualificationPeriod, offer_worth, schemes_ends},
    tally::PolicyTally,
    verdicts::{exceptions_of_pool, verdicts},
};
use crate::operator::cache::{ClusterCache, DeclaredObject, ObjectStore};
use crate::{
    api::{self, conditions},
    convert::{self, Converted},
};
use rempart_core::{
    catalogue::Pool,
    clearance::{ClearanceInput, Judge, PoolClearance},
    instant::Timestamp,
    move_window::WindowsLeft,
    name::{LevelName, PoolName},
    policy::Policy,
    pool_membership::claims,
    references::{dangling, unknown_pools},
    selector::Labels,
    spread::{self, SpreadDemand},
};

/// All that follows from the catalogue, the policies and the instant.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// When some certificate next begins or ends to count, a lead time begins or an exception ends: everything may differ
    /// then.
    pub next: Option<Timestamp>,
    /// When a window next opens or closes in which pods leave a pool ahead of its end; nothing where none do.
    pub window_change: Option<Timestamp>,
    /// What was read of the catalogue and of the policies.
    pub world: Arc<ClearanceInput>,
    /// Which evaluation it is: no two have the same number.
    pub serial: u64,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The pools that have a node, ready or not; `None` where no level has a lead time, so that nothing follows from it.
    pub pools_with_nodes: Option<BTreeSet<PoolName>>,
    /// What verdicts grant to the nodes of each pool.
    pub stamps: BTreeMap<PoolName, Arc<Labels>>,
    /// What they would carry if no pool were withdrawn ahead of its end.
    pub retained: BTreeMap<PoolName, Arc<Labels>>,
    /// What there is to say of each `CloudProvider`.
    pub providers: BTreeMap<String, ProviderFindings>,
    /// What there is to say of each `PlacementPool`.
    pub pools: BTreeMap<String, PoolFindings>,
    /// What there is to say of each `PlacementPolicy`.
    pub policies: BTreeMap<String, PolicyFindings>,
    /// How many objects of each kind are wrong in part or whole.
    pub faulty: BTreeMap<&'static str, usize>,
}

/// Of a `CloudProvider`.
#[derive(Clone, Debug, Default)]
pub struct ProviderFindings {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What its offers are worth now.
    pub offers: Vec<api::OfferStatus>,
    /// How long they have their certificates.
    pub qualification_periods: Vec<QualificationPeriod>,
    /// The next end of a certificate.
    pub next_expiry: Option<Time>,
}

/// A pool that is cleared for a level, near its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringPool {
    /// What becomes of it.
    pub outcome: ExpiryOutcome,
    /// The level.
    pub level: LevelName,
    /// The pool.
    pub pool: PoolName,
    /// What is left of the windows in which pods leave it.
    pub windows: WindowsLeft,
    /// Which certificate ends when, who has which lead time, and what to do.
    pub message: String,
}

/// What becomes of a pool near its end; the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryOutcome {
    /// It is of the control plane, and every pool of the level ends with it.
    ControlPlane,
    /// It is kept, because no other pool outlasts it.
    Last,
    /// New pods are withheld from it.
    Leaving,
    /// It is kept, and only told of.
    Reported,
}

/// Of a `PlacementPool`.
#[derive(Clone, Debug, Default)]
pub struct PoolFindings {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// Why it stands on nothing: a stable word and a sentence.
    pub unresolved: Option<(&'static str, String)>,
    /// Its verdicts.
    pub verdicts: Vec<api::PoolVerdict>,
    /// The exceptions that let pods onto it.
    pub exceptions: Vec<api::PoolException>,
    /// The next end of a certificate that covers it.
    pub next_expiry: Option<Time>,
}

/// Of a `PlacementPolicy`.
#[derive(Clone, Debug, Default)]
pub struct PolicyFindings {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// Whether what it demands cannot be read, so that it clears nothing.
    pub is_unread: bool,
    /// Names in it that nothing in the catalogue bears.
    pub dangling: Vec<String>,
    /// How its levels stand.
    pub levels: Vec<api::ClearanceStatus>,
    /// How its categories stand.
    pub categories: Vec<api::ClearanceStatus>,
    /// How its exceptions stand.
    pub exceptions: Vec<api::ExceptionStatus>,
    /// Whether a level has a lead time.
    pub has_lead: bool,
    /// The pools of its levels that are near their end.
    pub endings: Vec<ExpiringPool>,
    /// Where the pods of its levels that must be spread may be.
    pub spreads: Vec<SpreadDemand>,
    /// When a verdict next changes by itself.
    pub next_change: Option<Time>,
}

/// Reads all records of one kind: the values, and what is wrong with each object.
fn read<K, T>(
    records: &ObjectStore<DeclaredObject<K>>,
    convert: impl Fn(&str, &K) -> Converted<T>,
) -> BTreeMap<String, (Option<T>, Vec<String>)> {
    let read_one = |name: &str, record: &DeclaredObject<K>| match &record.object {
        Ok(object) => {
            let Converted { value, problems } = convert(name, object);
            (value, problems.iter().map(ToString::to_string).collect())
        }
        Err(error) => (None, vec![format!("the object cannot be decoded: {error}")]),
    };
    records.iter().map(|(name, record)| (name.clone(), read_one(name, record))).collect()
}

impl Evaluation {
    /// Evaluates `cache` at `at`.
    #[must_use]
    pub fn new(cache: &ClusterCache, at: Timestamp) -> Self {
        let mut world = ClearanceInput::default();
        let mut evaluation = Self { at: Some(at), ..Self::default() };

        for (name, (value, problems)) in read(&cache.providers, |name, found| convert::provider(name, &found.spec)) {
            let mut found = ProviderFindings { problems, ..ProviderFindings::default() };
            if let Some(provider) = value {
                (found.offers, found.qualification_periods, found.next_expiry) = offer_worth(&provider, at);
                world.catalogue.providers.insert(provider.name.clone(), provider);
            }
            evaluation.providers.insert(name, found);
        }
        for (name, (value, problems)) in read(&cache.pools, |name, found| convert::pool(name, &found.spec)) {
            match value {
                Some(pool) => world.catalogue.add_pool(pool),
                None if may_be_control_plane(cache, &name) => {
                    world.catalogue.unread_control_plane.insert(name.clone());
                }
                None => {}
            }
            evaluation.pools.insert(name, PoolFindings { problems, ..PoolFindings::default() });
        }
        for (name, (value, problems)) in read(&cache.policies, |name, found| convert::policy(name, &found.spec)) {
            let is_unread = value.is_none();
            match value {
                Some(policy) => {
                    let terminating = cache.policies.get(&name).is_some_and(DeclaredObject::is_terminating);
                    world.policies.insert(policy.name.clone(), Policy { terminating, ..policy });
                }
                None => drop(world.unread_policies.insert(name.clone())),
            }
            evaluation.policies.insert(name, PolicyFindings { problems, is_unread, ..PolicyFindings::default() });
        }
        evaluation.pools_with_nodes = world
            .policies
            .values()
            .any(|policy| policy.levels.with_lead().next().is_some())
            .then(|| pools_with_nodes(cache, &world.catalogue.pools));
        evaluation.judge(&world, at);
        evaluation.count_faults();
        evaluation.world = Arc::new(world);
        evaluation
    }

    /// What separates `self` from the evaluation `before` it: for each policy of both, the pools that its levels and
    /// categories gained, lost, withdrew and took back, and the exceptions that ended.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<(String, String)> {
        let changed = |(name, now): (&String, &PolicyFindings)| {
            let then = before.policies.get(name)?;
            let levels = differences("level", &then.levels, &now.levels);
            let categories = differences("category", &then.categories, &now.categories);
            let exceptions = ended(&then.exceptions, &now.exceptions);
            let notes: Vec<_> = exceptions.chain(levels).chain(categories).collect();
            (!notes.is_empty()).then(|| (name.clone(), notes.join("; ")))
        };
        self.policies.iter().filter_map(changed).collect()
    }

    /// What there is to tell of windows since the evaluation `before`, policy by policy: that one is the last in which pods
    /// leave a pool ahead of its end, or that none is left; with the reason of the event.
    #[must_use]
    pub fn window_notes(&self, before: &Self) -> Vec<(String, &'static str, String)> {
        let told = |(name, now): (&String, &PolicyFindings)| {
            let then = before.policies.get(name).map_or(&[][..], |then| &then.endings);
            let new = now.endings.iter().filter(|ending| {
                let known = then.iter().find(|then| (&then.level, &then.pool) == (&ending.level, &ending.pool));
                known.is_none_or(|then| then.windows != ending.windows)
            });
            let notes =
                new.filter_map(|ending| Some((name.clone(), window_event(ending.windows)?, ending.message.clone())));
            notes.collect::<Vec<_>>()
        };
        self.policies.iter().flat_map(told).collect()
    }

    /// Whether pods could go to the pool `name`; not known to matter where no level has a lead time.
    #[must_use]
    pub fn has_nodes(&self, name: &PoolName) -> bool {
        self.pools_with_nodes.as_ref().is_none_or(|pools| pools.contains(name))
    }

    /// Whether other pools have a node in `cache` than those that the evaluation went by.
    #[must_use]
    pub fn has_other_nodes(&self, cache: &ClusterCache) -> bool {
        let Some(before) = &self.pools_with_nodes else { return false };
        let pools = cache.nodes.iter().filter_map(|(_, node)| node.membership.pool());
        *before != pools.cloned().collect::<BTreeSet<_>>()
    }

    /// How every pool fares at `at`.
    #[must_use]
    pub fn clearances(&self, at: Timestamp) -> Vec<PoolClearance<'_>> {
        Judge::new(&self.world).pools_where(at, |name| self.has_nodes(name))
    }

    fn judge(&mut self, world: &ClearanceInput, at: Timestamp) {
        let judge = Judge::new(world);
        let mut standings: BTreeMap<&str, PolicyTally> = BTreeMap::new();
        let clearances = judge.pools_where(at, |name| self.has_nodes(name));
        let mut spreads = spread::demands(&clearances);
        for clearance in clearances {
            let name = &clearance.pool.name;
            let (stamps, retained) = (Arc::new(clearance.stamps()), clearance.retained());
            self.retained
                .insert(name.clone(), if retained == *stamps { Arc::clone(&stamps) } else { Arc::new(retained) });
            self.stamps.insert(name.clone(), stamps);
            for policy in &clearance.policies {
                standings.entry(policy.policy().name.as_str()).or_default().count(name, policy, at);
            }
            self.note_pool(&clearance, at);
        }
        for place in judge.control_plane(at) {
            for policy in &place.policies {
                standings
                    .entry(policy.policy().name.as_str())
                    .or_default()
                    .count_control_plane(&place.pool.name, policy);
            }
            self.note_pool(&place, at);
        }
        let mut changes = judge.next_changes(at);
        self.next = changes.values().copied().min();
        for (name, policy) in &world.policies {
            let Some(found) = self.policies.get_mut(name.as_str()) else { continue };
            let mut standings = standings.remove(name.as_str()).unwrap_or_default();
            let levels = policy.levels.iter().map(|level| level.name.to_string());
            found.levels = PolicyTally::listed(levels, standings.levels);
            found.categories =
                PolicyTally::listed(policy.categories.keys().map(ToString::to_string), standings.categories);
            found.has_lead = policy.levels.with_lead().next().is_some();
            found.endings = standings.endings;
            self.window_change = standings.window_change.into_iter().chain(self.window_change).min();
            found.endings.sort_by_key(|ending| ending.outcome);
            found.next_change = changes.remove(name).map(time);
            found.spreads = spreads.extract_if(.., |demand| demand.policy == *name).collect();
            // One of the control plane is there, and `rempart lint` says that no pod runs in it.
            let is_nowhere = |(_, pool): &(_, &PoolName)| !world.catalogue.control_plane.contains_key(*pool);
            let pools = unknown_pools(world, policy).filter(is_nowhere);
            let pools = pools.map(|(exception, pool)| format!("{pool:?} in pools of exception {exception}"));
            found.dangling = dangling(world, policy).iter().map(ToString::to_string).chain(pools).collect();
            found.exceptions = policy
                .exceptions
                .iter()
                .map(|(name, exception)| api::ExceptionStatus {
                    name: name.to_string(),
                    in_force: exception.in_force(at),
                    until: exception.until.to_string(),
                    opened_pools: standings.opened.remove(name.as_str()).unwrap_or_default(),
                })
                .collect();
        }
        let offers = world.catalogue.providers.values().flat_map(|provider| provider.offers.values());
        self.next = offers.flat_map(|offer| offer.boundaries(at)).chain(self.next).min();
    }

    /// Takes in what there is to say of one pool, whatever its role.
    fn note_pool(&mut self, clearance: &PoolClearance<'_>, at: Timestamp) {
        let Some(found) = self.pools.get_mut(clearance.pool.name.as_str()) else { return };
        found.unresolved = clearance.site.err().map(|why| (why.code(), why.to_string()));
        found.verdicts = verdicts(clearance);
        found.exceptions = exceptions_of_pool(clearance);
        let ends = clearance.site.ok().and_then(|site| schemes_ends(site.offer, &site.zone.region, at).min());
        found.next_expiry = ends.map(time);
    }

    fn count_faults(&mut self) {
        let faulty = |problems: &[String]| usize::from(!problems.is_empty());
        self.faulty = [
            ("CloudProvider", self.providers.values().map(|found| faulty(&found.problems)).sum()),
            ("PlacementPool", self.pools.values().map(|found| faulty(&found.problems)).sum()),
            ("PlacementPolicy", self.policies.values().map(|found| faulty(&found.problems)).sum()),
        ]
        .into();
    }
}

/// Whether the pool `name`, which means nothing as it is, says or could say that it is of the control plane.
fn may_be_control_plane(cache: &ClusterCache, name: &str) -> bool {
    let spec = cache.pools.get(name).and_then(|record| record.object.as_ref().ok()).map(|object| &object.spec);
    spec.is_none_or(|spec| spec.role == Some(api::PoolRole::ControlPlane))
}

/// The pools of `pools` that have a node.
fn pools_with_nodes(cache: &ClusterCache, pools: &BTreeMap<PoolName, Pool>) -> BTreeSet<PoolName> {
    let mut found: BTreeSet<PoolName> = BTreeSet::new();
    for (_, node) in cache.nodes.iter() {
        let place = node.identity();
        if let Some(pool) = claims(pools, place).owner().filter(|pool| !found.contains(*pool)) {
            found.insert(pool.clone());
        }
    }
    found
}

/// One note for each level or category, as `what` says, whose pools are others than they were.
fn differences<'a>(
    what: &'static str,
    then: &'a [api::ClearanceStatus],
    now: &'a [api::ClearanceStatus],
) -> impl Iterator<Item = String> + 'a {
    now.iter().filter_map(move |now| {
        let then = then.iter().find(|then| then.name == now.name)?;
        let only_in = |here: &'a [String], there: &[String]| -> Vec<&'a str> {
            here.iter().filter(|pool| !there.contains(pool)).map(String::as_str).collect()
        };
        let mut took_back = only_in(&then.leaving_pools, &now.leaving_pools);
        took_back.retain(|pool| now.cleared_pools.iter().any(|cleared| cleared == pool));
        let parts = [
            ("gained", only_in(&now.cleared_pools, &then.cleared_pools)),
            ("lost", only_in(&then.cleared_pools, &now.cleared_pools)),
            ("withdrew ahead of its end", only_in(&now.leaving_pools, &then.leaving_pools)),
            ("keeps to its end", only_in(&now.ending_pools, &then.ending_pools)),
            ("took back", took_back),
        ];
        let told = parts.iter().filter(|(_, pools)| !pools.is_empty());
        let parts: Vec<_> = told.map(|(verb, pools)| format!("{verb} {}", pools.join(", "))).collect();
        (!parts.is_empty()).then(|| format!("{what} {} {}", now.name, parts.join(", ")))
    })
}

/// One note for each exception that was in force and has ended.
fn ended<'a>(then: &'a [api::ExceptionStatus], now: &'a [api::ExceptionStatus]) -> impl Iterator<Item = String> + 'a {
    let ended = now.iter().filter(|now| {
        !now.in_force && then.iter().any(|then| then.name == now.name && then.in_force && then.until == now.until)
    });
    ended.map(|now| format!("exception {} ended with {}", now.name, now.until))
}

/// The reason of the event that tells of windows of which so much is left; nothing where it is no news.
fn window_event(left: WindowsLeft) -> Option<&'static str> {
    match left {
        WindowsLeft::Unrestricted | WindowsLeft::Several(_) => None,
        WindowsLeft::Last(_) => Some(conditions::LAST_WINDOW),
        WindowsLeft::None => Some(conditions::NO_WINDOW),
    }
}

/// At most `longest` characters of `text`.
pub fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        let keep = text.char_indices().nth(longest.saturating_sub(1)).map_or(end, |(at, _)| at);
        text.truncate(keep);
        text.push('…');
    }
    text
}

pub fn time(instant: Timestamp) -> Time {
    Time(instant.timestamp())
}
