//! Finds the programs that the lab runs, and builds what is missing.
//!
//! Those of the control plane in this order: `$KUBEBUILDER_ASSETS` when it holds a whole control plane of a version that
//! Rempart supports; the cache; a build of `deploy/control-plane` with the ordinary Go client,
//! once, into the cache. kwok and helm come from the assets too when they are there, and from the
//! cache otherwise.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::{
    Error, Progress, Result,
    go_build::{self, CONTROL_PLANE, MONITORING},
};

/// The Kubernetes version that `deploy/control-plane` builds.
pub const KUBERNETES_VERSION: &str = "1.36.3";

/// The first minor version of Kubernetes 1 with stable `MutatingAdmissionPolicy`.
const FIRST_MINOR: u32 = 36;

/// A program that the lab runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The command line client.
    Kubectl,
    /// Nodes and kubelets that only pretend.
    Kwok,
    /// Renders and installs charts.
    Helm,
    /// Checks and tries rules for Prometheus. No part of a control plane.
    Promtool,
}

impl Program {
    /// All of a control plane, cheapest build first, so that a broken set-up shows early.
    pub const ALL: [Self; 7] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
        Self::Kwok,
        Self::Helm,
    ];

    /// What `$KUBEBUILDER_ASSETS` must hold to be used.
    const OF_ASSETS: [Self; 5] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::KubeScheduler, Self::Kubectl];

    /// The name of the binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Helm => "helm",
            Self::Promtool => "promtool",
        }
    }

    /// The Go package of the binary.
    pub(super) const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Promtool => "github.com/prometheus/prometheus/cmd/promtool",
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    control_plane: PathBuf,
    kwok: PathBuf,
    helm: PathBuf,
}

impl Binaries {
    /// Finds all programs, building those that are nowhere. The first build takes minutes.
    pub async fn locate(progress: Progress) -> Result<Self> {
        let assets = match env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
            None => None,
            Some(value) => {
                let dir = absolute(PathBuf::from(value))?;
                match unusable(&dir).await {
                    None => Some(dir),
                    Some(reason) => {
                        eprintln!("KUBEBUILDER_ASSETS={} is not used: {reason}", dir.display());
                        None
                    }
                }
            }
        };
        let in_assets = |program: Program| assets.as_deref().filter(|dir| is_executable(&dir.join(program.name())));
        let cache = cache_dir()?;
        let missing: Vec<_> = Program::ALL
            .into_iter()
            .filter(|program| in_assets(*program).is_none() && !is_executable(&cache.join(program.name())))
            .collect();
        if !missing.is_empty() {
            go_build::build(&CONTROL_PLANE, &missing, &cache, progress).await?;
        }
        let dir = |program| in_assets(program).unwrap_or(&cache).to_owned();
        Ok(Self { control_plane: dir(Program::KubeApiserver), kwok: dir(Program::Kwok), helm: dir(Program::Helm) })
    }

    /// The path of a program.
    pub fn path(&self, program: Program) -> PathBuf {
        let dir = match program {
            Program::Kwok => &self.kwok,
            Program::Helm => &self.helm,
            _ => &self.control_plane,
        };
        dir.join(program.name())
    }
}

/// Why a directory cannot serve as `$KUBEBUILDER_ASSETS`, if it cannot.
async fn unusable(assets: &Path) -> Option<String> {
    let missing: Vec<_> =
        Program::OF_ASSETS.into_iter().map(Program::name).filter(|name| !is_executable(&assets.join(name))).collect();
    if !missing.is_empty() {
        return Some(format!("it lacks {}", missing.join(", ")));
    }
    let apiserver = assets.join(Program::KubeApiserver.name());
    let version = match Command::new(&apiserver).arg("--version").kill_on_drop(true).output().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Some(format!("its kube-apiserver does not run: {error}")),
    };
    match minor_version(&version) {
        Some(minor) if minor >= FIRST_MINOR => None,
        _ => Some(format!("its kube-apiserver is {version:?}, and Rempart needs Kubernetes 1.{FIRST_MINOR} or newer")),
    }
}

/// The minor version in what `kube-apiserver --version` prints, such as `Kubernetes v1.36.3`.
fn minor_version(printed: &str) -> Option<u32> {
    printed.strip_prefix("Kubernetes v1.")?.split('.').next()?.parse().ok()
}

/// Whether the file exists and may be run.
pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Finds Prometheus's checker of rules, or builds it.
pub async fn promtool(progress: Progress) -> Result<PathBuf> {
    let cache = cache_of("monitoring", MONITORING.fingerprint())?;
    let found = cache.join(Program::Promtool.name());
    if !is_executable(&found) {
        go_build::build(&MONITORING, &[Program::Promtool], &cache, progress).await?;
    }
    Ok(found)
}

/// Where the built control plane is kept.
pub fn cache_dir() -> Result<PathBuf> {
    cache_of(&format!("control-plane-{KUBERNETES_VERSION}"), CONTROL_PLANE.fingerprint())
}

/// Where built programs are kept: one directory for each set of versions and build flags, so that
/// an update never meets binaries of an older one.
fn cache_of(name: &str, fingerprint: u64) -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let parent = set("REMPART_LAB_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("rempart")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("rempart")))
        .ok_or_else(|| {
            Error::Unsupported(
                "cannot tell where to keep what is built: set HOME, XDG_CACHE_HOME or REMPART_LAB_CACHE to a directory"
                    .to_owned(),
            )
        })?;
    absolute(parent.join(format!("{name}-{fingerprint:016x}")))
}

/// The components run in another directory than we do.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(Error::file("find", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read_from_what_the_server_prints() {
        assert_eq!(minor_version("Kubernetes v1.36.3"), Some(36));
        assert_eq!(minor_version("Kubernetes v1.37.0-alpha.1"), Some(37));
        assert_eq!(minor_version("etcd Version: 3.6.8"), None);
    }
}
