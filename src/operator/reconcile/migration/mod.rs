//! Migration reconciler: moves running pods from where they may no longer run.
//!
//! What to move and how is the core's to say, from the report of the view. Here is what needs a memory: facts that must
//! have been stable for a while, moves in flight, refusals that are waited out, and what was replaced before.

pub mod breaker;
mod in_flight;
mod revisions;
mod sentence;
pub mod status;
#[cfg(test)]
mod tests;
mod unobserved_loss;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[cfg(test)]
pub use self::unobserved_loss::UnobservedLoss;
use self::{
    breaker::{BreakerInput, CircuitBreaker},
    in_flight::{InFlightMove, reference},
    revisions::{FactRevisions, LookRevisions},
    status::{MigrationStatus, MigrationStatuses},
};
use super::{CycleClocks, ReconcileOutcome, Reconciler, settings::MoveLimits, view::ClusterView};
use crate::operator::{
    backoff,
    cache::LastSeen,
    hold::{HoldReason, Holds},
    metrics::Metrics,
    write::{EventRequest, TemplateKind, WriteFailure, WriteRequest, WriteTarget},
};
use rempart_core::{
    cluster_objects::{ControllerSpec, ObjectUid, split},
    compliance::{Compliance, ComplianceReport, MisplacedPod, OwnedPods, PodOwner},
    migration::{
        AwaitedChange, BlockedReason, JOB_COUNTS_WITHIN, MigrationCause, MigrationContext, MigrationLimits,
        MigrationPlan, MigrationProgress, MigrationStep, PlannedMigration, STEP_DEADLINE, plan_migrations,
    },
    workload::WorkloadKind,
};

/// How long facts must have been what they are before running pods are moved.
const SETTLING: Duration = Duration::from_secs(2);
/// How often what runs is looked at while it keeps changing.
const PACE: Duration = Duration::from_millis(500);
/// How long a workload is left alone after a move in vain; longer with each further one.
const REST: Duration = Duration::from_mins(1);
/// The longest that it is left alone.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// How long a refused eviction is waited out at most.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);

/// What there is to remember.
#[derive(Default)]
pub struct MigrationReconciler {
    in_flight: BTreeMap<ObjectUid, InFlightMove>,
    /// What is left alone after a move in vain.
    resting: BTreeMap<ObjectUid, MoveBackoff>,
    /// Pods whose eviction was refused.
    refused: BTreeMap<ObjectUid, RefusedEviction>,
    /// Workloads of which stale pods were replaced, with the keys that these waited for.
    replaced: BTreeMap<ObjectUid, String>,
    facts: LastSeen<FactRevisions>,
    /// Since when facts have been what they are.
    stable_since: Option<Instant>,
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

/// How long a workload is left alone, and why.
#[derive(Debug)]
struct MoveBackoff {
    failures: u32,
    not_before: Instant,
    why: BlockedReason,
}

/// An eviction that the API server refused.
#[derive(Debug)]
struct RefusedEviction {
    failures: u32,
    not_before: Instant,
    said: String,
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

    /// What is stopped.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// The same, to be told of new facts.
    pub fn breaker_mut(&mut self) -> &mut CircuitBreaker {
        &mut self.breaker
    }

    /// Takes in how a write about `target` ended.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, now: Instant) {
        let said = match failure {
            None => None,
            // The pod is gone, or another has its name: the watch tells the rest.
            Some(WriteFailure::Gone | WriteFailure::Conflict) => {
                self.is_due = true;
                None
            }
            Some(WriteFailure::Refused(said)) => Some(said.clone()),
            // Somebody's webhook may hold it up: others must not wait for it.
            Some(WriteFailure::Timeout) => Some("it did not answer in time".to_owned()),
            // Still to be written.
            Some(_) => return,
        };
        // What keeps it is to be told.
        self.is_due |= said.is_some();
        let Some((unit, flight)) = self.in_flight.iter_mut().find(|(_, flight)| flight.steps.contains_key(target))
        else {
            return;
        };
        let step = flight.steps.remove(target);
        let Some(said) = said else { return };
        let nothing_left =
            if let (Some(WriteRequest::EvictPod { uid: pod, .. }), AwaitedChange::Replacement { pods, .. }) =
                (step, &mut flight.until)
            {
                let failures = self.refused.get(&pod).map_or(1, |refused| refused.failures.saturating_add(1));
                // Longer than until the next look, in which others have their turn.
                let not_before = now + backoff::after(failures, LONGEST_REFUSAL).max(PACE.saturating_mul(2));
                self.refused.insert(pod, RefusedEviction { failures, not_before, said });
                pods.remove(&pod);
                pods.is_empty()
            } else {
                rest(&mut self.resting, *unit, BlockedReason::Budget(said), now);
                true
            };
        if nothing_left {
            let unit = *unit;
            self.in_flight.remove(&unit);
        }
    }

    /// When it is next to be looked at though nothing changes.
    fn wake(&self, now: Instant) -> Option<Instant> {
        let rests = self.resting.values().map(|rest| rest.not_before);
        let refusals = self.refused.values().map(|refused| refused.not_before);
        let deadlines = self.in_flight.values().map(|flight| flight.since + STEP_DEADLINE);
        let jobs =
            self.in_flight.values().filter(|flight| flight.about.kind.as_deref() == Some(WorkloadKind::Job.as_str()));
        let counted = jobs.map(|flight| flight.since + JOB_COUNTS_WITHIN);
        let stable = self.stable_since.map(|since| since + SETTLING);
        rests.chain(refusals).chain(deadlines).chain(counted).chain(stable).filter(|instant| *instant > now).min()
    }

    /// Whether a wait has ended since it was last looked.
    fn wait_is_over(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|looked| self.wake(looked).is_some_and(|wake| wake <= now))
    }

    /// Whether facts have changed since `instant`: then a move that began there could not know where pods may be now.
    fn changed_since(&self, instant: Instant) -> bool {
        self.stable_since.is_some_and(|changed| changed > instant)
    }
}

fn rest(resting: &mut BTreeMap<ObjectUid, MoveBackoff>, unit: ObjectUid, why: BlockedReason, now: Instant) {
    let failures = resting.get(&unit).map_or(1, |rest| rest.failures.saturating_add(1));
    let wait = REST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_REST);
    resting.insert(unit, MoveBackoff { failures, not_before: now + wait, why });
}

impl Reconciler for MigrationReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let now = clocks.monotonic;
        let mut outcome = ReconcileOutcome::default();
        let revisions = LookRevisions::of(view);
        // Facts count from when they were first seen to be other than before.
        if self.facts.update(revisions.facts) {
            self.stable_since = Some(now);
            self.is_due = true;
        }
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
        let steps = self.in_flight.values().flat_map(|flight| flight.steps.values());
        outcome.requests.extend(steps.cloned());
        outcome.wake_at(self.wake(now));
        outcome
    }

    /// What another replica has done shows in what runs.
    fn take_over(&mut self, view: &ClusterView<'_>) {
        let mut breaker = std::mem::take(&mut self.breaker);
        breaker.take_over(view.cache);
        let statuses = std::mem::take(&mut self.statuses);
        *self = Self { breaker, statuses, metrics: self.metrics.clone(), ..Self::default() };
    }
}

impl MigrationReconciler {
    /// Looks at what runs, begins what may begin, and says why the rest does not.
    fn look(&mut self, view: &ClusterView<'_>, clocks: CycleClocks, events: &mut Vec<EventRequest>) -> Holds {
        let CycleClocks { wall, monotonic: now } = clocks;
        let (objects, facts, report) = (view.objects(), view.facts(), view.report());

        self.inherit(report, now);
        self.progress(report, clocks, events);
        let input = BreakerInput { cache: view.cache, evaluation: view.evaluation, report, wall, now };
        let stopped = self.breaker.update(input, events);
        self.drop_unsent(view, report, &stopped);

        let policies = view.evaluation.world.policies.keys();
        self.metrics.stopped(policies.map(|name| {
            let name = name.as_str();
            (name, stopped.keys().filter(|(policy, _)| policy == name).count())
        }));

        let is_settling = self.stable_since.is_some_and(|since| since + SETTLING > now);
        let moving = self.in_flight.iter().map(|(unit, flight)| (*unit, flight.weight)).collect();
        let resting = self.resting.iter().filter(|(_, rest)| rest.not_before > now);
        let resting = resting.map(|(unit, rest)| (*unit, rest.why.clone())).collect();
        let forbidden = self.refused.iter().filter(|(_, refused)| refused.not_before > now);
        let forbidden = forbidden.map(|(pod, refused)| (*pod, refused.said.clone())).collect();
        let context = MigrationContext {
            limits: MigrationLimits { wave: view.settings.limits.wave },
            moving: &moving,
            resting: &resting,
            forbidden: &forbidden,
            replaced: &self.replaced,
            stopped: &stopped,
        };
        let plan = plan_migrations(&objects, &facts, report, &context);
        let mut holds = Holds::default();
        for due in &plan.migrations {
            let Some(unit) = report.workloads.get(&due.owner) else { continue };
            if is_settling {
                holds.add(HoldReason::FactsSettling, name_of(unit));
            } else if view.is_stamping {
                // Where a stamp is still to be taken away, a replacement could land on it.
                holds.add(HoldReason::StampingFirst, name_of(unit));
            } else {
                self.begin(due, unit, clocks, events);
            }
        }
        self.forget(report, &plan);
        for unit in plan.waiting.iter().filter_map(|unit| report.workloads.get(unit)) {
            if !self.in_flight.contains_key(&unit.uid) {
                holds.add(HoldReason::ConcurrencyBudget, name_of(unit));
            }
        }
        for (unit, pods) in &plan.blocked {
            for (pod, why) in pods {
                let reason = match why {
                    BlockedReason::Stopped(_) => HoldReason::CircuitBreaker,
                    _ => HoldReason::NotMigratable,
                };
                let _ = unit;
                holds.add(reason, format!("Pod {pod}: {}", why.code()));
            }
        }
        let workloads = self.workload_statuses(&plan);
        if workloads != self.statuses.workloads {
            self.statuses.workloads = workloads;
            self.statuses.revision.bump();
        }
        holds
    }

    /// Takes over the rollouts that are under way and that another replica began, or somebody else since: to ask for
    /// them would only make them begin again.
    fn inherit(&mut self, report: &ComplianceReport<'_>, now: Instant) {
        for (uid, unit) in
            report.workloads.iter().filter(|(_, unit)| unit.misplaced.iter().any(MisplacedPod::is_to_move))
        {
            let PodOwner::Known(_, controller) = unit.owner else { continue };
            let (&ControllerSpec::Deployment { stuck: false, paused: false, total, updated, .. }, Some(note)) =
                (&controller.spec, &controller.migration)
            else {
                continue;
            };
            // What is only not ready is not on its way anywhere.
            let rolls = !controller.observed || updated < controller.replicas || total > updated;
            if !rolls || self.in_flight.contains_key(uid) {
                continue;
            }
            let Some(why) = unit.misplaced.iter().map(MisplacedPod::worst).max().and_then(MigrationCause::of) else {
                continue;
            };
            let flight = InFlightMove {
                since: now,
                why,
                weight: unit.pods.staying(),
                about: reference(unit),
                steps: BTreeMap::new(),
                until: AwaitedChange::Rollout { note: note.to_string() },
                inherited: true,
            };
            self.in_flight.insert(*uid, flight);
        }
    }

    /// Begins `due`.
    fn begin(
        &mut self,
        due: &PlannedMigration<'_>,
        unit: &OwnedPods<'_>,
        clocks: CycleClocks,
        events: &mut Vec<EventRequest>,
    ) {
        let CycleClocks { wall: at, monotonic: now } = clocks;
        let note = at.to_string();
        let mut steps = BTreeMap::new();
        let mut pods = BTreeSet::new();
        for step in &due.steps {
            let request = match step {
                MigrationStep::AnnotateTemplate { kind, name } => {
                    TemplateKind::of(*kind).map(|kind| WriteRequest::RestartRollout {
                        kind,
                        name: format!("{}/{name}", due.namespace),
                        note: note.clone(),
                        uid: due.owner,
                    })
                }
                MigrationStep::Evict { name, pod } => {
                    pods.insert(*pod);
                    Some(WriteRequest::EvictPod { name: format!("{}/{name}", due.namespace), uid: *pod })
                }
            };
            steps.extend(request.map(|request| (request.target(), request)));
        }
        if due.cause == MigrationCause::Stale {
            let keys = unit.stale.first().map(rempart_core::compliance::StalePod::keys);
            self.replaced.insert(due.owner, keys.unwrap_or_else(|| unit.surplus.join(", ")));
        }
        let about = reference(unit);
        // An eviction that was refused before is told of once.
        if !pods.iter().any(|pod| self.refused.contains_key(pod)) {
            self.metrics.moved(due.cause.as_str(), "begun");
            let note = sentence::sentence(due, unit);
            let about = about.clone();
            events.push(EventRequest { about, reason: "Migrating", note, action: "Migrate", warning: false, at });
        }
        let until = if pods.is_empty() {
            AwaitedChange::Rollout { note }
        } else {
            // Who is not ready before need not be ready after.
            AwaitedChange::Replacement { pods, ready: unit.pods.ready }
        };
        let flight =
            InFlightMove { since: now, why: due.cause, weight: due.weight, about, steps, until, inherited: false };
        self.in_flight.insert(due.owner, flight);
    }

    /// Looks how far the moves in flight are.
    fn progress(&mut self, report: &ComplianceReport<'_>, clocks: CycleClocks, events: &mut Vec<EventRequest>) {
        let CycleClocks { wall: at, monotonic: now } = clocks;
        let mut paused = Vec::new();
        let ended: Vec<_> = self
            .in_flight
            .iter()
            .filter_map(|(unit, flight)| match flight.progress(report.workloads.get(unit), now) {
                MigrationProgress::UnderWay => None,
                MigrationProgress::Done => Some((*unit, true)),
                MigrationProgress::Failed => Some((*unit, false)),
                MigrationProgress::Paused => {
                    paused.push(*unit);
                    None
                }
            })
            .collect();
        for unit in paused {
            if let Some(flight) = self.in_flight.remove(&unit) {
                self.metrics.moved(flight.why.as_str(), "failed");
            }
        }
        for (unit, done) in ended {
            let Some(flight) = self.in_flight.remove(&unit) else { continue };
            self.metrics.moved(flight.why.as_str(), if done { "done" } else { "failed" });
            let owned = report.workloads.get(&unit);
            let misplaced = || owned.iter().flat_map(|owned| &owned.misplaced);
            let to_move = misplaced().filter(|pod| pod.is_to_move()).count();
            if !done {
                let why = match flight.why {
                    MigrationCause::TemplateBehind => BlockedReason::TemplateReverted,
                    MigrationCause::Violating | MigrationCause::Expiring | MigrationCause::Stale => {
                        BlockedReason::Stuck
                    }
                };
                events.push(flight.event("MigrationFailed", why.to_string(), true, at));
                rest(&mut self.resting, unit, why, now);
            } else if flight.why == MigrationCause::TemplateBehind {
                // What stands wrong is moved next, or is kept for a reason of its own.
                self.resting.remove(&unit);
                let note = "its template says all that is said of it now".to_owned();
                events.push(flight.event("Migrated", note, false, at));
            } else if to_move == 0 {
                self.resting.remove(&unit);
                let note = match misplaced().filter(|pod| pod.worst() != Compliance::Compliant).count() {
                    0 => "all its pods run where they may".to_owned(),
                    1 => "all its pods run where they may, but for one that is being deleted".to_owned(),
                    more => format!("all its pods run where they may, but for {more} that are being deleted"),
                };
                events.push(flight.event("Migrated", note, false, at));
            } else if matches!(flight.until, AwaitedChange::Rollout { .. })
                && !flight.inherited
                && !self.changed_since(flight.since)
            {
                // Its controller has done what was asked, and it did not help: not again at once.
                rest(&mut self.resting, unit, BlockedReason::Stuck, now);
            }
        }
    }

    /// Drops steps that have not been asked for yet and whose reason has gone, pod by pod, or whose level is `stopped`. A
    /// move of which nothing is left gives its turn back.
    fn drop_unsent(
        &mut self,
        view: &ClusterView<'_>,
        report: &ComplianceReport<'_>,
        stopped: &BTreeMap<(String, String), String>,
    ) {
        self.in_flight.retain(|owner, flight| {
            let Some(owned) = report.workloads.get(owner) else { return true };
            let is_sent = |target: &WriteTarget| view.writes.is_in_flight(target);
            let is_left = flight.drop_unsent(owned, stopped, is_sent);
            if !is_left {
                self.metrics.moved(flight.why.as_str(), "failed");
            }
            is_left
        });
    }

    /// What records say of it.
    fn workload_statuses(&self, plan: &MigrationPlan<'_>) -> BTreeMap<ObjectUid, MigrationStatus> {
        let mut statuses: BTreeMap<ObjectUid, MigrationStatus> = BTreeMap::new();
        for (unit, flight) in &self.in_flight {
            statuses.entry(*unit).or_default().moving = flight.weight;
        }
        for unit in plan.waiting.iter().filter(|unit| !self.in_flight.contains_key(unit)) {
            statuses.entry(*unit).or_default().waiting = true;
        }
        for (unit, pods) in &plan.blocked {
            let kept = pods.iter().map(|(pod, why)| (split(pod).1.to_owned(), (why.code(), why.to_string())));
            statuses.entry(*unit).or_default().kept = kept.collect();
        }
        statuses
    }

    /// Forgets what no longer matters.
    fn forget(&mut self, report: &ComplianceReport<'_>, plan: &MigrationPlan<'_>) {
        self.replaced.retain(|unit, _| report.workloads.contains_key(unit));
        self.resting.retain(|unit, _| report.workloads.contains_key(unit));
        if self.refused.len() > plan.blocked.len().saturating_mul(2).saturating_add(1024) {
            let pods: BTreeSet<ObjectUid> =
                report.workloads.values().flat_map(|unit| &unit.misplaced).map(|pod| pod.pod.uid).collect();
            self.refused.retain(|pod, _| pods.contains(pod));
        }
    }
}

/// What `unit` is called in reports.
fn name_of(unit: &OwnedPods<'_>) -> String {
    format!("{} {}/{}", unit.kind_said(), unit.namespace, unit.name())
}
