//! `rempart doctor --cluster` on a control plane of its own: a fresh installation has nothing to tell but what is truly open,
//! what somebody opens is told with its remedy, and what may not be read is told too. Nothing is written.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use rempart_lab::{ControlPlane, ControlPlaneOptions, FakeNode, OperatorProcess, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    harness::{Play, Trial, sharing},
    world::{SOON, apply, create, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    let plays: [(&'static str, Play<Patient>); 1] =
        [("doctor::what_is_open_is_told_and_nothing_else", |it| Box::pin(opened(it)))];
    sharing(Patient::laid, plays)
}

/// Who may bind; the second lives in the namespace `batch`.
const SCHEDULERS: [&str; 2] = ["system:kube-scheduler", "system:serviceaccount:batch:volcano"];

/// A fresh installation, with one governed namespace and one pool.
struct Patient {
    cluster: ControlPlane,
    _operator: OperatorProcess,
}

impl Patient {
    async fn laid() -> Result<Self> {
        let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
        let people = json!({
            "people": {
                "securityOfficers": [{"kind": "Group", "name": "officers"}],
                "auditors": [{"kind": "User", "name": "audrey"}],
            },
            "admission": {"schedulers": SCHEDULERS},
        });
        cluster.install_chart(&people).await?;
        let operator = cluster.start_operator([format!("--schedulers={}", SCHEDULERS.join(","))]).await?;
        let node = FakeNode::new("rack-1").label("site.node-restriction.kubernetes.io/hall", "north");
        cluster.add_nodes([node]).await?;
        let admin = cluster.admin();
        let labels = json!({"tenant": "lab", "rempart.dev/sensitivity": "internal"});
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "assays", "labels": labels}});
        let policy = json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "lab"},
            "spec": {
                "mode": "Enforce", "defaultLevel": "internal", "namespaceSelector": {"matchLabels": {"tenant": "lab"}},
                "levels": [{"name": "internal", "require": {"jurisdictions": {"operator": ["EU"]}}}],
            },
        });
        for object in [namespace, policy] {
            eventually("an object to be made", SOON, async || apply(&admin, &object).await.map(drop)).await?;
        }
        let arguments = ["wait", "--for=condition=Enforced", "--timeout=60s", "placementpolicy/lab"];
        cluster.kubectl(arguments).run().await?;
        Ok(Self { cluster, _operator: operator })
    }
}

/// How `rempart doctor --cluster` ends with this kubeconfig, and what it says as JSON.
async fn examined(kubeconfig: &Path, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    command
        .args(["doctor", "--cluster"])
        .args(arguments)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", "/nonexistent");
    let text = command.output().await?;
    let output = command.args(["-o", "json"]).output().await?;
    ensure!(text.status.code() == output.status.code(), "text and JSON end alike");
    let document =
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output.status.code(), document))
}

/// `code object` of each finding.
fn found(document: &Value) -> Vec<String> {
    let rows = document["found"].as_array().into_iter().flatten();
    rows.map(|row| {
        format!("{} {}", row["code"].as_str().unwrap_or_default(), row["object"].as_str().unwrap_or_default())
    })
    .collect()
}

/// The finding of this code.
fn finding<'d>(document: &'d Value, code: &str) -> Result<&'d Value> {
    let rows = document["found"].as_array().into_iter().flatten();
    rows.clone().find(|row| row["code"] == code).with_context(|| format!("no {code} in {document:#}"))
}

/// Does what nobody refuses, each by who may do that alone, and gives what is to be told of it.
async fn hidden(cluster: &ControlPlane) -> Result<[&'static str; 5]> {
    let client = cluster.admin();
    let named = |kind: &str, name: &str, more: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        json_patch::merge(&mut object, &more);
        object
    };
    let rbac = json!({"apiVersion": "rbac.authorization.k8s.io/v1"});
    let role = |namespace: &str, name: &str, group: &str, resource: &str| {
        let mut role = named("Role", name, rbac.clone());
        role["metadata"]["namespace"] = json!(namespace);
        role["rules"] = json!([{"apiGroups": [group], "resources": [resource], "verbs": ["create"]}]);
        let mut binding = named("RoleBinding", name, rbac.clone());
        binding["metadata"]["namespace"] = json!(namespace);
        binding["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
        binding["subjects"] = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]);
        [role, binding]
    };
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let mut policy = named("PlacementPolicy", "nowhere", json!({"apiVersion": "rempart.dev/v1alpha1"}));
    policy["spec"] = json!({
        "mode": "Enforce", "defaultLevel": "internal", "namespaceSelector": {"matchLabels": {"tenant": "nobody"}},
        "levels": [{"name": "internal", "require": {"jurisdictions": {"operator": ["EU"]}}}],
    });
    // A scheduler's account, whose token whoever makes pods beside it has.
    let mut objects = vec![named("Namespace", "batch", json!({})), policy];
    objects.extend(role("batch", "bella", "", "pods"));
    // Nobody says how sensitive what is in there is.
    objects.push(named("Namespace", "quiet", labels(json!({"tenant": "lab"}))));
    // A hiding place.
    objects.extend(role("kube-public", "ilan", "apps", "deployments"));
    for object in objects {
        apply(&client, &object).await?;
    }
    let hides = workload("Deployment", "kube-public", "hides", &[("rempart.dev/sensitivity", "internal")]);
    let ilan = cluster.client_as("ilan", &[])?;
    eventually("what hides to be made", SOON, async || create(&ilan, &hides).await.map(drop)).await?;
    Ok([
        "PolicyGovernsNothing PlacementPolicy nowhere",
        "SensitiveInExemptNamespace Deployment kube-public/hides",
        "NamespaceWithoutLevel PlacementPolicy lab",
        "ExemptPodsWritable RoleBinding batch/bella",
        "ExemptWorkloadsWritable RoleBinding kube-public/ilan",
    ])
}

async fn opened(patient: &Patient) -> Result<()> {
    let cluster = &patient.cluster;
    let admin = cluster.admin_kubeconfig();
    let (code, healthy) = examined(admin, &[]).await?;
    ensure!(found(&healthy).is_empty() && healthy["notChecked"] == json!([]), "{healthy:#}");
    ensure!(code == Some(0) && healthy["clean"] == true, "{code:?}");
    let nodes: Api<Node> = Api::all(cluster.admin());
    let nodes = nodes.list(&ListParams::default()).await?.items.len();
    ensure!(nodes == 1, "the trial request as a node wrote nothing, and there are {nodes}");

    let client = cluster.admin();
    let condition =
        r#"[{"op": "add", "path": "/spec/matchConditions/-", "value": {"name": "never", "expression": "false"}}]"#;
    let altering = ["patch", "validatingadmissionpolicy", "rempart-stamps", "--type=json", "-p", condition];
    cluster.kubectl(altering).run().await?;
    cluster.kubectl(["delete", "validatingadmissionpolicybinding", "rempart-records"]).run().await?;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "scraper"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["*/token"], "verbs": ["create"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "scraper"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scraper"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "watchers", "name": "scraper"}],
    });
    for object in [role, binding] {
        apply(&client, &object).await?;
    }
    let (code, ill) = examined(admin, &[]).await?;
    let expected = [
        "AdmissionMissing ValidatingAdmissionPolicyBinding rempart-records",
        "AdmissionAltered ValidatingAdmissionPolicy rempart-stamps",
        "TokensCreatable ClusterRoleBinding scraper",
        "NodesProxied ClusterRoleBinding scraper",
    ];
    ensure!(code == Some(1) && found(&ill) == expected, "{code:?} {ill:#}");
    let altered = finding(&ill, "AdmissionAltered")?;
    ensure!(altered["message"].as_str().is_some_and(|message| message.ends_with("] is added")), "{altered:#}");
    ensure!(altered["field"].as_str().is_some_and(|field| field.starts_with("spec.matchConditions")), "{altered:#}");
    ensure!(
        altered["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("delete validatingadmissionpolicy rempart-stamps")),
        "{altered:#}"
    );
    let tokens = finding(&ill, "TokensCreatable")?;
    let message =
        "ServiceAccount watchers/scraper may create serviceaccounts/token in every namespace, by ClusterRole scraper";
    ensure!(tokens["message"] == message, "{tokens:#}");
    ensure!(
        tokens["remedy"].as_str().is_some_and(|remedy| remedy.contains("kubectl delete clusterrolebinding scraper")),
        "{tokens:#}"
    );

    let (_, trusting) = examined(admin, &["--trust", "ServiceAccount:watchers/scraper"]).await?;
    ensure!(found(&trusting) == expected[..2], "{trusting:#}");
    let expected = [&expected[..], &hidden(cluster).await?].concat();
    let expected = eventually("what hides to be told, and nothing else", SOON, async || {
        let (_, ill) = examined(admin, &[]).await?;
        let told: BTreeSet<_> = found(&ill).into_iter().collect();
        ensure!(told == expected.iter().map(|told| (*told).to_owned()).collect(), "{ill:#}");
        anyhow::Ok(found(&ill))
    })
    .await?;

    // Who may read, and not act as a node.
    let audrey = cluster.user_kubeconfig("audrey", &[])?;
    let (code, audited) = examined(&audrey, &[]).await?;
    ensure!(code == Some(1) && found(&audited) == expected, "{code:?} {audited:#}");
    let unchecked: Vec<_> =
        audited["notChecked"].as_array().into_iter().flatten().map(|row| &row["checks"][0]).collect();
    ensure!(unchecked == ["NodeRestriction"], "{audited:#}");

    // Who may read nothing is told that of everything.
    let stranger = cluster.user_kubeconfig("stranger", &[])?;
    let (code, unread) = examined(&stranger, &[]).await?;
    ensure!(code == Some(2) && found(&unread).is_empty() && unread["clean"] == false, "{code:?} {unread:#}");
    Ok(())
}
