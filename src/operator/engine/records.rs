//! Keeps the record of every workload that a policy governs: a `WorkloadPlacement` each.
//!
//! A pass looks at everything that runs and notes what differs from the records that are there. It is made when
//! something has changed, and at most every [`PACE`]; whatever happened in between is one write for each record. What is
//! to be written is worked out for a few hundred records at a time: those of a large cluster do not find room at once.

mod entry;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant as Moment},
};

use serde_json::json;

use self::entry::{Entry, Of, entries, exists, levels};
pub(in crate::operator) use self::entry::{Running, Standings};
use super::{Engine, ground::Basis, statuses::whole_seconds};
use crate::api::conditions;
use crate::{
    api,
    operator::{
        index::Index,
        node::Membership,
        record::{self, Content, Motion, Recorded, Said, Subject},
        ruling::{Ruling, time},
        write::{Key, Notice, Write},
    },
};
use rempart_core::{
    clearance::PoolClearance,
    fleet::{Fleet, Uid, split},
    instant::Instant,
    plan::{Assume, Estate, Free, NodeOf, Outcome, Planner},
    selector::{LabelSource, Labels},
    standing::survey,
    workload::Workload,
};

/// How often everything that runs is looked at while it keeps changing.
const PACE: Duration = Duration::from_secs(2);
/// Records that wait, worked out, to be written.
const READY: usize = 256;
/// Workloads that are judged at a time.
const CHUNK: usize = 128;
/// Records that are written at a time.
const CONCURRENCY: usize = 8;

/// How the records stand.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Whether something has changed since everything was looked at.
    due: bool,
    /// Whether the last pass found more to write than it worked out.
    more: bool,
    not_before: Option<Moment>,
    ready: VecDeque<(Key, Write)>,
    /// What the records that are right follow from, as a number.
    follows_from: BTreeMap<String, u64>,
    /// When a record was last asked for.
    asked: BTreeMap<String, Moment>,
    /// What runs of the levels of each policy, least sensitive first.
    pub(super) levels: Standings,
}

impl Records {
    /// Something has changed that records may follow from.
    pub(super) fn look(&mut self) {
        self.due = true;
    }

    /// The record `name` was seen, or seen to be gone.
    pub(super) fn seen(&mut self, name: &str) {
        self.follows_from.remove(name);
        self.due = true;
    }

    /// Everything is to be compared anew.
    pub(super) fn anew(&mut self) {
        let levels = std::mem::take(&mut self.levels);
        *self = Self { due: true, levels, ..Self::default() };
    }
}

/// The cluster as it is followed.
struct Followed<'a> {
    ruling: &'a Ruling,
    index: &'a Index,
    exempt: &'a BTreeSet<String>,
}

impl Estate for Followed<'_> {
    fn world(&self) -> &rempart_core::clearance::World {
        &self.ruling.world
    }

    fn namespace(&self, name: &str) -> (Labels, bool) {
        let known = self.index.namespaces.get(name);
        (known.map(|known| known.labels.clone()).unwrap_or_default(), known.is_some())
    }

    fn is_exempt(&self, namespace: &str) -> bool {
        self.exempt.contains(namespace)
    }

    fn labels_of(&self, node: &str) -> Option<&dyn LabelSource> {
        self.index.nodes.get(node).map(|node| node as &dyn LabelSource)
    }
}

/// What the record of `entry` follows from, beside what all do, as a number.
fn follows_from(entry: &Entry<'_, '_>, base: u64, motion: &Motion, estate: &Followed<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let (tally, nodes, misplaced) = entry.pods();
    (base, entry.uid, tally, nodes, motion).hash(&mut hasher);
    for pod in misplaced {
        (pod.key, &pod.pod.node, &*pod.footings).hash(&mut hasher);
    }
    match &entry.of {
        Of::Controller(found, _) => (&found.saying, &found.said, &found.wants, found.owner.is_some()).hash(&mut hasher),
        Of::Pod(_, found, _) => (&found.said, &found.wants).hash(&mut hasher),
    }
    estate.index.namespaces.get(&entry.identity.namespace).map(|known| &known.labels).hash(&mut hasher);
    hasher.finish()
}

/// What there is to tell of a workload whose record was `before`.
fn notices(entry: &Entry<'_, '_>, before: Option<&Recorded>, said: &[Said; 3]) -> Vec<Notice> {
    let held =
        |index: usize| before.and_then(|before| before.since.get(index).copied().flatten()).map(|(held, _)| held);
    let [placeable, compliant, migrating] = said;
    let blocked = !placeable.holds && held(0) != Some(false);
    // Of what is seen for the first time nobody knows whether it ever stood right.
    let lost = !compliant.holds && held(1) == Some(true);
    let stopped = migrating.reason == record::STOPPED && !before.is_some_and(|before| before.stopped);
    [
        (blocked, conditions::PLACEMENT_BLOCKED, placeable),
        (lost, conditions::CLEARANCE_LOST, compliant),
        (stopped, record::STOPPED, migrating),
    ]
    .into_iter()
    .filter(|(due, ..)| *due)
    .map(|(_, reason, said)| Notice::of_workload(&entry.identity, entry.uid, reason, said.message.clone()))
    .collect()
}

fn body(name: &str, entry: &Entry<'_, '_>, status: &api::WorkloadPlacementStatus) -> serde_json::Value {
    let (namespace, name) = split(name);
    json!({
        "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
        "kind": "WorkloadPlacement",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": [{
                "apiVersion": entry.identity.kind.api_version(),
                "kind": entry.identity.kind.as_str(),
                "name": &*entry.identity.name,
                "uid": entry.uid.to_string(),
                "controller": false,
                "blockOwnerDeletion": false,
            }],
        },
        "status": status,
    })
}

impl Engine {
    /// Asks for the records that are not what they should be.
    pub(super) fn plan_records(&mut self, at: Instant, now: Moment, due: &mut Vec<(Key, Write)>) {
        let writing = self.under_way.keys().filter(|key| matches!(key, Key::Record(_))).count();
        let mut free = CONCURRENCY.saturating_sub(writing);
        let waits = self.records.not_before.is_some_and(|not_before| not_before > now);
        let again = self.records.more && self.records.ready.is_empty() && free > 0;
        if again || (self.records.due && !waits) {
            self.look_at_all(at, now);
        }
        while free > 0 {
            let Some(next) = self.records.ready.pop_front() else { break };
            due.push(next);
            free = free.saturating_sub(1);
        }
        if self.records.due {
            self.wake_at(self.records.not_before);
        }
    }

    fn look_at_all(&mut self, at: Instant, now: Moment) {
        let basis = Basis::new(&self.index, &self.ruling, self.admission.settled(), &self.settings.exempt);
        let ground = basis.ground();
        let fleet = self.index.fleet();
        let survey = survey(&fleet, &ground);
        let entries = entries(&fleet, &survey);
        let levels = levels(&survey, &entries, &self.ruling, &self.index.records);
        let estate = Followed { ruling: &self.ruling, index: &self.index, exempt: ground.exempt };
        let pass = Pass { entries: &entries, estate: &estate, motions: &self.motions, at, now };
        pass.compare(&mut self.records);
        pass.end(&fleet, &mut self.records);
        for (key, _) in &self.records.ready {
            if let Key::Record(name) = key {
                self.records.asked.insert(name.clone(), now);
            }
        }
        self.records.follows_from.retain(|name, _| entries.contains_key(name));
        self.metrics.surveyed(&self.ruling, &levels);
        if self.records.levels != levels {
            self.records.levels = levels;
            self.statuses_due = true;
        }
    }
}

/// One look at everything.
struct Pass<'e, 's, 'a> {
    entries: &'e BTreeMap<String, Entry<'s, 'a>>,
    estate: &'e Followed<'a>,
    motions: &'e BTreeMap<Uid, Motion>,
    at: Instant,
    now: Moment,
}

impl Pass<'_, '_, '_> {
    /// Works out what is to be written.
    fn compare(&self, records: &mut Records) {
        let Self { entries, estate, motions, at, now } = *self;
        records.asked.retain(|_, asked| *asked + PACE > now);
        (records.due, records.more, records.not_before) = (false, false, Some(now + PACE));
        records.ready.clear();
        let (pools, still) = (estate.ruling.clearances(at), Motion::default());
        let nodes = nodes(estate.index, &pools);
        let base = base(estate);
        let mut changed = Vec::new();
        for (name, entry) in entries {
            let motion = motions.get(&entry.uid).unwrap_or(&still);
            let from = follows_from(entry, base, motion, estate);
            if records.follows_from.get(name) == Some(&from) {
                continue;
            }
            if records.asked.contains_key(name) {
                // Written a moment ago: it has its turn in the next pass.
                records.due = true;
                continue;
            }
            changed.push((name, entry, motion, from));
        }
        for chunk in changed.chunks(CHUNK) {
            if records.ready.len() >= READY {
                records.more = true;
                break;
            }
            let workloads: Vec<Workload> = chunk.iter().map(|(_, entry, ..)| entry.workload()).collect();
            let mut scribe = Scribe::new(estate, &pools, &nodes);
            for ((name, entry, motion, from), workload) in chunk.iter().zip(&workloads) {
                let content = scribe.write(workload, entry, motion);
                let before = estate.index.records.get(name);
                if before.is_some_and(|before| before.digest == content.digest && before.owner == entry.uid) {
                    records.follows_from.insert((*name).clone(), *from);
                    continue;
                }
                let notices = notices(entry, before, &content.said);
                let body = body(name, entry, &content.status(before, &time(whole_seconds(at))));
                records.ready.push_back((Key::Record((*name).clone()), Write::Record { body, notices }));
            }
        }
    }

    /// Has records ended whose workloads no policy governs any more.
    fn end(&self, fleet: &Fleet<'_>, records: &mut Records) {
        for (name, found) in self.estate.index.records.iter().filter(|(name, _)| !self.entries.contains_key(*name)) {
            // With its workload it is ended by the garbage collector.
            if exists(fleet, name, found.owner) && !records.asked.contains_key(name) {
                records.ready.push_back((Key::Record(name.clone()), Write::Delete { version: found.version }));
            }
        }
    }
}

/// Whose each node is.
fn nodes<'a>(index: &'a Index, pools: &[PoolClearance<'_>]) -> BTreeMap<&'a str, NodeOf> {
    let places: BTreeMap<_, _> = pools.iter().enumerate().map(|(place, pool)| (&pool.pool.name, place)).collect();
    let of = |membership: &Membership| match membership {
        Membership::Of(pool) => places.get(pool).map_or(NodeOf::Nobody, |place| NodeOf::Pool(*place)),
        Membership::Disputed(_) => NodeOf::Disputed,
        Membership::None | Membership::Unproven(_) => NodeOf::Nobody,
    };
    index.nodes.iter().map(|(name, node)| (name.as_str(), of(&node.membership))).collect()
}

/// What all records follow from, as a number.
fn base(estate: &Followed<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    estate.ruling.serial.hash(&mut hasher);
    for (name, node) in estate.index.nodes.iter() {
        name.hash(&mut hasher);
        node.hash_place(&mut hasher);
    }
    hasher.finish()
}

/// Judges workloads, and works out what their records should say.
struct Scribe<'a, 'p> {
    nodes: &'p BTreeMap<&'a str, NodeOf>,
    planner: Planner<'a, 'p>,
    /// As if every policy were in Enforce.
    enforced: Planner<'a, 'p>,
}

impl<'a, 'p> Scribe<'a, 'p> {
    fn new(estate: &'a Followed<'a>, pools: &'p [PoolClearance<'a>], nodes: &'p BTreeMap<&'a str, NodeOf>) -> Self {
        let planner = |assume| Planner::new(estate, assume, pools, nodes);
        Self { nodes, planner: planner(Assume::default()), enforced: planner(Assume { enforced: true }) }
    }

    fn write(&mut self, workload: &'a Workload, entry: &Entry<'_, '_>, motion: &Motion) -> Content {
        let (pods, nodes, misplaced) = entry.pods();
        let subject = Subject { pods, nodes: &nodes, misplaced: &misplaced, motion };
        let pool_of = |node: &str| match self.nodes.get(node) {
            Some(NodeOf::Pool(pool)) => Some(*pool),
            _ => None,
        };
        let planned = self.planner.workload(workload);
        if planned.outcome != Outcome::Unrestricted(Free::NotEnforced) {
            return Content::new(self.planner.outlook(), &planned, None, &subject, &pool_of);
        }
        // What a policy that only watches would do is what it is there to tell.
        let aside = self.planner.outlook().message(&planned);
        let planned = self.enforced.workload(workload);
        Content::new(self.enforced.outlook(), &planned, Some(&aside), &subject, &pool_of)
    }
}
