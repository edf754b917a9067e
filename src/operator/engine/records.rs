//! Keeps the record of every workload that a policy governs: a `WorkloadPlacement` each.
//!
//! A pass looks at everything that runs and notes what differs from the records that are there. It is made when
//! something has changed, and at most every [`PACE`]; whatever happened in between is one write for each record. What is
//! to be written is worked out for a few hundred records at a time: those of a large cluster do not find room at once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant as Moment},
};

use serde_json::json;

use super::{Engine, ground, whole_seconds};
use crate::{
    api,
    core::{
        clearance::{Judge, PoolClearance},
        fleet::{Controller, Fleet, Pod, Uid, split},
        instant::Instant,
        name::PolicyName,
        plan::{Assume, Estate, Free, NodeOf, Outcome, Planner},
        selector::{LabelSource, Labels},
        standing::{self, Footing, Ground, Misplaced, Mover, Survey, Tally, Unit, survey},
        workload::{Identity, Kind, Workload},
    },
    operator::{
        index::Index,
        node::Membership,
        record::{self, Content, Motion, Recorded, Said, Subject},
        ruling::{Ruling, time},
        write::{Key, Notice, Write},
    },
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
    /// How many workloads and violating pods each level of each policy has, least sensitive first.
    pub(super) levels: Standings,
}

/// How many workloads and violating pods each level of each policy has, least sensitive first.
type Standings = BTreeMap<String, Vec<(i32, i32)>>;

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
    fn world(&self) -> &crate::core::clearance::World {
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

/// A workload of which there is to be a record.
struct Entry<'s, 'a> {
    identity: Identity,
    uid: Uid,
    of: Of<'s, 'a>,
}

enum Of<'s, 'a> {
    /// What makes pods, by itself or, as a `CronJob`, by way of these too.
    Controller(&'a Controller, Vec<&'s Unit<'a>>),
    /// A pod, found by this name, that nothing known makes, of this unit.
    Pod(&'a str, &'a Pod, &'s Unit<'a>),
}

impl<'s, 'a> Entry<'s, 'a> {
    fn workload(&self) -> Workload {
        let (workload, pod, wants) = match &self.of {
            Of::Controller(controller, _) => (&controller.saying, &controller.said.pod, &controller.wants),
            Of::Pod(_, pod, _) => (&pod.said.workload, &pod.said.pod, &pod.wants),
        };
        // Of what another's template made, that template speaks.
        let workload = match &self.of {
            Of::Controller(controller, _) if controller.owner.is_some() => &controller.said.workload,
            _ => workload,
        };
        Workload {
            identity: self.identity.clone(),
            workload: workload.clone(),
            pod: pod.clone(),
            misplaced: Vec::new(),
            node_name: None,
            wants: (**wants).clone(),
            runs_on: Vec::new(),
        }
    }

    fn pods(&self) -> (Tally, BTreeMap<&'a str, u32>, Vec<&'s Misplaced<'a>>) {
        let (mut tally, mut nodes, mut misplaced) = (Tally::default(), BTreeMap::<&str, u32>::new(), Vec::new());
        match &self.of {
            Of::Controller(_, units) => {
                for unit in units {
                    tally.add(&unit.pods);
                    for (node, pods) in &unit.nodes {
                        let count = nodes.entry(node).or_default();
                        *count = count.saturating_add(*pods);
                    }
                    misplaced.extend(&unit.misplaced);
                }
            }
            Of::Pod(key, pod, unit) => {
                let found = unit.misplaced.binary_search_by(|found| found.key.cmp(key)).ok();
                let found = found.and_then(|at| unit.misplaced.get(at));
                let worst = found.and_then(|found| found.footings.iter().copied().max()).unwrap_or(Footing::Sound);
                let one = Tally {
                    total: 1,
                    placed: u32::from(pod.node.is_some()),
                    ready: u32::from(pod.is_ready()),
                    ..Tally::default()
                };
                tally = one.standing(worst);
                nodes.extend(pod.node.as_deref().map(|node| (node, 1)));
                misplaced.extend(found);
            }
        }
        (tally, nodes, misplaced)
    }
}

/// The records that there are to be, by namespace and name.
fn entries<'s, 'a>(fleet: &Fleet<'a>, survey: &'s Survey<'a>) -> BTreeMap<String, Entry<'s, 'a>> {
    let mut entries: BTreeMap<String, Entry<'s, 'a>> = BTreeMap::new();
    let mut foreign: BTreeMap<Uid, &'s Unit<'a>> = BTreeMap::new();
    let governed = survey.units.values().filter(|unit| !unit.needs.ungoverned());
    for unit in governed {
        match unit.mover {
            Mover::Controller(name, controller) => {
                // The jobs of a CronJob come and go: what there is to say of them is said of it.
                let above = controller.owner.as_deref().filter(|_| controller.form.kind() == Kind::Job);
                let above = above.and_then(|above| Some((above, fleet.controller(unit.namespace, above)?)));
                let (name, top) = above.map_or((name, controller), |(above, top)| (&*above.name, top));
                let kind = top.form.kind();
                let identity = Identity { namespace: unit.namespace.into(), kind, name: name.into() };
                let entry = entries.entry(key(&identity)).or_insert_with(|| Entry {
                    identity,
                    uid: top.uid,
                    of: Of::Controller(top, Vec::new()),
                });
                if let Of::Controller(_, units) = &mut entry.of {
                    units.push(unit);
                }
            }
            Mover::Foreign(_) | Mover::Nobody(..) => drop(foreign.insert(unit.uid, unit)),
        }
    }
    if foreign.is_empty() {
        return entries;
    }
    for (path, pod) in fleet.pods.iter().filter(|(_, pod)| pod.counts()) {
        let owner = pod.owner.as_ref().map_or(pod.uid, |owner| owner.uid);
        let Some(unit) = foreign.get(&owner) else { continue };
        let (namespace, name) = split(path);
        let identity = Identity { namespace: namespace.into(), kind: Kind::Pod, name: name.into() };
        entries.insert(key(&identity), Entry { identity, uid: pod.uid, of: Of::Pod(path, pod, unit) });
    }
    entries
}

fn key(identity: &Identity) -> String {
    format!("{}/{}", identity.namespace, record::name(identity))
}

/// How many workloads and violating pods each level of each policy has.
fn levels(survey: &Survey<'_>, entries: &BTreeMap<String, Entry<'_, '_>>, ruling: &Ruling) -> Standings {
    let policies = ruling.world.policies.iter();
    let mut levels: Standings =
        policies.map(|(name, policy)| (name.to_string(), vec![(0, 0); policy.levels.iter().len()])).collect();
    let mut add = |subject: &standing::Subject<'_>, workloads: i32, violating: u32| {
        let Some(found) = levels.get_mut(subject.policy.as_str()).and_then(|found| found.get_mut(subject.rank)) else {
            return;
        };
        found.0 = found.0.saturating_add(workloads);
        found.1 = found.1.saturating_add(i32::try_from(violating).unwrap_or(i32::MAX));
    };
    for (subject, tally) in &survey.levels {
        add(subject, 0, tally.violating);
    }
    for entry in entries.values() {
        let unit = match &entry.of {
            Of::Controller(_, units) => units.first().copied(),
            Of::Pod(_, _, unit) => Some(*unit),
        };
        for asked in unit.into_iter().flat_map(|unit| &unit.needs.asked) {
            if let Some(subject) = asked.subject() {
                add(&subject, 1, 0);
            }
        }
    }
    levels
}

/// Whether the workload of the record `name` is there still, as what `owner` identifies.
fn exists(fleet: &Fleet<'_>, name: &str, owner: Uid) -> bool {
    let (namespace, name) = split(name);
    Kind::ALL.iter().any(|kind| {
        let Some(rest) = name.strip_prefix(&format!("{}-", kind.as_str().to_ascii_lowercase())) else { return false };
        let path = format!("{namespace}/{rest}");
        let found = match fleet.controllers.of(*kind) {
            Some(controllers) => controllers.get(&path).map(|found| found.uid),
            None => fleet.pods.get(&path).map(|found| found.uid),
        };
        found == Some(owner)
    })
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
    let [placeable, compliant, _] = said;
    let blocked = !placeable.holds && held(0) != Some(false);
    // Of what is seen for the first time nobody knows whether it ever stood right.
    let lost = !compliant.holds && held(1) == Some(true);
    let told = |reason, said: &Said| Notice::of_workload(&entry.identity, entry.uid, reason, said.message.clone());
    [blocked.then(|| told("PlacementBlocked", placeable)), lost.then(|| told("ClearanceLost", compliant))]
        .into_iter()
        .flatten()
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
        let exempt: BTreeSet<String> = self.settings.exempt.iter().cloned().collect();
        let settled = self.admission.settled().iter().filter_map(|name| PolicyName::parse(name).ok()).collect();
        let spots = ground::spots(&self.index, &self.ruling);
        let ground = Ground { world: &self.ruling.world, settled: &settled, exempt: &exempt, spots: &spots };
        let fleet = self.index.fleet();
        let survey = survey(&fleet, &ground);
        let entries = entries(&fleet, &survey);
        let levels = levels(&survey, &entries, &self.ruling);
        let estate = Followed { ruling: &self.ruling, index: &self.index, exempt: &exempt };
        let pass = Pass { entries: &entries, estate: &estate, motions: &self.motions, at, now };
        pass.compare(&mut self.records);
        pass.end(&fleet, &mut self.records);
        for (key, _) in &self.records.ready {
            if let Key::Record(name) = key {
                self.records.asked.insert(name.clone(), now);
            }
        }
        self.records.follows_from.retain(|name, _| entries.contains_key(name));
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
        let (pools, still) = (Judge::new(&estate.ruling.world).pools(at).collect::<Vec<_>>(), Motion::default());
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
