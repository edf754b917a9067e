//! Replacement memory: of which workloads pods were replaced that waited, and what was taken from templates.
//!
//! What was done in vain is not done again and again: by this it is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::operator::reconcile::view::ClusterView;
use rempart_core::{
    cluster_objects::ObjectUid,
    compliance::{ComplianceReport, OwnedPods, StalePod},
    migration::{MigrationCause, MigrationStep, PlannedMigration, ReplacedPods},
};

/// What was replaced and taken, by the identifiers of what makes the pods.
#[derive(Default)]
pub(super) struct ReplacementMemory(BTreeMap<ObjectUid, ReplacedPods>);

impl ReplacementMemory {
    /// All that is remembered.
    pub(super) fn known(&self) -> &BTreeMap<ObjectUid, ReplacedPods> {
        &self.0
    }

    /// Whether anything is remembered of `unit`.
    pub(super) fn knows(&self, unit: &ObjectUid) -> bool {
        self.0.contains_key(unit)
    }

    /// Remembers what `due` replaces of `unit` and takes from its template, and says whether the same was taken before.
    pub(super) fn remember(&mut self, due: &PlannedMigration<'_>, unit: &OwnedPods<'_>) -> bool {
        let by_template = due.steps.iter().any(|step| matches!(step, MigrationStep::AnnotateTemplate { .. }));
        let taken = if by_template { unit.surplus.join(", ") } else { String::new() };
        if due.cause != MigrationCause::Stale && taken.is_empty() {
            return false;
        }
        let keys = unit.stale.first().map_or_else(|| unit.surplus.join(", "), StalePod::keys);
        let pods = unit.stale.iter().map(|stale| stale.pod.uid).collect();
        let before = self.0.remove(&due.owner).map(|before| before.template_keys).unwrap_or_default();
        let is_again = !taken.is_empty() && taken == before;
        // An eviction takes nothing from the template, and does not forget what was taken.
        let template_keys = if by_template { taken } else { before };
        self.0.insert(due.owner, ReplacedPods { keys, template_keys, pods, by_template });
        is_again
    }

    /// Forgets workloads that are gone or no longer told of, and what was taken and is demanded again.
    pub(super) fn forget(&mut self, view: &ClusterView<'_>, report: &ComplianceReport<'_>) {
        if self.0.is_empty() {
            return;
        }
        let there: BTreeSet<ObjectUid> =
            view.objects().controllers.all().map(|(_, controller)| controller.uid).collect();
        let is_demanded = |unit: &ObjectUid, before: &ReplacedPods| {
            let owned = report.workloads.get(unit);
            owned.is_some_and(|owned| owned.requirements.keys().any(|key| before.took(key)))
        };
        let is_retired = |before: &ReplacedPods| before.taken().any(|key| view.evaluation.world.is_retired(key));
        self.0.retain(|unit, before| {
            let is_known = report.workloads.contains_key(unit) || (there.contains(unit) && is_retired(before));
            is_known && !is_demanded(unit, before)
        });
    }
}
