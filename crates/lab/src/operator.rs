//! The operator of this repository as a process beside the control plane.
//!
//! [`ControlPlane::start_operator`] takes arguments for `rempart run` and returns when `/readyz` succeeds. The process
//! authenticates with a token of the chart's own `ServiceAccount`, so that a missing permission shows.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::process::Command;

use super::{
    ControlPlane, LabError, Result, ports::ReservedPort, probe::EndpointProbe, process::ChildProcess,
    program::is_executable, wait::eventually,
};

/// The `ServiceAccount` of the chart.
const ACCOUNT: (&str, &str) = ("rempart-system", "rempart");

/// What the chart sets in the environment of the operator beside what tells it who and where it is: one arena of memory
/// for all threads, and large buffers given back when they are done with. Most of what it ever holds at once is held
/// during the first lists.
pub const OPERATOR_ENVIRONMENT: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Timeout of the operator's readiness.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// Grace period between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// An operator process. It is killed when the value is dropped.
pub struct OperatorProcess {
    process: ChildProcess,
    probe: EndpointProbe,
    log: PathBuf,
}

impl ControlPlane {
    /// Starts the operator, with more arguments for `rempart run`, and waits until it is ready. The
    /// chart must be installed.
    pub async fn start_operator<S: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<OperatorProcess> {
        let operator = self.spawn_operator(arguments).await?;
        operator.ready().await?;
        Ok(operator)
    }

    /// [`ControlPlane::start_operator`] without waiting, for operators that cannot become ready.
    pub async fn spawn_operator<S: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<OperatorProcess> {
        let binary = binary()?;
        let kubeconfig = self.service_account_kubeconfig(ACCOUNT.0, ACCOUNT.1).await?;
        let port = ReservedPort::take()?.release();
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(arguments.into_iter().map(Into::into))
            .env("KUBECONFIG", kubeconfig)
            .env_remove("POD_NAMESPACE")
            // As a container that is started again in its pod: it finds its own lease, and need not wait for its end.
            // Who wants several gives them names of their own, by `--identity`.
            .env("POD_NAME", "rempart-lab")
            .envs(OPERATOR_ENVIRONMENT)
            .current_dir(self.dir());
        let log = self.layout.log("rempart");
        let url = format!("http://127.0.0.1:{port}");
        Ok(OperatorProcess {
            process: ChildProcess::spawn("rempart", command, &log, &self.watchdog)?,
            probe: self.probe(&url)?,
            log,
        })
    }
}

impl OperatorProcess {
    /// The process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its log, to which an operator that is started later appends.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until `/readyz` says so; fails at once when the operator ends instead.
    pub async fn ready(&self) -> Result<()> {
        let answers =
            eventually("the operator to be ready", READY_TIMEOUT, async || self.get("/readyz").await.map(drop));
        tokio::select! {
            result = answers => result,
            error = self.process.failure() => Err(error),
        }
    }

    /// The body of a successful answer of its own server, such as that of `/metrics`.
    pub async fn get(&self, path: &str) -> Result<String> {
        self.probe.get(path).await
    }

    /// Fails with the end of the log when it has ended.
    pub fn check(&self) -> Result<()> {
        self.process.check()
    }

    /// Ends it as Kubernetes would (SIGTERM), and says how it ended.
    pub async fn terminate(self) -> Option<ExitStatus> {
        self.process.terminate(GRACE).await
    }

    /// Ends it as a crash would (SIGKILL).
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// Stops it where it stands (SIGSTOP), as a machine in trouble might.
    pub fn pause(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`OperatorProcess::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Waits until it ends by itself, and says how.
    pub async fn wait(&self) -> Option<ExitStatus> {
        self.process.wait().await
    }
}

/// The `rempart` binary that belongs to this one: what cargo says in tests, else a neighbour.
pub(super) fn binary() -> Result<PathBuf> {
    let told = env::var_os("CARGO_BIN_EXE_rempart").map(PathBuf::from);
    let this = env::current_exe().map_err(LabError::file("find", "the current executable"))?;
    // Test binaries are one directory below.
    let neighbours = this.ancestors().skip(1).take(2).map(|dir| dir.join("rempart"));
    told.into_iter().chain(neighbours).find(|path| is_executable(path)).ok_or_else(|| {
        LabError::Unsupported(format!(
            "there is no binary `rempart` beside {}: build it first, with `cargo build`",
            this.display()
        ))
    })
}
