//! The API: group `rempart.dev`, version `v1alpha1`.
//!
//! Rust types of the custom resources, as they travel on the wire, and their definitions
//! ([`crds`]). They hold what was written: text that only means something (a date, a country) is
//! still text here, and is parsed by whoever judges it, so that one bad value never hides the rest of
//! an object. What the API server refuses is stated in the schemas, and told without a cluster by
//! [`validate`]; fields that are optional there are optional here, so that every object that was ever
//! accepted can be decoded.

#![allow(unreachable_pub, reason = "KubeSchema derives its schemas from copies of the structs inside functions")]
#![allow(clippy::doc_markdown, reason = "kubectl explain shows these comments as they are")]
#![allow(clippy::duplicated_attributes, reason = "every printcolumn has a type_")]

mod cloud_provider;
pub mod conditions;
pub mod crds;
mod level_scheduling;
pub mod limits;
mod meta;
mod placement_policy;
mod placement_pool;
mod schema;
pub mod validate;
mod workload_placement;

pub use cloud_provider::{
    CloudProvider, CloudProviderSpec, CloudProviderStatus, OfferSpec, OfferStatus, PartySpec, QualificationInForce,
    QualificationSpec, TechnologySpec, ZoneSpec,
};
pub use level_scheduling::{PreferenceSpec, PreferredFigure, SpreadAcross, SpreadSpec, WhenUnsatisfiable};
pub use meta::{STAMP_DOMAIN, find_condition};
pub use placement_policy::{
    AllowDeny, CategorySpec, ClearanceLossAction, ClearanceStatus, ExceptionSpec, ExceptionStatus, JurisdictionsSpec,
    LevelSpec, MoveStop, MoveWindowSpec, OnClearanceLoss, PlacementPolicy, PlacementPolicySpec, PlacementPolicyStatus,
    PolicyMode, RequirementsSpec, SpreadStatus,
};
pub use placement_pool::{
    NodePrice, PlacementPool, PlacementPoolSpec, PlacementPoolStatus, PoolException, PoolRole, PoolVerdict,
    VerdictReason,
};
pub use workload_placement::{
    AppliedPolicy, PlacementSummary, PodCounts, ProviderPods, RejectedPool, RejectionReason, ViolatingPod,
    WorkloadPlacement, WorkloadPlacementSpec, WorkloadPlacementStatus, WorkloadReference,
};

/// The API group.
pub const GROUP: &str = "rempart.dev";

/// The API version.
pub const VERSION: &str = "v1alpha1";
