//! Changes of recorded facts: which objects there are, in which version, and what separates two times.
//!
//! Takes the objects of the cache, and returns what was altered, made or deleted, in words for whoever must approve a move.

use std::collections::{BTreeMap, BTreeSet};

use crate::operator::cache::{ClusterCache, DeclaredObject};
use rempart_core::{catalogue::Catalogue, clearance::ClearanceInput, pod_requirements::LevelRef};

/// An object's kind and name.
pub(super) type FactKey = (&'static str, String);
/// Its identifier, and the generation of what it declares.
pub(super) type FactVersion = (Option<String>, Option<i64>);
/// Which objects there are.
pub(super) type FactVersions = BTreeMap<FactKey, FactVersion>;

/// The facts of `cache`, by their versions.
pub(super) fn facts(cache: &ClusterCache) -> FactVersions {
    fn of<'a, K>(
        kind: &'static str,
        records: impl Iterator<Item = (&'a String, &'a DeclaredObject<K>)>,
    ) -> impl Iterator<Item = (FactKey, FactVersion)>
    where
        K: 'a,
    {
        records.map(move |(name, record)| ((kind, name.clone()), (record.meta.uid.clone(), record.meta.generation)))
    }
    of("CloudProvider", cache.providers.iter())
        .chain(of("PlacementPool", cache.pools.iter()))
        .chain(of("PlacementPolicy", cache.policies.iter()))
        .collect()
}

/// What separates `now` from `then`: the object, in words, and what tells one such change from another.
pub(super) fn changes(then: &FactVersions, now: &FactVersions) -> Vec<(FactKey, String, String)> {
    let altered = then.iter().filter_map(|(object, before)| {
        let (kind, name) = object;
        match now.get(object) {
            None => Some((object.clone(), format!("{kind} {name} is gone"), format!("gone, {before:?}"))),
            Some(after) if after != before => {
                Some((object.clone(), format!("{kind} {name} was changed"), format!("{after:?}")))
            }
            Some(_) => None,
        }
    });
    let new = now.iter().filter(|(object, _)| !then.contains_key(*object));
    let new = new.map(|(object, made)| {
        let (kind, name) = object;
        (object.clone(), format!("{kind} {name} is new"), format!("{made:?}"))
    });
    altered.chain(new).collect()
}

/// The pools that say where the control plane runs, and their providers, where the level counts it in, or a category of the
/// policy, of which its pods may be.
pub(super) fn control_plane_facts(world: &ClearanceInput, subject: LevelRef<'_>) -> BTreeSet<FactKey> {
    let counts = world.policies.get(subject.policy).is_some_and(|policy| {
        let rank = policy.levels.rank(subject.level.as_str());
        rank.is_some_and(|rank| policy.levels.counts_control_plane(rank))
            || policy.categories.values().flatten().any(|require| require.control_plane)
    });
    let Catalogue { control_plane, unread_control_plane, .. } = &world.catalogue;
    let declared = control_plane
        .values()
        .flat_map(|pool| [("PlacementPool", pool.name.to_string()), ("CloudProvider", pool.provider.clone())]);
    let unread = unread_control_plane.iter().map(|name| ("PlacementPool", name.clone()));
    declared.chain(unread).filter(|_| counts).collect()
}
