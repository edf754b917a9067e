//! Simulation scripts: manifests and commands as YAML documents, in the order in which they happen.
//!
//! Takes the text of a script and returns its steps. A document with a `kind` is an object to put; every other is one
//! command, and one that nobody knows is an error.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::SignedDuration;
use rempart::operator::simulation::{ObjectKey, SimulatedFailure};
use serde::Deserialize;
use serde_json::Value;

/// A step of a script.
#[derive(Clone, Debug)]
pub(super) enum ScriptStep {
    /// Creates an object, or merges it into the one that is there.
    Put(Value),
    /// Does what a command says.
    Run(ScriptCommand),
}

/// A command.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScriptCommand {
    /// Lets so much time go by, as `5s` or `2h 30m`.
    Advance(String),
    /// Deletes an object.
    Delete(ObjectName),
    /// Whether the operator leads from now on.
    Lead(bool),
    /// Has writes fail.
    Fail(FailureSpec),
    /// Prints an object, or a field of it.
    Show(ObjectField),
    /// Prints why nothing more was written in the latest cycle.
    Report(ReportFormat),
    /// Prints what was told of what ran where, since this was last asked.
    History(HistoryFormat),
    /// Ends the script with an error unless a field is what it says; without `value`, unless it is not there.
    Expect(Expectation),
}

/// An object, by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectName {
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl ObjectName {
    /// As the simulation calls it.
    pub(super) fn key(&self) -> ObjectKey {
        let name = match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        };
        ObjectKey { kind: self.kind.clone(), name }
    }
}

/// A field of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectField {
    /// The object.
    pub(super) object: ObjectName,
    /// A JSON pointer (RFC 6901), as `/metadata/labels`; the whole object when absent.
    #[serde(default)]
    pub(super) at: String,
}

/// What a field should be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// The object.
    pub(super) object: ObjectName,
    /// A JSON pointer.
    #[serde(default)]
    pub(super) at: String,
    /// What is there; nothing when absent.
    pub(super) value: Option<Value>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReportFormat {
    /// What is held back, a line for each reason.
    Held,
    /// All of it, as JSON.
    Json,
}

/// How history is printed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HistoryFormat {
    /// What each entry says, without its place in the chain.
    Told,
    /// Every line as it was told.
    Lines,
}

/// Which writes fail, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailureSpec {
    /// The kind of write, with its object or without, as `eviction Pod shop/db-0`.
    pub(super) write: String,
    /// How.
    with: FailureKind,
    /// How often.
    #[serde(default = "once")]
    pub(super) times: u32,
}

fn once() -> u32 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailureKind {
    Timeout,
    Unreachable,
    Conflict,
    Refused { code: u16, message: String },
    OverBudget { message: String },
}

impl FailureSpec {
    /// As the simulation has it.
    pub(super) fn failure(&self) -> SimulatedFailure {
        match &self.with {
            FailureKind::Timeout => SimulatedFailure::Timeout,
            FailureKind::Unreachable => SimulatedFailure::Unreachable,
            FailureKind::Conflict => SimulatedFailure::Conflict,
            FailureKind::Refused { code, message } => SimulatedFailure::Refused(*code, message.clone()),
            FailureKind::OverBudget { message } => SimulatedFailure::OverBudget(message.clone()),
        }
    }
}

/// Reads the steps of `text`.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<ScriptStep>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("the script is no YAML")?;
    let step = |(number, document): (usize, Value)| {
        if document.get("kind").is_some() {
            return Ok(ScriptStep::Put(document));
        }
        let told = document.to_string();
        match serde_json::from_value(document) {
            Ok(command) => Ok(ScriptStep::Run(command)),
            Err(error) => bail!("document {} of the script, {told}: {error}", number.saturating_add(1)),
        }
    };
    documents.into_iter().enumerate().map(step).collect()
}

/// Reads a duration, as `5s` or `2h 30m`.
pub(super) fn duration(text: &str) -> anyhow::Result<Duration> {
    let duration: SignedDuration = text.parse().with_context(|| format!("{text:?} is no duration"))?;
    Duration::try_from(duration).with_context(|| format!("{text:?} goes back"))
}
