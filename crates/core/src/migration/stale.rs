//! Stale candidates: pods that wait for a node by a selector of yesterday, and templates that select by one.
//!
//! Nothing that stands is moved for them alone, but for the pods of a `DaemonSet`: its template is freed before a node loses
//! what it selects by.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    BlockedReason, MigrationCause, MigrationContext, MigrationMethod, ReplacementStrategy, TemplateEffect,
    TemplateState, WantedAction,
    candidate::{Candidate, CandidateSteps, acted_on, is_replaceable, named, refused, template_state},
};
use crate::{
    cluster_objects::ControllerSpec,
    compliance::{MisplacedPod, OwnedPods, PlacementFacts, PodOwner, PodRevision, StalePod},
    keys,
    workload::WorkloadKind,
};

/// What there is to replace of pods, or to mend of a template, that wait for what is gone.
pub(super) fn candidate<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    facts: &PlacementFacts<'_>,
    context: &MigrationContext<'_>,
    notes: &mut BTreeMap<&'a str, BlockedReason>,
) -> Option<Candidate<'u, 'a>> {
    // Whoever is made anew would be given by admission what it has not forgotten yet, and wait as before.
    let mut surplus = owned.surplus.iter().chain(owned.stale.iter().flat_map(|pod| &pod.surplus));
    if surplus.any(|key| keys::policy_asked(key).is_some_and(|policy| facts.lingering.contains(policy))) {
        return None;
    }
    if let Some(found) = stale_template(owned, facts, context) {
        return Some(found);
    }
    if (owned.template_behind || owned.surplus_stays) && !owned.stale.is_empty() {
        return stale_behind(owned, context, notes);
    }
    let mut pods = Vec::new();
    for pod in &owned.stale {
        match may_be_replaced(owned, pod, context) {
            Ok(()) => pods.push(named(pod.key, pod.pod)),
            Err(why) => drop(notes.insert(pod.key, why)),
        }
    }
    if pods.is_empty() {
        return None;
    }
    if let PodOwner::Known(name, controller) = owned.owner {
        // None of its pods has a node yet: a rollout costs nothing, and mends the template as well.
        let rollout = match &controller.spec {
            ControllerSpec::Deployment { paused, .. } => !paused && owned.pods.placed == 0,
            ControllerSpec::DaemonSet { .. } => true,
            ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::Job { .. }
            | ControllerSpec::CronJob => false,
        };
        if rollout {
            let steps = CandidateSteps::Template { kind: controller.spec.kind(), name };
            return Some(Candidate {
                owned,
                steps,
                cause: MigrationCause::Stale,
                paced: false,
                failures: context.failures(owned.uid),
            });
        }
    }
    if owned.kind() == Some(WorkloadKind::Job) {
        // It counts each as a failure, and says after a while only how many more it bears.
        pods.truncate(1);
    }
    let steps = CandidateSteps::Evictions(pods);
    Some(Candidate { owned, steps, cause: MigrationCause::Stale, paced: false, failures: context.failures(owned.uid) })
}

/// To change a template that says less than is said now, or selects by what admission leaves to its pods: whoever is
/// replaced before would wait, or stand, as before.
fn stale_behind<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    context: &MigrationContext<'_>,
    notes: &mut BTreeMap<&'a str, BlockedReason>,
) -> Option<Candidate<'u, 'a>> {
    let strategy = ReplacementStrategy::of(owned, None, false);
    let method = match strategy {
        // None of its pods has a node: nothing goes before its replacement stands.
        ReplacementStrategy::Recreate if owned.pods.placed == 0 => Ok(MigrationMethod::RestartRollout),
        strategy => strategy.method(TemplateState::Behind, PodRevision::Former, WantedAction::Migrate),
    };
    let may = if !owned.template_behind && is_in_vain(owned, context) {
        Err(BlockedReason::InVain(owned.surplus.join(", ")))
    } else {
        refused(&owned.requirements)
    };
    match (may.and(method), owned.owner) {
        (
            Ok(MigrationMethod::RestartRollout | MigrationMethod::CompleteTemplate),
            PodOwner::Known(name, controller),
        ) => {
            let steps = CandidateSteps::Template { kind: controller.spec.kind(), name };
            // Pods that stand are restarted with those that wait.
            let paced = owned.pods.placed > 0 && strategy.template_effect() == TemplateEffect::Restarts;
            Some(Candidate { owned, steps, cause: MigrationCause::Stale, paced, failures: context.failures(owned.uid) })
        }
        (Ok(_), PodOwner::Known(..) | PodOwner::Unknown(_) | PodOwner::None(..)) => None,
        (Err(why), _) => {
            notes.extend(owned.stale.iter().map(|pod| (pod.key, why.clone())));
            None
        }
    }
}

fn may_be_replaced(
    owned: &OwnedPods<'_>,
    stale: &StalePod<'_>,
    context: &MigrationContext<'_>,
) -> Result<(), BlockedReason> {
    refused(&owned.requirements)?;
    if let Some(before) = context.replaced.get(&owned.uid).filter(|before| before.keys == stale.keys()) {
        match (before.pods.contains(&stale.pod.uid), owned.kind()) {
            // Its template is right by now, and its controller has not come to it yet.
            // An ordered controller waits for the pod to be ready before it replaces it, which it never will be
            // (kubernetes#67250).
            (true, Some(kind)) if before.by_template && kind != WorkloadKind::StatefulSet => {
                return Err(BlockedReason::RolloutUnderWay(kind));
            }
            // Its eviction was refused.
            (true, _) => {}
            (false, _) => return Err(BlockedReason::InVain(before.keys.clone())),
        }
    }
    match &owned.owner {
        PodOwner::None(..) => Err(BlockedReason::Unmanaged),
        PodOwner::Known(_, controller) if controller.terminating => {
            Err(BlockedReason::OwnerTerminating(controller.spec.kind()))
        }
        PodOwner::Known(_, controller) => match &controller.spec {
            ControllerSpec::Job { .. } if !controller.bears_disruption_of(stale.pod, owned.pods.terminating) => {
                Err(BlockedReason::JobWouldFail)
            }
            // Its controller would make the same pod again, and again.
            ControllerSpec::DaemonSet { on_delete: true, .. } => Err(BlockedReason::OnDelete(WorkloadKind::DaemonSet)),
            ControllerSpec::DaemonSet { on_delete: false, .. } if template_state(owned) == TemplateState::Complete => {
                if stale.surplus.is_empty() {
                    Err(BlockedReason::DaemonSet)
                } else {
                    Ok(())
                }
            }
            ControllerSpec::DaemonSet { on_delete: false, .. }
            | ControllerSpec::Job { .. }
            | ControllerSpec::Deployment { .. }
            | ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::CronJob => Ok(()),
        },
        PodOwner::Unknown(_) => is_replaceable(owned, stale.pod, context),
    }
}

/// To take from a template what its pods would not be given now, where that restarts nothing; of a `DaemonSet` always,
/// since its pods end wherever a node loses what its template selects by, and no pod's admission mends that.
fn stale_template<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    facts: &PlacementFacts<'_>,
    context: &MigrationContext<'_>,
) -> Option<Candidate<'u, 'a>> {
    let PodOwner::Known(name, controller) = owned.owner else { return None };
    let (cause, paced) = match &controller.spec {
        ControllerSpec::CronJob => (MigrationCause::Stale, false),
        ControllerSpec::Deployment { .. } | ControllerSpec::ReplicaSet if controller.replicas == 0 => {
            (MigrationCause::Stale, false)
        }
        ControllerSpec::StatefulSet { on_delete, .. } if *on_delete || controller.replicas == 0 => {
            (MigrationCause::Stale, false)
        }
        ControllerSpec::DaemonSet { on_delete, .. } => (MigrationCause::KeyRetired, !on_delete),
        ControllerSpec::Deployment { .. }
        | ControllerSpec::ReplicaSet
        | ControllerSpec::StatefulSet { .. }
        | ControllerSpec::Job { .. } => return None,
    };
    let may = !controller.terminating && refused(&owned.requirements).is_ok() && !owned.surplus.is_empty();
    if !may || context.resting.contains_key(&owned.uid) {
        return None;
    }
    // What stands wrong is moved, or kept for a reason: admission would complete the template in the same request, and
    // Kubernetes end its pods. What somebody puts back is taken again, ever more slowly: its pods would end.
    let is_kept = if cause == MigrationCause::KeyRetired {
        owned.misplaced.iter().any(MisplacedPod::is_to_move) || !acted_on(&owned.requirements, facts)
    } else {
        is_in_vain(owned, context)
    };
    if is_kept {
        return None;
    }
    let steps = CandidateSteps::Template { kind: controller.spec.kind(), name };
    Some(Candidate { owned, steps, cause, paced, failures: context.failures(owned.uid) })
}

/// Whether the same was taken from the template of `owned` before, and somebody has put it back.
fn is_in_vain(owned: &OwnedPods<'_>, context: &MigrationContext<'_>) -> bool {
    context.replaced.get(&owned.uid).is_some_and(|before| before.template_keys == owned.surplus.join(", "))
}
