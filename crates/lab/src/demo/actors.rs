//! Actors of the demo, each with a kubeconfig and the rights that the chart grants their group.
//!
//! An actor takes arguments of kubectl and returns its answer. Requests are repeated while the API server is
//! unavailable, and never because they were refused by a rule.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use crate::{ControlPlane, ToolOutput, eventually, operator};

/// Timeout until an API server that was killed answers again.
const PATIENCE: Duration = Duration::from_mins(1);

/// An actor with a name and a kubeconfig.
#[derive(Clone, Debug)]
pub(super) struct DemoActor {
    /// Name in the demo's output.
    pub(super) name: String,
    kubeconfig: PathBuf,
}

/// The three people for whom Rempart is made.
pub(super) struct DemoActors {
    pub(super) officer: DemoActor,
    pub(super) engineer: DemoActor,
    pub(super) developer: DemoActor,
}

impl DemoActors {
    /// Gives them client certificates of the groups that `deploy/demo/people.yaml` knows.
    pub(super) fn of(cluster: &ControlPlane) -> Result<Self> {
        let person = |name: &str, group: &str| DemoActor::with_certificate(cluster, name, name, group);
        Ok(Self {
            officer: person("security-officer", "security-officers")?,
            engineer: person("platform-engineer", "platform-engineers")?,
            developer: person("developer", "developers")?,
        })
    }
}

impl DemoActor {
    /// An actor who authenticates as `user`, a member of `group`.
    pub(super) fn with_certificate(cluster: &ControlPlane, name: &str, user: &str, group: &str) -> Result<Self> {
        let kubeconfig = cluster.user_kubeconfig(user, &[group])?;
        Ok(Self { name: name.to_owned(), kubeconfig })
    }

    /// A `ServiceAccount`, for which it waits if need be.
    pub(super) async fn with_token(cluster: &ControlPlane, namespace: &str, name: &str) -> Result<Self> {
        let kubeconfig = cluster.service_account_kubeconfig(namespace, name).await?;
        Ok(Self { name: name.to_owned(), kubeconfig })
    }

    /// The cluster's administrator, who only reads and prepares.
    pub(super) fn administrator(cluster: &ControlPlane) -> Self {
        Self { name: "administrator".to_owned(), kubeconfig: cluster.admin_kubeconfig().to_owned() }
    }

    /// Runs kubectl as this person, again while the API server cannot answer yet, and returns its answer.
    pub(super) async fn kubectl(&self, cluster: &ControlPlane, arguments: &[&str]) -> Result<ToolOutput> {
        let what = format!("an answer to `kubectl {}`", arguments.join(" "));
        let output = eventually(what, PATIENCE, async || {
            let output = cluster.kubectl(arguments).kubeconfig(&self.kubeconfig).output().await;
            let output = output.map_err(|error| error.to_string())?;
            if unanswered(&output) { Err(output.stderr) } else { Ok(output) }
        });
        Ok(output.await?)
    }

    /// Runs rempart as this person.
    pub(super) async fn rempart(&self, arguments: &[&str]) -> Result<ToolOutput> {
        let mut command = tokio::process::Command::new(operator::binary()?);
        let output = command.args(arguments).env("KUBECONFIG", &self.kubeconfig).output().await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(ToolOutput { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    /// [`DemoActor::kubectl`] that must succeed. Returns its standard output.
    pub(super) async fn must(&self, cluster: &ControlPlane, arguments: &[&str]) -> Result<String> {
        let output = self.kubectl(cluster, arguments).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let command = format!("`kubectl {}` of {} failed", arguments.join(" "), self.name);
        Err(anyhow::anyhow!(output.stderr.trim_end().to_owned())).context(command)
    }
}

/// Whether the API server or its store was away, or had not read yet what it must know to answer: its first seconds are
/// full of such answers, and so are those after a right was granted. Nobody in the demo is refused by RBAC for good.
fn unanswered(output: &ToolOutput) -> bool {
    let away =
        ["connection refused", "was refused - did you", "Unable to connect", "EOF", "connection reset", "etcdserver:"];
    let young = [
        "failed to download openapi",
        "no matches for kind",
        "could not find the requested resource",
        "not yet ready to handle request",
        "You must be logged in",
        "ServiceUnavailable",
        "Timeout",
    ];
    let said = |sign: &str| output.stderr.contains(sign);
    // The sentence of RBAC: User "…" cannot create resource "…" in API group "…".
    let unknown = said("\" cannot ") && said(" resource \"");
    !output.status.success() && (unknown || away.iter().chain(&young).any(|sign| said(sign)))
}
