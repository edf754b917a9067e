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
    /// Of workloads that no policy in force governs, taken together.
    ungoverned: LevelBudget,
}

struct LevelBudget {
    most: u32,
    moving: u32,
    /// Whether somebody waits for more of it than is left: then nobody who comes after may take that away, or a large
    /// workload would never have its turn among small ones.
    is_closed: bool,
}

impl<'a> ConcurrencyBudget<'a> {
    pub(super) fn new(report: &ComplianceReport<'a>, context: &MigrationContext<'_>) -> Self {
        let most = |counts: &PodCounts| {
            let share = u64::from(counts.total).saturating_mul(u64::from(context.limits.wave)) / 100;
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        let mut all = PodCounts::default();
        for owned in report.workloads.values().filter(|owned| owned.requirements.levels().next().is_none()) {
            all.add(&owned.pods);
        }
        let mut ungoverned = LevelBudget { most: most(&all), moving: 0, is_closed: false };
        let levels = report.levels.iter();
        let mut levels: BTreeMap<_, _> = levels
            .map(|(level, counts)| (*level, LevelBudget { most: most(counts), moving: 0, is_closed: false }))
            .collect();
        for (uid, pods) in context.moving {
            let Some(owned) = report.workloads.get(uid) else {
                // It has no pod at the moment, and its turn all the same.
                let of = context.awaited.get(uid).map_or(&[][..], |awaited| &awaited.levels);
                if of.is_empty() {
                    ungoverned.take(*pods);
                }
                let held = levels.iter_mut().filter(|(level, _)| of.contains(&level.named()));
                held.for_each(|(_, budget)| budget.take(*pods));
                continue;
            };
            let mut is_governed = false;
            for level in owned.requirements.levels() {
                is_governed = true;
                levels.entry(level).or_insert(LevelBudget { most: 0, moving: 0, is_closed: false }).take(*pods);
            }
            if !is_governed {
                ungoverned.take(*pods);
            }
        }
        Self { levels, ungoverned }
    }

    /// Whether `candidate` may begin now.
    pub(super) fn allows(&self, candidate: &Candidate<'_, 'a>) -> bool {
        let pods = candidate.pods_moving();
        let mut levels = candidate.owned.requirements.levels().peekable();
        if !candidate.paced {
            return true;
        }
        if levels.peek().is_none() {
            return self.ungoverned.allows(pods);
        }
        levels.all(|level| self.levels.get(&level).is_none_or(|budget| budget.allows(pods)))
    }

    /// Keeps what is left for `candidate`, which needs more of it.
    pub(super) fn close(&mut self, candidate: &Candidate<'_, 'a>) {
        let pods = candidate.pods_moving();
        let mut levels = candidate.owned.requirements.levels().peekable();
        if levels.peek().is_none() {
            self.ungoverned.is_closed = true;
        }
        for level in levels {
            if let Some(budget) = self.levels.get_mut(&level).filter(|budget| !budget.allows(pods)) {
                budget.is_closed = true;
            }
        }
    }

    /// Counts `candidate` as on the move.
    pub(super) fn take(&mut self, candidate: &Candidate<'_, 'a>) {
        if !candidate.paced {
            return;
        }
        let pods = candidate.pods_moving();
        let mut levels = candidate.owned.requirements.levels().peekable();
        if levels.peek().is_none() {
            self.ungoverned.take(pods);
        }
        for level in levels {
            if let Some(budget) = self.levels.get_mut(&level) {
                budget.take(pods);
            }
        }
    }
}

impl LevelBudget {
    /// Whether so many more may begin: one workload always may.
    fn allows(&self, pods: u32) -> bool {
        !self.is_closed && (self.moving == 0 || self.moving.saturating_add(pods.max(1)) <= self.most)
    }

    fn take(&mut self, pods: u32) {
        self.moving = self.moving.saturating_add(pods.max(1));
    }
}
