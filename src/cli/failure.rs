//! Failures of commands that were asked for a document: the document says that nothing was judged, and why.
//!
//! Takes the result of a command, and returns it as it is; where it could not judge, a document in the format that was asked
//! for is written first. An empty file would be taken for an answer by whoever uploads it.

use std::process::ExitCode;

use super::output;
use crate::{
    operator::error_chain::ErrorChain,
    report::{self, ReportFinding},
};

/// What is wrong with what was read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct WrongInput {
    /// That nothing was judged.
    pub(super) message: String,
    /// What kept it from that.
    pub(super) findings: Vec<ReportFinding>,
}

/// A format that a failure is written in as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureFormat {
    /// rempart.dev/failure/v1.
    Json,
    /// The same as YAML.
    Yaml,
    /// For the test reports of continuous integration.
    Junit,
    /// For code review.
    Sarif,
}

/// Writes why `result` is an error, if it is, in `format`.
///
/// # Errors
/// That of `result`.
pub(super) fn tell(format: Option<FailureFormat>, result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let (Some(format), Err(error)) = (format, &result) else { return result };
    if output::is_unwritable(error) {
        return result;
    }
    let message = ErrorChain(error.as_ref()).to_string();
    let findings = error.downcast_ref::<WrongInput>().map(|wrong| wrong.findings.as_slice()).unwrap_or_default();
    let written = output::stream(|out| match format {
        FailureFormat::Json => report::json(&report::FailureReport::new(&message, findings), out),
        FailureFormat::Yaml => report::yaml(&report::FailureReport::new(&message, findings), out),
        FailureFormat::Junit => report::junit_failure(&message, findings, out),
        FailureFormat::Sarif => report::sarif_failure(&message, findings.iter().cloned(), out),
    });
    // What is wrong with the input is told in any case, and that is worse.
    drop(written);
    result
}
