//! Decoding: from the objects of the API to what the cache keeps of them.
//!
//! Takes what a watch or the answer to a write told, and returns what is kept; an object that cannot be decoded is
//! kept as that fact.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec,
};
use kube::{
    Resource,
    core::{DeserializeGuard, PartialObjectMeta},
};

use super::partial::DecodedObject;
use crate::operator::cache::{DeclaredObject, ObjectPresence, ObservedBinding, WatchChange, version};

/// The change with what is kept of each object in its place.
pub fn decoded<K: Resource, V>(change: WatchChange<DecodedObject<K, V>>) -> WatchChange<V> {
    let read = |seen: DecodedObject<K, V>| {
        let version = version(seen.meta().resource_version.as_deref());
        seen.value.map(|value| value.ok_or(version))
    };
    match change {
        WatchChange::Listed(name, seen) => match read(seen) {
            Ok(Ok(value)) => WatchChange::Listed(name, value),
            Ok(Err(version)) => WatchChange::Passed(name, version),
            Err(_) => WatchChange::Unreadable(name),
        },
        WatchChange::Applied(name, seen) => match read(seen) {
            Ok(Ok(value)) => WatchChange::Applied(name, value),
            Ok(Err(version)) => WatchChange::Passed(name, version),
            Err(_) => WatchChange::Unreadable(name),
        },
        WatchChange::Unreadable(name) => WatchChange::Unreadable(name),
        WatchChange::Passed(name, version) => WatchChange::Passed(name, version),
        WatchChange::Restarted => WatchChange::Restarted,
        WatchChange::Complete => WatchChange::Complete,
        WatchChange::Deleted(name, version) => WatchChange::Deleted(name, version),
    }
}

fn declared<K: Resource>(object: K) -> DeclaredObject<K> {
    let mut meta = object.meta().clone();
    meta.managed_fields = None;
    DeclaredObject { meta, object: Ok(Box::new(object)) }
}

/// A declared object, or of what is left of one that did not decode.
pub fn declared_object<K: Resource>(DeserializeGuard(object): DeserializeGuard<K>) -> DeclaredObject<K> {
    match object {
        Ok(object) => declared(object),
        Err(invalid) => DeclaredObject { meta: invalid.metadata, object: Err(invalid.error) },
    }
}

/// The binding of a mutation.
pub fn mutating_binding(object: MutatingAdmissionPolicyBinding) -> ObservedBinding<MutatingAdmissionPolicyBindingSpec> {
    ObservedBinding { meta: object.metadata, spec: object.spec }
}

/// The binding of a validation.
pub fn validating_binding(
    object: ValidatingAdmissionPolicyBinding,
) -> ObservedBinding<ValidatingAdmissionPolicyBindingSpec> {
    ObservedBinding { meta: object.metadata, spec: Some(object.spec) }
}

/// That an object is there.
pub fn presence<K>(object: &PartialObjectMeta<K>) -> ObjectPresence {
    ObjectPresence { version: version(object.metadata.resource_version.as_deref()) }
}
