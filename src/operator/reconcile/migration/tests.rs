//! Moves in flight: when one is over, and when what came of it is a reason to wait.

use std::{rc::Rc, sync::Arc};

use super::*;
use k8s_openapi::api::core::v1::ObjectReference;
use rempart_core::{
    cluster_objects::{ComputeResources, Controller, OwnerRef, Pod, PodPhase, RolloutStrategy, SchedulingConstraints},
    compliance::{Compliance, PodCounts, PodRevision},
    instant::Timestamp,
    migration::{JOB_COUNTS_WITHIN, MigrationFailure, MigrationProgress, NOTE_SEEN_WITHIN},
    name::{LevelName, PolicyName},
    pod_lifecycle::PodLifecycle,
    pod_requirements::{PodRequirements, PolicyRequirement},
    policy::{EnforcementMode, Level, OnClearanceLoss, Policy, PolicyLevels},
    selector::Selector,
    sensitivity::{SensitivityStatement, TemplateStatements},
    workload::NodeRequirements,
};

const UID: ObjectUid = ObjectUid(1);
fn clocks(monotonic: Instant) -> CycleClocks {
    CycleClocks { wall: Timestamp::from_seconds(0), monotonic }
}

const NOTE: &str = "2026-03-01T12:00:00Z";

fn policy() -> Policy {
    let level = Level { name: LevelName::parse("public").unwrap(), require: None, on_loss: OnClearanceLoss::default() };
    Policy {
        name: PolicyName::parse("state").unwrap(),
        mode: EnforcementMode::Enforce,
        namespaces: Selector::default(),
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
    OwnedPods {
        uid: UID,
        namespace: "shop",
        owner: PodOwner::Known("web", controller),
        requirements: Rc::default(),
        template_behind: false,
        pods: PodCounts { total: ready, placed: ready, ready, ..PodCounts::default() },
        misplaced: vec![],
        stale: vec![],
        unscheduled: vec![],
        surplus: vec![],
        surplus_stays: false,
        nodes: BTreeMap::new(),
    }
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

fn flight(since: Instant, until: AwaitedChange) -> InFlightMove {
    let about = ObjectReference::default();
    InFlightMove {
        since,
        why: MigrationCause::Violating,
        pods_moving: 1,
        about,
        steps: BTreeMap::new(),
        until,
        inherited: false,
        mark: ProgressMark::default(),
        marked_at: since,
        step_deadline: STEP_DEADLINE,
        going: None,
    }
}

#[test]
fn an_eviction_waits_for_no_more_ready_pods_than_there_should_be() {
    let now = Instant::now();
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
    let began = Instant::now();
    let (policy, pod, web) = (policy(), pod(), deployment(1));
    for (changed, rests) in [(began, true), (began + Duration::from_secs(1), false)] {
        let misplaced = misplaced(&policy, &pod);
        let report = ComplianceReport {
            workloads: [(UID, OwnedPods { misplaced: vec![misplaced], ..unit(&web, 1) })].into(),
            ..ComplianceReport::default()
        };
        let mut moves =
            MigrationReconciler { facts: SettlingFacts::changed_at(changed), ..MigrationReconciler::default() };
        moves.in_flight.insert(UID, flight(began, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: false }));
        moves.progress(&report, clocks(began + Duration::from_secs(9)), &mut Vec::new());
        assert!(moves.in_flight.is_empty());
        assert_eq!(moves.resting.contains_key(&UID), rests);
    }
}

#[test]
fn who_takes_over_goes_on_with_the_rollouts_that_are_in_flight() {
    let now = Instant::now();
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
        let unit = OwnedPods { misplaced: vec![misplaced(&policy, &pod)], ..unit(&web, 2) };
        let report = ComplianceReport { workloads: [(UID, unit)].into(), ..ComplianceReport::default() };
        let mut moves = MigrationReconciler::default();
        moves.adopt_rollouts(&report, now);
        assert_eq!(moves.in_flight.get(&UID).map(|flight| flight.pods_moving), inherited.then_some(2), "{web:?}");
        moves.progress(&report, clocks(now), &mut Vec::new());
        assert_eq!(moves.in_flight.contains_key(&UID), inherited, "it goes on");
    }
}

/// Half of two pods are of the latest template.
fn half_rolled(paused: bool) -> Controller {
    let strategy = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    controller(2, ControllerSpec::Deployment { paused, strategy, total: 3, updated: 1, available: 2, stuck: false })
}

#[test]
fn a_rollout_is_over_when_nothing_of_it_changes_or_its_note_is_taken() {
    let now = Instant::now();
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
        moving.look(&stands_wrong(&half, ready, &pod), at);
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
    seen.look(&stands_wrong(&half, 2, &pod), now);
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
    let now = Instant::now();
    let (policy, pod, web) = (policy(), pod(), Controller { migration: None, ..deployment(3) });
    let ended = |template_behind| {
        let unit = OwnedPods { misplaced: vec![misplaced(&policy, &pod)], template_behind, ..unit(&web, 3) };
        let report = ComplianceReport { workloads: [(UID, unit)].into(), ..ComplianceReport::default() };
        let mut moves = MigrationReconciler::default();
        moves.in_flight.insert(UID, flight(now, AwaitedChange::Rollout { note: NOTE.to_owned(), seen: true }));
        let mut events = Vec::new();
        moves.progress(&report, clocks(now), &mut events);
        (moves, events)
    };
    // Who takes the rest of it as well is not asked again at once: whoever is evicted would come back as before.
    let (moves, _) = ended(true);
    assert!(moves.reverting.is_empty() && moves.in_flight.is_empty());
    assert!(matches!(moves.resting[&UID].why, BlockedReason::TemplateReverted));
    let (moves, events) = ended(false);
    assert!(moves.in_flight.is_empty() && moves.resting.is_empty(), "another method is taken at once");
    assert!(moves.reverting.contains(&UID));
    let told: Vec<_> = events.iter().map(|event| (event.reason, event.note.as_str(), event.warning)).collect();
    let note = "what owns the Deployment takes the annotation rempart.dev/migration out of its template again, so that it \
                does not roll; its pods are evicted one by one instead, while others of it are ready";
    assert_eq!(told, [("MigrationFailed", note, true)]);
}

#[test]
fn an_owner_that_makes_no_pod_anew_is_waited_for_and_named() {
    let now = Instant::now();
    let maker = OwnerRef { kind: None, kind_said: "Cluster".into(), name: "ledger".into(), uid: UID };
    let web = deployment(1);
    let report = |ready: u32| {
        let unit = OwnedPods { owner: PodOwner::Unknown(&maker), ..unit(&web, ready) };
        ComplianceReport { workloads: [(UID, unit)].into(), ..ComplianceReport::default() }
    };
    let mut moves = MigrationReconciler::default();
    let until = AwaitedChange::Replacement { pods: [ObjectUid(9)].into(), ready: 3 };
    moves.in_flight.insert(UID, flight(now, until));
    let mut events = Vec::new();
    moves.progress(&report(2), clocks(now), &mut events);
    assert!(events.is_empty() && moves.in_flight.contains_key(&UID));
    moves.progress(&report(2), clocks(now + STEP_DEADLINE), &mut events);
    let told: Vec<_> = events.iter().map(|event| (event.reason, event.note.as_str())).collect();
    let note = "a pod of Cluster ledger was evicted and is not made anew: 2 of 3 are ready; no other pod of it is evicted before \
                as many are";
    assert_eq!(told, [("MigrationFailed", note)]);
    // Its turn is given back, and it waits for its owner, not for a while.
    assert!(moves.in_flight.is_empty() && moves.resting.is_empty());
    assert_eq!(moves.missing, [(UID, 3)].into());
}
