//! Rolling load: workloads of many shapes that are created, scaled, rolled, paused and deleted.
//!
//! It takes the seed and the length of the run and returns actions with their due times; it is a pure function.

mod manifests;
mod workload;

use std::time::Duration;

use self::workload::REPLICAS;
pub(super) use self::workload::{LoadKind, LoadWorkload};
use crate::rng::SeededRng;

/// Workloads before the first fault.
pub(super) const FIRST: usize = 16;
/// The most workloads at a time.
const MOST: usize = 26;
/// The most `DaemonSet`s at a time: each has a pod on every node that may have one.
const MOST_DAEMON_SETS: usize = 4;

/// A change of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoadAction {
    Create(LoadWorkload),
    Scale(LoadWorkload),
    Roll(LoadWorkload),
    /// Pauses the rollouts of a Deployment, or resumes them.
    Pause(LoadWorkload),
    Remove(LoadWorkload),
}

/// The workloads of the very beginning: one of every kind, and others.
fn first(rng: &mut SeededRng) -> Vec<LoadWorkload> {
    let kinds = [
        LoadKind::DaemonSet,
        LoadKind::DaemonSet,
        LoadKind::StatefulSet,
        LoadKind::Job,
        LoadKind::IndexedJob,
        LoadKind::CronJob,
    ];
    let number = |index: usize| index + 1;
    let mut workloads: Vec<_> =
        kinds.iter().enumerate().map(|(index, kind)| LoadWorkload::of_kind(*kind, rng, number(index))).collect();
    for index in workloads.len()..FIRST - 1 {
        let kind = rng.pick(&[LoadKind::Deployment, LoadKind::Deployment, LoadKind::StatefulSet]);
        workloads.push(LoadWorkload::of_kind(kind.unwrap_or(LoadKind::Deployment), rng, number(index)));
    }
    workloads
}

/// What is done with a Deployment that is there.
fn change(workload: &mut LoadWorkload, choice: usize, rng: &mut SeededRng) -> Option<LoadAction> {
    match choice {
        3 | 4 if workload.may_be_scaled() => {
            *workload = workload.of(1 + rng.below(REPLICAS));
            Some(LoadAction::Scale(workload.clone()))
        }
        5 if workload.kind == LoadKind::Deployment => {
            workload.paused = !workload.paused;
            Some(LoadAction::Pause(workload.clone()))
        }
        _ if matches!(workload.kind, LoadKind::Deployment | LoadKind::DaemonSet) && !workload.paused => {
            Some(LoadAction::Roll(workload.clone()))
        }
        _ => None,
    }
}

/// The load of a run, each act with the instant before which it does not come. The first acts are of the very beginning.
pub(super) fn acts(seed: u64, length: Duration) -> Vec<(Duration, LoadAction)> {
    let mut rng = SeededRng::new(!seed);
    let mut there = first(&mut rng);
    // Nobody touches the one that is kept.
    let all = [LoadWorkload::kept()].into_iter().chain(there.iter().cloned());
    let mut plan: Vec<_> = all.map(|workload| (Duration::ZERO, LoadAction::Create(workload))).collect();
    let mut number = FIRST;
    let mut at = Duration::from_millis(500);
    while at < length {
        let Some(index) = Some(rng.below(there.len())).filter(|_| !there.is_empty()) else { break };
        let choice = rng.below(9);
        if choice < 2 && there.len() < MOST {
            let mut workload = LoadWorkload::any(&mut rng, number);
            let daemon_sets = there.iter().filter(|found| found.kind == LoadKind::DaemonSet).count();
            if workload.kind == LoadKind::DaemonSet && daemon_sets >= MOST_DAEMON_SETS {
                workload = LoadWorkload::of_kind(LoadKind::Deployment, &mut rng, number);
            }
            number += 1;
            there.push(workload.clone());
            plan.push((at, LoadAction::Create(workload)));
        } else if choice == 2 && there.len() > FIRST / 2 {
            plan.push((at, LoadAction::Remove(there.swap_remove(index))));
        } else if let Some(workload) = there.get_mut(index) {
            plan.extend(change(workload, choice, &mut rng).map(|act| (at, act)));
        }
        at += rng.between(Duration::from_millis(200), Duration::from_millis(900));
    }
    plan
}

#[cfg(test)]
mod tests;
