//! Migration reconciler: moves running pods from where they may no longer run.
//!
//! What to move and how, and what is remembered of it, is the core's. Here is what surrounds that: facts that must have
//! been stable for a while, stamps that are still to be written, an officer's word, and what people are told.

pub mod breaker;
mod departures;
mod fact_changes;
mod outcomes;
mod requests;
mod revisions;
mod sentence;
mod settling;
pub mod status;
mod unobserved_loss;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[cfg(test)]
pub use self::unobserved_loss::UnobservedLoss;
use self::{
    breaker::{BreakerInput, CircuitBreaker},
    requests::RequestedWrites,
    revisions::LookRevisions,
    settling::SettlingFacts,
    status::{MigrationStatus, MigrationStatuses},
};
use super::{CycleClocks, ReconcileOutcome, Reconciler, settings::MoveLimits, view::ClusterView};
use crate::operator::{
    cache::{FactChanges, LastSeen},
    hold::{HoldReason, Holds},
    metrics::Metrics,
    write::{EventRequest, WriteFailure, WriteTarget},
};
use rempart_core::{
    cluster_objects::ObjectUid,
    compliance::{ComplianceReport, OwnedPods},
    instant::Timestamp,
    migration::{
        BlockedReason, LookSettings, MigrationLimits, MigrationLook, MigrationMemory, MigrationStep,
        MigrationSurroundings, MoveWait, PlannedMigration, RequestedStep,
    },
    monotonic::MonotonicTime,
    name::{LevelName, PolicyName},
    workload::WorkloadKind,
};

/// How often what runs is looked at while it keeps changing.
const PACE: Duration = Duration::from_millis(500);

/// What there is to remember.
#[derive(Default)]
pub struct MigrationReconciler {
    memory: MigrationMemory,
    requested: RequestedWrites,
    time: TimeScale,
    facts: SettlingFacts,
    seen: LastSeen<LookRevisions>,
    /// Whether what came of a write is to be told, though nothing was observed.
    is_due: bool,
    /// When what runs was last looked at.
    looked_at: Option<Instant>,
    breaker: CircuitBreaker,
    statuses: MigrationStatuses,
    /// Why moves did not begin when it last looked.
    holds: Holds,
    metrics: Metrics,
}

/// The monotonic clock as the core is told of it: from the first reading on.
#[derive(Clone, Copy, Debug, Default)]
struct TimeScale(Option<Instant>);

impl TimeScale {
    fn reading(&mut self, now: Instant) -> MonotonicTime {
        let first = *self.0.get_or_insert(now);
        MonotonicTime::after(now.saturating_duration_since(first))
    }

    fn instant(self, time: MonotonicTime) -> Option<Instant> {
        self.0?.checked_add(time.elapsed())
    }
}

impl MigrationReconciler {
    /// Nothing in flight yet.
    pub fn new(limits: MoveLimits, metrics: Metrics) -> Self {
        Self { breaker: CircuitBreaker::new(limits.breaker), metrics, ..Self::default() }
    }

    /// How the migration of each workload stands.
    pub fn statuses(&self) -> &MigrationStatuses {
        &self.statuses
    }

    /// What is on the move, by the identifiers of what makes the pods.
    pub fn on_the_move(&self) -> BTreeSet<ObjectUid> {
        self.memory.moving().map(|(owner, _)| owner).collect()
    }

    /// What is stopped.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// The same, to be told of new facts.
    pub fn breaker_mut(&mut self) -> &mut CircuitBreaker {
        &mut self.breaker
    }

    /// Takes in what has changed of the facts by which pods may be where they are.
    pub fn observe_facts(&mut self, view: &ClusterView<'_>, changes: FactChanges, now: Instant) {
        self.is_due |= self.facts.observe(view, changes, now);
    }

    /// Takes in how a write about `target` ended.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) {
        // Still to be written.
        let Some(answer) = requests::answer(failure) else { return };
        // What keeps it is to be told, and what was gone may have gone unseen.
        self.is_due |= failure.is_some();
        if let Some((owner, step)) = self.requested.step(target) {
            self.memory.on_answer(owner, step, answer, self.time.reading(now));
        }
    }

    /// When it is next to be looked at though nothing changes.
    fn wake(&mut self, now: Instant) -> Option<Instant> {
        let waits = self.memory.wake(self.time.reading(now)).and_then(|time| self.time.instant(time));
        self.facts.ends().chain(waits).filter(|instant| *instant > now).min()
    }

    /// Whether a wait has ended since it was last looked.
    fn wait_is_over(&mut self, now: Instant) -> bool {
        let looked = self.looked_at;
        looked.is_none_or(|looked| self.wake(looked).is_some_and(|wake| wake <= now))
    }
}

impl Reconciler for MigrationReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let now = clocks.monotonic;
        let mut outcome = ReconcileOutcome::default();
        let revisions = LookRevisions::of(view);
        let is_due = self.is_due || self.seen.differs(&revisions);
        let not_before = self.looked_at.map(|looked| looked + PACE).filter(|not_before| *not_before > now);
        if not_before.is_some() {
            if is_due {
                outcome.holds.count(HoldReason::Pace, 1);
                outcome.wake_at(not_before);
            }
        } else if is_due || self.wait_is_over(now) {
            self.is_due = false;
            self.seen.remember(revisions);
            self.looked_at = Some(now);
            self.holds = self.look(view, clocks, &mut outcome.events);
        }
        outcome.holds.merge(&self.holds);
        let (requests, unrecorded) = self.requested.of(&self.memory, view);
        outcome.requests.extend(requests);
        outcome.holds.count(HoldReason::RecordFirst, unrecorded);
        outcome.wake_at(self.wake(now));
        outcome
    }

    /// What another replica has done shows in what runs.
    fn take_over(&mut self, view: &ClusterView<'_>) {
        let mut breaker = std::mem::take(&mut self.breaker);
        breaker.take_over(view.cache);
        let statuses = std::mem::take(&mut self.statuses);
        let recorded = requests::recorded(view);
        let memory = MigrationMemory::taken_over(
            &view.objects(),
            recorded,
            requests::recorded_violations(view),
            MonotonicTime::default(),
        );
        *self = Self { breaker, statuses, memory, metrics: self.metrics.clone(), ..Self::default() };
    }
}

impl MigrationReconciler {
    /// Looks at what runs, begins what may begin, and says why the rest does not.
    fn look(&mut self, view: &ClusterView<'_>, clocks: CycleClocks, events: &mut Vec<EventRequest>) -> Holds {
        let CycleClocks { wall, monotonic: now } = clocks;
        let (objects, facts, report) = (view.objects(), view.facts(), view.report());

        let input = BreakerInput { cache: view.cache, evaluation: view.evaluation, report, wall, now };
        let stopped = self.breaker.update(input, events);
        let policies = view.evaluation.world.policies.keys();
        self.metrics.stopped(policies.map(|name| {
            let name = name.as_str();
            (name, stopped.keys().filter(|(policy, _)| policy == name).count())
        }));

        let limits = MigrationLimits { wave: view.settings.limits.wave };
        let settings = LookSettings { limits, now: self.time.reading(now), wall, stopped: &stopped };
        let surroundings = Surroundings { view, facts: &self.facts, time: self.time, now };
        let look = self.memory.look(&objects, &facts, report, &settings, &surroundings);
        self.is_due |= look.is_due_again;
        for ended in &look.ended {
            events.extend(self.tell_ended(ended, report.workloads.get(&ended.owner), wall));
        }
        for (due, is_told) in &look.begun {
            let Some(owned) = report.workloads.get(&due.owner).filter(|_| *is_told) else { continue };
            events.push(self.tell_begun(due, owned, wall));
        }
        for notice in &look.announced {
            events.extend(report.workloads.get(&notice.owner).map(|owned| outcomes::announcement(notice, owned, wall)));
        }
        self.metrics.set_deadlines(&next_deadlines(&look, report));
        self.metrics.set_awaiting_windows(&awaiting_windows(&look, report));
        let to_record = self.memory.to_record(&objects, requests::recorded(view));
        let workloads = self.workload_statuses(&look, report, &to_record, wall);
        if workloads != self.statuses.workloads {
            self.statuses.workloads = workloads;
            self.statuses.revision.bump();
        }
        let named = |owner: &ObjectUid| report.workloads.get(owner).map(name_of);
        holds(&look, named)
    }
}

/// Why moves do not begin, by what `named` calls their workloads.
fn holds(look: &MigrationLook<'_>, named: impl Fn(&ObjectUid) -> Option<String>) -> Holds {
    let mut holds = Holds::default();
    for (name, wait) in look.waiting.iter().filter_map(|(owner, wait)| Some((named(owner)?, wait))) {
        let reason = match wait {
            MoveWait::StableFacts => HoldReason::FactsSettling,
            MoveWait::Stamps => HoldReason::StampingFirst,
            MoveWait::Turn => HoldReason::ConcurrencyBudget,
        };
        holds.add(reason, name);
    }
    for (pod, why) in look.blocked.values().flatten() {
        match why {
            BlockedReason::Stopped(_) => holds.add(HoldReason::CircuitBreaker, format!("Pod {pod}: {}", why.code())),
            BlockedReason::OutsideWindow(Some(opens)) => {
                holds.add(HoldReason::MoveWindow, format!("Pod {pod}: opens {opens}"));
            }
            _ => holds.add(HoldReason::Blocked, format!("Pod {pod}: {}", why.code())),
        }
    }
    holds
}

/// When the first deadline of the violating pods of each level ends, by policy and name.
fn next_deadlines<'a>(
    look: &MigrationLook<'a>,
    report: &ComplianceReport<'a>,
) -> BTreeMap<(&'a PolicyName, &'a LevelName), Timestamp> {
    let mut next: BTreeMap<_, Timestamp> = BTreeMap::new();
    if look.deadlines.is_empty() {
        return next;
    }
    for pod in report.workloads.values().flat_map(|owned| &owned.misplaced) {
        let Some(deadline) = look.deadlines.get(&pod.pod.uid) else { continue };
        for level in pod.unsatisfied().filter_map(|(required, _)| required.level()) {
            let first = next.entry((level.policy, level.level)).or_insert(deadline.at);
            *first = deadline.at.min(*first);
        }
    }
    next
}

/// How many pods of each level, by policy and name, leave ahead of an end when a window opens.
fn awaiting_windows<'a>(
    look: &MigrationLook<'a>,
    report: &ComplianceReport<'a>,
) -> BTreeMap<(&'a PolicyName, &'a LevelName), usize> {
    let mut waiting: BTreeMap<_, usize> = BTreeMap::new();
    for (owner, pods) in &look.blocked {
        let misplaced = report.workloads.get(owner).map_or(&[][..], |owned| &owned.misplaced);
        let outside = misplaced.iter().filter(|pod| matches!(pods.get(pod.key), Some(BlockedReason::OutsideWindow(_))));
        for level in outside.flat_map(|pod| pod.unsatisfied().filter_map(|(required, _)| required.level())) {
            let count = waiting.entry((level.policy, level.level)).or_default();
            *count = count.saturating_add(1);
        }
    }
    waiting
}

/// What surrounds a look at what runs.
struct Surroundings<'v, 'a> {
    view: &'v ClusterView<'a>,
    facts: &'v SettlingFacts,
    time: TimeScale,
    now: Instant,
}

impl MigrationSurroundings for Surroundings<'_, '_> {
    fn wait(&self, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> Option<MoveWait> {
        let is_losing = |policy: &str| self.view.losing.contains(policy);
        if self.facts.settles(owned, self.now).is_some() {
            Some(MoveWait::StableFacts)
        } else if owned.requirements.policies.iter().any(|asked| is_losing(asked.policy.name.as_str()))
            // Where a stamp is still to be taken away, a replacement could land on it.
            || awaits_stamps(self.view, due, owned)
        {
            Some(MoveWait::Stamps)
        } else {
            None
        }
    }

    fn is_on_its_way(&self, owner: ObjectUid, step: &RequestedStep) -> bool {
        requests::request(owner, step).is_some_and(|request| self.view.writes.is_in_flight(&request.target()))
    }

    fn have_facts_changed_since(&self, then: MonotonicTime) -> bool {
        self.time.instant(then).is_none_or(|then| self.facts.have_changed_since(then))
    }
}

/// Whether a node that pods of a `DaemonSet` are on is still to be given what its completed template would select by: its
/// pod there would end.
fn awaits_stamps(view: &ClusterView<'_>, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> bool {
    let is_touched = |step: &MigrationStep<'_>| {
        matches!(step, MigrationStep::AnnotateTemplate { kind: WorkloadKind::DaemonSet, .. })
    };
    let awaits = |node: &&str| {
        let Some(record) = view.cache.nodes.get(node) else { return false };
        let missing = record.stamp_change(view.stamps.stamps()).add;
        // One that cannot be written to keeps nobody waiting.
        owned.requirements.keys().any(|key| missing.contains_key(key))
            && !view.writes.has_failed(&WriteTarget::NodeLabels((*node).to_owned()))
    };
    due.steps.iter().any(is_touched) && owned.nodes.keys().any(awaits)
}

/// What `owned` is called in reports.
fn name_of(owned: &OwnedPods<'_>) -> String {
    format!("{} {}/{}", owned.kind_said(), owned.namespace, owned.name())
}
