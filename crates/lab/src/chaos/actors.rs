//! Actors of a run: the developers who change workloads, the officer who approves stopped moves, and owners that revert.
//!
//! A developer applies one action of the load at a time and knows which workloads must exist, with how many pods. The
//! officer approves every move that the circuit breaker has stopped, after the time that it takes to read it. An owner
//! takes the note of a move out of the templates that it makes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    availability::AvailabilityMonitor,
    load::{LoadAction, LoadKind, LoadWorkload},
    raw_object::text,
    requests::{WriteVerb, attempt_write, insist, list, read},
    snapshot::ObjectSnapshot,
    wall_clock::now,
};

/// Time that an officer takes to read what a move is about.
const READING: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(1);
/// Time within which an owner looks at its templates.
const REVERTING: Duration = Duration::from_millis(300);

/// Developers with the workloads that must exist.
pub(super) struct DeveloperActors<'a> {
    client: Client,
    availability: &'a AvailabilityMonitor,
    has: Mutex<BTreeMap<String, LoadWorkload>>,
    rolls: AtomicUsize,
}

impl<'a> DeveloperActors<'a> {
    pub(super) fn new(client: Client, availability: &'a AvailabilityMonitor) -> Self {
        Self { client, availability, has: Mutex::default(), rolls: AtomicUsize::new(0) }
    }

    fn has(&self) -> MutexGuard<'_, BTreeMap<String, LoadWorkload>> {
        self.has.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies one action.
    pub(super) async fn act(&self, act: LoadAction) -> Result<()> {
        match act {
            LoadAction::Create(workload) => {
                for (path, object) in belongings(&workload) {
                    insist(&self.client, WriteVerb::Create, &path, &object).await?;
                }
                insist(&self.client, WriteVerb::Create, &workload.path(), &workload.object()).await?;
                self.availability.hold(&workload);
                self.has().insert(workload.name.clone(), workload);
            }
            LoadAction::Pause(workload) => {
                let path = format!("{}/{}", workload.path(), workload.name);
                let paused = json!({"spec": {"paused": workload.paused}});
                insist(&self.client, WriteVerb::Merge, &path, &paused).await?;
                if let Some(known) = self.has().get_mut(&workload.name) {
                    known.paused = workload.paused;
                }
            }
            LoadAction::Scale(workload) => {
                // Kubernetes itself does not keep to the strategy when a Deployment shrinks in the middle of a rollout.
                let known = self.has().get(&workload.name).cloned();
                if let Some(known) = known
                    && let Ok(found) = read(&self.client, &format!("{}/{}", known.path(), known.name)).await
                    && complete(&known, &found).is_ok()
                {
                    self.availability.hold(&workload);
                    let replicas = json!({"spec": {"replicas": workload.replicas}});
                    let path = format!("{}/{}", workload.path(), workload.name);
                    insist(&self.client, WriteVerb::Merge, &path, &replicas).await?;
                    self.has().insert(workload.name.clone(), workload);
                }
            }
            LoadAction::Roll(workload) => {
                let rolled = self.rolls.fetch_add(1, Ordering::Relaxed).to_string();
                let patch =
                    json!({"spec": {"template": {"metadata": {"annotations": {"chaos.example/rolled": rolled}}}}});
                insist(&self.client, WriteVerb::Merge, &format!("{}/{}", workload.path(), workload.name), &patch)
                    .await?;
            }
            LoadAction::Remove(workload) => {
                self.availability.release(&workload);
                self.has().remove(&workload.name);
                let path = format!("{}/{}", workload.path(), workload.name);
                insist(&self.client, WriteVerb::Delete, &path, &json!({"propagationPolicy": "Background"})).await?;
                for (path, object) in belongings(&workload) {
                    let path = format!("{path}/{}", text(&object, "/metadata/name"));
                    insist(&self.client, WriteVerb::Delete, &path, &Value::Null).await?;
                }
            }
        }
        Ok(())
    }

    /// Number of workloads that must exist.
    pub(super) fn number(&self) -> usize {
        self.has().len()
    }

    /// Fails unless every workload that must be there is, with all its pods.
    pub(super) async fn complete(&self) -> Result<()> {
        let expected: Vec<LoadWorkload> = self.has().values().cloned().collect();
        let namespaces: BTreeSet<_> = expected.iter().map(LoadWorkload::path).collect();
        let mut found = BTreeMap::new();
        for path in namespaces {
            for object in list(&self.client, &path).await? {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
                found.insert(name, object);
            }
        }
        for workload in &expected {
            let object = found.get(&workload.name);
            ensure!(object.is_some(), "{:?} {}/{} is lost", workload.kind, workload.namespace, workload.name);
            complete(workload, object.unwrap_or(&Value::Null))?;
        }
        Ok(())
    }
}

/// What belongs to a workload, each with the path of its collection: its budget, its claim and its volumes.
fn belongings(workload: &LoadWorkload) -> Vec<(String, Value)> {
    let namespace = workload.namespace;
    let budget = workload
        .disruption_budget()
        .map(|budget| (format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"), budget));
    let claim =
        workload.volume_claim().map(|claim| (format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"), claim));
    let volumes = workload.volumes().into_iter().map(|volume| ("/api/v1/persistentvolumes".to_owned(), volume));
    budget.into_iter().chain(claim).chain(volumes).collect()
}

/// Fails unless a workload has all its pods.
fn complete(workload: &LoadWorkload, found: &Value) -> Result<()> {
    let number = |pointer: &str| {
        found.pointer(pointer).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
    };
    let what = || format!("{:?} {}/{}", workload.kind, workload.namespace, workload.name);
    let wanted = match workload.kind {
        LoadKind::DaemonSet => number("/status/desiredNumberScheduled"),
        _ => workload.replicas,
    };
    let counts: &[&str] = match workload.kind {
        // Paused in the middle, it has pods of two templates, and no more than its strategy lets it have.
        LoadKind::Deployment if workload.paused => &[],
        LoadKind::Deployment => &["/status/updatedReplicas", "/status/readyReplicas", "/status/replicas"],
        LoadKind::StatefulSet => &["/status/readyReplicas"],
        LoadKind::DaemonSet => &["/status/updatedNumberScheduled", "/status/numberReady"],
        LoadKind::Job | LoadKind::IndexedJob => &["/status/succeeded"],
        LoadKind::CronJob => &[],
    };
    for pointer in counts {
        ensure!(number(pointer) == wanted, "{}: {pointer} is {} of {wanted}", what(), number(pointer));
    }
    if workload.kind == LoadKind::Deployment && workload.paused {
        let ready = number("/status/readyReplicas");
        ensure!(ready >= wanted.min(workload.floor().unwrap_or_default()), "{}: {ready} of {wanted}", what());
    }
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    let observes = !matches!(workload.kind, LoadKind::Job | LoadKind::IndexedJob | LoadKind::CronJob);
    ensure!(seen || !observes, "{} is not yet looked at", what());
    Ok(())
}

/// Takes the note of a move out of templates again, as an owner does that makes the whole of a template. Never returns.
pub(super) async fn revert_notes(client: &Client, reverted: &AtomicUsize) {
    const OWNED: &str = "/apis/apps/v1/deployments?labelSelector=chaos.example/reverted%3Dtrue";
    loop {
        sleep(REVERTING).await;
        for deployment in list(client, OWNED).await.unwrap_or_default() {
            if text(&deployment, "/spec/template/metadata/annotations/rempart.dev~1migration").is_empty() {
                continue;
            }
            let without = json!({"spec": {"template": {"metadata": {"annotations": {"rempart.dev/migration": null}}}}});
            let (namespace, name) = (text(&deployment, "/metadata/namespace"), text(&deployment, "/metadata/name"));
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            // It may be gone, or the API server away: it looks again.
            if attempt_write(client, WriteVerb::Merge, &path, &without).await.is_ok() {
                reverted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Approves every stopped move, after the time to read it. Never returns.
pub(super) async fn approve_moves(client: &Client, approved: &AtomicUsize) {
    let mut seen = BTreeSet::new();
    loop {
        sleep(INTERVAL).await;
        let Ok(snapshot) = ObjectSnapshot::read(client, false).await else { continue };
        for (policy, id) in snapshot.stopped() {
            if !seen.insert((policy.clone(), id.clone())) {
                continue;
            }
            eprintln!("  {}  policy {policy}: the move {id} is stopped; the officer reads and approves it", now());
            sleep(READING).await;
            let word = json!({"metadata": {"annotations": {"rempart.dev/approve-move": id}}});
            let path = format!("/apis/rempart.dev/v1alpha1/placementpolicies/{policy}");
            if insist(client, WriteVerb::Merge, &path, &word).await.is_ok() {
                approved.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
