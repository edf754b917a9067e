//! Templates that select by a key that nobody demands any more.

use super::*;
use crate::{
    name::{CategoryName, ExceptionName},
    policy::Exception,
};

const GONE: &str = "clearance.rempart.node-restriction.kubernetes.io/former.secret";

/// A workload of `spec` whose template and pods select by [`GONE`] as well: `placed` of them stand, the others wait.
fn scene(spec: ControllerSpec, pods: u32, placed: u32) -> Scene {
    let selector = || {
        Arc::new(NodeRequirements {
            selector: selecting(&[RESTRICTED, GONE]),
            affinity: None,
            ..NodeRequirements::default()
        })
    };
    let kind = spec.kind();
    let mut scene = Scene::new().with("app", spec, pods, "good-1");
    for controllers in scene.controllers.values_mut() {
        for controller in controllers.values_mut() {
            controller.node_requirements = selector();
        }
    }
    assert!(!scene.controllers[&kind].is_empty());
    for (i, pod) in (0..).zip(scene.pods.values_mut()) {
        pod.node_requirements = selector();
        if i >= placed {
            (pod.node, pod.phase) = (None, PodPhase::Unschedulable);
        }
    }
    scene
}

#[test]
fn a_template_that_selects_by_a_retired_key_is_completed_anew_where_nothing_else_mends_it() {
    let daemons = |on_delete| ControllerSpec::DaemonSet { on_delete, updated: 0 };
    let job = |started| ControllerSpec::Job { finished: false, started, failures_left: Some(6), index_limit: None };
    let touched = |kind: &str| vec![format!("stale: touch {kind} app without former.secret")];
    let kept = |why: &str| vec![format!("shop/app-1: {why}")];
    let recreate = || ControllerSpec::Deployment {
        paused: false,
        strategy: RolloutStrategy::Recreate,
        total: 2,
        updated: 2,
        available: 2,
        stuck: false,
    };
    let cases: [(ControllerSpec, u32, Vec<String>, Vec<String>); 10] = [
        // All its pods stand. Only one of them does.
        (
            daemons(false),
            2,
            vec!["retired: touch DaemonSet app without former.secret".to_owned()],
            vec!["retired: touch DaemonSet app without former.secret".to_owned()],
        ),
        (
            daemons(true),
            2,
            vec!["retired: touch DaemonSet app without former.secret".to_owned()],
            vec!["retired: touch DaemonSet app without former.secret".to_owned()],
        ),
        (rolling(2, 1, 0), 2, vec![], touched("Deployment")),
        (rolling(2, 0, 1), 2, vec![], touched("Deployment")),
        (recreate(), 2, vec![], kept("StrategyRecreate")),
        (stateful(false), 2, vec![], touched("StatefulSet")),
        // Its template restarts nothing.
        (stateful(true), 2, touched("StatefulSet"), touched("StatefulSet")),
        (ControllerSpec::ReplicaSet, 2, vec![], touched("ReplicaSet")),
        (job(true), 2, vec![], kept("JobStarted")),
        (job(false), 2, vec![], touched("Job")),
    ];
    for (spec, pods, stand, half) in cases {
        assert_eq!(scene(spec.clone(), pods, pods).plan(), stand, "{spec:?}, all stand");
        assert_eq!(scene(spec.clone(), pods, 1).plan(), half, "{spec:?}, one waits");
    }
    assert_eq!(scene(recreate(), 2, 0).plan(), touched("Deployment"), "nothing goes before its replacement stands");
    assert_eq!(scene(ControllerSpec::CronJob, 0, 0).plan(), touched("CronJob"));
    assert_eq!(scene(rolling(0, 1, 0), 0, 0).plan(), touched("Deployment"), "nothing runs");
}

#[test]
fn what_somebody_puts_back_is_taken_again_of_daemon_sets_alone() {
    for (spec, expected) in [
        // Its pods would end when the stamps go; how soon again is for who remembers.
        (
            ControllerSpec::DaemonSet { on_delete: false, updated: 0 },
            vec!["retired: touch DaemonSet app without former.secret"],
        ),
        (rolling(2, 1, 0), vec!["shop/app-1: ReplacedInVain"]),
        (ControllerSpec::CronJob, vec![]),
    ] {
        let mut scene = scene(spec.clone(), 2, if matches!(spec, ControllerSpec::DaemonSet { .. }) { 2 } else { 1 });
        let uid = scene.controllers[&spec.kind()]["shop/app"].uid;
        let before =
            ReplacedPods { keys: GONE.to_owned(), template_keys: GONE.to_owned(), pods: [].into(), by_template: true };
        scene.replaced = [(uid, before)].into();
        if spec == ControllerSpec::CronJob {
            scene.pods.clear();
        }
        assert_eq!(scene.plan(), expected, "{spec:?}");
    }
}

#[test]
fn a_key_is_retired_when_nobody_demands_it() {
    let mut world = Scene::new().world;
    let retired = |world: &ClearanceInput| -> Vec<&str> {
        [
            "clearance:state.public",
            "clearance:state.restricted",
            "clearance:state.former",
            "clearance:former.secret",
            "category:state.health",
            "category:state.free",
            "category:state.former",
            "exception:state.legacy",
            "exception:state.former",
            "rank:state.restricted",
            "clearance:state",
        ]
        .into_iter()
        .filter(|short| {
            let (domain, name) = short.split_once(':').unwrap();
            world.is_retired(&format!("{domain}.rempart.node-restriction.kubernetes.io/{name}"))
        })
        .collect()
    };
    let policy = world.policies.values_mut().next().unwrap();
    let demand = policy.levels.at(1).unwrap().require.clone();
    policy.categories =
        [("health", demand), ("free", None)].map(|(name, demand)| (CategoryName::parse(name).unwrap(), demand)).into();
    let exception = Exception {
        namespaces: ["shop".to_owned()].into(),
        rank: 1,
        pools: [].into(),
        until: crate::instant::CalendarDay::parse("2020-01-01").unwrap(),
        reason: String::new(),
        approved_by: String::new(),
    };
    policy.exceptions = [(ExceptionName::parse("legacy").unwrap(), exception)].into();
    let always = [
        "clearance:state.public",
        "clearance:state.former",
        "category:state.free",
        "category:state.former",
        "exception:state.former",
    ];
    let with_former = |at: usize| {
        let mut all = always.to_vec();
        all.insert(at, "clearance:former.secret");
        all
    };
    assert_eq!(retired(&world), with_former(2), "an exception that has ended is still asked for");
    // It is there, and nobody can read it.
    world.unread_policies = ["former".to_owned()].into();
    assert_eq!(retired(&world), always);
    // Being deleted: admission adds its keys until it is gone.
    world.policies.values_mut().next().unwrap().terminating = true;
    assert_eq!(retired(&world), always);
    for policy in world.policies.values_mut() {
        policy.levels = PolicyLevels::new(
            policy.levels.iter().map(|level| Level { require: None, ..level.clone() }).collect(),
            "public",
        )
        .unwrap();
    }
    assert!(retired(&world).contains(&"clearance:state.restricted"), "its requirement was dropped");
    assert!(retired(&world).contains(&"exception:state.legacy"), "there is nothing to except from");
}

/// The same after the deletion of all policies.
fn ungoverned(mut scene: Scene) -> Scene {
    scene.world.policies.clear();
    let selector =
        || Arc::new(NodeRequirements { selector: selecting(&[GONE]), affinity: None, ..NodeRequirements::default() });
    for controller in scene.controllers.values_mut().flat_map(|controllers| controllers.values_mut()) {
        controller.node_requirements = selector();
    }
    for pod in scene.pods.values_mut() {
        pod.node_requirements = selector();
    }
    scene
}

#[test]
fn of_what_nobody_governs_all_pods_count() {
    let recreate = ControllerSpec::Deployment {
        paused: false,
        strategy: RolloutStrategy::Recreate,
        total: 3,
        updated: 3,
        available: 2,
        stuck: false,
    };
    // Two stand, which a rollout would end before any other stands.
    assert_eq!(ungoverned(scene(recreate, 3, 2)).plan(), ["shop/app-2: StrategyRecreate"]);
    let found = ungoverned(scene(rolling(3, 1, 0), 3, 2));
    assert_eq!(found.plan(), ["stale: touch Deployment app without former.secret"]);
    assert_eq!((found.counts("app").total, found.counts("app").placed), (3, 2));
}

#[test]
fn what_admission_has_put_there_goes_where_its_policy_does_not_govern_any_more() {
    // Beside the key of the policy that governed, which is in demand elsewhere.
    let left = |completed: bool, labels: &[(&str, &str)], exempt: bool| {
        let daemons = ControllerSpec::DaemonSet { on_delete: false, updated: 0 };
        let mut scene = Scene::new().with("app", daemons, 2, "good-1");
        let completed_for: BTreeSet<String> = completed.then(|| "state".to_owned()).into_iter().collect();
        let selector = selecting(&[RESTRICTED, GONE]);
        let template = scene.controllers.get_mut(&WorkloadKind::DaemonSet).unwrap().get_mut("shop/app").unwrap();
        template.node_requirements = Arc::new(NodeRequirements { selector, affinity: None, completed_for });
        let policy = scene.world.policies.values_mut().next().unwrap();
        let terms =
            labels.iter().map(|(key, value)| ((*key).to_owned(), SelectorOperator::In([(*value).to_owned()].into())));
        policy.namespaces = Selector::new(terms.collect());
        if exempt {
            scene.exempt.insert("shop".to_owned());
        }
        scene.plan()
    };
    let elsewhere: &[(&str, &str)] = &[("tenant", "a")];
    let touched = |keys: &str| vec![format!("retired: touch DaemonSet app without {keys}")];
    assert_eq!(left(true, &[], false), touched("former.secret"), "it needs the other");
    assert_eq!(left(true, elsewhere, false), touched("former.secret without state.restricted"));
    assert_eq!(left(false, elsewhere, false), touched("former.secret"), "it may be somebody's own wish");
    assert_eq!(left(true, &[], true), touched("state.restricted"), "of an exempt one nothing else is touched");
    assert_eq!(left(false, &[], true), [""; 0]);
    // A policy that is being deleted, or cannot be read, is not taken for one that governs elsewhere.
    for unread in [false, true] {
        let daemons = ControllerSpec::DaemonSet { on_delete: false, updated: 0 };
        let mut scene = Scene::new().with("app", daemons, 2, "good-1");
        let template = scene.controllers.get_mut(&WorkloadKind::DaemonSet).unwrap().get_mut("shop/app").unwrap();
        let (selector, completed_for) = (selecting(&[RESTRICTED]), ["state".to_owned()].into());
        template.node_requirements = Arc::new(NodeRequirements { selector, affinity: None, completed_for });
        scene.world.policies.values_mut().next().unwrap().terminating = true;
        if unread {
            scene.world.policies.clear();
            scene.world.unread_policies.insert("state".to_owned());
        }
        assert_eq!(scene.plan(), [""; 0]);
    }
}

#[test]
fn daemon_sets_that_nobody_governs_take_turns() {
    let daemons = || ControllerSpec::DaemonSet { on_delete: false, updated: 0 };
    let scene = Scene::new().with("a", daemons(), 3, "good-1").with("b", daemons(), 3, "good-1").with(
        "c",
        daemons(),
        3,
        "good-1",
    );
    let mut scene = ungoverned(scene);
    assert_eq!(scene.plan(), ["retired: touch DaemonSet a without former.secret"]);
    // Its template is free by now, and its pods are being replaced.
    let first = scene.controllers.get_mut(&WorkloadKind::DaemonSet).unwrap().get_mut("shop/a").unwrap();
    first.node_requirements = Arc::default();
    scene.moving = [(first.uid, 3)].into();
    assert_eq!(scene.plan(), [""; 0], "the next waits for its turn");
    scene.moving.clear();
    assert_eq!(scene.plan(), ["retired: touch DaemonSet b without former.secret"]);
}

#[test]
fn who_waits_by_a_former_template_is_told_of_by_its_controller() {
    let freed = |spec: ControllerSpec| {
        let mut scene = ungoverned(scene(spec, 2, 1));
        for controller in scene.controllers.values_mut().flat_map(|controllers| controllers.values_mut()) {
            controller.node_requirements = Arc::default();
        }
        let pods = scene.pods.values().map(|pod| pod.uid).collect();
        let uid = scene.controllers.values().find_map(|controllers| Some(controllers.get("shop/app")?.uid)).unwrap();
        let taken = GONE.to_owned();
        scene.replaced =
            [(uid, ReplacedPods { keys: taken.clone(), template_keys: taken, pods, by_template: true })].into();
        scene.plan()
    };
    assert_eq!(freed(rolling(2, 1, 0)), ["shop/app-1: RolloutUnderWay"]);
    // Its controller waits for the pod to be ready.
    assert_eq!(freed(stateful(false)), ["stale: evict app-1"]);
}

#[test]
fn a_daemon_set_that_may_not_be_where_it_is_keeps_its_template_until_it_may_move() {
    // It selects by a key of yesterday, and stands where its new level may not be.
    let daemons = |good: bool, action: LossAction| {
        let scene = Scene::new().action(action).with(
            "app",
            ControllerSpec::DaemonSet { on_delete: false, updated: 0 },
            2,
            "bad-1",
        );
        let mut scene = Scene { good, ..scene };
        let template = scene.controllers.get_mut(&WorkloadKind::DaemonSet).unwrap().get_mut("shop/app").unwrap();
        template.node_requirements =
            Arc::new(NodeRequirements { selector: selecting(&[GONE]), affinity: None, ..NodeRequirements::default() });
        scene
    };
    let kept = |why: &str| vec![format!("shop/app-0: {why}"), format!("shop/app-1: {why}")];
    assert_eq!(daemons(false, LossAction::Migrate).plan(), kept("NoClearedPool"));
    assert_eq!(daemons(true, LossAction::Report).plan(), kept("ReportOnly"));
    let mut stopped = daemons(true, LossAction::Migrate);
    assert_eq!(stopped.plan(), ["violating: touch DaemonSet app without former.secret"]);
    stopped.stopped = [(("state".to_owned(), "restricted".to_owned()), "approve it".to_owned())].into();
    assert_eq!(stopped.plan(), kept("MoveStopped"));
    let pending = Scene { propagated: false, ..daemons(true, LossAction::Migrate) };
    assert_eq!(pending.plan(), kept("AdmissionPending"));
}

#[test]
fn what_admission_would_put_back_stays_until_it_has_forgotten() {
    let daemons = ControllerSpec::DaemonSet { on_delete: false, updated: 0 };
    for (spec, pods, placed) in [(daemons, 1, 1), (ControllerSpec::CronJob, 0, 0), (rolling(2, 1, 0), 2, 1)] {
        let mut scene = scene(spec, pods, placed);
        let taken = scene.plan();
        assert_eq!(taken.len(), 1, "{taken:?}");
        scene.lingering = [PolicyName::parse("former").unwrap()].into();
        assert_eq!(scene.plan(), Vec::<String>::new());
        scene.lingering = [PolicyName::parse("state").unwrap()].into();
        assert_eq!(scene.plan(), taken, "another policy's holds up nobody");
    }
}
