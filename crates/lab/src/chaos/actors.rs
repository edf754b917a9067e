//! Actors of a run: the developers who change workloads, and the officer who approves stopped moves.
//!
//! A developer applies one action of the load at a time and knows which workloads must exist, with how many pods. The
//! officer approves every move that the circuit breaker has stopped, after the time that it takes to read it.

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
    requests::{WriteVerb, insist, list, read},
    snapshot::ObjectSnapshot,
    wall_clock::now,
};

/// Time that an officer takes to read what a move is about.
const READING: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(1);

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
                let budgets = format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", workload.namespace);
                if let Some(budget) = workload.disruption_budget() {
                    insist(&self.client, WriteVerb::Create, &budgets, &budget).await?;
                }
                insist(&self.client, WriteVerb::Create, &workload.path(), &workload.object()).await?;
                self.availability.hold(&workload);
                self.has().insert(workload.name.clone(), workload);
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
                if workload.budget {
                    let path = format!(
                        "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/{}",
                        workload.namespace, workload.name
                    );
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
            ensure!(object.is_some(), "{} {}/{} is lost", kind(workload), workload.namespace, workload.name);
            complete(workload, object.unwrap_or(&Value::Null))?;
        }
        Ok(())
    }
}

fn kind(workload: &LoadWorkload) -> String {
    format!("{:?}", workload.kind)
}

/// Fails unless a workload has all its pods.
fn complete(workload: &LoadWorkload, found: &Value) -> Result<()> {
    let number = |pointer| {
        found.pointer(pointer).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
    };
    let counts: &[&str] = match workload.kind {
        LoadKind::Deployment => &["/status/updatedReplicas", "/status/readyReplicas", "/status/replicas"],
        LoadKind::StatefulSet => &["/status/readyReplicas"],
        LoadKind::Job => &["/status/succeeded"],
    };
    for pointer in counts {
        ensure!(
            number(pointer) == workload.replicas,
            "{} {}/{}: {pointer} is {} of {}",
            kind(workload),
            workload.namespace,
            workload.name,
            number(pointer),
            workload.replicas
        );
    }
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    ensure!(seen || workload.kind == LoadKind::Job, "{} {} is not yet looked at", kind(workload), workload.name);
    Ok(())
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
