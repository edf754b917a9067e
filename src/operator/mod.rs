//! The operator: `rempart run` stamps nodes, migrates pods and reports; `rempart run-admission` keeps admission bound to the
//! policies.
//!
//! The stages of its pipeline are the folders: [`watch`] and [`cache`] observe the cluster, `evaluate` asks the core for
//! every verdict, [`reconcile`] compares and asks for the difference, [`write`] carries that out, and [`lease`] says
//! which of several replicas may. An [`engine::Engine`] ties them together and is tested without a cluster; everything that
//! waits or talks is in [`run`].

mod backoff;
pub mod cache;
pub mod clock;
pub mod clock_skew;
pub mod component;
mod decision_loop;
pub mod engine;
pub(crate) mod error_chain;
mod evaluate;
pub mod hold;
pub mod lease;
pub mod metrics;
pub mod names;
mod node_stamps;
pub mod preflight;
pub mod reconcile;
mod serve;
pub mod simulation;
pub mod watch;
pub mod webhook;
pub mod write;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch::channel},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::admission::{
    AdmissionSettings, MutationMode, exempt_namespaces,
    installed::{InstalledAdmission, InstalledError},
};

use clock::Clock;
use clock_skew::ClockSkew;
use component::OperatorComponent;
use decision_loop::DecisionLoop;
use engine::Engine;
use lease::{Leadership, LeaseCandidate, LeaseDuration};
use metrics::Metrics;
pub use reconcile::{
    history::HistorySettings,
    settings::{MoveLimits, Settings},
};
use serve::HealthState;
use webhook::{Webhook, WebhookTrust};
use write::ApiWriter;

/// What a process of the operator is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// What of the operator it is.
    pub component: OperatorComponent,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
    /// Where the webhook is served, by the half that serves it.
    pub webhook_listen: Option<SocketAddr>,
    /// The namespace that the operator runs in, where it keeps its leases.
    pub namespace: String,
    /// By what name it holds the lease. No two replicas have the same.
    pub identity: String,
    /// For how long the lease is its own after each renewal.
    pub lease: LeaseDuration,
    /// Namespaces that no policy governs, besides its own, who may bind pods, and who completes them.
    pub admission: AdmissionSettings,
    /// How much may move at a time.
    pub limits: MoveLimits,
    /// Whether it tells on standard output what ran where, where it is the half that knows.
    pub history: bool,
}

/// Why the operator ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another with {option}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where it was said.
        option: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The API server cannot do what is asked of it, or the clock is wrong.
    #[error(transparent)]
    PreflightError(#[from] preflight::PreflightError),
    /// What the chart installs is not known.
    #[error(transparent)]
    Installed(#[from] InstalledError),
    /// A part of it ended, so that the rest would act on half of the truth.
    #[error("the task {0} ended")]
    TaskEnded(&'static str),
}

/// Observations that may wait to be taken in before watches must wait.
const BACKLOG: usize = 256;
/// Node patches under way at a time. More makes the API server slower, not faster.
const CONCURRENCY: usize = 32;
/// How long giving the lease back may take.
const RELEASE: Duration = Duration::from_secs(5);
/// How often the decision loop comes round when nothing happens, to show that it is alive.
const BEAT: Duration = Duration::from_secs(10);

/// Runs until `stop` is cancelled.
///
/// # Errors
/// [`Error`], when it must end before that.
pub async fn run(
    client: Client,
    options: Options,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let component = options.component;
    let metrics = Metrics::new(component);
    let health = HealthState::new(Instant::now());
    let listener = TcpListener::bind(options.listen).await.map_err(|source| Error::Listen {
        address: options.listen,
        option: "--listen",
        source,
    })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(options.listen), "serving /healthz, /readyz and /metrics");

    let mut tasks: JoinSet<&'static str> = JoinSet::new();
    let settings = settings(&options)?;
    let mutation = settings.admission.mutation.clone();
    let bound = webhook::bind(&mutation, options.webhook_listen)?;
    let mut engine = Engine::new(settings.clone(), metrics.clone());
    let router = serve::router(health.clone(), metrics.clone(), engine.reports());
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the server of /healthz, /readyz and /metrics ended");
        }
        "http"
    });
    let asked = ask_first(&client, &*clock, &mutation);
    // However long the API server is away: who waits for it is alive.
    let owners = tokio::select! {
        biased;
        owners = asked => owners?,
        never = beat(&health) => match never {},
        ended = tasks.join_next() => return Err(task_ended(ended)),
        () = stop.cancelled() => return Ok(()),
    };
    engine.set_admission_owners(owners.clone());
    let (found, owners) = channel(owners);
    tasks.spawn(preflight::follow_owners(client.clone(), mutation.clone(), found));
    let (sender, observations) = mpsc::channel(BACKLOG);
    for (name, task) in self::watch::tasks(&client, &sender, &metrics, &settings) {
        tasks.spawn(async move {
            task.await;
            name
        });
    }
    drop(sender);

    let (leadership, skew) = (Leadership::default(), ClockSkew::default());
    let observed = clock_skew::observed(client.clone(), skew.clone(), Arc::clone(&clock));
    let candidate = LeaseCandidate::new(
        observed.clone(),
        (&options.namespace, component.name()),
        (options.identity.clone(), options.lease),
        Arc::clone(&clock),
        leadership.clone(),
        skew.clone(),
        metrics.clone(),
    );
    let (listed, resign) = (Arc::new(Notify::new()), CancellationToken::new());
    tasks.spawn(compete(candidate, Arc::clone(&listed), resign.clone()));
    let guarded = lease::guarded(client, leadership.clone(), skew.clone(), Arc::clone(&clock));
    let mut webhook = bound.map(|bound| {
        let trusted = WebhookTrust {
            namespace: options.namespace.clone(),
            client: observed,
            guarded: guarded.clone(),
            leadership: leadership.clone(),
            skew: skew.clone(),
            clock: Arc::clone(&clock),
            role: mutation.cluster_role(),
            owners: owners.clone(),
        };
        Webhook::start(bound, trusted, metrics.clone(), &mut tasks)
    });
    let writer = ApiWriter::new(guarded, options.identity);

    let deciding = DecisionLoop {
        engine,
        writer,
        observations,
        webhook: webhook.as_mut(),
        leadership,
        skew,
        owners,
        listed,
        health: health.clone(),
        metrics,
        clock,
    };
    let drained = tokio::select! {
        biased;
        decided = deciding.run(stop) => decided?,
        ended = tasks.join_next() => return Err(task_ended(ended)),
    };
    health.beat(vec!["nothing: it stops"]);
    // What may still be on its way keeps the lease until its end.
    if drained {
        resign.cancel();
        let released =
            async { while tasks.join_next().await.is_some_and(|ended| !ended.is_ok_and(|task| task == LEASE)) {} };
        let _ = tokio::time::timeout(RELEASE, released).await;
    }
    if let Some(webhook) = webhook {
        webhook.drain().await;
    }
    Ok(())
}

/// What must be known before anything else: that the API server can do what is asked of it, and who owns what is made there.
async fn ask_first(
    client: &Client,
    clock: &dyn Clock,
    mutation: &MutationMode,
) -> Result<preflight::AdmissionOwners, Error> {
    preflight::check(client, clock, mutation).await?;
    Ok(preflight::admission_owners(client, mutation).await)
}

/// What reconcilers follow, of what the process is told.
fn settings(options: &Options) -> Result<Settings, InstalledError> {
    let mut admission = options.admission.clone();
    admission.exempt = exempt_namespaces(admission.exempt, &options.namespace);
    let components = match options.component {
        OperatorComponent::Placement => &[OperatorComponent::Placement],
        OperatorComponent::Admission => &[OperatorComponent::Admission],
    };
    let installed = InstalledAdmission::of_release(&options.namespace, &admission.exempt, &admission.mutation)?;
    let history = (options.history && options.component == OperatorComponent::Placement)
        .then(|| HistorySettings { replica: options.identity.clone() });
    let limits = options.limits;
    Ok(Settings { components, admission, installed, concurrency: CONCURRENCY, limits, history })
}

const LEASE: &str = "lease";

/// Competes for the lease once everything is `listed`: a replica that has not seen everything has nothing to write.
async fn compete(candidate: LeaseCandidate, listed: Arc<Notify>, resign: CancellationToken) -> &'static str {
    tokio::select! {
        biased;
        () = listed.notified() => candidate.run(resign).await,
        () = resign.cancelled() => {}
    }
    LEASE
}

fn task_ended(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> Error {
    Error::TaskEnded(ended.and_then(Result::ok).unwrap_or("unknown"))
}

/// Says again and again that the operator is alive, and not ready.
async fn beat(health: &HealthState) -> std::convert::Infallible {
    loop {
        health.beat(vec!["an answer of the API server"]);
        tokio::time::sleep(BEAT).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn who_waits_for_an_api_server_is_alive_not_ready_and_can_be_stopped() {
        // Bound and never listening: whoever connects is refused, and nobody else can have the port.
        let nobody = tokio::net::TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = kube::Config::new(format!("http://{}", nobody.local_addr().unwrap()).parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let stop = CancellationToken::new();
        let (listen, running, ready) = loop {
            let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let options = Options {
                component: OperatorComponent::Placement,
                listen,
                webhook_listen: None,
                namespace: "here".into(),
                identity: "me".into(),
                lease: LeaseDuration::default(),
                admission: AdmissionSettings::default(),
                limits: MoveLimits::default(),
                history: false,
            };
            let running = tokio::spawn(run(client.clone(), options, Arc::new(clock::SystemClock), stop.clone()));
            let ready = loop {
                match get(listen, "/readyz").await {
                    Ok(answer) => break Some(answer),
                    Err(_) if running.is_finished() => break None,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            match ready {
                Some(ready) => break (listen, running, ready),
                // Another process has taken the port since it was found free.
                None => assert!(matches!(running.await.unwrap(), Err(Error::Listen { .. }))),
            }
        };
        assert!(ready.contains(" 503 "), "{ready}");
        assert!(get(listen, "/healthz").await.unwrap().contains(" 200 "));
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
