//! The demo: Rempart's main job, on a real control plane, told to a person who watches.
//!
//! It holds no answers. What it prints is read from the cluster, word for word where somebody said it; what it claims it
//! has checked, and when something is not as it should be it says so in a sentence and fails. It never waits for time
//! to pass, only for conditions to hold. Whatever day it is, it shows what is true on that day.

mod change;
mod matrix;
mod moves;
mod paper;
mod people;
mod places;
mod refusals;
mod settle;
mod snapshot;
mod stage;
mod supervise;

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use self::{
    paper::{Look, Paper, counted},
    snapshot::Snapshot,
};
use super::{ControlPlane, Program, Progress, eventually};

/// The root of the repository, whose manifests the demo applies.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How long an API server that was killed may take to answer again.
const PATIENCE: Duration = Duration::from_mins(1);

/// What may be different about the demo.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave the cluster running at the end, until somebody ends it.
    pub keep: bool,
    /// No colour, even on a terminal.
    pub no_colour: bool,
}

/// Runs the demo. Everything that it started ends with it. Calls `told` when all is told and the cluster is only kept.
///
/// # Errors
/// Whatever was not as it should be.
pub async fn run(options: Options, told: impl FnOnce()) -> Result<()> {
    let began = Instant::now();
    // Commands are shown as one would type them at the root of the repository.
    std::env::set_current_dir(ROOT).context("the sources of the demo are gone")?;
    let paper = Paper::new(options.no_colour);
    let progress = Progress::detect();
    let (cluster, operator) = stage::boot(progress).await?;
    let story = async {
        tell(paper, &cluster, progress, began).await?;
        if options.keep {
            told();
            linger(paper, &cluster).await?;
        }
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = story => outcome,
        error = supervise::supervise(&cluster, operator) => Err(error),
    };
    match outcome {
        Err(error) if pipe_closed(&error) => {}
        Err(error) => {
            // The ends of all logs are for a control plane that does not work; here it mostly does.
            eprintln!("{}", cluster.keep().lines().last().unwrap_or_default());
            return Err(error);
        }
        Ok(()) => {}
    }
    cluster.stop().await;
    Ok(())
}

/// Whoever read the output has had enough.
fn pipe_closed(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

async fn tell(paper: Paper, cluster: &ControlPlane, progress: Progress, began: Instant) -> Result<()> {
    let (people, seen) = stage::set(cluster, progress).await?;
    let version = eventually("the API server's version", PATIENCE, async || cluster.admin().apiserver_version().await);
    let version = version.await?.git_version;

    paper.gap()?;
    paper.say(&format!(
        "This is a real control plane, Kubernetes {version}, with {} whose kubelets kwok plays. Rempart's operator \
         runs beside it with the token of its ServiceAccount. What follows is read from this cluster.",
        counted(seen.nodes.len(), "node")
    ))?;

    paper.heading("1  Which pool is cleared for what")?;
    paper.say(
        "A platform engineer has declared which nodes are which offer of which provider. A security officer has \
         recorded what each offer is worth, and written a policy: levels, each with what it requires beside all that \
         the levels before it require, and a category (+), which asks for something of its own. Rempart judges every \
         pool:",
    )?;
    paper.gap()?;
    matrix::print_pools(paper, &seen)?;
    paper.gap()?;
    matrix::print(paper, &seen)?;
    matrix::print_next_change(paper, &seen)?;
    paper.gap()?;
    paper.say("Why not, as the status of each PlacementPool says it:")?;
    matrix::print_reasons(paper, &seen)?;

    print_places(paper, &seen)?;

    paper.heading("3  What is refused, and what its author reads")?;
    let refused = refusals::print(paper, cluster, &people).await?;

    paper.heading("4  A certificate runs out")?;
    let (placed, waiting) = places::count(&seen);
    change::print(paper, cluster, &people, progress, seen).await?;

    paper.heading("Checked")?;
    let waited = match waiting {
        0 => "none had to wait".to_owned(),
        _ => format!("{} waited, because no node had them", counted(waiting, "pod")),
    };
    paper.item(
        "✔",
        &format!(
            "{} ran on nodes with every stamp that they need, worked out from what people wrote and not from what \
             admission made of it; {waited}.",
            counted(placed, "pod"),
        ),
    )?;
    paper.item("✔", "Every node carried the stamps that the verdicts on its pool grant, and no other.")?;
    paper
        .item("✔", &format!("All {refused} attempts were refused by the rule that was meant, and changed nothing."))?;
    paper.item("✔", "When a certificate ran out, what stood on it moved, replacement first, to where it may run.")?;
    paper.gap()?;
    paper.say_as(&format!("The demo took {:.0} s.", began.elapsed().as_secs_f64()), Look::Faint)?;
    Ok(())
}

fn print_places(paper: Paper, seen: &Snapshot) -> Result<()> {
    paper.heading("2  Where workloads run")?;
    paper.say(
        "Developers have annotated workloads, templates or pods with a level, or their namespace is labelled with \
         one. The most sensitive of what is said counts; where nobody says anything, the policy's default. \
         kube-scheduler has placed the pods:",
    )?;
    paper.gap()?;
    places::print(paper, seen)?;
    let (placed, waiting) = places::count(seen);
    paper.gap()?;
    paper.say(&format!("{} run or have run on nodes that carry every stamp they need.", counted(placed, "pod")))?;
    if waiting > 0 {
        let do_not = if waiting == 1 { "does not run" } else { "do not run" };
        paper.say(&format!("{} {do_not}, because no node carries all that they need:", counted(waiting, "pod")))?;
        places::print_waiting(paper, seen, places::waiting(seen))?;
    }
    Ok(())
}

/// Leaves the cluster to whoever watches.
async fn linger(paper: Paper, cluster: &ControlPlane) -> Result<()> {
    paper.heading("The cluster is yours")?;
    let kubectl = cluster.layout.binaries.path(Program::Kubectl);
    paper.verbatim(&format!("export KUBECONFIG={}", cluster.admin_kubeconfig().display()))?;
    paper.verbatim(&format!("export PATH={}:$PATH", kubectl.parent().unwrap_or(&kubectl).display()))?;
    paper.verbatim("kubectl get rempart                     # pools, policies and providers")?;
    paper.verbatim("kubectl describe placementpool ovh-snc  # every verdict with its reasons")?;
    paper.verbatim("kubectl explain placementpolicy.spec    # every field with an example")?;
    paper.gap()?;
    paper.say(&format!("Logs are in {}/logs. Ctrl-C ends everything and removes it.", cluster.dir().display()))?;
    std::future::pending().await
}
