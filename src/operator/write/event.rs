//! Event requests: what people should hear of, as events on the objects concerned.
//!
//! An [`EventRequest`] names the object, a stable reason and a sentence. Each is sent once: one that is lost is not told
//! again.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::WriteTarget;
use crate::api::PlacementPolicy;
use rempart_core::{
    fleet::ObjectUid,
    instant::Timestamp,
    workload::{WorkloadIdentity, WorkloadKind},
};

/// Something that people should hear of.
#[derive(Clone, Debug)]
pub struct EventRequest {
    /// What it is about.
    pub about: ObjectReference,
    /// A stable word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
    /// What Rempart did, in a word.
    pub action: &'static str,
    /// Whether somebody should look.
    pub warning: bool,
    /// When it came about.
    pub at: Timestamp,
}

impl EventRequest {
    /// Of the policy `name`.
    #[must_use]
    pub fn of_policy(name: &str, uid: Option<String>, reason: &'static str, note: String, at: Timestamp) -> Self {
        let about = ObjectReference {
            api_version: Some(PlacementPolicy::api_version(&()).into_owned()),
            kind: Some(PlacementPolicy::kind(&()).into_owned()),
            name: Some(name.to_owned()),
            uid,
            ..ObjectReference::default()
        };
        Self { about, reason, action: "Judge", note, warning: false, at }
    }

    /// That something is wrong with the workload `identity`.
    #[must_use]
    pub fn of_workload(
        identity: &WorkloadIdentity,
        uid: ObjectUid,
        reason: &'static str,
        note: String,
        at: Timestamp,
    ) -> Self {
        let WorkloadIdentity { namespace, kind, name } = identity;
        let about = workload_reference(Some(*kind), kind.as_str(), namespace, name, uid);
        Self { about, reason, action: "Place", note, warning: true, at }
    }

    /// What the request to record it is about.
    #[must_use]
    pub fn target(&self) -> WriteTarget {
        let ObjectReference { kind, namespace, name, .. } = &self.about;
        let name = name.as_deref().unwrap_or_default();
        let place = namespace.as_ref().map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let about = format!("{} {place}", kind.as_deref().unwrap_or_default());
        WriteTarget::Event(about, self.reason, self.at)
    }
}

/// What an event about a workload refers to, of a `kind` that Rempart knows or of another, which is `said`.
#[must_use]
pub fn workload_reference(
    kind: Option<WorkloadKind>,
    said: &str,
    namespace: &str,
    name: &str,
    uid: ObjectUid,
) -> ObjectReference {
    ObjectReference {
        api_version: kind.map(|kind| kind.api_version().to_owned()),
        kind: Some(said.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_string()),
        ..ObjectReference::default()
    }
}
