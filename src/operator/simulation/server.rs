//! The simulated API server: carries out write requests on objects that are JSON.
//!
//! Takes a [`WriteRequest`] and returns what its answer would tell. An evicted pod is gone at once; nothing makes another.

use serde_json::{Value, json};

use super::{ObjectKey, SimulatedCluster, objects::observed};
use crate::{
    admission::AdmissionObject,
    api::{GROUP, VERSION},
    operator::{
        cache::{Observation, WatchChange},
        write::{WriteRequest, template_patch},
    },
};

/// What `request` changes, in short.
pub(super) fn summary(request: &WriteRequest) -> String {
    let conditions = |status: &Value| {
        let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let one = |condition: &Value| {
            let text = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{}={} ({})", text("type"), text("status"), text("reason"))
        };
        conditions.map(one).collect::<Vec<_>>().join(", ")
    };
    match request {
        WriteRequest::LabelNode(_, change) => {
            let added = change.add.iter().map(|(key, value)| format!("+{key}={value}"));
            let removed = change.remove.iter().map(|key| format!("-{key}"));
            removed.chain(added).collect::<Vec<_>>().join(" ")
        }
        WriteRequest::ApplyProviderStatus(_, status)
        | WriteRequest::ApplyPoolStatus(_, status)
        | WriteRequest::ApplyPolicyStatus(_, status) => conditions(status),
        WriteRequest::ApplyRecord(_, body) => body.get("status").map(conditions).unwrap_or_default(),
        WriteRequest::RecordEvent(event) => format!("{}: {}", event.reason, event.note),
        WriteRequest::RestartRollout { surplus, .. } => {
            surplus.iter().map(|key| format!("-{key}")).collect::<Vec<_>>().join(" ")
        }
        WriteRequest::SetFinalizers { finalizers, .. } => finalizers.join(" "),
        _ if request.deletes() => "deleted".to_owned(),
        _ => String::new(),
    }
}

impl SimulatedCluster {
    /// Carries out `request`, and returns what its answer tells.
    pub(super) fn carry_out(&mut self, request: WriteRequest) -> Option<Observation> {
        let key = |kind: &str, name: &str| ObjectKey { kind: kind.to_owned(), name: name.to_owned() };
        match request {
            WriteRequest::SetFinalizers { policy, finalizers, .. } => {
                let key = key("PlacementPolicy", &policy);
                let is_ending = self
                    .objects
                    .get(&key)
                    .is_some_and(|policy| policy.pointer("/metadata/deletionTimestamp").is_some());
                if finalizers.is_empty() && is_ending {
                    self.objects.remove(&key);
                    let version = self.next_version();
                    return Some(Observation::Policy(WatchChange::Deleted(policy, version)));
                }
                self.alter(key, |object| {
                    if let Some(metadata) = object.get_mut("metadata") {
                        set(metadata, "finalizers", json!(finalizers));
                    }
                })
            }
            WriteRequest::PutAdmission { object, .. } => {
                let key = key(object.kind().as_str(), object.name());
                let object = match *object {
                    AdmissionObject::MutatingBinding(object) => serde_json::to_value(object),
                    AdmissionObject::Webhook(object) => serde_json::to_value(object),
                    AdmissionObject::Validation(object) => serde_json::to_value(object),
                    AdmissionObject::ValidatingBinding(object) => serde_json::to_value(object),
                };
                self.answer_with(key, object.unwrap_or_default())
            }
            WriteRequest::DeleteAdmission(kind, name, version) => {
                self.objects.remove(&key(kind.as_str(), &name));
                Some(Observation::Admission(kind, WatchChange::Deleted(name, version)))
            }
            WriteRequest::LabelNode(name, change) => {
                self.alter(key("Node", &name), |object| merge(object, &change.patch()))
            }
            WriteRequest::ApplyProviderStatus(name, status) => {
                self.alter(key("CloudProvider", &name), |object| set(object, "status", status))
            }
            WriteRequest::ApplyPoolStatus(name, status) => {
                self.alter(key("PlacementPool", &name), |object| set(object, "status", status))
            }
            WriteRequest::ApplyPolicyStatus(name, status) => {
                self.alter(key("PlacementPolicy", &name), |object| set(object, "status", status))
            }
            WriteRequest::RestartRollout { kind: template, ref name, ref note, ref surplus, .. } => {
                let object = request.target().object();
                let kind = object.split(' ').next().unwrap_or_default();
                let spec = template_patch(template, Some(note), surplus);
                self.alter(key(kind, name), |object| merge(object, &json!({ "spec": spec })))
            }
            WriteRequest::EvictPod { name, .. } | WriteRequest::DeletePod { name, .. } => {
                self.objects.remove(&key("Pod", &name));
                let version = self.next_version();
                Some(Observation::Pod(WatchChange::Deleted(name, version)))
            }
            WriteRequest::ApplyRecord(name, mut body) => {
                set(&mut body, "apiVersion", json!(format!("{GROUP}/{VERSION}")));
                self.answer_with(key("WorkloadPlacement", &name), body)
            }
            WriteRequest::DeleteRecord(name, version) => {
                self.objects.remove(&key("WorkloadPlacement", &name));
                Some(Observation::Record(WatchChange::Deleted(name, version)))
            }
            WriteRequest::RecordEvent(_) => None,
        }
    }

    /// Alters an object that is there.
    fn alter(&mut self, key: ObjectKey, with: impl FnOnce(&mut Value)) -> Option<Observation> {
        let mut object = self.objects.get(&key)?.clone();
        with(&mut object);
        self.answer_with(key, object)
    }

    /// Keeps `object`, and returns what the answer to its write tells.
    fn answer_with(&mut self, key: ObjectKey, mut object: Value) -> Option<Observation> {
        let version = self.next_version().to_string();
        if let Some(metadata) = object.get_mut("metadata") {
            set(metadata, "resourceVersion", version.into());
        }
        let observation = observed(&key, object.clone()).ok();
        self.objects.insert(key, object);
        observation
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// A JSON merge patch (RFC 7386).
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return object.clone_from(patch) };
    if !object.is_object() {
        *object = json!({});
    }
    let Some(fields) = object.as_object_mut() else { return };
    for (field, value) in patch {
        if value.is_null() {
            fields.remove(field);
        } else {
            merge(fields.entry(field.clone()).or_insert(Value::Null), value);
        }
    }
}
