//! Actions: everything that can happen next in a world, and what it does.
//!
//! What the operator does is the core's own code; what Kubernetes does is a model of it, an atomic step of one component
//! at a time.

use std::{fmt, time::Duration};

use rempart_core::{
    cluster_objects::{ObjectUid, PodPhase},
    compliance::{OwnedPods, assess},
    migration::{
        LookSettings, MigrationLimits, MigrationMemory, MigrationSurroundings, MoveWait, PlannedMigration,
        RequestedStep, StepAnswer, StepTarget,
    },
    monotonic::MonotonicTime,
};

use super::{
    controllers,
    objects::{SharedObjects, WorldObjects},
    scenario::{ModelKind, Scenario},
    world::{PRESENT, PodState, SETTLING, World, pod_uid, workload_uid},
};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The operator looks at what runs.
    Look,
    /// A step that it asks for is answered by the API server.
    Answer { workload: usize, target: StepTarget },
    /// The records of pods are written as they should be.
    Record,
    /// A node's stamp is set or taken away, as it should be.
    Stamp { node: usize },
    /// A controller does the next thing about its workload.
    Control { workload: usize },
    /// The scheduler binds a pod, or says that there is no node for it.
    Schedule { workload: usize, pod: usize, node: Option<usize> },
    /// A pod becomes ready.
    Ready { workload: usize, pod: usize },
    /// A pod that is being deleted goes.
    Gone { workload: usize, pod: usize },
    /// The owner of a workload takes the note of a move out of its template.
    Revert { workload: usize },
    /// Nothing else is left to be done, and time goes by until somebody has something to do.
    Wait,
    /// Facts change.
    Flip,
    /// Another replica leads.
    TakeOver,
    /// Time goes by though somebody has something to do.
    Delay,
    /// A step is not answered, whether it was carried out or not.
    Lose { workload: usize, target: StepTarget, carried_out: bool },
}

impl Action {
    /// Whether it goes wrong, or somebody's will: a run can do without.
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Self::Flip | Self::TakeOver | Self::Delay | Self::Lose { .. } => true,
            Self::Look
            | Self::Answer { .. }
            | Self::Record
            | Self::Stamp { .. }
            | Self::Control { .. }
            | Self::Schedule { .. }
            | Self::Ready { .. }
            | Self::Gone { .. }
            | Self::Revert { .. }
            | Self::Wait => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look => f.write_str("the operator looks"),
            Self::Answer { workload, target: StepTarget::Template } => {
                write!(f, "w{workload}: its template is changed")
            }
            Self::Answer { workload, target: StepTarget::Pod(pod) } => write!(f, "w{workload}: pod {pod} is evicted"),
            Self::Record => f.write_str("records are written"),
            Self::Stamp { node } => write!(f, "n{node} is stamped"),
            Self::Control { workload } => write!(f, "w{workload}: its controller acts"),
            Self::Schedule { workload, pod, node: Some(node) } => {
                write!(f, "w{workload}: pod {pod} is bound to n{node}")
            }
            Self::Schedule { workload, pod, node: None } => write!(f, "w{workload}: no node for pod {pod}"),
            Self::Ready { workload, pod } => write!(f, "w{workload}: pod {pod} is ready"),
            Self::Gone { workload, pod } => write!(f, "w{workload}: pod {pod} is gone"),
            Self::Revert { workload } => write!(f, "w{workload}: its owner takes the note away"),
            Self::Wait => f.write_str("time goes by"),
            Self::Flip => f.write_str("facts change"),
            Self::TakeOver => f.write_str("another replica leads"),
            Self::Delay => f.write_str("time goes by, though somebody has something to do"),
            Self::Lose { workload, carried_out: true, .. } => {
                write!(f, "w{workload}: a write is carried out, not answered")
            }
            Self::Lose { workload, carried_out: false, .. } => write!(f, "w{workload}: a write is not answered"),
        }
    }
}

/// What an action led to.
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) world: World,
    /// Whether a pod was evicted or a template changed by the operator.
    pub(super) moves: bool,
    /// Whether the API server refused what the operator asked for.
    pub(super) refused: bool,
    /// How long it took.
    pub(super) elapsed: Duration,
    /// What must not happen and has.
    pub(super) breach: Option<String>,
}

impl Step {
    fn new(action: Action, mut world: World) -> Self {
        world.normalise();
        Self { action, world, moves: false, refused: false, elapsed: Duration::ZERO, breach: None }
    }
}

/// Everything that can happen next in `world` and changes it.
pub(super) fn steps(world: &World, scenario: &Scenario, shared: &SharedObjects) -> Vec<Step> {
    let mut steps = vec![Step::new(Action::Look, look(world, scenario, shared))];
    let around = WorldObjects::of(world, scenario, shared);
    let unrecorded = world.memory.unrecorded(&around.objects(), world.recorded.clone());
    for (owner, step) in world.memory.requested().filter(|(owner, _)| !unrecorded.contains(owner)) {
        steps.extend(answer(world, scenario, owner, step));
    }
    steps.push(Step::new(Action::Record, recorded(world, &around)));
    for node in 0..world.stamped.len() {
        let mut next = world.clone();
        next.stamped[node] = world.should_be_stamped(scenario, node);
        let mut step = Step::new(Action::Stamp { node }, next);
        step.breach = controllers::stranded_daemon(&step.world, scenario);
        steps.push(step);
    }
    for (workload, state) in world.workloads.iter().enumerate() {
        if let Some(acted) = controllers::act(world, scenario, workload) {
            steps.push(acted_on(acted, workload));
        }
        for (pod, found) in state.pods.iter().enumerate() {
            pod_steps(world, scenario, (workload, pod), found, &mut steps);
        }
        if scenario.workloads[workload].reverts && state.template.note.is_some() {
            let mut next = world.clone();
            controllers::change_template(&mut next.workloads[workload], |template| template.note = None);
            steps.push(Step::new(Action::Revert { workload }, next));
        }
    }
    steps.retain(|step| step.world != *world || step.breach.is_some());
    if steps.is_empty() {
        steps.extend(wait(world, Action::Wait));
    } else if let Some(delays) = world.left.delays.checked_sub(1) {
        steps.extend(wait(world, Action::Delay).map(|mut step| {
            step.world.left.delays = delays;
            step
        }));
    }
    faults(world, scenario, &around, &mut steps);
    steps
}

fn acted_on(acted: Result<World, (World, String)>, workload: usize) -> Step {
    let action = Action::Control { workload };
    match acted {
        Ok(next) => Step::new(action, next),
        Err((next, breach)) => Step { breach: Some(breach), ..Step::new(action, next) },
    }
}

/// The operator looks at what runs.
fn look(world: &World, scenario: &Scenario, shared: &SharedObjects) -> World {
    let mut next = world.clone();
    next.facts_seen = true;
    let around = WorldObjects::of(world, scenario, shared);
    let (objects, facts) = (around.objects(), around.facts());
    let report = assess(&objects, &facts);
    let wall = rempart_core::instant::Timestamp::from_seconds(free_note(world).into());
    let stopped = std::collections::BTreeMap::new();
    let settings = LookSettings { limits: MigrationLimits::default(), now: PRESENT, wall, stopped: &stopped };
    next.memory.look(&objects, &facts, &report, &settings, &Surroundings { world, scenario });
    next
}

/// The records of pods are written.
fn recorded(world: &World, around: &WorldObjects<'_>) -> World {
    let mut next = world.clone();
    let objects = around.objects();
    let to_record = world.memory.to_record(&objects, world.recorded.clone());
    let of = |(name, ready): (&str, u32)| Some((objects.pods.get(name)?.uid, ready));
    next.recorded = to_record.into_values().filter_map(of).collect();
    next
}

/// A note that no template has.
fn free_note(world: &World) -> u8 {
    let is_there = |note: u8| {
        world.workloads.iter().any(|workload| {
            let former = workload.pods.iter().map(|pod| pod.made_from);
            former.chain([workload.template]).any(|template| template.note == Some(note))
        })
    };
    (0..u8::MAX).find(|note| !is_there(*note)).unwrap_or(u8::MAX)
}

struct Surroundings<'w> {
    world: &'w World,
    scenario: &'w Scenario,
}

impl MigrationSurroundings for Surroundings<'_> {
    fn wait(&self, due: &PlannedMigration<'_>, _: &OwnedPods<'_>) -> Option<MoveWait> {
        let is_daemon = self
            .scenario
            .workloads
            .iter()
            .enumerate()
            .any(|(index, spec)| workload_uid(index) == due.owner && spec.kind == ModelKind::DaemonSet);
        let is_missing = |node: usize| !self.world.stamped[node] && self.world.should_be_stamped(self.scenario, node);
        if PRESENT.since(self.world.facts_changed) < SETTLING {
            Some(MoveWait::StableFacts)
        } else if self.world.is_losing(self.scenario) || (is_daemon && (0..self.world.stamped.len()).any(is_missing)) {
            Some(MoveWait::Stamps)
        } else {
            None
        }
    }

    // Every answer is told at once.
    fn is_on_its_way(&self, _: ObjectUid, _: &RequestedStep) -> bool {
        false
    }

    fn have_facts_changed_since(&self, then: MonotonicTime) -> bool {
        self.world.facts_changed > then
    }
}

/// What comes of a step that is asked for.
fn answer(world: &World, scenario: &Scenario, owner: ObjectUid, step: &RequestedStep) -> Vec<Step> {
    let Some(workload) = (0..world.workloads.len()).find(|index| workload_uid(*index) == owner) else {
        return Vec::new();
    };
    let target = step.target();
    let mut next = world.clone();
    let action = Action::Answer { workload, target };
    let mut answers = Vec::new();
    let mut told = |mut next: World, moves: bool, answer, breach| {
        let refused = matches!(answer, StepAnswer::Refused(_) | StepAnswer::OverBudget(_));
        next.memory.on_answer(owner, target, answer, PRESENT);
        answers.push(Step { moves, refused, breach, ..Step::new(action.clone(), next) });
    };
    match step {
        RequestedStep::AnnotateTemplate { note, .. } => {
            if scenario.workloads[workload].template_refused {
                told(next, false, StepAnswer::Refused("not this one".to_owned()), None);
            } else {
                let note = (0..u8::MAX).find(|known| super::objects::note_text(*known) == *note);
                let demanded = world.facts(scenario).demanded;
                let takes_surplus =
                    matches!(step, RequestedStep::AnnotateTemplate { surplus, .. } if !surplus.is_empty());
                controllers::change_template(&mut next.workloads[workload], |template| {
                    template.note = note;
                    // Admission completes what is touched.
                    template.said = true;
                    template.selects = demanded || (template.selects && !takes_surplus);
                });
                told(next, true, StepAnswer::Taken, None);
            }
        }
        // No level of these worlds has a deadline.
        RequestedStep::Delete { .. } => told(next, false, StepAnswer::Taken, None),
        RequestedStep::Evict { pod, version, .. } => {
            let found = world.workloads[workload]
                .pods
                .iter()
                .position(|found| pod_uid(workload, found.ordinal, found.uid) == *pod && !found.terminating);
            match found {
                None => told(next, false, StepAnswer::Taken, None),
                // Those that are to go because they are not ready are given a version.
                Some(found) if version.is_some() && world.workloads[workload].pods[found].is_ready() => {
                    told(next, false, StepAnswer::Outdated, None);
                }
                Some(found) if !budget_allows(world, scenario, workload, found) => {
                    told(
                        next,
                        false,
                        StepAnswer::Refused("it would violate the pod's disruption budget".to_owned()),
                        None,
                    );
                }
                Some(found) => {
                    let breach = harm(world, scenario, workload, found);
                    next.workloads[workload].pods[found].terminating = true;
                    told(next, true, StepAnswer::Taken, breach);
                }
            }
        }
    }
    if let Some(losses) = world.left.losses.checked_sub(1) {
        let mut next = world.clone();
        next.left.losses = losses;
        next.memory.on_answer(owner, target, StepAnswer::Unanswered, PRESENT);
        if let StepTarget::Pod(pod) = target {
            let mut next = next.clone();
            let evicted = |found: &&mut PodState| pod_uid(workload, found.ordinal, found.uid) == pod;
            if let Some(found) = next.workloads[workload].pods.iter_mut().find(evicted) {
                found.terminating = true;
            }
            answers.push(Step::new(Action::Lose { workload, target, carried_out: true }, next));
        }
        answers.push(Step::new(Action::Lose { workload, target, carried_out: false }, next));
    }
    answers
}

/// Whether the disruption budget of a workload lets one of its pods go.
fn budget_allows(world: &World, scenario: &Scenario, workload: usize, pod: usize) -> bool {
    let Some(kept) = scenario.workloads[workload].budget else { return true };
    let pods = &world.workloads[workload].pods;
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    let left = ready.saturating_sub(usize::from(pods[pod].is_ready()));
    left >= usize::from(kept)
}

/// What harm it does that a pod goes now, by what the operator could know.
fn harm(world: &World, scenario: &Scenario, workload: usize, pod: usize) -> Option<String> {
    let pods = &world.workloads[workload].pods;
    let going: &PodState = &pods[pod];
    if world.facts_seen && going.node.is_some() && world.room(scenario).next().is_none() {
        return Some(format!("a pod of w{workload} is evicted, and no cleared node has room for the next one"));
    }
    let others = pods.iter().enumerate().filter(|(other, found)| *other != pod && found.is_ready()).count();
    // Pods of a Job do their work each for itself.
    let is_job = matches!(scenario.workloads[workload].kind, ModelKind::Job { .. });
    if !is_job && going.is_ready() && others == 0 && scenario.workloads[workload].at.len() > 1 {
        return Some(format!("the last ready pod of w{workload} is evicted"));
    }
    None
}

fn pod_steps(
    world: &World,
    scenario: &Scenario,
    (workload, pod): (usize, usize),
    found: &PodState,
    steps: &mut Vec<Step>,
) {
    let altered = |with: &dyn Fn(&mut PodState)| {
        let mut next = world.clone();
        with(&mut next.workloads[workload].pods[pod]);
        next
    };
    if found.terminating {
        // The Job controller holds its pods until it has counted them.
        if !matches!(scenario.workloads[workload].kind, ModelKind::Job { .. }) {
            let mut next = world.clone();
            next.workloads[workload].pods.remove(pod);
            steps.push(Step::new(Action::Gone { workload, pod }, next));
        }
        return;
    }
    match found.phase {
        PodPhase::Waiting | PodPhase::Unschedulable => {
            let mut is_bound = false;
            for node in 0..world.stamped.len() {
                let has_room = world.pods_on(node) < usize::from(scenario.nodes[node]);
                if has_room && (!found.selects || world.stamped[node]) {
                    is_bound = true;
                    let next = altered(&|pod| {
                        pod.node = u8::try_from(node).ok();
                        pod.phase = PodPhase::Starting;
                    });
                    steps.push(Step::new(Action::Schedule { workload, pod, node: Some(node) }, next));
                }
            }
            if !is_bound {
                let next = altered(&|pod| pod.phase = PodPhase::Unschedulable);
                steps.push(Step::new(Action::Schedule { workload, pod, node: None }, next));
            }
        }
        PodPhase::Starting if !scenario.workloads[workload].sick => {
            steps.push(Step::new(Action::Ready { workload, pod }, altered(&|pod| pod.phase = PodPhase::Ready)));
        }
        PodPhase::Gated | PodPhase::Starting | PodPhase::Running | PodPhase::Ready | PodPhase::Done => {}
    }
}

/// Time goes by until somebody has something to do.
fn wait(world: &World, action: Action) -> Option<Step> {
    let settled = world.facts_changed + SETTLING;
    let next = world.memory.wake(PRESENT).into_iter().chain((settled > PRESENT).then_some(settled)).min()?;
    let elapsed = next.since(PRESENT);
    let mut world = world.clone();
    world.pass(elapsed);
    Some(Step { elapsed, ..Step::new(action, world) })
}

fn faults(world: &World, scenario: &Scenario, around: &WorldObjects<'_>, steps: &mut Vec<Step>) {
    if let Some(flips) = world.left.flips.checked_sub(1) {
        let mut next = world.clone();
        next.left.flips = flips;
        next.facts = (world.facts + 1) % scenario.facts.len();
        (next.facts_changed, next.facts_seen) = (PRESENT, false);
        steps.push(Step::new(Action::Flip, next));
    }
    if let Some(take_overs) = world.left.take_overs.checked_sub(1) {
        let mut next = world.clone();
        next.left.take_overs = take_overs;
        next.memory = MigrationMemory::taken_over(&around.objects(), world.recorded.clone(), [], PRESENT);
        steps.push(Step::new(Action::TakeOver, next));
    }
}
