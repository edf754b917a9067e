//! The decision loop's state: observations in, writes out. No client, no clock, no waiting.
//!
//! Level-triggered: every cycle compares what is with what should be and asks for the difference. A write that fails or
//! comes too late is simply still a difference.
//!
//! One of several replicas leads. The others judge all the same and ask for nothing, so that whoever takes over knows at
//! once what there is to do.

mod fleet;
mod ground;
mod leading;
mod moves;
mod nodes;
pub(super) mod records;
mod statuses;
pub(super) mod stops;
#[cfg(test)]
mod tests;
mod worn;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant as Moment},
};

use super::{
    admission::Admission,
    index::{Change, Index, Mirror, Observation, Record, Touched, Versioned},
    interner::Shared,
    metrics::Metrics,
    record::Motion,
    ruling::Ruling,
    write::{Key, Notice, Write, WriteError},
};
use crate::api::conditions;
use crate::api::limits;
use rempart_core::{fleet::Uid, instant::Instant};

/// What the operator is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces that no policy governs, the operator's own among them.
    pub exempt: Vec<String>,
    /// How many nodes are written to at a time.
    pub concurrency: usize,
    /// How much may move at a time.
    pub limits: MoveLimits,
}

/// How much may move at a time, in percent of a level's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// So many are on the move together; one workload may always be.
    pub wave: u8,
    /// When more than so many would move within a minute because recorded facts changed, none does until an officer says so.
    pub breaker: u8,
}

impl Default for MoveLimits {
    fn default() -> Self {
        Self { wave: 10, breaker: 50 }
    }
}

/// The first wait after a failed write; it doubles with each further failure.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// The longest wait after a failed write.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The longest wait of all writes while the API server is away: so late may they resume when it is back.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);
/// One of so many of the writes that may be on their way at a time may be an event, and one a move. Each takes a connection
/// of its own, and stamps come first.
const SHARE: usize = 4;
/// So many events may wait; the oldest are dropped then, and counted.
const UNSENT: usize = 4096;
/// How far a clock may go back, as clocks that are kept right do, before facts are judged anew.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// How often a kind of write that fails is told of: with an API server that is away, every one fails.
const COMPLAINT_PACE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Retry {
    failures: u32,
    not_before: Moment,
}

/// How long to wait after so many failures in a row.
fn backoff(failures: u32, longest: Duration) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest)
}

/// The state.
#[expect(clippy::struct_excessive_bools, reason = "each is a note of another thing to be looked at")]
pub struct Engine {
    settings: Settings,
    metrics: Metrics,
    index: Index,
    shared: Shared,
    admission: Admission,
    leads: bool,
    ruling: Ruling,
    facts_changed: bool,
    /// Whether nodes have come, gone or changed since it was last looked at which pools have any.
    nodes_changed: bool,
    /// Whether anything of what runs has changed since it was last looked at.
    fleet_changed: bool,
    records: records::Records,
    /// How the moves of workloads go, by their identifiers.
    motions: BTreeMap<Uid, Motion>,
    statuses_due: bool,
    statuses_not_before: Option<Moment>,
    queue: nodes::Queue,
    /// What is being written, and the version of the object that the write followed from.
    under_way: BTreeMap<Key, u64>,
    retries: BTreeMap<Key, Retry>,
    /// Set while the API server is away: then no object is to blame, and one write in vain does for all.
    absence: Option<Retry>,
    /// The last status written to an object that cannot be decoded, and so cannot be compared with; without times.
    said: BTreeMap<Key, serde_json::Value>,
    /// When a failed write of each kind was last told of.
    complained: BTreeMap<&'static str, Moment>,
    wake: Option<Moment>,
    moves: moves::Moves,
    /// What people are to be told, and has not been sent.
    outbox: VecDeque<(Key, Write)>,
}

impl Engine {
    /// An engine that has seen nothing, and does not lead.
    #[must_use]
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            metrics,
            index: Index::default(),
            shared: Shared::default(),
            admission: Admission::default(),
            leads: false,
            ruling: Ruling::default(),
            facts_changed: true,
            nodes_changed: true,
            fleet_changed: true,
            records: records::Records::default(),
            motions: BTreeMap::new(),
            statuses_due: true,
            statuses_not_before: None,
            queue: nodes::Queue::default(),
            under_way: BTreeMap::new(),
            retries: BTreeMap::new(),
            absence: None,
            said: BTreeMap::new(),
            complained: BTreeMap::new(),
            wake: None,
            outbox: VecDeque::new(),
            moves: moves::Moves::new(settings.limits),
            settings,
        }
    }

    /// What has been seen.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// When the facts next change by themselves.
    #[must_use]
    pub fn next_change(&self) -> Option<Instant> {
        self.ruling.next
    }

    /// When a cycle is due though nothing is seen and no fact changes.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        self.wake
    }

    /// Takes in what was seen.
    pub fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Provider(change) => self.facts_changed |= observe_facts(&mut self.index.providers, change),
            Observation::Pool(change) => self.facts_changed |= observe_facts(&mut self.index.pools, change),
            Observation::Policy(change) => {
                self.facts_changed |= observe_facts(&mut self.index.policies, change);
                // An officer's word is an annotation.
                self.fleet_changed = true;
            }
            Observation::Node(change) => self.observe_node(change),
            Observation::MutatingBinding(change) => drop(self.index.mutating_bindings.observe(change)),
            Observation::ValidatingBinding(change) => drop(self.index.validating_bindings.observe(change)),
            Observation::MutatingPolicy(change) => drop(self.index.mutating_policies.observe(change)),
            Observation::ValidatingPolicy(change) => drop(self.index.validating_policies.observe(change)),
            Observation::Roster(change) => drop(self.index.roster.observe(change)),
            Observation::Record(change) => match self.index.records.observe(change) {
                Touched::Nothing => {}
                Touched::One(name) => self.records.seen(&name),
                Touched::All => self.records.anew(),
            },
            Observation::Pod(_)
            | Observation::Controller(..)
            | Observation::Namespace(_)
            | Observation::Claim(_)
            | Observation::Volume(_) => return self.observe_fleet(observation),
        }
        self.statuses_due = true;
    }

    /// Takes in how a write ended.
    pub fn settle(&mut self, key: &Key, outcome: Result<Option<Observation>, WriteError>, now: Moment) {
        let version = self.under_way.remove(key).unwrap_or(0);
        if key.moves() {
            self.moves.settle(key, outcome.as_ref().map(|_| ()), now);
        }
        let unreachable = outcome.as_ref().is_err_and(WriteError::unreachable);
        if !matches!(outcome, Err(WriteError::NotLeading(_))) {
            self.note_absence(unreachable, now);
        }
        let written = outcome.is_ok();
        match outcome {
            Ok(seen) => {
                self.metrics.wrote(key.kind());
                self.retries.remove(key);
                if let Some(seen) = seen {
                    self.observe(seen);
                }
            }
            Err(WriteError::NotLeading(_)) => {
                self.metrics.write_refused(key.kind());
                tracing::debug!(object = key.object(), "not written: this replica does not lead");
                // Even if it does again by now: what was refused is planned anew.
                self.lead(false);
            }
            Err(error) if key.moves() && (error.gone(key.name()) || error.outdated() || error.declined().is_some()) => {
                self.retries.remove(key);
                self.metrics.write_failed(key.kind());
                tracing::info!(object = key.object(), said = error.declined().unwrap_or("it is gone"), "not moved");
                // What keeps it is to be told.
                self.fleet_changed = true;
            }
            Err(error) if error.gone(key.name()) => {
                self.retries.remove(key);
                tracing::debug!(object = key.object(), "gone before it could be written");
                self.forget(key, version);
            }
            Err(error) if matches!(key, Key::Notice(..)) => {
                self.metrics.write_failed(key.kind());
                tracing::warn!(object = key.object(), error = %super::watch::Chain(&error), "an event was not recorded");
            }
            Err(error) => {
                self.metrics.write_failed(key.kind());
                self.put_off(key);
                self.said.remove(key);
                let before = self.retries.get(key).map_or(0, |retry| retry.failures);
                let failures = if unreachable { before.max(1) } else { before.saturating_add(1) };
                let wait = backoff(failures, LONGEST_RETRY);
                if !error.outdated() && self.may_complain(key.kind(), now) {
                    let error = super::watch::Chain(&error);
                    tracing::warn!(object = key.object(), kind = key.kind(), %error, ?wait, "write failed; trying again");
                }
                self.retries.insert(key.clone(), Retry { failures, not_before: now + wait });
            }
        }
        if let Key::Stamps(name) = key {
            self.settle_stamps(name, written, now);
        }
        if self.under_way.is_empty() {
            self.index.bury();
        }
        self.statuses_due = true;
    }

    /// Takes in whether the API server was there. What was sent before it was known to be away says nothing new.
    fn note_absence(&mut self, away: bool, now: Moment) {
        self.absence = match self.absence {
            _ if !away => None,
            Some(absence) if absence.not_before > now => Some(absence),
            absence => {
                let failures = absence.map_or(0, |absence| absence.failures).saturating_add(1);
                Some(Retry { failures, not_before: now + backoff(failures, LONGEST_ABSENCE) })
            }
        };
    }

    /// Whether a failed write of this kind is told of. They are all counted.
    fn may_complain(&mut self, kind: &'static str, now: Moment) -> bool {
        let silent = self.complained.get(kind).is_some_and(|last| now < *last + COMPLAINT_PACE);
        if !silent {
            self.complained.insert(kind, now);
        }
        !silent
    }

    /// What a write that followed from `version` found gone is gone; the watch says so too, later. It may have said
    /// already that there is a new one.
    fn forget(&mut self, key: &Key, version: u64) {
        let name = key.name().to_owned();
        self.observe(match key {
            Key::MutatingBinding(_) => Observation::MutatingBinding(Change::Deleted(name, version)),
            Key::ValidatingBinding(_) => Observation::ValidatingBinding(Change::Deleted(name, version)),
            Key::Stamps(_) => Observation::Node(Change::Deleted(name, version)),
            Key::Roster => Observation::Roster(Change::Deleted(name, version)),
            Key::ProviderStatus(_) => Observation::Provider(Change::Deleted(name, version)),
            Key::PoolStatus(_) => Observation::Pool(Change::Deleted(name, version)),
            Key::Finalizer(_) | Key::PolicyStatus(_) => Observation::Policy(Change::Deleted(name, version)),
            Key::Record(key) => Observation::Record(Change::Deleted(key.clone(), version)),
            // The watch tells.
            Key::Template(..) | Key::Eviction(_) | Key::Notice(..) => return,
        });
    }

    /// The version of the object that a write of `key` follows from; 0 when there is none.
    fn version(&self, key: &Key) -> u64 {
        let (index, name) = (&self.index, key.name());
        match key {
            Key::MutatingBinding(_) => index.mutating_bindings.get(name).map(Versioned::version),
            Key::ValidatingBinding(_) => index.validating_bindings.get(name).map(Versioned::version),
            Key::Stamps(_) => index.nodes.get(name).map(Versioned::version),
            Key::Roster => index.roster.get(name).map(Versioned::version),
            Key::ProviderStatus(_) => index.providers.get(name).map(Versioned::version),
            Key::PoolStatus(_) => index.pools.get(name).map(Versioned::version),
            Key::Finalizer(_) | Key::PolicyStatus(_) => index.policies.get(name).map(Versioned::version),
            Key::Record(key) => index.records.get(key).map(Versioned::version),
            Key::Template(..) | Key::Eviction(_) | Key::Notice(..) => None,
        }
        .unwrap_or(0)
    }

    /// The writes that are due at `at`, by the wall clock, and `now`, by the monotonic one.
    ///
    /// None before every kind has been listed: until then absence means nothing. None while another replica leads.
    pub fn cycle(&mut self, at: Instant, now: Moment) -> Vec<(Key, Write)> {
        self.wake = None;
        if self.index.unsynced().next().is_some() {
            return Vec::new();
        }
        let mut due = Vec::new();
        // A clock that was wrong and has been set back: what it made begin or end has not.
        let set_back = self.ruling.at.is_some_and(|before| {
            Duration::try_from(before.timestamp().duration_since(at.timestamp())).is_ok_and(|by| by > CLOCK_SLACK)
        });
        // A pool that has its first node, or none any more, may decide whether another is withdrawn.
        let nodes_changed = std::mem::take(&mut self.nodes_changed);
        let resettled = nodes_changed && nodes::resettled(&self.index, &self.ruling);
        if self.facts_changed || resettled || set_back || self.ruling.next.is_some_and(|next| next <= at) {
            let mut ruling = Ruling::new(&self.index, at);
            ruling.serial = self.ruling.serial.wrapping_add(1);
            // The first one differs from nothing, and whoever leads tells.
            let first = self.ruling.at.is_none();
            let changes = if self.leads && !first { ruling.changes(&self.ruling) } else { Vec::new() };
            self.tell(changes, at, &mut due);
            (self.ruling, self.facts_changed) = (ruling, false);
            self.moves.stops.note(&self.index, &self.ruling.world, now);
            self.moves.unsettled = true;
            self.statuses_due = true;
            self.records.look();
            self.place_all();
            if first {
                self.moves.stops.first_look(&self.index, &self.ruling, at, now);
            }
            self.metrics.ruled(&self.ruling);
            tracing::debug!(next = ?self.ruling.next, "ruled on every pool");
        }
        if !self.leads {
            self.follow(now);
            return Vec::new();
        }
        if let Some(absence) = self.absence.filter(|absence| absence.not_before > now) {
            self.wake_at(Some(absence.not_before));
            self.outbox.extend(due);
            return Vec::new();
        }
        let settled = self.admission.settled().clone();
        self.admission.plan(&self.index, &self.settings.exempt, now, &mut due);
        if settled != *self.admission.settled() {
            self.statuses_due = true;
            self.moves.unsettled = true;
            self.records.look();
        }
        self.wake_at(self.admission.wake());
        self.plan_stamps(now, &mut due);
        self.plan_moves(at, now, &mut due);
        self.plan_records(at, now, &mut due);
        self.plan_statuses(at, now, &mut due);
        self.post(&mut due);

        let mut statuses = self.under_way.keys().filter(|key| key.is_status()).count();
        let mut moves = self.under_way.keys().filter(|key| key.moves()).count();
        let mut writes = Vec::new();
        for (key, write) in due {
            match self.retries.get(&key) {
                Some(retry) if retry.not_before > now => {
                    let not_before = retry.not_before;
                    self.wake_at(Some(not_before));
                    self.put_off(&key);
                }
                _ if self.under_way.contains_key(&key) => self.put_off(&key),
                // However many statuses differ, the connection is for stamps as well.
                _ if key.is_status() && statuses >= self.settings.concurrency => self.put_off(&key),
                _ if key.moves() && moves >= self.settings.concurrency.div_ceil(SHARE) => {}
                _ => {
                    moves = moves.saturating_add(usize::from(key.moves()));
                    statuses = statuses.saturating_add(usize::from(key.is_status()));
                    self.under_way.insert(key.clone(), self.version(&key));
                    writes.push((key, write));
                }
            }
        }
        writes
    }

    /// Puts what people are to be told behind what waits already, and takes out as much as may be on its way at a time:
    /// when a thousand workloads begin to move, so many requests at once would take more memory than all else.
    fn post(&mut self, due: &mut Vec<(Key, Write)>) {
        self.outbox.extend(due.extract_if(.., |(key, _)| matches!(key, Key::Notice(..))));
        for (key, _) in self.outbox.drain(..self.outbox.len().saturating_sub(UNSENT)) {
            self.metrics.write_failed(key.kind());
            tracing::warn!(object = key.object(), "an event was not recorded: too many wait already");
        }
        let sending = self.under_way.keys().filter(|key| matches!(key, Key::Notice(..))).count();
        let free = self.settings.concurrency.div_ceil(SHARE).saturating_sub(sending);
        due.extend(self.outbox.drain(..free.min(self.outbox.len())));
    }

    /// A write that was due and is not made now. Statuses and records are compared again.
    fn put_off(&mut self, key: &Key) {
        if matches!(key, Key::Record(_)) {
            self.records.look();
        }
        if key.is_status() {
            self.said.remove(key);
            self.statuses_due = true;
        }
    }

    /// Tells of pools that levels gained and lost: an officer's slip shows here before it shows elsewhere.
    fn tell(&self, changes: Vec<(String, String)>, at: Instant, due: &mut Vec<(Key, Write)>) {
        for (policy, note) in changes {
            let note = super::ruling::cut(note, limits::MESSAGE);
            tracing::info!(policy, note, "clearances changed");
            let Some(record) = self.index.policies.get(&policy) else { continue };
            let notice = Notice::of_policy(&policy, record.meta.uid.clone(), conditions::CLEARANCE_CHANGED, note);
            due.push((notice.key(at), Write::Notice(Box::new(notice))));
        }
    }

    fn wake_at(&mut self, moment: Option<Moment>) {
        self.wake = match (self.wake, moment) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Takes in `change`, and says whether facts may have changed: a new status is none.
fn observe_facts<K>(mirror: &mut Mirror<Record<K>>, change: Change<Record<K>>) -> bool {
    let facts = |record: &Record<K>| (record.meta.uid.clone(), record.meta.generation, record.object.is_ok());
    let before = match &change {
        Change::Applied(name, _) => mirror.get(name).map(facts),
        _ => None,
    };
    match mirror.observe(change) {
        Touched::Nothing => false,
        Touched::All => true,
        Touched::One(name) => mirror.get(&name).map(facts) != before || before.is_none(),
    }
}
