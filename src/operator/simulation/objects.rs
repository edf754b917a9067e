//! Simulated objects: from the JSON of an object to what the operator's watches would tell of it.
//!
//! Takes an object by its kind and name, and returns the [`Observation`] that its watch would send; decoding is the
//! watches' own.

use k8s_openapi::api::{
    admissionregistration::v1::{
        MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
    },
    apps::v1 as apps,
    batch::v1 as batch,
    core::v1 as k8s,
};
use kube::core::DeserializeGuard;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ObjectKey, SimulationError};
use crate::{
    admission::{AdmissionKind, installed::InstalledAdmission},
    api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement},
    operator::{
        cache::{Observation, ObservedAdmission, WatchChange},
        watch::{
            decode::{admission_object, declared_object, decoded},
            node::PartialNode,
            partial::{DecodedObject, FromPartial},
            record::RecordDigest,
        },
    },
};
use rempart_core::{
    cluster_objects::{Controller, Pod},
    namespace::Namespace,
    volume::{Claim, Volume},
    workload::WorkloadKind,
};

/// What is told of a cluster without objects, but for what is `installed`, when every kind has been listed.
pub(super) fn listed(installed: &InstalledAdmission) -> Vec<Observation> {
    let mut told = vec![
        Observation::Provider(WatchChange::Complete),
        Observation::Pool(WatchChange::Complete),
        Observation::Policy(WatchChange::Complete),
        Observation::Node(WatchChange::Complete),
        Observation::Pod(WatchChange::Complete),
        Observation::Namespace(WatchChange::Complete),
        Observation::Claim(WatchChange::Complete),
        Observation::Volume(WatchChange::Complete),
        Observation::Record(WatchChange::Complete),
    ];
    told.extend(WorkloadKind::ALL.map(|kind| Observation::Controller(kind, WatchChange::Complete)));
    told.extend(AdmissionKind::ALL.map(|kind| Observation::Admission(kind, WatchChange::Complete)));
    told.extend(installed.iter().map(|(kind, name, digest)| {
        let installed =
            ObservedAdmission { version: 1, digest, authorities: None, terminating: false, passes_for_ours: true };
        Observation::Admission(kind, WatchChange::Applied(name.to_owned(), installed))
    }));
    told
}

fn controller_kind(kind: &str) -> Option<WorkloadKind> {
    WorkloadKind::ALL.into_iter().find(|known| *known != WorkloadKind::Pod && known.as_str() == kind)
}

/// What is told of the object `key` when it is made or altered.
pub(super) fn observed(key: &ObjectKey, object: Value) -> Result<Observation, SimulationError> {
    fn read<T: DeserializeOwned>(key: &ObjectKey, object: Value) -> Result<WatchChange<T>, SimulationError> {
        let value = serde_json::from_value(object);
        value
            .map(|value| WatchChange::Applied(key.name.clone(), value))
            .map_err(|error| SimulationError::Undecodable(key.clone(), error))
    }
    fn keep<K, V>(key: &ObjectKey, object: Value) -> Result<WatchChange<V>, SimulationError>
    where
        K: kube::Resource,
        V: FromPartial<K>,
    {
        Ok(decoded(read::<DecodedObject<K, V>>(key, object)?))
    }
    Ok(match key.kind.as_str() {
        "CloudProvider" => {
            Observation::Provider(read::<DeserializeGuard<CloudProvider>>(key, object)?.map(declared_object))
        }
        "PlacementPool" => {
            Observation::Pool(read::<DeserializeGuard<PlacementPool>>(key, object)?.map(declared_object))
        }
        "PlacementPolicy" => {
            Observation::Policy(read::<DeserializeGuard<PlacementPolicy>>(key, object)?.map(declared_object))
        }
        "Node" => Observation::Node(read::<PartialNode>(key, object)?),
        "MutatingAdmissionPolicy" => admission_object(read::<DeserializeGuard<MutatingAdmissionPolicy>>(key, object)?),
        "MutatingAdmissionPolicyBinding" => {
            admission_object(read::<DeserializeGuard<MutatingAdmissionPolicyBinding>>(key, object)?)
        }
        "ValidatingAdmissionPolicy" => {
            admission_object(read::<DeserializeGuard<ValidatingAdmissionPolicy>>(key, object)?)
        }
        "ValidatingAdmissionPolicyBinding" => {
            admission_object(read::<DeserializeGuard<ValidatingAdmissionPolicyBinding>>(key, object)?)
        }
        "Pod" => Observation::Pod(keep::<k8s::Pod, Pod>(key, object)?),
        "Deployment" => {
            Observation::Controller(WorkloadKind::Deployment, keep::<apps::Deployment, Controller>(key, object)?)
        }
        "ReplicaSet" => {
            Observation::Controller(WorkloadKind::ReplicaSet, keep::<apps::ReplicaSet, Controller>(key, object)?)
        }
        "StatefulSet" => {
            Observation::Controller(WorkloadKind::StatefulSet, keep::<apps::StatefulSet, Controller>(key, object)?)
        }
        "DaemonSet" => {
            Observation::Controller(WorkloadKind::DaemonSet, keep::<apps::DaemonSet, Controller>(key, object)?)
        }
        "Job" => Observation::Controller(WorkloadKind::Job, keep::<batch::Job, Controller>(key, object)?),
        "CronJob" => Observation::Controller(WorkloadKind::CronJob, keep::<batch::CronJob, Controller>(key, object)?),
        "Namespace" => Observation::Namespace(keep::<k8s::Namespace, Namespace>(key, object)?),
        "PersistentVolumeClaim" => Observation::Claim(keep::<k8s::PersistentVolumeClaim, Claim>(key, object)?),
        "PersistentVolume" => Observation::Volume(keep::<k8s::PersistentVolume, Volume>(key, object)?),
        "WorkloadPlacement" => Observation::Record(keep::<WorkloadPlacement, RecordDigest>(key, object)?),
        _ => return Err(SimulationError::UnknownKind(key.kind.clone())),
    })
}

/// What is told of the object `key` when it is gone, as of `version`.
pub(super) fn deleted(key: &ObjectKey, version: u64) -> Option<Observation> {
    let name = key.name.clone();
    Some(match key.kind.as_str() {
        "CloudProvider" => Observation::Provider(WatchChange::Deleted(name, version)),
        "PlacementPool" => Observation::Pool(WatchChange::Deleted(name, version)),
        "PlacementPolicy" => Observation::Policy(WatchChange::Deleted(name, version)),
        "Node" => Observation::Node(WatchChange::Deleted(name, version)),
        "Pod" => Observation::Pod(WatchChange::Deleted(name, version)),
        "Namespace" => Observation::Namespace(WatchChange::Deleted(name, version)),
        "PersistentVolumeClaim" => Observation::Claim(WatchChange::Deleted(name, version)),
        "PersistentVolume" => Observation::Volume(WatchChange::Deleted(name, version)),
        "WorkloadPlacement" => Observation::Record(WatchChange::Deleted(name, version)),
        kind => match AdmissionKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            Some(kind) => Observation::Admission(kind, WatchChange::Deleted(name, version)),
            None => Observation::Controller(controller_kind(kind)?, WatchChange::Deleted(name, version)),
        },
    })
}
