//! Requested steps: what a move asks of the API server, and what came of it.

use alloc::{string::String, vec::Vec};

use crate::{cluster_objects::ObjectUid, workload::WorkloadKind};

/// What is asked of the API server for a move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestedStep {
    /// Write `note` into the template.
    AnnotateTemplate {
        /// The controller's kind.
        kind: WorkloadKind,
        /// Its name, with its namespace.
        name: String,
        /// What is noted.
        note: String,
        /// Entries of its selector that go at the same time.
        surplus: Vec<String>,
    },
    /// Evict a pod.
    Evict {
        /// Its name, with its namespace.
        name: String,
        /// Its identifier.
        pod: ObjectUid,
        /// The resource version that it must have, where there is one.
        version: Option<u64>,
    },
    /// Delete a pod, with the time that it has to end.
    Delete {
        /// Its name, with its namespace.
        name: String,
        /// Its identifier.
        pod: ObjectUid,
        /// The resource version that it must have, where there is one.
        version: Option<u64>,
    },
}

impl RequestedStep {
    /// What it is about, by which its answer is told.
    #[must_use]
    pub fn target(&self) -> StepTarget {
        match self {
            Self::AnnotateTemplate { .. } => StepTarget::Template,
            Self::Evict { pod, .. } | Self::Delete { pod, .. } => StepTarget::Pod(*pod),
        }
    }
}

/// What a step of a workload's move is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepTarget {
    /// The workload's template.
    Template,
    /// One of its pods.
    Pod(ObjectUid),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepAnswer {
    /// It was carried out, or its object is gone: what runs shows the rest.
    Taken,
    /// Its object is another one by now, or another than it was: what runs shows what is left to do.
    Outdated,
    /// It was refused; in the API server's words.
    Refused(String),
    /// A disruption budget refused it; in the API server's words.
    OverBudget(String),
    /// There was no answer in time: somebody's webhook may hold it up, and others must not wait for it.
    Unanswered,
}
