//! Scripts: a run as `rempart-lab simulate` takes it, to be looked at with the whole operator.
//!
//! The objects of the world at its beginning, then for each action what of them it changed. What the operator does itself
//! is left to the operator.

use std::{collections::BTreeMap, time::Duration};

use rempart_core::migration::StepTarget;
use serde_json::{Value, json};

use super::{
    action::Action,
    objects::{KEY, NAMESPACE, node_name, pod_name, pool_name, replica_set_name, workload_name},
    scenario::{Facts, ModelKind, Scenario, WorkloadSpec},
    world::{PodState, WorkloadState, World, pod_uid, replica_set_uid, workload_uid},
};
use rempart_core::cluster_objects::{ObjectUid, PodPhase};

/// Pods that stand where they may: more than those of any world, and so few that one workload moves at a time.
const BYSTANDERS: usize = 8;

/// A step of a run.
#[derive(Clone, Debug)]
pub(super) struct PathStep {
    pub(super) action: Action,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// Whether the API server refused what the operator asked for.
    pub(super) refused: bool,
    /// The world after it.
    pub(super) world: World,
}

/// Objects by kind and name, in the order in which they are put.
type Objects = BTreeMap<(u8, String), Value>;

/// The run `path` of `scenario`, as a script.
pub(super) fn script(scenario: &Scenario, told: &str, path: &[PathStep]) -> String {
    let mut documents = Vec::new();
    let mut world = World::initial(scenario);
    let mut before = objects(&world, scenario);
    documents.extend(before.values().cloned());
    documents.extend(bystanders());
    documents.push(json!({"advance": "10s"}));
    for (number, step) in path.iter().enumerate() {
        let after = objects(&step.world, scenario);
        match &step.action {
            Action::Look => {
                documents.extend(failures(path.get(number.saturating_add(1)..).unwrap_or_default(), &world, scenario));
                documents.push(json!({"advance": "500ms"}));
            }
            Action::Wait | Action::Delay => {
                documents.push(json!({"advance": format!("{}s", step.elapsed.as_secs().max(1))}));
            }
            // Facts are taken for new by whoever begins to lead.
            Action::TakeOver => {
                documents.extend([json!({"lead": false}), json!({"lead": true}), json!({"advance": "2s"})]);
            }
            // The operator writes them by itself, at most so often.
            Action::Record => documents.push(json!({"advance": "2s"})),
            // The operator stamps by itself, and what it asks for is carried out.
            Action::Stamp { .. } | Action::Lose { .. } => {}
            Action::Answer { .. }
            | Action::Control { .. }
            | Action::Schedule { .. }
            | Action::Ready { .. }
            | Action::Gone { .. }
            | Action::Revert { .. }
            | Action::Flip => documents.extend(difference(&before, &after)),
        }
        if let Action::Revert { workload } = &step.action {
            documents.push(reverted(*workload));
        }
        before = after;
        world = step.world.clone();
    }
    documents.push(json!({"report": "held"}));
    let text = documents.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n");
    format!("# {}: {told}\n---\n{text}\n", scenario.name)
}

/// What the operator asked for in the run `path` of `scenario`, in order: the kind of write and its object.
pub(super) fn writes(scenario: &Scenario, path: &[PathStep]) -> Vec<String> {
    let mut world = World::initial(scenario);
    let mut writes = Vec::new();
    for step in path {
        if let Action::Answer { workload, target } | Action::Lose { workload, target, .. } = &step.action {
            writes.extend(write(*workload, target, &world, scenario));
        }
        world = step.world.clone();
    }
    writes
}

/// A step of the move of `workload` in `world`, as the kind of write and its object.
fn write(workload: usize, target: &StepTarget, world: &World, scenario: &Scenario) -> Option<String> {
    let spec = scenario.workloads.get(workload)?;
    Some(match target {
        StepTarget::Template => {
            let kind = match spec.kind {
                ModelKind::Deployment { .. } | ModelKind::Recreate | ModelKind::Paused => "Deployment",
                ModelKind::StatefulSet => "StatefulSet",
                ModelKind::DaemonSet => "DaemonSet",
                ModelKind::Job { .. } => "Job",
                ModelKind::Foreign { .. } => return None,
            };
            format!("migration {kind} {NAMESPACE}/{}", workload_name(workload))
        }
        StepTarget::Pod(uid) => {
            let pods = &world.workloads.get(workload)?.pods;
            let pod = pods.iter().find(|pod| pod_uid(workload, pod.ordinal, pod.uid) == *uid)?;
            format!("eviction Pod {NAMESPACE}/{}", pod_name(workload, spec, pod))
        }
    })
}

/// What of the writes that follow, before the operator looks again, is to fail.
fn failures(next: &[PathStep], world: &World, scenario: &Scenario) -> Vec<Value> {
    let failed = next.iter().take_while(|step| step.action != Action::Look).filter_map(|step| {
        let (workload, target, with) = match &step.action {
            Action::Lose { workload, target, carried_out: false } => (*workload, target, json!("timeout")),
            Action::Answer { workload, target } if step.refused => {
                (*workload, target, json!({"refused": {"code": 429, "message": "not now"}}))
            }
            _ => return None,
        };
        let write = write(workload, target, world, scenario)?;
        Some(json!({"fail": {"write": write, "with": with, "times": 1}}))
    });
    failed.collect()
}

fn difference(before: &Objects, after: &Objects) -> Vec<Value> {
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, object)| {
        let named = |field: &str| object.pointer(field).cloned().unwrap_or_default();
        let (kind, namespace, name) = (named("/kind"), named("/metadata/namespace"), named("/metadata/name"));
        json!({"delete": {"kind": kind, "namespace": namespace, "name": name}})
    });
    let put = after.iter().filter(|(key, object)| before.get(*key) != Some(object)).map(|(_, object)| object.clone());
    gone.chain(put).collect()
}

/// That the owner of a workload takes the note away.
fn reverted(index: usize) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload_name(index), "namespace": NAMESPACE},
        "spec": {"template": {"metadata": {"annotations": {"rempart.dev/migration": null}}}},
    })
}

fn objects(world: &World, scenario: &Scenario) -> Objects {
    let mut objects = Objects::new();
    let facts = world.facts(scenario);
    let mut add = |order: u8, object: Value| {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        objects.insert((order, name), object);
    };
    add(0, provider(facts));
    for node in 0..scenario.nodes.len() {
        add(
            1,
            json!({
                "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPool", "metadata": {"name": pool_name(node)},
                "spec": {"provider": "acme", "offer": format!("o{node}"), "zone": format!("z{node}"),
                         "nodeSelector": {"matchLabels": {"pool": pool_name(node)}}},
            }),
        );
        add(
            3,
            json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": node_name(node), "labels": {"pool": pool_name(node)}},
                "status": {"conditions": [{"type": "Ready", "status": "True"}],
                           "allocatable": {"cpu": "64", "memory": "64Gi", "pods": scenario.nodes[node].to_string()}},
            }),
        );
    }
    let require = if facts.demanded { json!({"qualifications": ["hds"]}) } else { Value::Null };
    add(
        2,
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "state"},
            "spec": {"mode": "Enforce", "defaultLevel": "low",
                     "levels": [{"name": "low"}, {"name": "restricted", "require": require}]},
        }),
    );
    add(4, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    for (index, (state, spec)) in world.workloads.iter().zip(scenario.workloads).enumerate() {
        let wanted = world.wanted(scenario, index);
        for controller in controllers(index, state, spec, wanted) {
            add(5, controller);
        }
        for pod in &state.pods {
            add(6, pod_object(index, spec, pod));
        }
    }
    objects
}

/// Pods of the same level on a node that is full with them: what moves is a small part of the level, as the breaker wants
/// it.
fn bystanders() -> Vec<Value> {
    let pool = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPool", "metadata": {"name": "full"},
        "spec": {"provider": "acme", "offer": "full", "zone": "full", "nodeSelector": {"matchLabels": {"pool": "full"}}},
    });
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "full", "labels": {"pool": "full"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
                   "allocatable": {"cpu": "64", "memory": "64Gi", "pods": BYSTANDERS.to_string()}},
    });
    let pod = |number: usize| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("bystander-{number}"), "namespace": NAMESPACE,
                         "annotations": {"rempart.dev/sensitivity": "restricted"}},
            "spec": {"nodeName": "full", "containers": [{"name": "main"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        })
    };
    [pool, node].into_iter().chain((0..BYSTANDERS).map(pod)).collect()
}

fn provider(facts: &Facts) -> Value {
    let offer = |(node, cleared): (usize, &bool)| {
        let qualifications = if *cleared { json!([{"scheme": "hds", "validFrom": "2026-01-01"}]) } else { json!([]) };
        json!({"name": format!("o{node}"), "qualifications": qualifications,
               "zones": [{"name": format!("z{node}"), "region": "par", "country": "FR"}]})
    };
    let full = json!({"name": "full", "qualifications": [{"scheme": "hds", "validFrom": "2026-01-01"}],
                      "zones": [{"name": "full", "region": "par", "country": "FR"}]});
    let offers: Vec<_> = facts.cleared.iter().enumerate().map(offer).chain([full]).collect();
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "CloudProvider", "metadata": {"name": "acme"},
           "spec": {"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": offers}})
}

/// What a pod, or a template, says of its level and selects by; null where it does not, which takes it away.
fn said_and_selected(said: bool, selects: bool) -> (Value, Value) {
    let said = if said { json!("restricted") } else { Value::Null };
    let selected = if selects { json!("true") } else { Value::Null };
    (json!({"rempart.dev/workload-sensitivity": said}), json!({KEY: selected}))
}

fn uid(uid: ObjectUid) -> Value {
    json!(uid.to_string())
}

fn controllers(index: usize, state: &WorkloadState, spec: &WorkloadSpec, wanted: usize) -> Vec<Value> {
    let name = workload_name(index);
    let (annotations, selector) = said_and_selected(state.template.said, state.template.selects);
    let template = json!({"metadata": {"annotations": annotations},
                          "spec": {"nodeSelector": selector, "containers": [{"name": "main"}]}});
    let rolling = |surge: u8, unavailable: u8| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    let metadata = json!({"name": name, "namespace": NAMESPACE, "uid": uid(workload_uid(index)),
                          "generation": if state.observed { 1 } else { 2 },
                          "annotations": {"rempart.dev/sensitivity": "restricted"}});
    let object = |version: &str, kind: &str, extra: Value, status: Value| {
        let mut spec = json!({"replicas": wanted, "template": template});
        if let (Some(spec), Some(extra)) = (spec.as_object_mut(), extra.as_object()) {
            spec.extend(extra.clone());
        }
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": status})
    };
    let deployment = |paused: bool, strategy: Value| {
        let status = json!({"observedGeneration": 1, "replicas": state.count(|_| true),
                            "updatedReplicas": state.count(|pod| pod.current),
                            "availableReplicas": state.count(PodState::is_ready)});
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": replica_set_name(index), "namespace": NAMESPACE, "uid": uid(replica_set_uid(index)),
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name,
                                              "uid": uid(workload_uid(index)), "controller": true}]},
            "spec": {"replicas": wanted, "template": template}});
        vec![object("apps/v1", "Deployment", json!({"paused": paused, "strategy": strategy}), status), set]
    };
    match spec.kind {
        ModelKind::Deployment { surge, unavailable } => deployment(false, rolling(surge, unavailable)),
        ModelKind::Paused => deployment(true, rolling(1, 0)),
        ModelKind::Recreate => deployment(false, json!({"type": "Recreate"})),
        ModelKind::StatefulSet => {
            let latest = if state.pods.iter().all(|pod| pod.current) { "one" } else { "two" };
            let status = json!({"observedGeneration": 1, "currentRevision": "one", "updateRevision": latest,
                                "updatedReplicas": state.count(|pod| pod.current)});
            vec![object("apps/v1", "StatefulSet", json!({}), status)]
        }
        ModelKind::DaemonSet => {
            let status = json!({"observedGeneration": 1, "desiredNumberScheduled": wanted,
                                "updatedNumberScheduled": state.count(|pod| pod.current)});
            vec![object("apps/v1", "DaemonSet", json!({}), status)]
        }
        ModelKind::Job { failures } => {
            let failed = failures.saturating_sub(state.failures_left);
            let extra = json!({"parallelism": wanted, "completions": wanted, "backoffLimit": failures});
            vec![object("batch/v1", "Job", extra, json!({"startTime": "2026-03-01T11:00:00Z", "failed": failed}))]
        }
        ModelKind::Foreign { .. } => Vec::new(),
    }
}

fn pod_object(index: usize, spec: &WorkloadSpec, pod: &PodState) -> Value {
    let name = workload_name(index);
    let (version, kind, owner, owner_uid) = match spec.kind {
        ModelKind::Deployment { .. } | ModelKind::Recreate | ModelKind::Paused => {
            ("apps/v1", "ReplicaSet", replica_set_name(index), replica_set_uid(index))
        }
        ModelKind::StatefulSet => ("apps/v1", "StatefulSet", name, workload_uid(index)),
        ModelKind::DaemonSet => ("apps/v1", "DaemonSet", name, workload_uid(index)),
        ModelKind::Job { .. } => ("batch/v1", "Job", name, workload_uid(index)),
        ModelKind::Foreign { .. } => ("example.com/v1", "Cluster", name, workload_uid(index)),
    };
    let (annotations, selector) = said_and_selected(pod.said, pod.selects);
    let conditions = match pod.phase {
        PodPhase::Ready => json!([{"type": "Ready", "status": "True"}]),
        PodPhase::Unschedulable => json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]),
        PodPhase::Gated | PodPhase::Waiting | PodPhase::Starting | PodPhase::Running | PodPhase::Done => json!([]),
    };
    let deletion = if pod.terminating { json!("2026-03-01T12:00:00Z") } else { Value::Null };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(index, spec, pod), "namespace": NAMESPACE, "annotations": annotations,
                     "uid": uid(pod_uid(index, pod.ordinal, pod.uid)), "deletionTimestamp": deletion,
                     "ownerReferences": [{"apiVersion": version, "kind": kind, "name": owner, "uid": uid(owner_uid),
                                          "controller": true}]},
        "spec": {"nodeName": pod.node.map(|node| node_name(node.into())), "nodeSelector": selector,
                 "containers": [{"name": "main"}]},
        "status": {"phase": if pod.phase == PodPhase::Ready { "Running" } else { "Pending" }, "conditions": conditions},
    })
}
