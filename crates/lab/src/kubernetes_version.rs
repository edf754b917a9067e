//! Versions of Kubernetes that a control plane can be of.

use super::go_build::{CONTROL_PLANE, GoModule, KUBERNETES_1_33};

/// A version of Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KubernetesVersion {
    /// 1.33, without mutating admission policies. Its API server alone is built, and nothing but etcd runs beside it.
    V1_33,
    /// The one that everything is tested on.
    #[default]
    V1_36,
}

impl KubernetesVersion {
    /// Whether there are a scheduler, controllers and kubelets.
    pub(super) const fn has_controllers(self) -> bool {
        match self {
            Self::V1_33 => false,
            Self::V1_36 => true,
        }
    }

    /// Whether it serves mutating admission policies.
    pub const fn serves_mutations(self) -> bool {
        match self {
            Self::V1_33 => false,
            Self::V1_36 => true,
        }
    }

    /// The module of its API server.
    pub(super) fn module(self) -> &'static GoModule {
        match self {
            Self::V1_33 => &KUBERNETES_1_33,
            Self::V1_36 => &CONTROL_PLANE,
        }
    }
}
