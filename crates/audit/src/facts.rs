//! The world at one instant: raw objects by name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// What was recorded, and which namespaces and nodes there were.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
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
    /// What the operator's clock says.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// The day, as dates are written: `2026-11-22`. Dates in this form sort as time does.
    pub(super) fn today(&self) -> String {
        self.now.strftime("%Y-%m-%d").to_string()
    }
}
