//! Audit log: one answered request a line.
//!
//! It takes lines of JSON and returns events in the order of the log. A line that cannot be read is counted, never
//! fatal.

use std::io::{BufRead, Result};

use jiff::Timestamp;
use serde_json::Value;

/// A request that was answered.
#[derive(Clone, Debug)]
pub(super) struct AuditEvent {
    /// When it came. What it changed was not changed before.
    pub(super) received: Timestamp,
    /// When it was answered. What it changed was changed by then.
    pub(super) complete: Timestamp,
    pub(super) user: String,
    pub(super) verb: String,
    /// With its subresource: `pods/binding`.
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) code: u64,
    pub(super) request: Value,
    pub(super) response: Value,
}

/// All that was asked and answered, in the order in which it was written down.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    pub(super) events: Vec<AuditEvent>,
    pub(super) unreadable: usize,
}

impl AuditLog {
    /// Reads a log. A line that an API server was killed over is counted and passed over.
    pub(super) fn read(lines: impl BufRead) -> Result<Self> {
        let mut log = Self::default();
        for line in lines.split(b'\n') {
            let line = line?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Value>(&line).ok().and_then(|mut line| event(&mut line)) {
                Some(Some(event)) => log.events.push(event),
                Some(None) => {}
                None => log.unreadable += 1,
            }
        }
        Ok(log)
    }
}

/// The text at a JSON pointer; nothing where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `None` when the line is no event, `Some(None)` for one that changed nothing.
#[expect(clippy::option_option, reason = "a line that cannot be read is something else than one that says nothing")]
fn event(line: &mut Value) -> Option<Option<AuditEvent>> {
    let stage = line.get("stage")?.as_str()?;
    if stage != "ResponseComplete" || text(line, "/requestURI").contains("dryRun=All") {
        return Some(None);
    }
    let instant = |pointer| text(line, pointer).parse::<Timestamp>().ok();
    let resource = match text(line, "/objectRef/subresource") {
        "" => text(line, "/objectRef/resource").to_owned(),
        subresource => format!("{}/{subresource}", text(line, "/objectRef/resource")),
    };
    Some(Some(AuditEvent {
        received: instant("/requestReceivedTimestamp")?,
        complete: instant("/stageTimestamp")?,
        user: text(line, "/user/username").to_owned(),
        verb: text(line, "/verb").to_owned(),
        resource,
        namespace: text(line, "/objectRef/namespace").to_owned(),
        name: text(line, "/objectRef/name").to_owned(),
        code: line.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
        request: line.pointer_mut("/requestObject").map(Value::take).unwrap_or_default(),
        response: line.pointer_mut("/responseObject").map(Value::take).unwrap_or_default(),
    }))
}
