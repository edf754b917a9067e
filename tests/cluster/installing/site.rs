//! What runs while Rempart comes and goes: two nodes of a pool that is cleared for everything, one of none, and workloads.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Node, Pod},
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use rempart_core::keys;
use rempart_lab::{ControlPlane, eventually};
use serde_json::{Value, json};

use crate::world::{SOON, apply, create, workload};

/// The namespaces in which something runs.
const NAMESPACES: [&str; 4] = ["governed", "labelled", "exempt", "bystander"];

/// Declares the provider and the pool of the nodes.
pub(super) async fn declare(admin: &Client) -> Result<()> {
    let declared = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let offer = json!({"name": "cloud", "zones": [{"name": "par-1", "region": "par", "country": "FR"}],
        "qualifications": [{"scheme": "secnumcloud", "validFrom": "2024-01-01"}]});
    let provider = json!({"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [offer]});
    let pool = json!({"provider": "acme", "offer": "cloud", "zone": "par-1",
        "nodeSelector": {"matchLabels": {"pool": "par"}}});
    for object in [declared("CloudProvider", "acme", provider), declared("PlacementPool", "par", pool)] {
        apply(admin, &object).await?;
    }
    Ok(())
}

/// Runs a `DaemonSet` in each namespace, and a `Deployment`, and waits for their pods.
pub(super) async fn run_workloads(admin: &Client) -> Result<()> {
    for namespace in NAMESPACES {
        let said: &[(&str, &str)] = if namespace == "governed" { &[(keys::SENSITIVITY, "secret")] } else { &[] };
        for kind in ["DaemonSet", "Deployment"] {
            create(admin, &workload(kind, namespace, &format!("{}-runs", kind.to_lowercase()), said)).await?;
        }
    }
    eventually_selects(admin, "governed", &["state.secret"]).await?;
    eventually_run(admin).await
}

/// Waits until the template of the `DaemonSet` in the namespace selects by these keys, without their domains.
pub(super) async fn eventually_selects(admin: &Client, namespace: &str, expected: &[&str]) -> Result<()> {
    let sets: Api<DaemonSet> = Api::namespaced(admin.clone(), namespace);
    eventually(format!("the template in {namespace} to select by {expected:?}"), SOON, async || {
        let template = sets.get("daemonset-runs").await?.spec.unwrap_or_default().template;
        let selector = template.spec.and_then(|spec| spec.node_selector).unwrap_or_default();
        let found: Vec<_> = selector.keys().filter_map(|key| Some(key.split_once('/')?.1)).collect();
        ensure!(found == expected, "it selects by {found:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Waits until no pod waits, and every `DaemonSet` has as many as its template allows, of which some run.
pub(super) async fn eventually_run(admin: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(admin.clone());
    eventually("everything to run", SOON, async || {
        let labels: Vec<BTreeMap<String, String>> =
            nodes.list(&ListParams::default()).await?.into_iter().filter_map(|node| node.metadata.labels).collect();
        for namespace in NAMESPACES {
            let pods: Api<Pod> = Api::namespaced(admin.clone(), namespace);
            let all = pods.list(&ListParams::default()).await?.items;
            let runs = |pod: &&Pod| {
                pod.metadata.deletion_timestamp.is_none()
                    && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            };
            let waiting: Vec<_> = all.iter().filter(|pod| !runs(pod)).map(ResourceExt::name_any).collect();
            ensure!(waiting.is_empty(), "in {namespace} {waiting:?} wait");
            let sets: Api<DaemonSet> = Api::namespaced(admin.clone(), namespace);
            let set = sets.get("daemonset-runs").await?;
            let selector = set.spec.unwrap_or_default().template.spec.and_then(|spec| spec.node_selector);
            let selector = selector.unwrap_or_default();
            let fit = labels.iter().filter(|labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
            let (fit, ready) = (fit.count(), set.status.unwrap_or_default().number_ready);
            ensure!(fit >= 2 && usize::try_from(ready)? == fit, "in {namespace} {ready} of {fit} run");
        }
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Frees what selects by keys that nobody demands.
pub(super) async fn release(cluster: &ControlPlane) -> Result<()> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.arg("release").env_clear().env("KUBECONFIG", cluster.admin_kubeconfig()).env("HOME", "/nonexistent");
    let output = command.output().await?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    ensure!(output.status.success() && said[0].contains("nothing selects by a key that nobody demands"), "{said:?}");
    Ok(())
}

/// Waits until nodes carry these keys of policies, without their domains, and no others.
pub(super) async fn eventually_stamped(admin: &Client, expected: &[&str]) -> Result<()> {
    let nodes: Api<Node> = Api::all(admin.clone());
    eventually(format!("nodes to carry {expected:?}"), SOON, async || {
        let labels = nodes.list(&ListParams::default()).await?.into_iter().filter_map(|node| node.metadata.labels);
        let keys: BTreeSet<String> =
            labels.flat_map(BTreeMap::into_keys).filter(|key| keys::policy_asked(key).is_some()).collect();
        let found: Vec<_> = keys.iter().filter_map(|key| Some(key.split_once('/')?.1)).collect();
        ensure!(found == expected, "they carry {found:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}
