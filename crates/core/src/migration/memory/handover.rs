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
    migration::{AwaitedChange, LevelViolation, STEP_DEADLINE, deadline::Violations},
    monotonic::MonotonicTime,
};

impl MigrationMemory {
    /// That of whoever takes over. The records of some pods say how many pods of their owners are to be ready before another
    /// is evicted, by the identifiers of those pods, and since when pods violate whose levels have a deadline: the rest shows
    /// in what runs.
    #[must_use]
    pub fn taken_over(
        objects: &ClusterObjects<'_>,
        recorded: impl IntoIterator<Item = (ObjectUid, u32)>,
        violating: impl IntoIterator<Item = (ObjectUid, LevelViolation)>,
        now: MonotonicTime,
    ) -> Self {
        // What whoever led before has removed may still be on its way, and its replacement too: so long a step may take.
        let forces_from = Some(now + STEP_DEADLINE);
        let mut memory = Self { violations: Violations::recorded(violating), forces_from, ..Self::default() };
        let recorded: BTreeMap<ObjectUid, u32> = recorded.into_iter().collect();
        if recorded.is_empty() {
            return memory;
        }
        for pod in objects.pods.values() {
            let (Some(owner), Some(ready)) = (&pod.owner, recorded.get(&pod.uid)) else { continue };
            // Where records of two pods differ, one of them has not been written anew yet.
            let known = memory.missing.get(&owner.uid).map_or(0, |missing| missing.before);
            memory.miss(owner.uid, known.max(*ready), now);
        }
        memory
    }

    /// On the record of which pod, by its name with its namespace, it is to stand how many pods of an owner are to be ready.
    /// One of which it is `recorded` already goes on.
    #[must_use]
    pub fn to_record<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        recorded: impl IntoIterator<Item = (ObjectUid, u32)>,
    ) -> BTreeMap<ObjectUid, (&'a str, u32)> {
        let awaited: BTreeMap<ObjectUid, u32> = self.awaited_ready().collect();
        if awaited.is_empty() {
            return BTreeMap::new();
        }
        let recorded: BTreeSet<ObjectUid> = recorded.into_iter().map(|(pod, _)| pod).collect();
        let bearer = |(owner, pods): (ObjectUid, Vec<(&'a str, &'a Pod)>)| {
            let says = |(_, pod): &&(&str, &Pod)| recorded.contains(&pod.uid);
            let (name, _) = pods.iter().find(says).or(pods.first())?;
            Some((owner, (*name, *awaited.get(&owner)?)))
        };
        self.staying(objects, &awaited).into_iter().filter_map(bearer).collect()
    }

    /// The owners of whose pods none may be evicted yet: the record of another pod, one that stays, is to say first how many
    /// are to be ready. Where none stays there is nothing that could be evicted later.
    #[must_use]
    pub fn unrecorded(
        &self,
        objects: &ClusterObjects<'_>,
        recorded: impl IntoIterator<Item = (ObjectUid, u32)>,
    ) -> BTreeSet<ObjectUid> {
        let to_send = self.in_flight.iter().filter(|(_, flight)| !flight.steps.is_empty());
        let awaited: BTreeMap<ObjectUid, u32> =
            to_send.filter_map(|(owner, flight)| Some((*owner, flight.awaited_ready()?))).collect();
        if awaited.is_empty() {
            return BTreeSet::new();
        }
        let recorded: BTreeMap<ObjectUid, u32> = recorded.into_iter().collect();
        let is_unrecorded = |(owner, pods): &(ObjectUid, Vec<(&str, &Pod)>)| {
            let says =
                |pod: &Pod| recorded.get(&pod.uid).zip(awaited.get(owner)).is_some_and(|(said, all)| said >= all);
            !pods.iter().any(|(_, pod)| says(pod))
        };
        self.staying(objects, &awaited).into_iter().filter(is_unrecorded).map(|(owner, _)| owner).collect()
    }

    /// The pods that stay, of the owners that are `awaited`: those that are not going and that nobody is about to evict.
    fn staying<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        awaited: &BTreeMap<ObjectUid, u32>,
    ) -> BTreeMap<ObjectUid, Vec<(&'a str, &'a Pod)>> {
        let mut staying: BTreeMap<ObjectUid, Vec<(&str, &Pod)>> = BTreeMap::new();
        for (name, pod) in objects.pods {
            let owner = pod.owner.as_ref().map(|owner| owner.uid).filter(|owner| awaited.contains_key(owner));
            let Some(owner) = owner else { continue };
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
