//! By what road the pods of one workload are moved, or why they stay.

use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;

use alloc::collections::BTreeMap;
use core::fmt;

use super::{Candidate, Course, NoRoom, Rooms, Sure, Why, wanted};
use crate::{
    fleet::{Controller, Form, Pod, Strategy, Uid, split},
    keys,
    policy::LossAction,
    standing::{Footing, Misplaced, Mover, Needs, Stale, Unit},
    workload::Kind,
};

/// How pods are moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Road<'a> {
    /// By a change of the template: its controller replaces them, by its own strategy.
    Touch {
        /// The controller's kind.
        kind: Kind,
        /// Its name.
        name: &'a str,
    },
    /// By evictions, which disruption budgets may refuse.
    Evict {
        /// The pods' names and identifiers.
        pods: Vec<(&'a str, Uid)>,
    },
}

/// Why a pod stays though it should not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// No node could take it.
    Stranded(NoRoom),
    /// Its successor would be refused.
    Refused(String),
    /// Its level's policy says so.
    Report,
    /// An officer's word is awaited.
    Stopped(String),
    /// The rollout of its Deployment is paused.
    Paused,
    /// Its Deployment ends all pods before it makes new ones.
    Recreate,
    /// Its controller replaces pods by hand alone.
    OnDelete(Kind),
    /// Kubernetes itself ends it.
    DaemonSet,
    /// Nobody would make it anew.
    Unmanaged,
    /// It is the image of a static pod.
    Static,
    /// Its Job would take it for one failure too many.
    JobWouldFail,
    /// Other pods of its workload are not ready.
    OthersNotReady,
    /// A disruption budget forbids its eviction for now; in the API server's words.
    Budget(String),
    /// It was moved, and its successors do not become ready.
    Stuck,
    /// It was replaced, and its successor waits for the same.
    InVain(String),
}

impl Kept {
    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stranded(NoRoom::NoPool) => "NoClearedPool",
            Self::Stranded(NoRoom::NoNode) => "NoClearedNode",
            Self::Stranded(NoRoom::TooSmall) => "NodesTooSmall",
            Self::Stranded(NoRoom::Crowded) => "NodesTaken",
            Self::Stranded(NoRoom::Volume { .. }) => "VolumePinned",
            Self::Stranded(NoRoom::Full) => "NoCapacity",
            Self::Refused(_) => "Refused",
            Self::Report => "ReportOnly",
            Self::Stopped(_) => "MoveStopped",
            Self::Paused => "RolloutPaused",
            Self::Recreate => "StrategyRecreate",
            Self::OnDelete(_) => "StrategyOnDelete",
            Self::DaemonSet => "DaemonSet",
            Self::Unmanaged => "Unmanaged",
            Self::Static => "StaticPod",
            Self::JobWouldFail => "JobWouldFail",
            Self::OthersNotReady => "OthersNotReady",
            Self::Budget(_) => "DisruptionBudget",
            Self::Stuck => "RolloutStuck",
            Self::InVain(_) => "ReplacedInVain",
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranded(why) => write!(f, "kept, since {why}; it moves when there is a place"),
            Self::Refused(why) => write!(f, "kept, since its successor would be refused: {why}"),
            Self::Report => f.write_str("kept, since onClearanceLoss of its level says Report"),
            Self::Stopped(how) => f.write_str(how),
            Self::Paused => f.write_str("kept, since the rollout of its Deployment is paused; resume it"),
            Self::Recreate => f.write_str(
                "kept, since the strategy of its Deployment is Recreate; restart it (kubectl rollout restart) when it may \
                 be away, or let it roll",
            ),
            Self::OnDelete(kind) => {
                write!(f, "kept, since the update strategy of its {kind} is OnDelete; delete the pod when it may be away")
            }
            Self::DaemonSet => f.write_str("the pod of a DaemonSet: Kubernetes ends it by itself"),
            Self::Unmanaged => {
                f.write_str("kept, since nothing controls it, and nobody would make it anew; delete it, and create it again")
            }
            Self::Static => f.write_str("kept, since it is a static pod; take its manifest off the node"),
            Self::JobWouldFail => {
                f.write_str("kept, since its Job has no failure left in backoffLimit; it ends with the Job")
            }
            Self::OthersNotReady => f.write_str("waits until the other pods of its workload are ready"),
            Self::Budget(said) => write!(f, "waits, since the API server refuses to let it go for now: {said}"),
            Self::Stuck => f.write_str(
                "its replacements do not become ready; it stays until they do, and is tried again from time to time",
            ),
            Self::InVain(keys) => write!(
                f,
                "was replaced once, and its successor waits for the same ({keys}); take that out of the nodeSelector of \
                 its template"
            ),
        }
    }
}

/// What there is to move of `unit`. What stays is noted in `kept`.
pub(super) fn candidate<'u, 'a>(
    unit: &'u Unit<'a>,
    rooms: &mut Rooms<'_, 'a>,
    course: &Course<'_>,
    kept: &mut BTreeMap<Uid, BTreeMap<&'a str, Kept>>,
) -> Option<Candidate<'u, 'a>> {
    let mut notes = BTreeMap::new();
    let found = misplaced(unit, rooms, course, &mut notes).or_else(|| stale(unit, course, &mut notes));
    let moving = course.moving.contains_key(&unit.uid);
    if !notes.is_empty() && !moving {
        kept.insert(unit.uid, notes);
    }
    found
}

/// What there is to move of the misplaced pods.
fn misplaced<'u, 'a>(
    unit: &'u Unit<'a>,
    rooms: &mut Rooms<'_, 'a>,
    course: &Course<'_>,
    notes: &mut BTreeMap<&'a str, Kept>,
) -> Option<Candidate<'u, 'a>> {
    let mut free: Vec<(&Misplaced<'a>, LossAction)> = Vec::new();
    for pod in &unit.misplaced {
        if pod.worst() == Footing::Sound {
            continue;
        }
        match may_go(unit, pod, rooms, course) {
            Ok(action) => free.push((pod, action)),
            Err(why) => drop(notes.insert(pod.key, why)),
        }
    }
    let why = free.iter().map(|(pod, _)| pod.worst()).max().and_then(Why::of)?;
    if let Mover::Controller(name, controller) = unit.mover {
        let kind = controller.form.kind();
        let rolls = matches!(
            controller.form,
            Form::Deployment { strategy: Strategy::Rolling { surge: 1.., .. }, paused: false, .. }
        );
        let at_once = free.iter().any(|(_, action)| *action == LossAction::Evict);
        if kind == Kind::DaemonSet || (rolls && !at_once) {
            return Some(Candidate { unit, road: Road::Touch { kind, name }, why, paced: true });
        }
    }
    let evict =
        |pods: &[&Misplaced<'a>]| Road::Evict { pods: pods.iter().map(|pod| named(pod.key, pod.pod)).collect() };
    let at_once: Vec<_> = free.iter().filter(|(_, action)| *action == LossAction::Evict).map(|(pod, _)| *pod).collect();
    if !at_once.is_empty() {
        return Some(Candidate { unit, road: evict(&at_once), why, paced: false });
    }
    // One at a time, and of an ordered workload the last first, as its controller does.
    let next = free.iter().map(|(pod, _)| *pod).max_by_key(|pod| (ordinal(pod.key), pod.key))?;
    if others_ready(unit, next.pod) {
        return Some(Candidate { unit, road: evict(&[next]), why, paced: true });
    }
    notes.extend(free.iter().map(|(pod, _)| (pod.key, Kept::OthersNotReady)));
    None
}

/// The number at the end of a pod's name, which a `StatefulSet` gives.
fn ordinal(key: &str) -> u64 {
    key.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

fn named<'a>(key: &'a str, pod: &Pod) -> (&'a str, Uid) {
    (split(key).1, pod.uid)
}

/// What the policies want done with `pod`, where that can be done without harm.
fn may_go(
    unit: &Unit<'_>,
    pod: &Misplaced<'_>,
    rooms: &mut Rooms<'_, '_>,
    course: &Course<'_>,
) -> Result<LossAction, Kept> {
    if pod.pod.mirror {
        return Err(Kept::Static);
    }
    refused(&pod.needs)?;
    let mut stopped = pod.unsatisfied().filter_map(|(asked, _)| course.stopped.get(&asked.subject()?.named()));
    if let Some(how) = stopped.next() {
        return Err(Kept::Stopped(how.clone()));
    }
    let action = match wanted(pod) {
        None | Some(LossAction::Report) => return Err(Kept::Report),
        Some(action) => action,
    };
    if let Some(kept) = course.resting.get(&unit.uid) {
        return Err(kept.clone());
    }
    let evict = action == LossAction::Evict;
    let mut sure = Sure::Apart;
    match &unit.mover {
        Mover::Controller(_, controller) => match &controller.form {
            Form::DaemonSet { .. } if !lacks(controller, &unit.needs) => return Err(Kept::DaemonSet),
            Form::DaemonSet { on_delete: true } => return Err(Kept::OnDelete(Kind::DaemonSet)),
            // Kubernetes ends its pods wherever the completed template does not match.
            Form::DaemonSet { .. } => {
                return rooms.anywhere(&unit.needs).map_err(Kept::Stranded).map(|()| action);
            }
            _ if evict => {}
            Form::Deployment { paused: true, .. } => return Err(Kept::Paused),
            Form::Deployment { strategy: Strategy::Recreate, .. } => return Err(Kept::Recreate),
            Form::Deployment { strategy: Strategy::Rolling { surge: 1.., .. }, .. } => {
                sure = if gone_first(unit) == 0 { Sure::Fits } else { Sure::Room };
            }
            Form::StatefulSet { on_delete: true } => return Err(Kept::OnDelete(Kind::StatefulSet)),
            Form::Job { patience: Some(0), .. } => return Err(Kept::JobWouldFail),
            Form::Deployment { .. }
            | Form::StatefulSet { .. }
            | Form::ReplicaSet
            | Form::Job { .. }
            | Form::CronJob => {}
        },
        Mover::Nobody(..) if !evict => return Err(Kept::Unmanaged),
        Mover::Foreign(_) | Mover::Nobody(..) => {}
    }
    rooms.for_pod(pod.key, pod.pod, &pod.needs, sure).map_err(Kept::Stranded)?;
    match course.forbidden.get(&pod.pod.uid) {
        // It is asked for again and again; meanwhile this is why it stays.
        Some(said) if !course.moving.contains_key(&unit.uid) => Err(Kept::Budget(said.clone())),
        _ => Ok(action),
    }
}

/// How many pods of `unit` its rollout would end before any successor stands.
pub(super) fn gone_first(unit: &Unit<'_>) -> u32 {
    match unit.mover {
        Mover::Controller(_, Controller { form: Form::Deployment { strategy, .. }, .. }) => match strategy {
            Strategy::Rolling { unavailable, .. } => *unavailable,
            Strategy::Recreate => u32::MAX,
        },
        _ => 0,
    }
}

/// Nothing, or that a successor would be refused.
fn refused(needs: &Needs<'_>) -> Result<(), Kept> {
    match needs.refusal() {
        Some(refusal) => Err(Kept::Refused(refusal.to_string())),
        None => Ok(()),
    }
}

/// Whether the template of `controller` lacks something that its pods need.
fn lacks(controller: &Controller, needs: &Needs<'_>) -> bool {
    needs.keys().any(|key| !keys::grants(&controller.wants.selector, key))
}

/// Whether all of the workload but `pod`, which is about to go, is ready, as far as its own strategy asks.
fn others_ready(unit: &Unit<'_>, pod: &Pod) -> bool {
    let others = unit.pods.ready.saturating_sub(u32::from(pod.is_ready()));
    let wanted = match &unit.mover {
        Mover::Controller(_, controller) => match &controller.form {
            Form::Deployment { strategy: Strategy::Rolling { unavailable, .. }, available, .. } => {
                // What its own rollout would leave standing.
                let floor = controller.replicas.saturating_sub(*unavailable);
                return controller.observed && others.min(available.saturating_sub(u32::from(pod.is_ready()))) >= floor;
            }
            Form::Job { .. } => return true,
            _ => controller.replicas.saturating_sub(1),
        },
        Mover::Foreign(_) => unit.pods.total.saturating_sub(1),
        Mover::Nobody(..) => 0,
    };
    others >= wanted
}

/// What there is to replace of pods, or to mend of a template, that wait for what is gone.
fn stale<'u, 'a>(
    unit: &'u Unit<'a>,
    course: &Course<'_>,
    notes: &mut BTreeMap<&'a str, Kept>,
) -> Option<Candidate<'u, 'a>> {
    let of_template = match unit.mover {
        Mover::Controller(name, controller) => stale_template(unit, controller)
            .filter(|keys| course.replaced.get(&unit.uid) != Some(keys))
            .map(|_| Road::Touch { kind: controller.form.kind(), name }),
        _ => None,
    };
    if let Some(road) = of_template {
        return Some(Candidate { unit, road, why: Why::Stale, paced: false });
    }
    let mut pods = Vec::new();
    for pod in &unit.stale {
        match may_be_replaced(unit, pod, course) {
            Ok(()) => pods.push(named(pod.key, pod.pod)),
            Err(why) => drop(notes.insert(pod.key, why)),
        }
    }
    if pods.is_empty() {
        return None;
    }
    if let Mover::Controller(name, controller) = unit.mover {
        let kind = controller.form.kind();
        // None of its pods has a node yet: a rollout costs nothing, and mends the template as well.
        let rollout = match controller.form {
            Form::Deployment { paused, .. } => !paused && unit.pods.placed == 0,
            Form::DaemonSet { .. } => true,
            _ => false,
        };
        if rollout {
            return Some(Candidate { unit, road: Road::Touch { kind, name }, why: Why::Stale, paced: false });
        }
    }
    Some(Candidate { unit, road: Road::Evict { pods }, why: Why::Stale, paced: false })
}

fn may_be_replaced(unit: &Unit<'_>, stale: &Stale<'_>, course: &Course<'_>) -> Result<(), Kept> {
    refused(&unit.needs)?;
    if let Some(before) = course.replaced.get(&unit.uid).filter(|before| **before == stale.keys()) {
        return Err(Kept::InVain(before.clone()));
    }
    match &unit.mover {
        Mover::Nobody(..) => Err(Kept::Unmanaged),
        Mover::Controller(_, controller) => match &controller.form {
            Form::Job { patience: Some(0), .. } => Err(Kept::JobWouldFail),
            // Its controller would make the same pod again, and again.
            Form::DaemonSet { on_delete: true } => Err(Kept::OnDelete(Kind::DaemonSet)),
            Form::DaemonSet { .. } if !lacks(controller, &unit.needs) && stale.surplus.is_empty() => {
                Err(Kept::DaemonSet)
            }
            _ => Ok(()),
        },
        Mover::Foreign(_) => Ok(()),
    }
}

/// The keys of its template that its pods would not be given now, where taking them away restarts nothing.
fn stale_template(unit: &Unit<'_>, controller: &Controller) -> Option<String> {
    let free = match &controller.form {
        Form::CronJob => true,
        Form::Deployment { .. } | Form::ReplicaSet => controller.replicas == 0,
        Form::StatefulSet { on_delete } => *on_delete || controller.replicas == 0,
        Form::DaemonSet { .. } | Form::Job { .. } => false,
    };
    if !free || refused(&unit.needs).is_err() || unit.surplus.is_empty() {
        return None;
    }
    Some(unit.surplus.join(", "))
}
