//! Admission reviews: what the webhook changes of a request, where no mutating admission policy does.
//!
//! Takes a request as an API server sends it, a policy and what is said of the namespace, and returns the patch: the core's
//! [`Completion`] of the pod or pod template, put into the object. Nothing is refused here. What is missed the validations
//! refuse.

use json_patch::Patch;
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, Operation},
};
use serde_json::{Map, Value};

use rempart_core::{
    completion::{Completion, MapChanges, TemplateFields},
    policy::Policy,
    selector::Labels,
    sensitivity::SensitivityStatement,
    workload::WorkloadKind,
};

/// A policy that is enforced, by what its admission needs.
#[derive(Clone, Debug)]
pub struct EnforcedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its identifier.
    pub uid: Option<String>,
}

/// The changes that `request` needs by `policy`, where `spoken` is said of its namespace. None for what the policy does not
/// complete.
#[must_use]
pub fn complete(
    request: &AdmissionRequest<DynamicObject>,
    policy: &EnforcedPolicy,
    spoken: &SensitivityStatement,
) -> Patch {
    let patch = request.object.as_ref().and_then(|object| {
        let is_asked = |kind: &WorkloadKind| {
            let group = kind.api_version().split_once('/').map_or("", |(group, _)| group);
            (kind.as_str(), group) == (request.kind.kind.as_str(), request.kind.group.as_str())
        };
        let kind = WorkloadKind::ALL.into_iter().find(is_asked)?;
        let namespace = request.namespace.as_deref().unwrap_or_default();
        // A pod is changed itself, as a template is.
        let pointer = kind.template_at().map_or_else(String::new, |at| format!("/{}", at.replace('.', "/")));
        let completion = if kind == WorkloadKind::Pod {
            completion_of_pod(request, object, policy, namespace, spoken)
        } else {
            completion_of_template(request, object, (kind, &pointer), policy, namespace, spoken)
        };
        let completion = completion.filter(|completion| !completion.is_empty())?;
        let mut after = object.data.clone();
        put(after.pointer_mut(&pointer)?, &completion);
        Some(json_patch::diff(&object.data, &after))
    });
    patch.unwrap_or_default()
}

fn completion_of_pod(
    request: &AdmissionRequest<DynamicObject>,
    pod: &DynamicObject,
    policy: &EnforcedPolicy,
    namespace: &str,
    spoken: &SensitivityStatement,
) -> Option<Completion> {
    if request.operation != Operation::Create || is_mirror(request, pod) {
        return None;
    }
    let annotations: Labels = pod.metadata.annotations.clone().unwrap_or_default();
    let selector = texts(pod.data.pointer("/spec/nodeSelector"));
    Some(policy.policy.completion_of_pod(namespace, spoken, &annotations, &selector))
}

/// Whether a kubelet asks for its own pod, for a static one that it has placed already.
fn is_mirror(request: &AdmissionRequest<DynamicObject>, pod: &DynamicObject) -> bool {
    let annotated =
        pod.metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key("kubernetes.io/config.mirror"));
    let node = pod.data.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
    let user = &request.user_info;
    annotated
        && user.groups.iter().flatten().any(|group| group == "system:nodes")
        && user.username.as_deref().and_then(|name| name.strip_prefix("system:node:")) == Some(node)
}

fn completion_of_template(
    request: &AdmissionRequest<DynamicObject>,
    object: &DynamicObject,
    (kind, pointer): (WorkloadKind, &str),
    policy: &EnforcedPolicy,
    namespace: &str,
    spoken: &SensitivityStatement,
) -> Option<Completion> {
    let controller = object.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if !kind.speaks_for_pods(controller.map(|controller| controller.kind.as_str())) {
        return None;
    }
    let template = object.data.pointer(pointer)?;
    if request.operation != Operation::Create && !is_touched(object, request.old_object.as_ref()?, kind, pointer) {
        return None;
    }
    let own = object.metadata.annotations.as_ref().map(SensitivityStatement::of).unwrap_or_default();
    let field = |at| texts(template.pointer(at));
    let (annotations, labels, selector) =
        (field("/metadata/annotations"), field("/metadata/labels"), field("/spec/nodeSelector"));
    let fields = TemplateFields { annotations: &annotations, labels: &labels, selector: &selector };
    Some(policy.policy.completion_of_template(policy.uid.as_deref(), namespace, spoken, &own, fields))
}

/// Whether an update changes the template, or what the workload says of it, so that a rollout happens anyway. Nothing of
/// what is being deleted is touched, and of a Job only what has never started.
fn is_touched(object: &DynamicObject, old: &DynamicObject, kind: WorkloadKind, pointer: &str) -> bool {
    let said = |of: &DynamicObject| of.metadata.annotations.as_ref().map(SensitivityStatement::of).unwrap_or_default();
    let has_never_started = || {
        old.data.pointer("/spec/suspend") == Some(&Value::Bool(true)) && old.data.pointer("/status/startTime").is_none()
    };
    object.metadata.deletion_timestamp.is_none()
        && (kind != WorkloadKind::Job || has_never_started())
        && (said(object) != said(old) || object.data.pointer(pointer) != old.data.pointer(pointer))
}

fn put(template: &mut Value, completion: &Completion) {
    let Completion { annotations, labels, selector } = completion;
    for (parent, field, changes) in
        [("metadata", "annotations", annotations), ("metadata", "labels", labels), ("spec", "nodeSelector", selector)]
    {
        if !changes.is_empty()
            && let Some(template) = template.as_object_mut()
        {
            apply(template.entry(parent).or_insert_with(|| Map::new().into()), field, changes);
        }
    }
}

/// Applies `changes` to the map `field` of `parent`, which may not be there.
fn apply(parent: &mut Value, field: &str, changes: &MapChanges) {
    let Some(parent) = parent.as_object_mut() else { return };
    let mut map = match parent.remove(field) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone().into()),
            None => map.remove(key),
        };
    }
    parent.insert(field.to_owned(), map.into());
}

/// The texts of a map.
fn texts(map: Option<&Value>) -> Labels {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use rempart_core::keys;
    use serde_json::json;

    use super::*;
    use crate::{api::PlacementPolicySpec, convert};

    const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret";

    fn policy() -> EnforcedPolicy {
        let spec = "{mode: Enforce, defaultLevel: public, levels: [{name: public}, {name: secret, require: {}}]}";
        let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
        let policy = convert::policy_of_admission("state", &spec).unwrap();
        EnforcedPolicy { policy, uid: Some("0a1b2c3d-0000".to_owned()) }
    }

    fn request(kind: &str, object: &Value, old: &Value) -> AdmissionRequest<DynamicObject> {
        let group = match kind {
            "Pod" => "",
            "Job" | "CronJob" => "batch",
            _ => "apps",
        };
        serde_json::from_value(json!({
            "uid": "0", "kind": {"group": group, "version": "v1", "kind": kind},
            "resource": {"group": group, "version": "v1", "resource": "any"}, "namespace": "shop",
            "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "userInfo": {"username": "system:node:n1", "groups": ["system:nodes"]}, "object": object, "oldObject": old,
        }))
        .unwrap()
    }

    /// The object as it is when `spoken` is said of the namespace and it was completed.
    fn completed(kind: &str, object: &Value, old: &Value, spoken: &str) -> Value {
        let namespace = SensitivityStatement::of(&[(keys::SENSITIVITY.to_owned(), spoken.to_owned())].into());
        let patch = complete(&request(kind, object, old), &policy(), &namespace);
        let mut after = object.clone();
        json_patch::patch(&mut after, &patch).unwrap();
        after
    }

    #[test]
    fn a_pod_is_given_what_its_namespace_asks_for_and_a_static_one_nothing() {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": []}});
        assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"]["nodeSelector"], json!({KEY: "true"}));
        assert_eq!(completed("Pod", &pod, &Value::Null, "public"), pod);
        // A level that nobody knows is refused, not completed.
        assert_eq!(completed("Pod", &pod, &Value::Null, "odd"), pod);
        // Of a pod that is there nothing changes.
        assert_eq!(completed("Pod", &pod, &pod, "secret"), pod);
        let mut mirror = pod;
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        mirror["spec"]["nodeName"] = json!("n1");
        assert_eq!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
        mirror["spec"]["nodeName"] = json!("n2");
        assert_ne!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
    }

    #[test]
    fn a_template_is_completed_where_a_rollout_happens_anyway() {
        let workload = |level: &str| {
            json!({"metadata": {"name": "api", "annotations": {keys::SENSITIVITY: level}},
                "spec": {"template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": []}}}})
        };
        let made = completed("Deployment", &workload("secret"), &Value::Null, "public");
        let template = &made["spec"]["template"];
        assert_eq!(template["spec"]["nodeSelector"], json!({KEY: "true"}));
        assert_eq!(template["metadata"]["annotations"], json!({keys::WORKLOAD_SENSITIVITY: "secret"}));
        assert_eq!(
            template["metadata"]["labels"],
            json!({"app": "api", "completed.rempart.dev/state": "0a1b2c3d.secret"})
        );
        // One that is older than the policy rolls nothing while only its scale changes.
        let mut scaled = workload("secret");
        scaled["spec"]["replicas"] = json!(3);
        assert_eq!(completed("Deployment", &scaled, &workload("secret"), "public"), scaled);
        // A level that is taken away takes all of it with it.
        let mut lowered = made.clone();
        lowered["metadata"]["annotations"] = json!({});
        let template = &completed("Deployment", &lowered, &made, "public")["spec"]["template"];
        assert_eq!((&template["spec"]["nodeSelector"], &template["metadata"]["annotations"]), (&json!({}), &json!({})));
        // Whose template is another's is left to that one, and a Job that has started to itself.
        let mut owned = workload("secret");
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "1", "controller": true}]);
        assert_eq!(completed("ReplicaSet", &owned, &Value::Null, "public"), owned);
        assert_eq!(completed("Job", &workload("secret"), &workload("public"), "public"), workload("secret"));
        let mut suspended = workload("public");
        suspended["spec"]["suspend"] = json!(true);
        assert_ne!(completed("Job", &workload("secret"), &suspended, "public"), workload("secret"));
    }
}
