//! Cycle reports: what a cycle of the engine asked for, what is on its way, and why the rest was not written.
//!
//! The engine makes a [`CycleReport`] in each cycle. The latest is shown at `/debug/cycle`, by way of a [`CycleReportLog`],
//! and logged when it differs from the one before. It holds no times, so that one that says the same is the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

use crate::operator::{hold::Holds, write::WriteRequest};
use rempart_core::instant::Timestamp;

/// A stage of the cycle that may hold something back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CycleStage {
    /// The conditions under which anything is written at all.
    Cycle,
    /// Admission policies and their bindings.
    Admission,
    /// Stamps of nodes.
    NodeLabels,
    /// Moves of running pods.
    Migration,
    /// Records of workloads.
    Records,
    /// The log of what ran where.
    History,
    /// Statuses of providers, pools and policies.
    Statuses,
    /// Events.
    Events,
    /// The queue of requests.
    Writes,
}

/// What came of a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CycleReport {
    /// Whether this replica leads.
    pub leading: bool,
    /// By kind of write, how many requests the cycle made.
    pub requested: BTreeMap<&'static str, usize>,
    /// By kind of write, how many are on their way.
    pub in_flight: BTreeMap<&'static str, usize>,
    /// By stage, why what differs was not written.
    pub held: BTreeMap<CycleStage, Holds>,
}

impl CycleReport {
    /// What `stage` holds back.
    pub fn hold(&mut self, stage: CycleStage, holds: &Holds) {
        if !holds.is_empty() {
            self.held.entry(stage).or_default().merge(holds);
        }
    }

    /// The requests that the cycle made.
    pub fn count(&mut self, requests: &[WriteRequest]) {
        for request in requests {
            let count = self.requested.entry(request.target().kind()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The latest report, for whoever asks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CycleReportLog(Arc<Mutex<LatestCycle>>);

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct LatestCycle {
    /// How many cycles there have been.
    cycles: u64,
    /// When the latest was, by the wall clock.
    at: Option<String>,
    #[serde(flatten)]
    report: CycleReport,
}

impl CycleReportLog {
    /// Takes in `report`, made at `at`, and logs it where it says something new.
    pub fn publish(&self, report: CycleReport, at: Timestamp) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.report != report {
            tracing::debug!(report = %report.to_json(), "cycle");
        }
        *latest = LatestCycle { cycles: latest.cycles.wrapping_add(1), at: Some(at.to_string()), report };
    }

    /// The latest report.
    #[must_use]
    pub fn latest(&self) -> CycleReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).report.clone()
    }

    /// The latest report with its time, as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = serde_json::to_string_pretty(&latest).unwrap_or_default();
        format!("{text}\n")
    }
}
