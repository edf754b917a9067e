//! Writes: the requests that the operator makes of the API server, their queue and their execution.
//!
//! An [`ApiWriter`] carries out one [`WriteRequest`], a server-side apply, a merge patch, a creation, a deletion or an
//! eviction, and returns what it saw of the object. Its client refuses what would
//! write while this replica does not lead: see [`guarded`](super::lease::guarded).

pub mod error;
mod event;
pub mod queue;
mod request;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        },
        apps::v1 as apps,
        batch::v1 as batch,
        core::v1::Pod,
        events::v1::Event,
    },
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, EvictParams, Patch, PatchParams, PostParams, Preconditions},
    core::DeserializeGuard,
};
use serde_json::json;

pub use self::{
    error::{WriteError, WriteFailure},
    event::{EventRequest, workload_reference},
    request::{TemplateKind, WriteRequest, WriteTarget, template_patch},
};
use super::{
    cache::{Observation, WatchChange},
    lease::WRITE_DEADLINE,
    names::FIELD_MANAGER,
    watch::{
        decode::{AdmissionResource, declared_object, decoded},
        node::PartialNode,
        partial::DecodedObject,
        record::RecordDigest,
    },
};
use crate::{
    admission::{AdmissionKind, AdmissionObject},
    api::{CloudProvider, PlacementPolicy, PlacementPool, WorkloadPlacement},
};
use rempart_core::cluster_objects::{ObjectUid, split};

/// Executes writes.
#[derive(Clone)]
pub struct ApiWriter {
    client: Client,
    identity: String,
}

impl ApiWriter {
    /// A writer that signs events as the replica `identity`, by a client that is
    /// [`guarded`](crate::operator::lease::guarded).
    #[must_use]
    pub fn new(client: Client, identity: String) -> Self {
        Self { client, identity }
    }

    /// Carries out `request`, and says what was seen of the object afterwards.
    ///
    /// # Errors
    /// [`WriteError`]: nothing was written, or nobody knows.
    pub async fn perform(&self, request: WriteRequest) -> Result<Option<Observation>, WriteError> {
        tokio::time::timeout(WRITE_DEADLINE, self.send(request)).await.map_err(|_| WriteError::Deadline)?
    }

    async fn send(&self, request: WriteRequest) -> Result<Option<Observation>, WriteError> {
        let client = || self.client.clone();
        let seen = match request {
            WriteRequest::SetFinalizers { policy, finalizers, version } => {
                let policies: Api<DeserializeGuard<PlacementPolicy>> = Api::all(client());
                let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
                let object = policies.patch(&policy, &patch_params(), &Patch::Merge(patch)).await?;
                Observation::Policy(WatchChange::Applied(policy, declared_object(object)))
            }
            WriteRequest::PutAdmission { object, version } => {
                let (kind, name) = (object.kind(), object.name().to_owned());
                let seen = match *object {
                    AdmissionObject::MutatingBinding(object) => put(client(), &name, object, version).await?.observed(),
                    AdmissionObject::Validation(object) => put(client(), &name, object, version).await?.observed(),
                    AdmissionObject::ValidatingBinding(object) => {
                        put(client(), &name, object, version).await?.observed()
                    }
                    AdmissionObject::Webhook(object) => put(client(), &name, object, version).await?.observed(),
                };
                Observation::Admission(kind, WatchChange::Applied(name, seen))
            }
            WriteRequest::DeleteAdmission(kind, name, version) => {
                match kind {
                    AdmissionKind::Mutation => delete::<MutatingAdmissionPolicy>(client(), &name, version).await?,
                    AdmissionKind::MutatingBinding => {
                        delete::<MutatingAdmissionPolicyBinding>(client(), &name, version).await?;
                    }
                    AdmissionKind::Validation => delete::<ValidatingAdmissionPolicy>(client(), &name, version).await?,
                    AdmissionKind::ValidatingBinding => {
                        delete::<ValidatingAdmissionPolicyBinding>(client(), &name, version).await?;
                    }
                    AdmissionKind::Webhook => {
                        delete::<MutatingWebhookConfiguration>(client(), &name, version).await?;
                    }
                }
                Observation::Admission(kind, WatchChange::Deleted(name, version))
            }
            WriteRequest::LabelNode(name, change) => {
                let nodes: Api<PartialNode> = Api::all(client());
                let node = nodes.patch(&name, &patch_params(), &Patch::Merge(change.patch())).await?;
                Observation::Node(WatchChange::Applied(name, node))
            }
            WriteRequest::ApplyProviderStatus(name, status) => {
                let object = self.apply_status::<CloudProvider>(&name, status).await?;
                Observation::Provider(WatchChange::Applied(name, declared_object(object)))
            }
            WriteRequest::ApplyPoolStatus(name, status) => {
                let object = self.apply_status::<PlacementPool>(&name, status).await?;
                Observation::Pool(WatchChange::Applied(name, declared_object(object)))
            }
            WriteRequest::ApplyPolicyStatus(name, status) => {
                let object = self.apply_status::<PlacementPolicy>(&name, status).await?;
                Observation::Policy(WatchChange::Applied(name, declared_object(object)))
            }
            WriteRequest::RestartRollout { kind, name, note, surplus, uid } => {
                self.restart_rollout(kind, &name, template_patch(kind, Some(&note), &surplus), uid).await?;
                return Ok(None);
            }
            WriteRequest::EvictPod { name, uid, version } => {
                let (namespace, name) = split(&name);
                let pods: Api<Pod> = Api::namespaced(client(), namespace);
                let resource_version = version.map(|version| version.to_string());
                let preconditions = Preconditions { uid: Some(uid.to_string()), resource_version };
                let delete = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                pods.evict(name, &EvictParams { delete_options: Some(delete), post_options: post() }).await?;
                return Ok(None);
            }
            WriteRequest::DeletePod { name, uid, version } => {
                let (namespace, name) = split(&name);
                let pods: Api<Pod> = Api::namespaced(client(), namespace);
                let resource_version = version.map(|version| version.to_string());
                let preconditions = Preconditions { uid: Some(uid.to_string()), resource_version };
                let delete = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                pods.delete(name, &delete).await?;
                return Ok(None);
            }
            WriteRequest::ApplyRecord(key, body) => {
                let (namespace, name) = split(&key);
                let records: Api<DecodedObject<WorkloadPlacement, RecordDigest>> = Api::namespaced(client(), namespace);
                let params = PatchParams::apply(FIELD_MANAGER).force();
                let seen = records.patch(name, &params, &Patch::Apply(body)).await?;
                Observation::Record(decoded(WatchChange::Applied(key, seen)))
            }
            WriteRequest::DeleteRecord(key, version) => {
                let (namespace, name) = split(&key);
                let records: Api<DecodedObject<WorkloadPlacement, RecordDigest>> = Api::namespaced(client(), namespace);
                records.delete(name, &as_of(version)).await?;
                Observation::Record(WatchChange::Deleted(key, version))
            }
            WriteRequest::RecordEvent(event) => {
                self.record_event(*event).await?;
                return Ok(None);
            }
        };
        Ok(Some(seen))
    }

    /// Patches the spec of the controller found by `key`.
    async fn restart_rollout(
        &self,
        kind: TemplateKind,
        key: &str,
        spec: serde_json::Value,
        uid: ObjectUid,
    ) -> Result<(), kube::Error> {
        let (namespace, name) = split(key);
        let patch = Patch::Merge(json!({ "metadata": { "uid": uid.to_string() }, "spec": spec }));
        let client = self.client.clone();
        match kind {
            TemplateKind::Deployment => annotate::<apps::Deployment>(client, namespace, name, &patch).await,
            TemplateKind::ReplicaSet => annotate::<apps::ReplicaSet>(client, namespace, name, &patch).await,
            TemplateKind::StatefulSet => annotate::<apps::StatefulSet>(client, namespace, name, &patch).await,
            TemplateKind::DaemonSet => annotate::<apps::DaemonSet>(client, namespace, name, &patch).await,
            TemplateKind::Job => annotate::<batch::Job>(client, namespace, name, &patch).await,
            TemplateKind::CronJob => annotate::<batch::CronJob>(client, namespace, name, &patch).await,
        }
    }

    async fn record_event(&self, event: EventRequest) -> Result<(), kube::Error> {
        let event = event.into_event(&self.identity);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        match events.create(&post(), &event).await {
            // It arrived when it was first sent.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    async fn apply_status<K>(&self, name: &str, status: serde_json::Value) -> Result<DeserializeGuard<K>, kube::Error>
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
async fn annotate<K>(
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

/// Creates `object`, or puts it in the place of what is there at `version`.
async fn put<K>(client: Client, name: &str, mut object: K, version: Option<u64>) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let api = Api::all(client);
    let Some(version) = version else { return api.create(&post(), &object).await };
    object.meta_mut().resource_version = Some(version.to_string());
    api.replace(name, &post(), &object).await
}

async fn delete<K>(client: Client, name: &str, version: u64) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    Api::<K>::all(client).delete(name, &as_of(version)).await.map(drop)
}

/// To delete what is there at `version`; at 0, which no object has, whatever is there.
fn as_of(version: u64) -> DeleteParams {
    let resource_version = (version > 0).then(|| version.to_string());
    let preconditions = resource_version.map(|version| Preconditions { uid: None, resource_version: Some(version) });
    DeleteParams { preconditions, ..DeleteParams::default() }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
