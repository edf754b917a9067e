//! Restamping of every node, and the operator's memory and processor time meanwhile and at rest.
//!
//! It is compared with a client that sends the same patches, as the same user, and does nothing else: it knows the
//! nodes and their patch, watches nothing, decides nothing and reads no answer further than its status. The two take
//! turns on the same nodes. Another client watches them, and tells when the last one is as it should be.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{Request, header::CONTENT_TYPE};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
    client::Body,
    core::PartialObjectMeta,
};
use serde::Serialize;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use super::{
    figures::{AimLimit, FigureSpread, PerformanceAim},
    fixture::{self, TOGGLED},
    machine::{self, BackgroundLoad, ProcessMemory, mib},
};
use crate::{Component, ControlPlane, OperatorProcess, ProgressDisplay, kubeconfig};
use rempart::operator::names::FIELD_MANAGER;

/// Patches under way at a time, of the operator and of the bare client.
pub(super) const CONCURRENCY: usize = 32;
/// A stamp that every node of a pool carries.
const POOL: &str = "rempart.node-restriction.kubernetes.io/pool";
/// Time after which the operator has nothing left to write about a change.
const SETTLED: Duration = Duration::from_secs(3);
/// Timeout of a run.
const PATIENCE: Duration = Duration::from_mins(4);

/// Size of the measurement.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestampSize {
    pub(super) nodes: usize,
    pub(super) rounds: usize,
    pub(super) rest: Duration,
}

/// One time that every node got another stamp.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestampRun {
    /// Whether the nodes gain the stamp, or lose it.
    pub(super) gains: bool,
    pub(super) seconds: f64,
    /// Processor time of the API server for it.
    pub(super) api_server_processor_seconds: f64,
    /// Processor time of the client for it; unknown for the bare client, which shares its process with the watch.
    pub(super) client_processor_seconds: Option<f64>,
}

/// One round of both.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestampRound {
    pub(super) operator: [RestampRun; 2],
    pub(super) bare: [RestampRun; 2],
}

/// Memory and processor time of the operator process.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatorFootprint {
    /// Without a single node.
    pub(super) empty: ProcessMemory,
    /// After all rounds, at rest.
    pub(super) rest: ProcessMemory,
    /// The highest that any operator of this run has had.
    pub(super) peak_kib: u64,
    pub(super) bytes_per_node: f64,
    /// Of one processor, while nothing happens.
    pub(super) processor_at_rest: f64,
}

/// Everything about nodes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestampFigures {
    pub(super) size: RestampSize,
    /// From the first start until all nodes carried all their stamps.
    pub(super) first_stamping_seconds: f64,
    pub(super) rounds: Vec<RestampRound>,
    pub(super) footprint: OperatorFootprint,
    /// Processors that were busy with something else meanwhile.
    pub(super) bystanders: f64,
}

impl RestampFigures {
    pub(super) fn operator(&self, of: fn(&RestampRun) -> f64) -> FigureSpread {
        FigureSpread::of(self.rounds.iter().flat_map(|round| round.operator.iter().map(of)))
    }

    pub(super) fn bare(&self, of: fn(&RestampRun) -> f64) -> FigureSpread {
        FigureSpread::of(self.rounds.iter().flat_map(|round| round.bare.iter().map(of)))
    }

    /// The operator's time as a multiple of the bare client's, direction by direction and round by round.
    pub(super) fn ratio(&self, of: fn(&RestampRun) -> f64) -> FigureSpread {
        let pairs = self.rounds.iter().flat_map(|round| round.operator.iter().zip(&round.bare));
        FigureSpread::of(pairs.map(|(operator, bare)| of(operator) / of(bare)))
    }

    pub(super) fn aims(&self) -> Vec<PerformanceAim> {
        let peak = FigureSpread::of([mib(self.footprint.peak_kib)]);
        vec![
            PerformanceAim::new(
                format!("restamping {} nodes", self.size.nodes),
                "times the bare client",
                self.ratio(|run| run.seconds),
                AimLimit::AtMost(1.2),
            ),
            PerformanceAim::new(
                format!("operator at {} nodes, peak", self.size.nodes),
                "MiB",
                peak,
                AimLimit::AtMost(40.0),
            ),
        ]
    }
}

/// Measures.
pub(super) async fn measure(
    cluster: &ControlPlane,
    client: &Client,
    size: RestampSize,
    progress: ProgressDisplay,
) -> Result<RestampFigures> {
    let step = progress.step("nodes: the operator without any");
    let operator = start(cluster).await?;
    let empty = ProcessMemory::of(operator.pid())?;
    operator.terminate().await;
    step.done();

    let step = progress.step(format!("nodes: creating {}", size.nodes));
    fixture::create_nodes(client, size.nodes, false).await?;
    step.done();

    let step = progress.step("nodes: stamping them for the first time");
    let all = watch(client, size.nodes, true).await?;
    let began = Instant::now();
    let operator = cluster.start_operator(fixture::operator_arguments()).await?;
    let first_stamping_seconds = (all.await?? - began).as_secs_f64();
    tokio::time::sleep(SETTLED).await;
    step.done();

    let mut bench = RestampBench {
        cluster,
        client,
        bare: bare_client(cluster).await?,
        api_server: cluster.pid(Component::ApiServer).await?,
        size,
        operator: Some(operator),
        peak_kib: 0,
    };
    let bystanders = BackgroundLoad::watch([bench.api_server, cluster.pid(Component::Etcd).await?])?;
    let mut of_operators = Duration::ZERO;
    let mut rounds = Vec::new();
    for round in 0..size.rounds {
        let step = progress.step(format!("nodes: round {} of {}", round + 1, size.rounds));
        // The two take turns at being first.
        let (operator, bare);
        if round.is_multiple_of(2) {
            step.note("the operator");
            operator = bench.with_operator().await?;
            step.note("the bare client");
            bare = bench.with_bare_client().await?;
        } else {
            step.note("the bare client");
            bare = bench.with_bare_client().await?;
            step.note("the operator");
            operator = bench.with_operator().await?;
        }
        let own = operator.iter().filter_map(|run| run.client_processor_seconds).map(Duration::from_secs_f64);
        of_operators += own.sum::<Duration>();
        rounds.push(RestampRound { operator, bare });
        step.done();
    }
    let elsewhere = bystanders.processors()? - of_operators.div_duration_f64(bystanders.elapsed());

    let step = progress.step(format!("nodes: the operator at rest for {} s", size.rest.as_secs()));
    let footprint = bench.rest(empty).await?;
    step.done();
    Ok(RestampFigures { size, first_stamping_seconds, rounds, footprint, bystanders: elsewhere.max(0.0) })
}

async fn start(cluster: &ControlPlane) -> Result<OperatorProcess> {
    let operator = cluster.start_operator(fixture::operator_arguments()).await?;
    tokio::time::sleep(SETTLED).await;
    Ok(operator)
}

/// A client that is the operator's `ServiceAccount`, for the same admission and the same share of the server.
async fn bare_client(cluster: &ControlPlane) -> Result<Client> {
    let path = cluster.service_account_kubeconfig("rempart-system", "rempart").await?;
    let mut config = kubeconfig::config(&path).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

struct RestampBench<'a> {
    cluster: &'a ControlPlane,
    client: &'a Client,
    bare: Client,
    api_server: i32,
    size: RestampSize,
    operator: Option<OperatorProcess>,
    peak_kib: u64,
}

impl RestampBench<'_> {
    /// All nodes lose the stamp, and gain it again.
    async fn with_operator(&mut self) -> Result<[RestampRun; 2]> {
        let operator = self.operator().await?;
        let pid = operator.pid();
        let lost = self.run(false, Some(pid), async || fixture::edit_policy(self.client, false).await).await?;
        let gained = self.run(true, Some(pid), async || fixture::edit_policy(self.client, true).await).await?;
        operator.check()?;
        self.peak_kib = self.peak_kib.max(ProcessMemory::of(pid)?.peak_kib);
        self.operator = Some(operator);
        Ok([lost, gained])
    }

    async fn with_bare_client(&mut self) -> Result<[RestampRun; 2]> {
        // It would undo what the bare client does.
        if let Some(operator) = self.operator.take() {
            operator.terminate().await;
        }
        let lost = self.run(false, None, async || patch_all(&self.bare, self.size.nodes, false).await).await?;
        let gained = self.run(true, None, async || patch_all(&self.bare, self.size.nodes, true).await).await?;
        Ok([lost, gained])
    }

    /// The operator that runs, or a new one.
    async fn operator(&mut self) -> Result<OperatorProcess> {
        match self.operator.take() {
            Some(operator) => Ok(operator),
            None => start(self.cluster).await,
        }
    }

    async fn run(
        &self,
        gains: bool,
        client: Option<i32>,
        change: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<RestampRun> {
        let time_of_client = || client.map(machine::processor_time).transpose();
        let all = watch(self.client, self.size.nodes, gains).await?;
        let (server_before, client_before) = (machine::processor_time(self.api_server)?, time_of_client()?);
        let began = Instant::now();
        change().await?;
        let seconds = (all.await?? - began).as_secs_f64();
        let server = machine::processor_time(self.api_server)?.saturating_sub(server_before);
        let client = time_of_client()?.zip(client_before).map(|(after, before)| after.saturating_sub(before));
        tokio::time::sleep(SETTLED).await;
        self.verify(gains).await?;
        Ok(RestampRun {
            gains,
            seconds,
            api_server_processor_seconds: server.as_secs_f64(),
            client_processor_seconds: client.map(|time| time.as_secs_f64()),
        })
    }

    /// Fails unless every node carries the stamp, or none, and all still carry that of their pool.
    async fn verify(&self, gains: bool) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let count = async |selector: &str| {
            let found = nodes.list_metadata(&ListParams::default().labels(selector)).await?;
            anyhow::Ok(found.items.len())
        };
        let (stamped, of_pools) = (count(&format!("{TOGGLED}=true")).await?, count(POOL).await?);
        let wanted = if gains { self.size.nodes } else { 0 };
        ensure!(stamped == wanted, "{stamped} nodes carry {TOGGLED}, and {wanted} should");
        ensure!(of_pools == self.size.nodes, "{of_pools} nodes carry {POOL}, and {} should", self.size.nodes);
        Ok(())
    }

    /// Memory and processor time of the operator at rest.
    async fn rest(&mut self, empty: ProcessMemory) -> Result<OperatorFootprint> {
        let operator = self.operator().await?;
        let pid = operator.pid();
        let (before, began) = (machine::processor_time(pid)?, Instant::now());
        tokio::time::sleep(self.size.rest).await;
        let processor_at_rest = machine::processor_time(pid)?.saturating_sub(before).div_duration_f64(began.elapsed());
        let rest = ProcessMemory::of(pid)?;
        operator.check()?;
        operator.terminate().await;
        let bytes_per_node = rest.growth_per(empty, self.size.nodes);
        Ok(OperatorFootprint {
            empty,
            rest,
            peak_kib: self.peak_kib.max(rest.peak_kib),
            bytes_per_node,
            processor_at_rest,
        })
    }
}

/// Sends every node the patch that the operator would send, some at a time.
async fn patch_all(client: &Client, nodes: usize, gains: bool) -> Result<()> {
    let body = json!({ "metadata": { "labels": { TOGGLED: gains.then_some("true") } } }).to_string();
    let names: Arc<[String]> = fixture::node_names(nodes).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (client, body, names, next) = (client.clone(), body.clone(), Arc::clone(&names), Arc::clone(&next));
        workers.spawn(async move {
            while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                let request = Request::patch(format!("/api/v1/nodes/{name}?fieldManager={FIELD_MANAGER}"))
                    .header(CONTENT_TYPE, "application/merge-patch+json")
                    .body(Body::from(body.clone().into_bytes()))?;
                let response = client.send(request).await?;
                let status = response.status();
                let answer = response.into_body().collect_bytes().await?;
                ensure!(
                    status.is_success(),
                    "the patch of {name} was refused: {status} {}",
                    String::from_utf8_lossy(&answer)
                );
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// Watches until all nodes carry the stamp, or none, and says when that was. All must have to change for it.
///
/// It reads metadata alone: a watch of whole nodes would have the API server encode what the operator's own watch then
/// gets for nothing.
async fn watch(client: &Client, number: usize, stamped: bool) -> Result<JoinHandle<Result<Instant>>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let (mut left, version) = differing(&nodes, stamped).await?;
    ensure!(left.len() == number, "{} of {number} nodes have to change, and all should", left.len());
    let mut events = follow(&nodes, &version).await?;
    let all = async move {
        while !left.is_empty() {
            match events.try_next().await {
                Ok(Some(WatchEvent::Modified(node))) => {
                    let name = node.name_any();
                    let _ = if carries(&node) == stamped { left.remove(&name) } else { left.insert(name) };
                }
                Ok(Some(WatchEvent::Added(_) | WatchEvent::Deleted(_) | WatchEvent::Bookmark(_))) => {}
                // The API server cuts watches off that cannot keep up, as on a machine with too much to do.
                Ok(None | Some(WatchEvent::Error(_))) | Err(_) => {
                    let (differing, version) = differing(&nodes, stamped).await?;
                    left = differing;
                    events = follow(&nodes, &version).await?;
                }
            }
        }
        Ok(Instant::now())
    };
    Ok(tokio::spawn(async move {
        let late = || format!("not all nodes have changed within {} s", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, all).await.with_context(late)?
    }))
}

/// Watch events of nodes after `version`.
async fn follow(
    nodes: &Api<Node>,
    version: &str,
) -> Result<BoxStream<'static, kube::Result<WatchEvent<PartialObjectMeta<Node>>>>> {
    let params = WatchParams::default().timeout(290);
    Ok(nodes.watch_metadata(&params, version).await.context("cannot watch nodes")?.boxed())
}

/// The nodes that carry the stamp and should not, or the other way round, and the version of that list.
async fn differing(nodes: &Api<Node>, stamped: bool) -> Result<(BTreeSet<String>, String)> {
    let listed = nodes.list_metadata(&ListParams::default()).await.context("cannot list nodes")?;
    let names = listed.items.iter().filter(|node| carries(node) != stamped).map(ResourceExt::name_any).collect();
    Ok((names, listed.metadata.resource_version.unwrap_or_default()))
}

fn carries(node: &PartialObjectMeta<Node>) -> bool {
    node.labels().get(TOGGLED).is_some_and(|value| value == "true")
}
