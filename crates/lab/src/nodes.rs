//! Nodes whose kubelets kwok plays.
//!
//! [`ControlPlane::add_nodes`] takes specifications, registers the nodes ready, and returns when pods may be scheduled
//! on all of them: the node lifecycle controller has removed the taint with which every node is born.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use super::{ControlPlane, LabError, Result, wait::eventually};

/// Nodes created at once.
const CREATED_AT_ONCE: usize = 32;

/// Nodes polled at once until they are schedulable. Few: a poll takes the API server's
/// time from those who make them so.
const AWAITED_AT_ONCE: usize = 4;

/// Timeout until pods may be scheduled on a new node, among thousands of others.
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// Makes the addresses of nodes differ.
static ADDRESS: AtomicU32 = AtomicU32::new(1);

/// A node to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeNode {
    /// Its name, which is also its label `kubernetes.io/hostname`.
    pub name: String,
    /// Its labels, beside those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its `spec.providerID`.
    pub provider_id: Option<String>,
    /// Its capacity, all of it allocatable.
    pub capacity: BTreeMap<String, String>,
}

impl FakeNode {
    /// A node of 64 cores and 256 GiB that takes 250 pods.
    pub fn new(name: impl Into<String>) -> Self {
        let capacity = [("cpu", "64"), ("memory", "256Gi"), ("pods", "250")];
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            provider_id: None,
            capacity: capacity.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// With one more annotation.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// With a `spec.providerID`.
    #[must_use]
    pub fn provider_id(mut self, id: impl Into<String>) -> Self {
        self.provider_id = Some(id.into());
        self
    }

    /// With another capacity of one resource.
    #[must_use]
    pub fn capacity(mut self, resource: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.capacity.insert(resource.into(), quantity.into());
        self
    }

    /// The node as a kubelet would register it, ready from the start: one write instead of two.
    fn object(&self) -> Value {
        let Self { name, labels, annotations, provider_id, capacity } = self;
        let mut all_labels: BTreeMap<&str, &str> = BTreeMap::from([
            ("kubernetes.io/hostname", name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            // Old names, which the node lifecycle controller would add with a write of its own.
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", "amd64"),
            ("kwok.x-k8s.io/node", "fake"),
        ]);
        all_labels.extend(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let [_, a, b, c] = ADDRESS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let condition = |kind, status, reason| json!({"type": kind, "status": status, "reason": reason});
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": all_labels, "annotations": annotations},
            "spec": {"providerID": provider_id},
            "status": {
                "capacity": capacity,
                "allocatable": capacity,
                "addresses": [
                    {"type": "Hostname", "address": name},
                    {"type": "InternalIP", "address": format!("10.{a}.{b}.{c}")},
                ],
                "conditions": [
                    condition("Ready", "True", "KubeletReady"),
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                    condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                ],
                "nodeInfo": {
                    "architecture": "amd64",
                    "operatingSystem": "linux",
                    "kubeletVersion": "kwok",
                    "kubeProxyVersion": "kwok",
                    "containerRuntimeVersion": "kwok",
                    "kernelVersion": "kwok",
                    "osImage": "kwok",
                    "bootID": "",
                    "machineID": "",
                    "systemUUID": "",
                },
            },
        })
    }
}

impl ControlPlane {
    /// Makes a node, and waits until pods may be scheduled on it.
    pub async fn add_node(&self, node: FakeNode) -> Result<()> {
        self.add_nodes([node]).await
    }

    /// Makes nodes, some at a time, and waits until pods may be scheduled on all of them.
    pub async fn add_nodes(&self, nodes: impl IntoIterator<Item = FakeNode>) -> Result<()> {
        let created = nodes.into_iter().map(|node| self.create(node));
        let names: Vec<_> = stream::iter(created).buffer_unordered(CREATED_AT_ONCE).try_collect().await?;
        // Only now: most of them are schedulable by the time that they are looked at.
        let ready = names.iter().map(|name| self.schedulable(name));
        stream::iter(ready).buffer_unordered(AWAITED_AT_ONCE).try_collect().await
    }

    async fn create(&self, node: FakeNode) -> Result<String> {
        let api: Api<Node> = Api::all(self.admin());
        let action = format!("create the node {}", node.name);
        let object = serde_json::from_value(node.object())
            .map_err(|error| LabError::Unsupported(format!("cannot {action}: {error}")))?;
        api.create(&PostParams::default(), &object).await.map_err(LabError::api(action))?;
        Ok(node.name)
    }

    /// Waits until the node lifecycle controller has seen that the node is ready, and has taken the
    /// taint away with which every node is born.
    async fn schedulable(&self, name: &str) -> Result<()> {
        let api: Api<Node> = Api::all(self.admin());
        eventually(format!("the node {name} to be schedulable"), READY_TIMEOUT, async || {
            let node = api.get(name).await.map_err(|error| error.to_string())?;
            let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            match taints.iter().find(|taint| taint.key == "node.kubernetes.io/not-ready") {
                None => Ok(()),
                Some(taint) => Err(format!("it has the taint {}", taint.key)),
            }
        })
        .await
    }
}
