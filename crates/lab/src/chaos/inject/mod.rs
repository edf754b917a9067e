//! Fault injection into the cluster.
//!
//! [`FaultInjector::inject`] takes a fault and returns when its effect is complete: the facts are written, the process
//! is killed and started again, the nodes are unreachable or back with all their pods.

mod nodes;
mod record_facts;
mod relabelling;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use kube::Client;
use rempart_audit::LeaderGap;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::relabelling::NamespaceRelabelling;
use super::{
    availability::AvailabilityMonitor,
    facts::{FaultState, SHAKEN, VAULT},
    fault::InjectedFault,
    leader_gaps::LeaderGaps,
    operators::OperatorReplicas,
    requests::{create_dry, list},
    wall_clock::now,
    webhook::ForeignWebhook,
};
use crate::{Component, ControlPlane, eventually, rng::SeededRng};

/// Timeout until nodes are back, with all their pods.
const PATIENCE: Duration = Duration::from_mins(2);

/// Injector of faults, with the facts as it has left them.
pub(super) struct FaultInjector<'a> {
    cluster: &'a ControlPlane,
    client: Client,
    /// The client whose lists the audit log keeps.
    recorder: Client,
    operators: &'a OperatorReplicas<'a>,
    leader_gaps: &'a LeaderGaps,
    availability: &'a AvailabilityMonitor,
    rng: SeededRng,
    state: FaultState,
    partitioned: BTreeSet<&'static str>,
    relabelling: NamespaceRelabelling,
    webhook: ForeignWebhook,
    /// When Rempart was away.
    uninstalled: Vec<LeaderGap>,
}

/// Those to whom faults happen.
pub(super) struct FaultTargets<'a> {
    pub(super) cluster: &'a ControlPlane,
    pub(super) client: Client,
    pub(super) recorder: Client,
    pub(super) operators: &'a OperatorReplicas<'a>,
    pub(super) leader_gaps: &'a LeaderGaps,
    pub(super) availability: &'a AvailabilityMonitor,
}

impl<'a> FaultInjector<'a> {
    /// One that has injected nothing yet.
    pub(super) async fn new(targets: FaultTargets<'a>, seed: u64) -> Result<Self> {
        let FaultTargets { cluster, client, recorder, operators, leader_gaps, availability } = targets;
        Ok(Self {
            relabelling: NamespaceRelabelling::new(client.clone()),
            webhook: ForeignWebhook::start(cluster, client.clone()).await?,
            cluster,
            client,
            recorder,
            operators,
            leader_gaps,
            availability,
            rng: SeededRng::new(seed.rotate_left(32)),
            state: FaultState::default(),
            partitioned: BTreeSet::new(),
            uninstalled: Vec::new(),
        })
    }

    /// Injects a fault, and returns when its effect is complete.
    pub(super) async fn inject(&mut self, fault: InjectedFault) -> Result<()> {
        let mut state = self.state.clone();
        if fault.alter(&mut state) {
            return self.record_facts(state).await;
        }
        match fault {
            InjectedFault::Partition(name, true) => self.partition(name).await,
            InjectedFault::Partition(name, false) => self.rejoin(name).await,
            InjectedFault::Relabel(goes_on) => {
                self.relabelling.set(goes_on);
                Ok(())
            }
            InjectedFault::SlowWebhook(slow) => self.webhook.set_slow(slow).await,
            InjectedFault::RefusingWebhook(refuses) => self.webhook.set_refusing(refuses).await,
            InjectedFault::Pause(true) => {
                self.leader_gaps.begin("leader paused");
                self.operators.pause().await
            }
            InjectedFault::Pause(false) => self.operators.resume().await,
            InjectedFault::KillLeader => {
                self.leader_gaps.begin("leader killed");
                self.operators.kill_leader().await
            }
            InjectedFault::KillAll => {
                self.leader_gaps.begin("all replicas killed");
                let away = self.away();
                self.operators.kill_all(away).await
            }
            InjectedFault::ClockJump => {
                self.leader_gaps.begin("clock jumped");
                self.operators.jump_clock(&self.client).await
            }
            InjectedFault::Reinstall => {
                self.leader_gaps.begin("uninstalled");
                let from = now();
                let away = self.away();
                self.operators.uninstall().await?;
                sleep(away).await;
                self.operators.install().await?;
                self.until_completed().await?;
                self.uninstalled.push(LeaderGap { from, until: now(), why: "uninstalled".to_owned() });
                self.leader_gaps.begin("installed");
                Ok(())
            }
            InjectedFault::KillApiServer => self.kill(Component::ApiServer, "API server killed").await,
            InjectedFault::KillEtcd => self.kill(Component::Etcd, "etcd killed").await,
            _ => Ok(()),
        }
    }

    /// Remedies every fault that is still in effect, but for the pool whose pods must be kept, and but for the namespace
    /// that is relabelled without pause: nothing else may wait for that.
    pub(super) async fn restore_all(&mut self) -> Result<()> {
        self.relabelling.set(true);
        self.webhook.set_slow(false).await?;
        self.webhook.set_refusing(false).await?;
        let rest = FaultState {
            expired: self.state.expired.intersection(&[VAULT].into()).copied().collect(),
            ..FaultState::default()
        };
        self.record_facts(rest).await?;
        for name in SHAKEN.into_iter().filter(|name| self.partitioned.contains(name)).collect::<Vec<_>>() {
            self.rejoin(name).await?;
        }
        self.requeue_job_pods().await?;
        self.operators.resume().await
    }

    /// When Rempart was away, until pods were completed again.
    pub(super) fn uninstalled(&mut self) -> Vec<LeaderGap> {
        std::mem::take(&mut self.uninstalled)
    }

    /// Waits until pods are completed for every policy that enforces: statuses may be from before.
    async fn until_completed(&self) -> Result<()> {
        let governs = |policy: &str| !self.state.deleted.contains(policy);
        let mut expected = Vec::new();
        if governs("state") {
            expected.extend(["claims", "archive", "garden"].map(|namespace| (namespace, "/state.")));
        }
        if governs("green") && !self.state.suspended {
            expected.push(("garden", "/green."));
        }
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "asked-", "annotations": {"rempart.dev/sensitivity": "restricted"}},
            "spec": {"containers": [{"name": "main", "image": "example.test/none"}]},
        });
        eventually("pods to be completed", PATIENCE, async || {
            for (namespace, key) in &expected {
                let made = create_dry(&self.client, &format!("/api/v1/namespaces/{namespace}/pods"), &pod).await?;
                let selector = made.pointer("/spec/nodeSelector").and_then(Value::as_object);
                let completed = selector.is_some_and(|selector| selector.keys().any(|found| found.contains(key)));
                ensure!(completed, "one of {namespace} does not select by {key}");
            }
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    fn away(&mut self) -> Duration {
        self.rng.between(Duration::from_millis(500), Duration::from_secs(4))
    }

    /// Kills a component, and starts it again after a while.
    async fn kill(&mut self, component: Component, why: &str) -> Result<()> {
        self.leader_gaps.begin(why);
        self.cluster.kill(component).await?;
        sleep(self.away()).await;
        self.cluster.start_again(component).await?;
        self.list_all().await
    }

    /// Lists all facts and pods into the audit log, since a kill may have lost events.
    pub(super) async fn list_all(&self) -> Result<()> {
        for path in [
            "/api/v1/pods",
            "/api/v1/namespaces",
            "/api/v1/nodes",
            "/apis/rempart.dev/v1alpha1/cloudproviders",
            "/apis/rempart.dev/v1alpha1/placementpools",
            "/apis/rempart.dev/v1alpha1/placementpolicies",
        ] {
            let listed = eventually(format!("{path} to be listed"), PATIENCE, async || {
                list(&self.recorder, path).await.map(drop).map_err(|error| error.to_string())
            });
            listed.await?;
        }
        Ok(())
    }
}
