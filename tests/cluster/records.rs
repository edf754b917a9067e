//! The record of each workload, as the operator writes it and kubectl shows it.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    record_history::RecordHistory,
    world::{SOON, World, create, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("records::kubectl_shows_what_became_of_a_workload", shown),
        Trial::new("records::a_record_goes_with_its_workload", collected),
        Trial::new("records::a_record_goes_though_its_workload_lets_go_of_its_pods", orphaned),
        Trial::new("records::a_record_is_written_for_a_change_and_for_nothing_else", written),
        Trial::new("records::nobody_else_writes_a_record_and_one_that_is_deleted_comes_back", guarded),
        Trial::new("records::a_workload_with_the_longest_name_has_a_record", longest),
        Trial::new("records::a_workload_that_has_nowhere_to_go_is_told_of", blocked),
    ]
}

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// The records of the namespace.
pub(crate) fn records(world: &World, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("rempart.dev", "v1alpha1", "WorkloadPlacement");
    Api::namespaced_with(world.admin.clone(), namespace, &ApiResource::from_gvk(&kind))
}

/// Waits for the record `name` to count so many placed pods.
async fn eventually_recorded(world: &World, namespace: &str, name: &str, placed: u32) -> Result<DynamicObject> {
    let records = records(world, namespace);
    let record = eventually(format!("the record {name}"), SOON, async || {
        let record = records.get(name).await?;
        let pods = &record.data["status"]["pods"];
        ensure!(pods["placed"] == placed && pods["pending"] == 0, "it says {pods}");
        anyhow::Ok(record)
    });
    Ok(record.await?)
}

/// Waits until a condition of a record has this reason, and gives its message.
pub(crate) async fn eventually_says(
    world: &World,
    namespace: &str,
    record: &str,
    condition: &str,
    reason: &str,
) -> Result<String> {
    let records = records(world, namespace);
    let message = eventually(format!("{condition} ({reason}) of {record}"), SOON, async || {
        let status = records.get(record).await?.data["status"].clone();
        let conditions = status["conditions"].as_array().context("it has no condition")?;
        let found = conditions.iter().find(|found| found["type"] == condition).context("it is not there")?;
        ensure!(found["reason"] == reason, "it is {found}");
        anyhow::Ok(found["message"].as_str().unwrap_or_default().to_owned())
    })
    .await?;
    Ok(message)
}

/// A world with a node that is cleared for level restricted, and a namespace with a Deployment of it.
async fn with_api(context: &Context, prefix: &str) -> Result<(World, String)> {
    let world = World::new(context, prefix).await?;
    world.node(context, "gouv").await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut deployment = workload("Deployment", &namespace, "api", &RESTRICTED);
    deployment["spec"]["replicas"] = json!(2);
    create(&world.admin, &deployment).await?;
    eventually_recorded(&world, &namespace, "deployment-api", 2).await?;
    Ok((world, namespace))
}

async fn shown(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "shown").await?;
    let output = context.cluster.kubectl(["get", "wpl", "-n", &namespace]).run().await?;
    let table = output.replace(&world.id, "W");
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    let expected = [
        vec![
            "NAME",
            "WORKLOAD",
            "LEVEL",
            "FROM",
            "PLACED",
            "PENDING",
            "VIOLATING",
            "PROVIDERS",
            "COMPLIANT",
            "MESSAGE",
        ],
        vec![
            "deployment-api",
            "Deployment/api",
            "restricted",
            "Workload",
            "2",
            "0",
            "0",
            "W-gouv 2",
            "True",
            "1 of 2 cleared pools will do: W-gouv",
        ],
    ];
    ensure!(rows == expected, "kubectl shows\n{table}");
    let whole = context.cluster.kubectl(["get", "wpl/deployment-api", "-o", "json", "-n", &namespace]).run().await?;
    let record: serde_json::Value = serde_json::from_str(&whole)?;
    let status = &record["status"];
    ensure!(status["allowedPools"] == json!([world.named("gouv"), world.named("site")]), "{status:#}");
    ensure!(status["providers"] == json!([{"name": world.named("gouv"), "pods": 2}]), "{status:#}");
    Ok(())
}

async fn collected(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "collected").await?;
    let records = records(&world, &namespace);
    let owners = records.get("deployment-api").await?.metadata.owner_references.unwrap_or_default();
    ensure!(owners.len() == 1 && owners[0].kind == "Deployment" && owners[0].name == "api", "{owners:?}");
    ensure!(owners[0].controller != Some(true) && owners[0].block_owner_deletion != Some(true), "{owners:?}");
    context.cluster.kubectl(["delete", "deployment", "api", "-n", &namespace]).run().await?;
    eventually("the record to go", SOON, async || {
        let left = records.list(&ListParams::default()).await?.items;
        ensure!(left.is_empty(), "{:?} are left", left.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn orphaned(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "orphaned").await?;
    let records = records(&world, &namespace);
    // The garbage collector takes the owner off whatever is to stay, the record included.
    context.cluster.kubectl(["delete", "deployment", "api", "--cascade=orphan", "-n", &namespace]).run().await?;
    let left = eventually("the record of what makes the pods now", SOON, async || {
        let left: Vec<_> = records.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
        ensure!(left.len() == 1 && left[0].starts_with("replicaset-api-"), "{left:?}");
        anyhow::Ok(left)
    });
    let name = left.await?.remove(0);
    eventually_recorded(&world, &namespace, &name, 2).await?;
    Ok(())
}

async fn written(context: &Context) -> Result<()> {
    let world = World::new(context, "written").await?;
    world.node(context, "gouv").await?;
    let namespace = world.namespace(context, &[]).await?;
    let history = RecordHistory::watch(&world, &namespace);
    let mut deployment = workload("Deployment", &namespace, "api", &RESTRICTED);
    deployment["spec"]["replicas"] = json!(2);
    create(&world.admin, &deployment).await?;
    let record = eventually_recorded(&world, &namespace, "deployment-api", 2).await?;
    let managers = record.metadata.managed_fields.clone().unwrap_or_default();
    ensure!(managers.len() == 1, "one writer, by one kind of request: {managers:?}");
    // What the record does not speak of.
    context.cluster.kubectl(["label", "deployment", "api", "seen=true", "-n", &namespace]).run().await?;
    let mut other = workload("Deployment", &namespace, "other", &RESTRICTED);
    other["spec"]["replicas"] = json!(1);
    create(&world.admin, &other).await?;
    eventually_recorded(&world, &namespace, "deployment-other", 1).await?;
    let last = records(&world, &namespace).get("deployment-api").await?.data["status"].clone();
    eventually("the watch to have seen the record as it is", SOON, async || {
        ensure!(history.of("deployment-api").last() == Some(&last), "it lags behind");
        anyhow::Ok(())
    })
    .await?;
    let versions = history.of("deployment-api");
    for pair in versions.windows(2) {
        ensure!(pair[0] != pair[1], "it was written though nothing had changed: {:#}", pair[1]);
    }
    // Pools of the trials beside this one come and go among the rejected ones; everything else is of this workload.
    let said = |status: &Value| {
        let mut status = status.clone();
        for field in ["rejectedPools", "rejectedPoolsOmitted"] {
            status.as_object_mut().map(|status| status.remove(field));
        }
        status
    };
    let placed = versions.iter().position(|status| said(status) == said(&last)).context("it was never as it is")?;
    for status in &versions[placed..] {
        ensure!(said(status) == said(&last), "it changed though its workload did not: {status:#}, then {last:#}");
    }
    Ok(())
}

async fn guarded(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "guarded").await?;
    let records = records(&world, &namespace);
    let patch = Patch::Merge(json!({"status": {"pods": {"violating": 9}}}));
    let refused = records.patch("deployment-api", &PatchParams::default(), &patch).await.err();
    let refused = refused.context("an administrator wrote a record")?.to_string();
    let expected = format!("workloadplacement {namespace}/deployment-api: user ");
    let remedy = "may not write it: Rempart's operator alone records what became of a workload; change the workload, a \
                  PlacementPolicy or a PlacementPool instead";
    ensure!(refused.contains(&expected) && refused.contains(remedy), "{refused}");
    let forged = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "WorkloadPlacement",
        "metadata": {"name": "deployment-forged", "namespace": namespace},
    });
    ensure!(create(&world.admin, &forged).await.is_err(), "an administrator made a record");

    let uid = records.get("deployment-api").await?.uid();
    records.delete("deployment-api", &DeleteParams::default()).await?;
    eventually("the record to come back", SOON, async || {
        let now = records.get("deployment-api").await?.uid();
        ensure!(now != uid, "it is not gone yet");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn longest(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "longest").await?;
    let name = "x".repeat(253);
    let mut deployment = workload("Deployment", &namespace, &name, &[(keys::SENSITIVITY, "secret")]);
    // Its ReplicaSet would have no name.
    deployment["spec"]["replicas"] = json!(0);
    // Labels are shorter.
    deployment["spec"]["selector"] = json!({"matchLabels": {"app": "x"}});
    deployment["spec"]["template"]["metadata"]["labels"] = json!({"app": "x"});
    create(&world.admin, &deployment).await?;
    let records = records(&world, &namespace);
    eventually("its record", SOON, async || {
        let records = records.list(&ListParams::default()).await?.items;
        let of = records.iter().map(|record| &record.data["status"]["workload"]["name"]);
        ensure!(of.clone().any(|found| *found == name), "{:?}", of.collect::<Vec<_>>());
        anyhow::Ok(())
    })
    .await?;
    // An event has a name as well, and one that begins with the object's.
    eventually_told(&world, &namespace, "PlacementBlocked", &name).await?;
    Ok(())
}

/// Waits until an event tells of the workload `name` for `reason`, and gives its note.
async fn eventually_told(world: &World, namespace: &str, reason: &str, name: &str) -> Result<String> {
    let events: Api<Event> = Api::namespaced(world.admin.clone(), namespace);
    let note = eventually(format!("the event {reason}"), SOON, async || {
        let events = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?.items;
        let about = |event: &&Event| event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(name));
        events.iter().find(about).and_then(|event| event.note.clone()).context("it is not there")
    });
    Ok(note.await?)
}

async fn blocked(context: &Context) -> Result<()> {
    let (world, namespace) = with_api(context, "blocked").await?;
    create(&world.admin, &workload("Deployment", &namespace, "vault", &[(keys::SENSITIVITY, "secret")])).await?;
    let message = format!(
        "its pods stay pending: no node belongs to what is cleared for level secret of policy {} ({}); add nodes, or \
         correct the pool's nodeSelector or providerIDPrefix",
        world.id,
        world.named("site")
    );
    let records = records(&world, &namespace);
    eventually("the record of what is blocked", SOON, async || {
        let record = records.get("deployment-vault").await?;
        let said = &record.data["status"]["summary"]["message"];
        ensure!(*said == message, "it says {said}");
        anyhow::Ok(())
    })
    .await?;
    let note = eventually_told(&world, &namespace, "PlacementBlocked", "vault").await?;
    // It may have come about before there was a pod.
    let (_, why) = message.split_once(": ").context("the record gives no reason")?;
    ensure!(note.contains(why), "the event says {note}");
    Ok(())
}
