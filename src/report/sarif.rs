//! SARIF 2.1.0 report: findings, which code hosts show beside the lines of a change.
//!
//! The few objects of the standard that are needed, written out: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>.

use std::{cell::RefCell, fmt::Write as _, io};

use serde::{Serialize, Serializer};

use crate::diagnostic::Severity;

use super::{
    data,
    finding::{FindingRule, ReportFinding},
    location::FileLocation,
};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes `findings`, whose codes are those of `rules`, one result after the other.
///
/// # Errors
/// Those of `out`.
pub fn sarif(
    rules: &[FindingRule],
    findings: impl Iterator<Item = ReportFinding>,
    out: impl io::Write,
) -> io::Result<()> {
    write(rules, findings, None, out)
}

/// Writes that nothing was judged, since `message`, with the `findings` that kept it from that.
///
/// # Errors
/// Those of `out`.
pub fn sarif_failure(
    message: &str,
    findings: impl Iterator<Item = ReportFinding>,
    out: impl io::Write,
) -> io::Result<()> {
    let text = message.to_owned();
    let notification = SarifNotification { level: Severity::Error, message: OwnText { text } };
    let invocation = SarifInvocation { execution_successful: false, tool_execution_notifications: [notification] };
    write(&[], findings, Some([invocation]), out)
}

fn write(
    rules: &[FindingRule],
    findings: impl Iterator<Item = ReportFinding>,
    invocations: Option<[SarifInvocation; 1]>,
    out: impl io::Write,
) -> io::Result<()> {
    let rules_of_tool = rules.iter().map(RuleOfTool::from).collect();
    let driver = SarifDriver { name: "rempart", version: env!("CARGO_PKG_VERSION"), rules: rules_of_tool };
    let results = SarifResults { rules, findings: RefCell::new(findings) };
    let run = SarifRun { tool: SarifTool { driver }, invocations, column_kind: "unicodeCodePoints", results };
    data::json(&SarifLog { schema: SCHEMA, version: "2.1.0", runs: [run] }, out)
}

#[derive(Serialize)]
#[serde(bound = "")]
struct SarifLog<'r, I: Iterator<Item = ReportFinding>> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [SarifRun<'r, I>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", bound = "")]
struct SarifRun<'r, I: Iterator<Item = ReportFinding>> {
    tool: SarifTool<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocations: Option<[SarifInvocation; 1]>,
    column_kind: &'static str,
    results: SarifResults<'r, I>,
}

/// How the run ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifInvocation {
    execution_successful: bool,
    tool_execution_notifications: [SarifNotification; 1],
}

#[derive(Serialize)]
struct SarifNotification {
    level: Severity,
    message: OwnText,
}

#[derive(Serialize)]
struct SarifTool<'r> {
    driver: SarifDriver<'r>,
}

#[derive(Serialize)]
struct SarifDriver<'r> {
    name: &'static str,
    version: &'static str,
    rules: Vec<RuleOfTool<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleOfTool<'r> {
    id: &'r str,
    short_description: SarifText<'r>,
    help: SarifText<'r>,
}

#[derive(Serialize)]
struct SarifText<'r> {
    text: &'r str,
}

impl From<&FindingRule> for RuleOfTool<'_> {
    fn from(rule: &FindingRule) -> Self {
        Self { id: rule.code, short_description: SarifText { text: rule.short }, help: SarifText { text: rule.help } }
    }
}

/// The findings, made into results while they are written. Written once.
struct SarifResults<'r, I> {
    rules: &'r [FindingRule],
    findings: RefCell<I>,
}

impl<I: Iterator<Item = ReportFinding>> Serialize for SarifResults<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut findings = self.findings.borrow_mut();
        serializer.collect_seq(findings.by_ref().map(|finding| ResultOfRun::new(self.rules, finding)))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOfRun {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: Severity,
    message: OwnText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<SarifLocation>,
}

#[derive(Serialize)]
struct OwnText {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: SarifRegion,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRegion {
    start_line: u32,
    start_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
}

impl ResultOfRun {
    fn new(rules: &[FindingRule], finding: ReportFinding) -> Self {
        let ReportFinding { severity, code, place, object, message, hint } = finding;
        // A host shows the message away from the line: it must name the object.
        let mut text = match &object {
            Some(object) => format!("{object}: {message}"),
            None => message,
        };
        if let Some(hint) = hint {
            text.push_str("; ");
            text.push_str(&hint);
        }
        let physical_location = place.map(|FileLocation { file, line, column }| PhysicalLocation {
            artifact_location: ArtifactLocation { uri: uri(&file) },
            region: SarifRegion { start_line: line.max(1), start_column: column.max(1) },
        });
        let logical_locations: Vec<_> = object.into_iter().map(LogicalLocation::from).collect();
        let known = physical_location.is_some() || !logical_locations.is_empty();
        Self {
            rule_id: code,
            rule_index: rules.iter().position(|rule| rule.code == code),
            level: severity,
            message: OwnText { text },
            locations: known.then_some(SarifLocation { physical_location, logical_locations }).into_iter().collect(),
        }
    }
}

impl From<String> for LogicalLocation {
    fn from(fully_qualified_name: String) -> Self {
        Self { fully_qualified_name }
    }
}

/// The path of a file as a URI reference: relative where the path is, and percent-encoded (RFC 3986).
fn uri(path: &str) -> String {
    let path = path.trim_start_matches("./");
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            // No colon: before the first slash it would end a scheme.
            b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';'
            | b'=' | b'@' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            // Writing to a text does not fail.
            _ => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        for (path, expected) in [
            ("deploy/claims.yaml", "deploy/claims.yaml"),
            ("./a b/%41.yaml", "a%20b/%2541.yaml"),
            ("c:d.yaml", "c%3Ad.yaml"),
            ("été?#.yaml", "%C3%A9t%C3%A9%3F%23.yaml"),
            ("/tmp/x.yaml", "file:///tmp/x.yaml"),
            ("../x.yaml", "../x.yaml"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
