//! SARIF reports, held against the schema of SARIF 2.1.0.
//!
//! The schema is the one that the package serde-sarif ships. It is read where cargo keeps that package, so that no copy
//! of it is kept here.

use std::{fs, path::Path, process::Command};

use insta::assert_snapshot;
use rempart::diagnostic::Severity;
use rempart::report::{FileLocation, NoLocations, PLAN_RULES, ReportFinding, of_plan, sarif};
use serde_json::Value;

use super::world::{Files, before, many, planned};

/// The public schema.
fn schema() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let command = ["metadata", "--offline", "--locked", "--format-version", "1", "--manifest-path", manifest];
    // What other platforms alone depend on is not kept here.
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().unwrap().stdout;
    let host = String::from_utf8(host).unwrap();
    let output = Command::new(env!("CARGO")).args(command).args(["--filter-platform", host.trim()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "serde-sarif").unwrap();
    let directory = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let mut schema: Value =
        serde_json::from_str(&fs::read_to_string(directory.join("src/schema.json")).unwrap()).unwrap();
    assert_eq!(schema["title"], "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema");
    // The pattern of two fields that we do not write has a stray bracket, which strict readers of patterns refuse.
    for owner in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{owner}/properties/language")).unwrap();
        let pattern = language.as_object_mut().unwrap().remove("pattern").unwrap();
        assert_eq!(pattern, "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$");
    }
    schema
}

fn written(findings: impl Iterator<Item = ReportFinding>) -> String {
    let mut out = Vec::new();
    sarif(&PLAN_RULES, findings, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn errors(validator: &jsonschema::Validator, text: &str) -> Vec<String> {
    let value = serde_json::from_str(text).unwrap();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn a_plan_as_sarif() {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema()).unwrap();
    let world = before();
    let plan = planned(&world);
    let text = written(of_plan(&plan, &Files(&world)));
    assert_eq!(errors(&validator, &text), [""; 0]);
    assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));

    for text in [
        written(of_plan(&plan, &NoLocations)),
        written(std::iter::empty()),
        written(std::iter::once(ReportFinding {
            severity: Severity::Warning,
            code: "OfNoRule",
            object: None,
            message: "a \"message\"\nof two lines".to_owned(),
            hint: Some("a hint".to_owned()),
            place: Some(FileLocation { file: "/tmp/a b/é:%.yaml".to_owned(), line: 0, column: 0 }),
        })),
    ] {
        assert_eq!(errors(&validator, &text), [""; 0]);
    }
    // That the schema would tell.
    let broken = text.replace("\"startLine\": 7", "\"startLine\": 0");
    assert!(!errors(&validator, &broken).is_empty());
}

#[test]
fn the_types_that_are_generated_from_the_schema_read_it_whole() {
    let world = before();
    let plan = planned(&world);
    let text = written(of_plan(&plan, &Files(&world)));
    let read: serde_sarif::sarif::Sarif = serde_json::from_str(&text).unwrap();
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&text).unwrap());
}

#[test]
fn every_finding_of_a_plan_has_a_rule() {
    for world in [before(), many(3, 20)] {
        let plan = planned(&world);
        let findings: Vec<ReportFinding> = of_plan(&plan, &NoLocations).collect();
        assert!(!findings.is_empty());
        for finding in findings {
            assert!(PLAN_RULES.iter().any(|rule| rule.code == finding.code), "{}", finding.code);
        }
    }
}
