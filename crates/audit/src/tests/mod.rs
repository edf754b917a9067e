//! Audit logs and clusters written by hand, with one thing wrong in each.

mod as_it_stands;
mod binds;
mod control_plane;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AuditFindings, AuditTolerance, LeaderGap, RunRecord, check};

/// When the first second of every log is.
const BEGINNING: &str = "2026-11-22T12:00:00Z";

fn at(second: f64) -> Timestamp {
    BEGINNING.parse::<Timestamp>().unwrap() + Duration::from_secs_f64(second)
}

/// How long admission may take to learn of a fact, in seconds.
fn admission_learns() -> f64 {
    AuditTolerance::default().admission.as_secs_f64()
}

/// A log that is being written. Every request takes ten milliseconds.
#[derive(Clone, Default)]
struct AuditLogWriter {
    lines: Vec<Value>,
    revision: u64,
}

impl AuditLogWriter {
    fn event(
        &mut self,
        second: f64,
        user: &str,
        verb: &str,
        resource: &str,
        name: (&str, &str),
        code: u64,
    ) -> &mut Value {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let mut object = json!({"resource": resource, "namespace": name.0, "name": name.1});
        if !subresource.is_empty() {
            object["subresource"] = json!(subresource);
        }
        self.lines.push(json!({
            "stage": "ResponseComplete",
            "requestURI": "/",
            "requestReceivedTimestamp": at(second).to_string(),
            "stageTimestamp": at(second + 0.01).to_string(),
            "user": {"username": user},
            "verb": verb,
            "objectRef": object,
            "responseStatus": {"code": code},
        }));
        self.lines.last_mut().unwrap()
    }

    fn fact(&mut self, second: f64, resource: &str, object: &Value) {
        self.revision += 1;
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        object["metadata"]["uid"] = json!(format!("uid-{}", object["metadata"]["name"]));
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.event(second, "officer", "patch", resource, ("", &name), 200)["responseObject"] = object;
    }

    fn gone(&mut self, second: f64, resource: &str, name: &str) {
        self.event(second, "officer", "delete", resource, ("", name), 200)["responseObject"] =
            json!({"kind": "Status", "status": "Success"});
    }

    fn listed(&mut self, second: f64, resource: &str, items: &[Value]) {
        self.revision += 1;
        let list = json!({"metadata": {"resourceVersion": self.revision.to_string()}, "items": items});
        self.event(second, "recorder", "list", resource, ("", ""), 200)["responseObject"] = list;
    }

    fn pod(&mut self, second: f64, name: &str, annotations: &Value) {
        let pod = json!({
            "metadata": {"namespace": "claims", "name": name, "uid": name, "annotations": annotations},
            "spec": {},
        });
        self.event(second, "controller", "create", "pods", ("claims", ""), 201)["responseObject"] = pod;
    }

    fn bind(&mut self, second: f64, name: &str, node: &str) {
        self.event(second, "system:kube-scheduler", "create", "pods/binding", ("claims", name), 201)["requestObject"] =
            json!({"metadata": {"name": name, "uid": name}, "target": {"name": node}});
    }

    /// A pod that is made and bound at once.
    fn placed(&mut self, second: f64, name: &str, node: &str) {
        self.pod(second, name, &json!({"rempart.dev/sensitivity": "restricted"}));
        self.bind(second + 0.02, name, node);
    }

    fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
    }

    fn checked_with(&self, record: &RunRecord) -> AuditFindings {
        check(self.text().as_bytes(), record, AuditTolerance::default()).unwrap()
    }

    fn checked(&self) -> AuditFindings {
        self.checked_with(&RunRecord::default())
    }
}

fn provider() -> Value {
    json!({
        "metadata": {"name": "nord"},
        "spec": {
            "operator": {"name": "Nord", "jurisdiction": "FR"},
            "controllingParty": {"name": "Nord Group", "jurisdiction": "DE"},
            "offers": [{
                "name": "iaas",
                "technology": [{"name": "stack", "supplier": "Nord", "jurisdiction": "CH"}],
                "exposedTo": ["xx-act"],
                "zones": [{"name": "nord-1", "region": "nord", "country": "FR", "pue": 1.3, "carbonIntensity": 40}],
                "qualifications": [
                    {"scheme": "secnumcloud", "validFrom": "2024-01-01", "validUntil": "2026-11-30", "regions": ["nord"]},
                    {"scheme": "hds", "validFrom": "2024-01-01"},
                ],
            }],
        },
    })
}

fn pool() -> Value {
    json!({
        "metadata": {"name": "nord"},
        "spec": {"provider": "nord", "offer": "iaas", "zone": "nord-1", "nodeSelector": {"matchLabels": {"pool": "nord"}}},
    })
}

fn policy(require: &Value) -> Value {
    json!({
        "metadata": {"name": "state"},
        "spec": {
            "mode": "Enforce",
            "namespaceSelector": {"matchLabels": {"tenant": "state"}},
            "defaultLevel": "public",
            "levels": [{"name": "public"}, {"name": "restricted", "require": require}, {"name": "secret"}],
            "categories": [{"name": "health", "require": {"qualifications": ["hds"]}}, {"name": "remark"}],
        },
    })
}

fn namespace() -> Value {
    json!({"metadata": {"name": "claims", "labels": {"tenant": "state"}}, "spec": {}})
}

fn node(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"pool": name}}, "spec": {"providerID": format!("made:///{name}/1")}})
}

/// All facts, at second 0; node `nord` is of the one pool, node `stray` of none.
fn world(require: &Value) -> AuditLogWriter {
    let mut log = AuditLogWriter::default();
    log.fact(0.0, "cloudproviders", &provider());
    log.fact(0.0, "placementpools", &pool());
    log.fact(0.0, "placementpolicies", &policy(require));
    log.fact(0.0, "namespaces", &namespace());
    log.fact(0.0, "nodes", &node("nord"));
    log.fact(0.0, "nodes", &node("stray"));
    log
}

fn certified() -> AuditLogWriter {
    world(&json!({"qualifications": ["secnumcloud"]}))
}

fn breaches(found: &AuditFindings) -> Vec<String> {
    found.breaches.iter().map(|breach| breach.what.clone()).collect()
}
