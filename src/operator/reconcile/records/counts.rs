//! Level counts: what runs of the levels of each policy, as records, status and metrics tell it alike.

use std::collections::BTreeMap;

/// What runs of the levels of each policy, by the level's name, and under [`UNJUDGED`] what no level of it is known for.
pub type PolicyLevelCounts = BTreeMap<String, BTreeMap<String, LevelCounts>>;

/// What stands for the level of pods of which a policy refuses what is said. No level has this name.
pub const UNJUDGED: &str = "?";

/// What runs of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts {
    /// Workloads.
    pub workloads: i32,
    /// Pods on nodes that are not cleared for them.
    pub violating: i32,
    /// Since when, in seconds of Unix time, the first of those workloads with such pods has any, by its record.
    pub violating_since: Option<i64>,
    /// Pods without a node, of workloads for whose pods there is no place, by their records.
    pub unplaceable: i32,
    /// Workloads whose own template selects by keys of the policy, though that is not in Enforce and nobody would add them.
    pub keeping: i32,
}
