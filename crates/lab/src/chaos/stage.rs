//! The cluster before anything goes wrong.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use super::{
    attendance,
    cluster::{Verb, apply, insist, list},
    now,
    operators::Operators,
    snapshot::Snapshot,
    world::{NAMESPACES, State, nodes, pools},
};
use crate::{ControlPlane, Options, Progress, eventually, kubeconfig};

const AUDIT_LOG: &str = "audit.log";
/// Whose lists the audit log keeps, by the lab's audit policy.
const RECORDER: &str = "rempart-lab:recorder";
const PATIENCE: Duration = Duration::from_mins(2);

/// A control plane that writes down who was put where.
pub(super) async fn boot(progress: Progress) -> Result<ControlPlane> {
    let options = Options { audit_log: Some(PathBuf::from(AUDIT_LOG)), progress: Some(progress), ..Options::default() };
    Ok(ControlPlane::start(options).await?)
}

pub(super) fn audit_log(cluster: &ControlPlane) -> PathBuf {
    cluster.dir().join(AUDIT_LOG)
}

/// A client that may do everything and leaves it to us when to try again.
pub(super) fn client(cluster: &ControlPlane) -> Result<Client> {
    let mut config = cluster.admin_config();
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// The client of the recorder.
pub(super) async fn recorder(cluster: &ControlPlane) -> Result<Client> {
    let path = cluster.user_kubeconfig(RECORDER, &["system:masters"])?;
    let mut config = kubeconfig::config(&path).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Installs Rempart, records the facts and starts the operator.
pub(super) async fn set<'a>(cluster: &'a ControlPlane, client: &Client, progress: Progress) -> Result<Operators<'a>> {
    let step = progress.step("installing Rempart, with two replicas");
    cluster.install_chart(&json!({})).await?;
    cluster.add_nodes(nodes()).await?;
    let state = State::default();
    for pool in pools() {
        apply(client, "placementpools", &pool).await?;
    }
    for provider in state.providers().into_values().flatten() {
        apply(client, "cloudproviders", &provider).await?;
    }
    for policy in state.policies() {
        apply(client, "placementpolicies", &policy).await?;
    }
    for (name, _) in NAMESPACES {
        insist(client, Verb::Apply, &format!("/api/v1/namespaces/{name}"), &state.namespace(name)).await?;
    }
    attendance::prepare(client).await?;
    let operators = Operators::start(cluster).await?;
    eventually("the policies to be enforced and all nodes stamped", PATIENCE, async || {
        for policy in list(client, "/apis/rempart.dev/v1alpha1/placementpolicies").await? {
            let conditions = policy.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let mut enforced = conditions.filter(|found| found.get("type").is_some_and(|kind| kind == "Enforced"));
            ensure!(enforced.any(|found| found.get("status").is_some_and(|status| status == "True")), "not enforced");
        }
        Snapshot::read(client, false).await?.stamps_agree(now())
    })
    .await?;
    step.done();
    Ok(operators)
}

/// The identities of the pods that must be kept where they are.
pub(super) async fn pods_of_the_vault(client: &Client) -> Result<BTreeSet<String>> {
    let pods = eventually("the pods of the vault to be listed", PATIENCE, async || {
        list(client, "/api/v1/namespaces/vault/pods").await
    });
    let uid = |pod: &Value| pod.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(pods.await?.iter().map(uid).collect())
}
