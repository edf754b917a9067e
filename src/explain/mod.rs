//! Explanations: why a workload, level or category may run where it may, and not elsewhere.
//!
//! Takes what was gathered, a question and an instant, and returns the whole derivation as text.
//!
//! Pure: a function of what was gathered, a question and an instant. Every fact and demand is told with the line that
//! somebody wrote, and every obstacle with the step that removes it.

mod error;
mod evaluation;
mod locator;
mod paths;
mod pools;
mod remedy;
mod requirement;
mod statements;
mod steps;
mod target;
mod workload;

pub use self::{
    error::ExplainError,
    target::{ExplainTarget, InvalidTarget},
};
use self::{locator::SourceLocator, requirement::LevelOrCategory};
use crate::terminal::{TextLayout, TextPage};
use crate::{diagnostic::source::SourceMap, gather::LocatedInventory};
use rempart_core::{
    clearance::ClearanceInput,
    instant::Timestamp,
    plan::{Plan, PlanAssumptions, plan},
    policy::Policy,
};

/// What is asked.
#[derive(Clone, Debug)]
pub struct ExplainQuestion<'q> {
    /// About what.
    pub target: ExplainTarget,
    /// How one pool fares, step by step; all of them, in brief, when `None`.
    pub pool: Option<&'q str>,
    /// By one policy alone, whether it is in force or not; by those in force when `None`.
    pub policy: Option<&'q str>,
    /// When.
    pub at: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainAnswer {
    /// For people.
    pub text: String,
    /// Whether there is somewhere to run by what was asked about: a pool that will do, or the one that was named; by
    /// every policy that has the level, or the one that was named.
    pub placeable: bool,
}

/// What every part of an answer draws on.
#[derive(Clone, Copy)]
struct ExplainContext<'a> {
    plan: &'a Plan<'a>,
    world: &'a ClearanceInput,
    locate: SourceLocator<'a>,
}

/// Answers `question` from what was gathered in `sources`.
///
/// # Errors
/// [`ExplainError`] when something is asked about that there is not.
pub fn explain(
    located: &LocatedInventory<'_>,
    sources: &SourceMap,
    question: &ExplainQuestion<'_>,
    layout: TextLayout,
) -> Result<ExplainAnswer, ExplainError> {
    let world = &located.inventory.world;
    if let Some(pool) = question.pool.filter(|pool| world.catalogue.pool(pool).is_none()) {
        return Err(ExplainError::pool(pool, world.catalogue.all_pools().map(|pool| pool.name.to_string()).collect()));
    }
    if let Some(policy) = question.policy.filter(|policy| !world.policies.contains_key(*policy)) {
        return Err(ExplainError::policy(policy, world.policies.keys().map(ToString::to_string).collect()));
    }
    let plan = plan(&located.inventory, question.at, PlanAssumptions::default());
    let context = ExplainContext { plan: &plan, world, locate: SourceLocator::new(located, sources) };
    let mut page = TextPage::new(layout);
    let placeable = match &question.target {
        ExplainTarget::Workload { kind, namespace, name } => {
            let mut known = plan.workloads.iter().zip(&located.origins);
            let found = known.find(|(planned, _)| {
                let identity = &planned.workload.identity;
                (identity.kind, &*identity.namespace, &*identity.name) == (*kind, namespace.as_str(), name.as_str())
            });
            let Some((planned, origin)) = found else {
                let known = plan.workloads.iter().map(|planned| planned.workload.identity.to_string());
                return Err(ExplainError::workload(&question.target, known.collect()));
            };
            workload::tell(&mut page, context, question, planned, origin)
        }
        ExplainTarget::Level(name) => {
            let of = |policy: &Policy| policy.levels.rank(name).map(LevelOrCategory::Level);
            let known = |policy: &Policy| policy.levels.iter().map(|level| level.name.to_string()).collect();
            each(&mut page, context, question, &of, &known)?
        }
        ExplainTarget::Category(name) => {
            let known = |policy: &Policy| policy.categories.keys().map(ToString::to_string).collect();
            each(
                &mut page,
                context,
                question,
                &|policy| {
                    policy.categories.get_key_value(name.as_str()).map(|(name, _)| LevelOrCategory::Category(name))
                },
                &known,
            )?
        }
    };
    Ok(ExplainAnswer { text: page.into_text(), placeable })
}

/// Tells `of` of every policy that has it, and that is asked about.
fn each<'a>(
    page: &mut TextPage,
    context: ExplainContext<'a>,
    question: &ExplainQuestion<'_>,
    of: &dyn Fn(&'a Policy) -> Option<LevelOrCategory<'a>>,
    known: &dyn Fn(&Policy) -> Vec<String>,
) -> Result<bool, ExplainError> {
    let asked = || {
        let policies = context.world.policies.values();
        policies.filter(|policy| question.policy.is_none_or(|name| policy.name.as_str() == name))
    };
    let found: Vec<(&Policy, LevelOrCategory<'_>)> = asked().filter_map(|policy| Some((policy, of(policy)?))).collect();
    if found.is_empty() {
        let what = if matches!(question.target, ExplainTarget::Level(_)) { "level" } else { "category" };
        let told = |policy: &Policy| {
            let name = policy.name.clone();
            known(policy).into_iter().map(move |known| format!("{what} {known} of policy {name}"))
        };
        return Err(ExplainError::demander(&question.target, asked().flat_map(told).collect()));
    }
    let mut placeable = true;
    for (i, (policy, of)) in found.into_iter().enumerate() {
        if i > 0 {
            page.gap();
        }
        placeable &= requirement::tell(page, context, question, policy, of);
    }
    Ok(placeable)
}
