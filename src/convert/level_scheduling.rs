//! Conversion of a level's wishes: from the fields of a `LevelSpec` to the core's `LevelScheduling`.

use std::collections::BTreeSet;

use super::field::FieldReader;
use crate::api;
use rempart_core::scheduling::{Figure, LevelScheduling, Preference, Spread, SpreadDomain};

/// The most pods, or domains, that a number may say.
const MOST: i32 = 100;

/// Reads what the level `spec` wishes; `reader` is at the level.
pub(super) fn scheduling(spec: &api::LevelSpec, reader: &mut FieldReader<'_>) -> LevelScheduling {
    let mut seen = BTreeSet::new();
    let prefer = spec.prefer.iter().enumerate().filter_map(|(i, preference)| {
        let mut list = reader.field("prefer");
        let mut reader = list.entry(i);
        let api::PreferenceSpec { by, weight } = *preference;
        if !seen.insert(by) {
            reader.refuse(format_args!("{} is listed twice: keep one of them", figure(by).as_str()));
        }
        Some(Preference { by: figure(by), weight: within(weight, reader.field("weight"))?.try_into().ok()? })
    });
    LevelScheduling {
        prefer: prefer.collect(),
        spread: spec.spread.and_then(|found| spread(found, reader.field("spread"))),
        unreachable_after: spec
            .unreachable_after
            .as_deref()
            .and_then(|text| super::field::duration(text, "60s", reader.field("unreachableAfter"))),
    }
}

fn figure(by: api::PreferredFigure) -> Figure {
    match by {
        api::PreferredFigure::Pue => Figure::Pue,
        api::PreferredFigure::CarbonIntensity => Figure::CarbonIntensity,
        api::PreferredFigure::Price => Figure::Price,
    }
}

fn spread(found: api::SpreadSpec, mut reader: FieldReader<'_>) -> Option<Spread> {
    let api::SpreadSpec { across, min_domains, max_skew, when_unsatisfiable } = found;
    let is_required = match when_unsatisfiable.unwrap_or_default() {
        api::WhenUnsatisfiable::DoNotSchedule => true,
        api::WhenUnsatisfiable::ScheduleAnyway => false,
    };
    if min_domains.is_some() && !is_required {
        reader.field("minDomains").refuse(
            "minDomains is a demand, and with ScheduleAnyway nothing is demanded: leave it out, or write DoNotSchedule",
        );
        return None;
    }
    let min_domains = match min_domains {
        Some(number) => Some(within(number, reader.field("minDomains"))?),
        None => None,
    };
    Some(Spread {
        across: match across {
            api::SpreadAcross::Provider => SpreadDomain::Provider,
            api::SpreadAcross::Region => SpreadDomain::Region,
            api::SpreadAcross::Zone => SpreadDomain::Zone,
            api::SpreadAcross::Pool => SpreadDomain::Pool,
        },
        min_domains,
        max_skew: within(max_skew.unwrap_or(1), reader.field("maxSkew"))?,
        is_required,
    })
}

/// A number of 1 to [`MOST`].
fn within(number: i32, mut reader: FieldReader<'_>) -> Option<u16> {
    if !(1..=MOST).contains(&number) {
        reader.refuse(format_args!("{number} is out of range: write a whole number of 1 to {MOST}"));
        return None;
    }
    u16::try_from(number).ok()
}
