//! Audit events: what the API server's audit log says of who lowered a level, changed a fact or bound a pod.
//!
//! Takes lines of `audit.k8s.io/v1` events, as an API server writes them, and keeps those that answer who did what the operator
//! only saw. A line that cannot be read is counted, never fatal: an API server may be killed over one.

use std::io::{BufRead, Result};

use serde_json::Value;

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditRequest {
    /// When it was answered.
    pub at: jiff::Timestamp,
    /// The user; where somebody acted as another, that one.
    pub user: String,
    /// Who acted as that user.
    pub acting: Option<String>,
    /// The verb.
    pub verb: String,
    /// Whether the API server refused it.
    pub refused: bool,
    /// The identifier of the event.
    pub audit_id: String,
    /// The resource, as `deployments`.
    pub resource: String,
    /// The namespace of the object; empty where it has none.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The generation that it had then, where the audit log has the answer.
    pub generation: Option<i64>,
}

/// A request that lowers a sensitivity, or changes whose a node is, as a validation says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TellingRequest {
    /// The request.
    pub request: AuditRequest,
    /// The policy whose validation says so.
    pub policy: String,
    /// What it says.
    pub words: String,
    /// Whether it is about a level or category; otherwise it is about a node.
    pub lowers: bool,
}

/// A pod that was bound to a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BindingRequest {
    /// The request.
    pub request: AuditRequest,
    /// The identifier of the pod, where the audit log says it.
    pub uid: Option<String>,
    /// The node, where the audit log says it.
    pub node: Option<String>,
}

/// What was kept of an audit log.
#[derive(Debug, Default)]
pub struct AuditEvents {
    /// Who lowered what.
    pub telling: Vec<TellingRequest>,
    /// Who changed providers, pools and policies.
    pub facts: Vec<AuditRequest>,
    /// Which pods were bound.
    pub bindings: Vec<BindingRequest>,
    /// How many events were read.
    pub read: u64,
    /// How many lines could not be.
    pub unreadable: u64,
    /// From when until when there are events.
    pub span: Option<(jiff::Timestamp, jiff::Timestamp)>,
}

impl AuditEvents {
    /// Adds what `text` has.
    ///
    /// # Errors
    /// Those of `text`.
    pub fn read(&mut self, text: impl BufRead) -> Result<()> {
        for line in text.split(b'\n') {
            let line = line?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Value>(&line).ok().and_then(|event| self.take(&event)) {
                Some(()) => self.read = self.read.saturating_add(1),
                None => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
        // A rotated file may repeat what stands in another one.
        self.facts.sort();
        self.facts.dedup();
        self.telling.sort();
        self.telling.dedup();
        self.bindings.sort();
        self.bindings.dedup();
        Ok(())
    }

    /// `None` where `event` is none.
    fn take(&mut self, event: &Value) -> Option<()> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let stage = event.get("stage")?.as_str()?;
        let at: jiff::Timestamp = text("/stageTimestamp").parse().ok()?;
        let (from, until) = self.span.unwrap_or((at, at));
        self.span = Some((from.min(at), until.max(at)));
        if stage != "ResponseComplete" || text("/requestURI").contains("dryRun=All") {
            return Some(());
        }
        let user = text("/user/username");
        let (user, acting) = match text("/impersonatedUser/username") {
            "" => (user.to_owned(), None),
            other => (other.to_owned(), Some(user.to_owned())),
        };
        let subresource = text("/objectRef/subresource");
        let code = event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
        let request = AuditRequest {
            at,
            user,
            acting,
            verb: text("/verb").to_owned(),
            refused: code >= 400,
            audit_id: text("/auditID").to_owned(),
            resource: text("/objectRef/resource").to_owned(),
            namespace: text("/objectRef/namespace").to_owned(),
            name: text("/objectRef/name").to_owned(),
            generation: event.pointer("/responseObject/metadata/generation").and_then(Value::as_i64),
        };
        for (key, words) in event.get("annotations").and_then(Value::as_object).into_iter().flatten() {
            let Some((policy, what)) = telling(key) else { continue };
            self.telling.push(TellingRequest {
                request: request.clone(),
                policy: policy.to_owned(),
                words: words.as_str().unwrap_or_default().to_owned(),
                lowers: what == "lowered",
            });
        }
        let writes = ["create", "update", "patch", "delete", "deletecollection"].contains(&request.verb.as_str());
        let is_binding = subresource == "binding" || request.resource == "bindings";
        if writes && subresource.is_empty() && text("/objectRef/apiGroup") == crate::api::GROUP {
            self.facts.push(request);
        } else if is_binding && request.verb == "create" && !request.refused {
            let said = |pointer: &str| Some(text(pointer).to_owned()).filter(|text| !text.is_empty());
            let name = if request.name.is_empty() {
                text("/requestObject/metadata/name").to_owned()
            } else {
                request.name.clone()
            };
            let (uid, node) = (said("/requestObject/metadata/uid"), said("/requestObject/target/name"));
            self.bindings.push(BindingRequest { request: AuditRequest { name, ..request }, uid, node });
        }
        Some(())
    }
}

/// The policy and the word of an annotation of ours, as `rempart.state.declassify-namespaces.warn/lowered`.
fn telling(key: &str) -> Option<(&str, &str)> {
    let (validation, word) = key.rsplit_once('/')?;
    let policy = validation.strip_prefix("rempart.")?.split('.').next()?;
    ["lowered", "changed"].contains(&word).then_some((policy, word))
}
