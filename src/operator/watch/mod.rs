//! Watches: the informers of the operator, one list and watch for each kind of object, each with its own backoff.
//!
//! Each takes what the API server tells of its kind and sends it on as an [`Observation`], decoded no further than needed.
//! An object that cannot be read is left as it was known, counted and logged; it is never taken for gone.

mod backoff;
mod controller;
pub mod decode;
mod failure_policy;
pub mod fields;
pub mod interner;
pub mod node;
pub mod partial;
pub mod pod;
mod quantity;
pub mod record;
mod renewal;
pub mod template;
mod volume;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    admissionregistration::v1::{
        MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    },
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{self as k8s, Node},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::watcher::{self, Config, watcher},
};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use tokio::sync::mpsc::Sender;

use self::{
    backoff::WatchBackoff,
    decode::{AdmissionResource, admission_object, declared_object, decoded},
    node::PartialNode,
    partial::{DecodedObject, FromPartial},
    record::RecordDigest,
};
use super::{
    cache::{Observation, WatchChange, version},
    error_chain::ErrorChain,
    metrics::Metrics,
    reconcile::settings::Settings,
};
use crate::api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement};
use rempart_core::{
    cluster_objects::{self, Controller},
    volume::{Claim, Volume},
    workload::WorkloadKind,
};

/// Idle watches die unnoticed behind load balancers, which commonly close them after four minutes.
const WATCH_SECONDS: u32 = 200;

/// Objects of a list that are asked for at a time. A page of 500 nodes, decoded, is several MiB that stay with the process.
const PAGE: u32 = 100;

/// Turns what a watch says of `K` into observations.
struct WatchFeed<K> {
    kind: &'static str,
    key: fn(&K) -> String,
    /// Why an object cannot be read, where that is so.
    fault: fn(&K) -> Option<&str>,
    observe: fn(WatchChange<K>) -> Observation,
}

impl<K: ResourceExt> WatchFeed<K> {
    async fn run<S>(self, events: S, sender: Sender<Observation>, metrics: Metrics)
    where
        S: futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    {
        pin_mut!(events);
        metrics.watch_began(self.kind);
        let mut waits = WatchBackoff::default();
        while let Some(event) = events.next().await {
            if let Ok(event) = &event {
                waits.heard(event);
            }
            if let Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) = &event
                && let Some(fault) = (self.fault)(object)
            {
                metrics.unreadable(self.kind);
                tracing::warn!(kind = self.kind, object = (self.key)(object), fault, "cannot be read; left as it was");
            }
            let change = match event {
                Ok(watcher::Event::Init) => WatchChange::Restarted,
                Ok(watcher::Event::InitApply(object)) => WatchChange::Listed((self.key)(&object), object),
                Ok(watcher::Event::InitDone) => WatchChange::Complete,
                Ok(watcher::Event::Apply(object)) => WatchChange::Applied((self.key)(&object), object),
                Ok(watcher::Event::Delete(object)) => {
                    WatchChange::Deleted((self.key)(&object), version(object.resource_version().as_deref()))
                }
                Err(error) => {
                    metrics.watch_failed(self.kind);
                    let wait = waits.next(&error);
                    if backoff::is_undefined(&error) {
                        let kind = self.kind;
                        tracing::warn!(
                            kind,
                            ?wait,
                            "the API server has no such kind; install the chart again; retrying"
                        );
                    } else {
                        tracing::warn!(kind = self.kind, error = %ErrorChain(&error), ?wait, "watch failed; retrying");
                    }
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            metrics.watch_spoke(self.kind);
            if sender.send((self.observe)(change)).await.is_err() {
                return;
            }
        }
    }
}

/// By what name objects are known: `namespace/name` where they have a namespace.
fn key<K: ResourceExt>(object: &K) -> String {
    let name = object.name_any();
    object.namespace().map_or(name.clone(), |namespace| format!("{namespace}/{name}"))
}

/// A future that runs until the process ends.
pub type WatchTask = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// One task for each kind that `settings` say is followed, by the kind's plural name.
#[must_use]
pub fn tasks(
    client: &Client,
    sender: &Sender<Observation>,
    metrics: &Metrics,
    settings: &Settings,
) -> Vec<(&'static str, WatchTask)> {
    let config = Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let client = &renewal::heard(client.clone(), metrics.clone());
    let all = WatchSpawner { client, sender, metrics };
    let mut tasks = vec![
        all.objects::<DeserializeGuard<CloudProvider>>(&config, "cloudproviders", |change| {
            Observation::Provider(change.map(declared_object))
        }),
        all.objects::<DeserializeGuard<PlacementPool>>(&config, "placementpools", |change| {
            Observation::Pool(change.map(declared_object))
        }),
        all.objects::<DeserializeGuard<PlacementPolicy>>(&config, "placementpolicies", |change| {
            Observation::Policy(change.map(declared_object))
        }),
        all.partial::<Node, PartialNode>(&config, "nodes", |change| Observation::Node(decoded(change))),
        all.partial::<k8s::Pod, cluster_objects::Pod>(&config, "pods", |change| Observation::Pod(decoded(change))),
        all.controllers::<Deployment>(&config, "deployments", |change| {
            Observation::Controller(WorkloadKind::Deployment, decoded(change))
        }),
        all.controllers::<ReplicaSet>(&config, "replicasets", |change| {
            Observation::Controller(WorkloadKind::ReplicaSet, decoded(change))
        }),
        all.controllers::<StatefulSet>(&config, "statefulsets", |change| {
            Observation::Controller(WorkloadKind::StatefulSet, decoded(change))
        }),
        all.controllers::<DaemonSet>(&config, "daemonsets", |change| {
            Observation::Controller(WorkloadKind::DaemonSet, decoded(change))
        }),
        all.controllers::<Job>(&config, "jobs", |change| Observation::Controller(WorkloadKind::Job, decoded(change))),
        all.controllers::<CronJob>(&config, "cronjobs", |change| {
            Observation::Controller(WorkloadKind::CronJob, decoded(change))
        }),
        all.partial::<k8s::Namespace, rempart_core::namespace::Namespace>(&config, "namespaces", |change| {
            Observation::Namespace(decoded(change))
        }),
        all.partial::<k8s::PersistentVolumeClaim, Claim>(&config, "persistentvolumeclaims", |change| {
            Observation::Claim(decoded(change))
        }),
        all.partial::<k8s::PersistentVolume, Volume>(&config, "persistentvolumes", |change| {
            Observation::Volume(decoded(change))
        }),
        all.admission::<MutatingAdmissionPolicy>(&config),
        all.admission::<MutatingAdmissionPolicyBinding>(&config),
        all.admission::<ValidatingAdmissionPolicy>(&config),
        all.admission::<ValidatingAdmissionPolicyBinding>(&config),
        all.admission::<MutatingWebhookConfiguration>(&config),
        all.partial::<WorkloadPlacement, RecordDigest>(&config, "workloadplacements", |change| {
            Observation::Record(decoded(change))
        }),
    ];
    tasks.retain(|(kind, _)| settings.follows(kind));
    tasks
}

struct WatchSpawner<'a> {
    client: &'a Client,
    sender: &'a Sender<Observation>,
    metrics: &'a Metrics,
}

impl WatchSpawner<'_> {
    fn objects<K>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(WatchChange<K>) -> Observation,
    ) -> (&'static str, WatchTask)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.spawn(config, WatchFeed { kind, key: ResourceExt::name_any, fault: |_| None, observe })
    }

    /// Admission policies or bindings. They are known by their names: labels could be taken off.
    fn admission<K>(&self, config: &Config) -> (&'static str, WatchTask)
    where
        K: AdmissionResource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.objects::<DeserializeGuard<K>>(config, K::KIND.plural(), admission_object)
    }

    /// Objects that are reduced as they are read.
    fn partial<K, V>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(WatchChange<DecodedObject<K, V>>) -> Observation,
    ) -> (&'static str, WatchTask)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + 'static,
        V: FromPartial<K> + Clone + Debug + Send + 'static,
    {
        self.spawn(config, WatchFeed { kind, key, fault: DecodedObject::fault, observe })
    }

    fn controllers<K>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(WatchChange<DecodedObject<K, Controller>>) -> Observation,
    ) -> (&'static str, WatchTask)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + 'static,
        Controller: FromPartial<K>,
    {
        self.partial::<K, Controller>(config, kind, observe)
    }

    fn spawn<K>(&self, config: &Config, feed: WatchFeed<K>) -> (&'static str, WatchTask)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let events = watcher(Api::<K>::all(self.client.clone()), config.clone());
        (feed.kind, Box::pin(feed.run(events, self.sender.clone(), self.metrics.clone())))
    }
}
