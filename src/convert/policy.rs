//! Policy conversion: from a `PlacementPolicySpec` to the core's `Policy`.
//!
//! A policy with one demand that cannot be read is no policy. What a level wishes among cleared places, and how and when its
//! pods leave a place that is not cleared any more, is no demand: what of that cannot be read counts as not said, and places
//! stay what they are.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    field::{Converted, FieldReader, duration, length},
    selector::selector,
};
use crate::{api, diagnostic::FieldDiagnostic};
use rempart_core::{
    coverage::SchemeLevel,
    instant::CalendarDay,
    jurisdiction::{JurisdictionArea, JurisdictionAreas},
    name::{
        CategoryName, ExceptionName, InvalidName, Law, LevelName, PolicyName, PoolName, ProviderName, RegionName,
        Scheme,
    },
    policy::{
        EnforcementMode, Exception, Level, LevelRequirements, LossAction, NameFilter, OnClearanceLoss, Policy,
        PolicyLevels,
    },
    selector::Selector,
};

/// Reads the policy `name`. `None` when any part of what it demands cannot be read: that must be known whole.
pub fn policy(name: &str, spec: &api::PlacementPolicySpec) -> Converted<Policy> {
    let api::PlacementPolicySpec {
        mode,
        namespace_selector,
        default_level,
        minimum_level,
        require_namespace_level,
        levels,
        categories,
        exceptions,
    } = spec;
    let (mut problems, mut harmless) = (Vec::new(), Vec::new());
    let name = FieldReader::new("metadata.name", &mut problems).take(PolicyName::parse(name));
    let mut reader = FieldReader::new("spec", &mut problems);
    let namespaces = match namespace_selector {
        Some(found) => selector(found, reader.field("namespaceSelector")),
        None => Some(Selector::default()),
    };
    let ordered = levels.iter().enumerate().filter_map(|(i, level)| {
        let mut reader = reader.field("levels");
        self::level(level, reader.entry(i), &mut harmless)
    });
    let ordered: Vec<_> = ordered.collect();
    let all = ordered.len() == levels.len();
    let levels = PolicyLevels::new(ordered, default_level).and_then(|levels| match minimum_level {
        Some(minimum) => levels.with_minimum(minimum),
        None => Ok(levels),
    });
    let levels = all.then(|| reader.take(levels)).flatten();
    let mut known = BTreeMap::new();
    for (i, found) in categories.iter().enumerate() {
        let mut reader = reader.field("categories");
        let mut reader = reader.entry(i);
        let require = found.require.as_ref().map(|found| requirements(found, &mut reader.field("require")));
        let Some(name) = reader.field("name").take(CategoryName::parse(&found.name)) else { continue };
        if known.insert(name.clone(), require).is_some() {
            reader.refuse(format_args!("category {name} is listed twice: keep one of them"));
        }
    }
    let exceptions = levels.as_ref().map(|levels| self::exceptions(exceptions, levels, &mut reader));
    let value = match (name, namespaces, levels) {
        (Some(name), Some(namespaces), Some(levels)) if problems.is_empty() => Some(Policy {
            name,
            mode: match mode {
                api::PolicyMode::Enforce => EnforcementMode::Enforce,
                api::PolicyMode::Warn => EnforcementMode::Warn,
                api::PolicyMode::Audit => EnforcementMode::Audit,
            },
            namespaces,
            requires_namespace_level: require_namespace_level.unwrap_or_default(),
            levels,
            categories: known,
            terminating: false,
            exceptions: exceptions.unwrap_or_default(),
        }),
        _ => None,
    };
    problems.extend(harmless);
    Converted { value, problems }
}

/// Reads the policy `name` as admission needs it: its names, their order, its mode and its exceptions, whatever it
/// requires of places. What a requirement says wrongly clears nothing, and frees no pod of what it needs.
pub fn policy_of_admission(name: &str, spec: &api::PlacementPolicySpec) -> Option<Policy> {
    // Any day will do: admission never looks at it.
    const DAY: &str = "9999-12-31";
    let mut spec = spec.clone();
    spec.namespace_selector = None;
    let requirements = spec.levels.iter_mut().map(|level| &mut level.require);
    for require in requirements.chain(spec.categories.iter_mut().map(|category| &mut category.require)).flatten() {
        // That something is demanded is all that counts, and a demand for nothing would be a slip.
        *require = api::RequirementsSpec { max_pue: Some(1.0), ..api::RequirementsSpec::default() };
    }
    for exception in &mut spec.exceptions {
        exception.pools.clear();
        DAY.clone_into(&mut exception.until);
    }
    policy(name, &spec).value
}

/// Reads a level; problems of its wishes and of its moves are `harmless`.
fn level(level: &api::LevelSpec, mut reader: FieldReader<'_>, harmless: &mut Vec<FieldDiagnostic>) -> Option<Level> {
    let api::LevelSpec { name, require, prefer: _, spread: _, unreachable_after: _, on_clearance_loss } = level;
    let require = require.as_ref().map(|found| requirements(found, &mut reader.field("require")));
    let on_loss = match on_clearance_loss {
        Some(found) => on_loss(found, reader.apart(harmless).field("onClearanceLoss")),
        None => OnClearanceLoss::default(),
    };
    let scheduling = super::level_scheduling::scheduling(level, &mut reader.apart(harmless));
    let name = reader.field("name").take(LevelName::parse(name))?;
    Some(Level { name, require, on_loss, scheduling })
}

fn on_loss(found: &api::OnClearanceLoss, mut reader: FieldReader<'_>) -> OnClearanceLoss {
    let api::OnClearanceLoss { action, lead_time, windows, deadline } = found;
    let action = match action.unwrap_or_default() {
        api::ClearanceLossAction::Migrate => LossAction::Migrate,
        api::ClearanceLossAction::Evict => LossAction::Evict,
        api::ClearanceLossAction::Report => LossAction::Report,
    };
    let windows = super::move_windows::windows(windows, &mut reader.field("windows"));
    let deadline = deadline.as_deref().and_then(|text| duration(text, "72h", reader.field("deadline")));
    let mut reader = reader.field("leadTime");
    let lead = lead_time.as_deref().and_then(|text| {
        let lead = length(text);
        if lead.is_none() {
            let text = rempart_core::name::quoted(text);
            reader.refuse(format_args!("{text:?} is not a length of time: write hours, as 720h for 30 days"));
        }
        lead
    });
    OnClearanceLoss { action, lead: lead.unwrap_or_default(), windows, deadline }
}

/// Reads the exceptions of a policy with these `levels`.
fn exceptions(
    found: &[api::ExceptionSpec],
    levels: &PolicyLevels,
    reader: &mut FieldReader<'_>,
) -> BTreeMap<ExceptionName, Exception> {
    let mut known = BTreeMap::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (i, exception) in found.iter().enumerate() {
        let api::ExceptionSpec { name, namespaces, level, pools, until, reason, approved_by } = exception;
        let mut list = reader.field("exceptions");
        let mut reader = list.entry(i);
        // Which of two is meant nobody could tell from the pod.
        for (j, namespace) in namespaces.iter().enumerate() {
            if let Some(other) = taken.insert(namespace, name).filter(|other| *other != name) {
                let message = format_args!("{namespace} is in exception {other} already: leave it in one of them");
                reader.field("namespaces").entry(j).refuse(message);
            }
        }
        let rank = levels.rank(level);
        if rank.is_none() {
            let known = rempart_core::text::ListDisplay(levels.iter().map(|level| &level.name)).to_string();
            let level = rempart_core::name::quoted(level);
            reader.field("level").refuse(format_args!("{level:?} is none of the levels: write one of {known}"));
        }
        let pools = reader.field("pools").each(pools, PoolName::parse);
        let until = reader.field("until").take(CalendarDay::parse(until));
        let parsed = reader.field("name").take(ExceptionName::parse(name));
        let (Some(name), Some(rank), Some(until)) = (parsed, rank, until) else { continue };
        let exception = Exception {
            namespaces: namespaces.iter().cloned().collect(),
            rank,
            pools,
            until,
            reason: reason.clone(),
            approved_by: approved_by.clone(),
        };
        if known.insert(name.clone(), exception).is_some() {
            reader.refuse(format_args!("exception {name} is listed twice: keep one of them"));
        }
    }
    known
}

fn requirements(found: &api::RequirementsSpec, reader: &mut FieldReader<'_>) -> LevelRequirements {
    let api::RequirementsSpec {
        jurisdictions,
        not_exposed_to,
        qualifications,
        minimum_levels,
        providers,
        regions,
        max_pue,
        max_carbon_intensity,
        control_plane,
    } = found;
    let api::JurisdictionsSpec { operator, controlling_party, technology, data } =
        jurisdictions.clone().unwrap_or_default();
    let mut countries = reader.field("jurisdictions");
    let require = LevelRequirements {
        operator: areas(&operator, countries.field("operator")),
        controlling_party: areas(&controlling_party, countries.field("controllingParty")),
        technology: areas(&technology, countries.field("technology")),
        data: areas(&data, countries.field("data")),
        not_exposed_to: reader.field("notExposedTo").each(not_exposed_to, Law::parse),
        qualifications: reader.field("qualifications").each(qualifications, Scheme::parse),
        minimum_levels: self::minimum_levels(minimum_levels, reader.field("minimumLevels")),
        providers: filter(providers.as_ref(), reader.field("providers"), ProviderName::parse),
        regions: filter(regions.as_ref(), reader.field("regions"), RegionName::parse),
        max_pue: max_pue.and_then(|limit| limit_of(limit, reader.field("maxPUE"))),
        max_carbon_intensity: max_carbon_intensity
            .and_then(|limit| limit_of(limit, reader.field("maxCarbonIntensity"))),
        control_plane: control_plane.unwrap_or_default(),
    };
    // Admission adds a key wherever `require` stands; a demand for nothing is a slip, not a wish.
    if require == LevelRequirements::default() {
        reader.refuse("demands nothing: say what is required, or leave it out");
    }
    require
}

fn minimum_levels(listed: &BTreeMap<String, i32>, mut reader: FieldReader<'_>) -> BTreeMap<Scheme, SchemeLevel> {
    let entry = |(scheme, least): (&String, &i32)| {
        let mut reader = reader.field(scheme);
        let least = reader.take(SchemeLevel::new(i64::from(*least)));
        Some((reader.take(Scheme::parse(scheme))?, least?))
    };
    listed.iter().filter_map(entry).collect()
}

/// An empty list allows nothing further than an absent one: it demands nothing.
fn areas(listed: &[String], mut reader: FieldReader<'_>) -> Option<JurisdictionAreas> {
    (!listed.is_empty()).then(|| reader.each(listed, JurisdictionArea::parse))
}

fn filter<T: Ord>(
    found: Option<&api::AllowDeny>,
    mut reader: FieldReader<'_>,
    parse: fn(&str) -> Result<T, InvalidName>,
) -> NameFilter<T> {
    let Some(api::AllowDeny { allow, deny }) = found else { return NameFilter::default() };
    let allowed: BTreeSet<T> = reader.field("allow").each(allow, parse);
    NameFilter { allow: (!allow.is_empty()).then_some(allowed), deny: reader.field("deny").each(deny, parse) }
}

fn limit_of(limit: f64, mut reader: FieldReader<'_>) -> Option<f64> {
    let good = limit.is_finite() && limit >= 0.0;
    if !good {
        reader.refuse(format_args!("{limit} cannot be a limit: write a number of at least 0"));
    }
    good.then_some(limit)
}

#[cfg(test)]
mod tests {
    use rempart_core::move_window::WindowState;

    use super::*;

    fn read(yaml: &str) -> Converted<Policy> {
        policy("state", &serde_saphyr::from_str(yaml).unwrap())
    }

    #[test]
    fn a_policy_with_one_wrong_demand_is_no_policy() {
        let Converted { value, problems } = read(
            "{mode: Enforce, defaultLevel: low, levels: [{name: low}, {name: high, require: {jurisdictions: {data: [EU, UK]}, qualifications: [SecNumCloud]}}], categories: [{name: health, require: {}}]}",
        );
        assert!(value.is_none());
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                r#"spec.levels[1].require.jurisdictions.data[1]: "UK" is neither a country nor a group: write an ISO 3166-1 alpha-2 code, as FR, or EU or EEA (the United Kingdom is GB)"#,
                r#"spec.levels[1].require.qualifications[0]: "SecNumCloud" is not a scheme: use at most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends"#,
                "spec.categories[0].require: demands nothing: say what is required, or leave it out",
            ]
        );
    }

    #[test]
    fn what_a_level_wishes_and_when_it_moves_takes_no_place_away_when_it_is_wrong() {
        let right = "{mode: Enforce, defaultLevel: low, levels: [{name: low}, {name: high, require: {maxPUE: 1.5}";
        let demands = read(&format!("{right}}}]}}")).value.unwrap();
        for (wrong, field) in [
            ("prefer: [{by: pue, weight: 0}]", "prefer[0].weight"),
            ("spread: {across: Provider, minDomains: 101}", "spread.minDomains"),
            ("unreachableAfter: soon", "unreachableAfter"),
            ("onClearanceLoss: {leadTime: -1h}", "onClearanceLoss.leadTime"),
            ("onClearanceLoss: {deadline: never}", "onClearanceLoss.deadline"),
            ("onClearanceLoss: {windows: [{schedule: 0 22 * *, duration: 6h}]}", "onClearanceLoss.windows[0].schedule"),
            (
                "onClearanceLoss: {windows: [{schedule: 0 22 * * *, duration: 6h, timeZone: Europe/Pari}]}",
                "onClearanceLoss.windows[0].timeZone",
            ),
        ] {
            let Converted { value, problems } = read(&format!("{right}, {wrong}}}]}}"));
            let [problem] = &problems[..] else { panic!("{wrong}: {problems:?}") };
            assert_eq!(problem.path(), format!("spec.levels[1].{field}"));
            let found = value.unwrap();
            assert_eq!(
                found.levels.at(1).map(|level| &level.require),
                demands.levels.at(1).map(|level| &level.require)
            );
            let windows = &found.levels.at(1).unwrap().on_loss.windows;
            let state = windows.state(rempart_core::instant::Timestamp::EPOCH);
            let expected =
                if field.contains("windows") { WindowState::Closed(None) } else { WindowState::Unrestricted };
            assert_eq!(state, expected, "{wrong}: a window that cannot be read never opens");
        }
    }

    #[test]
    fn a_level_without_demands_differs_from_one_with() {
        let policy =
            read("{mode: Warn, defaultLevel: low, levels: [{name: low}, {name: high, require: {maxPUE: 1.5}}]}");
        let policy = policy.value.unwrap();
        assert_eq!(policy.mode, EnforcementMode::Warn);
        assert_eq!(policy.clearance_key(0), None);
        assert!(policy.clearance_key(1).unwrap().ends_with("/state.high"));
    }

    #[test]
    fn levels_and_default_must_agree() {
        for (yaml, message) in [
            ("{mode: Audit, defaultLevel: lwo, levels: [{name: low}]}", "one of low"),
            ("{mode: Audit, defaultLevel: low, levels: [{name: low}, {name: low}]}", "listed twice"),
        ] {
            let Converted { value, problems } = read(yaml);
            assert!(value.is_none());
            assert!(problems[0].to_string().contains(message), "{problems:?}");
        }
    }
}
