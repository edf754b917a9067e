//! What the core makes of what was seen: for the operator's statuses and stamps, owned and ready to be compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::index::{Index, Record};
use crate::{
    api::{self, limits},
    convert::{self, Problem, Read},
    core::{
        catalogue::{Offer, Pool, Provider},
        clearance::{Judge, PolicyClearance, PoolClearance, World},
        coverage::Coverage,
        instant::{Day, Instant},
        name::{PoolName, RegionName, Scheme},
        places::{Place, claims},
        reason::Reason,
        references::{dangling, unknown_pools},
        selector::Labels,
        tenure::{Kept, Tenure},
    },
};

/// All that follows from the catalogue, the policies and the instant.
#[derive(Debug, Default)]
pub struct Ruling {
    /// When some certificate next begins or ends to count, a lead time begins or an exception ends: everything may differ
    /// then.
    pub next: Option<Instant>,
    /// What was read of the catalogue and of the policies.
    pub world: Arc<World>,
    /// Which ruling it is: no two have the same number.
    pub serial: u64,
    /// When it was made.
    pub at: Option<Instant>,
    /// The pools that have a node, ready or not; `None` where no level has a lead time, so that nothing follows from it.
    pub peopled: Option<BTreeSet<PoolName>>,
    /// What the nodes of each pool carry.
    pub stamps: BTreeMap<PoolName, Arc<Labels>>,
    /// What they would carry if no pool were withdrawn ahead of its end.
    pub held: BTreeMap<PoolName, Arc<Labels>>,
    /// What there is to say of each `CloudProvider`.
    pub of_provider: BTreeMap<String, OfProvider>,
    /// What there is to say of each `PlacementPool`.
    pub of_pool: BTreeMap<String, OfPool>,
    /// What there is to say of each `PlacementPolicy`.
    pub of_policy: BTreeMap<String, OfPolicy>,
    /// How many objects of each kind are wrong in part or whole.
    pub faulty: BTreeMap<&'static str, usize>,
}

/// Of a `CloudProvider`.
#[derive(Clone, Debug, Default)]
pub struct OfProvider {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What its offers are worth now.
    pub offers: Vec<api::OfferStatus>,
    /// The next end of a certificate.
    pub next_expiry: Option<Time>,
    /// When what is in force ends, where that is known.
    pub expiries: Vec<Expiry>,
}

/// When a qualification ends, successors that follow without a gap counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// The offer.
    pub offer: String,
    /// The scheme.
    pub scheme: String,
    /// The region; `None` where the offer has none.
    pub region: Option<String>,
    /// The first instant at which it counts no more.
    pub at: Instant,
}

/// A pool that is cleared for a level, near its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What becomes of it.
    pub outcome: Outcome,
    /// Which certificate ends when, who has which lead time, and what to do.
    pub message: String,
}

/// What becomes of a pool near its end; the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is kept, because no other pool outlasts it.
    Last,
    /// New pods are withheld from it.
    Leaving,
    /// It is kept, and only told of.
    Reported,
}

/// Of a `PlacementPool`.
#[derive(Clone, Debug, Default)]
pub struct OfPool {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// Why it stands on nothing: a stable word and a sentence.
    pub unresolved: Option<(&'static str, String)>,
    /// Its verdicts.
    pub verdicts: Vec<api::Verdict>,
    /// The exceptions that let pods onto it.
    pub exceptions: Vec<api::PoolException>,
    /// The next end of a certificate that covers it.
    pub next_expiry: Option<Time>,
}

/// Of a `PlacementPolicy`.
#[derive(Clone, Debug, Default)]
pub struct OfPolicy {
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// Names in it that nothing in the catalogue bears.
    pub dangling: Vec<String>,
    /// How its levels stand.
    pub levels: Vec<api::Standing>,
    /// How its categories stand.
    pub categories: Vec<api::Standing>,
    /// How its exceptions stand.
    pub exceptions: Vec<api::ExceptionStanding>,
    /// Whether a level has a lead time.
    pub has_lead: bool,
    /// The pools of its levels that are near their end.
    pub endings: Vec<Ending>,
    /// When a verdict next changes by itself.
    pub next_change: Option<Time>,
}

/// Reads all records of one kind: the values, and what is wrong with each object.
fn read<K, T>(
    records: &super::index::Mirror<Record<K>>,
    convert: impl Fn(&str, &K) -> Read<T>,
) -> BTreeMap<String, (Option<T>, Vec<String>)> {
    let read_one = |name: &str, record: &Record<K>| match &record.object {
        Ok(object) => {
            let Read { value, problems } = convert(name, object);
            (value, problems.iter().map(Problem::to_string).collect())
        }
        Err(error) => (None, vec![format!("the object cannot be decoded: {error}")]),
    };
    records.iter().map(|(name, record)| (name.clone(), read_one(name, record))).collect()
}

impl Ruling {
    /// Rules on `index` at `at`.
    #[must_use]
    pub fn new(index: &Index, at: Instant) -> Self {
        let mut world = World::default();
        let mut ruling = Self { at: Some(at), ..Self::default() };

        for (name, (value, problems)) in read(&index.providers, |name, found| convert::provider(name, &found.spec)) {
            let mut found = OfProvider { problems, ..OfProvider::default() };
            if let Some(provider) = value {
                (found.offers, found.next_expiry) = worth(&provider, at);
                found.expiries = expiries(&provider, at);
                world.catalogue.providers.insert(provider.name.clone(), provider);
            }
            ruling.of_provider.insert(name, found);
        }
        for (name, (value, problems)) in read(&index.pools, |name, found| convert::pool(name, &found.spec)) {
            if let Some(pool) = value {
                world.catalogue.pools.insert(pool.name.clone(), pool);
            }
            ruling.of_pool.insert(name, OfPool { problems, ..OfPool::default() });
        }
        for (name, (value, problems)) in read(&index.policies, |name, found| convert::policy(name, &found.spec)) {
            // One that is on its way out still counts: pods that select by its stamps stay until it is gone.
            if let Some(policy) = value {
                world.policies.insert(policy.name.clone(), policy);
            }
            ruling.of_policy.insert(name, OfPolicy { problems, ..OfPolicy::default() });
        }
        ruling.peopled = world
            .policies
            .values()
            .any(|policy| policy.levels.with_lead().next().is_some())
            .then(|| peopled(index, &world.catalogue.pools));
        ruling.judge(&world, at);
        ruling.count_faults();
        ruling.world = Arc::new(world);
        ruling
    }

    /// What separates `self` from the ruling `before` it: for each policy of both, the pools that its levels and
    /// categories gained, lost, withdrew and took back, and the exceptions that ended.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<(String, String)> {
        let changed = |(name, now): (&String, &OfPolicy)| {
            let then = before.of_policy.get(name)?;
            let levels = differences("level", &then.levels, &now.levels);
            let categories = differences("category", &then.categories, &now.categories);
            let exceptions = ended(&then.exceptions, &now.exceptions);
            let notes: Vec<_> = exceptions.chain(levels).chain(categories).collect();
            (!notes.is_empty()).then(|| (name.clone(), notes.join("; ")))
        };
        self.of_policy.iter().filter_map(changed).collect()
    }

    /// Whether pods could go to the pool `name`; not known to matter where no level has a lead time.
    #[must_use]
    pub fn is_peopled(&self, name: &PoolName) -> bool {
        self.peopled.as_ref().is_none_or(|peopled| peopled.contains(name))
    }

    /// How every pool fares at `at`.
    #[must_use]
    pub fn clearances(&self, at: Instant) -> Vec<PoolClearance<'_>> {
        Judge::new(&self.world).pools_where(at, |name| self.is_peopled(name))
    }

    fn judge(&mut self, world: &World, at: Instant) {
        let judge = Judge::new(world);
        let mut standings: BTreeMap<&str, Standings> = BTreeMap::new();
        for clearance in judge.pools_where(at, |name| self.is_peopled(name)) {
            let name = &clearance.pool.name;
            let (stamps, held) = (Arc::new(clearance.stamps()), clearance.held());
            self.held.insert(name.clone(), if held == *stamps { Arc::clone(&stamps) } else { Arc::new(held) });
            self.stamps.insert(name.clone(), stamps);
            for policy in &clearance.policies {
                standings.entry(policy.policy().name.as_str()).or_default().count(name, policy);
            }
            if let Some(found) = self.of_pool.get_mut(name.as_str()) {
                found.unresolved = clearance.site.err().map(|why| (why.code(), why.to_string()));
                found.verdicts = verdicts(&clearance);
                found.exceptions = exceptions_of_pool(&clearance);
                found.next_expiry = clearance
                    .site
                    .ok()
                    .and_then(|site| schemes_ends(site.offer, Some(&site.zone.region), at).min())
                    .map(time);
            }
        }
        let mut changes = judge.next_changes(at);
        self.next = changes.values().copied().min();
        for (name, policy) in &world.policies {
            let Some(found) = self.of_policy.get_mut(name.as_str()) else { continue };
            let mut standings = standings.remove(name.as_str()).unwrap_or_default();
            let levels = policy.levels.iter().map(|level| level.name.to_string());
            found.levels = Standings::listed(levels, standings.levels);
            found.categories =
                Standings::listed(policy.categories.keys().map(ToString::to_string), standings.categories);
            found.has_lead = policy.levels.with_lead().next().is_some();
            found.endings = standings.endings;
            found.endings.sort_by_key(|ending| ending.outcome);
            found.next_change = changes.remove(name).map(time);
            let pools = unknown_pools(world, policy);
            let pools = pools.map(|(exception, pool)| format!("{pool:?} in pools of exception {exception}"));
            found.dangling = dangling(world, policy).iter().map(ToString::to_string).chain(pools).collect();
            found.exceptions = policy
                .exceptions
                .iter()
                .map(|(name, exception)| api::ExceptionStanding {
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

    fn count_faults(&mut self) {
        let faulty = |problems: &[String]| usize::from(!problems.is_empty());
        self.faulty = [
            ("CloudProvider", self.of_provider.values().map(|found| faulty(&found.problems)).sum()),
            ("PlacementPool", self.of_pool.values().map(|found| faulty(&found.problems)).sum()),
            ("PlacementPolicy", self.of_policy.values().map(|found| faulty(&found.problems)).sum()),
        ]
        .into();
    }
}

/// The pools of `pools` that have a node.
fn peopled(index: &Index, pools: &BTreeMap<PoolName, Pool>) -> BTreeSet<PoolName> {
    let mut found: BTreeSet<PoolName> = BTreeSet::new();
    for (_, node) in index.nodes.iter() {
        let place = Place { labels: node, provider_id: node.provider_id.as_deref() };
        if let Some(pool) = claims(pools, place).owner().filter(|pool| !found.contains(*pool)) {
            found.insert(pool.clone());
        }
    }
    found
}

/// One note for each level or category, as `what` says, whose pools are others than they were.
fn differences<'a>(
    what: &'static str,
    then: &'a [api::Standing],
    now: &'a [api::Standing],
) -> impl Iterator<Item = String> + 'a {
    now.iter().filter_map(move |now| {
        let then = then.iter().find(|then| then.name == now.name)?;
        let only_in = |here: &[String], there: &[String]| {
            here.iter().filter(|pool| !there.contains(pool)).cloned().collect::<Vec<_>>().join(", ")
        };
        let gained = only_in(&now.cleared_pools, &then.cleared_pools);
        let lost = only_in(&then.cleared_pools, &now.cleared_pools);
        let still = |pools: String, there: &[String]| -> String {
            let kept = pools.split(", ").filter(|pool| there.iter().any(|found| found == pool));
            kept.collect::<Vec<_>>().join(", ")
        };
        let withdrew = only_in(&now.leaving_pools, &then.leaving_pools);
        let kept = only_in(&now.ending_pools, &then.ending_pools);
        let took_back = still(only_in(&then.leaving_pools, &now.leaving_pools), &now.cleared_pools);
        let parts = [
            ("gained", gained),
            ("lost", lost),
            ("withdrew ahead of its end", withdrew),
            ("keeps to its end", kept),
            ("took back", took_back),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(_, pools)| !pools.is_empty())
            .map(|(verb, pools)| format!("{verb} {pools}"))
            .collect();
        (!parts.is_empty()).then(|| format!("{what} {} {}", now.name, parts.join(", ")))
    })
}

/// One note for each exception that was in force and has ended.
fn ended<'a>(
    then: &'a [api::ExceptionStanding],
    now: &'a [api::ExceptionStanding],
) -> impl Iterator<Item = String> + 'a {
    let ended = now.iter().filter(|now| {
        !now.in_force && then.iter().any(|then| then.name == now.name && then.in_force && then.until == now.until)
    });
    ended.map(|now| format!("exception {} ended with {}", now.name, now.until))
}

/// The exceptions that let pods onto a pool.
fn exceptions_of_pool(clearance: &PoolClearance<'_>) -> Vec<api::PoolException> {
    let of_policy = clearance.policies.iter().flat_map(|found| found.let_in().map(|let_in| (found.policy(), let_in)));
    of_policy
        .map(|(policy, (name, exception))| api::PoolException {
            policy: policy.name.to_string(),
            name: name.to_string(),
            level: policy.levels.at(exception.rank).map(|level| level.name.to_string()).unwrap_or_default(),
            until: exception.until.to_string(),
        })
        .take(limits::STATUS_LIST)
        .collect()
}

/// How the pools fare under one policy.
#[derive(Default)]
struct Standings {
    levels: Vec<Tally>,
    categories: Vec<Tally>,
    /// By exception, the pools that it lets pods onto.
    opened: BTreeMap<String, Vec<String>>,
    endings: Vec<Ending>,
}

#[derive(Clone, Default)]
struct Tally {
    cleared: Vec<String>,
    leaving: Vec<String>,
    ending: Vec<String>,
    rejected: i32,
}

impl Tally {
    fn count(&mut self, pool: &PoolName, cleared: bool) {
        if cleared {
            self.cleared.push(pool.to_string());
        } else {
            self.rejected = self.rejected.saturating_add(1);
        }
    }
}

impl Standings {
    fn count(&mut self, pool: &PoolName, clearance: &PolicyClearance<'_>) {
        let policy = clearance.policy();
        self.levels.resize(policy.levels.iter().len(), Tally::default());
        for (rank, tally) in self.levels.iter_mut().enumerate() {
            tally.count(pool, clearance.cleared(rank));
            let outcome = match clearance.tenure(rank) {
                Tenure::Lasting => continue,
                Tenure::Leaving(_) => Outcome::Leaving,
                Tenure::Ending(_, Kept::Last) => Outcome::Last,
                Tenure::Ending(_, Kept::Report) => Outcome::Reported,
            };
            let pools = if outcome == Outcome::Leaving { &mut tally.leaving } else { &mut tally.ending };
            pools.push(pool.to_string());
            let message = clearance.ending(rank).map(|reason| reason.to_string()).unwrap_or_default();
            self.endings.push(Ending { outcome, message });
        }
        self.categories.resize(policy.categories.len(), Tally::default());
        for (category, tally) in policy.categories.keys().zip(&mut self.categories) {
            tally.count(pool, clearance.cleared_category(category));
        }
        for (name, _) in clearance.let_in() {
            self.opened.entry(name.to_string()).or_default().push(pool.to_string());
        }
    }

    fn listed(names: impl Iterator<Item = String>, tallies: Vec<Tally>) -> Vec<api::Standing> {
        let tallies = tallies.into_iter().chain(std::iter::repeat(Tally::default()));
        names
            .zip(tallies)
            .map(|(name, mut tally)| {
                for pools in [&mut tally.cleared, &mut tally.leaving, &mut tally.ending] {
                    pools.truncate(limits::STATUS_LIST);
                }
                api::Standing {
                    name,
                    cleared_pools: tally.cleared,
                    leaving_pools: tally.leaving,
                    ending_pools: tally.ending,
                    rejected_pools: Some(tally.rejected),
                    workloads: None,
                    violating_pods: None,
                }
            })
            .collect()
    }
}

fn verdicts(clearance: &PoolClearance<'_>) -> Vec<api::Verdict> {
    let mut verdicts = Vec::new();
    for found in &clearance.policies {
        let policy = found.policy();
        for (rank, level) in policy.levels.iter().enumerate() {
            verdicts.push(api::Verdict {
                policy: policy.name.to_string(),
                level: Some(level.name.to_string()),
                category: None,
                cleared: found.cleared(rank),
                leaving: matches!(found.tenure(rank), Tenure::Leaving(_)),
                ends: found.tenure(rank).end().map(|end| time(end.at)),
                reasons: reasons(found.reasons(rank).chain(found.ending(rank))),
            });
        }
        for category in policy.categories.keys() {
            verdicts.push(api::Verdict {
                policy: policy.name.to_string(),
                level: None,
                category: Some(category.to_string()),
                cleared: found.cleared_category(category),
                leaving: false,
                ends: None,
                reasons: reasons(found.category_reasons(category)),
            });
        }
    }
    fit(&mut verdicts);
    // The rejected first where not all find room: a verdict that is missing must not be taken for one.
    if verdicts.len() > limits::STATUS_LIST {
        verdicts.sort_by_key(|verdict| (verdict.cleared, verdict.reasons.is_empty()));
        verdicts.truncate(limits::STATUS_LIST);
    }
    verdicts
}

fn reasons<'a>(found: impl Iterator<Item = Reason<'a>>) -> Vec<api::Reason> {
    let mut reasons: Vec<_> = found
        .map(|reason| api::Reason {
            code: reason.code().to_string(),
            message: cut(reason.to_string(), limits::MESSAGE),
        })
        .collect();
    if reasons.len() > limits::REASONS {
        shorten(&mut reasons, limits::REASONS.saturating_sub(1));
    }
    reasons
}

/// How many bytes the verdicts of a status may take. etcd refuses objects of 1.5 MiB, and every reader pays for each byte.
const VERDICTS_SIZE: usize = 256 * 1024;

/// Shortens the reasons, the same way for all, until the verdicts find room. What is left out is counted.
fn fit(verdicts: &mut [api::Verdict]) {
    let size = |verdicts: &[api::Verdict]| -> usize {
        let reasons = verdicts.iter().flat_map(|verdict| &verdict.reasons);
        reasons.map(|reason| reason.code.len().saturating_add(reason.message.len()).saturating_add(32)).sum()
    };
    for kept in [16, 4, 1] {
        if size(verdicts) <= VERDICTS_SIZE {
            return;
        }
        for verdict in verdicts.iter_mut() {
            shorten(&mut verdict.reasons, kept);
        }
    }
}

/// Keeps the first `kept` of `reasons`, and counts the rest.
fn shorten(reasons: &mut Vec<api::Reason>, kept: usize) {
    // A count that an earlier round left stands for more than one.
    let counted = reasons.iter().position(|reason| reason.code == MORE).and_then(|at| {
        let count = reasons.remove(at);
        count.message.split_ascii_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok())
    });
    let left = reasons.len().saturating_sub(kept).saturating_add(counted.unwrap_or(0));
    reasons.truncate(kept);
    if left > 0 {
        reasons.push(api::Reason { code: MORE.to_owned(), message: format!("and {left} further reasons") });
    }
}

/// The code that stands for reasons that did not find room.
pub(super) const MORE: &str = "More";

/// At most `longest` characters of `text`.
pub(super) fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        let keep = text.char_indices().nth(longest.saturating_sub(1)).map_or(end, |(at, _)| at);
        text.truncate(keep);
        text.push('…');
    }
    text
}

pub(super) fn time(instant: Instant) -> Time {
    Time(instant.timestamp())
}

/// What the offers of `provider` are worth at `at`, and the next end of a certificate.
fn worth(provider: &Provider, at: Instant) -> (Vec<api::OfferStatus>, Option<Time>) {
    let next = provider.offers.values().flat_map(|offer| schemes_ends(offer, None, at)).min();
    let offers = provider
        .offers
        .values()
        .map(|offer| api::OfferStatus {
            name: offer.name.to_string(),
            exposed_to: provider
                .exposure(offer)
                .into_iter()
                .flat_map(|laws| laws.into_keys().map(str::to_owned))
                .collect(),
            in_force: in_force(offer, at),
        })
        .collect();
    (offers, next.map(time))
}

/// When what is in force of the offers of `provider` ends.
fn expiries(provider: &Provider, at: Instant) -> Vec<Expiry> {
    let mut found = Vec::new();
    for offer in provider.offers.values() {
        for (scheme, region) in scopes(offer) {
            if let Coverage::InForce { until: Some(until), .. } = coverage(offer, scheme, region, at) {
                let region = region.map(ToString::to_string);
                found.push(Expiry { offer: offer.name.to_string(), scheme: scheme.to_string(), region, at: until });
            }
        }
    }
    found
}

/// The schemes in force, each with the regions that have it until the same day.
fn in_force(offer: &Offer, at: Instant) -> Vec<api::QualificationInForce> {
    let mut found: BTreeMap<(&str, Option<Instant>), BTreeSet<&str>> = BTreeMap::new();
    for (scheme, region) in scopes(offer) {
        if let Coverage::InForce { until, .. } = coverage(offer, scheme, region, at) {
            found.entry((scheme.as_str(), until)).or_default().extend(region.map(RegionName::as_str));
        }
    }
    found
        .into_iter()
        .map(|((scheme, until), regions)| api::QualificationInForce {
            scheme: scheme.to_owned(),
            until: until.map(|until| Day::ending_at(until).to_string()),
            regions: regions.into_iter().map(str::to_owned).collect(),
        })
        .take(limits::QUALIFICATIONS)
        .collect()
}

/// Every scheme of `offer` with every region that its zones or certificates name; with none where they name none.
fn scopes(offer: &Offer) -> impl Iterator<Item = (&Scheme, Option<&RegionName>)> {
    let schemes: BTreeSet<_> = offer.qualifications.iter().map(|found| &found.scheme).collect();
    let of_certificates = offer.qualifications.iter().flat_map(|found| found.regions.iter().flatten());
    let mut regions: BTreeSet<_> =
        offer.zones.values().map(|zone| &zone.region).chain(of_certificates).map(Some).collect();
    if regions.is_empty() {
        regions.insert(None);
    }
    schemes.into_iter().flat_map(move |scheme| regions.clone().into_iter().map(move |region| (scheme, region)))
}

fn coverage<'a>(offer: &'a Offer, scheme: &Scheme, region: Option<&RegionName>, at: Instant) -> Coverage<'a> {
    region.map_or_else(|| offer.coverage_of_whole(scheme, at), |region| offer.coverage(scheme, region, at))
}

/// When what is in force at `at` ends, scheme by scheme, in `only` that region or in each.
fn schemes_ends<'a>(offer: &'a Offer, only: Option<&'a RegionName>, at: Instant) -> impl Iterator<Item = Instant> + 'a {
    scopes(offer).filter(move |(_, region)| only.is_none() || only == *region).filter_map(move |(scheme, region)| {
        match coverage(offer, scheme, region, at) {
            Coverage::InForce { until, .. } => until,
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_find_no_room_are_counted() {
        let reason = |i: usize| api::Reason { code: format!("Code{i}"), message: "x".repeat(1000) };
        let verdict = api::Verdict { reasons: (0..40).map(reason).collect(), ..api::Verdict::default() };
        let mut few = vec![verdict.clone(); 2];
        fit(&mut few);
        assert_eq!(few[0].reasons.len(), 40, "what finds room stays whole");
        let mut many = vec![verdict; 100];
        fit(&mut many);
        for verdict in &many {
            assert_eq!(verdict.reasons.last().unwrap().message, "and 39 further reasons");
            assert_eq!(verdict.reasons.first().unwrap().code, "Code0");
        }
        assert!(serde_json::to_string(&many).unwrap().len() < 2 * VERDICTS_SIZE);
    }

    #[test]
    fn an_offer_without_zones_is_worth_its_certificates_too() {
        let spec = serde_saphyr::from_str(
            r#"{operator: {name: A, jurisdiction: FR}, offers: [{name: o, qualifications: [
                {scheme: hds, validFrom: "2026-01-01", validUntil: "2026-12-31"},
                {scheme: secnumcloud, validFrom: "2026-01-01", validUntil: "2027-01-31", regions: [north]}]}]}"#,
        );
        let provider = convert::provider("acme", &spec.unwrap()).value.unwrap();
        let (offers, next) = worth(&provider, "2026-03-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into());
        let schemes: Vec<_> =
            offers[0].in_force.iter().map(|found| (found.scheme.as_str(), found.until.as_deref())).collect();
        assert_eq!(schemes, [("hds", Some("2026-12-31")), ("secnumcloud", Some("2027-01-31"))]);
        assert_eq!(next.unwrap().0.to_string(), "2027-01-01T00:00:00Z");
    }
}
