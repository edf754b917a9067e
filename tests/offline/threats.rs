//! The threat model: each way has its row, and each test that the page links is there, of the row that links it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

/// How many ways there are.
const WAYS: u64 = 49;

const OPEN: &str = "**open by nature**";
const OUTCOMES: [&str; 5] = ["**refused**", "**closed**", "**closed by Kubernetes**", "**detected**", OPEN];

/// Where tests are.
const SOURCES: [&str; 3] = ["tests/", "src/", "crates/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/threat-model.md")).unwrap()
}

/// A test that the page links: what it is called, and the file that it is in.
#[derive(Debug)]
struct Linked {
    name: String,
    file: String,
}

/// The tests that `text` links.
fn linked(text: &str) -> Vec<Linked> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](../") {
        let name = before.rsplit('[').next().unwrap().to_owned();
        let (file, after) = after.split_once(')').unwrap();
        if SOURCES.iter().any(|folder| file.starts_with(folder)) {
            found.push(Linked { name, file: file.to_owned() });
        }
        rest = after;
    }
    found
}

/// The cases of the table in `file`, by name, each with the ways that it tries.
fn cases(file: &Path) -> BTreeMap<String, BTreeSet<u64>> {
    let table: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let cases = table["cases"].as_array().into_iter().flatten();
    let numbers = |case: &Value| case["closes"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    cases.map(|case| (case["name"].as_str().unwrap().to_owned(), numbers(case))).collect()
}

/// Whether `source` has a trial of the cluster tests of this name: it stands where one is made.
fn has_trial(source: &str, name: &str) -> bool {
    let quoted = format!("\"{name}\"");
    source.match_indices(&quoted).any(|(at, _)| source[..at].trim_end().ends_with('('))
}

/// Whether `source` has a function of this name that is a test.
fn has_test(source: &str, name: &str) -> bool {
    source.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let above = source[..at].trim_end_matches("async ").lines().rev();
        let mut attributes =
            above.map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("#["));
        attributes.any(|attribute| attribute == "#[test]" || attribute.starts_with("#[tokio::test"))
    })
}

/// What is wrong with a link of the page, in the row of `way` if in one.
fn fault(linked: &Linked, way: Option<u64>) -> Option<String> {
    let Linked { name, file } = linked;
    let path = root().join(file);
    let Ok(source) = fs::read_to_string(&path) else { return Some(format!("{file} is not there")) };
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let is_there = match file.split('/').nth(1).unwrap() {
        "cluster" => has_trial(&source, name),
        "admission" => {
            let cases = cases(&path);
            let Some(closes) = cases.get(name) else { return Some(format!("{file} has no case {name:?}")) };
            if let Some(way) = way.filter(|way| !closes.contains(way)) {
                return Some(format!("{file}: {name:?} does not say closes: [{way}]"));
            }
            true
        }
        "simulate" => path.file_stem().is_some_and(|stem| stem == name.as_str()) && path.with_extension("out").exists(),
        _ if is_rust => has_test(&source, name),
        _ => false,
    };
    (!is_there).then(|| format!("{file} has no test {name}"))
}

/// The rows of the table of ways: the number, the outcome, and what tries it.
fn rows(page: &str) -> Vec<(u64, String, String)> {
    let section = page.split("\n## The ways\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| ")).map(cells);
    rows.filter_map(|cells| {
        let way = cells[0].parse().ok()?;
        assert_eq!(cells.len(), 5, "row {way} has a line of its own in a cell, or none");
        Some((way, cells[3].clone(), cells[4].clone()))
    })
    .collect()
}

#[test]
fn each_way_has_its_row_and_a_test_that_is_there() {
    let page = page();
    let rows = rows(&page);
    let ways: Vec<u64> = rows.iter().map(|(way, ..)| *way).collect();
    assert_eq!(ways, (1..=WAYS).collect::<Vec<_>>(), "each once, and in order");
    let mut wrong = Vec::new();
    for (way, outcome, tried) in &rows {
        if !OUTCOMES.iter().any(|known| outcome.starts_with(known)) {
            wrong.push(format!("{way}: the outcome begins with none of {OUTCOMES:?}"));
        }
        let tests = linked(tried);
        let reason = outcome.strip_prefix(OPEN).unwrap_or_default();
        if tests.is_empty() && reason.len() < 40 {
            wrong.push(format!("{way}: no test tries it, and it does not say why it is open by nature"));
        }
        wrong.extend(tests.iter().filter_map(|test| fault(test, Some(*way))).map(|fault| format!("{way}: {fault}")));
    }
    wrong.extend(linked(&page).iter().filter_map(|test| fault(test, None)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_way_that_the_table_tries_links_a_case_of_it() {
    let mut tried = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/admission")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            tried.extend(cases(&path).into_values().flatten());
        }
    }
    assert!(tried.len() >= 20, "{tried:?}");
    let page = page();
    let of_table = |tests: &str| linked(tests).iter().any(|test| test.file.starts_with("tests/admission/"));
    let links: BTreeSet<u64> =
        rows(&page).into_iter().filter(|(_, _, tests)| of_table(tests)).map(|(way, ..)| way).collect();
    let missing: Vec<_> = tried.difference(&links).collect();
    assert!(missing.is_empty(), "cases try these ways, whose rows link none of them: {missing:?}");
}

#[test]
fn each_threat_of_sig_security_is_answered() {
    let page = page();
    let section = page.split("\n## The threats that SIG Security names\n").nth(1).unwrap();
    let numbers = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(". ")?.0.parse::<u64>().ok());
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=18).collect::<Vec<_>>());
}
