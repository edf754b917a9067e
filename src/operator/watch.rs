//! From watches to observations: one task for each kind, with its own backoff.

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    admissionregistration::v1::{
        MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
    },
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{self as k8s, ConfigMap, Node},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher::{self, Config, watcher},
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, time::Duration};
use tokio::sync::mpsc::Sender;

use super::{
    bindings::MANAGED_BY,
    index::{BindingRecord, Change, Existing, Observation, Record, Roster, version},
    metrics::Metrics,
    node::SlimNode,
    record::Recorded,
    renewal,
    slim::{Kept, Seen},
    write::ROSTER,
};
use crate::api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement};
use rempart_core::{
    fleet::{self, Controller},
    workload::Kind,
};

/// Idle watches die unnoticed behind load balancers, which commonly close them after four minutes.
const WATCH_SECONDS: u32 = 200;

/// The longest wait before a watch that broke off is taken up again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How a watch that broke off is taken up again. Gentle on an API server in trouble, and soon there when it is back.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(LONGEST_WAIT)
    .with_factor(2.0)
    .with_jitter()
    .without_max_times();

/// How long to wait after each failure of one watch.
struct Waits {
    backoff: backon::ExponentialBackoff,
    /// The last failure was an answer: where the watch was is forgotten.
    expired: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Self { backoff: BACKOFF.build(), expired: false }
    }
}

impl Waits {
    /// The watch told something. That a list begins says nothing of how it will end: it is no reason to hurry again.
    fn heard<K>(&mut self, event: &watcher::Event<K>) {
        if !matches!(event, watcher::Event::Init) {
            *self = Self::default();
        }
    }

    /// The watch failed.
    ///
    /// An API server that was started anew answers each watch that goes on with 410, and wants the list to be read again.
    /// Who has waited for it to be back need not wait as long again; who is told so twice in a row must.
    fn next(&mut self, error: &watcher::Error) -> Duration {
        let expired = is_expired(error);
        if expired && !self.expired {
            *self = Self::default();
        }
        self.expired = expired;
        self.backoff.next().unwrap_or(LONGEST_WAIT)
    }
}

/// Whether the API server has forgotten what a watch goes on from.
fn is_expired(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchError, WatchStartFailed};
    let (WatchError(status) | WatchStartFailed(kube::Error::Api(status))) = error else { return false };
    status.code == 410
}

/// Objects of a list that are asked for at a time. A page of 500 nodes, decoded, is several MiB that stay with the process.
const PAGE: u32 = 100;

/// Turns what a watch says of `K` into observations.
struct Feed<K> {
    kind: &'static str,
    key: fn(&K) -> String,
    /// Why an object cannot be read, where that is so.
    fault: fn(&K) -> Option<&str>,
    observe: fn(Change<K>) -> Observation,
}

impl<K: ResourceExt> Feed<K> {
    async fn run<S>(self, events: S, sender: Sender<Observation>, metrics: Metrics)
    where
        S: futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    {
        pin_mut!(events);
        metrics.watch_began(self.kind);
        let mut waits = Waits::default();
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
                Ok(watcher::Event::Init) => Change::Restarted,
                Ok(watcher::Event::InitApply(object)) => Change::Listed((self.key)(&object), object),
                Ok(watcher::Event::InitDone) => Change::Complete,
                Ok(watcher::Event::Apply(object)) => Change::Applied((self.key)(&object), object),
                Ok(watcher::Event::Delete(object)) => {
                    Change::Deleted((self.key)(&object), version(object.resource_version().as_deref()))
                }
                Err(error) => {
                    metrics.watch_failed(self.kind);
                    let wait = waits.next(&error);
                    tracing::warn!(kind = self.kind, error = %Chain(&error), ?wait, "not following; trying again");
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

/// An error with its causes, as one line.
pub(super) struct Chain<'a>(pub(super) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = String::new();
        let mut next = Some(self.0);
        while let Some(error) = next {
            let text = in_words(error);
            // Some errors repeat their cause in their own words.
            if said.is_empty() {
                f.write_str(&text)?;
            } else if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = error.source();
        }
        Ok(())
    }
}

/// What the API server said, without the shape in which the client holds it.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    use super::write::WriteError;
    let spoken = |status: &kube::core::Status| format!("{} ({} {})", status.message, status.code, status.reason);
    if let Some(error) = error.downcast_ref::<watcher::Error>() {
        return match error {
            watcher::Error::InitialListFailed(_) => "the list failed".to_owned(),
            watcher::Error::WatchStartFailed(_) => "the watch did not start".to_owned(),
            watcher::Error::WatchFailed(_) => "the watch broke off".to_owned(),
            watcher::Error::WatchError(status) => format!("the API server ended the watch: {}", spoken(status)),
            watcher::Error::NoResourceVersion => error.to_string(),
        };
    }
    match (error.downcast_ref::<kube::Error>(), error.downcast_ref::<WriteError>()) {
        (Some(kube::Error::Api(status)), _) | (_, Some(WriteError::Api(kube::Error::Api(status)))) => spoken(status),
        _ => error.to_string(),
    }
}

/// What is kept of the objects that `change` is about.
pub(super) fn kept<K: Resource, V>(change: Change<Seen<K, V>>) -> Change<V> {
    let read = |seen: Seen<K, V>| {
        let version = version(seen.meta().resource_version.as_deref());
        seen.kept.map(|kept| kept.ok_or(version))
    };
    match change {
        Change::Listed(name, seen) => match read(seen) {
            Ok(Ok(value)) => Change::Listed(name, value),
            Ok(Err(version)) => Change::Passed(name, version),
            Err(_) => Change::Unreadable(name),
        },
        Change::Applied(name, seen) => match read(seen) {
            Ok(Ok(value)) => Change::Applied(name, value),
            Ok(Err(version)) => Change::Passed(name, version),
            Err(_) => Change::Unreadable(name),
        },
        Change::Unreadable(name) => Change::Unreadable(name),
        Change::Passed(name, version) => Change::Passed(name, version),
        Change::Restarted => Change::Restarted,
        Change::Complete => Change::Complete,
        Change::Deleted(name, version) => Change::Deleted(name, version),
    }
}

/// By what name objects are known: `namespace/name` where they have a namespace.
fn key<K: ResourceExt>(object: &K) -> String {
    let name = object.name_any();
    object.namespace().map_or(name.clone(), |namespace| format!("{namespace}/{name}"))
}

fn record<K: Resource>(object: K) -> Record<K> {
    let mut meta = object.meta().clone();
    meta.managed_fields = None;
    Record { meta, object: Ok(Box::new(object)) }
}

/// A record of an object, or of what is left of one that did not decode.
pub(super) fn guarded<K: Resource>(DeserializeGuard(object): DeserializeGuard<K>) -> Record<K> {
    match object {
        Ok(object) => record(object),
        Err(invalid) => Record { meta: invalid.metadata, object: Err(invalid.error) },
    }
}

pub(super) fn mutating_binding(
    object: MutatingAdmissionPolicyBinding,
) -> BindingRecord<k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBindingSpec> {
    BindingRecord { meta: object.metadata, spec: object.spec }
}

pub(super) fn validating_binding(
    object: ValidatingAdmissionPolicyBinding,
) -> BindingRecord<k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBindingSpec> {
    BindingRecord { meta: object.metadata, spec: Some(object.spec) }
}

fn existing<K>(object: &PartialObjectMeta<K>) -> Existing {
    Existing { version: version(object.metadata.resource_version.as_deref()) }
}

/// A future that runs until the process ends.
pub type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// One task for each kind that the operator follows, by the kind's plural name.
#[must_use]
pub fn tasks(
    client: &Client,
    namespace: &str,
    sender: &Sender<Observation>,
    metrics: &Metrics,
) -> Vec<(&'static str, Task)> {
    let config = Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let ours = config.clone().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let installed = config.clone().labels("app.kubernetes.io/name=rempart");
    let client = &renewal::heard(client.clone(), metrics.clone());
    let all = Spawn { client, sender, metrics };
    vec![
        all.objects::<DeserializeGuard<CloudProvider>>(&config, "cloudproviders", |change| {
            Observation::Provider(change.map(guarded))
        }),
        all.objects::<DeserializeGuard<PlacementPool>>(&config, "placementpools", |change| {
            Observation::Pool(change.map(guarded))
        }),
        all.objects::<DeserializeGuard<PlacementPolicy>>(&config, "placementpolicies", |change| {
            Observation::Policy(change.map(guarded))
        }),
        all.kept::<Node, SlimNode>(&config, "nodes", |change| Observation::Node(kept(change))),
        all.kept::<k8s::Pod, fleet::Pod>(&config, "pods", |change| Observation::Pod(kept(change))),
        all.controllers::<Deployment>(&config, "deployments", |change| {
            Observation::Controller(Kind::Deployment, kept(change))
        }),
        all.controllers::<ReplicaSet>(&config, "replicasets", |change| {
            Observation::Controller(Kind::ReplicaSet, kept(change))
        }),
        all.controllers::<StatefulSet>(&config, "statefulsets", |change| {
            Observation::Controller(Kind::StatefulSet, kept(change))
        }),
        all.controllers::<DaemonSet>(&config, "daemonsets", |change| {
            Observation::Controller(Kind::DaemonSet, kept(change))
        }),
        all.controllers::<Job>(&config, "jobs", |change| Observation::Controller(Kind::Job, kept(change))),
        all.controllers::<CronJob>(&config, "cronjobs", |change| Observation::Controller(Kind::CronJob, kept(change))),
        all.kept::<k8s::Namespace, fleet::Namespace>(&config, "namespaces", |change| {
            Observation::Namespace(kept(change))
        }),
        all.kept::<k8s::PersistentVolumeClaim, fleet::Claim>(&config, "persistentvolumeclaims", |change| {
            Observation::Claim(kept(change))
        }),
        all.kept::<k8s::PersistentVolume, fleet::Volume>(&config, "persistentvolumes", |change| {
            Observation::Volume(kept(change))
        }),
        all.objects::<MutatingAdmissionPolicyBinding>(&ours, "mutatingadmissionpolicybindings", |change| {
            Observation::MutatingBinding(change.map(mutating_binding))
        }),
        all.objects::<ValidatingAdmissionPolicyBinding>(&ours, "validatingadmissionpolicybindings", |change| {
            Observation::ValidatingBinding(change.map(validating_binding))
        }),
        all.objects::<PartialObjectMeta<MutatingAdmissionPolicy>>(&installed, "mutatingadmissionpolicies", |change| {
            Observation::MutatingPolicy(change.map(|object| existing(&object)))
        }),
        all.objects::<PartialObjectMeta<ValidatingAdmissionPolicy>>(
            &installed,
            "validatingadmissionpolicies",
            |change| Observation::ValidatingPolicy(change.map(|object| existing(&object))),
        ),
        all.kept::<WorkloadPlacement, Recorded>(&config, "workloadplacements", |change| {
            Observation::Record(kept(change))
        }),
        ("configmaps", {
            let feed = Feed {
                kind: "configmaps",
                key: ResourceExt::name_any,
                fault: |_| None,
                observe: |change| Observation::Roster(change.map(Roster::from)),
            };
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            let events = watcher(api, config.fields(&format!("metadata.name={ROSTER}")));
            Box::pin(feed.run(events, sender.clone(), metrics.clone()))
        }),
    ]
}

struct Spawn<'a> {
    client: &'a Client,
    sender: &'a Sender<Observation>,
    metrics: &'a Metrics,
}

impl Spawn<'_> {
    fn objects<K>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(Change<K>) -> Observation,
    ) -> (&'static str, Task)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.spawn(config, Feed { kind, key: ResourceExt::name_any, fault: |_| None, observe })
    }

    /// Objects that are reduced as they are read.
    fn kept<K, V>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(Change<Seen<K, V>>) -> Observation,
    ) -> (&'static str, Task)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + 'static,
        V: Kept<K> + Clone + Debug + Send + 'static,
    {
        self.spawn(config, Feed { kind, key, fault: Seen::fault, observe })
    }

    fn controllers<K>(
        &self,
        config: &Config,
        kind: &'static str,
        observe: fn(Change<Seen<K, Controller>>) -> Observation,
    ) -> (&'static str, Task)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + 'static,
        Controller: Kept<K>,
    {
        self.kept::<K, Controller>(config, kind, observe)
    }

    fn spawn<K>(&self, config: &Config, feed: Feed<K>) -> (&'static str, Task)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let events = watcher(Api::<K>::all(self.client.clone()), config.clone());
        (feed.kind, Box::pin(feed.run(events, self.sender.clone(), self.metrics.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_fail_again_and_again_are_asked_for_ever_less_often() {
        let mut waits = Waits::default();
        let mut waited = Duration::ZERO;
        // A watcher says of each list that it begins before it says that it failed.
        for _ in 0..30 {
            waits.heard(&watcher::Event::<ConfigMap>::Init);
            waited += waits.next(&watcher::Error::NoResourceVersion);
        }
        assert!(waited > Duration::from_secs(200), "{waited:?}");
        waits.heard(&watcher::Event::<ConfigMap>::InitDone);
        assert!(waits.next(&watcher::Error::NoResourceVersion) < Duration::from_secs(1));
    }

    #[test]
    fn who_is_told_to_read_the_list_again_does_so_soon_unless_told_so_again_and_again() {
        let mut waits = Waits::default();
        let expired =
            || watcher::Error::WatchError(Box::new(kube::core::Status::failure("too old", "Expired").with_code(410)));
        for _ in 0..10 {
            waits.next(&watcher::Error::NoResourceVersion);
        }
        assert!(waits.next(&expired()) < Duration::from_secs(1));
        let waited: Duration = (0..30)
            .map(|_| {
                waits.heard(&watcher::Event::<ConfigMap>::Init);
                waits.next(&expired())
            })
            .sum();
        assert!(waited > Duration::from_secs(200), "{waited:?}");
    }
}
