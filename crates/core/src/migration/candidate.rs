//! Migration candidates: what of one workload could be moved now, or why its pods stay.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::cmp::Reverse;

use super::{
    BlockedReason, FitChecker, FitRequirement, MigrationCause, MigrationContext, MigrationMethod, MigrationStep,
    OverdueRemoval, PlannedMigration, PodDeadline, ReplacementShortfall, ReplacementStrategy, TemplateEffect,
    TemplateState, WantedAction, method::ordinal, next_removal,
};
use crate::{
    cluster_objects::{Controller, ControllerSpec, ObjectUid, Pod, RolloutStrategy, split},
    compliance::{Compliance, MisplacedPod, OwnedPods, PlacementFacts, PodOwner, PodRevision},
    instant::Timestamp,
    keys,
    move_window::{WindowGate, WindowState},
    pod_requirements::{PodRequirements, PolicyRequirement},
    policy::LossAction,
    workload::WorkloadKind,
};

/// A workload of which something could be moved.
pub(super) struct Candidate<'u, 'a> {
    pub(super) owned: &'u OwnedPods<'a>,
    pub(super) steps: CandidateSteps<'a>,
    pub(super) cause: MigrationCause,
    /// Whether the move waits for its turn: evictions that an officer wants at once do not, nor does what costs nothing.
    pub(super) paced: bool,
    /// How often its workload was moved in vain.
    pub(super) failures: u32,
}

/// What would be done.
pub(super) enum CandidateSteps<'a> {
    /// Change the template of the controller of this kind and name.
    Template { kind: WorkloadKind, name: &'a str },
    /// Evict pods, by name and identifier.
    Evictions(Vec<(&'a str, ObjectUid)>),
    /// Delete a pod, by name and identifier.
    Deletion((&'a str, ObjectUid)),
}

impl<'a> Candidate<'_, 'a> {
    /// What has not failed before what has, and then the most pressing first: what is broken takes nobody's turn.
    pub(super) fn order(&self) -> impl Ord {
        let rank = self.owned.requirements.levels().map(|level| level.rank).max().unwrap_or(0);
        (self.failures, self.cause, Reverse(rank), self.owned.namespace, self.owned.kind_said(), self.owned.name())
    }

    /// How many pods would be on the move.
    pub(super) fn pods_moving(&self) -> u32 {
        match &self.steps {
            CandidateSteps::Template { .. } if self.cause == MigrationCause::TemplateBehind => 0,
            CandidateSteps::Template { .. } => self.owned.pods.staying(),
            CandidateSteps::Evictions(pods) => u32::try_from(pods.len()).unwrap_or(u32::MAX),
            CandidateSteps::Deletion(_) => 1,
        }
    }

    /// Whether there is room for the successors of what would be gone first, beside those of others that go. Of pods that
    /// need not wait for each other, those that find none stay behind.
    pub(super) fn fits(&mut self, fit: &mut FitChecker<'_, 'a>) -> bool {
        if self.cause.concerns_template_alone() {
            return true;
        }
        let misplaced = &self.owned.misplaced;
        let mut take =
            |pod: &MisplacedPod<'a>, required| fit.take(pod.key, pod.pod, &pod.requirements, required).is_ok();
        match &mut self.steps {
            CandidateSteps::Template { .. } => {
                let first = usize::try_from(gone_first(self.owned)).unwrap_or(usize::MAX);
                let mut goes: Vec<_> = misplaced.iter().filter(|pod| pod.is_to_move()).collect();
                // An ordered controller begins with the last.
                goes.sort_by_key(|pod| (Reverse(ordinal(pod.key)), pod.key));
                let is_ordered = self.owned.kind() == Some(WorkloadKind::StatefulSet);
                let required = if is_ordered { FitRequirement::Apart } else { FitRequirement::Room };
                goes.into_iter().take(first).all(|pod| take(pod, required))
            }
            CandidateSteps::Evictions(pods) => {
                pods.retain(|(_, uid)| {
                    let found = misplaced.iter().find(|pod| pod.pod.uid == *uid);
                    found.is_none_or(|pod| take(pod, FitRequirement::Apart))
                });
                !pods.is_empty()
            }
            CandidateSteps::Deletion((_, uid)) => {
                let found = misplaced.iter().find(|pod| pod.pod.uid == *uid);
                found.is_none_or(|pod| take(pod, FitRequirement::Apart))
            }
        }
    }

    pub(super) fn begin(self) -> PlannedMigration<'a> {
        let weight = self.pods_moving();
        let steps = match self.steps {
            CandidateSteps::Template { kind, name } => {
                vec![MigrationStep::AnnotateTemplate { kind, name, surplus: self.owned.surplus.clone() }]
            }
            CandidateSteps::Evictions(pods) => {
                let is_as_it_is = self.paced || self.cause == MigrationCause::Stale;
                let version = |uid| if is_as_it_is { self.owned.unready_pod(uid).map(|pod| pod.version) } else { None };
                pods.into_iter().map(|(name, pod)| MigrationStep::Evict { name, pod, version: version(pod) }).collect()
            }
            CandidateSteps::Deletion((name, pod)) => {
                let version = self.owned.unready_pod(pod).map(|pod| pod.version);
                vec![MigrationStep::Delete { name, pod, version }]
            }
        };
        PlannedMigration {
            owner: self.owned.uid,
            namespace: self.owned.namespace,
            cause: self.cause,
            pods_moving: weight,
            steps,
        }
    }
}

/// To complete a template that says less than is said now, where that restarts nothing.
pub(super) fn incomplete_template<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    facts: &PlacementFacts<'_>,
    context: &MigrationContext<'_>,
) -> Option<Candidate<'u, 'a>> {
    let PodOwner::Known(name, controller) = owned.owner else { return None };
    let effect = ReplacementStrategy::of(owned, None, false).template_effect();
    let free = match effect {
        TemplateEffect::RestartsNothing => true,
        TemplateEffect::Restarts => controller.replicas == 0 && owned.pods.total == 0,
        TemplateEffect::Immutable => false,
    };
    let wanted = action_of(owned.requirements.in_force()).and_then(WantedAction::of).is_some();
    let may = wanted && !context.resting.contains_key(&owned.uid) && acted_on(&owned.requirements, facts);
    if !(owned.template_behind && free && may && refused(&owned.requirements).is_ok()) {
        return None;
    }
    let steps = CandidateSteps::Template { kind: controller.spec.kind(), name };
    let failures = context.failures(owned.uid);
    Some(Candidate { owned, steps, cause: MigrationCause::TemplateBehind, paced: false, failures })
}

/// What there is to move of the misplaced pods.
pub(super) fn misplaced<'u, 'a>(
    owned: &'u OwnedPods<'a>,
    facts: &PlacementFacts<'_>,
    fit: &mut FitChecker<'_, 'a>,
    context: &MigrationContext<'_>,
    notes: &mut BTreeMap<&'a str, BlockedReason>,
) -> Option<Candidate<'u, 'a>> {
    let mut free: Vec<(&MisplacedPod<'a>, MigrationMethod)> = Vec::new();
    for pod in owned.misplaced.iter().filter(|pod| pod.is_to_move()) {
        match method_of(owned, pod, facts, fit, context) {
            Ok(method) => free.push((pod, method)),
            Err(why) => drop(notes.insert(pod.key, why)),
        }
    }
    let failures = context.failures(owned.uid);
    let cause = free.iter().map(|(pod, _)| pod.worst()).max().and_then(MigrationCause::of)?;
    let by = |wanted: MigrationMethod| free.iter().filter(move |(_, method)| *method == wanted).map(|(pod, _)| *pod);
    let evictions = |pods: Vec<&MisplacedPod<'a>>| {
        CandidateSteps::Evictions(pods.into_iter().map(|pod| named(pod.key, pod.pod)).collect())
    };
    let at_once: Vec<_> = by(MigrationMethod::EvictAll).collect();
    if !at_once.is_empty() {
        return Some(Candidate { owned, steps: evictions(at_once), cause, paced: false, failures });
    }
    if let PodOwner::Known(name, controller) = owned.owner {
        let steps = CandidateSteps::Template { kind: controller.spec.kind(), name };
        // Its controller takes them in its own order, and does not pass over one that has nowhere to go.
        let one_is_stranded = controller.spec.kind() == WorkloadKind::StatefulSet
            && notes.values().any(|why| matches!(why, BlockedReason::NoFit(_)));
        if by(MigrationMethod::RestartRollout).next().is_some() && !one_is_stranded {
            return Some(Candidate { owned, steps, cause, paced: true, failures });
        }
        if by(MigrationMethod::CompleteTemplate).next().is_some() {
            return Some(Candidate { owned, steps, cause: MigrationCause::TemplateBehind, paced: false, failures });
        }
    }
    // One at a time; who is not ready first, since that costs nothing and may be what the others wait for; and of an ordered
    // workload the last first, as its controller does.
    let order = |pod: &&MisplacedPod<'a>| (Reverse(pod.pod.is_ready()), ordinal(pod.key), pod.key);
    let removal = |steps| Some(Candidate { owned, steps, cause: MigrationCause::Overdue, paced: true, failures });
    let removed = by(MigrationMethod::DeleteOverdue).map(|pod| (order(&pod), pod, true));
    let removed = removed.chain(by(MigrationMethod::EvictOverdue).map(|pod| (order(&pod), pod, false)));
    if let Some((_, next, is_deleted)) = removed.max_by_key(|(order, ..)| *order) {
        return removal(if is_deleted {
            CandidateSteps::Deletion(named(next.key, next.pod))
        } else {
            evictions(vec![next])
        });
    }
    let next = by(MigrationMethod::EvictOneByOne).max_by_key(order)?;
    if !next.pod.is_ready() || others_ready(owned, next.pod) {
        return Some(Candidate { owned, steps: evictions(vec![next]), cause, paced: true, failures });
    }
    // Past its deadline it does not wait for them.
    let overdue = by(MigrationMethod::EvictOneByOne)
        .filter(|pod| is_overdue(pod, context.deadlines, context.now) && owned.can_spare(pod.pod));
    if let Some(next) = overdue.max_by_key(order) {
        match removal_of(owned, next.pod, context) {
            OverdueRemoval::Evict => return removal(evictions(vec![next])),
            OverdueRemoval::Delete => return removal(CandidateSteps::Deletion(named(next.key, next.pod))),
            OverdueRemoval::Wait => {}
        }
    }
    notes.extend(free.iter().map(|(pod, _)| (pod.key, BlockedReason::OthersNotReady)));
    None
}

/// By what a step that has not been asked for yet is still to be, or is not.
#[derive(Clone, Copy, Debug)]
pub struct StepConditions<'c> {
    /// Levels whose moves wait for an officer's word, as [`MigrationContext`] has them.
    pub stopped: &'c BTreeMap<(String, String), String>,
    /// The deadlines of pods that violate.
    pub deadlines: &'c BTreeMap<ObjectUid, PodDeadline>,
    /// The instant: nothing begins outside the windows of its level, and nothing is forced before its deadline.
    pub now: Timestamp,
}

/// Whether a step of a move that began for `cause`, and that has not been asked for yet, is still to be: the removal of
/// `pod`, or without one the change of the template. What has begun goes on.
#[must_use]
pub fn is_still_due(
    owned: &OwnedPods<'_>,
    cause: MigrationCause,
    pod: Option<ObjectUid>,
    conditions: StepConditions<'_>,
) -> bool {
    let StepConditions { stopped, deadlines, now } = conditions;
    let may_begin = |found: &&MisplacedPod<'_>| {
        found.is_to_move() && found.stopped_by(stopped).is_none() && found.window_gate(now) == WindowGate::Open
    };
    let mut misplaced = owned.misplaced.iter().filter(may_begin);
    match (cause, pod) {
        (MigrationCause::Overdue, Some(pod)) => misplaced
            .any(|found| found.pod.uid == pod && is_overdue(found, deadlines, now) && owned.can_spare(found.pod)),
        (MigrationCause::Violating | MigrationCause::Expiring, Some(pod)) => {
            misplaced.any(|found| found.pod.uid == pod)
        }
        (MigrationCause::Overdue | MigrationCause::Violating | MigrationCause::Expiring, None) => {
            misplaced.next().is_some()
        }
        (MigrationCause::Stale, Some(pod)) => owned.stale.iter().any(|found| found.pod.uid == pod),
        (MigrationCause::Stale, None) => true,
        (MigrationCause::TemplateBehind, _) => owned.template_behind,
        (MigrationCause::KeyRetired, _) => !owned.surplus.is_empty(),
    }
}

pub(super) fn named<'a>(key: &'a str, pod: &Pod) -> (&'a str, ObjectUid) {
    (split(key).1, pod.uid)
}

/// The most resolute of the actions that the levels of `required` ask for; nothing where no level is known.
fn action_of<'r, 'a: 'r>(required: impl Iterator<Item = &'r PolicyRequirement<'a>>) -> Option<LossAction> {
    let action = |required: &PolicyRequirement<'_>| {
        let rank = required.need.as_ref().ok()?.rank;
        Some(required.policy.levels.at(rank)?.on_loss.action)
    };
    let resolution = |action: &LossAction| match action {
        LossAction::Report => 0,
        LossAction::Migrate => 1,
        LossAction::Evict => 2,
    };
    required.filter_map(action).max_by_key(resolution)
}

/// Whether every API server acts on all policies in force of `required`: only then is a successor admitted by them.
pub(super) fn acted_on(required: &PodRequirements<'_>, facts: &PlacementFacts<'_>) -> bool {
    required.in_force().all(|required| facts.propagated.contains(&required.policy.name))
}

/// Whether `pod` violates at `now` for longer than its level lets it.
fn is_overdue(pod: &MisplacedPod<'_>, deadlines: &BTreeMap<ObjectUid, PodDeadline>, now: Timestamp) -> bool {
    deadlines.get(&pod.pod.uid).is_some_and(|deadline| deadline.at <= now)
}

/// By which method `pod` is moved, where that can be done without harm; past its deadline also where it costs something.
fn method_of(
    owned: &OwnedPods<'_>,
    pod: &MisplacedPod<'_>,
    facts: &PlacementFacts<'_>,
    fit: &mut FitChecker<'_, '_>,
    context: &MigrationContext<'_>,
) -> Result<MigrationMethod, BlockedReason> {
    ordinary_method(owned, pod, facts, fit, context).or_else(|why| {
        if is_overdue(pod, context.deadlines, context.now) && why.yields_to_deadline() {
            overdue_method(owned, pod, why, (facts, fit, context))
        } else {
            Err(why)
        }
    })
}

/// How `pod`, past its deadline, is removed, which stayed so far for `why`.
fn overdue_method(
    owned: &OwnedPods<'_>,
    pod: &MisplacedPod<'_>,
    why: BlockedReason,
    (facts, fit, context): (&PlacementFacts<'_>, &mut FitChecker<'_, '_>, &MigrationContext<'_>),
) -> Result<MigrationMethod, BlockedReason> {
    is_replaceable(owned, pod.pod, context)?;
    let strategy = ReplacementStrategy::of(owned, Some(pod), context.reverting.contains(&owned.uid));
    match strategy.method(template_state(owned), pod.revision, WantedAction::Evict) {
        Ok(MigrationMethod::EvictAll) => {}
        Ok(MigrationMethod::CompleteTemplate) if !context.resting.contains_key(&owned.uid) => {
            return Ok(MigrationMethod::CompleteTemplate);
        }
        // It would come back below its level, or its whole workload would go at once.
        Ok(
            MigrationMethod::RestartRollout
            | MigrationMethod::CompleteTemplate
            | MigrationMethod::EvictOneByOne
            | MigrationMethod::EvictOverdue
            | MigrationMethod::DeleteOverdue,
        )
        | Err(_) => return Err(why),
    }
    place(owned, pod, MigrationMethod::EvictOverdue, fit).map_err(BlockedReason::NoFit)?;
    if !acted_on(&pod.requirements, facts) {
        return Err(BlockedReason::AdmissionPending);
    }
    if !owned.can_spare(pod.pod) {
        // What refuses its eviction is asked again and again, and is the reason all the same.
        return Err(if matches!(why, BlockedReason::Budget(_)) { why } else { BlockedReason::LastReady });
    }
    match removal_of(owned, pod.pod, context) {
        OverdueRemoval::Evict => Ok(MigrationMethod::EvictOverdue),
        OverdueRemoval::Delete => Ok(MigrationMethod::DeleteOverdue),
        // What refused it is why it stays, whatever kept it before its deadline.
        OverdueRemoval::Wait => {
            Err(context.refused_evictions.get(&pod.pod.uid).map_or(why, |said| BlockedReason::Budget(said.clone())))
        }
    }
}

/// What is asked next for `pod`, past its deadline; nothing more where a deletion would come next and `owned` does not bear it.
fn removal_of(owned: &OwnedPods<'_>, pod: &Pod, context: &MigrationContext<'_>) -> OverdueRemoval {
    match next_removal(context.refused_removals.get(&pod.uid).copied()) {
        OverdueRemoval::Delete if !owned.bears_deletion() => OverdueRemoval::Wait,
        next @ (OverdueRemoval::Evict | OverdueRemoval::Delete | OverdueRemoval::Wait) => next,
    }
}

/// By which method `pod` is moved, where that can be done without harm.
fn ordinary_method(
    owned: &OwnedPods<'_>,
    pod: &MisplacedPod<'_>,
    facts: &PlacementFacts<'_>,
    fit: &mut FitChecker<'_, '_>,
    context: &MigrationContext<'_>,
) -> Result<MigrationMethod, BlockedReason> {
    if pod.pod.mirror {
        return Err(BlockedReason::Static);
    }
    refused(&pod.requirements)?;
    if let Some(how) = pod.stopped_by(context.stopped) {
        return Err(BlockedReason::Stopped(how.clone()));
    }
    let action = action_of(pod.unsatisfied().map(|(required, _)| required)).and_then(WantedAction::of);
    let action = action.ok_or(BlockedReason::ReportOnly)?;
    if let Some(why) = context.resting.get(&owned.uid) {
        return Err(why.clone());
    }
    if let WindowGate::Shut(opens) = pod.window_gate(context.now) {
        return Err(BlockedReason::OutsideWindow(opens));
    }
    if action == WantedAction::Migrate {
        is_replaceable(owned, pod.pod, context)?;
        let mark = pod.pod.lifecycle().not_now.as_deref().filter(|mark| mark.holds_at(context.now));
        if let Some(mark) = mark.filter(|_| !is_overdue(pod, context.deadlines, context.now)) {
            return Err(BlockedReason::NotNow(mark.clone()));
        }
    }
    let strategy = ReplacementStrategy::of(owned, Some(pod), context.reverting.contains(&owned.uid));
    // What its controller is replacing already is not touched again: each touch would leave a ReplicaSet behind, and after
    // ten of them none is left that its author could go back to.
    let is_replaced = action == WantedAction::Migrate
        && matches!(owned.owner, PodOwner::Known(_, controller) if controller.is_rolling());
    let revision = if is_replaced { PodRevision::Former } else { pod.revision };
    let method = strategy.method(template_state(owned), revision, action);
    // Nothing else of it would stand.
    if strategy == ReplacementStrategy::Reverted && method == Ok(MigrationMethod::EvictOneByOne) && wants_one(owned) {
        return Err(BlockedReason::NoteTaken);
    }
    let method = method.map_err(|why| if is_stuck(owned) && why.is_under_way() { BlockedReason::Stuck } else { why });
    // Nobody is told to take away what has nowhere to go.
    if method.as_ref().is_err_and(BlockedReason::advises_removal) {
        fit.for_pod(pod.key, pod.pod, &pod.requirements, FitRequirement::Apart).map_err(BlockedReason::NoFit)?;
    }
    let method = method?;
    place(owned, pod, method, fit).map_err(BlockedReason::NoFit)?;
    if let Some(said) = context.refused_evictions.get(&pod.pod.uid)
        && !context.moving.contains_key(&owned.uid)
    {
        // It is asked for again and again; meanwhile this is why it stays.
        return Err(BlockedReason::Budget(said.clone()));
    }
    if acted_on(&pod.requirements, facts) { Ok(method) } else { Err(BlockedReason::AdmissionPending) }
}

/// Nothing, or that nobody would make `pod` anew, as far as that is known of an owner of another kind.
pub(super) fn is_replaceable(
    owned: &OwnedPods<'_>,
    pod: &Pod,
    context: &MigrationContext<'_>,
) -> Result<(), BlockedReason> {
    let PodOwner::Unknown(maker) = owned.owner else { return Ok(()) };
    let maker = || format!("{} {}", maker.kind_said, maker.name);
    if pod.lifecycle().runs_once {
        return Err(BlockedReason::RunsOnce(maker()));
    }
    match context.missing.get(&owned.uid) {
        Some(before) if owned.pods.ready < *before => Err(BlockedReason::NotReplaced(ReplacementShortfall {
            owner: maker(),
            ready: owned.pods.ready,
            before: *before,
        })),
        Some(_) | None => Ok(()),
    }
}

/// Whether the controller of `owned` wants one pod at most.
fn wants_one(owned: &OwnedPods<'_>) -> bool {
    matches!(owned.owner, PodOwner::Known(_, controller) if controller.replicas <= 1)
}

/// Whether the controller of `owned` says that its rollout does not go on.
fn is_stuck(owned: &OwnedPods<'_>) -> bool {
    matches!(owned.owner, PodOwner::Known(_, Controller { spec: ControllerSpec::Deployment { stuck: true, .. }, .. }))
}

/// Whether there is a node for the successor of `pod`, as sure as `method` asks it.
fn place(
    owned: &OwnedPods<'_>,
    pod: &MisplacedPod<'_>,
    method: MigrationMethod,
    fit: &mut FitChecker<'_, '_>,
) -> Result<(), super::NoFit> {
    let is_deployment = owned.kind() == Some(WorkloadKind::Deployment);
    let held = match method {
        // Its replacement stands, or would have to stand, before it goes.
        MigrationMethod::RestartRollout if is_deployment => fit.single_writer(pod.key, pod.pod, gone_first(owned) > 0),
        // Others of its node have the claim and stay.
        MigrationMethod::EvictOneByOne | MigrationMethod::EvictOverdue | MigrationMethod::DeleteOverdue => {
            fit.single_writer(pod.key, pod.pod, true)
        }
        MigrationMethod::RestartRollout | MigrationMethod::CompleteTemplate | MigrationMethod::EvictAll => None,
    };
    if let Some(held) = held {
        return Err(held);
    }
    let required = match (method, owned.kind()) {
        // It restarts nothing.
        (MigrationMethod::CompleteTemplate, _) => return Ok(()),
        // Kubernetes ends its pods wherever the completed template does not match.
        (MigrationMethod::RestartRollout, Some(WorkloadKind::DaemonSet)) => return fit.anywhere(&owned.requirements),
        (MigrationMethod::RestartRollout, Some(WorkloadKind::Deployment)) if gone_first(owned) == 0 => {
            FitRequirement::Fits
        }
        (MigrationMethod::RestartRollout, Some(WorkloadKind::Deployment)) => FitRequirement::Room,
        (
            MigrationMethod::RestartRollout
            | MigrationMethod::EvictOneByOne
            | MigrationMethod::EvictAll
            | MigrationMethod::EvictOverdue
            | MigrationMethod::DeleteOverdue,
            _,
        ) => FitRequirement::Apart,
    };
    match fit.for_pod(pod.key, pod.pod, &pod.requirements, required) {
        // Nothing goes before its replacement stands, and that it waits may be what makes an autoscaler add a node.
        Err(super::NoFit::EmptyPool(_)) if required == FitRequirement::Fits => Ok(()),
        found => found,
    }
}

/// Whether the template of `owned` says, and for a `DaemonSet` selects, all that its pods need.
pub(super) fn template_state(owned: &OwnedPods<'_>) -> TemplateState {
    let lacks = match owned.owner {
        PodOwner::Known(_, controller @ Controller { spec: ControllerSpec::DaemonSet { .. }, .. }) => {
            lacks(controller, &owned.requirements)
        }
        PodOwner::Known(..) | PodOwner::Unknown(_) | PodOwner::None(..) => false,
    };
    if owned.template_behind || lacks { TemplateState::Behind } else { TemplateState::Complete }
}

/// How many pods of `owned` its rollout would end before any successor stands.
fn gone_first(owned: &OwnedPods<'_>) -> u32 {
    match owned.owner {
        PodOwner::Known(_, controller) => match &controller.spec {
            ControllerSpec::Deployment { strategy: RolloutStrategy::Rolling { unavailable, .. }, .. } => *unavailable,
            ControllerSpec::Deployment { strategy: RolloutStrategy::Recreate, .. }
            // One by one, and none is passed over: each must have a place.
            | ControllerSpec::StatefulSet { .. } => u32::MAX,
            ControllerSpec::ReplicaSet
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::Job { .. }
            | ControllerSpec::CronJob => 0,
        },
        PodOwner::Unknown(_) | PodOwner::None(..) => 0,
    }
}

/// Nothing, or that a successor would be refused.
pub(super) fn refused(required: &PodRequirements<'_>) -> Result<(), BlockedReason> {
    match required.refusal() {
        Some(refusal) => Err(BlockedReason::Refused(refusal.to_string())),
        None => Ok(()),
    }
}

/// Whether the template of `controller` lacks an entry of the selector that its pods need.
fn lacks(controller: &Controller, required: &PodRequirements<'_>) -> bool {
    required.keys().any(|key| !keys::grants(&controller.node_requirements.selector, key))
}

/// Whether all of the workload but `pod`, which is about to go, is ready, as far as its own strategy asks.
fn others_ready(owned: &OwnedPods<'_>, pod: &Pod) -> bool {
    let others = owned.pods.ready.saturating_sub(u32::from(pod.is_ready()));
    let wanted = match &owned.owner {
        PodOwner::Known(_, controller) => match &controller.spec {
            ControllerSpec::Deployment {
                strategy: RolloutStrategy::Rolling { unavailable, .. }, available, ..
            } => {
                // What its own rollout would leave standing; one less where none can be begun.
                let floor = controller.replicas.saturating_sub((*unavailable).max(1));
                return controller.observed && others.min(available.saturating_sub(u32::from(pod.is_ready()))) >= floor;
            }
            ControllerSpec::Job { .. } => return true,
            ControllerSpec::Deployment { strategy: RolloutStrategy::Recreate, .. }
            | ControllerSpec::ReplicaSet
            | ControllerSpec::StatefulSet { .. }
            | ControllerSpec::DaemonSet { .. }
            | ControllerSpec::CronJob => controller.replicas.saturating_sub(1),
        },
        // How many it should have, nobody knows: those that are on their way out are still among them.
        PodOwner::Unknown(_) => owned.pods.total.saturating_sub(1),
        PodOwner::None(..) => 0,
    };
    others >= wanted
}

impl OwnedPods<'_> {
    /// The pod `uid` among those that stand or wait wrong, where it is not ready.
    fn unready_pod(&self, uid: ObjectUid) -> Option<&Pod> {
        let misplaced = self.misplaced.iter().map(|found| found.pod);
        let stale = self.stale.iter().map(|found| found.pod);
        misplaced.chain(stale).find(|pod| pod.uid == uid && !pod.is_ready())
    }
}

impl MisplacedPod<'_> {
    /// Whether migration has anything to do about it: it stands wrong under a policy in force, and is not already on its
    /// way out.
    #[must_use]
    pub fn is_to_move(&self) -> bool {
        !self.pod.terminating && self.worst() != Compliance::Compliant
    }

    /// Whether its move may begin at `now`, by the windows of the levels by which it is to leave: where several have some,
    /// in all of them.
    pub(super) fn window_gate(&self, now: Timestamp) -> WindowGate {
        let worst = self.worst();
        let gates = self.unsatisfied().map(|(required, _)| {
            let level = required.need.as_ref().ok().and_then(|need| required.policy.levels.at(need.rank));
            level.map_or(WindowState::Unrestricted, |level| level.on_loss.windows.state(now)).gate(worst)
        });
        // The last of them to open; never, where one never does.
        gates.fold(WindowGate::Open, |gate, other| match (gate, other) {
            (WindowGate::Open, WindowGate::Open) => WindowGate::Open,
            (WindowGate::Shut(opens), WindowGate::Open) | (WindowGate::Open, WindowGate::Shut(opens)) => {
                WindowGate::Shut(opens)
            }
            (WindowGate::Shut(one), WindowGate::Shut(other)) => {
                WindowGate::Shut(one.and_then(|one| Some(one.max(other?))))
            }
        })
    }

    /// What to say of the first of its levels whose moves are `stopped`.
    fn stopped_by<'s>(&self, stopped: &'s BTreeMap<(String, String), String>) -> Option<&'s String> {
        self.unsatisfied().find_map(|(required, _)| stopped.get(&required.level()?.named()))
    }
}
