//! Resources of an operator that follows everything that runs: nodes, and pods that real controllers make, the real
//! scheduler places and kwok runs.
//!
//! The operator starts where all of that exists already, so that its first lists are the largest that they can be, and
//! then records every workload. It is measured until nothing is left to write, at rest, and once more from a start
//! where the records exist as well; at last a provider loses its certificate, and the pods on its nodes migrate.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams, WatchEvent, WatchParams},
};
use serde::Serialize;

use super::{
    figures::{AimLimit, FigureSpread, PerformanceAim},
    fixture,
    machine::{self, ProcessMemory, mib},
};
use crate::{Component, ControlPlane, OperatorProcess, ProgressDisplay, eventually, progress::ProgressStep};
use rempart::api;
use rempart_core::keys;

/// Pods of a Deployment.
const REPLICAS: usize = 10;
/// Namespaces that they are in.
const NAMESPACES: usize = 50;
/// Deployments that are created at a time.
const CONCURRENCY: usize = 16;
/// Interval between polls of the cluster.
const LOOK: Duration = Duration::from_secs(2);
/// Timeout until all pods run, and until all records are written.
const PATIENCE: Duration = Duration::from_hours(1);
/// Time after which the operator has nothing left to do about a change.
const SETTLED: Duration = Duration::from_secs(6);
/// Longest wait for the first wave.
const WAVE: Duration = Duration::from_secs(20);

/// Size of the measurement.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FleetSize {
    pub(super) nodes: usize,
    pub(super) pods: usize,
    pub(super) rest: Duration,
}

/// Start of an operator: its duration, memory and processor time.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatorStart {
    /// From its start until everything was listed.
    pub(super) ready_seconds: f64,
    /// From its start until every workload had its record.
    pub(super) recorded_seconds: f64,
    /// When nothing was left to do.
    pub(super) memory: ProcessMemory,
    /// Processor time until then.
    pub(super) processor_seconds: f64,
}

/// Everything about what runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FleetFigures {
    pub(super) size: FleetSize,
    pub(super) workloads: usize,
    /// From the first Deployment until the last pod ran.
    pub(super) creating_seconds: f64,
    /// With nothing but the catalogue.
    pub(super) empty: ProcessMemory,
    /// With the nodes alone.
    pub(super) nodes_alone: ProcessMemory,
    /// With everything, and no record yet.
    pub(super) first: OperatorStart,
    /// With everything, the records included.
    pub(super) again: OperatorStart,
    /// Of one processor, while nothing happens.
    pub(super) processor_at_rest: f64,
    /// When a provider loses its certificate.
    pub(super) loss: CertificateLoss,
}

/// Consequences of a provider's lost certificate.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateLoss {
    /// Pods on its nodes.
    pub(super) pods: usize,
    /// From when the loss is recorded until the first workload is on the move.
    pub(super) first_seconds: f64,
    /// Workloads of the first wave: those that are on the move when no other has followed for a while. Nobody plays their
    /// controllers, so that no move comes to an end and makes room.
    pub(super) wave: usize,
    /// From when the loss is recorded until the last of them is on the move.
    pub(super) wave_seconds: f64,
    /// The operator after it.
    pub(super) memory: ProcessMemory,
}

impl FleetFigures {
    pub(super) fn peak_mib(&self) -> f64 {
        let peaks = [self.first.memory, self.again.memory, self.loss.memory].map(|memory| memory.peak_kib);
        mib(peaks.into_iter().max().unwrap_or_default())
    }

    pub(super) fn bytes_per_node(&self) -> f64 {
        self.nodes_alone.growth_per(self.empty, self.size.nodes)
    }

    /// With all that there is for a pod: what makes it, and the record of its workload.
    pub(super) fn bytes_per_pod(&self) -> f64 {
        self.again.memory.growth_per(self.nodes_alone, self.size.pods)
    }

    pub(super) fn aims(&self) -> Vec<PerformanceAim> {
        let FleetSize { nodes, pods, .. } = self.size;
        vec![
            PerformanceAim::new(
                format!("operator at {nodes} nodes and {pods} pods, peak"),
                "MiB",
                FigureSpread::of([self.peak_mib()]),
                AimLimit::AtMost(64.0),
            ),
            PerformanceAim::new(
                format!("a loss that hits {} pods, until the first moves, 2 s of settling included", self.loss.pods),
                "s",
                FigureSpread::of([self.loss.first_seconds]),
                AimLimit::AtMost(4.0),
            ),
            PerformanceAim::new(
                "the same at rest",
                "% of a processor",
                FigureSpread::of([self.processor_at_rest * 100.0]),
                AimLimit::AtMost(2.0),
            ),
        ]
    }
}

/// Measures, on a control plane of its own with all that belongs to it.
pub(super) async fn measure(
    cluster: &ControlPlane,
    client: &Client,
    size: FleetSize,
    progress: ProgressDisplay,
) -> Result<FleetFigures> {
    let bench = FleetBench { cluster, client, size, workloads: size.pods.div_ceil(REPLICAS) };
    let step = progress.step("pods: the operator without any node");
    let empty = bench.memory(0).await?;
    step.done();

    let step = progress.step(format!("pods: creating {} nodes", size.nodes));
    fixture::create_nodes(client, size.nodes, true).await?;
    step.note("stamping them");
    let nodes_alone = bench.memory(size.nodes).await?;
    step.done();

    let step = progress.step(format!("pods: creating {}", size.pods));
    let began = Instant::now();
    bench.create().await?;
    bench.running(&step).await?;
    let creating_seconds = began.elapsed().as_secs_f64();
    step.done();
    // Nothing but the operator and whom it talks to: what is measured at rest is its own.
    for component in [Component::Kwok, Component::Scheduler, Component::ControllerManager] {
        cluster.kill(component).await?;
    }

    let step = progress.step("pods: the operator, for the first time");
    let (operator, first) = bench.start(&step).await?;
    operator.terminate().await;
    step.done();
    let step = progress.step("pods: the operator, once more");
    let (operator, again) = bench.start(&step).await?;
    step.done();
    let step = progress.step(format!("pods: the operator at rest for {} s", size.rest.as_secs()));
    let (before, began) = (machine::processor_time(operator.pid())?, Instant::now());
    tokio::time::sleep(size.rest).await;
    let used = machine::processor_time(operator.pid())?.saturating_sub(before);
    let processor_at_rest = used.div_duration_f64(began.elapsed());
    operator.check()?;
    step.done();
    let step = progress.step("pods: a certificate is lost");
    let loss = bench.lose(&operator).await?;
    operator.terminate().await;
    step.done();
    Ok(FleetFigures {
        size,
        workloads: bench.workloads,
        creating_seconds,
        empty,
        nodes_alone,
        first,
        again,
        processor_at_rest,
        loss,
    })
}

struct FleetBench<'a> {
    cluster: &'a ControlPlane,
    client: &'a Client,
    size: FleetSize,
    workloads: usize,
}

impl FleetBench<'_> {
    /// Memory of an operator that has stamped `nodes` nodes and has nothing left to do.
    async fn memory(&self, nodes: usize) -> Result<ProcessMemory> {
        let operator = self.cluster.start_operator(fixture::operator_arguments()).await?;
        let known: Api<Node> = Api::all(self.client.clone());
        eventually("all nodes to be stamped", PATIENCE, async || {
            operator.check()?;
            let stamped = known.list_metadata(&ListParams::default().labels(keys::POOL)).await?.items.len();
            ensure!(stamped == nodes, "{stamped} of {nodes} are");
            anyhow::Ok(())
        })
        .await?;
        tokio::time::sleep(SETTLED).await;
        let memory = ProcessMemory::of(operator.pid())?;
        operator.terminate().await;
        Ok(memory)
    }

    /// Creates the namespaces and the Deployments.
    async fn create(&self) -> Result<()> {
        let names: Vec<_> = (0..NAMESPACES).map(|number| format!("fleet-{number:02}")).collect();
        for name in &names {
            self.cluster.kubectl(["create", "namespace", name]).run().await?;
        }
        let place = names.iter().cycle();
        let created = (0..self.workloads).zip(place).map(|(number, namespace)| async move {
            let replicas = REPLICAS.min(self.size.pods.saturating_sub(number.saturating_mul(REPLICAS)));
            let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
            let object = serde_json::from_value(fixture::deployment(&format!("api-{number:05}"), replicas))?;
            deployments.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        });
        stream::iter(created).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Waits until all pods run.
    async fn running(&self, step: &ProgressStep) -> Result<()> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let began = Instant::now();
        loop {
            let made = count(&pods).await?;
            step.note(&format!("{made} of {} are there", self.size.pods));
            let waiting = ListParams::default().fields("status.phase!=Running").limit(1);
            if made == self.size.pods && pods.list_metadata(&waiting).await?.items.is_empty() {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "not all pods run after {} s: {made} are there", PATIENCE.as_secs());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes a certificate away, and sees what the operator makes of it.
    async fn lose(&self, operator: &OperatorProcess) -> Result<CertificateLoss> {
        let brittle = ListParams::default().labels(&format!("{}={}", keys::PROVIDER, fixture::BRITTLE));
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes: BTreeSet<_> = nodes.list_metadata(&brittle).await?.iter().map(ResourceExt::name_any).collect();
        let pods: Api<Pod> = Api::all(self.client.clone());
        let mut hit = 0_usize;
        for node in &nodes {
            let on = ListParams::default().fields(&format!("spec.nodeName={node}"));
            hit = hit.saturating_add(pods.list_metadata(&on).await?.items.len());
        }
        let deployments: Api<Deployment> = Api::all(self.client.clone());
        let seen = deployments.list_metadata(&ListParams::default().limit(1)).await?;
        let version = seen.metadata.resource_version.unwrap_or_default();
        let changes = deployments.watch(&WatchParams::default(), &version).await?;
        tokio::pin!(changes);
        let mut moving = BTreeSet::new();
        let (mut first, mut last) = (None, Duration::ZERO);
        let began = Instant::now();
        fixture::lose_certificate(self.client).await?;
        // Until none has followed for a while.
        while began.elapsed() < last.max(WAVE).saturating_add(SETTLED) {
            let Ok(Some(change)) = tokio::time::timeout(SETTLED, changes.next()).await else { continue };
            let (WatchEvent::Modified(object) | WatchEvent::Added(object)) = change? else { continue };
            let written = object.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()?.annotations.as_ref());
            if written.is_some_and(|written| written.contains_key(keys::MIGRATION)) && moving.insert(object.uid()) {
                last = began.elapsed();
                first.get_or_insert(last);
            }
        }
        operator.check()?;
        let first = first.with_context(|| format!("nothing moves, though {hit} pods may not stay"))?;
        let memory = ProcessMemory::of(operator.pid())?;
        let (first_seconds, wave_seconds) = (first.as_secs_f64(), last.as_secs_f64());
        Ok(CertificateLoss { pods: hit, first_seconds, wave: moving.len(), wave_seconds, memory })
    }

    /// Starts an operator, and waits until it has nothing left to do.
    async fn start(&self, step: &ProgressStep) -> Result<(OperatorProcess, OperatorStart)> {
        let began = Instant::now();
        let operator = self.cluster.start_operator(fixture::operator_arguments()).await?;
        let ready_seconds = began.elapsed().as_secs_f64();
        step.note("records");
        let kind = GroupVersionKind::gvk(api::GROUP, api::VERSION, "WorkloadPlacement");
        let records: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
        eventually("every workload to have its record", PATIENCE, async || {
            operator.check()?;
            let written = count(&records).await?;
            ensure!(written >= self.workloads, "{written} of {} have", self.workloads);
            anyhow::Ok(())
        })
        .await?;
        let recorded_seconds = began.elapsed().as_secs_f64();
        tokio::time::sleep(SETTLED).await;
        let written = count(&records).await?;
        ensure!(written == self.workloads, "{written} records of {} workloads", self.workloads);
        let memory = ProcessMemory::of(operator.pid())?;
        let processor_seconds = machine::processor_time(operator.pid())?.as_secs_f64();
        Ok((operator, OperatorStart { ready_seconds, recorded_seconds, memory, processor_seconds }))
    }
}

/// Number of objects of a kind.
async fn count<K>(api: &Api<K>) -> Result<usize>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let listed = api.list_metadata(&ListParams::default().limit(1)).await?;
    let more = listed.metadata.remaining_item_count.unwrap_or(0);
    Ok(listed.items.len().saturating_add(usize::try_from(more)?))
}
