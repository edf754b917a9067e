//! History of the records in a namespace, for trials that must never meet one that contradicts itself.
//!
//! It watches every `WorkloadPlacement` of a namespace and keeps each version that the watch delivers. A version
//! contradicts itself when its counts, its conditions and its message do not say the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use rempart_lab::eventually;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::world::{SOON, World};

/// A version of a record.
#[derive(Clone, Debug)]
struct RecordVersion {
    name: String,
    resource_version: Option<String>,
    status: Value,
}

/// Every version of every record of a namespace, since the watch has begun.
pub(crate) struct RecordHistory {
    records: Api<DynamicObject>,
    versions: Arc<Mutex<Vec<RecordVersion>>>,
    watch: JoinHandle<()>,
}

impl RecordHistory {
    /// Begins to watch.
    pub(crate) fn watch(world: &World, namespace: &str) -> Self {
        let kind = GroupVersionKind::gvk("rempart.dev", "v1alpha1", "WorkloadPlacement");
        let records: Api<DynamicObject> =
            Api::namespaced_with(world.admin.clone(), namespace, &ApiResource::from_gvk(&kind));
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (kept, config) = (Arc::clone(&versions), watcher::Config::default());
        let events = watcher(records.clone(), config).default_backoff();
        let watch = tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(record) | watcher::Event::InitApply(record)) = event {
                    let version = RecordVersion {
                        name: record.name_any(),
                        resource_version: record.resource_version(),
                        status: record.data["status"].clone(),
                    };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(version);
                }
            }
        });
        Self { records, versions, watch }
    }

    fn versions(&self) -> MutexGuard<'_, Vec<RecordVersion>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the status of the record `name` is as `holds` wants it, and gives it.
    pub(crate) async fn eventually(&self, name: &str, holds: impl Fn(&Value) -> Result<()>) -> Result<Value> {
        let status = eventually(format!("the record {name}"), SOON, async || {
            let status = self.records.get(name).await?.data["status"].clone();
            holds(&status).map(|()| status)
        });
        Ok(status.await?)
    }

    /// Fails unless some version of the record `name` was as `holds` wants it.
    pub(crate) fn ever(&self, name: &str, holds: impl Fn(&Value) -> Result<()>) -> Result<()> {
        let versions = self.versions();
        let of: Vec<_> = versions.iter().filter(|version| version.name == name).map(|found| &found.status).collect();
        let lines: Vec<_> = of.iter().map(|status| line(status)).collect();
        ensure!(of.iter().any(|status| holds(status).is_ok()), "no version of {name} is so:\n{}", lines.join("\n"));
        Ok(())
    }

    /// Every version of the record `name`, oldest first: what is listed anew is told once.
    pub(crate) fn of(&self, name: &str) -> Vec<Value> {
        let mut versions: Vec<_> = self.versions().iter().filter(|version| version.name == name).cloned().collect();
        versions.dedup_by(|later, earlier| later.resource_version == earlier.resource_version);
        versions.into_iter().map(|version| version.status).collect()
    }

    /// Fails when a version contradicts itself, or none was seen.
    pub(crate) fn consistent(&self) -> Result<()> {
        let versions = self.versions();
        ensure!(!versions.is_empty(), "the watch has seen no record");
        let wrong = versions.iter().filter_map(|RecordVersion { name, status, .. }| {
            let why = contradiction(status)?;
            Some(format!("{name}: {why}: {}", line(status)))
        });
        let wrong: Vec<_> = wrong.collect();
        let (number, all) = (wrong.len(), versions.len());
        ensure!(wrong.is_empty(), "{number} of {all} versions contradict themselves:\n{}", wrong.join("\n"));
        Ok(())
    }
}

impl Drop for RecordHistory {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// The condition `kind` of a record's status.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

/// The counts, conditions and message of a status, in a line.
fn line(status: &Value) -> String {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions = conditions.map(|found| {
        let text = |field: &str| found[field].as_str().unwrap_or_default();
        format!("{} {} {} ({})", text("type"), text("status"), text("reason"), text("message"))
    });
    let conditions: Vec<_> = conditions.collect();
    format!("{}; {}; {}", status["pods"], conditions.join("; "), status["summary"]["message"])
}

/// In what a status contradicts itself.
fn contradiction(status: &Value) -> Option<&'static str> {
    let (pending, violating) = (status["pods"]["pending"].as_u64()?, status["pods"]["violating"].as_u64()?);
    let summary = status["summary"]["message"].as_str().unwrap_or_default();
    let messages = status["conditions"].as_array().into_iter().flatten().filter_map(|found| found["message"].as_str());
    let mut messages = messages.chain([summary]);
    let (placeable, compliant) = (condition(status, "Placeable"), condition(status, "Compliant"));
    let all_is_well = ["stands where it may", "stand where they may", "runs where it may", "run where they may"]
        .iter()
        .any(|words| summary.match_indices(words).any(|(at, _)| !summary[at + words.len()..].starts_with(" not")));
    // In Enforce, that pools are cleared is not what matters while pods are on others.
    let beside_the_point = placeable["status"] == "True"
        && placeable["reason"] != "NotEnforced"
        && placeable["message"].as_str() == Some(summary);
    match compliant["status"].as_str() {
        _ if pending == 0 && messages.any(|message| message.contains("stay pending")) => Some("no pod is pending"),
        Some("True") if violating > 0 => Some("it is compliant, and pods are violating"),
        Some("False") if violating == 0 => Some("it is not compliant, and no pod is violating"),
        _ if violating > 0 && all_is_well => Some("its message says that all is well, and pods are violating"),
        _ if violating > 0 && beside_the_point => Some("its message does not say that pods are violating"),
        _ => None,
    }
}
