//! Lints of wishes: spreads that cannot be met, or not after a loss, and preferences by figures that nobody knows.

use super::about;
use crate::{
    api::validate::ResourceKind,
    diagnostic::{Diagnostic, Severity::Warning},
    gather::{LocatedInventory, OwnObject},
};
use rempart_core::{
    catalogue::ResolvedPool,
    plan::Plan,
    policy::Policy,
    ranking,
    scheduling::Figure,
    spread::{self, SpreadDemand},
    text::counted,
};

/// What is to be said of what the levels of the policies in `located` wish.
pub(super) fn findings(located: &LocatedInventory<'_>, plan: &Plan<'_>) -> Vec<Diagnostic> {
    // Without a catalogue nothing is known of any pool, which is told already.
    if located.inventory.world.catalogue.pools.is_empty() {
        return vec![];
    }
    let policies = located.inventory.world.policies.values();
    let named = policies.filter_map(|policy| {
        Some((policy, located.own.get(&(ResourceKind::PlacementPolicy, policy.name.to_string()))?))
    });
    let demands = spread::demands(&plan.pools);
    named
        .flat_map(|(policy, own)| {
            let spreads = demands.iter().filter(|demand| demand.policy == policy.name);
            let spreads = spreads.filter_map(|demand| spread_finding(own, policy, demand));
            spreads.chain(preferences(own, policy, plan)).collect::<Vec<_>>()
        })
        .collect()
}

/// Where a field of the level `name` stands.
fn field_of(policy: &Policy, name: &str, field: &str) -> String {
    format!("spec.levels[{}].{field}", policy.levels.rank(name).unwrap_or_default())
}

fn spread_finding(own: &OwnObject<'_>, policy: &Policy, demand: &SpreadDemand) -> Option<Diagnostic> {
    let path = field_of(policy, demand.level.as_str(), "spread.minDomains");
    if let Some(shortfall) = demand.shortfall(|_| true) {
        let hint = "clear more pools for the level, or lower minDomains";
        return Some(about(own, &path, Warning, "SpreadUnsatisfiable", shortfall.to_string()).hint(hint));
    }
    if !demand.fails_with_one_less() {
        return None;
    }
    let (needed, across) = (demand.spread.needed(), demand.spread.across);
    let left = usize::from(needed).saturating_sub(1);
    let most = demand.spread.most(left).unwrap_or_default();
    let message = format!(
        "level {} of policy {} demands {needed} {across}s and there are as many: with one of them lost, {} of each workload can \
         run, and the others wait",
        demand.level,
        policy.name,
        counted(most, "pod", "pods")
    );
    let hint = match left {
        0 | 1 => {
            format!("clear a pool of another {across}, or write whenUnsatisfiable: ScheduleAnyway without minDomains")
        }
        fewer => format!("write minDomains: {fewer}, or clear a pool of another {across}"),
    };
    Some(about(own, &path, Warning, "SpreadBreaksWithOneLess", message).hint(hint))
}

fn preferences(own: &OwnObject<'_>, policy: &Policy, plan: &Plan<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (rank, level) in policy.levels.iter().enumerate() {
        let prefer = &level.scheduling.prefer;
        let places: Vec<ResolvedPool<'_>> = plan
            .pools
            .iter()
            .filter(|pool| pool.under(&policy.name).is_some_and(|clearance| clearance.admits(rank)))
            .filter_map(|pool| pool.site.ok())
            .collect();
        if prefer.is_empty() || places.is_empty() {
            continue;
        }
        let ranking = ranking::rank(prefer, &places);
        let path = |figure: Figure| {
            let index = prefer.iter().position(|preference| preference.by == figure).unwrap_or_default();
            field_of(policy, level.name.as_str(), &format!("prefer[{index}].by"))
        };
        if let Some(currency) = ranking.currency {
            let message = format!(
                "the pools that are cleared for level {} of policy {} have prices in several currencies; those in {currency} are \
                 compared, and any other counts as unknown, the worst",
                level.name, policy.name
            );
            let hint = "write the prices of all pools in one currency";
            found.push(about(own, &path(Figure::Price), Warning, "CurrenciesDiffer", message).hint(hint));
        }
        for (figure, missing) in &ranking.unknown {
            // Told once, with the reason.
            if *figure == Figure::Price && ranking.currency.is_some() {
                continue;
            }
            let message = format!(
                "level {} of policy {} prefers pools by {}, which is not known of {} of {}: they score worst",
                level.name,
                policy.name,
                figure.as_str(),
                missing,
                counted(places.len(), "pool that is cleared for it", "pools that are cleared for it")
            );
            let hint = match figure {
                Figure::Pue | Figure::CarbonIntensity => "record it in the zones of the CloudProvider",
                Figure::Price => "write spec.price of the PlacementPools",
            };
            found.push(about(own, &path(*figure), Warning, "FigureUnknown", message).hint(hint));
        }
    }
    found
}
