//! Documents for programs: JSON and YAML as a whole, and the schemas that document them.

use std::{fs, path::Path};

use insta::assert_snapshot;
use rempart::diagnostic::Severity;
use rempart::report::{FileLocation, ImpactReport, LintReport, PlanReport, ReportFinding, json, schemas, yaml};
use rempart_core::{impact::impact, instant::Timestamp, plan::PlanAssumptions};
use serde::Serialize;
use serde_json::Value;

use super::world::{after, before, ignored, many, noon, not_judged, planned};

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas");

fn written(report: &impl Serialize) -> String {
    let mut out = Vec::new();
    json(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Holds `text` against the schema of this file, and against the same schema with every object closed: so a field that
/// is written and not documented is found as well.
fn keeps_to(file: &str, text: &str) {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                fields.values_mut().for_each(close);
                if fields.contains_key("properties") {
                    fields.insert("additionalProperties".to_owned(), false.into());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(Path::new(SCHEMAS).join(file)).unwrap()).unwrap();
    close(&mut schema);
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let value = serde_json::from_str(text).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{file}: {errors:#?}");
}

#[test]
fn a_plan_as_json() {
    let world = before();
    let plan = planned(&world);
    let text = written(&PlanReport::new(&plan, &ignored()));
    keeps_to("plan-v1.json", &text);
    assert!(text.ends_with("}\n"));
    assert_snapshot!(text);
}

#[test]
fn yaml_is_the_same_data() {
    let world = before();
    let plan = planned(&world);
    let ignored = ignored();
    let report = PlanReport::new(&plan, &ignored);
    let mut out = Vec::new();
    yaml(&report, &mut out).unwrap();
    let of_yaml: Value = serde_saphyr::from_slice(&out).unwrap();
    assert_eq!(of_yaml, serde_json::from_str::<Value>(&written(&report)).unwrap());
    assert_eq!(out.last(), Some(&b'\n'));
}

#[test]
fn a_plan_does_not_depend_on_the_order_of_the_files() {
    let (world, mut turned) = (before(), before());
    turned.workloads.reverse();
    let (one, other) = (planned(&world), planned(&turned));
    assert_eq!(written(&PlanReport::new(&one, &ignored())), written(&PlanReport::new(&other, &ignored())));
}

#[test]
fn the_parts_of_a_plan_agree() {
    let world = many(7, 40);
    let plan = planned(&world);
    let report: Value = serde_json::from_str(&written(&PlanReport::new(&plan, &ignored()))).unwrap();
    let workloads = report["workloads"].as_array().unwrap();
    for (fate, count) in [("Placeable", "placeable"), ("Refused", "refused"), ("Unrestricted", "unrestricted")] {
        let found = workloads.iter().filter(|workload| workload["outcome"] == fate).count();
        assert!(found > 0, "no workload is {fate}");
        assert_eq!(report["summary"][count], found);
    }
    let ids: Vec<_> = report["demands"].as_array().unwrap().iter().map(|demand| &demand["id"]).collect();
    assert_eq!(ids, ["d1", "d2"]);
    for workload in workloads {
        let asks = !workload["demand"].is_null();
        assert_eq!(asks, workload["outcome"] == "Placeable" || workload["outcome"] == "Unplaceable", "{workload}");
        assert!(!asks || ids.contains(&&workload["demand"]));
    }
    for pool in report["demands"].as_array().unwrap().iter().flat_map(|demand| demand["pools"].as_array().unwrap()) {
        assert_eq!(pool["cleared"], pool["reasons"].as_array().unwrap().is_empty());
        for reason in pool["reasons"].as_array().unwrap() {
            assert_ne!(reason["level"].is_null(), reason["category"].is_null(), "{reason}");
        }
    }
}

#[test]
fn an_impact_as_json() {
    let (old, new) = (before(), after());
    let (old, new) = (planned(&old), planned(&new));
    let found = impact(&old, &new);
    let text = written(&ImpactReport::new(&found, &old, &new, &not_judged()));
    keeps_to("impact-v1.json", &text);
    assert_snapshot!(text);
}

#[test]
fn an_impact_of_time_as_json() {
    let world = before();
    let later = Timestamp::from_seconds(noon().timestamp().as_second() + 60 * 86_400);
    let (old, new) = (planned(&world), rempart_core::plan::plan(&world, later, PlanAssumptions::default()));
    let found = impact(&old, &new);
    let text = written(&ImpactReport::new(&found, &old, &new, &not_judged()));
    keeps_to("impact-v1.json", &text);
    assert_snapshot!(text);
}

#[test]
fn findings_as_json() {
    let finding = |severity, code, origin, hint: Option<&str>| ReportFinding {
        severity,
        code,
        object: Some("Deployment claims/api".to_owned()),
        message: "what is wrong".to_owned(),
        hint: hint.map(str::to_owned),
        place: origin,
    };
    let origin = FileLocation { file: "a.yaml".to_owned(), line: 3, column: 7 };
    let findings = [
        finding(Severity::Error, "LevelUnknown", Some(origin), Some("write restricted")),
        finding(Severity::Warning, "Unplaceable", None, None),
    ];
    let text = written(&LintReport::new(&findings));
    keeps_to("lint-v1.json", &text);
    assert_snapshot!(text);
}

#[test]
fn schemas_are_generated_from_the_types() {
    let all = schemas::all();
    for schema in &all {
        let kept = fs::read_to_string(Path::new(SCHEMAS).join(schema.file)).unwrap_or_default();
        assert!(kept == schema.text, "docs/schemas/{} is not what src/report says: run `make schemas`", schema.file);
    }
    assert_eq!(fs::read_dir(SCHEMAS).unwrap().count(), all.len(), "docs/schemas holds files that nothing generates");
}
