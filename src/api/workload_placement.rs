//! `WorkloadPlacement`: what became of a workload. Written by the operator alone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{VerdictReason, limits, meta, schema};

/// There is nothing to specify: the whole of it follows from the workload, the policies and the places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, CustomResource, JsonSchema)]
#[kube(
    group = "rempart.dev",
    version = "v1alpha1",
    kind = "WorkloadPlacement",
    plural = "workloadplacements",
    shortname = "wpl",
    category = "rempart",
    namespaced,
    status = "WorkloadPlacementStatus",
    derive = "PartialEq",
    doc = "A WorkloadPlacement records what became of a workload: its level and who said so, where its pods may run and \
        why not elsewhere, and where they do. Rempart's operator alone writes it, one for each workload that a \
        PlacementPolicy governs; it goes with the workload.",
    printcolumn(
        name = "Workload",
        type_ = "string",
        json_path = ".status.summary.workload",
        description = "What it is about"
    ),
    printcolumn(
        name = "Level",
        type_ = "string",
        json_path = ".status.summary.level",
        description = "The level under each policy"
    ),
    printcolumn(name = "From", type_ = "string", json_path = ".status.summary.levelFrom", description = "Who says so"),
    printcolumn(
        name = "Placed",
        type_ = "integer",
        json_path = ".status.pods.placed",
        description = "Pods that have a node"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.pods.pending",
        description = "Pods that have none yet"
    ),
    printcolumn(
        name = "Violating",
        type_ = "integer",
        json_path = ".status.pods.violating",
        description = "Pods whose node is not cleared for them"
    ),
    printcolumn(
        name = "Providers",
        type_ = "string",
        json_path = ".status.summary.providers",
        description = "The CloudProviders on whose nodes the pods are"
    ),
    printcolumn(
        name = "Compliant",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Compliant')].status",
        description = "Whether every pod stands where it may"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.summary.message",
        description = "The most important thing to know"
    )
)]
pub struct WorkloadPlacementSpec {}

/// What became of the workload.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadPlacementStatus {
    /// What this is about.
    #[serde(default)]
    pub workload: WorkloadReference,

    /// Each policy that governs the namespace, and the level that it gives the workload.
    #[schemars(length(max = limits::STATUS_LIST), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<AppliedPolicy>,

    /// The categories of its data.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,

    /// The PlacementPools that are cleared for it.
    #[schemars(schema_with = "schema::repeated_list")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_pools: Vec<String>,

    /// The PlacementPools that are not, each with every reason; at most 16 are listed.
    #[schemars(length(max = limits::REJECTED_POOLS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_pools: Vec<RejectedPool>,

    /// How many more PlacementPools are not cleared; absent when all are listed.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_pools_omitted: Option<i32>,

    /// How many pods it has, without those that have ended; one that is being deleted counts where it is until it is gone.
    #[serde(default)]
    pub pods: PodCounts,

    /// How many pods of its owner are to be ready before another of them is evicted: for the operator itself, so that whoever
    /// takes over waits as well. On one pod that stays, of an owner of a kind that Rempart does not know.
    #[schemars(schema_with = "schema::count")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited_ready: Option<i32>,

    /// Since when its pods stand on nodes that are not cleared for them, level by level where it has a deadline: for whoever
    /// takes over from the operator, and for people. At most 64; of others it is counted from when they are next seen.
    #[schemars(length(max = limits::VIOLATING_PODS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violating_since: Vec<ViolatingPod>,

    /// The CloudProviders on whose nodes its pods are.
    #[schemars(length(max = limits::STATUS_LIST), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderPods>,

    /// The above as `kubectl get` shows it.
    #[serde(default)]
    pub summary: PlacementSummary,

    /// Placeable: whether some cleared pool is left for it. Compliant: whether every pod stands where
    /// it may. Migrating: whether pods of it are being moved.
    #[schemars(schema_with = "meta::conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Since when a pod stands on a node that is not cleared for a level of its.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViolatingPod {
    /// The pod.
    #[schemars(schema_with = "schema::object_name")]
    #[serde(default)]
    pub pod: String,

    /// Its identifier: one of the same name is another.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub uid: String,

    /// The policy.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub policy: String,

    /// Its level.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub level: String,

    /// Since when.
    #[schemars(schema_with = "schema::instant")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Which workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReference {
    /// Its kind.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub kind: String,

    /// Its name.
    #[schemars(schema_with = "schema::object_name")]
    #[serde(default)]
    pub name: String,
}

/// What a policy makes of the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedPolicy {
    /// The PlacementPolicy.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// The level; absent where what is said cannot be judged.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,

    /// Who says so: Namespace, Workload, Pod, Default where nobody does, or Minimum where the policy's minimum is above all
    /// that is said.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_from: Option<String>,

    /// The exception of the policy that applies; absent where none does.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,

    /// What the policy refuses of what is said; absent where nothing.
    #[schemars(schema_with = "schema::message")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// A pool that is not cleared for the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedPool {
    /// The PlacementPool.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// Why; the last one counts what found no room.
    #[schemars(length(max = limits::REASONS), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<RejectionReason>,
}

/// Why a pool is not cleared for the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectionReason {
    /// The PlacementPolicy that demands it.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,

    /// The level that demands it; absent where a category does.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,

    /// The category that demands it; absent where a level does.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,

    /// What is missing.
    #[serde(flatten)]
    pub reason: VerdictReason,
}

/// How many pods a workload has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodCounts {
    /// All of them.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub total: i32,

    /// Those that have a node.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub placed: i32,

    /// Those that have none yet.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub pending: i32,

    /// Those whose node is not cleared for them.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub violating: i32,
}

/// How many pods are on the nodes of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderPods {
    /// The CloudProvider.
    #[schemars(schema_with = "schema::repeated")]
    #[serde(default)]
    pub name: String,

    /// The pods.
    #[schemars(schema_with = "schema::count")]
    #[serde(default)]
    pub pods: i32,
}

/// A record in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSummary {
    /// Kind and name of the workload.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub workload: String,

    /// The level, with its policy where several apply.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub level: String,

    /// Who says so.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub level_from: String,

    /// Providers, with the number of pods on each.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub providers: String,

    /// The message of the condition that matters most.
    #[schemars(schema_with = "schema::message")]
    #[serde(default)]
    pub message: String,
}
