//! Bindings, evictions and deletions of the audit log, each with a verdict.
//!
//! It takes the log and the record of the run and returns findings. A binding is a breach when the pod's need was met
//! at no instant within the tolerance.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::Value;

use super::{
    clearance::NodeClearance,
    findings::{AuditBreach, AuditFindings},
    history::{AuditStage, ObjectHistory},
    leader_gaps,
    log::{AuditEvent, AuditLog, text},
    needs::PlacementNeed,
    run_record::{AuditTolerance, RunRecord},
};

/// User of the operator.
const OPERATOR: &str = "system:serviceaccount:rempart-system:rempart";

/// A pod, as it was admitted.
#[derive(Debug)]
struct AdmittedPod {
    received: Timestamp,
    complete: Timestamp,
    namespace: String,
    name: String,
    uid: String,
    /// Its annotations and the node that its author named.
    object: Value,
}

struct BindJudge<'a> {
    history: &'a ObjectHistory,
    record: &'a RunRecord,
    spans: Vec<(Timestamp, Timestamp)>,
    tolerance: AuditTolerance,
}

/// A pod, and the node that it was bound to.
struct PodBinding<'a> {
    pod: &'a AdmittedPod,
    node: &'a str,
    received: Timestamp,
    complete: Timestamp,
}

/// Verdict on a binding.
enum BindVerdict {
    /// No policy demands anything.
    Free,
    /// Allowed, or allowed until so long before.
    Allowed(Duration),
    /// Not allowed, for this reason.
    Breach(String),
}

pub(super) fn judge(log: &AuditLog, record: &RunRecord, tolerance: AuditTolerance) -> AuditFindings {
    let history = ObjectHistory::of(log, tolerance.deletion);
    let judge = BindJudge { history: &history, record, spans: leader_gaps::merged(&record.leader_gaps), tolerance };
    let pods = pods(log);
    let mut findings = AuditFindings { unreadable: log.unreadable, ..AuditFindings::default() };
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
            findings.breaches.push(AuditBreach { at: event.received, what });
            continue;
        };
        bound.insert(pod.uid.as_str(), event.complete);
        let bind = PodBinding { pod, node, received: event.received, complete: event.complete };
        match judge.verdict(&bind) {
            BindVerdict::Free => {}
            BindVerdict::Allowed(late) => {
                findings.demanding += 1;
                findings.late += usize::from(!late.is_zero());
                findings.latest = findings.latest.max(late);
            }
            BindVerdict::Breach(why) => {
                findings.demanding += 1;
                let what = format!("pod {}/{name} was bound to {node}: {why}", event.namespace);
                findings.breaches.push(AuditBreach { at: event.received, what });
            }
        }
    }
    for event in log.events.iter().filter(|event| event.user == OPERATOR) {
        removal(event, &pods, &bound, &mut findings);
    }
    findings.breaches.sort_by_key(|breach| breach.at);
    findings
}

/// Counts an eviction or deletion by the operator.
fn removal(event: &AuditEvent, pods: &[AdmittedPod], bound: &BTreeMap<&str, Timestamp>, findings: &mut AuditFindings) {
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
                findings.breaches.push(AuditBreach { at: event.received, what });
            } else {
                findings.unbound_deleted += 1;
            }
        }
        ("deletecollection", "pods", 200 | 202) => {
            let what = format!("the operator deleted all pods that it found in {}", event.namespace);
            findings.breaches.push(AuditBreach { at: event.received, what });
        }
        _ => {}
    }
}

/// All pods, in the order in which they were created.
fn pods(log: &AuditLog) -> Vec<AdmittedPod> {
    let mut pods: BTreeMap<String, AdmittedPod> = BTreeMap::new();
    let mut take = |object: &Value, received: Timestamp, complete: Timestamp| {
        let own = |pointer| text(object, pointer).to_owned();
        let uid = own("/metadata/uid");
        let kept = serde_json::json!({ "metadata": { "annotations": object.pointer("/metadata/annotations") } });
        pods.entry(uid.clone()).or_insert(AdmittedPod {
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
fn find<'a>(pods: &'a [AdmittedPod], namespace: &str, name: &str, uid: &str, by: Timestamp) -> Option<&'a AdmittedPod> {
    let mut named = pods.iter().rev().filter(|pod| pod.namespace == namespace && pod.name == name);
    named.find(|pod| if uid.is_empty() { pod.received <= by } else { pod.uid == uid })
}

impl BindJudge<'_> {
    /// The operator's clock at an instant.
    fn clock(&self, at: Timestamp) -> Timestamp {
        let ahead = self.record.clock.iter().rev().find(|(since, _)| *since <= at).map(|(_, ahead)| *ahead);
        at.checked_add(ahead.unwrap_or_default()).unwrap_or(at)
    }

    /// The instants from `from` to `until` from which on something may be otherwise, `from` included, in order.
    fn instants(&self, from: Timestamp, until: Timestamp, stage: AuditStage) -> Vec<Timestamp> {
        let turns = self.record.clock.iter().map(|(since, _)| *since).filter(|at| (from..=until).contains(at));
        let midnight = self.clock(until).to_zoned(TimeZone::UTC).start_of_day().ok().map(|day| day.timestamp());
        let since_midnight = midnight.map(|midnight| leader_gaps::between(midnight, self.clock(until)));
        let midnight =
            since_midnight.map(|passed| leader_gaps::before(until, passed)).filter(|at| (from..=until).contains(at));
        let mut instants: Vec<_> =
            self.history.changes(from, until, stage).chain(turns).chain(midnight).chain([from]).collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// The needs that admission may have seen when the pod was created, each once.
    fn needs(&self, pod: &AdmittedPod) -> Vec<PlacementNeed> {
        let from = leader_gaps::back(pod.received, self.tolerance.admission, &self.spans);
        let mut needs = Vec::new();
        if self.record.uninstalled.iter().any(|gap| gap.from <= pod.complete && from <= gap.until) {
            needs.push(PlacementNeed { namespace: pod.namespace.clone(), demands: vec![] });
        }
        for stage in [AuditStage::RequestReceived, AuditStage::ResponseComplete] {
            for at in self.instants(from, pod.complete, stage).into_iter().rev() {
                let facts = self.history.at(at, stage, self.clock(at));
                let need = PlacementNeed::of(&facts, &pod.namespace, &pod.object);
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
        needs
    }

    fn verdict(&self, bind: &PodBinding<'_>) -> BindVerdict {
        let needs = self.needs(bind.pod);
        if needs.iter().any(|need| need.demands.is_empty()) {
            return BindVerdict::Free;
        }
        let from = leader_gaps::back(bind.received, self.tolerance.stamps, &self.spans);
        let mut least: Option<Duration> = None;
        let mut why = None;
        for stage in [AuditStage::RequestReceived, AuditStage::ResponseComplete] {
            // Until when the state is as it is at the instant that is looked at.
            let mut ended = None;
            for at in self.instants(from, bind.complete, stage).into_iter().rev() {
                let facts = self.history.at(at, stage, self.clock(at));
                let clearance = NodeClearance::of(&facts, bind.node);
                let refusals: Vec<_> = needs.iter().filter_map(|need| clearance.refuses(need)).collect();
                if refusals.len() < needs.len() {
                    let late =
                        ended.map_or(Duration::ZERO, |ended| leader_gaps::led_time(ended, bind.received, &self.spans));
                    least = Some(least.map_or(late, |least| least.min(late)));
                    break;
                }
                why = why.or(refusals.into_iter().next());
                ended = Some(at);
            }
        }
        match least {
            Some(late) => BindVerdict::Allowed(late),
            None => BindVerdict::Breach(why.unwrap_or_default()),
        }
    }
}
