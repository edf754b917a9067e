//! Locations of the programs, which are built where they are missing.
//!
//! Programs of the control plane are looked for in `$KUBEBUILDER_ASSETS`, when it holds a whole control plane of a
//! version that Rempart supports, and then in the cache; what neither has is built from `deploy/control-plane` with the
//! ordinary Go client, once, into the cache. kwok and helm come from the assets too when they are there, and from the
//! cache otherwise.
//!
//! A cache directory belongs to one set of versions and build flags, so that an update never meets older binaries.

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::{
    LabError, ProgressDisplay, Result,
    go_build::{self, CONTROL_PLANE, GoModule, MONITORING},
    kubernetes_version::KubernetesVersion,
    program::{KUBERNETES_VERSION, Program, is_executable},
};

/// The first minor version of Kubernetes 1 with stable `MutatingAdmissionPolicy`.
const FIRST_MINOR: u32 = 36;

/// Directories of the programs.
#[derive(Clone, Debug)]
pub struct ProgramPaths {
    control_plane: PathBuf,
    api_server: PathBuf,
    kwok: PathBuf,
    helm: PathBuf,
}

impl ProgramPaths {
    /// Finds all programs, building those that are nowhere. The first build takes minutes.
    pub async fn locate(version: KubernetesVersion, progress: ProgressDisplay) -> Result<Self> {
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
        let control_plane = dir(Program::KubeApiserver);
        let api_server = if version == KubernetesVersion::default() {
            control_plane.clone()
        } else {
            of_module(&format!("kubernetes-{}", version.minor()), version.module(), Program::KubeApiserver, progress)
                .await?
        };
        Ok(Self { control_plane, api_server, kwok: dir(Program::Kwok), helm: dir(Program::Helm) })
    }

    /// The path of a program.
    pub fn path(&self, program: Program) -> PathBuf {
        let dir = match program {
            Program::Kwok => &self.kwok,
            Program::Helm => &self.helm,
            Program::KubeApiserver => &self.api_server,
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

/// Finds Prometheus's checker of rules, or builds it.
pub async fn promtool(progress: ProgressDisplay) -> Result<PathBuf> {
    let dir = of_module("monitoring", &MONITORING, Program::Promtool, progress).await?;
    Ok(dir.join(Program::Promtool.name()))
}

/// Finds helm, or builds it. It needs no control plane.
pub(super) async fn helm(progress: ProgressDisplay) -> Result<PathBuf> {
    let name = Program::Helm.name();
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(found) = assets.map(|dir| dir.join(name)).filter(|path| is_executable(path)) {
        return absolute(found);
    }
    let cache = cache_dir()?;
    if !is_executable(&cache.join(name)) {
        go_build::build(&CONTROL_PLANE, &[Program::Helm], &cache, progress).await?;
    }
    Ok(cache.join(name))
}

/// The directory of a program of `module`, which is built where it is missing.
async fn of_module(name: &str, module: &GoModule, program: Program, progress: ProgressDisplay) -> Result<PathBuf> {
    let cache = cache_of(name, module.fingerprint())?;
    if !is_executable(&cache.join(program.name())) {
        go_build::build(module, &[program], &cache, progress).await?;
    }
    Ok(cache)
}

/// Cache directory of the control plane's programs.
pub fn cache_dir() -> Result<PathBuf> {
    cache_of(&format!("control-plane-{KUBERNETES_VERSION}"), CONTROL_PLANE.fingerprint())
}

/// Cache directory of built programs: one for each set of versions and build flags, so that
/// an update never meets binaries of an older one.
fn cache_of(name: &str, fingerprint: u64) -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let parent = set("REMPART_LAB_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("rempart")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("rempart")))
        .ok_or_else(|| {
            LabError::Unsupported(
                "cannot tell where to keep what is built: set HOME, XDG_CACHE_HOME or REMPART_LAB_CACHE to a directory"
                    .to_owned(),
            )
        })?;
    absolute(parent.join(format!("{name}-{fingerprint:016x}")))
}

/// The components run in another directory than we do.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(LabError::file("find", path))
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
