//! Facts at one instant: raw objects by name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// The facts at one instant.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts<'a> {
    /// `CloudProvider`s.
    pub providers: BTreeMap<&'a str, &'a Value>,
    /// `PlacementPool`s.
    pub pools: BTreeMap<&'a str, &'a Value>,
    /// `PlacementPolicy`s.
    pub policies: BTreeMap<&'a str, &'a Value>,
    /// Namespaces.
    pub namespaces: BTreeMap<&'a str, &'a Value>,
    /// Nodes.
    pub nodes: BTreeMap<&'a str, &'a Value>,
    /// The operator's clock.
    pub now: Timestamp,
}

impl ClusterFacts<'_> {
    /// The day, as dates are written: `2026-11-22`. Dates in this form sort as time does.
    pub(super) fn today(&self) -> String {
        self.now.strftime("%Y-%m-%d").to_string()
    }
}
