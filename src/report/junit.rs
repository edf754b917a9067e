//! Report for continuous integration: a plan as `JUnit` XML, a suite for each namespace, a case for each workload.
//!
//! Written by hand, and not by a library for `JUnit`: of the dialects this one is kept to what Jenkins' `junit-10.xsd`
//! allows, which is the narrowest in wide use. No element carries a time, so that two runs on the same files are equal.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, Event},
};

use super::{
    entries::{EntryOutcome, ReportEntry},
    finding::{ReportFinding, UNPLACEABLE},
    location::{IgnoredKinds, UnreadPath},
};
use rempart_core::{admission::AdmissionRefusal, plan::Plan};

/// Writes `plan`. Refused and unplaceable are failures, with the code as their type; anything else passes. What was not
/// judged is skipped, in a suite of its own: nobody shall take a report without failures for one of everything.
///
/// # Errors
/// Those of `out`.
pub fn junit(plan: &Plan<'_>, ignored: &IgnoredKinds, out: impl io::Write) -> io::Result<()> {
    let mut entries = ReportEntry::of(plan);
    // A namespace stands in its own suite, before its workloads; those keep their order.
    entries.sort_by_key(|entry| (suite(entry), entry.object().namespace.is_some()));

    let mut xml = XmlElements(Writer::new_with_indent(out, b' ', 2));
    xml.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (_, failures) = counts(&entries);
    let skipped = skipped(ignored);
    let tests = entries.len().saturating_add(skipped.len()).to_string();
    xml.start("testsuites", &[("name", "rempart plan"), ("tests", &tests), ("failures", &failures), ("errors", "0")])?;
    if !skipped.is_empty() {
        let count = skipped.len().to_string();
        let counted = [("tests", count.as_str()), ("failures", "0"), ("errors", "0"), ("skipped", &count)];
        xml.start("testsuite", &[&[("name", NOT_JUDGED)], counted.as_slice()].concat())?;
        for (title, reason) in &skipped {
            xml.start("testcase", &[("name", title), ("classname", NOT_JUDGED)])?;
            xml.empty("skipped", &[("type", "NotJudged"), ("message", reason)])?;
            xml.end("testcase")?;
        }
        xml.end("testsuite")?;
    }
    for cases in entries.chunk_by(|one, other| suite(one) == suite(other)) {
        let Some(name) = cases.first().map(suite) else { continue };
        let (tests, failures) = counts(cases);
        let counted = [("tests", tests.as_str()), ("failures", &failures), ("errors", "0"), ("skipped", "0")];
        xml.start("testsuite", &[&[("name", name)], counted.as_slice()].concat())?;
        for entry in cases {
            let object = entry.object();
            let title = format!("{} {}", object.kind, object.name);
            let attributes = [("name", title.as_str()), ("classname", name)];
            let Some(code) = failure(entry) else {
                xml.empty("testcase", &attributes)?;
                continue;
            };
            xml.start("testcase", &attributes)?;
            xml.empty("failure", &[("type", code), ("message", &entry.message(plan))])?;
            xml.end("testcase")?;
        }
        xml.end("testsuite")?;
    }
    xml.end("testsuites")?;
    xml.0.get_mut().write_all(b"\n")
}

/// Writes that nothing was judged, since `message`: an error for each of `findings`, or else one.
///
/// # Errors
/// Those of `out`.
pub fn junit_failure(message: &str, findings: &[ReportFinding], out: impl io::Write) -> io::Result<()> {
    let mut xml = XmlElements(Writer::new_with_indent(out, b' ', 2));
    xml.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let told: Vec<(String, &str, String)> = if findings.is_empty() {
        vec![("input".to_owned(), "NotJudged", message.to_owned())]
    } else {
        findings.iter().map(|found| (found.title(), found.code, found.sentence())).collect()
    };
    let count = told.len().to_string();
    let counted = [("tests", count.as_str()), ("failures", "0"), ("errors", &count)];
    xml.start("testsuites", &[&[("name", "rempart plan")], counted.as_slice()].concat())?;
    xml.start("testsuite", &[&[("name", NOT_JUDGED)], counted.as_slice(), &[("skipped", "0")]].concat())?;
    for (title, code, sentence) in &told {
        xml.start("testcase", &[("name", title), ("classname", NOT_JUDGED)])?;
        xml.empty("error", &[("type", code), ("message", sentence)])?;
        xml.end("testcase")?;
    }
    xml.end("testsuite")?;
    xml.end("testsuites")?;
    xml.0.get_mut().write_all(b"\n")
}

/// The suite of what was not judged.
const NOT_JUDGED: &str = "(not judged)";

/// What was not judged, each with the reason.
fn skipped(ignored: &IgnoredKinds) -> Vec<(String, String)> {
    let objects = ignored.unjudged.iter().map(|object| (object.to_string(), object.reason()));
    let paths = ignored.unread.iter().map(|UnreadPath { path, reason }| (path.clone(), reason.clone()));
    objects.chain(paths).collect()
}

/// The name of the suite that an entry belongs to: its namespace.
fn suite<'p>(entry: &ReportEntry<'p>) -> &'p str {
    let object = entry.object();
    object.namespace.unwrap_or(object.name)
}

/// How many cases there are, and how many of them fail.
fn counts(cases: &[ReportEntry<'_>]) -> (String, String) {
    (cases.len().to_string(), cases.iter().filter(|entry| failure(entry).is_some()).count().to_string())
}

/// The code of what fails; `None` for what passes.
fn failure(entry: &ReportEntry<'_>) -> Option<&'static str> {
    match entry.fate() {
        EntryOutcome::Placeable | EntryOutcome::Unrestricted => None,
        EntryOutcome::Unplaceable => Some(UNPLACEABLE),
        EntryOutcome::Refused => Some(entry.refusal().map_or("Refused", AdmissionRefusal::code)),
    }
}

/// A writer of elements.
struct XmlElements<W>(Writer<W>);

impl<W: io::Write> XmlElements<W> {
    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.0.write_event(Event::Start(element(name, attributes)))
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.0.write_event(Event::Empty(element(name, attributes)))
    }

    fn end(&mut self, name: &str) -> io::Result<()> {
        self.0.write_event(Event::End(BytesEnd::new(name)))
    }
}

fn element<'n>(name: &'n str, attributes: &[(&str, &str)]) -> BytesStart<'n> {
    let mut element = BytesStart::new(name);
    for (key, value) in attributes {
        // Escaped as it is pushed. What XML cannot hold at all, not even escaped, is replaced.
        let value: String = value.chars().map(|c| if holds(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
        element.push_attribute((*key, value.as_str()));
    }
    element
}

/// Whether an XML 1.0 document may hold `c`.
fn holds(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
