//! Pool evaluations: every pool by every requirement of a question, the best pool first.
//!
//! Takes what policies require, and returns for each pool the core's derivations. Nothing is judged here.

use rempart_core::{
    catalogue::{Pool, ResolvedPool, UnresolvedReference},
    clearance::{ClearanceInput, Judge},
    derivation::{Derivation, RequirementEvidence, Step},
    instant::{CalendarDay, Timestamp},
    name::{CategoryName, ExceptionName},
    plan::WorkloadJudgement,
    policy::{Exception, Policy},
};

/// What one policy asks of a place.
#[derive(Clone, Debug)]
pub(super) struct PolicyRequirements<'a> {
    /// The policy.
    pub(super) policy: &'a Policy,
    /// How sensitive: the place of the level in the policy's order; no level when `None`.
    pub(super) rank: Option<usize>,
    /// The exception that it is under.
    pub(super) exception: Option<&'a ExceptionName>,
    /// The categories.
    pub(super) categories: Vec<&'a CategoryName>,
}

impl<'a> PolicyRequirements<'a> {
    /// What the policies in force ask, or `only`, in force or not. Those that ask for nothing are left out.
    pub(super) fn of(judgement: &WorkloadJudgement<'a>, only: Option<&str>) -> Vec<Self> {
        let wanted = judgement.policies.iter().filter(|levelled| match only {
            Some(name) => levelled.policy.name.as_str() == name,
            None => levelled.in_force,
        });
        wanted
            .map(|levelled| Self {
                policy: levelled.policy,
                rank: Some(levelled.rank),
                exception: levelled.exception,
                categories: judgement.categories.iter().copied().collect(),
            })
            .filter(Self::demands)
            .collect()
    }

    /// Whether it asks for anything.
    pub(super) fn demands(&self) -> bool {
        self.rank.is_some_and(|rank| self.policy.levels.demands_at(rank))
            || self.categories.iter().any(|name| self.policy.categories.get(*name).is_some_and(Option::is_some))
    }
}

/// How one pool fares by everything that is asked.
#[derive(Clone, Debug)]
pub(super) struct PoolEvaluation<'a> {
    /// The pool.
    pub(super) pool: &'a Pool,
    /// What it stands on.
    pub(super) site: Result<ResolvedPool<'a>, UnresolvedReference<'a>>,
    /// By each ask.
    pub(super) derivations: Vec<Derivation<'a>>,
}

impl<'a> PoolEvaluation<'a> {
    /// Every pool of `world`, or the one called `only`: cleared ones first, then those that lack least.
    pub(super) fn all(
        world: &'a ClearanceInput,
        asks: &[PolicyRequirements<'a>],
        only: Option<&str>,
        at: Timestamp,
    ) -> Vec<Self> {
        let judge = Judge::new(world);
        let pools: Vec<&Pool> = match only {
            // A place of the control plane is judged as a pool of nodes would be, where somebody asks about it.
            Some(only) => world.catalogue.pool(only).into_iter().collect(),
            None => world.catalogue.pools.values().collect(),
        };
        let mut evaluations: Vec<Self> = pools
            .into_iter()
            .map(|pool| Self {
                pool,
                site: judge.resolve(pool),
                derivations: asks
                    .iter()
                    .map(|ask| judge.derive(ask.policy, ask.rank, ask.exception, &ask.categories, pool, at))
                    .collect(),
            })
            .collect();
        // A stable sort: pools that lack as much stay in the order of their names.
        evaluations
            .sort_by_key(|evaluation| (evaluation.site.is_err() && !evaluation.cleared(), evaluation.failed().count()));
        evaluations
    }

    /// Whether every demand is met.
    pub(super) fn cleared(&self) -> bool {
        self.derivations.iter().all(Derivation::cleared)
    }

    /// Every step, with the derivation that it is of.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Derivation<'a>, &Step<'a>)> {
        self.derivations.iter().flat_map(|derivation| derivation.steps.iter().map(move |step| (derivation, step)))
    }

    /// The exceptions without which it would not be cleared, with the policies that make them.
    pub(super) fn exceptions(&self) -> impl Iterator<Item = (&'a Policy, &'a ExceptionName, &'a Exception)> {
        let used = |derivation: &Derivation<'a>| {
            let (name, exception) = derivation.waived?;
            Some((derivation.policy, name, exception))
        };
        self.derivations.iter().filter_map(used)
    }

    /// The steps that fail.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&Derivation<'a>, &Step<'a>)> {
        self.steps().filter(|(_, step)| step.finding.is_err())
    }

    /// The certificates that it is cleared by, each once, with the steps that they meet and their last days, if known.
    pub(super) fn certificates(&self) -> Vec<(&Derivation<'a>, &Step<'a>, Option<CalendarDay>)> {
        let mut found: Vec<(&Derivation<'a>, &Step<'a>, Option<CalendarDay>)> = Vec::new();
        for (derivation, step) in self.steps() {
            let Ok(RequirementEvidence::Certificate { until, .. }) = step.finding else { continue };
            if !found.iter().any(|(_, known, _)| known.is_alike(step)) {
                found.push((derivation, step, until.map(CalendarDay::ending_at)));
            }
        }
        found
    }
}
