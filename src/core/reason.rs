//! Why a place is not cleared: as data first, as a sentence at the edge.

use std::{collections::BTreeSet, fmt};

use super::{
    catalogue::{Party, Qualification, Reach, Role, Site, Technology, Unresolved},
    instant::Day,
    jurisdiction::{Areas, Jurisdiction},
    name::{CategoryName, Law, LevelName, PolicyName, RegionName, Scheme},
    text::Listed,
};

/// A stable word for a kind of reason. Never renamed: alerts and pipelines match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
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
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Who demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demander<'a> {
    /// A level.
    Level(&'a LevelName),
    /// A category.
    Category(&'a CategoryName),
}

impl fmt::Display for Demander<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "level {level}"),
            Self::Category(category) => write!(f, "category {category}"),
        }
    }
}

/// Which of an offer's countries a demand is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The operator's or the controlling party's.
    Party {
        /// What the party is to the offer.
        role: Role,
        /// The party.
        party: &'a Party,
    },
    /// A supplier's; `None` when no technology is recorded at all.
    Technology(Option<&'a Technology>),
    /// Where the data lies.
    Data,
}

/// What speaks against a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause<'a> {
    /// It stands on nothing.
    Unresolved(Unresolved<'a>),
    /// No certificate of this scheme.
    QualificationMissing(&'a Scheme),
    /// It ended on this day.
    QualificationExpired(&'a Qualification, Day),
    /// It is to come.
    QualificationNotYetValid(&'a Qualification),
    /// It covers other regions.
    QualificationOutOfScope(&'a Qualification),
    /// The country is not among these.
    JurisdictionNotAllowed(Subject<'a>, Jurisdiction, &'a Areas),
    /// The country is not recorded.
    JurisdictionUnknown(Subject<'a>, &'a Areas),
    /// The law reaches the offer.
    ExposedToLaw(&'a Law, Reach<'a>),
    /// A jurisdiction or a listed law that decides it is not readable.
    ExposureUnknown(&'a Law),
    /// Nobody has heard of the law.
    LawUnknown(&'a Law),
    /// The provider is on the list of the denied.
    ProviderDenied,
    /// The provider is not on the list of the allowed.
    ProviderNotAllowed,
    /// The region is on the list of the denied.
    RegionDenied,
    /// The region is not on the list of the allowed.
    RegionNotAllowed(&'a BTreeSet<RegionName>),
    /// Fact, then limit.
    PueTooHigh(f64, f64),
    /// The limit; there is no fact.
    PueUnknown(f64),
    /// Fact, then limit.
    CarbonTooHigh(f64, f64),
    /// The limit; there is no fact.
    CarbonUnknown(f64),
}

impl Cause<'_> {
    /// Its stable word.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unresolved(_) => Code::PoolUnresolved,
            Self::QualificationMissing(_) => Code::QualificationMissing,
            Self::QualificationExpired(..) => Code::QualificationExpired,
            Self::QualificationNotYetValid(_) => Code::QualificationNotYetValid,
            Self::QualificationOutOfScope(_) => Code::QualificationOutOfScope,
            Self::JurisdictionNotAllowed(..) => Code::JurisdictionNotAllowed,
            Self::JurisdictionUnknown(..) => Code::JurisdictionUnknown,
            Self::ExposedToLaw(..) => Code::ExposedToLaw,
            Self::ExposureUnknown(_) => Code::ExposureUnknown,
            Self::LawUnknown(_) => Code::LawUnknown,
            Self::ProviderDenied | Self::ProviderNotAllowed => Code::ProviderDenied,
            Self::RegionDenied | Self::RegionNotAllowed(_) => Code::RegionDenied,
            Self::PueTooHigh(..) => Code::PUETooHigh,
            Self::PueUnknown(_) => Code::PUEUnknown,
            Self::CarbonTooHigh(..) => Code::CarbonTooHigh,
            Self::CarbonUnknown(_) => Code::CarbonUnknown,
        }
    }
}

/// A cause, with who demands otherwise and of which place. Displays as a sentence: the fact, the demand, the remedy.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// The policy.
    pub policy: &'a PolicyName,
    /// Its level or category.
    pub demander: Demander<'a>,
    /// What the pool stands on; `None` when it stands on nothing.
    pub site: Option<Site<'a>>,
    /// What speaks against it.
    pub cause: Cause<'a>,
}

impl Reason<'_> {
    /// Its stable word.
    #[must_use]
    pub fn code(&self) -> Code {
        self.cause.code()
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Cause::Unresolved(unresolved) = self.cause {
            return write!(f, "{unresolved}");
        }
        let Some(site) = self.site else {
            return write!(f, "{}", self.code());
        };
        self.fact(f, site)?;
        write!(f, "; {} of policy {} ", self.demander, self.policy)?;
        self.demand(f)
    }
}

impl Reason<'_> {
    fn fact(&self, f: &mut fmt::Formatter<'_>, site: Site<'_>) -> fmt::Result {
        let Site { pool: _, provider, offer, zone } = site;
        let (provider_name, offer_name, zone_name, region) = (&provider.name, &offer.name, &zone.name, &zone.region);
        match self.cause {
            Cause::Unresolved(_) => Ok(()),
            Cause::QualificationMissing(scheme) => {
                write!(f, "offer {provider_name}/{offer_name} has no qualification {scheme}")
            }
            Cause::QualificationExpired(q, on) => {
                write!(f, "{} of offer {provider_name}/{offer_name} ended on {on}{}", q.scheme, Reference(q))
            }
            Cause::QualificationNotYetValid(q) => write!(
                f,
                "{} of offer {provider_name}/{offer_name} begins on {}{}",
                q.scheme,
                q.valid_from,
                Reference(q)
            ),
            Cause::QualificationOutOfScope(q) => write!(
                f,
                "{} of offer {provider_name}/{offer_name} covers {}, not region {region}{}",
                q.scheme,
                Listed(q.regions.iter().flatten()),
                Reference(q)
            ),
            Cause::JurisdictionNotAllowed(subject, country, _) => match subject {
                Subject::Party { role, party } => {
                    write!(f, "{role} {} of provider {provider_name} is bound by {country}", party.name)
                }
                Subject::Technology(part) => {
                    let (name, supplier) = part.map_or(("", ""), |part| (&part.name, &part.supplier));
                    write!(
                        f,
                        "technology {name} of offer {provider_name}/{offer_name} comes from {supplier}, {country}"
                    )
                }
                Subject::Data => {
                    write!(f, "data in zone {zone_name} of offer {provider_name}/{offer_name} lies in {country}")
                }
            },
            Cause::JurisdictionUnknown(subject, _) => match subject {
                Subject::Party { role, party } => {
                    write!(f, "the jurisdiction of {role} {} of provider {provider_name} is not known", party.name)
                }
                Subject::Technology(None) => {
                    write!(f, "offer {provider_name}/{offer_name} does not say whose technology it runs")
                }
                Subject::Technology(Some(part)) => write!(
                    f,
                    "the jurisdiction of {}, who supplies {} to offer {provider_name}/{offer_name}, is not known",
                    part.supplier, part.name
                ),
                Subject::Data => {
                    write!(f, "the country of zone {zone_name} of offer {provider_name}/{offer_name} is not known")
                }
            },
            Cause::ExposedToLaw(law, reach) => {
                write!(f, "{law} reaches offer {provider_name}/{offer_name}")?;
                match reach {
                    Reach::Listed => f.write_str(", which lists it in exposedTo"),
                    Reach::Through { role, party } => {
                        write!(f, " through its {role} {}", party.name)
                    }
                }
            }
            Cause::ExposureUnknown(law) => write!(
                f,
                "whether {law} reaches offer {provider_name}/{offer_name} is not known: a jurisdiction or an entry of exposedTo is missing or wrong"
            ),
            Cause::LawUnknown(law) => write!(f, "no jurisdiction implies a law {law} and no offer lists it"),
            Cause::ProviderDenied | Cause::ProviderNotAllowed => {
                write!(f, "the provider is {provider_name}")
            }
            Cause::RegionDenied | Cause::RegionNotAllowed(_) => write!(f, "the region is {region}"),
            Cause::PueTooHigh(fact, _) => write!(f, "PUE of zone {zone_name} is {fact}"),
            Cause::PueUnknown(_) => {
                write!(f, "PUE of zone {zone_name} of offer {provider_name}/{offer_name} is not known")
            }
            Cause::CarbonTooHigh(fact, _) => write!(f, "carbon intensity of zone {zone_name} is {fact} gCO2e/kWh"),
            Cause::CarbonUnknown(_) => {
                write!(f, "carbon intensity of zone {zone_name} of offer {provider_name}/{offer_name} is not known")
            }
        }
    }

    fn demand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unresolved(_) => Ok(()),
            Cause::QualificationMissing(_) | Cause::QualificationNotYetValid(_) => f.write_str("requires it in force"),
            Cause::QualificationExpired(..) => f.write_str("requires it in force: record its renewal"),
            Cause::QualificationOutOfScope(_) => f.write_str("requires it for the pool's region"),
            Cause::JurisdictionNotAllowed(_, _, allowed) => write!(f, "allows {allowed}"),
            Cause::JurisdictionUnknown(_, allowed) => {
                write!(f, "allows {allowed}: record the country")
            }
            Cause::ExposedToLaw(..) => f.write_str("forbids it"),
            Cause::ExposureUnknown(_) => f.write_str("forbids it: record the facts"),
            Cause::LawUnknown(_) => f.write_str("forbids it: correct its name in notExposedTo"),
            Cause::ProviderDenied | Cause::RegionDenied => f.write_str("denies it"),
            Cause::ProviderNotAllowed => f.write_str("allows others only"),
            Cause::RegionNotAllowed(allowed) => write!(f, "allows {}", Listed(allowed.iter())),
            Cause::PueUnknown(limit) => write!(f, "allows at most {limit}: record the zone's pue"),
            Cause::PueTooHigh(_, limit) | Cause::CarbonTooHigh(_, limit) => write!(f, "allows at most {limit}"),
            Cause::CarbonUnknown(limit) => {
                write!(f, "allows at most {limit} gCO2e/kWh: record the zone's carbonIntensity")
            }
        }
    }
}

impl fmt::Display for Unresolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { named } => {
                write!(
                    f,
                    "spec.provider is {named:?}, and there is no such CloudProvider: record it, or correct the name"
                )
            }
            Self::Offer { provider, named } => write!(
                f,
                "spec.offer is {named:?}, which CloudProvider {provider} does not have: record it there, or correct the name"
            ),
            Self::Zone { provider, offer, named } => write!(
                f,
                "spec.zone is {named:?}, which offer {offer} of CloudProvider {provider} does not have: record it there, or correct the name"
            ),
        }
    }
}

/// The certificate's number in brackets, where it is known.
struct Reference<'a>(&'a Qualification);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.reference.as_ref().map_or(Ok(()), |reference| write!(f, " ({reference})"))
    }
}
