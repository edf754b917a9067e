//! Variants of the table: which API server is asked, and who completes pods there.

use rempart_lab::{ControlPlaneOptions, KubernetesVersion, MutationChoice};
use serde_json::Value;

/// An API server that is asked, and who completes pods there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableVariant {
    pub(super) kubernetes: KubernetesVersion,
    pub(super) completed_by: CompletedBy,
}

/// Who completes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompletedBy {
    /// Mutating admission policies.
    Policies,
    /// The webhook, where there are none.
    Webhook,
    /// Nobody.
    Nobody,
}

impl Default for TableVariant {
    fn default() -> Self {
        Self { kubernetes: KubernetesVersion::default(), completed_by: CompletedBy::Policies }
    }
}

impl TableVariant {
    /// The variants that everybody tries, and those that take an API server of their own each.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let older = Self { kubernetes: KubernetesVersion::V1_33, completed_by: CompletedBy::Nobody };
        let by_itself = KubernetesVersion::ALL.into_iter().map(|kubernetes| {
            let serves = kubernetes.serves_mutations();
            let completed_by = if serves { CompletedBy::Policies } else { CompletedBy::Webhook };
            Self { kubernetes, completed_by }
        });
        by_itself.chain([older])
    }

    /// Whether it is tried only by who asks for it.
    pub(super) fn is_asked_for(self) -> bool {
        ![KubernetesVersion::default(), KubernetesVersion::V1_33].contains(&self.kubernetes)
    }

    /// What begins the names of its trials.
    pub(super) fn prefix(self) -> String {
        let minor = self.kubernetes.minor();
        match self.completed_by {
            CompletedBy::Policies if self.kubernetes == KubernetesVersion::default() => "admission".to_owned(),
            CompletedBy::Policies => format!("admission-{minor}-policies"),
            CompletedBy::Webhook => format!("admission-{minor}-webhook"),
            CompletedBy::Nobody => format!("admission-{minor}-none"),
        }
    }

    pub(super) fn options(self) -> ControlPlaneOptions {
        let mutation = match self.completed_by {
            CompletedBy::Policies | CompletedBy::Webhook => MutationChoice::Auto,
            CompletedBy::Nobody => MutationChoice::None,
        };
        ControlPlaneOptions { kubernetes: self.kubernetes, mutation, ..ControlPlaneOptions::default() }
    }

    /// Whether the case is tried. What exists before a request was completed when it was made, but where nobody completes.
    pub(super) fn tries(self, case: &Value) -> bool {
        self.completed_by != CompletedBy::Nobody || case.get("existing").is_none()
    }

    /// What an API server says of a pod that lacks what it needs, in place of what the table has.
    pub(super) fn told(self, expected: &str) -> String {
        const BY_POLICIES: &str = "admission adds it, so another webhook or policy took it away: let that leave \
            spec.nodeSelector alone; within half a minute of an installation, or of an API server's start, try again";
        let here = match self.completed_by {
            CompletedBy::Policies => BY_POLICIES,
            CompletedBy::Webhook => {
                "the webhook of rempart-admission adds it, and did not answer, or another took it away: try again, and look \
                 whether the pods of rempart-admission are ready"
            }
            CompletedBy::Nobody => NOBODY_ADDS,
        };
        expected.replace(BY_POLICIES, here)
    }
}

pub(super) const NOBODY_ADDS: &str =
    "nothing adds it in this cluster: write it into spec.nodeSelector, of the pod template where there is one";
