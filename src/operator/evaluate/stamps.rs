//! Stamps of nodes: what verdicts grant to each pool, and the keys of the past that stay.
//!
//! A key that nobody adds to pods any more is retired: its stamps stay where they are, and the nodes that join a pool where it
//! was are given it, until nothing selects by it. So nothing waits for it, and no `DaemonSet` shrinks. The key of an exception
//! goes, as ever, to every pool that is cleared for its level, also to one that is cleared again later. A key in demand
//! follows its verdicts.
//!
//! Whoever leaves deletes everything at once, pools and providers before policies. So what nodes carry by a pool that is
//! deleted, or whose provider is, stays for a moment: by then it is known whether a policy still demands it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Evaluation;
use crate::operator::{
    cache::{ClusterCache, DeclaredObject, LastSeen, Revision},
    node_stamps::NodeStamps,
};
use rempart_core::{keys, name::PoolName, policy::EnforcementMode, selector::Labels};

/// How often it is looked whether something still selects by a retired key while what runs keeps changing.
const PACE: Duration = Duration::from_secs(1);

/// How long the keys of a pool that is deleted, or whose provider is, stay on its nodes: as long as facts settle before pods are
/// moved. Deletions that are asked for together come within a second.
const VANISHED: Duration = Duration::from_secs(2);

/// Works out what nodes should carry, and remembers where retired keys were.
#[derive(Debug, Default)]
pub struct StampKeeper {
    /// Retired keys, with the pools whose nodes are given them.
    retired: BTreeMap<String, BTreeSet<PoolName>>,
    /// The keys of exceptions, with the key of the level that each is for, or was when it was last demanded.
    exceptions: BTreeMap<String, String>,
    stamps: NodeStamps,
    /// How often what nodes should carry has changed.
    revision: Revision,
    evaluation: LastSeen<u64>,
    nodes: LastSeen<Revision>,
    workloads: LastSeen<Revision>,
    looked_at: Option<Instant>,
    /// Of which keys it was last looked whether something selects by them.
    looked_for: BTreeSet<String>,
    /// The pools that are deleted, or whose provider is: until when the keys that they were cleared for stay.
    vanished: BTreeMap<PoolName, (Instant, BTreeSet<String>)>,
    /// The places of the control plane, and since when each is deleted, or its provider is. With one every pool may lose keys.
    control_plane: BTreeMap<PoolName, Option<Instant>>,
}

/// Whether nobody adds `key` to a pod any more. While a policy is being deleted admission takes its keys away, and one that is
/// not in Enforce adds none.
fn is_retired(cache: &ClusterCache, evaluation: &Evaluation, key: &str) -> bool {
    let world = &evaluation.world;
    let adds_none = |policy: &str| {
        cache.policies.get(policy).is_some_and(DeclaredObject::is_terminating)
            || world.policies.get(policy).is_some_and(|policy| policy.mode != EnforcementMode::Enforce)
    };
    world.is_retired(key) || keys::policy_asked(key).is_some_and(adds_none)
}

impl StampKeeper {
    /// What nodes should carry.
    #[must_use]
    pub fn stamps(&self) -> &NodeStamps {
        &self.stamps
    }

    /// How often that has changed.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Takes in what was observed and evaluated, and returns when it is to be asked again though nothing changes.
    pub fn update(&mut self, cache: &ClusterCache, evaluation: &Evaluation, now: Instant) -> Option<Instant> {
        let is_new = self.evaluation.update(evaluation.serial);
        let nodes_changed = self.nodes.update(cache.revisions.node_objects);
        let workloads_changed = !self.looked_for.is_empty() && self.workloads.differs(&cache.revisions.workloads);
        if is_new {
            self.note_vanished(cache, evaluation, now);
            self.note_exceptions(evaluation);
        }
        let vanishing = self.vanishing(cache, evaluation, now);
        let vanishing_changed = vanishing != *self.stamps.vanishing();
        let settles = self.vanished.values().map(|(until, _)| *until).filter(|until| *until > now).min();
        if !is_new && !nodes_changed && !workloads_changed && !vanishing_changed {
            return settles;
        }
        let mut candidates = self.candidates(cache, evaluation);
        let not_before = self.looked_at.map(|looked| looked + PACE).filter(|not_before| *not_before > now);
        let is_same = candidates.keys().eq(self.looked_for.iter());
        let wake = match not_before {
            // What selects by them is known well enough.
            Some(_) if is_same && !is_new => {
                candidates.retain(|key, _| self.retired.contains_key(key));
                not_before.filter(|_| workloads_changed)
            }
            Some(_) | None => {
                self.workloads.remember(cache.revisions.workloads);
                self.looked_at = Some(now);
                self.looked_for = candidates.keys().cloned().collect();
                let keys = candidates.keys().map(String::as_str).collect();
                let selected: BTreeSet<String> =
                    cache.objects().selected(&keys).into_iter().map(str::to_owned).collect();
                candidates.retain(|key, _| selected.contains(key));
                None
            }
        };
        if is_new || vanishing_changed || candidates != self.retired {
            self.tell(&candidates);
            self.retired = candidates;
            let retired = self.retired.keys().cloned().collect();
            self.stamps = NodeStamps::new(self.with_retired(evaluation), retired, vanishing);
            self.revision.bump();
        }
        wake.into_iter().chain(settles).min()
    }

    /// Takes in which pools are gone, with the keys that they were cleared for until now, and which have come back.
    fn note_vanished(&mut self, cache: &ClusterCache, evaluation: &Evaluation, now: Instant) {
        let is_gone = |name: &PoolName| match cache.pools.get(name.as_str()) {
            None => true,
            // What cannot be read stands on nothing, at once.
            Some(pool) => pool.object.as_ref().is_ok_and(|pool| cache.providers.get(&pool.spec.provider).is_none()),
        };
        let declared = evaluation.world.catalogue.control_plane.keys();
        self.control_plane.extend(declared.map(|name| (name.clone(), None)));
        for (name, since) in &mut self.control_plane {
            *since = is_gone(name).then(|| since.unwrap_or(now));
        }
        self.control_plane.retain(|_, since| since.is_none_or(|since| now < since + VANISHED));
        let all_lose = self.control_plane.values().any(Option::is_some);
        self.vanished.retain(|name, _| all_lose || is_gone(name));
        for (name, stamps) in self.stamps.pools().filter(|(name, _)| all_lose || is_gone(name)) {
            let granted = evaluation.stamps.get(name);
            let lost = stamps.keys().filter(|key| granted.is_none_or(|granted| !granted.contains_key(*key)));
            let lost: BTreeSet<String> = lost.filter(|key| keys::policy_asked(key).is_some()).cloned().collect();
            if !lost.is_empty() && !self.vanished.contains_key(name) {
                let pool = name.as_str();
                tracing::info!(
                    pool,
                    "it, its provider or what it depends on is gone: its nodes lose what is demanded in {VANISHED:?}"
                );
                self.vanished.insert(name.clone(), (now + VANISHED, lost));
            }
        }
    }

    /// Takes in for which levels exceptions are. One that is gone is remembered while its key is kept.
    fn note_exceptions(&mut self, evaluation: &Evaluation) {
        self.exceptions.retain(|key, _| {
            self.retired.contains_key(key) || self.stamps.pools().any(|(_, stamps)| stamps.contains_key(key))
        });
        for (name, policy) in &evaluation.world.policies {
            let levels = policy.exceptions.iter().filter_map(|(exception, granted)| {
                let level = policy.levels.at(granted.rank)?;
                Some((keys::exception(name, exception), keys::clearance(name, &level.name)))
            });
            self.exceptions.extend(levels);
        }
    }

    /// The keys in demand that stay for a moment.
    fn vanishing(&self, cache: &ClusterCache, evaluation: &Evaluation, now: Instant) -> BTreeSet<String> {
        let held = self.vanished.values().filter(|(until, _)| *until > now).flat_map(|(_, keys)| keys);
        held.filter(|key| !is_retired(cache, evaluation, key)).cloned().collect()
    }

    /// Keys that nobody demands and that some node carries, or that were kept, with the pools whose nodes are given them:
    /// those that had them when they were last demanded, with a node or without. Where that was not seen, as after a start,
    /// those of the nodes that carry them.
    fn candidates(&self, cache: &ClusterCache, evaluation: &Evaluation) -> BTreeMap<String, BTreeSet<PoolName>> {
        let is_retired = |key: &str| is_retired(cache, evaluation, key);
        let known = self.retired.iter().filter(|(key, _)| is_retired(key));
        let mut candidates: BTreeMap<String, BTreeSet<PoolName>> =
            known.map(|(key, pools)| (key.clone(), pools.clone())).collect();
        for (pool, stamps) in self.stamps.pools() {
            for key in stamps.keys().filter(|key| !self.retired.contains_key(*key) && is_retired(key)) {
                candidates.entry(key.clone()).or_default().insert(pool.clone());
            }
        }
        let seen_before: BTreeSet<String> = candidates.keys().cloned().collect();
        let mut seen = BTreeSet::new();
        for (_, node) in cache.nodes.iter() {
            let pool = node.membership.pool();
            // The nodes of a pool nearly always carry the same.
            if !seen.insert((node.stamps_address(), pool)) {
                continue;
            }
            for key in node.stamp_keys().filter(|key| !seen_before.contains(*key) && is_retired(key)) {
                candidates.entry(key.to_owned()).or_default().extend(pool.cloned());
            }
        }
        candidates
    }

    /// What verdicts grant to each pool that stands on something, with the keys that stay.
    fn with_retired(&self, evaluation: &Evaluation) -> BTreeMap<PoolName, Arc<Labels>> {
        let mut pools = evaluation.stamps.clone();
        for (key, of) in &self.retired {
            let level = self.exceptions.get(key);
            let is_given = |pool: &PoolName, stamps: &Labels| {
                let is_cleared = level.is_some_and(|level| keys::grants(stamps, level));
                is_cleared || (of.contains(pool) && !stamps.is_empty())
            };
            for (_, stamps) in pools.iter_mut().filter(|(pool, stamps)| is_given(pool, stamps)) {
                Arc::make_mut(stamps).insert(key.clone(), keys::GRANTED.to_owned());
            }
        }
        pools
    }

    fn tell(&self, now: &BTreeMap<String, BTreeSet<PoolName>>) {
        for key in now.keys().filter(|key| !self.retired.contains_key(*key)) {
            tracing::info!(
                key,
                "no policy adds it to pods any more, and something selects by it: its stamps stay until nothing does"
            );
        }
        for key in self.retired.keys().filter(|key| !now.contains_key(*key)) {
            tracing::info!(key, "demanded again, or selected by nothing any more: no longer kept");
        }
    }
}
