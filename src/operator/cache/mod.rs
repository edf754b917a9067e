//! The cache: the operator's reflector store, what watches and the answers to writes have told of each object.
//!
//! It takes one [`Observation`] at a time, and counts for each family of facts how often it has changed. It has no client
//! and decides nothing: what differs from what should be is for the reconcilers to find.

mod membership;
mod observation;
pub mod revision;
pub mod store;
#[cfg(test)]
mod tests;

pub use self::{
    observation::{DeclaredObject, Observation, ObservedAdmission},
    revision::{CacheRevisions, LastSeen, Revision},
    store::{ObjectStore, ResourceVersioned, TouchedObjects, WatchChange, version},
};
use super::watch::{
    interner::SharedValues,
    node::{NodeRecord, PartialNode},
    record::RecordDigest,
};
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    admission::AdmissionKind,
    api::{CloudProvider, PlacementPolicy, PlacementPool},
};
use rempart_core::{
    cluster_objects::{ClusterObjects, Controller, ControllersByKind, Pod, PodPhase},
    namespace::Namespace,
    volume::{Claim, Volume},
    workload::WorkloadKind,
};

/// Everything observed.
#[derive(Debug, Default)]
pub struct ClusterCache {
    /// `CloudProvider`s.
    pub providers: ObjectStore<DeclaredObject<CloudProvider>>,
    /// `PlacementPool`s.
    pub pools: ObjectStore<DeclaredObject<PlacementPool>>,
    /// `PlacementPolicy`s.
    pub policies: ObjectStore<DeclaredObject<PlacementPolicy>>,
    /// Nodes.
    pub nodes: ObjectStore<NodeRecord>,
    /// Admission policies and their bindings.
    pub admission: AdmissionStores,
    /// Pods. Names of what has a namespace are `namespace/name`, here and below.
    pub pods: ObjectStore<Pod>,
    /// `Deployment`s.
    pub deployments: ObjectStore<Controller>,
    /// `ReplicaSet`s.
    pub replica_sets: ObjectStore<Controller>,
    /// `StatefulSet`s.
    pub stateful_sets: ObjectStore<Controller>,
    /// `DaemonSet`s.
    pub daemon_sets: ObjectStore<Controller>,
    /// `Job`s.
    pub jobs: ObjectStore<Controller>,
    /// `CronJob`s.
    pub cron_jobs: ObjectStore<Controller>,
    /// Namespaces.
    pub namespaces: ObjectStore<Namespace>,
    /// Claims of volumes.
    pub claims: ObjectStore<Claim>,
    /// Volumes.
    pub volumes: ObjectStore<Volume>,
    /// Records of workloads.
    pub records: ObjectStore<RecordDigest>,
    /// How often each family of facts has changed.
    pub revisions: CacheRevisions,
    /// What has changed of the facts by which pods may be where they are, since it was last taken.
    fact_changes: FactChanges,
    /// The pods that had a node and are gone, since they were last taken; nothing where nobody asks for them.
    departures: Option<Departures>,
    /// Up to which revision of nodes these are assigned to pools.
    assigned: LastSeen<Revision>,
    shared: SharedValues,
}

/// Those of `objects` whose names begin with `from`.
fn within<'a, V>(objects: &'a BTreeMap<String, V>, from: &str) -> impl Iterator<Item = &'a V> {
    let from = from.to_owned();
    objects.range(from.clone()..).take_while(move |(name, _)| name.starts_with(&from)).map(|(_, found)| found)
}

impl ClusterCache {
    /// Takes in what was observed.
    pub fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Provider(change) => {
                let change = observe_declared(&mut self.providers, change);
                self.count_declared(change);
            }
            Observation::Pool(change) => {
                let change = observe_declared(&mut self.pools, change);
                self.count_declared(change);
            }
            Observation::Policy(change) => {
                let change = observe_declared(&mut self.policies, change);
                match change {
                    DeclaredChange::None | DeclaredChange::Status => {}
                    DeclaredChange::Metadata | DeclaredChange::Spec => self.revisions.policies.bump(),
                }
                self.count_declared(change);
            }
            Observation::Node(change) => self.observe_node(change),
            Observation::Admission(kind, change) => {
                let touched = self.admission.of_mut(kind).observe(change);
                self.count_admission(&touched);
            }
            Observation::Record(change) => {
                if self.records.observe(change) != TouchedObjects::Nothing {
                    self.revisions.records.bump();
                }
            }
            Observation::Namespace(change) => self.observe_namespace(change),
            Observation::Pod(_) | Observation::Controller(..) | Observation::Claim(_) | Observation::Volume(_) => {
                self.observe_workload(observation);
            }
        }
    }

    fn observe_node(&mut self, change: WatchChange<PartialNode>) {
        let mut change = change.map(|node| NodeRecord::new(node, &mut self.shared));
        if let WatchChange::Applied(name, node) | WatchChange::Listed(name, node) = &mut change
            && let Some(known) = self.nodes.get(name)
        {
            (node.membership, node.is_assigned) = (known.membership.clone(), known.is_assigned);
        }
        let is_news = match &change {
            WatchChange::Applied(name, node) => !self.nodes.get(name).is_some_and(|known| known.same_place(node)),
            _ => true,
        };
        match self.nodes.observe(change) {
            TouchedObjects::Nothing => return,
            TouchedObjects::One(name) => {
                self.revisions.node_objects.bump();
                let changed_at = self.revisions.node_objects;
                match self.nodes.get_mut(&name) {
                    Some(node) => node.changed_at = changed_at,
                    None => self.revisions.pool_membership.bump(),
                }
            }
            TouchedObjects::All => {
                self.revisions.node_objects.bump();
                let changed_at = self.revisions.node_objects;
                self.nodes.iter_mut().for_each(|(_, node)| node.changed_at = changed_at);
                self.revisions.pool_membership.bump();
                self.fact_changes.all = true;
                self.shared.sweep();
            }
        }
        if is_news {
            self.revisions.nodes.bump();
        }
    }

    fn observe_namespace(&mut self, change: WatchChange<Namespace>) {
        let relabelled = match &change {
            WatchChange::Applied(name, namespace) => {
                self.namespaces.get(name).is_none_or(|known| known.labels != namespace.labels)
            }
            WatchChange::Complete => true,
            _ => false,
        };
        match (&change, relabelled) {
            (WatchChange::Applied(name, _), true) => drop(self.fact_changes.namespaces.insert(name.clone())),
            (_, true) => self.fact_changes.all = true,
            (_, false) => {}
        }
        match self.namespaces.observe(change) {
            TouchedObjects::Nothing => return,
            TouchedObjects::One(_) => {}
            TouchedObjects::All => self.shared.sweep(),
        }
        self.revisions.namespaces.bump();
    }

    /// What has changed of the facts by which pods may be where they are, since this was last asked.
    pub fn take_fact_changes(&mut self) -> FactChanges {
        std::mem::take(&mut self.fact_changes)
    }

    /// From now on keeps the pods that go, for [`Self::take_departures`].
    pub fn keep_departures(&mut self) {
        self.departures = Some(Departures::default());
    }

    /// The pods that had a node and are gone, since this was last asked.
    pub fn take_departures(&mut self) -> Departures {
        self.departures.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn observe_workload(&mut self, observation: Observation) {
        if let (Some(departures), Observation::Pod(change)) = (&mut self.departures, &observation) {
            departures.observe(change, &self.pods);
        }
        let shared = &mut self.shared;
        let touched = match observation {
            Observation::Pod(change) => self.pods.observe(change.map(|mut pod| {
                shared.pod(&mut pod);
                pod
            })),
            Observation::Controller(kind, change) => {
                let change = change.map(|mut controller| {
                    shared.controller(&mut controller);
                    controller
                });
                self.controllers_of(kind).map_or(TouchedObjects::Nothing, |store| store.observe(change))
            }
            Observation::Claim(change) => self.claims.observe(change.map(|mut claim| {
                shared.claim(&mut claim);
                claim
            })),
            Observation::Volume(change) => self.volumes.observe(change),
            _ => TouchedObjects::Nothing,
        };
        match touched {
            TouchedObjects::Nothing => return,
            TouchedObjects::One(_) => {}
            TouchedObjects::All => self.shared.sweep(),
        }
        self.revisions.workloads.bump();
    }

    fn count_declared(&mut self, change: DeclaredChange) {
        if change != DeclaredChange::None {
            self.revisions.declared_objects.bump();
        }
        if change == DeclaredChange::Spec {
            self.revisions.catalogue.bump();
        }
    }

    fn count_admission(&mut self, touched: &TouchedObjects) {
        if *touched != TouchedObjects::Nothing {
            self.revisions.admission.bump();
        }
    }

    /// Forgets what is gone, of every kind: see [`ObjectStore::drop_tombstones`].
    pub fn drop_tombstones(&mut self) {
        self.providers.drop_tombstones();
        self.pools.drop_tombstones();
        self.policies.drop_tombstones();
        self.nodes.drop_tombstones();
        for kind in AdmissionKind::ALL {
            self.admission.of_mut(kind).drop_tombstones();
        }
        self.pods.drop_tombstones();
        for controllers in self.controllers_mut() {
            controllers.drop_tombstones();
        }
        self.namespaces.drop_tombstones();
        self.claims.drop_tombstones();
        self.volumes.drop_tombstones();
        self.records.drop_tombstones();
    }

    /// Everything that runs.
    #[must_use]
    pub fn objects(&self) -> ClusterObjects<'_> {
        ClusterObjects {
            pods: self.pods.live(),
            controllers: ControllersByKind {
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

    /// How many pods in `namespace`, and how many objects there that make pods, say how sensitive they are.
    #[must_use]
    pub fn sensitive_in(&self, namespace: &str) -> usize {
        let from = format!("{namespace}/");
        let objects = self.objects();
        let pods = within(objects.pods, &from).filter(|pod| !pod.statements.is_silent()).count();
        let says = |found: &&Controller| !found.statement.is_silent() || !found.template_statements.is_silent();
        let controllers = WorkloadKind::ALL.into_iter().filter_map(|kind| objects.controllers.of(kind));
        controllers.fold(pods, |count, found| count.saturating_add(within(found, &from).filter(says).count()))
    }

    /// What makes pods, of `kind`; nothing of pods.
    pub fn controllers_of(&mut self, kind: WorkloadKind) -> Option<&mut ObjectStore<Controller>> {
        match kind {
            WorkloadKind::Deployment => Some(&mut self.deployments),
            WorkloadKind::ReplicaSet => Some(&mut self.replica_sets),
            WorkloadKind::StatefulSet => Some(&mut self.stateful_sets),
            WorkloadKind::DaemonSet => Some(&mut self.daemon_sets),
            WorkloadKind::Job => Some(&mut self.jobs),
            WorkloadKind::CronJob => Some(&mut self.cron_jobs),
            WorkloadKind::Pod | WorkloadKind::Templated(_) => None,
        }
    }

    fn controllers_mut(&mut self) -> [&mut ObjectStore<Controller>; 6] {
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
        fn of<V: ResourceVersioned>(kind: &'static str, store: &ObjectStore<V>) -> (&'static str, usize, bool) {
            (kind, store.live().len(), store.synced())
        }
        let admission = AdmissionKind::ALL.into_iter().map(|kind| of(kind.plural(), self.admission.of(kind)));
        [
            of("cloudproviders", &self.providers),
            of("placementpools", &self.pools),
            of("placementpolicies", &self.policies),
            of("nodes", &self.nodes),
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
        .chain(admission)
    }

    /// The kinds of which no list has been complete yet. Until there are none, absence means nothing.
    pub fn unsynced(&self) -> impl Iterator<Item = &'static str> {
        self.counts().filter_map(|(kind, _, synced)| (!synced).then_some(kind))
    }
}

/// Changes of facts by which pods may be where they are, beside those of the catalogue and of policies.
#[derive(Debug, Default)]
pub struct FactChanges {
    /// Namespaces with other labels. What else is written on one is no fact.
    pub namespaces: BTreeSet<String>,
    /// Nodes that were known and have changed their pool: something may run on them.
    pub nodes: BTreeSet<String>,
    /// Whether any namespace may have other labels, as after a list.
    pub all: bool,
}

/// Pods that had a node and are gone: one that came and went between two looks is seen here alone.
#[derive(Debug, Default)]
pub struct Departures {
    /// Each by its name, as it was last known.
    pub pods: Vec<(String, Pod)>,
    /// How many more there were than find room.
    pub left_out: u64,
}

impl Departures {
    /// So many are kept.
    const MOST: usize = 10_000;

    fn observe(&mut self, change: &WatchChange<Pod>, known: &ObjectStore<Pod>) {
        let (name, went) = match change {
            WatchChange::Deleted(name, _) | WatchChange::Passed(name, _) => (name, known.get(name)),
            WatchChange::Applied(name, pod) => {
                let before = known.get(name).filter(|before| before.uid != pod.uid || pod.phase == PodPhase::Done);
                (name, before)
            }
            _ => return,
        };
        let Some(went) = went.filter(|pod| pod.node.is_some() && pod.phase != PodPhase::Done) else { return };
        if self.pods.len() < Self::MOST {
            self.pods.push((name.clone(), went.clone()));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}

/// The stores of admission policies and bindings, by kind.
#[derive(Debug, Default)]
pub struct AdmissionStores {
    mutations: ObjectStore<ObservedAdmission>,
    mutating_bindings: ObjectStore<ObservedAdmission>,
    validations: ObjectStore<ObservedAdmission>,
    validating_bindings: ObjectStore<ObservedAdmission>,
    webhooks: ObjectStore<ObservedAdmission>,
}

impl AdmissionStores {
    /// Those of a kind.
    #[must_use]
    pub fn of(&self, kind: AdmissionKind) -> &ObjectStore<ObservedAdmission> {
        match kind {
            AdmissionKind::Mutation => &self.mutations,
            AdmissionKind::MutatingBinding => &self.mutating_bindings,
            AdmissionKind::Validation => &self.validations,
            AdmissionKind::ValidatingBinding => &self.validating_bindings,
            AdmissionKind::Webhook => &self.webhooks,
        }
    }

    fn of_mut(&mut self, kind: AdmissionKind) -> &mut ObjectStore<ObservedAdmission> {
        match kind {
            AdmissionKind::Mutation => &mut self.mutations,
            AdmissionKind::MutatingBinding => &mut self.mutating_bindings,
            AdmissionKind::Validation => &mut self.validations,
            AdmissionKind::ValidatingBinding => &mut self.validating_bindings,
            AdmissionKind::Webhook => &mut self.webhooks,
        }
    }
}

/// What an observation changed of an object that people declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeclaredChange {
    /// Nothing.
    None,
    /// Its status at most, which says what follows from the rest.
    Status,
    /// Its labels, annotations or finalizers, which are no facts.
    Metadata,
    /// What it declares, or whether it is there.
    Spec,
}

fn observe_declared<K>(
    store: &mut ObjectStore<DeclaredObject<K>>,
    change: WatchChange<DeclaredObject<K>>,
) -> DeclaredChange {
    let facts = |found: &DeclaredObject<K>| {
        (found.meta.uid.clone(), found.meta.generation, found.object.is_ok(), found.is_terminating())
    };
    let metadata = |found: &DeclaredObject<K>| {
        (found.meta.annotations.clone(), found.meta.labels.clone(), found.meta.finalizers.clone())
    };
    let (before, metadata_before) = match &change {
        WatchChange::Applied(name, _) => (store.get(name).map(facts), store.get(name).map(metadata)),
        _ => (None, None),
    };
    match store.observe(change) {
        TouchedObjects::Nothing => DeclaredChange::None,
        TouchedObjects::All => DeclaredChange::Spec,
        TouchedObjects::One(name) if before.is_none() || store.get(&name).map(facts) != before => DeclaredChange::Spec,
        TouchedObjects::One(name) if store.get(&name).map(metadata) != metadata_before => DeclaredChange::Metadata,
        TouchedObjects::One(_) => DeclaredChange::Status,
    }
}
