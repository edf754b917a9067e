//! Migration plans of workloads whose templates or pods say less than is said of them now, and the table of methods.

use std::prelude::v1::*;

use super::*;

/// The scene with a controller that says `restricted` on itself, while neither its template nor its pods repeat it: it was
/// annotated before the policy was in force.
fn annotated_before(form: ControllerSpec, pods: u32) -> Scene {
    let kind = form.kind();
    let mut scene = Scene::new().with("app", form, pods, "bad-1");
    let silent: Arc<TemplateStatements> = Arc::default();
    for controllers in scene.controllers.values_mut() {
        for controller in controllers.values_mut() {
            (controller.template_statements, controller.node_requirements) = (Arc::clone(&silent), Arc::default());
        }
    }
    let controller = scene.controllers.get_mut(&kind).unwrap().get_mut("shop/app").unwrap();
    controller.statement = SensitivityStatement { sensitivity: Some("restricted".into()), categories: None };
    for pod in scene.pods.values_mut() {
        (pod.statements, pod.node_requirements) = (Arc::clone(&silent), Arc::default());
    }
    scene
}

/// The same, with its template completed, as admission does when it is touched.
fn completed(mut scene: Scene, kind: WorkloadKind) -> Scene {
    let controller = scene.controllers.get_mut(&kind).unwrap().get_mut("shop/app").unwrap();
    let workload = controller.statement.clone();
    controller.template_statements = Arc::new(TemplateStatements { workload, ..TemplateStatements::default() });
    controller.node_requirements = Arc::new(NodeRequirements {
        selector: selecting(&[RESTRICTED]),
        affinity: None,
        ..NodeRequirements::default()
    });
    scene
}

#[test]
fn what_was_annotated_before_its_policy_was_in_force_is_moved_by_its_template() {
    let surging = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let partitioned = |first_updated| ControllerSpec::StatefulSet {
        on_delete: false,
        first_updated,
        last_ordinal: 1,
        rolling: false,
    };
    let job = |started| ControllerSpec::Job { finished: false, started, failures_left: Some(3), index_limit: None };
    for (form, expected) in [
        (rolling(2, 1, 0), vec!["violating: touch Deployment app"]),
        (rolling(2, 0, 1), vec!["violating: touch Deployment app"]),
        (
            deployment(RolloutStrategy::Recreate, false),
            vec!["shop/app-0: StrategyRecreate", "shop/app-1: StrategyRecreate"],
        ),
        // To complete the template restarts nothing, and whatever comes next is right.
        (
            deployment(surging, true),
            vec!["template: touch Deployment app", "shop/app-0: RolloutPaused", "shop/app-1: RolloutPaused"],
        ),
        (stateful(false), vec!["violating: touch StatefulSet app"]),
        (
            stateful(true),
            vec!["template: touch StatefulSet app", "shop/app-0: StrategyOnDelete", "shop/app-1: StrategyOnDelete"],
        ),
        (
            partitioned(2),
            vec!["template: touch StatefulSet app", "shop/app-0: RolloutPartitioned", "shop/app-1: RolloutPartitioned"],
        ),
        (partitioned(1), vec!["violating: touch StatefulSet app", "shop/app-0: RolloutPartitioned"]),
        (ControllerSpec::ReplicaSet, vec!["template: touch ReplicaSet app"]),
        (ControllerSpec::DaemonSet { on_delete: false, updated: 0 }, vec!["violating: touch DaemonSet app"]),
        (
            ControllerSpec::DaemonSet { on_delete: true, updated: 0 },
            vec!["shop/app-0: StrategyOnDelete", "shop/app-1: StrategyOnDelete"],
        ),
        (job(true), vec!["shop/app-0: JobStarted", "shop/app-1: JobStarted"]),
        (job(false), vec!["template: touch Job app"]),
    ] {
        let said = format!("{form:?}");
        assert_eq!(annotated_before(form, 2).plan(), expected, "{said}");
    }
    // No pod yet: the next one is to be right.
    for form in [rolling(0, 1, 0), stateful(false), ControllerSpec::CronJob] {
        let kind = form.kind();
        assert_eq!(annotated_before(form, 0).plan(), [format!("template: touch {kind} app")]);
    }
}

#[test]
fn what_a_completed_template_leaves_behind_is_its_controllers_or_is_named() {
    let deployment = |strategy, paused| ControllerSpec::Deployment {
        paused,
        strategy,
        total: 2,
        updated: 0,
        available: 2,
        stuck: false,
    };
    let surging = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let partitioned =
        ControllerSpec::StatefulSet { on_delete: false, first_updated: 2, last_ordinal: 1, rolling: false };
    let twice = |code: &str| vec![format!("shop/app-0: {code}"), format!("shop/app-1: {code}")];
    for (form, expected) in [
        (deployment(surging, false), twice("RolloutUnderWay")),
        (deployment(RolloutStrategy::Recreate, false), twice("RolloutUnderWay")),
        (deployment(surging, true), twice("RolloutPaused")),
        (stateful(false), twice("RolloutUnderWay")),
        (stateful(true), twice("StrategyOnDelete")),
        (partitioned, twice("RolloutPartitioned")),
        (ControllerSpec::ReplicaSet, vec!["violating: evict app-1".to_owned()]),
        (ControllerSpec::DaemonSet { on_delete: false, updated: 0 }, twice("DaemonSet")),
    ] {
        let (said, kind) = (format!("{form:?}"), form.kind());
        assert_eq!(completed(annotated_before(form, 2), kind).plan(), expected, "{said}");
    }
}

#[test]
fn nothing_is_evicted_into_a_template_that_says_less() {
    for form in [rolling(2, 1, 0), rolling(2, 0, 1), stateful(false), stateful(true), ControllerSpec::ReplicaSet] {
        let kind = form.kind();
        let plan = annotated_before(form, 2).action(LossAction::Evict).plan();
        assert!(plan.iter().any(|line| line.ends_with(&format!("touch {kind} app"))), "{kind}: {plan:?}");
        assert!(!plan.iter().any(|line| line.contains("evict")), "{kind}: {plan:?}");
    }
    let told = annotated_before(stateful(true), 2).action(LossAction::Report).plan();
    assert_eq!(
        told,
        ["shop/app-0: ReportOnly", "shop/app-1: ReportOnly"],
        "who only wants to be told has nothing done"
    );
}

#[test]
fn the_pods_of_a_job_hear_its_cron_job() {
    let job = ControllerSpec::Job { finished: false, started: true, failures_left: Some(3), index_limit: None };
    let mut scene = annotated_before(job, 1);
    let uid = scene.uid();
    let cron = Controller {
        uid,
        statement: SensitivityStatement { sensitivity: Some("restricted".into()), categories: None },
        spec: ControllerSpec::CronJob,
        owner: None,
        replicas: 0,
        ..scene.controllers[&WorkloadKind::Job]["shop/app"].clone()
    };
    scene.controllers.get_mut(&WorkloadKind::CronJob).unwrap().insert("shop/nightly".into(), cron);
    let above =
        OwnerRef { kind: Some(WorkloadKind::CronJob), kind_said: "CronJob".into(), name: "nightly".into(), uid };
    let job = scene.controllers.get_mut(&WorkloadKind::Job).unwrap().get_mut("shop/app").unwrap();
    (job.owner, job.statement) = (Some(Arc::new(above)), SensitivityStatement::default());
    assert_eq!(scene.plan(), ["template: touch CronJob nightly", "shop/app-0: JobStarted"]);
}

#[test]
fn what_is_being_deleted_counts_where_it_stands_and_is_not_moved() {
    let scene = Scene::new().with("app", rolling(2, 1, 0), 2, "bad-1").alter("app-0", |pod| pod.terminating = true);
    assert_eq!(scene.plan(), ["violating: touch Deployment app"]);
    let gone = scene.alter("app-1", |pod| pod.terminating = true);
    assert!(gone.plan().is_empty());
    let counts = gone.counts("app");
    assert_eq!((counts.total, counts.placed, counts.violating, counts.terminating, counts.ready), (2, 2, 2, 2, 0));
}

#[test]
fn nothing_moves_before_every_api_server_acts_on_the_policy() {
    let scene = || Scene { propagated: false, ..Scene::new() };
    assert_eq!(scene().with("app", rolling(1, 1, 0), 1, "bad-1").plan(), ["shop/app-0: AdmissionPending"]);
    assert_eq!(
        scene().with("db", stateful(true), 1, "bad-1").plan(),
        ["shop/db-0: StrategyOnDelete"],
        "what keeps it otherwise is not told anew at every start"
    );
    let before = Scene { propagated: false, ..annotated_before(stateful(true), 1) };
    assert_eq!(before.plan(), ["shop/app-0: StrategyOnDelete"], "its template would come back as it was");
}

/// The whole table, as it reads: a new strategy, or another answer, shows here.
#[test]
fn each_strategy_has_a_method_or_a_reason_for_every_state() {
    let cell =
        |strategy: ReplacementStrategy, template, revision, action| match strategy.method(template, revision, action) {
            Ok(method) => format!("{method:?}"),
            Err(why) => why.code().to_owned(),
        };
    let table = ReplacementStrategy::ALL.map(|strategy| {
        let row = [
            (TemplateState::Complete, PodRevision::Current),
            (TemplateState::Complete, PodRevision::Former),
            (TemplateState::Behind, PodRevision::Former),
        ];
        let row = row.map(|(template, revision)| {
            let of = |action| cell(strategy, template, revision, action);
            let (migrate, evict) = (of(WantedAction::Migrate), of(WantedAction::Evict));
            if migrate == evict { migrate } else { format!("{migrate}/{evict}") }
        });
        format!("{strategy:?} [{:?}]: {}", strategy.template_effect(), row.join(", "))
    });
    let expected = [
        "Surge [Restarts]: RestartRollout/EvictAll, RolloutUnderWay, RestartRollout",
        "Reverted [Restarts]: EvictOneByOne/EvictAll, RolloutUnderWay, RestartRollout",
        "InPlace [Restarts]: EvictOneByOne/EvictAll, RolloutUnderWay, RestartRollout",
        "Recreate [Restarts]: StrategyRecreate/EvictAll, RolloutUnderWay, StrategyRecreate/RestartRollout",
        "Paused [RestartsNothing]: RolloutPaused/EvictAll, RolloutPaused, RolloutPaused",
        "Ordered [Restarts]: EvictOneByOne/EvictAll, RolloutUnderWay, RestartRollout",
        "OrderedUnready [Restarts]: EvictOneByOne/EvictAll, EvictOneByOne/EvictAll, RestartRollout",
        "Partitioned [RestartsNothing]: EvictOneByOne/EvictAll, RolloutPartitioned, RolloutPartitioned",
        "OnDelete [RestartsNothing]: StrategyOnDelete/EvictAll, StrategyOnDelete/EvictAll, StrategyOnDelete/CompleteTemplate",
        "EveryNode [Restarts]: DaemonSet, DaemonSet, RestartRollout",
        "EveryNodeOnDelete [Restarts]: DaemonSet, DaemonSet, StrategyOnDelete",
        "NewPodsOnly [RestartsNothing]: EvictOneByOne/EvictAll, EvictOneByOne/EvictAll, CompleteTemplate",
        "Started { bears_failure: true } [Immutable]: EvictOneByOne/EvictAll, JobStarted, JobStarted",
        "Started { bears_failure: false } [Immutable]: JobWouldFail/EvictAll, JobStarted, JobStarted",
        "NotStarted [RestartsNothing]: EvictOneByOne/EvictAll, EvictOneByOne/EvictAll, CompleteTemplate",
        "NewJobsOnly [RestartsNothing]: EvictOneByOne/EvictAll, EvictOneByOne/EvictAll, CompleteTemplate",
        "Terminating { kind: Deployment } [Immutable]: OwnerTerminating, OwnerTerminating, OwnerTerminating",
        "Terminating { kind: StatefulSet } [Immutable]: OwnerTerminating/EvictAll, OwnerTerminating/EvictAll, OwnerTerminating/EvictAll",
        "UnknownOwner [Immutable]: EvictOneByOne/EvictAll, EvictOneByOne/EvictAll, EvictOneByOne/EvictAll",
        "NoOwner [Immutable]: Unmanaged/EvictAll, Unmanaged/EvictAll, Unmanaged/EvictAll",
    ];
    assert_eq!(table.map(|row| row), expected);
}

#[test]
fn who_waits_by_a_template_that_says_less_is_not_evicted_into_it_again() {
    let waiting = |form: ControllerSpec| {
        let mut scene = annotated_before(form, 2);
        for pod in scene.pods.values_mut() {
            (pod.node, pod.phase) = (None, PodPhase::Unschedulable);
        }
        scene
    };
    let job = ControllerSpec::Job { finished: false, started: true, failures_left: Some(6), index_limit: None };
    assert_eq!(waiting(job).plan(), ["shop/app-0: JobStarted", "shop/app-1: JobStarted"]);
    assert_eq!(waiting(stateful(false)).plan(), ["stale: touch StatefulSet app"]);
    assert_eq!(waiting(rolling(2, 1, 0)).plan(), ["stale: touch Deployment app"]);
}

#[test]
fn an_ordered_rollout_does_not_begin_while_one_of_its_pods_has_nowhere_to_go() {
    let mut scene = annotated_before(stateful(false), 2).alter("app-1", |pod| pod.claims = ["data".into()].into());
    let claim = Claim { version: 1, volume: Some("pv".into()), single_writer: false, terminating: false };
    scene.claims.insert("shop/data".into(), claim);
    let only = NodeTerm { names: Some(["bad-1".to_owned()].into()), ..NodeTerm::default() };
    scene
        .volumes
        .insert("pv".into(), Volume { version: 1, reach: Some(vec![only]), domains: [].into(), terminating: false });
    assert_eq!(scene.plan(), ["shop/app-1: VolumePinned"]);
}

#[test]
fn nothing_is_done_about_pods_of_a_workload_that_is_being_deleted_where_they_would_come_back() {
    let scene = |form: ControllerSpec, action| {
        let kind = form.kind();
        let mut scene = Scene::new().with("app", form, 1, "bad-1").action(action);
        scene.controllers.get_mut(&kind).unwrap().get_mut("shop/app").unwrap().terminating = true;
        scene.plan()
    };
    for action in [LossAction::Migrate, LossAction::Evict] {
        assert_eq!(scene(rolling(1, 1, 0), action), ["shop/app-0: OwnerTerminating"], "its ReplicaSet makes it anew");
    }
    assert_eq!(scene(stateful(false), LossAction::Migrate), ["shop/app-0: OwnerTerminating"]);
    assert_eq!(scene(stateful(false), LossAction::Evict), ["violating: evict app-0"]);
}

#[test]
fn steps_that_were_not_taken_yet_are_dropped_when_their_reason_has_gone_or_an_officer_is_to_speak() {
    let scene =
        Scene::new().with("app", stateful(false), 2, "bad-1").alter("app-1", |pod| pod.node = Some("good-1".into()));
    let uid = |name: &str| scene.pods[&format!("shop/{name}")].uid;
    let none = BTreeMap::new();
    let stopped = BTreeMap::from([(("state".to_owned(), "restricted".to_owned()), "stopped".to_owned())]);
    scene.assessed(|_, _, report| {
        let owned = report.workloads.values().find(|owned| owned.name() == "app").unwrap();
        let due = |cause, pod, stopped| {
            let (deadlines, now) = (BTreeMap::new(), Timestamp::from_seconds(0));
            is_still_due(owned, cause, pod, StepConditions { stopped, deadlines: &deadlines, now })
        };
        let cause = MigrationCause::Violating;
        assert!(due(cause, Some(uid("app-0")), &none));
        assert!(!due(cause, Some(uid("app-1")), &none), "it stands right");
        assert!(due(cause, None, &none));
        assert!(!due(cause, Some(uid("app-0")), &stopped) && !due(cause, None, &stopped));
        assert!(!due(MigrationCause::Stale, Some(uid("app-0")), &none), "it does not wait");
        assert!(!due(MigrationCause::TemplateBehind, None, &none));
    });
}
