//! The people of the demo, each with a kubeconfig and the rights that the chart gives them.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use crate::lab::{ControlPlane, Output, eventually};

/// How long an API server that was killed may take to answer again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody with a name and a kubeconfig.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// What the demo calls them.
    pub(super) name: String,
    kubeconfig: PathBuf,
}

/// The three people for whom Rempart is made.
pub(super) struct People {
    pub(super) officer: Person,
    pub(super) engineer: Person,
    pub(super) developer: Person,
}

impl People {
    /// Gives them client certificates of the groups that `deploy/demo/people.yaml` knows.
    pub(super) fn of(cluster: &ControlPlane) -> Result<Self> {
        let person = |name: &str, group: &str| Person::with_certificate(cluster, name, name, group);
        Ok(Self {
            officer: person("security-officer", "security-officers")?,
            engineer: person("platform-engineer", "platform-engineers")?,
            developer: person("developer", "developers")?,
        })
    }
}

impl Person {
    /// Somebody who authenticates as `user`, a member of `group`.
    pub(super) fn with_certificate(cluster: &ControlPlane, name: &str, user: &str, group: &str) -> Result<Self> {
        let kubeconfig = cluster.user_kubeconfig(user, &[group])?;
        Ok(Self { name: name.to_owned(), kubeconfig })
    }

    /// A `ServiceAccount`, for which it waits if need be.
    pub(super) async fn with_token(cluster: &ControlPlane, namespace: &str, name: &str) -> Result<Self> {
        let kubeconfig = cluster.service_account_kubeconfig(namespace, name).await?;
        Ok(Self { name: name.to_owned(), kubeconfig })
    }

    /// Runs kubectl as this person, again while the API server does not answer at all, and returns its answer.
    pub(super) async fn kubectl(&self, cluster: &ControlPlane, arguments: &[&str]) -> Result<Output> {
        let what = format!("an answer to `kubectl {}`", arguments.join(" "));
        let output = eventually(what, PATIENCE, async || {
            let output = cluster.kubectl(arguments).kubeconfig(&self.kubeconfig).output().await;
            let output = output.map_err(|error| error.to_string())?;
            if unanswered(&output) { Err(output.stderr) } else { Ok(output) }
        });
        Ok(output.await?)
    }

    /// [`Person::kubectl`] that must succeed. Returns its standard output.
    pub(super) async fn must(&self, cluster: &ControlPlane, arguments: &[&str]) -> Result<String> {
        let output = self.kubectl(cluster, arguments).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let command = format!("`kubectl {}` of {} failed", arguments.join(" "), self.name);
        Err(anyhow::anyhow!(output.stderr.trim_end().to_owned())).context(command)
    }

    /// [`Person::must`] that is tried again while it fails, for rights that were granted just now.
    pub(super) async fn soon(&self, cluster: &ControlPlane, arguments: &[&str]) -> Result<String> {
        let what = format!("`kubectl {}` of {} to succeed", arguments.join(" "), self.name);
        let done = eventually(what, PATIENCE, async || {
            self.must(cluster, arguments).await.map_err(|error| format!("{error:#}"))
        });
        Ok(done.await?)
    }
}

/// Whether the API server, or its store, was away.
fn unanswered(output: &Output) -> bool {
    let signs = [
        "connection refused",
        "was refused - did you",
        "Unable to connect",
        "unexpected EOF",
        "etcdserver:",
        "connection reset",
    ];
    !output.status.success() && signs.iter().any(|sign| output.stderr.contains(sign))
}
