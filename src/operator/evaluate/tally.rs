//! Tallies: how the pools fare under one policy, by level and category, as the policy's status lists them.
//!
//! Takes the clearances of pools one by one, and returns the statuses of levels and categories with the pools near their end.

use std::collections::BTreeMap;

use super::{ExpiringPool, ExpiryOutcome};
use crate::api::{self, limits};
use rempart_core::{
    clearance::PolicyClearance,
    instant::Timestamp,
    move_window::WindowsLeft,
    name::PoolName,
    validity::{ClearanceValidity, RetainReason},
};

/// How the pools fare under one policy.
#[derive(Default)]
pub(super) struct PolicyTally {
    pub(super) levels: Vec<PoolTally>,
    pub(super) categories: Vec<PoolTally>,
    /// By exception, the pools that it lets pods onto.
    pub(super) opened: BTreeMap<String, Vec<String>>,
    pub(super) endings: Vec<ExpiringPool>,
    /// When a window next opens or closes in which pods leave one of these.
    pub(super) window_change: Option<Timestamp>,
}

#[derive(Clone, Default)]
pub(super) struct PoolTally {
    cleared: Vec<String>,
    leaving: Vec<String>,
    ending: Vec<String>,
    rejected: i32,
}

impl PoolTally {
    fn count(&mut self, pool: &PoolName, cleared: bool) {
        if cleared {
            self.cleared.push(pool.to_string());
        } else {
            self.rejected = self.rejected.saturating_add(1);
        }
    }
}

/// What becomes of a pool that is kept to its end, by why it is.
fn kept_outcome(kept: RetainReason) -> ExpiryOutcome {
    match kept {
        RetainReason::ControlPlane => ExpiryOutcome::ControlPlane,
        RetainReason::Last => ExpiryOutcome::Last,
        RetainReason::Report => ExpiryOutcome::Reported,
    }
}

impl PolicyTally {
    pub(super) fn count(&mut self, pool: &PoolName, clearance: &PolicyClearance<'_>, at: Timestamp) {
        let policy = clearance.policy();
        self.levels.resize(policy.levels.iter().len(), PoolTally::default());
        for (rank, tally) in self.levels.iter_mut().enumerate() {
            tally.count(pool, clearance.cleared(rank));
            let Some(level) = policy.levels.at(rank) else { continue };
            let (outcome, windows) = match clearance.validity(rank) {
                ClearanceValidity::Open => continue,
                // It is the control plane's end, and told of that alone: once, and not pool by pool.
                validity if validity.end().is_some_and(|end| end.control_plane.is_some()) => {
                    tally.ending.push(pool.to_string());
                    continue;
                }
                ClearanceValidity::Withdrawn(end) => {
                    let windows = &level.on_loss.windows;
                    self.window_change = windows.next_change(at).into_iter().chain(self.window_change).min();
                    (ExpiryOutcome::Leaving, windows.left_before(end.at, at))
                }
                // Nothing leaves it.
                ClearanceValidity::Expiring(_, kept) => (kept_outcome(kept), WindowsLeft::Unrestricted),
            };
            let pools = if outcome == ExpiryOutcome::Leaving { &mut tally.leaving } else { &mut tally.ending };
            pools.push(pool.to_string());
            let message = clearance.ending(rank).map(|reason| reason.to_string()).unwrap_or_default();
            let message = format!("{message}{windows}");
            self.endings.push(ExpiringPool {
                outcome,
                level: level.name.clone(),
                pool: pool.clone(),
                windows,
                message,
            });
        }
        self.categories.resize(policy.categories.len(), PoolTally::default());
        for (category, tally) in policy.categories.keys().zip(&mut self.categories) {
            tally.count(pool, clearance.cleared_category(category));
        }
        for (name, _) in clearance.let_in() {
            self.opened.entry(name.to_string()).or_default().push(pool.to_string());
        }
    }

    /// Takes in a place of the control plane, of which nothing counts but that it ends.
    pub(super) fn count_control_plane(&mut self, pool: &PoolName, clearance: &PolicyClearance<'_>) {
        for (rank, level) in clearance.policy().levels.iter().enumerate() {
            let ClearanceValidity::Expiring(_, kept) = clearance.validity(rank) else { continue };
            let outcome = kept_outcome(kept);
            let message = clearance.ending(rank).map(|reason| reason.to_string()).unwrap_or_default();
            let (level, pool, windows) = (level.name.clone(), pool.clone(), WindowsLeft::Unrestricted);
            self.endings.push(ExpiringPool { outcome, level, pool, windows, message });
        }
    }

    pub(super) fn listed(names: impl Iterator<Item = String>, tallies: Vec<PoolTally>) -> Vec<api::ClearanceStatus> {
        let tallies = tallies.into_iter().chain(std::iter::repeat(PoolTally::default()));
        names
            .zip(tallies)
            .map(|(name, mut tally)| {
                for pools in [&mut tally.cleared, &mut tally.leaving, &mut tally.ending] {
                    pools.truncate(limits::STATUS_LIST);
                }
                api::ClearanceStatus {
                    name,
                    cleared_pools: tally.cleared,
                    leaving_pools: tally.leaving,
                    ending_pools: tally.ending,
                    rejected_pools: Some(tally.rejected),
                    workloads: None,
                    violating_pods: None,
                    spread: None,
                }
            })
            .collect()
    }
}
