//! `rempart lint`: what is wrong, or worth a second look, in manifests.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};

use super::{
    FOUND,
    failure::{self, FailureFormat},
    input::{self, InputOptions},
    output,
};
use crate::{
    diagnostic::{Diagnostic, Severity, source::SourceMap},
    lint::lint,
    report,
    terminal::{ColourChoice, layout_of_output},
};
use rempart_core::{instant::Timestamp, text::counted};

/// Finds what the API server would refuse, and what it cannot see: names of nothing, certificates about to end, levels
/// that nothing serves
///
/// Exit code: 0 without an error (warnings there may be), 1 with one.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart lint policies/ catalogue/\n  rempart lint . --at 2027-01-01\n  git diff --name-only main -- '*.yaml' | xargs rempart lint -o sarif > rempart.sarif"
)]
pub(super) struct LintCommand {
    /// Files and directories; - for standard input
    #[arg(value_name = "FILE|DIR", required_unless_present = "cluster")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reading: InputOptions,

    /// The instant to judge at, as 2026-11-30 or 2026-11-30T12:00:00Z; now when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    at: Option<Timestamp>,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: LintFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LintFormat {
    /// For people, with the lines that are meant
    #[default]
    Text,
    /// For editors: one line each, with file, line and column first
    Line,
    /// rempart.dev/lint/v1, documented in docs/schemas/lint-v1.json
    Json,
    /// The same as YAML
    Yaml,
    /// For code review
    Sarif,
}

impl LintFormat {
    /// How a failure is said as well.
    pub(super) fn of_failure(self) -> Option<FailureFormat> {
        match self {
            Self::Text | Self::Line => None,
            Self::Json => Some(FailureFormat::Json),
            Self::Yaml => Some(FailureFormat::Yaml),
            Self::Sarif => Some(FailureFormat::Sarif),
        }
    }
}

impl LintFormat {
    /// Writes `found` to standard output, and for people `summary` below it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn tell(
        self,
        found: &[Diagnostic],
        summary: &str,
        sources: &SourceMap,
        color: ColourChoice,
    ) -> anyhow::Result<()> {
        let findings = || -> Vec<_> { found.iter().map(|found| input::finding(found, sources)).collect() };
        match self {
            Self::Text => {
                let layout = layout_of_output(color);
                output::stream(|out| {
                    for diagnostic in found {
                        writeln!(out, "{}", diagnostic.render(sources, layout))?;
                    }
                    writeln!(out, "{summary}")
                })
            }
            Self::Line => output::stream(|out| {
                found.iter().try_for_each(|diagnostic| writeln!(out, "{}", diagnostic.one_line(sources)))
            }),
            Self::Json => output::stream(|out| report::json(&report::LintReport::new(&findings()), out)),
            Self::Yaml => output::stream(|out| report::yaml(&report::LintReport::new(&findings()), out)),
            Self::Sarif => output::stream(|out| report::sarif(&[], findings().into_iter(), out)),
        }
    }
}

impl LintCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { files, reading, at, output } = self;
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let snapshot = reading.snapshot(&[&named], false, &mut sources)?;
        let located = reading.read_inventory(&named, snapshot.as_ref(), &sources)?;
        let found = lint(&located, input::at(at));
        output.tell(&found, &summary(&found), &sources, reading.color)?;
        let error = found.iter().any(|found| found.severity == Severity::Error);
        Ok(if error { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }
}

pub(super) fn summary(found: &[Diagnostic]) -> String {
    let count = |severity| found.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors == 0 && warnings == 0 {
        return "nothing found".to_owned();
    }
    format!("{}, {}", counted(errors, "error", "errors"), counted(warnings, "warning", "warnings"))
}
