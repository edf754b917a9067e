//! Provider conversion: from a `CloudProviderSpec` to the core's `Provider`.
//!
//! A fact that cannot be used is left out, and so is unknown.

use std::collections::{BTreeMap, btree_map::Entry};

use super::field::{Converted, FieldReader};
use crate::api;
use rempart_core::{
    catalogue::{LegalParty, Offer, Provider, Qualification, TechnologyComponent, Zone},
    coverage::SchemeLevel,
    instant::CalendarDay,
    jurisdiction::Jurisdiction,
    name::{Law, OfferName, ProviderName, RegionName, Scheme, ZoneName},
};

/// Reads the provider `name`. `None` when its name can be nobody's.
pub fn provider(name: &str, spec: &api::CloudProviderSpec) -> Converted<Provider> {
    let api::CloudProviderSpec { display_name: _, operator, controlling_party, checked: _, offers } = spec;
    let mut problems = Vec::new();
    let name = FieldReader::new("metadata.name", &mut problems).take(ProviderName::parse(name));
    let mut reader = FieldReader::new("spec", &mut problems);
    let operator = party(operator, reader.field("operator"));
    let controlling_party = controlling_party.as_ref().map(|found| party(found, reader.field("controllingParty")));
    let offers = by_name(offers, &mut reader.field("offers"), offer, |offer| offer.name.clone());
    Converted { value: name.map(|name| Provider { name, operator, controlling_party, offers }), problems }
}

/// Reads `list` into a map. Of two entries with one name neither is taken: nobody knows which one is meant.
fn by_name<S, T, K: Ord + Clone + std::fmt::Display>(
    list: &[S],
    reader: &mut FieldReader<'_>,
    parse: impl Fn(&S, FieldReader<'_>) -> Option<T>,
    name: impl Fn(&T) -> K,
) -> BTreeMap<K, T> {
    let mut found: BTreeMap<K, Option<T>> = BTreeMap::new();
    for (i, entry) in list.iter().enumerate() {
        let Some(value) = parse(entry, reader.entry(i)) else { continue };
        let key = name(&value);
        match found.entry(key) {
            Entry::Vacant(free) => drop(free.insert(Some(value))),
            Entry::Occupied(mut taken) => {
                let key = taken.key();
                reader.entry(i).refuse(format_args!("{key} is listed twice, so neither counts: keep one of them"));
                taken.insert(None);
            }
        }
    }
    found.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

fn party(party: &api::PartySpec, mut reader: FieldReader<'_>) -> LegalParty {
    let api::PartySpec { name, jurisdiction } = party;
    LegalParty {
        name: name.clone(),
        jurisdiction: reader.field("jurisdiction").take(Jurisdiction::parse(jurisdiction)),
    }
}

fn offer(offer: &api::OfferSpec, mut reader: FieldReader<'_>) -> Option<Offer> {
    let api::OfferSpec { name, display_name: _, technology, exposed_to, zones, qualifications } = offer;
    let name = reader.field("name").take(OfferName::parse(name));
    let technology = technology
        .iter()
        .enumerate()
        .map(|(i, part)| self::technology(part, reader.field("technology").entry(i)))
        .collect();
    let listed: Vec<Law> = reader.field("exposedTo").each(exposed_to, Law::parse);
    // A law that cannot be read may be any law.
    let exposed_to = (listed.len() == exposed_to.len()).then(|| listed.into_iter().collect());
    let zones = by_name(zones, &mut reader.field("zones"), zone, |zone| zone.name.clone());
    let qualifications = qualifications
        .iter()
        .enumerate()
        .filter_map(|(i, found)| qualification(found, reader.field("qualifications").entry(i)))
        .collect();
    Some(Offer { name: name?, technology, exposed_to, zones, qualifications })
}

fn technology(part: &api::TechnologySpec, mut reader: FieldReader<'_>) -> TechnologyComponent {
    let api::TechnologySpec { name, supplier, jurisdiction } = part;
    let jurisdiction = reader.field("jurisdiction").take(Jurisdiction::parse(jurisdiction));
    TechnologyComponent { name: name.clone(), supplier: supplier.clone(), jurisdiction }
}

fn zone(zone: &api::ZoneSpec, mut reader: FieldReader<'_>) -> Option<Zone> {
    let api::ZoneSpec { name, region, country, pue, carbon_intensity } = zone;
    let name = reader.field("name").take(ZoneName::parse(name));
    let region = reader.field("region").take(RegionName::parse(region));
    let country = reader.field("country").take(Jurisdiction::parse(country));
    let pue = pue.and_then(|value| figure(value, 1.0, reader.field("pue")));
    let carbon_intensity = carbon_intensity.and_then(|value| figure(value, 0.0, reader.field("carbonIntensity")));
    Some(Zone { name: name?, region: region?, country, pue, carbon_intensity })
}

fn figure(value: f64, least: f64, mut reader: FieldReader<'_>) -> Option<f64> {
    let good = value.is_finite() && value >= least;
    if !good {
        reader.refuse(format_args!("{value} cannot be: write a number of at least {least}"));
    }
    good.then_some(value)
}

fn qualification(found: &api::QualificationSpec, mut reader: FieldReader<'_>) -> Option<Qualification> {
    let api::QualificationSpec { scheme, level, valid_from, valid_until, regions, reference, source, checked: _ } =
        found;
    let scheme = reader.field("scheme").take(Scheme::parse(scheme));
    // A level that cannot be read is unknown, and meets no demand on it.
    let level = level.and_then(|level| reader.field("level").take(SchemeLevel::new(i64::from(level))));
    let valid_from = reader.field("validFrom").take(CalendarDay::parse(valid_from));
    let valid_until = match valid_until {
        Some(text) => Some(reader.field("validUntil").take(CalendarDay::parse(text))?),
        None => None,
    };
    // A region that cannot be read is left out of the scope; without any left, the scope is empty, not the whole offer.
    let scope = reader.field("regions").each(regions, RegionName::parse);
    let (scheme, valid_from) = (scheme?, valid_from?);
    if valid_until.is_some_and(|until| until < valid_from) {
        reader.field("validUntil").refuse(format_args!("ends before validFrom, {valid_from}: correct one of them"));
        return None;
    }
    Some(Qualification {
        scheme,
        level,
        valid_from,
        valid_until,
        regions: (!regions.is_empty()).then_some(scope),
        reference: reference.clone(),
        source: source.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (Option<Provider>, Vec<String>) {
        let spec: api::CloudProviderSpec = serde_saphyr::from_str(yaml).unwrap();
        let Converted { value, problems } = provider("acme", &spec);
        (value, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_wrong_entry_harms_itself_alone() {
        let (provider, problems) = read(
            r#"
operator: {name: Acme, jurisdiction: FR}
offers:
- name: good
  zones: [{name: z1, region: r, country: FR}, {name: z2, region: r, country: UK, pue: 0.3}]
  exposedTo: ["us-cloud-act"]
  qualifications:
  - {scheme: hds, validFrom: "2026-02-31"}
  - {scheme: iso-27001, validFrom: "2026-01-01", validUntil: "2025-01-01"}
  - {scheme: secnumcloud, validFrom: "2026-01-01", regions: ["é"]}
- {name: odd, exposedTo: ["US CLOUD Act"]}
- {name: twice}
- {name: twice}
"#,
        );
        assert_eq!(
            problems,
            [
                r#"spec.offers[0].zones[1].country: "UK" is not a country: write its ISO 3166-1 alpha-2 code, as FR or DE (the United Kingdom is GB)"#,
                "spec.offers[0].zones[1].pue: 0.3 cannot be: write a number of at least 1",
                r#"spec.offers[0].qualifications[0].validFrom: "2026-02-31" is not a day: write year-month-day, as 2026-11-30"#,
                "spec.offers[0].qualifications[1].validUntil: ends before validFrom, 2026-01-01: correct one of them",
                r#"spec.offers[0].qualifications[2].regions[0]: "é" is not a region name: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"#,
                r#"spec.offers[1].exposedTo[0]: "US CLOUD Act" is not a law: use at most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends"#,
                "spec.offers[3]: twice is listed twice, so neither counts: keep one of them",
            ]
        );
        let offers = provider.unwrap().offers;
        assert_eq!(offers.keys().map(OfferName::as_str).collect::<Vec<_>>(), ["good", "odd"]);
        let good = &offers["good"];
        assert_eq!((good.zones.len(), good.zones["z2"].country, good.zones["z2"].pue), (2, None, None));
        assert_eq!(good.qualifications.len(), 1);
        assert_eq!(good.qualifications[0].regions.as_ref().map(std::collections::BTreeSet::len), Some(0));
        assert_eq!(offers["odd"].exposed_to, None);
    }
}
