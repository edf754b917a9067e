//! Failure document: `rempart.dev/failure/v1`, in the place of any other where nothing was judged.
//!
//! Takes what kept a command from judging, and borrows it until it is written. Whoever reads the documents of a pipeline
//! finds one in any case, and never takes an empty file for an answer.

use schemars::JsonSchema;
use serde::Serialize;

use super::lint::FindingRow;
use crate::report::finding::ReportFinding;

/// Why nothing was judged.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart failure")]
pub struct FailureReport<'p> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/failure/v1"))]
    api_version: &'static str,
    /// Why nothing was judged, for people. Its words may change.
    message: &'p str,
    /// What is wrong in what was read; empty where it is something else.
    findings: Vec<FindingRow<'p>>,
}

impl<'p> FailureReport<'p> {
    /// That nothing was judged, since `message`, with the `findings` that kept it from that.
    #[must_use]
    pub fn new(message: &'p str, findings: &'p [ReportFinding]) -> Self {
        Self { api_version: "rempart.dev/failure/v1", message, findings: findings.iter().map(FindingRow::of).collect() }
    }
}
