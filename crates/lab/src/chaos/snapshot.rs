//! Snapshot of raw objects, judged by the same second opinion as the audit log.
//!
//! It takes a client; its checks fail unless stamps are what the facts grant, and every running pod is on a node that
//! may have it.

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use super::{
    raw_object::{condition, is_running, is_true, text},
    requests::list,
};
use rempart_audit::{ClusterFacts, NodeClearance, PlacementNeed};

/// The domain of clearance stamps.
const CLEARANCE: &str = "clearance.rempart.node-restriction.kubernetes.io";

/// Raw objects.
#[derive(Debug, Default)]
pub(super) struct ObjectSnapshot {
    providers: Vec<Value>,
    pools: Vec<Value>,
    policies: Vec<Value>,
    namespaces: Vec<Value>,
    nodes: Vec<Value>,
    pub(super) pods: Vec<Value>,
    deployments: Vec<Value>,
}

impl ObjectSnapshot {
    /// Reads everything, but pods only where they are wanted.
    pub(super) async fn read(client: &Client, pods: bool) -> Result<Self> {
        let ours = async |plural: &str| list(client, &format!("/apis/rempart.dev/v1alpha1/{plural}")).await;
        Ok(Self {
            providers: ours("cloudproviders").await?,
            pools: ours("placementpools").await?,
            policies: ours("placementpolicies").await?,
            namespaces: list(client, "/api/v1/namespaces").await?,
            nodes: list(client, "/api/v1/nodes").await?,
            pods: if pods { list(client, "/api/v1/pods").await? } else { Vec::new() },
            deployments: if pods { list(client, "/apis/apps/v1/deployments").await? } else { Vec::new() },
        })
    }

    pub(super) fn facts(&self, now: Timestamp) -> ClusterFacts<'_> {
        let named = |object| (text(object, "/metadata/name"), object);
        ClusterFacts {
            providers: self.providers.iter().map(named).collect(),
            pools: self.pools.iter().map(named).collect(),
            policies: self.policies.iter().map(named).collect(),
            namespaces: self.namespaces.iter().map(named).collect(),
            nodes: self.nodes.iter().map(named).collect(),
            now,
        }
    }

    /// Fails unless every node carries the clearance stamps that the facts grant, and no other.
    pub(super) fn stamps_agree(&self, now: Timestamp) -> Result<()> {
        let facts = self.facts(now);
        for node in &self.nodes {
            let name = text(node, "/metadata/name");
            let clearance = NodeClearance::of(&facts, name);
            for policy in &self.policies {
                let policy_name = text(policy, "/metadata/name");
                let mut demands = false;
                for level in policy.pointer("/spec/levels").and_then(Value::as_array).into_iter().flatten() {
                    let level_name = text(level, "/name");
                    demands |= level.get("require").is_some();
                    let key = format!("{CLEARANCE}/{policy_name}.{level_name}");
                    let stamped = node.pointer("/metadata/labels").and_then(|labels| labels.get(&key)).is_some();
                    let cleared = demands && clearance.cleared(policy_name, level_name);
                    ensure!(stamped == cleared, "node {name}: stamped {stamped} for {key}, cleared {cleared}");
                }
            }
        }
        Ok(())
    }

    /// The policies that hold a move until somebody approves it, with the identity of the move.
    pub(super) fn stopped(&self) -> Vec<(String, String)> {
        let of = |policy: &Value| {
            let stopped = condition(policy, "MoveStopped").filter(|found| text(found, "/status") == "True");
            let message = stopped.map(|found| text(found, "/message"))?;
            let (_, id) = message.split_once("rempart.dev/approve-move=")?;
            let id: String =
                id.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).collect();
            Some((text(policy, "/metadata/name").to_owned(), id.trim_end_matches('.').to_owned()))
        };
        self.policies.iter().filter_map(of).collect()
    }

    /// Whether a pod is of a Deployment that ends all its pods before it makes new ones: it is left to its owner.
    fn left_to_its_owner(&self, pod: &Value) -> bool {
        let same = |deployment: &Value| {
            let app = text(deployment, "/metadata/name") == text(pod, "/metadata/labels/app");
            app && text(deployment, "/metadata/namespace") == text(pod, "/metadata/namespace")
        };
        let recreates = |deployment: &Value| text(deployment, "/spec/strategy/type") == "Recreate";
        self.deployments.iter().any(|deployment| same(deployment) && recreates(deployment))
    }

    /// Fails unless every pod that runs stands where its need is met, or nowhere could, or only its owner may move it.
    /// Counts the latter two.
    pub(super) fn compliant(&self, now: Timestamp) -> Result<usize> {
        let facts = self.facts(now);
        let (mut kept, mut wrong) = (0, Vec::new());
        for pod in self.pods.iter().filter(|pod| is_running(pod)) {
            let node = text(pod, "/spec/nodeName");
            let namespace = text(pod, "/metadata/namespace");
            let need = PlacementNeed::of(&facts, namespace, pod);
            let Some(why) = NodeClearance::of(&facts, node).refuses(&need) else { continue };
            let elsewhere =
                self.nodes.iter().filter(|node| is_true(node, "Ready")).map(|node| text(node, "/metadata/name"));
            let owners = self.left_to_its_owner(pod);
            if !owners && elsewhere.into_iter().any(|node| NodeClearance::of(&facts, node).refuses(&need).is_none()) {
                wrong.push(format!("{namespace}/{} on {node}: {why}", text(pod, "/metadata/name")));
            } else {
                kept += 1;
            }
        }
        if let Some(first) = wrong.first() {
            bail!("{} pods stand where they may not, as {first}", wrong.len());
        }
        Ok(kept)
    }
}
