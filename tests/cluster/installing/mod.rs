//! Coming and going: whatever is installed, edited, restarted, lost and uninstalled, bystanders notice nothing.
//!
//! On control planes of their own.

mod creators;
mod site;

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use kube::{Api, Client, ResourceExt, api::DeleteParams};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::{Component, ControlPlane, ControlPlaneOptions, FakeNode, OperatorProcess, eventually};
use serde_json::{Value, json};

use self::creators::{Creator, Creators, DROP, LOSS, Refusals};
use crate::{
    harness::{Context, Trial},
    world::{SOON, api_of, apply, create_dry, merge, pod, refusal},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("installing::bystanders_notice_nothing_from_installation_to_removal", bystanders),
        Trial::serial("installing::who_uninstalls_before_deleting_policies_strands_nobody", uninstalled_first),
    ]
}

/// A policy for the namespaces of a tenant.
fn policy(tenants: &Value) -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "state"},
        "spec": {
            "mode": "Enforce", "defaultLevel": "internal", "namespaceSelector": tenants,
            "levels": [
                {"name": "internal", "require": {"jurisdictions": {"operator": ["EU"]}}},
                {"name": "secret", "require": {"qualifications": ["secnumcloud"]}},
            ],
        },
    })
}

async fn namespace(client: &Client, name: &str, labels: &Value) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    eventually(format!("namespace {name}"), SOON, async || apply(client, &object).await.map(drop)).await?;
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
    eventually(format!("an account in {name}"), SOON, async || apply(client, &account).await.map(drop)).await?;
    Ok(())
}

/// A policy of somebody else, whose parameter is a `ConfigMap`, as many clusters have them.
async fn anothers_policy(client: &Client) -> Result<()> {
    let version = "admissionregistration.k8s.io/v1";
    let parameter = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"max": "3"},
        "metadata": {"name": "their-parameter", "namespace": "default"}});
    let policy = json!({
        "apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "theirs"},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
            ]},
            "validations": [{"expression": "size(params.data) > 0"}],
        },
    });
    let binding = json!({
        "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "theirs"},
        "spec": {"policyName": "theirs", "validationActions": ["Deny"],
            "paramRef": {"name": "their-parameter", "namespace": "default", "parameterNotFoundAction": "Deny"}},
    });
    for object in [parameter, policy, binding] {
        apply(client, &object).await?;
    }
    Ok(())
}

/// Waits until a pod of a level that nobody knows is refused in the namespace, or is not any more.
async fn eventually_judged(client: &Client, namespace: &str, judged: bool) -> Result<()> {
    let bad = pod(namespace, "bad", &[(keys::SENSITIVITY, "top")]);
    eventually(format!("pods in {namespace} to be judged: {judged}"), SOON, async || {
        match create_dry(client, &bad).await {
            Ok(_) => ensure!(!judged, "it is not refused"),
            outcome @ Err(kube::Error::Api(_)) => {
                let said = refusal(outcome)?;
                ensure!(judged, "{said}");
                ensure!(said.contains("no such level in PlacementPolicy state"), "{said}");
            }
            Err(error) => return Err(error.into()),
        }
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// The admission policies and bindings that are compiled for policies.
async fn compiled(client: &Client) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for kind in ["MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {}});
        let found = api_of(client, &object).list(&kube::api::ListParams::default()).await?;
        names.extend(found.iter().map(ResourceExt::name_any).filter(|name| name.starts_with("rempart.")));
    }
    Ok(names)
}

async fn eventually_nothing_compiled(client: &Client) -> Result<()> {
    eventually("nothing compiled to be left", SOON, async || {
        let left = compiled(client).await?;
        ensure!(left.is_empty(), "{left:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Uninstalls the chart without asking first: nothing could run the check, for want of nodes.
async fn uninstall(cluster: &ControlPlane) -> Result<()> {
    cluster.helm(["uninstall", "rempart", "--namespace", "rempart-system", "--no-hooks"]).run().await?;
    Ok(())
}

async fn restart_api_server(cluster: &ControlPlane) -> Result<()> {
    cluster.kill(Component::ApiServer).await?;
    cluster.start_again(Component::ApiServer).await?;
    Ok(())
}

async fn bystanders(_: &Context) -> Result<()> {
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    let admin = cluster.admin();
    for (name, labels) in [
        ("exempt", json!({"tenant": "a"})),
        ("bystander", json!({})),
        ("governed", json!({"tenant": "a"})),
        ("labelled", json!({"tenant": "a", keys::SENSITIVITY: "internal"})),
        ("entering", json!({"tenant": "b"})),
        ("flipping", json!({"tenant": "a"})),
    ] {
        namespace(&admin, name, &labels).await?;
    }
    for node in ["n1", "n2"] {
        cluster.add_node(FakeNode::new(node).label("pool", "par")).await?;
    }
    cluster.add_node(FakeNode::new("nobodys")).await?;
    anothers_policy(&admin).await?;
    let seen = Arc::new(Creators::default());
    let asking = Creator::ALL.map(|creator| {
        let (seen, client) = (Arc::clone(&seen), admin.clone());
        tokio::spawn(async move { seen.ask(&client, creator).await })
    });
    let outcome = come_and_go(&cluster, &admin, &seen).await;
    seen.stop.store(true, Ordering::Relaxed);
    for asking in asking {
        asking.await?;
    }
    outcome?;
    let refused = seen.refused.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wrong = Vec::new();
    for ((phase, creator), Refusals { number, first, last, said }) in &*refused {
        let length = last.duration_since(*first);
        println!("{creator:?}, {phase}: {number} refused within {:.1} s: {said}", length.as_secs_f64());
        if creator.unavoidable(phase).is_none_or(|most| length > most) {
            wrong.push(format!("{creator:?}, {phase}: {number} within {length:?}: {said}"));
        }
    }
    let asked = seen.asked.load(Ordering::Relaxed);
    ensure!(wrong.is_empty(), "of {asked} requests some were refused: {wrong:#?}");
    ensure!(asked > 1500, "they asked too little");
    Ok(())
}

/// Waits until pods without their selector are completed.
async fn completed(admin: &Client) -> Result<()> {
    for object in Creator::Incomplete.objects() {
        eventually("mutations to act", SOON, async || create_dry(admin, &object).await.map(drop)).await?;
    }
    Ok(())
}

/// Changes a label of a namespace to and fro, and has what no label allows asked for meanwhile: it is refused each time.
async fn flip(admin: &Client) -> Result<()> {
    let (done, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let asking = async {
        let bad = pod("flipping", "bad", &[(keys::SENSITIVITY, "top")]);
        while !done.load(Ordering::Relaxed) {
            let said = refusal(create_dry(admin, &bad).await)?;
            ensure!(said.contains("no such level in PlacementPolicy state"), "{said}");
            asked.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    };
    let flipping = async {
        for level in [json!("internal"), Value::Null, json!("secret")].iter().cycle().take(150) {
            let labelled = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "flipping", "labels": {keys::SENSITIVITY: level}}});
            merge(admin, &labelled, None).await?;
        }
        done.store(true, Ordering::Relaxed);
        Ok(())
    };
    tokio::try_join!(asking, flipping)?;
    ensure!(asked.load(Ordering::Relaxed) > 50, "too little was asked");
    Ok(())
}

const ARGUMENTS: [&str; 1] = ["--exempt-namespaces=kube-system,kube-public,kube-node-lease,exempt"];

/// The values of the chart that go with [`ARGUMENTS`].
fn values() -> Value {
    json!({"exemptNamespaces": ["kube-system", "kube-public", "kube-node-lease", "exempt"]})
}

/// A selector of the namespaces of a tenant.
fn tenant(name: &str) -> Value {
    json!({"matchLabels": {"tenant": name}})
}

async fn come_and_go(cluster: &ControlPlane, admin: &Client, seen: &Creators) -> Result<()> {
    let operator = live(cluster, admin, seen).await?;
    let operator = lose_and_return(cluster, admin, seen, operator).await?;
    leave(cluster, admin, seen, operator).await
}

/// From the installation to a restart of the API server.
async fn live(cluster: &ControlPlane, admin: &Client, seen: &Creators) -> Result<OperatorProcess> {
    seen.begin("installation");
    cluster.install_chart(&values()).await?;
    let operator = cluster.start_operator(ARGUMENTS).await?;
    seen.begin("the first policy");
    site::declare(admin).await?;
    apply(admin, &policy(&tenant("a"))).await?;
    eventually_judged(admin, "governed", true).await?;
    completed(admin).await?;
    site::run_workloads(admin).await?;
    seen.begin("a wider selector");
    let both = json!({"matchExpressions": [{"key": "tenant", "operator": "In", "values": ["a", "b"]}]});
    apply(admin, &policy(&both)).await?;
    eventually_judged(admin, "entering", true).await?;

    seen.begin("a narrower selector, and the wider one again");
    apply(admin, &policy(&tenant("a"))).await?;
    eventually_judged(admin, "entering", false).await?;
    apply(admin, &policy(&both)).await?;
    eventually_judged(admin, "entering", true).await?;
    seen.begin("a label of a namespace that flips");
    flip(admin).await?;

    seen.begin(DROP);
    let mut lax = policy(&both);
    lax["spec"]["levels"] = json!([{"name": "internal"}, {"name": "secret"}]);
    apply(admin, &lax).await?;
    site::eventually_selects(admin, "governed", &[]).await?;
    site::eventually_run(admin).await?;
    seen.begin("the demand again");
    apply(admin, &policy(&both)).await?;
    site::eventually_selects(admin, "governed", &["state.secret"]).await?;
    site::eventually_run(admin).await?;

    seen.begin("the loss of the operator");
    operator.kill().await;
    let operator = cluster.start_operator(ARGUMENTS).await?;
    eventually_judged(admin, "governed", true).await?;

    seen.begin("an upgrade, and a rollback");
    let mut other = values();
    other["admission"] = json!({"schedulers": ["system:kube-scheduler", "another"]});
    cluster.install_chart(&other).await?;
    cluster.helm(["rollback", "rempart", "--namespace", "rempart-system"]).run().await?;
    eventually_judged(admin, "governed", true).await?;
    completed(admin).await?;

    seen.begin("a restart of the API server");
    restart_api_server(cluster).await?;
    eventually_judged(admin, "governed", true).await?;

    completed(admin).await?;
    Ok(operator)
}

/// From the loss of the definitions, while no operator runs, to an operator that restores all of it.
async fn lose_and_return(
    cluster: &ControlPlane,
    admin: &Client,
    seen: &Creators,
    operator: OperatorProcess,
) -> Result<OperatorProcess> {
    seen.begin(LOSS);
    operator.terminate().await;
    let released = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy",
        "metadata": {"name": "state", "finalizers": null}});
    merge(admin, &released, None).await?;
    let kinds = ["placementpolicies", "placementpools", "cloudproviders", "workloadplacements"];
    let definitions = kinds.map(|kind| format!("crd/{kind}.rempart.dev"));
    cluster.kubectl(["delete"].into_iter().chain(definitions.iter().map(String::as_str))).run().await?;
    restart_api_server(cluster).await?;
    // What governs goes on governing, and what it does not govern notices nothing.
    eventually_judged(admin, "governed", true).await?;
    for _ in 0..50 {
        let said = refusal(create_dry(admin, &pod("governed", "bad", &[(keys::SENSITIVITY, "top")])).await)?;
        ensure!(said.contains("no such level"), "{said}");
    }
    seen.begin("an upgrade that brings them back");
    cluster.install_chart(&values()).await?;
    eventually("the providers to be taken", SOON, async || site::declare(admin).await).await?;
    // Nobody was seen to delete the policy.
    let operator = cluster.start_operator(ARGUMENTS).await?;
    eventually("what is orphaned to be told", SOON, async || {
        let told = operator.get("/metrics").await?.contains("fault=\"orphaned\"} 1");
        ensure!(told, "no metric tells of it");
        anyhow::Ok(())
    })
    .await?;
    eventually_judged(admin, "governed", true).await?;
    site::eventually_run(admin).await?;
    eventually("the policy to be taken", SOON, async || apply(admin, &policy(&tenant("a"))).await.map(drop)).await?;
    eventually_judged(admin, "governed", true).await?;
    completed(admin).await?;
    site::eventually_run(admin).await?;

    seen.begin("the way back");
    operator.terminate().await;
    let everything = "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicybindings";
    cluster.kubectl(["delete", everything, "-l", "rempart.dev/policy"]).run().await?;
    eventually_judged(admin, "governed", false).await?;
    seen.begin("the operator again, which restores all of it");
    let operator = cluster.start_operator(ARGUMENTS).await?;
    eventually_judged(admin, "governed", true).await?;
    completed(admin).await?;

    Ok(operator)
}

/// From the end of the policy to another installation.
async fn leave(cluster: &ControlPlane, admin: &Client, seen: &Creators, operator: OperatorProcess) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(admin.clone());
    seen.begin("the end of the policy");
    policies.delete("state", &DeleteParams::default()).await?;
    eventually("the policy to be gone", SOON, async || {
        ensure!(policies.get_opt("state").await?.is_none(), "it is there");
        anyhow::Ok(())
    })
    .await?;
    eventually_judged(admin, "governed", false).await?;
    eventually_nothing_compiled(admin).await?;
    site::eventually_selects(admin, "governed", &[]).await?;
    site::eventually_run(admin).await?;
    seen.begin("release");
    site::release(cluster).await?;
    site::eventually_run(admin).await?;
    seen.begin("removal");
    operator.terminate().await;
    uninstall(cluster).await?;
    seen.begin("installation once more");
    cluster.install_chart(&values()).await?;
    let operator = cluster.start_operator(ARGUMENTS).await?;
    apply(admin, &policy(&tenant("a"))).await?;
    eventually_judged(admin, "governed", true).await?;
    site::eventually_selects(admin, "governed", &["state.secret"]).await?;
    site::eventually_run(admin).await?;
    site::eventually_stamped(admin, &["state.internal", "state.secret"]).await?;
    operator.terminate().await;
    Ok(())
}

async fn uninstalled_first(_: &Context) -> Result<()> {
    let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
    let admin = cluster.admin();
    namespace(&admin, "governed", &json!({"tenant": "a"})).await?;
    cluster.install_chart(&json!({})).await?;
    let operator = cluster.start_operator::<&str>([]).await?;
    apply(&admin, &policy(&json!({"matchLabels": {"tenant": "a"}}))).await?;
    eventually_judged(&admin, "governed", true).await?;
    // The operator outlives its chart for a while, as it does in a cluster.
    uninstall(&cluster).await?;
    eventually_nothing_compiled(&admin).await?;
    eventually_judged(&admin, "governed", false).await?;
    // API servers let go of mutations and of validations each at a time of its own.
    eventually("pods to be left as they are", SOON, async || {
        let made = create_dry(&admin, &pod("governed", "web", &[])).await?;
        ensure!(made.data["spec"]["nodeSelector"].is_null(), "{:#}", made.data["spec"]);
        anyhow::Ok(())
    })
    .await?;
    operator.terminate().await;
    ensure!(compiled(&admin).await?.is_empty());

    // Who installs it again is where they were.
    cluster.install_chart(&json!({})).await?;
    let operator = cluster.start_operator::<&str>([]).await?;
    eventually_judged(&admin, "governed", true).await.context("after it is installed again")?;
    operator.terminate().await;
    Ok(())
}
