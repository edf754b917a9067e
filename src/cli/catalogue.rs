//! `rempart catalogue`: what is to be done about what is recorded of providers.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, Subcommand};

use super::{
    FOUND, failure,
    input::{self, InputOptions},
    lint::{LintFormat, summary},
};
use crate::{
    api::validate::ResourceKind,
    diagnostic::source::SourceMap,
    gather::{LocatedInventory, OwnSpec},
    lint,
};
use rempart_core::{instant::Timestamp, text::counted};

/// Says what is to be done about what is recorded of providers
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  rempart catalogue check catalogue/\n  rempart catalogue check --cluster")]
pub(super) struct CatalogueCommand {
    #[command(subcommand)]
    command: CatalogueChoice,
}

#[derive(Debug, Subcommand)]
enum CatalogueChoice {
    Check(CatalogueCheckCommand),
}

/// Says which facts of providers were last checked more than a year ago or on no day that is written, and which
/// qualifications have ended or end within 90 days with nothing to follow them
///
/// The day is what a provider's `checked` says, or of one of its qualifications. Nothing is asked of any provider:
/// somebody has to compare each fact with its source.
///
/// Exit code: 0 when nothing is to be done, 1 when something is, 2 when it could not be judged.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart catalogue check catalogue/\n  rempart catalogue check --cluster\n  rempart catalogue check catalogue/ --at 2027-01-01 -o json"
)]
pub(super) struct CatalogueCheckCommand {
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

impl CatalogueCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            CatalogueChoice::Check(check) => check.execute(),
        }
    }
}

impl CatalogueCheckCommand {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { files, reading, at, output } = self;
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let snapshot = reading.own_snapshot(&named, &mut sources)?;
        let located = reading.read_inventory(&named, snapshot.as_ref(), &sources)?;
        reading.check_errors(&located, &sources)?;
        let (providers, qualifications) = extent(&located);
        if providers == 0 {
            bail!("nothing was checked: there is no CloudProvider among what was read");
        }
        let at = input::at(at);
        let found = lint::catalogue(&located, at);
        let extent = format!(
            "{}, {} on {}: {}",
            counted(providers, "provider", "providers"),
            counted(qualifications, "qualification", "qualifications"),
            at.day(),
            summary(&found)
        );
        output.tell(&found, &extent, &sources, reading.color)?;
        Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

/// How many providers there are, and qualifications of their offers.
fn extent(located: &LocatedInventory<'_>) -> (usize, usize) {
    let own = located.own.iter().filter(|((kind, _), _)| *kind == ResourceKind::CloudProvider);
    let offers = own.clone().filter_map(|(_, own)| match &own.spec {
        OwnSpec::Provider(spec) => Some(&spec.offers),
        _ => None,
    });
    let qualifications = offers.flatten().map(|offer| offer.qualifications.len()).sum();
    (own.count(), qualifications)
}
