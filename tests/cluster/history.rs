//! The log of what ran where, held against the API server's audit log: what it says of pods, of the time without an operator, and
//! of who lowered what.
//!
//! On a control plane of its own, since others write no audit log.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use rempart_core::keys;
use rempart_lab::{ControlPlane, ControlPlaneOptions, FakeNode, eventually};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, api_of, apply, create, merge, pod, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    let name = "history::it_tells_of_pods_what_the_audit_log_does_and_of_a_gap_nothing";
    vec![Trial::serial(name, beside_the_audit_log)]
}

/// How late an entry may be on a machine that is busy with other things.
const LATE: SignedDuration = SignedDuration::from_secs(20);

const NAMESPACE: &str = "claims";

/// A provider with a pool of each of two offers, and a policy by which one of them is cleared.
fn facts() -> [Value; 4] {
    let zone = |name: &str| json!([{"name": name, "region": "r", "country": "FR"}]);
    let pool = |name: &str, offer: &str, zone: &str| {
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPool", "metadata": {"name": name},
            "spec": {"provider": "acme", "offer": offer, "zone": zone, "nodeSelector": {"matchLabels": {"pool": name}}},
        })
    };
    [
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "CloudProvider", "metadata": {"name": "acme"},
            "spec": {"operator": {"name": "Acme", "jurisdiction": "FR"}, "offers": [
                {"name": "sovereign", "zones": zone("z1"), "qualifications": [{"scheme": "hds", "validFrom": "2020-01-01"}]},
                {"name": "plain", "zones": zone("z2")},
            ]},
        }),
        pool("gouv", "sovereign", "z1"),
        pool("open", "plain", "z2"),
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "state"},
            "spec": {
                "mode": "Enforce", "namespaceSelector": {"matchLabels": {"tenant": "state"}}, "defaultLevel": "low",
                "levels": [{"name": "low"}, {"name": "high", "require": {"qualifications": ["hds"]}}],
            },
        }),
    ]
}

/// The pods of the namespace that have a node and are ready.
async fn ready(admin: &Client, count: usize) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(admin.clone(), NAMESPACE);
    let found = eventually(format!("{count} pods"), SOON * 2, async || {
        let pods = pods.list(&ListParams::default().labels("app=api")).await?.items;
        let placed = pods.iter().filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())).count();
        ensure!((pods.len(), placed) == (count, count), "there are {} and {placed} have a node", pods.len());
        anyhow::Ok(pods)
    });
    Ok(found.await?)
}

async fn scale(admin: &Client, replicas: usize) -> Result<()> {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": NAMESPACE},
        "spec": {"replicas": replicas},
    });
    merge(admin, &deployment, None).await?;
    Ok(())
}

/// Waits until the log at `path` says `what` so often.
async fn told(path: &Path, what: &str, times: usize) -> Result<()> {
    eventually(format!("{what} to be told {times} times"), SOON, async || {
        let text = std::fs::read_to_string(path)?;
        let found = text.matches(what).count();
        ensure!(found >= times, "it is told {found} times");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// By identifier, when a pod was bound and to which node; and when it was gone, which is when it was deleted last.
struct AuditedPods {
    bound: BTreeMap<String, (Timestamp, String)>,
    gone: BTreeMap<String, Timestamp>,
}

impl AuditedPods {
    fn read(path: &Path) -> Result<Self> {
        let mut pods = Self { bound: BTreeMap::new(), gone: BTreeMap::new() };
        for line in std::fs::read_to_string(path)?.lines() {
            let event: Value = serde_json::from_str(line)?;
            let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
            if event["stage"] != "ResponseComplete"
                || event["objectRef"]["namespace"] != NAMESPACE
                || event["objectRef"]["resource"] != "pods"
                || code >= 300
            {
                continue;
            }
            let at: Timestamp = event["stageTimestamp"].as_str().context("an instant")?.parse()?;
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            match (event["verb"].as_str(), event["objectRef"]["subresource"].as_str()) {
                (Some("create"), Some("binding")) => {
                    let node = text("/requestObject/target/name");
                    pods.bound.insert(text("/requestObject/metadata/uid"), (at, node));
                }
                // Of one that is gone at once the answer is a status.
                (Some("delete"), None) => {
                    let uid = [text("/responseObject/metadata/uid"), text("/responseObject/details/uid")].concat();
                    pods.gone.insert(uid, at);
                }
                _ => {}
            }
        }
        Ok(pods)
    }
}

fn instant(value: &Value) -> Result<Timestamp> {
    Ok(value.as_str().with_context(|| format!("{value} is no instant"))?.parse()?)
}

async fn audit(log: &Path, audit_log: &Path) -> Result<Value> {
    let arguments = ["audit".as_ref(), log.as_os_str(), "--audit-log".as_ref(), audit_log.as_os_str()];
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_rempart"))
        .args(arguments)
        .args(["-o", "json"])
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(0), "{errors}{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).context(errors)
}

/// Holds `placements` against what the trial itself has read in the audit log, where nobody looked at `unseen`.
fn pod_by_pod(placements: &[Value], audited: &AuditedPods, unseen: Timestamp) -> Result<()> {
    let mut compared = (0, 0);
    let in_time = |late: SignedDuration| (SignedDuration::from_secs(-1)..LATE).contains(&late);
    for placement in placements {
        let uid = placement["uid"].as_str().context("an identifier")?;
        let (bound, node) = audited.bound.get(uid).with_context(|| format!("nobody bound {placement}"))?;
        ensure!(placement["node"] == node.as_str(), "{placement} and not on {node}");
        let pool = if node.starts_with('g') { "gouv" } else { "open" };
        ensure!(placement["place"]["pool"] == pool, "{placement}");
        ensure!(placement["workload"] == "Deployment api", "{placement}");
        let (from, until) = (instant(&placement["from"])?, instant(&placement["until"])?);
        let is_first = placement["policies"][0]["level"] == "high" || until > unseen;
        if placement["sinceBefore"] == false && is_first {
            let late = from.duration_since(*bound);
            ensure!(in_time(late), "{late:#} after it was bound: {placement}");
            compared.0 += 1;
        }
        if placement["end"] == "Over" {
            let gone = audited.gone.get(uid).with_context(|| format!("nobody deleted {placement}"))?;
            let late = until.duration_since(*gone);
            ensure!(in_time(late), "{late:#} after it was gone: {placement}");
            compared.1 += 1;
        }
    }
    ensure!(compared.0 >= 5 && compared.1 >= 1, "{compared:?} were compared");
    let over = placements.iter().filter(|placement| placement["end"] == "Over").map(|placement| &placement["uid"]);
    let over: Vec<_> = over.filter_map(Value::as_str).collect();
    ensure!(over.iter().collect::<BTreeSet<_>>().len() == over.len(), "a pod goes once: {over:?}");
    Ok(())
}

async fn beside_the_audit_log(_: &Context) -> Result<()> {
    let options = ControlPlaneOptions { audit_log: Some(PathBuf::from("audit.log")), ..ControlPlaneOptions::default() };
    let cluster = ControlPlane::start(options).await?;
    let outcome = compared(&cluster).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.keep());
    }
    cluster.stop().await;
    outcome
}

async fn compared(cluster: &ControlPlane) -> Result<()> {
    cluster.install_chart(&json!({})).await?;
    let admin = cluster.admin();
    let operator = cluster.start_operator::<&str>([]).await?;
    let log = operator.log().to_owned();
    for object in facts() {
        eventually("a fact to be taken", SOON, async || apply(&admin, &object).await.map(drop)).await?;
    }
    cluster.kubectl(["wait", "--for=condition=Enforced", "--timeout=60s", "placementpolicy/state"]).run().await?;
    let nodes = [("g1", "gouv"), ("g2", "gouv"), ("o1", "open")];
    cluster.add_nodes(nodes.map(|(name, pool)| FakeNode::new(name).label("pool", pool))).await?;
    let labels = json!({"tenant": "state", keys::SENSITIVITY: "high"});
    let namespace = |labels: &Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}});
    apply(&admin, &namespace(&labels)).await?;
    cluster.kubectl(["wait", "--for=create", "--timeout=30s", "serviceaccount/default", "-n", NAMESPACE]).run().await?;
    let mut deployment = workload("Deployment", NAMESPACE, "api", &[]);
    deployment["spec"]["replicas"] = json!(3);
    eventually("the Deployment to be made", SOON, async || create(&admin, &deployment).await.map(drop)).await?;
    let first = ready(&admin, 3).await?;
    told(&log, "\"kind\":\"PodPlaced\"", 3).await?;

    // One is deleted, and another takes its place.
    let pods: Api<Pod> = Api::namespaced(admin.clone(), NAMESPACE);
    pods.delete(&first[0].name_any(), &DeleteParams::default()).await?;
    told(&log, "\"kind\":\"PodLeft\"", 1).await?;
    told(&log, "\"kind\":\"PodPlaced\"", 4).await?;
    ready(&admin, 3).await?;
    // Somebody lowers the namespace.
    let patch = Patch::Merge(json!({"metadata": {"labels": {keys::SENSITIVITY: "low"}}}));
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(admin.clone());
    namespaces.patch(NAMESPACE, &PatchParams::default(), &patch).await?;
    told(&log, "\"kind\":\"LevelLowered\"", 1).await?;
    // One that is killed before the record says so leaves it to the next to tell it again.
    let record = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "WorkloadPlacement",
        "metadata": {"name": "deployment-api", "namespace": NAMESPACE},
    });
    let records = api_of(&admin, &record);
    eventually("the record to say the level", SOON, async || {
        let record = records.get("deployment-api").await?;
        let level = &record.data["status"]["policies"][0]["level"];
        ensure!(level == "low", "it says {level}");
        anyhow::Ok(())
    })
    .await?;

    // Nobody looks while pods come and go.
    operator.kill().await;
    scale(&admin, 5).await?;
    ready(&admin, 5).await?;
    create(&admin, &pod(NAMESPACE, "passing", &[])).await?;
    let passing = eventually("a pod to be bound", SOON, async || {
        let passing = pods.get("passing").await?;
        ensure!(passing.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()), "it waits");
        anyhow::Ok(passing)
    });
    let passing = passing.await?.metadata.uid.context("a pod without an identifier")?;
    pods.delete("passing", &DeleteParams::default().grace_period(0)).await?;
    scale(&admin, 3).await?;
    ready(&admin, 3).await?;
    let operator = cluster.start_operator::<&str>([]).await?;
    told(&log, "\"kind\":\"Complete\"", 2).await?;
    scale(&admin, 4).await?;
    let last = ready(&admin, 4).await?;
    let newest = last.iter().filter_map(ResourceExt::creation_timestamp).map(|time| time.0).max().context("no pod")?;
    let newest = last.iter().find(|pod| pod.creation_timestamp().is_some_and(|time| time.0 == newest));
    told(&log, newest.and_then(|pod| pod.metadata.uid.as_deref()).context("a pod without an identifier")?, 1).await?;
    ensure!(operator.terminate().await.is_some_and(|ended| ended.success()), "it does not stop");

    let audit_log = cluster.dir().join("audit.log");
    let answer = audit(&log, &audit_log).await?;
    let rows = |field: &str| answer[field].as_array().cloned().unwrap_or_default();
    ensure!(answer["whole"] == true && rows("chains").len() == 2, "{}", answer["chains"]);
    ensure!(answer["passedOver"].as_u64() > Some(0), "messages are among them: {}", answer["passedOver"]);
    let audited = AuditedPods::read(&audit_log)?;
    let unseen = audited.bound.get(&passing).context("nobody bound the pod that passes")?.0;
    // The gap: from the last entry of the one that was killed until the other began.
    let gaps = rows("gaps");
    ensure!(gaps.len() == 1 && gaps[0]["partlyToldBy"].is_null(), "{gaps:?}");
    let (from, until) = (instant(&gaps[0]["from"])?, instant(&gaps[0]["until"])?);
    ensure!(from <= unseen && unseen < until, "{gaps:?} and not around {unseen}");

    pod_by_pod(&rows("placements"), &audited, unseen)?;
    let bindings = &answer["auditLog"]["bindings"];
    for nothing in ["differ", "onlyInAuditLog", "onlyInHistory"] {
        ensure!(bindings[nothing] == json!([]), "{nothing}: {}", bindings[nothing]);
    }
    // What came and went while nobody looked: nothing is told of it, and that is told.
    let placements = rows("placements");
    let is_told = |uid: &&String| placements.iter().any(|placement| placement["uid"] == uid.as_str());
    let untold: BTreeMap<_, _> = audited.bound.iter().filter(|(uid, _)| !is_told(uid)).collect();
    ensure!(bindings["inGaps"] == untold.len(), "{untold:?} are not told of: {bindings}, {gaps:?}");
    ensure!(bindings["agree"] == audited.bound.len() - untold.len(), "{bindings} of {}", audited.bound.len());

    let lowered = rows("lowered");
    ensure!(lowered.len() == 1 && lowered[0]["from"] == "high" && lowered[0]["to"] == "low", "{lowered:?}");
    let by = &lowered[0]["by"][0];
    let expected = format!("namespace {NAMESPACE}: label {} would lower its level from high to low", keys::SENSITIVITY);
    ensure!(by["words"] == expected && by["user"].as_str().is_some_and(|user| !user.is_empty()), "{lowered:?}");
    // Who wrote the facts: of those that were made while it led.
    let facts = rows("facts");
    let made = facts.iter().filter(|fact| fact["atBeginning"] == false);
    ensure!(made.clone().count() >= 4, "{facts:?}");
    for fact in made {
        ensure!(fact["by"]["user"] == by["user"], "{fact}");
    }
    Ok(())
}
