//! What was told: of each pod a digest, and what facts, nodes, clearances and exceptions were.
//!
//! Takes a view and gives the events that separate it from what was told before. What is told is remembered at once: a line
//! that is lost on its way is a hole in the chain, which its reader sees.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use kube::api::ObjectMeta;
use serde::Serialize;

use crate::{
    api,
    history::{
        chain,
        entry::{
            ExceptionState, FactVersion, HistoryEvent, PlacementCompliance, PodPlacement, PolicyVerdict, PoolPlace,
        },
    },
    operator::{
        cache::{DeclaredObject, LastSeen, ObjectStore, Revision},
        evaluate::{Evaluation, cut},
        reconcile::view::ClusterView,
    },
};
use rempart_core::{
    cluster_objects::{ObjectUid, PodPhase, split},
    compliance::{Compliance, PlacedPod},
    name::PoolName,
    pod_requirements::PolicyRequirement,
};

/// The longest text of a refusal.
const REFUSAL: usize = 256;

/// How much is told of what makes a pod, in bytes: a kind and a name are no longer where they are those of an object.
const OWNER: usize = 320;
/// How many digits tell the facts of one time from those of another.
const FACTS_DIGITS: usize = 16;

/// A level or category of a policy: whether it is a level, and its name.
type ClearanceKey = (String, bool, String);

/// What was told.
#[derive(Default)]
pub(super) struct ToldState {
    evaluated: LastSeen<u64>,
    membership: LastSeen<(u64, Revision)>,
    /// By kind and name.
    facts: BTreeMap<(&'static str, String), FactVersion>,
    /// The digest of all of them.
    digest: String,
    nodes: BTreeMap<String, PoolName>,
    /// The pools that are cleared, and those that are left.
    clearances: BTreeMap<ClearanceKey, (Vec<String>, Vec<String>)>,
    exceptions: BTreeMap<(String, String), ExceptionState>,
    pods: BTreeMap<ObjectUid, u64>,
}

impl ToldState {
    /// Adds what is new to `events`, about nodes and pods at most so many, and says whether that is all.
    pub(super) fn look(&mut self, view: &ClusterView<'_>, most: usize, events: &mut Vec<HistoryEvent>) -> bool {
        let evaluation = view.evaluation;
        if self.evaluated.update(evaluation.serial) {
            self.facts(view, events);
            self.exceptions(evaluation, events);
            self.clearances(evaluation, events);
        }
        // What went will not be seen again: it waits for nothing.
        self.departures(view, events);
        let most = events.len().saturating_add(most);
        let membership = (evaluation.serial, view.cache.revisions.pool_membership);
        if self.membership.differs(&membership) {
            if !self.nodes(view, most, events) {
                return false;
            }
            self.membership.remember(membership);
        }
        self.pods(view, most, events)
    }

    fn facts(&mut self, view: &ClusterView<'_>, events: &mut Vec<HistoryEvent>) {
        let cache = view.cache;
        let mut now = BTreeMap::new();
        collect("CloudProvider", &cache.providers, |object| &object.spec, &mut now);
        collect("PlacementPool", &cache.pools, |object| &object.spec, &mut now);
        collect("PlacementPolicy", &cache.policies, |object| &object.spec, &mut now);
        let text: String = now.values().map(identity).collect();
        self.digest = chain::hash(text.as_bytes()).chars().take(FACTS_DIGITS).collect();
        let before = std::mem::replace(&mut self.facts, now);
        let changed = self
            .facts
            .iter()
            .filter(|(key, now)| before.get(*key).is_none_or(|before| identity(before) != identity(now)));
        let gone = before.iter().filter(|(key, _)| !self.facts.contains_key(*key)).map(|(_, before)| {
            let FactVersion { object, name, uid, .. } = before.clone();
            let (generation, resource_version, digest) = (None, None, None);
            FactVersion { object, name, uid, generation, resource_version, digest, deleted: true, facts: String::new() }
        });
        let told = changed.map(|(_, now)| now.clone()).chain(gone);
        let told = told.map(|fact| HistoryEvent::FactChanged(FactVersion { facts: self.digest.clone(), ..fact }));
        events.extend(told);
    }

    fn exceptions(&mut self, evaluation: &Evaluation, events: &mut Vec<HistoryEvent>) {
        let mut now = BTreeMap::new();
        for (policy, found) in &evaluation.world.policies {
            for (name, exception) in &found.exceptions {
                let level = found.levels.at(exception.rank).map(|level| level.name.to_string()).unwrap_or_default();
                let state = ExceptionState {
                    policy: policy.to_string(),
                    name: name.to_string(),
                    in_force: !found.terminating && evaluation.at.is_some_and(|at| exception.in_force(at)),
                    level,
                    namespaces: exception.namespaces.iter().cloned().collect(),
                    pools: exception.pools.iter().map(ToString::to_string).collect(),
                    until: exception.until.to_string(),
                    reason: exception.reason.clone(),
                    approved_by: exception.approved_by.clone(),
                };
                now.insert((state.policy.clone(), state.name.clone()), state);
            }
        }
        let before = std::mem::replace(&mut self.exceptions, now);
        let gone = before.iter().filter(|(key, before)| before.in_force && !self.exceptions.contains_key(*key));
        let gone = gone.map(|(_, before)| ExceptionState { in_force: false, ..before.clone() });
        // One that was over before anything was told of it held no pod since.
        let changed = self.exceptions.iter().filter(|(key, now)| match before.get(*key) {
            Some(before) => before != *now,
            None => now.in_force,
        });
        let told = changed.map(|(_, now)| now.clone()).chain(gone);
        events.extend(told.map(HistoryEvent::ExceptionChanged));
    }

    fn clearances(&mut self, evaluation: &Evaluation, events: &mut Vec<HistoryEvent>) {
        let mut now = BTreeMap::new();
        for (policy, found) in &evaluation.policies {
            let mut add = |is_level: bool, status: &api::ClearanceStatus| {
                let pools = (status.cleared_pools.clone(), status.leaving_pools.clone());
                now.insert((policy.clone(), is_level, status.name.clone()), pools);
            };
            found.levels.iter().for_each(|status| add(true, status));
            found.categories.iter().for_each(|status| add(false, status));
        }
        let before = std::mem::replace(&mut self.clearances, now);
        for (key, (cleared, leaving)) in &self.clearances {
            if before.get(key).is_some_and(|before| (&before.0, &before.1) == (cleared, leaving)) {
                continue;
            }
            let (policy, is_level, name) = key;
            events.push(HistoryEvent::ClearanceChanged {
                policy: policy.clone(),
                level: is_level.then(|| name.clone()),
                category: (!is_level).then(|| name.clone()),
                cleared: cleared.clone(),
                leaving: leaving.clone(),
            });
        }
    }

    fn nodes(&mut self, view: &ClusterView<'_>, most: usize, events: &mut Vec<HistoryEvent>) -> bool {
        let nodes = &view.cache.nodes;
        let pool_of = |name: &str| nodes.get(name).and_then(|node| node.membership.pool());
        let gone: Vec<String> = self.nodes.keys().filter(|name| pool_of(name).is_none()).cloned().collect();
        for node in gone {
            let before = self.nodes.remove(&node).map(|pool| pool.to_string());
            events.push(HistoryEvent::NodeChanged { node, pool: None, before });
        }
        for (name, node) in nodes.iter() {
            let Some(pool) = node.membership.pool().filter(|pool| self.nodes.get(name) != Some(*pool)) else {
                continue;
            };
            if events.len() >= most {
                return false;
            }
            let before = self.nodes.insert(name.clone(), pool.clone()).map(|pool| pool.to_string());
            events.push(HistoryEvent::NodeChanged { node: name.clone(), pool: Some(pool.to_string()), before });
        }
        true
    }

    /// Tells of what is there no more, and of what came and went since the last look: it stood somewhere too.
    fn departures(&mut self, view: &ClusterView<'_>, events: &mut Vec<HistoryEvent>) {
        // Of those that were told of only that they left: that is known before they are forgotten.
        let departed = view.report().departed.iter().filter(|pod| !self.pods.contains_key(&pod.pod.uid));
        let untold: Vec<_> = departed.collect();
        self.left(view, events);
        if untold.is_empty() {
            return;
        }
        let places = places(view.evaluation);
        for pod in untold {
            events.push(self.placement(pod, &places));
            events.push(HistoryEvent::PodLeft { uid: pod.pod.uid.to_string(), ungoverned: false });
        }
    }

    fn pods(&mut self, view: &ClusterView<'_>, most: usize, events: &mut Vec<HistoryEvent>) -> bool {
        let report = view.report();
        let places = places(view.evaluation);
        let mut asked = HashMap::new();
        for pod in &report.placed {
            let digest = digest(pod, &places, &mut asked);
            if self.pods.get(&pod.pod.uid) == Some(&digest) {
                continue;
            }
            if events.len() >= most {
                return false;
            }
            events.push(self.placement(pod, &places));
            self.pods.insert(pod.pod.uid, digest);
        }
        true
    }

    /// Tells of pods that are there no more.
    fn left(&mut self, view: &ClusterView<'_>, events: &mut Vec<HistoryEvent>) {
        let placed = &view.report().placed;
        let still = placed.iter().filter(|pod| self.pods.contains_key(&pod.pod.uid)).count();
        if still == self.pods.len() {
            return;
        }
        let there: BTreeSet<ObjectUid> = placed.iter().map(|pod| pod.pod.uid).collect();
        let left: BTreeSet<ObjectUid> = self.pods.keys().filter(|uid| !there.contains(uid)).copied().collect();
        let runs = |pod: &&rempart_core::cluster_objects::Pod| {
            left.contains(&pod.uid) && pod.node.is_some() && pod.phase != PodPhase::Done
        };
        let ungoverned: BTreeSet<ObjectUid> = view.objects().pods.values().filter(runs).map(|pod| pod.uid).collect();
        for uid in left {
            self.pods.remove(&uid);
            events.push(HistoryEvent::PodLeft { uid: uid.to_string(), ungoverned: ungoverned.contains(&uid) });
        }
    }

    fn placement(&self, found: &PlacedPod<'_>, places: &BTreeMap<&PoolName, PoolPlace>) -> HistoryEvent {
        let PlacedPod { key, pod, owner, node, requirements, compliance } = found;
        let (namespace, name) = split(key);
        let compliance = compliance.iter().copied().map(Some).chain(std::iter::repeat(None));
        let policies = requirements.policies.iter().zip(compliance);
        HistoryEvent::PodPlaced(PodPlacement {
            uid: pod.uid.to_string(),
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            // Whoever makes a pod chooses what it says of its owner.
            workload: cut(format!("{} {}", owner.kind_said(), owner.name()), OWNER),
            node: pod.node.as_deref().unwrap_or_default().to_owned(),
            place: node.and_then(|node| places.get(node.pool?)).cloned(),
            policies: policies.map(|(required, compliance)| verdict(required, compliance)).collect(),
            facts: self.digest.clone(),
        })
    }
}

fn verdict(required: &PolicyRequirement<'_>, compliance: Option<Compliance>) -> PolicyVerdict {
    let need = required.need.as_ref();
    PolicyVerdict {
        policy: required.policy.name.to_string(),
        level: need.ok().map(|need| need.level.to_string()),
        level_from: need.ok().map(|need| need.source.to_string()),
        categories: need.ok().into_iter().flat_map(|need| &need.categories).map(ToString::to_string).collect(),
        exception: need.ok().and_then(|need| need.exception).map(ToString::to_string),
        in_force: required.in_force,
        compliance: match compliance {
            Some(Compliance::Compliant) => PlacementCompliance::Compliant,
            Some(Compliance::Expiring) => PlacementCompliance::Expiring,
            Some(Compliance::Violating) => PlacementCompliance::Violating,
            None => PlacementCompliance::Unknown,
        },
        refused: need.err().and_then(|refusals| refusals.first()).map(|refusal| cut(refusal.to_string(), REFUSAL)),
    }
}

/// What of a placement is told anew when it changes, as a number. What makes the pod is not: it may go before the pod does.
fn digest(pod: &PlacedPod<'_>, places: &BTreeMap<&PoolName, PoolPlace>, asked: &mut HashMap<usize, u64>) -> u64 {
    // The address tells requirements apart for as long as the report holds them.
    let address = Rc::as_ptr(&pod.requirements).addr();
    let asked = *asked.entry(address).or_insert_with(|| {
        let mut hasher = DefaultHasher::new();
        for required in &pod.requirements.policies {
            (&required.policy.name, required.in_force).hash(&mut hasher);
            match &required.need {
                Ok(need) => {
                    (need.level, need.source.to_string(), need.exception, &need.categories).hash(&mut hasher);
                }
                Err(refusals) => refusals.first().map(ToString::to_string).hash(&mut hasher),
            }
        }
        hasher.finish()
    });
    let mut hasher = DefaultHasher::new();
    let place = pod.node.and_then(|node| places.get(node.pool?));
    (asked, &pod.pod.node, place, &*pod.compliance).hash(&mut hasher);
    hasher.finish()
}

/// Where each pool is that resolves.
fn places(evaluation: &Evaluation) -> BTreeMap<&PoolName, PoolPlace> {
    let catalogue = &evaluation.world.catalogue;
    let place = |(name, pool)| {
        let resolved = catalogue.resolve(pool).ok()?;
        let place = PoolPlace {
            pool: resolved.pool.name.to_string(),
            provider: resolved.provider.name.to_string(),
            offer: resolved.offer.name.to_string(),
            region: resolved.zone.region.to_string(),
            zone: resolved.zone.name.to_string(),
        };
        Some((name, place))
    };
    catalogue.pools.iter().filter_map(place).collect()
}

/// By what a version of a fact is told from others: not by its resource version, which statuses change.
fn identity(fact: &FactVersion) -> String {
    let FactVersion { object, name, uid, generation, digest, .. } = fact;
    format!("{object}/{name} {uid:?} {generation:?} {digest:?}\n")
}

fn collect<K, S: Serialize>(
    kind: &'static str,
    store: &ObjectStore<DeclaredObject<K>>,
    spec: impl Fn(&K) -> &S,
    facts: &mut BTreeMap<(&'static str, String), FactVersion>,
) {
    for (name, declared) in store.iter() {
        let ObjectMeta { uid, generation, resource_version, .. } = &declared.meta;
        let text = declared.object.as_ref().ok().and_then(|object| serde_json::to_vec(spec(object)).ok());
        let version = FactVersion {
            object: kind.to_owned(),
            name: name.clone(),
            uid: uid.clone(),
            generation: *generation,
            resource_version: resource_version.clone(),
            digest: text.map(|text| chain::hash(&text)),
            deleted: false,
            facts: String::new(),
        };
        facts.insert((kind, name.clone()), version);
    }
}
