//! Fixture of the benchmarks: a control plane with a catalogue, a policy, namespaces, nodes and pods, all of them made
//! up.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Node};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value, json};

use crate::{Component, ControlPlane, ControlPlaneOptions, ProgressDisplay, eventually};
use rempart::api::{CloudProvider, PlacementPolicy};

/// The policy.
pub(super) const POLICY: &str = "state";
/// The key that a pod of the level `restricted` must select by.
pub(super) const NEEDED: &str = "clearance.rempart.node-restriction.kubernetes.io/state.restricted";
/// The stamp that comes and goes with the requirement of the level `secret`.
pub(super) const TOGGLED: &str = "clearance.rempart.node-restriction.kubernetes.io/state.secret";

/// A namespace that is exempt from every policy, so that nothing of Rempart is asked there.
pub(super) const BARE: &str = "bench-bare";
/// A namespace that leaves the level to its pods.
pub(super) const PLAIN: &str = "bench-plain";
/// A namespace with a level of its own.
pub(super) const FLOOR: &str = "bench-floor";

/// Namespaces that no policy governs, as the chart and the operator are told.
const EXEMPT: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", BARE];

const PROVIDERS: usize = 5;
const ZONES: usize = 2;

/// A provider with one zone, whose certificate is to be lost.
pub(super) const BRITTLE: &str = "provider-brittle";
const BRITTLE_ZONE: &str = "zone-brittle";
/// One node of so many is of it, where nodes are kept.
const BRITTLE_SHARE: usize = 50;

/// Timeout of every condition.
const PATIENCE: Duration = Duration::from_mins(1);

/// Boots the control plane, with Rempart in it and enforcing.
///
/// Of the control plane, the API server and etcd alone stay: schedulers, controllers and kubelets would follow
/// whatever is created here, and take turns with what is measured.
pub(super) async fn build(progress: ProgressDisplay) -> Result<ControlPlane> {
    let cluster = build_whole(progress).await?;
    for component in [Component::Kwok, Component::Scheduler, Component::ControllerManager] {
        cluster.kill(component).await?;
    }
    Ok(cluster)
}

/// The same with everything that belongs to a cluster.
pub(super) async fn build_whole(progress: ProgressDisplay) -> Result<ControlPlane> {
    let options = ControlPlaneOptions {
        // Rounds are cleared away as fast as they came.
        api_server_arguments: vec!["--delete-collection-workers=16".to_owned()],
        controller_manager_arguments: ["deployment", "replicaset"]
            .map(|kind| format!("--concurrent-{kind}-syncs=32"))
            .into(),
        progress: Some(progress),
        ..ControlPlaneOptions::default()
    };
    let cluster = ControlPlane::start(options).await?;
    let step = progress.step("installing Rempart");
    cluster.install_chart(&json!({ "exemptNamespaces": EXEMPT })).await?;
    cluster.apply(&list(namespaces().into_iter().chain(catalogue()).chain([policy()]))).await?;
    for namespace in [BARE, PLAIN, FLOOR] {
        let wait = ["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", namespace];
        cluster.kubectl(wait).run().await?;
    }
    let operator = cluster.start_operator(operator_arguments()).await?;
    enforced(&cluster.admin()).await?;
    // Admission goes on without it.
    operator.terminate().await;
    step.done();
    Ok(cluster)
}

/// Arguments of `rempart run`.
pub(super) fn operator_arguments() -> [String; 1] {
    [format!("--exempt-namespaces={}", EXEMPT.join(","))]
}

/// Waits until the operator says that admission acts on the policy.
async fn enforced(client: &Client) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(client.clone());
    let enforced = eventually("the policy to be enforced", PATIENCE, async || {
        let status = policies.get(POLICY).await?.status.unwrap_or_default();
        let condition = status.conditions.iter().find(|condition| condition.type_ == "Enforced");
        ensure!(condition.is_some_and(|found| found.status == "True"), "its conditions are {:?}", status.conditions);
        Ok(())
    });
    Ok(enforced.await?)
}

fn namespaces() -> Vec<Value> {
    let namespace = |name: &str, labels: Value| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
    vec![
        namespace(BARE, json!({})),
        namespace(PLAIN, json!({})),
        namespace(FLOOR, json!({ "rempart.dev/sensitivity": "internal" })),
    ]
}

fn list(items: impl Iterator<Item = Value>) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>() }).to_string()
}

/// Five providers with two zones each and one with one, and a pool in every zone, all cleared for every level.
fn catalogue() -> Vec<Value> {
    let of = |number: usize| {
        let zones: Vec<_> = (0..ZONES).map(|zone| zone_name(number, zone)).collect();
        described(&format!("provider-{number}"), &format!("region-{number}"), &zones)
    };
    let brittle = described(BRITTLE, "region-brittle", &[BRITTLE_ZONE.to_owned()]);
    (0..PROVIDERS).flat_map(of).chain(brittle).collect()
}

/// A provider, and a pool in each of its zones.
fn described(name: &str, region: &str, zones: &[String]) -> Vec<Value> {
    let pools = zones.iter().map(|zone| {
        json!({
            "apiVersion": "rempart.dev/v1alpha1",
            "kind": "PlacementPool",
            "metadata": { "name": format!("pool-{zone}") },
            "spec": {
                "provider": name,
                "offer": "qualified",
                "zone": zone,
                "nodeSelector": { "matchLabels": { "topology.kubernetes.io/zone": zone } },
            },
        })
    });
    let zones = zones.iter().map(|zone| json!({ "name": zone, "region": region, "country": "FR" }));
    let provider = json!({
        "apiVersion": "rempart.dev/v1alpha1",
        "kind": "CloudProvider",
        "metadata": { "name": name },
        "spec": {
            "displayName": format!("Provider {name}"),
            "operator": { "name": format!("{name} SAS"), "jurisdiction": "FR" },
            "offers": [{
                "name": "qualified",
                "technology": [{ "name": "Stack", "supplier": "Stack SAS", "jurisdiction": "FR" }],
                "zones": zones.collect::<Vec<_>>(),
                "qualifications": [{ "scheme": "secnumcloud", "validFrom": "2020-01-01" }],
            }],
        },
    });
    std::iter::once(provider).chain(pools).collect()
}

/// Takes the certificate of [`BRITTLE`] away.
pub(super) async fn lose_certificate(client: &Client) -> Result<()> {
    let providers: Api<CloudProvider> = Api::all(client.clone());
    let patch = json!([{ "op": "remove", "path": "/spec/offers/0/qualifications" }]);
    let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
    providers.patch(BRITTLE, &PatchParams::default(), &patch).await.context("cannot edit the provider")?;
    Ok(())
}

fn zone_name(provider: usize, zone: usize) -> String {
    format!("zone-{provider}{}", if zone == 0 { "a" } else { "b" })
}

/// Four levels and a category.
fn policy() -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1",
        "kind": "PlacementPolicy",
        "metadata": { "name": POLICY },
        "spec": {
            "mode": "Enforce",
            "defaultLevel": "internal",
            "levels": levels(true),
            "categories": [{ "name": "health", "require": { "qualifications": ["hds"] } }],
        },
    })
}

/// The levels; the last clears every pool or none.
fn levels(cleared: bool) -> Value {
    json!([
        { "name": "public" },
        { "name": "internal", "require": { "jurisdictions": { "operator": ["EU"], "data": ["EU"] } } },
        {
            "name": "restricted",
            "require": {
                "jurisdictions": { "controllingParty": ["EU"], "technology": ["EU", "CH"], "data": ["FR"] },
                "notExposedTo": ["us-cloud-act"],
                "qualifications": ["secnumcloud"],
            },
        },
        { "name": "secret", "require": { "jurisdictions": { "data": [if cleared { "FR" } else { "DE" }] } } },
    ])
}

/// Edits the policy so that every node gains the stamp [`TOGGLED`], or loses it.
pub(super) async fn edit_policy(client: &Client, cleared: bool) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(client.clone());
    let patch = json!({ "spec": { "levels": levels(cleared) } });
    policies.patch(POLICY, &PatchParams::default(), &Patch::Merge(patch)).await.context("cannot edit the policy")?;
    Ok(())
}

/// What admission adds to the labels of a template of such pods, in namespaces with a level or without: the level of the
/// pods is above both.
pub(super) async fn mark(client: &Client) -> Result<Map<String, Value>> {
    let Value::Object(mut template) = pod("", false) else { return Ok(Map::new()) };
    template.retain(|field, _| field == "metadata" || field == "spec");
    let labels = template.get("metadata").and_then(|metadata| metadata.get("labels")).cloned();
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "template" },
        "spec": { "selector": { "matchLabels": labels }, "template": template },
    }))?;
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let made = Api::<Deployment>::namespaced(client.clone(), PLAIN).create(&params, &deployment).await?;
    let completed = serde_json::to_value(made.spec.and_then(|spec| spec.template.metadata)).unwrap_or_default();
    let labels = completed.get("labels").and_then(Value::as_object).into_iter().flatten();
    let mark: Map<_, _> = labels
        .filter(|(key, _)| key.starts_with(rempart_core::keys::COMPLETED))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    ensure!(!mark.is_empty(), "the template was not marked: {completed}");
    Ok(mark)
}

/// A pod of the level `restricted` as a controller would create it from a template with that annotation. `complete`
/// when admission has given the template what its pods need.
pub(super) fn pod(name: &str, complete: bool) -> Value {
    let annotations =
        json!({ "rempart.dev/sensitivity": "restricted", "rempart.dev/workload-sensitivity": "restricted" });
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/name": "api", "app.kubernetes.io/part-of": "claims", "tier": "backend" },
            "annotations": annotations,
        },
        "spec": {
            // Nobody of this name schedules.
            "schedulerName": "nobody",
            "containers": [{
                "name": "api",
                "image": "registry.example/claims/api:1.4.2",
                "args": ["--listen=0.0.0.0:8080", "--log=info"],
                "env": [
                    { "name": "DATABASE_HOST", "value": "postgres.claims.svc" },
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                ],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" } },
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" },
                    "limits": { "memory": "256Mi" },
                },
                "securityContext": { "allowPrivilegeEscalation": false, "runAsNonRoot": true },
                "volumeMounts": [{ "name": "scratch", "mountPath": "/tmp" }],
            }],
            "volumes": [{ "name": "scratch", "emptyDir": {} }],
        },
    });
    if complete && let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("nodeSelector".to_owned(), json!({ NEEDED: "true" }));
    }
    pod
}

/// A Deployment of the level `restricted`, with so many pods.
pub(super) fn deployment(name: &str, replicas: usize) -> Value {
    let mut template = pod(name, false);
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("schedulerName");
    }
    let labels = json!({ "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "claims", "tier": "backend" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "labels": labels, "annotations": { "rempart.dev/sensitivity": "restricted" } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app.kubernetes.io/name": name } },
            "template": { "metadata": { "labels": labels }, "spec": template.get("spec") },
        },
    })
}

/// The names of the nodes.
pub(super) fn node_names(number: usize) -> impl Iterator<Item = String> {
    (0..number).map(|node| format!("node-{node:05}"))
}

/// Creates nodes, evenly in all zones. Nobody runs those that are not `kept`, and no heartbeat comes from them; of those
/// that are, one of fifty is [`BRITTLE`]'s.
pub(super) async fn create_nodes(client: &Client, number: usize, kept: bool) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let requests = node_names(number).enumerate().map(|(index, name)| {
        let nodes = nodes.clone();
        async move {
            let brittle = kept && index.is_multiple_of(BRITTLE_SHARE);
            let mut node = node(&name, index, brittle);
            if kept && let Some(labels) = node.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
                labels.insert("kwok.x-k8s.io/node".to_owned(), "fake".into());
            }
            let node = serde_json::from_value(node)?;
            nodes.create(&PostParams::default(), &node).await.with_context(|| format!("cannot create {name}"))?;
            anyhow::Ok(())
        }
    });
    stream::iter(requests).buffer_unordered(32).try_collect().await
}

/// A node as a managed cluster has them.
fn node(name: &str, index: usize, brittle: bool) -> Value {
    let (provider, zone) = (index % PROVIDERS, index / PROVIDERS % ZONES);
    let zone = if brittle { BRITTLE_ZONE.to_owned() } else { zone_name(provider, zone) };
    let capacity = json!({ "cpu": "16", "ephemeral-storage": "203056560Ki", "memory": "65773496Ki", "pods": "110" });
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "as the kubelet says",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/instance-type": "standard-16",
                "beta.kubernetes.io/os": "linux",
                "failure-domain.beta.kubernetes.io/region": format!("region-{provider}"),
                "failure-domain.beta.kubernetes.io/zone": zone,
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "standard-16",
                "node.example/pool": "general",
                "topology.kubernetes.io/region": format!("region-{provider}"),
                "topology.kubernetes.io/zone": zone,
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "300",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": { "providerID": format!("example://{zone}/{name}") },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                { "type": "Hostname", "address": name },
                { "type": "InternalIP", "address": format!("10.{}.{}.{}", index / 65536, index / 256 % 256, index % 256) },
            ],
            "conditions": [
                condition("Ready", "True", "KubeletReady"),
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "00000000-0000-0000-0000-000000000000",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": "v1.36.3",
                "kubeletVersion": "v1.36.3",
                "machineID": "00000000000000000000000000000000",
                "operatingSystem": "linux",
                "osImage": "Linux",
                "systemUUID": "00000000-0000-0000-0000-000000000000",
            },
        },
    })
}
