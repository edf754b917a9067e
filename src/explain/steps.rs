//! Steps section: what to do for a cleared place, and what ends soon where one is cleared.

use std::collections::BTreeMap;

use super::{evaluation::PoolEvaluation, locator::SourceLocator, remedy::plans};
use crate::lint::SOON_DAYS;
use crate::terminal::{StyledText, TextPage};
use rempart_core::{
    derivation::OfferRequirement,
    instant::{CalendarDay, Timestamp},
    text::FewDisplay,
};

/// How many ways are told; the others only counted.
const MOST: usize = 5;

/// The steps that would clear the pools of `fares` that are not cleared.
pub(super) fn remedies(
    page: &mut TextPage,
    title: &str,
    evaluations: &[PoolEvaluation<'_>],
    locate: SourceLocator<'_>,
) {
    let plans = plans(evaluations, locate);
    if plans.is_empty() {
        return;
    }
    page.heading(title);
    for plan in plans.iter().take(MOST) {
        let pools = if plan.pools.len() == 1 { "pool" } else { "pools" };
        let note = match (plan.hopeless(), plan.remedies.len()) {
            _ if !plan.whole => "first of all, and then see",
            (0, 1) => "one step",
            (0, _) => "all of this",
            (hopeless, all) if hopeless == all => "out of reach",
            _ => "out of reach, even with the rest done",
        };
        page.line(
            2,
            StyledText::default()
                .strong(format!("{pools} {}", FewDisplay(plan.pools.iter())))
                .then(format!(": {note}")),
        );
        for remedy in &plan.remedies {
            page.line(4, StyledText::of("• ").then(&remedy.text).at(remedy.place.clone()));
        }
    }
    let more = plans.iter().skip(MOST).map(|plan| plan.pools.len()).sum::<usize>();
    if more > 0 {
        page.line(
            2,
            StyledText::default()
                .faint(format!("and {more} pools more that are as far off or further: see each with --pool")),
        );
    }
}

/// The certificates by which pools of `fares` are cleared and that end soon, and when that leaves no pool at all.
pub(super) fn soon(
    page: &mut TextPage,
    title: &str,
    evaluations: &[PoolEvaluation<'_>],
    at: Timestamp,
    locate: SourceLocator<'_>,
) {
    let cleared = || evaluations.iter().filter(|evaluation| evaluation.cleared());
    let mut ending: BTreeMap<(CalendarDay, String, Option<String>), Vec<&str>> = BTreeMap::new();
    let mut first_ends: Vec<Option<CalendarDay>> = Vec::new();
    for evaluation in cleared() {
        let mut first: Option<CalendarDay> = None;
        for (derivation, step, until) in evaluation.certificates() {
            let (Some(until), OfferRequirement::Qualification(required)) = (until, step.wanted) else { continue };
            if until.ends().days_since(at) > SOON_DAYS {
                continue;
            }
            let whose = derivation.place(step).1.map(|site| format!("{}/{}", site.provider.name, site.offer.name));
            let level = required.at_least.map(|least| format!(", of level {least} or above")).unwrap_or_default();
            let what = format!("{} of {}{level}", required.scheme, whose.unwrap_or_default());
            ending.entry((until, what, locate.fact(derivation, step))).or_default().push(evaluation.pool.name.as_str());
            first = Some(first.map_or(until, |first| first.min(until)));
        }
        first_ends.push(first);
    }
    if ending.is_empty() {
        return;
    }
    page.heading(title);
    for ((until, what, place), pools) in ending {
        let days = until.ends().days_since(at);
        let of = if pools.len() == 1 { "pool" } else { "pools" };
        let text =
            format!("• renew {what}: ends {until}, {}, and clears {of} {}", in_days(days), FewDisplay(pools.iter()));
        page.line(2, StyledText::of(text).at(place));
    }
    // Where one cleared pool stays, something is left.
    let all: Option<Vec<CalendarDay>> = first_ends.into_iter().collect();
    if let Some(day) = all.and_then(|days| days.into_iter().max()) {
        let whom = if evaluations.len() == 1 { "the pool is not" } else { "no pool is" };
        page.line(2, StyledText::of(format!("Without a renewal, {whom} cleared after {day}.")));
    }
}

fn in_days(days: i64) -> String {
    match days {
        0 => "within a day".to_owned(),
        1 => "in a day".to_owned(),
        _ => format!("in {days} days"),
    }
}
