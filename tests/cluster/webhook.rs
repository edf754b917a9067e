//! The webhook that completes pods where API servers have no mutating admission policies: the main job done by it, and what
//! becomes of pods while it is away.
//!
//! On control planes of their own.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use rempart_core::keys;
use rempart_lab::{
    Component, ControlPlane, ControlPlaneOptions, FakeNode, KubernetesVersion, MutationChoice, OperatorProcess,
    eventually,
};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, api_of, apply, create_dry, pod, refusal, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("webhook::pods_go_where_they_may_and_nothing_incomplete_comes_in_while_it_is_away", main_job),
        Trial::serial("webhook::an_older_api_server_is_served_as_well", older).on(KubernetesVersion::V1_33),
    ]
}

const KEY: &str = "clearance.rempart.node-restriction.kubernetes.io/state.internal";

/// A control plane whose pods the webhook completes, with a policy for one namespace and a pool.
struct Site {
    cluster: ControlPlane,
    admin: Client,
}

impl Site {
    async fn new(kubernetes: KubernetesVersion) -> Result<Self> {
        let options =
            ControlPlaneOptions { kubernetes, mutation: MutationChoice::Webhook, ..ControlPlaneOptions::default() };
        let cluster = ControlPlane::start(options).await?;
        let admin = cluster.admin();
        cluster.install_chart(&json!({})).await?;
        for name in ["shop", "bystander"] {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            eventually(format!("the namespace {name}"), SOON, async || apply(&admin, &object).await.map(drop)).await?;
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
            eventually(format!("an account in {name}"), SOON, async || apply(&admin, &account).await.map(drop)).await?;
        }
        let declared = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let zone = |name: &str, country: &str| json!({"name": name, "region": name, "country": country});
        let offer = json!({"name": "cloud", "zones": [zone("par-1", "FR"), zone("iad-1", "US")]});
        let provider = json!({"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [offer]});
        let pool = |zone: &str| {
            let selector = json!({"matchLabels": {"pool": zone}});
            declared(
                "PlacementPool",
                zone,
                json!({"provider": "acme", "offer": "cloud", "zone": zone, "nodeSelector": selector}),
            )
        };
        let policy = json!({"mode": "Enforce", "defaultLevel": "internal",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "levels": [{"name": "internal", "require": {"jurisdictions": {"data": ["EU"]}}}]});
        for object in [
            declared("CloudProvider", "acme", provider),
            pool("par-1"),
            pool("iad-1"),
            declared("PlacementPolicy", "state", policy),
        ] {
            eventually("the declarations", SOON, async || apply(&admin, &object).await.map(drop)).await?;
        }
        Ok(Self { cluster, admin })
    }

    async fn operator(&self) -> Result<OperatorProcess> {
        Ok(self.cluster.start_operator::<&str>([]).await?)
    }

    fn incomplete() -> Value {
        pod("shop", "web", &[])
    }

    /// Waits until a pod that says nothing gets what it needs.
    async fn completed(&self) -> Result<()> {
        eventually("the webhook to complete pods", SOON, async || {
            let made = create_dry(&self.admin, &Self::incomplete()).await?;
            let found = &made.data["spec"]["nodeSelector"];
            ensure!(*found == json!({KEY: "true"}), "{found}");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    /// Waits until the policy is enforced, by its own word.
    async fn enforced(&self) -> Result<()> {
        eventually("the policy to be enforced", SOON, async || {
            let object = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {}});
            let policy = api_of(&self.admin, &object).get("state").await?;
            let conditions = policy.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let enforced = conditions.iter().find(|condition| condition["type"] == "Enforced");
            ensure!(enforced.is_some_and(|condition| condition["status"] == "True"), "{conditions:?}");
            anyhow::Ok(())
        })
        .await?;
        Ok(())
    }

    /// What is incomplete is refused, without the operator: what is incomplete is refused, and says why.
    async fn refused(&self) -> Result<()> {
        let said = refusal(create_dry(&self.admin, &Self::incomplete()).await)?;
        ensure!(said.contains(&format!("spec.nodeSelector lacks {KEY}=true")), "{said}");
        ensure!(said.contains("the webhook of rempart-admission adds it, and did not answer"), "{said}");
        Ok(())
    }

    /// What nobody needs to complete comes in: complete pods, pods of namespaces that no policy governs, workloads.
    async fn others_come_in(&self) -> Result<()> {
        let mut complete = Self::incomplete();
        complete["spec"]["nodeSelector"] = json!({KEY: "true"});
        let mut system = pod("kube-system", "agent", &[]);
        system["spec"]["serviceAccountName"] = json!("default");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "kube-system"}});
        apply(&self.admin, &account).await?;
        for object in [complete, system, pod("bystander", "web", &[]), workload("Deployment", "shop", "other", &[])] {
            create_dry(&self.admin, &object).await.with_context(|| object.to_string())?;
        }
        Ok(())
    }

    /// The names of the webhook configurations that there are, and whether there is a mutating admission policy.
    async fn configurations(&self) -> Result<Vec<String>> {
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {}});
        let found = api_of(&self.admin, &object).list(&ListParams::default()).await?;
        Ok(found.iter().map(ResourceExt::name_any).collect())
    }

    /// Pods are completed to the last; then nothing is left of the policy.
    async fn ends(&self, operator: OperatorProcess) -> Result<()> {
        self.completed().await?;
        let object = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {}});
        api_of(&self.admin, &object).delete("state", &DeleteParams::default()).await?;
        eventually("nothing of the policy to be left", SOON, async || {
            let left = self.configurations().await?;
            ensure!(left.is_empty(), "{left:?}");
            let made = create_dry(&self.admin, &Self::incomplete()).await?;
            ensure!(made.data["spec"]["nodeSelector"].is_null(), "{}", made.data);
            anyhow::Ok(())
        })
        .await?;
        drop(operator);
        Ok(())
    }
}

async fn main_job(_: &Context) -> Result<()> {
    let site = Site::new(KubernetesVersion::default()).await?;
    for (node, pool) in [("near", "par-1"), ("far", "iad-1")] {
        site.cluster.add_node(FakeNode::new(node).label("pool", pool)).await?;
    }
    let operator = site.operator().await?;
    site.completed().await?;
    let made =
        create_dry(&site.admin, &workload("Deployment", "shop", "api", &[(keys::SENSITIVITY, "internal")])).await?;
    let template = &made.data["spec"]["template"];
    ensure!(template["spec"]["nodeSelector"] == json!({KEY: "true"}), "{template}");
    ensure!(template["metadata"]["annotations"][keys::WORKLOAD_SENSITIVITY] == "internal", "{template}");
    apply(&site.admin, &workload("Deployment", "shop", "api", &[(keys::SENSITIVITY, "internal")])).await?;
    eventually("the pods to stand where they may", SOON, async || {
        let pods = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop"}});
        let pods = api_of(&site.admin, &pods).list(&ListParams::default()).await?;
        let nodes: Vec<_> = pods.iter().map(|pod| pod.data["spec"]["nodeName"].clone()).collect();
        ensure!(!nodes.is_empty() && nodes.iter().all(|node| node == "near"), "{nodes:?}");
        anyhow::Ok(())
    })
    .await?;

    // It is killed.
    site.enforced().await?;
    drop(operator);
    site.refused().await?;
    site.others_come_in().await?;
    site.cluster.kill(Component::ApiServer).await?;
    site.cluster.start_again(Component::ApiServer).await?;
    eventually("the API server to admit what is right", SOON, async || site.others_come_in().await).await?;
    site.refused().await?;

    // It is back, and what it is trusted by is taken away.
    let operator = site.operator().await?;
    site.completed().await?;
    let secrets: Api<Secret> = Api::namespaced(site.admin.clone(), "rempart-system");
    let before = secrets.get("rempart-webhook").await?.data;
    secrets.delete("rempart-webhook", &DeleteParams::default()).await?;
    eventually("another authority", SOON, async || {
        let after = secrets.get("rempart-webhook").await?.data;
        ensure!(after != before, "it is the same");
        anyhow::Ok(())
    })
    .await?;
    site.completed().await?;
    let ended = operator.terminate().await;
    ensure!(ended.is_some_and(|status| status.success()), "{ended:?}");

    // The cluster is upgraded, and then the release: policies do it from now on.
    site.cluster.choose_mutation(MutationChoice::Auto);
    site.cluster.install_chart(&json!({})).await?;
    let operator = site.operator().await?;
    site.completed().await?;
    site.enforced().await?;
    eventually("what the webhook had to end with its role", SOON, async || {
        let left = site.configurations().await?;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(secrets.get_opt("rempart-webhook").await?.is_none(), "its authorities are there");
        anyhow::Ok(())
    })
    .await?;
    site.ends(operator).await
}

async fn older(_: &Context) -> Result<()> {
    let site = Site::new(KubernetesVersion::V1_33).await?;
    let operator = site.operator().await?;
    site.completed().await?;
    site.enforced().await?;
    // Whoever alters it is found out, and it is put right.
    let name = site.configurations().await?.into_iter().next().context("there is no configuration")?;
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name}});
    let webhooks = api_of(&site.admin, &configuration);
    let mut altered = webhooks.get(&name).await?;
    let meant = altered.data["webhooks"].clone();
    altered.data["webhooks"] = json!([]);
    webhooks.replace(&name, &kube::api::PostParams::default(), &altered).await?;
    eventually("the configuration to be put right", SOON, async || {
        let found = webhooks.get(&name).await?.data["webhooks"].clone();
        ensure!(found == meant, "{found}");
        anyhow::Ok(())
    })
    .await?;
    site.ends(operator).await
}
