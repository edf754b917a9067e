//! Facts written as faults have altered them: each object that differs, and no other.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{FaultInjector, PATIENCE};
use crate::{
    chaos::{
        facts::{FaultState, POOL_LABEL, SHAKEN, unlabelled_names},
        requests::{WriteVerb, apply, insist, list},
    },
    eventually,
};

impl FaultInjector<'_> {
    /// Makes the cluster's facts those of `next`.
    pub(super) async fn record_facts(&mut self, next: FaultState) -> Result<()> {
        let before = self.state.clone();
        for (name, provider) in changed(&before.providers(), next.providers()) {
            self.record("cloudproviders", name, provider).await?;
        }
        for (name, policy) in changed(&before.policies(), next.policies()) {
            if before.deleted.contains(name) {
                self.until_gone("placementpolicies", name).await?;
            }
            self.record("placementpolicies", name, policy).await?;
        }
        let namespace = next.namespace("claims");
        if namespace != before.namespace("claims") {
            insist(&self.client, WriteVerb::Apply, "/api/v1/namespaces/claims", &namespace).await?;
        }
        for pool in SHAKEN {
            let (was, is) = (before.unlabelled.contains(pool), next.unlabelled.contains(pool));
            for node in unlabelled_names(pool).filter(|_| was != is) {
                let label = if is { Value::Null } else { json!(pool) };
                let patch = json!({"metadata": {"labels": {POOL_LABEL: label}}});
                insist(&self.client, WriteVerb::Merge, &format!("/api/v1/nodes/{node}"), &patch).await?;
            }
        }
        self.state = next;
        Ok(())
    }

    /// Writes an object of Rempart's API, or deletes it.
    async fn record(&self, plural: &str, name: &str, object: Option<Value>) -> Result<()> {
        if let Some(object) = object {
            return apply(&self.client, plural, &object).await;
        }
        let path = format!("/apis/rempart.dev/v1alpha1/{plural}/{name}");
        insist(&self.client, WriteVerb::Delete, &path, &Value::Null).await
    }

    /// Waits until an object that was deleted is gone: what is written before that goes with it.
    async fn until_gone(&self, plural: &str, name: &str) -> Result<()> {
        eventually(format!("{name} to be gone"), PATIENCE, async || {
            let objects = list(&self.client, &format!("/apis/rempart.dev/v1alpha1/{plural}")).await?;
            let there = objects.iter().any(|object| object.pointer("/metadata/name") == Some(&json!(name)));
            ensure!(!there, "it is there");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }
}

/// Those of `next` that differ from `before`.
fn changed<'a>(
    before: &std::collections::BTreeMap<&'a str, Option<Value>>,
    next: std::collections::BTreeMap<&'a str, Option<Value>>,
) -> Vec<(&'a str, Option<Value>)> {
    next.into_iter().filter(|(name, object)| before.get(name) != Some(object)).collect()
}
