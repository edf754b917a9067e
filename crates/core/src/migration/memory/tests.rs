//! Migration memory: when a move is over, and when what came of it is a reason to wait.

use alloc::{borrow::ToOwned, rc::Rc, sync::Arc, vec, vec::Vec};
use std::prelude::v1::*;

use super::*;
use crate::{
    cluster_objects::{ComputeResources, Controller, OwnerRef, Pod, PodPhase, RolloutStrategy, SchedulingConstraints},
    compliance::{Compliance, PodCounts, PodRevision},
    migration::{JOB_COUNTS_WITHIN, MigrationFailure, MigrationProgress, NOTE_SEEN_WITHIN},
    name::{LevelName, PolicyName},
    pod_lifecycle::PodLifecycle,
    pod_requirements::{PodRequirements, PolicyRequirement},
    policy::{EnforcementMode, Level, OnClearanceLoss, Policy, PolicyLevels},
    scheduling::LevelScheduling,
    selector::Selector,
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::NodeRequirements,
};

const UID: ObjectUid = ObjectUid(1);
const BEGIN: MonotonicTime = MonotonicTime::after(Duration::from_hours(2));

/// Nothing to wait for, and facts that last changed at an instant.
struct Quiet(MonotonicTime);

impl MigrationSurroundings for Quiet {
    fn wait(&self, _: &PlannedMigration<'_>, _: &OwnedPods<'_>) -> Option<MoveWait> {
        None
    }

    fn is_on_its_way(&self, _: ObjectUid, _: &RequestedStep) -> bool {
        false
    }

    fn have_facts_changed_since(&self, then: MonotonicTime) -> bool {
        self.0 > then
    }
}

const NOTE: &str = "2026-03-01T12:00:00Z";

fn policy() -> Policy {
    let level = Level {
        name: LevelName::parse("public").unwrap(),
        require: None,
        on_loss: OnClearanceLoss::default(),
        scheduling: LevelScheduling::default(),
    };
    Policy {
        name: PolicyName::parse("state").unwrap(),
        mode: EnforcementMode::Enforce,
        namespaces: Selector::default(),
        requires_namespace_level: false,
        levels: PolicyLevels::new(vec![level], "public").unwrap(),
        categories: [].into(),
        terminating: false,
        exceptions: [].into(),
    }
}

/// A controller that should have `replicas` pods, and has rolled them all.
fn controller(replicas: u32, form: ControllerSpec) -> Controller {
    Controller {
        version: 1,
        uid: UID,
        owner: None,
        statement: SensitivityStatement::default(),
        template_statements: Arc::new(TemplateStatements::default()),
        node_requirements: Arc::new(NodeRequirements::default()),
        migration: Some(NOTE.into()),
        terminating: false,
        replicas,
        observed: true,
        spec: form,
    }
}

fn deployment(replicas: u32) -> Controller {
    let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let (total, updated, available) = (replicas, replicas, replicas);
    let form = ControllerSpec::Deployment { paused: false, strategy, total, updated, available, stuck: false };
    controller(replicas, form)
}

fn pod() -> Pod {
    Pod {
        version: 1,
        uid: ObjectUid(2),
        owner: None,
        statements: Arc::new(TemplateStatements::default()),
        node_requirements: Arc::new(NodeRequirements::default()),
        scheduling: Arc::default(),
        claims: [].into(),
        requests: ComputeResources::default(),
        node: Some("node".into()),
        phase: PodPhase::Ready,
        terminating: false,
        mirror: false,
    }
}

/// A workload of which so many pods are ready.
fn unit(controller: &Controller, ready: u32) -> OwnedPods<'_> {
    let pods = PodCounts { total: ready, placed: ready, ready, ..PodCounts::default() };
    OwnedPods { pods, ..OwnedPods::new(UID, "shop", PodOwner::Known("web", controller), Rc::default()) }
}

/// `pod`, which stands where `policy` does not let it stand.
fn misplaced<'a>(policy: &'a Policy, pod: &'a Pod) -> MisplacedPod<'a> {
    let required = PolicyRequirement { policy, index: 0, in_force: true, need: Err(vec![]) };
    MisplacedPod {
        key: "shop/web-0",
        pod,
        requirements: Rc::new(PodRequirements { policies: vec![required] }),
        compliance: Rc::from([Compliance::Violating]),
        revision: PodRevision::Current,
    }
}

fn flight(since: MonotonicTime, awaited: AwaitedChange) -> InFlightMove {
    InFlightMove::awaiting(since, MigrationCause::Violating, awaited)
}

/// A memory with that move in flight.
fn memory(flight: InFlightMove) -> MigrationMemory {
    MigrationMemory { in_flight: [(UID, flight)].into(), ..MigrationMemory::default() }
}

fn report(owned: OwnedPods<'_>) -> ComplianceReport<'_> {
    ComplianceReport { workloads: [(UID, owned)].into(), ..ComplianceReport::default() }
}

fn outcomes(ended: &[EndedMove]) -> Vec<MigrationOutcome> {
    ended.iter().map(|ended| ended.outcome.clone()).collect()
}

#[test]
fn an_eviction_waits_for_no_more_ready_pods_than_there_should_be() {
    let now = BEGIN;
    let over = |controller: &Controller, before: u32, ready: u32| {
        let flight = flight(now, AwaitedChange::Replacement { pods: [ObjectUid(9)].into(), ready: before });
        matches!(flight.progress(Some(&unit(controller, ready)), now + JOB_COUNTS_WITHIN), MigrationProgress::Done)
    };
    let web = deployment(2);
    assert!(!over(&web, 2, 1), "the successor is not ready yet");
    assert!(over(&web, 2, 2));
    assert!(over(&web, 6, 2), "somebody has scaled it down meanwhile");
    let form = ControllerSpec::Job { finished: false, started: true, failures_left: Some(3), index_limit: None };
    assert!(over(&controller(2, form), 2, 0), "pods of a Job come to their end");
    let flight = flight(now, AwaitedChange::Replacement { pods: [ObjectUid(9)].into(), ready: 2 });
    let form = ControllerSpec::Job { finished: false, started: true, failures_left: Some(3), index_limit: None };
    let early = flight.progress(Some(&unit(&controller(2, form), 2)), now + JOB_COUNTS_WITHIN / 2);
    assert!(matches!(early, MigrationProgress::UnderWay), "the Job has not counted it yet");
}

#[test]
fn a_rollout_is_not_in_vain_when_facts_changed_during_it() {
    let (policy, pod, web) = (policy(), pod(), deployment(1));
    for (changed, rests) in [(BEGIN, true), (BEGIN + Duration::from_secs(1), false)] {
        let report = report(OwnedPods { misplaced: vec![misplaced(&policy, &pod)], ..unit(&web, 1) });
        let mut memory = memory(flight(BEGIN, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: false }));
        let ended = memory.end_moves(&report, &Quiet(changed), BEGIN + Duration::from_secs(9));
        assert_eq!(outcomes(&ended), [MigrationOutcome::StepDone]);
        assert!(memory.in_flight.is_empty());
        assert_eq!(memory.resting.contains_key(&UID), rests);
    }
}

#[test]
fn who_takes_over_goes_on_with_the_rollouts_that_are_in_flight() {
    let now = BEGIN;
    let (policy, pod) = (policy(), pod());
    let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let half = |stuck| {
        controller(2, ControllerSpec::Deployment { paused: false, strategy, total: 3, updated: 1, available: 2, stuck })
    };
    let unasked = Controller { migration: None, ..half(false) };
    let form = ControllerSpec::Deployment { paused: false, strategy, total: 2, updated: 2, available: 1, stuck: false };
    let crashing = controller(2, form);
    let all = [(half(false), true), (half(true), false), (unasked, false), (deployment(2), false), (crashing, false)];
    for (web, inherited) in all {
        let report = report(OwnedPods { misplaced: vec![misplaced(&policy, &pod)], ..unit(&web, 2) });
        let mut memory = MigrationMemory::default();
        memory.adopt_rollouts(&report, now);
        assert_eq!(
            memory.moving().collect::<Vec<_>>(),
            inherited.then_some((UID, 2)).into_iter().collect::<Vec<_>>(),
            "{web:?}"
        );
        memory.end_moves(&report, &Quiet(now), now);
        assert_eq!(memory.in_flight.contains_key(&UID), inherited, "it goes on");
    }
}

/// Half of two pods are of the latest template.
fn half_rolled(paused: bool) -> Controller {
    let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    controller(2, ControllerSpec::Deployment { paused, strategy, total: 3, updated: 1, available: 2, stuck: false })
}

#[test]
fn a_rollout_is_over_when_nothing_of_it_changes_or_its_note_is_taken() {
    let now = BEGIN;
    let half = half_rolled(false);
    let taken = Controller { migration: None, ..half.clone() };
    let paused = half_rolled(true);
    let (policy, pod) = (policy(), pod());
    let stands_wrong =
        |controller, ready, pod| OwnedPods { misplaced: vec![misplaced(&policy, pod)], ..unit(controller, ready) };
    let rollout = || flight(now, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: false });
    let after = |flight: &InFlightMove, controller, waited: Duration| {
        flight.progress(Some(&stands_wrong(controller, 2, &pod)), now + waited)
    };
    let just_before = STEP_DEADLINE / 10 * 9;
    let (stuck, taken_away) = (MigrationFailure::Stuck, MigrationFailure::NoteTaken);
    assert_eq!(after(&rollout(), &half, just_before), MigrationProgress::UnderWay);
    assert_eq!(
        after(&rollout(), &half, STEP_DEADLINE),
        MigrationProgress::Failed(stuck),
        "whatever its author has set"
    );
    // As long as something changes it goes on, for hours if need be.
    let mut moving = rollout();
    for (step, ready) in [(1, 1), (2, 2), (3, 1)] {
        let at = now + step * just_before;
        moving.observe(&stands_wrong(&half, ready, &pod), at);
        assert_eq!(moving.progress(Some(&stands_wrong(&half, ready, &pod)), at), MigrationProgress::UnderWay);
    }
    // Its pods may take an hour to end.
    let lifecycle = PodLifecycle { grace_seconds: 3600, ..PodLifecycle::default() };
    let scheduling = Arc::new(SchedulingConstraints { lifecycle, ..SchedulingConstraints::default() });
    let patient = Pod { scheduling, ..pod.clone() };
    let late = flight(now, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: false });
    let at = now + Duration::from_mins(50);
    assert_eq!(late.progress(Some(&stands_wrong(&half, 2, &patient)), at), MigrationProgress::UnderWay);
    // The watch may not have told of the note yet; once it has, who takes it away is believed at once.
    assert_eq!(after(&rollout(), &taken, NOTE_SEEN_WITHIN / 2), MigrationProgress::UnderWay);
    assert_eq!(after(&rollout(), &taken, NOTE_SEEN_WITHIN), MigrationProgress::Failed(taken_away));
    let mut seen = rollout();
    seen.observe(&stands_wrong(&half, 2, &pod), now);
    assert_eq!(after(&seen, &taken, Duration::from_secs(1)), MigrationProgress::Failed(taken_away));

    assert_eq!(after(&rollout(), &paused, Duration::ZERO), MigrationProgress::Paused, "it gives its turn back");
    assert_eq!(
        rollout().progress(Some(&unit(&taken, 2)), now),
        MigrationProgress::Done,
        "nothing stands wrong any more, whatever became of the note"
    );
}

#[test]
fn an_owner_that_takes_the_note_away_is_remembered_and_gives_the_turn_back() {
    let (policy, pod, web) = (policy(), pod(), Controller { migration: None, ..deployment(3) });
    let ended = |template_behind| {
        let unit = OwnedPods { misplaced: vec![misplaced(&policy, &pod)], template_behind, ..unit(&web, 3) };
        let mut memory = memory(flight(BEGIN, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: true }));
        let ended = memory.end_moves(&report(unit), &Quiet(BEGIN), BEGIN);
        (memory, outcomes(&ended))
    };
    let why = MigrationFailure::NoteTaken;
    // Who takes the rest of it as well is not asked again at once: whoever is evicted would come back as before.
    let (memory, outcomes) = ended(true);
    assert_eq!(outcomes, [MigrationOutcome::Failed { why, by_evictions: false }]);
    assert!(memory.reverting.is_empty() && memory.in_flight.is_empty());
    assert_eq!(memory.resting[&UID].why, BlockedReason::TemplateReverted);
    let (memory, outcomes) = ended(false);
    assert_eq!(outcomes, [MigrationOutcome::Failed { why, by_evictions: true }]);
    assert!(memory.in_flight.is_empty() && memory.resting.is_empty(), "another method is taken at once");
    assert!(memory.reverting.contains(&UID));
}

#[test]
fn an_owner_that_makes_no_pod_anew_is_waited_for() {
    let maker = OwnerRef { kind: None, kind_said: "Cluster".into(), name: "ledger".into(), uid: UID };
    let web = deployment(1);
    let found = || report(OwnedPods { owner: PodOwner::Unknown(&maker), ..unit(&web, 2) });
    let mut memory = memory(flight(BEGIN, AwaitedChange::Replacement { pods: [ObjectUid(9)].into(), ready: 3 }));
    assert!(memory.end_moves(&found(), &Quiet(BEGIN), BEGIN).is_empty() && memory.in_flight.contains_key(&UID));
    let ended = memory.end_moves(&found(), &Quiet(BEGIN), BEGIN + STEP_DEADLINE);
    let why = MigrationFailure::NotReplaced(3);
    assert_eq!(outcomes(&ended), [MigrationOutcome::Failed { why, by_evictions: false }]);
    // Its turn is given back, and it waits for its owner, not for a while.
    assert!(memory.in_flight.is_empty() && memory.resting.is_empty());
    assert_eq!(memory.awaited_ready().collect::<Vec<_>>(), [(UID, 3)]);
}

#[test]
fn waits_double_up_to_the_longest_and_are_forgotten_with_their_workload() {
    let mut memory = MigrationMemory::default();
    let waits: Vec<_> = (0..9)
        .map(|_| {
            memory.rest(UID, BlockedReason::Stuck, BEGIN);
            memory.resting[&UID].not_before.since(BEGIN).as_secs() / 60
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let eviction = |pod| {
        let pods = [ObjectUid(pod)].into();
        let mut flight = flight(BEGIN, AwaitedChange::Replacement { pods, ready: 1 });
        let step = RequestedStep::Evict { name: "shop/web-0".to_owned(), pod: ObjectUid(pod), version: None };
        flight.steps.insert(step.target(), step);
        flight
    };
    let mut refused = MigrationMemory::default();
    let waits: Vec<_> = (0..8)
        .map(|_| {
            refused.in_flight.insert(UID, eviction(9));
            let answer = StepAnswer::Refused("not now".to_owned());
            refused.on_answer(UID, StepTarget::Pod(ObjectUid(9)), answer, BEGIN);
            assert!(refused.in_flight.is_empty(), "its turn is given back");
            refused.refused[&ObjectUid(9)].not_before.since(BEGIN).as_secs()
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn what_decides_alike_is_equal_as_of_its_own_time() {
    let mut one = memory(flight(BEGIN, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: true }));
    one.rest(ObjectUid(2), BlockedReason::Stuck, BEGIN);
    let later = BEGIN + Duration::from_hours(1);
    let mut other = memory(flight(later, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: true }));
    other.rest(ObjectUid(2), BlockedReason::Stuck, later);
    assert_ne!(one, other);
    assert_eq!(one.as_of(BEGIN, BEGIN), other.as_of(later, BEGIN));
    let wait = Duration::from_secs(1);
    assert_ne!(one.as_of(BEGIN + wait, BEGIN), other.as_of(later, BEGIN), "it has waited longer");
    assert_eq!(one.as_of(BEGIN + wait, BEGIN).wake(BEGIN), one.wake(BEGIN + wait).map(|then| then - wait));
}

#[test]
fn what_a_policy_minds_that_is_not_in_force_holds_no_move() {
    let (enforced, audited, pod) = (policy(), policy(), pod());
    let required = |policy, in_force| PolicyRequirement { policy, index: 0, in_force, need: Err(vec![]) };
    let by_audit_alone = || MisplacedPod {
        requirements: Rc::new(PodRequirements { policies: vec![required(&enforced, true), required(&audited, false)] }),
        compliance: Rc::from([Compliance::Compliant, Compliance::Violating]),
        ..misplaced(&enforced, &pod)
    };
    let stateful = ControllerSpec::StatefulSet { on_delete: false, first_updated: 0, last_ordinal: 0, rolling: false };
    let daemons = ControllerSpec::DaemonSet { on_delete: false, updated: 1 };
    for rolled in [controller(1, daemons), controller(1, stateful), deployment(1)] {
        let flight = flight(BEGIN, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: true });
        let mut memory = memory(flight);
        let owned = OwnedPods { misplaced: vec![by_audit_alone()], ..unit(&rolled, 1) };
        let ended = memory.end_moves(&report(owned), &Quiet(BEGIN), BEGIN + Duration::from_secs(5));
        assert_eq!(outcomes(&ended), [MigrationOutcome::Migrated], "{:?}", rolled.spec);
    }
}
