//! Fault injection into the cluster.
//!
//! [`FaultInjector::inject`] takes a fault and returns when its effect is complete: the facts are written, the process
//! is killed and started again, the nodes are unreachable or back with all their pods.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    availability::AvailabilityMonitor,
    facts::{FaultState, POOL_LABEL, SHAKEN, VAULT, node_names},
    fault_schedule::InjectedFault,
    leader_gaps::LeaderGaps,
    operators::OperatorReplicas,
    raw_object::{is_running, is_true, text},
    requests::{WriteVerb, apply, insist, list},
};
use crate::{Component, ControlPlane, eventually, rng::SeededRng};

/// Timeout until nodes are back, with all their pods.
const PATIENCE: Duration = Duration::from_mins(2);

/// Injector of faults, with the facts as it has left them.
pub(super) struct FaultInjector<'a> {
    pub(super) cluster: &'a ControlPlane,
    pub(super) client: Client,
    /// The client whose lists the audit log keeps.
    pub(super) recorder: Client,
    pub(super) operators: &'a OperatorReplicas<'a>,
    pub(super) leader_gaps: &'a LeaderGaps,
    pub(super) availability: &'a AvailabilityMonitor,
    pub(super) rng: SeededRng,
    pub(super) state: FaultState,
    pub(super) partitioned: BTreeSet<&'static str>,
}

impl FaultInjector<'_> {
    /// Injects a fault, and returns when its effect is complete.
    pub(super) async fn inject(&mut self, fault: InjectedFault) -> Result<()> {
        let mut state = self.state.clone();
        if fault.alter(&mut state) {
            return self.record_facts(state).await;
        }
        match fault {
            InjectedFault::Partition(name, true) => self.partition(name).await,
            InjectedFault::Partition(name, false) => self.rejoin(name).await,
            InjectedFault::Pause(true) => {
                self.leader_gaps.begin("leader paused");
                self.operators.pause().await
            }
            InjectedFault::Pause(false) => self.operators.resume().await,
            InjectedFault::KillLeader => {
                self.leader_gaps.begin("leader killed");
                self.operators.kill_leader().await
            }
            InjectedFault::KillAll => {
                self.leader_gaps.begin("all replicas killed");
                let away = self.away();
                self.operators.kill_all(away).await
            }
            InjectedFault::KillApiServer => self.kill(Component::ApiServer, "API server killed").await,
            InjectedFault::KillEtcd => self.kill(Component::Etcd, "etcd killed").await,
            _ => Ok(()),
        }
    }

    /// Remedies every fault that is still in effect, but for the pool whose pods must be kept.
    pub(super) async fn restore_all(&mut self) -> Result<()> {
        let rest = FaultState {
            expired: self.state.expired.intersection(&[VAULT].into()).copied().collect(),
            ..FaultState::default()
        };
        self.record_facts(rest).await?;
        for name in SHAKEN.into_iter().filter(|name| self.partitioned.contains(name)).collect::<Vec<_>>() {
            self.rejoin(name).await?;
        }
        self.requeue_job_pods().await?;
        self.operators.resume().await
    }

    /// Has kwok reconcile the pods of Jobs again: where an API server that had just come refused that one succeeds, it
    /// does not try a second time, as a kubelet would.
    async fn requeue_job_pods(&self) -> Result<()> {
        let requeued = eventually("the pods of Jobs to be looked at again", PATIENCE, async || {
            for pod in list(&self.client, "/api/v1/pods").await? {
                let text = |pointer| text(&pod, pointer);
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
        Ok(requeued.await?)
    }

    fn away(&mut self) -> Duration {
        self.rng.between(Duration::from_millis(500), Duration::from_secs(4))
    }

    /// Makes the cluster's facts those of `next`.
    async fn record_facts(&mut self, next: FaultState) -> Result<()> {
        let before = self.state.providers();
        for (name, provider) in next.providers() {
            if before.get(name) == Some(&provider) {
                continue;
            }
            if let Some(provider) = provider {
                apply(&self.client, "cloudproviders", &provider).await?;
            } else {
                let path = format!("/apis/rempart.dev/v1alpha1/cloudproviders/{name}");
                insist(&self.client, WriteVerb::Delete, &path, &Value::Null).await?;
            }
        }
        for (before, policy) in self.state.policies().iter().zip(next.policies()) {
            if *before != policy {
                apply(&self.client, "placementpolicies", &policy).await?;
            }
        }
        let namespace = next.namespace("claims");
        if namespace != self.state.namespace("claims") {
            insist(&self.client, WriteVerb::Apply, "/api/v1/namespaces/claims", &namespace).await?;
        }
        self.state = next;
        Ok(())
    }

    /// Kills a component, and starts it again after a while.
    async fn kill(&mut self, component: Component, why: &str) -> Result<()> {
        self.leader_gaps.begin(why);
        self.cluster.kill(component).await?;
        sleep(self.away()).await;
        self.cluster.start_again(component).await?;
        self.list_all().await
    }

    /// Lists all facts and pods into the audit log, since a kill may have lost events.
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
    async fn partition(&mut self, name: &'static str) -> Result<()> {
        self.availability.cut_off(node_names(name));
        self.partitioned.insert(name);
        self.mark(name, &json!("true")).await?;
        eventually(format!("the nodes of {name} to be cut off"), PATIENCE, async || {
            for node in list(&self.client, "/api/v1/nodes").await? {
                let own = node.pointer("/metadata/labels").and_then(|labels| labels.get(POOL_LABEL));
                ensure!(own.is_none_or(|pool| pool != name) || !is_true(&node, "Ready"), "one is ready");
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
            insist(&self.client, WriteVerb::Merge, &format!("/api/v1/nodes/{node}"), &patch).await?;
        }
        Ok(())
    }

    /// Ends a partition. The kubelets report that their pods are ready, which kwok does only once in a pod's life.
    async fn rejoin(&mut self, name: &'static str) -> Result<()> {
        if !self.partitioned.remove(name) {
            return Ok(());
        }
        self.mark(name, &Value::Null).await?;
        let nodes: BTreeSet<String> = node_names(name).collect();
        eventually(format!("the nodes of {name} to be back with their pods"), PATIENCE, async || {
            self.nodes_are_back(&nodes).await?;
            self.report_pods(&nodes, true).await?;
            ensure!(self.availability.joined(&nodes), "some of their pods are not ready yet");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    async fn nodes_are_back(&self, nodes: &BTreeSet<String>) -> Result<()> {
        for node in list(&self.client, "/api/v1/nodes").await? {
            let name = text(&node, "/metadata/name");
            ensure!(!nodes.contains(name) || is_true(&node, "Ready"), "node {name} is not ready");
        }
        Ok(())
    }

    /// Says of all pods that run on these nodes whether they are ready.
    async fn report_pods(&self, nodes: &BTreeSet<String>, ready: bool) -> Result<()> {
        for pod in list(&self.client, "/api/v1/pods").await? {
            let text = |pointer| text(&pod, pointer);
            if !is_running(&pod) || !nodes.contains(text("/spec/nodeName")) || is_true(&pod, "Ready") == ready {
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
