//! `rempart plan`: where workloads would run.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, ValueEnum};

use super::{
    FOUND,
    failure::{self, FailureFormat},
    input::{self, InputOptions},
    output, passed_over,
    stats::RunStatistics,
};
use crate::{
    diagnostic::source::SourceMap,
    report::{self, text},
    terminal::layout_of_output,
};
use rempart_core::{
    instant::Timestamp,
    plan::{PlacementOutcome, PlanAssumptions, plan},
};

/// Says where workloads would run, why not elsewhere, and what admission would refuse
///
/// Reads policies, providers, pools, namespaces, nodes and workloads from YAML and JSON: files, directories, streams of
/// documents, Lists, and - for standard input. Other kinds are passed over, and counted.
///
/// Exit code: 0 when all is placeable, 1 when something is refused or cannot be placed, 2 when it could not be judged.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart plan deploy/demo\n  helm template api charts/api | rempart plan - policies/ --namespace claims\n  rempart plan deployment.yaml --cluster\n  rempart plan . --at 2027-01-01 -o json | jq '.workloads[] | select(.outcome != \"Placeable\")'\n  rempart plan . -o sarif > rempart.sarif"
)]
pub(super) struct PlanCommand {
    /// Files and directories; - for standard input
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reading: InputOptions,

    /// The instant to judge at, as 2026-11-30 or 2026-11-30T12:00:00Z; now when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    at: Option<Timestamp>,

    /// Judges as if every policy were in Enforce
    #[arg(long)]
    enforced: bool,

    /// Tells every reason of every pool that is rejected
    #[arg(long)]
    full: bool,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: PlanFormat,

    /// Tells on standard error how many seconds reading, deciding and saying took, and the most memory that was used
    #[arg(long)]
    stats: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PlanFormat {
    /// For people
    #[default]
    Text,
    /// rempart.dev/plan/v1, documented in docs/schemas/plan-v1.json
    Json,
    /// The same as YAML
    Yaml,
    /// For the test reports of continuous integration
    Junit,
    /// For code review: points at the line that says the level
    Sarif,
}

impl PlanFormat {
    /// How a failure is said as well.
    fn of_failure(self) -> Option<FailureFormat> {
        match self {
            Self::Text => None,
            Self::Json => Some(FailureFormat::Json),
            Self::Yaml => Some(FailureFormat::Yaml),
            Self::Junit => Some(FailureFormat::Junit),
            Self::Sarif => Some(FailureFormat::Sarif),
        }
    }
}

impl PlanCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { files, reading, at, enforced, full, output, stats: tells } = self;
        let mut stats = RunStatistics::begin();
        if files.is_empty() && !reading.cluster {
            bail!("nothing to read: name files or directories, - for standard input, or --cluster");
        }
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let snapshot = reading.snapshot(&[&named], false, &mut sources)?;
        let located = reading.read_inventory(&named, snapshot.as_ref(), &sources)?;
        reading.check(&located, &sources)?;
        stats.done("reading");
        let plan = plan(&located.inventory, input::at(at), PlanAssumptions { enforced });
        stats.done("deciding");
        let locations = input::GatheredLocations { located: &located, sources: &sources };
        let ignored = passed_over::ignored(&[&named], &[&located], &sources);
        match output {
            PlanFormat::Text => {
                let detail = if full { text::ReportDetail::Full } else { text::ReportDetail::Brief };
                output::print(&text::plan(&plan, &ignored, layout_of_output(reading.color), detail))
            }
            PlanFormat::Json => output::stream(|out| report::json(&report::PlanReport::new(&plan, &ignored), out)),
            PlanFormat::Yaml => output::stream(|out| report::yaml(&report::PlanReport::new(&plan, &ignored), out)),
            PlanFormat::Junit => output::stream(|out| report::junit(&plan, &ignored, out)),
            PlanFormat::Sarif => {
                let findings = report::of_plan(&plan, &locations).chain(report::of_ignored(&ignored));
                output::stream(|out| report::sarif(&report::PLAN_RULES, findings, out))
            }
        }?;
        stats.done("saying");
        if tells {
            stats.tell();
        }
        let bad = |outcome: &PlacementOutcome| {
            matches!(outcome, PlacementOutcome::Refused | PlacementOutcome::Unplaceable(_))
        };
        let refused = plan.namespaces.iter().any(|namespace| namespace.refusals.iter().any(|refused| refused.in_force));
        let found = refused || plan.workloads.iter().any(|planned| bad(&planned.outcome));
        Ok(if found { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }
}
