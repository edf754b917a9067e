//! Examination: one place held against the requirements of one level or category, requirement by requirement.
//!
//! Takes requirements, what a pool stands on and an instant, and tells of each requirement the evidence that meets it or the cause
//! that fails it. What is not known meets nothing.

use alloc::vec::Vec;

use super::{
    catalogue::{LawExposure, LegalParty, PartyRole, ResolvedPool, TechnologyComponent},
    check::{CheckResult, OfferRequirement, RequirementEvidence},
    clearance::Judge,
    coverage::Coverage,
    instant::Timestamp,
    jurisdiction::{Jurisdiction, JurisdictionAreas},
    policy::{FilterResult, LevelRequirements},
    reason::{Cause, JurisdictionSubject},
};

impl<'a> Judge<'a> {
    /// All that speaks against `site` by `require`.
    pub(super) fn against(
        &self,
        require: &'a LevelRequirements,
        site: ResolvedPool<'a>,
        at: Timestamp,
    ) -> Vec<Cause<'a>> {
        let mut causes = Vec::new();
        self.examine(require, site, at, |_, finding| causes.extend(finding.err()));
        causes
    }

    /// Holds `site` against `require`, demand by demand, and tells each finding to `tell`.
    pub(super) fn examine(
        &self,
        require: &'a LevelRequirements,
        site: ResolvedPool<'a>,
        at: Timestamp,
        mut tell: impl FnMut(OfferRequirement<'a>, CheckResult<'a>),
    ) {
        let ResolvedPool { pool: _, provider, offer, zone } = site;
        for wanted in require.wanted() {
            let finding = match wanted {
                // Whoever has a site has the one; of the other the control plane is asked.
                OfferRequirement::Recorded | OfferRequirement::ControlPlane => continue,
                OfferRequirement::Operator(areas) => party_within(areas, PartyRole::Operator, &provider.operator),
                OfferRequirement::ControllingParty(areas) => {
                    party_within(areas, PartyRole::ControllingParty, provider.controller())
                }
                OfferRequirement::Technology(areas) if offer.technology.is_empty() => {
                    Err(Cause::JurisdictionUnknown(JurisdictionSubject::Technology(None), areas))
                }
                OfferRequirement::Technology(areas) => {
                    for part in parts(&offer.technology) {
                        tell(wanted, within(areas, JurisdictionSubject::Technology(Some(part)), part.jurisdiction));
                    }
                    continue;
                }
                OfferRequirement::Data(areas) => within(areas, JurisdictionSubject::Data, zone.country),
                OfferRequirement::NotExposedTo(law) => match provider.exposure_to(offer, law) {
                    LawExposure::Reached(reach) => Err(Cause::ExposedToLaw(law, reach)),
                    _ if !self.is_law_known(law) => Err(Cause::LawUnknown(law)),
                    LawExposure::None => Ok(RequirementEvidence::NotExposed),
                    LawExposure::Unknown(gap) => Err(Cause::ExposureUnknown(law, gap)),
                },
                OfferRequirement::Qualification(required) => match offer.coverage(required, Some(&zone.region), at) {
                    Coverage::InForce { by, until } => Ok(RequirementEvidence::Certificate { by, until }),
                    Coverage::NotYet { next } => Err(Cause::QualificationNotYetValid(next)),
                    Coverage::Ended { last, on } => Err(Cause::QualificationExpired(last, on)),
                    Coverage::OutOfScope { other } => Err(Cause::QualificationOutOfScope(other)),
                    Coverage::TooLow { highest, least } => Err(Cause::QualificationTooLow(highest, least)),
                    Coverage::Missing => Err(Cause::QualificationMissing(required)),
                },
                OfferRequirement::Providers(filter) => match filter.judge(&provider.name) {
                    FilterResult::Passes => Ok(RequirementEvidence::Provider),
                    FilterResult::Denied => Err(Cause::ProviderDenied),
                    FilterResult::NotAmong(allowed) => Err(Cause::ProviderNotAllowed(allowed)),
                },
                OfferRequirement::Regions(filter) => match filter.judge(&zone.region) {
                    FilterResult::Passes => Ok(RequirementEvidence::Region),
                    FilterResult::Denied => Err(Cause::RegionDenied),
                    FilterResult::NotAmong(allowed) => Err(Cause::RegionNotAllowed(allowed)),
                },
                OfferRequirement::MaxPue(limit) => {
                    below(zone.pue, limit, Cause::PueTooHigh, Cause::PueUnknown).map(RequirementEvidence::Pue)
                }
                OfferRequirement::MaxCarbonIntensity(limit) => {
                    let finding = below(zone.carbon_intensity, limit, Cause::CarbonTooHigh, Cause::CarbonUnknown);
                    finding.map(RequirementEvidence::CarbonIntensity)
                }
            };
            tell(wanted, finding);
        }
    }
}

fn within<'a>(
    areas: &'a JurisdictionAreas,
    subject: JurisdictionSubject<'a>,
    country: Option<Jurisdiction>,
) -> CheckResult<'a> {
    match country {
        None => Err(Cause::JurisdictionUnknown(subject, areas)),
        Some(country) if areas.contain(country) => Ok(RequirementEvidence::Country(subject, country)),
        Some(country) => Err(Cause::JurisdictionNotAllowed(subject, country, areas)),
    }
}

/// The parts of a stack, each once, in an order that does not depend on how they were listed.
fn parts(listed: &[TechnologyComponent]) -> impl Iterator<Item = &TechnologyComponent> {
    let mut parts: Vec<&TechnologyComponent> = listed.iter().collect();
    parts.sort();
    parts.dedup();
    parts.into_iter()
}

fn party_within<'a>(areas: &'a JurisdictionAreas, role: PartyRole, party: &'a LegalParty) -> CheckResult<'a> {
    within(areas, JurisdictionSubject::Party { role, party }, party.jurisdiction)
}

fn below<'a>(
    fact: Option<f64>,
    limit: f64,
    too_high: fn(f64, f64) -> Cause<'a>,
    unknown: fn(f64) -> Cause<'a>,
) -> Result<f64, Cause<'a>> {
    match fact.filter(|fact| fact.is_finite()) {
        Some(fact) if fact <= limit => Ok(fact),
        Some(fact) => Err(too_high(fact, limit)),
        None => Err(unknown(limit)),
    }
}
