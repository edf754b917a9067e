//! When nobody led: from the kill of somebody on, until the road from a fact to a bind is open again.
//!
//! It is open when a replica leads and has followed a fact of every kind that has only just been recorded, the scheduler has
//! bound a pod by the stamps that came of it, and every node carries the stamps that the facts grant. Only then are binds
//! held against facts to the second again.

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
    cluster::{Verb, apply, insist, read},
    now,
    operators::Operators,
    snapshot::Snapshot,
    world::STRAY,
};
use crate::eventually;
use rempart_audit::Unattended;

const INTERVAL: Duration = Duration::from_millis(100);
/// How long one look at the road may take before it is looked at anew.
const LOOK: Duration = Duration::from_secs(20);
/// How long after a blow nobody is blamed, at most: a lease, and the waits of those who lost sight of the API server.
const LONGEST: Duration = Duration::from_secs(40);
/// The label by which the beacon's node is told.
const BEAT: &str = "chaos.example/beat";
/// So many times it can be tried, which is more than there are kills in the longest run.
const BEATS: usize = 150;
/// The pods of a namespace that no policy governs.
const PODS: &str = "/api/v1/namespaces/free/pods";

#[derive(Debug, Default)]
struct State {
    /// Since when nobody led, and why.
    open: Option<(Timestamp, String)>,
    /// How many blows there were, and when the last was.
    blows: usize,
    last: Timestamp,
    closed: Vec<Unattended>,
}

impl State {
    /// Until when nobody is blamed: until now, but not for ever.
    fn excused(&self) -> Timestamp {
        now().min(self.last.checked_add(LONGEST).unwrap_or(Timestamp::MAX))
    }
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
        state.last = now();
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
            closed.push(Unattended { from: *from, until: state.excused(), why: why.clone() });
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
                    let until = state.excused();
                    state.closed.push(Unattended { from, until, why });
                }
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Ends well when the road is open.
async fn road(client: &Client, operators: &Operators<'_>, beat: usize) -> Result<()> {
    operators.led().await?;
    walked(client, beat).await?;
    eventually("the stamps to be what the facts grant", LOOK, async || {
        Snapshot::read(client, false).await?.stamps_agree(now())
    })
    .await?;
    operators.led().await
}

/// Makes pods that wait for a beat of their own. Early, since an API server that has just been started may refuse pods for
/// half a minute.
pub(super) async fn prepare(client: &Client) -> Result<()> {
    for beat in 1..=BEATS {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": format!("beat-{beat}")},
            "spec": {
                "containers": [{"name": "main", "image": "example.test/none"}],
                "nodeSelector": {
                    "rempart.node-restriction.kubernetes.io/zone": format!("beat-{beat}"),
                    "clearance.rempart.node-restriction.kubernetes.io/beacon.heard": "true",
                },
                "terminationGracePeriodSeconds": 0,
            },
        });
        insist(client, Verb::Create, PODS, &pod).await?;
    }
    Ok(())
}

/// Changes a fact of every kind, and waits for the pod that is bound when all of them have been followed: the zone is of
/// the provider and the pool, the pool is by a label of the node, and the policy clears this region alone.
async fn walked(client: &Client, beat: usize) -> Result<()> {
    let place = format!("beat-{beat}");
    let [provider, pool, policy] = beacon(&place);
    apply(client, "cloudproviders", &provider).await?;
    apply(client, "placementpolicies", &policy).await?;
    apply(client, "placementpools", &pool).await?;
    let node = format!("/api/v1/nodes/{STRAY}");
    insist(client, Verb::Merge, &node, &json!({"metadata": {"labels": {BEAT: place}}})).await?;
    let pod = format!("{PODS}/{place}");
    eventually("a pod to be bound by what has just been recorded", LOOK, async || {
        let pod = read(client, &pod).await?;
        ensure!(pod.pointer("/spec/nodeName").and_then(Value::as_str).is_some(), "it is not");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// A provider of no worth to anybody, its pool, and a policy that governs nothing.
fn beacon(place: &str) -> [Value; 3] {
    let object = |kind: &str, spec: Value| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": "beacon"}, "spec": spec});
    let zones = json!([{"name": place, "region": place, "country": "US"}]);
    let provider = json!({
        "operator": {"name": "beacon", "jurisdiction": "US"},
        "offers": [{"name": "iaas", "zones": zones}],
    });
    let pool = json!({
        "provider": "beacon", "offer": "iaas", "zone": place,
        "nodeSelector": {"matchLabels": {BEAT: place}},
    });
    let policy = json!({
        "mode": "Audit",
        "namespaceSelector": {"matchLabels": {"tenant": "beacon"}},
        "defaultLevel": "heard",
        "levels": [{"name": "heard", "require": {"regions": {"allow": [place]}}}],
    });
    [object("CloudProvider", provider), object("PlacementPool", pool), object("PlacementPolicy", policy)]
}
