//! The concurrency budget of migration: how many pods of each level may still begin to move.

use alloc::collections::BTreeMap;

use super::{MigrationContext, candidate::Candidate};
use crate::{
    compliance::{ComplianceReport, PodCounts},
    pod_requirements::LevelRef,
};

/// How many pods of each level may still begin to move.
pub(super) struct ConcurrencyBudget<'a> {
    levels: BTreeMap<LevelRef<'a>, LevelBudget>,
}

struct LevelBudget {
    most: u32,
    moving: u32,
}

impl<'a> ConcurrencyBudget<'a> {
    pub(super) fn new(report: &ComplianceReport<'a>, context: &MigrationContext<'_>) -> Self {
        let most = |counts: &PodCounts| {
            let share = u64::from(counts.total).saturating_mul(u64::from(context.limits.wave)) / 100;
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        let levels = report.levels.iter();
        let mut levels: BTreeMap<_, _> =
            levels.map(|(level, counts)| (*level, LevelBudget { most: most(counts), moving: 0 })).collect();
        for (uid, pods) in context.moving {
            let Some(owned) = report.workloads.get(uid) else { continue };
            for level in owned.requirements.levels() {
                let budget = levels.entry(level).or_insert(LevelBudget { most: 0, moving: 0 });
                budget.moving = budget.moving.saturating_add((*pods).max(1));
            }
        }
        Self { levels }
    }

    /// Whether `candidate` may begin now.
    pub(super) fn allows(&self, candidate: &Candidate<'_, 'a>) -> bool {
        let weight = candidate.pods_moving().max(1);
        let allows = |budget: &LevelBudget| budget.moving == 0 || budget.moving.saturating_add(weight) <= budget.most;
        let mut levels = candidate.owned.requirements.levels();
        !candidate.paced || levels.all(|level| self.levels.get(&level).is_none_or(allows))
    }

    /// Counts `candidate` as on the move.
    pub(super) fn take(&mut self, candidate: &Candidate<'_, 'a>) {
        let weight = candidate.pods_moving().max(1);
        for level in candidate.owned.requirements.levels().filter(|_| candidate.paced) {
            if let Some(budget) = self.levels.get_mut(&level) {
                budget.moving = budget.moving.saturating_add(weight);
            }
        }
    }
}
