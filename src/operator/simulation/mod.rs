//! Simulation: the whole operator engine driven without a cluster, by a few maps that stand in for the API server.
//!
//! A [`SimulatedCluster`] is given objects, told to let time go on, and returns every write that the operator made
//! meanwhile. Nothing else runs: no scheduler, no controller, no admission. The same steps give the same writes.

mod objects;
mod server;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;

use self::objects::{deleted, listed, observed};
use super::{
    Settings,
    component::OperatorComponent,
    engine::{Engine, report::CycleReport},
    metrics::Metrics,
    write::{WriteError, WriteRequest},
};
use rempart_core::instant::Timestamp;

/// An object of the cluster: its kind, and its name with the namespace before it where it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The kind.
    pub kind: String,
    /// `name`, or `namespace/name`.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// An object that the simulation cannot take.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// It says no kind or no name.
    #[error("an object needs a kind and a metadata.name")]
    Unnamed,
    /// The operator follows no objects of its kind.
    #[error("the operator follows no objects of kind {0}")]
    UnknownKind(String),
    /// It is not an object of its kind.
    #[error("{0}: {1}")]
    Undecodable(ObjectKey, serde_json::Error),
}

/// How a write is to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimulatedFailure {
    /// There is no answer in time.
    Timeout,
    /// The API server is away.
    Unreachable,
    /// Somebody else was faster.
    Conflict,
    /// Somebody's admission refuses it with this code, and says so.
    Refused(u16, String),
    /// A disruption budget refuses it, and says so.
    OverBudget(String),
}

impl fmt::Display for SimulatedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Conflict => f.write_str("conflict"),
            Self::Refused(code, said) => write!(f, "refused {code} {said:?}"),
            Self::OverBudget(said) => write!(f, "over budget {said:?}"),
        }
    }
}

impl SimulatedFailure {
    fn error(&self) -> WriteError {
        let status = |code, message: &str, reason: &str| {
            let status = kube::core::Status::failure(message, reason).with_code(code);
            WriteError::Api(kube::Error::Api(status.boxed()))
        };
        match self {
            Self::Timeout => WriteError::Deadline,
            Self::Unreachable => {
                status(503, "the server is currently unable to handle the request", "ServiceUnavailable")
            }
            Self::Conflict => status(409, "the object has been modified", "Conflict"),
            Self::OverBudget(said) => {
                let status = kube::core::Status::failure("Cannot evict pod", "TooManyRequests").with_code(429);
                let cause = kube::core::response::StatusCause {
                    reason: "DisruptionBudget".to_owned(),
                    message: said.clone(),
                    field: String::new(),
                };
                let details = kube::core::response::StatusDetails {
                    name: String::new(),
                    group: String::new(),
                    kind: String::new(),
                    uid: String::new(),
                    causes: vec![cause],
                    retry_after_seconds: 0,
                };
                WriteError::Api(kube::Error::Api(status.with_details(details).boxed()))
            }
            Self::Refused(code, said) => {
                let said = format!("admission webhook \"simulated.example\" denied the request: {said}");
                status(*code, &said, "Forbidden")
            }
        }
    }
}

/// A failure that writes are to meet.
#[derive(Clone, Debug)]
struct InjectedFailure {
    write: String,
    failure: SimulatedFailure,
    times: u32,
}

/// A write that the operator made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedWrite {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The kind of write and its object, as `eviction Pod shop/db-0`.
    pub write: String,
    /// What it changed, in short; empty where the object says it.
    pub change: String,
    /// The reason of its failure, where it failed.
    pub failure: Option<&'static str>,
}

/// An API server of a few maps, two clocks, and an engine that follows it.
pub struct SimulatedCluster {
    engine: Engine,
    objects: BTreeMap<ObjectKey, Value>,
    version: u64,
    wall: Timestamp,
    monotonic: Instant,
    failures: Vec<InjectedFailure>,
    /// What was told of what ran where, and not taken yet.
    history: Vec<String>,
}

/// So many cycles follow upon each other at one instant before it counts as a loop.
const CYCLES: usize = 1000;

impl SimulatedCluster {
    /// A cluster without objects, in which every kind has been listed and the chart's admission policies are installed, at
    /// `wall`. The operator leads.
    #[must_use]
    pub fn new(settings: Settings, wall: Timestamp) -> Self {
        let told = listed(&settings.installed);
        let mut engine = Engine::new(settings, Metrics::new(OperatorComponent::Placement));
        for observation in told {
            engine.observe(observation);
        }
        engine.lead(true);
        let monotonic = Instant::now();
        Self {
            engine,
            objects: BTreeMap::new(),
            version: 0,
            wall,
            monotonic,
            failures: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Creates `object`, or merges it into the one that is there (RFC 7386), and returns what it is called.
    ///
    /// # Errors
    /// [`SimulationError`], when it is none that the operator follows.
    pub fn put(&mut self, object: &Value) -> Result<ObjectKey, SimulationError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (Some(kind), Some(name)) = (text("/kind"), text("/metadata/name")) else {
            return Err(SimulationError::Unnamed);
        };
        let name = match text("/metadata/namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        let key = ObjectKey { kind, name };
        let before = self.objects.get(&key).cloned().unwrap_or_default();
        let mut merged = before.clone();
        server::merge(&mut merged, object);
        let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
        let is_same = before.get("spec") == merged.get("spec") && !before.is_null();
        let number = self.version.saturating_add(1);
        if let Some(metadata) = merged.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.entry("uid").or_insert_with(|| format!("00000000-0000-0000-0000-{number:012}").into());
            metadata.insert("generation".to_owned(), generation.saturating_add(i64::from(!is_same)).into());
        }
        self.store(key.clone(), merged)?;
        Ok(key)
    }

    /// Deletes an object, if it is there, and says whether it was.
    pub fn delete(&mut self, key: &ObjectKey) -> bool {
        let was_there = self.objects.remove(key).is_some();
        let version = self.next_version();
        if let Some(observation) = deleted(key, version).filter(|_| was_there) {
            self.engine.observe(observation);
        }
        was_there
    }

    /// Whether the operator leads from now on.
    pub fn lead(&mut self, leads: bool) {
        self.engine.lead(leads);
    }

    /// The next `times` writes that are called `write`, as `eviction Pod shop/db-0`, or whose kind is, fail.
    pub fn fail(&mut self, write: String, failure: SimulatedFailure, times: u32) {
        self.failures.push(InjectedFailure { write, failure, times });
    }

    /// The object, as it is.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Value> {
        self.objects.get(key)
    }

    /// What came of the latest cycle.
    #[must_use]
    pub fn report(&self) -> CycleReport {
        self.engine.reports().latest()
    }

    /// What was told on standard output of what ran where since this was last asked, line by line.
    pub fn take_history(&mut self) -> Vec<String> {
        std::mem::take(&mut self.history)
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wall
    }

    /// Lets `duration` go by, with a cycle whenever the operator would wake, and returns the writes.
    pub fn advance(&mut self, duration: Duration) -> Vec<SimulatedWrite> {
        let mut writes = Vec::new();
        let end = self.monotonic + duration;
        loop {
            self.run(&mut writes);
            let change = self.engine.next_change().and_then(|change| {
                let left = change.timestamp().duration_since(self.wall.timestamp());
                Some(self.monotonic + Duration::try_from(left).ok()?)
            });
            let next = [self.engine.wake(), change].into_iter().flatten().min();
            match next.filter(|next| *next <= end && *next > self.monotonic) {
                Some(next) => self.sleep_until(next),
                None if self.monotonic < end => self.sleep_until(end),
                None => return writes,
            }
        }
    }

    fn sleep_until(&mut self, then: Instant) {
        let slept = then.saturating_duration_since(self.monotonic);
        self.monotonic = then;
        let wall = self.wall.timestamp().saturating_add(jiff::SignedDuration::try_from(slept).unwrap_or_default());
        self.wall = wall.unwrap_or(jiff::Timestamp::MAX).into();
    }

    /// Has the engine go round until it asks for nothing.
    fn run(&mut self, writes: &mut Vec<SimulatedWrite>) {
        for _ in 0..CYCLES {
            let requests = self.engine.cycle(self.wall, self.monotonic);
            self.history.extend(self.engine.take_history());
            if requests.is_empty() {
                return;
            }
            for request in requests {
                writes.push(self.answer(request));
            }
        }
    }

    fn answer(&mut self, request: WriteRequest) -> SimulatedWrite {
        let target = request.target();
        let (write, change) = (format!("{} {}", target.kind(), target.object()), server::summary(&request));
        let injected = self
            .failures
            .iter_mut()
            .find(|injected| injected.times > 0 && (injected.write == write || injected.write == target.kind()));
        let outcome = match injected {
            Some(injected) => {
                injected.times = injected.times.saturating_sub(1);
                Err(injected.failure.error())
            }
            None => Ok(self.carry_out(request)),
        };
        let failure = outcome.as_ref().err().map(|error| error.classify(&target).reason());
        self.engine.on_write_result(&target, outcome, self.monotonic);
        SimulatedWrite { at: self.wall, write, change, failure }
    }

    fn next_version(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }

    /// Keeps `object` under `key`, and has the engine observe it.
    fn store(&mut self, key: ObjectKey, mut object: Value) -> Result<(), SimulationError> {
        let version = self.next_version().to_string();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), version.into());
        }
        let observation = observed(&key, object.clone())?;
        self.engine.observe(observation);
        self.objects.insert(key, object);
        Ok(())
    }
}
