//! Derivations as sentences: what is demanded, and the fact that meets or fails it.
//!
//! What speaks against a place reads here as it does in a reason, so that an explanation never says it otherwise.

use alloc::{format, string::ToString};

use core::fmt;

use super::{
    catalogue::{PartyRole, ResolvedPool},
    coverage::CertificateRequirement,
    derivation::{Derivation, OfferRequirement, RequirementEvidence, Step},
    instant::CalendarDay,
    policy::NameFilter,
    reason::JurisdictionSubject,
    sentence::{CertificateDisplay, OfferOwner, PartDisplay, PartyOf},
    text::{FewDisplay, FigureDisplay},
};

impl fmt::Display for OfferRequirement<'_> {
    /// As the object of a sentence: `level restricted demands data in FR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("a pool that is recorded"),
            Self::Operator(areas) => write!(f, "an operator of {}", FewDisplay(areas.iter())),
            Self::ControllingParty(areas) => write!(f, "a controlling party of {}", FewDisplay(areas.iter())),
            Self::Technology(areas) => write!(f, "technology from {}", FewDisplay(areas.iter())),
            Self::Data(areas) => write!(f, "data in {}", FewDisplay(areas.iter())),
            Self::NotExposedTo(law) => write!(f, "no exposure to {law}"),
            Self::Qualification(CertificateRequirement { scheme, at_least: None }) => write!(f, "{scheme} in force"),
            Self::Qualification(CertificateRequirement { scheme, at_least: Some(least) }) => {
                write!(f, "{scheme} in force, of level {least} or above")
            }
            Self::Providers(filter) => PassingDisplay("provider", filter).fmt(f),
            Self::Regions(filter) => PassingDisplay("region", filter).fmt(f),
            Self::MaxPue(limit) => write!(f, "a PUE of at most {}", FigureDisplay(*limit)),
            Self::MaxCarbonIntensity(limit) => write!(f, "at most {} gCO2e/kWh", FigureDisplay(*limit)),
            Self::ControlPlane => f.write_str("a control plane that meets as much"),
        }
    }
}

/// The names that pass a filter: `provider a or b, and none of c`.
struct PassingDisplay<'a, T>(&'static str, &'a NameFilter<T>);

impl<T: fmt::Display> fmt::Display for PassingDisplay<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, NameFilter { allow, deny }) = self;
        match allow {
            Some(allow) if allow.len() == 1 => write!(f, "{what} {}", FewDisplay(allow.iter()))?,
            Some(allow) => write!(f, "a {what} among {}", FewDisplay(allow.iter()))?,
            None => write!(f, "a {what} other than {}", FewDisplay(deny.iter()))?,
        }
        match allow {
            Some(_) if !deny.is_empty() => write!(f, " and other than {}", FewDisplay(deny.iter())),
            _ => Ok(()),
        }
    }
}

impl<'a> Derivation<'a> {
    /// What became of `step`, a step of this derivation, in words: the fact that meets or fails it, with its object.
    pub fn told(&self, step: &Step<'a>) -> impl fmt::Display {
        let (pool, site) = self.place(step);
        match (step.finding, site) {
            (Ok(fact), Ok(site)) if step.control_plane.is_some() && fact != RequirementEvidence::ControlPlane => {
                let met = MetRequirement { wanted: step.wanted, fact, site };
                format!("the control plane (pool {}): {met}", pool.name)
            }
            (Ok(fact), Ok(site)) => MetRequirement { wanted: step.wanted, fact, site }.to_string(),
            _ => self.reason(step).map(|reason| reason.fact().to_string()).unwrap_or_default(),
        }
    }
}

/// A fact that meets what is wanted.
struct MetRequirement<'a> {
    wanted: OfferRequirement<'a>,
    fact: RequirementEvidence<'a>,
    site: ResolvedPool<'a>,
}

impl fmt::Display for MetRequirement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, fact, site } = *self;
        let ResolvedPool { pool: _, provider, offer: _, zone } = site;
        match fact {
            RequirementEvidence::Country(subject, country) => match subject {
                JurisdictionSubject::Party { role, party } => {
                    write!(f, "{} is bound by the law of {country}", PartyOf { role, party, site })
                }
                JurisdictionSubject::Technology(part) => {
                    write!(f, "{} comes from a supplier bound by the law of {country}", PartDisplay(part))
                }
                JurisdictionSubject::Data => write!(f, "data in zone {} lies in {country}", zone.name),
            },
            RequirementEvidence::NotExposed => {
                match wanted {
                    OfferRequirement::NotExposedTo(law) => write!(f, "{law} does not reach {}", OfferOwner(site)),
                    _ => write!(f, "{} is not exposed", OfferOwner(site)),
                }?;
                write!(f, ", which does not list it; its {}", PartyRole::Operator)?;
                provider.operator.jurisdiction.map_or(Ok(()), |country| write!(f, " is of {country}"))?;
                let controller = provider.controlling_party.as_ref().and_then(|party| party.jurisdiction);
                controller.map_or(Ok(()), |country| write!(f, " and its {} of {country}", PartyRole::ControllingParty))
            }
            RequirementEvidence::Certificate { by, until } => {
                write!(f, "{} is in force since {}", CertificateDisplay(by), by.valid_from)?;
                if let (OfferRequirement::Qualification(required), Some(level)) = (wanted, by.level)
                    && required.at_least.is_some()
                {
                    write!(f, ", of level {level}")?;
                }
                match until {
                    None => f.write_str(", with no end recorded"),
                    Some(until) if by.ends().is_none_or(|own| own < until) => {
                        write!(f, " until {}, its successors counted", CalendarDay::ending_at(until))
                    }
                    Some(until) => write!(f, " until {}", CalendarDay::ending_at(until)),
                }
            }
            RequirementEvidence::Provider => write!(f, "the provider is {}", provider.name),
            RequirementEvidence::Region => write!(f, "zone {} is in region {}", zone.name, zone.region),
            RequirementEvidence::Pue(figure) => write!(f, "PUE of zone {} is {}", zone.name, FigureDisplay(figure)),
            RequirementEvidence::CarbonIntensity(figure) => {
                write!(f, "carbon intensity of zone {} is {} gCO2e/kWh", zone.name, FigureDisplay(figure))
            }
            RequirementEvidence::ControlPlane => {
                write!(f, "it runs on {} in zone {}, by pool {}", OfferOwner(site), zone.name, site.pool.name)
            }
        }
    }
}
