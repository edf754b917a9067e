//! History of every object that is a fact, and the instants at which its versions came into force.
//!
//! It takes the log and returns the facts at any instant. A change lies between the receipt of its request and the
//! answer; a list repairs what a killed API server did not log.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    clearance::is_stamp,
    facts::ClusterFacts,
    log::{AuditEvent, AuditLog, text},
};

/// The kinds of facts, as requests name them.
const KINDS: [&str; 5] = ["cloudproviders", "placementpools", "placementpolicies", "namespaces", "nodes"];

/// Which end of a request counts as the instant of its change. The truth lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuditStage {
    /// When it was received: what is new counts early.
    RequestReceived,
    /// When it was answered: what is old counts late.
    ResponseComplete,
}

/// A version of an object, or its absence, from an instant on.
#[derive(Clone, Debug)]
struct ObjectVersion {
    received: Timestamp,
    complete: Timestamp,
    /// When it was last seen to be in force.
    seen: Timestamp,
    /// Of the store as a whole, so that it orders the changes of all objects.
    revision: u64,
    object: Option<Value>,
}

impl ObjectVersion {
    fn since(&self, stage: AuditStage) -> Timestamp {
        match stage {
            AuditStage::RequestReceived => self.received,
            AuditStage::ResponseComplete => self.complete,
        }
    }
}

/// All versions of all facts.
#[derive(Debug, Default)]
pub(super) struct ObjectHistory {
    /// By kind and name, in the order of their revisions.
    objects: BTreeMap<(&'static str, String), Vec<ObjectVersion>>,
    newest: u64,
}

impl ObjectHistory {
    /// Pools and providers that are deleted may count for `lingering` as what they were.
    pub(super) fn of(log: &AuditLog, lingering: Duration) -> Self {
        let mut this = Self::default();
        for event in &log.events {
            this.newest = this.newest.max(revision(&event.response));
            let mut parts = event.resource.split('/');
            let kind = parts.next().and_then(|asked| KINDS.into_iter().find(|kind| *kind == asked));
            match (kind, event.verb.as_str()) {
                (Some(kind), "list") if event.code == 200 => this.listed(kind, event),
                (Some(kind), "create" | "update" | "patch" | "delete") if matches!(event.code, 200 | 201) => {
                    this.written(kind, event);
                }
                _ => {}
            }
        }
        for ((kind, _), versions) in &mut this.objects {
            let lingers = matches!(*kind, "cloudproviders" | "placementpools");
            for gone in versions.iter_mut().filter(|version| lingers && version.object.is_none()) {
                gone.complete = gone.complete.checked_add(lingering).unwrap_or(gone.complete);
            }
            versions.sort_by_key(|version| version.revision);
            // What only a status or a stamp changed is no new fact.
            versions.dedup_by(|later, earlier| later.object == earlier.object);
        }
        this
    }

    fn written(&mut self, kind: &'static str, event: &AuditEvent) {
        let answer = &event.response;
        let name = match text(answer, "/metadata/name") {
            "" => event.name.clone(),
            name => name.to_owned(),
        };
        let is_object = answer.get("metadata").is_some_and(|metadata| metadata.get("uid").is_some());
        let held = |pointer| answer.pointer(pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let ends = answer.pointer("/metadata/deletionTimestamp").is_some();
        // What is deleted and held by nobody is gone; so is what somebody lets go of last.
        let free = !held("/metadata/finalizers") && !held("/spec/finalizers");
        let gone = if event.verb == "delete" { !is_object || free } else { ends && free };
        let revision = match revision(answer) {
            0 => self.newest,
            revision => revision,
        };
        let object = (!gone && is_object).then(|| kept(kind, answer));
        if gone || is_object {
            let seen = event.complete;
            let version = ObjectVersion { received: event.received, complete: event.complete, seen, revision, object };
            self.objects.entry((kind, name)).or_default().push(version);
        }
    }

    /// A list repairs what was lost: a version that nobody wrote down has been in force since some instant after the one
    /// before it was last seen.
    fn listed(&mut self, kind: &'static str, event: &AuditEvent) {
        let items = event.response.get("items").and_then(Value::as_array).into_iter().flatten();
        let mut listed: BTreeMap<&str, (u64, Value)> =
            items.map(|item| (text(item, "/metadata/name"), (revision(item), kept(kind, item)))).collect();
        let newest = revision(&event.response);
        for ((_, name), versions) in self.objects.iter_mut().filter(|((of, _), _)| *of == kind) {
            let (revision, object) = match listed.remove(name.as_str()) {
                Some((revision, object)) => (revision, Some(object)),
                None => (newest, None),
            };
            let known = versions.iter_mut().filter(|version| version.revision <= revision);
            let Some(before) = known.max_by_key(|version| version.revision) else { continue };
            if before.object == object {
                before.seen = before.seen.max(event.received);
            } else {
                let received = before.seen;
                versions.push(ObjectVersion {
                    received,
                    complete: event.complete,
                    seen: event.received,
                    revision,
                    object,
                });
            }
        }
        for (name, (revision, object)) in listed {
            let (received, complete, seen) = (event.received, event.complete, event.received);
            let version = ObjectVersion { received, complete, seen, revision, object: Some(object) };
            self.objects.entry((kind, name.to_owned())).or_default().push(version);
        }
    }

    /// The facts in force at `at`; the operator's clock says `now` then.
    pub(super) fn at(&self, at: Timestamp, stage: AuditStage, now: Timestamp) -> ClusterFacts<'_> {
        let mut facts = ClusterFacts { now, ..ClusterFacts::default() };
        for ((kind, name), versions) in &self.objects {
            let in_force = versions.iter().rev().find(|version| version.since(stage) <= at);
            let Some(object) = in_force.and_then(|version| version.object.as_ref()) else { continue };
            let of_kind = match *kind {
                "cloudproviders" => &mut facts.providers,
                "placementpools" => &mut facts.pools,
                "placementpolicies" => &mut facts.policies,
                "namespaces" => &mut facts.namespaces,
                _ => &mut facts.nodes,
            };
            of_kind.insert(name, object);
        }
        facts
    }

    /// The instants from `from` to `until` at which some fact changed, both included.
    pub(super) fn changes(
        &self,
        from: Timestamp,
        until: Timestamp,
        stage: AuditStage,
    ) -> impl Iterator<Item = Timestamp> {
        let versions = self.objects.values().flatten();
        versions.map(move |version| version.since(stage)).filter(move |at| (from..=until).contains(at))
    }
}

fn revision(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

/// The fields of an object that are facts: neither its status nor, on a node, what the operator wrote.
fn kept(kind: &str, object: &Value) -> Value {
    let of = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    let mut labels = of("/metadata/labels");
    if kind == "nodes"
        && let Some(labels) = labels.as_object_mut()
    {
        labels.retain(|key, _| !is_stamp(key));
    }
    let mut metadata = serde_json::json!({ "name": of("/metadata/name"), "labels": labels });
    if let (Some(metadata), Some(when)) = (metadata.as_object_mut(), object.pointer("/metadata/deletionTimestamp")) {
        metadata.insert("deletionTimestamp".to_owned(), when.clone());
    }
    let spec = if kind == "nodes" { serde_json::json!({ "providerID": of("/spec/providerID") }) } else { of("/spec") };
    serde_json::json!({ "metadata": metadata, "spec": spec })
}
