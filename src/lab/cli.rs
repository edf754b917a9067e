//! The command line of `rempart-lab`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use super::{Binaries, ControlPlane, NodeSpec, Options, Program, Progress};

/// A real Kubernetes control plane on a bare machine, without containers.
#[derive(Debug, Parser)]
#[command(name = "rempart-lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boots a control plane and keeps it until Ctrl-C.
    Up {
        /// How many nodes it has, named node-1 and so on.
        #[arg(long, default_value_t = 0)]
        nodes: u32,
        /// Also writes the administrator's kubeconfig there.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
    /// Finds the programs of the control plane, builds those that are missing, and prints their paths.
    Binaries,
}

/// Runs the command that was typed. Ctrl-C and SIGTERM end everything that it has started.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let result = tokio::select! {
            result = run(arguments.command) => result,
            result = interrupted() => result,
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    })
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up { nodes, kubeconfig } => up(nodes, kubeconfig).await,
        Command::Binaries => {
            let binaries = Binaries::locate(Progress::detect()).await?;
            for program in Program::ALL {
                println!("{}", binaries.path(program).display());
            }
            Ok(())
        }
    }
}

/// Waits for Ctrl-C, SIGTERM or the end of the terminal.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    eprintln!("\nstopping");
    Ok(())
}

async fn up(nodes: u32, kubeconfig: Option<PathBuf>) -> anyhow::Result<()> {
    let cluster = ControlPlane::start(Options::default()).await?;
    cluster.add_nodes((1..=nodes).map(|n| NodeSpec::new(format!("node-{n}")))).await?;
    let path = cluster.admin_kubeconfig();
    if let Some(copy) = &kubeconfig {
        let copied = tokio::fs::copy(path, copy).await;
        copied.with_context(|| format!("cannot write the kubeconfig to {}", copy.display()))?;
    }
    println!("export KUBECONFIG={}", path.display());
    eprintln!("The control plane is ready. Logs are in {}/logs. Ctrl-C ends it.", cluster.dir().display());
    let error = cluster.failure().await;
    eprintln!("{}", cluster.keep());
    Err(error.into())
}
