//! `rempart impact`: what an edit, or time, would change.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, ValueEnum};

use super::{
    FOUND,
    failure::{self, FailureFormat},
    input::{self, InputOptions, NamedTexts},
    output, passed_over,
};
use crate::{
    diagnostic::source::SourceMap,
    gather::{GatheredObjects, LocatedInventory},
    report::{self, text},
    terminal::layout_of_output,
};
use rempart_core::{
    impact::{PlanImpact as Difference, impact},
    instant::Timestamp,
    plan::{PlanAssumptions, plan},
};

/// Says what edited policies, providers or pools change: pools gained and lost, workloads that would move, workloads that
/// would have nowhere to go
///
/// OLD and NEW are files or directories, each with the whole state of what it holds: of a kind that both hold, an object
/// that is in OLD alone is deleted. A kind that one side does not hold at all is taken from the other.
///
/// With --cluster, both are edits of what runs, and OLD may be left out: it is the cluster then. With --at, NEW may be
/// left out: the same facts are judged now and then. With --enforced, one side alone and no --at, the same facts are judged
/// with the policies in their modes and as if each were in Enforce: what enforcing them would do.
///
/// Exit code: 0, 1 when --fail-on says so, 2 when it could not be judged.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart impact policies/ edited/ --with catalogue/ --with workloads/\n  rempart impact --cluster edited-policy.yaml --fail-on stranded\n  rempart impact deploy/demo --at 2027-01-01\n  rempart impact --cluster --at 2027-03-31 -o json\n  rempart impact --cluster --enforced"
)]
pub(super) struct ImpactCommand {
    /// The state before
    #[arg(value_name = "OLD")]
    old: Option<PathBuf>,

    /// The state after
    #[arg(value_name = "NEW")]
    new: Option<PathBuf>,

    /// What both sides have besides: files and directories, as of workloads, namespaces and nodes
    #[arg(short = 'f', long = "with", value_name = "FILE|DIR")]
    with: Vec<PathBuf>,

    #[command(flatten)]
    reading: InputOptions,

    /// The instant before, as 2026-11-30 or 2026-11-30T12:00:00Z; now when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    from: Option<Timestamp>,

    /// The instant after; the same as before when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    at: Option<Timestamp>,

    /// Judges as if every policy were in Enforce
    #[arg(long)]
    enforced: bool,

    /// Ends with exit code 1 when a workload would have nowhere to go, or would move
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ImpactFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A workload would have nowhere to go
    Stranded,
    /// A workload would move, or have nowhere to go
    Moved,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ImpactFormat {
    /// For people
    #[default]
    Text,
    /// rempart.dev/impact/v1, documented in docs/schemas/impact-v1.json
    Json,
    /// The same as YAML
    Yaml,
}

/// What the two sides are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImpactSides {
    /// OLD and NEW are both named.
    Edit,
    /// One is named, and edits the cluster.
    EditOfCluster,
    /// Both are the same, at two instants.
    Time,
    /// Both are the same, in the modes of the policies and with all of them enforced.
    Enforcement,
}

impl ImpactFormat {
    /// How a failure is said as well.
    fn of_failure(self) -> Option<FailureFormat> {
        match self {
            Self::Text => None,
            Self::Json => Some(FailureFormat::Json),
            Self::Yaml => Some(FailureFormat::Yaml),
        }
    }
}

impl ImpactCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { old, new, with, reading, from, at, enforced, fail_on, output } = self;
        let sides = match (&old, &new, reading.cluster, at) {
            (Some(_), Some(_), _, _) => ImpactSides::Edit,
            (None, None, true, None) | (Some(_), None, false, None) if enforced => ImpactSides::Enforcement,
            (Some(_), None, true, _) => ImpactSides::EditOfCluster,
            (Some(_), None, false, Some(_)) | (None, None, true, Some(_)) => ImpactSides::Time,
            (Some(_), None, false, None) => bail!(
                "nothing to compare with: name the state after the edit too, or an instant (--at), or --cluster to \
                 compare with what runs, or --enforced to see what it would do in Enforce"
            ),
            (None, _, _, _) => {
                bail!(
                    "nothing to compare: name the state before and after, or --cluster and one of --at and --enforced"
                )
            }
        };
        let stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if old.iter().chain(&new).chain(&with).filter(stdin).count() > 1 {
            bail!("standard input (-) can be read once: name files for the other side");
        }
        let mut sources = SourceMap::default();
        let before = reading.read_texts(&Vec::from_iter(old), &mut sources)?;
        let after = reading.read_texts(&Vec::from_iter(new), &mut sources)?;
        let common = reading.read_texts(&with, &mut sources)?;
        let snapshot = reading.snapshot(&[&before, &after, &common], true, &mut sources)?;

        let gather = |named: &NamedTexts| reading.gather(&[named], &sources);
        let (mut old, mut new) = match sides {
            ImpactSides::Edit => (gather(&before)?, gather(&after)?),
            ImpactSides::EditOfCluster => (reading.gather(&[], &sources)?, gather(&before)?),
            ImpactSides::Time | ImpactSides::Enforcement => (gather(&before)?, gather(&before)?),
        };
        if sides == ImpactSides::Edit {
            for note in if reading.cluster { Vec::new() } else { old.lend(&mut new) } {
                output::complain(&format!("note: {note}\n"));
            }
        }
        let edited: [Vec<_>; 2] = [new.own.keys().cloned().collect(), old.own.keys().cloned().collect()];
        for (side, other) in [&mut old, &mut new].into_iter().zip(edited) {
            let mut rest = reading.complete(gather(&common)?, snapshot.as_ref(), &sources);
            // What only the other side names has been deleted, or is to be made, and is not taken from elsewhere.
            if sides == ImpactSides::Edit {
                rest.own.retain(|key, _| !other.contains(key));
            }
            side.complete(rest);
        }
        let (old, new) = (reading.locate(old, snapshot.as_ref()), reading.locate(new, snapshot.as_ref()));
        let named = [&before, &after, &common];
        passed_over::tell_left_out(&named, &new, &sources);
        check(&reading, &old, &new, &sources)?;

        let ignored = passed_over::ignored(&named, &[&old, &new], &sources);
        let from = input::at(from);
        let before_enforced = enforced && sides != ImpactSides::Enforcement;
        let old_plan = plan(&old.inventory, from, PlanAssumptions { enforced: before_enforced });
        let new_plan = plan(&new.inventory, at.unwrap_or(from), PlanAssumptions { enforced });
        let difference = impact(&old_plan, &new_plan);
        let report = || report::ImpactReport::new(&difference, &old_plan, &new_plan, &ignored);
        match output {
            ImpactFormat::Text => output::print(&text::impact(
                &difference,
                &old_plan,
                &new_plan,
                &ignored,
                layout_of_output(reading.color),
            )),
            ImpactFormat::Json => output::stream(|out| report::json(&report(), out)),
            ImpactFormat::Yaml => output::stream(|out| report::yaml(&report(), out)),
        }?;
        Ok(if fails(fail_on, &difference) { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }
}

fn fails(on: Option<FailOn>, difference: &Difference<'_>) -> bool {
    let Difference { stranded, moved, ended, .. } = difference;
    match on {
        None => false,
        Some(FailOn::Stranded) => !stranded.is_empty(),
        Some(FailOn::Moved) => !stranded.is_empty() || !moved.is_empty() || !ended.is_empty(),
    }
}

/// Tells what is wrong on either side; what both share, once.
fn check(
    reading: &InputOptions,
    old: &LocatedInventory<'_>,
    new: &LocatedInventory<'_>,
    sources: &SourceMap,
) -> anyhow::Result<()> {
    let mut all = old.diagnostics.clone();
    // A file that both sides name is read for each.
    let told: BTreeSet<String> = old.diagnostics.iter().map(|found| found.one_line(sources)).collect();
    all.extend(new.diagnostics.iter().filter(|found| !told.contains(&found.one_line(sources))).cloned());
    reading.report(&all, sources)?;
    if old.inventory.world.policies.is_empty() && new.inventory.world.policies.is_empty() {
        bail!("nothing was judged: there is no PlacementPolicy on either side");
    }
    input::warn_of_unknown_namespaces(new);
    Ok(())
}

impl GatheredObjects<'_> {
    /// Gives each side the kinds that it does not hold at all from the other, and says so.
    fn lend(&mut self, other: &mut Self) -> Vec<String> {
        let mut notes = Vec::new();
        for kind in crate::api::validate::ResourceKind::ALL {
            let holds = |side: &Self| side.own.keys().any(|(of, _)| *of == kind);
            let (from, to, lacking, lender): (&Self, &mut Self, _, _) = match (holds(self), holds(other)) {
                (true, false) => (self, other, "NEW", "OLD"),
                (false, true) => (other, self, "OLD", "NEW"),
                _ => continue,
            };
            to.own.extend(
                from.own.iter().filter(|((of, _), _)| *of == kind).map(|(key, own)| (key.clone(), own.clone())),
            );
            notes.push(format!("{lacking} holds no {kind}: those of {lender} are taken for both"));
        }
        let (mine, theirs) = (self.places(), other.places());
        other.complete(mine);
        self.complete(theirs);
        notes
    }
}
