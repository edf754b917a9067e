//! Leader gaps: the times from a kill until facts propagate to binds again.
//!
//! A gap ends when a replica leads and has followed a fact of every kind that has only just been recorded, the
//! scheduler has bound a pod by the stamps that came of it, and every node carries the stamps that the facts grant.
//! Only then are binds held against facts to the second again.

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
    facts::STRAY,
    operators::OperatorReplicas,
    requests::{WriteVerb, apply, insist, read},
    snapshot::ObjectSnapshot,
    wall_clock::now,
};
use crate::eventually;
use rempart_audit::LeaderGap;

const INTERVAL: Duration = Duration::from_millis(100);
/// Timeout of one attempt to see facts propagate.
const LOOK: Duration = Duration::from_secs(20);
/// The longest excuse after the last kill: a lease, and the backoff of watches that lost the API server.
const LONGEST: Duration = Duration::from_secs(40);
/// The label by which the beacon's node is told.
const BEAT: &str = "chaos.example/beat";
/// Beacon pods, more than there are attempts in the longest run.
const BEATS: usize = 150;
/// The pods of a namespace that no policy governs.
const PODS: &str = "/api/v1/namespaces/free/pods";

#[derive(Debug, Default)]
struct GapState {
    /// Beginning of the open gap, and its reasons.
    open: Option<(Timestamp, String)>,
    /// Number of kills so far, and the instant of the last.
    kills: usize,
    last: Timestamp,
    closed: Vec<LeaderGap>,
}

impl GapState {
    /// End of the excuse: now, but not later than the longest excuse after the last kill.
    fn excused(&self) -> Timestamp {
        now().min(self.last.checked_add(LONGEST).unwrap_or(Timestamp::MAX))
    }
}

/// Recorder of leader gaps.
#[derive(Debug, Default)]
pub(super) struct LeaderGaps(Mutex<GapState>);

impl LeaderGaps {
    fn state(&self) -> MutexGuard<'_, GapState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a gap, or extends it: a process without which facts are not acted on is about to be killed.
    pub(super) fn begin(&self, why: &str) {
        let mut state = self.state();
        state.kills += 1;
        state.last = now();
        match &mut state.open {
            Some((_, reasons)) => {
                reasons.push_str(", ");
                reasons.push_str(why);
            }
            none => *none = Some((now(), why.to_owned())),
        }
    }

    /// Fails while a gap is open.
    pub(super) fn ensure_closed(&self) -> Result<()> {
        match &self.state().open {
            Some((since, why)) => anyhow::bail!("facts do not propagate to binds since {since} ({why})"),
            None => Ok(()),
        }
    }

    /// The gaps, and the longest for each reason.
    pub(super) fn report(&self) -> (Vec<LeaderGap>, BTreeMap<String, Duration>) {
        let state = self.state();
        let mut closed = state.closed.clone();
        if let Some((from, why)) = &state.open {
            closed.push(LeaderGap { from: *from, until: state.excused(), why: why.clone() });
        }
        let mut longest: BTreeMap<String, Duration> = BTreeMap::new();
        for LeaderGap { from, until, why } in &closed {
            let length = Duration::try_from(until.duration_since(*from)).unwrap_or_default();
            let known = longest.entry(why.clone()).or_default();
            *known = length.max(*known);
        }
        (closed, longest)
    }

    /// Closes gaps when facts propagate again. Never returns.
    pub(super) async fn follow(&self, client: &Client, operators: &OperatorReplicas<'_>) {
        let mut beat = 0;
        loop {
            let since = {
                let state = self.state();
                state.open.is_some().then_some(state.kills)
            };
            if let Some(kills) = since {
                beat = beat % BEATS + 1;
                operators.until_led().await;
                let open = tokio::time::timeout(LOOK, propagated(client, operators, beat)).await;
                let mut state = self.state();
                if matches!(open, Ok(Ok(())))
                    && state.kills == kills
                    && let Some((from, why)) = state.open.take()
                {
                    let until = state.excused();
                    state.closed.push(LeaderGap { from, until, why });
                }
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Returns when facts propagate to binds.
async fn propagated(client: &Client, operators: &OperatorReplicas<'_>, beat: usize) -> Result<()> {
    operators.led().await?;
    beacon_bound(client, beat).await?;
    eventually("the stamps to be what the facts grant", LOOK, async || {
        ObjectSnapshot::read(client, false).await?.stamps_agree(now())
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
        insist(client, WriteVerb::Create, PODS, &pod).await?;
    }
    Ok(())
}

/// Changes a fact of every kind, and waits for the pod that is bound when all of them have been followed: the zone is of
/// the provider and the pool, the pool is by a label of the node, and the policy clears this region alone.
async fn beacon_bound(client: &Client, beat: usize) -> Result<()> {
    let place = format!("beat-{beat}");
    let [provider, pool, policy] = beacon(&place);
    apply(client, "cloudproviders", &provider).await?;
    apply(client, "placementpolicies", &policy).await?;
    apply(client, "placementpools", &pool).await?;
    let node = format!("/api/v1/nodes/{STRAY}");
    insist(client, WriteVerb::Merge, &node, &json!({"metadata": {"labels": {BEAT: place}}})).await?;
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
