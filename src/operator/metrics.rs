//! What the operator counts, for Prometheus.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Instant as Moment,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{index::Index, ruling::Ruling};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteOutcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveOutcome {
    why: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Level {
    policy: String,
    level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Subject {
    policy: String,
    level: String,
    category: String,
}

/// Handles to the counts; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    writes: Family<WriteOutcome, Counter>,
    watch_events: Family<Kind, Counter>,
    watch_failures: Family<Kind, Counter>,
    watch_age: Family<Kind, Gauge<f64, AtomicU64>>,
    /// When each watch was last heard of.
    heard: Arc<Mutex<BTreeMap<&'static str, Moment>>>,
    unreadable: Family<Kind, Counter>,
    followed: Family<Kind, Gauge<i64, AtomicI64>>,
    faulty: Family<Kind, Gauge<i64, AtomicI64>>,
    cleared: Family<Subject, Gauge<i64, AtomicI64>>,
    workloads: Family<Level, Gauge<i64, AtomicI64>>,
    violating: Family<Level, Gauge<i64, AtomicI64>>,
    unplaceable: Gauge<i64, AtomicI64>,
    nodes: Gauge<i64, AtomicI64>,
    next_change: Gauge<f64, AtomicU64>,
    rulings: Counter,
    leader: Gauge<i64, AtomicI64>,
    transitions: Counter,
    moves: Family<MoveOutcome, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Arc::default(),
            writes: Family::default(),
            watch_events: Family::default(),
            watch_failures: Family::default(),
            watch_age: Family::default(),
            heard: Arc::default(),
            unreadable: Family::default(),
            followed: Family::default(),
            faulty: Family::default(),
            cleared: Family::default(),
            workloads: Family::default(),
            violating: Family::default(),
            unplaceable: Gauge::default(),
            nodes: Gauge::default(),
            next_change: Gauge::default(),
            rulings: Counter::default(),
            leader: Gauge::default(),
            transitions: Counter::default(),
            moves: Family::default(),
        };
        let mut registry = Registry::with_prefix("rempart");
        registry.register("writes", "Writes to the API server, by kind and outcome", metrics.writes.clone());
        registry.register("watch_events", "Events received from watches, by kind", metrics.watch_events.clone());
        registry.register("watch_failures", "Watches that broke off, by kind", metrics.watch_failures.clone());
        registry.register(
            "watch_age_seconds",
            "Since a watch last told something or was asked for anew, by kind; they are asked for anew every 200 s",
            metrics.watch_age.clone(),
        );
        registry.register(
            "unreadable_objects",
            "Objects that a watch told of and that could not be read, so that they were left as they were, by kind",
            metrics.unreadable.clone(),
        );
        registry.register("followed_objects", "Objects that are followed, by kind", metrics.followed.clone());
        registry.register(
            "faulty_objects",
            "Objects that cannot be decoded or have an entry that cannot be used, by kind; see their Ready condition",
            metrics.faulty.clone(),
        );
        registry.register(
            "cleared_pools",
            "Pools cleared for a level or category of a policy",
            metrics.cleared.clone(),
        );
        registry.register("workloads", "Workloads of a level of a policy", metrics.workloads.clone());
        registry.register(
            "violating_pods",
            "Pods of a level of a policy on nodes that are not cleared for them",
            metrics.violating.clone(),
        );
        registry.register(
            "unplaceable_workloads",
            "Workloads for whose pods there is no place; see their WorkloadPlacement",
            metrics.unplaceable.clone(),
        );
        registry.register("nodes", "Nodes that are followed", metrics.nodes.clone());
        registry.register(
            "next_change_timestamp_seconds",
            "When a certificate next begins or ends to count (Unix time; NaN: never)",
            metrics.next_change.clone(),
        );
        registry.register("rulings", "Judgements of the whole catalogue", metrics.rulings.clone());
        registry.register(
            "migrations",
            "Moves of workloads, by why (violating, leaving, stale) and outcome (begun, done, failed)",
            metrics.moves.clone(),
        );
        registry.register("leader", "1 while this replica writes, 0 while it follows", metrics.leader.clone());
        registry.register(
            "lease_transitions",
            "Times that this replica began or ceased to lead",
            metrics.transitions.clone(),
        );
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// A write succeeded.
    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&WriteOutcome { kind, outcome: "success" }).inc();
    }

    /// A write failed.
    pub fn write_failed(&self, kind: &'static str) {
        self.writes.get_or_create(&WriteOutcome { kind, outcome: "failure" }).inc();
    }

    /// A write was not sent, because this replica does not lead.
    pub fn write_refused(&self, kind: &'static str) {
        self.writes.get_or_create(&WriteOutcome { kind, outcome: "refused" }).inc();
    }

    /// A move has begun, or has ended in `outcome`.
    pub fn moved(&self, why: &'static str, outcome: &'static str) {
        self.moves.get_or_create(&MoveOutcome { why, outcome }).inc();
    }

    /// This replica has begun or ceased to lead.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        self.transitions.inc();
    }

    /// A watch told something.
    pub fn watch_spoke(&self, kind: &'static str) {
        self.watch_events.get_or_create(&Kind { kind }).inc();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, Moment::now());
    }

    /// The API server has answered a request for a watch.
    pub fn watch_renewed(&self, kind: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // What is watched is listed first, which told of it.
        if let Some(heard) = heard.get_mut(kind) {
            *heard = Moment::now();
        }
    }

    /// A watch told of an object that cannot be read.
    pub fn unreadable(&self, kind: &'static str) {
        self.unreadable.get_or_create(&Kind { kind }).inc();
    }

    /// A watch broke off.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&Kind { kind }).inc();
    }

    /// So much is followed.
    pub fn counted(&self, index: &Index) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.nodes.set(whole(index.nodes.live().len()));
        let unplaceable = index.records.iter().filter(|(_, record)| record.is_unplaceable()).count();
        self.unplaceable.set(whole(unplaceable));
        for (kind, number, _) in index.counts() {
            self.followed.get_or_create(&Kind { kind }).set(whole(number));
        }
    }

    /// Everything that runs was looked at: workloads and violating pods of each level of each policy.
    pub fn surveyed<'a>(&self, levels: impl Iterator<Item = (&'a str, &'a str, i32, i32)>) {
        self.workloads.clear();
        self.violating.clear();
        for (policy, level, workloads, violating) in levels {
            let level = Level { policy: policy.to_owned(), level: level.to_owned() };
            self.workloads.get_or_create(&level).set(workloads.into());
            self.violating.get_or_create(&level).set(violating.into());
        }
    }

    /// A new ruling is in force.
    pub fn ruled(&self, ruling: &Ruling) {
        self.rulings.inc();
        self.next_change.set(ruling.next.map_or(f64::NAN, |next| next.timestamp().as_duration().as_secs_f64()));
        for (kind, number) in &ruling.faulty {
            self.faulty.get_or_create(&Kind { kind }).set(i64::try_from(*number).unwrap_or(i64::MAX));
        }
        self.cleared.clear();
        for (policy, found) in &ruling.of_policy {
            let pools =
                |standing: &crate::api::Standing| i64::try_from(standing.cleared_pools.len()).unwrap_or(i64::MAX);
            for standing in &found.levels {
                let subject = Subject { policy: policy.clone(), level: standing.name.clone(), category: String::new() };
                self.cleared.get_or_create(&subject).set(pools(standing));
            }
            for standing in &found.categories {
                let subject = Subject { policy: policy.clone(), level: String::new(), category: standing.name.clone() };
                self.cleared.get_or_create(&subject).set(pools(standing));
            }
        }
    }

    /// All counts, in the `OpenMetrics` text format.
    #[must_use]
    pub fn text(&self) -> String {
        for (kind, heard) in &*self.heard.lock().unwrap_or_else(PoisonError::into_inner) {
            self.watch_age.get_or_create(&Kind { kind }).set(heard.elapsed().as_secs_f64());
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string does not fail; were it to, what was written so far is still right.
        let _ = encode(&mut text, &registry);
        text
    }
}
