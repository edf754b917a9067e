//! Lead times: which pool is withdrawn ahead of its end, which is kept, and what is said of it.

use std::{collections::BTreeSet, time::Duration};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rempart_core::{
    catalogue::{Offer, Provider},
    clearance::{ClearanceInput, Judge, PolicyClearance},
    instant::{CalendarDay, Timestamp},
    name::{ExceptionName, PoolName},
    policy::{Exception, LossAction, OnClearanceLoss},
    validity::{ClearanceValidity, RetainReason},
};

use crate::{
    facts::{at, outscale, pool, qualification, schemes, world},
    property_runner::properties,
    worlds::{ending_worlds, instants, stamps, with_on_loss},
};

const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.restricted";

fn offers(world: &mut ClearanceInput) -> impl Iterator<Item = &mut Offer> {
    world.catalogue.providers.values_mut().flat_map(|provider| provider.offers.values_mut())
}

/// `outscale` with an hds certificate for each of two regions, that ends on the days of `until`.
fn ending(until: [&str; 2]) -> Provider {
    let mut provider = outscale();
    let scopes = [["cloudgouv-eu-west-1"], ["eu-west-2"]];
    let terms = [0, 1].map(|i| qualification("hds", "2026-01-01", until[i], &scopes[i], ""));
    provider.offers.values_mut().for_each(|offer| offer.qualifications = terms.to_vec());
    provider
}

/// A pool in each region, and a level with a lead time of 30 days.
fn two_pools(provider: Provider, action: LossAction) -> ClearanceInput {
    let pools =
        vec![pool("gouv", "outscale", "iaas", "cloudgouv-eu-west-1a"), pool("west", "outscale", "iaas", "eu-west-2a")];
    let world = world(&schemes(&["hds"]), provider, pools);
    with_on_loss(&world, &OnClearanceLoss { action, lead: Duration::from_hours(30 * 24), ..OnClearanceLoss::default() })
}

/// Of each pool: whether it carries the stamp, and what is said of its end.
fn standing(world: &ClearanceInput, instant: &str, has_nodes: impl Fn(&PoolName) -> bool) -> Vec<(bool, String)> {
    let pools = Judge::new(world).pools_where(at(instant), has_nodes);
    let standing = pools.iter().map(|pool| {
        assert!(pool.policies[0].cleared(1), "lead time takes no clearance");
        let said = pool.policies[0].ending(1).map(|reason| format!("{}: {reason}", reason.code()));
        (pool.stamps().contains_key(KEY), said.unwrap_or_default())
    });
    standing.collect()
}

const ENDS: &str = "QualificationEnding: hds qualification of offer outscale/iaas, on which pool";
const LEAD: &str = "level restricted of policy state has a lead time of 30 days,";

#[test]
fn a_pool_is_withdrawn_when_its_lead_time_begins_and_another_outlasts_it() {
    let world = two_pools(ending(["2026-12-31", "2027-06-30"]), LossAction::Migrate);
    let lasting = (true, String::new());
    assert_eq!(standing(&world, "2026-12-01T23:59:59Z", |_| true), [lasting.clone(), lasting.clone()]);
    let leaving = format!(
        "{ENDS} gouv stands, ends on 2026-12-31; {LEAD} so that new pods go to pools that outlast it: record its \
         renewal, and the pool is taken back"
    );
    assert_eq!(standing(&world, "2026-12-02T00:00:00Z", |_| true), [(false, leaving), lasting]);
    let next = |instant| Judge::new(&world).next_changes(at(instant)).into_values().next().unwrap();
    assert_eq!(next("2026-12-01T23:59:59Z"), at("2026-12-02T00:00:00Z"));
    assert_eq!(next("2026-12-02T00:00:00Z"), at("2027-01-01T00:00:00Z"));
}

#[test]
fn the_last_pool_is_kept_and_says_so() {
    let kept = |pool: &str, day: &str| {
        let sentence = format!(
            "{ENDS} {pool} stands, ends on {day}; {LEAD} but no pool with nodes outlasts it, so that it is kept: record \
             its renewal, or add a pool"
        );
        (true, sentence)
    };
    // Both end: the one that ends last is kept, and where they end together both are.
    let world = two_pools(ending(["2026-12-31", "2027-01-05"]), LossAction::Migrate);
    let found = standing(&world, "2026-12-20T00:00:00Z", |_| true);
    assert_eq!((found[0].0, &found[1]), (false, &kept("west", "2027-01-05")));
    let world = two_pools(ending(["2026-12-31", "2026-12-31"]), LossAction::Migrate);
    let found = standing(&world, "2026-12-20T00:00:00Z", |_| true);
    assert_eq!(found, [kept("gouv", "2026-12-31"), kept("west", "2026-12-31")]);
    // A pool without nodes is nowhere to go to.
    let world = two_pools(ending(["2026-12-31", "2027-06-30"]), LossAction::Migrate);
    let found = standing(&world, "2026-12-20T00:00:00Z", |name| name.as_str() == "gouv");
    assert_eq!(found, [kept("gouv", "2026-12-31"), (true, String::new())]);
    // One without nodes itself is withdrawn: none that joins it shall be used for so short a time.
    let found = standing(&world, "2026-12-20T00:00:00Z", |name| name.as_str() == "west");
    assert_eq!((found[0].0, &found[1]), (false, &(true, String::new())));
}

#[test]
fn a_withdrawn_pool_is_taken_back_when_what_outlasts_it_is_lost() {
    let mut world = two_pools(ending(["2026-12-31", "2027-01-05"]), LossAction::Migrate);
    assert!(!standing(&world, "2026-12-20T00:00:00Z", |_| true)[0].0, "gouv is withdrawn");
    world.catalogue.pools.remove("west");
    let found = standing(&world, "2026-12-20T00:00:00Z", |_| true);
    assert!(found[0].0 && found[0].1.contains("no pool with nodes outlasts it, so that it is kept"), "{found:?}");
}

#[test]
fn an_exception_loses_a_withdrawn_pool_with_its_level_unless_it_names_it() {
    let mut world = two_pools(ending(["2026-12-31", "2027-06-30"]), LossAction::Migrate);
    let policy = world.policies.get_mut("state").unwrap();
    for (name, pool) in [("shared", "west"), ("named", "gouv")] {
        let exception = Exception {
            namespaces: ["claims".to_owned()].into(),
            rank: 1,
            pools: [PoolName::parse(pool).unwrap()].into(),
            until: CalendarDay::parse("2027-03-31").unwrap(),
            reason: "migration".to_owned(),
            approved_by: "CISO".to_owned(),
        };
        policy.exceptions.insert(ExceptionName::parse(name).unwrap(), exception);
    }
    let gouv = |instant| {
        let stamps = Judge::new(&world).pools(at(instant)).next().unwrap().stamps();
        ["shared", "named"]
            .map(|name| stamps.contains_key(&format!("exception.rempart.node-restriction.kubernetes.io/state.{name}")))
    };
    assert_eq!(gouv("2026-12-01T23:59:59Z"), [true, true]);
    assert_eq!(gouv("2026-12-02T00:00:00Z"), [false, true], "withdrawn");
    assert_eq!(gouv("2027-01-01T00:00:00Z"), [false, true], "not cleared");
    assert_eq!(gouv("2027-04-01T00:00:00Z"), [false, false], "the exception has ended");
}

#[test]
fn a_renewal_without_a_gap_cancels_it() {
    let renewed = |from| {
        let mut provider = ending(["2026-12-31", "2027-06-30"]);
        let renewal = qualification("hds", from, "2029-12-31", &["cloudgouv-eu-west-1"], "");
        provider.offers.values_mut().for_each(|offer| offer.qualifications.push(renewal.clone()));
        standing(&two_pools(provider, LossAction::Migrate), "2026-12-20T00:00:00Z", |_| true)
    };
    assert_eq!(renewed("2027-01-01"), [(true, String::new()), (true, String::new())]);
    assert!(!renewed("2027-01-02")[0].0, "a gap of a day is an end");
}

#[test]
fn report_withdraws_nothing_and_says_it_all_the_same() {
    let world = two_pools(ending(["2026-12-31", "2027-06-30"]), LossAction::Report);
    let said = format!("{ENDS} gouv stands, ends on 2026-12-31; {LEAD} and only reports it: record its renewal");
    assert_eq!(standing(&world, "2026-12-20T00:00:00Z", |_| true), [(true, said), (true, String::new())]);
}

/// The first instant after `at`, of those at which some certificate begins or ends, at which the pool of `name` is not
/// cleared for the level at `rank` of `policy`: found by judging anew at each.
fn first_failure(
    world: &ClearanceInput,
    name: &PoolName,
    policy: usize,
    rank: usize,
    at: Timestamp,
) -> Option<Timestamp> {
    let offers = world.catalogue.providers.values().flat_map(|provider| provider.offers.values());
    let instants: BTreeSet<Timestamp> = offers.flat_map(|offer| offer.boundaries(at)).collect();
    instants.into_iter().find(|then| {
        let found = Judge::new(world).pools(*then).find(|found| found.pool.name == *name).unwrap();
        !found.policies[policy].cleared(rank)
    })
}

fn leaving(clearance: &PolicyClearance<'_>, rank: usize) -> bool {
    matches!(clearance.validity(rank), ClearanceValidity::Withdrawn(_))
}

properties! {
    cases: 256;

    #[test]
    fn lead_times_do_what_they_say(world in ending_worlds(), at in instants(), has_nodes in any::<[bool; 3]>()) {
        let places: Vec<&PoolName> = world.catalogue.pools.keys().collect();
        let has_node = |name: &PoolName| has_nodes[places.iter().position(|found| *found == name).unwrap()];
        let pools = Judge::new(&world).pools_where(at, has_node);
        for (index, policy) in world.policies.values().enumerate() {
            for (rank, level) in policy.levels.iter().enumerate().filter(|(rank, _)| policy.levels.demands_at(*rank)) {
                let cleared: Vec<_> = pools.iter().filter(|pool| pool.policies[index].cleared(rank)).collect();
                let end = |name: &PoolName| first_failure(&world, name, index, rank, at);
                let latest = |name: &PoolName| end(name).map_or(i64::MAX, |end| end.timestamp().as_second());
                for pool in &cleared {
                    let (name, clearance) = (&pool.pool.name, &pool.policies[index]);
                    let lead = i64::try_from(policy.levels.lead_at(rank).as_secs()).unwrap();
                    let within = lead > 0 && latest(name).saturating_sub(lead) <= at.timestamp().as_second();
                    let outlasted = cleared.iter().any(|other| {
                        latest(&other.pool.name) > latest(name) && has_node(&other.pool.name)
                    });
                    let report = level.on_loss.action == LossAction::Report;
                    match clearance.validity(rank) {
                        ClearanceValidity::Open => prop_assert!(!within, "{name} ends at {:?}", end(name)),
                        ClearanceValidity::Withdrawn(found) => {
                            prop_assert_eq!(Some(found.at), end(name));
                            prop_assert!(within && outlasted && !report);
                        }
                        ClearanceValidity::Expiring(found, kept) => {
                            prop_assert_eq!(Some(found.at), end(name));
                            prop_assert!(within && (report || !outlasted));
                            prop_assert_eq!(
                                kept,
                                match found.control_plane {
                                    _ if report => RetainReason::Report,
                                    Some(_) => RetainReason::ControlPlane,
                                    None => RetainReason::Last,
                                }
                            );
                        }
                    }
                    if let Some(found) = clearance.validity(rank).end() {
                        prop_assert_eq!(found.by.ends(), Some(found.at), "the certificate that ends is named");
                    }
                }
                prop_assert!(cleared.is_empty() || !cleared.iter().all(|pool| leaving(&pool.policies[index], rank)));
                for pool in &pools {
                    let clearance = &pool.policies[index];
                    prop_assert_eq!(clearance.obstacles(rank).next().is_none(), clearance.admits(rank));
                    prop_assert!(clearance.cleared(rank) || clearance.validity(rank) == ClearanceValidity::Open);
                }
            }
        }
    }

    #[test]
    fn a_renewal_of_everything_takes_every_pool_back(world in ending_worlds(), at in instants()) {
        let mut renewed = world.clone();
        for offer in offers(&mut renewed) {
            offer.qualifications.iter_mut().for_each(|found| found.valid_until = None);
        }
        for pool in Judge::new(&renewed).pools(at) {
            for (clearance, rank) in pool.policies.iter().flat_map(|found| (0..4).map(move |rank| (found, rank))) {
                prop_assert_eq!(clearance.validity(rank), ClearanceValidity::Open);
            }
        }
    }

    #[test]
    fn report_leaves_every_stamp_as_it_would_be_without_lead_times(world in ending_worlds(), at in instants()) {
        let report = |lead| with_on_loss(&world, &OnClearanceLoss { action: LossAction::Report, lead: Duration::from_hours(lead), ..OnClearanceLoss::default() });
        prop_assert_eq!(stamps(&report(4 * 24), at), stamps(&report(0), at));
    }
}

/// The properties above are worth what their worlds are.
#[test]
fn pools_leave_and_are_kept_often_enough() {
    let mut runner = TestRunner::deterministic();
    let strategy = (ending_worlds(), instants());
    let (mut leaving, mut last, mut report, mut control_plane) = (0, 0, 0, 0);
    for _ in 0..600 {
        let (world, at) = strategy.new_tree(&mut runner).unwrap().current();
        for pool in Judge::new(&world).pools(at) {
            for (clearance, rank) in pool.policies.iter().flat_map(|found| (0..4).map(move |rank| (found, rank))) {
                match clearance.validity(rank) {
                    ClearanceValidity::Open => {}
                    ClearanceValidity::Withdrawn(_) => leaving += 1,
                    ClearanceValidity::Expiring(_, RetainReason::Last) => last += 1,
                    ClearanceValidity::Expiring(_, RetainReason::Report) => report += 1,
                    ClearanceValidity::Expiring(_, RetainReason::ControlPlane) => control_plane += 1,
                }
            }
        }
    }
    assert!(leaving > 10 && last > 30 && report > 10, "{leaving} leave, {last} are kept, {report} are reported");
    assert!(control_plane > 3, "{control_plane} end with the control plane");
}
