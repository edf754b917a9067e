//! Migration memory: what has to be remembered from one look at what runs to the next.
//!
//! Takes the report of a look, the time and what surrounds it, and gives what begins, what has ended and what is asked of
//! the API server; and takes in what came of that. It is data: it has no clock, is compared and hashed, and can be explored
//! state by state.

mod handover;
mod in_flight;
mod outcome;
mod replacement;
mod step;
#[cfg(test)]
mod tests;

use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use self::{in_flight::InFlightMove, replacement::ReplacementMemory};
pub use self::{
    outcome::{EndedMove, MigrationOutcome},
    step::{RequestedStep, StepAnswer, StepTarget},
};
use super::{
    AwaitedChange, BlockedReason, DeadlineNotice, LevelViolation, MigrationCause, MigrationContext, MigrationLimits,
    MigrationPlan, PlannedMigration, PodDeadline, RefusedRemoval, RemovalStage, STEP_DEADLINE, StepConditions,
    deadline::Violations, plan_migrations,
};
use crate::{
    cluster_objects::{ClusterObjects, ControllerSpec, ObjectUid},
    compliance::{ComplianceReport, MisplacedPod, OwnedPods, PlacementFacts, PodOwner},
    instant::Timestamp,
    monotonic::MonotonicTime,
};

/// How long a workload is left alone after a move in vain; twice as long with each further one.
const REST: Duration = Duration::from_mins(1);
/// The longest that it is left alone.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// How long a refused eviction is waited out: longer than until the next look, in which others have their turn; twice as
/// long with each further refusal.
const REFUSAL: Duration = Duration::from_secs(1);
/// The longest that it is waited out.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);
/// More failures than this are none: by then a wait is as long as it gets.
const MOST_FAILURES: u32 = 7;

/// What is remembered from one look to the next. Two that are equal decide alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MigrationMemory {
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
    missing: BTreeMap<ObjectUid, MissingPods>,
    /// When the first pod that is not to be moved before a certain time may be.
    undisturbed_until: Option<MonotonicTime>,
    /// Rollouts of others that are to replace pods: how many are left, and since when it is so many.
    under_way: BTreeMap<ObjectUid, (usize, MonotonicTime)>,
    /// Since when pods violate whose levels have a deadline.
    violations: Violations,
    /// From when on deadlines are enforced.
    forces_from: Option<MonotonicTime>,
}

/// Pods that were evicted and are not made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MissingPods {
    /// How many pods of the workload were ready before.
    before: u32,
    /// Until when as many are waited for, where some are ready: it may have been scaled down.
    until: MonotonicTime,
}

/// How long a workload is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct MoveBackoff {
    failures: u32,
    not_before: MonotonicTime,
    why: BlockedReason,
}

/// An eviction that the API server refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RefusedEviction {
    /// What was asked for.
    stage: RemovalStage,
    /// The most resolute of what was asked for, which is told once.
    told: RemovalStage,
    /// Since when budgets alone have refused its eviction past its deadline, again and again.
    by_budget_since: Option<MonotonicTime>,
    failures: u32,
    not_before: MonotonicTime,
    said: String,
}

/// What a move that is due waits for, the last thing last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoveWait {
    /// That as few others move as may.
    Turn,
    /// That no node has a clearance any more that it has lost: a replacement could land there.
    Stamps,
    /// That facts stay what they are for a while.
    StableFacts,
}

/// What surrounds a look, which whoever keeps the memory knows.
pub trait MigrationSurroundings {
    /// What `due`, a move of `owned`, waits for beside its turn; nothing where it may begin.
    fn wait(&self, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>) -> Option<MoveWait>;

    /// Whether `step`, of the workload `owner`, has been sent and is not answered.
    fn is_on_its_way(&self, owner: ObjectUid, step: &RequestedStep) -> bool;

    /// Whether any fact by which pods may be where they are has changed since `then`.
    fn have_facts_changed_since(&self, then: MonotonicTime) -> bool;
}

/// When and by what rules is looked at what runs.
#[derive(Clone, Copy, Debug)]
pub struct LookSettings<'s> {
    /// How much may be on the move at a time.
    pub limits: MigrationLimits,
    /// The time for waits.
    pub now: MonotonicTime,
    /// The instant, which is what is noted in templates.
    pub wall: Timestamp,
    /// Levels whose moves wait for an officer's word, as [`MigrationContext`] has them.
    pub stopped: &'s BTreeMap<(String, String), String>,
}

/// What came of a look.
#[derive(Debug)]
pub struct MigrationLook<'a> {
    /// Moves that are over.
    pub ended: Vec<EndedMove>,
    /// Moves that have begun, and whether each is to be told of: one that was refused before and is tried again is not.
    pub begun: Vec<(PlannedMigration<'a>, bool)>,
    /// Why pods stay, and what waits.
    pub blocked: BTreeMap<ObjectUid, BTreeMap<&'a str, BlockedReason>>,
    /// What moves that are due wait for.
    pub waiting: BTreeMap<ObjectUid, MoveWait>,
    /// Why pods that wait for a node would wait with every node empty, pod by pod.
    pub stranded: BTreeMap<ObjectUid, BTreeMap<&'a str, super::NoFit>>,
    /// Pods that are about to go by their deadline, and of which that was not told.
    pub announced: Vec<DeadlineNotice<'a>>,
    /// The deadlines of pods that violate, by their identifiers, where their levels have one.
    pub deadlines: BTreeMap<ObjectUid, PodDeadline>,
    /// Whether more is to be told at once, though nothing changes.
    pub is_due_again: bool,
}

impl MigrationMemory {
    /// Remembers that of `owner`, of which `before` pods were ready, one is not made anew.
    fn miss(&mut self, owner: ObjectUid, before: u32, now: MonotonicTime) {
        self.missing.insert(owner, MissingPods { before, until: now + LONGEST_REST });
    }

    /// Owners of kinds that Rempart does not know, of which a pod was evicted and is not made good yet, and how many of
    /// their pods are to be ready before another is: what runs does not show it to whoever takes over.
    pub fn awaited_ready(&self) -> impl Iterator<Item = (ObjectUid, u32)> {
        let in_flight = self.in_flight.iter().filter_map(|(owner, flight)| Some((*owner, flight.awaited_ready()?)));
        in_flight.chain(self.missing.iter().map(|(owner, missing)| (*owner, missing.before)))
    }

    /// Looks at what runs: what is over, what begins, and why the rest does not.
    pub fn look<'a>(
        &mut self,
        objects: &ClusterObjects<'a>,
        facts: &PlacementFacts<'a>,
        report: &ComplianceReport<'a>,
        settings: &LookSettings<'_>,
        surroundings: &dyn MigrationSurroundings,
    ) -> MigrationLook<'a> {
        let LookSettings { now, wall, .. } = *settings;
        self.adopt_rollouts(report, now);
        let mut ended = self.end_moves(report, surroundings, now);
        self.violations.observe(report, wall);
        let mut deadlines: BTreeMap<_, _> =
            self.violations.deadlines(report).map(|(_, pod, deadline)| (pod.pod.uid, deadline)).collect();
        self.drop_unsent(report, settings, &deadlines, surroundings, &mut ended);
        // What is forced waits for no replacement but its own, and what whoever led before has begun is not known.
        let forced_from = self.forces_from.filter(|from| *from > now && !deadlines.is_empty());
        let forced_from = forced_from.map(|from| wall.after(from.since(now)));
        let none = BTreeMap::new();
        let enforced = if forced_from.is_some() { &none } else { &deadlines };
        let MigrationPlan { migrations, blocked, waiting, stranded } =
            self.plan(objects, facts, report, settings, enforced);
        let mut waiting: BTreeMap<_, _> = waiting.into_iter().map(|uid| (uid, MoveWait::Turn)).collect();
        let mut begun = Vec::new();
        for due in migrations {
            let Some(owned) = report.workloads.get(&due.owner) else { continue };
            if let Some(wait) = surroundings.wait(&due, owned) {
                waiting.insert(due.owner, wait);
            } else {
                let is_told = self.begin(&due, owned, &wall.to_string(), now);
                begun.push((due, is_told));
            }
        }
        // What a deadline does not end is not announced by it either.
        let ends = |owner: ObjectUid, pod: &str| {
            let why = blocked.get(&owner).and_then(|pods| pods.get(pod));
            why.is_none_or(|why| why.yields_to_deadline() || matches!(why, BlockedReason::LastReady))
        };
        let announced = self.violations.announce(report, wall, ends);
        for owned in report.workloads.values() {
            for pod in owned.misplaced.iter().filter(|pod| !ends(owned.uid, pod.key)) {
                deadlines.remove(&pod.pod.uid);
            }
        }
        self.forget(objects, facts, report, now);
        let is_due_again = self.watch_rollouts(&blocked, now);
        waiting.retain(|uid, _| !self.in_flight.contains_key(uid));
        let marks = blocked.values().flat_map(BTreeMap::values).filter_map(BlockedReason::ends_at);
        let violations = self.violations.next(report, wall).into_iter().chain(forced_from);
        let next = marks.filter(|then| *then > wall).chain(violations).min();
        self.undisturbed_until = next.map(|then| now + then.since(wall));
        MigrationLook { ended, begun, blocked, waiting, stranded, announced, deadlines, is_due_again }
    }

    fn plan<'a>(
        &self,
        objects: &ClusterObjects<'a>,
        facts: &PlacementFacts<'a>,
        report: &ComplianceReport<'a>,
        settings: &LookSettings<'_>,
        deadlines: &BTreeMap<ObjectUid, PodDeadline>,
    ) -> MigrationPlan<'a> {
        let LookSettings { limits, now, wall, stopped } = *settings;
        let moving = self.in_flight.iter().map(|(uid, flight)| (*uid, flight.pods_moving)).collect();
        let resting = self.resting.iter().filter(|(_, rest)| rest.not_before > now);
        let refused = self.refused.iter().filter(|(_, refused)| refused.not_before > now);
        let awaited = self
            .in_flight
            .iter()
            .filter_map(|(uid, flight)| Some((*uid, flight.awaited_pods(report.workloads.get(uid))?)));
        let context = MigrationContext {
            limits,
            moving: &moving,
            resting: &resting.map(|(uid, rest)| (*uid, rest.why.clone())).collect(),
            failures: &self.resting.iter().map(|(uid, rest)| (*uid, rest.failures)).collect(),
            reverting: &self.reverting,
            missing: &self.missing.iter().map(|(owner, missing)| (*owner, missing.before)).collect(),
            awaited: &awaited.collect(),
            now: wall,
            refused_evictions: &refused.map(|(pod, refused)| (*pod, refused.said.clone())).collect(),
            refused_removals: &self
                .refused
                .iter()
                .map(|(pod, refused)| {
                    let RefusedEviction { stage, by_budget_since, not_before, .. } = refused;
                    let budget_persists = by_budget_since.is_some_and(|since| since + STEP_DEADLINE <= now);
                    (*pod, RefusedRemoval { stage: *stage, budget_persists, is_waited_out: *not_before > now })
                })
                .collect(),
            deadlines,
            replaced: self.replaced.known(),
            stopped,
        };
        plan_migrations(objects, facts, report, &context)
    }

    /// Takes over the rollouts that are under way and that another replica began, or somebody else since: to ask for
    /// them would only make them begin again.
    fn adopt_rollouts(&mut self, report: &ComplianceReport<'_>, now: MonotonicTime) {
        let misplaced =
            report.workloads.iter().filter(|(_, owned)| owned.misplaced.iter().any(MisplacedPod::is_to_move));
        for (uid, owned) in misplaced {
            let PodOwner::Known(_, controller) = owned.owner else { continue };
            let (ControllerSpec::Deployment { stuck: false, paused: false, .. }, Some(note)) =
                (&controller.spec, &controller.migration)
            else {
                continue;
            };
            // What did not go on before holds nobody's turn again.
            if !controller.is_rolling() || self.in_flight.contains_key(uid) || self.resting.contains_key(uid) {
                continue;
            }
            let worst = owned.misplaced.iter().map(MisplacedPod::worst).max();
            if let Some(cause) = worst.and_then(MigrationCause::of) {
                self.in_flight.insert(*uid, InFlightMove::inherited(owned, cause, note, now));
            }
        }
    }

    /// Begins `due`, and returns whether that is to be told.
    fn begin(&mut self, due: &PlannedMigration<'_>, owned: &OwnedPods<'_>, note: &str, now: MonotonicTime) -> bool {
        if self.replaced.remember(due, owned) && due.cause == MigrationCause::KeyRetired {
            // Somebody has put it back: it is taken again, ever more slowly.
            self.rest(due.owner, BlockedReason::TemplateReverted, now);
        }
        let flight = InFlightMove::begun(due, owned, note, now);
        let was_refused = match &flight.awaited {
            // What is asked for past a deadline is told once, whatever was refused before.
            AwaitedChange::Replacement { pods, .. } => pods.iter().any(|pod| {
                let stages = flight.steps.get(&StepTarget::Pod(*pod)).and_then(|step| stage(step, due.cause));
                self.refused.get(pod).is_some_and(|refused| stages <= Some(refused.told))
            }),
            AwaitedChange::Rollout { .. } => false,
        };
        self.in_flight.insert(due.owner, flight);
        !was_refused
    }

    /// Drops steps that have not been asked for yet and whose reason has gone, pod by pod, whose level is stopped or whose
    /// window has closed. A move of which nothing is left gives its turn back.
    fn drop_unsent(
        &mut self,
        report: &ComplianceReport<'_>,
        settings: &LookSettings<'_>,
        deadlines: &BTreeMap<ObjectUid, PodDeadline>,
        surroundings: &dyn MigrationSurroundings,
        ended: &mut Vec<EndedMove>,
    ) {
        let due = StepConditions { stopped: settings.stopped, deadlines, now: settings.wall };
        self.in_flight.retain(|owner, flight| {
            let Some(owned) = report.workloads.get(owner) else { return true };
            let is_left = flight.drop_unsent(owned, due, |step| surroundings.is_on_its_way(*owner, step));
            if !is_left {
                ended.push(EndedMove { owner: *owner, cause: flight.cause, outcome: MigrationOutcome::Dropped });
            }
            is_left
        });
    }

    /// Has workloads rest whose own rollout is to replace pods and does not: their record says then that they are stuck.
    /// Returns whether any was.
    fn watch_rollouts(
        &mut self,
        blocked: &BTreeMap<ObjectUid, BTreeMap<&str, BlockedReason>>,
        now: MonotonicTime,
    ) -> bool {
        let rolling = |pods: &BTreeMap<&str, BlockedReason>| pods.values().filter(|why| why.is_under_way()).count();
        let left: BTreeMap<ObjectUid, usize> = blocked.iter().map(|(uid, pods)| (*uid, rolling(pods))).collect();
        // Who rests as stuck is told of so, and has not gone on.
        self.under_way.retain(|uid, _| left.get(uid).is_some_and(|left| *left > 0) || self.resting.contains_key(uid));
        let mut is_any_stuck = false;
        for (uid, left) in left.into_iter().filter(|(_, left)| *left > 0) {
            let known = self.under_way.entry(uid).or_insert((left, now));
            if known.0 != left {
                *known = (left, now);
            } else if known.1 + STEP_DEADLINE <= now {
                self.rest(uid, BlockedReason::Stuck, now);
                is_any_stuck = true;
            }
        }
        is_any_stuck
    }

    /// Forgets what no longer matters.
    fn forget(
        &mut self,
        objects: &ClusterObjects<'_>,
        facts: &PlacementFacts<'_>,
        report: &ComplianceReport<'_>,
        now: MonotonicTime,
    ) {
        self.replaced.forget(objects, facts.world, report);
        let (workloads, replaced) = (&report.workloads, &self.replaced);
        self.resting.retain(|uid, _| workloads.contains_key(uid) || replaced.knows(*uid));
        self.reverting.retain(|uid| workloads.contains_key(uid));
        // The last that is ready waits without end: nobody knows whether another would be made.
        let is_missing =
            |ready: u32, missing: &MissingPods| ready < missing.before && (ready < 2 || missing.until > now);
        self.missing
            .retain(|uid, missing| workloads.get(uid).is_some_and(|owned| is_missing(owned.pods.ready, missing)));
        if !self.refused.is_empty() {
            let misplaced = workloads.values().flat_map(|owned| &owned.misplaced).map(|pod| pod.pod.uid);
            let stale = workloads.values().flat_map(|owned| &owned.stale).map(|pod| pod.pod.uid);
            let pods: BTreeSet<_> = misplaced.chain(stale).collect();
            self.refused.retain(|pod, _| pods.contains(pod));
        }
    }

    fn rest(&mut self, owner: ObjectUid, why: BlockedReason, now: MonotonicTime) {
        let before = self.resting.get(&owner).map_or(0, |rest| rest.failures);
        let failures = before.saturating_add(1).min(MOST_FAILURES);
        let not_before = now + doubled(REST, failures, LONGEST_REST);
        self.resting.insert(owner, MoveBackoff { failures, not_before, why });
    }

    /// Takes in what came of the step about `target` of the move of `owner`.
    pub fn on_answer(&mut self, owner: ObjectUid, target: StepTarget, answer: StepAnswer, now: MonotonicTime) {
        let Some(flight) = self.in_flight.get_mut(&owner) else { return };
        let Some(step) = flight.steps.remove(&target) else { return };
        // It may have been carried out all the same.
        let unsure = (answer == StepAnswer::Unanswered).then(|| flight.awaited_ready()).flatten();
        let by_budget = matches!(answer, StepAnswer::OverBudget(_));
        let stage = stage(&step, flight.cause);
        let refusal = match answer {
            StepAnswer::Taken => return,
            StepAnswer::Outdated => None,
            StepAnswer::Refused(said) | StepAnswer::OverBudget(said) => {
                Some((BlockedReason::TemplateRefused(said.clone()), said))
            }
            StepAnswer::Unanswered => Some((BlockedReason::Unanswered, "it did not answer in time".to_owned())),
        };
        let nothing_left = match (step, &mut flight.awaited) {
            (
                RequestedStep::Evict { pod, .. } | RequestedStep::Delete { pod, .. },
                AwaitedChange::Replacement { pods, .. },
            ) => {
                if let Some(((_, said), stage)) = refusal.zip(stage) {
                    let before = self.refused.get(&pod);
                    // Past its deadline one that is asked for in the ordinary way is asked for past its deadline as well.
                    let stage = match (stage, before.map(|before| before.stage)) {
                        (RemovalStage::Eviction, Some(RemovalStage::OverdueEviction | RemovalStage::Deletion)) => {
                            RemovalStage::OverdueEviction
                        }
                        (stage, _) => stage,
                    };
                    let told = before.map_or(stage, |before| before.told.max(stage));
                    let failures = before.map_or(0, |refused| refused.failures).saturating_add(1).min(MOST_FAILURES);
                    let not_before = now + doubled(REFUSAL, failures, LONGEST_REFUSAL);
                    // What was not asked for in between may have been let go in between.
                    let row = before.filter(|before| now < before.not_before + STEP_DEADLINE);
                    let row = row.and_then(|before| before.by_budget_since);
                    let by_budget_since = match (stage, by_budget) {
                        (RemovalStage::OverdueEviction, true) => Some(row.unwrap_or(now)),
                        (RemovalStage::Deletion, true | false) => row,
                        (RemovalStage::OverdueEviction, false) | (RemovalStage::Eviction, true | false) => None,
                    };
                    self.refused
                        .insert(pod, RefusedEviction { stage, told, by_budget_since, failures, not_before, said });
                }
                pods.remove(&pod);
                pods.is_empty()
            }
            (
                RequestedStep::Evict { .. } | RequestedStep::Delete { .. } | RequestedStep::AnnotateTemplate { .. },
                _,
            ) => {
                if let Some((why, _)) = refusal {
                    self.rest(owner, why, now);
                }
                true
            }
        };
        if nothing_left {
            self.in_flight.remove(&owner);
        }
        if let Some(ready) = unsure {
            self.miss(owner, ready, now);
        }
    }

    /// The levels with a deadline that `pod` violates, and since when.
    #[must_use]
    pub fn violations_of(&self, pod: ObjectUid) -> &[LevelViolation] {
        self.violations.of(pod)
    }

    /// What is to be asked of the API server, with the workload whose move it is.
    pub fn requested(&self) -> impl Iterator<Item = (ObjectUid, &RequestedStep)> {
        self.in_flight.iter().flat_map(|(owner, flight)| flight.steps.values().map(|step| (*owner, step)))
    }

    /// What is on the move: the workload, and how many of its pods.
    pub fn moving(&self) -> impl Iterator<Item = (ObjectUid, u32)> {
        self.in_flight.iter().map(|(owner, flight)| (*owner, flight.pods_moving))
    }

    /// Pods of the workload `owner` whose eviction was refused before and is being asked for again, with what was said of
    /// it.
    pub fn asked_again(&self, owner: ObjectUid) -> impl Iterator<Item = (ObjectUid, BlockedReason)> {
        let steps = self.in_flight.get(&owner).into_iter().flat_map(|flight| flight.steps.values());
        steps.filter_map(|step| match step {
            RequestedStep::Evict { pod, .. } | RequestedStep::Delete { pod, .. } => {
                Some((*pod, BlockedReason::Budget(self.refused.get(pod)?.said.clone())))
            }
            RequestedStep::AnnotateTemplate { .. } => None,
        })
    }

    /// When after `now` it is next to be looked at what runs, though nothing changes.
    #[must_use]
    pub fn wake(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let rests = self.resting.values().map(|rest| rest.not_before);
        let refusals = self.refused.values().map(|refused| refused.not_before);
        let deadlines = self.in_flight.values().flat_map(InFlightMove::deadlines);
        let rollouts = self.under_way.values().map(|(_, since)| *since + STEP_DEADLINE);
        let missing = self.missing.values().map(|missing| missing.until);
        let waits = rests.chain(missing).chain(refusals).chain(deadlines).chain(rollouts).chain(self.undisturbed_until);
        waits.filter(|then| *then > now).min()
    }

    /// The same with every time told from `now`, which becomes `base`: two that decide alike from now on are equal then,
    /// as far as what lies further back than any deadline, or is over, decides nothing.
    #[must_use]
    pub fn as_of(&self, now: MonotonicTime, base: MonotonicTime) -> Self {
        let rebased = |then: MonotonicTime| {
            if then > now { base + then.since(now) } else { base - now.since(then).min(STEP_DEADLINE) }
        };
        let ended = |then: MonotonicTime| rebased(then.max(now));
        let mut memory = self.clone();
        memory.in_flight.values_mut().for_each(|flight| flight.rebase(rebased));
        memory.resting.values_mut().for_each(|rest| rest.not_before = ended(rest.not_before));
        memory.refused.values_mut().for_each(|refused| refused.not_before = ended(refused.not_before));
        memory.missing.values_mut().for_each(|missing| missing.until = ended(missing.until));
        memory.under_way.values_mut().for_each(|(_, since)| *since = rebased(*since));
        memory.undisturbed_until = memory.undisturbed_until.filter(|then| *then > now).map(rebased);
        memory
    }

    /// The pods that it speaks of by their identifiers, those of the past among them.
    #[must_use]
    pub fn pods(&self) -> BTreeSet<ObjectUid> {
        let awaited = self.in_flight.values().flat_map(|flight| match &flight.awaited {
            AwaitedChange::Replacement { pods, .. } => pods.iter().copied().collect(),
            AwaitedChange::Rollout { .. } => Vec::new(),
        });
        let replaced = self.replaced.known().values().flat_map(|replaced| replaced.pods.iter().copied());
        awaited.chain(replaced).chain(self.refused.keys().copied()).collect()
    }
}

/// What of a pod's removal `step`, of a move for `cause`, asks for.
fn stage(step: &RequestedStep, cause: MigrationCause) -> Option<RemovalStage> {
    match (step, cause) {
        (RequestedStep::Delete { .. }, _) => Some(RemovalStage::Deletion),
        (RequestedStep::Evict { .. }, MigrationCause::Overdue) => Some(RemovalStage::OverdueEviction),
        (
            RequestedStep::Evict { .. },
            MigrationCause::Violating
            | MigrationCause::Expiring
            | MigrationCause::Stale
            | MigrationCause::TemplateBehind
            | MigrationCause::KeyRetired,
        ) => Some(RemovalStage::Eviction),
        (RequestedStep::AnnotateTemplate { .. }, _) => None,
    }
}

/// `first`, twice as long with each failure after the first, and never longer than `longest`.
fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(MOST_FAILURES)).min(longest)
}
