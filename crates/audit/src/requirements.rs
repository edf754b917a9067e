//! Requirements of a level or category, checked against an offer in one zone. What is unknown meets nothing.

use serde_json::Value;

use super::{facts::ClusterFacts, log::text};

/// The European Union, by treaty, and those that the agreement on the European Economic Area adds.
const UNION: &str = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE";
const ECONOMIC_AREA: &str = "IS LI NO";

/// Laws that follow parties of a country wherever they go.
const LAWS: [(&str, &str); 5] = [
    ("US", "us-cloud-act"),
    ("US", "us-fisa-702"),
    ("CN", "cn-national-intelligence-law"),
    ("GB", "gb-investigatory-powers-act"),
    ("AU", "au-assistance-and-access-act"),
];

/// Offer of a pool in one zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferZone<'a> {
    pub(super) provider: &'a Value,
    pub(super) offer: &'a Value,
    pub(super) zone: &'a Value,
}

/// The first thing that a site lacks of what is required.
pub(super) fn lacks(facts: &ClusterFacts<'_>, site: OfferZone<'_>, require: &Value) -> Option<String> {
    jurisdictions(site, require)
        .or_else(|| laws(facts, site, require))
        .or_else(|| qualifications(facts, site, require))
        .or_else(|| lists(site, require))
        .or_else(|| figures(site, require))
}

fn texts<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> + Clone {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn entries<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether a country is of one of these areas.
fn within<'a>(country: &str, mut areas: impl Iterator<Item = &'a str>) -> bool {
    let of = |group: &str| group.split(' ').any(|member| member == country);
    !country.is_empty()
        && areas.any(|area| match area {
            "EU" => of(UNION),
            "EEA" => of(UNION) || of(ECONOMIC_AREA),
            area => area == country,
        })
}

/// Jurisdiction of the controlling party, or of the operator where none is recorded.
fn controller(provider: &Value) -> &str {
    let pointer =
        if provider.pointer("/spec/controllingParty").is_some() { "/spec/controllingParty" } else { "/spec/operator" };
    text(provider, &format!("{pointer}/jurisdiction"))
}

fn jurisdictions(site: OfferZone<'_>, require: &Value) -> Option<String> {
    let suppliers: Vec<&str> =
        entries(site.offer, "/technology").iter().map(|part| text(part, "/jurisdiction")).collect();
    // A stack of which nothing is known has one supplier of whom nothing is known.
    let suppliers = if suppliers.is_empty() { vec![""] } else { suppliers };
    let subjects = [
        ("operator", vec![text(site.provider, "/spec/operator/jurisdiction")]),
        ("controllingParty", vec![controller(site.provider)]),
        ("technology", suppliers),
        ("data", vec![text(site.zone, "/country")]),
    ];
    for (subject, countries) in subjects {
        let pointer = format!("/jurisdictions/{subject}");
        let areas = texts(require, &pointer);
        if areas.clone().next().is_none() {
            continue;
        }
        if let Some(country) = countries.into_iter().find(|country| !within(country, areas.clone())) {
            return Some(format!("{subject} is of {country:?}, which is none of {:?}", areas.collect::<Vec<_>>()));
        }
    }
    None
}

fn laws(facts: &ClusterFacts<'_>, site: OfferZone<'_>, require: &Value) -> Option<String> {
    let operator = text(site.provider, "/spec/operator/jurisdiction");
    let parties = [operator, controller(site.provider)];
    for law in texts(require, "/notExposedTo") {
        if texts(site.offer, "/exposedTo").any(|found| found == law) {
            return Some(format!("the offer is exposed to {law}"));
        }
        if let Some(party) = parties.iter().find(|party| LAWS.contains(&(**party, law))) {
            return Some(format!("{law} follows a party of {party}"));
        }
        if parties.contains(&"") {
            return Some(format!("whether {law} reaches the offer is unknown"));
        }
        let heard_of = LAWS.iter().any(|(_, known)| *known == law)
            || facts.providers.values().any(|provider| {
                let mut offers = entries(provider, "/spec/offers").iter();
                offers.any(|offer| texts(offer, "/exposedTo").any(|found| found == law))
            });
        if !heard_of {
            return Some(format!("nobody has heard of {law}"));
        }
    }
    None
}

fn qualifications(facts: &ClusterFacts<'_>, site: OfferZone<'_>, require: &Value) -> Option<String> {
    let (today, region) = (facts.today(), text(site.zone, "/region"));
    let in_force = |certificate: &Value, scheme: &str| {
        let until = text(certificate, "/validUntil");
        let everywhere = certificate.get("regions").is_none();
        text(certificate, "/scheme") == scheme
            && text(certificate, "/validFrom") <= today.as_str()
            && (until.is_empty() || today.as_str() <= until)
            && (everywhere || texts(certificate, "/regions").any(|covered| covered == region))
    };
    let certificates = entries(site.offer, "/qualifications");
    let missing = texts(require, "/qualifications")
        .find(|scheme| !certificates.iter().any(|certificate| in_force(certificate, scheme)))
        .map(|scheme| format!("no qualification {scheme} in force on {today} in region {region}"));
    let at_least = require.get("minimumLevels").and_then(Value::as_object).into_iter().flatten();
    let low = at_least
        .filter_map(|(scheme, least)| Some((scheme, least.as_i64()?)))
        .find(|(scheme, least)| {
            let level = |certificate: &Value| certificate.get("level").and_then(Value::as_i64);
            !certificates
                .iter()
                .any(|found| in_force(found, scheme) && level(found).is_some_and(|level| level >= *least))
        })
        .map(|(scheme, least)| {
            format!("no qualification {scheme} of level {least} in force on {today} in region {region}")
        });
    missing.or(low)
}

fn lists(site: OfferZone<'_>, require: &Value) -> Option<String> {
    let subjects = [("providers", text(site.provider, "/metadata/name")), ("regions", text(site.zone, "/region"))];
    for (subject, name) in subjects {
        let (allow, deny) = (format!("/{subject}/allow"), format!("/{subject}/deny"));
        if texts(require, &deny).any(|denied| denied == name) {
            return Some(format!("{name} is one of the {subject} that are denied"));
        }
        let mut allowed = texts(require, &allow).peekable();
        if allowed.peek().is_some() && !allowed.any(|allowed| allowed == name) {
            return Some(format!("{name} is none of the {subject} that are allowed"));
        }
    }
    None
}

fn figures(site: OfferZone<'_>, require: &Value) -> Option<String> {
    for (limit, figure) in [("maxPUE", "pue"), ("maxCarbonIntensity", "carbonIntensity")] {
        let Some(limit) = require.get(limit).and_then(Value::as_f64) else { continue };
        match site.zone.get(figure).and_then(Value::as_f64) {
            Some(found) if found <= limit => {}
            found => return Some(format!("{figure} is {found:?}, and at most {limit} is allowed")),
        }
    }
    None
}
