//! `PlacementPool`: which nodes are which offer. Edited by platform engineers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{
    CustomResource, KubeSchema,
    core::{Message, Reason, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{limits, meta, schema};

/// Which nodes are which offer, in which zone.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "rempart.dev",
    version = "v1alpha1",
    kind = "PlacementPool",
    shortname = "ppool",
    category = "rempart",
    status = "PlacementPoolStatus",
    derive = "PartialEq",
    doc = "A PlacementPool states which nodes of this cluster are which offer of a CloudProvider, in which zone; or, with \
        the role ControlPlane, on which offer the cluster's control plane runs. Platform engineers edit it. The operator judges the pool against every PlacementPolicy and labels its nodes \
        with what they are cleared for.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider", description = "The CloudProvider"),
    printcolumn(name = "Offer", type_ = "string", json_path = ".spec.offer", description = "The provider's offer"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.zone", description = "The offer's zone"),
    printcolumn(
        name = "Role",
        type_ = "string",
        json_path = ".spec.role",
        priority = 1,
        description = "ControlPlane where no node is of the pool"
    ),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes", description = "Nodes of this pool"),
    printcolumn(
        name = "Ready nodes",
        type_ = "integer",
        json_path = ".status.readyNodes",
        description = "Nodes of this pool that can run pods now"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether provider, offer and zone exist and no other pool claims its nodes"
    ),
    printcolumn(
        name = "Next expiry",
        type_ = "string",
        json_path = ".status.nextExpiry",
        description = "When the next qualification that covers the pool ends"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1,
        description = "What the condition Ready says"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.role) && self.role == 'ControlPlane') || has(self.nodeSelector)")
    .message("a pool of nodes says which they are: write the labels of its nodes in nodeSelector; where it is the cluster's \
        control plane, write role: ControlPlane")
    .reason(Reason::FieldValueRequired)
    .field_path(".nodeSelector"))]
#[x_kube(validation = forbidden_to_control_plane("nodeSelector"))]
#[x_kube(validation = forbidden_to_control_plane("providerIDPrefix"))]
#[x_kube(validation = forbidden_to_control_plane("price"))]
pub struct PlacementPoolSpec {
    /// What runs in the pool. `Nodes`: nodes of the cluster, with pods on them. `ControlPlane`: the cluster's API server, etcd
    /// and controllers, declared once for each zone that they run in, so that levels with `controlPlane: true` know where they
    /// are; no node is of it. Default: `Nodes`. Example: `ControlPlane`.
    #[schemars(with = "PoolRole")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PoolRole>,

    /// The CloudProvider, by its `metadata.name`. Example: `outscale`.
    #[schemars(schema_with = "schema::label")]
    pub provider: String,

    /// One of the provider's `spec.offers`, by its name. Example: `iaas-cloudgouv`.
    #[schemars(schema_with = "schema::label")]
    pub offer: String,

    /// One of the offer's `zones`, by its name. Example: `cloudgouv-eu-west-1a`.
    #[schemars(schema_with = "schema::label")]
    pub zone: String,

    /// The nodes of the pool: those whose labels match all that is listed. Never empty, and never
    /// by labels that Rempart itself writes. A node that two pools claim belongs to neither.
    /// Required of role `Nodes`, and absent of role `ControlPlane`.
    /// Example: `{matchLabels: {k8s.scaleway.com/pool-name: par2-general}}`.
    #[schemars(schema_with = "meta::node_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,

    /// What `spec.providerID` of every node of the pool starts with, at most 256 characters. A second
    /// check beside the labels, most of which a node may set for itself, whereas its providerID never
    /// changes. A selected node whose providerID starts otherwise is not of this pool.
    /// Default: any providerID, or none.
    /// Example: `scaleway://instance/fr-par-2/`.
    #[schemars(schema_with = "schema::provider_id_prefix")]
    #[serde(rename = "providerIDPrefix", default, skip_serializing_if = "Option::is_none")]
    pub provider_id_prefix: Option<String>,

    /// What a node of the pool costs for an hour, for levels that prefer the cheaper one. Default: not known, which is the
    /// worst price. Example: `{amount: "0.28", currency: EUR}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<NodePrice>,
}

/// What runs in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
pub enum PoolRole {
    /// Nodes of the cluster, and pods on them.
    #[default]
    Nodes,
    /// The cluster's control plane.
    ControlPlane,
}

/// The rule that a pool of the control plane, which has no node, says nothing in `field` about nodes.
fn forbidden_to_control_plane(field: &str) -> Rule {
    Rule::new(format!("!has(self.role) || self.role != 'ControlPlane' || !has(self.{field})"))
        .message(Message::Message(format!(
            "a pool of role ControlPlane has no node: leave {field} out, or declare the nodes in a pool of their own"
        )))
        .reason(Reason::FieldValueForbidden)
        .field_path(format!(".{field}"))
}

/// What a node costs for an hour.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePrice {
    /// How much, as a decimal number between quotes, of the currency's main unit. Example: `"0.28"`.
    #[schemars(schema_with = "schema::amount")]
    pub amount: String,

    /// The currency, by its code of ISO 4217. Example: `EUR`.
    #[schemars(schema_with = "schema::currency")]
    pub currency: String,
}

/// What Rempart makes of the pool; written by the operator of Rempart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPoolStatus {
    /// How many nodes are of this pool.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i32>,

    /// How many of them are ready to run pods.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_nodes: Option<i32>,

    /// For each level and category of each PlacementPolicy, whether the pool is cleared for it, and
    /// if not, every reason.
    #[schemars(length(max = limits::STATUS_LIST), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<PoolVerdict>,

    /// The exceptions in force that let pods onto the pool though it is not cleared for their level.
    #[schemars(length(max = limits::STATUS_LIST), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<PoolException>,

    /// The first instant at which the next qualification of those that cover the pool counts no
    /// more: for one whose last day is 2026-11-30 that is 2026-12-01T00:00:00Z. Successors without a
    /// gap count as one. Absent when none in force has a known end.
    #[schemars(schema_with = "schema::instant")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,

    /// Ready: whether provider, offer and zone exist and no other pool claims a node of this one.
    #[schemars(schema_with = "meta::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// An exception that lets pods onto the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolException {
    /// The PlacementPolicy that makes it.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub policy: String,

    /// Its name.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// The most sensitive level of the pods that it lets in.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub level: String,

    /// The last day on which it holds, until 24:00 UTC.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub until: String,
}

/// Whether the pool is cleared for one level or one category of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolVerdict {
    /// The PlacementPolicy.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub policy: String,

    /// The level that was judged; absent when it is a category.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,

    /// The category that was judged; absent when it is a level.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,

    /// Whether pods of this level or category may run here.
    #[serde(default)]
    pub cleared: bool,

    /// Whether new pods of this level are withheld, because a qualification ends within the level's
    /// lead time and another pool outlasts this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,

    /// When the pool ceases to be cleared, where that is within the level's lead time.
    #[schemars(schema_with = "schema::instant")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Time>,

    /// How good the pool is for pods of this level beside the others that are cleared, 0 to 100 for the best; absent where the
    /// level prefers nothing or new pods are withheld.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,

    /// Every reason why not. When cleared, that a qualification ends within the level's lead time;
    /// absent otherwise.
    #[schemars(length(max = limits::REASONS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<VerdictReason>,
}

/// Why a pool is not cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictReason {
    /// A stable word for programs, such as QualificationExpired.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub code: String,

    /// A sentence for people: the fact, the demand and the objects they stand in.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub message: String,
}
