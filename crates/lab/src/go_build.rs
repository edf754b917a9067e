//! Builds of Go programs with the ordinary Go client: those of the control plane, and promtool.
//!
//! [`build`] takes a [`GoModule`] and the programs that are missing, and leaves their binaries in the cache. Each is
//! built beside its final place and renamed into it, under a lock on the cache, so that a build which is interrupted or
//! runs twice never leaves half a binary behind.

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    io,
    path::Path,
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{
    LabError, ProgressDisplay, Result,
    program::{KUBERNETES_VERSION, Program, is_executable},
    progress::ProgressStep,
};

/// A Go module, whose versions make the name of the cache of what is built from it.
#[derive(Debug)]
pub(super) struct GoModule {
    directory: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// The version of Kubernetes that its binaries report, where they are Kubernetes.
    pub(super) kubernetes: Option<&'static str>,
    /// More build flags.
    flags: &'static [&'static str],
    /// Sentence for the person who waits for the build.
    announcement: fn() -> String,
    /// Remedy where there is no Go.
    remedy: &'static str,
}

/// The module of an API server, by minor version and patch.
macro_rules! kubernetes {
    ($minor:literal, $patch:literal) => {
        GoModule {
            directory: concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes-", $minor),
            go_mod: include_str!(concat!("../../../deploy/kubernetes-", $minor, "/go.mod")),
            go_sum: include_str!(concat!("../../../deploy/kubernetes-", $minor, "/go.sum")),
            kubernetes: Some(concat!($minor, ".", $patch)),
            flags: &[],
            announcement: || {
                concat!("the API server of Kubernetes ", $minor, " (about 5 minutes on 2 cores)").to_owned()
            },
            remedy: "builds it: install it and put `go` on the PATH",
        }
    };
}

/// The control plane.
pub(super) static CONTROL_PLANE: GoModule = GoModule {
    directory: concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/control-plane"),
    go_mod: include_str!("../../../deploy/control-plane/go.mod"),
    go_sum: include_str!("../../../deploy/control-plane/go.sum"),
    kubernetes: Some(KUBERNETES_VERSION),
    flags: &[],
    announcement: || {
        let all = Program::ALL.len();
        format!("Kubernetes {KUBERNETES_VERSION} (all {all} programs take about 8 minutes on 2 cores)")
    },
    remedy: "builds the control plane: install it and put `go` on the PATH, or set KUBEBUILDER_ASSETS to a directory with \
             etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl",
};

/// API servers of other versions of Kubernetes, in the order of their versions.
pub(super) static KUBERNETES: [GoModule; 7] = [
    kubernetes!("1.30", "14"),
    kubernetes!("1.31", "14"),
    kubernetes!("1.32", "13"),
    kubernetes!("1.33", "13"),
    kubernetes!("1.34", "4"),
    kubernetes!("1.35", "4"),
    kubernetes!("1.37", "2"),
];

/// The module of promtool, which checks rules for Prometheus.
pub(super) static MONITORING: GoModule = GoModule {
    directory: concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/monitoring"),
    go_mod: include_str!("../../../deploy/monitoring/go.mod"),
    go_sum: include_str!("../../../deploy/monitoring/go.sum"),
    // Without what finds targets in clouds: it is most of Prometheus, and says nothing of rules.
    kubernetes: None,
    flags: &["-tags=remove_all_sd"],
    announcement: || "Prometheus (about 3 minutes on 2 cores)".to_owned(),
    remedy: "builds promtool: install it and put `go` on the PATH",
};

/// Lines of a failed build that are shown.
const SHOWN_LINES: usize = 30;

/// Go package of the version that Kubernetes reports.
const VERSION_PACKAGE: &str = "k8s.io/component-base/version";

impl GoModule {
    /// The flags of every build.
    fn flags(&self) -> Vec<String> {
        let version = self.kubernetes.map_or_else(String::new, |version| {
            let minor = version.split('.').nth(1).unwrap_or_default();
            format!(
                " -X {VERSION_PACKAGE}.gitVersion=v{version} -X {VERSION_PACKAGE}.gitMajor=1 -X \
                 {VERSION_PACKAGE}.gitMinor={minor}"
            )
        });
        let common = ["-mod=readonly", "-trimpath", "-buildvcs=false"].map(str::to_owned);
        let more = self.flags.iter().map(|flag| (*flag).to_owned());
        common.into_iter().chain([format!("-ldflags=-s -w{version}")]).chain(more).collect()
    }

    /// Whether it requires a module of exactly this version.
    #[cfg(test)]
    pub(super) fn requires(&self, module: &str) -> bool {
        self.go_mod
            .lines()
            .any(|line| line.trim_start().trim_start_matches("require ").split(" //").next() == Some(module))
    }

    /// A number that differs whenever the binaries would (FNV-1a, which unlike the hasher of the
    /// standard library promises to stay the same).
    pub(super) fn fingerprint(&self) -> u64 {
        let flags = self.flags().join(" ");
        [self.go_mod, self.go_sum, &flags]
            .iter()
            .flat_map(|text| text.bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Builds the given programs of `module` into `cache`. Those that another run has built meanwhile are left.
pub(super) async fn build(
    module: &GoModule,
    programs: &[Program],
    cache: &Path,
    progress: ProgressDisplay,
) -> Result<()> {
    check_go(module).await?;
    fs::create_dir_all(cache).map_err(LabError::file("create", cache))?;
    let _lock = lock(cache, progress).await?;
    let missing: Vec<_> = programs.iter().filter(|program| !is_executable(&cache.join(program.name()))).collect();
    let count = missing.len();
    if count > 0 {
        eprintln!("Building with Go, once, into {}: {}.", cache.display(), (module.announcement)());
    }
    for (index, program) in missing.into_iter().enumerate() {
        let step = progress.step(format!("building {} ({} of {count})", program.name(), index + 1));
        build_one(module, *program, cache, &step).await?;
        step.done();
    }
    Ok(())
}

/// Says in one sentence what is wrong with the installed Go, if anything is.
async fn check_go(module: &GoModule) -> Result<()> {
    let wanted = module.go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("1.26");
    let advice = format!("Go {wanted} or newer {}", module.remedy);
    // Run inside the module: Go then checks its own version against the one that go.mod asks for,
    // and fetches a newer toolchain where it is allowed to.
    match go(module).args(["env", "GOVERSION"]).output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(LabError::Go(format!("the installed Go cannot be used ({said}). {advice}.")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(LabError::Go(format!("Go is not installed. {advice}.")))
        }
        Err(reason) => Err(LabError::Spawn { program: "go".to_owned(), reason }),
    }
}

/// The Go client, for this machine and free of what the user's environment would change.
fn go(module: &GoModule) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(module.directory)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Waits for the lock on the cache. It is released when the file is dropped.
async fn lock(cache: &Path, progress: ProgressDisplay) -> Result<File> {
    let path = cache.join(".lock");
    let file = File::create(&path).map_err(LabError::file("create", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(source)) => return Err(LabError::file("lock", path)(source)),
        Err(TryLockError::WouldBlock) => {}
    }
    let step = progress.step("waiting for another build of the same");
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    step.done();
    locked.map_err(io::Error::other).flatten().map_err(LabError::file("lock", path))
}

async fn build_one(module: &GoModule, program: Program, cache: &Path, step: &ProgressStep) -> Result<()> {
    let binary = program.name();
    let unfinished = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(cache)
        .map_err(LabError::file("create a directory in", cache))?;
    let output = unfinished.path().join(binary);
    let spawn_error = |reason| LabError::Spawn { program: "go build".to_owned(), reason };
    let mut child = go(module)
        .args(["build", "-v"])
        .args(module.flags())
        .arg("-o")
        .arg(&output)
        .arg(program.package())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawn_error)?;
    let mut last = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            step.note(&line);
            if last.len() == SHOWN_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = child.wait().await.map_err(spawn_error)?;
    if !status.success() {
        return Err(LabError::Build { binary, status, output: Vec::from(last).join("\n") });
    }
    let finished = cache.join(binary);
    fs::rename(&output, &finished).map_err(LabError::file("rename a new binary to", finished))
}
