//! The operator of this repository beside the control plane: a process for each of its two halves.
//!
//! [`ControlPlane::start_operator`] takes arguments for `rempart run`, of which `rempart run-admission` is given those that
//! it knows, and returns when `/readyz` of both succeeds. Each authenticates with a token of its own `ServiceAccount` of the
//! chart, so that a missing permission shows.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use nix::sys::signal::Signal;
use rempart::operator::component::OperatorComponent;
use tokio::process::Command;

use super::{
    ControlPlane, LabError, Result, ports::ReservedPort, probe::EndpointProbe, process::ChildProcess,
    program::is_executable, wait::eventually,
};

/// The namespace of the chart.
const NAMESPACE: &str = "rempart-system";

/// What the chart sets in the environment of the operator beside what tells it who and where it is: one arena of memory
/// for all threads, and large buffers given back when they are done with. Most of what it ever holds at once is held
/// during the first lists.
pub const OPERATOR_ENVIRONMENT: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Timeout of the operator's readiness.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// Grace period between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// The operator: two processes. They are killed when the value is dropped.
pub struct OperatorProcess {
    placement: ComponentProcess,
    admission: ComponentProcess,
}

/// A half of the operator.
struct ComponentProcess {
    process: ChildProcess,
    probe: EndpointProbe,
    log: PathBuf,
}

impl ControlPlane {
    /// Starts the operator, with more arguments for `rempart run`, and waits until both halves are ready. The
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
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let [placement, admission] = [OperatorComponent::Placement, OperatorComponent::Admission];
        Ok(OperatorProcess {
            placement: self.spawn_component(placement, &arguments).await?,
            admission: self.spawn_component(admission, &arguments).await?,
        })
    }

    async fn spawn_component(&self, component: OperatorComponent, arguments: &[OsString]) -> Result<ComponentProcess> {
        let binary = binary()?;
        let kubeconfig = self.service_account_kubeconfig(NAMESPACE, component.name()).await?;
        let port = ReservedPort::take()?.release();
        let (command_name, knows): (_, fn(&OsStr) -> bool) = match component {
            OperatorComponent::Placement => ("run", |_| true),
            OperatorComponent::Admission => ("run-admission", |argument| !is_about_moves(argument)),
        };
        let mut command = Command::new(binary);
        command.arg(command_name).arg(format!("--listen=127.0.0.1:{port}"));
        if self.has_webhook() {
            let url = self.webhook_url();
            command.args(["--mutation=webhook".to_owned(), format!("--webhook-url={url}")]);
            if component == OperatorComponent::Admission {
                command.arg(url.replace("https://", "--webhook-listen="));
            }
        } else if self.mutation() == "None" {
            command.arg("--mutation=none");
        }
        command
            .args(arguments.iter().filter(|argument| knows(argument)))
            .env("KUBECONFIG", kubeconfig)
            .env_remove("POD_NAMESPACE")
            // As a container that is started again in its pod: it finds its own lease, and need not wait for its end.
            // Who wants several gives them names of their own, by `--identity`.
            .env("POD_NAME", "rempart-lab")
            .envs(OPERATOR_ENVIRONMENT)
            .current_dir(self.dir());
        let log = self.layout.log(component.name());
        let url = format!("http://127.0.0.1:{port}");
        Ok(ComponentProcess {
            process: ChildProcess::spawn(component.name(), command, &log, &self.watchdog)?,
            probe: self.probe(&url)?,
            log,
        })
    }
}

/// Whether it is an argument of `rempart run` alone.
fn is_about_moves(argument: &OsStr) -> bool {
    ["--move-at-most=", "--stop-moves-above=", "--history="]
        .iter()
        .any(|known| argument.as_encoded_bytes().starts_with(known.as_bytes()))
}

impl ComponentProcess {
    async fn ready(&self) -> Result<()> {
        let what = format!("{} to be ready", self.process.name());
        let answers = eventually(&what, READY_TIMEOUT, async || self.probe.get("/readyz").await.map(drop));
        tokio::select! {
            result = answers => result,
            error = self.process.failure() => Err(error),
        }
    }
}

impl OperatorProcess {
    /// The process id of `rempart run`.
    pub fn pid(&self) -> i32 {
        self.placement.process.pid()
    }

    /// The process id of `rempart run-admission`.
    pub fn admission_pid(&self) -> i32 {
        self.admission.process.pid()
    }

    /// The log of `rempart run`, to which an operator that is started later appends.
    pub fn log(&self) -> &Path {
        &self.placement.log
    }

    /// The log of `rempart run-admission`.
    pub fn admission_log(&self) -> &Path {
        &self.admission.log
    }

    /// Waits until `/readyz` of both says so; fails at once when one ends instead.
    pub async fn ready(&self) -> Result<()> {
        self.placement.ready().await?;
        self.admission.ready().await
    }

    /// The body of a successful answer of the server of `rempart run`, such as that of `/metrics`.
    pub async fn get(&self, path: &str) -> Result<String> {
        self.placement.probe.get(path).await
    }

    /// Whether `rempart run` says that it leads.
    pub async fn leads(&self) -> Result<bool> {
        let leads = format!("rempart_leader{{component=\"{}\"}} 1", OperatorComponent::Placement.as_str());
        Ok(self.get("/metrics").await?.lines().any(|line| line == leads))
    }

    /// The body of a successful answer of the server of `rempart run-admission`.
    pub async fn get_admission(&self, path: &str) -> Result<String> {
        self.admission.probe.get(path).await
    }

    /// Fails with the end of the log of one that has ended.
    pub fn check(&self) -> Result<()> {
        self.placement.process.check()?;
        self.admission.process.check()
    }

    /// Ends both as Kubernetes would (SIGTERM), and says how `rempart run` ended.
    pub async fn terminate(self) -> Option<ExitStatus> {
        let Self { placement, admission } = self;
        let (ended, _) = tokio::join!(placement.process.terminate(GRACE), admission.process.terminate(GRACE));
        ended
    }

    /// Ends both as a crash would (SIGKILL).
    pub async fn kill(self) {
        let Self { placement, admission } = self;
        tokio::join!(placement.process.kill(), admission.process.kill());
    }

    /// Ends `rempart run` alone as Kubernetes would, and says how.
    pub async fn terminate_placement(&self) -> Option<ExitStatus> {
        self.placement.process.terminate(GRACE).await
    }

    /// Ends `rempart run-admission` alone as a crash would.
    pub async fn kill_admission(&self) {
        self.admission.process.kill().await;
    }

    /// Stops both where they stand (SIGSTOP), as a machine in trouble might.
    pub fn pause(&self) {
        self.placement.process.signal(Signal::SIGSTOP);
        self.admission.process.signal(Signal::SIGSTOP);
    }

    /// Lets both go on after [`OperatorProcess::pause`].
    pub fn resume(&self) {
        self.placement.process.signal(Signal::SIGCONT);
        self.admission.process.signal(Signal::SIGCONT);
    }

    /// Waits until `rempart run` ends by itself, and says how.
    pub async fn wait(&self) -> Option<ExitStatus> {
        self.placement.process.wait().await
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
