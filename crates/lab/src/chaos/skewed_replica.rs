//! Replica of the operator whose clock jumps.
//!
//! It runs within this process, by a clock that can be set ahead of the machine's; the API server tells it the true
//! time. It ends with the value.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use rempart::{
    admission::AdmissionSettings,
    operator::{
        self, MoveLimits,
        clock::{Clock, SystemClock},
        component::OperatorComponent,
    },
};
use rempart_core::instant::Timestamp;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{ControlPlane, eventually, kubeconfig, ports::ReservedPort, probe::EndpointProbe};

/// Timeout of its start, and of its end.
const PATIENCE: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "rempart-system";

/// The machine's clock, and by how much this one is ahead of it.
struct SkewedClock(watch::Sender<Duration>);

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now().timestamp();
        now.checked_add(*self.0.borrow()).unwrap_or(now).into()
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }

    fn sleep_until(&self, instant: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut turned = self.0.subscribe();
        Box::pin(async move {
            while self.now() < instant {
                let ahead = *turned.borrow_and_update();
                let there = instant.timestamp().checked_sub(ahead).unwrap_or(instant.timestamp());
                tokio::select! {
                    () = SystemClock.sleep_until(there.into()) => {}
                    _ = turned.changed() => {}
                }
            }
        })
    }
}

/// A replica of `rempart run`.
pub(super) struct SkewedReplica {
    clock: Arc<SkewedClock>,
    stop: CancellationToken,
    task: JoinSet<Result<(), operator::Error>>,
    probe: EndpointProbe,
}

impl SkewedReplica {
    /// Starts one whose clock is right, and waits until it is ready.
    pub(super) async fn start(cluster: &ControlPlane, identity: String) -> Result<Self> {
        let component = OperatorComponent::Placement;
        let path = cluster.service_account_kubeconfig(NAMESPACE, component.name()).await?;
        let mut config = kubeconfig::config(&path).await?;
        config.default_retry = false;
        let port = ReservedPort::take()?.release();
        let options = operator::Options {
            component,
            listen: ([127, 0, 0, 1], port).into(),
            webhook_listen: None,
            namespace: NAMESPACE.to_owned(),
            identity,
            lease: operator::lease::LeaseDuration::default(),
            admission: AdmissionSettings {
                exempt: ["kube-system", "kube-public", "kube-node-lease"].map(str::to_owned).into(),
                schedulers: vec!["system:kube-scheduler".to_owned()],
                ..AdmissionSettings::default()
            },
            limits: MoveLimits::default(),
            history: false,
        };
        let (clock, stop) = (Arc::new(SkewedClock(watch::Sender::new(Duration::ZERO))), CancellationToken::new());
        let mut task = JoinSet::new();
        let own = Arc::clone(&clock) as Arc<dyn Clock>;
        task.spawn(operator::run(Client::try_from(config)?, options, own, stop.clone()));
        let probe = cluster.probe(&format!("http://127.0.0.1:{port}"))?;
        eventually("a replica whose clock will jump to be ready", PATIENCE, async || {
            probe.get("/readyz").await.map(drop)
        })
        .await?;
        Ok(Self { clock, stop, task, probe })
    }

    /// Whether it says that it leads.
    pub(super) async fn leads(&self) -> Result<bool> {
        let leads = "rempart_leader{component=\"placement\"} 1";
        Ok(self.probe.get("/metrics").await?.lines().any(|line| line == leads))
    }

    /// Sets its clock ahead.
    pub(super) fn jump(&self, ahead: Duration) {
        self.clock.0.send_replace(ahead);
    }

    /// Ends it as Kubernetes would.
    pub(super) async fn end(mut self) -> Result<()> {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task.join_next()).await;
        let ended = ended.context("a replica whose clock has jumped does not end")?;
        ensure!(matches!(ended, Some(Ok(Ok(())))), "a replica whose clock has jumped ended with {ended:?}");
        Ok(())
    }
}
