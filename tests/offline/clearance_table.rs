//! Concrete cases with the published facts of real offers, and every sentence that an officer would read.

use rempart_core::{
    clearance::Judge,
    name::{Law, ProviderName, RegionName},
    policy::{LevelRequirements, NameFilter},
};

use crate::facts::{
    against, against_pool, areas, at, laws, offer, outscale, party, pool, provider, qualification, s3ns, scaleway,
    schemes, world, zone,
};

const CLEARED: [&str; 0] = [];
const NOW: &str = "2026-11-22T12:00:00Z";

#[test]
fn a_qualification_counts_to_the_end_of_its_last_day() {
    let judged = |instant| against(&schemes(&["secnumcloud"]), outscale(), "iaas", "cloudgouv-eu-west-1a", instant);
    assert_eq!(judged("2023-11-30T00:00:00Z"), CLEARED);
    assert_eq!(judged("2026-11-30T23:59:59Z"), CLEARED);
    assert_eq!(
        judged("2026-12-01T00:00:00Z"),
        ["QualificationExpired: secnumcloud qualification of offer outscale/iaas ended on 2026-11-30; \
          level restricted of policy state requires one in force: record its renewal, or use another offer"]
    );
    assert_eq!(
        judged("2023-11-29T23:59:59Z"),
        ["QualificationNotYetValid: secnumcloud qualification of offer outscale/iaas begins on 2023-11-30; \
          level restricted of policy state requires one in force: wait for that day, or use another offer"]
    );
}

#[test]
fn a_qualification_covers_its_regions_alone() {
    let require = schemes(&["hds", "secnumcloud"]);
    assert_eq!(
        against(&require, outscale(), "iaas", "eu-west-2a", NOW),
        ["QualificationOutOfScope: secnumcloud qualification of offer outscale/iaas covers cloudgouv-eu-west-1, \
          not region eu-west-2 of pool par-1; level restricted of policy state requires one that covers the pool's \
          region: use a zone in scope, or record one for this region"]
    );
    // Out of scope it stays after its end: a renewal would not help here.
    assert!(against(&require, outscale(), "iaas", "eu-west-2a", "2027-01-01T00:00:00Z")[0].contains("OutOfScope"));
    assert_eq!(
        against(&require, scaleway(), "kapsule", "fr-par-2", NOW),
        [
            "QualificationMissing: offer scaleway/kapsule has no hds qualification; level restricted of policy state \
          requires one in force: record it if the offer holds one, or use another offer",
            "QualificationMissing: offer scaleway/kapsule has no secnumcloud qualification; level restricted of policy \
          state requires one in force: record it if the offer holds one, or use another offer"
        ]
    );
}

#[test]
fn a_successor_counts_as_one_unless_there_is_a_gap() {
    let renewed = |from| {
        let mut provider = outscale();
        let scope = ["cloudgouv-eu-west-1"];
        let renewal = qualification("secnumcloud", from, "2029-11-30", &scope, "ANSSI-2");
        provider.offers.values_mut().for_each(|offer| offer.qualifications.push(renewal.clone()));
        provider
    };
    let judged =
        |from, instant| against(&schemes(&["secnumcloud"]), renewed(from), "iaas", "cloudgouv-eu-west-1a", instant);
    for instant in ["2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", "2029-11-30T23:59:59Z"] {
        assert_eq!(judged("2026-12-01", instant), CLEARED, "{instant}");
        assert_eq!(judged("2026-06-01", instant), CLEARED, "{instant}");
    }
    assert_eq!(judged("2026-12-02", "2026-11-30T23:59:59Z"), CLEARED);
    assert_eq!(
        judged("2026-12-02", "2026-12-01T00:00:00Z"),
        ["QualificationNotYetValid: secnumcloud qualification ANSSI-2 of offer outscale/iaas begins on 2026-12-02, \
          after a gap since 2026-11-30; level restricted of policy state requires one in force: wait for that day, \
          or use another offer"]
    );
    assert_eq!(judged("2026-12-02", "2026-12-02T00:00:00Z"), CLEARED);
}

#[test]
fn technology_is_judged_by_its_supplier_and_not_by_the_operator() {
    let require = LevelRequirements {
        operator: Some(areas(&["EU"])),
        controlling_party: Some(areas(&["EU"])),
        technology: Some(areas(&["EU"])),
        ..schemes(&["secnumcloud"])
    };
    assert_eq!(
        against(&require, s3ns(), "premi3ns", "u-france-east1-a", NOW),
        ["JurisdictionNotAllowed: technology Google Cloud by Google LLC of offer s3ns/premi3ns comes from a supplier \
          bound by the law of US; level restricted of policy state allows technology from EU only: use another offer"]
    );
    let mut silent = s3ns();
    silent.offers.values_mut().for_each(|offer| offer.technology.clear());
    assert_eq!(
        against(&require, silent, "premi3ns", "u-france-east1-a", NOW),
        ["JurisdictionUnknown: offer s3ns/premi3ns does not say whose technology it runs; level restricted of policy \
          state allows technology from EU only: record the offer's technology"]
    );
    let mut vague = s3ns();
    vague.offers.values_mut().for_each(|offer| offer.technology[0].jurisdiction = None);
    assert_eq!(
        against(&require, vague, "premi3ns", "u-france-east1-a", NOW),
        ["JurisdictionUnknown: the country of the supplier of technology Google Cloud by Google LLC of offer \
          s3ns/premi3ns is not known; level restricted of policy state allows technology from EU only: record its \
          jurisdiction"]
    );
}

#[test]
fn who_controls_the_operator_counts() {
    let require = LevelRequirements {
        operator: Some(areas(&["EU"])),
        controlling_party: Some(areas(&["EU", "CH"])),
        ..laws(&["cn-national-intelligence-law"])
    };
    let bought = || {
        provider(
            "acme",
            party("Acme SAS", "FR"),
            Some(party("Beijing Holding", "CN")),
            vec![offer("cloud", vec![], vec![zone("z1", "r1", "FR", None, None)], vec![])],
        )
    };
    assert_eq!(
        against(&require, bought(), "cloud", "z1", NOW),
        [
            "JurisdictionNotAllowed: controlling party Beijing Holding of provider acme is bound by the law of CN; level \
          restricted of policy state allows controlling parties of CH, EU only: use another provider",
            "ExposedToLaw: cn-national-intelligence-law reaches offer acme/cloud through controlling party Beijing \
          Holding of provider acme, bound by the law of CN; level restricted of policy state forbids exposure to it: \
          use another offer"
        ]
    );
    // Without a controlling party on record the operator stands for itself.
    let mut alone = bought();
    alone.controlling_party = None;
    assert_eq!(against(&require, alone.clone(), "cloud", "z1", NOW), CLEARED);
    alone.operator = party("Acme Inc.", "US");
    assert_eq!(
        against(&require, alone, "cloud", "z1", NOW),
        [
            "JurisdictionNotAllowed: operator Acme Inc. of provider acme is bound by the law of US; level restricted of \
          policy state allows operators of EU only: use another provider",
            "JurisdictionNotAllowed: operator Acme Inc. of provider acme, under nobody else's recorded control, is bound \
          by the law of US; level restricted of policy state allows controlling parties of CH, EU only: use \
          another provider"
        ]
    );
    let mut unsaid = bought();
    unsaid.controlling_party = Some(party("Holding", ""));
    assert_eq!(
        against(&require, unsaid, "cloud", "z1", NOW),
        [
            "JurisdictionUnknown: the country of controlling party Holding of provider acme is not known; level \
          restricted of policy state allows controlling parties of CH, EU only: record \
          controllingParty.jurisdiction of the CloudProvider",
            "ExposureUnknown: whether cn-national-intelligence-law reaches offer acme/cloud is not known, because the \
          country of the controlling party of provider acme is not; level restricted of policy state forbids exposure \
          to it: record it"
        ]
    );
}

#[test]
fn a_law_reaches_an_offer_by_its_parties_or_by_its_own_word() {
    let require = laws(&["us-cloud-act"]);
    assert_eq!(against(&require, s3ns(), "premi3ns", "u-france-east1-a", NOW), CLEARED);
    let mut listed = s3ns();
    listed.offers.values_mut().for_each(|o| o.exposed_to = Some([Law::parse("us-cloud-act").unwrap()].into()));
    // What is known is said, though another country is not.
    listed.operator.jurisdiction = None;
    assert_eq!(
        against(&require, listed, "premi3ns", "u-france-east1-a", NOW),
        ["ExposedToLaw: us-cloud-act reaches offer s3ns/premi3ns, which lists it in exposedTo; level restricted of \
          policy state forbids exposure to it: use another offer"]
    );
    let mut garbled = s3ns();
    garbled.offers.values_mut().for_each(|offer| offer.exposed_to = None);
    assert_eq!(
        against(&require, garbled, "premi3ns", "u-france-east1-a", NOW),
        ["ExposureUnknown: whether us-cloud-act reaches offer s3ns/premi3ns is not known, because an entry of the \
          offer's exposedTo cannot be read; level restricted of policy state forbids exposure to it: correct the list"]
    );
    assert_eq!(
        against(&laws(&["us-clod-act"]), s3ns(), "premi3ns", "u-france-east1-a", NOW),
        ["LawUnknown: no jurisdiction implies the law us-clod-act and no offer lists it, so that offer s3ns/premi3ns \
          cannot be free of it; level restricted of policy state forbids exposure to it: correct its name in \
          notExposedTo (perhaps us-cloud-act is meant)"]
    );
    assert!(against(&laws(&["lex-romana"]), s3ns(), "premi3ns", "u-france-east1-a", NOW)[0].ends_with("notExposedTo"));
}

#[test]
fn figures_must_be_known_and_within_the_limit() {
    let require =
        LevelRequirements { max_pue: Some(1.45), max_carbon_intensity: Some(100.0), ..LevelRequirements::default() };
    assert_eq!(against(&require, scaleway(), "kapsule", "fr-par-1", NOW), CLEARED, "at most 1.45 allows 1.45");
    assert_eq!(
        against(&require, scaleway(), "kapsule", "pl-waw-3", NOW),
        [
            "PUETooHigh: PUE of zone pl-waw-3 of offer scaleway/kapsule is 1.5; level restricted of policy state allows \
          at most 1.45: use another zone",
            "CarbonTooHigh: carbon intensity of zone pl-waw-3 of offer scaleway/kapsule is 615 gCO2e/kWh; level \
          restricted of policy state allows at most 100 gCO2e/kWh: use another zone"
        ]
    );
    assert_eq!(
        against(&require, s3ns(), "premi3ns", "u-france-east1-a", NOW),
        [
            "PUEUnknown: PUE of zone u-france-east1-a of offer s3ns/premi3ns is not known; level restricted of policy \
          state allows at most 1.45: record the zone's pue",
            "CarbonUnknown: carbon intensity of zone u-france-east1-a of offer s3ns/premi3ns is not known; level \
          restricted of policy state allows at most 100 gCO2e/kWh: record the zone's carbonIntensity"
        ]
    );
}

#[test]
fn data_lies_where_the_zone_says() {
    let require = LevelRequirements { data: Some(areas(&["FR", "CH"])), ..LevelRequirements::default() };
    assert_eq!(against(&require, scaleway(), "kapsule", "fr-par-2", NOW), CLEARED);
    assert_eq!(
        against(&require, scaleway(), "kapsule", "pl-waw-3", NOW),
        ["JurisdictionNotAllowed: data in zone pl-waw-3 of offer scaleway/kapsule lies in PL; level restricted of \
          policy state allows data in CH, FR only: use another zone"]
    );
    let mut unsaid = scaleway();
    unsaid.offers.values_mut().for_each(|offer| offer.zones.values_mut().for_each(|zone| zone.country = None));
    assert_eq!(
        against(&require, unsaid, "kapsule", "pl-waw-3", NOW),
        ["JurisdictionUnknown: the country of zone pl-waw-3 of offer scaleway/kapsule is not known; level restricted \
          of policy state allows data in CH, FR only: record the zone's country"]
    );
}

#[test]
fn a_denial_outdoes_an_allowance() {
    let names = |names: &[&str]| names.iter().map(|name| ProviderName::parse(name).unwrap()).collect();
    let regions = |names: &[&str]| names.iter().map(|name| RegionName::parse(name).unwrap()).collect();
    let denied = LevelRequirements {
        providers: NameFilter { allow: Some(names(&["scaleway"])), deny: names(&["scaleway"]) },
        regions: NameFilter { allow: Some(regions(&["fr-par"])), deny: regions(&["fr-par"]) },
        ..LevelRequirements::default()
    };
    assert_eq!(
        against(&denied, scaleway(), "kapsule", "fr-par-2", NOW),
        [
            "ProviderDenied: pool par-1 is of provider scaleway; level restricted of policy state denies that provider: \
          use another provider",
            "RegionDenied: pool par-1 is in region fr-par of offer scaleway/kapsule; level restricted of policy state \
          denies that region: use another region"
        ]
    );
    let others = LevelRequirements {
        providers: NameFilter { allow: Some(names(&["numspot", "outscale"])), deny: [].into() },
        regions: NameFilter {
            allow: Some(regions(&["nl-ams", "r1", "r2", "r3", "r4", "r5", "r6", "r7"])),
            deny: [].into(),
        },
        ..LevelRequirements::default()
    };
    assert_eq!(
        against(&others, scaleway(), "kapsule", "fr-par-2", NOW),
        [
            "ProviderDenied: pool par-1 is of provider scaleway; level restricted of policy state allows numspot, \
          outscale only: use another provider",
            "RegionDenied: pool par-1 is in region fr-par of offer scaleway/kapsule; level restricted of policy state \
          allows nl-ams, r1, r2, r3, r4, r5 and 2 more only: use another region"
        ]
    );
}

#[test]
fn a_pool_that_names_what_is_not_recorded_is_cleared_for_nothing_that_demands() {
    let judged = |provider: &str, offer: &str, zone: &str| {
        let pool = pool("par-1", provider, offer, zone);
        against_pool(&schemes(&["secnumcloud"]), outscale(), pool, NOW)
    };
    let tail = "level restricted of policy state clears only what is recorded: record it, or correct the pool";
    assert_eq!(
        judged("outscal", "iaas", "eu-west-2a"),
        [format!(
            "PoolUnresolved: pool par-1: spec.provider is \"outscal\", and there is no such CloudProvider; {tail}"
        )]
    );
    assert_eq!(
        judged("outscale", "iaas-gouv", "eu-west-2a"),
        [format!(
            "PoolUnresolved: pool par-1: spec.offer is \"iaas-gouv\", which CloudProvider outscale does not have; {tail}"
        )]
    );
    assert_eq!(
        judged("outscale", "iaas", "eu-west-2z"),
        [format!(
            "PoolUnresolved: pool par-1: spec.zone is \"eu-west-2z\", which offer outscale/iaas does not have; {tail}"
        )]
    );
}

#[test]
fn of_certificates_that_are_worth_the_same_always_the_same_one_is_named() {
    let judged = |order: [&str; 2], from: &str, until: &str, regions: &[&str]| {
        let mut provider = outscale();
        let terms = order.map(|reference| qualification("secnumcloud", from, until, regions, reference));
        provider.offers.values_mut().for_each(|offer| offer.qualifications = terms.to_vec());
        against(&schemes(&["secnumcloud"]), provider, "iaas", "eu-west-2a", NOW)
    };
    for (from, until, regions) in [
        ("2023-11-30", "2026-11-30", &["cloudgouv-eu-west-1"][..]),
        ("2020-11-30", "2023-11-30", &[]),
        ("2027-11-30", "2028-11-30", &[]),
    ] {
        assert_eq!(judged(["A", "B"], from, until, regions), judged(["B", "A"], from, until, regions));
    }
}

#[test]
fn the_earliest_change_of_any_pool_is_announced() {
    let require = schemes(&["hds"]);
    let terms = |provider: &mut rempart_core::catalogue::Provider, until: [&str; 2]| {
        let scopes = [["cloudgouv-eu-west-1"], ["eu-west-2"]];
        let terms = [0, 1].map(|i| qualification("hds", "2026-01-01", until[i], &scopes[i], ""));
        provider.offers.values_mut().for_each(|offer| offer.qualifications = terms.to_vec());
    };
    for until in [["2026-12-01", "2027-01-01"], ["2027-01-01", "2026-12-01"]] {
        let mut provider = outscale();
        terms(&mut provider, until);
        let pools = vec![
            pool("gouv", "outscale", "iaas", "cloudgouv-eu-west-1a"),
            pool("west", "outscale", "iaas", "eu-west-2a"),
        ];
        let world = world(&require, provider, pools);
        let next = Judge::new(&world).next_changes(at(NOW));
        assert_eq!(next.into_values().collect::<Vec<_>>(), [at("2026-12-02T00:00:00Z")]);
        let after = Judge::new(&world).next_changes(at("2026-12-02T00:00:00Z"));
        assert_eq!(after.into_values().collect::<Vec<_>>(), [at("2027-01-02T00:00:00Z")]);
        assert!(Judge::new(&world).next_changes(at("2027-01-02T00:00:00Z")).is_empty());
    }
}
