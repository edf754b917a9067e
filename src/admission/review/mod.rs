//! Admission reviews: what the webhook changes of a request, where no mutating admission policy does.
//!
//! Takes a request as an API server sends it, a policy and what is said of the namespace, and returns the patch: the core's
//! [`Completion`] of the pod or pod template, as operations on the object. Nothing is refused here. What is missed the
//! validations refuse.
//!
//! Whoever may create pods chooses how large a request is: only what decides is decoded, out of the text as it came, and what
//! is compared is compared by its fingerprint. What it takes beside the text does not grow with it.

mod decode;
mod fingerprint;
mod scheduling;

use std::{borrow::Cow, hash::RandomState};

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde::Deserialize;
use serde_json::{Error, Map, Value, value::RawValue};

use self::{
    decode::{Fields, MIRROR, OurTexts, at, controller, fields, is_map, texts},
    fingerprint::fingerprint,
    scheduling::SchedulingParts,
};
use rempart_core::{
    completion::{Completion, MapChanges, TemplateFields},
    policy::Policy,
    sensitivity::SensitivityStatement,
    workload::WorkloadKind,
};

/// A policy that pods are completed by, by what its admission needs.
#[derive(Clone, Debug)]
pub struct CompletingPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its identifier.
    pub uid: Option<String>,
}

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: ReviewRequest<'a>,
}

/// What is read of a request; the objects stay text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewRequest<'a> {
    /// What the answer names it by.
    pub uid: String,
    /// The namespace of the object; empty where there is none.
    #[serde(default)]
    pub namespace: String,
    kind: GroupKind,
    operation: String,
    #[serde(default)]
    user_info: UserInfo,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    old_object: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct GroupKind {
    #[serde(default)]
    group: String,
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
    groups: Vec<String>,
}

/// Reads a review.
///
/// # Errors
/// Where it is none.
pub fn read(body: &[u8]) -> Result<ReviewRequest<'_>, Error> {
    serde_json::from_slice::<Review<'_>>(body).map(|review| review.request)
}

/// The changes that `request` needs by `policy`, where `spoken` is said of its namespace. None for what the policy does not
/// complete.
///
/// # Errors
/// Where an object is not as an API server writes one.
pub fn complete(
    request: &ReviewRequest<'_>,
    policy: &CompletingPolicy,
    spoken: &SensitivityStatement,
) -> Result<Patch, Error> {
    let is_asked = |kind: &WorkloadKind| {
        let group = kind.api_version().split_once('/').map_or("", |(group, _)| group);
        (kind.as_str(), group) == (request.kind.kind.as_str(), request.kind.group.as_str())
    };
    let (Some(object), Some(kind)) = (request.object, WorkloadKind::ALL.into_iter().find(is_asked)) else {
        return Ok(Patch::default());
    };
    // A pod is changed itself, as a template is.
    let path: Vec<&str> = kind.template_at().into_iter().flat_map(|at| at.split('.')).collect();
    let Some(template) = at(object, &path)? else { return Ok(Patch::default()) };
    let parts = TemplateParts::read(template)?;
    if kind != WorkloadKind::Pod {
        let completion = completion_of_template(request, object, (kind, &path), &parts, policy, spoken)?;
        return Ok(completion.map(|completion| Patch(operations(&path, &parts, &completion))).unwrap_or_default());
    }
    if request.operation != "CREATE" || is_mirror(request, &parts)? {
        return Ok(Patch::default());
    }
    // What most policies do not ask for is not read.
    let carried = if policy.policy.has_wishes() {
        let owner = controller(fields(parts.metadata)?.owner_references)?;
        scheduling::read(parts.spec, &parts.labels.ours, owner)?
    } else {
        SchedulingParts::default()
    };
    let has = (&parts.annotations.ours, &parts.selector.ours);
    let completion = policy.policy.completion_of_pod(&request.namespace, spoken, has, &carried.carried);
    let mut operations = operations(&path, &parts, &completion);
    // Of a pod without a spec nothing is known to be wished, and the API server takes none.
    if is_map(parts.spec) {
        operations.extend(scheduling::operations(&carried, &completion.scheduling));
    }
    Ok(Patch(operations))
}

/// What a pod or pod template has of what admission reads and writes.
struct TemplateParts<'a> {
    metadata: Option<&'a RawValue>,
    spec: Option<&'a RawValue>,
    annotations: OurTexts,
    labels: OurTexts,
    selector: OurTexts,
    node: Option<&'a RawValue>,
}

impl<'a> TemplateParts<'a> {
    fn read(template: &'a RawValue) -> Result<Self, Error> {
        let Fields { metadata, spec, .. } = fields(Some(template))?;
        let Fields { annotations, labels, .. } = fields(metadata)?;
        let Fields { node_selector, node_name, .. } = fields(spec)?;
        Ok(Self {
            metadata,
            spec,
            annotations: texts(annotations)?,
            labels: texts(labels)?,
            selector: texts(node_selector)?,
            node: node_name,
        })
    }
}

/// Whether a kubelet asks for its own pod, for a static one that it has placed already.
fn is_mirror(request: &ReviewRequest<'_>, pod: &TemplateParts<'_>) -> Result<bool, Error> {
    let user = &request.user_info;
    let by = user.username.strip_prefix("system:node:");
    if !pod.annotations.ours.contains_key(MIRROR) || !user.groups.iter().any(|group| group == "system:nodes") {
        return Ok(false);
    }
    let node = pod.node.map(|node| serde_json::from_str::<Cow<'_, str>>(node.get())).transpose()?;
    Ok(by == Some(node.as_deref().unwrap_or_default()))
}

fn completion_of_template(
    request: &ReviewRequest<'_>,
    object: &RawValue,
    (kind, path): (WorkloadKind, &[&str]),
    template: &TemplateParts<'_>,
    policy: &CompletingPolicy,
    spoken: &SensitivityStatement,
) -> Result<Option<Completion>, Error> {
    let metadata = fields(fields(Some(object))?.metadata)?;
    if !kind.speaks_for_pods(controller(metadata.owner_references)?.as_deref()) {
        return Ok(None);
    }
    let own = SensitivityStatement::of(&texts(metadata.annotations)?.ours);
    if request.operation != "CREATE" {
        let Some(old) = request.old_object else { return Ok(None) };
        if metadata.deletion_timestamp.is_some() || !is_touched(object, old, kind, path, &own)? {
            return Ok(None);
        }
    }
    let fields = TemplateFields {
        annotations: &template.annotations.ours,
        labels: &template.labels.ours,
        selector: &template.selector.ours,
    };
    let uid = policy.uid.as_deref();
    Ok(Some(policy.policy.completion_of_template(uid, &request.namespace, spoken, &own, fields)))
}

/// Whether an update changes the template, or what the workload says of it, which is `own` now, so that a rollout happens
/// anyway. Of a Job only what has never started is touched.
fn is_touched(
    object: &RawValue,
    old: &RawValue,
    kind: WorkloadKind,
    path: &[&str],
    own: &SensitivityStatement,
) -> Result<bool, Error> {
    let before = fields(Some(old))?;
    if kind == WorkloadKind::Job {
        let is_suspended = fields(before.spec)?.suspend.is_some_and(|suspend| suspend.get() == "true");
        if !is_suspended || fields(before.status)?.start_time.is_some() {
            return Ok(false);
        }
    }
    let said = SensitivityStatement::of(&texts(fields(before.metadata)?.annotations)?.ours);
    if said != *own {
        return Ok(true);
    }
    let hasher = RandomState::new();
    let fingerprint = |of: Option<&RawValue>| of.map(|of| fingerprint(&hasher, of)).transpose();
    Ok(fingerprint(at(object, path)?)? != fingerprint(at(old, path)?)?)
}

/// The operations by which an object is completed whose pod or template is at `path`, but for those for the scheduler.
fn operations(path: &[&str], parts: &TemplateParts<'_>, completion: &Completion) -> Vec<PatchOperation> {
    let Completion { annotations, labels, selector, scheduling: _ } = completion;
    let (mut operations, mut is_made) = (Vec::new(), false);
    for (parent, field, found, changes) in [
        (("metadata", parts.metadata), "annotations", &parts.annotations, annotations),
        (("metadata", parts.metadata), "labels", &parts.labels, labels),
        (("spec", parts.spec), "nodeSelector", &parts.selector, selector),
    ] {
        if changes.is_empty() {
            continue;
        }
        let (parent, there) = parent;
        let pointer = |further: &[&str]| PointerBuf::from_tokens(path.iter().chain(further).copied());
        if !(is_map(there) || (parent == "metadata" && is_made)) {
            is_made = parent == "metadata";
            operations.push(add(pointer(&[parent]), Map::new().into()));
        }
        operations.extend(operations_on(changes, found.is_there, |key| match key {
            Some(key) => pointer(&[parent, field, key]),
            None => pointer(&[parent, field]),
        }));
    }
    operations
}

fn add(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path, value })
}

/// The operations that make `changes` in a map, where it `is_there`, by the pointers to it and to its keys.
fn operations_on<'a>(
    changes: &'a MapChanges,
    is_there: bool,
    pointer: impl Fn(Option<&str>) -> PointerBuf + 'a,
) -> Vec<PatchOperation> {
    if !is_there {
        let set = changes.iter().filter_map(|(key, value)| Some((key.clone(), Value::from(value.clone()?))));
        return vec![add(pointer(None), Value::Object(set.collect()))];
    }
    let operation = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => add(pointer(Some(key)), value.clone().into()),
        None => PatchOperation::Remove(RemoveOperation { path: pointer(Some(key)) }),
    };
    changes.iter().map(operation).collect()
}

#[cfg(test)]
mod tests;
