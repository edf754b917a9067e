//! Reasons for which a place is not cleared, as data. The sentence that each displays as is made in its own module, when it is read.

use alloc::collections::BTreeSet;
use core::{fmt, time::Duration};

use super::{
    catalogue::{
        ExposureGap, LawReach, LegalParty, PartyRole, Pool, PoolRole, Qualification, ResolvedPool, TechnologyComponent,
        UnresolvedReference,
    },
    coverage::{CertificateRequirement, SchemeLevel},
    instant::CalendarDay,
    jurisdiction::{Jurisdiction, JurisdictionAreas},
    name::{CategoryName, Law, LevelName, PolicyName, ProviderName, RegionName},
    validity::ClearanceValidity,
};

/// A stable word for a kind of reason. Never renamed: alerts and pipelines match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// The pool names a provider, offer or zone that is not recorded.
    PoolUnresolved,
    /// No certificate of the scheme is recorded.
    QualificationMissing,
    /// The certificate ended.
    QualificationExpired,
    /// The certificate has not begun.
    QualificationNotYetValid,
    /// The certificate covers other regions.
    QualificationOutOfScope,
    /// The certificate is of a lower level of its scheme.
    QualificationTooLow,
    /// The level of the certificate is not recorded.
    QualificationLevelUnknown,
    /// The certificate is in force, and ends within the lead time.
    QualificationEnding,
    /// A country is not among the allowed ones.
    JurisdictionNotAllowed,
    /// A country that is asked about is not recorded.
    JurisdictionUnknown,
    /// A law reaches the offer.
    ExposedToLaw,
    /// Whether a law reaches the offer cannot be told.
    ExposureUnknown,
    /// The policy names a law that nobody has heard of.
    LawUnknown,
    /// The provider is denied, or not among the allowed.
    ProviderDenied,
    /// The region is denied, or not among the allowed.
    RegionDenied,
    /// The power usage effectiveness is too high.
    PUETooHigh,
    /// The power usage effectiveness is not recorded.
    PUEUnknown,
    /// The carbon intensity is too high.
    CarbonTooHigh,
    /// The carbon intensity is not recorded.
    CarbonUnknown,
    /// The offer of the cluster's control plane does not meet what is required of the pool.
    ControlPlaneNotCleared,
    /// On which offer the cluster's control plane runs is not recorded.
    ControlPlaneUnknown,
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Who demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequirementSource<'a> {
    /// A level.
    Level(&'a LevelName),
    /// A category.
    Category(&'a CategoryName),
}

impl fmt::Display for RequirementSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "level {level}"),
            Self::Category(category) => write!(f, "category {category}"),
        }
    }
}

/// Which of an offer's countries a demand is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JurisdictionSubject<'a> {
    /// The operator's or the controlling party's.
    Party {
        /// What the party is to the offer.
        role: PartyRole,
        /// The party.
        party: &'a LegalParty,
    },
    /// A supplier's; `None` when no technology is recorded at all.
    Technology(Option<&'a TechnologyComponent>),
    /// Where the data lies.
    Data,
}

/// What speaks against a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause<'a> {
    /// It stands on nothing.
    Unresolved(UnresolvedReference<'a>),
    /// No certificate of this scheme.
    QualificationMissing(CertificateRequirement<'a>),
    /// It ended on this day.
    QualificationExpired(&'a Qualification, CalendarDay),
    /// It is to come.
    QualificationNotYetValid(&'a Qualification),
    /// It covers other regions.
    QualificationOutOfScope(&'a Qualification),
    /// It is lower than this, or nobody says how high it is.
    QualificationTooLow(&'a Qualification, SchemeLevel),
    /// It ends within the lead time. No cause to lose clearance, but perhaps to be withdrawn from new pods.
    QualificationEnding {
        /// The end, and what follows from it.
        validity: ClearanceValidity<'a>,
        /// The lead time.
        lead: Duration,
    },
    /// The country is not among these.
    JurisdictionNotAllowed(JurisdictionSubject<'a>, Jurisdiction, &'a JurisdictionAreas),
    /// The country is not recorded.
    JurisdictionUnknown(JurisdictionSubject<'a>, &'a JurisdictionAreas),
    /// The law reaches the offer.
    ExposedToLaw(&'a Law, LawReach<'a>),
    /// A fact is missing that would tell whether the law reaches the offer.
    ExposureUnknown(&'a Law, ExposureGap),
    /// Nobody has heard of the law.
    LawUnknown(&'a Law),
    /// The provider is on the list of the denied.
    ProviderDenied,
    /// The provider is not among these.
    ProviderNotAllowed(&'a BTreeSet<ProviderName>),
    /// The region is on the list of the denied.
    RegionDenied,
    /// The region is not among these.
    RegionNotAllowed(&'a BTreeSet<RegionName>),
    /// Fact, then limit.
    PueTooHigh(f64, f64),
    /// The limit; there is no fact.
    PueUnknown(f64),
    /// Fact, then limit.
    CarbonTooHigh(f64, f64),
    /// The limit; there is no fact.
    CarbonUnknown(f64),
    /// Nobody says where the control plane is.
    ControlPlaneUndeclared,
    /// The pool of this name cannot be read, and is of the control plane or may be.
    ControlPlaneUnread(&'a str),
}

impl Cause<'_> {
    /// Its stable word.
    #[must_use]
    pub fn code(&self) -> ReasonCode {
        match self {
            Self::Unresolved(_) => ReasonCode::PoolUnresolved,
            Self::QualificationMissing(_) => ReasonCode::QualificationMissing,
            Self::QualificationExpired(..) => ReasonCode::QualificationExpired,
            Self::QualificationNotYetValid(_) => ReasonCode::QualificationNotYetValid,
            Self::QualificationOutOfScope(_) => ReasonCode::QualificationOutOfScope,
            Self::QualificationTooLow(Qualification { level: Some(_), .. }, _) => ReasonCode::QualificationTooLow,
            Self::QualificationTooLow(Qualification { level: None, .. }, _) => ReasonCode::QualificationLevelUnknown,
            Self::QualificationEnding { .. } => ReasonCode::QualificationEnding,
            Self::JurisdictionNotAllowed(..) => ReasonCode::JurisdictionNotAllowed,
            Self::JurisdictionUnknown(..) => ReasonCode::JurisdictionUnknown,
            Self::ExposedToLaw(..) => ReasonCode::ExposedToLaw,
            Self::ExposureUnknown(..) => ReasonCode::ExposureUnknown,
            Self::LawUnknown(_) => ReasonCode::LawUnknown,
            Self::ProviderDenied | Self::ProviderNotAllowed(_) => ReasonCode::ProviderDenied,
            Self::RegionDenied | Self::RegionNotAllowed(_) => ReasonCode::RegionDenied,
            Self::PueTooHigh(..) => ReasonCode::PUETooHigh,
            Self::PueUnknown(_) => ReasonCode::PUEUnknown,
            Self::CarbonTooHigh(..) => ReasonCode::CarbonTooHigh,
            Self::CarbonUnknown(_) => ReasonCode::CarbonUnknown,
            Self::ControlPlaneUndeclared | Self::ControlPlaneUnread(_) => ReasonCode::ControlPlaneUnknown,
        }
    }
}

/// A cause, with who demands otherwise and of which place. Displays as a sentence: the fact, the demand, the remedy.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// Its level or category.
    pub demander: RequirementSource<'a>,
    /// The pool.
    pub pool: &'a Pool,
    /// What the pool stands on; `None` when it stands on nothing.
    pub site: Option<ResolvedPool<'a>>,
    /// As what the pool is judged: by itself, or as the control plane on which every pool of nodes depends.
    pub judged_as: PoolRole,
    /// What speaks against it.
    pub cause: Cause<'a>,
}

impl Reason<'_> {
    /// Its stable word.
    #[must_use]
    pub fn code(&self) -> ReasonCode {
        match (self.judged_as, self.cause) {
            (PoolRole::ControlPlane, Cause::Unresolved(_)) => ReasonCode::ControlPlaneUnknown,
            // What ends is cleared still, whatever it is of.
            (PoolRole::Nodes, cause) | (PoolRole::ControlPlane, cause @ Cause::QualificationEnding { .. }) => {
                cause.code()
            }
            (PoolRole::ControlPlane, _) => ReasonCode::ControlPlaneNotCleared,
        }
    }
}
