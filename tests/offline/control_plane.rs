//! The control plane in the judgement: a level that counts it in clears no pool while it falls short, and says why.

use std::time::Duration;

use rempart_core::{
    catalogue::{Pool, PoolRole, Provider},
    clearance::{ClearanceInput, Judge},
    instant::{CalendarDay, Timestamp},
    name::{CategoryName, ExceptionName, LevelName, PoolName},
    policy::{Exception, Level, LevelRequirements, LossAction, OnClearanceLoss, PolicyLevels},
    scheduling::LevelScheduling,
    validity::{ClearanceValidity, RetainReason},
};

use crate::facts::{at, offer, outscale, party, pool, provider, qualification, scaleway, schemes, world, zone};

const NOW: &str = "2026-11-22T12:00:00Z";

/// A place of the control plane.
fn control_plane(name: &str, provider: &str, offer: &str, zone: &str) -> Pool {
    Pool { role: PoolRole::ControlPlane, ..pool(name, provider, offer, zone) }
}

fn level(name: &str, require: Option<LevelRequirements>) -> Level {
    let name = LevelName::parse(name).unwrap();
    Level { name, require, on_loss: OnClearanceLoss::default(), scheduling: LevelScheduling::default() }
}

/// `require`, of the control plane too.
fn counting(require: LevelRequirements) -> LevelRequirements {
    LevelRequirements { control_plane: true, ..require }
}

/// Outscale's qualified region as a pool, Scaleway beside it, and a policy whose only level that requires anything requires
/// `require`.
fn qualified(require: &LevelRequirements, places: Vec<Pool>) -> ClearanceInput {
    let mut world = world(require, outscale(), vec![pool("gouv", "outscale", "iaas", "cloudgouv-eu-west-1a")]);
    let other = scaleway();
    world.catalogue.providers.insert(other.name.clone(), other);
    for place in places {
        world.catalogue.add_pool(place);
    }
    world
}

/// The codes and sentences against the first pool of `world`, for the level at `rank`.
fn against(world: &ClearanceInput, rank: usize, instant: &str) -> Vec<String> {
    let judge = Judge::new(world);
    let found = judge.pools(at(instant)).next().unwrap();
    let clearance = &found.policies[0];
    let reasons: Vec<_> = clearance.reasons(rank).map(|reason| format!("{}: {reason}", reason.code())).collect();
    assert_eq!(clearance.cleared(rank), reasons.is_empty());
    // What is derived step by step comes to the same, in the same words.
    let policy = world.policies.values().next().unwrap();
    let derived = judge.derive(policy, Some(rank), None, &[], found.pool, at(instant));
    let failed = derived.steps.iter().filter_map(|step| derived.reason(step));
    assert_eq!(failed.map(|reason| format!("{}: {reason}", reason.code())).collect::<Vec<_>>(), reasons);
    reasons
}

#[test]
fn a_control_plane_that_meets_what_the_level_requires_speaks_against_nothing() {
    let place = control_plane("cp", "outscale", "iaas", "cloudgouv-eu-west-1a");
    let world = qualified(&counting(schemes(&["secnumcloud"])), vec![place]);
    assert_eq!(against(&world, 1, NOW), [""; 0]);
}

#[test]
fn one_that_falls_short_is_named_with_its_offer_and_the_fact() {
    let place = control_plane("cp", "scaleway", "kapsule", "fr-par-1");
    let world = qualified(&counting(schemes(&["secnumcloud"])), vec![place]);
    assert_eq!(
        against(&world, 1, NOW),
        [
            "ControlPlaneNotCleared: the control plane (pool cp): offer scaleway/kapsule has no secnumcloud qualification; \
          level restricted of policy state counts the control plane in and requires one in force: record it if the offer \
          holds one, or use another offer"
        ]
    );
    let world = qualified(&schemes(&["secnumcloud"]), world.catalogue.control_plane.into_values().collect());
    assert_eq!(against(&world, 1, NOW), [""; 0], "who does not count it in asks nothing of it");
}

#[test]
fn all_places_count_and_those_that_nobody_knows_count_as_short() {
    let require = counting(schemes(&["secnumcloud"]));
    let good = || control_plane("cp-a", "outscale", "iaas", "cloudgouv-eu-west-1a");
    assert_eq!(
        against(&qualified(&require, vec![]), 1, NOW),
        ["ControlPlaneUnknown: no PlacementPool says where the control plane runs; level restricted of policy state \
          requires of the control plane's offer what it requires of a pool's: declare it in a PlacementPool of role \
          ControlPlane"]
    );
    assert_eq!(
        against(&qualified(&require, vec![good(), control_plane("cp-b", "outscale", "iaas", "eu-west-2a")]), 1, NOW),
        [
            "ControlPlaneNotCleared: the control plane (pool cp-b): secnumcloud qualification of offer outscale/iaas covers \
          cloudgouv-eu-west-1, not region eu-west-2 of pool cp-b; level restricted of policy state counts the control plane \
          in and requires one that covers the pool's region: use a zone in scope, or record one for this region"
        ]
    );
    assert_eq!(
        against(&qualified(&require, vec![good(), control_plane("cp-b", "outscale", "iass", "eu-west-2a")]), 1, NOW),
        [
            "ControlPlaneUnknown: the control plane (pool cp-b): spec.offer is \"iass\", which CloudProvider outscale does not \
          have; level restricted of policy state counts the control plane in and clears only what is recorded: record it, or \
          correct the pool"
        ]
    );
    let mut unread = qualified(&require, vec![good()]);
    unread.catalogue.unread_control_plane.insert("cp-b".to_owned());
    assert_eq!(
        against(&unread, 1, NOW),
        [
            "ControlPlaneUnknown: PlacementPool cp-b cannot be read, and may say where the control plane runs; level restricted \
          of policy state requires of the control plane's offer what it requires of a pool's: correct it"
        ]
    );
}

#[test]
fn what_levels_below_require_counts_and_levels_above_count_it_in_too() {
    let short = control_plane("cp", "scaleway", "kapsule", "fr-par-1");
    let mut world = qualified(&schemes(&["secnumcloud"]), vec![short]);
    let policy = world.policies.values_mut().next().unwrap();
    let levels = vec![
        level("public", None),
        level("internal", Some(schemes(&["secnumcloud"]))),
        level("restricted", Some(LevelRequirements { control_plane: true, ..LevelRequirements::default() })),
        level("secret", Some(schemes(&["hds"]))),
    ];
    policy.levels = PolicyLevels::new(levels, "public").unwrap();
    let codes = |rank| {
        let found = against(&world, rank, NOW);
        let brief = |reason: &String| reason.split(": record").next().unwrap().to_owned();
        found.iter().map(brief).collect::<Vec<_>>()
    };
    assert_eq!(codes(1), [""; 0], "the level below does not count it in");
    let inherited = "ControlPlaneNotCleared: the control plane (pool cp): offer scaleway/kapsule has no secnumcloud \
                     qualification; level restricted of policy state counts the control plane in and requires one in force";
    assert_eq!(codes(2), [inherited]);
    let own = "ControlPlaneNotCleared: the control plane (pool cp): offer scaleway/kapsule has no hds qualification; level \
               secret of policy state counts the control plane in and requires one in force";
    assert_eq!(codes(3), [inherited, own], "each once");
}

#[test]
fn a_category_counts_it_in_by_what_it_requires_itself() {
    let place = control_plane("cp", "scaleway", "kapsule", "fr-par-1");
    let mut world = qualified(&schemes(&["secnumcloud"]), vec![place]);
    let health = CategoryName::parse("health").unwrap();
    let policy = world.policies.values_mut().next().unwrap();
    policy.categories.insert(health.clone(), Some(counting(schemes(&["hds"]))));
    let judge = Judge::new(&world);
    let found = judge.pools(at(NOW)).next().unwrap();
    let reasons: Vec<_> = found.policies[0].category_reasons(&health).map(|reason| reason.code().to_string()).collect();
    assert_eq!(reasons, ["ControlPlaneNotCleared"]);
    assert!(!found.policies[0].cleared_category(&health) && found.policies[0].cleared(1));
}

/// A provider of two offers, whose certificates end on these days.
fn two_offers(of_nodes: &str, of_control_plane: &str) -> Provider {
    let of = |name: &str, until: &str| {
        let zones = vec![zone("z-1", "z", "FR", None, None)];
        offer(name, vec![], zones, vec![qualification("hds", "2026-01-01", until, &[], name)])
    };
    provider("acme", party("Acme", "FR"), None, vec![of("nodes", of_nodes), of("managed", of_control_plane)])
}

/// A level with a lead time of 30 days that counts the control plane in, and two pools of one offer.
fn leading(of_nodes: &str, of_control_plane: &str, action: LossAction) -> ClearanceInput {
    let pools = ["a", "b"].map(|name| pool(name, "acme", "nodes", "z-1")).into();
    let mut world = world(&counting(schemes(&["hds"])), two_offers(of_nodes, of_control_plane), pools);
    world.catalogue.add_pool(control_plane("cp", "acme", "managed", "z-1"));
    let policy = world.policies.values_mut().next().unwrap();
    let lead = Duration::from_hours(720);
    let on_loss = OnClearanceLoss { action, lead, ..OnClearanceLoss::default() };
    let levels = policy.levels.iter().map(|level| Level { on_loss: on_loss.clone(), ..level.clone() });
    policy.levels = PolicyLevels::new(levels.collect(), "public").unwrap();
    world
}

#[test]
fn its_end_is_that_of_every_pool_and_withdraws_none() {
    let world = leading("", "2026-12-10", LossAction::Migrate);
    let judge = Judge::new(&world);
    for pool in judge.pools(at(NOW)).chain(judge.control_plane(at(NOW))) {
        let clearance = &pool.policies[0];
        assert!(clearance.cleared(1) && clearance.admits(1), "{}", pool.pool.name);
        assert!(matches!(clearance.validity(1), ClearanceValidity::Expiring(_, RetainReason::ControlPlane)));
        let reason = clearance.ending(1).unwrap();
        assert_eq!(
            format!("{}: {reason}", reason.code()),
            "QualificationEnding: the control plane (pool cp): hds qualification managed of offer acme/managed, on which pool \
             cp stands, ends on 2026-12-10; level restricted of policy state counts the control plane in and has a lead time \
             of 30 days, but no pool is cleared without its control plane, so that none is withdrawn: record its renewal"
        );
    }
    let report = leading("", "2026-12-10", LossAction::Report);
    let found = Judge::new(&report).pools(at(NOW)).next().unwrap();
    assert!(matches!(found.policies[0].validity(1), ClearanceValidity::Expiring(_, RetainReason::Report)));
}

#[test]
fn its_end_and_the_lead_time_before_it_are_announced() {
    let world = leading("", "2026-12-31", LossAction::Migrate);
    let next = |instant: &str| Judge::new(&world).next_changes(at(instant)).into_values().next();
    let instant = |text: &str| Some(at(text));
    assert_eq!(next("2026-11-22T12:00:00Z"), instant("2026-12-02T00:00:00Z"), "the lead time begins");
    assert_eq!(next("2026-12-02T00:00:00Z"), instant("2027-01-01T00:00:00Z"), "the certificate ends");
    let cleared = |instant: Timestamp| Judge::new(&world).pools(instant).all(|pool| pool.policies[0].cleared(1));
    assert!(cleared(at("2026-12-31T23:59:59Z")) && !cleared(at("2027-01-01T00:00:00Z")));
}

#[test]
fn it_is_no_place_for_pods() {
    let place = control_plane("cp", "outscale", "iaas", "cloudgouv-eu-west-1a");
    let world = qualified(&counting(schemes(&["secnumcloud"])), vec![place]);
    let pools: Vec<_> = Judge::new(&world).pools(at(NOW)).map(|found| found.pool.name.to_string()).collect();
    assert_eq!(pools, ["gouv"]);
}

#[test]
fn an_exception_lends_a_pool_and_waives_nothing_of_the_control_plane() {
    let stamped = |place: Pool| {
        let mut world = qualified(&counting(schemes(&["secnumcloud"])), vec![place]);
        world.catalogue.add_pool(pool("legacy", "scaleway", "kapsule", "fr-par-1"));
        let policy = world.policies.values_mut().next().unwrap();
        let exception = Exception {
            namespaces: ["claims".into()].into(),
            rank: 1,
            pools: [PoolName::parse("legacy").unwrap()].into(),
            until: CalendarDay::parse("2030-01-01").unwrap(),
            reason: "wave 3".to_owned(),
            approved_by: "RSSI".to_owned(),
        };
        policy.exceptions.insert(ExceptionName::parse("wave").unwrap(), exception);
        let judge = Judge::new(&world);
        let found: Vec<_> = judge
            .pools(at(NOW))
            .filter(|found| found.stamps().keys().any(|key| key.starts_with("exception.")))
            .map(|found| found.pool.name.to_string())
            .collect();
        found
    };
    let good = control_plane("cp", "outscale", "iaas", "cloudgouv-eu-west-1a");
    assert_eq!(stamped(good), ["gouv", "legacy"]);
    // What is the same for every pool would leave the worst alone.
    let short = control_plane("cp", "scaleway", "kapsule", "fr-par-1");
    assert_eq!(stamped(short), [""; 0]);
}
