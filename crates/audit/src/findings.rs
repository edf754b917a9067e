//! Findings of an audit: counts, and every breach with its instant.

use std::{fmt, time::Duration};

use jiff::Timestamp;

/// Findings of an audit.
#[derive(Clone, Debug, Default)]
pub struct AuditFindings {
    /// Bindings.
    pub binds: usize,
    /// Bindings of pods of which a policy demanded anything.
    pub demanding: usize,
    /// Bindings that were allowed a moment before, and no longer at the instant itself.
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
    /// Breaches, in the order of their instants.
    pub breaches: Vec<AuditBreach>,
}

/// An event that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBreach {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

impl fmt::Display for AuditBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}
