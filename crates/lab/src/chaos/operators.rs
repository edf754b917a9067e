//! Operator replicas: two of them, which faults kill, pause, resume and uninstall.
//!
//! Each replica that is started has an identity of its own, as a pod that replaces another; as many as are missing are
//! started after every fault.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};

use super::{skewed_replica::SkewedReplica, snapshot::ObjectSnapshot, wall_clock::now};
use crate::{ControlPlane, OperatorProcess, eventually};

/// Timeout of a replica's start while faults are injected.
const PATIENCE: Duration = Duration::from_mins(2);
/// Interval between looks for the leader.
const INTERVAL: Duration = Duration::from_millis(100);
/// For how long a replica must be stopped so that another leads when it goes on.
const LEASE: Duration = Duration::from_secs(17);
/// By how much a clock jumps: past the end of every certificate.
const JUMP: Duration = Duration::from_hours(24 * 365 * 80);

/// The replicas. Each start has a name of its own, as a pod that replaces another.
pub(super) struct OperatorReplicas<'a> {
    cluster: &'a ControlPlane,
    replicas: Mutex<Vec<OperatorProcess>>,
    /// One that is stopped where it stood, and since when.
    paused: Mutex<Option<(OperatorProcess, Instant)>>,
    started: Mutex<usize>,
}

impl<'a> OperatorReplicas<'a> {
    /// Starts both.
    pub(super) async fn start(cluster: &'a ControlPlane) -> Result<Self> {
        let this = Self { cluster, replicas: Mutex::default(), paused: Mutex::default(), started: Mutex::default() };
        this.complete().await?;
        Ok(this)
    }

    /// Starts the replicas that are missing.
    async fn complete(&self) -> Result<()> {
        let missing = 2_usize.saturating_sub(self.replicas.lock().await.len());
        for _ in 0..missing {
            let identity = format!("--identity={}", self.identity().await);
            let started = eventually("a replica of the operator to start", PATIENCE, async || {
                self.cluster.start_operator([identity.clone()]).await
            });
            let started = started.await?;
            self.replicas.lock().await.push(started);
        }
        Ok(())
    }

    /// A name that no replica has had.
    async fn identity(&self) -> String {
        let mut started = self.started.lock().await;
        *started += 1;
        format!("replica-{started}")
    }

    /// Index of the replica that leads.
    async fn leader(&self) -> Option<usize> {
        let replicas = self.replicas.lock().await;
        for (index, replica) in replicas.iter().enumerate() {
            if leads(replica).await {
                return Some(index);
            }
        }
        None
    }

    /// Fails unless one of them leads.
    pub(super) async fn led(&self) -> Result<()> {
        ensure!(self.leader().await.is_some(), "no replica leads");
        Ok(())
    }

    /// Takes the leader out of the list, or any replica.
    async fn take_leader(&self) -> Result<OperatorProcess> {
        let index = self.leader().await.unwrap_or_default();
        let mut replicas = self.replicas.lock().await;
        ensure!(index < replicas.len(), "no replica runs");
        Ok(replicas.remove(index))
    }

    pub(super) async fn kill_leader(&self) -> Result<()> {
        self.take_leader().await?.kill().await;
        self.complete().await
    }

    pub(super) async fn kill_all(&self, away: Duration) -> Result<()> {
        let replicas = std::mem::take(&mut *self.replicas.lock().await);
        for replica in replicas {
            replica.kill().await;
        }
        sleep(away).await;
        self.complete().await
    }

    /// Pauses the leader (SIGSTOP) and starts a replica in its place, as a node's pods are replaced elsewhere.
    pub(super) async fn pause(&self) -> Result<()> {
        let mut paused = self.paused.lock().await;
        if paused.is_none() {
            let leader = self.take_leader().await?;
            leader.pause();
            *paused = Some((leader, Instant::now()));
            drop(paused);
            self.complete().await?;
        }
        Ok(())
    }

    /// Resumes the paused replica beside the others, until it has seen that another leads, and ends it.
    pub(super) async fn resume(&self) -> Result<()> {
        let paused = self.paused.lock().await.take();
        if let Some((paused, since)) = paused {
            // Until then it may lead. An earlier pause that was cut short may be what is remedied.
            sleep_until(since + LEASE).await;
            paused.resume();
            // It must find out that it leads no more, and write nothing. The audit log has what it wrote.
            let found_out = eventually("a paused leader to see that another leads", PATIENCE, async || {
                ensure!(!leads(&paused).await, "it leads");
                paused.get("/healthz").await?;
                anyhow::Ok(())
            });
            found_out.await.context("a paused leader that woke up")?;
            paused.terminate().await;
        }
        Ok(())
    }

    /// Has a replica lead whose clock then jumps past the end of every certificate. It must write nothing by that clock,
    /// and leave the lead to one of two others.
    pub(super) async fn jump_clock(&self, client: &Client) -> Result<()> {
        let skewed = SkewedReplica::start(self.cluster, self.identity().await).await?;
        let before = std::mem::take(&mut *self.replicas.lock().await);
        for replica in &before {
            replica.terminate_placement().await;
        }
        eventually("the replica whose clock will jump to lead", PATIENCE, async || {
            ensure!(skewed.leads().await?, "it does not lead");
            ObjectSnapshot::read(client, false).await?.stamps_agree(now())
        })
        .await?;
        // Admission has its halves until others have come.
        self.complete().await?;
        for replica in before {
            replica.terminate().await;
        }
        skewed.jump(JUMP);
        let mut wrong = None;
        eventually("another to lead than the one whose clock has jumped", PATIENCE, async || {
            let agree = ObjectSnapshot::read(client, false).await?.stamps_agree(now());
            wrong = wrong.take().or(agree.err());
            ensure!(!skewed.leads().await?, "it leads");
            self.led().await
        })
        .await?;
        skewed.end().await?;
        ensure!(wrong.is_none(), "stamps followed a clock that had jumped: {wrong:?}");
        Ok(())
    }

    /// Ends all replicas and uninstalls the chart, as somebody who passes over what the chart checks before.
    pub(super) async fn uninstall(&self) -> Result<()> {
        let replicas = std::mem::take(&mut *self.replicas.lock().await);
        let paused = self.paused.lock().await.take();
        if let Some((replica, _)) = paused {
            replica.kill().await;
        }
        for replica in replicas {
            replica.terminate().await;
        }
        let arguments = ["uninstall", "rempart", "--namespace", "rempart-system", "--no-hooks", "--ignore-not-found"];
        eventually("the chart to be uninstalled", PATIENCE, async || self.cluster.helm(arguments).run().await).await?;
        Ok(())
    }

    /// Installs the chart again, and starts the replicas.
    pub(super) async fn install(&self) -> Result<()> {
        eventually("the chart to be installed", PATIENCE, async || self.cluster.install_chart(&json!({})).await)
            .await?;
        self.complete().await
    }

    /// Fails when a replica has ended by itself.
    pub(super) async fn check(&self) -> Result<()> {
        for replica in &*self.replicas.lock().await {
            replica.check()?;
        }
        Ok(())
    }

    /// Waits until a replica leads.
    pub(super) async fn until_led(&self) {
        while self.led().await.is_err() {
            sleep(INTERVAL).await;
        }
    }
}

async fn leads(replica: &OperatorProcess) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(2), replica.leads()).await, Ok(Ok(true)))
}
