//! Migration plans of pods that violate for longer than their level lets them.

use core::time::Duration;
use std::prelude::v1::*;

use super::*;
use crate::{monotonic::MonotonicTime, pod_lifecycle::NotNow};

const NOW: Timestamp = Timestamp::EPOCH;
const BY_BUDGET: RefusedRemoval =
    RefusedRemoval { stage: RemovalStage::OverdueEviction, budget_persists: true, is_waited_out: true };

/// The scene with the deadline of every pod at its instant.
fn overdue(mut scene: Scene) -> Scene {
    let deadline = PodDeadline { at: NOW, since: NOW.before(Duration::from_hours(72)) };
    scene.deadlines = scene.pods.values().map(|pod| (pod.uid, deadline)).collect();
    scene
}

/// The same, where the budget of every pod has refused its eviction since.
fn refused(mut scene: Scene) -> Scene {
    scene.forbidden = scene.pods.values().map(|pod| (pod.uid, "needs 2 healthy pods and has 2".to_owned())).collect();
    scene.removals = scene.pods.values().map(|pod| (pod.uid, BY_BUDGET)).collect();
    scene
}

fn forms() -> Vec<(ControllerSpec, &'static str, &'static str)> {
    let surging = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    let job = |failures_left| ControllerSpec::Job { finished: false, started: true, failures_left, index_limit: None };
    // What makes pods, what is done past the deadline, and past a budget too.
    vec![
        (rolling(2, 1, 0), "violating: touch Deployment app", "overdue: delete app-1"),
        (rolling(2, 0, 1), "violating: evict app-1", "overdue: delete app-1"),
        (deployment(surging, true), "overdue: evict app-1", "overdue: delete app-1"),
        (deployment(RolloutStrategy::Recreate, false), "overdue: evict app-1", "overdue: delete app-1"),
        (stateful(false), "violating: evict app-1", "overdue: delete app-1"),
        (stateful(true), "overdue: evict app-1", "overdue: delete app-1"),
        (ControllerSpec::ReplicaSet, "violating: evict app-1", "overdue: delete app-1"),
        (ControllerSpec::DaemonSet { on_delete: false, updated: 0 }, "shop/app-0: DaemonSet", "shop/app-0: DaemonSet"),
        // What is deleted counts as a failure, whatever the Job says of disruptions.
        (job(Some(3)), "violating: evict app-1", "shop/app-0: DisruptionBudget"),
        (job(None), "violating: evict app-1", "shop/app-0: DisruptionBudget"),
        // It would not be made anew.
        (job(Some(0)), "shop/app-0: JobWouldFail", "shop/app-0: JobWouldFail"),
    ]
}

#[test]
fn past_its_deadline_what_only_delays_a_pod_ends_and_what_has_no_remedy_does_not() {
    for (form, at_deadline, past_budget) in forms() {
        let scene = || overdue(Scene::new().with("app", form.clone(), 2, "bad-1"));
        assert_eq!(scene().plan().first().unwrap(), at_deadline, "{form:?}");
        assert_eq!(refused(scene()).plan().first().unwrap(), past_budget, "{form:?}");
    }
    let alone = overdue(Scene::new().pod("alone", None, "bad-1"));
    assert_eq!(alone.plan(), ["shop/alone: Unmanaged"], "nobody would make it anew");
}

#[test]
fn before_its_deadline_nothing_is_forced() {
    for (form, ..) in forms() {
        let mut scene = refused(overdue(Scene::new().with("app", form.clone(), 2, "bad-1")));
        for deadline in scene.deadlines.values_mut() {
            deadline.at = NOW.after(Duration::from_secs(1));
        }
        assert!(!scene.plan().iter().any(|line| line.starts_with("overdue")), "{form:?}: {:?}", scene.plan());
    }
}

#[test]
fn a_mark_that_says_not_now_delays_a_pod_until_its_deadline_and_no_longer() {
    let marked = || {
        let scene = Scene::new().with("db", stateful(false), 1, "bad-1");
        scene.alter("db-0", |pod| {
            let lifecycle = crate::pod_lifecycle::PodLifecycle {
                not_now: Some(Box::new(NotNow::MARKS.map(|(key, _)| NotNow::Marked(key))[0].clone())),
                ..crate::pod_lifecycle::PodLifecycle::default()
            };
            pod.scheduling = Arc::new(SchedulingConstraints { lifecycle, ..SchedulingConstraints::default() });
        })
    };
    assert_eq!(marked().plan(), ["shop/db-0: NotNow"]);
    assert_eq!(overdue(marked()).plan(), ["violating: evict db-0"]);
}

#[test]
fn a_deadline_never_takes_the_last_ready_pod_nor_one_that_has_nowhere_to_go() {
    for (form, ..) in forms() {
        for pods in 1..=3_u32 {
            for ready in 0..=pods {
                let mut scene = Scene::new().with("app", form.clone(), pods, "bad-1");
                for i in ready..pods {
                    scene = scene.alter(&format!("app-{i}"), |pod| pod.phase = PodPhase::Running);
                }
                let scene = refused(overdue(scene));
                let said = format!("{form:?} with {ready} of {pods} ready");
                for line in scene.plan().iter().filter_map(|line| line.strip_prefix("overdue: ")) {
                    let name = line.split(' ').next_back().unwrap();
                    let pod = &scene.pods[&format!("shop/{name}")];
                    let others = ready.saturating_sub(u32::from(pod.is_ready()));
                    assert!(!pod.is_ready() || others > 0, "{said}: {line}");
                }
                let nowhere = Scene { good: false, ..scene };
                assert!(!nowhere.plan().iter().any(|line| line.starts_with("overdue")), "{said}");
            }
        }
    }
    let last = overdue(Scene::new().with("app", deployment(RolloutStrategy::Recreate, false), 1, "bad-1"));
    assert_eq!(last.plan(), ["shop/app-0: LastReady"]);
    let last = refused(overdue(Scene::new().with("db", stateful(false), 1, "bad-1")));
    assert_eq!(last.plan(), ["shop/db-0: DisruptionBudget"], "it is asked for again, and never deleted");
}

#[test]
fn a_breaker_or_a_level_that_only_reports_holds_a_deadline_too() {
    let scene = || refused(overdue(Scene::new().with("app", stateful(false), 2, "bad-1")));
    let mut stopped = scene();
    stopped.stopped.insert(("state".to_owned(), "restricted".to_owned()), "stopped".to_owned());
    assert_eq!(stopped.plan(), ["shop/app-0: MoveStopped", "shop/app-1: MoveStopped"]);
    assert_eq!(scene().action(LossAction::Report).plan(), ["shop/app-0: ReportOnly", "shop/app-1: ReportOnly"]);
    assert_eq!(
        Scene { propagated: false, ..scene() }.plan(),
        ["shop/app-0: AdmissionPending", "shop/app-1: AdmissionPending"]
    );
}

/// That the level of the scene is violated since `since`, of `policy`.
fn since(policy: &str, since: Timestamp) -> LevelViolation {
    let (policy, level) = (PolicyName::parse(policy).unwrap(), LevelName::parse("restricted").unwrap());
    LevelViolation { policy, level, since }
}

struct Quiet;

impl MigrationSurroundings for Quiet {
    fn wait(&self, _: &PlannedMigration<'_>, _: &crate::compliance::OwnedPods<'_>) -> Option<MoveWait> {
        None
    }

    fn is_on_its_way(&self, _: ObjectUid, _: &RequestedStep) -> bool {
        false
    }

    fn have_facts_changed_since(&self, _: MonotonicTime) -> bool {
        false
    }
}

/// A scene whose level has a deadline of 72 hours, and what is remembered of it.
struct Story {
    scene: Scene,
    memory: MigrationMemory,
}

impl Story {
    fn new(pods: u32) -> Self {
        let scene = Scene::new().with("db", stateful(false), pods, "bad-1");
        let mut story = Self { scene, memory: MigrationMemory::default() };
        story.set_deadline(72);
        story
    }

    fn set_deadline(&mut self, hours: u64) {
        let deadline = Some(Duration::from_hours(hours));
        let policy = policy_with(&OnClearanceLoss { deadline, ..OnClearanceLoss::default() });
        self.scene.world.policies.insert(policy.name.clone(), policy);
    }

    /// Looks after so many hours: what is asked for, and what is announced.
    fn look(&mut self, hours: u64) -> (Vec<String>, Vec<String>) {
        self.look_after(hours * 60)
    }

    /// The same after so many minutes.
    fn look_after(&mut self, minutes: u64) -> (Vec<String>, Vec<String>) {
        let (memory, scene) = (&mut self.memory, &self.scene);
        let now = MonotonicTime::after(Duration::from_mins(minutes));
        let wall = NOW.after(Duration::from_mins(minutes));
        scene.assessed(|objects, facts, report| {
            let stopped = BTreeMap::new();
            let settings = LookSettings { limits: MigrationLimits::default(), now, wall, stopped: &stopped };
            let look = memory.look(objects, facts, report, &settings, &Quiet);
            let notices = look.announced.iter().flat_map(|notice| &notice.pods);
            let notices = notices.map(|(pod, deadline)| format!("{pod} at {}", deadline.at)).collect();
            let asked = memory.requested().map(|(_, step)| match step {
                RequestedStep::Evict { name, .. } => format!("evict {name}"),
                RequestedStep::Delete { name, .. } => format!("delete {name}"),
                RequestedStep::AnnotateTemplate { name, .. } => format!("touch {name}"),
            });
            (asked.collect(), notices)
        })
    }

    /// The budget refuses what was asked for.
    fn refuse(&mut self, hours: u64) {
        self.refuse_after(hours * 60);
    }

    fn refuse_after(&mut self, minutes: u64) {
        let asked: Vec<_> = self.memory.requested().map(|(owner, step)| (owner, step.target())).collect();
        for (owner, target) in asked {
            let answer = StepAnswer::OverBudget("needs 2 healthy pods and has 2".to_owned());
            self.memory.on_answer(owner, target, answer, MonotonicTime::after(Duration::from_mins(minutes)));
        }
    }
}

#[test]
fn a_deadline_is_announced_a_day_before_and_then_the_budget_holds_no_more() {
    let mut story = Story::new(2);
    assert_eq!(story.look(0), (vec!["evict shop/db-1".to_owned()], vec![]));
    story.refuse(0);
    assert_eq!(story.look(47).1, Vec::<String>::new());
    story.refuse(47);
    let told = ["shop/db-0 at 1970-01-04T00:00:00Z", "shop/db-1 at 1970-01-04T00:00:00Z"].map(str::to_owned);
    assert_eq!(story.look(48).1, told);
    story.refuse(48);
    assert_eq!(story.look(49).1, Vec::<String>::new(), "once");
    story.refuse(49);
    assert_eq!(story.look(71).0, ["evict shop/db-1"]);
    story.refuse(71);
    // At the deadline its eviction is asked for once more. A budget that says no once may say yes a moment later.
    let hour = 60;
    assert_eq!(story.look_after(72 * hour).0, ["evict shop/db-1"]);
    story.refuse_after(72 * hour);
    let mut asked = Vec::new();
    for minute in 1..10 {
        for _ in 0..2 {
            asked.extend(story.look_after(72 * hour + minute).0);
            story.refuse_after(72 * hour + minute);
        }
    }
    assert!(asked.iter().all(|step| step.starts_with("evict")) && !asked.is_empty(), "{asked:?}");
    let mut asked = Vec::new();
    for minute in 11..=13 {
        for _ in 0..2 {
            asked.extend(story.look_after(72 * hour + minute).0);
            story.refuse_after(72 * hour + minute);
        }
    }
    assert!(asked.contains(&"delete shop/db-1".to_owned()), "{asked:?}");
}

#[test]
fn a_refusal_of_long_ago_deletes_nothing() {
    let mut story = Story::new(2);
    for hours in [0, 72, 74, 76, 78] {
        let (asked, _) = story.look(hours);
        assert!(asked.iter().all(|step| step.starts_with("evict")), "{hours}: {asked:?}");
        story.refuse(hours);
    }
}

#[test]
fn whoever_takes_over_forces_nothing_for_as_long_as_a_step_may_take() {
    let mut story = Story::new(2);
    let uids: Vec<_> = story.scene.pods.values().map(|pod| (pod.uid, since("state", NOW))).collect();
    let begin = MonotonicTime::after(Duration::from_hours(80));
    let none: Vec<(ObjectUid, u32)> = Vec::new();
    story.memory = story.scene.assessed(|objects, _, _| MigrationMemory::taken_over(objects, none, uids, begin));
    // What is asked for ahead of a deadline, by its budget.
    assert_eq!(story.look_after(80 * 60).0, ["evict shop/db-1"]);
    story.refuse_after(80 * 60);
    let mut forced = Vec::new();
    for minute in 1..30 {
        for _ in 0..2 {
            let (asked, _) = story.look_after(80 * 60 + minute);
            forced.extend(asked.into_iter().filter(|step| step.starts_with("delete")).map(|_| minute));
            story.refuse_after(80 * 60 + minute);
        }
    }
    assert!(forced.first().is_some_and(|minute| *minute >= 20), "{forced:?}");
}

#[test]
fn the_last_ready_pod_is_never_deleted_however_long() {
    let mut story = Story::new(1);
    for hours in [0, 71, 72, 73, 100, 1000] {
        let (asked, _) = story.look(hours);
        assert!(asked.iter().all(|step| step.starts_with("evict")), "{hours}: {asked:?}");
        story.refuse(hours);
    }
}

#[test]
fn whoever_takes_over_goes_on_counting_and_believes_no_time_to_come() {
    let mut story = Story::new(2);
    let uid = story.scene.pods["shop/db-1"].uid;
    let recorded = |policy, then| {
        let none: Vec<(ObjectUid, u32)> = Vec::new();
        story.scene.assessed(|objects, _, _| {
            MigrationMemory::taken_over(objects, none, [(uid, since(policy, then))], MonotonicTime::default())
        })
    };
    let (past, to_come) = (recorded("state", NOW), recorded("state", NOW.after(Duration::from_hours(5000))));
    let other = recorded("other", NOW);
    story.memory = past;
    assert_eq!(story.look(60).1, ["shop/db-1 at 1970-01-04T00:00:00Z"], "the other is seen for the first time");
    for memory in [to_come, other] {
        story.memory = memory;
        story.look(60);
        assert_eq!(story.look(61).1, Vec::<String>::new());
        assert_eq!(story.memory.violations_of(uid), [since("state", NOW.after(Duration::from_hours(60)))]);
    }
}

#[test]
fn neither_another_name_of_a_level_nor_a_higher_one_makes_a_deadline_begin_anew() {
    let mut story = Story::new(2);
    let uid = story.scene.pods["shop/db-1"].uid;
    // Recorded of a level that is called otherwise now; one above would be recorded by the name of one below it.
    let former = LevelViolation { level: LevelName::parse("former").unwrap(), ..since("state", NOW) };
    let none: Vec<(ObjectUid, u32)> = Vec::new();
    story.memory = story.scene.assessed(|objects, _, _| {
        MigrationMemory::taken_over(objects, none, [(uid, former.clone())], MonotonicTime::default())
    });
    story.look(60);
    assert_eq!(story.memory.violations_of(uid), [since("state", NOW)]);
}

#[test]
fn a_deadline_counts_from_when_its_own_policy_demands_it() {
    let mut story = Story::new(2);
    story.look(0);
    story.refuse(0);
    // Another policy comes, with a shorter deadline: it counts from now.
    let deadline = Some(Duration::from_hours(10));
    let other = policy_with(&OnClearanceLoss { deadline, ..OnClearanceLoss::default() });
    let other = Policy { name: PolicyName::parse("other").unwrap(), ..other };
    story.scene.world.policies.insert(other.name.clone(), other);
    story.look(40);
    let uid = story.scene.pods["shop/db-1"].uid;
    let expected = [since("other", NOW.after(Duration::from_hours(40))), since("state", NOW)];
    assert_eq!(story.memory.violations_of(uid), expected);
}

#[test]
fn a_deadline_that_becomes_earlier_is_announced_again_and_one_that_becomes_later_forces_nothing_any_more() {
    let mut story = Story::new(2);
    story.look(0);
    story.refuse(0);
    story.look(48);
    story.refuse(48);
    story.set_deadline(60);
    let told = ["shop/db-0 at 1970-01-03T12:00:00Z", "shop/db-1 at 1970-01-03T12:00:00Z"].map(str::to_owned);
    assert_eq!(story.look(49).1, told);
    story.refuse(49);
    let wanted = *story.scene.assessed(|_, _, report| report.workloads.keys().next().copied()).as_ref().unwrap();
    let is_due = |story: &Story, hours| {
        let now = NOW.after(Duration::from_hours(hours));
        story.scene.assessed(|_, _, report| {
            let owned = &report.workloads[&wanted];
            let deadlines = owned
                .misplaced
                .iter()
                .map(|pod| (pod.pod.uid, PodDeadline { at: NOW.after(Duration::from_hours(60)), since: NOW }));
            let (stopped, deadlines) = (BTreeMap::new(), deadlines.collect());
            let conditions = StepConditions { stopped: &stopped, deadlines: &deadlines, now };
            is_still_due(owned, MigrationCause::Overdue, Some(owned.misplaced[0].pod.uid), conditions)
        })
    };
    assert_eq!([59, 60].map(|hours| is_due(&story, hours)), [false, true]);
}

#[test]
fn past_a_deadline_the_reason_told_is_what_refuses_and_not_what_yielded() {
    let waits = RefusedRemoval { budget_persists: false, ..BY_BUDGET };
    let mut scene = refused(overdue(Scene::new().with("app", stateful(true), 2, "bad-1")));
    for removal in scene.removals.values_mut() {
        *removal = waits;
    }
    assert_eq!(scene.plan(), ["shop/app-0: DisruptionBudget", "shop/app-1: DisruptionBudget"]);
}
