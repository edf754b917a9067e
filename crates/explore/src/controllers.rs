//! Controllers: what the controllers of Kubernetes do about a workload, one step at a time.
//!
//! After the sources of kube-controller-manager 1.36: a Deployment is rolled by its surge and what may be missing, a
//! `StatefulSet` in order and never past a pod that is not ready, a `DaemonSet` asks its template's own selector, and a Job
//! holds a pod until it has counted it.

use rempart_core::cluster_objects::PodPhase;

use super::{
    scenario::{ModelKind, Scenario},
    world::{PodState, Template, WorkloadState, World},
};

/// What the controller of a workload does next, and what goes wrong by that; nothing where it has nothing to do.
pub(super) fn act(world: &World, scenario: &Scenario, index: usize) -> Option<Result<World, (World, String)>> {
    let mut next = world.clone();
    if !world.workloads[index].observed {
        next.workloads[index].observed = true;
        return Some(Ok(next));
    }
    let replicas = scenario.workloads[index].at.len();
    let acted = match scenario.workloads[index].kind {
        ModelKind::Deployment { surge, unavailable } => {
            roll(&mut next, scenario, index, replicas + usize::from(surge), replicas.saturating_sub(unavailable.into()))
        }
        // It keeps its scale, and rolls nothing.
        ModelKind::Paused => next.workloads[index].count(|_| true) < replicas && make(&mut next, scenario, index, None),
        ModelKind::Recreate => {
            let pods = &mut next.workloads[index].pods;
            let old = pods.iter_mut().find(|pod| !pod.current && !pod.terminating);
            if let Some(old) = old {
                old.terminating = true;
                true
            } else if pods.iter().any(|pod| !pod.current) {
                false
            } else {
                next.workloads[index].count(|_| true) < replicas && make(&mut next, scenario, index, None)
            }
        }
        ModelKind::StatefulSet => in_order(&mut next, scenario, index, replicas),
        ModelKind::DaemonSet => on_every_node(&mut next, scenario, index),
        ModelKind::Job { .. } => {
            let workload = &mut next.workloads[index];
            if let Some(gone) = workload.pods.iter().position(|pod| pod.terminating) {
                workload.pods.remove(gone);
                match workload.failures_left.checked_sub(1) {
                    Some(left) => workload.failures_left = left,
                    None => return Some(Err((next, format!("w{index}: the Job has failed by moves of its pods")))),
                }
                true
            } else {
                next.workloads[index].count(|_| true) < replicas && make(&mut next, scenario, index, None)
            }
        }
        ModelKind::Foreign { remakes } => {
            // It has pods of its own names, one at a time.
            remakes && next.workloads[index].pods.len() < replicas && make(&mut next, scenario, index, None)
        }
    };
    acted.then_some(Ok(next))
}

/// Changes the template of a workload: what was made from another is of a former one, and what was made from one that is
/// back is of the latest.
pub(super) fn change_template(workload: &mut WorkloadState, with: impl FnOnce(&mut Template)) {
    let before = workload.template;
    with(&mut workload.template);
    if workload.template != before {
        workload.observed = false;
        let template = workload.template;
        workload.pods.iter_mut().for_each(|pod| pod.current = pod.made_from == template);
    }
}

/// A pod of a `DaemonSet` that has no place any more though its template may be there, where the key is retired: nobody ends
/// for a key that nobody demands.
pub(super) fn stranded_daemon(world: &World, scenario: &Scenario) -> Option<String> {
    if world.facts(scenario).demanded {
        return None;
    }
    let mut daemons = world.workloads.iter().zip(scenario.workloads).enumerate();
    let stranded = |(index, (state, spec)): (usize, (&WorkloadState, &super::scenario::WorkloadSpec))| {
        let ends = |pod: &PodState| {
            !pod.terminating && state.template.selects && pod.node.is_some_and(|node| !world.stamped[usize::from(node)])
        };
        (spec.kind == ModelKind::DaemonSet && state.pods.iter().any(ends)).then(|| {
            format!("w{index}: a pod of the DaemonSet ends, since its node lost a stamp that its template selects by")
        })
    };
    daemons.find_map(stranded)
}

/// Makes a pod: the one with that number, or one with the first that is free; on a node of its own, if it is given one.
fn make(world: &mut World, scenario: &Scenario, index: usize, at: Option<(u8, Option<u8>)>) -> bool {
    let demanded = world.facts(scenario).demanded;
    let workload = &world.workloads[index];
    let made_from @ Template { said, selects, .. } = workload.template;
    let free = || (0..u8::MAX).find(|ordinal| workload.pods.iter().all(|pod| pod.ordinal != *ordinal));
    let (ordinal, node) = at.unwrap_or_else(|| (free().unwrap_or(u8::MAX), None));
    let uid = world.free_uid(index, ordinal);
    let pod = PodState {
        ordinal,
        uid,
        made_from,
        current: true,
        said,
        // Admission completes a pod that says its level, and takes from it what nobody demands.
        selects: demanded && (said || selects),
        node,
        phase: if node.is_some() { PodPhase::Starting } else { PodPhase::Waiting },
        terminating: false,
    };
    world.workloads[index].pods.push(pod);
    true
}

/// One step of a rolling update, with so many pods at most and so many ready at least.
fn roll(world: &mut World, scenario: &Scenario, index: usize, most: usize, least: usize) -> bool {
    let replicas = scenario.workloads[index].at.len();
    let pods = &world.workloads[index].pods;
    let current = world.workloads[index].count(|pod| pod.current);
    let all = world.workloads[index].count(|_| true);
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    // What is not ready of a former template goes first.
    let old = pods.iter().position(|pod| !pod.current && !pod.terminating && !pod.is_ready());
    let old = old.or_else(|| pods.iter().position(|pod| !pod.current && pod.is_ready() && ready > least));
    if current < replicas && all < most {
        return make(world, scenario, index, None);
    }
    match old {
        Some(old) => {
            world.workloads[index].pods[old].terminating = true;
            true
        }
        None => false,
    }
}

/// One step of a `StatefulSet`.
fn in_order(world: &mut World, scenario: &Scenario, index: usize, replicas: usize) -> bool {
    for ordinal in 0..u8::try_from(replicas).unwrap_or(u8::MAX) {
        match world.workloads[index].pods.iter().find(|pod| pod.ordinal == ordinal) {
            None => return make(world, scenario, index, Some((ordinal, None))),
            // It waits for it.
            Some(pod) if !pod.is_ready() => return false,
            Some(_) => {}
        }
    }
    match world.workloads[index].pods.iter_mut().rev().find(|pod| !pod.current) {
        Some(last) => {
            last.terminating = true;
            true
        }
        None => false,
    }
}

/// One step of a `DaemonSet`, which rolls one node at a time.
fn on_every_node(world: &mut World, scenario: &Scenario, index: usize) -> bool {
    let selects = world.workloads[index].template.selects;
    for node in 0..scenario.nodes.len() {
        let is_its = |pod: &PodState| pod.node.map(usize::from) == Some(node);
        let may_be_there = !selects || world.stamped[node];
        let found = world.workloads[index].pods.iter().position(is_its);
        match found {
            None if may_be_there => {
                let node = u8::try_from(node).unwrap_or(u8::MAX);
                return make(world, scenario, index, Some((node, Some(node))));
            }
            Some(pod) if !may_be_there && !world.workloads[index].pods[pod].terminating => {
                world.workloads[index].pods[pod].terminating = true;
                return true;
            }
            None | Some(_) => {}
        }
    }
    let pods = &mut world.workloads[index].pods;
    if !pods.iter().all(PodState::is_ready) {
        return false;
    }
    match pods.iter_mut().find(|pod| !pod.current) {
        Some(old) => {
            old.terminating = true;
            true
        }
        None => false,
    }
}
