//! Command line of `rempart-lab`: arguments, subcommands and exit codes.
//!
//! It takes what was typed, runs one subcommand, and returns how the process ends. Ctrl-C and SIGTERM end everything
//! that a subcommand has started; results go to standard output and everything else to standard error.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    ControlPlane, ControlPlaneOptions, FakeNode, KubernetesVersion, Program, ProgramPaths, ProgressDisplay, bench,
    chaos, chart, demo, recording, terminal::print_result,
};

/// A real Kubernetes control plane on a bare machine, without containers.
#[derive(Debug, Parser)]
#[command(name = "rempart-lab", version)]
struct LabArguments {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Boots a control plane and keeps it until Ctrl-C.
    Up {
        /// How many nodes it has, named node-1 and so on.
        #[arg(long, default_value_t = 0)]
        nodes: u32,
        /// Also writes the administrator's kubeconfig there.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
    /// Shows Rempart's main job: what pools are cleared for, where workloads run, what is refused, what a change does.
    Demo {
        /// Leaves the cluster running at the end, until Ctrl-C.
        #[arg(long)]
        keep: bool,
        /// Prints no colour, even on a terminal; so does `NO_COLOR` in the environment when it is not empty.
        #[arg(long, env = "NO_COLOR", value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
        no_color: Option<String>,
    },
    /// Measures what Rempart costs, beside a control plane without it.
    Bench(bench::BenchArguments),
    /// Lets everything go wrong for a while, and holds what must hold against what happened.
    Chaos {
        /// Decides what goes wrong; another one each time unless given. It is printed.
        #[arg(long)]
        seed: Option<u64>,
        /// For how long things go wrong.
        #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=240))]
        minutes: u64,
    },
    /// Drives the operator without a cluster from a script, and prints every write that it would make.
    Simulate {
        /// The script: manifests and commands as YAML documents.
        #[arg(value_name = "SCRIPT")]
        script: PathBuf,
    },
    /// Generates what is derived from the charts and the code: tables in READMEs, reference pages, and `deploy/manifests`.
    Chart,
    /// Runs the demo, and writes what it prints as an animated picture.
    Record {
        /// The picture: an SVG.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Finds the programs of the control plane, builds those that are missing, and prints their paths.
    Binaries,
}

/// Interruption of a command: the expected end of one that waits, a failure otherwise.
#[derive(Debug, Default)]
struct InterruptSignal {
    expected: AtomicBool,
}

impl InterruptSignal {
    /// Records that the command has done its work and only waits for its end.
    fn expect(&self) {
        self.expected.store(true, Ordering::Relaxed);
    }

    /// Waits for Ctrl-C, SIGTERM or the end of the terminal.
    async fn wait(&self) -> anyhow::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        eprintln!("\nstopping");
        let expected = self.expected.load(Ordering::Relaxed);
        // 128 and the number of SIGINT, as shells have it.
        Ok(if expected { ExitCode::SUCCESS } else { ExitCode::from(130) })
    }
}

/// Runs the command that was typed. Ctrl-C and SIGTERM end everything that it has started.
pub fn main() -> ExitCode {
    let arguments = LabArguments::parse();
    let interruption = InterruptSignal::default();
    let result = tokio::runtime::Runtime::new().context("cannot start the runtime").and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                result = run(arguments.command, &interruption) => result.map(|()| ExitCode::SUCCESS),
                result = interruption.wait() => result,
            }
        })
    });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: LabCommand, interruption: &InterruptSignal) -> anyhow::Result<()> {
    match command {
        LabCommand::Up { nodes, kubeconfig } => up(nodes, kubeconfig, interruption).await,
        LabCommand::Demo { keep, no_color } => {
            let options = demo::DemoOptions { keep, no_colour: no_color.is_some_and(|value| !value.is_empty()) };
            Box::pin(demo::run(options, || interruption.expect())).await
        }
        LabCommand::Bench(arguments) => bench::run(arguments).await,
        LabCommand::Chaos { seed, minutes } => {
            let seed = seed.unwrap_or_else(chaos::any_seed);
            eprintln!("The seed is {seed}: the same again with --seed {seed}.");
            let length = std::time::Duration::from_mins(minutes);
            let settings = chaos::ChaosSettings { seed, length, progress: ProgressDisplay::detect() };
            let summary = Box::pin(chaos::run(settings)).await?;
            print_result(&summary.to_string())
        }
        LabCommand::Simulate { script } => {
            let text = std::fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
            print_result(crate::simulate(&text)?.trim_end())
        }
        LabCommand::Chart => {
            let files = chart::write(&chart::ChartRenderer::locate().await?)?;
            let paths: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
            print_result(&paths.join("\n"))
        }
        LabCommand::Record { file } => {
            // The demo goes elsewhere by itself: this process stays where it was typed.
            let picture = recording::record().await?;
            std::fs::write(&file, picture).with_context(|| format!("cannot write {}", file.display()))
        }
        LabCommand::Binaries => binaries().await,
    }
}

async fn up(nodes: u32, kubeconfig: Option<PathBuf>, interruption: &InterruptSignal) -> anyhow::Result<()> {
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    if nodes > 0 {
        let step = ProgressDisplay::detect().step(format!("making {nodes} nodes"));
        cluster.add_nodes((1..=nodes).map(|n| FakeNode::new(format!("node-{n}")))).await?;
        step.done();
    }
    let path = cluster.admin_kubeconfig();
    if let Some(copy) = &kubeconfig {
        let copied = tokio::fs::copy(path, copy).await;
        copied.with_context(|| format!("cannot write the kubeconfig to {}", copy.display()))?;
    }
    print_result(&format!("export KUBECONFIG={}", path.display()))?;
    eprintln!("The control plane is ready. Logs are in {}/logs. Ctrl-C ends it.", cluster.dir().display());
    interruption.expect();
    let error = cluster.failure().await;
    eprintln!("{}", cluster.keep());
    Err(error.into())
}

async fn binaries() -> anyhow::Result<()> {
    let binaries = ProgramPaths::locate(KubernetesVersion::default(), ProgressDisplay::detect()).await?;
    let paths = Program::ALL.map(|program| binaries.path(program).display().to_string());
    print_result(&paths.join("\n"))
}
