//! The published facts of real offers, and short ways to write them and to judge by them.

use rempart_core::{
    catalogue::{Catalogue, LegalParty, Offer, Pool, PoolRole, Provider, Qualification, TechnologyComponent, Zone},
    clearance::{ClearanceInput, Judge},
    instant::{CalendarDay, Timestamp},
    jurisdiction::{Jurisdiction, JurisdictionArea, JurisdictionAreas},
    name::{Law, LevelName, OfferName, PolicyName, PoolName, ProviderName, RegionName, Scheme, ZoneName},
    policy::{EnforcementMode, Level, LevelRequirements, OnClearanceLoss, Policy, PolicyLevels},
    scheduling::LevelScheduling,
    selector::Selector,
};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

pub(crate) fn country(code: &str) -> Option<Jurisdiction> {
    (!code.is_empty()).then(|| Jurisdiction::parse(code).unwrap())
}

pub(crate) fn party(name: &str, code: &str) -> LegalParty {
    LegalParty { name: name.to_owned(), jurisdiction: country(code) }
}

pub(crate) fn technology(name: &str, supplier: &str, code: &str) -> TechnologyComponent {
    TechnologyComponent { name: name.to_owned(), supplier: supplier.to_owned(), jurisdiction: country(code) }
}

pub(crate) fn zone(name: &str, region: &str, code: &str, pue: Option<f64>, carbon_intensity: Option<f64>) -> Zone {
    let (name, region) = (ZoneName::parse(name).unwrap(), RegionName::parse(region).unwrap());
    Zone { name, region, country: country(code), pue, carbon_intensity }
}

pub(crate) fn qualification(scheme: &str, from: &str, until: &str, regions: &[&str], reference: &str) -> Qualification {
    Qualification {
        scheme: Scheme::parse(scheme).unwrap(),
        level: None,
        valid_from: CalendarDay::parse(from).unwrap(),
        valid_until: (!until.is_empty()).then(|| CalendarDay::parse(until).unwrap()),
        regions: (!regions.is_empty()).then(|| regions.iter().map(|r| RegionName::parse(r).unwrap()).collect()),
        reference: (!reference.is_empty()).then(|| reference.to_owned()),
        source: None,
    }
}

pub(crate) fn offer(
    name: &str,
    technology: Vec<TechnologyComponent>,
    zones: Vec<Zone>,
    qualifications: Vec<Qualification>,
) -> Offer {
    Offer {
        name: OfferName::parse(name).unwrap(),
        technology,
        exposed_to: Some([].into()),
        zones: zones.into_iter().map(|zone| (zone.name.clone(), zone)).collect(),
        qualifications,
    }
}

pub(crate) fn provider(
    name: &str,
    operator: LegalParty,
    controlling_party: Option<LegalParty>,
    offers: Vec<Offer>,
) -> Provider {
    let offers = offers.into_iter().map(|offer| (offer.name.clone(), offer)).collect();
    Provider { name: ProviderName::parse(name).unwrap(), operator, controlling_party, offers }
}

/// Outscale as published: the qualification covers the sovereign region alone and ends on 2026-11-30.
pub(crate) fn outscale() -> Provider {
    let zones = vec![
        zone("cloudgouv-eu-west-1a", "cloudgouv-eu-west-1", "FR", None, Some(44.0)),
        zone("eu-west-2a", "eu-west-2", "FR", None, Some(44.0)),
    ];
    let scope = ["cloudgouv-eu-west-1"];
    let qualifications = vec![
        qualification("secnumcloud", "2023-11-30", "2026-11-30", &scope, ""),
        qualification("hds", "2026-08-27", "2029-08-27", &[], "36741-6"),
    ];
    let stack = vec![technology("TINA OS", "Outscale SAS", "FR")];
    let parent = Some(party("Dassault Systèmes SE", "FR"));
    provider("outscale", party("Outscale SAS", "FR"), parent, vec![offer("iaas", stack, zones, qualifications)])
}

/// S3NS as published: a French operator, a French parent, American technology.
pub(crate) fn s3ns() -> Provider {
    let zones = vec![zone("u-france-east1-a", "u-france-east1", "FR", None, None)];
    let qualifications = vec![qualification("secnumcloud", "2025-12-17", "2028-12-17", &[], "")];
    let stack = vec![technology("Google Cloud", "Google LLC", "US")];
    provider(
        "s3ns",
        party("S3NS SAS", "FR"),
        Some(party("Thales SA", "FR")),
        vec![offer("premi3ns", stack, zones, qualifications)],
    )
}

/// Scaleway as published: no SecNumCloud, and figures for each zone.
pub(crate) fn scaleway() -> Provider {
    let zones = vec![
        zone("fr-par-1", "fr-par", "FR", Some(1.45), Some(44.0)),
        zone("fr-par-2", "fr-par", "FR", Some(1.16), Some(44.0)),
        zone("pl-waw-3", "pl-waw", "PL", Some(1.5), Some(615.0)),
    ];
    let stack = vec![technology("Kapsule", "Scaleway SAS", "FR")];
    provider("scaleway", party("Scaleway SAS", "FR"), None, vec![offer("kapsule", stack, zones, vec![])])
}

pub(crate) fn areas(codes: &[&str]) -> JurisdictionAreas {
    codes.iter().map(|code| JurisdictionArea::parse(code).unwrap()).collect()
}

pub(crate) fn schemes(names: &[&str]) -> LevelRequirements {
    LevelRequirements {
        qualifications: names.iter().map(|n| Scheme::parse(n).unwrap()).collect(),
        ..LevelRequirements::default()
    }
}

pub(crate) fn laws(names: &[&str]) -> LevelRequirements {
    LevelRequirements {
        not_exposed_to: names.iter().map(|n| Law::parse(n).unwrap()).collect(),
        ..LevelRequirements::default()
    }
}

/// A pool that names its place thus, and claims nothing.
pub(crate) fn pool(name: &str, provider: &str, offer: &str, zone: &str) -> Pool {
    Pool {
        name: PoolName::parse(name).unwrap(),
        role: PoolRole::Nodes,
        provider: provider.to_owned(),
        offer: offer.to_owned(),
        zone: zone.to_owned(),
        selector: Selector::default(),
        provider_id_prefix: None,
        price: None,
    }
}

/// The codes and sentences against one pool at `offer` in `zone` of `provider`, by level `restricted` of policy `state`
/// that demands `require`.
pub(crate) fn against(
    require: &LevelRequirements,
    provider: Provider,
    offer: &str,
    zone: &str,
    instant: &str,
) -> Vec<String> {
    let pool = pool("par-1", provider.name.as_str(), offer, zone);
    against_pool(require, provider, pool, instant)
}

/// The world of `provider` and `pools`, and of policy `state` whose level `restricted` demands `require`.
pub(crate) fn world(require: &LevelRequirements, provider: Provider, pools: Vec<Pool>) -> ClearanceInput {
    let levels = vec![
        Level {
            name: LevelName::parse("public").unwrap(),
            require: None,
            on_loss: OnClearanceLoss::default(),
            scheduling: LevelScheduling::default(),
        },
        Level {
            name: LevelName::parse("restricted").unwrap(),
            require: Some(require.clone()),
            on_loss: OnClearanceLoss::default(),
            scheduling: LevelScheduling::default(),
        },
    ];
    let policy = Policy {
        name: PolicyName::parse("state").unwrap(),
        mode: EnforcementMode::Enforce,
        namespaces: Selector::default(),
        requires_namespace_level: false,
        levels: PolicyLevels::new(levels, "public").unwrap(),
        categories: [].into(),
        terminating: false,
        exceptions: [].into(),
    };
    ClearanceInput {
        catalogue: Catalogue {
            providers: [(provider.name.clone(), provider)].into(),
            pools: pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect(),
            ..Catalogue::default()
        },
        policies: [(policy.name.clone(), policy)].into(),
        ..ClearanceInput::default()
    }
}

/// As [`against`], for a pool that may name what there is not.
pub(crate) fn against_pool(require: &LevelRequirements, provider: Provider, pool: Pool, instant: &str) -> Vec<String> {
    let world = world(require, provider, vec![pool]);
    let judge = Judge::new(&world);
    let clearance = judge.pools(at(instant)).next().unwrap();
    let found = &clearance.policies[0];
    assert!(found.cleared(0), "public demands nothing");
    let reasons: Vec<_> = found.reasons(1).map(|reason| format!("{}: {reason}", reason.code())).collect();
    assert_eq!(found.cleared(1), reasons.is_empty());
    reasons
}
