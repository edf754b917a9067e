//! `PlacementPolicy`: which data may run where. Edited by security officers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PreferenceSpec, SpreadSpec, limits, meta, schema};

/// Which data may run where: levels of sensitivity and categories, with what each requires.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "rempart.dev",
    version = "v1alpha1",
    kind = "PlacementPolicy",
    plural = "placementpolicies",
    shortname = "ppol",
    category = "rempart",
    status = "PlacementPolicyStatus",
    derive = "PartialEq",
    doc = "A PlacementPolicy states which data may run where: levels of sensitivity, least to most sensitive, and \
        categories, each with what it requires of a pool. Security officers edit it. Several policies may apply to a \
        namespace; all of them must then be satisfied.",
    validation = Rule::new("self.metadata.name.size() <= 28 && !self.metadata.name.contains('.')")
        .message("the name becomes part of a node label: write at most 28 lower-case letters, digits and dashes, \
            starting and ending with a letter or digit, such as state")
        .field_path(".metadata.name"),
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "Enforce, Warn or Audit"
    ),
    printcolumn(
        name = "Default level",
        type_ = "string",
        json_path = ".spec.defaultLevel",
        description = "The level of pods on which nobody says anything"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether the policy could be evaluated"
    ),
    printcolumn(
        name = "Enforced",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Enforced')].status",
        description = "Whether admission acts on it"
    ),
    printcolumn(
        name = "Ending",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='QualificationEnding')].reason",
        description = "Whether qualifications end within the lead time of a level, and what follows"
    ),
    printcolumn(
        name = "Next change",
        type_ = "string",
        json_path = ".status.nextChange",
        description = "When a verdict next changes by itself"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1,
        description = "What the condition Ready says"
    ),
    printcolumn(
        name = "Enforcement",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Enforced')].message",
        priority = 1,
        description = "What the condition Enforced says"
    ),
    printcolumn(
        name = "Qualifications",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='QualificationEnding')].message",
        priority = 1,
        description = "What the condition QualificationEnding says"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.levels.exists(l, l.name == self.defaultLevel)")
    .message(Message::Expression(
        "'\"' + self.defaultLevel + '\" is not the name of a level: write one of the names in levels, or add the level'"
            .into(),
    ))
    .field_path(".defaultLevel"))]
#[x_kube(validation = Rule::new("!has(self.minimumLevel) || self.levels.exists(l, l.name == self.minimumLevel)")
    .message(Message::Expression(
        "'\"' + self.minimumLevel + '\" is not the name of a level: write one of the names in levels, or add the level'"
            .into(),
    ))
    .field_path(".minimumLevel"))]
#[x_kube(validation = Rule::new(DEFAULT_BELOW_MINIMUM)
    .message(Message::Expression(
        "'\"' + self.defaultLevel + '\" is below minimumLevel \"' + self.minimumLevel + '\": write that, or a level above \
            it'".into(),
    ))
    .field_path(".defaultLevel"))]
#[x_kube(validation = Rule::new(
        "!has(self.exceptions) || self.exceptions.all(e, self.levels.exists(l, l.name == e.level))")
    .message(Message::Expression(
        "'\"' + self.exceptions.map(e, !self.levels.exists(l, l.name == e.level), e.level)[0] + '\" is not the name of \
            a level: write one of the names in levels'".into(),
    ))
    .field_path(".exceptions"))]
pub struct PlacementPolicySpec {
    /// What happens to those who do not comply. `Enforce` places pods and refuses what cannot be
    /// placed; `Warn` changes nothing and warns the applying user; `Audit` only reports. Nodes are
    /// labelled in every mode. Required: nobody should enforce by omission, nor fail to.
    /// Example: `Audit`, to see what a new policy would do.
    pub mode: PolicyMode,

    /// The namespaces where the policy applies, by their labels. Default: every namespace but the
    /// exempt ones (kube-system, kube-public, kube-node-lease and the operator's own, unless the
    /// chart says otherwise). Example: `{matchLabels: {tenant: ministry}}`.
    #[schemars(schema_with = "meta::namespace_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,

    /// The level of pods on which nobody says anything: neither their namespace, nor their workload,
    /// nor they themselves. The name of one of `levels`. Example: `internal`.
    #[schemars(schema_with = "schema::short_name")]
    pub default_level: String,

    /// The level below which nothing gets in the namespaces of the policy, whatever is said of it. The name of one of
    /// `levels`, not above `defaultLevel`. Default: the first of them. Example: `internal`.
    #[schemars(schema_with = "schema::short_name")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_level: Option<String>,

    /// Whether each namespace of the policy must say its level, by the label `rempart.dev/sensitivity`: one that does not
    /// is refused when it is created, when it comes into the policy's reach, and when its label is taken away. Those that
    /// are there already go on; `rempart impact` names them. Default: `false`.
    /// Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_namespace_level: Option<bool>,

    /// The levels of sensitivity, from the least to the most sensitive, 1 to 16; names are unique.
    /// Each requires what it says and all that those before it say.
    /// Example: `[{name: public}, {name: restricted, require: {qualifications: [secnumcloud]}}]`.
    // Atomic, though names are unique: the order is the meaning, and merging the lists of two field
    // managers may put a level where neither wrote it.
    #[schemars(length(min = 1, max = limits::LEVELS), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = schema::unique("level"))]
    pub levels: Vec<LevelSpec>,

    /// Kinds of data that ask for something of their own at whatever level, at most 32; names are
    /// unique. Default: none. Example: `[{name: health, require: {qualifications: [hds]}}]`.
    #[schemars(length(max = limits::CATEGORIES), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::unique("category"))]
    pub categories: Vec<CategorySpec>,

    /// Namespaces whose pods may, until a day, also run on pools that are not cleared for their level,
    /// at most 16; names are unique, and a namespace is in one exception at most. Each is visible on
    /// everything that it touches. It waives neither categories nor other policies. Default: none.
    /// Example: `[{name: legacy-claims, namespaces: [claims], level: restricted, pools: [scw-par1],
    /// until: "2027-03-31", reason: migration wave 3, approvedBy: RSSI}]`.
    #[schemars(length(max = limits::EXCEPTIONS), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::unique("exception"))]
    #[x_kube(validation = schema::one_exception_a_namespace())]
    pub exceptions: Vec<ExceptionSpec>,
}

/// Of the two the minimum comes first; where it is no level, another rule says so. No index is asked for: the API server
/// takes the cost of that to be without bound.
const DEFAULT_BELOW_MINIMUM: &str = "!has(self.minimumLevel) || !self.levels.exists(l, l.name == self.minimumLevel) || \
     self.levels.filter(l, l.name == self.minimumLevel || l.name == self.defaultLevel)[0].name == self.minimumLevel";

/// What a policy does about those who do not comply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
pub enum PolicyMode {
    /// Pods are placed, and what cannot be placed is refused.
    Enforce,
    /// Nothing is changed; the applying user is warned.
    Warn,
    /// Nothing is changed or said; reports only.
    Audit,
}

impl PolicyMode {
    /// The mode as it is written in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "Enforce",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        }
    }
}

impl std::fmt::Display for PolicyMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level of sensitivity.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LevelSpec {
    /// The name that developers write in the annotation `rempart.dev/sensitivity`: at most 28
    /// lower-case letters, digits and dashes. Example: `restricted`.
    #[schemars(schema_with = "schema::short_name")]
    pub name: String,

    /// What a pool must meet, beside what the levels before this one require. Default: nothing more.
    /// A level for which nothing is required may run on any node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<RequirementsSpec>,

    /// What makes a pool that is cleared for this level better than another, at most 3, each figure once. The scheduler
    /// chooses the better one where it has room; what is not cleared stays out whatever stands here. A wish of this level
    /// alone. Default: none is better. Example: `[{by: carbonIntensity, weight: 60}, {by: price, weight: 40}]`.
    // Atomic: two field managers must not merge their weights into what neither wrote.
    #[schemars(length(max = limits::PREFERENCES), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::unique_figures())]
    pub prefer: Vec<PreferenceSpec>,

    /// How the pods of each workload are spread over the places that they may use. A wish of this level alone. Default: as
    /// the workload says. Example: `{across: Provider, minDomains: 2}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<SpreadSpec>,

    /// How long pods of this level stay on a node that does not answer before they are replaced elsewhere: hours, minutes and
    /// seconds. Never longer than the pod says. Default: as the pod says, `300s` where it does not. Example: `60s`.
    #[schemars(schema_with = "schema::duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_after: Option<String>,

    /// What becomes of running pods of this level when their pool is no longer cleared for it, and how
    /// long before a certificate ends they begin to leave. Default: `{action: Migrate}`, at the end.
    /// Example: `{action: Migrate, leadTime: 720h}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_clearance_loss: Option<OnClearanceLoss>,
}

/// What becomes of running pods whose pool loses its clearance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.action) || has(self.leadTime) || has(self.windows) || has(self.deadline)")
    .message("nothing is said: write action, leadTime, windows or deadline, or leave onClearanceLoss out")
    .reason(Reason::FieldValueRequired))]
pub struct OnClearanceLoss {
    /// What happens to pods that stand where they may no longer stand. `Migrate`: replacements first,
    /// in waves, within disruption budgets. `Evict`: they are evicted at once, within disruption
    /// budgets. `Report`: nothing; the officer is told. Pods that no cleared pool could take are kept
    /// and reported whatever stands here. Default: `Migrate`. Example: `Report`.
    #[schemars(with = "ClearanceLossAction")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ClearanceLossAction>,

    /// How long before a qualification ends a pool takes no new pods of this level and its pods begin
    /// to leave, provided that another pool stays cleared: hours, minutes and seconds. The lead times
    /// of the levels before this one hold as well. With `Report` the end is only announced. Default:
    /// none. Example: `720h`, 30 days.
    #[schemars(schema_with = "schema::duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_time: Option<String>,

    /// When pods of this level may begin to leave ahead of such an end, 1 to 4 windows. Outside of them they stay until the
    /// next one opens, or until the end has come: what is at its end waits for no window, nor does what stands where it may
    /// not for another reason. A move that has begun goes on when its window closes. Default: at any time.
    /// Example: `[{schedule: "0 22 * * 1-5", duration: 6h, timeZone: Europe/Paris}]`.
    // Atomic: two field managers must not merge theirs into more than either wrote.
    #[schemars(length(max = limits::WINDOWS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = schema::some_window())]
    pub windows: Vec<MoveWindowSpec>,

    /// After so long a pod of this level that stands where it may not, and that could run elsewhere, is evicted, whatever else
    /// delays it, and deleted where its disruption budget refuses that: hours, minutes and seconds. Announced a day before.
    /// Never the last ready pod of a workload whose replacement does not stand, never one that nobody would make anew, and
    /// nothing with `Report`. Default: never. Example: `72h`.
    #[schemars(schema_with = "schema::some_duration")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// When pods may begin to leave ahead of an end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveWindowSpec {
    /// When it opens, as cron says it: minute, hour, day of the month, month and day of the week, by the clock of `timeZone`.
    /// Where that clock skips this time in spring, it opens right after; where it has it twice in autumn, at the first.
    /// Example: `0 22 * * 1-5`, at 22:00 from Monday to Friday.
    #[schemars(schema_with = "schema::cron")]
    pub schedule: String,

    /// How long it is open: hours, minutes and seconds, at most `168h`, a week. Example: `6h`.
    #[schemars(schema_with = "schema::window_duration")]
    pub duration: String,

    /// The time zone of `schedule`, by its name in the IANA database. Default: `UTC`. Example: `Europe/Paris`.
    #[schemars(schema_with = "schema::time_zone")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// What happens to pods that stand where they may no longer stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ClearanceLossAction {
    /// Replacements first, in waves, within disruption budgets.
    #[default]
    Migrate,
    /// Evicted at once, within disruption budgets.
    Evict,
    /// Nothing; the officer is told.
    Report,
}

/// Namespaces whose pods may, until a day, also run on pools that are not cleared for their level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionSpec {
    /// A name for it, at most 28 lower-case letters, digits and dashes: it becomes part of a node
    /// label. Example: `legacy-claims`.
    #[schemars(schema_with = "schema::short_name")]
    pub name: String,

    /// The namespaces whose pods it is for, by name, 1 to 16. Example: `[claims]`.
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: Vec<String>,

    /// The most sensitive level that it is for: pods of this level and of those before it, where these
    /// require something. The name of one of `levels`. Example: `restricted`.
    #[schemars(schema_with = "schema::short_name")]
    pub level: String,

    /// The PlacementPools that those pods may use beside the cleared ones, 1 to 64.
    /// Example: `[scw-par1]`.
    #[schemars(schema_with = "schema::places")]
    pub pools: Vec<String>,

    /// The last day on which it holds, until 24:00 UTC. Example: `"2027-03-31"`.
    #[schemars(schema_with = "schema::date")]
    pub until: String,

    /// Why it was granted. Example: `migration wave 3`.
    #[schemars(schema_with = "schema::text")]
    pub reason: String,

    /// Who answers for it. Example: `RSSI`.
    #[schemars(schema_with = "schema::text")]
    pub approved_by: String,
}

/// A kind of data, orthogonal to the levels.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategorySpec {
    /// The name that developers write in the annotation `rempart.dev/categories`: at most 28
    /// lower-case letters, digits and dashes. Example: `health`.
    #[schemars(schema_with = "schema::short_name")]
    pub name: String,

    /// What a pool must meet. Default: nothing; the category is then only a remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<RequirementsSpec>,
}

/// What a pool must meet: all that is stated here. A fact that is unknown meets no demand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(SOMETHING_REQUIRED)
    .message("nothing is required: write at least one demand, or leave require out")
    .reason(Reason::FieldValueRequired))]
pub struct RequirementsSpec {
    /// Of which countries those must be who have a say: the operator, the party that controls it, the
    /// suppliers of the technology; and where the data may lie.
    /// Example: `{operator: [EU], data: [FR]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdictions: Option<JurisdictionsSpec>,

    /// Extraterritorial laws none of which may reach the offer, 1 to 64 lower-case identifiers. A law
    /// reaches an offer that lists it in `exposedTo`, or by the country of its operator or controlling
    /// party: `us-cloud-act` and `us-fisa-702` that of US, `cn-national-intelligence-law` that of CN.
    /// Example: `[us-cloud-act, us-fisa-702]`.
    #[schemars(schema_with = "schema::refused_laws")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_exposed_to: Vec<String>,

    /// Schemes in all of which the offer must be qualified now, for the pool's region, 1 to 64
    /// lower-case identifiers. Example: `[secnumcloud]`.
    #[schemars(schema_with = "schema::schemes")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifications: Vec<String>,

    /// Schemes with an order in all of which the offer must be qualified now, for the pool's region, each with the lowest
    /// level that is enough, 0 to 100: at most 32. A certificate whose level is not recorded is not enough.
    /// Example: `{eu-csf: 2}`.
    #[schemars(schema_with = "schema::minimum_levels")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub minimum_levels: BTreeMap<String, i32>,

    /// The CloudProviders that may or may not be used, by their `metadata.name`.
    /// Example: `{allow: [outscale, scaleway]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<AllowDeny>,

    /// The regions that may or may not be used, as `region` of the zones of CloudProviders.
    /// Example: `{deny: [nl-ams]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<AllowDeny>,

    /// The highest power usage effectiveness allowed, a ratio of at least 1. Example: `1.5`.
    #[schemars(schema_with = "schema::pue")]
    #[serde(rename = "maxPUE", default, skip_serializing_if = "Option::is_none")]
    pub max_pue: Option<f64>,

    /// The highest carbon intensity allowed, in grams of CO2 equivalent per kilowatt-hour, at least
    /// 0. Example: `100`.
    #[schemars(schema_with = "schema::carbon_intensity")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_carbon_intensity: Option<f64>,

    /// Whether the offer that hosts the cluster's control plane must meet all of it too, with what the levels before this one
    /// require: etcd and the API server hold every Secret and ConfigMap, wherever pods run. Where it does, it must in the levels
    /// after this one as well, by what those require. The control plane's place is declared in a PlacementPool of role
    /// `ControlPlane`; none declared meets nothing. Default: `false`. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<bool>,
}

const SOMETHING_REQUIRED: &str = "has(self.jurisdictions) || has(self.notExposedTo) || has(self.qualifications) || \
     has(self.minimumLevels) || has(self.providers) || has(self.regions) || has(self.maxPUE) || has(self.maxCarbonIntensity) || \
     (has(self.controlPlane) && self.controlPlane)";

/// For each who has a say, the countries of which it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
        "has(self.operator) || has(self.controllingParty) || has(self.technology) || has(self.data)")
    .message("no country is required: write operator, controllingParty, technology or data, or leave jurisdictions out")
    .reason(Reason::FieldValueRequired))]
pub struct JurisdictionsSpec {
    /// Countries of which the operator must be, 1 to 64: codes of ISO 3166-1 such as `FR`, or the
    /// groups `EU` and `EEA`. Default: any. Example: `[EU]`.
    #[schemars(schema_with = "schema::countries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator: Vec<String>,

    /// Countries of which the party that controls the operator must be, 1 to 64: codes of ISO 3166-1
    /// such as `FR`, or the groups `EU` and `EEA`. Default: any. Example: `[EU]`.
    #[schemars(schema_with = "schema::countries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controlling_party: Vec<String>,

    /// Countries of which every supplier of the offer's technology must be, 1 to 64: codes of
    /// ISO 3166-1 such as `FR`, or the groups `EU` and `EEA`. Default: any. Example: `[EU, CH]`.
    #[schemars(schema_with = "schema::countries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub technology: Vec<String>,

    /// Countries where the data may lie, 1 to 64: codes of ISO 3166-1 such as `FR`, or the groups
    /// `EU` and `EEA`. Default: any. Example: `[FR]`.
    #[schemars(schema_with = "schema::countries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
}

/// Names that are allowed and names that are denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.allow) || has(self.deny)")
        .message("nothing is allowed or denied: write allow or deny, or leave the field out")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.allow) || !has(self.deny) || !self.allow.exists(x, x in self.deny)")
        .message(Message::Expression(
            "'\"' + self.allow.filter(x, x in self.deny)[0] + '\" is both allowed and denied: leave it in one list'".into(),
        )),
)]
pub struct AllowDeny {
    /// Only these may be used, 1 to 64. Default: all that are not denied. Example: `[outscale]`.
    #[schemars(schema_with = "schema::places")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,

    /// These may not be used, 1 to 64. Default: none. Example: `[nl-ams]`.
    #[schemars(schema_with = "schema::places")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// What Rempart makes of the policy; written by the operator of Rempart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicyStatus {
    /// Where each level may run.
    #[schemars(length(max = limits::LEVELS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<ClearanceStatus>,

    /// Where each category may run.
    #[schemars(length(max = limits::CATEGORIES), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<ClearanceStatus>,

    /// How each exception stands.
    #[schemars(length(max = limits::EXCEPTIONS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionStatus>,

    /// The next instant at which a verdict on a pool changes by itself, because a qualification
    /// begins or ends, or at which the lead time of a level begins or an exception ends. Absent when
    /// none will.
    #[schemars(schema_with = "schema::instant")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change: Option<Time>,

    /// Pods of which the policy refuses what is said, for a level or category that it does not know: nobody can say where
    /// they may be, and they count as violating. Absent when there are none.
    #[schemars(range(min = 0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged_pods: Option<i32>,

    /// Moves of running pods that wait for an officer's word, because more pods than may be would
    /// have moved within a minute after recorded facts changed.
    #[schemars(length(max = limits::LEVELS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<MoveStop>,

    /// Ready: whether the policy could be evaluated. Enforced: whether the admission bindings that
    /// its mode asks for exist. MoveStopped: whether moves of running pods wait for an officer's word.
    #[schemars(schema_with = "meta::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A move of running pods that waits for an officer's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveStop {
    /// What to write on the policy, as annotation `rempart.dev/approve-move`, to let it go on.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub id: String,

    /// The level whose pods would move.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub level: String,

    /// How many pods would.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub pods: i32,

    /// How many pods the level has.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub of: i32,

    /// What changed.
    #[schemars(schema_with = "schema::messages")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// How an exception stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionStatus {
    /// The name of the exception.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// Whether it holds now. One that has ended changes nothing any more, and can be removed.
    #[serde(default)]
    pub in_force: bool,

    /// The last day on which it holds, until 24:00 UTC.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub until: String,

    /// The PlacementPools that it lets pods onto though they are not cleared for its level.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened_pools: Vec<String>,
}

/// Where a level or category may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClearanceStatus {
    /// The name of the level or category.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// The PlacementPools that are cleared.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared_pools: Vec<String>,

    /// Of a level: those of them whose qualification ends within the lead time, and from which new
    /// pods are withheld for that reason.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving_pools: Vec<String>,

    /// Of a level: those of them whose qualification ends within the lead time, and which are kept to
    /// the end, because no other pool outlasts them or because the level only reports.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ending_pools: Vec<String>,

    /// How many PlacementPools are not; each says why in its status.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_pools: Option<i32>,

    /// Of a level: how many workloads are of it; each has a WorkloadPlacement.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<i32>,

    /// Of a level: how many pods stand on nodes that are not cleared for it.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violating_pods: Option<i32>,

    /// Of a level whose pods must be spread: over how many domains they must be and could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<SpreadStatus>,
}

/// Over how many domains the pods of a level must be spread, and could be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpreadStatus {
    /// How many are demanded.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub demanded: i32,

    /// How many have a ready node that takes new pods of the level.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub available: i32,
}
