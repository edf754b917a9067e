//! Monotonicity of the judgement: who knows less of a place, or demands more of it, never clears more.
//!
//! Of clearances that holds without exception. Of stamps it holds but for lead times: a pool that is withdrawn ahead of
//! its end has its stamp back when what outlasts it is lost, for the last pool of a level is kept.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::subsequence, strategy::ValueTree, test_runner::TestRunner};
use rempart_core::{
    catalogue::{Offer, Provider},
    clearance::{ClearanceInput, Judge, PolicyClearance, PoolClearance},
    instant::Timestamp,
    jurisdiction::JurisdictionAreas,
    policy::{Level, LevelRequirements, Policy, PolicyLevels},
    validity::{ClearanceValidity, RetainReason},
};

use crate::{
    property_runner::properties,
    worlds::{NameLength, any_worlds, cleared, ending_worlds, full_requirements, instants},
};

fn demands(policy: &Policy) -> Vec<Option<LevelRequirements>> {
    let levels = policy.levels.iter().map(|level| level.require.clone());
    levels.chain(policy.categories.values().cloned()).collect()
}

/// `policy` with its demands, levels first and categories after, replaced by `demands`.
fn with_demands(policy: &Policy, demands: &[Option<LevelRequirements>]) -> Policy {
    let mut demands = demands.iter().cloned();
    let default = policy.levels.at(policy.levels.default_rank()).unwrap().name.to_string();
    let mut levels = Vec::new();
    for level in policy.levels.iter() {
        levels.push(Level { require: demands.next().unwrap(), ..level.clone() });
    }
    let categories = policy.categories.keys().map(|name| (name.clone(), demands.next().unwrap())).collect();
    Policy { levels: PolicyLevels::new(levels, &default).unwrap(), categories, ..policy.clone() }
}

/// Every world that lacks one fact that spoke for a place, with what was taken away.
///
/// Not of that kind, so absent: one `exposedTo` entry, one foreign technology among several, and a foreign controlling
/// party as a whole, without which the operator stands for itself. To lose those may clear more.
fn poorer(world: &ClearanceInput) -> Vec<(String, ClearanceInput)> {
    let mut found = Vec::new();
    let mut take = |what: String, change: &dyn Fn(&mut ClearanceInput)| {
        let mut poorer = world.clone();
        change(&mut poorer);
        found.push((what, poorer));
    };
    for (name, pool) in &world.catalogue.pools {
        take(format!("pool {name}"), &|world| drop(world.catalogue.pools.remove(name)));
        take(format!("zone of pool {}", pool.name), &|world| {
            world.catalogue.pools.get_mut(name).unwrap().zone.clear();
        });
    }
    for name in world.catalogue.control_plane.keys() {
        take(format!("zone of control plane {name}"), &|world| {
            world.catalogue.control_plane.get_mut(name).unwrap().zone.clear();
        });
        take(format!("control plane {name}, which cannot be read"), &|world| {
            world.catalogue.control_plane.remove(name);
            world.catalogue.unread_control_plane.insert(name.to_string());
        });
    }
    // Of several places one may be what fell short: who takes it away says that the control plane is not there.
    take("control plane".to_owned(), &|world| world.catalogue.control_plane.clear());
    for (p, provider) in &world.catalogue.providers {
        let of = |world: &mut ClearanceInput, change: &dyn Fn(&mut Provider)| {
            change(world.catalogue.providers.get_mut(p).unwrap());
        };
        take(format!("provider {p}"), &|world| drop(world.catalogue.providers.remove(p)));
        take(format!("operator's country of {p}"), &|world| of(world, &|p| p.operator.jurisdiction = None));
        take(format!("controlling party's country of {p}"), &|world| {
            of(world, &|p| p.controlling_party.iter_mut().for_each(|party| party.jurisdiction = None));
        });
        for (o, offer) in &provider.offers {
            let of = |world: &mut ClearanceInput, change: &dyn Fn(&mut Offer)| {
                of(world, &|provider| change(provider.offers.get_mut(o).unwrap()));
            };
            take(format!("offer {p}/{o}"), &|world| {
                world.catalogue.providers.get_mut(p).unwrap().offers.remove(o);
            });
            take(format!("technology of {p}/{o}"), &|world| of(world, &|offer| offer.technology.clear()));
            take(format!("laws of {p}/{o}"), &|world| of(world, &|offer| offer.exposed_to = None));
            for i in 0..offer.technology.len() {
                take(format!("supplier's country {i} of {p}/{o}"), &|world| {
                    of(world, &|offer| offer.technology[i].jurisdiction = None);
                });
            }
            for i in 0..offer.qualifications.len() {
                take(format!("qualification {i} of {p}/{o}"), &|world| {
                    of(world, &|offer| drop(offer.qualifications.remove(i)));
                });
                take(format!("level of qualification {i} of {p}/{o}"), &|world| {
                    of(world, &|offer| offer.qualifications[i].level = None);
                });
                take(format!("scope of qualification {i} of {p}/{o}"), &|world| {
                    of(world, &|offer| offer.qualifications[i].regions = Some(BTreeSet::new()));
                });
            }
            for z in offer.zones.keys() {
                let zone = |world: &mut ClearanceInput, change: &dyn Fn(&mut rempart_core::catalogue::Zone)| {
                    of(world, &|offer| change(offer.zones.get_mut(z).unwrap()));
                };
                take(format!("zone {p}/{o}/{z}"), &|world| of(world, &|offer| drop(offer.zones.remove(z))));
                take(format!("PUE of {p}/{o}/{z}"), &|world| zone(world, &|zone| zone.pue = None));
                take(format!("no number as PUE of {p}/{o}/{z}"), &|world| {
                    zone(world, &|zone| zone.pue = Some(f64::NAN));
                });
                take(format!("carbon of {p}/{o}/{z}"), &|world| zone(world, &|zone| zone.carbon_intensity = None));
                take(format!("country of {p}/{o}/{z}"), &|world| zone(world, &|zone| zone.country = None));
            }
        }
    }
    found
}

/// `held` with one demand of `further` added, for each of the twelve. An allowance narrows the one that stands.
fn stricter(held: Option<&LevelRequirements>, further: &LevelRequirements) -> Vec<LevelRequirements> {
    let held = held.cloned().unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut LevelRequirements)| {
        let mut stricter = held.clone();
        change(&mut stricter);
        found.push(stricter);
    };
    add(&|all| all.operator = fewer(all.operator.as_ref(), further.operator.as_ref()));
    add(&|all| all.controlling_party = fewer(all.controlling_party.as_ref(), further.controlling_party.as_ref()));
    add(&|all| all.technology = fewer(all.technology.as_ref(), further.technology.as_ref()));
    add(&|all| all.data = fewer(all.data.as_ref(), further.data.as_ref()));
    add(&|all| all.not_exposed_to.extend(further.not_exposed_to.clone()));
    add(&|all| all.qualifications.extend(further.qualifications.clone()));
    add(&|all| {
        for (scheme, least) in &further.minimum_levels {
            let held = all.minimum_levels.get(scheme).copied();
            all.minimum_levels.insert(scheme.clone(), held.max(Some(*least)).unwrap());
        }
    });
    add(&|all| all.providers.deny.extend(further.providers.deny.clone()));
    add(&|all| all.regions.deny.extend(further.regions.deny.clone()));
    add(&|all| narrow(&mut all.providers.allow, further.providers.allow.as_ref()));
    add(&|all| narrow(&mut all.regions.allow, further.regions.allow.as_ref()));
    add(&|all| all.max_pue = lower(all.max_pue, further.max_pue));
    add(&|all| all.control_plane |= further.control_plane);
    add(&|all| all.max_carbon_intensity = lower(all.max_carbon_intensity, further.max_carbon_intensity));
    found
}

/// The areas of `further` where everything is allowed, and one area less where several are.
fn fewer(held: Option<&JurisdictionAreas>, further: Option<&JurisdictionAreas>) -> Option<JurisdictionAreas> {
    let Some(held) = held else { return further.cloned() };
    let others = held.iter().count() - 1;
    Some(held.iter().skip(others.min(1)).copied().collect())
}

fn narrow<T: Ord + Clone>(held: &mut Option<BTreeSet<T>>, further: Option<&BTreeSet<T>>) {
    if let Some(further) = further {
        *held = Some(held.take().map_or_else(|| further.clone(), |held| held.intersection(further).cloned().collect()));
    }
}

fn lower(held: Option<f64>, further: Option<f64>) -> Option<f64> {
    held.into_iter().chain(further).reduce(f64::min)
}

/// Every world with the same facts in which one demand is stricter, with that demand.
fn more_demanding(world: &ClearanceInput, further: &LevelRequirements) -> Vec<(String, ClearanceInput)> {
    let mut found = Vec::new();
    for (name, policy) in &world.policies {
        let held = demands(policy);
        for (i, demand) in held.iter().enumerate() {
            for stricter in stricter(demand.as_ref(), further) {
                let what = format!("demand {i} of policy {name} as {stricter:?}");
                let mut demands = held.clone();
                demands[i] = Some(stricter);
                let mut more = world.clone();
                more.policies.insert(name.clone(), with_demands(policy, &demands));
                found.push((what, more));
            }
        }
    }
    found
}

/// Every pool of `world` at `at`, of which those `with_nodes` have a node.
fn judged<'a>(world: &'a ClearanceInput, at: Timestamp, with_nodes: &[&str]) -> Vec<PoolClearance<'a>> {
    Judge::new(world).pools_where(at, |name| with_nodes.contains(&name.as_str()))
}

/// Every key that some policy of `world` has.
fn keys(world: &ClearanceInput) -> BTreeSet<String> {
    let of = |policy: &Policy| {
        let levels = (0..policy.levels.iter().len()).filter_map(|rank| policy.clearance_key(rank));
        let categories = policy.categories.keys().filter_map(|name| policy.category_key(name.as_str()));
        let exceptions = policy.exceptions.keys().filter_map(|name| policy.exception_key(name.as_str()));
        levels.chain(categories).chain(exceptions).collect::<Vec<_>>()
    };
    world.policies.values().flat_map(of).collect()
}

/// The keys of one policy that a pool may have back: of the levels, and of their exceptions, that it was withdrawn from
/// and is now the last pool of.
fn taken_back(before: &PolicyClearance<'_>, after: &PolicyClearance<'_>) -> Result<BTreeSet<String>, TestCaseError> {
    let policy = after.policy();
    let mut keys = BTreeSet::new();
    for rank in (0..policy.levels.iter().len()).filter(|rank| after.cleared(*rank)) {
        prop_assert!(before.cleared(rank), "clearance itself knows of no lead time");
        let (was, is) = (before.validity(rank), after.validity(rank));
        if let Some(end) = was.end() {
            prop_assert!(
                is.end().is_some_and(|found| found.at <= end.at),
                "the end moves away: {:?}, then {:?}",
                was,
                is
            );
        }
        if after.admits(rank) && !before.admits(rank) {
            prop_assert!(matches!(was, ClearanceValidity::Withdrawn(_)), "{:?}", was);
            prop_assert!(
                matches!(is, ClearanceValidity::Expiring(_, RetainReason::Last | RetainReason::ControlPlane)),
                "{:?}",
                is
            );
            let exceptions = policy.exceptions.iter().filter(|(_, exception)| exception.rank == rank);
            keys.extend(exceptions.filter_map(|(name, _)| policy.exception_key(name.as_str())));
            keys.extend(policy.clearance_key(rank));
        }
    }
    Ok(keys)
}

/// That no pool has a stamp `after` that it had not `before`, but for what it may have back. Keys that are not `known` mean
/// nothing before.
fn stamps_only_come_back(
    before: &[PoolClearance<'_>],
    after: &[PoolClearance<'_>],
    known: &BTreeSet<String>,
) -> Result<(), TestCaseError> {
    for is in after {
        let was = before.iter().find(|was| was.pool.name == is.pool.name).unwrap();
        let mut allowed: BTreeSet<String> = was.stamps().into_keys().collect();
        for (was, is) in was.policies.iter().zip(&is.policies) {
            allowed.extend(taken_back(was, is)?);
        }
        let further = |key: &String| !allowed.contains(key) && known.contains(key);
        let further: Vec<String> = is.stamps().into_keys().filter(further).collect();
        prop_assert!(further.is_empty(), "{} has {:?}", is.pool.name, further);
    }
    Ok(())
}

/// Some of the names of pools: those with a node.
fn with_nodes() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(&["p1", "p2", "p3"][..], 0..=3)
}

properties! {
    cases: 128;

    #[test]
    fn to_lose_what_speaks_for_a_place_never_clears_more(world in any_worlds(), at in instants()) {
        let before = cleared(&world, at);
        for (lost, poorer) in poorer(&world) {
            let after = cleared(&poorer, at);
            prop_assert!(after.is_subset(&before), "without {lost}: {:?}", after.difference(&before));
        }
    }

    #[test]
    fn to_lose_what_speaks_for_a_place_gives_a_stamp_back_to_the_last_pool_alone(
        world in any_worlds(),
        at in instants(),
        with_nodes in with_nodes(),
    ) {
        let (before, known) = (judged(&world, at, &with_nodes), keys(&world));
        let check = |lost: &str, world: &ClearanceInput, with_nodes: &[&str]| {
            let found = stamps_only_come_back(&before, &judged(world, at, with_nodes), &known);
            found.map_err(|error| TestCaseError::fail(format!("without {lost}: {error}")))
        };
        for (lost, poorer) in poorer(&world) {
            check(&lost, &poorer, &with_nodes)?;
        }
        for pool in &with_nodes {
            let others: Vec<&str> = with_nodes.iter().copied().filter(|other| other != pool).collect();
            check(&format!("nodes of {pool}"), &world, &others)?;
        }
    }

    #[test]
    fn to_demand_more_never_clears_more(world in any_worlds(), further in full_requirements(NameLength::Short), at in instants()) {
        let before = cleared(&world, at);
        for (demand, more) in more_demanding(&world, &further) {
            let after = cleared(&more, at);
            prop_assert!(after.is_subset(&before), "{demand} clears {:?}", after.difference(&before));
        }
    }

    #[test]
    fn to_demand_more_gives_a_stamp_back_to_the_last_pool_alone(
        world in any_worlds(),
        further in full_requirements(NameLength::Short),
        at in instants(),
        with_nodes in with_nodes(),
    ) {
        // A level that demanded nothing had no key, and let every pod onto every pool: what it has now is no more than that.
        let known = keys(&world);
        let before = judged(&world, at, &with_nodes);
        for (demand, more) in more_demanding(&world, &further) {
            let found = stamps_only_come_back(&before, &judged(&more, at, &with_nodes), &known);
            found.map_err(|error| TestCaseError::fail(format!("{demand}: {error}")))?;
        }
    }
}

/// Two of the properties above are worth how often a pool has a stamp back.
#[test]
fn pools_are_taken_back_often_enough() {
    let mut runner = TestRunner::deterministic();
    let strategy = (ending_worlds(), full_requirements(NameLength::Short), instants());
    let (mut poor, mut demanded) = (0, 0);
    for _ in 0..200 {
        let (world, further, at) = strategy.new_tree(&mut runner).unwrap().current();
        let all = ["p1", "p2", "p3"];
        let before = judged(&world, at, &all);
        let count = |worlds: &[(String, ClearanceInput)]| {
            let after = worlds.iter().flat_map(|(_, world)| judged(world, at, &all));
            after.map(|is| back(&before, &is)).sum::<usize>()
        };
        poor += count(&poorer(&world));
        demanded += count(&more_demanding(&world, &further));
    }
    assert!(poor > 40 && demanded > 4, "{poor} are taken back when facts are lost, {demanded} when more is demanded");
}

fn back(before: &[PoolClearance<'_>], is: &PoolClearance<'_>) -> usize {
    let was = before.iter().find(|was| was.pool.name == is.pool.name).unwrap();
    let policies = was.policies.iter().zip(&is.policies);
    policies.map(|(was, is)| taken_back(was, is).unwrap().len()).sum()
}
