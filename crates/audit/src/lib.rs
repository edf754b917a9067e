//! Audit of every binding, a second opinion from the API server's audit log.
//!
//! [`check`] takes the log, which tells who was put where, and every version of every fact with the instant at which it
//! was written; from these raw objects it recomputes, for each binding, what the pod needs and whether the node that it
//! was put on may have it, and returns [`AuditFindings`]. It shares no code with what it checks: no types, no names of
//! keys, no table of countries or laws, so that a slip in the core is not repeated here. Two dependencies show that.
//!
//! # What counts as a breach
//!
//! Stamps follow facts, and a scheduler decides before it binds. So a binding is a breach when it was allowed at **no**
//! instant of the [`AuditTolerance::stamps`] before it, measured in time during which a replica led: a fact that
//! changes while no operator leads, or while the API server is unavailable, cannot be stamped. Those times are the
//! run's own record, in [`RunRecord::leader_gaps`]. How late bindings were is counted and reported, so that the
//! tolerance can be held against it.
//!
//! What a pod needs is decided when it is admitted. Namespaces and policies count for that as they were at some instant
//! of the [`AuditTolerance::admission`] before its creation; the clearance of its node counts as it was at the binding.
//! What is raised between the two concerns a pod that runs, not one that is bound. A demand that is gone by then, with its
//! policy, level, category or exception, is met: its key is retired, and stays where it was granted while something
//! selects by it. Lead time withdraws nothing here: cleared is cleared until the last day.
//!
//! # Beside bindings
//!
//! [`uncovered_nodes`] and [`undemanded_keys`] look at a cluster as it stands: which nodes may have a pod of a `DaemonSet`
//! and have none, and for which keys a pod waits that no policy demands.

mod bindings;
mod clearance;
mod daemon_sets;
mod demanded_keys;
mod facts;
mod findings;
mod history;
mod leader_gaps;
mod log;
mod needs;
mod requirements;
mod run_record;
mod selectors;
#[cfg(test)]
mod tests;

use std::io::BufRead;

pub use self::{
    clearance::NodeClearance,
    daemon_sets::uncovered_nodes,
    demanded_keys::undemanded_keys,
    facts::ClusterFacts,
    findings::{AuditBreach, AuditFindings},
    leader_gaps::LeaderGap,
    needs::{PlacementDemand, PlacementNeed},
    run_record::{AuditTolerance, RunRecord},
};

/// The audit policy that an API server must log by.
pub const POLICY: &str = include_str!("policy.yaml");

/// Checks an audit log, written by [the policy](POLICY) of the lab.
///
/// # Errors
/// When the log cannot be read. Lines that make no sense are counted instead.
pub fn check(log: impl BufRead, record: &RunRecord, tolerance: AuditTolerance) -> std::io::Result<AuditFindings> {
    let log = log::AuditLog::read(log)?;
    Ok(bindings::judge(&log, record, tolerance))
}
