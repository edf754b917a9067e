//! Moves that end: what keeps a pod for its data's sake, for its owner's, or for want of a turn.

use super::*;
use crate::pod_lifecycle::{NotNow, PodLifecycle};
use crate::volume::VolumeDomain;

fn surging() -> RolloutStrategy {
    RolloutStrategy::Rolling { surge: 1, unavailable: 0 }
}

fn claim(single_writer: bool) -> Claim {
    Claim { version: 1, volume: Some("pv".into()), single_writer, terminating: false }
}

/// How `pod` ends.
fn ending(pod: &mut Pod) -> &mut PodLifecycle {
    &mut Arc::make_mut(&mut pod.scheduling).lifecycle
}

fn volume() -> Volume {
    Volume { version: 1, reach: None, domains: [].into(), terminating: false }
}

impl Scene {
    /// Gives `pods` the claim `data`.
    fn claiming(mut self, claim: Claim, volume: Volume, pods: &[&str]) -> Self {
        self.claims.insert("shop/data".into(), claim);
        self.volumes.insert("pv".into(), volume);
        for pod in pods {
            self = self.alter(pod, |pod| pod.claims = ["data".into()].into());
        }
        self
    }

    fn uid_of(&self, kind: WorkloadKind, name: &str) -> ObjectUid {
        self.controllers[&kind][&format!("shop/{name}")].uid
    }

    /// A pod of an owner of another kind.
    fn foreign(self, name: &str, phase: PodPhase, runs_once: bool) -> Self {
        let owner = OwnerRef { kind: None, kind_said: "Cluster".into(), name: "ledger".into(), uid: ObjectUid(900) };
        self.pod(name, Some(Arc::new(owner)), "bad-1").alter(name, |pod| {
            pod.phase = phase;
            ending(pod).runs_once = runs_once;
        })
    }
}

#[test]
fn a_claim_for_one_node_is_let_go_before_its_successor_needs_it() {
    let single = |form: ControllerSpec, number: u32, pods: &[&str]| {
        Scene::new().with("app", form, number, "bad-1").claiming(claim(true), volume(), pods).plan()
    };
    // Its replacement would wait for it, and it for its replacement.
    assert_eq!(single(rolling(1, 1, 0), 1, &["app-0"]), ["shop/app-0: VolumeInUse"]);
    assert_eq!(single(rolling(1, 0, 1), 1, &["app-0"]), ["violating: evict app-0"]);
    assert_eq!(single(stateful(false), 1, &["app-0"]), ["violating: evict app-0"]);
    // Another pod of its node has it and stays.
    let both = ["app-0", "app-1"];
    assert_eq!(single(rolling(2, 0, 1), 2, &both), ["shop/app-0: VolumeInUse", "shop/app-1: VolumeInUse"]);
    assert_eq!(single(ControllerSpec::ReplicaSet, 2, &both), ["shop/app-0: VolumeInUse", "shop/app-1: VolumeInUse"]);
    let many = Scene::new().with("app", rolling(1, 1, 0), 1, "bad-1").claiming(claim(false), volume(), &["app-0"]);
    assert_eq!(many.plan(), ["violating: touch Deployment app"]);
    let kept = BlockedReason::NoFit(NoFit::SingleWriter { claim: "data".into() });
    assert_eq!(
        kept.to_string(),
        "kept, since its claim data is for one node at a time, and its successor would wait for it to go first; let its \
         controller end it first: strategy Recreate, or one pod with maxSurge 0 and maxUnavailable 1"
    );
}

#[test]
fn no_move_is_the_one_by_which_data_goes() {
    let ending_claim = || Claim { terminating: true, ..claim(false) };
    let ending_volume = || Volume { terminating: true, ..volume() };
    for action in [LossAction::Migrate, LossAction::Evict] {
        for (claim, volume) in [(ending_claim(), volume()), (claim(false), ending_volume())] {
            let scene = Scene::new()
                .action(action)
                .with("app", rolling(1, 1, 0), 1, "bad-1")
                .with("db", stateful(false), 1, "bad-1")
                .claiming(claim, volume, &["app-0", "db-0"]);
            assert_eq!(scene.plan(), ["shop/app-0: ClaimEnding", "shop/db-0: ClaimEnding"], "{action:?}");
        }
        let mut gone = Scene::new().action(action).with("db", stateful(false), 1, "bad-1");
        gone = gone.claiming(claim(false), volume(), &["db-0"]);
        gone.volumes.clear();
        assert_eq!(gone.plan(), ["shop/db-0: ClaimEnding"], "{action:?}");
        gone.claims.clear();
        assert_eq!(gone.plan(), ["shop/db-0: ClaimEnding"], "{action:?}");
    }
    // Nobody is told to delete it either.
    let by_hand = Scene::new()
        .with("db", stateful(true), 1, "bad-1")
        .with("app", deployment(RolloutStrategy::Recreate, false), 1, "bad-1")
        .pod("alone", None, "bad-1")
        .claiming(ending_claim(), volume(), &["app-0", "db-0", "alone"]);
    assert_eq!(by_hand.plan(), ["shop/db-0: ClaimEnding", "shop/app-0: ClaimEnding", "shop/alone: ClaimEnding"]);
}

#[test]
fn a_volume_is_where_its_labels_say() {
    let scene = |labels: &[(&str, &str)]| {
        let domains = labels.iter().filter_map(|(key, value)| VolumeDomain::read(key, value)).collect();
        let scene = Scene::new().with("db", stateful(false), 1, "bad-1");
        scene.claiming(claim(true), Volume { domains, ..volume() }, &["db-0"]).plan()
    };
    // All nodes are in zone z.
    let former = "failure-domain.beta.kubernetes.io/zone";
    let region = "topology.kubernetes.io/region";
    for (labels, expected) in [
        (vec![(ZONE, "z")], "violating: evict db-0"),
        (vec![(ZONE, "a__z")], "violating: evict db-0"),
        (vec![(former, "z")], "violating: evict db-0"),
        (vec![("failure-domain.example/zone", "a")], "violating: evict db-0"),
        (vec![(ZONE, "a")], "shop/db-0: VolumePinned"),
        (vec![(ZONE, "a__b")], "shop/db-0: VolumePinned"),
        (vec![(ZONE, "zz")], "shop/db-0: VolumePinned"),
        (vec![(former, "a")], "shop/db-0: VolumePinned"),
        // They say where they are, and not that they are in any region.
        (vec![(ZONE, "z"), (region, "r")], "shop/db-0: VolumePinned"),
    ] {
        assert_eq!(scene(&labels), [expected], "{labels:?}");
    }
}

#[test]
fn what_runs_once_for_an_unknown_owner_runs_to_its_end() {
    let scene = |action, phase| Scene::new().action(action).foreign("step", phase, true);
    assert_eq!(scene(LossAction::Migrate, PodPhase::Ready).plan(), ["shop/step: Unmanaged"]);
    assert_eq!(scene(LossAction::Evict, PodPhase::Ready).plan(), ["violating: evict step"]);
    let gone = "clearance.rempart.node-restriction.kubernetes.io/former.secret";
    let waits = scene(LossAction::Migrate, PodPhase::Unschedulable).alter("step", |pod| {
        pod.node = None;
        let selector = selecting(&[RESTRICTED, gone]);
        pod.node_requirements = Arc::new(NodeRequirements { selector, ..NodeRequirements::default() });
    });
    assert_eq!(waits.plan(), ["shop/step: Unmanaged"], "nor is one that waits for what is gone replaced");
}

#[test]
fn copies_of_an_unknown_owner_go_only_while_all_that_went_are_made_anew() {
    let two =
        |ready: PodPhase| Scene::new().foreign("ledger-1", PodPhase::Ready, false).foreign("ledger-2", ready, false);
    assert_eq!(two(PodPhase::Ready).plan(), ["violating: evict ledger-2"]);
    // There were three.
    let mut missing = two(PodPhase::Ready);
    missing.missing = [(ObjectUid(900), 3)].into();
    assert_eq!(missing.plan(), ["shop/ledger-1: NotReplaced", "shop/ledger-2: NotReplaced"]);
    missing = missing.foreign("ledger-3", PodPhase::Ready, false);
    assert_eq!(missing.plan(), ["violating: evict ledger-3"]);
}

#[test]
fn who_is_not_ready_goes_first() {
    let scene = |form: fn() -> ControllerSpec| Scene::new().with("db", form(), 3, "bad-1");
    let forms: [fn() -> ControllerSpec; 3] = [|| stateful(false), || ControllerSpec::ReplicaSet, || rolling(3, 0, 1)];
    for form in forms {
        let broken = scene(form).alter("db-1", |pod| pod.phase = PodPhase::Running);
        assert_eq!(broken.plan(), ["violating: evict db-1"]);
        // None of them is the last that is ready.
        let more = broken.alter("db-0", |pod| pod.phase = PodPhase::Running);
        assert_eq!(more.plan(), ["violating: evict db-1"]);
    }
    // An ordered controller stops for good at a pod of a former template that is not ready.
    let former = |pod: &mut Pod| pod.statements = Arc::default();
    let rolled = scene(|| stateful(false)).alter("db-0", former).alter("db-1", former);
    assert_eq!(rolled.plan().last().unwrap(), "shop/db-1: RolloutUnderWay");
    let stuck = rolled.alter("db-1", |pod| pod.phase = PodPhase::Running);
    assert_eq!(stuck.plan().first().unwrap(), "violating: evict db-1");
}

#[test]
fn a_deployment_whose_owner_takes_the_note_away_goes_pod_by_pod() {
    let reverting = |number: u32| {
        let mut scene = Scene::new().with("app", complete(number, surging(), false), number, "bad-1");
        scene.reverting = [scene.uid_of(WorkloadKind::Deployment, "app")].into();
        scene
    };
    assert_eq!(reverting(3).plan(), ["violating: evict app-2"]);
    assert_eq!(reverting(1).plan(), ["shop/app-0: NoteReverted"], "none of it would stand");
    let short = reverting(3).alter("app-0", |pod| pod.phase = PodPhase::Running);
    assert_eq!(short.plan(), ["violating: evict app-0"]);
    let waits = reverting(3).alter("app-0", |pod| (pod.node, pod.phase) = (Some("good-1".into()), PodPhase::Running));
    assert_eq!(waits.plan(), ["shop/app-1: OthersNotReady", "shop/app-2: OthersNotReady"]);
}

#[test]
fn what_failed_comes_after_what_did_not_and_a_large_one_has_its_turn() {
    let crowd = || {
        (0..4).fold(Scene::new(), |scene, i| scene.with(&format!("app{i}"), complete(1, surging(), false), 1, "bad-1"))
    };
    assert_eq!(crowd().plan(), ["violating: touch Deployment app0"]);
    let mut failed = crowd();
    failed.failures = ["app0", "app1"].map(|name| (failed.uid_of(WorkloadKind::Deployment, name), 1)).into();
    assert_eq!(failed.plan(), ["violating: touch Deployment app2"]);
    // Forty pods of forty-eight: more than a tenth. Six small ones have their turn beside one that is on the move.
    let form = || complete(1, surging(), false);
    let large = |name: &str| {
        let scene = (0..8).fold(Scene::new(), |scene, i| scene.with(&format!("s{i}"), form(), 1, "bad-1"));
        let mut scene = scene.with(name, complete(40, surging(), false), 40, "bad-1");
        scene.moving = [(scene.uid_of(WorkloadKind::Deployment, "s0"), 1)].into();
        scene.plan().len()
    };
    assert_eq!((large("z"), large("a")), (3, 0), "what comes after it takes nothing of its turn");
}

#[test]
fn room_that_was_given_away_stays_so_until_the_successor_is_there() {
    let mut scene = Scene::new().with("db", stateful(false), 1, "bad-1").with("other", stateful(false), 2, "bad-1");
    scene.room = 1;
    let pod = scene.pods["shop/other-1"].clone();
    scene.pods.remove("shop/other-1");
    let other = scene.uid_of(WorkloadKind::StatefulSet, "other");
    scene.moving = [(other, 1)].into();
    // Enough of the level is there for another to begin.
    scene = (0..40).fold(scene, |scene, i| scene.pod(&format!("ballast-{i}"), None, "ending-1"));
    let of_db = |scene: &Scene| scene.plan().into_iter().filter(|line| line.contains("db-0")).collect::<Vec<_>>();
    assert_eq!(of_db(&scene), ["violating: evict db-0"]);
    scene.awaited = [(other, AwaitedPods { number: 1, key: "shop/other-1".into(), pod, levels: vec![] })].into();
    assert_eq!(of_db(&scene), ["shop/db-0: NoCapacity"]);
}

#[test]
fn many_that_wait_in_vain_hide_none_that_will_have_a_place() {
    let mut scene = Scene::new().with("db", stateful(false), 1, "bad-1");
    scene.room = 1;
    for i in 0..300 {
        let hopeless = |pod: &mut Pod| {
            let selector = selecting(&["nowhere"]);
            pod.node_requirements = Arc::new(NodeRequirements { selector, ..NodeRequirements::default() });
        };
        scene = scene.pod(&format!("a-{i}"), None, "").alter(&format!("a-{i}"), hopeless);
    }
    let moves = |scene: &Scene| scene.plan().contains(&"violating: evict db-0".to_owned());
    assert!(moves(&scene));
    assert!(!moves(&scene.pod("z", None, "")), "it is about to have the only room");
}

#[test]
fn a_job_loses_no_index_and_no_more_than_it_bears() {
    let indexed = |limit| ControllerSpec::Job {
        finished: false,
        started: true,
        failures_left: Some(u32::MAX),
        index_limit: Some(limit),
    };
    let failed = |pod: &mut Pod| ending(pod).index_failures = 1;
    assert_eq!(
        Scene::new().with("job", indexed(0), 2, "bad-1").plan(),
        ["shop/job-0: JobWouldFail", "shop/job-1: JobWouldFail"]
    );
    let one = Scene::new().with("job", indexed(1), 2, "bad-1").alter("job-1", failed);
    assert_eq!(one.plan(), ["violating: evict job-0", "shop/job-1: JobWouldFail"]);
    let ignored = ControllerSpec::Job { finished: false, started: true, failures_left: None, index_limit: Some(0) };
    assert_eq!(Scene::new().with("job", ignored, 1, "bad-1").plan(), ["violating: evict job-0"]);
    // Those that wait for what is gone count as well.
    let gone = "clearance.rempart.node-restriction.kubernetes.io/former.secret";
    let waits = |pod: &mut Pod| {
        let selector = selecting(&[RESTRICTED, gone]);
        pod.node_requirements = Arc::new(NodeRequirements { selector, ..NodeRequirements::default() });
    };
    let stale = Scene::new().with("job", indexed(1), 2, "").alter("job-0", waits).alter("job-1", waits);
    assert_eq!(stale.plan(), ["stale: evict job-0"], "one after the other");
    let last = stale.alter("job-0", failed);
    assert_eq!(last.plan(), ["stale: evict job-1", "shop/job-0: JobWouldFail"]);
}

#[test]
fn a_mark_that_says_not_now_is_heeded_unless_the_officer_wants_it_at_once() {
    let then = Timestamp::from_seconds(1000);
    for (mark, over) in [
        (NotNow::Marked(NotNow::MARKS[0].0), false),
        (NotNow::Unread("soon".into()), false),
        (NotNow::Until(then), true),
    ] {
        let marked = |action| {
            let marking = |pod: &mut Pod| ending(pod).not_now = Some(Box::new(mark.clone()));
            Scene::new().action(action).with("app", rolling(1, 1, 0), 1, "bad-1").alter("app-0", marking)
        };
        let mut scene = marked(LossAction::Migrate);
        assert_eq!(scene.plan(), ["shop/app-0: NotNow"], "{mark}");
        scene.now = then;
        assert_eq!(scene.plan() == ["violating: touch Deployment app"], over, "{mark}");
        assert_eq!(marked(LossAction::Evict).plan(), ["violating: evict app-0"], "{mark}");
    }
}

#[test]
fn devices_that_nobody_counts_are_not_let_go_for_a_guess() {
    let claims = |pod: &mut Pod| {
        pod.scheduling = Arc::new(SchedulingConstraints { claims_devices: true, ..SchedulingConstraints::default() });
    };
    let db = Scene::new().with("db", stateful(false), 1, "bad-1").alter("db-0", claims);
    assert_eq!(db.plan(), ["shop/db-0: DevicesUnknown"]);
    let app = Scene::new().with("app", rolling(1, 1, 0), 1, "bad-1").alter("app-0", claims);
    assert_eq!(app.plan(), ["violating: touch Deployment app"], "its replacement stands first, or it stays");
}

#[test]
fn an_empty_pool_is_woken_by_what_goes_last() {
    let mut scene = Scene::new().with("app", rolling(1, 1, 0), 1, "bad-1").with("db", stateful(false), 1, "bad-1");
    scene.good = false;
    assert_eq!(scene.plan(), ["shop/app-0: NoClearedPool", "shop/db-0: NoClearedPool"]);
    scene.pools = [(PoolName::parse("spare").unwrap(), Arc::new(selecting(&[RESTRICTED])))].into();
    assert_eq!(scene.plan(), ["violating: touch Deployment app", "shop/db-0: NoClearedNode"]);
    let told = |scene: &Scene| {
        scene.assessed(|objects, facts, report| {
            let plan = scene.planned(objects, facts, report);
            plan.blocked.values().flatten().map(|(_, why)| why.to_string()).collect::<Vec<_>>()
        })
    };
    assert_eq!(told(&scene), ["kept, since pool spare, which would do, has no node; it moves when there is a place"]);
    for number in 0..9 {
        let pool = PoolName::parse(&format!("s{number}")).unwrap();
        scene.pools.insert(pool, Arc::new(selecting(&[RESTRICTED])));
    }
    let many = "kept, since pools s0, s1, s2, s3, s4, s5 and 4 more, which would do, have no node; it moves when there is a \
                place";
    assert_eq!(told(&scene), [many]);
}

#[test]
fn who_waits_for_a_volume_elsewhere_is_told_of_it_and_replaced_when_it_need_not_be_there_any_more() {
    let only = NodeTerm { names: Some(["bad-1".to_owned()].into()), ..NodeTerm::default() };
    let elsewhere = || Volume { reach: Some(vec![only.clone()]), ..volume() };
    // It was raised, and its last pod taken down for it.
    let mut scene = Scene::new().with("db", stateful(false), 1, "bad-1");
    let owner = scene.pods["shop/db-0"].owner.clone();
    scene = scene.pod("db-1", owner, "").claiming(claim(true), elsewhere(), &["db-1"]);
    let stranded = |scene: &Scene| {
        scene.assessed(|objects, facts, report| {
            let told = scene.planned(objects, facts, report).stranded.into_values().flatten();
            told.map(|(pod, why)| format!("{pod}: {} {why}", why.code())).collect::<Vec<_>>()
        })
    };
    let told = "shop/db-1: VolumePinned its claim data is bound to volume pv, which no cleared node can reach";
    assert_eq!(stranded(&scene), [told]);
    assert_eq!(scene.plan().first().unwrap(), "violating: evict db-0");
    // The annotation is taken back: its template asks for nothing any more, and the pod that waits says what it said.
    let sets = scene.controllers.get_mut(&WorkloadKind::StatefulSet).unwrap();
    let set = sets.get_mut("shop/db").unwrap();
    (set.template_statements, set.node_requirements) = (Arc::default(), Arc::default());
    scene = scene.alter("db-0", |pod| (pod.statements, pod.node_requirements) = (Arc::default(), Arc::default()));
    assert_eq!(scene.plan(), ["stale: evict db-1"]);
}

#[test]
fn a_rollout_that_is_under_way_or_stuck_is_not_begun_again() {
    let scene = |action, observed, (total, updated): (u32, u32), stuck| {
        let form =
            ControllerSpec::Deployment { paused: false, strategy: surging(), total, updated, available: 2, stuck };
        let mut scene = Scene::new().action(action).with("app", form, 2, "bad-1");
        scene.controllers.get_mut(&WorkloadKind::Deployment).unwrap().get_mut("shop/app").unwrap().observed = observed;
        scene.plan()
    };
    let kept = |code: &str| [format!("shop/app-0: {code}"), format!("shop/app-1: {code}")];
    assert_eq!(scene(LossAction::Migrate, true, (3, 1), false), kept("RolloutUnderWay"));
    assert_eq!(scene(LossAction::Migrate, false, (2, 2), false), kept("RolloutUnderWay"));
    assert_eq!(scene(LossAction::Migrate, true, (3, 1), true), kept("RolloutStuck"));
    // All are of the latest template, though one of them is not ready.
    assert_eq!(scene(LossAction::Migrate, true, (2, 2), true), ["violating: touch Deployment app"]);
    assert_eq!(scene(LossAction::Evict, true, (3, 1), true), ["violating: evict app-0, evict app-1"]);
}
