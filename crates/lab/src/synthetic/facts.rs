//! Providers with their offers, zones and qualifications, pools on them, and namespaces, as YAML.

use std::fmt::Write as _;

use super::{
    policies::{CATEGORIES, LEVELS},
    sampling::{pick, roll},
};

const PROVIDERS: usize = 10;
const OFFERS: usize = 3;
const REGIONS: usize = 2;
const ZONES: usize = 4;

/// Of each provider, where its operator, whoever controls that, and its data centres are.
const COUNTRIES: [(&str, &str, &str); PROVIDERS] = [
    ("FR", "FR", "FR"),
    ("DE", "DE", "DE"),
    ("FR", "US", "FR"),
    ("FR", "FR", "FR"),
    ("IT", "IT", "IT"),
    ("US", "US", "IE"),
    ("IS", "IS", "IS"),
    ("DE", "CN", "DE"),
    ("GB", "GB", "NL"),
    ("CH", "CH", "CH"),
];

/// Qualification schemes of the offers, and the last day of each.
const SCHEMES: [(&str, &str); 6] = [
    ("iso-27001", "2028-06-30"),
    ("iso-27701", "2027-12-31"),
    ("hds", "2027-03-31"),
    ("c5", "2027-09-30"),
    ("secnumcloud", "2028-11-30"),
    ("state-cloud", "2027-05-31"),
];

/// The providers.
pub(super) fn providers() -> String {
    COUNTRIES.iter().enumerate().map(|(index, countries)| provider(index, *countries)).collect()
}

fn provider(index: usize, (operator, controlling, data): (&str, &str, &str)) -> String {
    let offers: String = (0..OFFERS).map(|at| offer(index, at, operator, data)).collect();
    format!(
        "---\napiVersion: rempart.dev/v1alpha1\nkind: CloudProvider\nmetadata:\n  name: cloud-{index}\nspec:\n  \
         displayName: Cloud {index}\n  operator: {{name: Cloud {index} Operations, jurisdiction: {operator}}}\n  \
         controllingParty: {{name: Cloud {index} Group, jurisdiction: {controlling}}}\n  offers:\n{offers}"
    )
}

fn offer(provider: usize, at: usize, operator: &str, country: &str) -> String {
    let id = provider * OFFERS + at;
    let hypervisor = pick(&["FR", "DE", "US"], id, 1).unwrap_or(operator);
    let mut text = format!(
        "  - name: offer-{at}\n    displayName: Offer {at} of cloud {provider}\n    technology:\n    - {{name: Stack, \
         supplier: Cloud {provider} Operations, jurisdiction: {operator}}}\n    - {{name: Hypervisor, supplier: \
         Hypervisors Ltd, jurisdiction: {hypervisor}}}\n    zones:\n"
    );
    for zone in 0..ZONES {
        let place = id * ZONES + zone;
        let pue = pick(&["1.12", "1.25", "1.4", "1.55", "1.75"], place, 2).unwrap_or("1.4");
        let carbon = pick(&["21", "44", "120", "310", "480"], place, 3).unwrap_or("44");
        let _ = writeln!(
            text,
            "    - {{name: zone-{provider}-{zone}, region: region-{provider}-{}, country: {country}, pue: {pue}, \
             carbonIntensity: {carbon}}}",
            zone % REGIONS,
        );
    }
    text.push_str("    qualifications:\n");
    for (number, (scheme, until)) in (0..).zip(SCHEMES) {
        // The first offers of the first providers have them all, so that every level has somewhere to run.
        let has = at == 0 && matches!(provider, 0 | 1 | 3) || roll(3, id, 10 + number) > 0;
        if number > 0 && !has {
            continue;
        }
        let _ = writeln!(
            text,
            "    - scheme: {scheme}\n      validFrom: \"2024-01-01\"\n      validUntil: \"{until}\"\n      reference: \
             {scheme}-{id}\n      source: https://certificates.example/{scheme}/{id}"
        );
    }
    text
}

/// `number` pools, evenly on all providers, offers and zones.
pub(super) fn pools(number: usize) -> String {
    let pool = |index: usize| {
        let (provider, offer) = (index % PROVIDERS, index / PROVIDERS % OFFERS);
        let zone = index / (PROVIDERS * OFFERS) % ZONES;
        format!(
            "---\napiVersion: rempart.dev/v1alpha1\nkind: PlacementPool\nmetadata:\n  name: pool-{index:03}\nspec:\n  \
             provider: cloud-{provider}\n  offer: offer-{offer}\n  zone: zone-{provider}-{zone}\n  nodeSelector:\n    \
             matchLabels: {{node.example/pool: pool-{index:03}}}\n  providerIDPrefix: \
             cloud-{provider}:///zone-{provider}-{zone}/\n"
        )
    };
    (0..number).map(pool).collect()
}

/// `number` namespaces, every fifth of which is labelled with a level or categories.
pub(super) fn namespaces(number: usize) -> String {
    let namespace = |index: usize| {
        let said = match index % 10 {
            0 => pick(&LEVELS, index, 4).map(|level| format!("    rempart.dev/sensitivity: {level}\n")),
            5 => pick(&CATEGORIES, index, 5).map(|category| format!("    rempart.dev/categories: {category}\n")),
            _ => None,
        };
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n  labels:\n    example.org/cost-centre: \
             \"{}\"\n{}",
            namespace_name(index),
            4000 + index,
            said.unwrap_or_default(),
        )
    };
    (0..number).map(namespace).collect()
}

/// The name of a namespace.
pub(super) fn namespace_name(index: usize) -> String {
    format!("team-{index:03}")
}
