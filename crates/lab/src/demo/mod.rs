//! The demo: Rempart's main job on a real control plane, shown to a person who watches.
//!
//! It takes [`DemoOptions`], prints what it reads from the cluster, and fails with a sentence when something is not as
//! it should be. It holds no answers: what it prints was read, and what it claims it has checked. It waits for
//! conditions and never for time to pass, and shows what is true on the day on which it runs.

mod actors;
mod certificate_expiry;
mod matrix;
mod migration;
mod placements;
mod propagation;
mod provider_loss;
mod refusals;
mod setup;
mod snapshot;
mod supervisor;

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use self::snapshot::ClusterSnapshot;
use super::{
    ControlPlane, Program, ProgressDisplay, eventually,
    terminal::{TerminalOutput, TextStyle, counted},
};

/// The root of the repository, whose manifests the demo applies.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Timeout until an API server that was killed answers again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Options of the demo.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoOptions {
    /// Leave the cluster running at the end, until somebody ends it.
    pub keep: bool,
    /// No colour, even on a terminal.
    pub no_colour: bool,
}

/// Runs the demo. Everything that it started ends with it. Calls `told` when all is told and the cluster is only kept.
///
/// # Errors
/// Whatever was not as it should be.
pub async fn run(options: DemoOptions, told: impl FnOnce()) -> Result<()> {
    let began = Instant::now();
    // Commands are shown as one would type them at the root of the repository.
    std::env::set_current_dir(ROOT).context("the sources of the demo are gone")?;
    let terminal = TerminalOutput::new(options.no_colour);
    let progress = ProgressDisplay::detect();
    let (cluster, operator) = setup::boot(progress).await?;
    let story = async {
        tell(terminal, &cluster, progress, began).await?;
        if options.keep {
            told();
            linger(terminal, &cluster).await?;
        }
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = story => outcome,
        error = supervisor::supervise(&cluster, operator) => Err(error),
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

/// Whether the reader of standard output has closed it.
fn pipe_closed(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

async fn tell(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    progress: ProgressDisplay,
    began: Instant,
) -> Result<()> {
    let (actors, seen) = setup::populate(cluster, progress).await?;
    let version = eventually("the API server's version", PATIENCE, async || cluster.admin().apiserver_version().await);
    let version = version.await?.git_version;

    terminal.gap()?;
    terminal.say(&format!(
        "This is a real control plane, Kubernetes {version}, with {} whose kubelets kwok plays. Rempart's operator \
         runs beside it with the token of its ServiceAccount. What follows is read from this cluster.",
        counted(seen.nodes.len(), "node")
    ))?;

    terminal.heading("1  Which pool is cleared for what")?;
    terminal.say(
        "A platform engineer has declared which nodes are which offer of which provider. A security officer has \
         recorded what each offer is worth, and written a policy: levels, each with what it requires beside all that \
         the levels before it require, and a category (+), which asks for something of its own. Rempart judges every \
         pool:",
    )?;
    terminal.gap()?;
    matrix::print_pools(terminal, &seen)?;
    terminal.gap()?;
    matrix::print(terminal, &seen)?;
    matrix::print_next_change(terminal, &seen)?;
    terminal.gap()?;
    terminal.say("Why not, as the status of each PlacementPool says it:")?;
    matrix::print_reasons(terminal, &seen)?;

    print_placements(terminal, &seen)?;

    terminal.heading("3  What is refused, and what its author reads")?;
    let (refused, put_back) = refusals::print(terminal, cluster, &actors).await?;

    terminal.heading("4  A certificate runs out")?;
    let (placed, waiting) = placements::count(&seen);
    let policy = seen.policy_name().to_owned();
    certificate_expiry::print(terminal, cluster, &actors, progress, seen).await?;

    terminal.heading("5  Greener, spread, and a provider that is lost")?;
    provider_loss::print(terminal, cluster, &actors, progress, &policy).await?;

    terminal.heading("Checked")?;
    let waited = match waiting {
        0 => "none had to wait".to_owned(),
        _ => format!("{} waited, because no node had them", counted(waiting, "pod")),
    };
    terminal.item(
        "✔",
        &format!(
            "{} ran on nodes with every stamp that they need, worked out from what people wrote and not from what \
             admission made of it; {waited}.",
            counted(placed, "pod"),
        ),
    )?;
    terminal.item("✔", "Every node carried the stamps that the verdicts on its pool grant, and no other.")?;
    terminal.item(
        "✔",
        &format!(
            "{} were refused by the rule that was meant, {} put back, and none changed anything.",
            counted(refused, "attempt"),
            if put_back == 1 { "1 was".to_owned() } else { format!("{put_back} were") }
        ),
    )?;
    terminal
        .item("✔", "When a certificate ran out, what stood on it moved, replacement first, to where it may run.")?;
    terminal.item(
        "✔",
        "What a level wishes was followed among the cleared pools alone: spread over providers, and back at the others when \
         one was lost.",
    )?;
    terminal.gap()?;
    terminal.say_as(&format!("The demo took {:.0} s.", began.elapsed().as_secs_f64()), TextStyle::Faint)?;
    Ok(())
}

fn print_placements(terminal: TerminalOutput, seen: &ClusterSnapshot) -> Result<()> {
    terminal.heading("2  Where workloads run")?;
    terminal.say(
        "Developers have annotated workloads, templates or pods with a level, or their namespace is labelled with \
         one. The most sensitive of what is said counts; where nobody says anything, the policy's default. \
         kube-scheduler has placed the pods:",
    )?;
    terminal.gap()?;
    placements::print(terminal, seen)?;
    let (placed, waiting) = placements::count(seen);
    terminal.gap()?;
    terminal.say(&format!("{} run or have run on nodes that carry every stamp they need.", counted(placed, "pod")))?;
    if waiting > 0 {
        let do_not = if waiting == 1 { "does not run" } else { "do not run" };
        terminal.say(&format!("{} {do_not}, because no node carries all that they need:", counted(waiting, "pod")))?;
        placements::print_waiting(terminal, seen, placements::waiting(seen))?;
    }
    Ok(())
}

/// Keeps the cluster for the person who watches.
async fn linger(terminal: TerminalOutput, cluster: &ControlPlane) -> Result<()> {
    terminal.heading("The cluster is yours")?;
    let kubectl = cluster.layout.binaries.path(Program::Kubectl);
    terminal.verbatim(&format!("export KUBECONFIG={}", cluster.admin_kubeconfig().display()))?;
    terminal.verbatim(&format!("export PATH={}:$PATH", kubectl.parent().unwrap_or(&kubectl).display()))?;
    terminal.verbatim("kubectl get rempart                     # pools, policies and providers")?;
    terminal.verbatim("kubectl describe placementpool ovh-snc  # every verdict with its reasons")?;
    terminal.verbatim("kubectl explain placementpolicy.spec    # every field with an example")?;
    terminal.gap()?;
    terminal.say(&format!("Logs are in {}/logs. Ctrl-C ends everything and removes it.", cluster.dir().display()))?;
    std::future::pending().await
}
