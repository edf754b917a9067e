//! Nodes: the fields of a node that decide which pods may and can run on it.
//!
//! Takes a [`PartialNode`] and keeps a [`NodeRecord`], with stamps and foreign labels apart: whose a node is must never
//! follow from what was made of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Node;
use serde::Deserialize;

use crate::operator::{
    cache::{revision::Revision, store::version},
    node_stamps::NodeStamps,
    watch::fields::{HOSTNAME, LabelEntries, PartialCondition, ResourceAmounts},
    watch::interner::SharedValues,
    watch::partial::{FromPartial, PartialObject},
    watch::template,
};
use rempart_core::{
    cluster_objects::{ComputeResources, ExtendedResources, NodeTaint, TaintEffect},
    instant::Timestamp,
    keys,
    name::PoolName,
    pool_membership::NodeIdentity,
    selector::{LabelSource, Labels},
};

/// A node, decoded no further than needed: the full type of 5,000 of them would be most of the operator's memory.
pub type PartialNode = PartialObject<Node, NodeSpec, NodeStatus, true>;

/// What matters of a node's spec.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeSpec {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    #[serde(default)]
    unschedulable: bool,
    #[serde(default)]
    taints: Vec<PartialTaint>,
}

#[derive(Clone, Debug, Deserialize)]
struct PartialTaint {
    key: String,
    #[serde(default)]
    value: String,
    effect: String,
}

/// What matters of a node's status.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeStatus {
    #[serde(default)]
    conditions: Vec<PartialCondition>,
    #[serde(default)]
    allocatable: ResourceAmounts,
}

impl FromPartial<Node> for PartialNode {
    type Partial = Self;

    fn from_partial(partial: Self) -> Result<Option<Self>, String> {
        Ok(Some(partial))
    }
}

/// What is remembered of a node.
#[derive(Clone, Debug)]
pub struct NodeRecord {
    /// The resource version.
    pub version: u64,
    /// When it registered.
    pub registered: Option<Timestamp>,
    /// Its labels but for the stamps and its host's name, sorted by key: the same for many nodes.
    labels: Arc<LabelEntries>,
    /// The name of its host, which no other has.
    hostname: Option<Box<str>>,
    /// Its stamps, sorted by key; likewise.
    stamps: Arc<LabelEntries>,
    /// The provider's identifier of it.
    pub provider_id: Option<Box<str>>,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
    /// Whether somebody has cordoned it to new pods.
    pub cordoned: bool,
    /// What keeps pods off.
    pub taints: Box<[NodeTaint]>,
    /// What it has for pods; nothing where that cannot be read.
    pub allocatable: ComputeResources,
    /// What else it has for them; likewise.
    pub others: Arc<ExtendedResources>,
    /// Whose it is.
    pub membership: PoolMembership,
    /// Whether that has been worked out.
    pub is_assigned: bool,
    /// At which revision of node objects it last changed.
    pub changed_at: Revision,
}

/// Whose a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PoolMembership {
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

impl PoolMembership {
    /// The pool that has it, if one and no other has.
    pub fn pool(&self) -> Option<&PoolName> {
        match self {
            Self::Of(pool) => Some(pool),
            Self::None | Self::Disputed(_) | Self::Unproven(_) => None,
        }
    }
}

impl NodeRecord {
    /// What tells to which pool it belongs.
    pub fn identity(&self) -> NodeIdentity<'_> {
        NodeIdentity { labels: self, provider_id: self.provider_id.as_deref() }
    }

    /// Keeps what is needed of `node`.
    pub fn new(node: PartialNode, shared: &mut SharedValues) -> Self {
        let PartialNode { metadata, spec, status, .. } = node;
        let mut labels = metadata.labels.unwrap_or_default();
        let hostname = labels.remove(HOSTNAME);
        let (stamps, labels): (Vec<_>, Vec<_>) = labels
            .iter()
            .map(|(key, value)| (shared.texts.intern(key.as_str()), shared.texts.intern(value.as_str())))
            .partition(|(key, _)| keys::is_stamp(key));
        let mut taint = |taint: PartialTaint| {
            // What an effect that nobody has heard of does is not known: as if it kept pods off.
            let effect = template::effect(&taint.effect).unwrap_or(TaintEffect::NoSchedule);
            let texts = &mut shared.texts;
            NodeTaint { key: texts.intern(taint.key.as_str()), value: texts.intern(taint.value.as_str()), effect }
        };
        let taints = spec.taints.into_iter().map(&mut taint).collect();
        let (allocatable, others) = status.allocatable.read().unwrap_or_default();
        Self {
            version: version(metadata.resource_version.as_deref()),
            registered: metadata.creation_timestamp.map(|made| Timestamp::from_seconds(made.0.as_second())),
            labels: shared.entries(labels),
            hostname: hostname.map(Into::into),
            stamps: shared.entries(stamps),
            provider_id: spec.provider_id.map(Into::into),
            ready: status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
            cordoned: spec.unschedulable,
            taints,
            allocatable,
            others: shared.others(others),
            membership: PoolMembership::None,
            is_assigned: false,
            changed_at: Revision::default(),
        }
    }

    /// What separates its stamps from what it should carry by `stamps`.
    pub fn stamp_change(&self, stamps: &NodeStamps) -> StampChange {
        let desired = self.membership.pool().and_then(|pool| stamps.of(pool));
        let mut change = desired.map_or_else(|| self.differences(&Labels::new()), |desired| self.differences(desired));
        change.remove.retain(|key| !stamps.keeps(key));
        change
    }

    /// The stamps that it carries and that `granted` does not grant to its pool.
    pub fn stamps_beyond(&self, granted: &BTreeMap<PoolName, Arc<Labels>>) -> BTreeSet<String> {
        let granted = self.membership.pool().and_then(|pool| granted.get(pool));
        granted.map_or_else(|| self.differences(&Labels::new()), |granted| self.differences(granted)).remove
    }

    /// What separates its stamps from `desired`.
    fn differences(&self, desired: &Labels) -> StampChange {
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

    /// What makes it a place, into `hasher`: all of it that no kubelet changes while it runs.
    pub fn hash_place(&self, hasher: &mut impl Hasher) {
        (&self.labels, &self.hostname, &self.provider_id).hash(hasher);
        match &self.membership {
            PoolMembership::Of(pool) => pool.hash(hasher),
            other => std::mem::discriminant(other).hash(hasher),
        }
    }

    /// Whether pods could be where they could be on `other`.
    pub fn same_place(&self, other: &Self) -> bool {
        self.labels == other.labels
            && self.hostname == other.hostname
            && self.provider_id == other.provider_id
            && self.taints == other.taints
            && (self.ready, self.cordoned, self.allocatable) == (other.ready, other.cordoned, other.allocatable)
            && self.others == other.others
    }

    /// The stamps that it carries.
    pub fn stamps(&self) -> Labels {
        self.stamps.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    /// The keys of the stamps that it carries.
    pub fn stamp_keys(&self) -> impl Iterator<Item = &str> {
        self.stamps.iter().map(|(key, _)| &**key)
    }

    /// The address of the stamps that it carries, which it has in common with nodes that carry the same.
    pub fn stamps_address(&self) -> usize {
        Arc::as_ptr(&self.stamps).addr()
    }

    /// The pool that its stamps name.
    pub fn stamped_pool(&self) -> Option<&str> {
        find(&self.stamps, keys::POOL)
    }

    /// Whether it carries no stamp at all.
    pub fn unstamped(&self) -> bool {
        self.stamps.is_empty()
    }
}

impl LabelSource for NodeRecord {
    /// Foreign labels alone: whose a node is must not follow from what was made of it.
    fn label(&self, key: &str) -> Option<&str> {
        if key == HOSTNAME { self.hostname.as_deref() } else { find(&self.labels, key) }
    }
}

fn find<'a>(sorted: &'a LabelEntries, key: &str) -> Option<&'a str> {
    let at = sorted.binary_search_by(|(found, _)| (**found).cmp(key)).ok()?;
    sorted.get(at).map(|(_, value)| &**value)
}

/// What a node's stamps need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn nothing_is_kept_of_the_metadata_that_is_not_read() {
        let node: PartialNode = serde_json::from_value(serde_json::json!({
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
    fn a_node_is_a_place_for_pods() {
        let node: PartialNode = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "n1" },
            "spec": {
                "unschedulable": true,
                "taints": [
                    { "key": "gpu", "value": "a", "effect": "NoExecute" },
                    { "key": "cordoned", "effect": "PreferNoSchedule" },
                    { "key": "new", "effect": "NoSomething" },
                ],
            },
            "status": {
                "allocatable": { "cpu": "3920m", "memory": "8Gi", "pods": "110", "ephemeral-storage": "9" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }))
        .unwrap();
        let node = NodeRecord::new(node, &mut SharedValues::default());
        let taints: Vec<_> = node.taints.iter().map(|taint| (&*taint.key, &*taint.value, taint.effect)).collect();
        let expected = [
            ("gpu", "a", TaintEffect::NoExecute),
            ("cordoned", "", TaintEffect::PreferNoSchedule),
            ("new", "", TaintEffect::NoSchedule),
        ];
        assert_eq!(taints, expected);
        assert_eq!(node.allocatable, ComputeResources { cpu_milli: 3920, memory: 8 << 30, pods: 110 });
        assert!(node.ready && node.cordoned);
    }
}
