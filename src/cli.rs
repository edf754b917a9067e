//! The command line: what was typed, and what it means.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    api::crds,
    operator::{self, clock::SystemClock},
};

/// Places Kubernetes workloads on the node pools of sovereign clouds according to how sensitive their data is.
#[derive(Debug, Parser)]
#[command(name = "rempart", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    Crds(Crds),
}

/// Runs the operator: stamps nodes, keeps admission bound to the policies, reports in statuses and metrics
///
/// Talks to the cluster of $KUBECONFIG or, within a cluster, to its own. Ends on SIGTERM and SIGINT, after the writes
/// that are under way.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  rempart run --listen 127.0.0.1:8080 --exempt-namespaces kube-system,cilium")]
struct Run {
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Namespaces that no policy governs, besides the operator's own
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "kube-system,kube-public,kube-node-lease",
        value_name = "NAME,…",
        value_parser = namespace
    )]
    exempt_namespaces: Vec<String>,

    /// The operator's own namespace
    #[arg(long, env = "POD_NAMESPACE", default_value = "rempart-system", value_name = "NAME", value_parser = namespace)]
    namespace: String,

    /// How log lines are written
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,

    /// Which log lines are written, as `info` or `rempart=debug,kube=warn`
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=off,kube_runtime=off", value_name = "FILTER", value_parser = filter)]
    log: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// Prints the custom resource definitions, or writes them into directories
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  rempart crds | kubectl apply -f -\n  rempart crds crds charts/rempart/files/crds")]
struct Crds {
    /// Directories to write them into, one file each; standard output when there are none
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
}

fn namespace(text: &str) -> Result<String, String> {
    let good = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        Ok(text.to_owned())
    } else {
        Err("a namespace is at most 63 lower-case letters, digits and '-', with a letter or digit at both ends".into())
    }
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; write a level, as info, or targets with levels, as rempart=debug,kube=warn"))
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever kept it from being done, ready to be shown.
    pub fn execute(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Crds(crds) => crds.execute(),
        }
    }
}

impl Run {
    fn execute(self) -> anyhow::Result<()> {
        let Self { listen, exempt_namespaces, namespace, log_format, log } = self;
        let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(&log)?).with_writer(std::io::stderr);
        match log_format {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Text => lines.init(),
        }
        let options = operator::Options { listen, namespace, exempt: exempt_namespaces };
        tokio::runtime::Builder::new_multi_thread()
            // Nearly all of its time it waits for the API server. Each thread more has an arena of memory of its own.
            .worker_threads(2)
            .enable_all()
            .build()
            .context("the asynchronous runtime does not start")?
            .block_on(run(options))
    }
}

async fn run(options: operator::Options) -> anyhow::Result<()> {
    let mut config = kube::Config::infer().await.context(
        "no cluster to talk to: set KUBECONFIG to a kubeconfig file, or run within a cluster with a ServiceAccount",
    )?;
    // Every write has its own deadline and its own backoff: a client that retries for minutes would hide both.
    config.default_retry = false;
    let client = kube::Client::try_from(config).context("the cluster's address or credentials cannot be used")?;
    let stop = CancellationToken::new();
    let asked = asked_to_stop()?;
    let work = async {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
        operator::run(client, options, Arc::new(SystemClock), stop.clone()).await?;
        anyhow::Ok(())
    };
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        () = asked => stop.cancel(),
    }
    work.await
}

/// Ends on the first SIGTERM or SIGINT.
fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    // A Unix signal needs a reactor, which exists here: this is called from within the runtime.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
        }
    })
}

impl Crds {
    fn execute(self) -> anyhow::Result<()> {
        let rendered = crds::render()?;
        if self.directories.is_empty() {
            let all: Vec<_> = rendered.iter().map(|(_, yaml)| yaml.as_str()).collect();
            return print(&all.join("---\n"));
        }
        for directory in &self.directories {
            std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
            for (name, yaml) in &rendered {
                let path = directory.join(name);
                // Whole or not at all: whoever reads it may be reading now.
                let unfinished = directory.join(format!(".{name}.unfinished"));
                std::fs::write(&unfinished, yaml)
                    .and_then(|()| std::fs::rename(&unfinished, &path))
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Writes to standard output. A reader that has had enough, as `head`, is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
