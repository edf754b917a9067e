//! Doctor document: `rempart.dev/doctor/v1`.
//!
//! Takes an examination, and borrows it until it is written.

use schemars::JsonSchema;
use serde::Serialize;

use crate::doctor::{CheckOutcome, DeclaredRight, DoctorFinding, Examination, FindingCode, Severity, UncheckedFact};

/// What in a cluster would weaken the rule.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "rempart doctor")]
pub struct DoctorReport<'e> {
    /// What this document is, with its version.
    #[schemars(extend("const" = "rempart.dev/doctor/v1"))]
    api_version: &'static str,
    /// What it comes to, for people. Its words may change.
    verdict: String,
    /// Whether all was looked at, and nothing was found.
    clean: bool,
    /// What was found: errors first.
    found: Vec<DoctorFindingRow<'e>>,
    /// What could not be looked at.
    not_checked: Vec<UncheckedRow<'e>>,
    /// Each check, with what it came to.
    checks: Vec<CheckRow>,
    /// Rights as they are meant to be.
    declared: Vec<DeclaredRow<'e>>,
}

/// Something that weakens the rule, or by which somebody could weaken it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DoctorFinding")]
struct DoctorFindingRow<'e> {
    /// How bad it is: an error lets the rule be evaded as things stand, a warning is what somebody could evade it by.
    severity: Severity,
    /// A stable word for what it is. Further words may come.
    #[schemars(with = "String")]
    code: FindingCode,
    /// The object, as `ClusterRoleBinding ci-runner`.
    object: &'e str,
    /// The field or the value that matters; empty where that is the object itself.
    field: &'e str,
    /// What is so, for people. Its words may change.
    message: &'e str,
    /// What it would allow, for people. Its words may change.
    allows: &'e str,
    /// What to do about it: a command, or a field and its value. Its words may change.
    remedy: &'e str,
}

/// Something that could not be looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NotChecked")]
struct UncheckedRow<'e> {
    /// The checks that would have looked.
    checks: &'e [&'static str],
    /// What is not known, and why, for people. Its words may change.
    message: &'e str,
    /// How it can be checked. Its words may change.
    remedy: &'e str,
}

/// What one check came to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CheckOutcome")]
struct CheckRow {
    /// Its name, a stable word.
    name: &'static str,
    /// What it asks, for people. Its words may change.
    asks: &'static str,
    /// How many errors it found.
    errors: usize,
    /// How many warnings it found.
    warnings: usize,
    /// How much of it could not be looked at.
    not_checked: usize,
}

/// A right that somebody is meant to have.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeclaredRight")]
struct DeclaredRow<'e> {
    /// What it would be a finding of otherwise.
    #[schemars(with = "String")]
    code: FindingCode,
    /// Who has it.
    subject: &'e str,
    /// By which binding, and why it is no finding, for people. Its words may change.
    by: &'e str,
}

impl<'e> DoctorReport<'e> {
    /// Of `examination`.
    #[must_use]
    pub fn new(examination: &'e Examination) -> Self {
        let Examination { checks, found, unchecked, declared } = examination;
        let finding = |finding: &'e DoctorFinding| {
            let DoctorFinding { code, object, field, message, allows, remedy } = finding;
            DoctorFindingRow { severity: finding.severity(), code: *code, object, field, message, allows, remedy }
        };
        let left =
            |UncheckedFact { checks, message, remedy }: &'e UncheckedFact| UncheckedRow { checks, message, remedy };
        let check = |CheckOutcome { name, asks, errors, warnings, unchecked }: &CheckOutcome| CheckRow {
            name,
            asks,
            errors: *errors,
            warnings: *warnings,
            not_checked: *unchecked,
        };
        let right = |DeclaredRight { code, subject, by }: &'e DeclaredRight| DeclaredRow { code: *code, subject, by };
        Self {
            api_version: "rempart.dev/doctor/v1",
            verdict: crate::report::text::doctor_verdict(examination),
            clean: examination.is_clean(),
            found: found.iter().map(finding).collect(),
            not_checked: unchecked.iter().map(left).collect(),
            checks: checks.iter().map(check).collect(),
            declared: declared.iter().map(right).collect(),
        }
    }
}
