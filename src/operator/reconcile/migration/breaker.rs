//! The circuit breaker: stops all moves of a level when more of its pods than may be would move at once because recorded
//! facts changed.
//!
//! It remembers the facts of the last minute and, given a report, counts which pods would stand right had they stayed. A
//! level that it stops stays so until an officer approves the move by an annotation, or nothing is left to move.

use crate::api::conditions;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::Hasher,
    sync::Arc,
    time::{Duration, Instant},
};

use fnv::FnvHasher;

use super::{
    departures::NodeDepartures,
    fact_changes::{FactKey, FactVersions, changes, control_plane_facts, facts},
    unobserved_loss::UnobservedLoss,
};
use crate::{
    api,
    operator::{
        cache::{ClusterCache, Revision},
        evaluate::Evaluation,
        write::EventRequest,
    },
};
use rempart_core::{
    breaker::{ClearanceLoss, LossBaseline, losses},
    clearance::{ClearanceInput, Judge},
    compliance::{Compliance, ComplianceReport},
    instant::Timestamp,
    name::{PolicyName, PoolName},
    pod_requirements::LevelRef,
    pool_membership::claims,
    selector::Labels,
};

/// For how long losses are counted together.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// What an officer writes on a policy to let a move go on.
pub const APPROVAL: &str = "rempart.dev/approve-move";
/// Of facts that change more often than this, not every state is kept.
const STRETCH: Duration = Duration::from_secs(3);
/// How many changes a stop names.
const NAMED: usize = 16;

/// The facts of one time.
#[derive(Clone, Debug)]
pub(super) struct FactsSnapshot {
    pub(super) since: Instant,
    pub(super) world: Arc<ClearanceInput>,
    facts: Arc<FactVersions>,
}

/// What an update of the breaker looks at.
#[derive(Clone, Copy)]
pub(super) struct BreakerInput<'a> {
    /// What was observed.
    pub(super) cache: &'a ClusterCache,
    /// What follows from it.
    pub(super) evaluation: &'a Evaluation,
    /// Where everything that runs stands.
    pub(super) report: &'a ComplianceReport<'a>,
    /// The wall clock.
    pub(super) wall: Timestamp,
    /// The monotonic clock.
    pub(super) now: Instant,
}

/// What is remembered of facts, and what is stopped.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    /// The share of a level's pods that may be lost within the window, in percent.
    share: u8,
    /// The facts of the last minute, the oldest first.
    history: VecDeque<FactsSnapshot>,
    /// When facts were first seen.
    origin: Option<Instant>,
    /// What was lost before they were.
    unobserved: Option<UnobservedLoss>,
    /// By policy and level: a level keeps its name when others come before it.
    stopped: BTreeMap<(String, String), OpenBreaker>,
    /// How often what is stopped has changed.
    revision: Revision,
    /// When an officer last let a move of a policy go on: what was before then is no measure for it any more.
    approved: BTreeMap<String, Instant>,
    departures: NodeDepartures,
}

#[derive(Debug)]
struct OpenBreaker {
    stop: api::MoveStop,
    /// The facts before the change; unknown where another replica stopped the move, and where none saw the change.
    before: Option<FactsSnapshot>,
    /// Whether it is about pods too that still stand where they may; taken to be so where another replica stopped it.
    is_ahead: bool,
}

impl CircuitBreaker {
    /// A breaker that stops moves of more than `share` percent of a level's pods.
    pub fn new(share: u8) -> Self {
        Self { share, ..Self::default() }
    }

    /// Takes in the facts of a new evaluation.
    pub fn observe_facts(&mut self, cache: &ClusterCache, world: &Arc<ClearanceInput>, now: Instant) {
        if self.history.back().is_some_and(|last| Arc::ptr_eq(&last.world, world)) {
            return;
        }
        let epoch = FactsSnapshot { since: now, world: Arc::clone(world), facts: Arc::new(facts(cache)) };
        self.history.push_back(epoch);
        self.origin.get_or_insert(now);
        self.forget(now);
    }

    /// Takes in what nodes carry when a replica begins to lead. Whoever led before left them so, and facts that changed while
    /// nobody led were seen by nobody who could stop a move: by a replica that stood by they may be forgotten.
    pub fn look_back(&mut self, cache: &ClusterCache, evaluation: &Evaluation, at: Timestamp, now: Instant) {
        self.unobserved = UnobservedLoss::find(cache, evaluation, at, now);
    }

    /// Forgets what no longer held when the window began, and most of what followed fast upon each other.
    fn forget(&mut self, now: Instant) {
        self.unobserved = self.unobserved.take().filter(|unobserved| unobserved.since + WINDOW > now);
        while self.history.get(1).is_some_and(|second| second.since + WINDOW <= now) {
            self.history.pop_front();
        }
        // The newest, the one before it, and of the others the last of every few seconds.
        let Some(origin) = self.origin else { return };
        let stretch =
            |epoch: &FactsSnapshot| epoch.since.saturating_duration_since(origin).as_secs() / STRETCH.as_secs();
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
    pub fn take_over(&mut self, cache: &ClusterCache) {
        self.revision.bump();
        self.stopped.clear();
        for (name, record) in cache.policies.iter() {
            let Ok(object) = &record.object else { continue };
            for stop in object.status.iter().flat_map(|status| &status.stops) {
                let key = (name.clone(), stop.level.clone());
                self.stopped.insert(key, OpenBreaker { stop: stop.clone(), before: None, is_ahead: true });
            }
        }
    }

    /// How often what is stopped has changed.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What is stopped of `policy`.
    pub fn of(&self, policy: &str) -> Vec<api::MoveStop> {
        let all = self.stopped.iter().filter(|((name, _), _)| name == policy);
        all.map(|(_, stopped)| stopped.stop.clone()).collect()
    }

    /// Looks at what was lost, and says which levels must not be moved, and what to say of each.
    pub(super) fn update(
        &mut self,
        input: BreakerInput<'_>,
        events: &mut Vec<EventRequest>,
    ) -> BTreeMap<(String, String), String> {
        let BreakerInput { cache, evaluation, report, wall: at, now } = input;
        self.forget(now);
        self.departures.observe(cache, now);
        self.release(cache, report, now);
        let violating: BTreeSet<&str> = report
            .workloads
            .values()
            .flat_map(|unit| &unit.misplaced)
            .filter(|pod| pod.worst() != Compliance::Compliant)
            .filter_map(|pod| pod.pod.node.as_deref())
            .collect();
        // The facts by which most would stand right; of several, the latest, which the fewest changes separate from now.
        let mut worst: BTreeMap<LevelRef<'_>, (ClearanceLoss, FactsSnapshot)> = BTreeMap::new();
        let ends = self.history.iter().skip(1).map(|next| Some(next.since)).chain([None]);
        for (epoch, end) in self.history.iter().zip(ends).filter(|_| !violating.is_empty()) {
            let then = Then { epoch, departures: &self.departures, at };
            for (subject, loss) in lost(cache, report, then, evaluation, &violating) {
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
            self.stop(input, subject, &loss, &before, events);
        }
        self.stop_unobserved(input, &violating, events);
        self.stopped
            .iter()
            .map(|(subject, stopped)| (subject.clone(), stop_message(&subject.0, &stopped.stop)))
            .collect()
    }

    /// Lets go on what an officer has approved, and what has nothing left to move.
    fn release(&mut self, cache: &ClusterCache, report: &ComplianceReport<'_>, now: Instant) {
        let (mut violating, mut leaving) = (BTreeSet::new(), BTreeSet::new());
        let misplaced = report.workloads.values().flat_map(|unit| &unit.misplaced);
        for (required, compliance) in misplaced.flat_map(rempart_core::compliance::MisplacedPod::unsatisfied) {
            let level = required.level().map(|level| level.named());
            match compliance {
                Compliance::Violating => violating.extend(level),
                Compliance::Expiring => leaving.extend(level),
                Compliance::Compliant => {}
            }
        }
        let (approved, before) = (&mut self.approved, self.stopped.len());
        self.stopped.retain(|level, stopped| {
            let (policy, _) = level;
            let says_so = approval(cache, policy) == Some(&stopped.stop.id);
            if says_so {
                tracing::info!(policy, level = stopped.stop.level, id = stopped.stop.id, "the move is approved");
                approved.insert(policy.clone(), now);
            }
            // Nobody knows of which level those are that it does not know any more.
            let is_unjudged = report.unjudged.keys().any(|name| name.as_str() == policy);
            let is_left = violating.contains(level) || (stopped.is_ahead && leaving.contains(level));
            !says_so && (is_left || is_unjudged)
        });
        if self.stopped.len() != before {
            self.revision.bump();
        }
        self.approved.retain(|_, since| *since + WINDOW > now);
    }

    fn stop(
        &mut self,
        input: BreakerInput<'_>,
        subject: LevelRef<'_>,
        loss: &ClearanceLoss,
        before: &FactsSnapshot,
        events: &mut Vec<EventRequest>,
    ) {
        let BreakerInput { cache, evaluation, .. } = input;
        let key = subject.named();
        let known = self.stopped.get(&key);
        let before = known.and_then(|known| known.before.as_ref()).unwrap_or(before).clone();
        let involved = involved(cache, evaluation, &before, subject, loss);
        let mut changes = changes(&before.facts, &facts(cache));
        changes.retain(|(object, ..)| involved.contains(object));
        changes.extend(self.departures.told(&loss.nodes, &before, cache));
        let id = identify(&key.0, &changes);
        let known = known.is_some_and(|known| known.stop.id == id);
        // What is lost beside what another replica stopped is no part of what an officer reads there.
        if known || approval(cache, &key.0) == Some(&id) {
            return;
        }
        let stop = stop_of(subject, loss, id, changes);
        let stopped = OpenBreaker { stop, before: Some(before), is_ahead: loss.is_ahead };
        self.open(input, subject, stopped, events);
    }

    /// Stops what changed while no replica ran, by the clearance labels that nodes have lost.
    fn stop_unobserved(&mut self, input: BreakerInput<'_>, violating: &BTreeSet<&str>, events: &mut Vec<EventRequest>) {
        let BreakerInput { cache, evaluation, report, .. } = input;
        let Some(unobserved) = self.unobserved.take() else { return };
        for (subject, loss) in unobserved.lost(cache, report, evaluation, violating) {
            let policy = subject.policy.as_str();
            let known = self.stopped.contains_key(&subject.named());
            if known || self.approved.contains_key(policy) || !loss.exceeds(self.share) {
                continue;
            }
            let mut involved = unobserved.involved(policy, &loss);
            involved.extend(control_plane_facts(&evaluation.world, subject));
            let changes = unobserved_changes(involved, &facts(cache));
            // What was there before is not known; the hour tells one loss of a name from the next.
            let id = identify(&format!("{policy} {}", unobserved.at), &changes);
            if approval(cache, policy) == Some(&id) {
                continue;
            }
            let stop = stop_of(subject, &loss, id, changes);
            let stopped = OpenBreaker { stop, before: None, is_ahead: loss.is_ahead };
            self.open(input, subject, stopped, events);
        }
        self.unobserved = Some(unobserved);
    }

    /// Nothing of `subject` moves from now on.
    fn open(
        &mut self,
        input: BreakerInput<'_>,
        subject: LevelRef<'_>,
        stopped: OpenBreaker,
        events: &mut Vec<EventRequest>,
    ) {
        let (key, stop) = (subject.named(), &stopped.stop);
        let note = stop_message(&key.0, stop);
        tracing::warn!(policy = key.0, note, "moves are stopped");
        if let Some(record) = input.cache.policies.get(&key.0) {
            let event =
                EventRequest::of_policy(&key.0, record.meta.uid.clone(), conditions::MOVE_STOPPED, note, input.wall);
            events.push(EventRequest { action: "Stop", warning: true, ..event });
        }
        self.stopped.insert(key, stopped);
        self.revision.bump();
    }
}

/// The stop of a `loss` that follows from `changes`.
fn stop_of(
    subject: LevelRef<'_>,
    loss: &ClearanceLoss,
    id: String,
    changes: Vec<(FactKey, String, String)>,
) -> api::MoveStop {
    api::MoveStop {
        id,
        level: subject.level.to_string(),
        pods: i32::try_from(loss.lost).unwrap_or(i32::MAX),
        of: i32::try_from(loss.total).unwrap_or(i32::MAX),
        changes: changes.into_iter().map(|(_, change, _)| change).take(NAMED).collect(),
    }
}

/// What may have changed of `involved` unseen: those that are gone, or, where none is, all of them.
fn unobserved_changes(involved: BTreeSet<FactKey>, now: &FactVersions) -> Vec<(FactKey, String, String)> {
    let gone = involved.iter().any(|object| !now.contains_key(object));
    let told = involved.into_iter().filter_map(|object| {
        let made = now.get(&object);
        let (kind, name) = &object;
        let change = match made {
            None => format!("{kind} {name} was gone when the operator started"),
            Some(_) if gone => return None,
            Some(_) => format!("{kind} {name} may have been changed while no operator led"),
        };
        Some((object, change, format!("{made:?}")))
    });
    told.collect()
}

/// What an officer has written on `policy` to let a move go on.
fn approval<'a>(cache: &'a ClusterCache, policy: &str) -> Option<&'a String> {
    cache.policies.get(policy)?.meta.annotations.as_ref()?.get(APPROVAL)
}

/// What an officer reads of `stop`.
#[must_use]
pub fn stop_message(policy: &str, stop: &api::MoveStop) -> String {
    let api::MoveStop { id, level, pods, of, changes } = stop;
    format!(
        "{pods} of {of} pods of level {level} would move at once, because {}; nothing moves until somebody runs: kubectl \
         annotate placementpolicy {policy} --overwrite {APPROVAL}={id}",
        changes.join(", ")
    )
}

/// The objects that have a say in whether the nodes of `loss` are cleared: the policy, the pools that claimed them or do
/// now, those of the control plane where it counts, and these pools' providers.
fn involved(
    cache: &ClusterCache,
    evaluation: &Evaluation,
    before: &FactsSnapshot,
    subject: LevelRef<'_>,
    loss: &ClearanceLoss,
) -> BTreeSet<FactKey> {
    let mut involved: BTreeSet<FactKey> = [("PlacementPolicy", subject.policy.to_string())].into();
    for world in [&before.world, &evaluation.world] {
        involved.extend(control_plane_facts(world, subject));
    }
    for node in loss.nodes.iter().filter_map(|name| cache.nodes.get(name)) {
        let place = node.identity();
        for world in [&before.world, &evaluation.world] {
            for pool in claims(&world.catalogue.pools, place).by {
                involved.insert(("PlacementPool", pool.to_string()));
                let provider = world.catalogue.pools.get(pool).map(|pool| pool.provider.clone());
                involved.extend(provider.map(|provider| ("CloudProvider", provider)));
            }
        }
    }
    involved
}

/// A short name for what is stopped of `policy`: the same for the same changes, so that one approval is enough for all of
/// its levels, and another for others.
fn identify(policy: &str, changes: &[(FactKey, String, String)]) -> String {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{policy} {changes:?}").as_bytes());
    format!("{:010x}", hasher.finish() & 0xff_ffff_ffff)
}

/// Whether a policy has another lead time by `then` than by `now`.
fn leads_differ(then: &ClearanceInput, now: &ClearanceInput) -> bool {
    let leads = |input: &ClearanceInput, name: &PolicyName| {
        let policy = input.policies.get(name)?;
        Some(policy.levels.iter().map(|level| level.on_loss.lead).collect::<Vec<_>>())
    };
    now.policies.keys().any(|name| leads(then, name) != leads(now, name))
}

/// The time that is compared with now.
#[derive(Clone, Copy)]
struct Then<'a> {
    /// Its facts.
    epoch: &'a FactsSnapshot,
    /// The nodes that have left their pools since.
    departures: &'a NodeDepartures,
    /// The day, which is today in both.
    at: Timestamp,
}

/// What each level lost since `then`, on the `nodes` where pods violate.
fn lost<'a>(
    cache: &ClusterCache,
    report: &ComplianceReport<'a>,
    Then { epoch: before, departures, at }: Then<'_>,
    evaluation: &Evaluation,
    nodes: &BTreeSet<&str>,
) -> BTreeMap<LevelRef<'a>, ClearanceLoss> {
    if Arc::ptr_eq(&before.world, &evaluation.world) && departures.is_empty() {
        return BTreeMap::new();
    }
    let pools = &before.world.catalogue.pools;
    let owners = nodes.iter().filter_map(|name| {
        if let Some(pool) = departures.since(name, before, cache) {
            return Some((*name, pool.clone()));
        }
        let node = cache.nodes.get(name)?;
        let place = node.identity();
        Some((*name, claims(pools, place).owner()?.clone()))
    });
    let owners: BTreeMap<&str, PoolName> = owners.collect();
    // Of pools in which nothing violates nothing is lost that matters here.
    let (judge, mut stamps) = (Judge::new(&before.world), BTreeMap::<&PoolName, Labels>::new());
    for pool in owners.values().filter_map(|owner| pools.get(owner)) {
        stamps.entry(&pool.name).or_insert_with(|| judge.retained(pool, at));
    }
    let mut led = BTreeMap::<&PoolName, Labels>::new();
    if leads_differ(&before.world, &evaluation.world) {
        let judged = judge.pools_where(at, |name| evaluation.has_nodes(name));
        led.extend(judged.into_iter().map(|found| (&found.pool.name, found.stamps())));
    }
    let nodes = owners.iter().filter_map(|(name, owner)| Some((*name, stamps.get(owner)?)));
    let leading = owners.iter().filter_map(|(name, owner)| Some((*name, led.get(owner)?)));
    let baseline = LossBaseline { policies: &before.world.policies, nodes: nodes.collect(), led: leading.collect() };
    losses(&cache.objects(), report, &baseline)
}
