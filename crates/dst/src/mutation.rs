//! Mutations: what admission adds to pods and pod templates, by the function that the operator's webhook uses.
//!
//! Takes an object that is about to be written, and completes it by every policy whose mutation is bound.

use rempart::{
    admission::review::{self, CompletingPolicy},
    api::PlacementPolicySpec,
    convert,
};
use rempart_core::{policy::EnforcementMode, sensitivity::SensitivityStatement};
use serde_json::{Value, json};

use crate::{
    controllers::{at, text},
    server::{ResourceKind, ServerState},
};

/// The namespaces that no policy governs.
pub(crate) const EXEMPT: [&str; 2] = ["kube-system", "rempart-system"];

/// Completes `object`, which is to take the place of `before`.
pub(crate) fn on_write(state: &ServerState, kind: &ResourceKind, before: Option<&Value>, object: &mut Value) {
    let is_completed = matches!(
        kind.plural,
        "pods" | "deployments" | "statefulsets" | "daemonsets" | "replicasets" | "jobs" | "cronjobs"
    );
    let namespace = text(object, "/metadata/namespace").to_owned();
    let said = |object: &Value| at(object, "/metadata/annotations").cloned();
    // Nothing is added to a pod that is there, nor to a workload of which nothing changes that decides.
    let is_untouched = before.is_some_and(|before| {
        kind.plural == "pods" || (before.get("spec") == object.get("spec") && said(before) == said(object))
    });
    if !is_completed || is_untouched || EXEMPT.contains(&namespace.as_str()) {
        return;
    }
    let Ok(found) = state.get(&("namespaces", String::new(), namespace.clone())) else { return };
    let labels = texts(&found, "/metadata/labels");
    let spoken = SensitivityStatement::of(&labels);
    for policy in completing(state) {
        if !policy.policy.namespaces.matches(&labels) {
            continue;
        }
        let group = kind.api_version.split_once('/').map_or("", |(group, _)| group);
        let review = json!({"request": {
            "uid": "review", "namespace": namespace, "kind": {"group": group, "kind": kind.kind},
            "operation": if before.is_some() { "UPDATE" } else { "CREATE" }, "userInfo": {"username": "somebody"},
            "object": object, "oldObject": before,
        }})
        .to_string();
        let Ok(request) = review::read(review.as_bytes()) else { continue };
        if let Ok(patch) = review::complete(&request, &policy, &spoken) {
            // What cannot be patched is left as it was, as the API server does where a webhook fails.
            let mut completed = object.clone();
            if json_patch::patch(&mut completed, &patch).is_ok() {
                *object = completed;
            }
        }
    }
}

/// The policies whose mutation is bound.
fn completing(state: &ServerState) -> Vec<CompletingPolicy> {
    let bound: Vec<_> = state
        .all("mutatingadmissionpolicybindings")
        .map(|object| text(object, "/spec/paramRef/name").to_owned())
        .collect();
    let policies =
        state.all("placementpolicies").filter(|policy| bound.iter().any(|name| name == text(policy, "/metadata/name")));
    let read = policies.filter(|policy| at(policy, "/metadata/deletionTimestamp").is_none()).filter_map(|object| {
        let spec: PlacementPolicySpec = serde_json::from_value(object.get("spec")?.clone()).ok()?;
        let policy = convert::policy_of_admission(text(object, "/metadata/name"), &spec)?;
        let namespaces = convert::policy(text(object, "/metadata/name"), &spec).value?.namespaces;
        (policy.mode == EnforcementMode::Enforce).then(|| CompletingPolicy {
            policy: rempart_core::policy::Policy { namespaces, ..policy },
            uid: Some(text(object, "/metadata/uid").to_owned()),
        })
    });
    read.collect()
}

fn texts(object: &Value, pointer: &str) -> std::collections::BTreeMap<String, String> {
    let entries = at(object, pointer).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
