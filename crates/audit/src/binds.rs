//! Each bind, eviction and deletion of the log, judged.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::Value;

use super::{
    Breach, Findings, Record, Tolerance,
    clearance::Standing,
    history::{Edge, History},
    log::{Event, Log, text},
    needs::Need,
    spans,
};

/// By what name the operator asks.
const OPERATOR: &str = "system:serviceaccount:rempart-system:rempart";

/// A pod, as it was admitted.
#[derive(Debug)]
struct Pod {
    received: Timestamp,
    complete: Timestamp,
    namespace: String,
    name: String,
    uid: String,
    /// Its annotations and the node that its author named.
    object: Value,
}

struct Judge<'a> {
    history: &'a History,
    record: &'a Record,
    spans: Vec<(Timestamp, Timestamp)>,
    tolerance: Tolerance,
}

/// A pod that was put somewhere.
struct Bind<'a> {
    pod: &'a Pod,
    node: &'a str,
    received: Timestamp,
    complete: Timestamp,
}

/// What is to be said of a bind.
enum Verdict {
    /// Nobody demands anything.
    Free,
    /// It was allowed, or had been until so long before.
    Allowed(Duration),
    /// It was not, for this reason.
    Breach(String),
}

pub(super) fn judge(log: &Log, record: &Record, tolerance: Tolerance) -> Findings {
    let history = History::of(log);
    let judge = Judge { history: &history, record, spans: spans::merged(&record.unattended), tolerance };
    let pods = pods(log);
    let mut findings = Findings { unreadable: log.unreadable, ..Findings::default() };
    let mut bound = BTreeMap::new();
    for event in log.events.iter().filter(|event| event.verb == "create" && event.code == 201) {
        let found = match event.resource.as_str() {
            "pods/binding" | "bindings" => {
                let name = if event.name.is_empty() { text(&event.request, "/metadata/name") } else { &event.name };
                let uid = text(&event.request, "/metadata/uid");
                let pod = find(&pods, &event.namespace, name, uid, event.complete);
                Some((pod, name, text(&event.request, "/target/name")))
            }
            // Its author has bound it, past every scheduler.
            "pods" => Some(text(&event.response, "/spec/nodeName")).filter(|node| !node.is_empty()).map(|node| {
                let name = text(&event.response, "/metadata/name");
                let uid = text(&event.response, "/metadata/uid");
                (find(&pods, &event.namespace, name, uid, event.complete), name, node)
            }),
            _ => None,
        };
        let Some((pod, name, node)) = found else { continue };
        findings.binds += 1;
        let Some(pod) = pod else {
            let what = format!("pod {}/{name} was bound to {node}, and nothing tells what it needs", event.namespace);
            findings.breaches.push(Breach { at: event.received, what });
            continue;
        };
        bound.insert(pod.uid.as_str(), event.complete);
        let bind = Bind { pod, node, received: event.received, complete: event.complete };
        match judge.verdict(&bind) {
            Verdict::Free => {}
            Verdict::Allowed(late) => {
                findings.demanding += 1;
                findings.late += usize::from(!late.is_zero());
                findings.latest = findings.latest.max(late);
            }
            Verdict::Breach(why) => {
                findings.demanding += 1;
                let what = format!("pod {}/{name} was bound to {node}: {why}", event.namespace);
                findings.breaches.push(Breach { at: event.received, what });
            }
        }
    }
    for event in log.events.iter().filter(|event| event.user == OPERATOR) {
        removal(event, &pods, &bound, &mut findings);
    }
    findings.breaches.sort_by_key(|breach| breach.at);
    findings
}

/// What the operator did to a pod that it wanted gone.
fn removal(event: &Event, pods: &[Pod], bound: &BTreeMap<&str, Timestamp>, findings: &mut Findings) {
    match (event.verb.as_str(), event.resource.as_str(), event.code) {
        ("create", "pods/eviction", 200 | 201) => findings.evictions += 1,
        ("create", "pods/eviction", 429) => findings.refused += 1,
        ("delete", "pods", 200 | 202) => {
            let uid = text(&event.response, "/metadata/uid");
            let pod = find(pods, &event.namespace, &event.name, uid, event.received);
            let stood = !text(&event.response, "/spec/nodeName").is_empty()
                || pod.is_some_and(|pod| bound.get(pod.uid.as_str()).is_some_and(|since| *since < event.received));
            if stood {
                let what = format!(
                    "the operator deleted pod {}/{} from its node, past every budget",
                    event.namespace, event.name
                );
                findings.breaches.push(Breach { at: event.received, what });
            } else {
                findings.unbound_deleted += 1;
            }
        }
        ("deletecollection", "pods", 200 | 202) => {
            let what = format!("the operator deleted all pods that it found in {}", event.namespace);
            findings.breaches.push(Breach { at: event.received, what });
        }
        _ => {}
    }
}

/// All pods, in the order in which they were created.
fn pods(log: &Log) -> Vec<Pod> {
    let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
    let mut take = |object: &Value, received: Timestamp, complete: Timestamp| {
        let own = |pointer| text(object, pointer).to_owned();
        let uid = own("/metadata/uid");
        let kept = serde_json::json!({ "metadata": { "annotations": object.pointer("/metadata/annotations") } });
        pods.entry(uid.clone()).or_insert(Pod {
            received,
            complete,
            namespace: own("/metadata/namespace"),
            name: own("/metadata/name"),
            uid,
            object: kept,
        });
    };
    for event in log.events.iter().filter(|event| event.resource == "pods") {
        match (event.verb.as_str(), event.code) {
            ("create", 201) => take(&event.response, event.received, event.complete),
            // One that an API server made, and was killed before it wrote that down.
            ("list", 200) => {
                for item in event.response.get("items").and_then(Value::as_array).into_iter().flatten() {
                    // To the second.
                    if let Ok(created) = text(item, "/metadata/creationTimestamp").parse::<Timestamp>() {
                        take(item, created, created.checked_add(1.second()).unwrap_or(created));
                    }
                }
            }
            _ => {}
        }
    }
    let mut pods: Vec<_> = pods.into_values().collect();
    pods.sort_by_key(|pod| pod.received);
    pods
}

/// The pod that a request means: by its identity where that is said, else the last of that name.
fn find<'a>(pods: &'a [Pod], namespace: &str, name: &str, uid: &str, by: Timestamp) -> Option<&'a Pod> {
    let mut named = pods.iter().rev().filter(|pod| pod.namespace == namespace && pod.name == name);
    named.find(|pod| if uid.is_empty() { pod.received <= by } else { pod.uid == uid })
}

impl Judge<'_> {
    /// What the operator's clock said.
    fn clock(&self, at: Timestamp) -> Timestamp {
        let ahead = self.record.clock.iter().rev().find(|(since, _)| *since <= at).map(|(_, ahead)| *ahead);
        at.checked_add(ahead.unwrap_or_default()).unwrap_or(at)
    }

    /// The instants from `from` to `until` from which on something may be otherwise, `from` included, in order.
    fn instants(&self, from: Timestamp, until: Timestamp, edge: Edge) -> Vec<Timestamp> {
        let turns = self.record.clock.iter().map(|(since, _)| *since).filter(|at| (from..=until).contains(at));
        let midnight = self.clock(until).to_zoned(TimeZone::UTC).start_of_day().ok().map(|day| day.timestamp());
        let since_midnight = midnight.map(|midnight| spans::between(midnight, self.clock(until)));
        let midnight =
            since_midnight.map(|passed| spans::before(until, passed)).filter(|at| (from..=until).contains(at));
        let mut instants: Vec<_> =
            self.history.changes(from, until, edge).chain(turns).chain(midnight).chain([from]).collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// What the pod may have been taken to need when it was admitted, each once.
    fn needs(&self, pod: &Pod) -> Vec<Need> {
        let from = spans::back(pod.received, self.tolerance.admission, &self.spans);
        let mut needs = Vec::new();
        for edge in [Edge::Received, Edge::Complete] {
            for at in self.instants(from, pod.complete, edge).into_iter().rev() {
                let facts = self.history.at(at, edge, self.clock(at));
                let need = Need::of(&facts, &pod.namespace, &pod.object);
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
        needs
    }

    fn verdict(&self, bind: &Bind<'_>) -> Verdict {
        let needs = self.needs(bind.pod);
        if needs.iter().any(|need| need.demands.is_empty()) {
            return Verdict::Free;
        }
        let from = spans::back(bind.received, self.tolerance.stamps, &self.spans);
        let mut least: Option<Duration> = None;
        let mut why = None;
        for edge in [Edge::Received, Edge::Complete] {
            // Until when the state is as it is at the instant that is looked at.
            let mut ended = None;
            for at in self.instants(from, bind.complete, edge).into_iter().rev() {
                let facts = self.history.at(at, edge, self.clock(at));
                let standing = Standing::of(&facts, bind.node);
                let refusals: Vec<_> = needs.iter().filter_map(|need| standing.refuses(need)).collect();
                if refusals.len() < needs.len() {
                    let late = ended.map_or(Duration::ZERO, |ended| spans::attended(ended, bind.received, &self.spans));
                    least = Some(least.map_or(late, |least| least.min(late)));
                    break;
                }
                why = why.or(refusals.into_iter().next());
                ended = Some(at);
            }
        }
        match least {
            Some(late) => Verdict::Allowed(late),
            None => Verdict::Breach(why.unwrap_or_default()),
        }
    }
}
