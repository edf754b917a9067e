//! Lints of move windows and deadlines: those by which nothing would ever move, and ends before which no window opens.

use super::about;
use crate::{
    api::validate::ResourceKind,
    diagnostic::{Diagnostic, Severity::Warning},
    gather::{LocatedInventory, OwnObject},
};
use rempart_core::{
    instant::Timestamp,
    move_window::WindowsLeft,
    plan::Plan,
    policy::{Level, LossAction, Policy},
};

/// What is to be said at `at` of the windows of the policies in `located`.
pub(super) fn findings(located: &LocatedInventory<'_>, plan: &Plan<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let policies = located.inventory.world.policies.values();
    let named = policies.filter_map(|policy| {
        Some((policy, located.own.get(&(ResourceKind::PlacementPolicy, policy.name.to_string()))?))
    });
    let mut found = Vec::new();
    for (policy, own) in named {
        let with_deadline = policy.levels.iter().enumerate().filter(|(_, level)| level.on_loss.deadline.is_some());
        found.extend(with_deadline.filter_map(|(rank, level)| idle_deadline(own, policy, (rank, level))));
        for (rank, level) in
            policy.levels.iter().enumerate().filter(|(_, level)| level.on_loss.windows.are_restricted())
        {
            let path = format!("spec.levels[{rank}].onClearanceLoss.windows");
            match idle(own, &path, policy, (rank, level)) {
                Some(idle) => found.push(idle),
                None => found.extend(missed(own, &path, policy, (rank, level), (plan, at))),
            }
        }
    }
    found
}

/// A deadline that nothing ever reaches.
fn idle_deadline(own: &OwnObject<'_>, policy: &Policy, (rank, level): (usize, &Level)) -> Option<Diagnostic> {
    let (why, hint) = match level.on_loss.action {
        LossAction::Report => ("its action is Report", "leave deadline out, or write action: Migrate"),
        LossAction::Migrate | LossAction::Evict if !policy.levels.demands_at(rank) => {
            ("it requires nothing", "leave deadline out")
        }
        LossAction::Migrate | LossAction::Evict => return None,
    };
    let message = format!("level {} has a deadline, and {why}: nothing of it is ever moved", level.name);
    let path = format!("spec.levels[{rank}].onClearanceLoss.deadline");
    Some(about(own, &path, Warning, "DeadlineWithoutMoves", message).hint(hint))
}

/// Windows that nothing waits for.
fn idle(own: &OwnObject<'_>, path: &str, policy: &Policy, (rank, level): (usize, &Level)) -> Option<Diagnostic> {
    let (code, message, hint) = match level.on_loss.action {
        LossAction::Report => (
            "WindowsWithoutMoves",
            format!(
                "level {} has windows for moves, and its action is Report: nothing of it is ever moved",
                level.name
            ),
            "leave windows out, or write action: Migrate",
        ),
        LossAction::Migrate | LossAction::Evict if !policy.levels.demands_at(rank) => (
            "WindowsWithoutMoves",
            format!("level {} has windows for moves and requires nothing: nothing of it is ever moved", level.name),
            "leave windows out",
        ),
        LossAction::Migrate | LossAction::Evict if policy.levels.lead_at(rank).is_zero() => (
            "WindowsWithoutLeadTime",
            format!(
                "level {} has windows for moves ahead of an end and no lead time, nor has a level before it: its pods move at \
                 the end, at any hour",
                level.name
            ),
            "write a leadTime that spans several windows, or leave windows out",
        ),
        LossAction::Migrate | LossAction::Evict => return None,
    };
    Some(about(own, path, Warning, code, message).hint(hint))
}

/// Ends of clearances before which no window opens.
fn missed(
    own: &OwnObject<'_>,
    path: &str,
    policy: &Policy,
    (rank, level): (usize, &Level),
    (plan, at): (&Plan<'_>, Timestamp),
) -> Vec<Diagnostic> {
    let lead = policy.levels.lead_at(rank);
    let ends = plan.pools.iter().filter_map(|pool| {
        let clearance = pool.under(&policy.name).filter(|clearance| clearance.cleared(rank))?;
        let end = clearance.end(rank, at)?;
        let from = end.at.before(lead).max(at);
        match level.on_loss.windows.left_before(end.at, from) {
            WindowsLeft::Unrestricted | WindowsLeft::Several(_) | WindowsLeft::Last(_) => None,
            WindowsLeft::None => Some((pool.pool, end, from)),
        }
    });
    let told = ends.map(|(pool, end, from)| {
        let message = format!(
            "no window of level {} of policy {} opens between {from} and {}, when pool {} stops being cleared for it ({} of {}, \
             {}): its pods would all move at the end, at any hour",
            level.name, policy.name, end.at, pool.name, end.by.scheme, pool.provider, pool.offer
        );
        about(own, path, Warning, "NoWindowBeforeEnd", message).hint("write another window, or a longer leadTime")
    });
    told.collect()
}
