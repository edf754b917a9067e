//! Generators of small worlds for properties: few names, countries and days, so that collisions, gaps, overlaps, unknown facts and
//! unresolved pools are frequent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{collection as many, option, prelude::*, sample::select};
use rempart_core::{
    catalogue::{
        Catalogue, LegalParty, Offer, Pool, PoolRole, Price, Provider, Qualification, TechnologyComponent, Zone,
    },
    clearance::{ClearanceInput, Judge},
    coverage::SchemeLevel,
    instant::{CalendarDay, Timestamp},
    jurisdiction::{Jurisdiction, JurisdictionArea},
    name::{CategoryName, ExceptionName, LevelName, PolicyName},
    policy::{
        EnforcementMode, Exception, Level, LevelRequirements, LossAction, NameFilter, OnClearanceLoss, Policy,
        PolicyLevels,
    },
    scheduling::LevelScheduling,
    selector::{Labels, Selector, SelectorOperator},
};

const COUNTRIES: [&str; 6] = ["FR", "FR", "DE", "CH", "US", "CN"];
const AREAS: [&str; 6] = ["EU", "EEA", "FR", "CH", "US", "DE"];
const LAWS: [&str; 4] = ["us-cloud-act", "cn-national-intelligence-law", "acme-law", "us-clod-act"];
const TEXTS: [&str; 4] = ["Acme SAS", "", "a\nb\u{7f}", "Ünnamed \u{1f512} \u{202e}"];

/// How names look: short, or as long as a name may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NameLength {
    /// One or two letters.
    Short,
    /// The longest that are allowed, and free texts that are longer than any.
    Longest,
}

impl NameLength {
    fn of(self, name: &str, longest: usize) -> String {
        match self {
            Self::Short => name.to_owned(),
            Self::Longest => format!("{name:x<longest$}"),
        }
    }

    fn any(self, names: &'static [&'static str]) -> impl Strategy<Value = String> {
        select(names).prop_map(move |name| self.of(name, 63))
    }

    fn text(self) -> impl Strategy<Value = String> {
        select(&TEXTS[..]).prop_map(move |text| match self {
            Self::Short => text.to_owned(),
            Self::Longest => format!("{text}{}", "É\"".repeat(2000)),
        })
    }

    fn law(self) -> impl Strategy<Value = String> {
        // Known laws keep their names.
        select(&LAWS[..]).prop_map(move |law| if law.len() > 11 { law.to_owned() } else { self.of(law, 63) })
    }
}

fn parsed<T, E: std::fmt::Debug>(text: &str, parse: fn(&str) -> Result<T, E>) -> T {
    parse(text).unwrap()
}

macro_rules! parse {
    ($kind:ident, $text:expr) => {
        parsed(&$text, rempart_core::name::$kind::parse)
    };
}

fn country() -> impl Strategy<Value = Option<Jurisdiction>> {
    option::weighted(0.9, select(&COUNTRIES[..]).prop_map(|code| parsed(code, Jurisdiction::parse)))
}

/// A day of ten, so that terms meet, overlap and leave gaps.
fn day() -> impl Strategy<Value = CalendarDay> {
    (1..=10_u8).prop_map(january)
}

fn january(day: u8) -> CalendarDay {
    parsed(&format!("2026-01-{day:02}"), CalendarDay::parse)
}

/// An instant about those days, often a boundary.
pub(crate) fn instants() -> impl Strategy<Value = Timestamp> {
    let new_year = parsed("2026-01-01", CalendarDay::parse).starts().timestamp().as_second();
    (-2..13_i64, select(&[0, 0, -1, 1, 43_200][..]))
        .prop_map(move |(day, offset)| Timestamp::from_seconds(new_year + day * 86_400 + offset))
}

fn party(names: NameLength) -> impl Strategy<Value = LegalParty> {
    (names.text(), country()).prop_map(|(name, jurisdiction)| LegalParty { name, jurisdiction })
}

fn technology(names: NameLength) -> impl Strategy<Value = TechnologyComponent> {
    (names.text(), names.text(), country()).prop_map(|(name, supplier, jurisdiction)| TechnologyComponent {
        name,
        supplier,
        jurisdiction,
    })
}

/// How high a certificate is, or must be: few, so that they often meet.
fn level() -> impl Strategy<Value = SchemeLevel> {
    select(&[0, 1, 2, 100][..]).prop_map(|level| SchemeLevel::new(level).unwrap())
}

fn qualification(names: NameLength) -> impl Strategy<Value = Qualification> {
    let scope = option::weighted(0.25, many::btree_set(names.any(&["r1", "r2", "r3"]), 0..3));
    let reference = option::of(names.text());
    let scheme = (names.any(&["snc", "hds"]), option::weighted(0.7, level()));
    (scheme, day(), option::weighted(0.8, day()), scope, reference).prop_map(
        |((scheme, level), valid_from, valid_until, regions, reference)| Qualification {
            scheme: parse!(Scheme, scheme),
            level,
            valid_from,
            // Now and then it ends before it begins: the edge refuses that, the core bears it.
            valid_until,
            regions: regions.map(|regions| regions.iter().map(|r| parse!(RegionName, r)).collect()),
            reference,
            source: None,
        },
    )
}

fn figure(figures: &'static [f64]) -> impl Strategy<Value = Option<f64>> {
    option::weighted(0.8, select(figures))
}

fn zone(names: NameLength) -> impl Strategy<Value = Zone> {
    let facts = (country(), figure(&[1.0, 1.2, 1.5]), figure(&[0.0, 44.0, 615.0]));
    (names.any(&["z1", "z2"]), names.any(&["r1", "r2"]), facts).prop_map(
        |(name, region, (country, pue, carbon_intensity))| Zone {
            name: parse!(ZoneName, name),
            region: parse!(RegionName, region),
            country,
            pue,
            carbon_intensity,
        },
    )
}

fn offer(names: NameLength) -> impl Strategy<Value = Offer> {
    (
        names.any(&["x", "y"]),
        many::vec(technology(names), 0..3),
        option::weighted(0.9, many::btree_set(names.law(), 0..2)),
        many::vec(zone(names), 2..5),
        many::vec(qualification(names), 0..5),
    )
        .prop_map(|(name, technology, exposed_to, zones, qualifications)| Offer {
            name: parse!(OfferName, name),
            technology,
            exposed_to: exposed_to.map(|laws| laws.iter().map(|law| parse!(Law, law)).collect()),
            zones: zones.into_iter().map(|zone| (zone.name.clone(), zone)).collect(),
            qualifications,
        })
}

fn provider(names: NameLength) -> impl Strategy<Value = Provider> {
    (names.any(&["a", "b"]), party(names), option::of(party(names)), many::vec(offer(names), 2..5)).prop_map(
        |(name, operator, controlling_party, offers)| Provider {
            name: parse!(ProviderName, name),
            operator,
            controlling_party,
            offers: offers.into_iter().map(|offer| (offer.name.clone(), offer)).collect(),
        },
    )
}

/// A selector over two labels of two values each; seldom one that demands nothing.
pub(crate) fn selectors() -> impl Strategy<Value = Selector> {
    let values = || many::btree_set(select(&["1", "2"][..]).prop_map(str::to_owned), 0..3);
    let operator = prop_oneof![
        3 => values().prop_map(SelectorOperator::In),
        1 => values().prop_map(SelectorOperator::NotIn),
        1 => Just(SelectorOperator::Exists),
        1 => Just(SelectorOperator::DoesNotExist),
    ];
    many::vec((select(&["k", "l"][..]).prop_map(str::to_owned), operator), 0..3).prop_map(Selector::new)
}

/// Labels that such selectors may match.
pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    let text = |texts: &'static [&'static str]| select(texts).prop_map(str::to_owned);
    many::btree_map(text(&["k", "l"]), text(&["1", "2"]), 0..3)
}

/// A pool, most often of a provider, offer and zone that may exist.
pub(crate) fn pools(names: NameLength) -> impl Strategy<Value = Pool> {
    (
        names.any(&["p1", "p2", "p3"]),
        prop_oneof![39 => names.any(&["a", "b"]), 1 => names.text()],
        prop_oneof![39 => names.any(&["x", "y"]), 1 => names.text()],
        prop_oneof![39 => names.any(&["z1", "z2"]), 1 => names.text()],
        selectors(),
        option::of(select(&["aws:///", "aws:///z1/", ""][..]).prop_map(str::to_owned)),
    )
        .prop_map(|(name, provider, offer, zone, selector, provider_id_prefix)| Pool {
            name: parse!(PoolName, name),
            role: PoolRole::Nodes,
            provider,
            offer,
            zone,
            selector,
            provider_id_prefix,
            price: None,
        })
}

/// A place of the control plane.
fn control_plane(names: NameLength) -> impl Strategy<Value = Pool> {
    pools(names).prop_map(|pool| Pool {
        role: PoolRole::ControlPlane,
        selector: Selector::default(),
        provider_id_prefix: None,
        ..pool
    })
}

/// Each of the twelve demands.
pub(crate) fn full_requirements(names: NameLength) -> impl Strategy<Value = LevelRequirements> {
    let areas = || {
        let listed = many::vec(select(&AREAS[..]).prop_map(|area| parsed(area, JurisdictionArea::parse)), 1..3);
        listed.prop_map(|areas| Some(areas.into_iter().collect()))
    };
    let name = |known: &'static [&'static str]| many::btree_set(names.any(known), 1..3);
    let filter = |known| (option::of(name(known)), many::btree_set(names.any(known), 0..2));
    (
        (areas(), areas(), areas(), areas()),
        (
            many::btree_set(names.law(), 1..3),
            many::btree_set(names.any(&["snc", "hds"]), 1..2),
            many::vec((names.any(&["snc", "hds"]), level()), 1..3),
        ),
        (filter(&["a", "b", "c"]), filter(&["r1", "r2", "r3"])),
        (select(&[1.2, 1.5][..]), select(&[44.0, 100.0][..])),
    )
        .prop_map(|(areas, (laws, schemes, levels), (providers, regions), (pue, carbon))| {
            let (operator, controlling_party, technology, data) = areas;
            LevelRequirements {
                operator,
                controlling_party,
                technology,
                data,
                not_exposed_to: laws.iter().map(|law| parse!(Law, law)).collect(),
                qualifications: schemes.iter().map(|scheme| parse!(Scheme, scheme)).collect(),
                minimum_levels: levels.iter().map(|(scheme, level)| (parse!(Scheme, scheme), *level)).collect(),
                providers: NameFilter {
                    allow: providers.0.map(|names| names.iter().map(|p| parse!(ProviderName, p)).collect()),
                    deny: providers.1.iter().map(|p| parse!(ProviderName, p)).collect(),
                },
                regions: NameFilter {
                    allow: regions.0.map(|names| names.iter().map(|r| parse!(RegionName, r)).collect()),
                    deny: regions.1.iter().map(|r| parse!(RegionName, r)).collect(),
                },
                max_pue: Some(pue),
                max_carbon_intensity: Some(carbon),
                control_plane: true,
            }
        })
}

/// One or two demands of the twelve: few, so that places often pass, and each is often what decides.
pub(crate) fn requirements(names: NameLength) -> impl Strategy<Value = LevelRequirements> {
    let kept = many::vec(select(&[0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 6, 7, 8, 9, 10, 10, 11][..]), 1..3);
    (full_requirements(names), kept).prop_map(|(all, kept)| {
        kept.into_iter().fold(LevelRequirements::default(), |some, kind| with(some, &all, kind))
    })
}

/// `some` with the demand `kind` of `all`.
fn with(mut some: LevelRequirements, all: &LevelRequirements, kind: u8) -> LevelRequirements {
    let all = all.clone();
    match kind {
        0 => some.operator = all.operator,
        1 => some.controlling_party = all.controlling_party,
        2 => some.technology = all.technology,
        3 => some.data = all.data,
        4 => some.not_exposed_to = all.not_exposed_to,
        5 => some.qualifications = all.qualifications,
        6 => some.providers = all.providers,
        7 => some.regions = all.regions,
        8 => some.max_pue = all.max_pue,
        10 => some.minimum_levels = all.minimum_levels,
        11 => some.control_plane = all.control_plane,
        _ => some.max_carbon_intensity = all.max_carbon_intensity,
    }
    some
}

/// What becomes of pods, most often with a lead time of hours or a few days.
fn on_loss() -> impl Strategy<Value = OnClearanceLoss> {
    let action = select(&[LossAction::Migrate, LossAction::Migrate, LossAction::Evict, LossAction::Report][..]);
    let hours = select(&[0, 0, 1, 24, 36, 96][..]);
    (action, hours).prop_map(|(action, hours)| OnClearanceLoss {
        action,
        lead: Duration::from_hours(hours),
        ..OnClearanceLoss::default()
    })
}

/// Of an exception: what level it is for, which pools it names, one of which there never is, and its last day.
fn exception(names: NameLength) -> impl Strategy<Value = (prop::sample::Index, BTreeSet<String>, CalendarDay)> {
    (any::<prop::sample::Index>(), many::btree_set(names.any(&["p1", "p2", "p3", "p4"]), 1..4), day())
}

/// A policy of one to four levels, `l0` the least sensitive, of the categories `c0` and `c1` or fewer, and of the
/// exceptions `e0`, of the namespaces `n0` and `m0`, and `e1`, or fewer.
pub(crate) fn policies(names: NameLength) -> impl Strategy<Value = Policy> {
    let demands = move || (option::weighted(0.5, requirements(names)), on_loss());
    let of_categories = move || option::weighted(0.5, requirements(names));
    (
        select(&["p", "q"][..]),
        many::vec(demands(), 1..5),
        many::vec(of_categories(), 0..3),
        (any::<prop::sample::Index>(), option::weighted(0.3, any::<prop::sample::Index>())),
        many::vec(exception(names), 0..3),
    )
        .prop_map(move |(name, levels, categories, (default, minimum), exceptions)| {
            let short = |name: &str| names.of(name, 28);
            let rank = default.index(levels.len());
            let default = short(&format!("l{rank}"));
            let minimum = minimum.map(|minimum| short(&format!("l{}", minimum.index(rank + 1))));
            let exceptions = exceptions.into_iter().enumerate().map(|(i, (rank, pools, until))| {
                let exception = Exception {
                    namespaces: [format!("n{i}"), format!("m{i}")].into(),
                    rank: rank.index(levels.len()),
                    pools: pools.iter().map(|name| parse!(PoolName, name)).collect(),
                    until,
                    reason: "migration".to_owned(),
                    approved_by: "CISO".to_owned(),
                };
                (parsed(&short(&format!("e{i}")), ExceptionName::parse), exception)
            });
            let exceptions = exceptions.collect();
            let levels = levels.into_iter().enumerate().map(|(i, (require, on_loss))| Level {
                name: parsed(&short(&format!("l{i}")), LevelName::parse),
                require,
                on_loss,
                scheduling: LevelScheduling::default(),
            });
            let categories = categories
                .into_iter()
                .enumerate()
                .map(|(i, require)| (parsed(&short(&format!("c{i}")), CategoryName::parse), require));
            Policy {
                name: parsed(&short(name), PolicyName::parse),
                mode: EnforcementMode::Enforce,
                namespaces: Selector::default(),
                requires_namespace_level: false,
                levels: match minimum {
                    Some(minimum) => levels_of(levels, &default).with_minimum(&minimum).unwrap(),
                    None => levels_of(levels, &default),
                },
                categories: categories.collect(),
                terminating: false,
                exceptions,
            }
        })
}

fn levels_of(levels: impl Iterator<Item = Level>, default: &str) -> PolicyLevels {
    PolicyLevels::new(levels.collect(), default).unwrap()
}

/// A world of up to two providers, three pools, two places of the control plane and two policies.
pub(crate) fn worlds(names: NameLength) -> impl Strategy<Value = ClearanceInput> {
    let places = (many::vec(pools(names), 1..4), many::vec(control_plane(names), 0..3));
    (many::vec(provider(names), 2..5), places, many::vec(policies(names), 1..3)).prop_map(
        |(providers, (pools, control_plane), policies)| ClearanceInput {
            catalogue: Catalogue {
                providers: providers.into_iter().map(|provider| (provider.name.clone(), provider)).collect(),
                pools: pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect(),
                control_plane: control_plane.into_iter().map(|pool| (pool.name.clone(), pool)).collect(),
                ..Catalogue::default()
            },
            policies: policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect(),
            ..ClearanceInput::default()
        },
    )
}

/// A world in which certificates alone decide, so that pools are often cleared and often near their end.
pub(crate) fn ending_worlds() -> impl Strategy<Value = ClearanceInput> {
    // In force from the first day on, so that the ends of the two offers differ, and often lie within a lead time.
    let in_force = || {
        let scheme = select(&["snc", "snc", "hds"][..]);
        (scheme, (4..=10_u8).prop_map(january)).prop_map(|(scheme, last)| Qualification {
            scheme: parse!(Scheme, scheme),
            level: None,
            valid_from: january(1),
            valid_until: Some(last),
            regions: None,
            reference: None,
            source: None,
        })
    };
    let certificates = move || many::vec(prop_oneof![in_force(), qualification(NameLength::Short)], 2..6);
    let place = || (select(&["x", "y"][..]), select(&["z1", "z2"][..]));
    let places = (many::vec(place(), 3), many::vec(place(), 2), proptest::bool::weighted(0.3));
    (worlds(NameLength::Short), certificates(), certificates(), places).prop_map(
        |(mut world, x, y, (places, of_control_plane, is_counted))| {
            let provider = ["a", "b"].iter().find_map(|name| world.catalogue.providers.get(*name)).unwrap().clone();
            let (a, mut offer) = (provider.name.clone(), provider.offers.values().next().unwrap().clone());
            // Facts that tell the zones apart, for whoever demands more than certificates.
            let zone = |name: &str, country, pue, carbon_intensity| Zone {
                name: parse!(ZoneName, name),
                region: parse!(RegionName, name.replace('z', "r")),
                country: Some(parsed(country, Jurisdiction::parse)),
                pue: Some(pue),
                carbon_intensity: Some(carbon_intensity),
            };
            let zones = [zone("z1", "FR", 1.2, 44.0), zone("z2", "US", 1.5, 100.0)];
            offer.zones = zones.map(|zone| (zone.name.clone(), zone)).into();
            let offers = [("x", x), ("y", y)].map(|(name, qualifications)| {
                let name = parse!(OfferName, name);
                (name.clone(), Offer { name, qualifications, ..offer.clone() })
            });
            world.catalogue.providers = [(a.clone(), Provider { offers: offers.into(), ..provider })].into();
            let template = world.catalogue.pools.values().next().unwrap().clone();
            let pools = ["p1", "p2", "p3"].into_iter().zip(places).map(|(name, (offer, zone))| {
                let name = parse!(PoolName, name);
                let (provider, offer, zone) = (a.to_string(), offer.to_owned(), zone.to_owned());
                (name.clone(), Pool { name, provider, offer, zone, ..template.clone() })
            });
            world.catalogue.pools = pools.collect();
            for (pool, (offer, zone)) in world.catalogue.control_plane.values_mut().zip(of_control_plane) {
                (pool.provider, pool.offer, pool.zone) = (a.to_string(), offer.to_owned(), zone.to_owned());
            }
            for policy in world.policies.values_mut() {
                let default = policy.levels.at(policy.levels.default_rank()).unwrap().name.to_string();
                let alone = |require: &LevelRequirements| {
                    let mut qualifications = require.qualifications.clone();
                    if qualifications.is_empty() {
                        qualifications.insert(parse!(Scheme, "snc"));
                    }
                    let control_plane = require.control_plane;
                    LevelRequirements { qualifications, control_plane, ..LevelRequirements::default() }
                };
                let levels = policy.levels.iter();
                let mut levels: Vec<_> =
                    levels.map(|level| Level { require: level.require.as_ref().map(alone), ..level.clone() }).collect();
                // The control plane alone can be what ends.
                if is_counted && let Some(first) = levels.iter_mut().find_map(|level| level.require.as_mut()) {
                    first.control_plane = true;
                }
                policy.levels = PolicyLevels::new(levels, &default).unwrap();
            }
            world
        },
    )
}

/// A world of any kind, its names short.
pub(crate) fn any_worlds() -> impl Strategy<Value = ClearanceInput> {
    prop_oneof![worlds(NameLength::Short), ending_worlds()]
}

/// `world` whose levels all wish this, and whose pools cost these amounts, in turns; none where there is no amount.
pub(crate) fn with_wishes(
    world: &ClearanceInput,
    scheduling: &LevelScheduling,
    prices: &[Option<(f64, &str)>],
) -> ClearanceInput {
    let mut world = world.clone();
    for policy in world.policies.values_mut() {
        let default = policy.levels.at(policy.levels.default_rank()).unwrap().name.to_string();
        let levels = policy.levels.iter().map(|level| Level { scheduling: scheduling.clone(), ..level.clone() });
        policy.levels = PolicyLevels::new(levels.collect(), &default).unwrap();
    }
    for (pool, price) in world.catalogue.pools.values_mut().zip(prices.iter().cycle()) {
        pool.price = price.map(|(amount, currency)| Price { amount, currency: currency.to_owned() });
    }
    world
}

/// `world` with the same `on_loss` in every level.
pub(crate) fn with_on_loss(world: &ClearanceInput, on_loss: &OnClearanceLoss) -> ClearanceInput {
    let mut world = world.clone();
    for policy in world.policies.values_mut() {
        let default = policy.levels.at(policy.levels.default_rank()).unwrap().name.to_string();
        let levels = policy.levels.iter().map(|level| Level { on_loss: on_loss.clone(), ..level.clone() }).collect();
        policy.levels = PolicyLevels::new(levels, &default).unwrap();
    }
    world
}

/// What a verdict is about: pool, policy, and level or category.
pub(crate) type VerdictSubject = (String, String, String);

/// Whether cleared, and every reason as code and sentence.
pub(crate) type Verdict = (bool, Vec<String>);

/// Every verdict of `world` at `at`.
pub(crate) fn verdicts(world: &ClearanceInput, at: Timestamp) -> BTreeMap<VerdictSubject, Verdict> {
    let mut verdicts = BTreeMap::new();
    for pool in Judge::new(world).pools(at) {
        for clearance in &pool.policies {
            let policy = clearance.policy();
            let about = |what: String| (pool.pool.name.to_string(), policy.name.to_string(), what);
            for (rank, level) in policy.levels.iter().enumerate() {
                let reasons = clearance.reasons(rank).map(|reason| format!("{}: {reason}", reason.code()));
                verdicts.insert(about(format!("level {}", level.name)), (clearance.cleared(rank), reasons.collect()));
            }
            for category in policy.categories.keys() {
                let reasons = clearance.category_reasons(category).map(|reason| format!("{}: {reason}", reason.code()));
                let verdict = (clearance.cleared_category(category), reasons.collect());
                verdicts.insert(about(format!("category {category}")), verdict);
            }
            for exception in policy.exceptions.keys() {
                let reasons = clearance.exception_reasons(exception);
                let reasons = reasons.map(|reason| format!("{}: {reason}", reason.code())).collect();
                let verdict = (clearance.cleared_by_exception(exception), reasons);
                verdicts.insert(about(format!("exception {exception}")), verdict);
            }
        }
    }
    verdicts
}

/// What is cleared in `world` at `at`, lead times left aside. Of an exception: whether its pods may stand there.
pub(crate) fn cleared(world: &ClearanceInput, at: Timestamp) -> BTreeSet<VerdictSubject> {
    let mut cleared = BTreeSet::new();
    for pool in Judge::new(world).pools(at) {
        for clearance in &pool.policies {
            let policy = clearance.policy();
            let levels = policy.levels.iter().enumerate().filter(|(rank, _)| clearance.cleared(*rank));
            let categories = policy.categories.keys().filter(|name| clearance.cleared_category(name));
            let accepts_pod = |name: &ExceptionName, exception: &Exception| {
                clearance.excepted(name) || clearance.cleared(exception.rank)
            };
            let exceptions = policy.exceptions.iter().filter(|(name, exception)| accepts_pod(name, exception));
            let found = levels
                .map(|(_, level)| format!("level {}", level.name))
                .chain(categories.map(|name| format!("category {name}")))
                .chain(exceptions.map(|(name, _)| format!("exception {name}")));
            cleared.extend(found.map(|what| (pool.pool.name.to_string(), policy.name.to_string(), what)));
        }
    }
    cleared
}

/// The stamps of every pool of `world` at `at`.
pub(crate) fn stamps(world: &ClearanceInput, at: Timestamp) -> BTreeMap<String, Labels> {
    Judge::new(world).pools(at).map(|pool| (pool.pool.name.to_string(), pool.stamps())).collect()
}
