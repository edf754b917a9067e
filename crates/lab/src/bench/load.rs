//! Pod load: creation at a steady rate, or as fast as the API server takes it.
//!
//! It takes a kind of pod and a duration and returns latencies or counts. A pod that is refused, or lacks its selector,
//! fails the benchmark.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::{runtime::Handle, sync::mpsc, task::JoinSet};

use super::fixture::{self, BARE, FLOOR, NEEDED, PLAIN};

/// Latencies are told apart between a microsecond and a minute, to three digits.
const SHORTEST: u64 = 1;
const LONGEST: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// Placeholder of the name in a pod's JSON.
const NAME: &str = "NAME-OF-THE-POD";

/// A kind of pod in a kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PodVariant {
    /// Where no policy governs.
    Bare,
    /// With its selector and the mark of a template that admission has completed, as nearly every pod, where the namespace
    /// says nothing.
    Templated,
    /// Likewise, where the namespace has a level.
    TemplatedFloor,
    /// With its selector and no mark, as somebody wrote it, where the namespace says nothing.
    Complete,
    /// Likewise, where the namespace has a level.
    CompleteFloor,
    /// Without its selector, where the namespace says nothing.
    Mutated,
    /// Without its selector, where the namespace has a level.
    MutatedFloor,
}

impl PodVariant {
    pub(super) const ALL: [Self; 7] = [
        Self::Bare,
        Self::Templated,
        Self::TemplatedFloor,
        Self::Complete,
        Self::CompleteFloor,
        Self::Mutated,
        Self::MutatedFloor,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Templated => "of a template",
            Self::TemplatedFloor => "of a template, namespace with a level",
            Self::Complete => "complete by hand",
            Self::CompleteFloor => "complete by hand, namespace with a level",
            Self::Mutated => "mutated",
            Self::MutatedFloor => "mutated, namespace with a level",
        }
    }

    pub(super) const fn namespace(self) -> &'static str {
        match self {
            Self::Bare => BARE,
            Self::Templated | Self::Complete | Self::Mutated => PLAIN,
            Self::TemplatedFloor | Self::CompleteFloor | Self::MutatedFloor => FLOOR,
        }
    }

    /// Whether it arrives with its selector.
    pub(super) const fn complete(self) -> bool {
        !matches!(self, Self::Mutated | Self::MutatedFloor)
    }

    /// Whether it arrives with the mark of a completed template. The bare one is the same text as those that do.
    const fn marked(self) -> bool {
        matches!(self, Self::Bare | Self::Templated | Self::TemplatedFloor)
    }
}

/// The fields of a created pod that are checked.
#[derive(Deserialize)]
struct CreatedPod {
    spec: CreatedSpec,
}

#[derive(Deserialize)]
struct CreatedSpec {
    #[serde(rename = "nodeSelector", default)]
    node_selector: std::collections::BTreeMap<String, String>,
}

/// Outcome of a turn at full speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct SaturatedTurn {
    pub(super) pods: u64,
    pub(super) took: Duration,
}

/// Creates pods with names that differ.
pub(super) struct PodLoad {
    client: Client,
    counter: AtomicU64,
    marked: String,
    complete: String,
    incomplete: String,
}

impl PodLoad {
    /// Pods of templates carry `mark`, labels.
    pub(super) fn new(client: Client, mark: &Map<String, Value>) -> Arc<Self> {
        let mut marked = fixture::pod(NAME, true);
        if let Some(labels) = marked.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.extend(mark.clone());
        }
        Arc::new(Self {
            client,
            counter: AtomicU64::new(0),
            marked: marked.to_string(),
            complete: fixture::pod(NAME, true).to_string(),
            incomplete: fixture::pod(NAME, false).to_string(),
        })
    }

    /// Creates one pod, and says when the whole answer had arrived. Fails when it is refused, or is not as it should be.
    pub(super) async fn create(&self, variant: PodVariant) -> Result<Instant> {
        let name = format!("pod-{}", self.counter.fetch_add(1, Ordering::Relaxed));
        let text = match (variant.marked(), variant.complete()) {
            (true, _) => &self.marked,
            (false, true) => &self.complete,
            (false, false) => &self.incomplete,
        };
        let request = Request::post(format!("/api/v1/namespaces/{}/pods", variant.namespace()))
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(text.replace(NAME, &name).into_bytes()))?;
        let (status, answer) = self.send(request).await?;
        let answered = Instant::now();
        let said = || String::from_utf8_lossy(&answer).into_owned();
        ensure!(status == StatusCode::CREATED, "the pod {name} ({}) was refused: {status} {}", variant.name(), said());
        let created: CreatedPod = serde_json::from_slice(&answer).with_context(said)?;
        ensure!(
            created.spec.node_selector.get(NEEDED).is_some_and(|value| value == "true"),
            "the pod {name} ({}) lacks its selector {NEEDED}: {}",
            variant.name(),
            said()
        );
        Ok(answered)
    }

    async fn send(&self, request: Request<Body>) -> Result<(StatusCode, impl Deref<Target = [u8]> + use<>)> {
        let response = self.client.send(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect_bytes().await?))
    }

    /// Creates pods at `rate` a second, for so long. Each latency counts from the moment at which its pod was due, so
    /// that a pod that had to wait for others is not better off for it.
    pub(super) async fn paced(
        self: &Arc<Self>,
        variant: PodVariant,
        rate: u32,
        turn: Duration,
    ) -> Result<Histogram<u64>> {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let (load, runtime) = (Arc::clone(self), Handle::current());
        // A thread of its own: the runtime's timer counts in milliseconds, which is what is measured.
        let pacer = tokio::task::spawn_blocking(move || {
            let interval = Duration::from_secs(1) / rate;
            let mut due = Instant::now() + interval;
            let end = due + turn;
            while due < end {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let (load, sender) = (Arc::clone(&load), sender.clone());
                runtime.spawn(async move {
                    let answered = load.create(variant).await;
                    // Nobody listens any more when another pod has failed.
                    let _ = sender.send(answered.map(|answered| answered.saturating_duration_since(due)));
                });
                due += interval;
            }
        });
        let mut latencies = histogram()?;
        while let Some(latency) = answers.recv().await {
            latencies.saturating_record(u64::try_from(latency?.as_micros()).unwrap_or(u64::MAX));
        }
        pacer.await?;
        Ok(latencies)
    }

    /// Creates pods for so long, `concurrency` at a time, each as soon as another is done.
    pub(super) async fn saturate(
        self: &Arc<Self>,
        variant: PodVariant,
        concurrency: usize,
        turn: Duration,
    ) -> Result<SaturatedTurn> {
        let began = Instant::now();
        let end = began + turn;
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            let load = Arc::clone(self);
            workers.spawn(async move {
                let mut pods = 0_u64;
                while Instant::now() < end {
                    load.create(variant).await?;
                    pods += 1;
                }
                anyhow::Ok(pods)
            });
        }
        let mut pods = 0;
        while let Some(worker) = workers.join_next().await {
            pods += worker??;
        }
        Ok(SaturatedTurn { pods, took: began.elapsed() })
    }

    /// Deletes all pods of a namespace.
    pub(super) async fn clear(&self, namespace: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct DeletedPods {
            items: Vec<serde::de::IgnoredAny>,
        }
        loop {
            // In parts, because the API server gives up on a request after a minute.
            let path = format!("/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0&limit=2000");
            let (status, answer) = self.send(Request::delete(path).body(Body::empty())?).await?;
            if !status.is_success() {
                bail!("cannot delete the pods of {namespace}: {status} {}", String::from_utf8_lossy(&answer));
            }
            if serde_json::from_slice::<DeletedPods>(&answer)?.items.is_empty() {
                return Ok(());
            }
        }
    }
}

/// An empty histogram of microseconds.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(SHORTEST, LONGEST, DIGITS)?)
}
