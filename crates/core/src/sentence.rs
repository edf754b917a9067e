//! Reasons as sentences: the fact and its object, who demands otherwise, and what to do.
//!
//! One line each, and short enough for a status however long the names in it are.

use alloc::collections::BTreeSet;
use core::fmt;

use super::{
    catalogue::{
        ExposureGap, LawReach, LegalParty, Offer, PartyRole, PoolRole, Qualification, ResolvedPool,
        TechnologyComponent, UnresolvedReference,
    },
    coverage::CertificateRequirement,
    law::KNOWN_LAWS,
    name::{Law, RegionName},
    reason::{Cause, JurisdictionSubject, Reason},
    text::{BriefDisplay, DurationDisplay, FewDisplay, FigureDisplay},
    validity::{ClearanceValidity, RetainReason},
};

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} of policy {} ", self.fact(), self.demander, self.policy)?;
        if self.judged_as == PoolRole::ControlPlane {
            f.write_str("counts the control plane in and ")?;
        }
        self.demand(f)?;
        f.write_str(": ")?;
        self.remedy(f)
    }
}

/// The first part of a reason: what is the case.
struct ReasonFact<'r, 'a>(&'r Reason<'a>);

impl fmt::Display for ReasonFact<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { pool, site, cause, judged_as, .. } = self.0;
        if *judged_as == PoolRole::ControlPlane {
            write!(f, "the control plane (pool {}): ", pool.name)?;
        }
        match (cause, site) {
            (Cause::ControlPlaneUndeclared, _) => f.write_str("no PlacementPool says where the control plane runs"),
            (Cause::ControlPlaneUnread(name), _) => {
                let name = BriefDisplay(name);
                write!(f, "PlacementPool {name} cannot be read, and may say where the control plane runs")
            }
            (Cause::Unresolved(unresolved), _) if *judged_as == PoolRole::ControlPlane => {
                write!(f, "{}", MissingFact(*unresolved))
            }
            (Cause::Unresolved(unresolved), _) => write!(f, "pool {}: {}", pool.name, MissingFact(*unresolved)),
            (_, None) => write!(f, "pool {}: {}", pool.name, cause.code()),
            (_, Some(site)) => self.0.write_fact(f, *site),
        }
    }
}

impl<'a> Reason<'a> {
    /// What speaks against the place, without who demands otherwise and what to do about it.
    pub fn fact<'r>(&'r self) -> impl fmt::Display + use<'r, 'a> {
        ReasonFact(self)
    }

    fn write_fact(&self, f: &mut fmt::Formatter<'_>, site: ResolvedPool<'_>) -> fmt::Result {
        let ResolvedPool { pool, provider, offer, zone } = site;
        let (whose, region) = (OfferOwner(site), &zone.region);
        match self.cause {
            Cause::Unresolved(_) | Cause::ControlPlaneUndeclared | Cause::ControlPlaneUnread(_) => Ok(()),
            Cause::QualificationMissing(required) => write!(f, "{whose} has no {} qualification", required.scheme),
            Cause::QualificationExpired(q, on) => write!(f, "{} of {whose} ended on {on}", CertificateDisplay(q)),
            Cause::QualificationNotYetValid(q) => {
                write!(f, "{} of {whose} ", CertificateDisplay(q))?;
                match predecessor(offer, q, region) {
                    Some(before) => write!(f, "begins on {}, after a gap since {before}", q.valid_from),
                    None => write!(f, "begins on {}", q.valid_from),
                }
            }
            Cause::QualificationOutOfScope(q) => {
                let scope: BTreeSet<&RegionName> = offer
                    .qualifications
                    .iter()
                    .filter(|other| other.scheme == q.scheme)
                    .flat_map(|other| other.regions.iter().flatten())
                    .collect();
                write!(f, "{} of {whose} covers ", CertificateDisplay(q))?;
                if scope.is_empty() {
                    f.write_str("no region at all")
                } else {
                    write!(f, "{}", FewDisplay(scope.iter()))
                }?;
                write!(f, ", not region {region} of pool {}", pool.name)
            }
            Cause::QualificationTooLow(q, _) => match q.level {
                Some(level) => write!(f, "{} of {whose} is of level {level}", CertificateDisplay(q)),
                None => write!(f, "{} of {whose} is of a level that is not known", CertificateDisplay(q)),
            },
            Cause::QualificationEnding { validity, .. } => match validity.end() {
                Some(end) => write!(
                    f,
                    "{} of {whose}, on which pool {} stands, ends on {}",
                    CertificateDisplay(end.by),
                    pool.name,
                    end.last_day()
                ),
                None => write!(f, "no end of {whose} is known"),
            },
            Cause::JurisdictionNotAllowed(subject, country, _) => match subject {
                JurisdictionSubject::Party { role, party } => {
                    let party = PartyOf { role, party, site };
                    write!(f, "{party} is bound by the law of {country}")
                }
                JurisdictionSubject::Technology(part) => {
                    write!(f, "{} of {whose} comes from a supplier bound by the law of {country}", PartDisplay(part))
                }
                JurisdictionSubject::Data => write!(f, "data in zone {} of {whose} lies in {country}", zone.name),
            },
            Cause::JurisdictionUnknown(subject, _) => match subject {
                JurisdictionSubject::Party { role, party } => {
                    write!(f, "the country of {} is not known", PartyOf { role, party, site })
                }
                JurisdictionSubject::Technology(None) => write!(f, "{whose} does not say whose technology it runs"),
                JurisdictionSubject::Technology(part) => {
                    write!(f, "the country of the supplier of {} of {whose} is not known", PartDisplay(part))
                }
                JurisdictionSubject::Data => write!(f, "the country of zone {} of {whose} is not known", zone.name),
            },
            Cause::ExposedToLaw(law, LawReach::Listed) => {
                write!(f, "{law} reaches {whose}, which lists it in exposedTo")
            }
            Cause::ExposedToLaw(law, LawReach::Through { role, party }) => {
                write!(f, "{law} reaches {whose} through {}", PartyOf { role, party, site })?;
                party.jurisdiction.map_or(Ok(()), |country| write!(f, ", bound by the law of {country}"))
            }
            Cause::ExposureUnknown(law, gap) => {
                write!(f, "whether {law} reaches {whose} is not known, because ")?;
                match gap {
                    ExposureGap::List => f.write_str("an entry of the offer's exposedTo cannot be read"),
                    ExposureGap::Country(role) => {
                        write!(f, "the country of the {role} of provider {} is not", provider.name)
                    }
                }
            }
            Cause::LawUnknown(law) => write!(
                f,
                "no jurisdiction implies the law {law} and no offer lists it, so that {whose} cannot be free of it"
            ),
            Cause::ProviderDenied | Cause::ProviderNotAllowed(_) => {
                write!(f, "pool {} is of provider {}", pool.name, provider.name)
            }
            Cause::RegionDenied | Cause::RegionNotAllowed(_) => {
                write!(f, "pool {} is in region {region} of {whose}", pool.name)
            }
            Cause::PueTooHigh(fact, _) => write!(f, "PUE of zone {} of {whose} is {}", zone.name, FigureDisplay(fact)),
            Cause::PueUnknown(_) => write!(f, "PUE of zone {} of {whose} is not known", zone.name),
            Cause::CarbonTooHigh(fact, _) => {
                write!(f, "carbon intensity of zone {} of {whose} is {} gCO2e/kWh", zone.name, FigureDisplay(fact))
            }
            Cause::CarbonUnknown(_) => write!(f, "carbon intensity of zone {} of {whose} is not known", zone.name),
        }
    }

    fn demand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unresolved(_) => f.write_str("clears only what is recorded"),
            Cause::ControlPlaneUndeclared | Cause::ControlPlaneUnread(_) => {
                f.write_str("requires of the control plane's offer what it requires of a pool's")
            }
            Cause::QualificationMissing(CertificateRequirement { at_least: None, .. })
            | Cause::QualificationNotYetValid(_)
            | Cause::QualificationExpired(..) => f.write_str("requires one in force"),
            Cause::QualificationMissing(CertificateRequirement { at_least: Some(least), .. })
            | Cause::QualificationTooLow(_, least) => write!(f, "requires one in force of level {least} or above"),
            Cause::QualificationOutOfScope(_) => f.write_str("requires one that covers the pool's region"),
            Cause::QualificationEnding { validity, lead, .. } => {
                write!(f, "has a lead time of {}, ", DurationDisplay(lead))?;
                f.write_str(match validity {
                    ClearanceValidity::Withdrawn(_) => "so that new pods go to pools that outlast it",
                    ClearanceValidity::Expiring(_, RetainReason::Report) => "and only reports it",
                    ClearanceValidity::Expiring(_, RetainReason::ControlPlane) => {
                        "but no pool is cleared without its control plane, so that none is withdrawn"
                    }
                    ClearanceValidity::Expiring(_, RetainReason::Last) | ClearanceValidity::Open => {
                        "but no pool with nodes outlasts it, so that it is kept"
                    }
                })
            }
            Cause::JurisdictionNotAllowed(subject, _, allowed) | Cause::JurisdictionUnknown(subject, allowed) => {
                match subject {
                    JurisdictionSubject::Party { role: PartyRole::Operator, .. } => f.write_str("allows operators of "),
                    JurisdictionSubject::Party { role: PartyRole::ControllingParty, .. } => {
                        f.write_str("allows controlling parties of ")
                    }
                    JurisdictionSubject::Technology(_) => f.write_str("allows technology from "),
                    JurisdictionSubject::Data => f.write_str("allows data in "),
                }?;
                write!(f, "{} only", FewDisplay(allowed.iter()))
            }
            Cause::ExposedToLaw(..) | Cause::ExposureUnknown(..) | Cause::LawUnknown(_) => {
                f.write_str("forbids exposure to it")
            }
            Cause::ProviderDenied => f.write_str("denies that provider"),
            Cause::ProviderNotAllowed(allowed) => write!(f, "allows {} only", FewDisplay(allowed.iter())),
            Cause::RegionDenied => f.write_str("denies that region"),
            Cause::RegionNotAllowed(allowed) => write!(f, "allows {} only", FewDisplay(allowed.iter())),
            Cause::PueTooHigh(_, limit) | Cause::PueUnknown(limit) => {
                write!(f, "allows at most {}", FigureDisplay(limit))
            }
            Cause::CarbonTooHigh(_, limit) | Cause::CarbonUnknown(limit) => {
                write!(f, "allows at most {} gCO2e/kWh", FigureDisplay(limit))
            }
        }
    }

    fn remedy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Unresolved(_) => "record it, or correct the pool",
            Cause::ControlPlaneUndeclared => "declare it in a PlacementPool of role ControlPlane",
            Cause::ControlPlaneUnread(_) => "correct it",
            Cause::QualificationMissing(_) => "record it if the offer holds one, or use another offer",
            Cause::QualificationExpired(..) => "record its renewal, or use another offer",
            Cause::QualificationNotYetValid(_) => "wait for that day, or use another offer",
            Cause::QualificationOutOfScope(_) => "use a zone in scope, or record one for this region",
            Cause::QualificationTooLow(Qualification { level: Some(_), .. }, _) => {
                "record a higher one if the offer holds one, or use another offer"
            }
            Cause::QualificationTooLow(Qualification { level: None, .. }, _) => "record its level",
            Cause::QualificationEnding { validity: ClearanceValidity::Withdrawn(_), .. } => {
                "record its renewal, and the pool is taken back"
            }
            Cause::QualificationEnding {
                validity: ClearanceValidity::Expiring(_, RetainReason::Last) | ClearanceValidity::Open,
                ..
            } => "record its renewal, or add a pool",
            Cause::QualificationEnding {
                validity: ClearanceValidity::Expiring(_, RetainReason::Report | RetainReason::ControlPlane),
                ..
            } => "record its renewal",
            Cause::JurisdictionNotAllowed(subject, ..) => match subject {
                JurisdictionSubject::Party { .. } => "use another provider",
                JurisdictionSubject::Technology(_) => "use another offer",
                JurisdictionSubject::Data => "use another zone",
            },
            Cause::JurisdictionUnknown(subject, _) => match subject {
                JurisdictionSubject::Party { role: PartyRole::Operator, .. } => {
                    "record operator.jurisdiction of the CloudProvider"
                }
                JurisdictionSubject::Party { role: PartyRole::ControllingParty, .. } => match self.site {
                    Some(ResolvedPool { provider, .. }) if provider.controlling_party.is_some() => {
                        "record controllingParty.jurisdiction of the CloudProvider"
                    }
                    _ => "record operator.jurisdiction of the CloudProvider",
                },
                JurisdictionSubject::Technology(None) => "record the offer's technology",
                JurisdictionSubject::Technology(_) => "record its jurisdiction",
                JurisdictionSubject::Data => "record the zone's country",
            },
            Cause::ExposedToLaw(..) => "use another offer",
            Cause::ExposureUnknown(_, ExposureGap::List) => "correct the list",
            Cause::ExposureUnknown(_, ExposureGap::Country(_)) => "record it",
            Cause::LawUnknown(law) => {
                f.write_str("correct its name in notExposedTo")?;
                return near(law).map_or(Ok(()), |meant| write!(f, " (perhaps {meant} is meant)"));
            }
            Cause::ProviderDenied | Cause::ProviderNotAllowed(_) => "use another provider",
            Cause::RegionDenied | Cause::RegionNotAllowed(_) => "use another region",
            Cause::PueTooHigh(..) | Cause::CarbonTooHigh(..) => "use another zone",
            Cause::PueUnknown(_) => "record the zone's pue",
            Cause::CarbonUnknown(_) => "record the zone's carbonIntensity",
        })
    }
}

impl fmt::Display for UnresolvedReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: record it, or correct the pool", MissingFact(*self))
    }
}

/// What a pool names that is not recorded.
struct MissingFact<'a>(UnresolvedReference<'a>);

impl fmt::Display for MissingFact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            UnresolvedReference::Provider { named } => {
                write!(f, "spec.provider is \"{}\", and there is no such CloudProvider", BriefDisplay(named))
            }
            UnresolvedReference::Offer { provider, named } => {
                write!(f, "spec.offer is \"{}\", which CloudProvider {provider} does not have", BriefDisplay(named))
            }
            UnresolvedReference::Zone { provider, offer, named } => {
                write!(f, "spec.zone is \"{}\", which offer {provider}/{offer} does not have", BriefDisplay(named))
            }
        }
    }
}

/// The offer, with its provider.
pub(super) struct OfferOwner<'a>(pub(super) ResolvedPool<'a>);

impl fmt::Display for OfferOwner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offer {}/{}", self.0.provider.name, self.0.offer.name)
    }
}

/// A certificate by its scheme, and by its number where that is known.
pub(super) struct CertificateDisplay<'a>(pub(super) &'a Qualification);

impl fmt::Display for CertificateDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} qualification", self.0.scheme)?;
        match self.0.reference.as_deref() {
            None | Some("") => Ok(()),
            Some(reference) => write!(f, " {}", BriefDisplay(reference)),
        }
    }
}

/// A party in its role. An operator that nobody is recorded to control is its own controlling party.
pub(super) struct PartyOf<'a> {
    pub(super) role: PartyRole,
    pub(super) party: &'a LegalParty,
    pub(super) site: ResolvedPool<'a>,
}

impl fmt::Display for PartyOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, party, site: ResolvedPool { provider, .. } } = self;
        let itself = *role == PartyRole::ControllingParty && provider.controlling_party.is_none();
        write!(
            f,
            "{} {} of provider {}",
            if itself { PartyRole::Operator } else { *role },
            BriefDisplay(&party.name),
            provider.name
        )?;
        if itself { f.write_str(", under nobody else's recorded control,") } else { Ok(()) }
    }
}

/// One part of a stack, with its supplier.
pub(super) struct PartDisplay<'a>(pub(super) Option<&'a TechnologyComponent>);

impl fmt::Display for PartDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("technology"),
            Some(part) => write!(f, "technology {} by {}", BriefDisplay(&part.name), BriefDisplay(&part.supplier)),
        }
    }
}

/// The last day before `next` on which a certificate of its scheme covered `region`.
fn predecessor(offer: &Offer, next: &Qualification, region: &RegionName) -> Option<super::instant::CalendarDay> {
    let before = offer.qualifications.iter().filter(|q| q.scheme == next.scheme && q.covers(Some(region)));
    before.filter_map(|q| q.valid_until).filter(|until| *until < next.valid_from).max()
}

/// The law of the table whose name is nearest to `law`, when one is near.
fn near(law: &Law) -> Option<&'static str> {
    let likeness = |known: &str| strsim::jaro_winkler(known, law.as_str());
    let best = KNOWN_LAWS.iter().map(|known| known.name).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.85).then_some(best)
}
