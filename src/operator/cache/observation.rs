//! Observations: what watches, and the answers to writes, tell of the objects that the operator keeps.
//!
//! Each is a [`WatchChange`] of one kind of object, already decoded; what cannot be decoded is told as that.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::store::{ResourceVersioned, WatchChange, version};
use crate::{
    admission::AdmissionKind,
    api::{CloudProvider, PlacementPolicy, PlacementPool},
    operator::watch::{
        node::{NodeRecord, PartialNode},
        record::RecordDigest,
    },
};
use rempart_core::{
    cluster_objects::{Controller, Pod},
    namespace::Namespace,
    volume::{Claim, Volume},
    workload::WorkloadKind,
};

/// One of our own objects, or what is left of one that cannot be decoded.
#[derive(Clone, Debug)]
pub struct DeclaredObject<K> {
    /// Its metadata.
    pub meta: ObjectMeta,
    /// The object, or why it cannot be decoded.
    pub object: Result<Box<K>, String>,
}

impl<K> ResourceVersioned for DeclaredObject<K> {
    fn version(&self) -> u64 {
        version(self.meta.resource_version.as_deref())
    }
}

impl<K> DeclaredObject<K> {
    /// Whether its deletion has been asked for.
    pub fn is_terminating(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }
}

impl ResourceVersioned for NodeRecord {
    fn version(&self) -> u64 {
        self.version
    }
}

/// An admission policy or binding by a name of ours, of which a digest tells whether it is what it must be; or by another name,
/// and it passes for ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedAdmission {
    /// The resource version.
    pub version: u64,
    /// The digest of its labels of ours and its spec: see [`AdmissionObject::digest`](crate::admission::AdmissionObject::digest).
    pub digest: u64,
    /// What tells which authorities it trusts: see
    /// [`AdmissionObject::authorities`](crate::admission::AdmissionObject::authorities).
    pub authorities: Option<u64>,
    /// Whether its deletion has been asked for.
    pub terminating: bool,
    /// Whether it is labelled as a policy's, or binds an admission policy of ours.
    pub passes_for_ours: bool,
}

impl ResourceVersioned for ObservedAdmission {
    fn version(&self) -> u64 {
        self.version
    }
}

/// One thing that a watch, or the answer to a write, told.
#[derive(Clone, Debug)]
pub enum Observation {
    /// Of a `CloudProvider`.
    Provider(WatchChange<DeclaredObject<CloudProvider>>),
    /// Of a `PlacementPool`.
    Pool(WatchChange<DeclaredObject<PlacementPool>>),
    /// Of a `PlacementPolicy`.
    Policy(WatchChange<DeclaredObject<PlacementPolicy>>),
    /// Of a node.
    Node(WatchChange<PartialNode>),
    /// Of an admission policy or binding of ours.
    Admission(AdmissionKind, WatchChange<ObservedAdmission>),
    /// Of a pod. Names of what has a namespace are `namespace/name`, here and below.
    Pod(WatchChange<Pod>),
    /// Of a controller of this kind.
    Controller(WorkloadKind, WatchChange<Controller>),
    /// Of a namespace.
    Namespace(WatchChange<Namespace>),
    /// Of a claim of a volume.
    Claim(WatchChange<Claim>),
    /// Of a volume.
    Volume(WatchChange<Volume>),
    /// Of the record of a workload.
    Record(WatchChange<RecordDigest>),
}
