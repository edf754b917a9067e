//! Derivations as sentences: what is demanded, and the fact that meets or fails it.
//!
//! What speaks against a place reads here as it does in a reason, so that an explanation never says it otherwise.

use alloc::string::ToString;

use core::fmt;

use super::{
    catalogue::{Role, Site},
    derivation::{Derivation, Fact, Step, Wanted},
    instant::Day,
    policy::Filter,
    reason::Subject,
    sentence::{Certificate, Part, PartyOf, Whose},
    text::{Few, Figure},
};

impl fmt::Display for Wanted<'_> {
    /// As the object of a sentence: `level restricted demands data in FR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("a pool that is recorded"),
            Self::Operator(areas) => write!(f, "an operator of {}", Few(areas.iter())),
            Self::ControllingParty(areas) => write!(f, "a controlling party of {}", Few(areas.iter())),
            Self::Technology(areas) => write!(f, "technology from {}", Few(areas.iter())),
            Self::Data(areas) => write!(f, "data in {}", Few(areas.iter())),
            Self::NotExposedTo(law) => write!(f, "no exposure to {law}"),
            Self::Qualification(scheme) => write!(f, "{scheme} in force"),
            Self::Providers(filter) => Passing("provider", filter).fmt(f),
            Self::Regions(filter) => Passing("region", filter).fmt(f),
            Self::MaxPue(limit) => write!(f, "a PUE of at most {}", Figure(*limit)),
            Self::MaxCarbonIntensity(limit) => write!(f, "at most {} gCO2e/kWh", Figure(*limit)),
        }
    }
}

/// The names that pass a filter: `provider a or b, and none of c`.
struct Passing<'a, T>(&'static str, &'a Filter<T>);

impl<T: fmt::Display> fmt::Display for Passing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, Filter { allow, deny }) = self;
        match allow {
            Some(allow) if allow.len() == 1 => write!(f, "{what} {}", Few(allow.iter()))?,
            Some(allow) => write!(f, "a {what} among {}", Few(allow.iter()))?,
            None => write!(f, "a {what} other than {}", Few(deny.iter()))?,
        }
        match allow {
            Some(_) if !deny.is_empty() => write!(f, " and other than {}", Few(deny.iter())),
            _ => Ok(()),
        }
    }
}

impl<'a> Derivation<'a> {
    /// What became of `step`, a step of this derivation, in words: the fact that meets or fails it, with its object.
    pub fn told(&self, step: &Step<'a>) -> impl fmt::Display {
        match (step.finding, self.site) {
            (Ok(fact), Ok(site)) => Met { wanted: step.wanted, fact, site }.to_string(),
            _ => self.reason(step).map(|reason| reason.fact().to_string()).unwrap_or_default(),
        }
    }
}

/// A fact that meets what is wanted.
struct Met<'a> {
    wanted: Wanted<'a>,
    fact: Fact<'a>,
    site: Site<'a>,
}

impl fmt::Display for Met<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, fact, site } = *self;
        let Site { pool: _, provider, offer: _, zone } = site;
        match fact {
            Fact::Country(subject, country) => match subject {
                Subject::Party { role, party } => {
                    write!(f, "{} is bound by the law of {country}", PartyOf { role, party, site })
                }
                Subject::Technology(part) => {
                    write!(f, "{} comes from a supplier bound by the law of {country}", Part(part))
                }
                Subject::Data => write!(f, "data in zone {} lies in {country}", zone.name),
            },
            Fact::NotExposed => {
                match wanted {
                    Wanted::NotExposedTo(law) => write!(f, "{law} does not reach {}", Whose(site)),
                    _ => write!(f, "{} is not exposed", Whose(site)),
                }?;
                write!(f, ", which does not list it; its {}", Role::Operator)?;
                provider.operator.jurisdiction.map_or(Ok(()), |country| write!(f, " is of {country}"))?;
                let controller = provider.controlling_party.as_ref().and_then(|party| party.jurisdiction);
                controller.map_or(Ok(()), |country| write!(f, " and its {} of {country}", Role::ControllingParty))
            }
            Fact::Certificate { by, until } => {
                write!(f, "{} is in force since {}", Certificate(by), by.valid_from)?;
                match until {
                    None => f.write_str(", with no end recorded"),
                    Some(until) if by.ends().is_none_or(|own| own < until) => {
                        write!(f, " until {}, its successors counted", Day::ending_at(until))
                    }
                    Some(until) => write!(f, " until {}", Day::ending_at(until)),
                }
            }
            Fact::Provider => write!(f, "the provider is {}", provider.name),
            Fact::Region => write!(f, "zone {} is in region {}", zone.name, zone.region),
            Fact::Pue(figure) => write!(f, "PUE of zone {} is {}", zone.name, Figure(figure)),
            Fact::CarbonIntensity(figure) => {
                write!(f, "carbon intensity of zone {} is {} gCO2e/kWh", zone.name, Figure(figure))
            }
        }
    }
}
