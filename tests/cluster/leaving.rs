//! Leaving Rempart: nothing stays behind that waits for a key which nobody adds any more.
//!
//! On control planes of their own, with nodes that run pods.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use rempart::api::PlacementPolicy;
use rempart_lab::{ControlPlane, ControlPlaneOptions, FakeNode, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, api_of, apply, create, merge, namespace, pod, stamps_of, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("leaving::templates_are_freed_before_rempart_goes", in_order),
        Trial::serial("leaving::who_uninstalled_first_finds_the_way_back", uninstalled_first),
    ]
}

const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.internal";

/// A control plane with Rempart, a pool of two nodes, and workloads of every kind that select by the policy's key.
struct Site {
    cluster: ControlPlane,
    admin: Client,
    /// The kubeconfig of the operator's own account, by which the check before an uninstallation asks.
    account: PathBuf,
}

impl Site {
    async fn new() -> Result<Self> {
        let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
        let admin = cluster.admin();
        cluster.install_chart(&json!({})).await?;
        let account = cluster.service_account_kubeconfig("rempart-system", "rempart").await?;
        namespace(&admin, "shop", &[].into()).await?;
        let site = Self { cluster, admin, account };
        site.declare().await?;
        for name in ["n1", "n2"] {
            site.node(name).await?;
        }
        Ok(site)
    }

    /// Declares a provider, a pool and a policy.
    async fn declare(&self) -> Result<()> {
        let declared = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let offer = json!({"name": "cloud", "zones": [{"name": "par-1", "region": "par", "country": "FR"}]});
        let provider = json!({"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [offer]});
        let pool = json!({"provider": "acme", "offer": "cloud", "zone": "par-1",
            "nodeSelector": {"matchLabels": {"pool": "par"}}});
        let policy = json!({"mode": "Enforce", "defaultLevel": "internal",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "levels": [{"name": "internal", "require": {"jurisdictions": {"data": ["EU"]}}}]});
        for object in [
            declared("CloudProvider", "acme", provider),
            declared("PlacementPool", "par", pool),
            declared("PlacementPolicy", "state", policy),
        ] {
            eventually("the declarations", SOON, async || apply(&self.admin, &object).await.map(drop)).await?;
        }
        Ok(())
    }

    async fn node(&self, name: &str) -> Result<()> {
        self.cluster.add_node(FakeNode::new(name).label("pool", "par")).await?;
        Ok(())
    }

    async fn eventually_enforced(&self) -> Result<()> {
        let policies: Api<PlacementPolicy> = Api::all(self.admin.clone());
        eventually("the policy to be enforced", SOON, async || {
            let status = policies.get("state").await?.status.unwrap_or_default();
            let enforced = status.conditions.iter().any(|found| found.type_ == "Enforced" && found.status == "True");
            ensure!(enforced, "{:?}", status.conditions);
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    async fn workloads(&self) -> Result<()> {
        for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
            let mut object = workload(kind, "shop", &kind.to_lowercase(), &[]);
            if kind != "DaemonSet" {
                object["spec"]["replicas"] = json!(2);
            }
            create(&self.admin, &object).await?;
        }
        let mut nightly = workload("CronJob", "shop", "nightly", &[]);
        nightly["spec"]["schedule"] = json!("0 3 1 1 *");
        create(&self.admin, &nightly).await?;
        create(&self.admin, &pod("shop", "alone", &[])).await?;
        self.eventually_running(7).await
    }

    /// Waits until so many pods run, and none waits.
    async fn eventually_running(&self, count: usize) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), "shop");
        eventually(format!("{count} pods to run"), SOON, async || {
            let all = pods.list(&ListParams::default()).await?.items;
            let runs = |pod: &&Pod| {
                pod.metadata.deletion_timestamp.is_none()
                    && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            };
            let waiting: Vec<_> = all.iter().filter(|pod| !runs(pod)).map(ResourceExt::name_any).collect();
            ensure!(waiting.is_empty() && all.len() == count, "{} pods, of which {waiting:?} wait", all.len());
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    /// What the command says by this kubeconfig, and the code that it ends with.
    async fn release(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<(i32, String)> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rempart"));
        command.arg("release").args(arguments).env_clear().env("KUBECONFIG", kubeconfig).env("HOME", "/nonexistent");
        let Output { status, stdout, stderr } = command.output().await?;
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        Ok((status.code().context("it was killed")?, said))
    }

    async fn eventually_unstamped(&self) -> Result<()> {
        eventually("the key to go from all nodes", SOON, async || {
            for name in ["n1", "n2"] {
                ensure!(!stamps_of(&self.admin, name).await?.contains_key(KEY), "{name} carries it");
            }
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }
}

async fn in_order(_: &Context) -> Result<()> {
    let site = Site::new().await?;
    let operator = site.cluster.start_operator::<&str>([]).await?;
    site.eventually_enforced().await?;
    site.workloads().await?;
    let said = site.release(&site.account, &["--check"]).await?;
    ensure!(said.0 == 1 && said.1.contains("1 PlacementPolicy still exists: state."), "{said:?}");

    let policies: Api<PlacementPolicy> = Api::all(site.admin.clone());
    policies.delete("state", &DeleteParams::default()).await?;
    eventually("the policy to be gone", SOON, async || {
        ensure!(policies.get_opt("state").await?.is_none(), "it is there");
        anyhow::Ok(())
    })
    .await?;
    // The operator frees what restarts nothing, and what no pod's admission would mend.
    eventually("the templates of CronJob and DaemonSet to be freed", SOON, async || {
        let said = site.release(&site.account, &["--check"]).await?;
        ensure!(said.0 == 1, "{said:?}");
        ensure!(
            said.1.contains("2 pod templates select by keys")
                && said.1.contains("deployment shop/deployment, statefulset shop/statefulset.")
                && !said.1.contains("former template"),
            "{said:?}"
        );
        anyhow::Ok(())
    })
    .await?;
    site.eventually_running(7).await?;
    let admin = site.cluster.admin_kubeconfig();
    let said = site.release(admin, &["--dry-run"]).await?;
    ensure!(said.0 == 1 && said.1.contains("  deployment shop/deployment: state.internal\n"), "{said:?}");

    let said = site.release(admin, &["--at-a-time", "1"]).await?;
    ensure!(said.0 == 0, "a pod of its own that has a node waits for nothing: {said:?}");
    ensure!(
        said.1.contains("[1/2] deployment shop/deployment: state.internal; rolled out\n")
            && said.1.contains("[2/2] statefulset shop/statefulset: state.internal; rolled out\n")
            && said.1.contains("2 templates freed"),
        "{said:?}"
    );
    let pods: Api<Pod> = Api::namespaced(site.admin.clone(), "shop");
    pods.delete("alone", &DeleteParams::default().grace_period(0)).await?;
    site.eventually_unstamped().await?;
    eventually("nothing to be left", SOON, async || {
        let said = site.release(&site.account, &["--check"]).await?;
        ensure!(said.0 == 0 && said.1.contains("Rempart can leave"), "{said:?}");
        anyhow::Ok(())
    })
    .await?;
    site.cluster.helm(["uninstall", "rempart", "--namespace", "rempart-system"]).run().await?;
    operator.terminate().await;

    // Weeks later everything is scheduled anew, on a node that Rempart never saw.
    site.node("n3").await?;
    for node in ["n1", "n2"] {
        let cordoned =
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}, "spec": {"unschedulable": true}});
        merge(&site.admin, &cordoned, None).await?;
    }
    for found in pods.list(&ListParams::default()).await? {
        pods.delete(&found.name_any(), &DeleteParams::default().grace_period(0)).await?;
    }
    // DaemonSets run on closed nodes too.
    site.eventually_running(2 + 2 + 3).await
}

async fn uninstalled_first(_: &Context) -> Result<()> {
    let site = Site::new().await?;
    let operator = site.cluster.start_operator::<&str>([]).await?;
    site.eventually_enforced().await?;
    site.workloads().await?;
    operator.terminate().await;
    site.cluster.helm(["uninstall", "rempart", "--namespace", "rempart-system", "--no-hooks"]).run().await?;

    // Nobody stamps the node that joins, and what is rescheduled onto it waits.
    site.node("n3").await?;
    for node in ["n1", "n2"] {
        let gone = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        api_of(&site.admin, &gone).delete(node, &DeleteParams::default()).await?;
    }
    let pods: Api<Pod> = Api::namespaced(site.admin.clone(), "shop");
    eventually("all to wait", SOON, async || {
        let all = pods.list(&ListParams::default()).await?.items;
        let placed: Vec<_> =
            all.iter().filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).collect();
        for pod in &placed {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        ensure!(placed.is_empty() && all.len() >= 3, "{} of {} run", placed.len(), all.len());
        anyhow::Ok(())
    })
    .await?;

    let admin = site.cluster.admin_kubeconfig();
    // The policy is still declared: what it demands is in demand, and the command says so.
    let said = site.release(admin, &[]).await?;
    ensure!(
        said.0 == 0 && said.1.contains("1 PlacementPolicy is still there, and what is demanded by it stays: state"),
        "{said:?}"
    );
    let policies: Api<PlacementPolicy> = Api::all(site.admin.clone());
    policies.delete("state", &DeleteParams::default()).await?;
    let said = site.release(admin, &["--check"]).await?;
    ensure!(said.1.contains("kubectl patch placementpolicy state --type merge"), "{said:?}");
    let released = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": "state", "finalizers": null}});
    merge(&site.admin, &released, None).await?;
    let said = site.release(admin, &["--timeout", "60"]).await?;
    ensure!(said.0 == 0 && said.1.contains("4 templates freed and rolled out; nothing selects"), "{said:?}");
    site.eventually_running(2 + 2 + 1).await
}
