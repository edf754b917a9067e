//! kubectl and helm against the control plane, as a person would run them.
//!
//! A method of [`ControlPlane`] takes arguments and returns a [`ToolCommand`], which is run with the administrator's
//! kubeconfig unless another is given. The user's own kubectl and helm files are left alone.

use std::{
    ffi::OsStr,
    path::Path,
    process::{ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{ControlPlane, LabError, Program, Result};

/// The chart of this repository.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/rempart");

/// The namespace of the operator.
const NAMESPACE: &str = "rempart-system";

/// A command line that can be run.
#[derive(Debug)]
#[must_use = "nothing runs before `output` or `run` is awaited"]
pub struct ToolCommand {
    command: Command,
    line: String,
    stdin: Option<Vec<u8>>,
}

/// Outcome of a command line.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl ToolCommand {
    /// Text for its standard input, which is empty otherwise.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it with another kubeconfig than the administrator's.
    pub fn kubeconfig(mut self, path: &Path) -> Self {
        self.command.env("KUBECONFIG", path);
        self
    }

    /// Runs it, and leaves it to the caller whether its status is a success.
    pub async fn output(mut self) -> Result<ToolOutput> {
        let spawn_error = |reason| LabError::Spawn { program: self.line.clone(), reason };
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn_error)?;
        let input = child.stdin.take();
        let feed = async {
            if let (Some(mut input), Some(text)) = (input, &self.stdin) {
                // A program that ends without reading all of it says itself what it missed.
                let _ = input.write_all(text).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(spawn_error)?;
        Ok(ToolOutput {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it, and returns its standard output. Fails with its standard error.
    pub async fn run(self) -> Result<String> {
        let command = self.line.clone();
        let ToolOutput { status, stdout, stderr } = self.output().await?;
        if status.success() {
            Ok(stdout)
        } else {
            Err(LabError::Command { command, status, stderr: stderr.trim_end().to_owned() })
        }
    }
}

impl ControlPlane {
    /// A kubectl command line, as the administrator.
    ///
    /// ```no_run
    /// # async fn example(cluster: &rempart_lab::ControlPlane) -> rempart_lab::Result<()> {
    /// let phase = cluster.kubectl(["get", "pod", "web", "-o", "jsonpath={.status.phase}"]).run().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> ToolCommand {
        self.tool(Program::Kubectl, arguments)
    }

    /// A helm command line, as the administrator. It leaves the user's own helm files alone.
    pub fn helm<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> ToolCommand {
        let mut invocation = self.tool(Program::Helm, arguments);
        for kind in ["CACHE", "CONFIG", "DATA"] {
            invocation.command.env(format!("HELM_{kind}_HOME"), self.dir().join("helm"));
        }
        invocation
    }

    fn tool<S: AsRef<OsStr>>(&self, program: Program, arguments: impl IntoIterator<Item = S>) -> ToolCommand {
        let mut command = Command::new(self.layout.binaries.path(program));
        let mut line = program.name().to_owned();
        for argument in arguments {
            line.push(' ');
            line.push_str(&argument.as_ref().to_string_lossy());
            command.arg(argument);
        }
        command.env("KUBECONFIG", self.admin_kubeconfig()).env("KUBECACHEDIR", self.dir().join("kubectl-cache"));
        ToolCommand { command, line, stdin: None }
    }

    /// Applies manifests, one or several in YAML, as the administrator.
    pub async fn apply(&self, manifests: &str) -> Result<String> {
        self.kubectl(["apply", "-f", "-"]).stdin(manifests).run().await
    }

    /// Installs the chart of this repository with the given values, or upgrades it to them. The
    /// operator itself stays out of the cluster, whose nodes run nothing.
    pub async fn install_chart(&self, values: &Value) -> Result<()> {
        let values = self.write_file("values.json", &values.to_string())?;
        let outside = self.write_file(
            "outside.json",
            &json!({"operator": {"replicas": 0}, "admission": {"replicas": 0}, "mutation": self.mutation()})
                .to_string(),
        )?;
        let arguments = [
            OsStr::new("upgrade"),
            "--install".as_ref(),
            "rempart".as_ref(),
            CHART.as_ref(),
            "--namespace".as_ref(),
            NAMESPACE.as_ref(),
            "--create-namespace".as_ref(),
            "--values".as_ref(),
            values.as_os_str(),
            "--values".as_ref(),
            outside.as_os_str(),
        ];
        self.helm(arguments).run().await.map(drop)
    }
}
