//! Lints of when facts were checked: those that nobody has compared with their sources for a year, or at any day that is
//! written.
//!
//! Takes what was gathered and an instant, and returns diagnostics. A qualification goes by its own `checked`, or else by its
//! provider's; what is known of a provider beside its qualifications goes by the provider's.

use super::{about, facts::certificate};
use crate::{
    api::{self, validate::ResourceKind},
    diagnostic::{
        Diagnostic,
        Severity::{Error, Warning},
    },
    gather::{LocatedInventory, OwnObject, OwnSpec},
};
use rempart_core::{
    instant::{CalendarDay, Timestamp},
    text::counted,
};

/// For how many days a fact that was checked is taken to be as it was.
pub const CHECKED_DAYS: i64 = 365;

/// What follows from the day on which a fact was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckAge {
    /// Within the last year.
    Recent,
    /// So many days ago, which is more than a year.
    Outdated(i64),
    /// Not yet: it would count as recent for longer than it may.
    Ahead,
}

impl CheckAge {
    /// That of a fact which was checked on `day`.
    fn of(day: CalendarDay, at: Timestamp) -> Self {
        // Whoever checks in the far east is a day ahead.
        if day > at.day().next() {
            return Self::Ahead;
        }
        match at.days_since(day.starts()) {
            days if days > CHECKED_DAYS => Self::Outdated(days),
            _ => Self::Recent,
        }
    }
}

/// Where a day is written on which facts were checked, and what it is said of.
struct CheckedFacts<'a> {
    own: &'a OwnObject<'a>,
    /// The field that says the day.
    path: String,
    /// What was checked, for a sentence.
    what: String,
    /// Where to check it.
    source: Option<&'a str>,
}

impl CheckedFacts<'_> {
    /// What is to be said of them when they were checked on `day`. A day that is none is told of as any wrong value is.
    fn finding(&self, day: &str, at: Timestamp) -> Option<Diagnostic> {
        let day = CalendarDay::parse(day).ok()?;
        let Self { own, path, what, .. } = self;
        match CheckAge::of(day, at) {
            CheckAge::Recent => None,
            CheckAge::Outdated(days) => {
                let message = format!("{what}: last checked on {day}, {days} days ago, which is more than a year");
                Some(about(own, path, Warning, "FactOutdated", message).hint(self.remedy(at)))
            }
            CheckAge::Ahead => {
                let message = format!("{what}: checked on {day}, which is after {}", at.day());
                let hint = "write the day on which somebody last compared it with its source";
                Some(about(own, path, Error, "CheckAhead", message).hint(hint))
            }
        }
    }

    /// What to do about facts that are to be checked.
    fn remedy(&self, at: Timestamp) -> String {
        let source = self.source.map_or_else(|| "its source".to_owned(), |source| format!("its source, {source}"));
        format!("compare it with {source}, correct what has changed, and write checked: \"{}\"", at.day())
    }
}

/// What is to be said of the days on which the facts in `located` were checked. Where no day is written that is told too
/// if it is `required`.
pub(super) fn findings(located: &LocatedInventory<'_>, at: Timestamp, required: bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for ((kind, _), own) in &located.own {
        let (ResourceKind::CloudProvider, OwnSpec::Provider(spec)) = (kind, &own.spec) else { continue };
        for (o, offer) in spec.offers.iter().enumerate() {
            for (q, qualification) in offer.qualifications.iter().enumerate() {
                let Some(day) = &qualification.checked else { continue };
                let facts =
                    of_qualification(own, offer, qualification, &format!("spec.offers[{o}].qualifications[{q}]"));
                found.extend(facts.finding(day, at));
            }
        }
        let facts = of_provider(own, spec);
        match &spec.checked {
            Some(day) => found.extend(facts.finding(day, at)),
            None if required => {
                let message = format!("{}: nobody says on which day it was checked", facts.what);
                found.push(about(own, "spec", Warning, "CheckMissing", message).hint(facts.remedy(at)));
            }
            None => {}
        }
    }
    found
}

fn of_qualification<'a>(
    own: &'a OwnObject<'a>,
    offer: &api::OfferSpec,
    qualification: &'a api::QualificationSpec,
    path: &str,
) -> CheckedFacts<'a> {
    let certificate = certificate(&qualification.scheme, qualification.reference.as_deref());
    CheckedFacts {
        own,
        path: format!("{path}.checked"),
        what: format!("{certificate} of offer {}/{}", own.name, offer.name),
        source: qualification.source.as_deref(),
    }
}

/// All that goes by the day that the provider says.
fn of_provider<'a>(own: &'a OwnObject<'a>, spec: &'a api::CloudProviderSpec) -> CheckedFacts<'a> {
    let qualifications = spec.offers.iter().flat_map(|offer| &offer.qualifications);
    let number = qualifications.filter(|qualification| qualification.checked.is_none()).count();
    let also = match number {
        0 => String::new(),
        number => format!(", with {}", counted(number, "qualification", "qualifications")),
    };
    CheckedFacts {
        own,
        path: "spec.checked".to_owned(),
        what: format!("what is known of provider {}{also}", own.name),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_over_after_365_days() {
        let day = CalendarDay::parse("2025-11-20").unwrap();
        let at = |text: &str| CalendarDay::parse(text).unwrap().starts();
        for (then, age) in [
            ("2025-11-20", CheckAge::Recent),
            ("2025-11-19", CheckAge::Recent),
            ("2025-11-18", CheckAge::Ahead),
            ("2026-11-20", CheckAge::Recent),
            ("2026-11-21", CheckAge::Outdated(366)),
            ("9999-12-01", CheckAge::Outdated(2_912_454)),
        ] {
            assert_eq!(CheckAge::of(day, at(then)), age, "{then}");
        }
    }
}
