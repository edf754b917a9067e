//! Explain errors: questions about what does not exist.
//!
//! Each says what there is instead, the nearest first.

use super::target::ExplainTarget;
use crate::diagnostic::suggest::sort_by_likeness;
use rempart_core::{name::quoted, text::FewDisplay, workload::WorkloadKind};

/// Something was asked about that there is not. Displays with what there is, the nearest first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// No such workload.
    #[error("there is no {wanted} in what was read; {known}")]
    Workload {
        /// What was asked about.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// No policy has the level or category.
    #[error("no policy has a {wanted}; {known}")]
    Demander {
        /// What was asked about.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// No such pool.
    #[error("there is no pool {wanted:?}; {known}")]
    Pool {
        /// What was asked about.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// No such policy.
    #[error("there is no policy {wanted:?}; {known}")]
    Policy {
        /// What was asked about.
        wanted: String,
        /// What there is.
        known: String,
    },
}

impl ExplainError {
    /// No such workload among `known`.
    pub(super) fn workload(wanted: &ExplainTarget, known: Vec<String>) -> Self {
        let mut known = told(&wanted.to_string(), known, "workloads");
        if let ExplainTarget::Workload {
            kind: WorkloadKind::ReplicaSet | WorkloadKind::Job | WorkloadKind::Pod, ..
        } = wanted
        {
            known.push_str("; what another workload controls is explained with that one");
        }
        Self::Workload { wanted: quoted(&wanted.to_string()), known }
    }

    /// No such level or category among `known`.
    pub(super) fn demander(wanted: &ExplainTarget, known: Vec<String>) -> Self {
        let what = if matches!(wanted, ExplainTarget::Level(_)) { "levels" } else { "categories" };
        let known = told(&wanted.to_string(), known, what);
        Self::Demander { wanted: quoted(&wanted.to_string()), known }
    }

    /// No such pool among `known`.
    pub(super) fn pool(wanted: &str, known: Vec<String>) -> Self {
        Self::Pool { wanted: quoted(wanted), known: told(wanted, known, "pools") }
    }

    /// No such policy among `known`.
    pub(super) fn policy(wanted: &str, known: Vec<String>) -> Self {
        Self::Policy { wanted: quoted(wanted), known: told(wanted, known, "policies") }
    }
}

/// What there is, the nearest to `wanted` first.
fn told(wanted: &str, mut known: Vec<String>, what: &str) -> String {
    sort_by_likeness(wanted, &mut known);
    if known.is_empty() {
        format!("there are no {what} at all")
    } else {
        format!("there is {}", FewDisplay(known.iter()))
    }
}
