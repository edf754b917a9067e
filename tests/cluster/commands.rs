//! The offline commands with `--cluster`: what they say of a cluster is what its API server and its scheduler do.
//!
//! On a control plane of its own, because they read all of it, and other trials leave things there that nobody can judge.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Pod,
};
use kube::{Api, Client, api::ListParams};
use rempart_lab::{ControlPlane, ControlPlaneOptions, FakeNode, OperatorProcess, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Play, Trial, sharing},
    world::{SOON, apply, create, create_dry, refusal, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    let plays: [(&'static str, Play<Clinics>); 10] = [
        ("commands::a_plan_of_the_cluster_is_where_its_pods_run", |it| Box::pin(where_pods_run(it))),
        ("commands::a_manifest_is_refused_in_the_words_of_the_api_server", |it| Box::pin(refused_manifest(it))),
        ("commands::an_edited_policy_names_what_runs_where_it_may_no_longer", |it| Box::pin(edited_policy(it))),
        ("commands::a_developer_needs_no_rights_beyond_their_namespace", |it| Box::pin(developer(it))),
        ("commands::an_officers_role_is_enough_to_see_what_an_edit_moves", |it| Box::pin(officer(it))),
        ("commands::a_stranger_is_told_what_to_ask_for", |it| Box::pin(stranger(it))),
        ("commands::a_completed_file_is_what_admission_makes_of_it", |it| Box::pin(completed_file(it))),
        ("commands::the_facts_of_a_cluster_are_looked_after", |it| Box::pin(catalogue_of_the_cluster(it))),
        ("commands::a_cluster_without_rempart_is_told_from_an_empty_one", |it| {
            Box::pin(std::future::ready(without_rempart(it)))
        }),
        ("commands::what_cannot_be_reached_is_said", |it| Box::pin(out_of_reach(it))),
    ];
    sharing(Clinics::laid, plays)
}

/// The world of tests/scenarios/clinic, running.
struct Clinics {
    cluster: ControlPlane,
    admin: Client,
    /// What a plan said before Rempart was installed.
    before: Output,
    _operator: OperatorProcess,
}

fn scenario(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/clinic").join(path)
}

/// The nodes, by name and site; one belongs to no pool.
const NODES: [(&str, &str); 4] = [("graz-1", "graz"), ("linz-1", "linz"), ("kiel-1", "kiel"), ("attic", "attic")];

const PODS: usize = 6;

impl Clinics {
    async fn laid() -> Result<Self> {
        let cluster = ControlPlane::start(ControlPlaneOptions::default()).await?;
        let before = rempart(cluster.admin_kubeconfig(), ["plan", "--cluster"]).await?;
        // Who is bound to nothing may read nothing.
        cluster.install_chart(&json!({"people": {"levelsReaders": []}})).await?;
        let admin = cluster.admin();
        let operator = cluster.start_operator::<&str>([]).await?;
        let nodes = NODES.map(|(name, site)| FakeNode::new(name).label("site", site));
        cluster.add_nodes(nodes).await?;
        for folder in ["before/clouds.yaml", "before/pools.yaml", "before/policies.yaml"] {
            let path = scenario(folder);
            cluster.kubectl(["apply".as_ref(), "-f".as_ref(), path.as_os_str()]).run().await?;
        }
        let arguments = ["wait", "--for=condition=Enforced", "--timeout=60s", "placementpolicy/clinics"];
        cluster.kubectl(arguments).run().await?;
        let labels = json!({"tenant": "clinics", "rempart.dev/sensitivity": "confidential", "rempart.dev/categories": "patients"});
        let wards = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "wards", "labels": labels}});
        eventually("the namespace wards", SOON, async || apply(&admin, &wards).await.map(drop)).await?;
        let arguments = ["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", "wards"];
        cluster.kubectl(arguments).run().await?;
        let mut admissions = workload("Deployment", "wards", "admissions", &[]);
        admissions["spec"]["replicas"] = json!(4);
        let shipper = workload("DaemonSet", "wards", "log-shipper", &[]);
        for object in [admissions, shipper] {
            eventually("a workload to be made", SOON, async || create(&admin, &object).await.map(drop)).await?;
        }
        let clinics = Self { cluster, admin, before, _operator: operator };
        clinics.placed().await?;
        Ok(clinics)
    }

    /// The nodes of the pods, once all of them have one.
    async fn placed(&self) -> Result<BTreeSet<String>> {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), "wards");
        let placed = eventually("all pods to be placed", SOON, async || {
            let pods = pods.list(&ListParams::default()).await?.items;
            let nodes: Vec<_> = pods.into_iter().filter_map(|pod| pod.spec?.node_name).collect();
            ensure!(nodes.len() == PODS, "{} of {PODS} are", nodes.len());
            anyhow::Ok(nodes)
        })
        .await?;
        Ok(placed.into_iter().collect())
    }

    async fn rempart<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        rempart(self.cluster.admin_kubeconfig(), arguments).await
    }

    fn file(&self, name: &str, content: &Value) -> Result<String> {
        let path = self.cluster.write_file(name, &content.to_string())?;
        Ok(path.to_str().context("a path that is no text")?.to_owned())
    }
}

/// What the command says with this kubeconfig.
async fn rempart<'a>(kubeconfig: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.args(arguments).env_clear().env("KUBECONFIG", kubeconfig).env("HOME", "/nonexistent");
    Ok(command.output().await?)
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The code that the command ended with, or all that it said when it is another.
fn ensure_ended(output: &Output, code: i32) -> Result<()> {
    let (stdout, stderr) = (told(&output.stdout), told(&output.stderr));
    ensure!(output.status.code() == Some(code), "it ended with {:?}: {stdout}{stderr}", output.status.code());
    Ok(())
}

fn json_of(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| told(&output.stderr))
}

async fn where_pods_run(clinics: &Clinics) -> Result<()> {
    let output = clinics.rempart(["plan", "--cluster", "-o", "json"]).await?;
    ensure_ended(&output, 0)?;
    let plan = json_of(&output)?;
    let listed = plan["workloads"].as_array().context("no workloads")?;
    let admissions = listed.iter().find(|found| found["name"] == "admissions").context("no Deployment")?;
    ensure!(admissions["outcome"] == "Placeable", "{admissions:#}");
    let level = json!([
        {"name": "clinics", "level": "confidential", "levelFrom": "Namespace", "exception": null},
        {"name": "energy", "level": "confidential", "levelFrom": "Namespace", "exception": null},
    ]);
    ensure!(admissions["policies"] == level, "{admissions:#}");
    ensure!(!listed.iter().any(|found| found["kind"] == "Pod"), "the pods of workloads are no workloads: {plan:#}");
    let demand = plan["demands"].as_array().into_iter().flatten().find(|found| found["id"] == admissions["demand"]);
    let pools = demand.context("no demand")?["pools"].as_array().context("no pools")?;
    let cleared: BTreeSet<&str> =
        pools.iter().filter(|pool| pool["cleared"] == true).filter_map(|pool| pool["name"].as_str()).collect();
    ensure!(cleared == BTreeSet::from(["graz", "linz"]), "{cleared:?}");
    let site_of = |node: &String| NODES.iter().find(|(name, _)| name == node).map(|(_, site)| *site);
    let sites: BTreeSet<&str> = clinics.placed().await?.iter().filter_map(site_of).collect();
    ensure!(sites == cleared, "the pods run in {sites:?}, and the plan clears {cleared:?}");
    let shipper = listed.iter().find(|found| found["name"] == "log-shipper").context("no DaemonSet")?;
    let message = shipper["message"].as_str().unwrap_or_default();
    ensure!(message.contains("it runs on 2 of 4 nodes, and any pod of it on attic, kiel-1 ends at once"), "{message}");
    Ok(())
}

async fn refused_manifest(clinics: &Clinics) -> Result<()> {
    let deployment = workload("Deployment", "wards", "beds", &[("rempart.dev/sensitivity", "vitl")]);
    let file = clinics.file("refused.json", &deployment)?;
    let output = clinics.rempart(["plan", &file, "--cluster", "-o", "json"]).await?;
    ensure_ended(&output, 1)?;
    let plan = json_of(&output)?;
    ensure!(plan["workloads"].as_array().map(Vec::len) == Some(1), "only what the file gives is planned: {plan:#}");
    let message = plan["workloads"][0]["message"].as_str().context("no message")?;
    let refusal = refusal(create_dry(&clinics.admin, &deployment).await)?;
    ensure!(refusal.contains(message), "the plan says {message:?}, the API server {refusal:?}");

    let deployment = workload("Deployment", "wards", "beds", &[("rempart.dev/sensitivity", "vital")]);
    let file = clinics.file("vital.json", &deployment)?;
    let output = clinics.rempart(["explain", "deployment/beds", "-n", "wards", "-f", &file, "--cluster"]).await?;
    ensure_ended(&output, 0)?;
    let text = told(&output.stdout);
    ensure!(text.contains("1 of 3 pools is cleared: graz") && text.contains("vital.json:1"), "{text}");
    ensure!(!text.contains("(:"), "what the cluster says has no line: {text}");
    Ok(())
}

/// What admission writes of a template: by the kinds that have it at this place.
const WRITTEN: [&str; 3] = ["metadata/annotations", "metadata/labels", "spec/nodeSelector"];

/// A file is completed as the API server would have it, and the API server has nothing to add to it then.
async fn completed_file(clinics: &Clinics) -> Result<()> {
    let labels = json!({"tenant": "clinics", "rempart.dev/sensitivity": "working"});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "offices", "labels": labels}});
    apply(&clinics.admin, &namespace).await?;
    let said: [&[(&str, &str)]; 4] = [
        &[],
        &[("rempart.dev/sensitivity", "vital")],
        &[("rempart.dev/categories", "press")],
        &[("rempart.dev/sensitivity", "open"), ("rempart.dev/categories", "patients,press")],
    ];
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"];
    for (number, (kind, annotations)) in kinds.iter().flat_map(|kind| said.map(|said| (kind, said))).enumerate() {
        let mut object = workload(kind, ["wards", "offices"][number % 2], "reports", annotations);
        let template = if *kind == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
        let spec = object.pointer_mut(template).context("no template")?;
        // A key of before, which is not needed, beside one of somebody else's.
        let former = "clearance.rempart.node-restriction.kubernetes.io/clinics.working";
        spec["spec"]["nodeSelector"] = json!({"disk": "ssd", former: "true"});
        let file = clinics.file(&format!("complete-{number}.json"), &object)?;
        let output = clinics.rempart(["complete", &file, "--cluster"]).await?;
        ensure_ended(&output, 0)?;
        let completed = json_of(&output)?;
        let answers = [create_dry(&clinics.admin, &object).await?, create_dry(&clinics.admin, &completed).await?];
        for answer in answers {
            let answer = serde_json::to_value(answer)?;
            for part in WRITTEN {
                let at = format!("{template}/{part}");
                // The API server gives a Job's template labels of its own.
                let ours = |(key, value): (&String, &Value)| {
                    let ours = key.contains("rempart") || key == "disk";
                    ours.then(|| (key.clone(), value.clone()))
                };
                let there = |object: &Value| -> Vec<_> {
                    let map = object.pointer(&at).and_then(Value::as_object);
                    map.into_iter().flatten().filter_map(ours).collect()
                };
                let (written, made) = (there(&completed), there(&answer));
                ensure!(written == made, "{kind} {annotations:?}: {at} is {written:?} and is made {made:?}");
            }
        }
        let file = clinics.file(&format!("completed-{number}.json"), &completed)?;
        ensure_ended(&clinics.rempart(["complete", &file, "--cluster", "--check"]).await?, 0)?;
    }
    Ok(())
}

/// What is recorded in a cluster is looked after as files are.
async fn catalogue_of_the_cluster(clinics: &Clinics) -> Result<()> {
    let output = clinics.rempart(["catalogue", "check", "--cluster", "--at", "2026-11-20", "-o", "json"]).await?;
    ensure_ended(&output, 1)?;
    let told_of = json_of(&output)?;
    let findings = told_of["findings"].as_array().context("no findings")?;
    let missing: BTreeSet<_> = findings
        .iter()
        .filter(|found| found["code"] == "CheckMissing")
        .filter_map(|found| found["object"].as_str())
        .collect();
    ensure!(!missing.is_empty() && missing.iter().all(|object| object.starts_with("CloudProvider ")), "{told_of:#}");
    Ok(())
}

/// The policies, of which one is edited so that pods move.
fn edit(clinics: &Clinics, name: &str) -> Result<String> {
    let policy = std::fs::read_to_string(scenario("before/policies.yaml"))?;
    let edited = policy.replace("data: [DE, AT]}", "data: [DE, AT]}\n      regions: {allow: [graz]}");
    ensure!(edited != policy, "the scenario has changed");
    let file = clinics.cluster.write_file(name, &edited)?;
    Ok(file.to_str().context("a path that is no text")?.to_owned())
}

/// What that edit moves.
fn moved_by_edit() -> Value {
    let one = |kind: &str, name: &str| json!({"kind": kind, "namespace": "wards", "name": name});
    json!([one("Deployment", "admissions"), one("DaemonSet", "log-shipper")])
}

async fn edited_policy(clinics: &Clinics) -> Result<()> {
    let file = &edit(clinics, "edited.yaml")?;
    let output = clinics.rempart(["impact", file, "--cluster", "--fail-on", "moved", "-o", "json"]).await?;
    ensure_ended(&output, 1)?;
    let impact = json_of(&output)?;
    ensure!(impact["moved"] == moved_by_edit() && impact["stranded"] == json!([]), "{impact:#}");
    ensure!(impact["daemonSets"][0]["nodes"] == json!(["linz-1"]), "{impact:#}");
    let lost = impact["levels"].as_array().into_iter().flatten().find(|found| found["level"] == "confidential");
    ensure!(lost.is_some_and(|found| found["lost"] == json!(["linz"])), "{impact:#}");
    let output = clinics.rempart(["impact", file, "--cluster", "--fail-on", "stranded"]).await?;
    ensure_ended(&output, 0)?;

    let output =
        clinics.rempart(["impact", "--cluster", "--from", "2026-11-22", "--at", "2027-01-01", "-o", "json"]).await?;
    let impact = json_of(&output)?;
    ensure!(impact["stranded"].as_array().map(Vec::len) == Some(2), "iso-27001 ends with the year: {impact:#}");
    let deployments: Api<Deployment> = Api::namespaced(clinics.admin.clone(), "wards");
    let daemons: Api<DaemonSet> = Api::namespaced(clinics.admin.clone(), "wards");
    ensure!(deployments.get("admissions").await?.metadata.generation == Some(1), "a question changes nothing");
    ensure!(daemons.get("log-shipper").await?.metadata.generation == Some(1), "a question changes nothing");
    Ok(())
}

async fn officer(clinics: &Clinics) -> Result<()> {
    let kubeconfig = clinics.cluster.user_kubeconfig("olga", &[])?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "olga"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "rempart-security-officer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "olga"}],
    });
    apply(&clinics.admin, &binding).await?;
    let file = &edit(clinics, "edited-by-an-officer.yaml")?;
    // Until the authorizer has read the binding, the answer is another.
    eventually("the officer's rights to act", SOON, async || {
        let output = rempart(&kubeconfig, ["impact", file, "--cluster", "-o", "json"]).await?;
        ensure_ended(&output, 0)?;
        let warned = told(&output.stderr);
        ensure!(!warned.contains("you may not list"), "{warned}");
        let impact = json_of(&output)?;
        ensure!(impact["moved"] == moved_by_edit(), "{impact:#}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn developer(clinics: &Clinics) -> Result<()> {
    let kubeconfig = clinics.cluster.user_kubeconfig("ada", &[])?;
    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}]);
    let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let view = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "ada", "namespace": "wards"}, "roleRef": role("view"), "subjects": subjects,
    });
    let rules = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "ada"}, "roleRef": role("rempart-view"), "subjects": subjects,
    });
    for binding in [view, rules] {
        apply(&clinics.admin, &binding).await?;
    }
    let deployment = workload("Deployment", "wards", "beds", &[]);
    let file = clinics.file("beds.json", &deployment)?;
    // Until the authorizer has read the bindings, the answer is another.
    let output = eventually("the developer's rights to act", SOON, async || {
        let output = rempart(&kubeconfig, ["plan", &file, "--cluster", "-o", "json"]).await?;
        ensure_ended(&output, 0)?;
        let warned = told(&output.stderr);
        ensure!(!warned.contains("namespace wards"), "{warned}");
        anyhow::Ok(output)
    })
    .await?;
    let plan = json_of(&output)?;
    ensure!(plan["workloads"][0]["policies"][0]["level"] == "confidential", "the namespace's labels count: {plan:#}");
    let warned = told(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(warned.contains("judged without nodes") && warned.contains("you may not list nodes"), "{warned}");
    Ok(())
}

async fn stranger(clinics: &Clinics) -> Result<()> {
    let kubeconfig = clinics.cluster.user_kubeconfig("eve", &[])?;
    let output = rempart(&kubeconfig, ["plan", "--cluster"]).await?;
    ensure_ended(&output, 2)?;
    let said = told(&output.stderr);
    ensure!(
        said.contains("you may not list placementpolicies: ask for a ClusterRoleBinding to rempart-view"),
        "{said}"
    );
    ensure!(said.contains("\"eve\"") && output.stdout.is_empty(), "{said}");
    Ok(())
}

fn without_rempart(clinics: &Clinics) -> Result<()> {
    ensure_ended(&clinics.before, 2)?;
    let said = told(&clinics.before.stderr);
    ensure!(said.contains("the cluster does not know placementpolicies: is Rempart installed in it?"), "{said}");
    Ok(())
}

async fn out_of_reach(clinics: &Clinics) -> Result<()> {
    let output = clinics.rempart(["plan", "--cluster", "--context", "elsewhere"]).await?;
    ensure_ended(&output, 2)?;
    let said = told(&output.stderr);
    ensure!(said.contains("no kubeconfig has the context \"elsewhere\""), "{said}");

    let closed = std::fs::read_to_string(clinics.cluster.admin_kubeconfig())?;
    let mut closed: Value = serde_json::from_str(&closed)?;
    closed["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    let closed = clinics.cluster.write_file("closed.json", &closed.to_string())?;
    let output = rempart(&closed, ["plan", "--cluster"]).await?;
    ensure_ended(&output, 2)?;
    let said = told(&output.stderr);
    ensure!(said.contains("placementpolicies cannot be listed") && said.contains("refused"), "{said}");
    Ok(())
}
