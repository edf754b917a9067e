//! Properties of the judgement: what holds of verdicts, reasons, derivations and stamps in every generated world.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rempart_core::{
    catalogue::{Catalogue, Offer},
    clearance::{ClearanceInput, Judge},
    derivation::{OfferRequirement, Step},
    instant::Timestamp,
    keys,
    name::{PolicyName, PoolName},
    policy::LevelRequirements,
    reason::{Reason, ReasonCode, RequirementSource},
    scheduling::{Figure, LevelScheduling, Preference, Spread, SpreadDomain},
};

use crate::{
    property_runner::properties,
    worlds::{
        NameLength, Verdict, VerdictSubject, any_worlds, instants, policies, stamps, verdicts, with_wishes, worlds,
    },
};

fn offers(world: &mut ClearanceInput) -> impl Iterator<Item = &mut Offer> {
    world.catalogue.providers.values_mut().flat_map(|provider| provider.offers.values_mut())
}

/// `world`, told in another order.
fn retold(world: &ClearanceInput) -> ClearanceInput {
    let ClearanceInput { catalogue, policies, unread_policies } = world.clone();
    let Catalogue { providers, pools, control_plane, unread_control_plane } = catalogue;
    let mut retold = ClearanceInput {
        catalogue: Catalogue {
            providers: providers.into_iter().rev().collect(),
            pools: pools.into_iter().rev().collect(),
            control_plane: control_plane.into_iter().rev().collect(),
            unread_control_plane,
        },
        policies: policies.into_iter().rev().collect(),
        unread_policies,
    };
    for offer in offers(&mut retold) {
        offer.technology.reverse();
        offer.qualifications.reverse();
    }
    retold
}

/// What may change by itself of a policy: its verdicts and exceptions, the ends that lead times make known, and its stamps.
#[derive(Clone, Debug, Default, PartialEq)]
struct PolicyState {
    verdicts: BTreeMap<VerdictSubject, Verdict>,
    ends: Vec<String>,
    stamps: BTreeSet<(String, String)>,
}

/// The state of each policy.
fn per_policy(world: &ClearanceInput, at: Timestamp) -> BTreeMap<String, PolicyState> {
    let mut found: BTreeMap<String, PolicyState> = BTreeMap::new();
    for (about, verdict) in verdicts(world, at) {
        found.entry(about.1.clone()).or_default().verdicts.insert(about, verdict);
    }
    for pool in Judge::new(world).pools(at) {
        let stamps = pool.stamps();
        for clearance in &pool.policies {
            let policy = clearance.policy();
            let state = found.entry(policy.name.to_string()).or_default();
            let ends = (0..policy.levels.iter().len()).filter_map(|rank| clearance.ending(rank));
            state.ends.extend(ends.map(|reason| format!("{reason}")));
            let own = stamps.keys().filter(|key| keys::policy_asked(key) == Some(policy.name.as_str()));
            state.stamps.extend(own.map(|key| (pool.pool.name.to_string(), key.clone())));
        }
    }
    for place in Judge::new(world).control_plane(at) {
        for clearance in &place.policies {
            let policy = clearance.policy();
            let state = found.entry(policy.name.to_string()).or_default();
            let told = |reason: Reason<'_>| reason.to_string();
            for (rank, level) in policy.levels.iter().enumerate() {
                let about =
                    (format!("control plane {}", place.pool.name), policy.name.to_string(), level.name.to_string());
                let verdict = (clearance.cleared(rank), clearance.reasons(rank).map(told).collect());
                state.verdicts.insert(about, verdict);
                state.ends.extend(clearance.ending(rank).map(told));
            }
            for category in policy.categories.keys() {
                let about = (
                    format!("control plane {}", place.pool.name),
                    policy.name.to_string(),
                    format!("category {category}"),
                );
                let verdict =
                    (clearance.cleared_category(category), clearance.category_reasons(category).map(told).collect());
                state.verdicts.insert(about, verdict);
            }
        }
    }
    for policy in world.policies.values() {
        for (name, exception) in &policy.exceptions {
            let about = (String::new(), policy.name.to_string(), format!("exception {name}"));
            let verdict = (at < exception.until.ends(), Vec::new());
            found.entry(policy.name.to_string()).or_default().verdicts.insert(about, verdict);
        }
    }
    found
}

/// Each instant at which any fact of `world` may begin or cease to count, and its neighbours. Found without the core's
/// own list of boundaries.
fn probes(world: &ClearanceInput) -> BTreeSet<Timestamp> {
    let providers = world.catalogue.providers.values();
    let terms = providers.flat_map(|provider| provider.offers.values()).flat_map(|offer| &offer.qualifications);
    let days = terms.flat_map(|term| std::iter::once(term.valid_from).chain(term.valid_until));
    let exceptions = world.policies.values().flat_map(|policy| policy.exceptions.values());
    let days = days.chain(exceptions.map(|exception| exception.until));
    let instants = days.flat_map(|day| [day.starts(), day.ends()]);
    let levels = || world.policies.values().flat_map(|policy| policy.levels.iter());
    let leads: BTreeSet<Duration> = levels().map(|level| level.on_loss.lead).chain([Duration::ZERO]).collect();
    let before = |instant: Timestamp| leads.iter().map(move |lead| instant.before(*lead));
    instants
        .flat_map(before)
        .flat_map(|instant| {
            let second = instant.timestamp().as_second();
            [-1, 0, 1, 43_200].map(|offset| Timestamp::from_seconds(second + offset))
        })
        .collect()
}

properties! {
    cases: 128;

    #[test]
    fn a_wish_clears_nothing_and_ranks_what_is_cleared(
        world in any_worlds(),
        at in instants(),
        weights in (1..=100_u8, 1..=100_u8, 1..=100_u8),
        prices in proptest::collection::vec(proptest::option::of((0.0..10.0_f64, proptest::sample::select(&["EUR", "CHF"][..]))), 1..4),
    ) {
        let prefer = [(Figure::Pue, weights.0), (Figure::CarbonIntensity, weights.1), (Figure::Price, weights.2)];
        let prefer = prefer.map(|(by, weight)| Preference { by, weight }).to_vec();
        let spread = Spread { across: SpreadDomain::Provider, min_domains: Some(2), max_skew: 1, is_required: true };
        let wishes = LevelScheduling { prefer, spread: Some(spread), unreachable_after: None };
        let wishing = with_wishes(&world, &wishes, &prices);
        for (without, with) in Judge::new(&world).pools(at).zip(Judge::new(&wishing).pools(at)) {
            let (ranks, stamps): (BTreeMap<_, _>, BTreeMap<_, _>) =
                with.stamps().into_iter().partition(|(key, _)| key.starts_with("rank."));
            prop_assert_eq!(without.stamps(), stamps);
            prop_assert_eq!(without.retained(), with.retained());
            prop_assert!(ranks.values().all(|rank| rank.parse::<u8>().is_ok_and(|rank| rank <= 100)), "{ranks:?}");
            // Whoever is ranked for a level admits its pods, and the other way round.
            for clearance in &with.policies {
                for rank in 0..clearance.policy().levels.iter().len() {
                    prop_assert_eq!(clearance.score(rank).is_some(), clearance.admits(rank) && with.site.is_ok());
                }
            }
        }
    }

    #[test]
    fn requirements_accumulate(world in any_worlds(), at in instants()) {
        for pool in Judge::new(&world).pools(at) {
            let stamps = pool.stamps();
            for clearance in &pool.policies {
                let policy = clearance.policy();
                for rank in 1..policy.levels.iter().len() {
                    prop_assert!(!clearance.cleared(rank) || clearance.cleared(rank - 1));
                    let above: Vec<_> = clearance.reasons(rank).map(|reason| reason.to_string()).collect();
                    for below in clearance.reasons(rank - 1) {
                        prop_assert!(above.contains(&below.to_string()), "{below}");
                    }
                    let stamped = |rank| policy.clearance_key(rank).map(|key| stamps.contains_key(&key));
                    // A pool that is the last of a level may be one of several of the level below, and be withdrawn there.
                    if pool.site.is_ok() && stamped(rank) == Some(true) && clearance.admits(rank - 1) {
                        prop_assert_ne!(stamped(rank - 1), Some(false));
                    }
                }
            }
        }
    }

    #[test]
    fn the_judgement_is_a_function(world in any_worlds(), at in instants()) {
        prop_assert_eq!(verdicts(&world, at), verdicts(&world.clone(), at));
        prop_assert_eq!(stamps(&world, at), stamps(&world.clone(), at));
        let judge = Judge::new(&world);
        prop_assert_eq!(judge.next_changes(at), judge.next_changes(at));
    }

    #[test]
    fn the_order_of_facts_and_policies_never_matters(world in any_worlds(), at in instants()) {
        let retold = retold(&world);
        prop_assert_eq!(verdicts(&world, at), verdicts(&retold, at));
        prop_assert_eq!(stamps(&world, at), stamps(&retold, at));
        prop_assert_eq!(Judge::new(&world).next_changes(at), Judge::new(&retold).next_changes(at));
    }

    #[test]
    fn cleared_is_to_have_no_reason(world in any_worlds(), at in instants()) {
        for (about, (cleared, reasons)) in verdicts(&world, at) {
            prop_assert_eq!(cleared, reasons.is_empty(), "{:?}", about);
            let distinct: BTreeSet<_> = reasons.iter().collect();
            prop_assert!(distinct.len() == reasons.len(), "said twice: {reasons:?}");
        }
        for pool in Judge::new(&world).pools(at) {
            for clearance in &pool.policies {
                let beyond = clearance.policy().levels.iter().len();
                prop_assert!(!clearance.cleared(beyond) && !clearance.cleared(usize::MAX));
                let _ = clearance.reasons(usize::MAX).count();
            }
        }
    }

    #[test]
    fn a_derivation_is_the_judgement_told_in_full(world in any_worlds(), at in instants()) {
        let judge = Judge::new(&world);
        for judged in judge.pools(at) {
            let pool = judged.pool;
            for clearance in &judged.policies {
                let policy = clearance.policy();
                let categories: Vec<_> = policy.categories.keys().collect();
                for (name, exception) in &policy.exceptions {
                    let derivation = judge.derive(policy, Some(0), Some(name), &[], pool, at);
                    // A derivation tells clearance. That a cleared pool is withdrawn ahead of its end is told beside it.
                    let cleared = clearance.excepted(name) || clearance.cleared(exception.rank);
                    prop_assert_eq!(derivation.cleared(), cleared || !policy.levels.demands_at(exception.rank));
                    prop_assert_eq!(derivation.waived.is_some(), clearance.let_in().any(|(found, _)| found == name));
                }
                for rank in (0..policy.levels.iter().len()).map(Some).chain([None]) {
                    for some in [&[][..], &categories[..]] {
                        let derivation = judge.derive(policy, rank, None, some, pool, at);
                        let cleared = rank.is_none_or(|rank| clearance.cleared(rank))
                            && some.iter().all(|category| clearance.cleared_category(category));
                        prop_assert_eq!(derivation.cleared(), cleared);
                        let expected = rank
                            .into_iter()
                            .flat_map(|rank| clearance.reasons(rank))
                            .chain(some.iter().flat_map(|category| clearance.category_reasons(category)));
                        let expected: Vec<_> = expected.map(|reason| (reason.code(), reason.to_string())).collect();
                        let failed = derivation.steps.iter().filter_map(|step| derivation.reason(step));
                        let failed: Vec<_> = failed.map(|reason| (reason.code(), reason.to_string())).collect();
                        prop_assert_eq!(failed, expected);
                        for step in &derivation.steps {
                            let told = derivation.told(step).to_string();
                            prop_assert!(!told.is_empty() && !told.contains('\n'), "{told:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_demand_is_a_step_of_every_place_that_is_recorded(world in any_worlds(), at in instants()) {
        let judge = Judge::new(&world);
        for (pool, policy) in world.catalogue.pools.values().flat_map(|pool| world.policies.values().map(move |p| (pool, p))) {
            if judge.resolve(pool).is_err() {
                continue;
            }
            let top = policy.levels.iter().len() - 1;
            let derivation = judge.derive(policy, Some(top), None, &[], pool, at);
            let of_pool = derivation.steps.iter().filter(|step| step.control_plane.is_none());
            let of_pool = of_pool.filter(|step| step.wanted != OfferRequirement::ControlPlane);
            let mut steps: Vec<_> = of_pool.map(|step| (step.demander, step.wanted)).collect();
            // Technology is one demand, and a step for each part of the stack.
            steps.dedup();
            let wanted = policy.levels.iter().flat_map(|level| {
                let require = level.require.iter().flat_map(LevelRequirements::wanted);
                require.map(|wanted| (RequirementSource::Level(&level.name), wanted))
            });
            let (of_control_plane, wanted): (Vec<_>, Vec<_>) =
                wanted.partition(|(_, wanted)| *wanted == OfferRequirement::ControlPlane);
            prop_assert_eq!(steps, wanted);
            // Each place of the control plane is asked for each level that counts it in, or somebody says that there is none.
            let asked = |step: &&Step<'_>| step.control_plane.is_some() || step.wanted == OfferRequirement::ControlPlane;
            let places = derivation.steps.iter().filter(asked).map(|step| step.control_plane.map(|place| &place.pool.name));
            let known: BTreeSet<_> = world.catalogue.control_plane.keys().map(Some).collect();
            let known = if known.is_empty() { [None].into() } else { known };
            let expected = if of_control_plane.is_empty() { BTreeSet::new() } else { known };
            prop_assert_eq!(places.collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn another_policy_alters_no_verdict_of_the_others(
        world in any_worlds(),
        mut other in policies(NameLength::Short),
        at in instants(),
    ) {
        other.name = PolicyName::parse("other").unwrap();
        let mut more = world.clone();
        more.policies.insert(other.name.clone(), other);
        let mut after = verdicts(&more, at);
        after.retain(|(_, policy, _), _| policy != "other");
        prop_assert_eq!(verdicts(&world, at), after);
    }

    #[test]
    fn verdicts_change_when_announced_and_at_no_other_time(
        world in any_worlds(),
        at in instants(),
    ) {
        let announced: BTreeMap<String, Timestamp> =
            Judge::new(&world).next_changes(at).into_iter().map(|(name, next)| (name.to_string(), next)).collect();
        let now = per_policy(&world, at);
        for (policy, next) in &announced {
            prop_assert!(*next > at);
            prop_assert_ne!(&now[policy], &per_policy(&world, *next)[policy], "nothing changes at {}", next);
        }
        for probe in probes(&world).into_iter().filter(|probe| *probe > at) {
            let then = per_policy(&world, probe);
            for (policy, verdicts) in &now {
                if announced.get(policy).is_none_or(|next| probe < *next) {
                    prop_assert_eq!(verdicts, &then[policy], "{} at {}, which nobody announced", policy, probe);
                }
            }
            if announced.values().all(|next| probe < *next) {
                prop_assert_eq!(stamps(&world, at), stamps(&world, probe), "stamps at {}, which nobody announced", probe);
            }
        }
    }

    #[test]
    fn stamps_are_the_keys_of_what_is_admitted_and_where_the_pool_is(world in any_worlds(), at in instants()) {
        for pool in Judge::new(&world).pools(at) {
            let mut expected: BTreeSet<String> = BTreeSet::new();
            if let Ok(site) = pool.site {
                let stamps = pool.stamps();
                for (key, value) in [
                    (keys::POOL, pool.pool.name.as_str()),
                    (keys::PROVIDER, &pool.pool.provider),
                    (keys::REGION, site.zone.region.as_str()),
                    (keys::ZONE, &pool.pool.zone),
                ] {
                    prop_assert_eq!(stamps.get(key).map(String::as_str), Some(value));
                    expected.insert(key.to_owned());
                }
                for clearance in &pool.policies {
                    let policy = clearance.policy();
                    let levels = (0..policy.levels.iter().len()).filter(|rank| clearance.admits(*rank));
                    expected.extend(levels.filter_map(|rank| policy.clearance_key(rank)));
                    let categories = policy.categories.keys().filter(|name| clearance.cleared_category(name));
                    expected.extend(categories.filter_map(|name| policy.category_key(name.as_str())));
                    for (name, exception) in &policy.exceptions {
                        // What an exception shares with its level it loses with it. Its own pools it keeps to its own end.
                        // What speaks against the control plane it does not waive.
                        let of_control_plane = [ReasonCode::ControlPlaneNotCleared, ReasonCode::ControlPlaneUnknown];
                        let mut reasons = clearance.reasons(exception.rank);
                        let named = at < exception.until.ends()
                            && exception.pools.contains(&pool.pool.name)
                            && reasons.all(|reason| !of_control_plane.contains(&reason.code()));
                        let key = policy.exception_key(name.as_str());
                        expected.extend(key.filter(|_| named || clearance.admits(exception.rank)));
                    }
                }
            }
            let stamps = pool.stamps();
            prop_assert_eq!(stamps.keys().cloned().collect::<BTreeSet<_>>(), expected, "none where it stands on nothing");
            prop_assert!(stamps.iter().all(|(key, value)| keys::is_stamp(key) && value.len() <= 63));
        }
    }

    #[test]
    fn every_reason_is_one_bounded_line_that_names_who_demands_and_of_what(
        world in prop_oneof![worlds(NameLength::Short), worlds(NameLength::Longest)],
        at in instants(),
    ) {
        for ((pool, policy, _), (_, reasons)) in verdicts(&world, at) {
            let provider = &world.catalogue.pools[PoolName::parse(&pool).unwrap().as_str()].provider;
            for reason in reasons {
                let (code, sentence) = reason.split_once(": ").unwrap();
                prop_assert!(!code.is_empty() && sentence.len() > 40, "{reason}");
                prop_assert!(sentence.chars().count() <= 1024, "{} characters: {reason}", sentence.chars().count());
                prop_assert!(!sentence.contains(char::is_control), "{reason:?}");
                prop_assert!(sentence.contains(&format!("of policy {policy} ")), "{reason}");
                let of_control_plane = world.catalogue.control_plane.keys().any(|name| sentence.contains(name.as_str()));
                let of_control_plane = of_control_plane || sentence.contains("no PlacementPool");
                let named = sentence.contains(&pool) || sentence.contains(provider);
                prop_assert!(
                    named || (code.starts_with("ControlPlane") && of_control_plane),
                    "names no object: {reason}"
                );
                prop_assert!(sentence.contains("; ") && sentence.contains(": "), "no demand or no remedy: {reason}");
            }
        }
    }
}

/// The properties above are worth what their worlds are: every code occurs, and demanding levels are often cleared.
#[test]
fn the_worlds_are_rich_enough() {
    let mut runner = TestRunner::deterministic();
    let strategy = (worlds(NameLength::Short), instants());
    let (mut codes, mut demanding, mut passed, mut changes) = (BTreeSet::new(), 0, 0, 0);
    for _ in 0..600 {
        let (world, at) = strategy.new_tree(&mut runner).unwrap().current();
        let judge = Judge::new(&world);
        changes += judge.next_changes(at).len();
        for pool in judge.pools(at) {
            for clearance in &pool.policies {
                let levels = &clearance.policy().levels;
                for rank in (0..levels.iter().len()).filter(|rank| levels.demands_at(*rank)) {
                    demanding += 1;
                    passed += usize::from(clearance.cleared(rank));
                    codes.extend(clearance.reasons(rank).map(|reason| reason.code()));
                }
            }
        }
    }
    assert_eq!(codes.len(), 20, "{codes:?}");
    assert!(passed * 20 > demanding, "{passed} of {demanding} are cleared");
    assert!(changes > 60, "{changes} changes in 600 worlds");
}
