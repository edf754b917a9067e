//! Errors of the lab, each a sentence for the person at the terminal.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// The result of everything in the lab.
pub type Result<T, E = LabError> = std::result::Result<T, E>;

/// Why the lab could not do what it was asked.
///
/// Each reads as a whole sentence with its cause in it, so none has a [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A file or directory of the lab could not be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },

    /// A program could not be started at all.
    #[error("cannot start {program}: {reason}")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        reason: io::Error,
    },

    /// Go, which builds the control plane, is missing or too old.
    #[error("{0}")]
    Go(String),

    /// A binary of the control plane does not build.
    #[error("building {binary} failed ({status}); the end of what go said:\n{output}")]
    Build {
        /// The binary.
        binary: &'static str,
        /// How go ended.
        status: ExitStatus,
        /// The last lines that go printed.
        output: String,
    },

    /// A certificate or key could not be made.
    #[error("cannot make the certificate of {subject}: {reason}")]
    Certificate {
        /// Whose.
        subject: String,
        /// Why not.
        reason: rcgen::Error,
    },

    /// Something was asked for that the lab cannot give.
    #[error("{0}")]
    Unsupported(String),

    /// A client could not be made from a kubeconfig of the lab.
    #[error("cannot make a client from {}: {reason}", kubeconfig.display())]
    Client {
        /// The kubeconfig.
        kubeconfig: PathBuf,
        /// Why not.
        reason: String,
    },

    /// The API server refused a request of the lab itself.
    #[error("cannot {action}: {}", said(reason))]
    Api {
        /// What was tried, as a verb and an object.
        action: String,
        /// What the API server or the client said.
        reason: Box<kube::Error>,
    },

    /// A component ended although nobody told it to.
    #[error("{component} ended by itself ({status}); the end of its log:\n{}", log.trim_end())]
    Ended {
        /// The component.
        component: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },

    /// A component that was asked for does not run.
    #[error("{0} is not running")]
    NotRunning(String),

    /// A condition was waited for in vain.
    #[error("waited {} s for {what}, but {reason}", after.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// Why the last attempt did not count.
        reason: String,
    },

    /// A command line tool was run and failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed on standard error.
        stderr: String,
    },
}

impl LabError {
    /// For `map_err` on file operations.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { action, path, reason }
    }

    /// For `map_err` on requests.
    pub(super) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |reason| Self::Api { action, reason: Box::new(reason) }
    }
}

/// Message of an API server's answer, without the structure around it.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}
