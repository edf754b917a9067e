//! Handover: what whoever takes over must know of owners of kinds that Rempart does not know.
//!
//! How many pods such an owner should have shows in nothing that runs. So the number that is awaited stands on the record of
//! one of its pods that stays, and none of its pods is evicted before it does. Here is on which, and who waits for that.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::MigrationMemory;
use crate::{
    cluster_objects::{ClusterObjects, ObjectUid, Pod, PodPhase},
    migration::AwaitedChange,
};

/// What the record of a pod is to say, or says, of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwaitedReadiness {
    /// The owner.
    pub owner: ObjectUid,
    /// How many of its pods are to be ready before another is evicted.
    pub ready: u32,
}

/// What the records of pods say, by the identifiers of the pods.
pub type RecordedReadiness = BTreeMap<ObjectUid, AwaitedReadiness>;

impl MigrationMemory {
    /// That of whoever takes over, who knows of some owners by the records of their pods how many of these are to be ready
    /// before another is evicted: the rest shows in what runs.
    #[must_use]
    pub fn taken_over(
        recorded: impl IntoIterator<Item = AwaitedReadiness>,
        now: crate::monotonic::MonotonicTime,
    ) -> Self {
        let mut memory = Self::default();
        for AwaitedReadiness { owner, ready } in recorded {
            // Where records of two pods differ, one of them has not been written anew yet.
            let known = memory.missing.get(&owner).map_or(0, |missing| missing.before);
            memory.miss(owner, ready.max(known), now);
        }
        memory
    }

    /// What the records of pods should say, by the pods' names, with their namespaces. One that says it already goes on.
    #[must_use]
    pub fn to_record<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        recorded: &RecordedReadiness,
    ) -> BTreeMap<&'a str, AwaitedReadiness> {
        let awaited: BTreeMap<ObjectUid, u32> = self.awaited_ready().collect();
        if awaited.is_empty() {
            return BTreeMap::new();
        }
        let staying = self.staying(objects, |owner| awaited.contains_key(&owner));
        let bearer = |(owner, pods): (ObjectUid, Vec<(&'a str, &'a Pod)>)| {
            let says = |(_, pod): &&(&str, &Pod)| recorded.get(&pod.uid).is_some_and(|found| found.owner == owner);
            let (name, _) = pods.iter().find(says).or(pods.first())?;
            Some((*name, AwaitedReadiness { owner, ready: *awaited.get(&owner)? }))
        };
        staying.into_iter().filter_map(bearer).collect()
    }

    /// The owners of whose pods none may be evicted yet: the record of another pod, one that stays, is to say first how many
    /// are to be ready. Where none stays there is nothing that could be evicted later.
    #[must_use]
    pub fn unrecorded(&self, objects: &ClusterObjects<'_>, recorded: &RecordedReadiness) -> BTreeSet<ObjectUid> {
        let to_send = self.in_flight.iter().filter(|(_, flight)| !flight.steps.is_empty());
        let awaited: BTreeMap<ObjectUid, u32> =
            to_send.filter_map(|(owner, flight)| Some((*owner, flight.awaited_ready()?))).collect();
        if awaited.is_empty() {
            return BTreeSet::new();
        }
        let staying = self.staying(objects, |owner| awaited.contains_key(&owner));
        let is_unrecorded = |(owner, pods): &(ObjectUid, Vec<(&str, &Pod)>)| {
            let says = |pod: &Pod| {
                let found = recorded.get(&pod.uid).filter(|found| found.owner == *owner);
                found.is_some_and(|found| awaited.get(owner).is_some_and(|ready| found.ready >= *ready))
            };
            !pods.iter().any(|(_, pod)| says(pod))
        };
        staying.into_iter().filter(is_unrecorded).map(|(owner, _)| owner).collect()
    }

    /// The pods that stay, of owners that are asked for: those that are not going and that nobody is about to evict.
    fn staying<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        is_asked_for: impl Fn(ObjectUid) -> bool,
    ) -> BTreeMap<ObjectUid, Vec<(&'a str, &'a Pod)>> {
        let mut staying: BTreeMap<ObjectUid, Vec<(&str, &Pod)>> = BTreeMap::new();
        for (name, pod) in objects.pods {
            let Some(owner) = pod.owner.as_ref().map(|owner| owner.uid).filter(|owner| is_asked_for(*owner)) else {
                continue;
            };
            let is_going = self.in_flight.get(&owner).is_some_and(|flight| match &flight.awaited {
                AwaitedChange::Replacement { pods, .. } => pods.contains(&pod.uid),
                AwaitedChange::Rollout { .. } => false,
            });
            if !is_going && !pod.terminating && pod.phase != PodPhase::Done {
                staying.entry(owner).or_default().push((name, pod));
            }
        }
        staying
    }
}
