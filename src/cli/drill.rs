//! `rempart drill`: would everything still fit if a place went away?

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, ValueEnum};

use super::{
    FOUND,
    failure::{self, FailureFormat},
    input::{self, InputOptions},
    output, passed_over,
};
use crate::{
    diagnostic::{source::SourceMap, suggest},
    report::{self, text},
    terminal::layout_of_output,
};
use rempart_core::{
    drill::{DrillInput, RemovedPlace, UnknownPlace, drill},
    instant::Timestamp,
    plan::PlanAssumptions,
};

/// Says whether everything would still fit, by level, if a provider, region, zone or pool went away
///
/// Counts what the pods that run there request of processors, memory, devices and pod slots against what the remaining nodes
/// have free that are cleared for them. Honours their own selectors, tolerations, volumes and topology spread. Names the
/// workloads that would be stranded, the first resource to run out, and how many nodes of which pool would cure it. It is an
/// estimate: kube-scheduler has the last word.
///
/// Reads what plan reads. Nodes must say what they have (status.allocatable). A workload of which pods are read is counted
/// by them, another by its replicas and the requests of its template.
///
/// Exit code: 0 when every pod has a node, 1 when one has none or the whole control plane goes, 2 when it could not be judged.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  rempart drill --without provider=outscale --cluster\n  rempart drill nodes.yaml deploy/ --without region=eu-west-2 --without pool=edge\n  kubectl get nodes,ns,deploy,sts,ds,pods,pv,pvc -A -o yaml | rempart drill - policies/ --without zone=par1\n  rempart drill --without provider=outscale --cluster -o json | jq '.stranded[] | .name'"
)]
pub(super) struct DrillCommand {
    /// Files and directories; - for standard input
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,

    /// What goes away; given several times, all of it at once
    #[arg(long, required = true, value_name = "provider|region|zone|pool=NAME")]
    without: Vec<RemovedPlace>,

    #[command(flatten)]
    reading: InputOptions,

    /// The instant to judge at, as 2026-11-30 or 2026-11-30T12:00:00Z; now when absent
    #[arg(long, value_name = "INSTANT", value_parser = input::instant)]
    at: Option<Timestamp>,

    /// Judges as if every policy were in Enforce
    #[arg(long)]
    enforced: bool,

    /// How to say it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: DrillFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DrillFormat {
    /// For people
    #[default]
    Text,
    /// rempart.dev/drill/v1, documented in docs/schemas/drill-v1.json
    Json,
    /// The same as YAML
    Yaml,
}

impl DrillFormat {
    /// How a failure is said as well.
    fn of_failure(self) -> Option<FailureFormat> {
        match self {
            Self::Text => None,
            Self::Json => Some(FailureFormat::Json),
            Self::Yaml => Some(FailureFormat::Yaml),
        }
    }
}

impl DrillCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let format = self.output.of_failure();
        failure::tell(format, self.judge())
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        let Self { files, without, reading, at, enforced, output } = self;
        if files.is_empty() && !reading.cluster {
            bail!("nothing to read: name files or directories, - for standard input, or --cluster");
        }
        let reading = InputOptions { with_pods: true, ..reading };
        let mut sources = SourceMap::default();
        let named = reading.read_texts(&files, &mut sources)?;
        let snapshot = reading.snapshot(&[&named], true, &mut sources)?;
        let located = reading.read_inventory(&named, snapshot.as_ref(), &sources)?;
        reading.check(&located, &sources)?;
        let Some(running) = located.running.as_ref().filter(|running| !running.nodes.is_empty()) else {
            bail!(
                "nothing was judged: no node is among what was read, so that nobody knows what room there is; give the \
                 nodes too, as `kubectl get nodes -o yaml` writes them, or --cluster"
            );
        };
        let ignored = passed_over::ignored(&[&named], &[&located], &sources);
        let assume = PlanAssumptions { enforced };
        let asked = DrillInput { inventory: &located.inventory, running, at: input::at(at), assume, without: &without };
        let found = drill(&asked).map_err(|unknown| anyhow::anyhow!(suggested(&unknown)))?;
        match output {
            DrillFormat::Text => output::print(&text::drill(&found, &ignored, layout_of_output(reading.color))),
            DrillFormat::Json => output::stream(|out| report::json(&report::DrillReport::new(&found, &ignored), out)),
            DrillFormat::Yaml => output::stream(|out| report::yaml(&report::DrillReport::new(&found, &ignored), out)),
        }?;
        let is_survived = found.everything_fits() && !found.control_plane_goes();
        Ok(if is_survived { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }
}

/// That a place is not recorded, with which one may be meant.
fn suggested(unknown: &UnknownPlace) -> String {
    let known = unknown.known.iter().map(String::as_str);
    let meant = suggest::nearest(&unknown.place.name, known).map(suggest::meant);
    let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
    format!("nothing was judged: {unknown}{meant}")
}
