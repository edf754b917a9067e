//! Replacement memory: of which workloads pods were replaced that waited, and what was taken from templates.
//!
//! What was done in vain is not done again and again: by this it is known.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use crate::{
    clearance::ClearanceInput,
    cluster_objects::{ClusterObjects, ObjectUid},
    compliance::{ComplianceReport, OwnedPods, StalePod},
    migration::{MigrationCause, MigrationStep, PlannedMigration, ReplacedPods},
};

/// What was replaced and taken, by the identifiers of what makes the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ReplacementMemory(BTreeMap<ObjectUid, ReplacedPods>);

impl ReplacementMemory {
    /// All that is remembered.
    pub(super) fn known(&self) -> &BTreeMap<ObjectUid, ReplacedPods> {
        &self.0
    }

    /// Whether anything is remembered of `owner`.
    pub(super) fn knows(&self, owner: ObjectUid) -> bool {
        self.0.contains_key(&owner)
    }

    /// Remembers what `due` replaces of `owned` and takes from its template, and says whether the same was taken before.
    pub(super) fn remember(&mut self, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> bool {
        let by_template = due.steps.iter().any(|step| matches!(step, MigrationStep::AnnotateTemplate { .. }));
        let taken = if by_template { owned.surplus.join(", ") } else { String::new() };
        if due.cause != MigrationCause::Stale && taken.is_empty() {
            return false;
        }
        let keys = owned.stale.first().map_or_else(|| owned.surplus.join(", "), StalePod::keys);
        let pods = owned.stale.iter().map(|stale| stale.pod.uid).collect();
        let before = self.0.remove(&due.owner).map(|before| before.template_keys).unwrap_or_default();
        let is_again = !taken.is_empty() && taken == before;
        // An eviction takes nothing from the template, and does not forget what was taken.
        let template_keys = if by_template { taken } else { before };
        self.0.insert(due.owner, ReplacedPods { keys, template_keys, pods, by_template });
        is_again
    }

    /// Forgets workloads that are gone or no longer told of, and what was taken and is demanded again.
    pub(super) fn forget(
        &mut self,
        objects: &ClusterObjects<'_>,
        world: &ClearanceInput,
        report: &ComplianceReport<'_>,
    ) {
        if self.0.is_empty() {
            return;
        }
        let there: BTreeSet<ObjectUid> = objects.controllers.all().map(|(_, controller)| controller.uid).collect();
        let is_demanded = |owner: &ObjectUid, before: &ReplacedPods| {
            let owned = report.workloads.get(owner);
            owned.is_some_and(|owned| owned.requirements.keys().any(|key| before.took(key)))
        };
        let is_retired = |before: &ReplacedPods| before.taken().any(|key| world.is_retired(key));
        self.0.retain(|owner, before| {
            let is_known = report.workloads.contains_key(owner) || (there.contains(owner) && is_retired(before));
            is_known && !is_demanded(owner, before)
        });
    }
}
