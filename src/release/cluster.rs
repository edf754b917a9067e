//! The cluster's side of a release: lists what selects by keys, patches templates in waves and waits for their rollouts.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use anyhow::{Context, anyhow};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{self as k8s, Node},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, Preconditions},
    core::DeserializeGuard,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    HeldTemplate, ListedCluster,
    rollout::{RolloutState, rollout},
};
use crate::{
    api::PlacementPolicy,
    convert,
    operator::{
        watch::partial::{DecodedObject, FromPartial},
        write::TemplateKind,
    },
};
use rempart_core::{
    clearance::ClearanceInput,
    cluster_objects::{Controller, Pod, split},
    keys,
};

/// How many objects are asked for at a time.
const PAGE: u32 = 500;
/// How often a rollout is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Who the API server records as the writer.
const FIELD_MANAGER: &str = "rempart-release";

/// Lists all that a release is decided by.
///
/// # Errors
/// What cannot be listed: an answer without it could not be trusted.
pub async fn list(client: &Client) -> anyhow::Result<ListedCluster> {
    let (world, ending) = policies(client).await?;
    let mut listed = ListedCluster { world, ending, ..ListedCluster::default() };
    controllers::<Deployment>(client, &mut listed).await?;
    controllers::<ReplicaSet>(client, &mut listed).await?;
    controllers::<StatefulSet>(client, &mut listed).await?;
    controllers::<DaemonSet>(client, &mut listed).await?;
    controllers::<Job>(client, &mut listed).await?;
    controllers::<CronJob>(client, &mut listed).await?;
    each::<DecodedObject<k8s::Pod, Pod>>(client, |key, found| {
        let found = found.value.map_err(|fault| anyhow!("pod {key} cannot be read: {fault}"))?;
        listed.pods.extend(found.map(|pod| (key, pod)));
        Ok(())
    })
    .await?;
    let world = &listed.world;
    let (mut nodes, mut stamped) = (0_usize, 0_usize);
    each::<kube::core::PartialObjectMeta<Node>>(client, |_, found| {
        let any = |is: &dyn Fn(&String) -> bool| usize::from(found.labels().keys().any(is));
        nodes = nodes.saturating_add(any(&|key| world.is_retired(key)));
        stamped = stamped.saturating_add(any(&|key| keys::policy_asked(key).is_some()));
        Ok(())
    })
    .await?;
    (listed.nodes, listed.stamped) = (nodes, stamped);
    Ok(listed)
}

/// The policies that are there, those that are being deleted as well: admission adds their keys until they are gone. The
/// names of these. Where their kind is not, there are none.
async fn policies(client: &Client) -> anyhow::Result<(ClearanceInput, Vec<String>)> {
    let (mut world, mut ending) = (ClearanceInput::default(), Vec::new());
    let taken = each::<DeserializeGuard<PlacementPolicy>>(client, |key, found| {
        if found.meta().deletion_timestamp.is_some() {
            ending.push(key.clone());
        }
        match found.0.ok().and_then(|policy| convert::policy(&key, &policy.spec).value) {
            Some(policy) => drop(world.policies.insert(policy.name.clone(), policy)),
            None => drop(world.unread_policies.insert(key)),
        }
        Ok(())
    })
    .await;
    match taken {
        Err(error) if is_unknown(&error) => Ok(<_>::default()),
        taken => taken.map(|()| (world, ending)),
    }
}

fn is_unknown(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.code == 404)
}

async fn controllers<K>(client: &Client, listed: &mut ListedCluster) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
    Controller: FromPartial<K>,
{
    let kind = K::kind(&()).into_owned();
    each::<DecodedObject<K, Controller>>(client, |key, found| {
        let found = found.value.map_err(|fault| anyhow!("{kind} {key} cannot be read: {fault}"))?;
        if let Some(controller) = found {
            listed.controllers.entry(controller.spec.kind()).or_default().insert(key, controller);
        }
        Ok(())
    })
    .await
}

/// Lists the objects of a kind to their end, and has `take` each of them, by `name` or `namespace/name`.
async fn each<K>(client: &Client, mut take: impl FnMut(String, K) -> anyhow::Result<()>) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.with_context(|| format!("{} cannot be listed", K::plural(&())))?;
        params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for object in page {
            let name = object.name_any();
            let key = object.namespace().map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
            take(key, object)?;
        }
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// How a release goes about it.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseLimits {
    /// So many workloads are rolled out at a time.
    pub at_a_time: usize,
    /// So long a rollout may take before the next ones begin all the same.
    pub patience: Duration,
}

/// Frees `templates`, one wave after the other, and `tell`s how it goes. Returns how many were not freed, or whose rollout
/// did not end in time.
pub async fn free(
    client: &Client,
    templates: &[HeldTemplate],
    limits: ReleaseLimits,
    tell: &mut dyn FnMut(String),
) -> usize {
    let (mut done, mut failed) = (0_usize, 0_usize);
    for wave in templates.chunks(limits.at_a_time.max(1)) {
        let begun = tokio::time::Instant::now();
        let mut rolling: BTreeMap<String, (&HeldTemplate, bool)> = BTreeMap::new();
        for held in wave {
            match patch(client, held).await {
                Ok(is_put_back) => drop(rolling.insert(held.name(), (held, is_put_back))),
                Err(error) => {
                    done = done.saturating_add(1);
                    let is_gone = is_unknown(&error);
                    failed = failed.saturating_add(usize::from(!is_gone));
                    let said = if is_gone { "it is gone by now".to_owned() } else { format!("not freed: {error:#}") };
                    tell(format!("[{done}/{}] {}: {said}", templates.len(), held.name()));
                }
            }
        }
        while !rolling.is_empty() {
            let mut ended = Vec::new();
            for (name, (held, is_put_back)) in &rolling {
                let (state, late) = (state(client, held).await, begun.elapsed() >= limits.patience);
                let (is_freed, said) = match state {
                    Ok(RolloutState::Done(None)) => (true, "rolled out".to_owned()),
                    Ok(RolloutState::Done(Some(why))) => (true, why.to_owned()),
                    Ok(RolloutState::UnderWay { updated, wanted }) if late => {
                        let seconds = limits.patience.as_secs();
                        (
                            false,
                            format!(
                                "{updated} of {wanted} pods are of the new template after {seconds} s; it goes on by itself"
                            ),
                        )
                    }
                    Err(error) if late => (false, format!("cannot be looked at: {error:#}")),
                    Ok(RolloutState::UnderWay { .. }) | Err(_) => continue,
                };
                let said = if *is_put_back { format!("somebody's admission puts a key back; {said}") } else { said };
                ended.push((name.clone(), is_freed && !is_put_back, said));
            }
            for (name, is_freed, said) in ended {
                let Some((held, _)) = rolling.remove(&name) else { continue };
                (done, failed) = (done.saturating_add(1), failed.saturating_add(usize::from(!is_freed)));
                tell(format!("[{done}/{}] {name}: {}; {said}", templates.len(), held.short_keys()));
            }
            if !rolling.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
    failed
}

/// The API of objects of `kind` in `namespace`, as they are written.
fn api(client: &Client, kind: TemplateKind, namespace: &str) -> Api<DynamicObject> {
    let kind = kind.workload();
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.as_str()));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Takes the keys from a template, and says whether somebody's admission has put one back in the same request.
async fn patch(client: &Client, held: &HeldTemplate) -> anyhow::Result<bool> {
    let (namespace, name) = split(&held.key);
    let spec = crate::operator::write::template_patch(held.kind, None, &held.keys);
    let patch = json!({"metadata": {"uid": held.uid.to_string()}, "spec": spec});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let after = api(client, held.kind, namespace).patch(name, &params, &Patch::Merge(patch)).await?;
    let selector = match held.kind {
        TemplateKind::CronJob => "/spec/jobTemplate/spec/template/spec/nodeSelector",
        TemplateKind::Deployment
        | TemplateKind::ReplicaSet
        | TemplateKind::StatefulSet
        | TemplateKind::DaemonSet
        | TemplateKind::Job => "/spec/template/spec/nodeSelector",
    };
    let after = serde_json::to_value(after)?;
    let left = after.pointer(selector).and_then(Value::as_object);
    Ok(left.into_iter().flatten().any(|(key, _)| held.keys.contains(key)))
}

async fn state(client: &Client, held: &HeldTemplate) -> anyhow::Result<RolloutState> {
    let (namespace, name) = split(&held.key);
    let Some(object) = api(client, held.kind, namespace).get_opt(name).await? else {
        return Ok(RolloutState::Done(Some("it is gone by now")));
    };
    let state = rollout(held.kind, &serde_json::to_value(object)?);
    if held.kind == TemplateKind::StatefulSet && matches!(state, RolloutState::UnderWay { .. }) {
        delete_waiting(client, held).await?;
    }
    Ok(state)
}

/// Deletes the pods of a `StatefulSet` that wait for a node by its former template: its controller waits for them to be
/// ready before it replaces them (kubernetes#67250), which they never will be.
async fn delete_waiting(client: &Client, held: &HeldTemplate) -> anyhow::Result<()> {
    let (namespace, _) = split(&held.key);
    let pods: Api<DecodedObject<k8s::Pod, Pod>> = Api::namespaced(client.clone(), namespace);
    for found in pods.list(&ListParams::default()).await? {
        let name = found.name_any();
        let Ok(Some(pod)) = found.value else { continue };
        let is_its = pod.owner.as_ref().is_some_and(|owner| owner.uid == held.uid);
        let waits = pod.node.is_none() && pod.is_active();
        if is_its && waits && pod.node_requirements.selector.keys().any(|key| held.keys.contains(key)) {
            let preconditions = Preconditions { uid: Some(pod.uid.to_string()), resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match pods.delete(&name, &params).await {
                // Another has its name by now, or it is gone.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                outcome => drop(outcome?),
            }
        }
    }
    Ok(())
}
