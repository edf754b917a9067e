//! What a write is about.

use super::ROSTER;
use rempart_core::{fleet::split, instant::Instant, workload::Kind};

/// What a write is about. One is under way for each at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The bindings' roster.
    Roster,
    /// A policy's finalizer.
    Finalizer(String),
    /// A binding of a mutation.
    MutatingBinding(String),
    /// A binding of a validation.
    ValidatingBinding(String),
    /// A node's stamps.
    Stamps(String),
    /// A provider's status.
    ProviderStatus(String),
    /// A pool's status.
    PoolStatus(String),
    /// A policy's status.
    PolicyStatus(String),
    /// The template of a controller, found by `namespace/name`.
    Template(Kind, String),
    /// The eviction of a pod, found by `namespace/name`.
    Eviction(String),
    /// The record of a workload, by namespace and name.
    Record(String),
    /// An event on an object, of this instant: the object for people, and the event's reason.
    Notice(String, &'static str, Instant),
}

impl Key {
    /// The kind of write, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Finalizer(_) => "finalizer",
            Self::MutatingBinding(_) | Self::ValidatingBinding(_) => "binding",
            Self::Stamps(_) => "stamps",
            Self::ProviderStatus(_) | Self::PoolStatus(_) | Self::PolicyStatus(_) => "status",
            Self::Template(..) => "migration",
            Self::Eviction(_) => "eviction",
            Self::Record(_) => "record",
            Self::Notice(..) => "event",
        }
    }

    /// Whether it moves pods.
    #[must_use]
    pub fn moves(&self) -> bool {
        matches!(self, Self::Template(..) | Self::Eviction(_))
    }

    /// The name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Roster => ROSTER,
            Self::Finalizer(name)
            | Self::MutatingBinding(name)
            | Self::ValidatingBinding(name)
            | Self::Stamps(name)
            | Self::ProviderStatus(name)
            | Self::PoolStatus(name)
            | Self::PolicyStatus(name) => name,
            Self::Record(key) | Self::Template(_, key) | Self::Eviction(key) => split(key).1,
            Self::Notice(about, ..) => about,
        }
    }

    /// Whether it is about a status.
    #[must_use]
    pub fn is_status(&self) -> bool {
        matches!(self, Self::ProviderStatus(_) | Self::PoolStatus(_) | Self::PolicyStatus(_))
    }

    /// The object, for people.
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Self::Roster => format!("ConfigMap {ROSTER}"),
            Self::Finalizer(name) | Self::PolicyStatus(name) => format!("PlacementPolicy {name}"),
            Self::Record(key) => format!("WorkloadPlacement {key}"),
            Self::MutatingBinding(name) => format!("MutatingAdmissionPolicyBinding {name}"),
            Self::ValidatingBinding(name) => format!("ValidatingAdmissionPolicyBinding {name}"),
            Self::Stamps(name) => format!("Node {name}"),
            Self::ProviderStatus(name) => format!("CloudProvider {name}"),
            Self::PoolStatus(name) => format!("PlacementPool {name}"),
            Self::Template(kind, key) => format!("{kind} {key}"),
            Self::Eviction(key) => format!("Pod {key}"),
            Self::Notice(about, ..) => about.clone(),
        }
    }
}
