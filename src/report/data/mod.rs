//! Report documents for programs: JSON or YAML, versioned, written as they are made.

mod doctor;
mod drill;
mod failure;
mod ignored;
mod impact;
mod lint;
mod plan;
pub mod schemas;

use std::io::{self, Write as _};

use schemars::JsonSchema;
use serde::Serialize;

pub use self::{
    doctor::DoctorReport, drill::DrillReport, failure::FailureReport, impact::ImpactReport, lint::LintReport,
    plan::PlanReport,
};
use super::entries::ObjectName;

/// How many bytes are written at once.
const BUFFER: usize = 64 << 10;

/// Writes `report` as JSON for eyes as well as programs, ending in a newline.
///
/// # Errors
/// Those of `out`.
pub fn json(report: &impl Serialize, out: impl io::Write) -> io::Result<()> {
    // JSON is written a few bytes at a time: into a buffer at hand, and not each time through whatever `out` is.
    let mut out = io::BufWriter::with_capacity(BUFFER, out);
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes `report` as YAML: the same data.
///
/// # Errors
/// Those of `out`.
pub fn yaml(report: &impl Serialize, mut out: impl io::Write) -> io::Result<()> {
    serde_saphyr::to_io_writer(&mut out, report).map_err(io::Error::other)
}

/// A workload, by what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Workload")]
struct WorkloadNameRow<'a> {
    /// Its kind.
    kind: &'a str,
    /// Its namespace.
    namespace: &'a str,
    /// Its name.
    name: &'a str,
}

impl<'a> From<&'a rempart_core::workload::WorkloadIdentity> for WorkloadNameRow<'a> {
    fn from(identity: &'a rempart_core::workload::WorkloadIdentity) -> Self {
        let ObjectName { kind, namespace, name } = identity.into();
        Self { kind, namespace: namespace.unwrap_or_default(), name }
    }
}
