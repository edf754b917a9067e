//! Benchmarks: the cost of Rempart, measured beside the same operation without Rempart.
//!
//! It takes [`BenchArguments`] and prints a [`BenchReport`]. What concerns a cluster runs on one control plane that is
//! made for it, in one run, in turns; what does not is measured before there is one. Figures never fail the run,
//! whatever they are; a wrong outcome does: a pod that is refused or lacks its selector, a node that lacks its stamp, a
//! plan that finds nothing.

mod admission;
mod figures;
mod fixture;
mod fleet;
mod load;
mod machine;
mod offline;
mod preference;
mod report;
mod restamp;

use std::{fs::File, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use kube::Client;

use self::{
    admission::AdmissionFigures, fleet::FleetFigures, machine::MachineInfo, offline::OfflineFigures,
    report::BenchReport, restamp::RestampFigures,
};
use super::{ControlPlane, ProgressDisplay, terminal::print_result};

/// Arguments of `rempart-lab bench`.
#[derive(Debug, clap::Args)]
pub(super) struct BenchArguments {
    /// Measures for about a minute, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Measures this alone.
    #[arg(long, value_enum)]
    only: Option<BenchPart>,
    /// How many nodes there are; 5000 unless it is a quick run.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    nodes: Option<u32>,
    /// How many pods the operator follows; 50000 unless it is a quick run.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=500_000))]
    pods: Option<u32>,
    /// Also writes every figure there, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BenchPart {
    /// Creating pods.
    Pods,
    /// Stamping nodes, and what the operator needs.
    Nodes,
    /// Following pods that run, and recording what became of their workloads.
    Fleet,
    /// Plans from files, without a cluster.
    Offline,
    /// Which pools the scheduler chooses.
    Preference,
}

impl BenchPart {
    /// Whether this is measured where `only` is asked for.
    fn asked(self, only: Option<Self>) -> bool {
        only.is_none_or(|only| only == self)
    }
}

/// Measures and prints.
pub(super) async fn run(arguments: BenchArguments) -> Result<()> {
    let BenchArguments { quick, only, nodes, pods, json } = arguments;
    // What cannot be written must show now and not when all is done.
    let create = |path: &PathBuf| File::create(path).with_context(|| format!("cannot write {}", path.display()));
    let json = json.as_ref().map(create).transpose()?;
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. Use `make bench`.");
    }
    let progress = ProgressDisplay::detect();
    let mut sizes = if quick { quick_sizes() } else { full_sizes() };
    if let Some(nodes) = nodes {
        (sizes.1.nodes, sizes.2.nodes) = (usize::try_from(nodes)?, usize::try_from(nodes)?);
    }
    if let Some(pods) = pods {
        sizes.2.pods = usize::try_from(pods)?;
    }
    let machine = MachineInfo::describe()?;
    let offline = if BenchPart::Offline.asked(only) {
        let rounds = if quick { 2 } else { 7 };
        // On a thread of its own, which it pins to a processor.
        let thread = std::thread::Builder::new().name("offline".to_owned());
        let thread = thread.spawn(move || offline::measure(rounds, progress))?;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        Some(joined.map_err(|_| anyhow::anyhow!("measuring plans panicked"))??)
    } else {
        None
    };
    let (admission, restamp) = if BenchPart::Pods.asked(only) || BenchPart::Nodes.asked(only) {
        let cluster = fixture::build(progress).await?;
        on_cluster(cluster, async |cluster| measure(cluster, (sizes.0, sizes.1), only, progress).await).await?
    } else {
        (None, None)
    };
    let fleet = if BenchPart::Fleet.asked(only) {
        let cluster = fixture::build_whole(progress).await?;
        let measure = async |cluster: &ControlPlane| fleet::measure(cluster, &cluster.admin(), sizes.2, progress).await;
        Some(on_cluster(cluster, measure).await?)
    } else {
        None
    };
    let preference = if BenchPart::Preference.asked(only) {
        let cluster = fixture::build_whole(progress).await?;
        let rounds = if quick { 1 } else { 3 };
        let measure =
            async |cluster: &ControlPlane| preference::measure(cluster, &cluster.admin(), rounds, progress).await;
        Some(on_cluster(cluster, measure).await?)
    } else {
        None
    };
    let mut aims = offline.as_ref().map(OfflineFigures::aims).unwrap_or_default();
    aims.extend(admission.iter().flat_map(AdmissionFigures::aims));
    aims.extend(restamp.iter().flat_map(RestampFigures::aims));
    aims.extend(fleet.iter().flat_map(FleetFigures::aims));
    let report = BenchReport {
        machine,
        load_after: machine::load()?,
        quick,
        offline,
        admission,
        restamp,
        fleet,
        preference,
        aims,
    };
    print_result(&report.text())?;
    if let Some(file) = json {
        serde_json::to_writer_pretty(file, &report).context("cannot write the figures as JSON")?;
    }
    Ok(())
}

/// Measures on a control plane, which is kept when that fails.
async fn on_cluster<T>(cluster: ControlPlane, measure: impl AsyncFnOnce(&ControlPlane) -> Result<T>) -> Result<T> {
    let measured = tokio::select! {
        measured = measure(&cluster) => measured,
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
    (pods, nodes): (admission::AdmissionSize, restamp::RestampSize),
    only: Option<BenchPart>,
    progress: ProgressDisplay,
) -> Result<(Option<AdmissionFigures>, Option<RestampFigures>)> {
    let mut config = cluster.admin_config();
    // A retry would hide a refusal, and count as one long request.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let admission = if BenchPart::Pods.asked(only) {
        Some(admission::measure(cluster, &client, pods, progress).await?)
    } else {
        None
    };
    let restamp = if BenchPart::Nodes.asked(only) {
        Some(restamp::measure(cluster, &client, nodes, progress).await?)
    } else {
        None
    };
    Ok((admission, restamp))
}

type BenchSizes = (admission::AdmissionSize, restamp::RestampSize, fleet::FleetSize);

fn quick_sizes() -> BenchSizes {
    let second = Duration::from_secs(1);
    let pods = admission::AdmissionSize {
        rounds: 2,
        paced_turns: 1,
        paced_turn: second,
        saturated_turns: 1,
        saturated_turn: second,
    };
    let rest = Duration::from_secs(5);
    (pods, restamp::RestampSize { nodes: 500, rounds: 1, rest }, fleet::FleetSize { nodes: 100, pods: 1000, rest })
}

/// Three quarters of an hour on two cores, most of it until 50,000 pods run.
fn full_sizes() -> BenchSizes {
    let pods = admission::AdmissionSize {
        rounds: 5,
        paced_turns: 4,
        paced_turn: Duration::from_secs(2),
        saturated_turns: 3,
        saturated_turn: Duration::from_millis(1500),
    };
    let rest = Duration::from_mins(1);
    (pods, restamp::RestampSize { nodes: 5000, rounds: 3, rest }, fleet::FleetSize { nodes: 5000, pods: 50_000, rest })
}
