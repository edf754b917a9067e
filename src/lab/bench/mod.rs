//! `rempart-lab bench`: what Rempart costs, measured beside the same thing without Rempart.
//!
//! What concerns a cluster runs on one control plane that is made for it, in one run, in turns; what does not is measured
//! before there is one. What is measured never fails the run, whatever the figures; an outcome that is wrong does: a pod
//! that is refused or lacks its selector, a node that lacks its stamp, a plan that finds nothing.

mod admission;
mod figures;
mod load;
mod machine;
mod offline;
mod report;
mod restamp;
mod world;

use std::{fs::File, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use kube::Client;
use serde::Serialize;

use self::{admission::Admission, figures::Aim, machine::Machine, offline::Offline, restamp::Restamp};
use super::{ControlPlane, Progress, cli};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Measures for about a minute, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Measures this alone.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// How many nodes there are; 5000 unless it is a quick run.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    nodes: Option<u32>,
    /// Also writes every figure there, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Creating pods.
    Pods,
    /// Stamping nodes, and what the operator needs.
    Nodes,
    /// Plans from files, without a cluster.
    Offline,
}

impl Part {
    /// Whether this is measured where `only` is asked for.
    fn asked(self, only: Option<Self>) -> bool {
        only.is_none_or(|only| only == self)
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    machine: Machine,
    load_after: String,
    quick: bool,
    offline: Option<Offline>,
    admission: Option<Admission>,
    restamp: Option<Restamp>,
    aims: Vec<Aim>,
}

/// Measures and prints.
pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { quick, only, nodes, json } = arguments;
    // What cannot be written must show now and not when all is done.
    let create = |path: &PathBuf| File::create(path).with_context(|| format!("cannot write {}", path.display()));
    let json = json.as_ref().map(create).transpose()?;
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. Use `make bench`.");
    }
    let progress = Progress::detect();
    let mut sizes = if quick { quick_sizes() } else { full_sizes() };
    if let Some(nodes) = nodes {
        sizes.1.nodes = usize::try_from(nodes)?;
    }
    let machine = Machine::describe()?;
    let offline = if Part::Offline.asked(only) {
        let rounds = if quick { 2 } else { 7 };
        // On a thread of its own, which it pins to a processor.
        let thread = std::thread::Builder::new().name("offline".to_owned());
        let thread = thread.spawn(move || offline::measure(rounds, progress))?;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        Some(joined.map_err(|_| anyhow::anyhow!("measuring plans panicked"))??)
    } else {
        None
    };
    let (admission, restamp) =
        if only == Some(Part::Offline) { (None, None) } else { on_cluster(sizes, only, progress).await? };
    let mut aims = offline.as_ref().map(Offline::aims).unwrap_or_default();
    aims.extend(admission.iter().flat_map(Admission::aims));
    aims.extend(restamp.iter().flat_map(Restamp::aims));
    let report = Report { machine, load_after: machine::load()?, quick, offline, admission, restamp, aims };
    cli::print(&report.text())?;
    if let Some(file) = json {
        serde_json::to_writer_pretty(file, &report).context("cannot write the figures as JSON")?;
    }
    Ok(())
}

/// Measures on a control plane, which is kept when that fails.
async fn on_cluster(
    sizes: (admission::Size, restamp::Size),
    only: Option<Part>,
    progress: Progress,
) -> Result<(Option<Admission>, Option<Restamp>)> {
    let cluster = world::build(progress).await?;
    let measured = tokio::select! {
        measured = measure(&cluster, sizes, only, progress) => measured,
        error = cluster.failure() => Err(error.into()),
    };
    if measured.is_err() {
        eprintln!("{}", cluster.keep());
    } else {
        cluster.stop().await;
    }
    measured
}

async fn measure(
    cluster: &ControlPlane,
    (pods, nodes): (admission::Size, restamp::Size),
    only: Option<Part>,
    progress: Progress,
) -> Result<(Option<Admission>, Option<Restamp>)> {
    let mut config = cluster.admin_config();
    // A retry would hide a refusal, and count as one long request.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let admission =
        if Part::Pods.asked(only) { Some(admission::measure(cluster, &client, pods, progress).await?) } else { None };
    let restamp =
        if Part::Nodes.asked(only) { Some(restamp::measure(cluster, &client, nodes, progress).await?) } else { None };
    Ok((admission, restamp))
}

fn quick_sizes() -> (admission::Size, restamp::Size) {
    let second = Duration::from_secs(1);
    let pods =
        admission::Size { rounds: 2, paced_turns: 1, paced_turn: second, saturated_turns: 1, saturated_turn: second };
    (pods, restamp::Size { nodes: 500, rounds: 1, rest: Duration::from_secs(5) })
}

/// A quarter of an hour on two cores.
fn full_sizes() -> (admission::Size, restamp::Size) {
    let pods = admission::Size {
        rounds: 5,
        paced_turns: 4,
        paced_turn: Duration::from_secs(2),
        saturated_turns: 3,
        saturated_turn: Duration::from_millis(1500),
    };
    (pods, restamp::Size { nodes: 5000, rounds: 3, rest: Duration::from_mins(1) })
}
