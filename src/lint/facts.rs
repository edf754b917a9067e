//! Lints of facts: certificates that end, and facts that nobody can check.

use super::{SOON_DAYS, about};
use crate::{
    api::{self, validate::ResourceKind},
    diagnostic::{Diagnostic, Severity::Warning},
    gather::{LocatedInventory, OwnObject, OwnSpec},
};
use rempart_core::{
    catalogue::{Offer, Provider, Qualification},
    coverage::{CertificateRequirement, Coverage},
    instant::{CalendarDay, Timestamp},
    name::{RegionName, Scheme},
};

/// What is to be said of the facts in `located`.
pub(super) fn findings(located: &LocatedInventory<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let mut found = endings(located, at);
    for ((kind, name), own) in &located.own {
        let (ResourceKind::CloudProvider, OwnSpec::Provider(spec)) = (kind, &own.spec) else { continue };
        for (o, listed) in spec.offers.iter().enumerate() {
            for (q, qualification) in listed.qualifications.iter().enumerate() {
                found.extend(unsourced(own, &format!("spec.offers[{o}].qualifications[{q}]"), listed, qualification));
            }
            if listed.technology.is_empty() {
                let message = format!(
                    "offer {name}/{} does not say whose technology it runs, so that no demand on technology clears it",
                    listed.name
                );
                let hint = "record technology, with the country of each supplier";
                found.push(about(own, &format!("spec.offers[{o}]"), Warning, "TechnologyUnknown", message).hint(hint));
            }
        }
    }
    found
}

/// The certificates in `located` that have ended or soon end, with nothing to follow them.
pub(super) fn endings(located: &LocatedInventory<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for ((kind, name), own) in &located.own {
        let (ResourceKind::CloudProvider, OwnSpec::Provider(spec)) = (kind, &own.spec) else { continue };
        let provider = located.inventory.world.catalogue.providers.get(name.as_str());
        for (o, listed) in spec.offers.iter().enumerate() {
            for (q, qualification) in listed.qualifications.iter().enumerate() {
                let path = format!("spec.offers[{o}].qualifications[{q}]");
                found.extend(provider.and_then(|provider| ending(own, provider, &path, listed, qualification, at)));
            }
        }
    }
    found
}

/// A certificate that nobody can check.
fn unsourced(
    own: &OwnObject<'_>,
    path: &str,
    offer: &api::OfferSpec,
    found: &api::QualificationSpec,
) -> Option<Diagnostic> {
    if found.source.is_some() {
        return None;
    }
    let message = format!(
        "{} of offer {}/{} has no source: nobody can check it",
        certificate(&found.scheme, found.reference.as_deref()),
        own.name,
        offer.name
    );
    let hint = "record source, the address of the certificate or of the list it is on";
    Some(about(own, path, Warning, "SourceMissing", message).hint(hint))
}

/// A certificate that has ended or soon ends, with nothing to follow it.
fn ending(
    own: &OwnObject<'_>,
    provider: &Provider,
    path: &str,
    listed: &api::OfferSpec,
    found: &api::QualificationSpec,
    at: Timestamp,
) -> Option<Diagnostic> {
    let offer = provider.offers.get(listed.name.as_str())?;
    let scheme = Scheme::parse(&found.scheme).ok()?;
    let last = CalendarDay::parse(found.valid_until.as_deref()?).ok()?;
    let read = offer.qualifications.iter().find(|known| is(known, found))?;
    let what =
        format!("{} of offer {}/{}", certificate(&found.scheme, found.reference.as_deref()), provider.name, offer.name);
    let days = last.ends().days_since(at);
    let (code, message) = if last.ends() <= at {
        if followed(offer, &scheme, read, at) {
            return None;
        }
        ("QualificationExpired", format!("{what} ended on {last}"))
    } else if days <= SOON_DAYS && !followed(offer, &scheme, read, last.ends()) {
        let follows = match successor(offer, read, last) {
            Some(begins) => format!("what follows it begins on {begins}, after a gap"),
            None => match read.level {
                Some(level) => format!("nothing of level {level} or above follows it"),
                None => "nothing follows it".to_owned(),
            },
        };
        ("QualificationEnding", format!("{what} ends on {last}, {}, and {follows}", in_days(days)))
    } else {
        return None;
    };
    let hint = "record its renewal, as a further entry that begins by the day after; or move what runs there";
    Some(about(own, &format!("{path}.validUntil"), Warning, code, message).hint(hint))
}

/// When the next certificate begins that covers something of what `found` covers.
fn successor(offer: &Offer, found: &Qualification, last: CalendarDay) -> Option<CalendarDay> {
    let shares = |next: &&Qualification| match (&found.regions, &next.regions) {
        (Some(mine), Some(theirs)) => !mine.is_disjoint(theirs),
        _ => true,
    };
    let required = CertificateRequirement { scheme: &found.scheme, at_least: found.level };
    let later = offer.qualifications.iter().filter(|next| required.is_met_by(next) && next.valid_from > last);
    later.filter(shares).map(|next| next.valid_from).min()
}

/// How far off the end of a day is.
fn in_days(days: i64) -> String {
    match days {
        0 => "within a day".to_owned(),
        1 => "in a day".to_owned(),
        _ => format!("in {days} days"),
    }
}

/// Whether `known` is what was made of `found`.
fn is(known: &Qualification, found: &api::QualificationSpec) -> bool {
    let mut regions = found.regions.clone();
    regions.sort();
    regions.dedup();
    known.scheme.as_str() == found.scheme
        && known.level.map(i32::from) == found.level
        && known.valid_from.to_string() == found.valid_from
        && known.valid_until.map(|day| day.to_string()) == found.valid_until
        && known.reference == found.reference
        && known.regions.iter().flatten().map(RegionName::as_str).eq(regions.iter().map(String::as_str))
}

/// Whether every region that `found` covers is covered at `then` all the same.
fn followed(offer: &Offer, scheme: &Scheme, found: &Qualification, then: Timestamp) -> bool {
    let in_force = |coverage: Coverage<'_>| matches!(coverage, Coverage::InForce { .. });
    let of_offer = || offer.zones.values().map(|zone| &zone.region);
    let regions: Vec<&RegionName> =
        found.regions.as_ref().map_or_else(|| of_offer().collect(), |scope| scope.iter().collect());
    // A lower level does not go on with what a higher one was good for.
    let required = CertificateRequirement { scheme, at_least: found.level };
    if regions.is_empty() {
        return in_force(offer.coverage(required, None, then));
    }
    regions.into_iter().all(|region| in_force(offer.coverage(required, Some(region), then)))
}

/// What a certificate is called in a sentence.
pub(super) fn certificate(scheme: &str, reference: Option<&str>) -> String {
    match reference {
        Some(reference) if !reference.is_empty() => format!("{scheme} qualification {reference}"),
        _ => format!("{scheme} qualification"),
    }
}
