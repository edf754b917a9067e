//! Orders of events: what was seen a moment ago, by this replica or by another, is still under way.

use super::*;

impl Scene {
    /// Pods of an owner of another kind that has `ready` ones on a node that is not cleared, and `going` that are on their
    /// way out.
    fn foreign_pods(mut self, ready: usize, going: usize) -> Self {
        let owner = OwnerRef { kind: None, kind_said: "Cluster".into(), name: "ledger".into(), uid: ObjectUid(900) };
        let owner = Arc::new(owner);
        for number in 0..ready + going {
            let name = format!("ledger-{number}");
            self = self.pod(&name, Some(Arc::clone(&owner)), "bad-1");
            self = self.alter(&name, |pod| pod.terminating = number >= ready);
        }
        self
    }
}

#[test]
fn of_an_owner_of_another_kind_no_pod_goes_while_one_is_on_its_way_out() {
    assert_eq!(Scene::new().foreign_pods(2, 0).plan(), ["violating: evict ledger-1"]);
    let kept = Scene::new().foreign_pods(2, 1).plan();
    assert_eq!(kept, ["shop/ledger-0: OthersNotReady", "shop/ledger-1: OthersNotReady"]);
    // Its only pod goes, since it has a place.
    assert_eq!(Scene::new().foreign_pods(1, 0).plan(), ["violating: evict ledger-0"]);
}

#[test]
fn a_job_counts_pods_that_are_on_their_way_out_as_failures_to_come() {
    let job =
        |left| ControllerSpec::Job { finished: false, started: true, failures_left: Some(left), index_limit: None };
    let scene = |left, going: bool| {
        Scene::new().with("batch", job(left), 2, "bad-1").alter("batch-1", |pod| pod.terminating = going).plan()
    };
    assert_eq!(scene(1, false), ["violating: evict batch-1"]);
    assert_eq!(scene(1, true), ["shop/batch-0: JobWouldFail"], "the one that goes is the one that it bears");
    assert_eq!(scene(2, true), ["violating: evict batch-0"]);
}

#[test]
fn pods_of_a_stateful_set_that_is_rolled_are_left_to_its_controller() {
    let rolled = |rolling, on_delete| {
        let spec = ControllerSpec::StatefulSet { on_delete, first_updated: 0, last_ordinal: 1, rolling };
        Scene::new().with("db", spec, 2, "bad-1")
    };
    assert_eq!(rolled(false, false).plan(), ["violating: evict db-1"]);
    assert_eq!(rolled(true, false).plan(), ["shop/db-0: RolloutUnderWay", "shop/db-1: RolloutUnderWay"]);
    // One that is not ready holds its rollout up for good (kubernetes#67250).
    let held_up = rolled(true, false).alter("db-0", |pod| pod.phase = PodPhase::Running).plan();
    assert_eq!(held_up, ["violating: evict db-0", "shop/db-1: RolloutUnderWay"]);
    assert_eq!(rolled(true, true).plan(), ["shop/db-0: StrategyOnDelete", "shop/db-1: StrategyOnDelete"]);
}

#[test]
fn what_goes_because_it_is_not_ready_goes_only_as_it_was_seen() {
    let versions = |scene: Scene| {
        scene.assessed(|objects, facts, report| {
            let plan = scene.planned(objects, facts, report);
            let steps = plan.migrations.iter().flat_map(|due| &due.steps);
            let version = |step: &MigrationStep<'_>| match step {
                MigrationStep::Evict { version, .. } | MigrationStep::Delete { version, .. } => *version,
                MigrationStep::AnnotateTemplate { .. } => None,
            };
            steps.map(version).collect::<Vec<_>>()
        })
    };
    let unready = |pod: &mut Pod| (pod.phase, pod.version) = (PodPhase::Running, 7);
    assert_eq!(versions(Scene::new().foreign_pods(2, 0)), [None], "a ready one may change in the meantime");
    assert_eq!(versions(Scene::new().foreign_pods(2, 0).alter("ledger-0", unready)), [Some(7)]);
    let at_once = Scene::new().action(LossAction::Evict).foreign_pods(1, 0).alter("ledger-0", unready);
    assert_eq!(versions(at_once), [None], "an officer wants it gone, whatever it is");
}

#[test]
fn an_owner_without_a_pod_keeps_its_turn_and_its_room() {
    let pod = Scene::new().foreign_pods(1, 0).pods["shop/ledger-0"].clone();
    let levels = vec![("state".to_owned(), "restricted".to_owned())];
    let gone = AwaitedPods { number: 1, key: "shop/ledger-0".to_owned(), pod, levels };
    let mut scene = Scene::new().with("db", stateful(false), 1, "bad-1");
    assert_eq!(scene.plan(), ["violating: evict db-0"]);
    scene.moving = [(ObjectUid(900), 1)].into();
    scene.awaited = [(ObjectUid(900), gone)].into();
    assert!(scene.plan().is_empty(), "as many of the level are on the move as may");
    scene.room = 1;
    scene.moving.clear();
    assert_eq!(scene.plan(), ["shop/db-0: NoCapacity"], "the only room is for the next pod of who has none");
}
