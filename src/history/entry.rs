//! History entries: what the operator tells of placements and of the facts behind them, one entry a line.
//!
//! An [`HistoryEvent`] says one thing that was observed, complete in itself: whoever reads it needs no earlier entry but to know
//! since when. Fields are only ever added to `rempart.dev/history/v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every entry begins with, so that it is found among other lines.
pub const API_VERSION: &str = "rempart.dev/history/v1";

/// An entry, but for its seal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// [`API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The chain that it is of: the replica that wrote it, and since when.
    pub chain: String,
    /// Its place in the chain, from 0.
    pub seq: u64,
    /// When the operator saw it.
    pub at: jiff::Timestamp,
    /// The hash of the entry before, in hexadecimal digits; zeros in the first.
    pub previous: String,
    /// What it says.
    #[serde(flatten)]
    pub event: HistoryEvent,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum HistoryEvent {
    /// A replica begins to lead, and tells everything that is there.
    Begun {
        /// The version of the operator.
        version: String,
        /// By what name the replica holds the lease.
        replica: String,
        /// An entry follows at least so often, in seconds: a longer silence is one of which nothing is known.
        silence_at_most_seconds: u64,
        /// How late an entry may be, in seconds, where nothing holds the operator up.
        late_by_at_most_seconds: u64,
    },
    /// Everything that was there at the beginning has been told.
    Complete,
    /// A pod that a policy governs has a node, or what there is to say of it has changed.
    PodPlaced(PodPlacement),
    /// A pod of which was told is gone, has ended, or is governed by no policy any more.
    PodLeft {
        /// Its identifier.
        uid: String,
        /// Whether it still runs, and no policy governs it any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ungoverned: bool,
    },
    /// Pods came and went, too many at once to be told one by one.
    PodsMissed {
        /// How many had a node.
        pods: u64,
    },
    /// A provider, a pool or a policy was made, changed or deleted.
    FactChanged(FactVersion),
    /// A node belongs to another pool than before.
    NodeChanged {
        /// The node.
        node: String,
        /// Its pool now; none where it belongs to none any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<String>,
        /// Its pool before, as far as this chain knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// Other pools are cleared for a level or category than before.
    ClearanceChanged {
        /// The policy.
        policy: String,
        /// The level; none where it is about a category.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<String>,
        /// The category; none where it is about a level.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        /// The pools that are cleared for it.
        cleared: Vec<String>,
        /// Those of them that are withdrawn from new pods ahead of their end.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaving: Vec<String>,
    },
    /// An exception was granted, changed, has ended or was taken back.
    ExceptionChanged(ExceptionState),
    /// A workload is placed by a lower level than its record said before.
    LevelLowered(LoweredWorkload),
    /// Nothing has changed for a while, and the operator watches.
    Alive,
    /// This replica leads no more, or stops.
    Ended {
        /// When it last knew that all it had seen was told.
        told_until: jiff::Timestamp,
    },
}

/// A pod on its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodPlacement {
    /// Its identifier: no two pods ever have the same.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// What makes it anew, as `Deployment api`.
    pub workload: String,
    /// The node.
    pub node: String,
    /// Where that is; nothing where the node is of no pool that resolves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PoolPlace>,
    /// What each policy that governs it says.
    pub policies: Vec<PolicyVerdict>,
    /// The digest of the facts that this follows from, as the entries about facts name it.
    pub facts: String,
}

/// The place that a pool is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PoolPlace {
    /// The pool.
    pub pool: String,
    /// Its provider.
    pub provider: String,
    /// The provider's offer.
    pub offer: String,
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
}

/// How a pod stands under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyVerdict {
    /// The policy.
    pub policy: String,
    /// The level; none where the policy refuses what is said of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Who says the level: `Namespace`, `Workload`, `Pod`, `Default` or `Minimum`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_from: Option<String>,
    /// The categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The exception that it is under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Whether the policy places and refuses; otherwise it only warns or watches.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub in_force: bool,
    /// Whether the node is cleared.
    pub compliance: PlacementCompliance,
    /// For what the policy refuses the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Whether a pod's node is cleared for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PlacementCompliance {
    /// It is.
    Compliant,
    /// It is, and is withdrawn ahead of the end of a certificate.
    Expiring,
    /// It is not, or nobody can say what the pod needs.
    Violating,
    /// The operator does not know the node.
    Unknown,
}

impl PlacementCompliance {
    /// Whether somebody can say that the node was cleared.
    #[must_use]
    pub fn is_cleared(self) -> bool {
        match self {
            Self::Compliant | Self::Expiring => true,
            Self::Violating | Self::Unknown => false,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::Expiring => "Expiring",
            Self::Violating => "Violating",
            Self::Unknown => "Unknown",
        }
    }
}

/// A version of a provider, a pool or a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactVersion {
    /// `CloudProvider`, `PlacementPool` or `PlacementPolicy`.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its generation: how often its spec has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Its resource version when it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// The SHA-256 of its spec as JSON, in hexadecimal digits; none where it is gone or cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The digest of all facts together, as placements name it.
    pub facts: String,
}

/// An exception of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionState {
    /// The policy.
    pub policy: String,
    /// The exception.
    pub name: String,
    /// Whether it holds; not so where it has ended or is gone.
    pub in_force: bool,
    /// The most sensitive level that it is for.
    pub level: String,
    /// The namespaces that it is for.
    pub namespaces: Vec<String>,
    /// The pools that it opens.
    pub pools: Vec<String>,
    /// The last day on which it holds.
    pub until: String,
    /// Why it was granted.
    pub reason: String,
    /// Who answers for it.
    pub approved_by: String,
}

/// A workload whose level under a policy fell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoweredWorkload {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub workload_kind: String,
    /// Its name.
    pub workload: String,
    /// The policy.
    pub policy: String,
    /// The level before.
    pub from: String,
    /// The level now.
    pub to: String,
    /// Who says what holds now.
    pub level_from: String,
}

impl HistoryEvent {
    /// The name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "Begun",
            Self::Complete => "Complete",
            Self::PodPlaced(_) => "PodPlaced",
            Self::PodLeft { .. } => "PodLeft",
            Self::PodsMissed { .. } => "PodsMissed",
            Self::FactChanged(_) => "FactChanged",
            Self::NodeChanged { .. } => "NodeChanged",
            Self::ClearanceChanged { .. } => "ClearanceChanged",
            Self::ExceptionChanged(_) => "ExceptionChanged",
            Self::LevelLowered(_) => "LevelLowered",
            Self::Alive => "Alive",
            Self::Ended { .. } => "Ended",
        }
    }
}
