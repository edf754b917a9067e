//! Wishes section: how good the pools are for each level that prefers any, and which spreads cannot be met.

use crate::terminal::{TextPage, Tone};
use rempart_core::plan::{LevelScores, Plan};

/// How many levels, and how many pools of each, are told.
const MOST: usize = 32;

/// Writes what cannot be spread as demanded, which keeps pods waiting.
pub(super) fn print_shortfalls(page: &mut TextPage, plan: &Plan<'_>) {
    let spreads = plan.spreads();
    let shortfalls: Vec<_> = spreads.iter().filter_map(|demand| demand.shortfall(|pool| plan.has_node(pool))).collect();
    if shortfalls.is_empty() {
        return;
    }
    page.ruled_heading("Spread that cannot be met");
    for shortfall in shortfalls.iter().take(MOST) {
        page.item("!", &shortfall.to_string(), Tone::Bad);
    }
}

/// Writes the scores of pools.
pub(super) fn print_scores(page: &mut TextPage, plan: &Plan<'_>) {
    let scores = plan.scores();
    if scores.is_empty() {
        return;
    }
    page.ruled_heading("Preferred among the cleared pools (score, 100 is best)");
    let row = |found: &LevelScores<'_>| {
        let pools = found.pools.iter().take(MOST).map(|(pool, score)| format!("{pool} {score}"));
        let pools = pools.collect::<Vec<_>>().join(", ");
        let pools = if pools.is_empty() { ("none is cleared".to_owned(), Tone::Bad) } else { (pools, Tone::Plain) };
        vec![(format!("{} of {}", found.level, found.policy), Tone::Strong), pools]
    };
    page.table(&["level", "pools"], scores.iter().take(MOST).map(row).collect(), &[0]);
}
