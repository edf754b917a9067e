//! The writes that the operator makes, each one idempotent, and their execution. Their client refuses them while this
//! replica does not lead: see [`guarded`](super::lease::guarded).

mod key;
mod notice;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        admissionregistration::v1::{MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding},
        apps::v1 as apps,
        batch::v1 as batch,
        core::v1::{ConfigMap, Pod},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, EvictParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
    core::DeserializeGuard,
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::json;

pub use self::{
    key::Key,
    notice::{Notice, workload_reference},
};
use super::{
    index::{Change, Observation, Roster},
    lease::NotLeading,
    node::{SlimNode, StampChange},
    record::Recorded,
    slim::Seen,
    watch,
};
use crate::api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement};
use rempart_core::{
    fleet::{Uid, split},
    keys,
    workload::Kind,
};

/// Who the API server records as the writer.
pub const FIELD_MANAGER: &str = "rempart";
/// The `ConfigMap` of the policies that exist.
pub const ROSTER: &str = "rempart-policies";
/// What holds a policy until admission has let go of it.
pub const FINALIZER: &str = "rempart.dev/admission";

/// Longer than any answer of an API server that is well, and shorter than what is left of the lease when a write begins.
pub(super) const DEADLINE: Duration = Duration::from_secs(4);
/// The longest note of an event that the API server takes, in bytes.
const NOTE: usize = 1024;

/// What to do to make one object what it should be.
#[derive(Clone, Debug)]
pub enum Write {
    /// Sets and removes stamps.
    Stamps(StampChange),
    /// Makes the status this, applied by the server.
    Status(serde_json::Value),
    /// Makes a binding.
    CreateMutatingBinding(Box<MutatingAdmissionPolicyBinding>),
    /// Makes a binding what it should be.
    ReplaceMutatingBinding(Box<MutatingAdmissionPolicyBinding>),
    /// Makes a binding.
    CreateValidatingBinding(Box<ValidatingAdmissionPolicyBinding>),
    /// Makes a binding what it should be.
    ReplaceValidatingBinding(Box<ValidatingAdmissionPolicyBinding>),
    /// Ends a binding.
    Delete {
        /// The version that this follows from.
        version: u64,
    },
    /// Sets the finalizers of an object at this resource version.
    Finalizers {
        /// All that the object should have.
        finalizers: Vec<String>,
        /// The version that this follows from.
        version: Option<String>,
    },
    /// Makes the roster.
    CreateRoster(BTreeMap<String, String>),
    /// Makes the record of a workload this, applied by the server, and tells of what it says that is new.
    Record {
        /// The record.
        body: serde_json::Value,
        /// What there is to tell.
        notices: Vec<Notice>,
    },
    /// Tells of something, once: an event that is lost is not told again.
    Notice(Box<Notice>),
    /// Notes in a template when its pods were moved, which makes its controller replace them.
    Migrate {
        /// What is noted.
        note: String,
        /// The controller's identifier: one of the same name is another.
        uid: Uid,
    },
    /// Asks for the eviction of the pod with this identifier.
    Evict(Uid),
    /// Sets and removes entries of the roster.
    PatchRoster(BTreeMap<String, Option<String>>),
}

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused or could not be reached.
    #[error(transparent)]
    Api(kube::Error),
    /// It was not sent: another replica may lead.
    #[error(transparent)]
    NotLeading(NotLeading),
    /// No answer in time.
    #[error("the API server did not answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Service(cause) => match cause.downcast_ref::<NotLeading>() {
                Some(refusal) => Self::NotLeading(*refusal),
                None => Self::Api(error),
            },
            _ => Self::Api(error),
        }
    }
}

impl WriteError {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the object `name` is gone, so that nothing is left to write. Other things may not be found either: its
    /// namespace, or, while an API server starts, its whole kind.
    #[must_use]
    pub fn gone(&self, name: &str) -> bool {
        match self {
            Self::Api(kube::Error::Api(status)) if status.code == 404 => {
                status.details.as_ref().is_some_and(|details| details.name == name)
            }
            _ => false,
        }
    }

    /// Whether the API server is away or has too much to do, so that other writes will fare no better.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        match self {
            Self::Api(kube::Error::Api(_)) if self.declined().is_some() => false,
            Self::Deadline => true,
            Self::NotLeading(_) => false,
            Self::Api(kube::Error::Api(status)) => matches!(status.code, 429 | 503 | 504),
            Self::Api(error) => matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_)),
        }
    }

    /// What the API server said, where it understood a request to move pods and refused it: a disruption budget, or
    /// somebody's admission. Nothing but another time will help.
    #[must_use]
    pub fn declined(&self) -> Option<&str> {
        let Self::Api(kube::Error::Api(status)) = self else { return None };
        let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
        let budget = causes.iter().find(|cause| cause.reason == "DisruptionBudget").map(|cause| cause.message.as_str());
        // An API server that has just come refuses by policies whose parameters it does not know yet; it soon does.
        let knows = !status.message.contains("failed to configure");
        let refused = match status.code {
            400 | 403 | 422 => knows,
            // More than one budget over one pod is told as a fault of the server; a store that is away is one.
            500 => status.message.contains("PodDisruptionBudget"),
            _ => false,
        };
        budget.or_else(|| refused.then_some(status.message.as_str()))
    }

    /// Whether somebody else was faster: the next observation tells what is left to do.
    #[must_use]
    pub fn outdated(&self) -> bool {
        self.status() == Some(409)
    }
}

/// Executes writes.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    namespace: String,
}

impl Writer {
    /// A writer that keeps the roster in `namespace`, by a client that is [`guarded`](super::lease::guarded).
    #[must_use]
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Makes `write` on `key`, and says what was seen of the object afterwards.
    ///
    /// # Errors
    /// [`WriteError`]: nothing was written, or nobody knows.
    pub async fn perform(&self, key: &Key, write: Write) -> Result<Option<Observation>, WriteError> {
        tokio::time::timeout(DEADLINE, self.send(key, write)).await.map_err(|_| WriteError::Deadline)?
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of write")]
    async fn send(&self, key: &Key, write: Write) -> Result<Option<Observation>, WriteError> {
        let client = || self.client.clone();
        let applied = match (key, write) {
            (Key::Stamps(name), Write::Stamps(change)) => {
                let nodes: Api<SlimNode> = Api::all(client());
                let node = nodes.patch(name, &patch_params(), &Patch::Merge(change.patch())).await?;
                Observation::Node(Change::Applied(name.clone(), node))
            }
            (Key::ProviderStatus(name), Write::Status(status)) => {
                let object = self.status::<CloudProvider>(name, status).await?;
                Observation::Provider(Change::Applied(name.clone(), watch::guarded(object)))
            }
            (Key::PoolStatus(name), Write::Status(status)) => {
                let object = self.status::<PlacementPool>(name, status).await?;
                Observation::Pool(Change::Applied(name.clone(), watch::guarded(object)))
            }
            (Key::PolicyStatus(name), Write::Status(status)) => {
                let object = self.status::<PlacementPolicy>(name, status).await?;
                Observation::Policy(Change::Applied(name.clone(), watch::guarded(object)))
            }
            (Key::Finalizer(name), Write::Finalizers { finalizers, version }) => {
                let policies: Api<DeserializeGuard<PlacementPolicy>> = Api::all(client());
                let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
                let object = policies.patch(name, &patch_params(), &Patch::Merge(patch)).await?;
                Observation::Policy(Change::Applied(name.clone(), watch::guarded(object)))
            }
            (Key::MutatingBinding(name), write) => {
                let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(client());
                let object = match write {
                    Write::CreateMutatingBinding(binding) => create(&bindings, name, *binding).await?,
                    Write::ReplaceMutatingBinding(binding) => bindings.replace(name, &post(), &binding).await?,
                    Write::Delete { version } => {
                        bindings.delete(name, &DeleteParams::default()).await?;
                        return Ok(Some(Observation::MutatingBinding(Change::Deleted(name.clone(), version))));
                    }
                    _ => return Ok(None),
                };
                Observation::MutatingBinding(Change::Applied(name.clone(), watch::mutating_binding(object)))
            }
            (Key::ValidatingBinding(name), write) => {
                let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client());
                let object = match write {
                    Write::CreateValidatingBinding(binding) => create(&bindings, name, *binding).await?,
                    Write::ReplaceValidatingBinding(binding) => bindings.replace(name, &post(), &binding).await?,
                    Write::Delete { version } => {
                        bindings.delete(name, &DeleteParams::default()).await?;
                        return Ok(Some(Observation::ValidatingBinding(Change::Deleted(name.clone(), version))));
                    }
                    _ => return Ok(None),
                };
                Observation::ValidatingBinding(Change::Applied(name.clone(), watch::validating_binding(object)))
            }
            (Key::Roster, write) => {
                let maps: Api<ConfigMap> = Api::namespaced(client(), &self.namespace);
                let map = match write {
                    Write::CreateRoster(data) => maps.create(&post(), &roster(data)).await?,
                    Write::PatchRoster(data) => {
                        maps.patch(ROSTER, &patch_params(), &Patch::Merge(json!({ "data": data }))).await?
                    }
                    _ => return Ok(None),
                };
                Observation::Roster(Change::Applied(ROSTER.to_owned(), Roster::from(map)))
            }
            (Key::Template(kind, key), Write::Migrate { note, uid }) => {
                self.migrate(*kind, key, &note, uid).await?;
                return Ok(None);
            }
            (Key::Eviction(key), Write::Evict(uid)) => {
                let (namespace, name) = split(key);
                let pods: Api<Pod> = Api::namespaced(client(), namespace);
                let preconditions = Preconditions { uid: Some(uid.to_string()), resource_version: None };
                let delete = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                pods.evict(name, &EvictParams { delete_options: Some(delete), post_options: post() }).await?;
                return Ok(None);
            }
            (Key::Record(key), write) => {
                let (namespace, name) = split(key);
                let records: Api<Seen<WorkloadPlacement, Recorded>> = Api::namespaced(client(), namespace);
                match write {
                    Write::Record { body, notices } => {
                        let params = PatchParams::apply(FIELD_MANAGER).force();
                        let seen = records.patch(name, &params, &Patch::Apply(body)).await?;
                        for notice in notices {
                            // What is told is said in the record as well.
                            if let Err(error) = self.tell(notice).await {
                                tracing::warn!(object = key, error = %watch::Chain(&error), "an event was not recorded");
                            }
                        }
                        Observation::Record(watch::kept(Change::Applied(key.clone(), seen)))
                    }
                    Write::Delete { version } => {
                        records.delete(name, &DeleteParams::default()).await?;
                        Observation::Record(Change::Deleted(key.clone(), version))
                    }
                    _ => return Ok(None),
                }
            }
            (Key::Notice(..), Write::Notice(notice)) => {
                self.tell(*notice).await?;
                return Ok(None);
            }
            // The engine pairs keys and writes; a pair that means nothing writes nothing.
            _ => return Ok(None),
        };
        Ok(Some(applied))
    }

    /// Notes in the template of the controller found by `key` when its pods were moved.
    async fn migrate(&self, kind: Kind, key: &str, note: &str, uid: Uid) -> Result<(), kube::Error> {
        let (namespace, name) = split(key);
        let template = json!({ "metadata": { "annotations": { keys::MIGRATION: note } } });
        let spec = match kind {
            Kind::CronJob => json!({ "jobTemplate": { "spec": { "template": template } } }),
            _ => json!({ "template": template }),
        };
        let patch = Patch::Merge(json!({ "metadata": { "uid": uid.to_string() }, "spec": spec }));
        let client = self.client.clone();
        match kind {
            Kind::Deployment => touch::<apps::Deployment>(client, namespace, name, &patch).await,
            Kind::ReplicaSet => touch::<apps::ReplicaSet>(client, namespace, name, &patch).await,
            Kind::StatefulSet => touch::<apps::StatefulSet>(client, namespace, name, &patch).await,
            Kind::DaemonSet => touch::<apps::DaemonSet>(client, namespace, name, &patch).await,
            Kind::Job => touch::<batch::Job>(client, namespace, name, &patch).await,
            Kind::CronJob => touch::<batch::CronJob>(client, namespace, name, &patch).await,
            // It has no template.
            Kind::Pod => Ok(()),
        }
    }

    async fn tell(&self, notice: Notice) -> Result<(), kube::Error> {
        let Notice { about, reason, action, note, warning } = notice;
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(fitting(note, NOTE)),
            action: action.to_owned(),
            secondary: None,
        };
        Recorder::new(self.client.clone(), FIELD_MANAGER.into()).publish(&event, &about).await
    }

    async fn status<K>(&self, name: &str, status: serde_json::Value) -> Result<DeserializeGuard<K>, kube::Error>
    where
        K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned,
    {
        // What cannot be decoded has a status as well: it says so.
        let objects: Api<DeserializeGuard<K>> = Api::all(self.client.clone());
        let patch = json!({ "apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status });
        objects.patch_status(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(patch)).await
    }
}

/// Patches what has a template, and reads no more of the answer than its metadata.
async fn touch<K>(
    client: Client,
    namespace: &str,
    name: &str,
    patch: &Patch<serde_json::Value>,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(client, namespace);
    objects.patch_metadata(name, &patch_params(), patch).await.map(drop)
}

/// Makes `object`, or makes what is there under its name the same: whoever takes our labels off an object hides it from
/// our watch, not from us.
async fn create<K>(api: &Api<K>, name: &str, mut object: K) -> Result<K, kube::Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&post(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            object.meta_mut().resource_version = api.get_metadata(name).await?.metadata.resource_version;
            api.replace(name, &post(), &object).await
        }
        outcome => outcome,
    }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn roster(data: BTreeMap<String, String>) -> ConfigMap {
    let labels = [("app.kubernetes.io/name", "rempart"), super::bindings::MANAGED_BY];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(ROSTER.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}

impl From<ConfigMap> for Roster {
    fn from(map: ConfigMap) -> Self {
        Self { version: super::index::version(map.resource_version().as_deref()), data: map.data.unwrap_or_default() }
    }
}

/// At most `longest` bytes of `text`.
fn fitting(mut text: String, longest: usize) -> String {
    const MORE: &str = "…";
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest.saturating_sub(MORE.len())));
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn notes_fit_and_are_cut_between_characters() {
        assert_eq!(fitting("déjà".into(), 6), "déjà");
        assert_eq!(fitting("déjà vu".into(), 7), "déj…");
        assert_eq!(fitting("€".repeat(500), NOTE).len(), 3 * 340 + 3);
    }

    #[test]
    fn what_was_refused_is_told_from_what_failed_for_now() {
        let declined = |code: u16, message: &str| {
            let status = json!({"status": "Failure", "code": code, "reason": "any", "message": message});
            let error = WriteError::Api(kube::Error::Api(serde_json::from_value(status).unwrap()));
            error.declined().is_some()
        };
        assert!(declined(403, "admission webhook \"a\" denied the request: not on Fridays"));
        assert!(declined(422, "spec.template: Invalid value"));
        assert!(declined(500, "This pod has more than one PodDisruptionBudget"));
        assert!(!declined(403, "policy \"rempart-templates\" denied request: failed to configure policy: not found"));
        assert!(!declined(500, "etcdserver: request timed out"));
        assert!(!declined(503, "the server is not able to"));
    }
}
