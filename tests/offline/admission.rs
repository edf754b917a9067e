//! The core's view of every case of the admission table (see tests/admission/README.md): what a real API server makes of
//! an object by the chart's expressions, the core must make of it too.

use std::{collections::BTreeMap, path::Path};

use rempart::convert;
use rempart_core::{
    policy::{EnforcementMode, Policy},
    selector::Labels,
    sensitivity::{PodSensitivity, SensitivityStatement, TemplateStatements},
};
use serde_json::{Map, Value};

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table() -> impl Iterator<Item = (std::path::PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.into_iter().map(|path| {
        let value = read(&path);
        (path, value)
    })
}

/// The fixtures' policies. One may be `like` another, with a mode of its own.
fn policies(fixtures: &Value) -> BTreeMap<String, Policy> {
    let listed = fixtures["policies"].as_array().unwrap();
    let policy = |found: &Value| {
        let name = found["name"].as_str().unwrap();
        let spec = crate::admission_fixtures::spec_of(listed, found);
        let read = convert::policy(name, &serde_json::from_value(spec).unwrap());
        (name.to_owned(), read.value.unwrap_or_else(|| panic!("{name}: {:?}", read.problems)))
    };
    listed.iter().map(policy).collect()
}

/// Spells out the table's shorthands.
fn expand(text: &str) -> String {
    for kind in ["clearance", "category", "exception"] {
        if let Some(name) = text.strip_prefix(&format!("{kind}:")) {
            return format!("{kind}.rempart.node-restriction.kubernetes.io/{name}");
        }
    }
    match text.strip_prefix("repeat(").and_then(|rest| rest.strip_suffix(')')).and_then(|inner| inner.rsplit_once(", "))
    {
        Some((what, times)) => what.repeat(times.parse().unwrap()),
        None => text.to_owned(),
    }
}

fn labels(value: &Value) -> Labels {
    let entries = value.as_object().map(Map::iter).into_iter().flatten();
    entries.map(|(key, value)| (expand(key), expand(value.as_str().unwrap_or_default()))).collect()
}

/// What the core makes of one case; an answer only where it differs from what the case expects.
fn disagreement(case: &Value, policies: &BTreeMap<String, Policy>) -> Option<String> {
    let object = &case["create"];
    let pod = object["kind"] == "Pod";
    let namespace = labels(&case["namespace"]);
    let (own, of_template) = (labels(&object["annotations"]), labels(&object["template"]["annotations"]));
    let namespace = SensitivityStatement::of(&namespace);
    let workload = if pod { SensitivityStatement::mirrored(&own) } else { SensitivityStatement::of(&own) };
    let template =
        TemplateStatements { workload, pod: SensitivityStatement::of(if pod { &own } else { &of_template }) };
    let said = PodSensitivity::new(&namespace, [], Some(&template));
    let named = case["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let governing = named.iter().map(|name| &policies[name.as_str().unwrap()]);
    let mut selector = labels(if pod { &object["nodeSelector"] } else { &object["template"]["nodeSelector"] });
    let mut refusals = Vec::new();
    let mut levels = Map::new();
    for policy in governing {
        match policy.need(case["named"].as_str().unwrap_or("claims"), &said) {
            Ok(need) => {
                if policy.mode == EnforcementMode::Enforce {
                    selector = policy.complete(&need, &selector);
                }
                let level = serde_json::json!({"level": need.level.as_str(), "from": need.source.to_string()});
                levels.insert(policy.name.to_string(), level);
            }
            // Of several the API server tells the first.
            Err(found) => refusals.extend(found.first().map(ToString::to_string)),
        }
    }
    let expect = &case["expect"];
    if let Some(expected) = expect["refused"].as_str() {
        let told = expected.split_once(": ").is_some_and(|(_, message)| refusals.iter().any(|found| found == message));
        return (!told).then(|| format!("refuses with {refusals:?}, not with {expected:?}"));
    }
    if !refusals.is_empty() {
        return Some(format!("refuses with {refusals:?}"));
    }
    if !expect["nodeSelector"].is_null() && selector != labels(&expect["nodeSelector"]) {
        return Some(format!("selects by {selector:?}"));
    }
    let other = |(policy, level): (&String, &Value)| levels.get(policy) != Some(level);
    if expect["levels"].as_object().is_some_and(|expected| expected.iter().any(other)) {
        return Some(format!("finds the levels {levels:?}"));
    }
    None
}

#[test]
fn the_core_agrees_with_the_api_server_on_every_case() {
    let fixtures = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admission/fixtures.yaml"));
    let policies = policies(&fixtures);
    let mut judged = 0;
    let mut differences = Vec::new();
    for (path, file) in table() {
        for case in file["cases"].as_array().into_iter().flatten().filter(|case| case["twin"] == true) {
            judged += 1;
            if let Some(difference) = disagreement(case, &policies) {
                differences.push(format!("{}: {}: the core {difference}", path.display(), case["name"]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(judged >= 80, "only {judged} cases were judged");
}
