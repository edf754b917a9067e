//! Checks: what a level or category requires of a place, the evidence that meets it, or the cause that fails it.
//!
//! Leaves without behaviour of their own: the judgement fills them in, a derivation tells them.

use super::{
    catalogue::Qualification,
    coverage::CertificateRequirement,
    instant::Timestamp,
    jurisdiction::{Jurisdiction, JurisdictionAreas},
    name::{Law, ProviderName, RegionName},
    policy::{LevelRequirements, NameFilter},
    reason::{Cause, JurisdictionSubject},
};

/// One thing that a level or category demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfferRequirement<'a> {
    /// A pool whose provider, offer and zone are recorded. Whoever demands anything demands this first.
    Recorded,
    /// An operator bound by the law of one of these.
    Operator(&'a JurisdictionAreas),
    /// A controlling party bound by the law of one of these.
    ControllingParty(&'a JurisdictionAreas),
    /// Suppliers of technology bound by the law of one of these.
    Technology(&'a JurisdictionAreas),
    /// Data that lies in one of these.
    Data(&'a JurisdictionAreas),
    /// An offer that this law does not reach.
    NotExposedTo(&'a Law),
    /// A certificate of this scheme, in force, for the pool's region, and high enough.
    Qualification(CertificateRequirement<'a>),
    /// A provider that passes.
    Providers(&'a NameFilter<ProviderName>),
    /// A region that passes.
    Regions(&'a NameFilter<RegionName>),
    /// A power usage effectiveness of at most this (ratio).
    MaxPue(f64),
    /// A carbon intensity of at most this (gCO2e/kWh).
    MaxCarbonIntensity(f64),
    /// A control plane whose place is declared and recorded, and that meets all the rest too.
    ControlPlane,
}

impl OfferRequirement<'_> {
    /// The field of a `require` that demands it; empty where all of them do.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Recorded => "",
            Self::Operator(_) => "jurisdictions.operator",
            Self::ControllingParty(_) => "jurisdictions.controllingParty",
            Self::Technology(_) => "jurisdictions.technology",
            Self::Data(_) => "jurisdictions.data",
            Self::NotExposedTo(_) => "notExposedTo",
            Self::Qualification(CertificateRequirement { at_least: None, .. }) => "qualifications",
            Self::Qualification(CertificateRequirement { at_least: Some(_), .. }) => "minimumLevels",
            Self::Providers(_) => "providers",
            Self::Regions(_) => "regions",
            Self::MaxPue(_) => "maxPUE",
            Self::MaxCarbonIntensity(_) => "maxCarbonIntensity",
            Self::ControlPlane => "controlPlane",
        }
    }
}

impl LevelRequirements {
    /// Each thing that is demanded, in the order in which it is judged.
    pub fn wanted(&self) -> impl Iterator<Item = OfferRequirement<'_>> {
        // Destructured whole, so that a new demand does not compile until it is told here.
        let Self {
            operator,
            controlling_party,
            technology,
            data,
            not_exposed_to,
            qualifications: _,
            minimum_levels: _,
            providers,
            regions,
            max_pue,
            max_carbon_intensity,
            control_plane,
        } = self;
        let areas = [
            operator.as_ref().map(OfferRequirement::Operator),
            controlling_party.as_ref().map(OfferRequirement::ControllingParty),
            technology.as_ref().map(OfferRequirement::Technology),
            data.as_ref().map(OfferRequirement::Data),
        ];
        let rest = [
            providers.says_anything().then_some(OfferRequirement::Providers(providers)),
            regions.says_anything().then_some(OfferRequirement::Regions(regions)),
            max_pue.map(OfferRequirement::MaxPue),
            max_carbon_intensity.map(OfferRequirement::MaxCarbonIntensity),
            control_plane.then_some(OfferRequirement::ControlPlane),
        ];
        areas
            .into_iter()
            .flatten()
            .chain(not_exposed_to.iter().map(OfferRequirement::NotExposedTo))
            .chain(self.certificates().map(OfferRequirement::Qualification))
            .chain(rest.into_iter().flatten())
    }
}

/// What meets a demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RequirementEvidence<'a> {
    /// The country of a party or supplier, or of the data.
    Country(JurisdictionSubject<'a>, Jurisdiction),
    /// The law does not reach the offer, by all that is recorded.
    NotExposed,
    /// A certificate in force.
    Certificate {
        /// The certificate.
        by: &'a Qualification,
        /// When it ends, its successors counted; no end known when `None`.
        until: Option<Timestamp>,
    },
    /// The provider passes.
    Provider,
    /// The region passes.
    Region,
    /// The power usage effectiveness (ratio).
    Pue(f64),
    /// The carbon intensity (gCO2e/kWh).
    CarbonIntensity(f64),
    /// The place of the control plane is recorded.
    ControlPlane,
}

/// What became of a demand.
pub type CheckResult<'a> = Result<RequirementEvidence<'a>, Cause<'a>>;
