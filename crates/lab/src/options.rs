//! Options of a control plane: further arguments of its components, its audit log, and how progress is shown.

use std::path::PathBuf;

use super::{KubernetesVersion, ProgressDisplay};

/// Who completes pods and pod templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MutationChoice {
    /// As the chart chooses: what the API server serves.
    #[default]
    Auto,
    /// Mutating admission policies.
    Policies,
    /// The webhook.
    Webhook,
    /// Nobody.
    None,
}

/// Options of a control plane.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// The version of its API server.
    pub kubernetes: KubernetesVersion,
    /// Who completes pods, where the chart is installed and the operator started.
    pub mutation: MutationChoice,
    /// More arguments for kube-apiserver, such as `--max-requests-inflight=4000`.
    pub api_server_arguments: Vec<String>,
    /// More arguments for kube-controller-manager.
    pub controller_manager_arguments: Vec<String>,
    /// More arguments for kube-scheduler.
    pub scheduler_arguments: Vec<String>,
    /// Write an audit log there, for [`rempart_audit::check`]; a relative path is below [`ControlPlane::dir`](super::ControlPlane::dir).
    pub audit_log: Option<PathBuf>,
    /// Display of the first build and the boot; as the terminal allows when absent.
    pub progress: Option<ProgressDisplay>,
}
