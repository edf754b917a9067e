//! Lint document: `rempart.dev/lint/v1`.
//!
//! Takes findings, and borrows them until it is written.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{diagnostic::Severity, report::finding::ReportFinding};

/// What is wrong with files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart lint")]
pub struct LintReport<'p> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/lint/v1"))]
    api_version: &'static str,
    /// What is wrong.
    findings: Vec<FindingRow<'p>>,
}

/// Something that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct FindingRow<'p> {
    /// How bad it is.
    severity: Severity,
    /// A stable word for what it is. Further words may come.
    code: &'p str,
    /// The file; null where nobody knows.
    file: Option<&'p str>,
    /// The line, from 1.
    #[schemars(range(min = 1))]
    line: Option<u32>,
    /// The character within the line, from 1.
    #[schemars(range(min = 1))]
    column: Option<u32>,
    /// The object, as `Deployment claims/api`; empty where it is about none.
    object: &'p str,
    /// What is wrong, for people. Its words may change.
    message: &'p str,
    /// What to write instead, where the message does not say so.
    hint: Option<&'p str>,
}

impl<'p> LintReport<'p> {
    /// Of `findings`, in their order.
    #[must_use]
    pub fn new(findings: &'p [ReportFinding]) -> Self {
        Self { api_version: "rempart.dev/lint/v1", findings: findings.iter().map(FindingRow::of).collect() }
    }
}

impl<'p> FindingRow<'p> {
    pub(super) fn of(finding: &'p ReportFinding) -> Self {
        let ReportFinding { severity, code, place, object, message, hint } = finding;
        Self {
            severity: *severity,
            code,
            file: place.as_ref().map(|place| place.file.as_str()),
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            object: object.as_deref().unwrap_or_default(),
            message,
            hint: hint.as_deref(),
        }
    }
}
