//! Decoding: from the objects of the API to what the cache keeps of them.
//!
//! Takes what a watch or the answer to a write told, and returns what is kept; an object that cannot be decoded is
//! kept as that fact.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use kube::{Resource, core::DeserializeGuard};

use super::partial::DecodedObject;
use crate::{
    admission::{self, AdmissionKind},
    operator::cache::{DeclaredObject, Observation, ObservedAdmission, WatchChange, version},
};

/// The change with what is kept of each object in its place.
pub fn decoded<K: Resource, V>(change: WatchChange<DecodedObject<K, V>>) -> WatchChange<V> {
    let read = |seen: DecodedObject<K, V>| {
        let version = version(seen.meta().resource_version.as_deref());
        seen.value.map(|value| value.ok_or(version))
    };
    reduced(change, |_, seen| read(seen).ok())
}

/// The change with what `read` makes of each object: what is kept, the version of one that is passed over, or nothing of
/// one that cannot be read.
fn reduced<T, V>(change: WatchChange<T>, read: impl FnOnce(&str, T) -> Option<Result<V, u64>>) -> WatchChange<V> {
    let kept = |name: String, seen: T, keep: fn(String, V) -> WatchChange<V>| match read(&name, seen) {
        Some(Ok(value)) => keep(name, value),
        Some(Err(version)) => WatchChange::Passed(name, version),
        None => WatchChange::Unreadable(name),
    };
    match change {
        WatchChange::Listed(name, seen) => kept(name, seen, WatchChange::Listed),
        WatchChange::Applied(name, seen) => kept(name, seen, WatchChange::Applied),
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

/// An admission policy or binding, of which a digest is kept.
pub trait AdmissionResource: Resource<DynamicType = ()> {
    /// Its kind.
    const KIND: AdmissionKind;

    /// The digest of what it says.
    fn digest(&self) -> u64;

    /// What tells which authorities it trusts.
    fn authorities(&self) -> Option<u64> {
        None
    }

    /// The name of the admission policy that it binds.
    fn binds(&self) -> Option<&str>;

    /// Whether it is labelled as a policy's, or binds what is ours.
    fn passes_for_ours(&self) -> bool {
        let is_labelled =
            self.meta().labels.as_ref().is_some_and(|labels| labels.contains_key(admission::POLICY_LABEL));
        is_labelled || self.binds().is_some_and(admission::is_ours)
    }

    /// What is kept of it.
    fn observed(&self) -> ObservedAdmission {
        ObservedAdmission {
            version: version(self.meta().resource_version.as_deref()),
            digest: self.digest(),
            authorities: self.authorities(),
            terminating: self.meta().deletion_timestamp.is_some(),
            passes_for_ours: self.passes_for_ours(),
        }
    }
}

macro_rules! admission_resource {
    ($($resource:ident => $kind:ident, $binds:expr;)*) => {$(
        impl AdmissionResource for $resource {
            const KIND: AdmissionKind = AdmissionKind::$kind;

            fn digest(&self) -> u64 {
                admission::digest(&self.metadata, &self.spec)
            }

            fn binds(&self) -> Option<&str> {
                let binds: fn(&Self) -> Option<&str> = $binds;
                binds(self)
            }
        }
    )*};
}

admission_resource!(
    MutatingAdmissionPolicy => Mutation, |_| None;
    MutatingAdmissionPolicyBinding => MutatingBinding, |binding| binding.spec.as_ref()?.policy_name.as_deref();
    ValidatingAdmissionPolicy => Validation, |_| None;
    ValidatingAdmissionPolicyBinding => ValidatingBinding, |binding| Some(&binding.spec.policy_name);
);

impl AdmissionResource for MutatingWebhookConfiguration {
    const KIND: AdmissionKind = AdmissionKind::Webhook;

    fn digest(&self) -> u64 {
        admission::digest(&self.metadata, &admission::but_authorities(self.webhooks.as_deref()))
    }

    fn authorities(&self) -> Option<u64> {
        admission::authorities_digest(self.webhooks.as_deref())
    }

    fn binds(&self) -> Option<&str> {
        None
    }
}

/// An admission policy or binding; those that are not ours and do not pass for it are passed over, whatever they say.
pub fn admission_object<K: AdmissionResource>(change: WatchChange<DeserializeGuard<K>>) -> Observation {
    let change = reduced(change, |name, DeserializeGuard(object)| match object {
        Ok(object) if admission::is_ours(name) || object.passes_for_ours() => Some(Ok(object.observed())),
        Ok(object) => Some(Err(version(object.meta().resource_version.as_deref()))),
        Err(invalid) => (!admission::is_ours(name)).then(|| Err(version(invalid.metadata.resource_version.as_deref()))),
    });
    Observation::Admission(K::KIND, change)
}
