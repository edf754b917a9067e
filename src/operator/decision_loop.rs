//! The decision loop: takes in what was observed, has the engine decide, and has it written, until it is stopped.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    BACKLOG, BEAT, Error,
    cache::Observation,
    clock::Clock,
    clock_skew::ClockSkew,
    engine::Engine,
    lease::{self, Leadership},
    metrics::Metrics,
    preflight::AdmissionOwners,
    serve::HealthState,
    webhook::Webhook,
    write::{ApiWriter, WriteError, WriteTarget},
};
use rempart_core::instant::Timestamp;

/// How long writes that are under way may take to end after a stop is asked for: as long as they may take at all.
const DRAIN: Duration = lease::WRITE_DEADLINE.saturating_add(Duration::from_secs(1));

/// The decision loop, with the ends of all that runs beside it.
pub(super) struct DecisionLoop<'a> {
    pub(super) engine: Engine,
    pub(super) writer: ApiWriter,
    pub(super) observations: mpsc::Receiver<Observation>,
    pub(super) webhook: Option<&'a mut Webhook>,
    pub(super) leadership: Leadership,
    pub(super) skew: ClockSkew,
    pub(super) owners: watch::Receiver<AdmissionOwners>,
    pub(super) listed: Arc<Notify>,
    pub(super) health: HealthState,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
}

impl DecisionLoop<'_> {
    /// Takes in, decides, has it done. Ends when `stop` is cancelled and what is under way has ended, or else says no.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<bool, Error> {
        let Self {
            mut engine,
            writer,
            mut observations,
            mut webhook,
            leadership,
            skew,
            mut owners,
            listed,
            health,
            metrics,
            clock,
        } = self;
        let mut changes = leadership.changes();
        let mut under_way: JoinSet<WriteResult> = JoinSet::new();
        let mut batch = Vec::with_capacity(BACKLOG);
        let mut beat = tokio::time::interval(BEAT);
        let mut ready = false;
        loop {
            let wake = engine.wake();
            let next_change = engine.next_change();
            tokio::select! {
                // In this order, so that the same events give the same decisions: what comes seldom first.
                biased;
                () = stop.cancelled() => break,
                Ok(()) = changes.changed() => {}
                Ok(()) = owners.changed() => engine.set_admission_owners(owners.borrow_and_update().clone()),
                Some(ended) = under_way.join_next() => take_write_result(&mut engine, ended)?,
                number = observations.recv_many(&mut batch, BACKLOG) => {
                    if number == 0 {
                        break;
                    }
                    batch.drain(..).for_each(|observation| engine.observe(observation));
                }
                authorities = other_authorities(webhook.as_deref_mut()) => {
                    engine.set_authorities(authorities.map(|authorities| authorities.to_string()));
                }
                () = sleep_until(wake) => {}
                () = come(&*clock, next_change) => {}
                _ = beat.tick() => {}
            }
            // Whatever woke it: what ended meanwhile makes room for what waits, however busy the watches are.
            while let Some(ended) = under_way.try_join_next() {
                take_write_result(&mut engine, ended)?;
            }
            engine.lead(leadership.may_write(clock.uptime()) && !skew.is_wrong(&*clock));
            let began = monotonic();
            let due = engine.cycle(clock.now(), began);
            metrics.observe_cycle(began.elapsed());
            tell(&engine.take_history());
            for request in due {
                let writer = writer.clone();
                under_way.spawn(async move {
                    let target = request.target();
                    (target, writer.perform(request).await)
                });
            }
            let mut waiting_for: Vec<_> = engine.unsynced().collect();
            if let Some(webhook) = webhook.as_deref_mut().filter(|_| waiting_for.is_empty()) {
                webhook.publish(engine.cache());
            }
            if waiting_for.is_empty() && !ready {
                ready = true;
                listed.notify_one();
                tracing::info!(
                    policies = engine.cache().policies.iter().len(),
                    nodes = engine.cache().nodes.iter().len(),
                    "caches synced; reconciling"
                );
                let absent: Vec<_> = engine.absent_exempt_namespaces().collect();
                if !absent.is_empty() {
                    let namespaces = absent.join(", ");
                    tracing::warn!(
                        namespaces,
                        "exempt, but no namespace is called so: see the chart's exemptNamespaces"
                    );
                }
            }
            let now = skew.server_time(&*clock);
            waiting_for.extend(webhook.as_deref().and_then(|webhook| webhook.waiting_for(now, &metrics)));
            health.beat(waiting_for);
        }
        engine.end_history(clock.now());
        tell(&engine.take_history());
        let drained = tokio::time::timeout(DRAIN, async { while under_way.join_next().await.is_some() {} }).await;
        if drained.is_ok() {
            tracing::info!("stopped; nothing was under way any more");
        } else {
            tracing::warn!("stopped with writes under way; the next start completes them");
        }
        Ok(drained.is_ok())
    }
}

/// Writes what ran where to standard output, line by line. What cannot be written is a hole in the chain, which its reader sees.
fn tell(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::error!(%error, lines = lines.len(), "history was not written to standard output");
    }
}

/// Waits for other authorities of the webhook, where there is one.
async fn other_authorities(webhook: Option<&mut Webhook>) -> Option<Arc<str>> {
    match webhook {
        Some(webhook) => webhook.other_authorities().await,
        None => std::future::pending().await,
    }
}

/// What a request was about, and how it ended.
type WriteResult = (WriteTarget, Result<Option<Observation>, WriteError>);

/// A write without an outcome would be taken for one that is under way, and never made again: better to start anew.
fn take_write_result(engine: &mut Engine, ended: Result<WriteResult, tokio::task::JoinError>) -> Result<(), Error> {
    let (target, outcome) = ended.map_err(|error| {
        tracing::error!(%error, "a write ended without an outcome");
        Error::TaskEnded("write")
    })?;
    engine.on_write_result(&target, outcome, monotonic());
    Ok(())
}

/// The time that waits are measured by: that of the runtime, which stands still in simulations until nothing else happens.
fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

async fn come(clock: &dyn Clock, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
