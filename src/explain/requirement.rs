//! Requirement section: what one level or category demands, who asks for it, and which pools are cleared for it.

use super::{
    ExplainContext, ExplainQuestion,
    evaluation::{PolicyRequirements, PoolEvaluation},
    pools::{self, PoolDetail},
    steps,
};
use crate::terminal::{StyledText, TextPage};
use rempart_core::{
    name::CategoryName,
    plan::{Plan, PlannedWorkload},
    policy::{EnforcementMode, Policy},
    reason::RequirementSource,
    text::FewDisplay,
};

/// A level or category of one policy.
#[derive(Clone, Copy, Debug)]
pub(super) enum LevelOrCategory<'a> {
    /// The level at this place in the policy's order.
    Level(usize),
    /// The category.
    Category(&'a CategoryName),
}

/// Tells it all. Says whether some pool is cleared, of those that are asked about.
pub(super) fn tell<'a>(
    page: &mut TextPage,
    context: ExplainContext<'a>,
    question: &ExplainQuestion<'_>,
    policy: &'a Policy,
    of: LevelOrCategory<'a>,
) -> bool {
    let ExplainContext { plan, locate, world, .. } = context;
    let (ask, demander) = match of {
        LevelOrCategory::Level(rank) => {
            let Some(level) = policy.levels.at(rank) else { return false };
            (
                PolicyRequirements { policy, rank: Some(rank), exception: None, categories: Vec::new() },
                RequirementSource::Level(&level.name),
            )
        }
        LevelOrCategory::Category(name) => (
            PolicyRequirements { policy, rank: None, exception: None, categories: vec![name] },
            RequirementSource::Category(name),
        ),
    };
    let title = format!("{demander} of policy {}, on {}", policy.name, question.at.day());
    page.line(0, StyledText::default().strong(title).at(locate.demander(policy, demander)));
    let demands = ask.demands();
    let asks = [ask];
    let evaluations = PoolEvaluation::all(world, &asks, question.pool, question.at);
    let cleared = evaluations.iter().filter(|evaluation| evaluation.cleared()).count();
    let all = evaluations.len();
    let verdict = match question.pool {
        _ if !demands => "requires nothing, so every pool and every other node will do".to_owned(),
        Some(pool) if cleared > 0 => format!("pool {pool} is cleared for it"),
        Some(pool) => format!("pool {pool} is not cleared for it"),
        None if all == 0 => "there is no pool at all".to_owned(),
        None => format!("{cleared} of {all} {} cleared", if all == 1 { "pool is" } else { "pools are" }),
    };
    page.line(0, StyledText::mark(cleared > 0 || !demands).then(verdict));

    accumulated(page, context, policy, of);
    asked_by(page, plan, policy, of);
    if !demands {
        return true;
    }
    let (title, detail) = match question.pool {
        Some(_) => ("How the pool fares", PoolDetail::Full),
        None => ("How the pools fare", PoolDetail::Brief),
    };
    page.heading(title);
    pools::tell(page, &evaluations, detail, &|pool| ending(plan, policy, of, pool), locate);
    if cleared == 0 {
        let title = if question.pool.is_some() { "To have it cleared" } else { "To have a pool cleared" };
        steps::remedies(page, title, &evaluations, locate);
    }
    steps::soon(page, "Soon", &evaluations, question.at, locate);
    cleared > 0
}

/// That a pool that is cleared ends within the level's lead time.
fn ending(plan: &Plan<'_>, policy: &Policy, of: LevelOrCategory<'_>, pool: &str) -> Option<String> {
    let LevelOrCategory::Level(rank) = of else { return None };
    let found = plan.pools.iter().find(|found| found.pool.name.as_str() == pool)?;
    let clearance = found.under(&policy.name)?;
    clearance.ending(rank).map(|reason| reason.to_string())
}

/// What is demanded: by a level, with what the levels below it demand.
fn accumulated(page: &mut TextPage, context: ExplainContext<'_>, policy: &Policy, of: LevelOrCategory<'_>) {
    page.heading("What it demands");
    let demanders: Vec<(RequirementSource<'_>, bool)> = match of {
        LevelOrCategory::Level(rank) => {
            let levels = policy.levels.iter().take(rank.saturating_add(1));
            levels.map(|level| (RequirementSource::Level(&level.name), level.require.is_some())).collect()
        }
        LevelOrCategory::Category(name) => {
            let require = policy.categories.get(name).is_some_and(Option::is_some);
            vec![(RequirementSource::Category(name), require)]
        }
    };
    let requirements = |demander: RequirementSource<'_>| match demander {
        RequirementSource::Level(name) => {
            policy.levels.rank(name.as_str()).and_then(|rank| policy.levels.at(rank)?.require.as_ref())
        }
        RequirementSource::Category(name) => policy.categories.get(name).and_then(Option::as_ref),
    };
    for (demander, demands) in demanders {
        let phrase = StyledText::of(demander.to_string()).at(context.locate.demander(policy, demander));
        if !demands {
            page.line(2, phrase.then(": nothing of its own"));
            continue;
        }
        let wanted: Vec<String> = requirements(demander)
            .map(|require| require.wanted().map(|wanted| wanted.to_string()).collect())
            .unwrap_or_default();
        page.line(2, phrase.then(format!(": {}", wanted.join("; "))));
    }
}

/// Who asks for it.
fn asked_by(page: &mut TextPage, plan: &Plan<'_>, policy: &Policy, of: LevelOrCategory<'_>) {
    let asks = |planned: &&PlannedWorkload<'_>| {
        let levelled = planned.judgement.policies.iter().find(|levelled| levelled.policy.name == policy.name);
        levelled.is_some_and(|levelled| match of {
            LevelOrCategory::Level(rank) => levelled.rank == rank,
            LevelOrCategory::Category(name) => planned.judgement.categories.contains(name),
        })
    };
    let names: Vec<_> = plan.workloads.iter().filter(asks).map(|planned| &planned.workload.identity).collect();
    page.heading("Who asks for it");
    if names.is_empty() {
        page.line(2, StyledText::of("no workload that was read"));
    } else {
        let what = if names.len() == 1 { "workload" } else { "workloads" };
        page.line(2, StyledText::of(format!("{} {what}: {}", names.len(), FewDisplay(names.iter()))));
    }
    if policy.mode != EnforcementMode::Enforce {
        page.line(2, StyledText::of(format!("policy {} is in {}, and places nothing yet", policy.name, policy.mode)));
    }
}
