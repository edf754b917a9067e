//! Faults, done to the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    attendance::Attendance,
    cluster::{Verb, apply, insist, list},
    dice::Dice,
    floors::Floors,
    operators::Operators,
    plan::Fault,
    world::{POOL_LABEL, SHAKEN, State, VAULT, node_names},
};
use crate::{Component, ControlPlane, eventually};

/// How long nodes may take to be back, with all their pods.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whoever does things to the cluster.
pub(super) struct Shaker<'a> {
    pub(super) cluster: &'a ControlPlane,
    pub(super) client: Client,
    /// Whose lists the audit log keeps.
    pub(super) recorder: Client,
    pub(super) operators: &'a Operators<'a>,
    pub(super) attendance: &'a Attendance,
    pub(super) floors: &'a Floors,
    pub(super) dice: Dice,
    pub(super) state: State,
    pub(super) parted: BTreeSet<&'static str>,
}

impl Shaker<'_> {
    /// Does what a fault is about, and waits until it is done.
    pub(super) async fn strike(&mut self, fault: Fault) -> Result<()> {
        let mut state = self.state.clone();
        if fault.alter(&mut state) {
            return self.record(state).await;
        }
        match fault {
            Fault::Part(name, true) => self.part(name).await,
            Fault::Part(name, false) => self.join(name).await,
            Fault::Pause(true) => {
                self.attendance.lost("leader paused");
                self.operators.pause().await
            }
            Fault::Pause(false) => self.operators.resume().await,
            Fault::KillLeader => {
                self.attendance.lost("leader killed");
                self.operators.kill_leader().await
            }
            Fault::KillAll => {
                self.attendance.lost("all replicas killed");
                let away = self.away();
                self.operators.kill_all(away).await
            }
            Fault::KillApiServer => self.kill(Component::ApiServer, "API server killed").await,
            Fault::KillEtcd => self.kill(Component::Etcd, "etcd killed").await,
            _ => Ok(()),
        }
    }

    /// Puts everything right that is still wrong, but for the pool whose pods must be kept.
    pub(super) async fn rest(&mut self) -> Result<()> {
        let rest =
            State { expired: self.state.expired.intersection(&[VAULT].into()).copied().collect(), ..State::default() };
        self.record(rest).await?;
        for name in SHAKEN.into_iter().filter(|name| self.parted.contains(name)).collect::<Vec<_>>() {
            self.join(name).await?;
        }
        self.rouse().await?;
        self.operators.resume().await
    }

    /// Has kwok look again at the pods of Jobs: where an API server that had just come refused that one succeeds, it
    /// does not try a second time, as a kubelet would.
    async fn rouse(&self) -> Result<()> {
        let roused = eventually("the pods of Jobs to be looked at again", PATIENCE, async || {
            for pod in list(&self.client, "/api/v1/pods").await? {
                let text = |pointer| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                // One that waits for its kubelet, or one of a Job that is to end.
                let of_job = text("/metadata/ownerReferences/0/kind") == "Job";
                let waits = !text("/spec/nodeName").is_empty()
                    && (text("/status/phase") == "Pending" || (text("/status/phase") == "Running" && of_job));
                if waits && text("/metadata/annotations/chaos.example~1roused").is_empty() {
                    let path =
                        format!("/api/v1/namespaces/{}/pods/{}", text("/metadata/namespace"), text("/metadata/name"));
                    let note = json!({"metadata": {"annotations": {"chaos.example/roused": "yes"}}});
                    report(&self.client, &path, &note).await?;
                }
            }
            anyhow::Ok(())
        });
        Ok(roused.await?)
    }

    fn away(&mut self) -> Duration {
        self.dice.between(Duration::from_millis(500), Duration::from_secs(4))
    }

    /// Makes the cluster's facts those of `next`.
    async fn record(&mut self, next: State) -> Result<()> {
        let before = self.state.providers();
        for (name, provider) in next.providers() {
            if before.get(name) == Some(&provider) {
                continue;
            }
            if let Some(provider) = provider {
                apply(&self.client, "cloudproviders", &provider).await?;
            } else {
                let path = format!("/apis/rempart.dev/v1alpha1/cloudproviders/{name}");
                insist(&self.client, Verb::Delete, &path, &Value::Null).await?;
            }
        }
        for (before, policy) in self.state.policies().iter().zip(next.policies()) {
            if *before != policy {
                apply(&self.client, "placementpolicies", &policy).await?;
            }
        }
        let namespace = next.namespace("claims");
        if namespace != self.state.namespace("claims") {
            insist(&self.client, Verb::Apply, "/api/v1/namespaces/claims", &namespace).await?;
        }
        self.state = next;
        Ok(())
    }

    /// Kills a part of the control plane, and starts it again after a while.
    async fn kill(&mut self, component: Component, why: &str) -> Result<()> {
        self.attendance.lost(why);
        self.cluster.kill(component).await?;
        sleep(self.away()).await;
        self.cluster.start_again(component).await?;
        self.list_all().await
    }

    /// Has the audit log tell what there is, as a kill may have swallowed what it had to say.
    pub(super) async fn list_all(&self) -> Result<()> {
        for path in [
            "/api/v1/pods",
            "/api/v1/namespaces",
            "/api/v1/nodes",
            "/apis/rempart.dev/v1alpha1/cloudproviders",
            "/apis/rempart.dev/v1alpha1/placementpools",
            "/apis/rempart.dev/v1alpha1/placementpolicies",
        ] {
            let listed = eventually(format!("{path} to be listed"), PATIENCE, async || {
                list(&self.recorder, path).await.map(drop).map_err(|error| error.to_string())
            });
            listed.await?;
        }
        Ok(())
    }

    /// The nodes of a provider are not ready any more, nor are their pods: what the node lifecycle controller says of
    /// nodes that it hears nothing from, but at once. It keeps new pods from them.
    async fn part(&mut self, name: &'static str) -> Result<()> {
        self.floors.cut_off(node_names(name));
        self.parted.insert(name);
        self.mark(name, &json!("true")).await?;
        eventually(format!("the nodes of {name} to be cut off"), PATIENCE, async || {
            for node in list(&self.client, "/api/v1/nodes").await? {
                let own = node.pointer("/metadata/labels").and_then(|labels| labels.get(POOL_LABEL));
                ensure!(own.is_none_or(|pool| pool != name) || !is_ready(&node), "one is ready");
            }
            anyhow::Ok(())
        })
        .await?;
        let nodes = node_names(name).collect();
        let told = eventually(format!("the pods of {name} to be cut off"), PATIENCE, async || {
            self.report_pods(&nodes, false).await
        });
        Ok(told.await?)
    }

    async fn mark(&self, name: &str, down: &Value) -> Result<()> {
        for node in node_names(name) {
            let patch = json!({"metadata": {"annotations": {"lab.rempart.dev/down": down}}});
            insist(&self.client, Verb::Merge, &format!("/api/v1/nodes/{node}"), &patch).await?;
        }
        Ok(())
    }

    /// They are back. Their kubelets report that their pods are ready, which kwok does only once in a pod's life.
    async fn join(&mut self, name: &'static str) -> Result<()> {
        if !self.parted.remove(name) {
            return Ok(());
        }
        self.mark(name, &Value::Null).await?;
        let nodes: BTreeSet<String> = node_names(name).collect();
        eventually(format!("the nodes of {name} to be back with their pods"), PATIENCE, async || {
            self.nodes_are_back(&nodes).await?;
            self.report_pods(&nodes, true).await?;
            ensure!(self.floors.joined(&nodes), "some of their pods are not ready yet");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    async fn nodes_are_back(&self, nodes: &BTreeSet<String>) -> Result<()> {
        for node in list(&self.client, "/api/v1/nodes").await? {
            let name = node.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            ensure!(!nodes.contains(name) || is_ready(&node), "node {name} is not ready");
        }
        Ok(())
    }

    /// Says of all pods that run on these nodes whether they are ready.
    async fn report_pods(&self, nodes: &BTreeSet<String>, ready: bool) -> Result<()> {
        for pod in list(&self.client, "/api/v1/pods").await? {
            let text = |pointer| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let runs = text("/status/phase") == "Running" && text("/metadata/deletionTimestamp").is_empty();
            if !runs || !nodes.contains(text("/spec/nodeName")) || is_ready(&pod) == ready {
                continue;
            }
            let path =
                format!("/api/v1/namespaces/{}/pods/{}/status", text("/metadata/namespace"), text("/metadata/name"));
            let status = if ready { "True" } else { "False" };
            let conditions = ["Ready", "ContainersReady"].map(|kind| json!({"type": kind, "status": status}));
            // It may be gone by now.
            report(&self.client, &path, &json!({"status": {"conditions": conditions}})).await.ok();
        }
        Ok(())
    }
}

async fn report(client: &Client, path: &str, body: &Value) -> Result<()> {
    let request = http::Request::patch(path)
        .header("content-type", "application/strategic-merge-patch+json")
        .body(body.to_string().into_bytes())?;
    client.request::<Value>(request).await?;
    Ok(())
}

pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let status: BTreeMap<_, _> =
        conditions.filter_map(|found| Some((found.get("type")?.as_str()?, found.get("status")?.as_str()?))).collect();
    status.get("Ready") == Some(&"True")
}
