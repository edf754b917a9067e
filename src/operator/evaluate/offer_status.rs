//! Offer status: the certificates of an offer that are in force, and when they end.
//!
//! Takes a provider and an instant, and returns what its status says of each offer. What has ended keeps its period for as
//! long as it is recorded, so that nobody takes silence for a renewal.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::time;
use crate::api::{self, limits};
use rempart_core::{
    catalogue::{Offer, Provider, Qualification},
    coverage::{Coverage, SchemeLevel},
    instant::{CalendarDay, Timestamp},
    name::{RegionName, Scheme},
};

/// What the offers of `provider` are worth at `at`, how long they have their certificates, and the next end of one.
pub(super) fn offer_worth(
    provider: &Provider,
    at: Timestamp,
) -> (Vec<api::OfferStatus>, Vec<QualificationPeriod>, Option<Time>) {
    let (mut offers, mut all) = (Vec::new(), Vec::new());
    for offer in provider.offers.values() {
        let terms = terms(offer, at);
        let laws = provider.exposure(offer).into_iter().flat_map(BTreeMap::into_keys);
        offers.push(api::OfferStatus {
            name: offer.name.to_string(),
            exposed_to: laws.map(str::to_owned).collect(),
            in_force: in_force(&terms, at),
        });
        all.extend(terms);
    }
    let next = all.iter().filter_map(|term| term.ends).filter(|end| *end > at).min();
    (offers, all, next.map(time))
}

/// How long an offer has, or had, the certificates of one scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualificationPeriod {
    /// The offer.
    pub offer: String,
    /// The scheme.
    pub scheme: String,
    /// The highest level in force, where the scheme has an order.
    pub level: Option<SchemeLevel>,
    /// The region; empty where neither zones nor certificates name one.
    pub region: String,
    /// When they end, at this level or a higher one, or ended when none is in force; `None` when no end is recorded.
    pub ends: Option<Timestamp>,
}

impl QualificationPeriod {
    /// Whether they are in force at `at`.
    fn holds(&self, at: Timestamp) -> bool {
        self.ends.is_none_or(|end| end > at)
    }
}

/// How long `offer` has the certificates that it has, or had, at `at`. What was never in force has no term; what has ended
/// keeps its own for as long as it is recorded, so that nobody takes silence for a renewal.
fn terms(offer: &Offer, at: Timestamp) -> Vec<QualificationPeriod> {
    let term = |(scheme, region): (&Scheme, Option<&RegionName>)| {
        let (level, coverage) = offer.coverage_at_its_level(scheme, region, at);
        let ends = match coverage {
            Coverage::InForce { until, .. } => until,
            Coverage::Ended { on, .. } => Some(on.ends()),
            Coverage::NotYet { .. } => Some(ended(offer, scheme, region, at)?),
            Coverage::OutOfScope { .. } | Coverage::TooLow { .. } | Coverage::Missing => return None,
        };
        let region = region.map(ToString::to_string).unwrap_or_default();
        Some(QualificationPeriod { offer: offer.name.to_string(), scheme: scheme.to_string(), level, region, ends })
    };
    scopes(offer).filter_map(term).collect()
}

/// When the last certificate ended that is over at `at`.
fn ended(offer: &Offer, scheme: &Scheme, region: Option<&RegionName>, at: Timestamp) -> Option<Timestamp> {
    let of_scheme = offer.qualifications.iter().filter(|found| found.scheme == *scheme && found.covers(region));
    of_scheme.filter_map(Qualification::ends).filter(|end| *end <= at).max()
}

/// The schemes in force, each with the regions that have it until the same day.
fn in_force(terms: &[QualificationPeriod], at: Timestamp) -> Vec<api::QualificationInForce> {
    /// A scheme, the level at which it is in force, and its end.
    type Standing<'t> = (&'t str, Option<SchemeLevel>, Option<Timestamp>);
    let mut found: BTreeMap<Standing<'_>, BTreeSet<&str>> = BTreeMap::new();
    for term in terms.iter().filter(|term| term.holds(at)) {
        let regions = found.entry((&term.scheme, term.level, term.ends)).or_default();
        regions.extend(Some(term.region.as_str()).filter(|region| !region.is_empty()));
    }
    found
        .into_iter()
        .map(|((scheme, level, until), regions)| api::QualificationInForce {
            scheme: scheme.to_owned(),
            level: level.map(i32::from),
            until: until.map(|until| CalendarDay::ending_at(until).to_string()),
            regions: regions.into_iter().map(str::to_owned).collect(),
        })
        .take(limits::QUALIFICATIONS)
        .collect()
}

/// The schemes that `offer` has certificates of.
fn schemes(offer: &Offer) -> BTreeSet<&Scheme> {
    offer.qualifications.iter().map(|found| &found.scheme).collect()
}

/// Every scheme of `offer` with every region that its zones or certificates name; with none where they name none.
fn scopes(offer: &Offer) -> impl Iterator<Item = (&Scheme, Option<&RegionName>)> {
    let of_certificates = offer.qualifications.iter().flat_map(|found| found.regions.iter().flatten());
    let mut regions: BTreeSet<_> =
        offer.zones.values().map(|zone| &zone.region).chain(of_certificates).map(Some).collect();
    if regions.is_empty() {
        regions.insert(None);
    }
    schemes(offer).into_iter().flat_map(move |scheme| regions.clone().into_iter().map(move |region| (scheme, region)))
}

/// When what is in force at `at` in `region` ends, scheme by scheme.
pub(super) fn schemes_ends<'a>(
    offer: &'a Offer,
    region: &'a RegionName,
    at: Timestamp,
) -> impl Iterator<Item = Timestamp> + 'a {
    schemes(offer).into_iter().filter_map(move |scheme| match offer.coverage_at_its_level(scheme, Some(region), at).1 {
        Coverage::InForce { until, .. } => until,
        Coverage::NotYet { .. }
        | Coverage::Ended { .. }
        | Coverage::OutOfScope { .. }
        | Coverage::TooLow { .. }
        | Coverage::Missing => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert;

    #[test]
    fn an_offer_without_zones_is_worth_its_certificates_too() {
        let spec = serde_saphyr::from_str(
            r#"{operator: {name: A, jurisdiction: FR}, offers: [{name: o, qualifications: [
                {scheme: hds, validFrom: "2026-01-01", validUntil: "2026-12-31"},
                {scheme: secnumcloud, validFrom: "2026-01-01", validUntil: "2027-01-31", regions: [north]}]}]}"#,
        );
        let provider = convert::provider("acme", &spec.unwrap()).value.unwrap();
        let (offers, _, next) =
            offer_worth(&provider, "2026-03-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into());
        let schemes: Vec<_> =
            offers[0].in_force.iter().map(|found| (found.scheme.as_str(), found.until.as_deref())).collect();
        assert_eq!(schemes, [("hds", Some("2026-12-31")), ("secnumcloud", Some("2027-01-31"))]);
        assert_eq!(next.unwrap().0.to_string(), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_term_outlives_its_certificate_and_ends_with_the_last_of_a_chain() {
        let spec = serde_saphyr::from_str(
            r#"{operator: {name: A, jurisdiction: FR}, offers: [{name: o, zones: [
                {name: n1, region: north, country: FR}, {name: s1, region: south, country: FR}], qualifications: [
                {scheme: hds, validFrom: "2025-01-01", validUntil: "2025-12-31"},
                {scheme: hds, validFrom: "2026-06-01", validUntil: "2026-12-31", regions: [south]},
                {scheme: iso, validFrom: "2026-01-01", validUntil: "2026-04-30", regions: [north]},
                {scheme: iso, validFrom: "2026-05-01", validUntil: "2027-04-30", regions: [north]},
                {scheme: open, validFrom: "2026-01-01"},
                {scheme: planned, validFrom: "2027-01-01"}]}]}"#,
        );
        let provider = convert::provider("acme", &spec.unwrap()).value.unwrap();
        let at = "2026-03-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
        let told: Vec<_> = offer_worth(&provider, at)
            .1
            .into_iter()
            .map(|QualificationPeriod { scheme, region, ends, .. }| {
                format!(
                    "{scheme} {region} {}",
                    ends.map_or("never".to_owned(), |ends| CalendarDay::ending_at(ends).to_string())
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "hds north 2025-12-31",
                "hds south 2025-12-31",
                "iso north 2027-04-30",
                "open north never",
                "open south never",
            ]
        );
    }
}
