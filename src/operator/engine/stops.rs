//! The breaker: when more of a level's pods than may be would be moved at one blow because recorded facts changed, nothing
//! moves until an officer says so.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::Hasher,
    sync::Arc,
    time::{Duration, Instant as Moment},
};

use fnv::FnvHasher;

use super::worn::Worn;
use crate::{
    api,
    operator::{
        index::{Index, Record},
        ruling::Ruling,
        write::Notice,
    },
};
use rempart_core::{
    breaker::{Baseline, Loss, losses},
    clearance::{Judge, World},
    instant::Instant,
    name::PoolName,
    places::{Place, claims},
    policy::Mode,
    selector::Labels,
    standing::{Footing, Subject, Survey},
};

/// For how long losses are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// What an officer writes on a policy to let a move go on.
pub const APPROVAL: &str = "rempart.dev/approve-move";
/// Of facts that change more often than this, not every state is kept.
const STRETCH: Duration = Duration::from_secs(3);
/// How many changes a stop names.
const NAMED: usize = 16;

/// An object's kind and name.
type Object = (&'static str, String);
/// Its identifier, and the generation of what it declares.
type Made = (Option<String>, Option<i64>);
/// Which objects there are.
type Facts = BTreeMap<Object, Made>;

/// The facts of one time.
#[derive(Clone, Debug)]
struct Epoch {
    since: Moment,
    world: Arc<World>,
    facts: Arc<Facts>,
}

/// What is remembered of facts, and what is stopped.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// The share of a level's pods that may be lost within the window, in percent.
    pub(super) share: u8,
    /// The facts of the last minute, the oldest first.
    history: VecDeque<Epoch>,
    /// When facts were first seen.
    origin: Option<Moment>,
    /// What was lost before they were.
    worn: Option<Worn>,
    /// By policy and level: a level keeps its name when others come before it.
    stopped: BTreeMap<(String, String), Stopped>,
    /// When an officer last let a move of a policy go on: what was before then is no measure for it any more.
    approved: BTreeMap<String, Moment>,
}

#[derive(Debug)]
struct Stopped {
    stop: api::MoveStop,
    /// The facts before the change; unknown where another replica stopped the move, and where none saw the change.
    before: Option<Epoch>,
}

impl Stops {
    /// Stops moves of more than `share` percent of a level's pods.
    pub(super) fn new(share: u8) -> Self {
        Self { share, ..Self::default() }
    }

    /// Takes in the facts of a new ruling.
    pub(super) fn note(&mut self, index: &Index, world: &Arc<World>, now: Moment) {
        if self.history.back().is_some_and(|last| Arc::ptr_eq(&last.world, world)) {
            return;
        }
        let epoch = Epoch { since: now, world: Arc::clone(world), facts: Arc::new(facts(index)) };
        self.history.push_back(epoch);
        self.origin.get_or_insert(now);
        self.forget(now);
    }

    /// Takes in what nodes carry when the first ruling is made: while no replica ran, nobody saw facts change.
    pub(super) fn first_look(&mut self, index: &Index, ruling: &Ruling, at: Instant, now: Moment) {
        self.worn = Worn::find(index, ruling, at, now);
    }

    /// Forgets what no longer held when the window began, and most of what followed fast upon each other.
    fn forget(&mut self, now: Moment) {
        self.worn = self.worn.take().filter(|worn| worn.since + WINDOW > now);
        while self.history.get(1).is_some_and(|second| second.since + WINDOW <= now) {
            self.history.pop_front();
        }
        // The newest, the one before it, and of the others the last of every few seconds.
        let Some(origin) = self.origin else { return };
        let stretch = |epoch: &Epoch| epoch.since.saturating_duration_since(origin).as_secs() / STRETCH.as_secs();
        let mut at = 0;
        while let (Some(this), Some(next), Some(_)) =
            (self.history.get(at), self.history.get(at + 1), self.history.get(at + 2))
        {
            if stretch(this) == stretch(next) {
                self.history.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Takes over what other replicas stopped.
    pub(super) fn take_over(&mut self, index: &Index) {
        self.stopped.clear();
        for (name, record) in index.policies.iter() {
            let Ok(object) = &record.object else { continue };
            for stop in object.status.iter().flat_map(|status| &status.stops) {
                let key = (name.clone(), stop.level.clone());
                self.stopped.insert(key, Stopped { stop: stop.clone(), before: None });
            }
        }
    }

    /// What is stopped of `policy`.
    pub(super) fn of(&self, policy: &str) -> Vec<api::MoveStop> {
        let all = self.stopped.iter().filter(|((name, _), _)| name == policy);
        all.map(|(_, stopped)| stopped.stop.clone()).collect()
    }

    /// Looks at what was lost, and says which levels must not be moved, and what to say of each.
    pub(super) fn update(
        &mut self,
        index: &Index,
        survey: &Survey<'_>,
        ruling: &Ruling,
        at: Instant,
        now: Moment,
        notices: &mut Vec<Notice>,
    ) -> BTreeMap<(String, String), String> {
        self.forget(now);
        self.release(index, survey, now);
        let violating: BTreeSet<&str> = survey
            .units
            .values()
            .flat_map(|unit| &unit.misplaced)
            .filter(|pod| pod.worst() == Footing::Violating)
            .filter_map(|pod| pod.pod.node.as_deref())
            .collect();
        // The facts by which most would stand right; of several, the latest, which the fewest changes separate from now.
        let mut worst: BTreeMap<Subject<'_>, (Loss, Epoch)> = BTreeMap::new();
        let ends = self.history.iter().skip(1).map(|next| Some(next.since)).chain([None]);
        for (epoch, end) in self.history.iter().zip(ends).filter(|_| !violating.is_empty()) {
            for (subject, loss) in lost(index, survey, epoch, ruling, &violating, at) {
                let approved = self.approved.get(subject.policy.as_str());
                if end.is_some_and(|end| approved.is_some_and(|since| end <= *since)) {
                    continue;
                }
                if worst.get(&subject).is_none_or(|(known, _)| loss.lost >= known.lost) {
                    worst.insert(subject, (loss, epoch.clone()));
                }
            }
        }
        let share = self.share;
        for (subject, (loss, before)) in worst.into_iter().filter(|(_, (loss, _))| loss.exceeds(share)) {
            self.stop(index, ruling, subject, &loss, &before, notices);
        }
        self.stop_unseen(index, survey, ruling, &violating, notices);
        self.stopped.iter().map(|(subject, stopped)| (subject.clone(), said(&subject.0, &stopped.stop))).collect()
    }

    /// Lets go on what an officer has approved, and what has nothing left to move.
    fn release(&mut self, index: &Index, survey: &Survey<'_>, now: Moment) {
        let violating: BTreeSet<(String, String)> = survey
            .units
            .values()
            .flat_map(|unit| &unit.misplaced)
            .flat_map(rempart_core::standing::Misplaced::violated)
            // Whether admission acts on it already or not: that is so after every restart and every change of bindings.
            .filter(|asked| asked.policy.mode == Mode::Enforce)
            .filter_map(rempart_core::standing::Asked::subject)
            .map(|subject| subject.named())
            .collect();
        let approved = &mut self.approved;
        self.stopped.retain(|level, stopped| {
            let (policy, _) = level;
            let says_so = word(index, policy) == Some(&stopped.stop.id);
            if says_so {
                tracing::info!(policy, level = stopped.stop.level, id = stopped.stop.id, "the move is approved");
                approved.insert(policy.clone(), now);
            }
            !says_so && violating.contains(level)
        });
        self.approved.retain(|_, since| *since + WINDOW > now);
    }

    fn stop(
        &mut self,
        index: &Index,
        ruling: &Ruling,
        subject: Subject<'_>,
        loss: &Loss,
        before: &Epoch,
        notices: &mut Vec<Notice>,
    ) {
        let key = subject.named();
        let known = self.stopped.get(&key);
        let before = known.and_then(|known| known.before.as_ref()).unwrap_or(before).clone();
        let involved = involved(index, ruling, &before, subject, loss);
        let mut changes = changes(&before.facts, &facts(index));
        changes.retain(|(object, ..)| involved.contains(object));
        let id = identify(&key.0, &changes);
        let known = known.is_some_and(|known| known.stop.id == id || known.before.is_none());
        if known || word(index, &key.0) == Some(&id) {
            return;
        }
        let stopped = Stopped { stop: stop_of(subject, loss, id, changes), before: Some(before) };
        self.begin(index, subject, stopped, notices);
    }

    /// Stops what changed while no replica ran: by what is left of it on the nodes.
    fn stop_unseen(
        &mut self,
        index: &Index,
        survey: &Survey<'_>,
        ruling: &Ruling,
        violating: &BTreeSet<&str>,
        notices: &mut Vec<Notice>,
    ) {
        let Some(worn) = self.worn.take() else { return };
        for (subject, loss) in worn.lost(index, survey, ruling, violating) {
            let policy = subject.policy.as_str();
            let known = self.stopped.contains_key(&subject.named());
            if known || self.approved.contains_key(policy) || !loss.exceeds(self.share) {
                continue;
            }
            let changes = unseen(worn.involved(policy, &loss), &facts(index));
            // What was there before is not known; the hour tells one loss of a name from the next.
            let id = identify(&format!("{policy} {}", worn.at), &changes);
            if word(index, policy) == Some(&id) {
                continue;
            }
            let stopped = Stopped { stop: stop_of(subject, &loss, id, changes), before: None };
            self.begin(index, subject, stopped, notices);
        }
        self.worn = Some(worn);
    }

    /// Nothing of `subject` moves from now on.
    fn begin(&mut self, index: &Index, subject: Subject<'_>, stopped: Stopped, notices: &mut Vec<Notice>) {
        let (key, stop) = (subject.named(), &stopped.stop);
        let note = said(&key.0, stop);
        tracing::warn!(policy = key.0, note, "moves are stopped");
        if let Some(record) = index.policies.get(&key.0) {
            let notice = Notice::of_policy(&key.0, record.meta.uid.clone(), crate::api::conditions::MOVE_STOPPED, note);
            notices.push(Notice { action: "Stop", warning: true, ..notice });
        }
        self.stopped.insert(key, stopped);
    }
}

/// The stop of a `loss` that follows from `changes`.
fn stop_of(subject: Subject<'_>, loss: &Loss, id: String, changes: Vec<(Object, String, String)>) -> api::MoveStop {
    api::MoveStop {
        id,
        level: subject.level.to_string(),
        pods: i32::try_from(loss.lost).unwrap_or(i32::MAX),
        of: i32::try_from(loss.total).unwrap_or(i32::MAX),
        changes: changes.into_iter().map(|(_, change, _)| change).take(NAMED).collect(),
    }
}

/// What may have changed of `involved` unseen: those that are gone, or, where none is, all of them.
fn unseen(involved: BTreeSet<Object>, now: &Facts) -> Vec<(Object, String, String)> {
    let gone = involved.iter().any(|object| !now.contains_key(object));
    let told = involved.into_iter().filter_map(|object| {
        let made = now.get(&object);
        let (kind, name) = &object;
        let change = match made {
            None => format!("{kind} {name} was gone when the operator started"),
            Some(_) if gone => return None,
            Some(_) => format!("{kind} {name} may have been changed while no operator ran"),
        };
        Some((object, change, format!("{made:?}")))
    });
    told.collect()
}

/// What an officer has written on `policy` to let a move go on.
fn word<'a>(index: &'a Index, policy: &str) -> Option<&'a String> {
    index.policies.get(policy)?.meta.annotations.as_ref()?.get(APPROVAL)
}

/// What an officer reads of `stop`.
pub(in crate::operator) fn said(policy: &str, stop: &api::MoveStop) -> String {
    let api::MoveStop { id, level, pods, of, changes } = stop;
    format!(
        "{pods} of {of} pods of level {level} would move at once, because {}; nothing moves until somebody runs: kubectl \
         annotate placementpolicy {policy} --overwrite {APPROVAL}={id}",
        changes.join(", ")
    )
}

fn facts(index: &Index) -> Facts {
    fn of<'a, K>(
        kind: &'static str,
        records: impl Iterator<Item = (&'a String, &'a Record<K>)>,
    ) -> impl Iterator<Item = (Object, Made)>
    where
        K: 'a,
    {
        records.map(move |(name, record)| ((kind, name.clone()), (record.meta.uid.clone(), record.meta.generation)))
    }
    of("CloudProvider", index.providers.iter())
        .chain(of("PlacementPool", index.pools.iter()))
        .chain(of("PlacementPolicy", index.policies.iter()))
        .collect()
}

/// What separates `now` from `then`: the object, in words, and what tells one such change from another.
fn changes(then: &Facts, now: &Facts) -> Vec<(Object, String, String)> {
    let altered = then.iter().filter_map(|(object, before)| {
        let (kind, name) = object;
        match now.get(object) {
            None => Some((object.clone(), format!("{kind} {name} is gone"), format!("gone, {before:?}"))),
            Some(after) if after != before => {
                Some((object.clone(), format!("{kind} {name} was changed"), format!("{after:?}")))
            }
            Some(_) => None,
        }
    });
    let new = now.iter().filter(|(object, _)| !then.contains_key(*object));
    let new = new.map(|(object, made)| {
        let (kind, name) = object;
        (object.clone(), format!("{kind} {name} is new"), format!("{made:?}"))
    });
    altered.chain(new).collect()
}

/// The objects that have a say in whether the nodes of `loss` are cleared: the policy, the pools that claimed them or do
/// now, and these pools' providers.
fn involved(index: &Index, ruling: &Ruling, before: &Epoch, subject: Subject<'_>, loss: &Loss) -> BTreeSet<Object> {
    let mut involved: BTreeSet<Object> = [("PlacementPolicy", subject.policy.to_string())].into();
    for node in loss.nodes.iter().filter_map(|name| index.nodes.get(name)) {
        let place = Place { labels: node, provider_id: node.provider_id.as_deref() };
        for world in [&before.world, &ruling.world] {
            for pool in claims(&world.catalogue.pools, place).by {
                involved.insert(("PlacementPool", pool.to_string()));
                let provider = world.catalogue.pools.get(pool).map(|pool| pool.provider.clone());
                involved.extend(provider.map(|provider| ("CloudProvider", provider)));
            }
        }
    }
    involved
}

/// A short name for what is stopped of `policy`: the same for the same changes, so that one word is enough for all of
/// its levels, and another for others.
fn identify(policy: &str, changes: &[(Object, String, String)]) -> String {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{policy} {changes:?}").as_bytes());
    format!("{:010x}", hasher.finish() & 0xff_ffff_ffff)
}

/// What each level lost since `before`, on the `nodes` where pods violate.
fn lost<'a>(
    index: &Index,
    survey: &Survey<'a>,
    before: &Epoch,
    ruling: &Ruling,
    nodes: &BTreeSet<&str>,
    at: Instant,
) -> BTreeMap<Subject<'a>, Loss> {
    if Arc::ptr_eq(&before.world, &ruling.world) {
        return BTreeMap::new();
    }
    let stamps: BTreeMap<PoolName, Labels> =
        Judge::new(&before.world).pools(at).map(|clearance| (clearance.pool.name.clone(), clearance.held())).collect();
    let nodes = nodes.iter().filter_map(|name| {
        let node = index.nodes.get(name)?;
        let place = Place { labels: node, provider_id: node.provider_id.as_deref() };
        Some((*name, stamps.get(claims(&before.world.catalogue.pools, place).owner()?)?))
    });
    let baseline = Baseline { policies: &before.world.policies, nodes: nodes.collect() };
    losses(&index.fleet(), survey, &baseline)
}
