//! Settling: since when the facts that concern a workload have been what they are.
//!
//! Before its pods are moved, what decides where they may be must have been stable for [`SETTLING`]: the verdicts of the
//! policies that govern it and whether admission acts on them, the labels of its namespace, and whose its pods' nodes
//! are. What changes elsewhere, however often, keeps nobody waiting.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use crate::operator::{
    cache::{FactChanges, LastSeen},
    reconcile::view::ClusterView,
};
use rempart_core::{compliance::OwnedPods, keys, selector::Labels};

/// How long facts must have been stable before pods are moved.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

/// When facts last changed, as far as that is not long ago.
#[derive(Debug, Default)]
pub(super) struct SettlingFacts {
    /// When it last was that any of them changed.
    changed: Option<Instant>,
    /// When it last was that many of them may have changed, as at a list.
    all: Option<Instant>,
    policies: BTreeMap<String, Instant>,
    namespaces: BTreeMap<String, Instant>,
    nodes: BTreeMap<String, Instant>,
    evaluation: LastSeen<u64>,
    /// What follows from each policy, as a number.
    verdicts: BTreeMap<String, u64>,
    acting: BTreeSet<String>,
}

impl SettlingFacts {
    /// Takes in what has changed by `now`, and says whether anything has, or has been stable for long enough.
    pub(super) fn observe(&mut self, view: &ClusterView<'_>, changes: FactChanges, now: Instant) -> bool {
        let before = self.changed;
        let is_first = self.evaluation.get().is_none();
        if is_first || changes.all {
            (self.all, self.changed) = (Some(now), Some(now));
        }
        self.namespaces.extend(changes.namespaces.into_iter().map(|name| (name, now)));
        self.nodes.extend(changes.nodes.into_iter().map(|name| (name, now)));
        if self.evaluation.update(view.evaluation.serial) {
            let verdicts = verdicts(view);
            let names = self.verdicts.keys().chain(verdicts.keys());
            let other = names.filter(|name| self.verdicts.get(*name) != verdicts.get(*name));
            self.policies.extend(other.map(|name| (name.clone(), now)));
            self.verdicts = verdicts;
        }
        if self.acting != view.propagation.policies {
            let other = self.acting.symmetric_difference(&view.propagation.policies);
            self.policies.extend(other.map(|name| (name.clone(), now)));
            self.acting.clone_from(&view.propagation.policies);
        }
        let mut has_settled = false;
        for recent in [&mut self.policies, &mut self.namespaces, &mut self.nodes] {
            if recent.values().any(|changed| *changed == now) {
                self.changed = Some(now);
            }
            let known = recent.len();
            recent.retain(|_, changed| *changed + SETTLING > now);
            has_settled |= recent.len() < known;
        }
        has_settled || self.changed != before
    }

    /// When the facts that concern `unit` count as stable, if none changes; nothing where they do.
    pub(super) fn settles(&self, unit: &OwnedPods<'_>, now: Instant) -> Option<Instant> {
        let governing = unit.requirements.policies.iter().map(|required| required.policy.name.as_str());
        let standing = unit.misplaced.iter().flat_map(|pod| pod.requirements.policies.iter());
        let standing = standing.map(|required| required.policy.name.as_str());
        // What a policy that is gone demanded, another edit may demand again in a moment.
        let surplus = unit.surplus.iter().filter_map(|key| keys::policy_asked(key));
        let policies = governing.chain(standing).chain(surplus).filter_map(|name| self.policies.get(name));
        let nodes = unit.nodes.keys().filter_map(|name| self.nodes.get(*name));
        let changed = policies.chain(nodes).chain(self.namespaces.get(unit.namespace)).chain(&self.all).max()?;
        Some(*changed + SETTLING).filter(|then| *then > now)
    }

    /// When facts that have changed count as stable, one after the other.
    pub(super) fn ends(&self) -> impl Iterator<Item = Instant> {
        let recent = self.policies.values().chain(self.namespaces.values()).chain(self.nodes.values());
        recent.chain(&self.all).map(|changed| *changed + SETTLING)
    }

    /// Whether any fact has changed since `instant`: then a move that began there could not know where pods may be now.
    pub(super) fn have_changed_since(&self, instant: Instant) -> bool {
        self.changed.is_some_and(|changed| changed > instant)
    }
}

/// What follows from each policy for the nodes of every pool, and from its spec, as a number.
fn verdicts(view: &ClusterView<'_>) -> BTreeMap<String, u64> {
    let mut hashers: BTreeMap<&str, DefaultHasher> = BTreeMap::new();
    for (name, record) in view.cache.policies.iter() {
        let meta = &record.meta;
        let hasher = hashers.entry(name).or_default();
        (&meta.uid, meta.generation, record.is_terminating(), record.object.is_ok()).hash(hasher);
    }
    for stamps in [&view.evaluation.stamps, &view.evaluation.retained] {
        for (pool, stamps) in stamps {
            let stamps: &Labels = stamps;
            for (key, value) in stamps {
                if let Some(hasher) = keys::policy_asked(key).and_then(|policy| hashers.get_mut(policy)) {
                    (pool, key, value).hash(hasher);
                }
            }
        }
    }
    hashers.into_iter().map(|(name, hasher)| (name.to_owned(), hasher.finish())).collect()
}
