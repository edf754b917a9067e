//! `rempart explain`: how an answer comes about.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Parser;

use super::{
    FOUND,
    input::{self, InputOptions},
    output,
};
use crate::{
    diagnostic::source::SourceMap,
    explain::{ExplainQuestion, ExplainTarget, explain},
    terminal::layout_of_output,
};
use rempart_core::instant::Timestamp;

/// Tells how an answer comes about: who said the level, what each line of the policy demands, which fact meets it or does
/// not, and what would have to change
///
/// About a workload, as deployment/api, or about a level or category of the policies, as level/restricted.
///
/// Exit code: 0 when there is somewhere to run, 1 when there is not, 2 when it could not be judged.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart explain deployment/tax-api -n ministry -f deploy/demo\n  rempart explain sts/records -n claims --cluster --pool osc-gouv\n  rempart explain level/restricted -f policies/ catalogue/ --pool osc-gouv\n  rempart explain category/health -f policies/ catalogue/ --at 2027-01-01"
)]
pub(super) struct ExplainCommand {
    /// What to explain: KIND/NAME of a workload, level/NAME or category/NAME
    #[arg(value_name = "KIND/NAME")]
    target: String,

    /// Files and directories to read; - for standard input
    #[arg(short = 'f', long = "files", value_name = "FILE|DIR", num_args = 1..)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reading: InputOptions,

    /// One pool alone, step by step
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,

    /// One policy alone, whether it is in Enforce or not
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// The instant to judge at, as 2026-11-30 or 2026-11-30T12:00:00Z; now when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    at: Option<Timestamp>,
}

impl ExplainCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let Self { target, files, reading, pool, policy, at } = self;
        if files.is_empty() && !reading.cluster {
            bail!("nothing to read: name files or directories with -f, or --cluster");
        }
        let target = ExplainTarget::parse(&target, &reading.namespace, &reading.templates()?)?;
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let snapshot = reading.snapshot(&[&named], false, &mut sources)?;
        let located = reading.read_inventory(&named, snapshot.as_ref(), &sources)?;
        reading.check_errors(&located, &sources)?;
        let question = ExplainQuestion { target, pool: pool.as_deref(), policy: policy.as_deref(), at: input::at(at) };
        let explained = explain(&located, &sources, &question, layout_of_output(reading.color))?;
        output::print(&explained.text)?;
        Ok(if explained.placeable { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}
