//! Wishes of a level: which of the pools that are cleared it prefers, how its pods are spread, and how soon they leave a node
//! that does not answer. Part of a `PlacementPolicy`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A figure of pools of which less is better, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferenceSpec {
    /// The figure: `pue` and `carbonIntensity` of the pool's zone, or `price` of the pool. The lower the better. Prices are
    /// compared within one currency: that of most pools. A figure that is not known is the worst. Example: `carbonIntensity`.
    pub by: PreferredFigure,

    /// How much it counts beside the others, 1 to 100. Example: `60`.
    #[schemars(schema_with = "schema::weight")]
    pub weight: i32,
}

/// A figure of pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub enum PreferredFigure {
    /// Power usage effectiveness of the pool's zone.
    #[serde(rename = "pue")]
    Pue,
    /// Carbon intensity of the electricity of the pool's zone.
    #[serde(rename = "carbonIntensity")]
    CarbonIntensity,
    /// Price of the pool.
    #[serde(rename = "price")]
    Price,
}

/// How the pods of each workload are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minDomains) || !has(self.whenUnsatisfiable) || self.whenUnsatisfiable == 'DoNotSchedule'")
    .message("minDomains is a demand, and with ScheduleAnyway nothing is demanded: leave it out, or write DoNotSchedule")
    .field_path(".minDomains"))]
pub struct SpreadSpec {
    /// What the pods are spread across: `Provider`, `Region`, `Zone` or `Pool`. Example: `Provider`.
    pub across: SpreadAcross,

    /// Over how many of these the pods of a workload must be spread, 1 to 64. Where fewer are left each takes `maxSkew` pods of
    /// a workload at most and the others wait: with as many as there are providers, losing one leaves most pods waiting.
    /// Default: 1. Example: `2`.
    #[schemars(schema_with = "schema::min_domains")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_domains: Option<i32>,

    /// By how many pods of a workload two of these may differ at most, 1 to 100. Default: 1. Example: `1`.
    #[schemars(schema_with = "schema::max_skew")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_skew: Option<i32>,

    /// What becomes of a pod that would break this: it waits with `DoNotSchedule`, and is placed all the same with
    /// `ScheduleAnyway`. Default: `DoNotSchedule`. Example: `ScheduleAnyway`.
    #[schemars(with = "WhenUnsatisfiable")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unsatisfiable: Option<WhenUnsatisfiable>,
}

/// What pods are spread across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SpreadAcross {
    /// The providers.
    Provider,
    /// The regions.
    Region,
    /// The zones.
    Zone,
    /// The pools.
    Pool,
}

/// What becomes of a pod that would break a spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// It waits.
    #[default]
    DoNotSchedule,
    /// It is placed all the same.
    ScheduleAnyway,
}
