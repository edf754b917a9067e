//! Write requests: everything that the operator may ask of the API server, each one idempotent.
//!
//! A [`WriteRequest`] carries what it is about, so that none can be made of an object and a change that do not belong
//! together. Its [`WriteTarget`] is what of it is remembered: one request is on its way for each target at a time.

use std::collections::BTreeSet;

use super::EventRequest;
use crate::{
    admission::{AdmissionKind, AdmissionObject},
    operator::watch::node::StampChange,
};
use rempart_core::{
    cluster_objects::{ObjectUid, split},
    keys,
    workload::WorkloadKind,
};
use serde_json::json;

/// What to do to make one object what it should be. Names of objects in a namespace are `namespace/name`.
#[derive(Clone, Debug)]
pub enum WriteRequest {
    /// Sets the finalizers of a policy at a resource version.
    SetFinalizers {
        /// The policy.
        policy: String,
        /// All that it should have.
        finalizers: Vec<String>,
        /// The version that this follows from.
        version: Option<String>,
    },
    /// Makes an admission policy or binding what it must be: creates it, or replaces what is there at a resource version.
    PutAdmission {
        /// What it must be.
        object: Box<AdmissionObject>,
        /// What is there, if anything is.
        version: Option<u64>,
    },
    /// Deletes an admission policy or binding, as of a resource version.
    DeleteAdmission(AdmissionKind, String, u64),
    /// Sets and removes stamps of a node.
    LabelNode(String, StampChange),
    /// Applies the status of a `CloudProvider`.
    ApplyProviderStatus(String, serde_json::Value),
    /// Applies the status of a `PlacementPool`.
    ApplyPoolStatus(String, serde_json::Value),
    /// Applies the status of a `PlacementPolicy`.
    ApplyPolicyStatus(String, serde_json::Value),
    /// Annotates the pod template of a controller, which makes that replace its pods.
    RestartRollout {
        /// What the controller is.
        kind: TemplateKind,
        /// The controller.
        name: String,
        /// What is noted.
        note: String,
        /// Entries of the template's node selector that go.
        surplus: BTreeSet<String>,
        /// The controller's identifier: one of the same name is another.
        uid: ObjectUid,
    },
    /// Asks for the eviction of a pod.
    EvictPod {
        /// The pod.
        name: String,
        /// Its identifier: one of the same name is another.
        uid: ObjectUid,
        /// The resource version that it must have, where it goes only as long as it is as it was seen.
        version: Option<u64>,
    },
    /// Deletes a pod, with the time that it has to end.
    DeletePod {
        /// The pod.
        name: String,
        /// Its identifier: one of the same name is another.
        uid: ObjectUid,
        /// The resource version that it must have, where it goes only as long as it is as it was seen.
        version: Option<u64>,
    },
    /// Applies the record of a workload.
    ApplyRecord(String, serde_json::Value),
    /// Deletes the record of a workload, as of a resource version.
    DeleteRecord(String, u64),
    /// Records an event.
    RecordEvent(Box<EventRequest>),
}

/// Which kind of controller a pod template is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateKind {
    /// A `Deployment`.
    Deployment,
    /// A `ReplicaSet`.
    ReplicaSet,
    /// A `StatefulSet`.
    StatefulSet,
    /// A `DaemonSet`.
    DaemonSet,
    /// A `Job`.
    Job,
    /// A `CronJob`.
    CronJob,
}

impl TemplateKind {
    /// That of a controller of `kind`; a pod has no template.
    #[must_use]
    pub fn of(kind: WorkloadKind) -> Option<Self> {
        Some(match kind {
            WorkloadKind::Deployment => Self::Deployment,
            WorkloadKind::ReplicaSet => Self::ReplicaSet,
            WorkloadKind::StatefulSet => Self::StatefulSet,
            WorkloadKind::DaemonSet => Self::DaemonSet,
            WorkloadKind::Job => Self::Job,
            WorkloadKind::CronJob => Self::CronJob,
            WorkloadKind::Pod | WorkloadKind::Templated(_) => return None,
        })
    }

    /// The kind of workload.
    #[must_use]
    pub fn workload(self) -> WorkloadKind {
        match self {
            Self::Deployment => WorkloadKind::Deployment,
            Self::ReplicaSet => WorkloadKind::ReplicaSet,
            Self::StatefulSet => WorkloadKind::StatefulSet,
            Self::DaemonSet => WorkloadKind::DaemonSet,
            Self::Job => WorkloadKind::Job,
            Self::CronJob => WorkloadKind::CronJob,
        }
    }
}

/// The JSON merge patch (RFC 7386) of the spec of an object of this kind that notes a move in its pod template, where there
/// is a `note`, and takes `surplus` from the template's node selector, with the completion marks of their policies: where these
/// still govern, admission marks it anew in the same request.
#[must_use]
pub fn template_patch(kind: TemplateKind, note: Option<&str>, surplus: &BTreeSet<String>) -> serde_json::Value {
    let gone: serde_json::Map<_, _> = surplus.iter().map(|key| (key.clone(), serde_json::Value::Null)).collect();
    let policies = surplus.iter().filter_map(|key| keys::policy_asked(key));
    let marks: serde_json::Map<_, _> =
        policies.map(|policy| (format!("{}{policy}", keys::COMPLETED), serde_json::Value::Null)).collect();
    let mut metadata = serde_json::Map::new();
    if let Some(note) = note {
        metadata.insert("annotations".to_owned(), json!({ keys::MIGRATION: note }));
    }
    if !marks.is_empty() {
        metadata.insert("labels".to_owned(), marks.into());
    }
    let mut template = json!({ "metadata": metadata });
    if let Some(template) = template.as_object_mut().filter(|_| !gone.is_empty()) {
        template.insert("spec".to_owned(), json!({ "nodeSelector": gone }));
    }
    match kind {
        TemplateKind::CronJob => json!({ "jobTemplate": { "spec": { "template": template } } }),
        TemplateKind::Deployment
        | TemplateKind::ReplicaSet
        | TemplateKind::StatefulSet
        | TemplateKind::DaemonSet
        | TemplateKind::Job => json!({ "template": template }),
    }
}

impl WriteRequest {
    /// What it is about.
    #[must_use]
    pub fn target(&self) -> WriteTarget {
        match self {
            Self::SetFinalizers { policy, .. } => WriteTarget::Finalizer(policy.clone()),
            Self::PutAdmission { object, .. } => WriteTarget::Admission(object.kind(), object.name().to_owned()),
            Self::DeleteAdmission(kind, name, _) => WriteTarget::Admission(*kind, name.clone()),
            Self::LabelNode(name, _) => WriteTarget::NodeLabels(name.clone()),
            Self::ApplyProviderStatus(name, _) => WriteTarget::ProviderStatus(name.clone()),
            Self::ApplyPoolStatus(name, _) => WriteTarget::PoolStatus(name.clone()),
            Self::ApplyPolicyStatus(name, _) => WriteTarget::PolicyStatus(name.clone()),
            Self::RestartRollout { kind, name, .. } => WriteTarget::Template(*kind, name.clone()),
            Self::EvictPod { name, .. } => WriteTarget::Eviction(name.clone()),
            Self::DeletePod { name, .. } => WriteTarget::PodDeletion(name.clone()),
            Self::ApplyRecord(name, _) | Self::DeleteRecord(name, _) => WriteTarget::Record(name.clone()),
            Self::RecordEvent(event) => event.target(),
        }
    }

    /// Whether it deletes its object.
    #[must_use]
    pub fn deletes(&self) -> bool {
        matches!(self, Self::DeleteAdmission(..) | Self::DeleteRecord(..))
    }
}

/// What a request is about. One is on its way for each at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteTarget {
    /// A policy's finalizer.
    Finalizer(String),
    /// An admission policy or binding.
    Admission(AdmissionKind, String),
    /// A node's stamps.
    NodeLabels(String),
    /// A provider's status.
    ProviderStatus(String),
    /// A pool's status.
    PoolStatus(String),
    /// A policy's status.
    PolicyStatus(String),
    /// The pod template of a controller.
    Template(TemplateKind, String),
    /// The eviction of a pod.
    Eviction(String),
    /// The deletion of a pod.
    PodDeletion(String),
    /// The record of a workload.
    Record(String),
    /// An event.
    Event {
        /// The object that it is about, for people.
        object: String,
        /// The name of the event.
        name: String,
    },
}

impl WriteTarget {
    /// The kind of write, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Finalizer(_) => "finalizer",
            Self::Admission(..) => "admission",
            Self::NodeLabels(_) => "stamps",
            Self::ProviderStatus(_) | Self::PoolStatus(_) | Self::PolicyStatus(_) => "status",
            Self::Template(..) => "migration",
            Self::Eviction(_) => "eviction",
            Self::PodDeletion(_) => "deletion",
            Self::Record(_) => "record",
            Self::Event { .. } => "event",
        }
    }

    /// Whether it moves pods. Others' webhooks and budgets have a say in these.
    #[must_use]
    pub fn moves_pods(&self) -> bool {
        matches!(self, Self::Template(..) | Self::Eviction(_) | Self::PodDeletion(_))
    }

    /// Whether it is about a status.
    #[must_use]
    pub fn is_status(&self) -> bool {
        matches!(self, Self::ProviderStatus(_) | Self::PoolStatus(_) | Self::PolicyStatus(_))
    }

    /// The name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Finalizer(name)
            | Self::Admission(_, name)
            | Self::NodeLabels(name)
            | Self::ProviderStatus(name)
            | Self::PoolStatus(name)
            | Self::PolicyStatus(name)
            | Self::Event { name, .. } => name,
            Self::Record(key) | Self::Template(_, key) | Self::Eviction(key) | Self::PodDeletion(key) => split(key).1,
        }
    }

    /// The object, for people.
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Self::Finalizer(name) | Self::PolicyStatus(name) => format!("PlacementPolicy {name}"),
            Self::Record(key) => format!("WorkloadPlacement {key}"),
            Self::Admission(kind, name) => format!("{} {name}", kind.as_str()),
            Self::NodeLabels(name) => format!("Node {name}"),
            Self::ProviderStatus(name) => format!("CloudProvider {name}"),
            Self::PoolStatus(name) => format!("PlacementPool {name}"),
            Self::Template(kind, key) => format!("{} {key}", kind.workload()),
            Self::Eviction(key) | Self::PodDeletion(key) => format!("Pod {key}"),
            Self::Event { object, .. } => object.clone(),
        }
    }
}
