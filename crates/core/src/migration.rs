//! Which pods are moved next, and how; and of those that are not, why.
//!
//! A function of a survey: no memory but what it is handed. It never asks for more than may be on the move at a time,
//! and never for a step that could leave a pod with nowhere to go.

use alloc::{string::String, vec, vec::Vec};

mod road;
mod room;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

pub use self::{
    road::{Kept, Road},
    room::{NoRoom, Rooms, Sure},
};
use super::{
    fleet::{Fleet, Uid},
    policy::LossAction,
    standing::{Asked, Footing, Ground, Misplaced, Subject, Survey, Tally, Unit},
    workload::Kind,
};

/// How much may be on the move at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The share of a level's pods, in percent. One workload may always be.
    pub wave: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self { wave: 10 }
    }
}

/// What the plan has to reckon with, beside the survey.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// How much may be on the move at a time.
    pub pace: Pace,
    /// What is on the move, by the identifier of what makes the pods, with how many of its pods are.
    pub moving: &'a BTreeMap<Uid, u32>,
    /// What is to be left alone for now, after a move in vain.
    pub resting: &'a BTreeMap<Uid, Kept>,
    /// Pods whose eviction a disruption budget has just refused, with what the API server said.
    pub forbidden: &'a BTreeMap<Uid, String>,
    /// Workloads of which stale pods were replaced, with the keys that these waited for.
    pub replaced: &'a BTreeMap<Uid, String>,
    /// Levels, by the names of their policies and their own, whose moves wait for an officer's word, with what to say of
    /// it.
    pub stopped: &'a BTreeMap<(String, String), String>,
}

/// A thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Alter the template, so that its controller replaces the pods, or that the next ones are right.
    Touch {
        /// The controller's kind.
        kind: Kind,
        /// Its name.
        name: &'a str,
    },
    /// Ask for the eviction of a pod.
    Evict {
        /// The pod's name.
        name: &'a str,
        /// Its identifier.
        pod: Uid,
    },
}

/// A move that is due.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// What makes the pods.
    pub unit: Uid,
    /// The namespace.
    pub namespace: &'a str,
    /// Why.
    pub why: Why,
    /// How many pods are on the move by it.
    pub weight: u32,
    /// What to do; more than one thing only where nothing is waited for.
    pub steps: Vec<Step<'a>>,
}

/// Why pods are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// They stand where they may not stand.
    Violating,
    /// They stand where they soon may not stand.
    Leaving,
    /// They wait for what is gone.
    Stale,
}

impl Why {
    /// Why a pod that stands so is moved; `None` where it stands right.
    #[must_use]
    pub fn of(footing: Footing) -> Option<Self> {
        match footing {
            Footing::Sound => None,
            Footing::Leaving => Some(Self::Leaving),
            Footing::Violating => Some(Self::Violating),
        }
    }

    /// A word for metrics and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Violating => "violating",
            Self::Leaving => "leaving",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done, and what is not.
#[derive(Debug, Default)]
pub struct Agenda<'a> {
    /// The moves that are due now, the most pressing first.
    pub moves: Vec<Move<'a>>,
    /// Why pods of a workload stay although they should not, pod by pod.
    pub kept: BTreeMap<Uid, BTreeMap<&'a str, Kept>>,
    /// Workloads that wait for their turn.
    pub waiting: BTreeSet<Uid>,
}

/// What is to be done about the pods that `survey` found misplaced or stale.
#[must_use]
pub fn agenda<'a>(fleet: &Fleet<'a>, ground: &Ground<'a>, survey: &Survey<'a>, course: &Course<'_>) -> Agenda<'a> {
    let mut agenda = Agenda::default();
    let mut turns = Turns::new(survey, course);
    let mut candidates = Vec::new();
    let mut rooms = Rooms::new(fleet, ground);
    for unit in survey.units.values() {
        candidates.extend(road::candidate(unit, &mut rooms, course, &mut agenda.kept));
    }
    // The most sensitive first; the rest of the order is only there to be one.
    candidates.sort_by(|a, b| a.order().cmp(&b.order()));
    for mut candidate in candidates {
        if course.moving.contains_key(&candidate.unit.uid) {
            continue;
        }
        // Who has a turn and finds no room leaves it to others.
        if turns.has(&candidate) && candidate.finds_room(&mut rooms) {
            turns.take(&candidate);
            agenda.moves.push(candidate.begin());
        } else {
            agenda.waiting.insert(candidate.unit.uid);
        }
    }
    agenda
}

/// A workload of which something could be moved.
struct Candidate<'u, 'a> {
    unit: &'u Unit<'a>,
    road: Road<'a>,
    why: Why,
    /// Whether the move waits for its turn: evictions that an officer wants at once do not, nor does what costs nothing.
    paced: bool,
}

impl<'a> Candidate<'_, 'a> {
    fn order(&self) -> (Why, core::cmp::Reverse<usize>, &str, &str, &str) {
        let rank = self.unit.needs.subjects().map(|subject| subject.rank).max().unwrap_or(0);
        (self.why, core::cmp::Reverse(rank), self.unit.namespace, self.unit.kind_said(), self.unit.name())
    }

    fn weight(&self) -> u32 {
        match &self.road {
            Road::Touch { .. } => self.unit.pods.total,
            Road::Evict { pods } => u32::try_from(pods.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether there is room for the successors of what would be gone first, beside those of others that go. Of pods that
    /// need not wait for each other, those that find none stay behind.
    fn finds_room(&mut self, rooms: &mut Rooms<'_, 'a>) -> bool {
        let misplaced = &self.unit.misplaced;
        let mut take = |pod: &Misplaced<'a>, sure| rooms.take(pod.key, pod.pod, &pod.needs, sure).is_ok();
        match &mut self.road {
            Road::Touch { .. } => {
                let first = usize::try_from(road::gone_first(self.unit)).unwrap_or(usize::MAX);
                let goes = |pod: &&Misplaced<'a>| pod.worst() != Footing::Sound;
                misplaced.iter().filter(goes).take(first).all(|pod| take(pod, Sure::Room))
            }
            Road::Evict { pods } => {
                pods.retain(|(_, uid)| {
                    let found = misplaced.iter().find(|pod| pod.pod.uid == *uid);
                    found.is_none_or(|pod| take(pod, Sure::Apart))
                });
                !pods.is_empty()
            }
        }
    }

    fn begin(self) -> Move<'a> {
        let weight = self.weight();
        let steps = match self.road {
            Road::Touch { kind, name } => vec![Step::Touch { kind, name }],
            Road::Evict { pods } => pods.into_iter().map(|(name, pod)| Step::Evict { name, pod }).collect(),
        };
        Move { unit: self.unit.uid, namespace: self.unit.namespace, why: self.why, weight, steps }
    }
}

/// How many pods of each level may still begin to move.
struct Turns<'a> {
    levels: BTreeMap<Subject<'a>, Turn>,
}

struct Turn {
    most: u32,
    moving: u32,
}

impl<'a> Turns<'a> {
    fn new(survey: &Survey<'a>, course: &Course<'_>) -> Self {
        let most = |tally: &Tally| {
            let share = u64::from(tally.total).saturating_mul(u64::from(course.pace.wave)) / 100;
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        let mut levels: BTreeMap<_, _> =
            survey.levels.iter().map(|(subject, tally)| (*subject, Turn { most: most(tally), moving: 0 })).collect();
        for (uid, pods) in course.moving {
            let Some(unit) = survey.units.get(uid) else { continue };
            for subject in unit.needs.subjects() {
                let turn = levels.entry(subject).or_insert(Turn { most: 0, moving: 0 });
                turn.moving = turn.moving.saturating_add((*pods).max(1));
            }
        }
        Self { levels }
    }

    /// Whether `candidate` may begin now.
    fn has(&self, candidate: &Candidate<'_, 'a>) -> bool {
        let weight = candidate.weight().max(1);
        let has_turn = |turn: &Turn| turn.moving == 0 || turn.moving.saturating_add(weight) <= turn.most;
        let mut subjects = candidate.unit.needs.subjects();
        !candidate.paced || subjects.all(|subject| self.levels.get(&subject).is_none_or(has_turn))
    }

    /// Counts `candidate` as on the move.
    fn take(&mut self, candidate: &Candidate<'_, 'a>) {
        let weight = candidate.weight().max(1);
        for subject in candidate.unit.needs.subjects().filter(|_| candidate.paced) {
            if let Some(turn) = self.levels.get_mut(&subject) {
                turn.moving = turn.moving.saturating_add(weight);
            }
        }
    }
}

/// What the policies in force want done about `pod`: the most resolute of those that it does not satisfy.
fn wanted(pod: &Misplaced<'_>) -> Option<LossAction> {
    let action = |(asked, _): (&Asked<'_>, Footing)| {
        let rank = asked.need.as_ref().ok()?.rank;
        Some(asked.policy.levels.at(rank)?.on_loss.action)
    };
    let resolution = |action: &LossAction| match action {
        LossAction::Report => 0,
        LossAction::Migrate => 1,
        LossAction::Evict => 2,
    };
    pod.unsatisfied().filter_map(action).max_by_key(resolution)
}
