//! Migration reconciler: moves running pods from where they may no longer run.
//!
//! What to move and how is the core's to say, from the report of the view. Here is what needs a memory: facts that must
//! have been stable for a while, moves in flight, refusals that are waited out, and what was replaced before.

pub mod breaker;
mod departures;
mod in_flight;
mod outcomes;
mod replaced;
mod revisions;
mod sentence;
mod settling;
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
    in_flight::{GoingPods, InFlightMove, reference},
    replaced::ReplacementMemory,
    revisions::LookRevisions,
    settling::SettlingFacts,
    status::{MigrationStatus, MigrationStatuses, MoveWait},
};
use super::{CycleClocks, ReconcileOutcome, Reconciler, settings::MoveLimits, view::ClusterView};
use crate::api::conditions;
use crate::operator::{
    backoff,
    cache::{FactChanges, LastSeen},
    hold::{HoldReason, Holds},
    metrics::{Metrics, MoveOutcome},
    write::{EventRequest, TemplateKind, WriteFailure, WriteRequest, WriteTarget},
};
use rempart_core::{
    cluster_objects::{ControllerSpec, ObjectUid},
    compliance::{ComplianceReport, MisplacedPod, OwnedPods, PodOwner},
    migration::{
        AwaitedChange, BlockedReason, MigrationCause, MigrationContext, MigrationLimits, MigrationPlan, MigrationStep,
        PlannedMigration, ProgressMark, STEP_DEADLINE, plan_migrations, step_deadline,
    },
    workload::WorkloadKind,
};

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
    /// Workloads of which stale pods were replaced.
    replaced: ReplacementMemory,
    /// Workloads whose owner was seen to take the note of a move away.
    reverting: BTreeSet<ObjectUid>,
    /// Workloads of which a pod was evicted and is not made anew, and how many of their pods were ready before.
    missing: BTreeMap<ObjectUid, u32>,
    /// When the first pod that is not to be moved before a certain time may be.
    undisturbed_until: Option<Instant>,
    /// Rollouts of others that are to replace pods: how many are left, and since when it is so many.
    under_way: BTreeMap<ObjectUid, (usize, Instant)>,
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

    /// What is on the move, by the identifiers of what makes the pods.
    pub fn on_the_move(&self) -> BTreeSet<ObjectUid> {
        self.in_flight.keys().copied().collect()
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
                let why = if matches!(failure, Some(WriteFailure::Timeout)) {
                    BlockedReason::Unanswered
                } else {
                    BlockedReason::TemplateRefused(said)
                };
                rest(&mut self.resting, *unit, why, now);
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
        let deadlines = self.in_flight.values().flat_map(InFlightMove::deadlines);
        let rollouts = self.under_way.values().map(|(_, since)| *since + STEP_DEADLINE);
        rests
            .chain(refusals)
            .chain(deadlines)
            .chain(rollouts)
            .chain(self.facts.ends())
            .chain(self.undisturbed_until)
            .filter(|instant| *instant > now)
            .min()
    }

    /// Whether a wait has ended since it was last looked.
    fn wait_is_over(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|looked| self.wake(looked).is_some_and(|wake| wake <= now))
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

        self.adopt_rollouts(report, now);
        self.progress(report, clocks, events);
        let input = BreakerInput { cache: view.cache, evaluation: view.evaluation, report, wall, now };
        let stopped = self.breaker.update(input, events);
        self.drop_unsent(view, report, &stopped);

        let policies = view.evaluation.world.policies.keys();
        self.metrics.stopped(policies.map(|name| {
            let name = name.as_str();
            (name, stopped.keys().filter(|(policy, _)| policy == name).count())
        }));

        let moving = self.in_flight.iter().map(|(unit, flight)| (*unit, flight.pods_moving)).collect();
        let resting = self.resting.iter().filter(|(_, rest)| rest.not_before > now);
        let resting = resting.map(|(unit, rest)| (*unit, rest.why.clone())).collect();
        let forbidden = self.refused.iter().filter(|(_, refused)| refused.not_before > now);
        let forbidden = forbidden.map(|(pod, refused)| (*pod, refused.said.clone())).collect();
        let failures = self.resting.iter().map(|(unit, rest)| (*unit, rest.failures)).collect();
        let awaited = self
            .in_flight
            .iter()
            .filter_map(|(unit, flight)| Some((*unit, flight.going.as_ref()?.awaited(report.workloads.get(unit)?)?)));
        let context = MigrationContext {
            limits: MigrationLimits { wave: view.settings.limits.wave },
            moving: &moving,
            resting: &resting,
            failures: &failures,
            reverting: &self.reverting,
            missing: &self.missing,
            awaited: &awaited.collect(),
            now: wall,
            refused_evictions: &forbidden,
            replaced: self.replaced.known(),
            stopped: &stopped,
        };
        let plan = plan_migrations(&objects, &facts, report, &context);
        let mut holds = Holds::default();
        let mut waiting: BTreeMap<ObjectUid, MoveWait> =
            plan.waiting.iter().map(|uid| (*uid, MoveWait::Turn)).collect();
        for due in &plan.migrations {
            let Some(unit) = report.workloads.get(&due.owner) else { continue };
            if self.facts.settles(unit, now).is_some() {
                waiting.insert(due.owner, MoveWait::StableFacts);
            } else if unit.requirements.policies.iter().any(|asked| view.losing.contains(asked.policy.name.as_str())) {
                // Where a stamp is still to be taken away, a replacement could land on it.
                waiting.insert(due.owner, MoveWait::Stamps);
            } else if awaits_stamps(view, due, unit) {
                waiting.insert(due.owner, MoveWait::Stamps);
            } else {
                self.begin(due, unit, clocks, events);
            }
        }
        self.forget(view, report, &plan);
        self.watch_rollouts(&plan, now);
        waiting.retain(|uid, _| !self.in_flight.contains_key(uid));
        for (unit, wait) in waiting.iter().filter_map(|(uid, wait)| Some((report.workloads.get(uid)?, wait))) {
            let reason = match wait {
                MoveWait::StableFacts => HoldReason::FactsSettling,
                MoveWait::Stamps => HoldReason::StampingFirst,
                MoveWait::Turn => HoldReason::ConcurrencyBudget,
            };
            holds.add(reason, name_of(unit));
        }
        for (pod, why) in plan.blocked.values().flatten() {
            let reason =
                if matches!(why, BlockedReason::Stopped(_)) { HoldReason::CircuitBreaker } else { HoldReason::Blocked };
            holds.add(reason, format!("Pod {pod}: {}", why.code()));
        }
        let marks = plan.blocked.values().flat_map(BTreeMap::values).filter_map(BlockedReason::ends_at);
        let next = marks.filter(|then| *then > wall).min();
        self.undisturbed_until = next.map(|then| now + then.since(wall));
        let workloads = self.workload_statuses(&plan, report, &waiting);
        if workloads != self.statuses.workloads {
            self.statuses.workloads = workloads;
            self.statuses.revision.bump();
        }
        holds
    }

    /// Takes over the rollouts that are under way and that another replica began, or somebody else since: to ask for
    /// them would only make them begin again.
    fn adopt_rollouts(&mut self, report: &ComplianceReport<'_>, now: Instant) {
        for (uid, unit) in
            report.workloads.iter().filter(|(_, unit)| unit.misplaced.iter().any(MisplacedPod::is_to_move))
        {
            let PodOwner::Known(_, controller) = unit.owner else { continue };
            let (ControllerSpec::Deployment { stuck: false, paused: false, .. }, Some(note)) =
                (&controller.spec, &controller.migration)
            else {
                continue;
            };
            // What did not go on before holds nobody's turn again.
            if !controller.is_rolling() || self.in_flight.contains_key(uid) || self.resting.contains_key(uid) {
                continue;
            }
            let Some(why) = unit.misplaced.iter().map(MisplacedPod::worst).max().and_then(MigrationCause::of) else {
                continue;
            };
            let flight = InFlightMove {
                since: now,
                why,
                pods_moving: unit.pods.staying(),
                about: reference(unit),
                steps: BTreeMap::new(),
                until: AwaitedChange::Rollout { note: note.to_string(), seen: true },
                inherited: true,
                mark: ProgressMark::of(unit),
                marked_at: now,
                step_deadline: step_deadline(unit),
                going: None,
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
                MigrationStep::AnnotateTemplate { kind, name, surplus } => {
                    TemplateKind::of(*kind).map(|kind| WriteRequest::RestartRollout {
                        kind,
                        name: format!("{}/{name}", due.namespace),
                        note: note.clone(),
                        surplus: surplus.iter().map(|key| (*key).to_owned()).collect(),
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
        if self.replaced.remember(due, unit) && due.cause == MigrationCause::KeyRetired {
            // Somebody has put it back: it is taken again, ever more slowly.
            rest(&mut self.resting, due.owner, BlockedReason::TemplateReverted, now);
        }
        let about = reference(unit);
        // An eviction that was refused before is told of once.
        if !pods.iter().any(|pod| self.refused.contains_key(pod)) {
            self.metrics.moved(due.cause, MoveOutcome::Begun);
            let note = sentence::sentence(due, unit);
            let about = about.clone();
            events.push(EventRequest {
                about,
                reason: conditions::MIGRATING,
                note,
                action: "Migrate",
                warning: false,
                at,
            });
        }
        let until = if pods.is_empty() {
            AwaitedChange::Rollout { note, seen: false }
        } else {
            // Who is not ready before need not be ready after.
            AwaitedChange::Replacement { pods, ready: unit.pods.ready }
        };
        let flight = InFlightMove {
            since: now,
            why: due.cause,
            pods_moving: due.pods_moving,
            about,
            steps,
            until,
            inherited: false,
            mark: ProgressMark::of(unit),
            marked_at: now,
            step_deadline: step_deadline(unit),
            going: GoingPods::of(due, unit),
        };
        self.in_flight.insert(due.owner, flight);
    }

    /// Has workloads rest whose own rollout is to replace pods and does not: their record says then that they are stuck.
    fn watch_rollouts(&mut self, plan: &MigrationPlan<'_>, now: Instant) {
        let rolling = |pods: &BTreeMap<&str, BlockedReason>| pods.values().filter(|why| why.is_under_way()).count();
        let left: BTreeMap<ObjectUid, usize> = plan.blocked.iter().map(|(uid, pods)| (*uid, rolling(pods))).collect();
        // Who rests as stuck is told of so, and has not gone on.
        self.under_way.retain(|uid, _| left.get(uid).is_some_and(|left| *left > 0) || self.resting.contains_key(uid));
        for (uid, left) in left.into_iter().filter(|(_, left)| *left > 0) {
            let known = self.under_way.entry(uid).or_insert((left, now));
            if known.0 != left {
                *known = (left, now);
            } else if known.1 + STEP_DEADLINE <= now {
                rest(&mut self.resting, uid, BlockedReason::Stuck, now);
                self.is_due = true;
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
                self.metrics.moved(flight.why, MoveOutcome::Dropped);
            }
            is_left
        });
    }

    /// Forgets what no longer matters.
    fn forget(&mut self, view: &ClusterView<'_>, report: &ComplianceReport<'_>, plan: &MigrationPlan<'_>) {
        self.replaced.forget(view, report);
        let (workloads, replaced) = (&report.workloads, &self.replaced);
        self.resting.retain(|unit, _| workloads.contains_key(unit) || replaced.knows(unit));
        self.reverting.retain(|unit| workloads.contains_key(unit));
        self.missing.retain(|unit, before| workloads.get(unit).is_some_and(|owned| owned.pods.ready < *before));
        if self.refused.len() > plan.blocked.len().saturating_mul(2).saturating_add(1024) {
            let pods: BTreeSet<ObjectUid> =
                report.workloads.values().flat_map(|unit| &unit.misplaced).map(|pod| pod.pod.uid).collect();
            self.refused.retain(|pod, _| pods.contains(pod));
        }
    }
}

/// Whether a node that pods of a `DaemonSet` are on is still to be given what its completed template would select by: its
/// pod there would end.
fn awaits_stamps(view: &ClusterView<'_>, due: &PlannedMigration<'_>, unit: &OwnedPods<'_>) -> bool {
    let is_touched = |step: &MigrationStep<'_>| {
        matches!(step, MigrationStep::AnnotateTemplate { kind: WorkloadKind::DaemonSet, .. })
    };
    let awaits = |node: &&str| {
        let Some(record) = view.cache.nodes.get(node) else { return false };
        let missing = record.stamp_change(view.stamps.stamps()).add;
        // One that cannot be written to keeps nobody waiting.
        unit.requirements.keys().any(|key| missing.contains_key(key))
            && !view.writes.has_failed(&WriteTarget::NodeLabels((*node).to_owned()))
    };
    due.steps.iter().any(is_touched) && unit.nodes.keys().any(awaits)
}

/// What `unit` is called in reports.
fn name_of(unit: &OwnedPods<'_>) -> String {
    format!("{} {}/{}", unit.kind_said(), unit.namespace, unit.name())
}
