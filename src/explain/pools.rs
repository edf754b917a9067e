//! The part that tells how each pool fares: what it stands on, and which demands it meets and fails by which facts.

use super::{
    fare::Fare,
    locate::Locator,
    page::{Page, Phrase},
};
use crate::core::{
    catalogue::{Reach, Site},
    derivation::{Derivation, Fact, Step},
    law::KNOWN_LAWS,
    reason::Cause,
    text::Listed,
};

/// How many pools that are not cleared are told; the others only counted.
const MOST: usize = 12;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Of a cleared pool what it is cleared by, of others what they fail.
    Brief,
    /// Every step.
    Full,
}

/// What else is to be said of a pool that is cleared, by its name.
pub(super) type Remarks<'r> = &'r dyn Fn(&str) -> Option<String>;

/// Tells `fares`.
pub(super) fn tell(page: &mut Page, fares: &[Fare<'_>], detail: Detail, remarks: Remarks<'_>, locate: Locator<'_>) {
    let (cleared, rejected): (Vec<_>, Vec<_>) = fares.iter().partition(|fare| fare.cleared());
    for fare in cleared.iter().chain(rejected.iter().take(MOST)) {
        header(page, fare, locate);
        if let Some(remark) = remarks(fare.pool.name.as_str()).filter(|_| fare.cleared()) {
            page.line(4, Phrase::of("but ").then(remark));
        }
        match (detail, fare.cleared()) {
            (Detail::Full, _) => fare.steps().for_each(|(derivation, step)| full(page, derivation, step, locate)),
            (Detail::Brief, true) => met(page, fare, locate),
            (Detail::Brief, false) => {
                fare.failed().for_each(|(derivation, step)| full(page, derivation, step, locate));
                let met = fare.steps().count().saturating_sub(fare.failed().count());
                if met > 0 {
                    let more =
                        if met == 1 { "1 more demand is met".into() } else { format!("{met} more demands are met") };
                    page.line(4, Phrase::default().faint(more));
                }
            }
        }
    }
    if rejected.len() > MOST {
        let more = rejected.len().saturating_sub(MOST);
        page.line(2, Phrase::default().faint(format!("and {more} pools more that lack as much: see each with --pool")));
    }
}

fn header(page: &mut Page, fare: &Fare<'_>, locate: Locator<'_>) {
    let good = fare.cleared();
    let verdict = if good { "cleared" } else { "not cleared" };
    let pool = Phrase::mark(good).strong(format!("pool {}", fare.pool.name)).then(format!(" is {verdict}"));
    page.line(2, pool.at(locate.pool(fare.pool, "metadata.name")));
    if let Ok(site) = fare.site {
        let Site { provider, offer, zone, .. } = site;
        let stands = format!("stands on offer {}/{} in zone {}", provider.name, offer.name, zone.name);
        page.line(4, Phrase::of(stands).at(locate.site(site)));
    }
}

/// All that a cleared pool meets, in a few lines.
fn met(page: &mut Page, fare: &Fare<'_>, locate: Locator<'_>) {
    let certificates = fare.certificates();
    let certified = |step: &Step<'_>| certificates.iter().any(|(_, known, _)| known.wanted == step.wanted);
    let mut others: Vec<String> = Vec::new();
    for (_, step) in fare.steps().filter(|(_, step)| !certified(step)) {
        let wanted = step.wanted.to_string();
        if !others.contains(&wanted) {
            others.push(wanted);
        }
    }
    if !others.is_empty() {
        page.line(4, Phrase::mark(true).then(Listed(others.iter())));
    }
    for (derivation, step, _) in &certificates {
        page.line(4, Phrase::mark(true).then(derivation.told(step)).at(locate.fact(derivation, step)));
        source(page, step);
    }
}

/// One step: what is demanded and where, and by which fact it is met or fails.
fn full(page: &mut Page, derivation: &Derivation<'_>, step: &Step<'_>, locate: Locator<'_>) {
    let demand = format!("{} of {} demands {}", step.demander, derivation.policy.name, step.wanted);
    let mark = Phrase::mark(step.finding.is_ok());
    page.line(4, mark.then(demand).at(locate.demand(derivation, step)));
    page.line(6, Phrase::of(derivation.told(step)).at(locate.fact(derivation, step)));
    source(page, step);
}

/// Where to check the fact that `step` turns on.
fn source(page: &mut Page, step: &Step<'_>) {
    let address = match step.finding {
        Ok(Fact::Certificate { by: found, .. })
        | Err(
            Cause::QualificationExpired(found, _)
            | Cause::QualificationNotYetValid(found)
            | Cause::QualificationOutOfScope(found),
        ) => found.source.as_deref(),
        Err(Cause::ExposedToLaw(law, Reach::Through { .. })) => {
            KNOWN_LAWS.iter().find(|known| known.name == law.as_str()).map(|known| known.source)
        }
        _ => None,
    };
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        page.line(6, Phrase::default().faint(address));
    }
}
