//! Versions of Kubernetes that a control plane can be of.

use super::go_build::{CONTROL_PLANE, GoModule, KUBERNETES};

/// A version of Kubernetes. Of all but [`KubernetesVersion::V1_36`], on which everything is tested, the API server alone is
/// built, and nothing but etcd runs beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are what they are")]
pub enum KubernetesVersion {
    V1_30,
    V1_31,
    V1_32,
    V1_33,
    V1_34,
    V1_35,
    #[default]
    V1_36,
    V1_37,
}

impl KubernetesVersion {
    /// All of them, in order, from the oldest that Rempart takes: validating admission policies are stable since.
    pub const ALL: [Self; 8] =
        [Self::V1_30, Self::V1_31, Self::V1_32, Self::V1_33, Self::V1_34, Self::V1_35, Self::V1_36, Self::V1_37];

    /// Whether there are a scheduler, controllers and kubelets.
    pub(super) fn has_controllers(self) -> bool {
        self == Self::default()
    }

    /// Whether it serves mutating admission policies, which are stable since 1.36.
    pub const fn serves_mutations(self) -> bool {
        match self {
            Self::V1_30 | Self::V1_31 | Self::V1_32 | Self::V1_33 | Self::V1_34 | Self::V1_35 => false,
            Self::V1_36 | Self::V1_37 => true,
        }
    }

    /// The minor version, as `1.36`.
    pub const fn minor(self) -> &'static str {
        match self {
            Self::V1_30 => "1.30",
            Self::V1_31 => "1.31",
            Self::V1_32 => "1.32",
            Self::V1_33 => "1.33",
            Self::V1_34 => "1.34",
            Self::V1_35 => "1.35",
            Self::V1_36 => "1.36",
            Self::V1_37 => "1.37",
        }
    }

    /// The module of its API server.
    pub(super) fn module(self) -> &'static GoModule {
        match self {
            Self::V1_30 => &KUBERNETES[0],
            Self::V1_31 => &KUBERNETES[1],
            Self::V1_32 => &KUBERNETES[2],
            Self::V1_33 => &KUBERNETES[3],
            Self::V1_34 => &KUBERNETES[4],
            Self::V1_35 => &KUBERNETES[5],
            Self::V1_36 => &CONTROL_PLANE,
            Self::V1_37 => &KUBERNETES[6],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_builds_itself() {
        for version in KubernetesVersion::ALL {
            let module = version.module();
            let built = module.kubernetes.unwrap();
            assert!(built.starts_with(&format!("{}.", version.minor())), "{version:?} builds {built}");
            assert!(module.requires(&format!("k8s.io/kubernetes v{built}")), "{version:?} builds {built}");
        }
    }
}
