//! Admission reviews: what the webhook changes of a request, where no mutating admission policy does.
//!
//! Takes a request as an API server sends it, a policy and what is said of the namespace, and returns the patch: the core's
//! [`Completion`] of the pod or pod template, as operations on the object. Nothing is refused here. What is missed the
//! validations refuse.
//!
//! Whoever may create pods chooses how large a request is: only what decides is decoded, out of the text as it came, and what
//! is compared is compared by its fingerprint. What it takes beside the text does not grow with it.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher, RandomState},
};

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Error, Map, Value, value::RawValue};

use rempart_core::{
    completion::{Completion, MapChanges, TemplateFields},
    policy::Policy,
    selector::Labels,
    sensitivity::SensitivityStatement,
    workload::WorkloadKind,
};

/// The annotation of what a kubelet runs without being asked.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// So many entries of Rempart's may be in one map: of policies that govern the same namespace there are a few.
const MOST_ENTRIES: usize = 1024;

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

/// What is read of an object, and of what is in it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    template: Option<&'a RawValue>,
    #[serde(borrow)]
    job_template: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    #[serde(borrow)]
    node_selector: Option<&'a RawValue>,
    #[serde(borrow)]
    node_name: Option<&'a RawValue>,
    #[serde(borrow)]
    owner_references: Option<&'a RawValue>,
    #[serde(borrow)]
    deletion_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    suspend: Option<&'a RawValue>,
    #[serde(borrow)]
    start_time: Option<&'a RawValue>,
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
    let completion = if kind == WorkloadKind::Pod {
        completion_of_pod(request, &parts, policy, spoken)?
    } else {
        completion_of_template(request, object, (kind, &path), &parts, policy, spoken)?
    };
    Ok(completion.map(|completion| patch(&path, &parts, &completion)).unwrap_or_default())
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

fn completion_of_pod(
    request: &ReviewRequest<'_>,
    pod: &TemplateParts<'_>,
    policy: &CompletingPolicy,
    spoken: &SensitivityStatement,
) -> Result<Option<Completion>, Error> {
    if request.operation != "CREATE" || is_mirror(request, pod)? {
        return Ok(None);
    }
    let (annotations, selector) = (&pod.annotations.ours, &pod.selector.ours);
    Ok(Some(policy.policy.completion_of_pod(&request.namespace, spoken, annotations, selector)))
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

/// The operations by which an object is completed whose pod or template is at `path`.
fn patch(path: &[&str], parts: &TemplateParts<'_>, completion: &Completion) -> Patch {
    let Completion { annotations, labels, selector } = completion;
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
    Patch(operations)
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

fn is_map(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get().starts_with('{'))
}

/// The fields of `object`; none of what is no object.
fn fields(object: Option<&RawValue>) -> Result<Fields<'_>, Error> {
    match object {
        Some(object) if is_map(Some(object)) => serde_json::from_str(object.get()),
        _ => Ok(Fields::default()),
    }
}

/// What is at `path` of `object`.
fn at<'a>(object: &'a RawValue, path: &[&str]) -> Result<Option<&'a RawValue>, Error> {
    let mut found = Some(object);
    for field in path {
        let Fields { spec, template, job_template, .. } = fields(found)?;
        found = match *field {
            "spec" => spec,
            "template" => template,
            "jobTemplate" => job_template,
            _ => None,
        };
    }
    Ok(found)
}

/// The entries of a map of texts that are Rempart's or say whose the object is.
#[derive(Default)]
struct OurTexts {
    /// Whether there is a map.
    is_there: bool,
    ours: Labels,
}

fn texts(map: Option<&RawValue>) -> Result<OurTexts, Error> {
    match map {
        Some(map) if is_map(Some(map)) => serde_json::from_str(map.get()),
        _ => Ok(OurTexts::default()),
    }
}

impl<'de> Deserialize<'de> for OurTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OurTextsVisitor)
    }
}

struct OurTextsVisitor;

impl<'de> Visitor<'de> for OurTextsVisitor {
    type Value = OurTexts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OurTexts, A::Error> {
        let mut ours = Labels::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value: &RawValue = map.next_value()?;
            if !key.contains("rempart") && key != MIRROR {
                continue;
            }
            if ours.len() >= MOST_ENTRIES {
                return Err(A::Error::custom("more entries of Rempart's than anybody needs"));
            }
            // What is no text is no entry.
            if let Ok(value) = serde_json::from_str::<String>(value.get()) {
                ours.insert(key.into_owned(), value);
            }
        }
        Ok(OurTexts { is_there: true, ours })
    }
}

/// The kind of the owner that controls an object with these references.
fn controller(references: Option<&RawValue>) -> Result<Option<String>, Error> {
    match references {
        Some(references) => serde_json::from_str::<Controller>(references.get()).map(|controller| controller.0),
        None => Ok(None),
    }
}

struct Controller(Option<String>);

impl<'de> Deserialize<'de> for Controller {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ControllerVisitor)
    }
}

struct ControllerVisitor;

#[derive(Deserialize)]
struct OwnerReference {
    kind: String,
    #[serde(default)]
    controller: Option<bool>,
}

impl<'de> Visitor<'de> for ControllerVisitor {
    type Value = Controller;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("owner references")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut references: A) -> Result<Controller, A::Error> {
        let mut found = None;
        while let Some(OwnerReference { kind, controller }) = references.next_element()? {
            if controller == Some(true) && found.is_none() {
                found = Some(kind);
            }
        }
        Ok(Controller(found))
    }
}

/// A number for `value`, by what it says and not by how it is written: in whatever order the entries of a map stand.
fn fingerprint(hasher: &RandomState, value: &RawValue) -> Result<u64, Error> {
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    Fingerprint(hasher).deserialize(&mut deserializer)
}

/// Nobody who does not know the hasher can write two values of one number.
#[derive(Clone, Copy)]
struct Fingerprint<'a>(&'a RandomState);

impl<'de> DeserializeSeed<'de> for Fingerprint<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fingerprint<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(self.0.hash_one("nothing"))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(self.0.hash_one(("truth", value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(self.0.hash_one(("integer", value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(self.0.hash_one(("natural", value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(self.0.hash_one(("real", value.to_bits())))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(self.0.hash_one(("text", value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut all = self.0.hash_one("list");
        while let Some(item) = items.next_element_seed(self)? {
            all = self.0.hash_one(("item", all, item));
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
        let mut all = self.0.hash_one("map");
        while let Some(key) = entries.next_key_seed(self)? {
            let value = entries.next_value_seed(self)?;
            all = all.wrapping_add(self.0.hash_one(("entry", key, value)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use rempart_core::keys;
    use serde_json::json;

    use super::*;
    use crate::{api::PlacementPolicySpec, convert};

    const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret";

    fn policy() -> CompletingPolicy {
        let spec = "{mode: Enforce, defaultLevel: public, levels: [{name: public}, {name: secret, require: {}}]}";
        let spec: PlacementPolicySpec = serde_saphyr::from_str(spec).unwrap();
        let policy = convert::policy_of_admission("state", &spec).unwrap();
        CompletingPolicy { policy, uid: Some("0a1b2c3d-0000".to_owned()) }
    }

    fn request(kind: &str, object: &Value, old: &Value) -> String {
        let group = match kind {
            "Pod" => "",
            "Job" | "CronJob" => "batch",
            _ => "apps",
        };
        json!({"request": {
            "uid": "0", "kind": {"group": group, "version": "v1", "kind": kind},
            "resource": {"group": group, "version": "v1", "resource": "any"}, "namespace": "shop",
            "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "userInfo": {"username": "system:node:n1", "groups": ["system:nodes"]}, "object": object, "oldObject": old,
        }})
        .to_string()
    }

    /// The object as it is when `spoken` is said of the namespace and it was completed.
    fn completed(kind: &str, object: &Value, old: &Value, spoken: &str) -> Value {
        let namespace = SensitivityStatement::of(&[(keys::SENSITIVITY.to_owned(), spoken.to_owned())].into());
        let text = request(kind, object, old);
        let patch = complete(&read(text.as_bytes()).unwrap(), &policy(), &namespace).unwrap();
        let mut after = object.clone();
        json_patch::patch(&mut after, &patch).unwrap();
        after
    }

    #[test]
    fn fingerprints_are_of_what_is_said() {
        let hasher = RandomState::new();
        let number = |text: &str| fingerprint(&hasher, serde_json::from_str::<&RawValue>(text).unwrap()).unwrap();
        let same = [r#"{"a": [1, {"b": null}], "c": "\u00e9"}"#, r#"{"c":"é","a":[1,{"b":null}]}"#];
        assert_eq!(number(same[0]), number(same[1]));
        let others =
            ["null", "{}", "[]", "0", "-1", "1", "1.0", "true", r#""1""#, "[1,2]", "[2,1]", "[[1],2]", r#"{"a":{}}"#];
        let numbers: std::collections::BTreeSet<_> = others.iter().map(|text| number(text)).collect();
        assert_eq!(numbers.len(), others.len());
        // As deep as nobody writes it.
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(fingerprint(&hasher, serde_json::from_str::<&RawValue>(&deep).unwrap()).is_err());
    }

    #[test]
    fn only_what_decides_is_kept_of_an_object() {
        let labels: Map<String, Value> = (0..5000).map(|number| (format!("l{number}"), json!(""))).collect();
        let owners = vec![json!({"kind": "ReplicaSet"}); 5000];
        let pod = json!({"metadata": {"annotations": labels, "labels": labels, "ownerReferences": owners},
            "spec": {"nodeSelector": labels, "containers": [{"env": vec![json!({"name": ""}); 5000]}]}});
        let text = request("Pod", &pod, &Value::Null);
        let request = read(text.as_bytes()).unwrap();
        let parts = TemplateParts::read(request.object.unwrap()).unwrap();
        for found in [&parts.annotations, &parts.labels, &parts.selector] {
            assert!(found.is_there && found.ours.is_empty());
        }
        assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"]["nodeSelector"][KEY], "true");
    }

    #[test]
    fn what_no_api_server_writes_is_told() {
        let keys: Map<String, Value> = (0..2000).map(|number| (format!("{KEY}{number}"), json!(""))).collect();
        let twice = r#"{"metadata": {}, "metadata": {}}"#;
        for object in [json!({"spec": {"nodeSelector": keys}}).to_string(), twice.to_owned()] {
            let text = request("Pod", &json!("here"), &Value::Null).replace(r#""here""#, &object);
            let request = read(text.as_bytes()).unwrap();
            assert!(complete(&request, &policy(), &SensitivityStatement::default()).is_err());
        }
        // What is no map is put right by what is added.
        for odd in [json!(null), json!("x"), json!([])] {
            let pod = json!({"metadata": odd, "spec": odd});
            assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"], json!({"nodeSelector": {KEY: "true"}}));
        }
        assert!(read(b"{}").is_err() && read(b"").is_err() && read(b"{\"request\": null}").is_err());
    }

    #[test]
    fn a_pod_is_given_what_its_namespace_asks_for_and_a_static_one_nothing() {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": []}});
        assert_eq!(completed("Pod", &pod, &Value::Null, "secret")["spec"]["nodeSelector"], json!({KEY: "true"}));
        assert_eq!(completed("Pod", &pod, &Value::Null, "public"), pod);
        // A level that nobody knows is refused, not completed.
        assert_eq!(completed("Pod", &pod, &Value::Null, "odd"), pod);
        // Of a pod that is there nothing changes.
        assert_eq!(completed("Pod", &pod, &pod, "secret"), pod);
        let mut mirror = pod;
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        mirror["spec"]["nodeName"] = json!("n1");
        assert_eq!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
        mirror["spec"]["nodeName"] = json!("n2");
        assert_ne!(completed("Pod", &mirror, &Value::Null, "secret"), mirror);
    }

    #[test]
    fn a_template_is_completed_where_a_rollout_happens_anyway() {
        let workload = |level: &str| {
            json!({"metadata": {"name": "api", "annotations": {keys::SENSITIVITY: level}},
                "spec": {"template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": []}}}})
        };
        let made = completed("Deployment", &workload("secret"), &Value::Null, "public");
        let template = &made["spec"]["template"];
        assert_eq!(template["spec"]["nodeSelector"], json!({KEY: "true"}));
        assert_eq!(template["metadata"]["annotations"], json!({keys::WORKLOAD_SENSITIVITY: "secret"}));
        assert_eq!(
            template["metadata"]["labels"],
            json!({"app": "api", "completed.rempart.dev/state": "0a1b2c3d.secret"})
        );
        // One that is older than the policy rolls nothing while only its scale changes.
        let mut scaled = workload("secret");
        scaled["spec"]["replicas"] = json!(3);
        assert_eq!(completed("Deployment", &scaled, &workload("secret"), "public"), scaled);
        // A level that is taken away takes all of it with it.
        let mut lowered = made.clone();
        lowered["metadata"]["annotations"] = json!({});
        let template = &completed("Deployment", &lowered, &made, "public")["spec"]["template"];
        assert_eq!((&template["spec"]["nodeSelector"], &template["metadata"]["annotations"]), (&json!({}), &json!({})));
        // Whose template is another's is left to that one, and a Job that has started to itself.
        let mut owned = workload("secret");
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "1", "controller": true}]);
        assert_eq!(completed("ReplicaSet", &owned, &Value::Null, "public"), owned);
        assert_eq!(completed("Job", &workload("secret"), &workload("public"), "public"), workload("secret"));
        let mut suspended = workload("public");
        suspended["spec"]["suspend"] = json!(true);
        assert_ne!(completed("Job", &workload("secret"), &suspended, "public"), workload("secret"));
    }
}
