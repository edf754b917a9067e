//! Migration plans of pods that leave ahead of an end, by the windows of their level.

use std::prelude::v1::*;

use super::*;
use crate::{
    compliance::Compliance,
    move_window::{MoveWindow, MoveWindows, WindowSchedule},
};

/// A window of every hour: its first minute.
#[derive(Debug)]
struct FirstMinutes;

const HOUR: i64 = 3600;

fn first_minute(hour: i64) -> MoveWindow {
    let at = |seconds| Timestamp::from_seconds(hour * HOUR + seconds);
    MoveWindow { opens: at(0), closes: at(60) }
}

impl WindowSchedule for FirstMinutes {
    fn at_or_after(&self, at: Timestamp) -> Option<MoveWindow> {
        let this = first_minute(at.timestamp().as_second().div_euclid(HOUR));
        Some(if at < this.closes { this } else { first_minute(at.timestamp().as_second().div_euclid(HOUR) + 1) })
    }

    fn last_before(&self, end: Timestamp) -> Option<MoveWindow> {
        Some(first_minute((end.timestamp().as_second() - 1).div_euclid(HOUR)))
    }
}

/// The scene at a second of the day, with windows or without.
fn at(second: i64, action: LossAction, are_restricted: bool) -> Scene {
    let windows = if are_restricted { MoveWindows::of(Arc::new(FirstMinutes)) } else { MoveWindows::default() };
    let policy = policy_with(&OnClearanceLoss { action, windows, ..OnClearanceLoss::default() });
    let mut scene = Scene { now: Timestamp::from_seconds(second), ..Scene::new() };
    scene.world.policies.insert(policy.name.clone(), policy);
    scene
}

/// One of each way in which pods are replaced.
fn forms() -> Vec<ControllerSpec> {
    let surging = RolloutStrategy::Rolling { surge: 1, unavailable: 0 };
    vec![
        rolling(2, 1, 0),
        rolling(2, 0, 1),
        deployment(surging, true),
        deployment(RolloutStrategy::Recreate, false),
        stateful(false),
        stateful(true),
        ControllerSpec::ReplicaSet,
        ControllerSpec::DaemonSet { on_delete: false, updated: 0 },
        ControllerSpec::Job { finished: false, started: true, failures_left: Some(3), index_limit: None },
        ControllerSpec::CronJob,
    ]
}

#[test]
fn windows_never_move_a_pod_outside_of_them_and_at_the_end_nothing_waits() {
    for form in forms() {
        for action in [LossAction::Migrate, LossAction::Evict] {
            let plan = |second, are_restricted, node: &str| {
                at(second, action, are_restricted).with("app", form.clone(), 2, node).plan()
            };
            for second in [-1, 0, 1, 59, 60, 61, HOUR - 1, HOUR, HOUR + 59, HOUR + 60] {
                let said = format!("{form:?} {action:?} at {second}");
                let is_open = second.rem_euclid(HOUR) < 60;
                let unrestricted = plan(second, false, "ending-1");
                let windowed = plan(second, true, "ending-1");
                if is_open {
                    assert_eq!(windowed, unrestricted, "{said}");
                } else {
                    assert_eq!(windowed, ["shop/app-0: OutsideWindow", "shop/app-1: OutsideWindow"], "{said}");
                }
                // Once the end has come, the clearance is lost.
                assert_eq!(plan(second, true, "bad-1"), plan(second, false, "bad-1"), "{said}");
            }
        }
    }
}

#[test]
fn what_waits_for_a_window_says_when_it_opens() {
    let scene = at(60, LossAction::Migrate, true).with("db", stateful(false), 1, "ending-1");
    let why = scene.assessed(|objects, facts, report| {
        let plan = scene.planned(objects, facts, report);
        plan.blocked.into_values().flatten().map(|(_, why)| why).next().unwrap()
    });
    assert_eq!(why.ends_at(), Some(Timestamp::from_seconds(HOUR)));
    assert_eq!(
        why.to_string(),
        "kept until 1970-01-01T01:00:00Z, when the next window of its level opens, or until the clearance of its node ends, \
         should that come first: ahead of an end pods are moved in windows alone, and at the end itself at once"
    );
}

#[test]
fn with_report_nothing_moves_in_a_window_either() {
    let scene = at(0, LossAction::Report, true).with("app", stateful(false), 1, "ending-1");
    assert_eq!(scene.plan(), ["shop/app-0: ReportOnly"]);
}

#[test]
fn a_step_that_was_not_taken_when_its_window_closed_is_dropped() {
    let scene = at(59, LossAction::Migrate, true).with("app", stateful(false), 1, "ending-1").with(
        "db",
        stateful(false),
        1,
        "bad-1",
    );
    let uid = |name: &str| scene.pods[&format!("shop/{name}")].uid;
    let none = BTreeMap::new();
    scene.assessed(|_, _, report| {
        let due = |name: &str, cause, second| {
            let owned = report.workloads.values().find(|owned| owned.name() == name).unwrap();
            let pod = uid(&format!("{name}-0"));
            let steps = [Some(pod), None];
            let now = Timestamp::from_seconds(second);
            let conditions = StepConditions { stopped: &none, deadlines: &BTreeMap::new(), now };
            steps.map(|pod| is_still_due(owned, cause, pod, conditions))
        };
        assert_eq!(due("app", MigrationCause::Expiring, 59), [true, true]);
        assert_eq!(due("app", MigrationCause::Expiring, 60), [false, false]);
        assert_eq!(due("db", MigrationCause::Violating, 60), [true, true], "at the end nothing waits");
    });
}

#[derive(Debug)]
struct SecondHour;

impl WindowSchedule for SecondHour {
    fn at_or_after(&self, _: Timestamp) -> Option<MoveWindow> {
        Some(first_minute(2))
    }

    fn last_before(&self, _: Timestamp) -> Option<MoveWindow> {
        None
    }
}

#[test]
fn a_pod_that_violates_one_policy_waits_for_no_window_of_another() {
    let mut scene = at(0, LossAction::Migrate, true).with("app", stateful(false), 1, "ending-1");
    let windows = MoveWindows::of(Arc::new(SecondHour));
    let other = policy_with(&OnClearanceLoss { windows, ..OnClearanceLoss::default() });
    let other = Policy { name: PolicyName::parse("other").unwrap(), ..other };
    scene.assessed(|_, _, report| {
        let pod = &report.workloads.values().next().unwrap().misplaced[0];
        assert_eq!(pod.worst(), Compliance::Expiring);
    });
    // The other policy's stamps are on no node: under it the pod violates, and waits for no window.
    scene.world.policies.insert(other.name.clone(), other);
    scene.good = true;
    let gate = scene.assessed(|_, _, report| {
        let pod = &report.workloads.values().next().unwrap().misplaced[0];
        (pod.worst(), pod.window_gate(Timestamp::from_seconds(60)))
    });
    assert_eq!(gate, (Compliance::Violating, crate::move_window::WindowGate::Open));
}
