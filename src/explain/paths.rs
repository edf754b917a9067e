//! The fields that facts and demands are written in, as paths of their manifests.
//!
//! Pure, and by name wherever a list has names: the core has forgotten in which order things were written.

use crate::{
    api::{CloudProviderSpec, PlacementPolicySpec, RequirementsSpec},
    gather::demander,
};
use rempart_core::{
    catalogue::{ExposureGap, LawReach, PartyRole, Qualification, ResolvedPool, UnresolvedReference},
    coverage::CertificateRequirement,
    derivation::{Derivation, OfferRequirement, RequirementEvidence, Step},
    reason::{Cause, JurisdictionSubject, RequirementSource},
};

/// Where a policy demands what `step` of `derivation` is about.
pub(super) fn demand(spec: &PlacementPolicySpec, derivation: &Derivation<'_>, step: &Step<'_>) -> Option<String> {
    let require = match step.demander {
        RequirementSource::Level(name) => {
            spec.levels.iter().find(|level| level.name == name.as_str()).and_then(|level| level.require.as_ref())
        }
        RequirementSource::Category(name) => {
            spec.categories.iter().find(|found| found.name == name.as_str()).and_then(|found| found.require.as_ref())
        }
    };
    let base = format!("{}.require", demander(spec, step.demander)?);
    // What is demanded of the control plane is demanded by one word.
    let counts = require.is_some_and(|require| require.control_plane.unwrap_or_default());
    if step.control_plane.is_some() && counts {
        return Some(format!("{base}.controlPlane"));
    }
    let field = step.wanted.field();
    let list = if field.is_empty() { base } else { format!("{base}.{field}") };
    Some(match entry(require?, derivation, step) {
        Some(entry) => format!("{list}{entry}"),
        None => list,
    })
}

/// The entry of a list of demands, where one entry alone demands.
fn entry(require: &RequirementsSpec, derivation: &Derivation<'_>, step: &Step<'_>) -> Option<String> {
    let index = |listed: &[String], name: &str| listed.iter().position(|found| found == name);
    let site = derivation.place(step).1.ok();
    let denied = |deny: &[String], name: &str| index(deny, name).map(|index| format!(".deny[{index}]"));
    match (step.wanted, step.finding) {
        (OfferRequirement::Qualification(CertificateRequirement { scheme, at_least: None }), _) => {
            index(&require.qualifications, scheme.as_str()).map(|index| format!("[{index}]"))
        }
        (OfferRequirement::Qualification(CertificateRequirement { scheme, at_least: Some(_) }), _) => {
            require.minimum_levels.contains_key(scheme.as_str()).then(|| format!(".{scheme}"))
        }
        (OfferRequirement::NotExposedTo(law), _) => {
            index(&require.not_exposed_to, law.as_str()).map(|index| format!("[{index}]"))
        }
        (_, Err(Cause::ProviderDenied)) => denied(&require.providers.as_ref()?.deny, site?.provider.name.as_str()),
        (_, Err(Cause::RegionDenied)) => denied(&require.regions.as_ref()?.deny, site?.zone.region.as_str()),
        (_, Err(Cause::ProviderNotAllowed(_) | Cause::RegionNotAllowed(_))) => Some(".allow".to_owned()),
        _ => None,
    }
}

/// Where the zone of `site` is recorded.
pub(super) fn zone(spec: &CloudProviderSpec, site: ResolvedPool<'_>) -> Option<String> {
    let (path, offer) = offer(spec, site)?;
    let index = offer.zones.iter().position(|zone| zone.name == site.zone.name.as_str())?;
    Some(format!("{path}.zones[{index}]"))
}

fn offer<'s>(spec: &'s CloudProviderSpec, site: ResolvedPool<'_>) -> Option<(String, &'s crate::api::OfferSpec)> {
    let found = spec.offers.iter().enumerate().find(|(_, offer)| offer.name == site.offer.name.as_str());
    found.map(|(index, offer)| (format!("spec.offers[{index}]"), offer))
}

/// Where a provider's manifest records what meets or fails `step`; `None` where it is the pool that says it.
pub(super) fn fact(spec: &CloudProviderSpec, site: ResolvedPool<'_>, step: &Step<'_>) -> Option<String> {
    let (path, offer) = offer(spec, site)?;
    let zone = |field: &str| zone(spec, site).map(|path| format!("{path}.{field}"));
    let role = |role: PartyRole| match role {
        PartyRole::ControllingParty if site.provider.controlling_party.is_some() => {
            "spec.controllingParty.jurisdiction".to_owned()
        }
        _ => "spec.operator.jurisdiction".to_owned(),
    };
    let subject = |subject: JurisdictionSubject<'_>| match subject {
        JurisdictionSubject::Party { role: of, .. } => Some(role(of)),
        JurisdictionSubject::Technology(None) => Some(format!("{path}.technology")),
        JurisdictionSubject::Technology(Some(part)) => {
            let is = |found: &crate::api::TechnologySpec| {
                (&found.name, &found.supplier) == (&part.name, &part.supplier)
                    && part.jurisdiction.is_none_or(|country| country.to_string() == found.jurisdiction)
            };
            offer.technology.iter().position(is).map(|index| format!("{path}.technology[{index}].jurisdiction"))
        }
        JurisdictionSubject::Data => zone("country"),
    };
    let certificate = |of: &Qualification| {
        let index = offer.qualifications.iter().position(|found| is(of, found))?;
        Some(format!("{path}.qualifications[{index}]"))
    };
    match step.finding {
        Ok(fact) => match fact {
            RequirementEvidence::Country(of, _) => subject(of),
            RequirementEvidence::NotExposed => Some(role(PartyRole::ControllingParty)),
            RequirementEvidence::Certificate { by, .. } => certificate(by),
            RequirementEvidence::Provider | RequirementEvidence::ControlPlane => None,
            RequirementEvidence::Region => zone("region"),
            RequirementEvidence::Pue(_) => zone("pue"),
            RequirementEvidence::CarbonIntensity(_) => zone("carbonIntensity"),
        },
        Err(cause) => match cause {
            Cause::ControlPlaneUndeclared
            | Cause::ControlPlaneUnread(_)
            | Cause::Unresolved(_)
            | Cause::ProviderDenied
            | Cause::ProviderNotAllowed(_)
            | Cause::LawUnknown(_) => None,
            Cause::QualificationMissing(_) => Some(format!("{path}.qualifications")),
            Cause::QualificationExpired(of, _)
            | Cause::QualificationNotYetValid(of)
            | Cause::QualificationOutOfScope(of) => certificate(of),
            Cause::QualificationTooLow(of, _) => certificate(of).map(|path| match of.level {
                Some(_) => format!("{path}.level"),
                None => path,
            }),
            Cause::QualificationEnding { validity, .. } => validity.end().and_then(|end| certificate(end.by)),
            Cause::JurisdictionNotAllowed(of, ..) | Cause::JurisdictionUnknown(of, _) => subject(of),
            Cause::ExposedToLaw(law, LawReach::Listed) => {
                let index = offer.exposed_to.iter().position(|found| found == law.as_str())?;
                Some(format!("{path}.exposedTo[{index}]"))
            }
            Cause::ExposedToLaw(_, LawReach::Through { role: of, .. })
            | Cause::ExposureUnknown(_, ExposureGap::Country(of)) => Some(role(of)),
            Cause::ExposureUnknown(_, ExposureGap::List) => Some(format!("{path}.exposedTo")),
            Cause::RegionDenied | Cause::RegionNotAllowed(_) => zone("region"),
            Cause::PueTooHigh(..) | Cause::PueUnknown(_) => zone("pue"),
            Cause::CarbonTooHigh(..) | Cause::CarbonUnknown(_) => zone("carbonIntensity"),
        },
    }
}

/// The field of a pool that says what meets or fails `step`, where the pool says it.
pub(super) fn named(step: &Step<'_>) -> Option<&'static str> {
    match step.finding {
        Ok(RequirementEvidence::Provider)
        | Err(
            Cause::ProviderDenied
            | Cause::ProviderNotAllowed(_)
            | Cause::Unresolved(UnresolvedReference::Provider { .. }),
        ) => Some("spec.provider"),
        Ok(RequirementEvidence::ControlPlane) | Err(Cause::Unresolved(UnresolvedReference::Offer { .. })) => {
            Some("spec.offer")
        }
        Err(Cause::Unresolved(UnresolvedReference::Zone { .. })) => Some("spec.zone"),
        _ => None,
    }
}

/// Whether `known` is what was made of `found`.
fn is(known: &Qualification, found: &crate::api::QualificationSpec) -> bool {
    known.scheme.as_str() == found.scheme
        && known.level.map(i32::from) == found.level
        && known.valid_from.to_string() == found.valid_from
        && known.valid_until.map(|day| day.to_string()) == found.valid_until
        && known.reference == found.reference
        && known.regions.as_ref().map_or(0, std::collections::BTreeSet::len) <= found.regions.len()
        && known.regions.iter().flatten().all(|region| found.regions.iter().any(|name| name == region.as_str()))
}
