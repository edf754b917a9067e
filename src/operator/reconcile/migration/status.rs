//! Migration status: what the records of workloads are told of moves.
//!
//! A [`MigrationStatus`] says of one workload what moves, what waits and why pods stay.

use std::collections::BTreeMap;

use crate::operator::cache::Revision;
use rempart_core::{
    cluster_objects::ObjectUid,
    migration::{LevelViolation, MoveWait},
};

/// How the migration of a workload's pods stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MigrationStatus {
    /// How many of its pods are on the move.
    pub moving: u32,
    /// What its pods wait for, where they are to be moved and nothing else is in the way.
    pub waiting: Option<MoveWait>,
    /// Why pods stay although they should not, by their names: a stable word and a sentence.
    pub kept: BTreeMap<String, (&'static str, String)>,
    /// Why pods that wait for a node would wait with every node empty, by their names: a stable word and a sentence.
    pub stranded: BTreeMap<String, (&'static str, String)>,
    /// A pod that stays, and how many are to be ready before another is evicted, where nobody but the owner knows how many
    /// there should be: it stands on the record of that pod, for whoever takes over.
    pub awaited_ready: Option<(String, u32)>,
    /// Since when pods violate levels that have a deadline, by their names, with their identifiers.
    pub violating: BTreeMap<String, (ObjectUid, Vec<LevelViolation>)>,
}

impl MigrationStatus {
    /// That of several controllers whose pods have one record.
    #[must_use]
    pub fn joined(all: &[&Self]) -> Self {
        Self {
            moving: all.iter().fold(0, |sum, status| sum.saturating_add(status.moving)),
            waiting: all.iter().filter_map(|status| status.waiting).max(),
            kept: all.iter().flat_map(|status| status.kept.clone()).collect(),
            stranded: all.iter().flat_map(|status| status.stranded.clone()).collect(),
            awaited_ready: None,
            violating: all.iter().flat_map(|status| status.violating.clone()).collect(),
        }
    }

    /// What of it concerns the pod `name` alone: where it does not stand as it should, why it stays, or else that it is
    /// moved or waits with the others.
    #[must_use]
    pub fn of_pod(&self, name: &str, stands_wrong: bool) -> Self {
        let awaited_ready = self.awaited_ready.clone().filter(|(pod, _)| pod == name);
        if !stands_wrong {
            return Self { awaited_ready, ..Self::default() };
        }
        let violating = self.violating.get_key_value(name).map(|(name, levels)| (name.clone(), levels.clone()));
        let of_pod = |all: &BTreeMap<String, (&'static str, String)>| {
            all.get_key_value(name).map(|(name, why)| (name.clone(), why.clone())).into_iter().collect()
        };
        let kept: BTreeMap<_, _> = of_pod(&self.kept);
        let stays = !kept.is_empty();
        Self {
            moving: if stays { 0 } else { self.moving.min(1) },
            waiting: self.waiting.filter(|_| !stays),
            kept,
            stranded: of_pod(&self.stranded),
            awaited_ready,
            violating: violating.into_iter().collect(),
        }
    }
}

/// How the migration of each workload stands, by its identifier.
#[derive(Clone, Debug, Default)]
pub struct MigrationStatuses {
    /// Those of which there is something to say.
    pub workloads: BTreeMap<ObjectUid, MigrationStatus>,
    /// How often they have changed.
    pub revision: Revision,
}

impl MigrationStatuses {
    /// Those of a cycle in which nothing was looked at.
    pub fn none() -> &'static Self {
        static NONE: std::sync::LazyLock<MigrationStatuses> = std::sync::LazyLock::new(MigrationStatuses::default);
        &NONE
    }
}
