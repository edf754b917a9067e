//! Invariants: what must hold whatever happens, judged by who shares no code with the operator.
//!
//! A [`Witness`] sees every write, when it is sent and when it arrives, and looks at the cluster every second. Clearances are
//! those that `rempart-audit` works out from the raw objects.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rempart_audit::{ClusterFacts, NodeClearance, PlacementDemand, PlacementNeed, undemanded_keys};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    controllers::{fits, is_terminating, selects, taken, text},
    link::ReplicaLink,
    server::{ApiServer, ServerState},
};

/// How long a stamp may outlive its clearance: as long as the worst that a run does to the operator keeps it from writing, a
/// lease that must run out first, and what it takes to notice and to write.
const STAMP_BOUND: Duration = Duration::from_secs(75);
/// How long ago a fact may have changed that an eviction was asked for by.
const DECIDED_WITHIN: Duration = Duration::from_secs(20);
/// The most writes of one name in a run.
const MOST_OF_ONE: usize = 150;

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    violations: Vec<String>,
    /// Since when each stamp is on a node that is not cleared for it.
    stale: BTreeMap<(String, String), Instant>,
    /// When each pod last had another place where it may be.
    had_place: BTreeMap<String, Instant>,
    writes: BTreeMap<String, usize>,
    /// When each write last arrived.
    last: Option<(Instant, String)>,
    total: usize,
    /// Every write that was carried out, with when.
    log: Vec<(Duration, String)>,
}

/// Who sees everything.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<Seen>);

impl Witness {
    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn violated(&self, at: Duration, what: &str) {
        self.with(|seen| {
            if seen.violations.len() < 10 {
                seen.violations.push(format!("{:.3} s: {what}", at.as_secs_f64()));
            }
        });
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.with(|seen| seen.violations.clone())
    }

    /// Every write that was carried out, with when.
    pub(crate) fn log(&self) -> Vec<(Duration, String)> {
        self.with(|seen| seen.log.clone())
    }

    pub(crate) fn writes(&self) -> usize {
        self.with(|seen| seen.total)
    }

    /// How long ago the last write arrived, and what it was.
    pub(crate) fn last_write(&self) -> Option<(Duration, String)> {
        self.with(|seen| seen.last.as_ref().map(|(then, what)| (then.elapsed(), what.clone())))
    }

    /// A replica sends a write: it must hold its lease, by what the API server has of it.
    pub(crate) fn sent(&self, server: &ApiServer, link: &ReplicaLink, write: &str) {
        let state = server.state();
        let lease = state.get(&("leases", "rempart-system".to_owned(), link.lease.to_owned()));
        let (at, now) = (state.epoch.elapsed(), state.epoch.now());
        drop(state);
        let is_held = lease.as_ref().is_ok_and(|lease| text(lease, "/spec/holderIdentity") == link.identity);
        if !is_held {
            let by = lease.as_ref().map(|lease| text(lease, "/spec/holderIdentity").to_owned()).unwrap_or_default();
            self.violated(
                at,
                &format!("{} sends {write:?} at {now} while {by:?} holds the lease {}", link.identity, link.lease),
            );
        }
    }

    /// A write has been carried out.
    pub(crate) fn arrived(&self, server: &ApiServer, link: &ReplicaLink, write: &str) {
        let at = server.state().epoch.elapsed();
        if write.contains(" leases ") {
            return;
        }
        let count = self.with(|seen| {
            seen.total = seen.total.saturating_add(1);
            seen.log.push((at, format!("{} {write}", link.identity)));
            seen.last = Some((Instant::now(), format!("{} by {}", write, link.identity)));
            let count = seen.writes.entry(write.to_owned()).or_default();
            *count = count.saturating_add(1);
            *count
        });
        if count == MOST_OF_ONE && !write.starts_with("create") {
            self.violated(at, &format!("{write:?} was carried out {count} times"));
        }
        if let Some(pod) = write.strip_prefix("evict pods ") {
            let place = self.with(|seen| seen.had_place.get(pod).copied());
            if place.is_none_or(|then| then.elapsed() > DECIDED_WITHIN) {
                self.violated(at, &format!("{pod} was evicted, and had no other place for {DECIDED_WITHIN:?}"));
            }
        }
    }

    /// Looks at everything.
    pub(crate) fn look(&self, state: &ServerState) {
        let (at, now) = (state.epoch.elapsed(), Instant::now());
        let facts = facts(state);
        let mut outdated = BTreeMap::new();
        for node in state.all("nodes") {
            let name = text(node, "/metadata/name");
            for key in wrong_stamps(&facts, node) {
                let known = self.with(|seen| seen.stale.get(&(name.to_owned(), key.clone())).copied());
                let since = known.unwrap_or(now);
                if now.duration_since(since) >= STAMP_BOUND {
                    self.violated(at, &format!("node {name} carries {key} for {STAMP_BOUND:?} beyond its clearance"));
                }
                outdated.insert((name.to_owned(), key), since);
            }
        }
        let counts = taken(state);
        let mut placed = Vec::new();
        for pod in state.all("pods").filter(|pod| !is_terminating(pod)) {
            if has_other_place(state, &facts, pod, &counts) {
                placed.push(format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name")));
            }
        }
        self.with(|seen| {
            seen.stale = outdated;
            seen.had_place.extend(placed.into_iter().map(|pod| (pod, now)));
        });
    }

    /// Looks at a cluster in which nothing has happened for long.
    pub(crate) fn settled(&self, state: &ServerState) {
        let (at, facts) = (state.epoch.elapsed(), facts(state));
        for node in state.all("nodes") {
            let name = text(node, "/metadata/name");
            for key in wrong_stamps(&facts, node) {
                self.violated(at, &format!("at the end node {name} carries {key} and is not cleared for it"));
            }
            for key in missing_stamps(&facts, node) {
                self.violated(at, &format!("at the end node {name} is cleared for {key} and does not carry it"));
            }
        }
        for pod in state.all("pods").filter(|pod| text(pod, "/spec/nodeName").is_empty()) {
            let (name, keys) = (text(pod, "/metadata/name"), undemanded_keys(&facts, pod));
            // A key that is retired stays where it was granted, and keeps nobody waiting there.
            let is_offered = state.all("nodes").any(|node| selects(pod.pointer("/spec/nodeSelector"), node));
            // Whoever asks for what no policy knows would be refused, and is kept.
            let need = PlacementNeed::of(&facts, text(pod, "/metadata/namespace"), pod);
            let is_known = need.demands.iter().all(|demand| !matches!(demand, PlacementDemand::Unknown { .. }));
            if !keys.is_empty() && !is_offered && is_known {
                self.violated(at, &format!("at the end pod {name} waits for {keys:?}, which no policy demands"));
            }
        }
    }
}

fn facts(state: &ServerState) -> ClusterFacts<'_> {
    fn named<'s>(state: &'s ServerState, plural: &'static str) -> BTreeMap<&'s str, &'s Value> {
        state.all(plural).map(|object| (text(object, "/metadata/name"), &**object)).collect()
    }
    ClusterFacts {
        providers: named(state, "cloudproviders"),
        pools: named(state, "placementpools"),
        policies: named(state, "placementpolicies"),
        namespaces: named(state, "namespaces"),
        nodes: named(state, "nodes"),
        now: state.epoch.now(),
    }
}

const CLEARANCE: &str = "clearance.rempart.node-restriction.kubernetes.io/";

/// The levels with demands of all policies in `Enforce` that are not about to go, as the names of their keys. Of the others no
/// node loses what something selects by.
fn demanded<'f>(facts: &'f ClusterFacts<'_>) -> impl Iterator<Item = (&'f str, &'f str)> + 'f {
    let live =
        facts.policies.iter().filter(|(_, policy)| !is_terminating(policy) && text(policy, "/spec/mode") == "Enforce");
    live.flat_map(|(name, policy)| {
        let levels = policy.pointer("/spec/levels").and_then(Value::as_array).into_iter().flatten();
        let mut demands = false;
        levels.filter_map(move |level| {
            demands |= level.get("require").is_some();
            demands.then(|| (*name, text(level, "/name")))
        })
    })
}

/// The stamps of `node` for levels that are demanded, and that it is not cleared for.
fn wrong_stamps(facts: &ClusterFacts<'_>, node: &Value) -> Vec<String> {
    let clearance = NodeClearance::of(facts, text(node, "/metadata/name"));
    let carried = |key: &String| node.pointer("/metadata/labels").and_then(|labels| labels.get(key)).is_some();
    let wrong = demanded(facts).filter(|(policy, level)| !clearance.cleared(policy, level));
    wrong.map(|(policy, level)| format!("{CLEARANCE}{policy}.{level}")).filter(carried).collect()
}

/// The stamps for levels that are demanded, that `node` is cleared for and does not carry.
fn missing_stamps(facts: &ClusterFacts<'_>, node: &Value) -> Vec<String> {
    let clearance = NodeClearance::of(facts, text(node, "/metadata/name"));
    let carried = |key: &String| node.pointer("/metadata/labels").and_then(|labels| labels.get(key)).is_some();
    let cleared = demanded(facts).filter(|(policy, level)| clearance.cleared(policy, level));
    cleared.map(|(policy, level)| format!("{CLEARANCE}{policy}.{level}")).filter(|key| !carried(key)).collect()
}

/// Whether some other node could take the successor of `pod`.
fn has_other_place(
    state: &ServerState,
    facts: &ClusterFacts<'_>,
    pod: &Value,
    counts: &BTreeMap<String, usize>,
) -> bool {
    let need = PlacementNeed::of(facts, text(pod, "/metadata/namespace"), pod);
    let own = text(pod, "/spec/nodeName");
    state.all("nodes").any(|node| {
        let name = text(node, "/metadata/name");
        let room = counts.get(name).copied().unwrap_or_default();
        let bare = serde_json::json!({});
        name != own && NodeClearance::of(facts, name).is_offered(&need) && fits(&bare, node, room)
    })
}
