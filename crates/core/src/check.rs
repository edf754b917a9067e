//! Checks: what a level or category requires of a place, the evidence that meets it, or the cause that fails it.
//!
//! Leaves without behaviour of their own: the judgement fills them in, a derivation tells them.

use super::{
    catalogue::Qualification,
    instant::Instant,
    jurisdiction::{Areas, Jurisdiction},
    name::{Law, ProviderName, RegionName, Scheme},
    policy::{Filter, Requirements},
    reason::{Cause, Subject},
};

/// One thing that a level or category demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted<'a> {
    /// A pool whose provider, offer and zone are recorded. Whoever demands anything demands this first.
    Recorded,
    /// An operator bound by the law of one of these.
    Operator(&'a Areas),
    /// A controlling party bound by the law of one of these.
    ControllingParty(&'a Areas),
    /// Suppliers of technology bound by the law of one of these.
    Technology(&'a Areas),
    /// Data that lies in one of these.
    Data(&'a Areas),
    /// An offer that this law does not reach.
    NotExposedTo(&'a Law),
    /// A certificate of this scheme, in force, for the pool's region.
    Qualification(&'a Scheme),
    /// A provider that passes.
    Providers(&'a Filter<ProviderName>),
    /// A region that passes.
    Regions(&'a Filter<RegionName>),
    /// A power usage effectiveness of at most this (ratio).
    MaxPue(f64),
    /// A carbon intensity of at most this (gCO2e/kWh).
    MaxCarbonIntensity(f64),
}

impl Wanted<'_> {
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
            Self::Qualification(_) => "qualifications",
            Self::Providers(_) => "providers",
            Self::Regions(_) => "regions",
            Self::MaxPue(_) => "maxPUE",
            Self::MaxCarbonIntensity(_) => "maxCarbonIntensity",
        }
    }
}

impl Requirements {
    /// Each thing that is demanded, in the order in which it is judged.
    pub fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        // Destructured whole, so that a new demand does not compile until it is told here.
        let Self {
            operator,
            controlling_party,
            technology,
            data,
            not_exposed_to,
            qualifications,
            providers,
            regions,
            max_pue,
            max_carbon_intensity,
        } = self;
        let areas = [
            operator.as_ref().map(Wanted::Operator),
            controlling_party.as_ref().map(Wanted::ControllingParty),
            technology.as_ref().map(Wanted::Technology),
            data.as_ref().map(Wanted::Data),
        ];
        let rest = [
            providers.says_anything().then_some(Wanted::Providers(providers)),
            regions.says_anything().then_some(Wanted::Regions(regions)),
            max_pue.map(Wanted::MaxPue),
            max_carbon_intensity.map(Wanted::MaxCarbonIntensity),
        ];
        areas
            .into_iter()
            .flatten()
            .chain(not_exposed_to.iter().map(Wanted::NotExposedTo))
            .chain(qualifications.iter().map(Wanted::Qualification))
            .chain(rest.into_iter().flatten())
    }
}

/// What meets a demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact<'a> {
    /// The country of a party or supplier, or of the data.
    Country(Subject<'a>, Jurisdiction),
    /// The law does not reach the offer, by all that is recorded.
    NotExposed,
    /// A certificate in force.
    Certificate {
        /// The certificate.
        by: &'a Qualification,
        /// When it ends, its successors counted; no end known when `None`.
        until: Option<Instant>,
    },
    /// The provider passes.
    Provider,
    /// The region passes.
    Region,
    /// The power usage effectiveness (ratio).
    Pue(f64),
    /// The carbon intensity (gCO2e/kWh).
    CarbonIntensity(f64),
}

/// What became of a demand.
pub type Finding<'a> = Result<Fact<'a>, Cause<'a>>;
