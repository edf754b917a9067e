//! Requirements section: what is asked of pools, and how each fares by it.

use std::collections::{BTreeMap, BTreeSet};

use super::{ReportDetail, rows::names};
use crate::terminal::{TextPage, Tone};
use rempart_core::{
    plan::{PlacementDemand, Plan},
    reason::Reason,
    text::counted,
};

/// How many reasons are told at most where not all are wanted.
const BRIEF: usize = 20;

/// Writes the demands that some workload makes, and what speaks against the pools: of those that clear none when
/// `Brief`, of all when `Full`.
pub(super) fn print(page: &mut TextPage, plan: &Plan<'_>, detail: ReportDetail) {
    let mut asked: BTreeMap<usize, usize> = BTreeMap::new();
    for demand in plan.workloads.iter().filter_map(|planned| planned.judgement.demand) {
        let count = asked.entry(demand).or_default();
        *count = count.saturating_add(1);
    }
    if asked.is_empty() {
        return;
    }
    page.ruled_heading("What is asked of pools");
    let mut why = ReasonsByCode::default();
    for (index, count) in asked {
        let Some(demand) = plan.demands.get(index) else { continue };
        page.gap();
        let asks: Vec<String> = demand.asks.iter().map(ToString::to_string).collect();
        page.say(&format!("{}: asked by {}", asks.join(", "), counted(count, "workload", "workloads")), Tone::Strong);
        verdicts(page, plan, demand);
        if detail == ReportDetail::Full || demand.cleared.is_empty() {
            why.add(plan, demand);
        }
    }
    why.print(page, detail);
}

/// The pools that are cleared, and the others by what speaks against them.
fn verdicts(page: &mut TextPage, plan: &Plan<'_>, demand: &PlacementDemand<'_>) {
    if plan.pools.is_empty() {
        page.say("there is no pool", Tone::Bad);
        return;
    }
    let mut rejected: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    for pool in &plan.pools {
        let codes: BTreeSet<_> = demand.reasons(pool).iter().map(Reason::code).collect();
        if !codes.is_empty() {
            let codes = codes.iter().map(ToString::to_string).collect();
            rejected.entry(codes).or_default().push(pool.pool.name.as_str());
        }
    }
    let cleared = names(plan, &demand.cleared).collect::<Vec<_>>();
    let mut rows = Vec::new();
    if cleared.is_empty() {
        rows.push(vec![("none is cleared".to_owned(), Tone::Bad)]);
    } else {
        rows.push(vec![("✔ cleared".to_owned(), Tone::Good), (cleared.join(", "), Tone::Plain)]);
    }
    for (codes, pools) in rejected {
        rows.push(vec![(codes.join("\n"), Tone::Bad), (pools.join(", "), Tone::Plain)]);
    }
    page.table(&["verdict", "pools"], rows, &[0]);
}

/// Reasons, each once, with the pools that they are about.
#[derive(Default)]
struct ReasonsByCode(BTreeMap<(String, String), BTreeSet<String>>);

impl ReasonsByCode {
    fn add(&mut self, plan: &Plan<'_>, demand: &PlacementDemand<'_>) {
        for pool in &plan.pools {
            for reason in demand.reasons(pool) {
                let pools = self.0.entry((reason.code().to_string(), reason.to_string())).or_default();
                pools.insert(pool.pool.name.to_string());
            }
        }
    }

    fn print(self, page: &mut TextPage, detail: ReportDetail) {
        let all = self.0.len();
        if all == 0 {
            return;
        }
        page.ruled_heading("Why");
        let shown = if detail == ReportDetail::Full { all } else { all.min(BRIEF) };
        let mut last = String::new();
        for ((code, message), pools) in self.0.into_iter().take(shown) {
            if code != last {
                page.say(&code, Tone::Bad);
                last = code;
            }
            let pools: Vec<String> = pools.into_iter().collect();
            page.item("·", &format!("{}: {message}", pools.join(", ")), Tone::Plain);
        }
        let left_out = all.saturating_sub(shown);
        if left_out > 0 {
            page.say(
                &format!("And {}; -o json has them all.", counted(left_out, "reason more", "reasons more")),
                Tone::Faint,
            );
        }
    }
}
