//! Operator components: the two halves of the operator, each a Deployment with a `ServiceAccount` of its own.
//!
//! The API server holds each to what its half may do. Validations of the chart confine what writes nodes and workloads;
//! whoever can write validations could lift them, and so may write neither. A stolen token of one half frees nobody.

use crate::admission::{AdmissionKind, MutationMode};

/// A half of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorComponent {
    /// `rempart`: stamps, records, moves, statuses. It reads admission policies and bindings, compares them with what they
    /// must be, and writes none.
    Placement,
    /// `rempart-admission`: the validations and bindings of each policy, and its finalizer. Of pools it reads by
    /// what they select. It sees no node and no workload.
    Admission,
}

impl OperatorComponent {
    /// Both, for a simulation in which one engine stands for two processes.
    pub const ALL: &'static [Self] = &[Self::Placement, Self::Admission];

    /// The chart's name for it: of its Deployment, its `ServiceAccount` and its lease.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Placement => "rempart",
            Self::Admission => "rempart-admission",
        }
    }

    /// Its name in the label `component` of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Admission => "admission",
        }
    }

    /// Whether it follows objects of a kind, by the plural name, where `mutation` says who completes pods.
    #[must_use]
    pub fn follows(self, kind: &str, mutation: &MutationMode) -> bool {
        match self {
            Self::Placement => true,
            // Mutations are the chart's. What the webhook completes depends on what namespaces say.
            Self::Admission => {
                let kept = AdmissionKind::ALL.into_iter().filter(|kept| *kept != AdmissionKind::Mutation);
                // What pools select by is guarded on nodes.
                ["placementpolicies", "placementpools"].contains(&kind)
                    || (kind == "namespaces" && matches!(mutation, MutationMode::Webhook(_)))
                    || kept.map(AdmissionKind::plural).any(|kept| kept == kind)
            }
        }
    }
}
