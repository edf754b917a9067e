//! `CloudProvider`: what a provider's offers are worth. Edited by security officers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{limits, meta, schema};

/// What is known of a provider of computing: who operates it, who controls the operator, and of each
/// offer the technology, the sites and the qualifications.
///
/// Trust belongs to an offer and not to a company: one operator may sell a qualified offer beside an
/// unqualified one. What is not stated is unknown, and the unknown never clears a demand.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "rempart.dev",
    version = "v1alpha1",
    kind = "CloudProvider",
    shortname = "cpr",
    category = "rempart",
    status = "CloudProviderStatus",
    derive = "PartialEq",
    doc = "A CloudProvider states what the offers of a provider are worth: who operates and controls them, whose \
        technology they run, where the data lies and which qualifications they hold. Security officers edit it; \
        PlacementPools refer to it by name.",
    printcolumn(
        name = "Operated from",
        type_ = "string",
        json_path = ".spec.operator.jurisdiction",
        description = "Country whose law the operator is under"
    ),
    printcolumn(
        name = "Controlled from",
        type_ = "string",
        json_path = ".spec.controllingParty.jurisdiction",
        description = "Country of the party that controls the operator; empty when nobody else does"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether every fact could be used"
    ),
    printcolumn(
        name = "Next expiry",
        type_ = "string",
        json_path = ".status.nextExpiry",
        description = "When the next qualification ends"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Name in full",
        type_ = "string",
        json_path = ".spec.displayName",
        priority = 1,
        description = "The provider's name for people"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1,
        description = "What the condition Ready says"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CloudProviderSpec {
    /// The provider's name for people, at most 256 characters. Default: the object's name.
    /// Example: `3DS OUTSCALE`.
    #[schemars(schema_with = "schema::text")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,

    /// The company that operates the offers and signs the contract.
    /// Example: `{name: Outscale SAS, jurisdiction: FR}`.
    pub operator: PartySpec,

    /// Who controls the operator: its parent company or its majority owner. Default: nobody else,
    /// that is the operator itself. Laws that reach the controlling party reach the offers.
    /// Example: `{name: Dassault Systèmes SE, jurisdiction: FR}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controlling_party: Option<PartySpec>,

    /// The day on which somebody last compared all of this with its sources: a date, year-month-day.
    /// Qualifications may give a later one of their own. Default: nobody says, which
    /// `rempart catalogue check` tells. Example: `"2026-11-20"`.
    #[schemars(schema_with = "schema::date")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,

    /// What the operator sells, each with facts of its own, at most 64; names are unique. A
    /// PlacementPool names one of them.
    /// Example: `[{name: iaas, zones: [{name: fr-par-2, region: fr-par, country: FR}]}]`.
    #[schemars(length(max = limits::OFFERS), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::unique("offer"))]
    pub offers: Vec<OfferSpec>,
}

/// A company or authority, and the country whose law it is under.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartySpec {
    /// Its legal name, at most 256 characters. Example: `Outscale SAS`.
    #[schemars(schema_with = "schema::text")]
    pub name: String,

    /// The country whose law it is under: the two capital letters of ISO 3166-1, such as `FR`.
    /// `GB` for the United Kingdom, `GR` for Greece; `"NO"` for Norway in quotes, since YAML reads a
    /// bare NO as false.
    #[schemars(schema_with = "schema::country")]
    pub jurisdiction: String,
}

/// Something that an operator sells and that is judged as one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(UNKNOWN_REGION_RULE)
    .message(Message::Expression(UNKNOWN_REGION_MESSAGE.into()))
    .field_path(".qualifications"))]
pub struct OfferSpec {
    /// The name by which pools refer to the offer: at most 63 letters, digits, dashes, dots and
    /// underscores. Example: `iaas-cloudgouv`.
    #[schemars(schema_with = "schema::label")]
    pub name: String,

    /// The offer's name for people, at most 256 characters. Default: `name`.
    /// Example: `IaaS Cloud on Demand, sovereign region`.
    #[schemars(schema_with = "schema::text")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,

    /// Who supplies the stack that the offer runs on, at most 32 entries. Left out or empty it is
    /// unknown, and meets no demand on technology.
    /// Example: `[{name: TINA OS, supplier: Outscale SAS, jurisdiction: FR}]`.
    #[schemars(length(max = limits::TECHNOLOGIES), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub technology: Vec<TechnologySpec>,

    /// Extraterritorial laws that reach the offer beyond those that follow from the jurisdictions of
    /// the operator and of its controlling party, at most 32 lower-case identifiers. Default: none
    /// beyond those. Example: `[us-cloud-act, us-fisa-702]`.
    #[schemars(schema_with = "schema::laws")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed_to: Vec<String>,

    /// Where the offer is delivered, at most 64; names are unique. A PlacementPool names one of
    /// them; an offer without zones has no pools.
    /// Example: `[{name: fr-par-2, region: fr-par, country: FR, pue: 1.16, carbonIntensity: 44}]`.
    #[schemars(length(max = limits::ZONES), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::unique("zone"))]
    pub zones: Vec<ZoneSpec>,

    /// Qualifications and certificates that the offer holds or held, at most 32. One that follows
    /// another of its scheme without a gap counts as its continuation, so a renewal is added beside
    /// the entry that it renews.
    /// Example: `[{scheme: secnumcloud, validFrom: "2023-11-30", validUntil: "2026-11-30"}]`.
    #[schemars(length(max = limits::QUALIFICATIONS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifications: Vec<QualificationSpec>,
}

/// The scope of a qualification stays within the regions of the offer.
const UNKNOWN_REGION_RULE: &str = "!has(self.qualifications) || \
     [has(self.zones) ? self.zones.map(z, z.region) : []].all(known, \
         self.qualifications.all(q, !has(q.regions) || q.regions.all(r, r in known)))";
const UNKNOWN_REGION_MESSAGE: &str = "[has(self.zones) ? self.zones.map(z, z.region) : []].map(known, 'no zone of the offer is in region \"' + \
     self.qualifications.map(q, has(q.regions) && !q.regions.all(r, r in known), q.regions.filter(r, !(r in known))[0])[0] + \
     '\": write a region of its zones, or add the zone')[0]";

/// A part of the stack that an offer runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TechnologySpec {
    /// What it is, at most 256 characters. Example: `TINA OS`.
    #[schemars(schema_with = "schema::text")]
    pub name: String,

    /// Who supplies it, at most 256 characters. Example: `Outscale SAS`.
    #[schemars(schema_with = "schema::text")]
    pub supplier: String,

    /// The country whose law the supplier is under: the two capital letters of ISO 3166-1, such as
    /// `FR`.
    #[schemars(schema_with = "schema::country")]
    pub jurisdiction: String,
}

/// A site, as the provider names it, and what is known of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSpec {
    /// The provider's name of the zone: at most 63 letters, digits, dashes, dots and underscores.
    /// Example: `fr-par-2`.
    #[schemars(schema_with = "schema::label")]
    pub name: String,

    /// The region that the zone is part of, by which policies and the scopes of qualifications name
    /// it: at most 63 letters, digits, dashes, dots and underscores. Example: `fr-par`.
    #[schemars(schema_with = "schema::label")]
    pub region: String,

    /// The country where the data lies: the two capital letters of ISO 3166-1, such as `FR`.
    #[schemars(schema_with = "schema::country")]
    pub country: String,

    /// Power usage effectiveness of the site over a year, a ratio of at least 1. Left out it is
    /// unknown, and meets no `maxPUE`. Example: `1.16`.
    #[schemars(schema_with = "schema::pue")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pue: Option<f64>,

    /// Carbon intensity of the site's electricity, in grams of CO2 equivalent per kilowatt-hour, at
    /// least 0. Left out it is unknown, and meets no `maxCarbonIntensity`. Example: `44`.
    #[schemars(schema_with = "schema::carbon_intensity")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carbon_intensity: Option<f64>,
}

/// A qualification or certificate of an offer, from one day to another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.validUntil) || self.validFrom <= self.validUntil")
    .message(Message::Expression(
        "'validUntil ' + self.validUntil + ' is before validFrom ' + self.validFrom + \
         ': write the last day in force, or leave it out when no end is known'".into(),
    ))
    .field_path(".validUntil"))]
pub struct QualificationSpec {
    /// What the offer is qualified as: a lower-case identifier, at most 63 characters. Policies
    /// demand it by this name. Examples: `secnumcloud`, `hds`, `iso-27001`, `c5`.
    #[schemars(schema_with = "schema::scheme")]
    pub scheme: String,

    /// How high it is, where the scheme has an order, such as the SEAL levels: 0 to 100. Left out it is unknown, and meets
    /// no `minimumLevels`. Example: `3`.
    #[schemars(schema_with = "schema::scheme_level")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,

    /// The first day in force, from 00:00 UTC: a date, year-month-day. Example: `"2023-11-30"`.
    #[schemars(schema_with = "schema::date")]
    pub valid_from: String,

    /// The last day in force, until 24:00 UTC: a date, year-month-day. Default: no end is known.
    /// Example: `"2026-11-30"`.
    #[schemars(schema_with = "schema::date")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,

    /// The regions that the qualification covers, at most 16, each a region of the offer's zones.
    /// Default: the whole offer. Example: `[cloudgouv-eu-west-1]`.
    #[schemars(schema_with = "schema::scope")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,

    /// The number of the certificate or decision, at most 256 characters. Example: `36741-6`.
    #[schemars(schema_with = "schema::text")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,

    /// Where it can be checked: the address of a web page. Example:
    /// `https://cyber.gouv.fr/`.
    #[schemars(schema_with = "schema::url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The day on which somebody last compared it with its source: a date, year-month-day. Default: the
    /// provider's `checked`. Example: `"2026-11-20"`.
    #[schemars(schema_with = "schema::date")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
}

/// What Rempart makes of the facts; written by the operator of Rempart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudProviderStatus {
    /// Ready: whether every fact could be used; its message names those that could not.
    #[schemars(schema_with = "meta::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// What follows for each offer now.
    #[schemars(length(max = limits::OFFERS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferStatus>,

    /// The first instant at which the next qualification to end counts no more: for one whose last
    /// day is 2026-11-30 that is 2026-12-01T00:00:00Z. Successors without a gap count as one. Absent
    /// when none in force has a known end.
    #[schemars(schema_with = "schema::instant")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,
}

/// What follows for an offer now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferStatus {
    /// The offer's name.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// Every extraterritorial law that reaches the offer: those it lists and those that follow from
    /// the jurisdictions.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed_to: Vec<String>,

    /// The qualifications in force now.
    #[schemars(length(max = limits::QUALIFICATIONS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_force: Vec<QualificationInForce>,
}

/// A qualification in force now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualificationInForce {
    /// The scheme.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub scheme: String,

    /// The highest level in force, where the scheme has an order and it is recorded.
    #[schemars(schema_with = "schema::scheme_level")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,

    /// The last day in force, with its successors when they follow without a gap, at this level or a
    /// higher one. Absent when no end is known.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,

    /// The regions that it covers. Absent when it covers the whole offer.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}
