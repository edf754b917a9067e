//! Options of a control plane: further arguments of its components, its audit log, and how progress is shown.

use std::path::PathBuf;

use super::ProgressDisplay;

/// Options of a control plane.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
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
