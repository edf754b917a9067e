//! Doctor report for people: the verdict first, then what was found with its remedy, then what could not be looked at, then
//! the table of checks.

use crate::{
    doctor::{CheckOutcome, DeclaredRight, DoctorFinding, Examination, Severity, UncheckedFact},
    terminal::{StyledText, TextLayout, TextPage, Tone},
};
use rempart_core::text::counted;

/// Says `examination`.
#[must_use]
pub fn doctor(examination: &Examination, layout: TextLayout) -> String {
    let mut page = super::page(layout);
    let verdict = verdict(examination);
    page.say(&verdict, Tone::Strong);
    found(&mut page, &examination.found);
    unchecked(&mut page, &examination.unchecked);
    checks(&mut page, &examination.checks);
    declared(&mut page, &examination.declared);
    page.close(&verdict);
    page.into_text()
}

/// What it comes to, in one line.
pub(crate) fn verdict(examination: &Examination) -> String {
    let (errors, warnings) = (examination.count(Severity::Error), examination.count(Severity::Warning));
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(counted(errors, "error", "errors"));
    }
    if warnings > 0 {
        parts.push(counted(warnings, "warning", "warnings"));
    }
    if parts.is_empty() {
        parts.push("nothing found".to_owned());
    }
    if !examination.unchecked.is_empty() {
        parts.push(format!("{} not checked", counted(examination.unchecked.len(), "thing", "things")));
    }
    parts.join(", ")
}

fn found(page: &mut TextPage, found: &[DoctorFinding]) {
    if found.is_empty() {
        return;
    }
    page.ruled_heading("Found");
    for finding in found {
        let DoctorFinding { code, object, field, message, allows, remedy } = finding;
        let tone = match finding.severity() {
            Severity::Error => Tone::Error,
            Severity::Warning => Tone::Warning,
        };
        page.gap();
        let head = format!("{}[{}]", finding.severity().as_str(), code.as_str());
        page.line(2, StyledText::default().run(head, tone).then(format!(": {object}: {message}")));
        if !field.is_empty() {
            page.line(4, StyledText::default().faint("field: ").then(field));
        }
        page.line(4, StyledText::default().faint("allows: ").then(allows));
        page.line(4, StyledText::default().faint("remedy: ").then(remedy));
    }
}

fn unchecked(page: &mut TextPage, unchecked: &[UncheckedFact]) {
    if unchecked.is_empty() {
        return;
    }
    page.ruled_heading("Not checked");
    for UncheckedFact { checks, message, remedy } in unchecked {
        page.line(2, StyledText::of(format!("not checked: {message}")).faint(format!(" ({})", checks.join(", "))));
        page.line(4, StyledText::default().faint("remedy: ").then(remedy));
    }
}

fn checks(page: &mut TextPage, checks: &[CheckOutcome]) {
    page.ruled_heading("Checks");
    let row = |outcome: &CheckOutcome| {
        let CheckOutcome { name, asks, errors, warnings, unchecked } = outcome;
        let mut parts = Vec::new();
        if *errors > 0 {
            parts.push(counted(*errors, "error", "errors"));
        }
        if *warnings > 0 {
            parts.push(counted(*warnings, "warning", "warnings"));
        }
        if *unchecked > 0 {
            parts.push(format!("{unchecked} not checked"));
        }
        let tone = if *errors > 0 {
            Tone::Bad
        } else if parts.is_empty() {
            Tone::Good
        } else {
            Tone::Warning
        };
        let came_to = if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") };
        vec![((*name).to_owned(), Tone::Strong), (came_to, tone), ((*asks).to_owned(), Tone::Plain)]
    };
    page.table(&["check", "came to", "asks"], checks.iter().map(row).collect(), &[0, 1]);
}

fn declared(page: &mut TextPage, declared: &[DeclaredRight]) {
    if declared.is_empty() {
        return;
    }
    page.ruled_heading("Rights as they are meant to be");
    for DeclaredRight { code, subject, by } in declared {
        page.item("·", &format!("{subject}: {}, by {by}", code.as_str()), Tone::Plain);
    }
}
