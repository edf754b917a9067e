//! Nodes, as little of them as the operator needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{api::core::v1::Node, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::core::{
    keys,
    name::PoolName,
    selector::{LabelSource, Labels},
};

/// A node, decoded no further than needed: the full type of 5,000 of them would be most of the operator's memory.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = Node)]
pub struct SlimNode {
    #[serde(deserialize_with = "slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimSpec,
    #[serde(default)]
    status: SlimStatus,
}

/// The metadata that matters. Most of the rest is who manages which field, more text than all of the node besides.
fn slim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Slim {
        name: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
    }
    let Slim { name, resource_version, labels } = Slim::deserialize(deserializer)?;
    Ok(ObjectMeta { name, resource_version, labels, ..ObjectMeta::default() })
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlimSpec {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlimStatus {
    #[serde(default)]
    conditions: Vec<SlimCondition>,
}

#[derive(Clone, Debug, Deserialize)]
struct SlimCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// Texts that many nodes share, kept once.
#[derive(Debug, Default)]
pub struct Interner {
    known: BTreeSet<Arc<str>>,
    /// How many were known after the last sweep.
    swept: usize,
}

/// So many texts are kept without a look at whether anybody shares them.
const UNSWEPT: usize = 4096;

impl Interner {
    /// The shared copy of `text`.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        // Nodes come and go, and each has names that no other has.
        if self.known.len() > self.swept.saturating_mul(2).max(UNSWEPT) {
            self.sweep();
        }
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// Forgets the texts that nobody shares any more.
    pub fn sweep(&mut self) {
        self.known.retain(|text| Arc::strong_count(text) > 1);
        self.swept = self.known.len();
    }
}

/// What is remembered of a node.
#[derive(Clone, Debug)]
pub struct NodeRecord {
    /// The resource version.
    pub version: u64,
    /// Its labels but for the stamps, sorted by key.
    labels: Box<[(Arc<str>, Arc<str>)]>,
    /// Its stamps, sorted by key.
    stamps: Box<[(Arc<str>, Arc<str>)]>,
    /// The provider's identifier of it.
    pub provider_id: Option<Box<str>>,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
    /// Whose it is.
    pub membership: Membership,
}

/// Whose a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// Nobody's.
    #[default]
    None,
    /// This pool's.
    Of(PoolName),
    /// Nobody's, because these pools all claim it.
    Disputed(Vec<PoolName>),
    /// Nobody's: it has these pools' labels but not their provider identifier.
    Unproven(Vec<PoolName>),
}

impl NodeRecord {
    /// Keeps what is needed of `node`.
    pub fn new(node: SlimNode, interner: &mut Interner) -> Self {
        let SlimNode { metadata, spec, status } = node;
        let (stamps, labels): (Vec<_>, Vec<_>) = metadata
            .labels
            .unwrap_or_default()
            .iter()
            .map(|(key, value)| (interner.intern(key), interner.intern(value)))
            .partition(|(key, _)| keys::is_stamp(key));
        Self {
            version: super::index::version(metadata.resource_version.as_deref()),
            labels: labels.into(),
            stamps: stamps.into(),
            provider_id: spec.provider_id.map(Into::into),
            ready: status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
            membership: Membership::None,
        }
    }

    /// What separates its stamps from `desired`.
    pub fn differences(&self, desired: &Labels) -> StampChange {
        let add = desired
            .iter()
            .filter(|(key, value)| find(&self.stamps, key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let remove = self
            .stamps
            .iter()
            .filter(|(key, _)| !desired.contains_key(&**key))
            .map(|(key, _)| key.to_string())
            .collect();
        StampChange { add, remove }
    }

    /// Whether it carries no stamp at all.
    pub fn unstamped(&self) -> bool {
        self.stamps.is_empty()
    }
}

impl LabelSource for NodeRecord {
    /// Foreign labels alone: whose a node is must not follow from what was made of it.
    fn label(&self, key: &str) -> Option<&str> {
        find(&self.labels, key)
    }
}

fn find<'a>(sorted: &'a [(Arc<str>, Arc<str>)], key: &str) -> Option<&'a str> {
    let at = sorted.binary_search_by(|(found, _)| (**found).cmp(key)).ok()?;
    sorted.get(at).map(|(_, value)| &**value)
}

/// What a node's stamps need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampChange {
    /// Stamps to set.
    pub add: Labels,
    /// Stamps to remove.
    pub remove: BTreeSet<String>,
}

impl StampChange {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// The JSON merge patch (RFC 7386) that touches these labels and nothing else.
    pub fn patch(&self) -> serde_json::Value {
        let added = self.add.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        let removed = self.remove.iter().map(|key| (key.clone(), serde_json::Value::Null));
        let labels: serde_json::Map<_, _> = added.chain(removed).collect();
        serde_json::json!({ "metadata": { "labels": labels } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_the_metadata_that_is_not_read() {
        let node: SlimNode = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "n1",
                "resourceVersion": "7",
                "labels": { "a": "b" },
                "annotations": { "c": "d" },
                "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:metadata": {} } }],
            },
        }))
        .unwrap();
        let kept = ObjectMeta {
            name: Some("n1".to_owned()),
            resource_version: Some("7".to_owned()),
            labels: Some([("a".to_owned(), "b".to_owned())].into()),
            ..ObjectMeta::default()
        };
        assert_eq!(node.metadata, kept);
    }

    #[test]
    fn texts_of_nodes_that_are_gone_are_forgotten() {
        let mut interner = Interner::default();
        let shared = interner.intern("shared");
        for i in 0..UNSWEPT * 10 {
            interner.intern(&format!("node-{i}"));
        }
        assert!(interner.known.len() <= UNSWEPT + 1);
        assert!(Arc::ptr_eq(&shared, &interner.intern("shared")));
    }
}
