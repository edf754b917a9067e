//! When nobody led: from the kill of somebody on, until the road from a fact to a bind is open again.
//!
//! It is open when a replica leads, every node carries the stamps that the facts grant, and the scheduler puts a pod on a
//! node by a label that this node has only just been given. Only then are binds held against facts to the second again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cluster::{Verb, insist, read},
    now,
    operators::Operators,
    snapshot::Snapshot,
    world::STRAY,
};
use crate::lab::{audit::Unattended, eventually};

const INTERVAL: Duration = Duration::from_millis(100);
/// How long one look at the road may take before it is looked at anew.
const LOOK: Duration = Duration::from_secs(20);
/// The label by which the scheduler is tried.
const BEAT: &str = "chaos.example/beat";
/// So many times it can be tried, which is more than there are kills in the longest run.
const BEATS: usize = 150;
/// The pods of a namespace that no policy governs.
const PODS: &str = "/api/v1/namespaces/free/pods";

#[derive(Debug, Default)]
struct State {
    /// Since when nobody led, why, and how many such blows there were.
    open: Option<(Timestamp, String)>,
    blows: usize,
    closed: Vec<Unattended>,
}

/// The record of the times when nobody led.
#[derive(Debug, Default)]
pub(super) struct Attendance(Mutex<State>);

impl Attendance {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody without whom facts are not acted on is about to be killed.
    pub(super) fn lost(&self, why: &str) {
        let mut state = self.state();
        state.blows += 1;
        match &mut state.open {
            Some((_, reasons)) => {
                reasons.push_str(", ");
                reasons.push_str(why);
            }
            none => *none = Some((now(), why.to_owned())),
        }
    }

    /// Fails while nobody leads.
    pub(super) fn restored(&self) -> Result<()> {
        match &self.state().open {
            Some((since, why)) => anyhow::bail!("the road from a fact to a bind is not open since {since} ({why})"),
            None => Ok(()),
        }
    }

    /// The times, and how long the longest was for each reason.
    pub(super) fn record(&self) -> (Vec<Unattended>, BTreeMap<String, Duration>) {
        let state = self.state();
        let mut closed = state.closed.clone();
        if let Some((from, why)) = &state.open {
            closed.push(Unattended { from: *from, until: now(), why: why.clone() });
        }
        let mut longest: BTreeMap<String, Duration> = BTreeMap::new();
        for Unattended { from, until, why } in &closed {
            let length = Duration::try_from(until.duration_since(*from)).unwrap_or_default();
            let known = longest.entry(why.clone()).or_default();
            *known = length.max(*known);
        }
        (closed, longest)
    }

    /// Finds out when the road is open again, for ever.
    pub(super) async fn follow(&self, client: &Client, operators: &Operators<'_>) {
        let mut beat = 0;
        loop {
            let since = {
                let state = self.state();
                state.open.is_some().then_some(state.blows)
            };
            if let Some(blows) = since {
                beat = beat % BEATS + 1;
                operators.until_led().await;
                let open = tokio::time::timeout(LOOK, road(client, operators, beat)).await;
                let mut state = self.state();
                if matches!(open, Ok(Ok(())))
                    && state.blows == blows
                    && let Some((from, why)) = state.open.take()
                {
                    state.closed.push(Unattended { from, until: now(), why });
                }
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Ends well when the road is open.
async fn road(client: &Client, operators: &Operators<'_>, beat: usize) -> Result<()> {
    operators.led().await?;
    Snapshot::read(client, false).await?.stamps_agree(now())?;
    scheduled(client, beat).await?;
    operators.led().await
}

fn pod_of(beat: usize) -> String {
    format!("{PODS}/beat-{beat}")
}

/// Makes pods that wait for a label of their own. Early, since an API server that has just been started may refuse pods
/// for half a minute.
pub(super) async fn prepare(client: &Client) -> Result<()> {
    for beat in 1..=BEATS {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": format!("beat-{beat}")},
            "spec": {
                "containers": [{"name": "main", "image": "example.test/none"}],
                "nodeSelector": {BEAT: beat.to_string()},
                "terminationGracePeriodSeconds": 0,
            },
        });
        insist(client, Verb::Create, PODS, &pod).await?;
    }
    Ok(())
}

/// Has the next of the pods that wait scheduled, by giving a node its label.
async fn scheduled(client: &Client, beat: usize) -> Result<()> {
    let node = format!("/api/v1/nodes/{STRAY}");
    insist(client, Verb::Merge, &node, &json!({"metadata": {"labels": {BEAT: beat.to_string()}}})).await?;
    eventually("a pod to be bound by a new label", LOOK, async || {
        let pod = read(client, &pod_of(beat)).await?;
        ensure!(pod.pointer("/spec/nodeName").and_then(Value::as_str).is_some(), "it is not");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}
