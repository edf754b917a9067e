//! Adoption: what was annotated under a policy in `Warn` ends at its own level once the policy is in `Enforce`.
//!
//! Each trial has levels `internal < restricted < secret`, a node that is cleared for `internal` alone, on which its
//! pods begin, and one that is cleared for all.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::{eventually, is_ready};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    record_history::{RecordHistory, condition},
    world::{POOL_LABEL, SOON, World, api_of, create, merge, settled, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("adoption::what_was_annotated_before_it_was_enforced_moves_by_its_template", by_template),
        Trial::new("adoption::what_no_rollout_follows_is_counted_and_named_and_stays", without_rollout),
        Trial::new("adoption::a_level_on_a_job_that_has_started_is_refused_and_on_one_that_has_not_is_heard", jobs),
        Trial::new("adoption::a_running_pod_whose_workload_is_raised_is_judged_by_the_new_level", raised),
        Trial::new("adoption::a_violating_pod_that_is_being_deleted_counts_until_it_is_gone", terminating),
        Trial::new("adoption::no_record_contradicts_itself_from_warn_to_enforce", consistent),
    ]
}

/// The pools whose nodes a trial's pods may be on: one for the lowest level, one for all.
const LOW: &str = "open";
const HIGH: &str = "site";

/// The world's policy with the three levels, in this mode.
fn policy(world: &World, mode: &str) -> Value {
    let mut policy = world.policy();
    policy["spec"]["mode"] = json!(mode);
    if let Some(levels) = policy["spec"]["levels"].as_array_mut() {
        levels.retain(|level| level["name"] != "public");
    }
    policy
}

/// A world in `Warn`, with one node that is cleared for `internal` alone, and a namespace.
async fn in_warn(context: &Context, prefix: &str) -> Result<(World, String)> {
    context.rempart().await?;
    let world = World::recorded(context, prefix).await?;
    world.apply(policy(&world, "Warn")).await?;
    world.eventually_condition("Enforced", "False", "ModeWarn").await?;
    world.acted_on(context).await?;
    world.node(context, LOW).await?;
    let namespace = world.namespace(context, &[]).await?;
    Ok((world, namespace))
}

/// Switches to `Enforce`, and waits until API servers act on it.
async fn enforce(context: &Context, world: &World) -> Result<()> {
    world.apply(policy(world, "Enforce")).await?;
    world.enforced(context).await
}

/// A workload whose pods stay on nodes of the trial's world: others stand beside them.
fn within(world: &World, kind: &str, namespace: &str, name: &str, replicas: u32) -> Value {
    let mut object = workload(kind, namespace, name, &[]);
    if kind != "Job" {
        object["spec"]["replicas"] = json!(replicas);
    }
    object["spec"]["template"]["spec"]["affinity"] = json!({
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [
                {"key": POOL_LABEL, "operator": "In", "values": [world.named(LOW), world.named(HIGH)]},
            ]},
        ]}},
    });
    object
}

/// A Job whose one pod runs for long.
fn long_job(world: &World, namespace: &str, name: &str) -> Value {
    let mut job = within(world, "Job", namespace, name, 1);
    job["spec"]["template"]["metadata"]["annotations"] = json!({"lab.rempart.dev/runs-for": "1h"});
    job
}

/// As much of an object as names it, with `change` in it.
fn change(object: &Value, change: &Value) -> Value {
    let mut patch = change.clone();
    patch["apiVersion"] = object["apiVersion"].clone();
    patch["kind"] = object["kind"].clone();
    patch["metadata"]["name"] = object["metadata"]["name"].clone();
    patch["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
    patch
}

/// Annotates a workload as `secret`.
async fn annotate(world: &World, object: &Value) -> Result<()> {
    let annotations = json!({"metadata": {"annotations": {keys::SENSITIVITY: "secret"}}});
    merge(&world.admin, &change(object, &annotations), None).await?;
    Ok(())
}

fn pods(world: &World, namespace: &str) -> Api<Pod> {
    Api::namespaced(world.admin.clone(), namespace)
}

/// The pods of the workload `name`: their identities, and those of the ones on a node of `pool`.
async fn pods_of(
    world: &World,
    namespace: &str,
    name: &str,
    pool: &str,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let nodes = world.nodes_of(&[pool]).await?;
    let selected = ListParams::default().labels(&format!("app={name}"));
    let found = pods(world, namespace).list(&selected).await?.items;
    let there = |pod: &&Pod| {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        is_ready(pod) && node.is_some_and(|node| nodes.contains(node))
    };
    Ok((found.iter().filter_map(Pod::uid).collect(), found.iter().filter(there).filter_map(Pod::uid).collect()))
}

/// Waits until the workload `name` has exactly `count` pods, all ready and on nodes of `pool`.
async fn eventually_on(
    world: &World,
    namespace: &str,
    name: &str,
    count: usize,
    pool: &str,
) -> Result<BTreeSet<String>> {
    let all = eventually(format!("{count} pods of {namespace}/{name} on {pool}"), SOON, async || {
        let (all, there) = pods_of(world, namespace, name, pool).await?;
        ensure!(all.len() == count && there.len() == count, "{} pods, {} ready there", all.len(), there.len());
        anyhow::Ok(all)
    });
    Ok(all.await?)
}

/// Whether a record says that `violating` of the pods, all of level secret by their workload, may not be where they are.
fn says_violating(status: &Value, violating: usize) -> Result<()> {
    let (policies, pods) = (&status["policies"][0], &status["pods"]);
    ensure!(policies["level"] == "secret" && policies["levelFrom"] == "Workload", "it says {policies}");
    ensure!(pods["violating"] == violating, "it says {pods}");
    let compliant = condition(status, "Compliant");
    ensure!(compliant["status"] == "False" && compliant["reason"] == "Violating", "it says {compliant}");
    Ok(())
}

/// Whether a record says that all `count` pods are at their level.
fn says_compliant(status: &Value, count: usize) -> Result<()> {
    let (policies, pods) = (&status["policies"][0], &status["pods"]);
    ensure!(policies["level"] == "secret" && policies["levelFrom"] == "Workload", "it says {policies}");
    let expected = json!({"total": count, "placed": count, "pending": 0, "violating": 0});
    ensure!(*pods == expected, "it says {pods}");
    let compliant = condition(status, "Compliant");
    ensure!(compliant["status"] == "True", "it says {compliant}");
    Ok(())
}

/// Whether a record says that nothing is moved, for this reason.
fn says_kept(status: &Value, reason: &str) -> Result<()> {
    let migrating = condition(status, "Migrating");
    ensure!(migrating["status"] == "False" && migrating["reason"] == reason, "it says {migrating}");
    Ok(())
}

/// Waits until status and metric of the policy count so many workloads and violating pods of the level secret.
async fn eventually_counted(context: &Context, world: &World, workloads: i32, violating: i32) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    eventually(format!("{} to count {violating} violating pods", world.id), SOON, async || {
        let levels = policies.get(&world.id).await?.status.unwrap_or_default().levels;
        let secret = levels.iter().find(|level| level.name == "secret");
        let counted = secret.map(|level| (level.workloads, level.violating_pods));
        ensure!(counted == Some((Some(workloads), Some(violating))), "its status says {counted:?}");
        let metrics = context.operator_get("/metrics").await?;
        let (policy, level) = (format!("policy=\"{}\"", world.id), "level=\"secret\"");
        let line = metrics
            .lines()
            .find(|line| line.starts_with("rempart_violating_pods{") && line.contains(&policy) && line.contains(level));
        ensure!(line.is_some_and(|line| line.ends_with(&format!(" {violating}"))), "its metric is {line:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Waits until the template of a workload has the mirror of its level, and the key that its pods must select by.
async fn eventually_completed(world: &World, object: &Value) -> Result<()> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    eventually(format!("the template of {name} to be complete"), SOON, async || {
        let found = api_of(&world.admin, object).get(name).await?;
        let template = &found.data["spec"]["template"];
        let (mirror, selector) = (&template["metadata"]["annotations"], &template["spec"]["nodeSelector"]);
        ensure!(mirror[keys::WORKLOAD_SENSITIVITY] == "secret", "its annotations are {mirror}");
        ensure!(selector[world.clearance("secret")] == keys::GRANTED, "its nodeSelector is {selector}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn by_template(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "adopted").await?;
    let deployment = within(&world, "Deployment", &space, "api", 3);
    let set = within(&world, "StatefulSet", &space, "db", 2);
    for object in [&deployment, &set] {
        create(&world.admin, object).await?;
    }
    let began =
        [eventually_on(&world, &space, "api", 3, LOW).await?, eventually_on(&world, &space, "db", 2, LOW).await?];
    let records = RecordHistory::watch(&world, &space);
    for object in [&deployment, &set] {
        annotate(&world, object).await?;
    }
    enforce(context, &world).await?;
    // No node is cleared for them yet: all of it is said, and nothing moves.
    records.eventually("deployment-api", |status| says_violating(status, 3)).await?;
    records.eventually("statefulset-db", |status| says_violating(status, 2)).await?;
    eventually_counted(context, &world, 2, 5).await?;
    let low = async || Ok([pods_of(&world, &space, "api", LOW).await?.1, pods_of(&world, &space, "db", LOW).await?.1]);
    ensure!(settled(low).await? == began, "pods went although no node is cleared for them");

    world.node(context, HIGH).await?;
    for object in [&deployment, &set] {
        eventually_completed(&world, object).await?;
    }
    eventually_on(&world, &space, "api", 3, HIGH).await?;
    eventually_on(&world, &space, "db", 2, HIGH).await?;
    records.eventually("deployment-api", |status| says_compliant(status, 3)).await?;
    records.eventually("statefulset-db", |status| says_compliant(status, 2)).await?;
    eventually_counted(context, &world, 2, 0).await?;
    let sets: Api<ReplicaSet> = Api::namespaced(world.admin.clone(), &space);
    let rolled = sets.list(&ListParams::default()).await?.items.len();
    ensure!(rolled == 2, "one rollout brings it to its level, and there are {rolled} ReplicaSets");

    for (object, name, replicas) in [(&deployment, "api", 5), (&set, "db", 4)] {
        merge(&world.admin, &change(object, &json!({"spec": {"replicas": replicas}})), None).await?;
        eventually_on(&world, &space, name, replicas, HIGH).await?;
    }
    records.eventually("deployment-api", |status| says_compliant(status, 5)).await?;
    records.eventually("statefulset-db", |status| says_compliant(status, 4)).await?;
    records.consistent()
}

async fn without_rollout(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "held").await?;
    let paused = within(&world, "Deployment", &space, "paused", 2);
    let mut partitioned = within(&world, "StatefulSet", &space, "partitioned", 2);
    partitioned["spec"]["updateStrategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 5}});
    let mut by_hand = within(&world, "StatefulSet", &space, "by-hand", 2);
    by_hand["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    let batch = long_job(&world, &space, "batch");
    let all =
        [(&paused, "paused", 2), (&partitioned, "partitioned", 2), (&by_hand, "by-hand", 2), (&batch, "batch", 1)];
    for (object, ..) in all {
        create(&world.admin, object).await?;
    }
    let mut began = Vec::new();
    for (_, name, count) in all {
        began.push(eventually_on(&world, &space, name, count, LOW).await?);
    }
    let pause = |paused_: bool| change(&paused, &json!({"spec": {"paused": paused_}}));
    merge(&world.admin, &pause(true), None).await?;
    let records = RecordHistory::watch(&world, &space);
    for (object, ..) in all {
        annotate(&world, object).await?;
    }
    world.node(context, HIGH).await?;
    enforce(context, &world).await?;

    for (name, violating, reason) in [
        ("deployment-paused", 2, "RolloutPaused"),
        ("statefulset-partitioned", 2, "RolloutPartitioned"),
        ("statefulset-by-hand", 2, "StrategyOnDelete"),
        ("job-batch", 1, "JobStarted"),
    ] {
        let held = |status: &Value| says_violating(status, violating).and_then(|()| says_kept(status, reason));
        records.eventually(name, held).await?;
    }
    eventually_counted(context, &world, 4, 7).await?;
    let low = async || {
        let mut found = Vec::new();
        for (_, name, _) in all {
            found.push(pods_of(&world, &space, name, LOW).await?.1);
        }
        Ok(found)
    };
    ensure!(settled(low).await? == began, "pods went although no rollout follows");

    // Whoever resumes or deletes brings them to their level.
    merge(&world.admin, &pause(false), None).await?;
    eventually_on(&world, &space, "paused", 2, HIGH).await?;
    records.eventually("deployment-paused", |status| says_compliant(status, 2)).await?;
    eventually_completed(&world, &by_hand).await?;
    let selected = ListParams::default().labels("app=by-hand");
    pods(&world, &space).delete_collection(&DeleteParams::default(), &selected).await?;
    eventually_on(&world, &space, "by-hand", 2, HIGH).await?;
    records.eventually("statefulset-by-hand", |status| says_compliant(status, 2)).await?;
    eventually_counted(context, &world, 4, 3).await?;
    records.consistent()
}

async fn jobs(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "jobs").await?;
    world.node(context, HIGH).await?;
    enforce(context, &world).await?;
    let records = RecordHistory::watch(&world, &space);
    let started = long_job(&world, &space, "started");
    create(&world.admin, &started).await?;
    eventually("the Job to start", SOON, async || {
        let found = api_of(&world.admin, &started).get("started").await?;
        ensure!(found.data["status"]["startTime"].is_string(), "its status is {}", found.data["status"]);
        anyhow::Ok(())
    })
    .await?;
    let secret = format!("{}=secret", keys::SENSITIVITY);
    let annotate = async |name: &str| {
        context
            .cluster
            .kubectl(["annotate", "job", name, &secret, "-n", &space])
            .output()
            .await
            .map_err(anyhow::Error::from)
    };
    let refused = annotate("started").await?;
    ensure!(!refused.status.success(), "a level was put on a Job that has started");
    for words in [format!("{space}/started"), format!("annotation {}", keys::SENSITIVITY), "create it again".to_owned()]
    {
        ensure!(refused.stderr.contains(&words), "nothing of {words:?} in {}", refused.stderr);
    }
    let found = api_of(&world.admin, &started).get("started").await?;
    ensure!(!found.annotations().contains_key(keys::SENSITIVITY), "{:?}", found.annotations());

    let mut waiting = long_job(&world, &space, "waiting");
    waiting["spec"]["suspend"] = json!(true);
    create(&world.admin, &waiting).await?;
    let accepted = annotate("waiting").await?;
    ensure!(accepted.status.success(), "{}", accepted.stderr);
    eventually_completed(&world, &waiting).await?;
    merge(&world.admin, &change(&waiting, &json!({"spec": {"suspend": false}})), None).await?;
    eventually_on(&world, &space, "waiting", 1, HIGH).await?;
    records.eventually("job-waiting", |status| says_compliant(status, 1)).await?;
    records.consistent()
}

async fn raised(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "raised").await?;
    enforce(context, &world).await?;
    let deployment = within(&world, "Deployment", &space, "api", 2);
    create(&world.admin, &deployment).await?;
    let began = eventually_on(&world, &space, "api", 2, LOW).await?;
    let records = RecordHistory::watch(&world, &space);
    world.node(context, HIGH).await?;
    let pause = |paused: bool| change(&deployment, &json!({"spec": {"paused": paused}}));
    merge(&world.admin, &pause(true), None).await?;
    annotate(&world, &deployment).await?;
    let held = |status: &Value| says_violating(status, 2).and_then(|()| says_kept(status, "RolloutPaused"));
    records.eventually("deployment-api", held).await?;
    eventually_counted(context, &world, 1, 2).await?;
    let (all, low) = pods_of(&world, &space, "api", LOW).await?;
    ensure!(all == began && low == began, "it was judged by pods that have been replaced");

    merge(&world.admin, &pause(false), None).await?;
    eventually_on(&world, &space, "api", 2, HIGH).await?;
    records.eventually("deployment-api", |status| says_compliant(status, 2)).await?;
    eventually_counted(context, &world, 1, 0).await?;
    records.consistent()
}

async fn terminating(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "ending-pod").await?;
    let mut set = within(&world, "StatefulSet", &space, "db", 1);
    set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    create(&world.admin, &set).await?;
    let began = eventually_on(&world, &space, "db", 1, LOW).await?;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0", "namespace": space}});
    let hold = |finalizers: Value| change(&pod, &json!({"metadata": {"finalizers": finalizers}}));
    merge(&world.admin, &hold(json!(["trial.example/hold"])), None).await?;
    let records = RecordHistory::watch(&world, &space);
    annotate(&world, &set).await?;
    world.node(context, HIGH).await?;
    enforce(context, &world).await?;
    records.eventually("statefulset-db", |status| says_violating(status, 1)).await?;
    eventually_completed(&world, &set).await?;

    pods(&world, &space).delete("db-0", &DeleteParams::default()).await?;
    let status = async || records.eventually("statefulset-db", |_| Ok(())).await;
    says_violating(&settled(status).await?, 1).context("while it is being deleted")?;
    eventually_counted(context, &world, 1, 1).await?;
    let (all, _) = pods_of(&world, &space, "db", LOW).await?;
    ensure!(all == began, "it is gone, or another has come: {all:?}");

    merge(&world.admin, &hold(Value::Null), None).await?;
    eventually_on(&world, &space, "db", 1, HIGH).await?;
    records.eventually("statefulset-db", |status| says_compliant(status, 1)).await?;
    eventually_counted(context, &world, 1, 0).await?;
    records.consistent()
}

async fn consistent(context: &Context) -> Result<()> {
    let (world, space) = in_warn(context, "consistent").await?;
    let deployment = within(&world, "Deployment", &space, "api", 3);
    let set = within(&world, "StatefulSet", &space, "db", 2);
    let records = RecordHistory::watch(&world, &space);
    for (object, name, count) in [(&deployment, "api", 3), (&set, "db", 2)] {
        create(&world.admin, object).await?;
        eventually_on(&world, &space, name, count, LOW).await?;
        annotate(&world, object).await?;
    }
    let both = ["deployment-api", "statefulset-db"];
    for name in both {
        let in_warn = |status: &Value| {
            ensure!(status["policies"][0]["level"] == "secret", "it says {}", status["policies"]);
            let placeable = condition(status, "Placeable");
            ensure!(placeable["status"] == "True" && placeable["reason"] == "NotEnforced", "it says {placeable}");
            Ok(())
        };
        records.eventually(name, in_warn).await?;
    }
    // Both have somewhere to go from the first moment on, so that what is violating is soon on the move.
    world.node(context, HIGH).await?;
    enforce(context, &world).await?;
    for (name, record, count) in [("api", "deployment-api", 3), ("db", "statefulset-db", 2)] {
        eventually_on(&world, &space, name, count, HIGH).await?;
        records.eventually(record, |status| says_compliant(status, count)).await?;
        records.ever(record, |status| says_violating(status, count)).context("before it moved")?;
    }
    // And back: what leaves Enforce keeps its keys, and records say so without contradiction.
    world.apply(policy(&world, "Warn")).await?;
    world.eventually_condition("Enforced", "False", "ModeWarn").await?;
    for name in both {
        let in_warn = |status: &Value| {
            let placeable = condition(status, "Placeable");
            ensure!(placeable["reason"] == "NotEnforced", "it says {placeable}");
            Ok(())
        };
        records.eventually(name, in_warn).await?;
    }
    records.consistent()
}
