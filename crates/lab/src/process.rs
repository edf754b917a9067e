//! Child processes, each in a process group of its own, with its output in a log file.
//!
//! [`ChildProcess::spawn`] takes a command; the value tells whether the process has ended, and how. Its group is
//! registered with the [`ProcessWatchdog`] as long as it runs, and killed when the value is dropped.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{process::Command, sync::watch, time::timeout};

use super::{LabError, Result, watchdog::ProcessWatchdog};

/// Lines of a log that are shown.
const SHOWN_LINES: usize = 10;

/// A process that runs, or ran.
#[derive(Debug)]
pub(super) struct ChildProcess {
    name: String,
    group: i32,
    log: PathBuf,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl ChildProcess {
    /// Starts `command` with its output appended to `log`.
    pub(super) fn spawn(
        name: impl Into<String>,
        mut command: Command,
        log: &Path,
        watchdog: &Arc<ProcessWatchdog>,
    ) -> Result<Self> {
        let name = name.into();
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(LabError::file("open", log))?;
        let errors = output.try_clone().map_err(LabError::file("open", log))?;
        let spawn_error = |reason| LabError::Spawn { program: name.clone(), reason };
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn_error)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        watchdog.watch(group)?;
        let (sender, ended) = watch::channel(None);
        // Weak, so that this task does not keep the watchdog from its work at the end.
        let watchdog = Arc::downgrade(watchdog);
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                if let Some(watchdog) = watchdog.upgrade() {
                    watchdog.forget(group);
                }
                sender.send_replace(Some(status));
            }
        });
        Ok(Self { name, group, log: log.to_owned(), ended })
    }

    /// By what name it is told of.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub(super) fn pid(&self) -> i32 {
        self.group
    }

    /// Fails with the end of the log when the process has ended.
    pub(super) fn check(&self) -> Result<()> {
        match *self.ended.borrow() {
            None => Ok(()),
            Some(status) => Err(LabError::Ended { component: self.name.clone(), status, log: tail(&self.log) }),
        }
    }

    /// Waits until the process has ended, and says so as a failure.
    pub(super) fn failure(&self) -> impl Future<Output = LabError> + use<> {
        let mut ended = self.ended.clone();
        let (component, log) = (self.name.clone(), self.log.clone());
        async move {
            let status = ended.wait_for(Option::is_some).await.map_or(None, |status| *status);
            match status {
                Some(status) => LabError::Ended { component, status, log: tail(&log) },
                None => LabError::NotRunning(component),
            }
        }
    }

    /// Waits until the process has ended.
    pub(super) async fn wait(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.map_or(None, |status| *status)
    }

    /// Kills the whole group, and waits until the process is gone.
    pub(super) async fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }

    /// Asks the process to end, kills it when it does not within `grace`, and says how it ended.
    pub(super) async fn terminate(&self, grace: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        if let Ok(status) = timeout(grace, self.wait()).await {
            return status;
        }
        self.kill().await;
        self.wait().await
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: Signal) {
        // Once it has ended, its number may be another's. A group that ends just now is no error.
        if self.ended.borrow().is_none() && self.group > 1 {
            let _ = killpg(Pid::from_raw(self.group), signal);
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// The last lines of a log, indented.
pub(super) fn tail(log: &Path) -> String {
    let content = fs::read(log).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let lines: Vec<_> = content.lines().rev().take(SHOWN_LINES).collect();
    lines.iter().rev().flat_map(|line| ["    ", line, "\n"]).collect()
}
