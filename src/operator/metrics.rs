//! Metrics: what the operator counts, for Prometheus.
//!
//! Every part of the operator tells its [`Metrics`], which are cheap to clone; `/metrics` reads them as text.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    cache::ClusterCache,
    component::OperatorComponent,
    evaluate::{Evaluation, offer_status::QualificationPeriod},
    reconcile::{
        admission::propagation::AdmissionFault,
        node_labels::{MembershipChange, NodeAge},
        records::counts::{LevelCounts, PolicyLevelCounts},
        settings::Settings,
    },
};
use rempart_core::{
    instant::Timestamp,
    migration::MigrationCause,
    name::{LevelName, PolicyName},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentLabels {
    component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdmissionFaultLabels {
    kind: &'static str,
    name: String,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    outcome: &'static str,
    /// Why it failed; empty, which Prometheus takes for absent, where it did not.
    reason: &'static str,
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It has begun.
    Begun,
    /// What it was begun for has come about.
    Done,
    /// It was in vain.
    Failed,
    /// Nobody wants it any more: it was paused or stopped, or its workload is gone.
    Dropped,
}

impl MoveOutcome {
    const ALL: [Self; 4] = [Self::Begun, Self::Done, Self::Failed, Self::Dropped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What the webhook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// What is to be added.
    Completed,
    /// That nothing is missing.
    Unchanged,
    /// Nothing: it does not know the policy, or the namespace.
    Unknown,
    /// That it was not asked as an API server asks.
    Invalid,
    /// That it took too long, to be asked or to answer.
    Late,
}

impl WebhookAnswer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Unchanged => "unchanged",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Late => "late",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    why: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MembershipLabels {
    pool: String,
    change: &'static str,
    node: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabels {
    policy: String,
    level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequirementLabels {
    policy: String,
    level: String,
    category: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyModeLabels {
    policy: String,
    mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QualificationLabels {
    provider: String,
    offer: String,
    scheme: String,
    region: String,
}

/// Upper bounds of a decision's duration, in seconds: a cluster of any size that is known should stay far from the last.
const DECISION: [f64; 9] = [0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0];
/// Upper bounds of the time from a change to the stamps that follow from it, in seconds: of 5,000 nodes that change
/// together, the last waits for some 15.
const STAMPING: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Handles to the counts; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    component: ComponentLabels,
    registry: Arc<Mutex<Registry>>,
    writes: Family<WriteLabels, Counter>,
    watch_events: Family<KindLabels, Counter>,
    watch_failures: Family<KindLabels, Counter>,
    watch_age: Family<KindLabels, Gauge<f64, AtomicU64>>,
    /// When each watch was last heard of.
    heard: Arc<Mutex<BTreeMap<&'static str, Instant>>>,
    unreadable: Family<KindLabels, Counter>,
    webhook_answers: Family<WebhookLabels, Counter>,
    webhook_certificate_end: Family<ComponentLabels, Gauge<i64, AtomicI64>>,
    followed: Family<KindLabels, Gauge<i64, AtomicI64>>,
    faulty: Family<KindLabels, Gauge<i64, AtomicI64>>,
    cleared: Family<RequirementLabels, Gauge<i64, AtomicI64>>,
    workloads: Family<LevelLabels, Gauge<i64, AtomicI64>>,
    violating: Family<LevelLabels, Gauge<i64, AtomicI64>>,
    violating_since: Family<LevelLabels, Gauge<i64, AtomicI64>>,
    unplaceable_pods: Family<LevelLabels, Gauge<i64, AtomicI64>>,
    awaiting_windows: Family<LevelLabels, Gauge<i64, AtomicI64>>,
    deadlines: Family<LevelLabels, Gauge<f64, AtomicU64>>,
    moves_stopped: Family<PolicyLabels, Gauge<i64, AtomicI64>>,
    policies: Family<PolicyModeLabels, Gauge<i64, AtomicI64>>,
    expiry: Family<QualificationLabels, Gauge<f64, AtomicU64>>,
    unplaceable: Gauge<i64, AtomicI64>,
    nodes: Gauge<i64, AtomicI64>,
    retired_keys: Gauge<i64, AtomicI64>,
    exempt_sensitive: Family<NamespaceLabels, Gauge<i64, AtomicI64>>,
    admission_faults: Family<AdmissionFaultLabels, Gauge<i64, AtomicI64>>,
    next_change: Gauge<f64, AtomicU64>,
    rulings: Counter,
    leader: Family<ComponentLabels, Gauge<i64, AtomicI64>>,
    clock_skew: Gauge<i64, AtomicI64>,
    transitions: Counter,
    moves: Family<MoveLabels, Counter>,
    membership: Family<MembershipLabels, Counter>,
    lowered: Family<LevelLabels, Counter>,
    deciding: Histogram,
    stamping: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(OperatorComponent::Placement)
    }
}

impl Metrics {
    /// Nothing counted yet, by `component`. What it has nothing to do with is not told of, since nothing looks like none.
    #[must_use]
    pub fn new(component: OperatorComponent) -> Self {
        let metrics = Self {
            component: ComponentLabels { component: component.as_str() },
            registry: Arc::default(),
            writes: Family::default(),
            watch_events: Family::default(),
            watch_failures: Family::default(),
            watch_age: Family::default(),
            heard: Arc::default(),
            unreadable: Family::default(),
            webhook_answers: Family::default(),
            webhook_certificate_end: Family::default(),
            followed: Family::default(),
            faulty: Family::default(),
            cleared: Family::default(),
            workloads: Family::default(),
            violating: Family::default(),
            violating_since: Family::default(),
            unplaceable_pods: Family::default(),
            awaiting_windows: Family::default(),
            deadlines: Family::default(),
            moves_stopped: Family::default(),
            policies: Family::default(),
            expiry: Family::default(),
            unplaceable: Gauge::default(),
            nodes: Gauge::default(),
            retired_keys: Gauge::default(),
            exempt_sensitive: Family::default(),
            admission_faults: Family::default(),
            next_change: Gauge::default(),
            rulings: Counter::default(),
            leader: Family::default(),
            clock_skew: Gauge::default(),
            transitions: Counter::default(),
            moves: Family::default(),
            membership: Family::default(),
            lowered: Family::default(),
            deciding: Histogram::new(DECISION),
            stamping: Histogram::new(STAMPING),
        };
        let mut registry = Registry::with_prefix("rempart");
        drop(metrics.leader.get_or_create(&metrics.component));
        match component {
            OperatorComponent::Placement => metrics.register_placement(&mut registry),
            OperatorComponent::Admission => {}
        }
        metrics.register_operation(&mut registry);
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }

    /// What stays or hides where no policy demands anything, and what is wrong with what holds the rule.
    fn register_exceptional(&self, registry: &mut Registry) {
        registry.register(
            "retired_keys",
            "Keys that no policy demands any more and that pods or templates still select by; their stamps stay",
            self.retired_keys.clone(),
        );
        registry.register(
            "exempt_sensitive_objects",
            "Pods, and what makes pods, that say a level or categories in a namespace that no policy governs",
            self.exempt_sensitive.clone(),
        );
        registry.register(
            "admission_faults",
            "1 for each admission policy or binding that is missing, altered, orphaned or foreign, of the chart's and of those that policies \
             have; see the Enforced condition",
            self.admission_faults.clone(),
        );
    }

    /// Where what may run, and what does.
    fn register_placement(&self, registry: &mut Registry) {
        self.register_exceptional(registry);
        // As those of watches when they begin.
        for why in MigrationCause::ALL {
            for outcome in MoveOutcome::ALL {
                drop(self.moves.get_or_create(&MoveLabels { why: why.as_str(), outcome: outcome.as_str() }));
            }
        }
        registry.register(
            "policy_info",
            "1 for each policy that can be evaluated, with its mode",
            self.policies.clone(),
        );
        registry.register("cleared_pools", "Pools cleared for a level or category of a policy", self.cleared.clone());
        registry.register("workloads", "Workloads of a level of a policy", self.workloads.clone());
        registry.register(
            "violating_pods",
            "Pods of a level of a policy on nodes that are not cleared for them",
            self.violating.clone(),
        );
        registry.register(
            "oldest_violation_timestamp_seconds",
            "Since when a workload of a level of a policy has pods on nodes that are not cleared for them, the first of \
             those that still have (Unix time)",
            self.violating_since.clone(),
        );
        registry.register(
            "pods_awaiting_window",
            "Pods of a level of a policy that leave a pool ahead of its end when the next window of the level opens",
            self.awaiting_windows.clone(),
        );
        registry.register(
            "next_deadline_timestamp_seconds",
            "When the first pod of a level of a policy that stands where it may not is evicted, and past its budget deleted, by \
             the deadline of the level (Unix time)",
            self.deadlines.clone(),
        );
        registry.register(
            "moves_stopped",
            "Levels of a policy of which nothing is moved until an officer says so; see its MoveStopped condition",
            self.moves_stopped.clone(),
        );
        registry.register(
            "qualification_expiry_timestamp_seconds",
            "When the certificates of a scheme end that an offer has in a region, or ended (Unix time; +Inf: no end is \
             recorded)",
            self.expiry.clone(),
        );
        registry.register(
            "unplaceable_workloads",
            "Workloads for whose pods there is no place; see their WorkloadPlacement",
            self.unplaceable.clone(),
        );
        registry.register(
            "unplaceable_pods",
            "Pods of a level of a policy that have no node, of workloads for whose pods there is no place",
            self.unplaceable_pods.clone(),
        );
        registry.register(
            "next_change_timestamp_seconds",
            "When a certificate next begins or ends to count (Unix time; NaN: never)",
            self.next_change.clone(),
        );
        registry.register(
            "migrations",
            "Moves of workloads, by why (overdue, violating, leaving, stale, template, retired) and outcome (begun, done, failed, dropped)",
            self.moves.clone(),
        );
        registry.register(
            "pool_membership_changes",
            "Nodes that joined or left a pool, by whether they were new then or registered for more than ten minutes",
            self.membership.clone(),
        );
        registry.register(
            "levels_lowered",
            "Workloads that are to be placed by a lower level than before, by the level that they had",
            self.lowered.clone(),
        );
        registry.register(
            "faulty_objects",
            "Objects that cannot be decoded or have an entry that cannot be used, by kind; see their Ready condition",
            self.faulty.clone(),
        );
        registry.register("nodes", "Nodes that are followed", self.nodes.clone());
        registry.register("rulings", "Judgements of the whole catalogue", self.rulings.clone());
        registry.register(
            "stamp_duration_seconds",
            "From when a node was first seen to lack its stamps, or to have too many, until it was put right",
            self.stamping.clone(),
        );
    }

    /// How the operator fares.
    fn register_operation(&self, registry: &mut Registry) {
        registry.register(
            "writes",
            "Writes to the API server, by kind, outcome and the reason of a failure",
            self.writes.clone(),
        );
        registry.register("watch_events", "Events received from watches, by kind", self.watch_events.clone());
        registry.register("watch_failures", "Watches that broke off, by kind", self.watch_failures.clone());
        registry.register(
            "watch_age_seconds",
            "Since a watch last told something or was asked for anew, by kind; they are asked for anew every 200 s",
            self.watch_age.clone(),
        );
        registry.register(
            "unreadable_objects",
            "Objects that a watch told of and that could not be read, so that they were left as they were, by kind",
            self.unreadable.clone(),
        );
        registry.register(
            "webhook_answers",
            "Answers of the webhook to API servers, where one completes pods and pod templates",
            self.webhook_answers.clone(),
        );
        registry.register(
            "webhook_certificate_expiry_timestamp_seconds",
            "When the certificate ends that the webhook shows to API servers, where one completes pods (Unix time); a next one \
             is made days before",
            self.webhook_certificate_end.clone(),
        );
        registry.register("followed_objects", "Objects that are followed, by kind", self.followed.clone());
        registry.register(
            "reconcile_duration_seconds",
            "How long it takes to compare what is with what should be, once",
            self.deciding.clone(),
        );
        registry.register(
            "clock_skew_seconds",
            "By how many seconds this machine's clock is ahead of the API server's; by more than a minute nothing is written",
            self.clock_skew.clone(),
        );
        registry.register(
            "leader",
            "1 while this replica writes for its component, 0 while it follows",
            self.leader.clone(),
        );
        registry.register(
            "lease_transitions",
            "Times that this replica began or ceased to lead",
            self.transitions.clone(),
        );
    }

    /// The webhook answered.
    pub fn webhook_answered(&self, answer: WebhookAnswer) {
        self.webhook_answers.get_or_create(&WebhookLabels { answer: answer.as_str() }).inc();
    }

    /// The webhook shows a certificate that ends at this second of Unix time.
    pub fn set_webhook_certificate_end(&self, end: i64) {
        self.webhook_certificate_end.get_or_create(&self.component).set(end);
    }

    /// A write succeeded.
    pub fn wrote(&self, kind: &'static str) {
        self.write_ended(kind, "success", "");
    }

    /// A write failed, for this reason.
    pub fn write_failed(&self, kind: &'static str, reason: &'static str) {
        self.write_ended(kind, "failure", reason);
    }

    /// A write was not sent, because this replica does not lead.
    pub fn write_not_sent(&self, kind: &'static str) {
        self.write_ended(kind, "not_sent", "not_leading");
    }

    fn write_ended(&self, kind: &'static str, outcome: &'static str, reason: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, outcome, reason }).inc();
    }

    /// A move for `why` has begun, or has ended in `outcome`.
    pub fn moved(&self, why: MigrationCause, outcome: MoveOutcome) {
        self.moves.get_or_create(&MoveLabels { why: why.as_str(), outcome: outcome.as_str() }).inc();
    }

    /// This replica has begun or ceased to lead.
    pub fn leads(&self, leads: bool) {
        self.leader.get_or_create(&self.component).set(i64::from(leads));
        self.transitions.inc();
    }

    /// This machine's clock is so many seconds ahead of the API server's.
    pub fn clock_is_ahead(&self, seconds: i64) {
        self.clock_skew.set(seconds);
    }

    /// A watch begins.
    pub fn watch_began(&self, kind: &'static str) {
        // A counter that appears with its first failure shows no increase.
        drop(self.unreadable.get_or_create(&KindLabels { kind }));
    }

    /// A watch told something.
    pub fn watch_spoke(&self, kind: &'static str) {
        self.watch_events.get_or_create(&KindLabels { kind }).inc();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, Instant::now());
    }

    /// Whether the watch of this kind has told nothing, and was not asked for anew, for longer than `limit`.
    #[must_use]
    pub fn is_silent(&self, kind: &str, limit: Duration) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(kind).is_some_and(|heard| heard.elapsed() > limit)
    }

    /// The API server has answered a request for a watch.
    pub fn watch_renewed(&self, kind: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // What is watched is listed first, which told of it.
        if let Some(heard) = heard.get_mut(kind) {
            *heard = Instant::now();
        }
    }

    /// A watch told of an object that cannot be read.
    pub fn unreadable(&self, kind: &'static str) {
        self.unreadable.get_or_create(&KindLabels { kind }).inc();
    }

    /// A watch broke off.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&KindLabels { kind }).inc();
    }

    /// So much is followed, of what `settings` say.
    pub fn set_object_counts(&self, cache: &ClusterCache, settings: &Settings) {
        self.nodes.set(whole(cache.nodes.live().len()));
        let unplaceable = cache.records.iter().filter(|(_, record)| record.is_unplaceable()).count();
        self.unplaceable.set(whole(unplaceable));
        for (kind, number, _) in cache.counts().filter(|(kind, ..)| settings.follows(kind)) {
            self.followed.get_or_create(&KindLabels { kind }).set(whole(number));
        }
    }

    /// Everything that runs was looked at: what runs of each level of each policy.
    pub fn set_level_counts(&self, evaluation: &Evaluation, levels: &PolicyLevelCounts) {
        self.forget_survey();
        for policy in evaluation.world.policies.values() {
            for (level, running) in levels.get(policy.name.as_str()).into_iter().flatten() {
                let LevelCounts { workloads, violating, violating_since, unplaceable, keeping: _ } = *running;
                let level = LevelLabels { policy: policy.name.to_string(), level: level.clone() };
                self.workloads.get_or_create(&level).set(workloads.into());
                self.violating.get_or_create(&level).set(violating.into());
                self.unplaceable_pods.get_or_create(&level).set(unplaceable.into());
                if let Some(since) = violating_since {
                    self.violating_since.get_or_create(&level).set(since);
                }
            }
        }
    }

    /// So many levels of each policy are not moved until an officer says so.
    pub fn stopped<'a>(&self, policies: impl Iterator<Item = (&'a str, usize)>) {
        self.moves_stopped.clear();
        for (policy, levels) in policies {
            let policy = PolicyLabels { policy: policy.to_owned() };
            self.moves_stopped.get_or_create(&policy).set(whole(levels));
        }
    }

    /// The first deadline of the violating pods of each level.
    pub fn set_deadlines(&self, levels: &BTreeMap<(&PolicyName, &LevelName), Timestamp>) {
        self.deadlines.clear();
        for ((policy, level), at) in levels {
            let level = LevelLabels { policy: policy.to_string(), level: level.to_string() };
            self.deadlines.get_or_create(&level).set(seconds(*at));
        }
    }

    /// So many pods of each level leave ahead of an end when a window opens.
    pub fn set_awaiting_windows(&self, levels: &BTreeMap<(&PolicyName, &LevelName), usize>) {
        self.awaiting_windows.clear();
        for ((policy, level), pods) in levels {
            let level = LevelLabels { policy: policy.to_string(), level: level.to_string() };
            self.awaiting_windows.get_or_create(&level).set(whole(*pods));
        }
    }

    /// So many keys that nobody demands any more are kept.
    pub fn set_retired_keys(&self, number: usize) {
        self.retired_keys.set(whole(number));
    }

    /// So much in each exempt namespace says how sensitive it is.
    pub fn set_exempt_sensitive<'a>(&self, namespaces: impl Iterator<Item = (&'a str, usize)>) {
        self.exempt_sensitive.clear();
        for (namespace, number) in namespaces {
            let of = NamespaceLabels { namespace: namespace.to_owned() };
            self.exempt_sensitive.get_or_create(&of).set(whole(number));
        }
    }

    /// These admission policies and bindings are not what they must be.
    pub fn set_admission_faults<'a>(&self, faults: impl Iterator<Item = &'a AdmissionFault>) {
        self.admission_faults.clear();
        for AdmissionFault { kind, name, fault } in faults {
            let of = AdmissionFaultLabels { kind: kind.as_str(), name: name.clone(), fault: fault.as_str() };
            self.admission_faults.get_or_create(&of).set(1);
        }
    }

    /// This replica leads no more: what only the leader looks at would become old.
    pub fn clear_leader_gauges(&self) {
        self.forget_survey();
        self.retired_keys.set(0);
        self.exempt_sensitive.clear();
        self.moves_stopped.clear();
        self.awaiting_windows.clear();
        self.deadlines.clear();
    }

    fn forget_survey(&self) {
        self.workloads.clear();
        self.violating.clear();
        self.violating_since.clear();
        self.unplaceable_pods.clear();
    }

    /// A comparison of what is with what should be took so long.
    pub fn observe_cycle(&self, took: Duration) {
        self.deciding.observe(took.as_secs_f64());
    }

    /// A node's stamps were put right, so long after they were first seen to be wrong.
    pub fn observe_stamping(&self, after: Duration) {
        self.stamping.observe(after.as_secs_f64());
    }

    /// A node has joined or left `pool`.
    pub fn membership_changed(&self, pool: &str, change: MembershipChange, node: NodeAge) {
        self.membership_changes(pool, change, node).inc();
    }

    fn membership_changes(&self, pool: &str, change: MembershipChange, node: NodeAge) -> Counter {
        let of = MembershipLabels { pool: pool.to_owned(), change: change.as_str(), node: node.as_str() };
        self.membership.get_or_create_owned(&of)
    }

    /// A workload that was of `level` under `policy` is of a lower one.
    pub fn level_lowered(&self, policy: &str, level: &str) {
        self.lowered.get_or_create(&LevelLabels { policy: policy.to_owned(), level: level.to_owned() }).inc();
    }

    /// A new evaluation is in force.
    pub fn set_evaluation(&self, evaluation: &Evaluation) {
        self.rulings.inc();
        self.next_change.set(evaluation.next.map_or(f64::NAN, seconds));
        for (kind, number) in &evaluation.faulty {
            self.faulty.get_or_create(&KindLabels { kind }).set(whole(*number));
        }
        self.policies.clear();
        for policy in evaluation.world.policies.values() {
            let of = PolicyModeLabels { policy: policy.name.to_string(), mode: policy.mode.to_string() };
            self.policies.get_or_create(&of).set(1);
            for level in policy.levels.iter() {
                let of = LevelLabels { policy: policy.name.to_string(), level: level.name.to_string() };
                drop(self.lowered.get_or_create(&of));
            }
        }
        // A counter that begins with what it counts is no increase to whoever watches it.
        for pool in evaluation.world.catalogue.pools.keys() {
            for change in MembershipChange::ALL {
                for age in NodeAge::ALL {
                    drop(self.membership_changes(pool.as_str(), change, age));
                }
            }
        }
        self.expiry.clear();
        for (provider, term) in evaluation
            .providers
            .iter()
            .flat_map(|(name, found)| found.qualification_periods.iter().map(move |term| (name, term)))
        {
            let QualificationPeriod { offer, scheme, level: _, region, ends } = term.clone();
            let certificates = QualificationLabels { provider: provider.clone(), offer, scheme, region };
            self.expiry.get_or_create(&certificates).set(ends.map_or(f64::INFINITY, seconds));
        }
        self.cleared.clear();
        for (policy, found) in &evaluation.policies {
            let pools = |standing: &crate::api::ClearanceStatus| whole(standing.cleared_pools.len());
            for standing in &found.levels {
                let subject =
                    RequirementLabels { policy: policy.clone(), level: standing.name.clone(), category: String::new() };
                self.cleared.get_or_create(&subject).set(pools(standing));
            }
            for standing in &found.categories {
                let subject =
                    RequirementLabels { policy: policy.clone(), level: String::new(), category: standing.name.clone() };
                self.cleared.get_or_create(&subject).set(pools(standing));
            }
        }
    }

    /// All counts, in the `OpenMetrics` text format.
    #[must_use]
    pub fn text(&self) -> String {
        for (kind, heard) in &*self.heard.lock().unwrap_or_else(PoisonError::into_inner) {
            self.watch_age.get_or_create(&KindLabels { kind }).set(heard.elapsed().as_secs_f64());
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string does not fail; were it to, what was written so far is still right.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// As gauges count.
fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// In seconds of Unix time.
fn seconds(instant: Timestamp) -> f64 {
    instant.timestamp().as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{admission::AdmissionKind, operator::reconcile::admission::propagation::AdmissionFaultKind};

    /// Every sample that can be, told once.
    fn told() -> String {
        let metrics = Metrics::new(OperatorComponent::Placement);
        let kind = KindLabels { kind: "k" };
        let level = LevelLabels { policy: "p".into(), level: "l".into() };
        metrics.wrote("k");
        metrics.moved(MigrationCause::Stale, MoveOutcome::Begun);
        metrics.watch_spoke("k");
        metrics.watch_failed("k");
        metrics.unreadable("k");
        metrics.webhook_answered(WebhookAnswer::Completed);
        metrics.set_webhook_certificate_end(1);
        metrics.observe_stamping(Duration::from_secs(1));
        metrics.observe_cycle(Duration::from_secs(1));
        metrics.stopped([("p", 1)].into_iter());
        metrics.set_exempt_sensitive([("n", 1)].into_iter());
        metrics.membership_changed("p", MembershipChange::Left, NodeAge::New);
        metrics.level_lowered("p", "l");
        let (kind_of, fault) = (AdmissionKind::Mutation, AdmissionFaultKind::Missing);
        metrics.set_admission_faults([AdmissionFault { kind: kind_of, name: "n".into(), fault }].iter());
        metrics.followed.get_or_create(&kind).set(1);
        metrics.faulty.get_or_create(&kind).set(1);
        let subject = RequirementLabels { policy: "p".into(), level: "l".into(), category: String::new() };
        metrics.cleared.get_or_create(&subject).set(1);
        metrics.workloads.get_or_create(&level).set(1);
        metrics.violating.get_or_create(&level).set(1);
        metrics.violating_since.get_or_create(&level).set(1);
        metrics.unplaceable_pods.get_or_create(&level).set(1);
        metrics.awaiting_windows.get_or_create(&level).set(1);
        metrics.deadlines.get_or_create(&level).set(1.0);
        metrics.policies.get_or_create(&PolicyModeLabels { policy: "p".into(), mode: "m".into() }).set(1);
        let (provider, offer, scheme, region) = ("p".into(), "o".into(), "s".into(), "r".into());
        metrics.expiry.get_or_create(&QualificationLabels { provider, offer, scheme, region }).set(1.0);
        metrics.text()
    }

    /// The names of metrics in `text`.
    fn names(text: &str) -> BTreeSet<&str> {
        let word = |found: char| found.is_ascii_lowercase() || found == '_';
        let starts = text.match_indices("rempart_").map(|(at, _)| &text[at..]);
        starts.map(|rest| rest.split(|found| !word(found)).next().unwrap_or(rest)).collect()
    }

    #[test]
    fn dashboard_and_alerts_ask_for_what_is_told_and_people_can_look_all_of_it_up() {
        let told = told();
        let samples: BTreeSet<&str> = told
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let rules = include_str!("../../charts/rempart/files/monitoring/rules.yaml");
        let dashboard = include_str!("../../charts/rempart/files/monitoring/dashboard.json");
        let asked: BTreeSet<_> = names(rules).union(&names(dashboard)).copied().collect();
        assert!(asked.len() > 12, "{asked:?}");
        let unknown: Vec<_> = asked.difference(&samples).collect();
        assert!(unknown.is_empty(), "nothing tells {unknown:?}\n{told}");

        let explained = names(include_str!("../../docs/operations.md"));
        let base =
            |name: &str| ["_bucket", "_sum", "_count"].iter().fold(name.to_owned(), |name, end| name.replace(end, ""));
        let missing: Vec<_> = samples.iter().filter(|name| !explained.contains(base(name).as_str())).collect();
        assert!(missing.is_empty(), "docs/operations.md says nothing of {missing:?}");
        let stray: Vec<_> =
            explained.iter().filter(|name| !samples.iter().any(|told| told.starts_with(**name))).collect();
        assert!(stray.is_empty(), "docs/operations.md explains {stray:?}, which nothing tells");
    }
}
