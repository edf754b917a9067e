//! `rempart run` and `rempart run-admission`: the two halves of the operator.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use clap::{Args, Parser, ValueEnum, builder::NonEmptyStringValueParser, value_parser};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::input::namespace;
use crate::{
    admission::{AdmissionSettings, MutationMode, WebhookAddress, WebhookSettings},
    operator::{self, clock::SystemClock, component::OperatorComponent, lease::LeaseDuration},
};

/// Runs the operator: stamps nodes, records and moves what runs, reports in statuses and metrics
///
/// What holds pods to the policies inside the API server is kept by `rempart run-admission`, under another identity; this
/// compares it with what it must be, and says what differs.
///
/// Of several replicas the one that holds the lease `rempart` writes; the others follow, ready to take over.
///
/// Talks to the cluster of $KUBECONFIG or, within a cluster, to its own. Ends on SIGTERM and SIGINT, after the writes
/// that are under way.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  rempart run --listen 127.0.0.1:8080 --exempt-namespaces kube-system,cilium")]
pub(super) struct RunCommand {
    #[command(flatten)]
    process: ProcessArguments,

    /// At most this share of a level's pods, in percent, is on the move at a time, and at least one workload
    #[arg(long, default_value_t = 10, value_name = "PERCENT", value_parser = value_parser!(u8).range(1..=100))]
    move_at_most: u8,

    /// When facts change so that more than this share of a level's pods, in percent, would move within a minute,
    /// nothing moves until an officer says so; 100 never stops
    #[arg(long, default_value_t = 50, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    stop_moves_above: u8,

    /// Whether it writes to standard output what ran where and by which facts, for `rempart audit`; messages go to standard
    /// error
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    history: bool,
}

/// Runs the operator's other half: keeps admission policies and bindings as each PlacementPolicy says
///
/// Sees no node and no workload. It runs under an identity of its own, since whoever may write admission policies could
/// lift those that confine `rempart run`. Both must be told the same exempt namespaces and schedulers.
///
/// Of several replicas the one that holds the lease `rempart-admission` writes; the others follow, ready to take over.
///
/// Talks to the cluster of $KUBECONFIG or, within a cluster, to its own. Ends on SIGTERM and SIGINT, after the writes
/// that are under way.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example:\n  rempart run-admission --listen 127.0.0.1:8081 --exempt-namespaces kube-system,cilium"
)]
pub(super) struct RunAdmissionCommand {
    #[command(flatten)]
    process: ProcessArguments,

    /// Where the webhook is served, with --mutation webhook
    #[arg(long, default_value = "0.0.0.0:9443", value_name = "ADDRESS:PORT")]
    webhook_listen: SocketAddr,
}

/// What a release is: told to both halves of the operator, and to whoever looks at them.
#[derive(Args, Debug)]
pub(super) struct ReleaseArguments {
    /// Namespaces that no policy governs, besides the operator's own
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "kube-system,kube-public,kube-node-lease",
        value_name = "NAME,…",
        value_parser = namespace
    )]
    pub(super) exempt_namespaces: Vec<String>,

    /// The operator's own namespace
    #[arg(long, env = "POD_NAMESPACE", default_value = "rempart-system", value_name = "NAME", value_parser = namespace)]
    pub(super) namespace: String,

    /// Who adds to pods and pod templates what they need
    #[arg(long, value_enum, default_value_t = MutationArgument::Policies)]
    pub(super) mutation: MutationArgument,
}

/// What both halves of the operator are told.
#[derive(Args, Debug)]
struct ProcessArguments {
    /// Where /healthz, /readyz, /metrics and /debug/cycle are served
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// Users that may bind pods to nodes where a policy applies
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "system:kube-scheduler",
        value_name = "USER,…",
        value_parser = NonEmptyStringValueParser::new()
    )]
    schedulers: Vec<String>,

    #[command(flatten)]
    release: ReleaseArguments,

    /// The Service in the operator's namespace by which API servers reach the webhook
    #[arg(long, default_value = "rempart-webhook", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    webhook_service: String,

    /// The URL by which API servers reach the webhook instead, of an operator outside the cluster
    #[arg(long, value_name = "URL", value_parser = webhook_url)]
    webhook_url: Option<String>,

    /// By what name this replica holds the lease; no two may have the same. One of its own unless given
    #[arg(long, env = "POD_NAME", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    identity: Option<String>,

    /// For how long the lease is this replica's after each renewal, in seconds: for as long nobody writes when its holder is
    /// lost, and five seconds less its holder writes when the API server no longer answers
    #[arg(
        long,
        default_value_t = LeaseDuration::SHORTEST,
        value_name = "SECONDS",
        value_parser = value_parser!(u64).range(LeaseDuration::SHORTEST..=LeaseDuration::LONGEST)
    )]
    lease_seconds: u64,

    /// How log lines are written
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,

    /// Which log lines are written, as `info` or `rempart=debug,kube=warn`
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=off,kube_runtime=off", value_name = "FILTER", value_parser = filter)]
    log: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MutationArgument {
    /// Mutating admission policies, inside the API server: Kubernetes 1.36 or newer
    Policies,
    /// A webhook of rempart-admission: Kubernetes 1.30 or newer
    Webhook,
    /// Nobody: manifests say it themselves
    None,
}

/// A URL at which an API server may look for a webhook.
fn webhook_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    if url.scheme_str() == Some("https") && url.host().is_some() && url.query().is_none() {
        Ok(text.to_owned())
    } else {
        Err("write https://HOST:PORT, without a query".to_owned())
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; write a level, as info, or targets with levels, as rempart=debug,kube=warn"))
}

/// A name that nobody else has, for a replica that was given none.
fn name_of_its_own() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's one source of randomness: each state has keys of its own.
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("rempart-{}-{random:016x}", std::process::id())
}

impl RunCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let Self { process, move_at_most, stop_moves_above, history } = self;
        let limits = operator::MoveLimits { wave: move_at_most, breaker: stop_moves_above };
        process.run(OperatorComponent::Placement, limits, None, history)
    }
}

impl RunAdmissionCommand {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        self.process.run(
            OperatorComponent::Admission,
            operator::MoveLimits::default(),
            Some(self.webhook_listen),
            false,
        )
    }
}

impl ProcessArguments {
    /// Runs `component` until it is asked to stop.
    fn run(
        self,
        component: OperatorComponent,
        limits: operator::MoveLimits,
        webhook_listen: Option<SocketAddr>,
        history: bool,
    ) -> anyhow::Result<()> {
        let Self { listen, release, schedulers, identity, log_format, log, .. } = self;
        let ReleaseArguments { exempt_namespaces: exempt, namespace, mutation } = release;
        let mutation = match mutation {
            MutationArgument::Policies => MutationMode::Policies,
            MutationArgument::None => MutationMode::None,
            MutationArgument::Webhook => {
                let service =
                    || WebhookAddress::Service { namespace: namespace.clone(), name: self.webhook_service.clone() };
                let address = self.webhook_url.map_or_else(service, WebhookAddress::Url);
                MutationMode::Webhook(WebhookSettings { address, authorities: None })
            }
        };
        let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(&log)?).with_writer(std::io::stderr);
        match log_format {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Text => lines.init(),
        }
        let identity = identity.unwrap_or_else(name_of_its_own);
        let admission = AdmissionSettings { exempt, schedulers, mutation, ..AdmissionSettings::default() };
        // What is typed is within the range that the argument has.
        let lease = LeaseDuration::from_secs(self.lease_seconds).unwrap_or_default();
        let options = operator::Options {
            component,
            listen,
            webhook_listen,
            namespace,
            identity,
            lease,
            admission,
            limits,
            history,
        };
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
        tracing::info!(version = env!("CARGO_PKG_VERSION"), component = options.component.as_str(), "starting");
        Box::pin(operator::run(client, options, Arc::new(SystemClock), stop.clone())).await?;
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
