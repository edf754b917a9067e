//! Setup of a chaos run: a control plane with an audit log, the chart, the facts and two replicas of the operator.
//!
//! [`populate`] returns when every policy is enforced and every node carries the stamps that the facts grant.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::json;

use super::{
    facts::{FaultState, NAMESPACES, nodes, pools},
    leader_gaps,
    operators::OperatorReplicas,
    raw_object::{is_true, text},
    requests::{WriteVerb, apply, insist, list},
    snapshot::ObjectSnapshot,
    wall_clock::now,
};
use crate::{ControlPlane, ControlPlaneOptions, ProgressDisplay, eventually, kubeconfig};

const AUDIT_LOG: &str = "audit.log";
/// The user whose lists the audit log keeps, by the lab's audit policy.
const RECORDER: &str = "rempart-lab:recorder";
const PATIENCE: Duration = Duration::from_mins(2);

/// Boots a control plane with an audit log.
pub(super) async fn boot(progress: ProgressDisplay) -> Result<ControlPlane> {
    let options = ControlPlaneOptions {
        audit_log: Some(PathBuf::from(AUDIT_LOG)),
        progress: Some(progress),
        ..ControlPlaneOptions::default()
    };
    Ok(ControlPlane::start(options).await?)
}

pub(super) fn audit_log(cluster: &ControlPlane) -> PathBuf {
    cluster.dir().join(AUDIT_LOG)
}

/// A client of the administrator that never retries by itself.
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
pub(super) async fn populate<'a>(
    cluster: &'a ControlPlane,
    client: &Client,
    progress: ProgressDisplay,
) -> Result<OperatorReplicas<'a>> {
    let step = progress.step("installing Rempart, with two replicas");
    cluster.install_chart(&json!({})).await?;
    cluster.add_nodes(nodes()).await?;
    let state = FaultState::default();
    for pool in pools() {
        apply(client, "placementpools", &pool).await?;
    }
    for provider in state.providers().into_values().flatten() {
        apply(client, "cloudproviders", &provider).await?;
    }
    for policy in state.policies().into_values().flatten() {
        apply(client, "placementpolicies", &policy).await?;
    }
    for (name, _) in NAMESPACES {
        insist(client, WriteVerb::Apply, &format!("/api/v1/namespaces/{name}"), &state.namespace(name)).await?;
    }
    leader_gaps::prepare(client).await?;
    let operators = OperatorReplicas::start(cluster).await?;
    eventually("the policies to be enforced and all nodes stamped", PATIENCE, async || {
        for policy in list(client, "/apis/rempart.dev/v1alpha1/placementpolicies").await? {
            ensure!(is_true(&policy, "Enforced"), "not enforced");
        }
        ObjectSnapshot::read(client, false).await?.stamps_agree(now())
    })
    .await?;
    step.done();
    Ok(operators)
}

/// UIDs of the pods that must be kept where they are.
pub(super) async fn pods_of_the_vault(client: &Client) -> Result<BTreeSet<String>> {
    let pods = eventually("the pods of the vault to be listed", PATIENCE, async || {
        list(client, "/api/v1/namespaces/vault/pods").await
    });
    Ok(pods.await?.iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect())
}
