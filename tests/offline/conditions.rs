//! Condition types and reasons, held against the runbook and the columns of the definitions.

use std::collections::BTreeSet;

use rempart::api::{
    conditions::{CONDITION_TYPES, EVENT_REASONS, MIGRATING},
    crds,
};

/// The cells of every row of the table that begins with `header`.
fn rows(header: &str) -> Vec<Vec<String>> {
    let runbook = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let lines = runbook.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows: Vec<_> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "the runbook has no table {header}");
    rows
}

/// The words of a cell: `a`, `b`.
fn words(cell: &str) -> impl Iterator<Item = String> {
    cell.split(", ").map(|word| word.trim_matches('`').to_owned())
}

#[test]
fn the_runbook_explains_every_condition_and_no_other() {
    let mut explained = BTreeSet::new();
    for row in rows("| kind | condition | reason |") {
        let [kind, condition, reasons, ..] = &row[..] else { panic!("{row:?} lacks a cell") };
        explained.extend(words(reasons).map(|reason| (kind.clone(), condition.trim_matches('`').to_owned(), reason)));
    }
    for row in rows("| reason | what keeps them |") {
        let of = |reason| ("WorkloadPlacement".to_owned(), MIGRATING.to_owned(), reason);
        explained.extend(words(&row[0]).map(of));
    }
    let known: BTreeSet<_> = CONDITION_TYPES
        .iter()
        .flat_map(|condition| condition.reasons.iter().map(move |reason| (condition, reason)))
        .map(|(condition, reason)| (condition.kind.to_owned(), condition.name.to_owned(), (*reason).to_owned()))
        .collect();
    let unexplained: Vec<_> = known.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&known).collect();
    assert!(unexplained.is_empty() && unknown.is_empty(), "not explained: {unexplained:?}; unknown: {unknown:?}");
}

#[test]
fn the_runbook_explains_every_event_and_no_other() {
    let explained: BTreeSet<String> =
        rows("| event | about |").iter().flat_map(|row| words(&row[0]).collect::<Vec<_>>()).collect();
    assert_eq!(explained, EVENT_REASONS.map(str::to_owned).into());
}

#[test]
fn a_condition_gives_each_reason_once_and_is_listed_once() {
    let mut seen = BTreeSet::new();
    for condition in CONDITION_TYPES {
        assert!(seen.insert((condition.kind, condition.name)), "{condition:?} is listed twice");
        let distinct: BTreeSet<_> = condition.reasons.iter().collect();
        assert_eq!(distinct.len(), condition.reasons.len(), "{condition:?}");
    }
}

/// A printer column is a literal in an attribute, which the compiler does not compare with a constant.
#[test]
fn columns_show_conditions_that_exist() {
    for crd in crds::crds() {
        let kind = &crd.spec.names.kind;
        let columns = crd.spec.versions.iter().flat_map(|version| version.additional_printer_columns.iter().flatten());
        for path in columns.map(|column| &column.json_path) {
            let Some((_, rest)) = path.split_once("@.type=='") else { continue };
            let name = rest.split('\'').next().unwrap();
            let known =
                |condition: &rempart::api::conditions::ConditionType| condition.kind == kind && condition.name == name;
            assert!(CONDITION_TYPES.iter().any(known), "{kind}: {path}");
        }
    }
}
