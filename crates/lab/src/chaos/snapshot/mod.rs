//! Snapshot of raw objects, judged by the same second opinion as the audit log.
//!
//! It takes a client; its checks fail unless stamps are what the facts grant, every running pod is on a node that may
//! have it, every node that may have a pod of a `DaemonSet` has one, nothing waits for a key that nobody demands, and
//! records say what is the case.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use super::{
    load::LoadKind,
    raw_object::{condition, is_running, is_true, text},
    records,
    requests::list,
};
use rempart_audit::{ClusterFacts, NodeClearance, PlacementNeed, uncovered_nodes, undemanded_keys};

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
    /// The load's, by the last part of their path.
    workloads: Vec<(LoadKind, Value)>,
    pub(super) records: Vec<Value>,
    budgets: Vec<Value>,
}

/// The kinds of workloads, each once.
const KINDS: [LoadKind; 5] =
    [LoadKind::Deployment, LoadKind::StatefulSet, LoadKind::DaemonSet, LoadKind::Job, LoadKind::CronJob];

impl ObjectSnapshot {
    /// Reads everything, but pods, with what they are of, only where they are wanted.
    pub(super) async fn read(client: &Client, pods: bool) -> Result<Self> {
        let mut workloads = Vec::new();
        for kind in KINDS.into_iter().filter(|_| pods) {
            let (version, _) = kind.api();
            let path = format!("/apis/{version}/{}?labelSelector=chaos.example/load", kind.plural());
            workloads.extend(list(client, &path).await?.into_iter().map(|object| (kind, object)));
        }
        let ours = async |plural: &str| list(client, &format!("/apis/rempart.dev/v1alpha1/{plural}")).await;
        Ok(Self {
            providers: ours("cloudproviders").await?,
            pools: ours("placementpools").await?,
            policies: ours("placementpolicies").await?,
            namespaces: list(client, "/api/v1/namespaces").await?,
            nodes: list(client, "/api/v1/nodes").await?,
            pods: if pods { list(client, "/api/v1/pods").await? } else { Vec::new() },
            workloads,
            records: if pods { ours("workloadplacements").await? } else { Vec::new() },
            budgets: if pods { list(client, "/apis/policy/v1/poddisruptionbudgets").await? } else { Vec::new() },
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

    /// Fails unless every node carries the clearance stamps that the facts grant, and no other; of a policy that does not
    /// enforce, or is about to go, nodes keep what something selects by.
    pub(super) fn stamps_agree(&self, now: Timestamp) -> Result<()> {
        let facts = self.facts(now);
        for node in &self.nodes {
            let name = text(node, "/metadata/name");
            let clearance = NodeClearance::of(&facts, name);
            for policy in &self.policies {
                let policy_name = text(policy, "/metadata/name");
                let ends = !text(policy, "/metadata/deletionTimestamp").is_empty();
                let keeps = ends || text(policy, "/spec/mode") != "Enforce";
                let mut demands = false;
                for level in policy.pointer("/spec/levels").and_then(Value::as_array).into_iter().flatten() {
                    let level_name = text(level, "/name");
                    demands |= level.get("require").is_some();
                    let key = format!("{CLEARANCE}/{policy_name}.{level_name}");
                    let stamped = node.pointer("/metadata/labels").and_then(|labels| labels.get(&key)).is_some();
                    let cleared = demands && clearance.cleared(policy_name, level_name);
                    ensure!(
                        stamped == cleared || (keeps && stamped),
                        "node {name}: stamped {stamped} for {key}, cleared {cleared}"
                    );
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

    /// The workload of the load that a pod is of.
    fn workload(&self, pod: &Value) -> Option<&(LoadKind, Value)> {
        let app = text(pod, "/metadata/labels/app");
        self.workloads.iter().find(|(_, workload)| {
            text(workload, "/metadata/name") == app
                && text(workload, "/metadata/namespace") == text(pod, "/metadata/namespace")
        })
    }

    /// The pods of the workload `app`.
    pub(super) fn pods_of<'s>(&'s self, namespace: &'s str, app: &'s str) -> impl Iterator<Item = &'s Value> {
        self.pods.iter().filter(move |pod| {
            text(pod, "/metadata/namespace") == namespace && text(pod, "/metadata/labels/app") == app
        })
    }

    /// Where the pods of the workload `app` are, for messages.
    pub(super) fn whereabouts(&self, namespace: &str, app: &str) -> String {
        let said = |pod: &Value| {
            let going = if text(pod, "/metadata/deletionTimestamp").is_empty() { "" } else { ", going" };
            let of = |pointer| text(pod, pointer).to_owned();
            format!("{} on {} ({}{going})", of("/metadata/name"), of("/spec/nodeName"), of("/status/phase"))
        };
        self.pods_of(namespace, app).map(said).collect::<Vec<_>>().join(", ")
    }

    /// The need of a pod that runs, if it is created now.
    pub(super) fn need(&self, facts: &ClusterFacts<'_>, pod: &Value) -> PlacementNeed {
        match self.workload(pod) {
            Some((_, workload)) => PlacementNeed::of_owned(facts, pod, workload),
            None => PlacementNeed::of(facts, text(pod, "/metadata/namespace"), pod),
        }
    }

    /// Whether a pod is left to its owner: its Deployment is paused, ends all its pods before it makes new ones, could begin
    /// no successor beside it since both need one claim, or has it alone and takes every note of a move away.
    fn left_to_its_owner(&self, pod: &Value) -> bool {
        let Some((LoadKind::Deployment, deployment)) = self.workload(pod) else { return false };
        let holds = |pointer| deployment.pointer(pointer).is_some_and(|value| *value != Value::Null);
        let is = |pointer, value: Value| deployment.pointer(pointer) == Some(&value);
        let claimed = holds("/spec/template/spec/volumes/0/persistentVolumeClaim");
        let surges = !is("/spec/strategy/rollingUpdate/maxSurge", json!(0));
        let reverted = text(deployment, "/metadata/labels/chaos.example~1reverted") == "true";
        is("/spec/paused", json!(true))
            || text(deployment, "/spec/strategy/type") == "Recreate"
            || (claimed && surges)
            || (reverted && is("/spec/replicas", json!(1)))
    }

    /// Whether a budget takes a pod for one that is about to go, and so lets none go: for two minutes after an eviction of
    /// which nothing came, as of one that was cut short, Kubernetes refuses the next.
    fn held_by_budget(&self, pod: &Value) -> bool {
        let covers = |budget: &&Value| {
            text(budget, "/metadata/namespace") == text(pod, "/metadata/namespace")
                && text(budget, "/spec/selector/matchLabels/app") == text(pod, "/metadata/labels/app")
        };
        let waits = |budget: &Value| {
            let disrupted = budget.pointer("/status/disruptedPods").and_then(Value::as_object);
            let allowed = budget.pointer("/status/disruptionsAllowed").and_then(Value::as_u64);
            allowed == Some(0) && disrupted.is_some_and(|pods| !pods.is_empty())
        };
        self.budgets.iter().filter(covers).any(waits)
    }

    /// Each `DaemonSet` of the load with each node that may have one of its pods, and has none.
    pub(super) fn missing_of_daemon_sets(&self, now: Timestamp) -> BTreeSet<(String, String)> {
        let facts = self.facts(now);
        let sets = self.workloads.iter().filter(|(kind, _)| *kind == LoadKind::DaemonSet).map(|(_, set)| set);
        let missing = sets.flat_map(|set| {
            let name = format!("{}/{}", text(set, "/metadata/namespace"), text(set, "/metadata/name"));
            uncovered_nodes(&facts, set, &self.pods).into_iter().map(move |node| (name.clone(), node.to_owned()))
        });
        missing.collect()
    }

    /// Whether a pod of a `DaemonSet` waits for the scheduler and for nobody else: it is made for the node, which carries all
    /// that it selects by.
    pub(super) fn waits_for_scheduler(&self, set: &str, node: &str) -> bool {
        const OWN: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
        let labels = self.nodes.iter().find(|found| text(found, "/metadata/name") == node);
        let labels = labels.and_then(|found| found.pointer("/metadata/labels"));
        self.pods.iter().any(|pod| {
            let of = format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/labels/app"));
            let mut keys = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
            of == set
                && text(pod, "/spec/nodeName").is_empty()
                && text(pod, OWN) == node
                && keys.all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        })
    }

    /// Fails unless all is as it should be in the end. Counts the pods that are kept where they may not be, and the records
    /// that say what is the case.
    pub(super) fn sound(&self, now: Timestamp) -> Result<(usize, usize)> {
        self.stamps_agree(now)?;
        let facts = self.facts(now);
        let missing = self.missing_of_daemon_sets(now);
        if let Some((set, node)) = missing.first() {
            bail!("{} pods of DaemonSets are missing, as of {set} on {node}", missing.len());
        }
        let waits = |pod: &&Value| {
            text(pod, "/spec/nodeName").is_empty() && text(pod, "/metadata/deletionTimestamp").is_empty()
        };
        for pod in self.pods.iter().filter(waits) {
            let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
            let keys = undemanded_keys(&facts, pod);
            ensure!(keys.is_empty(), "{namespace}/{name} waits for what nobody demands: {keys:?}");
        }
        let failed = self.workloads.iter().find(|(kind, job)| *kind == LoadKind::Job && is_true(job, "Failed"));
        if let Some((_, job)) = failed {
            bail!("the Job {}/{} has failed", text(job, "/metadata/namespace"), text(job, "/metadata/name"));
        }
        let kept = self.compliant(now)?;
        Ok((kept, records::agree(self, &facts)?))
    }

    /// Fails unless every pod that runs stands where its need is met, or nowhere could, or only its owner may move it, or a
    /// budget holds it. Counts the latter three.
    fn compliant(&self, now: Timestamp) -> Result<usize> {
        let facts = self.facts(now);
        let (mut kept, mut wrong) = (0, Vec::new());
        for pod in self.pods.iter().filter(|pod| is_running(pod)) {
            let node = text(pod, "/spec/nodeName");
            let namespace = text(pod, "/metadata/namespace");
            let need = self.need(&facts, pod);
            let Some(why) = NodeClearance::of(&facts, node).refuses(&need) else { continue };
            let elsewhere =
                self.nodes.iter().filter(|node| is_true(node, "Ready")).map(|node| text(node, "/metadata/name"));
            let stays = self.left_to_its_owner(pod) || self.held_by_budget(pod);
            if !stays && elsewhere.into_iter().any(|node| NodeClearance::of(&facts, node).refuses(&need).is_none()) {
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

#[cfg(test)]
mod tests;
