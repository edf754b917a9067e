//! Was every bind allowed? A second opinion, from the API server's audit log.
//!
//! The log tells who was put where, and every version of every fact with the instant at which it was written. From these
//! raw objects this module recomputes, for each bind, what the pod needs and whether the node that it was put on may have
//! it. It shares no code with the rest of the crate: no types, no names of keys, no table of countries or laws. A slip in
//! the core is then not repeated here. A test reads these files and fails when that is broken.
//!
//! # What counts as a breach
//!
//! Stamps follow facts, and a scheduler decides before it binds. So a bind is a breach when it was allowed at **no**
//! instant of the [`Tolerance::stamps`] before it, measured in time during which somebody led: a fact that changes while no
//! operator leads, or while the API server is away, cannot be stamped. Those times are the run's own record, in
//! [`Record::unattended`]. How late binds were is counted and told, so that the tolerance can be held against it.
//!
//! What a pod needs is decided when it is admitted. Namespaces and policies count for that as they were at some instant of
//! the [`Tolerance::admission`] before its creation; where its node stands counts as it was at the bind. What is raised
//! between the two concerns a pod that runs, not one that is bound. Lead time withdraws nothing here: cleared is cleared
//! until the last day.

mod binds;
mod clearance;
mod demands;
mod facts;
mod history;
mod log;
mod needs;
mod selectors;
mod spans;
#[cfg(test)]
mod tests;

use std::{fmt, io::BufRead, time::Duration};

use jiff::Timestamp;

pub use self::{
    clearance::Standing,
    facts::Facts,
    needs::{Demand, Need},
    spans::Unattended,
};

/// The audit policy that an API server must log by.
pub const POLICY: &str = include_str!("policy.yaml");

/// What the run knows and the log does not.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When no operator led, or nobody could reach the API server.
    pub unattended: Vec<Unattended>,
    /// By how much the operator's clock was ahead, each from an instant on; not at all before the first.
    pub clock: Vec<(Timestamp, Duration)>,
}

/// How much later than a fact its consequences may be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// From a fact to the stamps, the scheduler's cache and the last bind that it had decided before.
    pub stamps: Duration,
    /// From a policy or a namespace's label to the admission of pods: the operator binds, and API servers take bindings
    /// up once a second.
    pub admission: Duration,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { stamps: Duration::from_secs(2), admission: Duration::from_secs(6) }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// How many binds there were.
    pub binds: usize,
    /// How many of them some policy had a say in.
    pub demanding: usize,
    /// How many were allowed a moment before, and no longer at the instant itself.
    pub late: usize,
    /// The longest such moment, in time during which somebody led.
    pub latest: Duration,
    /// Evictions by the operator that the API server granted.
    pub evictions: usize,
    /// Evictions by the operator that a budget forbade.
    pub refused: usize,
    /// Pods that were on no node, deleted by the operator.
    pub unbound_deleted: usize,
    /// Lines that could not be read.
    pub unreadable: usize,
    /// What must not have happened, in the order in which it did.
    pub breaches: Vec<Breach>,
}

/// Something that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Checks an audit log, written by [the policy](POLICY) of the lab.
///
/// # Errors
/// When the log cannot be read. Lines that make no sense are counted instead.
pub fn check(log: impl BufRead, record: &Record, tolerance: Tolerance) -> std::io::Result<Findings> {
    let log = log::Log::read(log)?;
    Ok(binds::judge(&log, record, tolerance))
}
