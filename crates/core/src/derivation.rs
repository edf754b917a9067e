//! Derivations: every requirement of a verdict, with the evidence that meets it or the cause that fails it.
//!
//! The judgement itself keeps only what speaks against a place. This is the same judgement, told in full.

use alloc::vec::Vec;

pub use super::check::{CheckResult, OfferRequirement, RequirementEvidence};
use super::{
    catalogue::{Pool, PoolRole, ResolvedPool, UnresolvedReference},
    clearance::Judge,
    control_plane::{ControlPlaneDemand, ControlPlanePlace},
    instant::Timestamp,
    name::{CategoryName, ExceptionName},
    policy::{Exception, Policy},
    reason::{Cause, Reason, RequirementSource},
};

/// A demand, who makes it, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The level or category that demands.
    pub demander: RequirementSource<'a>,
    /// What is demanded.
    pub wanted: OfferRequirement<'a>,
    /// What became of it.
    pub finding: CheckResult<'a>,
    /// The place of the control plane that it is demanded of; the pool itself where `None`.
    pub control_plane: Option<ControlPlanePlace<'a>>,
}

impl Step<'_> {
    /// Whether `other` demands the same of the same place.
    #[must_use]
    pub fn is_alike(&self, other: &Step<'_>) -> bool {
        let place = |step: &Step<'_>| step.control_plane.map(|place| place.pool.name.clone());
        self.wanted == other.wanted && place(self) == place(other)
    }
}

/// How `pool` fares by the demands of one level and some categories, step by step.
#[derive(Clone, Debug)]
pub struct Derivation<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The pool.
    pub pool: &'a Pool,
    /// What it stands on; without that, no demand can be met.
    pub site: Result<ResolvedPool<'a>, UnresolvedReference<'a>>,
    /// Every demand: those of the levels from the least sensitive up, then those of the categories.
    pub steps: Vec<Step<'a>>,
    /// The exception in force that lets pods onto the pool whatever the levels demand of it, where they demand what it
    /// does not meet.
    pub waived: Option<(&'a ExceptionName, &'a Exception)>,
}

impl<'a> Derivation<'a> {
    /// A failed step of this derivation as the reason that it is; `None` for one that is met.
    #[must_use]
    pub fn reason(&self, step: &Step<'a>) -> Option<Reason<'a>> {
        let cause = step.finding.err()?;
        let (pool, site) = self.place(step);
        let judged_as = if step.control_plane.is_some() { PoolRole::ControlPlane } else { PoolRole::Nodes };
        Some(Reason { policy: &self.policy.name, demander: step.demander, pool, site: site.ok(), judged_as, cause })
    }

    /// The pool that `step`, a step of this derivation, is about, and what it stands on.
    pub fn place(&self, step: &Step<'a>) -> (&'a Pool, Result<ResolvedPool<'a>, UnresolvedReference<'a>>) {
        step.control_plane.map_or((self.pool, self.site), |place| (place.pool, place.site))
    }

    /// Whether every demand is met, but for those of levels that an exception waives.
    #[must_use]
    pub fn cleared(&self) -> bool {
        let waived = |step: &Step<'_>| self.waived.is_some() && matches!(step.demander, RequirementSource::Level(_));
        self.steps.iter().all(|step| step.finding.is_ok() || waived(step))
    }
}

impl<'a> Judge<'a> {
    /// How `pool` fares at `at` by what `policy` demands for the level at `rank` (for no level when `None`) and for
    /// `categories`. Under an `exception` it is the exception's level that places are cleared for, or its own pools.
    #[must_use]
    pub fn derive(
        &self,
        policy: &'a Policy,
        rank: Option<usize>,
        exception: Option<&ExceptionName>,
        categories: &[&'a CategoryName],
        pool: &'a Pool,
        at: Timestamp,
    ) -> Derivation<'a> {
        let site = self.resolve(pool);
        let exception = exception.and_then(|name| policy.exceptions.get_key_value(name));
        let rank = exception.map_or(rank, |(_, exception)| Some(exception.rank));
        let ranks = 0..rank.map_or(0, |rank| rank.saturating_add(1));
        let levels = policy.levels.iter().zip(ranks).map(|(level, rank)| {
            (RequirementSource::Level(&level.name), level.require.as_ref(), ControlPlaneDemand::of_level(policy, rank))
        });
        let categories = categories.iter().filter_map(|name| policy.categories.get_key_value(name.as_str())).map(
            |(name, require)| {
                let demand = ControlPlaneDemand::of_category(require.as_ref());
                (RequirementSource::Category(name), require.as_ref(), demand)
            },
        );
        let mut steps = Vec::new();
        for (demander, require, of_control_plane) in levels.chain(categories) {
            if let Some(require) = require {
                let mut tell = |wanted, finding| steps.push(Step { demander, wanted, finding, control_plane: None });
                match site {
                    Ok(site) => self.examine(require, site, at, tell),
                    Err(unresolved) => tell(OfferRequirement::Recorded, Err(Cause::Unresolved(unresolved))),
                }
            }
            // A place of the control plane itself is judged without the others.
            if pool.role == PoolRole::ControlPlane {
                continue;
            }
            self.examine_control_plane(&of_control_plane, at, |control_plane, wanted, finding| {
                steps.push(Step { demander, wanted, finding, control_plane });
            });
        }
        let fails = |step: &Step<'_>| step.finding.is_err() && matches!(step.demander, RequirementSource::Level(_));
        let named = |exception: &Exception| exception.in_force(at) && exception.pools.contains(&pool.name);
        let control_plane = self.control_plane_under(policy, at);
        let waived = exception.filter(|(_, found)| {
            site.is_ok() && named(found) && control_plane.meets(found.rank) && steps.iter().any(fails)
        });
        Derivation { policy, pool, site, steps, waived }
    }
}
