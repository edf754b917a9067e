//! Running pods and room: what pods request and nodes have, as manifests say it.
//!
//! Takes nodes, pods and pod templates, read as the operator reads them, and returns a [`RunningCluster`] for a drill. A
//! workload of which pods were read is counted by these; of another, as many pods are made as its template is to have.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::{Pod as PodObject, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use serde_json::{Value, json};

use super::{ControllerKey, LocatedWorkload, metadata::ObjectMetadata, volume::WorkloadClaims};
use crate::{
    manifest::node::ManifestNode,
    operator::watch::{fields::ResourceAmounts, partial::DecodedObject, template::effect},
};
use rempart_core::{
    cluster_objects::{NodeTaint, ObjectUid, OwnerRef, Pod, SchedulingConstraints},
    drill::{DrillPod, NodeCapacity, RunningCluster, SpreadConstraint},
    inventory::PlanInventory,
    selector::{Labels, Selector, SelectorOperator},
    workload::{NodeRequirements, WorkloadIdentity, WorkloadKind},
};

/// What was read of pods and nodes, beside what a plan needs of them.
#[derive(Clone, Debug, Default)]
pub(super) struct GatheredPods {
    nodes: BTreeMap<Arc<str>, NodeCapacity>,
    /// The pods, by namespace and name.
    pods: BTreeMap<String, ReadPod>,
    templates: Vec<ReadTemplate>,
}

/// A pod as it was read.
#[derive(Clone, Debug)]
struct ReadPod {
    pod: Pod,
    labels: Arc<Labels>,
    spread: Arc<[SpreadConstraint]>,
    /// What controls it, where a cluster has said so.
    of: Option<ControllerKey>,
}

/// A pod template, and how many pods it is to have.
#[derive(Clone, Debug)]
struct ReadTemplate {
    identity: WorkloadIdentity,
    /// `None` where nobody can say.
    replicas: Option<u32>,
    pod: ReadPod,
    claims: WorkloadClaims,
}

impl GatheredPods {
    /// Takes in all that `other` has beside it.
    pub(super) fn complete(&mut self, other: Self) {
        for (name, node) in other.nodes {
            self.nodes.entry(name).or_insert(node);
        }
        for (key, pod) in other.pods {
            self.pods.entry(key).or_insert(pod);
        }
        self.templates.extend(other.templates);
    }

    /// Takes in the node `name`.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub(super) fn node(&mut self, name: &Arc<str>, node: &ManifestNode<'_>) -> Result<(), String> {
        let at = |path: &[&str]| path.iter().try_fold(node, |node, key| node.get(key)).map(ManifestNode::to_json);
        let Some(amounts) = at(&["status", "allocatable"]) else {
            return Err("status.allocatable is missing, so that nobody knows what room it has".to_owned());
        };
        let amounts: ResourceAmounts =
            serde_json::from_value(amounts).map_err(|error| format!("status.allocatable: {error}"))?;
        let (allocatable, extended_resources) =
            amounts.read().map_err(|error| format!("status.allocatable.{error}"))?;
        let conditions = at(&["status", "conditions"]).unwrap_or_default();
        let not_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] != "True";
        let not_ready = conditions.as_array().into_iter().flatten().any(not_ready);
        let cordoned = at(&["spec", "unschedulable"]).is_some_and(|value| value == json!(true));
        let taints = at(&["spec", "taints"]).unwrap_or_default();
        let taints = taints.as_array().into_iter().flatten().filter_map(|taint| {
            let text = |key: &str| taint[key].as_str().unwrap_or_default();
            Some(NodeTaint { key: text("key").into(), value: text("value").into(), effect: effect(text("effect"))? })
        });
        let capacity = NodeCapacity {
            allocatable,
            extended_resources,
            taints: taints.collect(),
            schedulable: !cordoned && !not_ready,
        };
        self.nodes.insert(Arc::clone(name), capacity);
        Ok(())
    }

    /// Takes in a pod that was read.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub(super) fn pod(
        &mut self,
        namespace: &str,
        metadata: &ObjectMetadata<'_>,
        node: &ManifestNode<'_>,
    ) -> Result<(), String> {
        let by = metadata.controller.filter(|_| metadata.exists);
        let of = by.map(|(kind, name)| (kind.to_owned(), Arc::from(namespace), name.to_owned()));
        let part = |key: &str| part(node, key);
        let object = json!({
            "metadata": named(part("metadata"), metadata.name, namespace), "spec": part("spec"), "status": part("status"),
        });
        if let Some(pod) = ReadPod::decode(object, of)? {
            // Several of those that say only how their names begin are several.
            let mut key = format!("{namespace}/{}", metadata.name);
            while metadata.is_generated && self.pods.contains_key(&key) {
                key.push('+');
            }
            self.pods.insert(key, pod);
        }
        Ok(())
    }

    /// Takes in the template of the workload `identity`, which is `node`.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub(super) fn template(
        &mut self,
        identity: &WorkloadIdentity,
        claims: &WorkloadClaims,
        node: &ManifestNode<'_>,
        template: &ManifestNode<'_>,
    ) -> Result<(), String> {
        let part = |key: &str| part(template, key);
        let metadata = named(part("metadata"), &identity.name, &identity.namespace);
        let object = json!({"metadata": metadata, "spec": part("spec")});
        let Some(pod) = ReadPod::decode(object, None)? else { return Ok(()) };
        let replicas = replicas(identity.kind, node);
        self.templates.push(ReadTemplate { identity: identity.clone(), replicas, pod, claims: claims.clone() });
        Ok(())
    }

    /// What runs, by the workloads of `inventory`. `owner` gives the workload that a controller is of, or is.
    pub(super) fn into_running(
        self,
        inventory: &PlanInventory,
        owner: impl Fn(&ControllerKey) -> Option<WorkloadIdentity>,
    ) -> RunningCluster {
        let Self { nodes, pods, templates } = self;
        let mut index: BTreeMap<&WorkloadIdentity, usize> = BTreeMap::new();
        for (at, workload) in inventory.workloads.iter().enumerate() {
            index.entry(&workload.identity).or_insert(at);
        }
        let mut found = RunningCluster { nodes, ..RunningCluster::default() };
        let mut shared = SharedParts::default();
        let mut having_pods = BTreeSet::new();
        for (key, ReadPod { pod, labels, spread, of }) in pods {
            let (namespace, name) = key.split_once('/').unwrap_or_default();
            let own = || WorkloadIdentity {
                namespace: namespace.into(),
                kind: WorkloadKind::Pod,
                name: name.trim_end_matches('+').into(),
            };
            let workload =
                of.as_ref().and_then(&owner).and_then(|owner| index.get(&owner)).or_else(|| index.get(&own())).copied();
            having_pods.extend(workload);
            found.pods.push(shared.share(DrillPod { key, pod, labels, spread, workload }));
        }
        let mut identifiers = 1_u128..;
        for ReadTemplate { identity, replicas, pod, claims } in templates {
            let Some(workload) = index.get(&identity).copied().filter(|at| !having_pods.contains(at)) else { continue };
            having_pods.insert(workload);
            let Some(replicas) = replicas else {
                found.uncounted.push(identity);
                continue;
            };
            let requirements: NodeRequirements =
                inventory.workloads.get(workload).map(|it| it.node_requirements.clone()).unwrap_or_default();
            let owner = Some(Arc::new(OwnerRef {
                kind: Some(identity.kind),
                kind_said: identity.kind.as_str().into(),
                name: Arc::clone(&identity.name),
                uid: ObjectUid(identifiers.next().unwrap_or_default()),
            }));
            let ReadPod { pod, labels, spread, of: _ } = pod;
            let pod = Pod { owner, node: None, node_requirements: Arc::new(requirements), ..pod };
            for number in 0..replicas {
                let numbered = claims.numbered.iter().map(|prefix| Arc::from(format!("{prefix}{number}")));
                let claims = pod.claims.iter().cloned().chain(numbered).collect();
                let uid = ObjectUid(identifiers.next().unwrap_or_default());
                let made = DrillPod {
                    key: format!("{}/{}-{number}", identity.namespace, identity.name),
                    pod: Pod { uid, claims, ..pod.clone() },
                    labels: Arc::clone(&labels),
                    spread: Arc::clone(&spread),
                    workload: Some(workload),
                };
                let made = shared.share(made);
                if identity.kind == WorkloadKind::DaemonSet { found.daemons.push(made) } else { found.pods.push(made) }
            }
        }
        // In one order, whatever the order of manifests.
        found.pods.sort_by(|one, other| one.key.cmp(&other.key));
        for drilled in found.pods.iter_mut().chain(&mut found.daemons) {
            let (namespace, _) = drilled.key.split_once('/').unwrap_or_default();
            let (known, unknown): (Vec<_>, Vec<_>) = drilled
                .pod
                .claims
                .iter()
                .cloned()
                .partition(|claim| inventory.claims.contains_key(&format!("{namespace}/{claim}")));
            if !unknown.is_empty() {
                found.unknown_claims = found.unknown_claims.saturating_add(unknown.len());
                drilled.pod.claims = known.into();
            }
        }
        found
    }
}

/// What `node` has under `key`; an object without fields where it has nothing there, as in a manifest without a status.
fn part(node: &ManifestNode<'_>, key: &str) -> Value {
    node.get(key).filter(|found| !found.is_null()).map_or_else(|| json!({}), ManifestNode::to_json)
}

/// `metadata` of a pod, with its name and its namespace, which it may lack where it was read.
fn named(metadata: Value, name: &str, namespace: &str) -> Value {
    let mut fields = match metadata {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    fields.insert("name".to_owned(), json!(name));
    fields.insert("namespace".to_owned(), json!(namespace));
    Value::Object(fields)
}

impl ReadPod {
    /// That of `object`; nothing of one that has ended.
    fn decode(object: Value, of: Option<ControllerKey>) -> Result<Option<Self>, String> {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let labels: Labels =
            labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        let spread = object.pointer("/spec/topologySpreadConstraints");
        let spread = spread.map_or_else(|| Ok(Vec::new()), |listed| self::spread(listed, &labels))?;
        let read: DecodedObject<PodObject, Pod> = serde_json::from_value(object).map_err(|error| error.to_string())?;
        let pod = read.value?;
        Ok(pod.map(|pod| Self { pod, labels: Arc::new(labels), spread: spread.into(), of }))
    }
}

/// The constraints of `listed` that keep a pod with `labels` off nodes.
fn spread(listed: &Value, labels: &Labels) -> Result<Vec<SpreadConstraint>, String> {
    if listed.is_null() {
        return Ok(Vec::new());
    }
    let listed: Vec<TopologySpreadConstraint> =
        serde_json::from_value(listed.clone()).map_err(|error| format!("spec.topologySpreadConstraints: {error}"))?;
    let hard = listed.into_iter().filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule");
    let read = hard.map(|constraint| {
        let is_honoured = |said: &Option<String>, default: &str| said.as_deref().unwrap_or(default) == "Honor";
        let own = constraint
            .match_label_keys
            .iter()
            .flatten()
            .filter_map(|key| Some((key.clone(), SelectorOperator::In([labels.get(key)?.clone()].into()))));
        let terms = constraint.label_selector.as_ref().map_or_else(no_pod, terms);
        SpreadConstraint {
            topology_key: constraint.topology_key.as_str().into(),
            max_skew: u32::try_from(constraint.max_skew).unwrap_or_default().max(1),
            min_domains: constraint.min_domains.and_then(|least| u32::try_from(least).ok()),
            peers: Selector::new(terms.into_iter().chain(own).collect()),
            honours_affinity: is_honoured(&constraint.node_affinity_policy, "Honor"),
            honours_taints: is_honoured(&constraint.node_taints_policy, "Ignore"),
        }
    });
    Ok(read.collect())
}

/// What a selector that is not there selects.
fn no_pod() -> Vec<(String, SelectorOperator)> {
    vec![(String::new(), SelectorOperator::Exists)]
}

fn terms(selector: &LabelSelector) -> Vec<(String, SelectorOperator)> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), SelectorOperator::In([value.clone()].into())));
    let expressions = selector.match_expressions.iter().flatten();
    let expressions = expressions.map(|one| {
        let operator = SelectorOperator::of_node_affinity(&one.operator, one.values.clone().unwrap_or_default());
        // What Kubernetes does not know matches nothing.
        (one.key.clone(), operator.unwrap_or_else(|| SelectorOperator::In(BTreeSet::new())))
    });
    labels.chain(expressions).collect()
}

/// How many pods a workload of `kind` is to have; `None` where that depends on when one looks.
fn replicas(kind: WorkloadKind, node: &ManifestNode<'_>) -> Option<u32> {
    let spec = node.get("spec");
    let number = |key: &str| {
        let value = spec.and_then(|spec| spec.get(key))?.to_json();
        Some(u32::try_from(value.as_u64()?).unwrap_or(u32::MAX).min(MOST_REPLICAS))
    };
    let is_suspended = spec.and_then(|spec| spec.get("suspend")).is_some_and(|value| value.to_json() == json!(true));
    match kind {
        WorkloadKind::DaemonSet | WorkloadKind::Pod => Some(1),
        WorkloadKind::CronJob => None,
        WorkloadKind::Job if is_suspended => Some(0),
        WorkloadKind::Job => {
            let parallel = number("parallelism").unwrap_or(1);
            Some(number("completions").map_or(parallel, |completions| parallel.min(completions)))
        }
        WorkloadKind::Deployment
        | WorkloadKind::StatefulSet
        | WorkloadKind::ReplicaSet
        | WorkloadKind::Templated(_) => Some(number("replicas").unwrap_or(1)),
    }
}

/// How many pods of one template are counted at most: no cluster has more.
const MOST_REPLICAS: u32 = 150_000;

/// Parts of pods that many share, each kept once: those that are alike look for a node alike.
#[derive(Default)]
struct SharedParts {
    requirements: BTreeSet<Arc<NodeRequirements>>,
    scheduling: BTreeSet<Arc<SchedulingConstraints>>,
}

impl SharedParts {
    fn share(&mut self, mut drilled: DrillPod) -> DrillPod {
        share(&mut self.requirements, &mut drilled.pod.node_requirements);
        share(&mut self.scheduling, &mut drilled.pod.scheduling);
        drilled
    }
}

fn share<T: Ord>(known: &mut BTreeSet<Arc<T>>, own: &mut Arc<T>) {
    match known.get(own) {
        Some(same) => *own = Arc::clone(same),
        None => drop(known.insert(Arc::clone(own))),
    }
}

/// Takes from `other`, which was read elsewhere, the workloads that `known` has not.
pub(super) fn add_unknown(known: &mut Vec<LocatedWorkload>, other: Vec<LocatedWorkload>) {
    let named: BTreeSet<WorkloadIdentity> = known.iter().map(|found| found.workload.identity.clone()).collect();
    known.extend(other.into_iter().filter(|found| !named.contains(&found.workload.identity)));
}
