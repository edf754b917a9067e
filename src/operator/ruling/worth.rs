//! What offers are worth: the certificates in force, and when they end.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::time;
use crate::{
    api::{self, limits},
    core::{
        catalogue::{Offer, Provider},
        coverage::Coverage,
        instant::{Day, Instant},
        name::{RegionName, Scheme},
    },
};

/// What the offers of `provider` are worth at `at`, and the next end of a certificate.
pub(super) fn worth(provider: &Provider, at: Instant) -> (Vec<api::OfferStatus>, Option<Time>) {
    let next = provider.offers.values().flat_map(|offer| schemes_ends(offer, None, at)).min();
    let offers = provider
        .offers
        .values()
        .map(|offer| api::OfferStatus {
            name: offer.name.to_string(),
            exposed_to: provider
                .exposure(offer)
                .into_iter()
                .flat_map(|laws| laws.into_keys().map(str::to_owned))
                .collect(),
            in_force: in_force(offer, at),
        })
        .collect();
    (offers, next.map(time))
}

/// The schemes in force, each with the regions that have it until the same day.
fn in_force(offer: &Offer, at: Instant) -> Vec<api::QualificationInForce> {
    let mut found: BTreeMap<(&str, Option<Instant>), BTreeSet<&str>> = BTreeMap::new();
    for (scheme, region) in scopes(offer) {
        if let Coverage::InForce { until, .. } = coverage(offer, scheme, region, at) {
            found.entry((scheme.as_str(), until)).or_default().extend(region.map(RegionName::as_str));
        }
    }
    found
        .into_iter()
        .map(|((scheme, until), regions)| api::QualificationInForce {
            scheme: scheme.to_owned(),
            until: until.map(|until| Day::ending_at(until).to_string()),
            regions: regions.into_iter().map(str::to_owned).collect(),
        })
        .take(limits::QUALIFICATIONS)
        .collect()
}

/// Every scheme of `offer` with every region that its zones or certificates name; with none where they name none.
fn scopes(offer: &Offer) -> impl Iterator<Item = (&Scheme, Option<&RegionName>)> {
    let schemes: BTreeSet<_> = offer.qualifications.iter().map(|found| &found.scheme).collect();
    let of_certificates = offer.qualifications.iter().flat_map(|found| found.regions.iter().flatten());
    let mut regions: BTreeSet<_> =
        offer.zones.values().map(|zone| &zone.region).chain(of_certificates).map(Some).collect();
    if regions.is_empty() {
        regions.insert(None);
    }
    schemes.into_iter().flat_map(move |scheme| regions.clone().into_iter().map(move |region| (scheme, region)))
}

fn coverage<'a>(offer: &'a Offer, scheme: &Scheme, region: Option<&RegionName>, at: Instant) -> Coverage<'a> {
    region.map_or_else(|| offer.coverage_of_whole(scheme, at), |region| offer.coverage(scheme, region, at))
}

/// When what is in force at `at` ends, scheme by scheme, in `only` that region or in each.
pub(super) fn schemes_ends<'a>(
    offer: &'a Offer,
    only: Option<&'a RegionName>,
    at: Instant,
) -> impl Iterator<Item = Instant> + 'a {
    scopes(offer).filter(move |(_, region)| only.is_none() || only == *region).filter_map(move |(scheme, region)| {
        match coverage(offer, scheme, region, at) {
            Coverage::InForce { until, .. } => until,
            _ => None,
        }
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
        let (offers, next) = worth(&provider, "2026-03-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into());
        let schemes: Vec<_> =
            offers[0].in_force.iter().map(|found| (found.scheme.as_str(), found.until.as_deref())).collect();
        assert_eq!(schemes, [("hds", Some("2026-12-31")), ("secnumcloud", Some("2027-01-31"))]);
        assert_eq!(next.unwrap().0.to_string(), "2027-01-01T00:00:00Z");
    }
}
