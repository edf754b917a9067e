//! Nodes that are cut off and come back with their pods, as a node lifecycle controller and kubelets would say.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use super::{FaultInjector, PATIENCE};
use crate::{
    chaos::{
        facts::node_names,
        raw_object::{is_running, is_true, text},
        requests::{WriteVerb, insist, list},
    },
    eventually,
};

impl FaultInjector<'_> {
    /// The nodes of a provider are not ready any more, nor are their pods: what the node lifecycle controller says of
    /// nodes that it hears nothing from, but at once. It keeps new pods from them.
    pub(super) async fn partition(&mut self, name: &'static str) -> Result<()> {
        let nodes: BTreeSet<String> = node_names(name).collect();
        self.availability.cut_off(nodes.clone());
        self.partitioned.insert(name);
        self.mark(name, &json!("true")).await?;
        eventually(format!("the nodes of {name} to be cut off"), PATIENCE, async || {
            for node in list(&self.client, "/api/v1/nodes").await? {
                ensure!(!nodes.contains(text(&node, "/metadata/name")) || !is_true(&node, "Ready"), "one is ready");
            }
            anyhow::Ok(())
        })
        .await?;
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
    pub(super) async fn rejoin(&mut self, name: &'static str) -> Result<()> {
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

    /// Has kwok reconcile the pods of Jobs again: where an API server that had just come refused that one succeeds, it
    /// does not try a second time, as a kubelet would.
    pub(super) async fn requeue_job_pods(&self) -> Result<()> {
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
}

async fn report(client: &Client, path: &str, body: &Value) -> Result<()> {
    let request = http::Request::patch(path)
        .header("content-type", "application/strategic-merge-patch+json")
        .body(body.to_string().into_bytes())?;
    client.request::<Value>(request).await?;
    Ok(())
}
