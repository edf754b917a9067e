//! Remedies: for each thing that a pool lacks, the step that would have it cleared.
//!
//! A remedy is a step in imperative words. Where no fact can be put right, it says so, and what the policy would have
//! to say instead: nobody should look for a step that does not exist.

use super::{evaluation::PoolEvaluation, locator::SourceLocator};
use rempart_core::{
    catalogue::{ExposureGap, LawReach, PartyRole, Pool, ResolvedPool, UnresolvedReference},
    coverage::CertificateRequirement,
    derivation::{Derivation, Step},
    name::quoted,
    reason::{Cause, JurisdictionSubject},
    text::{BriefDisplay, FigureDisplay},
};

/// A step towards clearance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PoolRemedy {
    /// Whether there is nothing to be done by recording, renewing or waiting.
    pub(super) hopeless: bool,
    /// The step.
    pub(super) text: String,
    /// Where to take it.
    pub(super) place: Option<String>,
}

/// The same remedies for one pool, or for several.
#[derive(Clone, Debug)]
pub(super) struct RemedyGroup<'a> {
    /// The pools, by name.
    pub(super) pools: Vec<&'a str>,
    /// What each of them lacks; never empty.
    pub(super) remedies: Vec<PoolRemedy>,
    /// Whether that is all: what a pool that stands on nothing lacks besides is known once it stands.
    pub(super) whole: bool,
}

impl RemedyGroup<'_> {
    /// How many of the remedies there are not.
    pub(super) fn hopeless(&self) -> usize {
        self.remedies.iter().filter(|remedy| remedy.hopeless).count()
    }
}

/// What to do about the pools of `fares` that are not cleared: the nearest first, pools that lack the same as one.
pub(super) fn plans<'a>(evaluations: &[PoolEvaluation<'a>], locate: SourceLocator<'_>) -> Vec<RemedyGroup<'a>> {
    let mut plans: Vec<RemedyGroup<'a>> = Vec::new();
    for evaluation in evaluations.iter().filter(|evaluation| !evaluation.cleared()) {
        let mut remedies = Vec::new();
        for (derivation, step) in evaluation.failed() {
            // Two levels may demand the same of one place.
            let remedy = remedy(derivation, step, locate);
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
        match plans.iter_mut().find(|plan| plan.remedies == remedies) {
            Some(plan) => plan.pools.push(evaluation.pool.name.as_str()),
            None => plans.push(RemedyGroup {
                pools: vec![evaluation.pool.name.as_str()],
                remedies,
                whole: evaluation.site.is_ok(),
            }),
        }
    }
    plans.sort_by_key(|plan| (!plan.whole, plan.hopeless(), plan.remedies.len()));
    plans
}

fn remedy(derivation: &Derivation<'_>, step: &Step<'_>, locate: SourceLocator<'_>) -> PoolRemedy {
    let Err(cause) = step.finding else { return PoolRemedy { hopeless: true, text: String::new(), place: None } };
    let whose = if step.control_plane.is_some() { "for the control plane, " } else { "" };
    if let Some(text) = fact_to_record(derivation.place(step), cause) {
        let text = format!("{whose}{text}");
        return PoolRemedy { hopeless: false, text, place: locate.fact(derivation, step) };
    }
    let place = locate.demand(derivation, step);
    if let Cause::LawUnknown(law) = cause {
        let text = format!("correct the name of the law {law} in policy {}", derivation.policy.name);
        return PoolRemedy { hopeless: false, text, place };
    }
    let (state, change) = standing(derivation.place(step).1.ok(), cause);
    let state = if step.control_plane.is_some() { format!("the control plane is as it is, {state}") } else { state };
    let Derivation { policy, .. } = derivation;
    let text =
        format!("nothing to be done: {state}; {} of policy {} would have to {change}", step.demander, policy.name);
    PoolRemedy { hopeless: true, text, place }
}

/// A pool, and what it stands on.
type DerivedPlace<'a> = (&'a Pool, Result<ResolvedPool<'a>, UnresolvedReference<'a>>);

/// The step that puts a fact right; `None` where none does.
fn fact_to_record((pool, site): DerivedPlace<'_>, cause: Cause<'_>) -> Option<String> {
    let pool = &pool.name;
    match cause {
        Cause::ControlPlaneUndeclared => {
            return Some("declare where the control plane runs in a PlacementPool of role ControlPlane".to_owned());
        }
        Cause::ControlPlaneUnread(name) => return Some(format!("correct PlacementPool {}", quoted(name))),
        _ => {}
    }
    if let Cause::Unresolved(unresolved) = cause {
        return Some(match unresolved {
            UnresolvedReference::Provider { named } => {
                format!("record CloudProvider {}, or correct spec.provider of pool {pool}", quoted(named))
            }
            UnresolvedReference::Offer { provider, named } => {
                format!("record offer {} of provider {provider}, or correct spec.offer of pool {pool}", quoted(named))
            }
            UnresolvedReference::Zone { provider, offer, named } => {
                format!(
                    "record zone {} of offer {provider}/{offer}, or correct spec.zone of pool {pool}",
                    quoted(named)
                )
            }
        });
    }
    let ResolvedPool { provider, offer, zone, .. } = site.ok()?;
    let (whose, zone_name, region) = (format!("{}/{}", provider.name, offer.name), &zone.name, &zone.region);
    let party = |role: PartyRole| match role {
        PartyRole::ControllingParty if provider.controlling_party.is_some() => PartyRole::ControllingParty,
        _ => PartyRole::Operator,
    };
    Some(match cause {
        Cause::QualificationExpired(q, on) => format!("renew {} of {whose}: ended {on}", q.scheme),
        Cause::QualificationMissing(CertificateRequirement { scheme, at_least: None }) => {
            format!("record the {scheme} certificate of {whose}, once it holds one")
        }
        Cause::QualificationMissing(CertificateRequirement { scheme, at_least: Some(least) }) => {
            format!("record the {scheme} certificate of {whose}, once it holds one of level {least} or above")
        }
        Cause::QualificationTooLow(q, least) if q.level.is_some() => {
            format!("record the {} certificate of {whose} of level {least} or above, once it holds one", q.scheme)
        }
        Cause::QualificationTooLow(q, _) => format!("record the level of {} of {whose}", q.scheme),
        Cause::QualificationNotYetValid(q) => {
            format!("wait for {} of {whose}: begins {}", q.scheme, q.valid_from)
        }
        Cause::QualificationOutOfScope(q) => {
            format!("record {} of {whose} for region {region}, once it covers that", q.scheme)
        }
        Cause::JurisdictionUnknown(JurisdictionSubject::Party { role, .. }, _)
        | Cause::ExposureUnknown(_, ExposureGap::Country(role)) => {
            format!("record the country of the {} of provider {}", party(role), provider.name)
        }
        Cause::JurisdictionUnknown(JurisdictionSubject::Technology(None), _) => {
            format!("record the technology of {whose}")
        }
        Cause::JurisdictionUnknown(JurisdictionSubject::Technology(Some(part)), _) => {
            format!("record the country of the supplier of technology {} of {whose}", BriefDisplay(&part.name))
        }
        Cause::JurisdictionUnknown(JurisdictionSubject::Data, _) => {
            format!("record the country of zone {zone_name} of {whose}")
        }
        Cause::ExposureUnknown(_, ExposureGap::List) => format!("correct exposedTo of {whose}"),
        Cause::PueUnknown(_) => format!("record the PUE of zone {zone_name} of {whose}"),
        Cause::CarbonUnknown(_) => format!("record the carbon intensity of zone {zone_name} of {whose}"),
        _ => return None,
    })
}

/// What is as it is, and what would have to be demanded instead.
fn standing(site: Option<ResolvedPool<'_>>, cause: Cause<'_>) -> (String, String) {
    let Some(ResolvedPool { provider, offer, zone, .. }) = site else {
        return ("the pool is not recorded".to_owned(), "demand nothing".to_owned());
    };
    let whose = format!("{}/{}", provider.name, offer.name);
    match cause {
        Cause::JurisdictionNotAllowed(subject, country, _) => {
            let (state, field) = match subject {
                JurisdictionSubject::Party { role: PartyRole::Operator, .. } => {
                    (format!("operator of {country}"), "operator")
                }
                JurisdictionSubject::Party { role: PartyRole::ControllingParty, .. } => {
                    (format!("controlled from {country}"), "controllingParty")
                }
                JurisdictionSubject::Technology(_) => (format!("technology of {country} origin"), "technology"),
                JurisdictionSubject::Data => (format!("data of zone {} lies in {country}", zone.name), "data"),
            };
            (state, format!("allow {country} in jurisdictions.{field}"))
        }
        Cause::ExposedToLaw(law, reach) => {
            let how = match reach {
                LawReach::Listed => String::new(),
                LawReach::Through { role, .. } => format!(" through its {role}"),
            };
            (format!("{law} reaches {whose}{how}"), format!("leave {law} out of notExposedTo"))
        }
        Cause::ProviderDenied => {
            (format!("of provider {}", provider.name), format!("leave {} out of providers.deny", provider.name))
        }
        Cause::ProviderNotAllowed(_) => {
            (format!("of provider {}", provider.name), format!("list {} in providers.allow", provider.name))
        }
        Cause::RegionDenied => {
            (format!("in region {}", zone.region), format!("leave {} out of regions.deny", zone.region))
        }
        Cause::RegionNotAllowed(_) => {
            (format!("in region {}", zone.region), format!("list {} in regions.allow", zone.region))
        }
        Cause::PueTooHigh(fact, _) => {
            let fact = FigureDisplay(fact);
            (format!("PUE of zone {} is {fact}", zone.name), format!("allow a maxPUE of {fact}"))
        }
        Cause::CarbonTooHigh(fact, _) => {
            let fact = FigureDisplay(fact);
            let state = format!("carbon intensity of zone {} is {fact} gCO2e/kWh", zone.name);
            (state, format!("allow a maxCarbonIntensity of {fact}"))
        }
        // The rest can be recorded.
        _ => (format!("offer {whose} is as it is"), "demand less".to_owned()),
    }
}
