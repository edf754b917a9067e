//! Workload section: one workload, from what is said of it to the nodes where its pods may run.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ExplainContext, ExplainQuestion,
    evaluation::{PolicyRequirements, PoolEvaluation},
    pools::{self, PoolDetail},
    statements::Said,
    steps,
};
use crate::gather::WorkloadOrigin;
use crate::terminal::{StyledText, TextPage};
use rempart_core::{
    admission::AdmissionRefusal,
    keys,
    plan::{NodeOwnership, NodeWishesDisplay, PlacementOutcome, Plan, PlannedWorkload, UnplaceableReason},
    reason::ReasonCode,
    text::FewDisplay,
};

/// Tells it all. Says whether its pods have somewhere to run: in the pool that is asked about, if one is.
pub(super) fn tell(
    page: &mut TextPage,
    context: ExplainContext<'_>,
    question: &ExplainQuestion<'_>,
    planned: &PlannedWorkload<'_>,
    origin: &WorkloadOrigin,
) -> bool {
    let ExplainContext { plan, locate, world, .. } = context;
    let name = format!("{}, on {}", planned.workload.identity, question.at.day());
    page.line(0, StyledText::default().strong(name).at(locate.at(origin.file, origin.name)));
    outcome(page, plan, planned);

    let said = Said::new(plan, planned, origin, locate);
    said.tell(page, &world.policies);
    if planned.outcome == PlacementOutcome::Refused {
        page.heading("To have it admitted");
        refusals(page, planned, &said);
        return false;
    }

    let asks = PolicyRequirements::of(&planned.judgement, question.policy);
    if asks.is_empty() {
        return placeable(plan, planned, question.pool, true);
    }
    let evaluations = PoolEvaluation::all(world, &asks, question.pool, question.at);
    let cleared = evaluations.iter().filter(|evaluation| evaluation.cleared()).count();
    let by = question.policy.map(|policy| format!(" by policy {policy} alone")).unwrap_or_default();
    page.heading(&match question.pool {
        Some(_) => format!("How the pool fares{by}"),
        None => format!("How the pools fare{by}: {cleared} of {} cleared", evaluations.len()),
    });
    let detail = if question.pool.is_some() { PoolDetail::Full } else { PoolDetail::Brief };
    pools::tell(page, &evaluations, detail, &|pool| drawback(plan, planned, pool), locate);
    nodes(page, plan, planned);
    if let Some(pinned) = plan.pinned_above(planned) {
        page.heading("Should its level be raised");
        page.line(2, StyledText::mark(false).then(pinned));
    }
    if cleared == 0 {
        let title = match (question.pool, question.policy) {
            (Some(pool), _) => format!("To have pool {pool} cleared"),
            (None, Some(_)) => "To have a pool cleared".to_owned(),
            (None, None) => "To make it placeable".to_owned(),
        };
        steps::remedies(page, &title, &evaluations, locate);
    } else {
        obstacle(page, context, planned);
    }
    steps::soon(page, "Soon", &evaluations, question.at, locate);
    placeable(plan, planned, question.pool, cleared > 0)
}

/// What becomes of it, in a sentence. What is refused is told where it stands, so that it is not told here.
fn outcome<'a>(page: &mut TextPage, plan: &Plan<'a>, planned: &PlannedWorkload<'a>) {
    let (good, word) = match planned.outcome {
        PlacementOutcome::Placeable(_) => (true, "placeable"),
        PlacementOutcome::Unplaceable(_) => (false, "not placeable"),
        PlacementOutcome::Refused => {
            let refused = planned.judgement.refusals.iter().filter(|refused| refused.in_force);
            let policies: BTreeSet<_> = refused.map(|refused| &refused.policy.name).collect();
            let what = if policies.len() == 1 { "policy" } else { "policies" };
            page.line(0, StyledText::mark(false).then(format!("refused by {what} {}", FewDisplay(policies.iter()))));
            return;
        }
        PlacementOutcome::Unrestricted(_) => (true, "may run anywhere"),
    };
    page.line(0, StyledText::mark(good).then(format!("{word}: {}", plan.message(planned))));
}

fn placeable(plan: &Plan<'_>, planned: &PlannedWorkload<'_>, pool: Option<&str>, cleared: bool) -> bool {
    let is = |index: &usize| plan.pool(*index).is_some_and(|found| Some(found.name.as_str()) == pool);
    match &planned.outcome {
        PlacementOutcome::Placeable(pools) => cleared && (pool.is_none() || pools.iter().any(is)),
        PlacementOutcome::Unrestricted(_) => cleared,
        PlacementOutcome::Unplaceable(_) | PlacementOutcome::Refused => false,
    }
}

/// Why a pool that is cleared takes none of its pods all the same, or will not for long.
fn drawback(plan: &Plan<'_>, planned: &PlannedWorkload<'_>, pool: &str) -> Option<String> {
    if plan.inventory.world.catalogue.control_plane.contains_key(pool) {
        return Some("the control plane runs there, and no pod".to_owned());
    }
    let demand = plan.demand(planned)?;
    let holds =
        |pools: &[usize]| pools.iter().any(|index| plan.pool(*index).is_some_and(|found| found.name.as_str() == pool));
    let clearance = plan.pools.iter().find(|found| found.pool.name.as_str() == pool);
    let ending = clearance.and_then(|found| demand.endings(found).next());
    let leaving = clearance.is_some_and(|found| {
        let obstacles = demand.reasons(found);
        obstacles.iter().any(|reason| reason.code() == ReasonCode::QualificationEnding)
    });
    if let Some(reason) = ending.as_ref().filter(|_| leaving) {
        return Some(format!("new pods are withheld from it: {reason}"));
    }
    if !holds(&demand.cleared) {
        // Cleared by the policy that is asked about, not by all.
        return Some("another policy rejects it".to_owned());
    }
    if !holds(&demand.with_nodes) {
        return Some("no node belongs to it".to_owned());
    }
    let taken = matches!(&planned.outcome, PlacementOutcome::Placeable(pools) if holds(pools));
    if let PlacementOutcome::Unplaceable(UnplaceableReason::VolumePinned(pinned)) = &planned.outcome {
        return Some(format!("no node of it reaches volume {} of claim {}", pinned.volume, pinned.claim));
    }
    if !taken {
        return Some(format!("{} accepts none of its nodes", NodeWishesDisplay(&planned.workload.node_requirements)));
    }
    ending.map(|reason| reason.to_string())
}

/// What keeps the pods pending though a pool is cleared.
fn obstacle(page: &mut TextPage, context: ExplainContext<'_>, planned: &PlannedWorkload<'_>) {
    let ExplainContext { plan, locate, .. } = context;
    let Some(demand) = plan.demand(planned) else { return };
    let cleared = || demand.cleared.iter().filter_map(|index| plan.pool(*index));
    match planned.outcome {
        PlacementOutcome::Unplaceable(UnplaceableReason::NoNode) => {
            page.heading("To make it placeable");
            for pool in cleared() {
                let text =
                    format!("• add nodes to pool {}, or correct its nodeSelector or providerIDPrefix", pool.name);
                page.line(2, StyledText::of(text).at(locate.pool(pool, "spec.nodeSelector")));
            }
        }
        PlacementOutcome::Unplaceable(UnplaceableReason::OwnWishes) => {
            page.heading("To make it placeable");
            let names = demand.with_nodes.iter().filter_map(|index| plan.pool(*index)).map(|pool| &pool.name);
            let wished = NodeWishesDisplay(&planned.workload.node_requirements);
            page.line(2, StyledText::of(format!("• let {wished} accept nodes of {}", FewDisplay(names))));
        }
        PlacementOutcome::Unplaceable(UnplaceableReason::VolumePinned(ref pinned)) => {
            page.heading("To make it placeable");
            let step = format!(
                "• have volume {} where a cleared pool is: restore what claim {} holds into a new claim there",
                pinned.volume, pinned.claim
            );
            page.line(2, StyledText::of(step));
        }
        _ => {}
    }
}

/// Where the pods of a `DaemonSet` run, and where they end.
fn nodes<'a>(page: &mut TextPage, plan: &Plan<'a>, planned: &PlannedWorkload<'a>) {
    let Some(reach) = plan.reach(planned) else { return };
    page.heading("On which nodes");
    let mut runs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut ends = runs.clone();
    for (nodes, by_pool) in [(&reach.cleared, &mut runs), (&reach.lost, &mut ends)] {
        for node in nodes {
            let of = match plan.nodes.get(node) {
                Some(NodeOwnership::Pool(index)) => plan.pool(*index).map(|pool| format!("of pool {}", pool.name)),
                Some(NodeOwnership::Disputed) => Some("claimed by several pools, so of none".to_owned()),
                Some(NodeOwnership::Nobody) | None => None,
            };
            by_pool.entry(of.unwrap_or_else(|| "of no pool".to_owned())).or_default().push(node);
        }
    }
    for (of, nodes) in &runs {
        page.line(
            2,
            StyledText::mark(true).then(format!("runs on {} {of}: {}", counted(nodes), FewDisplay(nodes.iter()))),
        );
    }
    for (of, nodes) in &ends {
        page.line(
            2,
            StyledText::mark(false).then(format!("ends on {} {of}: {}", counted(nodes), FewDisplay(nodes.iter()))),
        );
    }
    if !ends.is_empty() {
        page.line(2, StyledText::of("Kubernetes ends those pods at once, whatever disruption budgets say."));
    }
}

fn counted(nodes: &[&str]) -> String {
    format!("{} {}", nodes.len(), if nodes.len() == 1 { "node" } else { "nodes" })
}

/// What to write in the place of what is refused.
fn refusals(page: &mut TextPage, planned: &PlannedWorkload<'_>, said: &Said<'_>) {
    let mut told = Vec::new();
    for refused in planned.judgement.refusals.iter().filter(|refused| refused.in_force) {
        let step = match &refused.refusal {
            AdmissionRefusal::TooLong { categories: false, .. } => {
                let levels = refused.policy.levels.iter().map(|level| &level.name);
                format!("in {} write one of {}", keys::SENSITIVITY, FewDisplay(levels))
            }
            AdmissionRefusal::TooLong { categories: true, .. } => {
                format!("in {} write some of {}", keys::CATEGORIES, FewDisplay(refused.policy.categories.keys()))
            }
            AdmissionRefusal::UnknownLevel { policy, .. } => {
                format!(
                    "in {} write one of {}",
                    keys::SENSITIVITY,
                    FewDisplay(policy.levels.iter().map(|level| &level.name))
                )
            }
            AdmissionRefusal::UnknownCategory { policy, value, .. } if policy.categories.is_empty() => {
                format!("remove {value:?}: policy {} has no categories", policy.name)
            }
            AdmissionRefusal::UnknownCategory { policy, value, .. } => {
                format!("instead of {value:?} write one of {}", FewDisplay(policy.categories.keys()))
            }
            AdmissionRefusal::Misplaced { keys } => {
                format!("move {} to metadata or to spec.jobTemplate.spec.template.metadata", FewDisplay(keys.iter()))
            }
            AdmissionRefusal::NamespaceSilent { policy } => {
                let levels = FewDisplay(policy.levels.iter().map(|level| &level.name));
                format!("label the namespace {}, with one of {levels}", keys::SENSITIVITY)
            }
            AdmissionRefusal::NodeName { .. } => "remove spec.nodeName".to_owned(),
        };
        let hint = refused.refusal.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        let step = (format!("{step}{hint}"), said.place(&refused.refusal));
        // Several policies may refuse the same.
        if !told.contains(&step) {
            told.push(step);
        }
    }
    for (step, place) in told {
        page.line(2, StyledText::of("• ").then(step).at(place));
    }
}
