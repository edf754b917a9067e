//! Lints of exceptions: those that have ended or soon end, and those that do nothing, or more than they seem to.

use super::{SOON_DAYS, about};
use crate::{
    api::validate::ResourceKind,
    diagnostic::{Diagnostic, Severity::Warning},
    gather::{LocatedInventory, OwnObject, OwnSpec},
};
use rempart_core::{
    clearance::PolicyClearance,
    instant::Timestamp,
    name::{ExceptionName, PoolName},
    plan::Plan,
    policy::{Exception, Policy},
    references::unknown_pools,
    text::FewDisplay,
};

/// What is to be said of the exceptions in `located`.
pub(super) fn findings(located: &LocatedInventory<'_>, plan: &Plan<'_>, at: Timestamp) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in located.inventory.world.policies.values() {
        let Some(own) = located.own.get(&(ResourceKind::PlacementPolicy, policy.name.to_string())) else { continue };
        for (name, exception) in &policy.exceptions {
            let this = PolicyException { own, policy, name, exception };
            found.extend(this.ending(at));
            found.extend(this.needless());
            found.extend(this.of_namespaces(located));
            let demands = policy.levels.demands_at(exception.rank);
            if demands && !plan.pools.is_empty() && exception.in_force(at) {
                found.extend(this.of_pools(plan));
            }
        }
        if !plan.pools.is_empty() {
            for (name, pool) in unknown_pools(&located.inventory.world, policy) {
                let why = if located.inventory.world.catalogue.control_plane.contains_key(pool) {
                    "the control plane runs there, and no pod"
                } else {
                    "there is no such PlacementPool"
                };
                let message = format!("{:?} in pools of exception {name}: {why}", pool.as_str());
                let path = format!("{}.pools", path_of(own, name));
                found.push(about(own, &path, Warning, "ReferenceUnresolved", message));
            }
        }
    }
    found
}

/// Where the exception `name` stands in its policy.
fn path_of(own: &OwnObject<'_>, name: &ExceptionName) -> String {
    let index = match &own.spec {
        OwnSpec::Policy(spec) => spec.exceptions.iter().position(|found| found.name == name.as_str()),
        _ => None,
    };
    index.map_or_else(|| "spec.exceptions".to_owned(), |index| format!("spec.exceptions[{index}]"))
}

struct PolicyException<'s> {
    own: &'s OwnObject<'s>,
    policy: &'s Policy,
    name: &'s ExceptionName,
    exception: &'s Exception,
}

impl PolicyException<'_> {
    fn told(&self, field: &str, code: &'static str, message: String, hint: &str) -> Diagnostic {
        let path = format!("{}.{field}", path_of(self.own, self.name));
        about(self.own, &path, Warning, code, message).hint(hint)
    }

    fn ending(&self, at: Timestamp) -> Option<Diagnostic> {
        let Self { name, policy, exception, .. } = self;
        let Some(end) = exception.end(at) else {
            let message = format!("exception {name} of policy {} ended with {}", policy.name, exception.until);
            return Some(self.told("until", "ExceptionEnded", message, "remove it: it lets nothing in any more"));
        };
        let days = end.days_since(at);
        let message = format!(
            "exception {name} of policy {} ends with {}, within {SOON_DAYS} days",
            policy.name, exception.until
        );
        let hint = "move what runs by it to cleared pools; rempart impact --at a later day shows what that is";
        (days <= SOON_DAYS).then(|| self.told("until", "ExceptionEnding", message, hint))
    }

    /// One for a level that demands nothing.
    fn needless(&self) -> Option<Diagnostic> {
        let Self { name, policy, exception, .. } = self;
        let level = policy.levels.at(exception.rank).filter(|_| !policy.levels.demands_at(exception.rank))?;
        let message =
            format!("exception {name} is for level {} of policy {}, which requires nothing", level.name, policy.name);
        Some(self.told("level", "ExceptionNeedless", message, "name a level that requires something, or remove it"))
    }

    /// Namespaces that it is for and that nobody has, where any are known.
    fn of_namespaces(&self, located: &LocatedInventory<'_>) -> Option<Diagnostic> {
        let inventory = &located.inventory;
        let lives = |name: &&String| {
            inventory.namespaces.contains_key(name.as_str())
                || inventory.workloads.iter().any(|workload| *workload.identity.namespace == ***name)
        };
        let unknown: Vec<_> = self.exception.namespaces.iter().filter(|name| !lives(name)).collect();
        if inventory.namespaces.is_empty() || unknown.is_empty() {
            return None;
        }
        let message = format!(
            "exception {} of policy {} is for {}, which was not read",
            self.name,
            self.policy.name,
            FewDisplay(unknown.iter())
        );
        Some(self.told("namespaces", "ExceptionUnused", message, "correct the name of the namespace, or take it out"))
    }

    /// Pools that it names and that are cleared anyway, and those that pods of the levels below lose by it.
    fn of_pools(&self, plan: &Plan<'_>) -> Vec<Diagnostic> {
        let Self { name, policy, exception, .. } = self;
        let pools = || plan.pools.iter().filter_map(|pool| Some((&pool.pool.name, pool.under(&policy.name)?)));
        let level = policy.levels.at(exception.rank).map(|level| level.name.to_string()).unwrap_or_default();
        let mut found = Vec::new();
        let anyway = |(pool, found): &(&PoolName, &PolicyClearance<'_>)| {
            exception.pools.contains(*pool) && found.cleared(exception.rank)
        };
        let anyway: Vec<&PoolName> = pools().filter(anyway).map(|(pool, _)| pool).collect();
        if !anyway.is_empty() {
            let message = format!(
                "exception {name} names {}, cleared for level {level} of policy {} anyway",
                FewDisplay(anyway.iter()),
                policy.name
            );
            found.push(self.told(
                "pools",
                "ExceptionNeedless",
                message,
                "take it out of the exception, or remove the exception",
            ));
        }
        let demanding = (0..exception.rank).find(|rank| policy.levels.demands_at(*rank));
        let below = demanding.and_then(|rank| Some((rank, policy.levels.at(rank)?)));
        if let Some((rank, below)) = below {
            let permitted = |found: &PolicyClearance<'_>| found.excepted(name) || found.cleared(exception.rank);
            let lost = pools().filter(|(_, found)| found.cleared(rank) && !permitted(found));
            let lost: Vec<_> = lost.map(|(pool, _)| pool).collect();
            if !lost.is_empty() {
                let message = format!(
                    "exception {name} is for level {level} of policy {} and those below: pods of level {} in its namespaces may no longer run on {}",
                    policy.name,
                    below.name,
                    FewDisplay(lost.iter())
                );
                found.push(self.told("level", "ExceptionNarrows", message, "add these pools to the exception"));
            }
        }
        found
    }
}
