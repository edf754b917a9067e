//! Controllers, scheduler and kubelets of the simulated cluster: what makes pods of workloads, binds and runs them, in short.
//!
//! [`tick`] looks at everything and takes some of the steps that are due: which, the dice decide, so that the order of things
//! is another in each run.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    seeded::SeededRng,
    server::{ObjectKey, ServerState, kind_of},
};

const REVISION: &str = "controller-revision-hash";

/// What stands at `path`, as `/metadata/name`; none of the keys has a slash.
pub(crate) fn at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').skip(1).try_fold(object, |found, step| match found {
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        found => found.get(step),
    })
}

/// The text at `path`; empty where there is none.
pub(crate) fn text<'v>(object: &'v Value, path: &str) -> &'v str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> usize {
    at(object, pointer).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
}

pub(crate) fn key_of(plural: &'static str, object: &Value) -> ObjectKey {
    (plural, text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    at(object, "/metadata/deletionTimestamp").is_some()
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = at(pod, "/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn template_hash(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    format!("{:08x}", hasher.finish() >> 32)
}

/// Whether the labels of `node` are those that `selector` asks for.
pub(crate) fn selects(selector: Option<&Value>, node: &Value) -> bool {
    let asked = selector.and_then(Value::as_object).into_iter().flatten();
    asked.into_iter().all(|(key, value)| at(node, "/metadata/labels").and_then(|labels| labels.get(key)) == Some(value))
}

/// The node that alone a pod of a `DaemonSet` is for.
fn target(pod: &Value) -> Option<&str> {
    let found = at(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0",
    );
    found.and_then(Value::as_str)
}

/// Whether `pod` may be bound to `node`, as the scheduler has it.
pub(crate) fn fits(pod: &Value, node: &Value, taken: usize) -> bool {
    let allocatable = text(node, "/status/allocatable/pods").parse().unwrap_or_default();
    selects(at(pod, "/spec/nodeSelector"), node)
        && target(pod).is_none_or(|target| target == text(node, "/metadata/name"))
        && taken < allocatable
}

/// How many pods stand on each node.
pub(crate) fn taken(state: &ServerState) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for pod in state.all("pods") {
        let count: &mut usize = taken.entry(text(pod, "/spec/nodeName").to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    taken
}

/// Takes some of the steps that are due.
pub(crate) fn tick(state: &mut ServerState, dice: &mut SeededRng) {
    collect_garbage(state);
    for object in copied(state, "deployments") {
        deployment(state, dice, &object);
    }
    for object in copied(state, "replicasets") {
        replica_set(state, dice, &object);
    }
    for object in copied(state, "statefulsets") {
        stateful_set(state, dice, &object);
    }
    for object in copied(state, "daemonsets") {
        daemon_set(state, dice, &object);
    }
    schedule(state, dice);
    run_pods(state, dice);
}

fn copied(state: &ServerState, plural: &'static str) -> Vec<Arc<Value>> {
    state.all(plural).cloned().collect()
}

/// What `owner` controls.
fn owned(state: &ServerState, plural: &'static str, owner: &Value) -> Vec<Arc<Value>> {
    let uid = text(owner, "/metadata/uid");
    state.all(plural).filter(|object| text(object, "/metadata/ownerReferences/0/uid") == uid).cloned().collect()
}

/// Deletes what was owned by something that is gone.
fn collect_garbage(state: &mut ServerState) {
    let uids: BTreeSet<String> =
        state.objects.values().map(|object| text(object, "/metadata/uid").to_owned()).collect();
    let orphans = state.objects.iter().filter(|(_, object)| {
        let owner = text(object, "/metadata/ownerReferences/0/uid");
        !owner.is_empty() && !uids.contains(owner)
    });
    let orphans: Vec<ObjectKey> = orphans.map(|(key, _)| key.clone()).collect();
    for key in orphans {
        drop(state.delete(&key, &Value::Null));
    }
}

fn set_status(state: &mut ServerState, key: &ObjectKey, status: &Value) {
    if state.get(key).is_ok_and(|object| object.get("status") == Some(status)) {
        return;
    }
    drop(state.update(key, |object| {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), status.clone());
        }
    }));
}

fn make_pod(state: &mut ServerState, owner: &Value, name: &str, revision: &str, only_on: Option<&str>) {
    let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
    let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    labels[REVISION] = revision.into();
    let mut spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    if let Some(node) = only_on {
        spec["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        ]}}});
    }
    let pod = json!({
        "metadata": {
            "name": name, "namespace": owner["metadata"]["namespace"], "labels": labels,
            "annotations": template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({})),
            "ownerReferences": [{
                "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "controller": true,
            }],
        },
        "spec": spec,
        "status": {"phase": "Pending"},
    });
    if let Some(kind) = kind_of("pods") {
        drop(state.create(kind, pod));
    }
}

fn remove_pod(state: &mut ServerState, pod: &Value) {
    drop(state.delete(&key_of("pods", pod), &Value::Null));
}

fn deployment(state: &mut ServerState, dice: &mut SeededRng, object: &Value) {
    let (wanted, template) = (number(object, "/spec/replicas"), object["spec"]["template"].clone());
    let hash = template_hash(&template);
    let name = format!("{}-{hash}", text(object, "/metadata/name"));
    let sets = owned(state, "replicasets", object);
    let pods: Vec<Arc<Value>> = sets.iter().flat_map(|set| owned(state, "pods", set)).collect();
    let of_latest = |pod: &&Arc<Value>| text(pod, "/metadata/ownerReferences/0/name") == name;
    let staying = || pods.iter().filter(|pod| !is_terminating(pod));
    let available = staying().filter(|pod| is_ready(pod)).count();
    let total: usize = sets.iter().map(|set| number(set, "/spec/replicas")).sum();
    match sets.iter().find(|set| text(set, "/metadata/name") == name) {
        None => {
            let set = json!({
                "metadata": {
                    "name": name, "namespace": object["metadata"]["namespace"],
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "Deployment", "name": object["metadata"]["name"],
                        "uid": object["metadata"]["uid"], "controller": true,
                    }],
                },
                "spec": {"replicas": 0, "template": template},
            });
            if let Some(kind) = kind_of("replicasets") {
                drop(state.create(kind, set));
            }
        }
        Some(set) if number(set, "/spec/replicas") < wanted && total <= wanted && dice.happens(700) => {
            scale(state, set, number(set, "/spec/replicas").saturating_add(1));
        }
        Some(set) if number(set, "/spec/replicas") > wanted => scale(state, set, wanted),
        Some(_) => {
            let old = sets.iter().find(|set| text(set, "/metadata/name") != name && number(set, "/spec/replicas") > 0);
            let unready = |set: &Value| owned(state, "pods", set).iter().any(|pod| !is_ready(pod));
            if let Some(old) = old
                && (available > wanted || unready(old))
                && dice.happens(700)
            {
                let left = number(old, "/spec/replicas").saturating_sub(1);
                scale(state, old, left);
            }
        }
    }
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "replicas": staying().count(),
        "updatedReplicas": staying().filter(of_latest).count(), "availableReplicas": available,
    });
    set_status(state, &key_of("deployments", object), &status);
}

fn scale(state: &mut ServerState, set: &Value, replicas: usize) {
    drop(state.update(&key_of("replicasets", set), |object| object["spec"]["replicas"] = replicas.into()));
}

fn replica_set(state: &mut ServerState, dice: &mut SeededRng, object: &Value) {
    if is_terminating(object) {
        return;
    }
    let pods = owned(state, "pods", object);
    let staying: Vec<_> = pods.iter().filter(|pod| !is_terminating(pod)).collect();
    let wanted = number(object, "/spec/replicas");
    if staying.len() < wanted {
        let name = format!("{}-{:05}", text(object, "/metadata/name"), dice.below(100_000));
        make_pod(state, object, &name, "", None);
    } else if staying.len() > wanted
        && let Some(pod) = staying.iter().min_by_key(|pod| (is_ready(pod), text(pod, "/metadata/name").to_owned()))
    {
        remove_pod(state, pod);
    }
    let status = json!({"observedGeneration": object["metadata"]["generation"], "replicas": staying.len()});
    set_status(state, &key_of("replicasets", object), &status);
}

fn stateful_set(state: &mut ServerState, dice: &mut SeededRng, object: &Value) {
    let (wanted, name) = (number(object, "/spec/replicas"), text(object, "/metadata/name").to_owned());
    let latest = format!("{name}-{}", template_hash(&object["spec"]["template"]));
    let pods = owned(state, "pods", object);
    let find = |name: &str| pods.iter().find(|pod| text(pod, "/metadata/name") == name);
    let is_latest = |pod: &Value| pod.pointer(&format!("/metadata/labels/{REVISION}")) == Some(&json!(latest));
    let mut all_ready = true;
    for ordinal in 0..wanted {
        match find(&format!("{name}-{ordinal}")) {
            None if all_ready => {
                make_pod(state, object, &format!("{name}-{ordinal}"), &latest, None);
                all_ready = false;
            }
            Some(pod) if is_ready(pod) && !is_terminating(pod) => {}
            // Kubernetes waits for one that is not ready before it makes the next.
            Some(_) | None => all_ready = false,
        }
    }
    for pod in pods.iter().filter(|pod| !(0..wanted).any(|i| text(pod, "/metadata/name") == format!("{name}-{i}"))) {
        remove_pod(state, pod);
    }
    let behind = (0..wanted).rev().filter_map(|i| find(&format!("{name}-{i}"))).find(|pod| !is_latest(pod));
    if let Some(pod) = behind
        && !is_terminating(pod)
        && (all_ready || !is_ready(pod))
        && dice.happens(700)
    {
        remove_pod(state, pod);
    }
    let updated = pods.iter().filter(|pod| is_latest(pod) && !is_terminating(pod)).count();
    let current = if updated == wanted && all_ready {
        latest.clone()
    } else {
        object.pointer("/status/currentRevision").and_then(Value::as_str).unwrap_or(&latest).to_owned()
    };
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "replicas": pods.len(), "updatedReplicas": updated,
        "availableReplicas": pods.iter().filter(|pod| is_ready(pod)).count(), "currentRevision": current,
        "updateRevision": latest,
    });
    set_status(state, &key_of("statefulsets", object), &status);
}

fn daemon_set(state: &mut ServerState, dice: &mut SeededRng, object: &Value) {
    let selector = object.pointer("/spec/template/spec/nodeSelector").cloned();
    let latest = template_hash(&object["spec"]["template"]);
    let pods = owned(state, "pods", object);
    let nodes = copied(state, "nodes");
    let wanted: Vec<&str> =
        nodes.iter().filter(|node| selects(selector.as_ref(), node)).map(|node| text(node, "/metadata/name")).collect();
    for pod in &pods {
        if !is_terminating(pod) && target(pod).is_none_or(|node| !wanted.contains(&node)) {
            remove_pod(state, pod);
        }
    }
    for node in &wanted {
        if !pods.iter().any(|pod| target(pod) == Some(node)) {
            let name = format!("{}-{:05}", text(object, "/metadata/name"), dice.below(100_000));
            make_pod(state, object, &name, &latest, Some(node));
        }
    }
    let is_latest = |pod: &Value| pod.pointer(&format!("/metadata/labels/{REVISION}")) == Some(&json!(latest));
    if pods.iter().all(|pod| is_ready(pod) && !is_terminating(pod))
        && let Some(pod) = pods.iter().find(|pod| !is_latest(pod))
    {
        remove_pod(state, pod);
    }
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "desiredNumberScheduled": wanted.len(),
        "updatedNumberScheduled": pods.iter().filter(|pod| is_latest(pod)).count(),
    });
    set_status(state, &key_of("daemonsets", object), &status);
}

fn schedule(state: &mut ServerState, dice: &mut SeededRng) {
    let nodes = copied(state, "nodes");
    for pod in copied(state, "pods") {
        if !text(&pod, "/spec/nodeName").is_empty() || is_terminating(&pod) || !dice.happens(800) {
            continue;
        }
        let taken = taken(state);
        let count = |node: &Value| taken.get(text(node, "/metadata/name")).copied().unwrap_or_default();
        let open: Vec<&Arc<Value>> = nodes.iter().filter(|node| fits(&pod, node, count(node))).collect();
        let chosen = dice.pick(&open).map(|node| text(node, "/metadata/name").to_owned());
        if chosen.is_none() && text(&pod, "/status/conditions/0/reason") == "Unschedulable" {
            continue;
        }
        drop(state.update(&key_of("pods", &pod), |pod| match &chosen {
            Some(node) => {
                pod["spec"]["nodeName"] = node.as_str().into();
                pod["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]});
            }
            None => {
                pod["status"] = json!({"phase": "Pending", "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ]});
            }
        }));
    }
}

fn run_pods(state: &mut ServerState, dice: &mut SeededRng) {
    let nodes: BTreeSet<String> = state.all("nodes").map(|node| text(node, "/metadata/name").to_owned()).collect();
    for pod in copied(state, "pods") {
        let (key, node) = (key_of("pods", &pod), text(&pod, "/spec/nodeName"));
        if node.is_empty() {
            continue;
        }
        if !nodes.contains(node) || (is_terminating(&pod) && dice.happens(500)) {
            state.purge(&key);
        } else if !is_ready(&pod) && !is_terminating(&pod) && dice.happens(600) {
            let conditions = ["PodScheduled", "Ready"].map(|kind| json!({"type": kind, "status": "True"}));
            set_status(state, &key, &json!({"phase": "Running", "conditions": conditions}));
        }
    }
}
