//! What the operator has seen of the cluster. Fed one observation at a time, without a client.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::admissionregistration::v1::{MutatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicyBindingSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{node::NodeRecord, record::Recorded};
use crate::api::{CloudProvider, PlacementPolicy, PlacementPool};
use rempart_core::{
    fleet::{Claim, Controller, Controllers, Fleet, Namespace, Pod, Volume},
    workload::Kind,
};

/// A change of one kind of object, as a watch tells it.
#[derive(Clone, Debug)]
pub enum Change<V> {
    /// Everything is about to be listed anew.
    Restarted,
    /// One of the objects listed anew.
    Listed(String, V),
    /// The list is complete: what it did not name is gone.
    Complete,
    /// An object was made or altered.
    Applied(String, V),
    /// An object is gone, as of this resource version.
    Deleted(String, u64),
    /// An object is there, and cannot be read.
    Unreadable(String),
    /// An object is there, and is of no concern, as of this resource version.
    Passed(String, u64),
}

impl<V> Change<V> {
    /// The same of what `with` makes of the object.
    pub fn map<W>(self, mut with: impl FnMut(V) -> W) -> Change<W> {
        match self {
            Self::Restarted => Change::Restarted,
            Self::Listed(name, value) => Change::Listed(name, with(value)),
            Self::Complete => Change::Complete,
            Self::Applied(name, value) => Change::Applied(name, with(value)),
            Self::Deleted(name, version) => Change::Deleted(name, version),
            Self::Unreadable(name) => Change::Unreadable(name),
            Self::Passed(name, version) => Change::Passed(name, version),
        }
    }
}

/// A thing with a resource version.
pub trait Versioned {
    /// The resource version, as the number that it is; 0 when it is none.
    fn version(&self) -> u64;
}

/// Reads a resource version.
#[must_use]
pub fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The objects of one kind.
#[derive(Clone, Debug)]
pub struct Mirror<V> {
    live: BTreeMap<String, V>,
    /// What is gone, and since which resource version: an answer that comes late must not bring it back.
    gone: BTreeMap<String, u64>,
    incoming: Option<Incoming<V>>,
    synced: bool,
}

/// A list that is under way.
#[derive(Clone, Debug)]
struct Incoming<V> {
    /// What is new in it.
    news: BTreeMap<String, V>,
    /// Names of what is known as it is: most of it, and no reason to have it in memory twice.
    known: BTreeSet<String>,
}

impl<V> Default for Incoming<V> {
    fn default() -> Self {
        Self { news: BTreeMap::new(), known: BTreeSet::new() }
    }
}

impl<V> Default for Mirror<V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), gone: BTreeMap::new(), incoming: None, synced: false }
    }
}

/// Which objects an observation was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// None, as yet.
    Nothing,
    /// The one of this name.
    One(String),
    /// Any of them.
    All,
}

impl<V: Versioned> Mirror<V> {
    /// Takes in `change`.
    ///
    /// A list counts when it is complete and not before; until then what was known stays. News that is older than what
    /// is known (the answer to a write may overtake the watch) is dropped.
    pub fn observe(&mut self, change: Change<V>) -> Touched {
        match change {
            Change::Restarted => {
                self.incoming = Some(Incoming::default());
                Touched::Nothing
            }
            Change::Listed(name, value) => {
                let incoming = self.incoming.get_or_insert_default();
                if self.live.get(&name).is_some_and(|known| known.version() >= value.version().max(1)) {
                    incoming.known.insert(name);
                } else {
                    incoming.news.insert(name, value);
                }
                Touched::Nothing
            }
            Change::Complete => {
                let Incoming { news, known } = self.incoming.take().unwrap_or_default();
                self.live.retain(|name, _| known.contains(name) || news.contains_key(name));
                for (name, value) in news {
                    // The answer to a write may have come while the list was under way.
                    if self.live.get(&name).is_none_or(|known| known.version() <= value.version()) {
                        self.live.insert(name, value);
                    }
                }
                self.synced = true;
                Touched::All
            }
            Change::Unreadable(name) => {
                // What was known of it is the best that is known.
                if let Some(incoming) = &mut self.incoming {
                    incoming.known.insert(name);
                }
                Touched::Nothing
            }
            Change::Passed(name, version) => {
                // One that a list passes over is no longer there when it is complete.
                let known = self.live.get(&name).filter(|known| known.version() <= version);
                if self.incoming.is_some() || known.is_none() {
                    return Touched::Nothing;
                }
                self.live.remove(&name);
                Touched::One(name)
            }
            Change::Applied(name, value) => {
                let newer = |seen: u64| seen > value.version();
                if self.live.get(&name).is_some_and(|known| newer(known.version()))
                    || self.gone.get(&name).is_some_and(|since| newer(*since) || *since == value.version())
                {
                    return Touched::Nothing;
                }
                self.gone.remove(&name);
                self.live.insert(name.clone(), value);
                Touched::One(name)
            }
            Change::Deleted(name, version) => {
                // Made anew since.
                if self.live.get(&name).is_some_and(|known| known.version() > version) {
                    return Touched::Nothing;
                }
                self.live.remove(&name);
                self.gone.insert(name.clone(), version);
                Touched::One(name)
            }
        }
    }

    /// Forgets what is gone: no answer that could bring it back is awaited any more.
    pub fn bury(&mut self) {
        self.gone.clear();
    }

    /// Whether a list has been complete once.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// All objects, by name.
    pub fn live(&self) -> &BTreeMap<String, V> {
        &self.live
    }

    /// The object `name`.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.live.get(name)
    }

    /// The object `name`, to keep notes on.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.live.get_mut(name)
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&String, &V)> {
        self.live.iter()
    }

    /// All objects, to keep notes on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut V)> {
        self.live.iter_mut()
    }
}

/// One of our own objects, or what is left of one that cannot be decoded.
#[derive(Clone, Debug)]
pub struct Record<K> {
    /// Its metadata.
    pub meta: ObjectMeta,
    /// The object, or why it cannot be decoded.
    pub object: Result<Box<K>, String>,
}

impl<K> Versioned for Record<K> {
    fn version(&self) -> u64 {
        version(self.meta.resource_version.as_deref())
    }
}

impl<K> Record<K> {
    /// Whether its deletion has been asked for.
    pub fn ending(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }
}

impl Versioned for NodeRecord {
    fn version(&self) -> u64 {
        self.version
    }
}

/// An admission binding.
#[derive(Clone, Debug)]
pub struct BindingRecord<S> {
    /// Its metadata.
    pub meta: ObjectMeta,
    /// What it binds.
    pub spec: Option<S>,
}

impl<S> Versioned for BindingRecord<S> {
    fn version(&self) -> u64 {
        version(self.meta.resource_version.as_deref())
    }
}

/// An object of which only the existence matters.
#[derive(Clone, Copy, Debug)]
pub struct Existing {
    /// The resource version.
    pub version: u64,
}

impl Versioned for Existing {
    fn version(&self) -> u64 {
        self.version
    }
}

/// The list of policies that exist, which admission reads.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The resource version.
    pub version: u64,
    /// Policy names, with their modes.
    pub data: BTreeMap<String, String>,
}

impl Versioned for Roster {
    fn version(&self) -> u64 {
        self.version
    }
}

/// One thing seen.
#[derive(Clone, Debug)]
pub enum Observation {
    /// Of a `CloudProvider`.
    Provider(Change<Record<CloudProvider>>),
    /// Of a `PlacementPool`.
    Pool(Change<Record<PlacementPool>>),
    /// Of a `PlacementPolicy`.
    Policy(Change<Record<PlacementPolicy>>),
    /// Of a node.
    Node(Change<super::node::SlimNode>),
    /// Of a `MutatingAdmissionPolicyBinding`.
    MutatingBinding(Change<BindingRecord<MutatingAdmissionPolicyBindingSpec>>),
    /// Of a `ValidatingAdmissionPolicyBinding`.
    ValidatingBinding(Change<BindingRecord<ValidatingAdmissionPolicyBindingSpec>>),
    /// Of a `MutatingAdmissionPolicy`.
    MutatingPolicy(Change<Existing>),
    /// Of a `ValidatingAdmissionPolicy`.
    ValidatingPolicy(Change<Existing>),
    /// Of the roster.
    Roster(Change<Roster>),
    /// Of a pod. Names of what has a namespace are `namespace/name`, here and below.
    Pod(Change<Pod>),
    /// Of what makes pods, of this kind.
    Controller(Kind, Change<Controller>),
    /// Of a namespace.
    Namespace(Change<Namespace>),
    /// Of a claim of a volume.
    Claim(Change<Claim>),
    /// Of a volume.
    Volume(Change<Volume>),
    /// Of the record of a workload.
    Record(Change<Recorded>),
}

/// Everything seen.
#[derive(Debug, Default)]
pub struct Index {
    /// `CloudProvider`s.
    pub providers: Mirror<Record<CloudProvider>>,
    /// `PlacementPool`s.
    pub pools: Mirror<Record<PlacementPool>>,
    /// `PlacementPolicy`s.
    pub policies: Mirror<Record<PlacementPolicy>>,
    /// Nodes.
    pub nodes: Mirror<NodeRecord>,
    /// Bindings of mutations.
    pub mutating_bindings: Mirror<BindingRecord<MutatingAdmissionPolicyBindingSpec>>,
    /// Bindings of validations.
    pub validating_bindings: Mirror<BindingRecord<ValidatingAdmissionPolicyBindingSpec>>,
    /// Mutations.
    pub mutating_policies: Mirror<Existing>,
    /// Validations.
    pub validating_policies: Mirror<Existing>,
    /// The roster, under its own name.
    pub roster: Mirror<Roster>,
    /// Pods. Names of what has a namespace are `namespace/name`, here and below.
    pub pods: Mirror<Pod>,
    /// `Deployment`s.
    pub deployments: Mirror<Controller>,
    /// `ReplicaSet`s.
    pub replica_sets: Mirror<Controller>,
    /// `StatefulSet`s.
    pub stateful_sets: Mirror<Controller>,
    /// `DaemonSet`s.
    pub daemon_sets: Mirror<Controller>,
    /// `Job`s.
    pub jobs: Mirror<Controller>,
    /// `CronJob`s.
    pub cron_jobs: Mirror<Controller>,
    /// Namespaces.
    pub namespaces: Mirror<Namespace>,
    /// Claims of volumes.
    pub claims: Mirror<Claim>,
    /// Volumes.
    pub volumes: Mirror<Volume>,
    /// Records of workloads.
    pub records: Mirror<Recorded>,
}

impl Index {
    /// See [`Mirror::bury`].
    pub fn bury(&mut self) {
        self.providers.bury();
        self.pools.bury();
        self.policies.bury();
        self.nodes.bury();
        self.mutating_bindings.bury();
        self.validating_bindings.bury();
        self.roster.bury();
        self.pods.bury();
        for controllers in self.controllers_mut() {
            controllers.bury();
        }
        self.namespaces.bury();
        self.claims.bury();
        self.volumes.bury();
        self.records.bury();
    }

    /// Everything that runs.
    #[must_use]
    pub fn fleet(&self) -> Fleet<'_> {
        Fleet {
            pods: self.pods.live(),
            controllers: Controllers {
                deployments: self.deployments.live(),
                replica_sets: self.replica_sets.live(),
                stateful_sets: self.stateful_sets.live(),
                daemon_sets: self.daemon_sets.live(),
                jobs: self.jobs.live(),
                cron_jobs: self.cron_jobs.live(),
            },
            namespaces: self.namespaces.live(),
            claims: self.claims.live(),
            volumes: self.volumes.live(),
        }
    }

    /// What makes pods, of `kind`; nothing of pods.
    pub fn controllers_of(&mut self, kind: Kind) -> Option<&mut Mirror<Controller>> {
        match kind {
            Kind::Deployment => Some(&mut self.deployments),
            Kind::ReplicaSet => Some(&mut self.replica_sets),
            Kind::StatefulSet => Some(&mut self.stateful_sets),
            Kind::DaemonSet => Some(&mut self.daemon_sets),
            Kind::Job => Some(&mut self.jobs),
            Kind::CronJob => Some(&mut self.cron_jobs),
            Kind::Pod => None,
        }
    }

    fn controllers_mut(&mut self) -> [&mut Mirror<Controller>; 6] {
        [
            &mut self.deployments,
            &mut self.replica_sets,
            &mut self.stateful_sets,
            &mut self.daemon_sets,
            &mut self.jobs,
            &mut self.cron_jobs,
        ]
    }

    /// How many objects of each kind there are, and whether a list of them has been complete.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize, bool)> {
        fn of<V: Versioned>(kind: &'static str, mirror: &Mirror<V>) -> (&'static str, usize, bool) {
            (kind, mirror.live().len(), mirror.synced())
        }
        [
            of("cloudproviders", &self.providers),
            of("placementpools", &self.pools),
            of("placementpolicies", &self.policies),
            of("nodes", &self.nodes),
            of("mutatingadmissionpolicybindings", &self.mutating_bindings),
            of("validatingadmissionpolicybindings", &self.validating_bindings),
            of("mutatingadmissionpolicies", &self.mutating_policies),
            of("validatingadmissionpolicies", &self.validating_policies),
            of("configmaps", &self.roster),
            of("pods", &self.pods),
            of("deployments", &self.deployments),
            of("replicasets", &self.replica_sets),
            of("statefulsets", &self.stateful_sets),
            of("daemonsets", &self.daemon_sets),
            of("jobs", &self.jobs),
            of("cronjobs", &self.cron_jobs),
            of("namespaces", &self.namespaces),
            of("persistentvolumeclaims", &self.claims),
            of("persistentvolumes", &self.volumes),
            of("workloadplacements", &self.records),
        ]
        .into_iter()
    }

    /// The kinds of which no list has been complete yet. Until there are none, absence means nothing.
    pub fn unsynced(&self) -> impl Iterator<Item = &'static str> {
        self.counts().filter_map(|(kind, _, synced)| (!synced).then_some(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(names: &[(&str, u64)]) -> Mirror<Existing> {
        let mut mirror = Mirror::default();
        mirror.observe(Change::Restarted);
        for (name, version) in names {
            mirror.observe(Change::Listed((*name).to_owned(), Existing { version: *version }));
        }
        mirror.observe(Change::Complete);
        mirror
    }

    #[test]
    fn a_list_counts_when_it_is_complete() {
        let mut mirror = mirror(&[("a", 1), ("b", 2)]);
        mirror.observe(Change::Restarted);
        mirror.observe(Change::Listed("b".into(), Existing { version: 2 }));
        assert!(mirror.get("a").is_some(), "half a list says nothing of what it has not named yet");
        assert_eq!(mirror.observe(Change::Complete), Touched::All);
        assert!(mirror.get("a").is_none() && mirror.get("b").is_some());
    }

    #[test]
    fn a_list_that_breaks_off_is_forgotten() {
        let mut mirror = mirror(&[("a", 1)]);
        mirror.observe(Change::Restarted);
        mirror.observe(Change::Listed("ghost".into(), Existing { version: 2 }));
        mirror.observe(Change::Restarted);
        mirror.observe(Change::Listed("a".into(), Existing { version: 1 }));
        mirror.observe(Change::Complete);
        assert!(mirror.get("ghost").is_none() && mirror.get("a").is_some());
    }

    #[test]
    fn a_list_takes_over_what_is_new_in_it_and_leaves_what_is_known() {
        let mut mirror = mirror(&[("same", 1), ("older", 2), ("newer", 9), ("gone", 3)]);
        mirror.observe(Change::Restarted);
        for (name, version) in [("same", 1), ("older", 5), ("newer", 4), ("new", 6)] {
            mirror.observe(Change::Listed(name.into(), Existing { version }));
        }
        mirror.observe(Change::Complete);
        let known: Vec<_> = mirror.iter().map(|(name, found)| (name.as_str(), found.version)).collect();
        assert_eq!(known, [("new", 6), ("newer", 9), ("older", 5), ("same", 1)]);
    }

    #[test]
    fn what_comes_to_be_of_no_concern_is_forgotten() {
        let mut mirror = mirror(&[("a", 5), ("b", 1)]);
        assert_eq!(mirror.observe(Change::Passed("a".into(), 4)), Touched::Nothing, "old news");
        assert_eq!(mirror.observe(Change::Passed("a".into(), 6)), Touched::One("a".into()));
        assert_eq!(mirror.observe(Change::Passed("a".into(), 7)), Touched::Nothing);
        assert!(mirror.get("a").is_none());
        mirror.observe(Change::Restarted);
        mirror.observe(Change::Passed("b".into(), 8));
        assert!(mirror.get("b").is_some(), "until the list is complete");
        mirror.observe(Change::Complete);
        assert!(mirror.get("b").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_gone() {
        let mut mirror = mirror(&[("a", 1)]);
        assert_eq!(mirror.observe(Change::Unreadable("a".into())), Touched::Nothing);
        assert!(mirror.get("a").is_some());
        mirror.observe(Change::Restarted);
        mirror.observe(Change::Unreadable("a".into()));
        mirror.observe(Change::Complete);
        assert!(mirror.get("a").is_some());
    }

    #[test]
    fn old_news_is_dropped() {
        let mut mirror = mirror(&[("a", 1)]);
        mirror.observe(Change::Applied("a".into(), Existing { version: 9 }));
        assert_eq!(mirror.observe(Change::Applied("a".into(), Existing { version: 5 })), Touched::Nothing);
        assert_eq!(mirror.get("a").unwrap().version, 9);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_is_gone() {
        let mut mirror = mirror(&[("a", 1)]);
        mirror.observe(Change::Deleted("a".into(), 3));
        for late in [2, 3] {
            assert_eq!(mirror.observe(Change::Applied("a".into(), Existing { version: late })), Touched::Nothing);
        }
        mirror.observe(Change::Applied("a".into(), Existing { version: 4 }));
        assert!(mirror.get("a").is_some(), "made anew");
    }

    #[test]
    fn a_late_farewell_does_not_end_what_was_made_anew() {
        let mut mirror = mirror(&[("a", 1)]);
        mirror.observe(Change::Applied("a".into(), Existing { version: 9 }));
        assert_eq!(mirror.observe(Change::Deleted("a".into(), 5)), Touched::Nothing);
        assert!(mirror.get("a").is_some());
        mirror.observe(Change::Deleted("a".into(), 10));
        assert!(mirror.get("a").is_none());
    }
}
