//! Pool section: of each pool, what it stands on, and which demands it meets and fails by which facts.

use super::{evaluation::PoolEvaluation, locator::SourceLocator};
use crate::terminal::{StyledText, TextPage};
use rempart_core::{
    catalogue::{LawReach, ResolvedPool},
    derivation::{Derivation, OfferRequirement, RequirementEvidence, Step},
    law::KNOWN_LAWS,
    name::ExceptionName,
    policy::{Exception, Policy},
    reason::Cause,
    text::ListDisplay,
};

/// How many pools that are not cleared are told; the others only counted.
const MOST: usize = 12;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolDetail {
    /// Of a cleared pool what it is cleared by, of others what they fail.
    Brief,
    /// Every step.
    Full,
}

/// What else is to be said of a pool that is cleared, by its name.
pub(super) type PoolRemarks<'r> = &'r dyn Fn(&str) -> Option<String>;

/// Tells `fares`.
pub(super) fn tell(
    page: &mut TextPage,
    evaluations: &[PoolEvaluation<'_>],
    detail: PoolDetail,
    remarks: PoolRemarks<'_>,
    locate: SourceLocator<'_>,
) {
    if evaluations.is_empty() {
        page.line(2, StyledText::of("there is none: declare a PlacementPool"));
    }
    let (cleared, rejected): (Vec<&PoolEvaluation<'_>>, Vec<&PoolEvaluation<'_>>) =
        evaluations.iter().partition(|evaluation| evaluation.cleared());
    for evaluation in cleared {
        header(page, &[evaluation], locate);
        if let Some(remark) = remarks(evaluation.pool.name.as_str()) {
            page.line(4, StyledText::of("but ").then(remark));
        }
        for (policy, name, exception) in evaluation.exceptions() {
            let place = locate.policy(policy, "spec.exceptions");
            page.line(4, StyledText::mark(true).then(by_exception(policy, name, exception)).at(place));
        }
        match detail {
            PoolDetail::Full => steps(page, evaluation, evaluation.steps(), locate),
            // What it meets is not what lets pods onto it.
            PoolDetail::Brief if evaluation.exceptions().next().is_some() => {
                steps(page, evaluation, evaluation.failed(), locate);
            }
            PoolDetail::Brief => met(page, evaluation, locate),
        }
    }
    let alike = alike(&rejected);
    for group in alike.iter().take(MOST) {
        let Some(evaluation) = group.first() else { continue };
        header(page, group, locate);
        if detail == PoolDetail::Full {
            steps(page, evaluation, evaluation.steps(), locate);
            continue;
        }
        steps(page, evaluation, evaluation.failed(), locate);
        match evaluation.steps().count().saturating_sub(evaluation.failed().count()) {
            0 => {}
            1 => page.line(4, StyledText::default().faint("1 more demand is met")),
            more => page.line(4, StyledText::default().faint(format!("{more} more demands are met"))),
        }
    }
    let more: usize = alike.iter().skip(MOST).map(Vec::len).sum();
    if more > 0 {
        page.line(
            2,
            StyledText::default()
                .faint(format!("and {more} pools more that lack as much or more: see each with --pool")),
        );
    }
}

/// What an exception says for itself.
fn by_exception(policy: &Policy, name: &ExceptionName, exception: &Exception) -> String {
    let Exception { until, reason, approved_by, .. } = exception;
    format!(
        "exception {name} of policy {} lets it be used until {until}: {reason}; approved by {approved_by}",
        policy.name
    )
}

/// Pools that name the same zone of the same offer fare alike, and are told as one.
fn alike<'f, 'a>(evaluations: &[&'f PoolEvaluation<'a>]) -> Vec<Vec<&'f PoolEvaluation<'a>>> {
    let stands =
        |evaluation: &PoolEvaluation<'a>| (&evaluation.pool.provider, &evaluation.pool.offer, &evaluation.pool.zone);
    let mut groups: Vec<Vec<&'f PoolEvaluation<'a>>> = Vec::new();
    for evaluation in evaluations {
        let group =
            groups.iter_mut().find(|group| group.first().is_some_and(|first| stands(first) == stands(evaluation)));
        match group {
            Some(group) => group.push(evaluation),
            None => groups.push(vec![evaluation]),
        }
    }
    groups
}

/// The names of pools that fare alike, the verdict, and what they stand on.
fn header(page: &mut TextPage, evaluations: &[&PoolEvaluation<'_>], locate: SourceLocator<'_>) {
    let Some(first) = evaluations.first() else { return };
    let good = first.cleared();
    let by_exception = good && first.exceptions().next().is_some();
    let mut phrase = StyledText::mark(good);
    for (i, evaluation) in evaluations.iter().enumerate() {
        let and = if i == 0 { "" } else { ", " };
        phrase = phrase.then(and).strong(format!("pool {}", evaluation.pool.name));
        phrase = phrase.at(locate.pool(evaluation.pool, "metadata.name"));
    }
    let verb = if evaluations.len() == 1 { "is" } else { "are" };
    page.line(
        2,
        phrase.then(format!(
            " {verb} {}",
            match good {
                _ if by_exception => "not cleared, and used by exception",
                true => "cleared",
                false => "not cleared",
            }
        )),
    );
    if let Ok(site) = first.site {
        let ResolvedPool { provider, offer, zone, .. } = site;
        let stands = if evaluations.len() == 1 { "stands" } else { "stand" };
        let stands = format!("{stands} on offer {}/{} in zone {}", provider.name, offer.name, zone.name);
        page.line(4, StyledText::of(stands).at(locate.site(site)));
    }
}

/// All that a cleared pool meets, in a few lines.
fn met(page: &mut TextPage, evaluation: &PoolEvaluation<'_>, locate: SourceLocator<'_>) {
    let certificates = evaluation.certificates();
    let certified = |step: &Step<'_>| certificates.iter().any(|(_, known, _)| known.is_alike(step));
    let mut others: Vec<String> = Vec::new();
    for (_, step) in evaluation.steps().filter(|(_, step)| !certified(step)) {
        // That the control plane meets as much says what it meets.
        if step.control_plane.is_some() && step.wanted != OfferRequirement::ControlPlane {
            continue;
        }
        let wanted = match step.wanted {
            // What "as much" is depends on who demands it.
            OfferRequirement::ControlPlane => format!("a control plane that meets what {} requires", step.demander),
            _ => step.wanted.to_string(),
        };
        if !others.contains(&wanted) {
            others.push(wanted);
        }
    }
    if !others.is_empty() {
        page.line(4, StyledText::mark(true).then(ListDisplay(others.iter())));
    }
    for (derivation, step, _) in &certificates {
        page.line(4, StyledText::mark(true).then(derivation.told(step)).at(locate.fact(derivation, step)));
        source(page, step);
    }
}

/// Steps of one pool: what is demanded and where, and by which fact it is met or fails.
fn steps<'f, 'a: 'f>(
    page: &mut TextPage,
    evaluation: &PoolEvaluation<'_>,
    steps: impl Iterator<Item = (&'f Derivation<'a>, &'f Step<'a>)>,
    locate: SourceLocator<'_>,
) {
    for (derivation, step) in steps {
        if evaluation.site.is_err() {
            // Whoever demands anything demands this first: to say it once is enough.
            page.line(4, StyledText::mark(false).then(derivation.told(step)).at(locate.fact(derivation, step)));
            return;
        }
        let of_policy = match evaluation.derivations.len() {
            1 => String::new(),
            _ => format!(" of policy {}", derivation.policy.name),
        };
        let of_place = if step.control_plane.is_some() { " of the control plane" } else { "" };
        let demand = match step.wanted {
            OfferRequirement::ControlPlane => format!("{}{of_policy} demands {}", step.demander, step.wanted),
            _ => format!("{}{of_policy} demands{of_place} {}", step.demander, step.wanted),
        };
        let mark = StyledText::mark(step.finding.is_ok());
        page.line(4, mark.then(demand).at(locate.demand(derivation, step)));
        page.line(6, StyledText::of(derivation.told(step)).at(locate.fact(derivation, step)));
        source(page, step);
    }
}

/// Where to check the fact that `step` turns on.
fn source(page: &mut TextPage, step: &Step<'_>) {
    let address = match step.finding {
        Ok(RequirementEvidence::Certificate { by: found, .. })
        | Err(
            Cause::QualificationExpired(found, _)
            | Cause::QualificationNotYetValid(found)
            | Cause::QualificationOutOfScope(found),
        ) => found.source.as_deref(),
        Err(Cause::ExposedToLaw(law, LawReach::Through { .. })) => {
            KNOWN_LAWS.iter().find(|known| known.name == law.as_str()).map(|known| known.source)
        }
        _ => None,
    };
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        page.line(6, StyledText::default().faint(address));
    }
}
