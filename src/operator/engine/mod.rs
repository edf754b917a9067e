//! The engine: the operator's procedure as a state machine, observations in and write requests out.
//!
//! It is fed observations and the results of writes, and asked for a cycle at two clocks. It has no client, no clock and
//! never waits. Level-triggered: every cycle compares what is with what should be and asks for the difference, so that a
//! write that fails or comes too late is simply still a difference.
//!
//! One of several replicas leads. The others evaluate all the same and ask for nothing, so that whoever takes over knows
//! at once what there is to do.

pub mod report;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::report::{CycleReport, CycleReportLog, CycleStage};
use super::{
    cache::{ClusterCache, LastSeen, Observation, Revision, WatchChange},
    component::OperatorComponent,
    error_chain::ErrorChain,
    evaluate::{Evaluation, cut, stamps::StampKeeper},
    hold::{HoldReason, Holds},
    metrics::Metrics,
    preflight::AdmissionOwners,
    reconcile::{
        CycleClocks, ReconcileOutcome, Reconciler,
        admission::{AdmissionReconciler, propagation::Propagation},
        earliest,
        events::EventReconciler,
        history::{self, HistoryReconciler},
        migration::MigrationReconciler,
        node_labels::NodeLabelReconciler,
        records::RecordReconciler,
        settings::Settings,
        statuses::StatusReconciler,
        view::{ClusterView, DerivedState},
    },
    write::{
        EventRequest, WriteError, WriteFailure, WriteRequest, WriteTarget,
        queue::{WriteEnd, WriteQueue},
    },
};
use crate::{
    admission::MutationMode,
    api::{conditions, limits},
};
use rempart_core::{instant::Timestamp, keys};

/// How far a clock may go back, as clocks that are kept right do, before facts are evaluated anew.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// The state.
pub struct Engine {
    settings: Settings,
    metrics: Metrics,
    cache: ClusterCache,
    evaluation: Evaluation,
    /// The catalogue that was last evaluated.
    catalogue: LastSeen<Revision>,
    /// The membership of nodes by which it was last decided whether to evaluate.
    membership: LastSeen<Revision>,
    leads: bool,
    /// Whether nodes still tell what whoever led before held true: this replica has moved nothing since it leads.
    looks_back: bool,
    admission: AdmissionReconciler,
    /// Up to which revision it was told how admission differs from what it must be.
    told_admission: LastSeen<Revision>,
    stamps: StampKeeper,
    node_labels: NodeLabelReconciler,
    migration: MigrationReconciler,
    records: RecordReconciler,
    statuses: StatusReconciler,
    events: EventReconciler,
    history: HistoryReconciler,
    writes: WriteQueue,
    wake: Option<Instant>,
    reports: CycleReportLog,
}

impl Engine {
    /// An engine that has seen nothing, and does not lead.
    #[must_use]
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        let mut cache = ClusterCache::default();
        if settings.history.is_some() {
            cache.keep_departures();
        }
        Self {
            cache,
            evaluation: Evaluation::default(),
            catalogue: LastSeen::default(),
            membership: LastSeen::default(),
            leads: false,
            looks_back: true,
            admission: AdmissionReconciler::default(),
            told_admission: LastSeen::default(),
            stamps: StampKeeper::default(),
            node_labels: NodeLabelReconciler::new(metrics.clone()),
            migration: MigrationReconciler::new(settings.limits, metrics.clone()),
            records: RecordReconciler::new(metrics.clone()),
            statuses: StatusReconciler::new(metrics.clone()),
            events: EventReconciler::new(metrics.clone()),
            history: HistoryReconciler::new(settings.history.clone()),
            writes: WriteQueue::default(),
            wake: None,
            reports: CycleReportLog::default(),
            metrics,
            settings,
        }
    }

    /// Takes in who owns what admission is made of.
    pub fn set_admission_owners(&mut self, owners: AdmissionOwners) {
        let AdmissionOwners { validations, mutations } = owners;
        self.settings.admission.owner = validations;
        self.settings.admission.mutation_owner = mutations;
        self.admission.forget_compiled();
    }

    /// Takes in by which authorities, in PEM, API servers are to know the webhook.
    pub fn set_authorities(&mut self, authorities: Option<String>) {
        if let MutationMode::Webhook(webhook) = &mut self.settings.admission.mutation {
            webhook.authorities = authorities;
            self.admission.forget_compiled();
        }
    }

    /// Exempt namespaces that do not exist: somebody may have meant another.
    pub fn absent_exempt_namespaces(&self) -> impl Iterator<Item = &str> {
        let exempt = self.settings.admission.exempt.iter().map(String::as_str);
        exempt.filter(|name| self.settings.follows("namespaces") && self.cache.namespaces.get(name).is_none())
    }

    /// What has been observed.
    #[must_use]
    pub fn cache(&self) -> &ClusterCache {
        &self.cache
    }

    /// The kinds that are followed and of which no list has been complete yet.
    pub fn unsynced(&self) -> impl Iterator<Item = &'static str> {
        self.cache.unsynced().filter(|kind| self.settings.follows(kind))
    }

    /// When the facts next change by themselves, or a window opens or closes in which pods leave a pool.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        [self.evaluation.next, self.evaluation.window_change].into_iter().flatten().min()
    }

    /// When a cycle is due though nothing is observed and no fact changes.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// What came of the latest cycle.
    #[must_use]
    pub fn reports(&self) -> CycleReportLog {
        self.reports.clone()
    }

    /// What is to be told on standard output of what ran where, since this was last asked, line by line.
    pub fn take_history(&mut self) -> Vec<String> {
        self.history.take_lines()
    }

    /// The process ends: no more is told of what runs.
    pub fn end_history(&mut self, at: Timestamp) {
        self.history.end(at);
    }

    /// Takes in what was observed.
    pub fn observe(&mut self, observation: Observation) {
        self.cache.observe(observation);
    }

    /// The requests that are due at `wall`, by the wall clock, and `monotonic`, by the monotonic one.
    pub fn cycle(&mut self, wall: Timestamp, monotonic: Instant) -> Vec<WriteRequest> {
        self.wake = None;
        let mut report = CycleReport { leading: self.leads, ..CycleReport::default() };
        let requests = self.procedure(CycleClocks { wall, monotonic }, &mut report);
        let propagation = self.admission.propagation();
        self.tell_admission(&propagation);
        report.count(&requests);
        report.in_flight = self.writes.in_flight_by_kind();
        self.reports.publish(report, wall);
        requests
    }

    /// The procedure of a cycle, step by step.
    fn procedure(&mut self, clocks: CycleClocks, report: &mut CycleReport) -> Vec<WriteRequest> {
        let hold = |report: &mut CycleReport, reason, what: &str| {
            let mut holds = Holds::default();
            holds.add(reason, what);
            report.hold(CycleStage::Cycle, &holds);
        };
        // 1. Before every kind has been listed, absence means nothing.
        for kind in self.unsynced() {
            hold(report, HoldReason::NotSynced, kind);
        }
        if !report.held.is_empty() {
            return Vec::new();
        }
        // 2. Which nodes belong to which pools, and what all of it is cleared for.
        if self.settings.is(OperatorComponent::Placement) {
            self.cache.assign_changed_nodes(&self.evaluation.world.catalogue.pools);
            if self.evaluation_is_due(clocks.wall) {
                self.evaluate(clocks);
            }
        }
        // 3. One of several replicas writes.
        if !self.leads {
            hold(report, HoldReason::NotLeading, "this replica");
            self.follow(clocks);
            return Vec::new();
        }
        // 4. An API server that is away is not asked for every object.
        if let Some(not_before) = self.writes.outage_until(clocks.monotonic) {
            hold(report, HoldReason::ApiServerAbsent, "the API server");
            self.wake_at(Some(not_before));
            return Vec::new();
        }
        // 5. What differs from what should be, family by family.
        let due = self.reconcile(clocks, report);
        // 6. What of it may go out now.
        let admitted = self.writes.take_ready(due, &self.cache, self.settings.concurrency, clocks.monotonic);
        for (target, not_before) in &admitted.put_off {
            self.records.put_off(target, *not_before);
            self.statuses.put_off(target, *not_before);
        }
        self.wake_at(admitted.wake);
        report.hold(CycleStage::Writes, &admitted.holds);
        admitted.requests
    }

    /// Has every reconciler ask for its difference, in the order in which each rests on those before.
    fn reconcile(&mut self, clocks: CycleClocks, report: &mut CycleReport) -> Vec<WriteRequest> {
        let fact_changes = self.cache.take_fact_changes();
        let looks_again = self.stamps.update(&self.cache, &self.evaluation, clocks.monotonic);
        self.metrics.set_retired_keys(self.stamps.stamps().retired().len());
        let exempt = self.settings.admission.exempt.iter().map(String::as_str);
        self.metrics.set_exempt_sensitive(exempt.map(|name| (name, self.cache.sensitive_in(name))));
        let looks = self.settings.is(OperatorComponent::Placement)
            && self.history.begins_look(&self.cache, &self.evaluation, clocks);
        let (listed, left_out) = history::listed(looks, &mut self.cache);
        let derived = DerivedState::while_moving(self.migration.on_the_move()).listing(listed);
        let facts = (&self.cache, &self.evaluation, &self.stamps, &self.settings);
        let mut view = ClusterView::new(facts, &self.writes, self.admission.propagation(), &derived);
        let mut due = Vec::new();
        let mut wake = looks_again;
        let mut take = |stage, outcome: ReconcileOutcome, events: &mut EventReconciler| {
            let ReconcileOutcome { requests, events: told, holds, wake: then } = outcome;
            due.extend(requests);
            events.enqueue(told);
            wake = earliest(wake, then);
            report.hold(stage, &holds);
        };
        // 1. Admission, so that rules hold before anything rests on them.
        take(CycleStage::Admission, self.admission.reconcile(&view, clocks), &mut self.events);
        if !self.settings.is(OperatorComponent::Placement) {
            self.metrics.set_object_counts(&self.cache, &self.settings);
            self.wake_at(wake);
            return due;
        }
        view.propagation = self.admission.propagation();
        if !view.propagation.orphaned.is_empty() {
            let mut holds = Holds::default();
            for name in &view.propagation.orphaned {
                holds.add(HoldReason::PoliciesMissing, format!("PlacementPolicy {name}"));
            }
            report.hold(CycleStage::NodeLabels, &holds);
            // Of what runs without them nobody knows what there is to tell.
            self.history.end(clocks.wall);
            self.wake_at(wake);
            return due;
        }
        // 2. Stamps, so that nothing lands where it may not.
        take(CycleStage::NodeLabels, self.node_labels.reconcile(&view, clocks), &mut self.events);
        view.losing = self.node_labels.losing(&self.cache, self.stamps.stamps(), &self.writes);
        let vanishing = self.stamps.stamps().vanishing().iter();
        view.losing.extend(vanishing.filter_map(|key| keys::policy_asked(key).map(str::to_owned)));
        self.migration.observe_facts(&view, fact_changes, clocks.monotonic);
        if std::mem::take(&mut self.looks_back) {
            let breaker = self.migration.breaker_mut();
            breaker.look_back(&self.cache, &self.evaluation, clocks.wall, clocks.monotonic);
        }
        // 3. Moves of what stands where it may no longer.
        take(CycleStage::Migration, self.migration.reconcile(&view, clocks), &mut self.events);
        (view.migrations, view.breaker) = (self.migration.statuses(), Some(self.migration.breaker()));
        // 4. What became of each workload.
        take(CycleStage::Records, self.records.reconcile(&view, clocks), &mut self.events);
        self.history.tell_lowered(self.records.take_lowered(), clocks);
        take(CycleStage::History, self.history.reconcile(&view, left_out, clocks), &mut self.events);
        view.level_counts = Some(self.records.level_counts());
        // 5. What became of what people declare.
        take(CycleStage::Statuses, self.statuses.reconcile(&view, clocks), &mut self.events);
        // 6. What people should hear of.
        let told = self.events.reconcile(&view, clocks);
        take(CycleStage::Events, told, &mut self.events);
        self.wake_at(wake);
        due
    }

    fn evaluation_is_due(&mut self, wall: Timestamp) -> bool {
        // A clock that was wrong and has been set back: what it made begin or end has not.
        let is_set_back = self.evaluation.at.is_some_and(|before| {
            Duration::try_from(before.timestamp().duration_since(wall.timestamp())).is_ok_and(|by| by > CLOCK_SLACK)
        });
        // A pool that has its first node, or none any more, may decide whether another is withdrawn.
        let members_changed = self.membership.update(self.cache.revisions.pool_membership)
            && self.evaluation.has_other_nodes(&self.cache);
        self.catalogue.differs(&self.cache.revisions.catalogue)
            || members_changed
            || is_set_back
            || self.next_change().is_some_and(|next| next <= wall)
    }

    fn evaluate(&mut self, clocks: CycleClocks) {
        let mut evaluation = Evaluation::new(&self.cache, clocks.wall);
        evaluation.serial = self.evaluation.serial.wrapping_add(1);
        self.catalogue.remember(self.cache.revisions.catalogue);
        // The first one differs from nothing, and whoever leads tells.
        if self.leads && self.evaluation.at.is_some() {
            let changes = evaluation.changes(&self.evaluation);
            self.tell(changes, clocks.wall);
            self.tell_windows(evaluation.window_notes(&self.evaluation), clocks.wall);
        }
        self.evaluation = evaluation;
        self.cache.assign_all_nodes(&self.evaluation.world.catalogue.pools);
        self.migration.breaker_mut().observe_facts(&self.cache, &self.evaluation.world, clocks.monotonic);
        self.metrics.set_evaluation(&self.evaluation);
        tracing::debug!(next = ?self.evaluation.next, "evaluated all pools");
    }

    /// Tells of pools that levels gained and lost: an officer's slip shows here before it shows elsewhere.
    fn tell(&mut self, changes: Vec<(String, String)>, at: Timestamp) {
        for (policy, note) in changes {
            let note = cut(note, limits::MESSAGE);
            tracing::info!(policy, note, "clearances changed");
            let Some(record) = self.cache.policies.get(&policy) else { continue };
            let uid = record.meta.uid.clone();
            self.events.enqueue([EventRequest::of_policy(&policy, uid, conditions::CLEARANCE_CHANGED, note, at)]);
        }
    }

    /// Tells of windows that are the last ahead of an end, or that none is left.
    fn tell_windows(&mut self, notes: Vec<(String, &'static str, String)>, at: Timestamp) {
        for (policy, reason, note) in notes {
            let note = cut(note, limits::MESSAGE);
            tracing::warn!(policy, reason, note, "pods leave ahead of an end in windows");
            let Some(record) = self.cache.policies.get(&policy) else { continue };
            let uid = record.meta.uid.clone();
            self.events.enqueue([EventRequest::warning_of_policy(&policy, uid, reason, note, at)]);
        }
    }

    /// Tells of admission policies and bindings that are not what they must be, when that has changed.
    fn tell_admission(&mut self, propagation: &Propagation) {
        if !self.told_admission.update(propagation.revision) {
            return;
        }
        let of_policies = propagation.lacking.values().flatten();
        self.metrics.set_admission_faults(propagation.chart.iter().chain(of_policies));
        // Those of a policy come and go whenever it is edited.
        if !propagation.chart.is_empty() {
            let objects = propagation.chart.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                objects,
                "not as the chart installs them: delete what is altered or foreign, then upgrade the release to its own \
                 version again"
            );
        }
        if !propagation.orphaned.is_empty() {
            let policies = propagation.orphaned.iter().cloned().collect::<Vec<_>>().join(", ");
            tracing::warn!(
                policies,
                "there is no PlacementPolicy, and nobody was seen to delete those that admission enforces: nothing is \
                 written until they are applied again, or what admission has of them is deleted by label rempart.dev/policy"
            );
        }
    }

    /// Takes in whether this replica leads.
    pub fn lead(&mut self, leads: bool) {
        if leads == std::mem::replace(&mut self.leads, leads) {
            return;
        }
        if !leads {
            return self.metrics.clear_leader_gauges();
        }
        // What this replica saw when it last led is of the past.
        self.looks_back = true;
        self.stamps = StampKeeper::default();
        // Everything is compared anew. What became of our own writes, if there ever were any, says nothing any more.
        self.writes.forget_failures();
        let derived = DerivedState::default();
        let facts = (&self.cache, &self.evaluation, &self.stamps, &self.settings);
        let view = ClusterView::new(facts, &self.writes, self.admission.propagation(), &derived);
        self.admission.take_over(&view);
        self.node_labels.take_over(&view);
        self.migration.take_over(&view);
        self.records.take_over(&view);
        self.statuses.take_over(&view);
        self.events.take_over(&view);
    }

    /// Keeps up with what the leader does, so that a step that it has begun is completed in time by whoever takes over.
    fn follow(&mut self, clocks: CycleClocks) {
        let derived = DerivedState::default();
        let facts = (&self.cache, &self.evaluation, &self.stamps, &self.settings);
        let view = ClusterView::new(facts, &self.writes, self.admission.propagation(), &derived);
        let wake = self.admission.reconcile(&view, clocks).wake;
        self.wake_at(wake);
        self.metrics.set_object_counts(&self.cache, &self.settings);
        // What is only kept for writes would otherwise be kept for ever.
        self.node_labels.clear();
        self.events.clear();
        self.history.end(clocks.wall);
        drop((self.cache.take_fact_changes(), self.cache.take_departures()));
        if self.writes.is_idle() {
            self.cache.drop_tombstones();
        }
    }

    /// Takes in how the write about `target` ended.
    pub fn on_write_result(
        &mut self,
        target: &WriteTarget,
        outcome: Result<Option<Observation>, WriteError>,
        now: Instant,
    ) {
        let failure = outcome.as_ref().err().map(|error| error.classify(target));
        let WriteEnd { version, is_undone } = self.writes.on_write_result(target, failure.as_ref(), now);
        self.migration.on_write_result(target, failure.as_ref(), now);
        let told = self.records.on_write_result(target, failure.as_ref());
        self.events.enqueue(told);
        match &failure {
            None if is_undone => {
                self.metrics.write_failed(target.kind(), "undone");
                if self.writes.may_log(target.kind(), now) {
                    let (kind, object) = (target.kind(), target.object());
                    tracing::warn!(
                        object,
                        kind,
                        "somebody undoes what is written; it is written again, ever more slowly"
                    );
                }
            }
            None => self.metrics.wrote(target.kind()),
            Some(WriteFailure::NotLeading) => self.metrics.write_not_sent(target.kind()),
            Some(failure) => self.metrics.write_failed(target.kind(), failure.reason()),
        }
        match (outcome, &failure) {
            (Ok(seen), _) => {
                self.events.on_write_result(target, None, false);
                if let Some(seen) = seen {
                    self.observe(seen);
                }
            }
            (Err(error), Some(failure)) => self.on_failure(target, &error, failure, version, now),
            (Err(_), None) => {}
        }
        if let WriteTarget::NodeLabels(name) = target {
            self.cache.assign_changed_nodes(&self.evaluation.world.catalogue.pools);
            let facts = (&self.cache, self.stamps.stamps());
            self.node_labels.on_write_result(name, failure.is_none(), facts, now);
        }
        if self.writes.is_idle() {
            self.cache.drop_tombstones();
        }
    }

    fn on_failure(
        &mut self,
        target: &WriteTarget,
        error: &WriteError,
        failure: &WriteFailure,
        version: u64,
        now: Instant,
    ) {
        let object = target.object();
        match failure {
            WriteFailure::NotLeading => {
                tracing::debug!(object, "not written: this replica does not lead");
                // Even if it does again by now: what was not sent is asked for anew.
                self.lead(false);
            }
            WriteFailure::Gone | WriteFailure::Conflict if target.moves_pods() => {
                tracing::info!(object, "not moved: it is gone");
            }
            WriteFailure::Refused(said) | WriteFailure::OverBudget(said) if target.moves_pods() => {
                tracing::info!(object, said, "not moved");
            }
            WriteFailure::Timeout if target.moves_pods() => {
                tracing::warn!(object, "not moved: no answer in time; somebody's webhook may hold it up");
            }
            failure if matches!(target, WriteTarget::Event { .. }) => {
                let (reason, error) = (failure.reason(), ErrorChain(error.cause()));
                let is_away = self.writes.outage_until(now).is_some();
                if self.events.on_write_result(target, Some(failure), is_away) {
                    self.writes.forget(target);
                    tracing::warn!(object, reason, %error, "an event was not recorded");
                } else {
                    tracing::debug!(object, reason, %error, "an event was not recorded; it is sent again");
                }
            }
            WriteFailure::Gone => {
                tracing::debug!(object, "gone before it could be written");
                self.forget(target, version);
            }
            _ => {
                let not_before = self.writes.backs_off_until(target, now);
                self.records.put_off(target, not_before);
                self.statuses.put_off(target, not_before);
                if *failure != WriteFailure::Conflict && self.writes.may_log(target.kind(), now) {
                    let (kind, reason, error) = (target.kind(), failure.reason(), ErrorChain(error.cause()));
                    tracing::warn!(object, kind, reason, %error, "write failed; retrying");
                }
            }
        }
    }

    /// The write got 404: removes the object from the cache, unless the watch has already delivered a newer one than
    /// `version`.
    fn forget(&mut self, target: &WriteTarget, version: u64) {
        let name = target.name().to_owned();
        self.observe(match target {
            WriteTarget::Admission(kind, _) => Observation::Admission(*kind, WatchChange::Deleted(name, version)),
            WriteTarget::NodeLabels(_) => Observation::Node(WatchChange::Deleted(name, version)),
            WriteTarget::ProviderStatus(_) => Observation::Provider(WatchChange::Deleted(name, version)),
            WriteTarget::PoolStatus(_) => Observation::Pool(WatchChange::Deleted(name, version)),
            WriteTarget::Finalizer(_) | WriteTarget::PolicyStatus(_) => {
                Observation::Policy(WatchChange::Deleted(name, version))
            }
            WriteTarget::Record(key) => Observation::Record(WatchChange::Deleted(key.clone(), version)),
            // The watch tells.
            WriteTarget::Template(..)
            | WriteTarget::Eviction(_)
            | WriteTarget::PodDeletion(_)
            | WriteTarget::Event { .. } => return,
        });
    }

    fn wake_at(&mut self, instant: Option<Instant>) {
        self.wake = earliest(self.wake, instant);
    }
}
