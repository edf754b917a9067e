//! Event requests: what people should hear of, as events on the objects concerned.
//!
//! An [`EventRequest`] names the object, a stable reason and a sentence. The name of its event follows from what it says and
//! when, so that one that is sent again is the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Resource, api::ObjectMeta};

use super::WriteTarget;
use crate::{
    api::{PlacementPolicy, PlacementPool},
    operator::names::FIELD_MANAGER,
};
use rempart_core::{
    cluster_objects::ObjectUid,
    instant::Timestamp,
    workload::{WorkloadIdentity, WorkloadKind},
};

/// The longest note of an event that the API server takes, in bytes.
const NOTE: usize = 1024;
/// The longest name of who reports an event, in bytes.
const INSTANCE: usize = 128;
/// The longest name of an object.
const NAME: usize = 253;
/// Where events about objects without a namespace are, as for every component of Kubernetes.
const CLUSTER_NAMESPACE: &str = "default";
/// Between notes that are told as one.
const THEN: &str = "; then ";

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
        Self::of_declared::<PlacementPolicy>(name, uid, reason, note, at)
    }

    /// Of the pool `name`.
    #[must_use]
    pub fn of_pool(name: &str, uid: Option<String>, reason: &'static str, note: String, at: Timestamp) -> Self {
        Self::of_declared::<PlacementPool>(name, uid, reason, note, at)
    }

    /// Of the object `name` of a kind that people declare.
    fn of_declared<K: Resource<DynamicType = ()>>(
        name: &str,
        uid: Option<String>,
        reason: &'static str,
        note: String,
        at: Timestamp,
    ) -> Self {
        let about = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(name.to_owned()),
            uid,
            ..ObjectReference::default()
        };
        Self { about, reason, action: "Judge", note, warning: false, at }
    }

    /// That something is wrong with the policy `name`.
    #[must_use]
    pub fn warning_of_policy(
        name: &str,
        uid: Option<String>,
        reason: &'static str,
        note: String,
        at: Timestamp,
    ) -> Self {
        Self { warning: true, ..Self::of_policy(name, uid, reason, note, at) }
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

    /// The object, for people.
    #[must_use]
    pub fn object(&self) -> String {
        let ObjectReference { kind, namespace, name, .. } = &self.about;
        let name = name.as_deref().unwrap_or_default();
        let place = namespace.as_ref().map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"));
        format!("{} {place}", kind.as_deref().unwrap_or_default())
    }

    /// What the request to record it is about.
    #[must_use]
    pub fn target(&self) -> WriteTarget {
        WriteTarget::Event { object: self.object(), name: self.name() }
    }

    /// Has this event, which has not been sent, tell what `later` tells of the same object, and returns whether it does:
    /// only for the same reason, and while nothing has to be cut.
    pub fn join(&mut self, later: &Self) -> bool {
        if (&self.about, self.reason, self.action, self.warning)
            != (&later.about, later.reason, later.action, later.warning)
        {
            return false;
        }
        if self.note == later.note || self.note.ends_with(&format!("{THEN}{}", later.note)) {
            return true;
        }
        let fits = self.note.len().saturating_add(THEN.len()).saturating_add(later.note.len()) <= NOTE;
        if fits {
            self.note = format!("{}{THEN}{}", self.note, later.note);
            self.at = later.at;
        }
        fits
    }

    /// The name of the event: that of the object, as far as there is room, and a number that follows from all of it.
    fn name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        let ObjectReference { kind, namespace, name, uid, .. } = &self.about;
        (kind, namespace, name, uid, self.reason, &self.note, self.at.timestamp().as_nanosecond()).hash(&mut hasher);
        let number = format!(".{:016x}", hasher.finish());
        let mut object = name.clone().unwrap_or_default();
        object.truncate(object.floor_char_boundary(NAME.saturating_sub(number.len())));
        // Each part of a name ends with a letter or digit.
        object.truncate(object.trim_end_matches(['.', '-']).len());
        object + &number
    }

    /// The event, as the replica `instance` of the operator records it.
    #[must_use]
    pub(super) fn into_event(self, instance: &str) -> Event {
        let namespace = self.about.namespace.clone().unwrap_or_else(|| CLUSTER_NAMESPACE.to_owned());
        Event {
            metadata: ObjectMeta { name: Some(self.name()), namespace: Some(namespace), ..ObjectMeta::default() },
            event_time: Some(MicroTime(self.at.timestamp())),
            type_: Some(if self.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(self.reason.to_owned()),
            action: Some(self.action.to_owned()),
            note: Some(fitting(self.note, NOTE)),
            regarding: Some(self.about),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(fitting(instance.to_owned(), INSTANCE)),
            ..Event::default()
        }
    }
}

/// At most `longest` bytes of `text`.
fn fitting(mut text: String, longest: usize) -> String {
    const MORE: &str = "…";
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest.saturating_sub(MORE.len())));
        text.push_str(MORE);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_and_are_cut_between_characters() {
        assert_eq!(fitting("déjà".into(), 6), "déjà");
        assert_eq!(fitting("déjà vu".into(), 7), "déj…");
        assert_eq!(fitting("€".repeat(500), NOTE).len(), 3 * 340 + 3);
    }

    #[test]
    fn an_event_is_named_by_what_it_says_and_never_too_long() {
        let at = Timestamp::from_seconds(0);
        let of = |name: &str, note: &str| EventRequest::of_policy(name, None, "Moved", note.to_owned(), at).name();
        assert_eq!(of("state", "a"), of("state", "a"));
        assert_ne!(of("state", "a"), of("state", "b"));
        let long = of(&format!("{}-{}", "x".repeat(235), "y".repeat(17)), "a");
        let (object, number) = long.rsplit_once('.').unwrap();
        assert_eq!((object, number.len()), ("x".repeat(235).as_str(), 16));
        assert_eq!(of(&"x".repeat(253), "a").len(), NAME);
    }
}
