//! `JUnit` reports, held against what `junit-10.xsd` allows.
//!
//! That schema, of Jenkins' xunit plugin (github.com/jenkinsci/xunit-plugin, `src/main/resources/org/jenkinsci/plugins/
//! xunit/types/model/xsd/junit-10.xsd`), is in no package, and no package of ours validates by an XSD. So its rules for
//! the elements that we write are stated below as a table, and the output is read back and held against it: elements,
//! their parents, attributes that are required and that are allowed. Its rule that nothing else follows from is that
//! counts are texts, so those are checked against the elements instead.

use insta::assert_snapshot;
use quick_xml::{Reader, XmlVersion, events::Event};
use rempart::{
    diagnostic::Diagnostic,
    report::{FileLocation, junit, junit_failure},
};

use super::world::{before, many, not_judged, planned};

/// An element as the schema has it.
struct Element {
    name: &'static str,
    within: &'static [&'static str],
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const ELEMENTS: [Element; 6] = [
    Element {
        name: "testsuites",
        within: &[""],
        required: &[],
        optional: &["name", "time", "tests", "failures", "errors"],
    },
    Element {
        name: "testsuite",
        within: &["testsuites", "testsuite"],
        required: &["name", "tests", "failures", "errors"],
        optional: &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
    },
    Element {
        name: "testcase",
        within: &["testsuite"],
        required: &["name"],
        optional: &["time", "classname", "group"],
    },
    Element { name: "skipped", within: &["testcase"], required: &[], optional: &["type", "message"] },
    Element { name: "error", within: &["testcase"], required: &[], optional: &["type", "message"] },
    Element { name: "failure", within: &["testcase"], required: &[], optional: &["type", "message"] },
];

/// Every breach of the schema in `xml`.
fn breaches(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut open, mut found) = (vec![String::new()], Vec::new());
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => return vec![error.to_string()],
        };
        let closed = matches!(event, Event::Empty(_));
        match event {
            Event::Start(element) | Event::Empty(element) => {
                let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
                let parent = open.last().unwrap().clone();
                match ELEMENTS.iter().find(|known| known.name == name) {
                    Some(known) if known.within.contains(&parent.as_str()) => {
                        let mut keys = Vec::new();
                        for attribute in element.attributes().with_checks(true) {
                            let attribute = attribute.unwrap();
                            attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
                            keys.push(String::from_utf8(attribute.key.as_ref().to_vec()).unwrap());
                        }
                        let has = |key: &&&str| keys.iter().any(|found| found == **key);
                        found.extend(
                            known.required.iter().filter(|key| !has(key)).map(|key| format!("{name} lacks {key}")),
                        );
                        let may =
                            |key: &&String| known.required.iter().chain(known.optional).any(|allowed| allowed == key);
                        found.extend(keys.iter().filter(|key| !may(key)).map(|key| format!("{name} has {key}")));
                    }
                    _ => found.push(format!("{name} within {parent:?}")),
                }
                if !closed {
                    open.push(name);
                }
            }
            Event::End(_) => _ = open.pop(),
            Event::Text(text) if text.iter().any(|byte| !byte.is_ascii_whitespace()) => {
                found.push("text".to_owned());
            }
            Event::Text(_) | Event::Decl(_) => {}
            Event::Eof => break,
            other => found.push(format!("{other:?}")),
        }
    }
    assert_eq!(open, [""], "not closed");
    found
}

fn written(world: &rempart_core::inventory::PlanInventory) -> String {
    let mut out = Vec::new();
    junit(&planned(world), &not_judged(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_plan_as_junit() {
    let text = written(&before());
    assert_eq!(breaches(&text), [""; 0]);
    assert_snapshot!(text);
}

#[test]
fn what_could_not_be_judged_is_an_error_for_each_thing_that_is_wrong() {
    let place = FileLocation { file: "a.yaml".to_owned(), line: 3, column: 7 };
    let found =
        Diagnostic::error("WrongType", "expected a string, found 3").at_place(place).of("Pod a").hint("write \"3\"");
    let written = |findings: &[_]| {
        let mut out = Vec::new();
        junit_failure("nothing was judged: 1 error", findings, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(breaches(&text), [""; 0]);
        text
    };
    assert_snapshot!([written(&[found]), written(&[])].concat(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="rempart plan" tests="1" failures="0" errors="1">
      <testsuite name="(not judged)" tests="1" failures="0" errors="1" skipped="0">
        <testcase name="Pod a at a.yaml:3:7" classname="(not judged)">
          <error type="WrongType" message="expected a string, found 3; write &quot;3&quot;"/>
        </testcase>
      </testsuite>
    </testsuites>
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="rempart plan" tests="1" failures="0" errors="1">
      <testsuite name="(not judged)" tests="1" failures="0" errors="1" skipped="0">
        <testcase name="input" classname="(not judged)">
          <error type="NotJudged" message="nothing was judged: 1 error"/>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn another_reader_finds_what_is_counted() {
    for world in [before(), many(5, 9), rempart_core::inventory::PlanInventory::default()] {
        let text = written(&world);
        assert_eq!(breaches(&text), [""; 0]);
        let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
        let failed =
            |case: &&quick_junit::TestCase| matches!(case.status, quick_junit::TestCaseStatus::NonSuccess { .. });
        for suite in &read.test_suites {
            assert_eq!(suite.tests, suite.test_cases.len());
            assert_eq!(suite.failures, suite.test_cases.iter().filter(failed).count());
        }
        assert_eq!(read.tests, read.test_suites.iter().map(|suite| suite.tests).sum::<usize>());
        assert_eq!(read.failures, read.test_suites.iter().map(|suite| suite.failures).sum::<usize>());
        let names: Vec<_> = read.test_suites.iter().map(|suite| suite.name.as_str()).collect();
        assert!(names.is_sorted(), "one suite for each namespace: {names:?}");
    }
}

#[test]
fn no_name_breaks_out_of_its_attribute() {
    let mut world = before();
    world.workloads[0].identity.name = "a\"<b>&'\u{1}\u{ffff}\n".into();
    let text = written(&world);
    assert_eq!(breaches(&text), [""; 0]);
    assert!(!text.contains('\u{1}') && !text.contains('\u{ffff}'));
    let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let names = read.test_suites.iter().flat_map(|suite| &suite.test_cases).map(|case| case.name.as_str());
    assert_eq!(names.filter(|name| name.starts_with("Deployment a\"<b>&'\u{fffd}\u{fffd}")).count(), 1);
}

#[test]
fn the_table_tells_what_the_schema_refuses() {
    for bad in [
        "<testsuites skipped=\"0\"></testsuites>",
        "<testsuites><testcase name=\"x\"/></testsuites>",
        "<testsuites><testsuite name=\"x\" tests=\"0\" errors=\"0\"/></testsuites>",
        "<testsuites><testsuite name=\"x\" tests=\"0\" errors=\"0\" failures=\"0\"><properties/></testsuite></testsuites>",
    ] {
        assert_eq!(breaches(bad).len(), 1, "{bad}");
    }
}
