//! Pods: the fields of a pod that decide whether and how it is moved.
//!
//! Takes a [`PartialPod`] and returns the core's [`Pod`], or why it cannot be read. A pod that has ended is of no concern.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{api::core::v1 as k8s, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Deserialize;

use crate::operator::{
    cache::store::{ResourceVersioned, version},
    watch::fields::{HOSTNAME, PartialCondition, ResourceAmounts, uid},
    watch::partial::{CompletionMarks, FromPartial, MIRROR, PartialObject, list},
    watch::template::{self, PartialAffinity, PartialToleration},
};
use rempart_core::cluster_objects::{ComputeResources, ExtendedResources, Pod, PodPhase, SchedulingConstraints};
use rempart_core::keys;
use rempart_core::pod_lifecycle::{NotNow, PodLifecycle};
use rempart_core::sensitivity::TemplateStatements;

/// A pod, decoded no further than needed.
pub type PartialPod = PartialObject<k8s::Pod, PodSpec, PodStatus, true>;

/// What matters of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    node_name: Option<String>,
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<PartialAffinity>,
    #[serde(default)]
    tolerations: Vec<PartialToleration>,
    #[serde(default)]
    volumes: Vec<PartialVolume>,
    #[serde(default, deserialize_with = "list")]
    containers: Vec<PartialContainer>,
    #[serde(default)]
    init_containers: Vec<PartialContainer>,
    resources: Option<ResourceRequirements>,
    overhead: Option<ResourceAmounts>,
    #[serde(default)]
    scheduling_gates: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    restart_policy: String,
    termination_grace_period_seconds: Option<i64>,
    #[serde(default)]
    resource_claims: Vec<serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialVolume {
    persistent_volume_claim: Option<ClaimSource>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource {
    claim_name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialContainer {
    resources: Option<ResourceRequirements>,
    restart_policy: Option<String>,
    #[serde(default)]
    ports: Vec<ContainerPort>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort {
    #[serde(default)]
    host_port: i32,
}

#[derive(Clone, Debug, Deserialize)]
struct ResourceRequirements {
    requests: Option<ResourceAmounts>,
}

/// What matters of a pod's status.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PodStatus {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    conditions: Vec<PartialCondition>,
}

impl ResourceVersioned for Pod {
    fn version(&self) -> u64 {
        self.version
    }
}

impl FromPartial<k8s::Pod> for Pod {
    type Partial = PartialPod;

    fn from_partial(partial: PartialPod) -> Result<Option<Self>, String> {
        let (requests, others) = requests(&partial.spec)?;
        let phase = phase(&partial);
        // It takes no place, and waits for none.
        if phase == PodPhase::Done {
            return Ok(None);
        }
        let PartialPod { metadata, spec, .. } = partial;
        let lifecycle = lifecycle(&metadata, &spec);
        let claims_devices = !spec.resource_claims.is_empty();
        let annotations = metadata.annotations.as_ref();
        let tolerations = spec.tolerations.iter().filter_map(PartialToleration::read).collect();
        let apart = apart(&metadata, &spec);
        let marks = CompletionMarks::of(metadata.labels.iter().flatten().map(|(key, _)| key));
        let claims = spec.volumes.into_iter().filter_map(|volume| volume.persistent_volume_claim);
        Ok(Some(Self {
            version: version(metadata.resource_version.as_deref()),
            uid: uid(metadata.uid.as_deref()),
            owner: template::owner(&metadata),
            statements: Arc::new(annotations.map(TemplateStatements::of).unwrap_or_default()),
            node_requirements: Arc::new(template::node_requirements(spec.node_selector, spec.affinity, marks)),
            scheduling: Arc::new(SchedulingConstraints {
                tolerations,
                extended_resources: others,
                anti_affinity_keys: apart,
                claims_devices,
                lifecycle,
            }),
            claims: claims.map(|claim| claim.claim_name.into()).collect(),
            requests,
            node: spec.node_name.filter(|name| !name.is_empty()).map(Into::into),
            phase,
            terminating: metadata.deletion_timestamp.is_some(),
            mirror: annotations.is_some_and(|annotations| annotations.contains_key(MIRROR)),
        }))
    }
}

/// How often the index of a pod has failed, as the Job controller counts it where failures are counted by index.
pub const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// What a container has to end where nobody says it: what Kubernetes defaults to.
const GRACE_SECONDS: u32 = 30;

fn lifecycle(metadata: &ObjectMeta, spec: &PodSpec) -> PodLifecycle {
    // Whoever asked for its deletion may have said another time.
    let grace = metadata.deletion_grace_period_seconds.or(spec.termination_grace_period_seconds);
    let failures = metadata.annotations.as_ref().and_then(|annotations| annotations.get(INDEX_FAILURES));
    PodLifecycle {
        grace_seconds: grace.map_or(GRACE_SECONDS, |seconds| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)),
        index_failures: failures.and_then(|failures| failures.parse().ok()).unwrap_or_default(),
        runs_once: matches!(spec.restart_policy.as_str(), "Never" | "OnFailure"),
        not_now: metadata.annotations.as_ref().and_then(not_now).map(Box::new),
    }
}

fn not_now(annotations: &BTreeMap<String, String>) -> Option<NotNow> {
    let marked = NotNow::MARKS.iter().find(|(key, value)| annotations.get(*key).is_some_and(|said| said == value));
    let until = || {
        let said = annotations.get(keys::NOT_BEFORE)?;
        let then = said.parse::<jiff::Timestamp>();
        Some(then.map_or_else(|_| NotNow::Unread(said.clone()), |then| NotNow::Until(then.into())))
    };
    marked.map(|(key, _)| NotNow::Marked(key)).or_else(until)
}

/// Whether its containers are begun again for as long as it is there, whatever becomes of them: then no kubelet calls it
/// Succeeded before it is deleted.
fn is_endless(pod: &PartialPod) -> bool {
    pod.spec.restart_policy == "Always"
        && pod.metadata.deletion_timestamp.is_none()
        && pod.spec.containers.iter().all(|container| container.restart_policy.is_none())
}

fn phase(pod: &PartialPod) -> PodPhase {
    let condition = |kind: &str| pod.status.conditions.iter().find(|condition| condition.kind == kind);
    let scheduled = condition("PodScheduled").filter(|condition| condition.status == "False");
    let placed = pod.spec.node_name.as_ref().is_some_and(|name| !name.is_empty());
    match (pod.status.phase.as_str(), scheduled.map(|condition| condition.reason.as_str())) {
        // Whoever may write the status said so, and it may run on.
        ("Succeeded", _) if placed && is_endless(pod) => PodPhase::Running,
        ("Succeeded" | "Failed", _) => PodPhase::Done,
        _ if placed && condition("Ready").is_some_and(|condition| condition.status == "True") => PodPhase::Ready,
        ("Running", _) if placed => PodPhase::Running,
        _ if placed => PodPhase::Starting,
        (_, Some("SchedulingGated")) => PodPhase::Gated,
        _ if !pod.spec.scheduling_gates.is_empty() => PodPhase::Gated,
        (_, Some("Unschedulable")) => PodPhase::Unschedulable,
        _ => PodPhase::Waiting,
    }
}

/// By which labels of nodes the pod of `metadata` and `spec` keeps apart from its like: by those that its own
/// `podAntiAffinity` names where it means its own labels, and by the node where it takes one of its ports.
fn apart(metadata: &ObjectMeta, spec: &PodSpec) -> Box<[Box<str>]> {
    let (labels, namespace) = (metadata.labels.as_ref(), metadata.namespace.as_deref().unwrap_or_default());
    let keys = spec.affinity.as_ref().map(|affinity| affinity.apart(labels, namespace));
    let mut keys: BTreeSet<Box<str>> = keys.into_iter().flatten().collect();
    let containers = spec.containers.iter().chain(&spec.init_containers);
    if containers.flat_map(|container| &container.ports).any(|port| port.host_port > 0) {
        keys.insert(HOSTNAME.into());
    }
    keys.into_iter().collect()
}

type TotalRequests = (ComputeResources, ExtendedResources);

/// What the scheduler counts for a pod: the most that its containers ask for at any time of its life.
fn requests(spec: &PodSpec) -> Result<TotalRequests, String> {
    let asked = |demands: Option<&ResourceRequirements>| match demands.and_then(|demands| demands.requests.as_ref()) {
        Some(amounts) => amounts.read(),
        None => Ok(TotalRequests::default()),
    };
    let mut running = TotalRequests::default();
    for container in &spec.containers {
        running = sum(&running, &asked(container.resources.as_ref())?);
    }
    // Those that go on beside the others, as they have started so far.
    let (mut beside, mut starting) = (TotalRequests::default(), TotalRequests::default());
    for container in &spec.init_containers {
        let own = sum(&asked(container.resources.as_ref())?, &beside);
        starting = most(&starting, &own);
        if container.restart_policy.as_deref() == Some("Always") {
            beside = own;
        }
    }
    let mut all = most(&sum(&running, &beside), &starting);
    // What the pod asks for as a whole takes the place of what its containers do.
    if let Some(whole) = spec.resources.as_ref().and_then(|demands| demands.requests.as_ref()) {
        let (common, others) = whole.read()?;
        let (cpu, memory) = (whole.has("cpu"), whole.has("memory"));
        all.0.cpu_milli = if cpu { common.cpu_milli } else { all.0.cpu_milli };
        all.0.memory = if memory { common.memory } else { all.0.memory };
        all.1.extend(others);
    }
    let overhead = spec.overhead.as_ref().map_or(Ok(TotalRequests::default()), ResourceAmounts::read)?;
    let (common, others) = sum(&all, &overhead);
    Ok((ComputeResources { pods: 1, ..common }, others))
}

fn each((a, more): &TotalRequests, (b, others): &TotalRequests, with: fn(u64, u64) -> u64) -> TotalRequests {
    let common =
        ComputeResources { cpu_milli: with(a.cpu_milli, b.cpu_milli), memory: with(a.memory, b.memory), pods: 0 };
    let mut all = more.clone();
    for (name, amount) in others {
        let known = all.entry(name.clone()).or_default();
        *known = with(*known, *amount);
    }
    (common, all)
}

fn sum(a: &TotalRequests, b: &TotalRequests) -> TotalRequests {
    each(a, b, u64::saturating_add)
}

fn most(a: &TotalRequests, b: &TotalRequests) -> TotalRequests {
    each(a, b, u64::max)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::operator::watch::partial::DecodedObject;
    use rempart_core::{
        cluster_objects::{PodToleration, TaintEffect},
        workload::WorkloadKind,
    };

    fn read(pod: Value) -> Option<Pod> {
        serde_json::from_value::<DecodedObject<k8s::Pod, Pod>>(pod).unwrap().value.unwrap()
    }

    const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

    #[test]
    fn what_is_read_of_a_pod() {
        let pod = read(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "api-7", "namespace": "claims", "uid": UID, "resourceVersion": "42",
                "labels": {"app": "api"},
                "annotations": {
                    "rempart.dev/sensitivity": "high", "rempart.dev/workload-sensitivity": "low",
                    "rempart.dev/workload-categories": "a,b", "else": "x",
                },
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": UID},
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "uid": UID, "controller": true},
                ],
                "managedFields": [{"manager": "m", "fieldsV1": {"f:metadata": {}}}],
                "deletionTimestamp": "2026-03-01T12:00:00Z",
            },
            "spec": {
                "nodeName": "n1",
                "nodeSelector": {"disk": "ssd"},
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}],
                     "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1", "n2"]},
                                     {"key": "metadata.name", "operator": "NotIn", "values": ["n2"]}]},
                    {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["many"]}]},
                ]}}},
                "tolerations": [
                    {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
                    {"key": "a", "value": "b"},
                    {"operator": "Exists"},
                    {"key": "load", "operator": "Lt", "value": "5"},
                ],
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "e", "emptyDir": {}}],
                "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}],
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        assert_eq!((pod.version, pod.uid.to_string().as_str()), (42, UID));
        let owner = pod.owner.unwrap();
        assert_eq!((owner.kind, &*owner.name), (Some(WorkloadKind::ReplicaSet), "api"));
        assert_eq!(pod.statements.pod.sensitivity.as_deref(), Some("high"));
        assert_eq!(pod.statements.workload.sensitivity.as_deref(), Some("low"));
        assert_eq!(pod.statements.workload.categories.as_deref(), Some("a,b"));
        assert_eq!(pod.node_requirements.selector, [("disk".to_owned(), "ssd".to_owned())].into());
        let terms = pod.node_requirements.affinity.as_ref().unwrap();
        assert_eq!(terms[0].labels.to_string(), "cores>8");
        assert_eq!(terms[0].names, Some(["n1".to_owned(), "n2".to_owned()].into()));
        assert_eq!(terms[0].other_than, ["n2".to_owned()].into());
        assert!(terms[1].labels.is_without_terms(), "what Kubernetes cannot read matches nothing");
        let bears = |key: Option<&str>, value: Option<&str>, effect| PodToleration {
            key: key.map(Into::into),
            value: value.map(Into::into),
            effect,
        };
        let expected = [
            bears(Some("gpu"), None, Some(TaintEffect::NoSchedule)),
            bears(Some("a"), Some("b"), None),
            bears(None, None, None),
        ];
        assert_eq!(*pod.scheduling.tolerations, expected);
        assert_eq!(*pod.claims, ["data".into()]);
        assert_eq!(pod.requests, ComputeResources { cpu_milli: 100, memory: 1 << 20, pods: 1 });
        assert_eq!(
            (pod.node.as_deref(), pod.phase, pod.terminating, pod.mirror),
            (Some("n1"), PodPhase::Ready, true, false)
        );
    }

    #[test]
    fn how_a_pod_ends_and_what_becomes_of_it_then() {
        let lifecycle = |metadata: Value, spec: Value| {
            let mut metadata = metadata;
            metadata["name"] = json!("p");
            read(json!({"metadata": metadata, "spec": spec})).unwrap().lifecycle().clone()
        };
        let plain = PodLifecycle { grace_seconds: 30, ..PodLifecycle::default() };
        assert_eq!(lifecycle(json!({}), json!({"restartPolicy": "Always"})), plain);
        for once in ["Never", "OnFailure"] {
            let found = lifecycle(json!({}), json!({"restartPolicy": once, "terminationGracePeriodSeconds": 3600}));
            assert_eq!(found, PodLifecycle { grace_seconds: 3600, runs_once: true, ..plain.clone() });
        }
        let deleted = json!({"deletionTimestamp": "2026-03-01T12:00:00Z", "deletionGracePeriodSeconds": 900});
        assert_eq!(lifecycle(deleted, json!({"terminationGracePeriodSeconds": 5})).grace_seconds, 900);
        let failed = json!({"annotations": {"batch.kubernetes.io/job-index-failure-count": "2"}});
        assert_eq!(lifecycle(failed, json!({})).index_failures, 2);
        let then = "2026-03-01T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
        for (key, value, expected) in [
            ("karpenter.sh/do-not-disrupt", "true", Some(NotNow::Marked("karpenter.sh/do-not-disrupt"))),
            ("karpenter.sh/do-not-disrupt", "false", None),
            (
                "cluster-autoscaler.kubernetes.io/safe-to-evict",
                "false",
                Some(NotNow::Marked("cluster-autoscaler.kubernetes.io/safe-to-evict")),
            ),
            ("cluster-autoscaler.kubernetes.io/safe-to-evict", "true", None),
            (keys::NOT_BEFORE, "2026-03-01T12:00:00Z", Some(NotNow::Until(then))),
            (keys::NOT_BEFORE, "2026-03-01T13:00:00+01:00", Some(NotNow::Until(then))),
            (keys::NOT_BEFORE, "tomorrow", Some(NotNow::Unread("tomorrow".to_owned()))),
        ] {
            let found = lifecycle(json!({"annotations": {key: value}}), json!({}));
            assert_eq!(found.not_now.as_deref(), expected.as_ref(), "{key}: {value}");
        }
    }

    #[test]
    fn devices_are_claimed_by_name_or_from_a_template() {
        let claims =
            |spec: Value| read(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap().scheduling.claims_devices;
        assert!(!claims(json!({})));
        assert!(claims(json!({"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]})));
    }

    #[test]
    fn how_far_a_pod_is() {
        let scheduled = |reason: &str| json!([{"type": "PodScheduled", "status": "False", "reason": reason}]);
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        for (spec, phase, conditions, expected) in [
            (json!({}), "Pending", json!([]), PodPhase::Waiting),
            (json!({}), "Pending", scheduled("Unschedulable"), PodPhase::Unschedulable),
            (json!({}), "Pending", scheduled("SchedulerError"), PodPhase::Waiting),
            (json!({}), "Pending", scheduled("SchedulingGated"), PodPhase::Gated),
            (json!({"schedulingGates": [{"name": "g"}]}), "Pending", json!([]), PodPhase::Gated),
            (json!({"nodeName": "n"}), "Pending", json!([]), PodPhase::Starting),
            (json!({"nodeName": "n"}), "Pending", scheduled("Unschedulable"), PodPhase::Starting),
            (json!({"nodeName": "n"}), "Running", ready("False"), PodPhase::Running),
            (json!({"nodeName": "n"}), "Running", ready("True"), PodPhase::Ready),
        ] {
            let said = format!("{spec} {phase} {conditions}");
            let pod = json!({
                "metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase, "conditions": conditions},
            });
            assert_eq!(read(pod).unwrap().phase, expected, "{said}");
        }
        for (spec, phase) in [(json!({"nodeName": "n"}), "Succeeded"), (json!({}), "Failed")] {
            let pod = json!({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase}});
            assert!(read(pod).is_none(), "what has {phase} is of no concern");
        }
        // What is begun again has not come to its end because its status says so.
        let called = |phase: &str, metadata: Value, container: Value| {
            let spec = json!({"nodeName": "n", "restartPolicy": "Always", "containers": [container]});
            read(json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}})).map(|pod| pod.phase)
        };
        let (named, deleted) =
            (json!({"name": "p"}), json!({"name": "p", "deletionTimestamp": "2026-03-01T12:00:00Z"}));
        assert_eq!(called("Succeeded", named.clone(), json!({})), Some(PodPhase::Running));
        assert_eq!(called("Succeeded", deleted, json!({})), None);
        assert_eq!(called("Succeeded", named.clone(), json!({"restartPolicy": "Never"})), None);
        assert_eq!(called("Failed", named, json!({})), None, "as the kubelet calls what it has evicted");
    }

    #[test]
    fn a_pod_asks_for_the_most_that_it_needs_at_any_time() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let sidecar = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        let two = json!([container("1"), container("2")]);
        for (spec, cpu_milli) in [
            (json!({"containers": null}), 0),
            (json!({"containers": [{"name": "c"}]}), 0),
            (json!({"containers": two}), 3000),
            (json!({"containers": two, "initContainers": [container("2"), container("2500m")]}), 3000),
            (json!({"containers": two, "initContainers": [container("4")]}), 4000),
            (json!({"containers": two, "initContainers": [sidecar("1")]}), 4000),
            // The later one starts beside the sidecar, the earlier one does not.
            (json!({"containers": two, "initContainers": [sidecar("1"), container("4")]}), 5000),
            (json!({"containers": two, "initContainers": [container("4"), sidecar("1")]}), 4000),
            (json!({"containers": two, "overhead": {"cpu": "250m"}}), 3250),
            (json!({"containers": two, "resources": {"requests": {"cpu": "8"}}}), 8000),
            (json!({"containers": two, "resources": {"requests": {"memory": "8"}}}), 3000),
        ] {
            let said = spec.to_string();
            let pod = read(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
            assert_eq!(pod.requests.cpu_milli, cpu_milli, "{said}");
            assert_eq!(pod.requests.pods, 1);
        }
    }

    #[test]
    fn one_that_cannot_be_read_still_has_a_name() {
        for (spec, why) in [
            (json!({"containers": [{"resources": {"requests": {"cpu": "much"}}}]}), "cpu: \"much\" is no quantity"),
            (json!({"containers": "none"}), "invalid type: string \"none\", expected a sequence"),
        ] {
            let pod = json!({"metadata": {"name": "p", "namespace": "n", "resourceVersion": "3"}, "spec": spec});
            let seen: DecodedObject<k8s::Pod, Pod> = serde_json::from_value(pod).unwrap();
            let meta = kube::Resource::meta(&seen);
            assert_eq!((meta.name.as_deref(), meta.namespace.as_deref()), (Some("p"), Some("n")));
            assert_eq!(meta.resource_version.as_deref(), Some("3"));
            assert!(seen.fault().unwrap().starts_with(why), "{:?}", seen.fault());
        }
    }

    #[test]
    fn the_image_of_a_static_pod_is_told() {
        let metadata = json!({
            "name": "p", "annotations": {"kubernetes.io/config.mirror": "x"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": UID, "controller": true}],
        });
        let pod = read(json!({"metadata": metadata})).unwrap();
        assert!(pod.mirror);
        let owner = pod.owner.unwrap();
        assert_eq!((owner.kind, &*owner.kind_said), (None, "Node"));
    }

    #[test]
    fn a_kind_of_another_group_is_another_kind() {
        for (version, kind, expected) in [
            ("apps/v1", "StatefulSet", Some(WorkloadKind::StatefulSet)),
            ("batch/v1", "Job", Some(WorkloadKind::Job)),
            ("apps.kruise.io/v1beta1", "StatefulSet", None),
            ("batch.volcano.sh/v1alpha1", "Job", None),
            ("v1", "Pod", None),
        ] {
            let owners = json!([{"apiVersion": version, "kind": kind, "name": "o", "uid": UID, "controller": true}]);
            let pod = read(json!({"metadata": {"name": "p", "ownerReferences": owners}})).unwrap();
            assert_eq!(pod.owner.unwrap().kind, expected, "{version} {kind}");
        }
    }
}
