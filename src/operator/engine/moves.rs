//! Moving what runs where it may no longer run: when, how fast, what is under way, and what came of it.
//!
//! What to move and how is the core's to say. Here is what needs a memory: facts that must settle first, moves that are
//! under way, refusals that are waited out, and what was replaced before.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant as Moment},
};

use k8s_openapi::api::core::v1::ObjectReference;

use super::{Engine, MoveLimits, backoff, ground::Basis, stops::Stops};
use crate::api::conditions;
use crate::operator::{
    metrics::Metrics,
    record::Motion,
    write::{Key, Notice, Write, WriteError, workload_reference},
};
use rempart_core::{
    fleet::{Controller, Form, Uid, split},
    instant::Instant,
    migration::{Agenda, Course, Kept, Move, Pace, Step, Why, agenda},
    standing::{Footing, Misplaced, Mover, Survey, Unit, survey},
    workload::Kind,
};

/// How long facts must have been what they are before running pods are moved.
const SETTLE: Duration = Duration::from_secs(2);
/// How often what runs is looked at while it keeps changing.
const PACE: Duration = Duration::from_millis(500);
/// How long a step may take before it counts as failed: as long as Kubernetes gives a rollout.
const DEADLINE: Duration = Duration::from_mins(10);
/// How long a Job may take to count a pod that was evicted.
const COUNTED: Duration = Duration::from_secs(5);
/// How long a workload is left alone after a move in vain; longer with each further one.
const REST: Duration = Duration::from_mins(1);
/// The longest that it is left alone.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// How long a refused eviction is waited out at most.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);

/// What there is to remember.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// What is on the move.
    under_way: BTreeMap<Uid, UnderWay>,
    /// What is left alone after a move in vain.
    resting: BTreeMap<Uid, Rest>,
    /// Pods whose eviction was refused.
    refused: BTreeMap<Uid, Refused>,
    /// Workloads of which stale pods were replaced, with the keys that these waited for.
    replaced: BTreeMap<Uid, String>,
    /// Whether facts have changed since they last settled.
    pub(super) unsettled: bool,
    settled_from: Option<Moment>,
    /// When what runs was last looked at.
    looked: Option<Moment>,
    pub(super) stops: Stops,
}

/// A move that has begun.
#[derive(Debug)]
struct UnderWay {
    since: Moment,
    why: Why,
    weight: u32,
    /// What it is called, for events.
    about: ObjectReference,
    /// What is still to be written.
    steps: BTreeMap<Key, Write>,
    /// What is waited for.
    until: Until,
    /// Whether somebody else began it: nobody knows by which facts.
    inherited: bool,
}

/// What ends a step of a move.
#[derive(Clone, Debug)]
enum Until {
    /// The controller has made all its pods by the template with this note.
    Rolled(String),
    /// These pods are gone, and as many are ready as were.
    Replaced { pods: BTreeSet<Uid>, ready: u32 },
}

#[derive(Debug)]
struct Rest {
    failures: u32,
    not_before: Moment,
    why: Kept,
}

#[derive(Debug)]
struct Refused {
    failures: u32,
    not_before: Moment,
    said: String,
}

/// How far a move is.
enum Progress {
    UnderWay,
    Done,
    Failed,
}

impl Moves {
    /// Nothing under way yet.
    pub(super) fn new(limits: MoveLimits) -> Self {
        Self { stops: Stops::new(limits.breaker), ..Self::default() }
    }

    /// Begins anew: what another replica has done shows in what runs.
    pub(super) fn take_over(&mut self) {
        *self = Self { unsettled: true, stops: std::mem::take(&mut self.stops), ..Self::default() };
    }

    /// Takes in how the write of `key` ended.
    pub(super) fn settle(&mut self, key: &Key, outcome: Result<(), &WriteError>, now: Moment) {
        let Some((unit, flight)) = self.under_way.iter_mut().find(|(_, flight)| flight.steps.contains_key(key)) else {
            return;
        };
        let refused = match outcome {
            // Unless it is done, the pod is gone, or another has its name.
            Err(error) if !error.gone(key.name()) && !error.outdated() => error,
            _ => return drop(flight.steps.remove(key)),
        };
        let Some(said) = refused.declined() else { return };
        let nothing_left = if let (Some(Write::Evict(pod)), Until::Replaced { pods, .. }) =
            (flight.steps.remove(key), &mut flight.until)
        {
            let failures = self.refused.get(&pod).map_or(1, |refused| refused.failures.saturating_add(1));
            let not_before = now + backoff(failures, LONGEST_REFUSAL);
            self.refused.insert(pod, Refused { failures, not_before, said: said.to_owned() });
            pods.remove(&pod);
            pods.is_empty()
        } else {
            rest(&mut self.resting, *unit, Kept::Budget(said.to_owned()), now);
            true
        };
        if nothing_left {
            let unit = *unit;
            self.under_way.remove(&unit);
        }
    }

    /// When it is next to be looked at though nothing changes.
    fn wake(&self, now: Moment) -> Option<Moment> {
        let rests = self.resting.values().map(|rest| rest.not_before);
        let refusals = self.refused.values().map(|refused| refused.not_before);
        let deadlines = self.under_way.values().map(|flight| flight.since + DEADLINE);
        let jobs = self.under_way.values().filter(|flight| flight.about.kind.as_deref() == Some(Kind::Job.as_str()));
        let counted = jobs.map(|flight| flight.since + COUNTED);
        let settled = self.settled_from.map(|from| from + SETTLE);
        rests.chain(refusals).chain(deadlines).chain(counted).chain(settled).filter(|moment| *moment > now).min()
    }

    /// What is still to be written.
    pub(super) fn pending(&self) -> impl Iterator<Item = (Key, Write)> {
        let steps = self.under_way.values().flat_map(|flight| &flight.steps);
        steps.map(|(key, write)| (key.clone(), write.clone()))
    }
}

fn rest(resting: &mut BTreeMap<Uid, Rest>, unit: Uid, why: Kept, now: Moment) {
    let failures = resting.get(&unit).map_or(1, |rest| rest.failures.saturating_add(1));
    let wait = REST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_REST);
    resting.insert(unit, Rest { failures, not_before: now + wait, why });
}

impl Engine {
    /// Looks at what runs, and asks for what must move.
    pub(super) fn plan_moves(&mut self, at: Instant, now: Moment, due: &mut Vec<(Key, Write)>) {
        if std::mem::take(&mut self.moves.unsettled) {
            self.moves.settled_from = Some(now);
            self.fleet_changed = true;
        }
        let not_before = self.moves.looked.map(|looked| looked + PACE).filter(|not_before| *not_before > now);
        if not_before.is_some() {
            if self.fleet_changed {
                self.wake_at(not_before);
            }
        } else if self.fleet_changed || self.moves.look_again(now) {
            self.fleet_changed = false;
            self.moves.looked = Some(now);
            self.look(at, now, due);
        }
        due.extend(self.moves.pending());
        let wake = self.moves.wake(now);
        self.wake_at(wake);
    }

    fn look(&mut self, at: Instant, now: Moment, due: &mut Vec<(Key, Write)>) {
        let Self {
            index,
            ruling,
            moves,
            admission,
            settings,
            metrics,
            queue,
            under_way,
            motions,
            records,
            retries,
            ..
        } = self;
        let basis = Basis::new(index, ruling, admission.settled(), &settings.exempt);
        let ground = basis.ground();
        let fleet = index.fleet();
        let survey = survey(&fleet, &ground);

        let mut notices = Vec::new();
        moves.inherit(&survey, now);
        moves.progress(&survey, now, &mut notices, metrics);
        let stopped = moves.stops.update(index, &survey, ruling, at, now, &mut notices);

        let policies = ruling.world.policies.keys();
        metrics.stopped(policies.map(|name| {
            let name = name.as_str();
            (name, stopped.keys().filter(|(policy, _)| policy == name).count())
        }));

        let waits = moves.settled_from.is_some_and(|from| from + SETTLE > now);
        // Where a stamp is still to be taken away, a replacement could land on it.
        let stamping = queue.any_loses(retries) || under_way.keys().any(|key| matches!(key, Key::Stamps(_)));
        let moving = moves.under_way.iter().map(|(unit, flight)| (*unit, flight.weight)).collect();
        let resting = moves.resting.iter().filter(|(_, rest)| rest.not_before > now);
        let resting = resting.map(|(unit, rest)| (*unit, rest.why.clone())).collect();
        let forbidden = moves.refused.iter().filter(|(_, refused)| refused.not_before > now);
        let forbidden = forbidden.map(|(pod, refused)| (*pod, refused.said.clone())).collect();
        let course = Course {
            pace: Pace { wave: settings.limits.wave },
            moving: &moving,
            resting: &resting,
            forbidden: &forbidden,
            replaced: &moves.replaced,
            stopped: &stopped,
        };
        let agenda = agenda(&fleet, &ground, &survey, &course);
        if !waits && !stamping {
            for due in &agenda.moves {
                if let Some(unit) = survey.units.get(&due.unit) {
                    moves.begin(due, unit, (at, now), &mut notices, metrics);
                }
            }
        }
        moves.forget(&survey, &agenda);
        let now_on = moves.motions(&agenda);
        if *motions != now_on {
            *motions = now_on;
            records.look();
        }
        due.extend(notices.into_iter().map(|notice| (notice.key(at), Write::Notice(Box::new(notice)))));
    }
}

impl Moves {
    /// Whether a wait has ended since it was last looked.
    fn look_again(&self, now: Moment) -> bool {
        self.looked.is_none_or(|looked| self.wake(looked).is_some_and(|wake| wake <= now))
    }

    /// Takes over the rollouts that are under way and that another replica began, or somebody else since: to ask for
    /// them would only make them begin again.
    fn inherit(&mut self, survey: &Survey<'_>, now: Moment) {
        for (uid, unit) in survey.units.iter().filter(|(_, unit)| !unit.misplaced.is_empty()) {
            let Mover::Controller(_, controller) = unit.mover else { continue };
            let (&Form::Deployment { stuck: false, paused: false, total, updated, .. }, Some(note)) =
                (&controller.form, &controller.migration)
            else {
                continue;
            };
            // What is only not ready is not on its way anywhere.
            let rolls = !controller.observed || updated < controller.replicas || total > updated;
            if !rolls || self.under_way.contains_key(uid) {
                continue;
            }
            let Some(why) = unit.misplaced.iter().map(Misplaced::worst).max().and_then(Why::of) else { continue };
            let flight = UnderWay {
                since: now,
                why,
                weight: unit.pods.total,
                about: about(unit),
                steps: BTreeMap::new(),
                until: Until::Rolled(note.to_string()),
                inherited: true,
            };
            self.under_way.insert(*uid, flight);
        }
    }

    /// Begins `due`.
    fn begin(
        &mut self,
        due: &Move<'_>,
        unit: &Unit<'_>,
        (at, now): (Instant, Moment),
        notices: &mut Vec<Notice>,
        metrics: &Metrics,
    ) {
        let note = at.to_string();
        let mut steps = BTreeMap::new();
        let mut pods = BTreeSet::new();
        for step in &due.steps {
            match step {
                Step::Touch { kind, name } => {
                    let key = Key::Template(*kind, format!("{}/{name}", due.namespace));
                    steps.insert(key, Write::Migrate { note: note.clone(), uid: due.unit });
                }
                Step::Evict { name, pod } => {
                    pods.insert(*pod);
                    steps.insert(Key::Eviction(format!("{}/{name}", due.namespace)), Write::Evict(*pod));
                }
            }
        }
        if due.why == Why::Stale {
            let keys = unit.stale.first().map(rempart_core::standing::Stale::keys);
            self.replaced.insert(due.unit, keys.unwrap_or_else(|| unit.surplus.join(", ")));
        }
        let about = about(unit);
        // An eviction that was refused before is told of once.
        if !pods.iter().any(|pod| self.refused.contains_key(pod)) {
            metrics.moved(due.why.as_str(), "begun");
            let note = said(due, unit);
            let about = about.clone();
            notices.push(Notice { about, reason: conditions::MIGRATING, note, action: "Migrate", warning: false });
        }
        let until = if pods.is_empty() {
            Until::Rolled(note)
        } else {
            // Who is not ready before need not be ready after.
            Until::Replaced { pods, ready: unit.pods.ready }
        };
        let flight = UnderWay { since: now, why: due.why, weight: due.weight, about, steps, until, inherited: false };
        self.under_way.insert(due.unit, flight);
    }

    /// Looks how far the moves are.
    fn progress(&mut self, survey: &Survey<'_>, now: Moment, notices: &mut Vec<Notice>, metrics: &Metrics) {
        let ended: Vec<_> = self
            .under_way
            .iter()
            .filter_map(|(unit, flight)| match flight.progress(survey.units.get(unit), now) {
                Progress::UnderWay => None,
                Progress::Done => Some((*unit, true)),
                Progress::Failed => Some((*unit, false)),
            })
            .collect();
        for (unit, done) in ended {
            let Some(flight) = self.under_way.remove(&unit) else { continue };
            metrics.moved(flight.why.as_str(), if done { "done" } else { "failed" });
            let left = survey
                .units
                .get(&unit)
                .map_or(0, |unit| unit.misplaced.iter().filter(|pod| pod.worst() != Footing::Sound).count());
            if !done {
                rest(&mut self.resting, unit, Kept::Stuck, now);
                notices.push(flight.notice(conditions::MIGRATION_FAILED, Kept::Stuck.to_string(), true));
            } else if left == 0 {
                self.resting.remove(&unit);
                notices.push(flight.notice(conditions::MIGRATED, "all its pods run where they may".to_owned(), false));
            } else if matches!(flight.until, Until::Rolled(_)) && !flight.inherited && !self.changed_since(flight.since)
            {
                // Its controller has done what was asked, and it did not help: not again at once.
                rest(&mut self.resting, unit, Kept::Stuck, now);
            }
        }
    }

    /// Whether facts have changed since `moment`: then a move that began there could not know where pods may be now.
    fn changed_since(&self, moment: Moment) -> bool {
        self.settled_from.is_some_and(|changed| changed > moment)
    }

    /// What records say of it.
    fn motions(&self, agenda: &Agenda<'_>) -> BTreeMap<Uid, Motion> {
        let mut motions: BTreeMap<Uid, Motion> = BTreeMap::new();
        for (unit, flight) in &self.under_way {
            motions.entry(*unit).or_default().moving = flight.weight;
        }
        for unit in agenda.waiting.iter().filter(|unit| !self.under_way.contains_key(unit)) {
            motions.entry(*unit).or_default().waiting = true;
        }
        for (unit, pods) in &agenda.kept {
            let kept = pods.iter().map(|(pod, why)| (split(pod).1.to_owned(), (why.code(), why.to_string())));
            motions.entry(*unit).or_default().kept = kept.collect();
        }
        motions
    }

    /// Forgets what no longer matters.
    fn forget(&mut self, survey: &Survey<'_>, agenda: &Agenda<'_>) {
        self.replaced.retain(|unit, _| survey.units.contains_key(unit));
        self.resting.retain(|unit, _| survey.units.contains_key(unit));
        if self.refused.len() > agenda.kept.len().saturating_mul(2).saturating_add(1024) {
            let pods: BTreeSet<Uid> =
                survey.units.values().flat_map(|unit| &unit.misplaced).map(|pod| pod.pod.uid).collect();
            self.refused.retain(|pod, _| pods.contains(pod));
        }
    }
}

impl UnderWay {
    fn notice(&self, reason: &'static str, note: String, warning: bool) -> Notice {
        Notice { about: self.about.clone(), reason, note, action: "Migrate", warning }
    }

    fn progress(&self, unit: Option<&Unit<'_>>, now: Moment) -> Progress {
        // It is gone, or no policy governs it any more.
        let Some(unit) = unit else { return Progress::Done };
        let late = now >= self.since + DEADLINE;
        if !self.steps.is_empty() {
            return if late { Progress::Failed } else { Progress::UnderWay };
        }
        let (done, stuck) = match (&self.until, &unit.mover) {
            (Until::Rolled(note), Mover::Controller(_, controller)) => rolled(controller, note, self.why, unit),
            (Until::Rolled(_), _) => (true, false),
            (Until::Replaced { pods, ready }, _) => {
                let gone = !unit.misplaced.iter().map(|pod| pod.pod.uid).any(|pod| pods.contains(&pod))
                    && !unit.stale.iter().map(|pod| pod.pod.uid).any(|pod| pods.contains(&pod));
                // A Job is slow to count the pod as failed, and how many more it bears is decided by that.
                let counted = unit.kind() != Some(Kind::Job) || now >= self.since + COUNTED;
                (gone && counted && (self.why == Why::Stale || unit.pods.ready >= awaited(unit, *ready)), false)
            }
        };
        // However large it is: a rollout that goes on is not late, and Kubernetes says when one does not. One of which
        // somebody has taken the note away is none any more.
        let rolls = match (&self.until, &unit.mover) {
            (Until::Rolled(note), Mover::Controller(_, controller)) => {
                unit.kind() == Some(Kind::Deployment) && controller.migration.as_deref() == Some(note)
            }
            _ => false,
        };
        match (done, stuck || (late && !rolls)) {
            (true, _) => Progress::Done,
            (false, true) => Progress::Failed,
            (false, false) => Progress::UnderWay,
        }
    }
}

/// What `unit` is called, for events.
fn about(unit: &Unit<'_>) -> ObjectReference {
    workload_reference(unit.kind(), unit.kind_said(), unit.namespace, unit.name(), unit.uid)
}

/// How many pods of `unit` are to be ready after an eviction where `before` were: no more than it should still have.
fn awaited(unit: &Unit<'_>, before: u32) -> u32 {
    match &unit.mover {
        // Pods that have come to their end are not ready any more.
        Mover::Controller(_, Controller { form: Form::Job { .. }, .. }) => 0,
        Mover::Controller(_, controller) => before.min(controller.replicas),
        Mover::Foreign(_) | Mover::Nobody(..) => before,
    }
}

/// Whether `controller` has made all its pods by the template with `note`, and whether it has given up.
fn rolled(controller: &Controller, note: &str, why: Why, unit: &Unit<'_>) -> (bool, bool) {
    if controller.migration.as_deref() != Some(note) || !controller.observed {
        return (false, false);
    }
    match controller.form {
        _ if why == Why::Stale => (true, false),
        Form::Deployment { total, updated, available, stuck, .. } => {
            let wanted = controller.replicas;
            (updated >= wanted && total <= updated && available >= wanted, stuck)
        }
        _ => (unit.misplaced.is_empty(), false),
    }
}

/// What is done to `unit`, and why, in a sentence.
fn said(due: &Move<'_>, unit: &Unit<'_>) -> String {
    let how = match due.steps.as_slice() {
        [Step::Touch { kind: Kind::Deployment, .. }] => "its pods are replaced by a rollout".to_owned(),
        [Step::Touch { .. }] => "its template is completed".to_owned(),
        [Step::Evict { name, .. }] => format!("pod {name} is evicted"),
        steps => format!("{} pods are evicted", steps.len()),
    };
    let why = match due.why {
        Why::Stale => unit.stale.first().map(|stale| format!("pod {} waits for {}", stale.key, stale.keys())),
        Why::Violating | Why::Leaving => unit.misplaced.iter().find(|pod| pod.worst() != Footing::Sound).map(|pod| {
            let node = pod.pod.node.as_deref().unwrap_or_default();
            let asked = pod.unsatisfied().map(|(asked, _)| {
                let level = asked.need.as_ref().map_or("", |need| need.level.as_str());
                format!("level {level} of policy {}", asked.policy.name)
            });
            let asked = asked.collect::<Vec<_>>().join(" and ");
            let verb = if due.why == Why::Leaving { "is being withdrawn from" } else { "is not cleared for" };
            format!("node {node} {verb} {asked}")
        }),
    };
    match why {
        Some(why) => format!("{why}; {how}"),
        None => how,
    }
}
