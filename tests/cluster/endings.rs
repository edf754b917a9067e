//! Moves end: what may not go is kept and says why, and what others take back is neither tried for ever nor forgotten.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use rempart_core::keys;
use rempart_lab::{eventually, is_ready};
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    migration::{RESTRICTED, approve, eventually_told, unqualified},
    records::eventually_says,
    world::{SOON, World, create, merge, pod, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("endings::what_may_not_go_is_kept_and_what_is_reverted_goes_pod_by_pod", kept),
        Trial::new("endings::a_level_that_takes_a_database_down_is_told_and_taken_back", taken_back),
    ]
}

/// The label of zones.
const ZONE: &str = "topology.kubernetes.io/zone";

/// A volume for the claim of this name, with more of its spec and labels.
fn volume(space: &str, claim: &str, labels: &Value, more: Value) -> Value {
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("{space}-{claim}"), "labels": labels},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": space, "name": claim},
            "nfs": {"server": "files.example.test", "path": "/"},
        },
    });
    if let (Some(spec), Value::Object(more)) = (volume["spec"].as_object_mut(), more) {
        spec.extend(more);
    }
    volume
}

fn claim(space: &str, name: &str, modes: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": space},
        "spec": {"accessModes": modes, "storageClassName": "", "volumeName": format!("{space}-{name}"),
            "resources": {"requests": {"storage": "1Gi"}}},
    })
}

/// A workload of `kind` whose pods have the claim `name`.
fn claiming(kind: &str, space: &str, name: &str) -> Value {
    let mut object = workload(kind, space, name, &RESTRICTED);
    object["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": name}}]);
    object
}

/// The ready pods of the namespace, by name, with their nodes.
async fn places(world: &World, space: &str) -> Result<BTreeMap<String, String>> {
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), space);
    let pods = pods.list(&ListParams::default()).await?.items;
    let ready = pods.into_iter().filter(is_ready);
    Ok(ready.map(|pod| (pod.name_any(), pod.spec.and_then(|spec| spec.node_name).unwrap_or_default())).collect())
}

/// Takes the note of a move out of the template whenever it is there, as an operator does that owns it.
async fn reverting(world: &World, space: &str, name: &str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(world.admin.clone(), space);
    let without = json!({"spec": {"template": {"metadata": {"annotations": {keys::MIGRATION: null}}}}});
    loop {
        let found = deployments.get(name).await?;
        let template = found.spec.and_then(|spec| spec.template.metadata).unwrap_or_default();
        if template.annotations.is_some_and(|annotations| annotations.contains_key(keys::MIGRATION)) {
            deployments.patch(name, &PatchParams::default(), &Patch::Merge(&without)).await?;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn kept(context: &Context) -> Result<()> {
    let world = World::new(context, "kept").await?;
    let node = world.node_spec(context, "gouv").label(ZONE, "z-gouv");
    let first = node.name.clone();
    context.cluster.add_node(node).await?;
    world.eventually_stamped(&first, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    for (name, modes, labels) in [
        ("notes", json!(["ReadWriteOncePod"]), json!({})),
        ("ledger", json!(["ReadWriteOnce"]), json!({ZONE: "z-gouv"})),
        ("vault", json!(["ReadWriteMany"]), json!({})),
    ] {
        create(&world.admin, &volume(&space, name, &labels, json!({"accessModes": modes}))).await?;
        create(&world.admin, &claim(&space, name, &modes)).await?;
    }
    create(&world.admin, &claiming("Deployment", &space, "notes")).await?;
    create(&world.admin, &claiming("StatefulSet", &space, "ledger")).await?;
    create(&world.admin, &claiming("StatefulSet", &space, "vault")).await?;
    let mut marked = workload("Deployment", &space, "marked", &RESTRICTED);
    marked["spec"]["template"]["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"});
    create(&world.admin, &marked).await?;
    let mut api = workload("Deployment", &space, "api", &RESTRICTED);
    api["spec"]["replicas"] = json!(3);
    create(&world.admin, &api).await?;
    // Of an owner of another kind, and it runs once.
    let flow = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flow", "namespace": space}});
    let flow = create(&world.admin, &flow).await?;
    let mut step = pod(&space, "step", &RESTRICTED);
    step["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "flow",
        "uid": flow.uid(), "controller": true}]);
    step["spec"]["restartPolicy"] = json!("OnFailure");
    create(&world.admin, &step).await?;
    eventually("all of them to run", SOON, async || {
        let places = places(&world, &space).await?;
        ensure!(places.len() == 8 && places.values().all(|node| *node == first), "{places:?}");
        anyhow::Ok(())
    })
    .await?;
    let before = places(&world, &space).await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(world.admin.clone(), &space);
    claims.delete("vault", &DeleteParams::default()).await?;

    let node = world.node_spec(context, "site").label(ZONE, "z-site");
    let second = node.name.clone();
    context.cluster.add_node(node).await?;
    world.eventually_stamped(&second, "site").await?;
    world.apply(unqualified(&world, "gouv")).await?;
    approve(&world).await?;
    let moved = eventually("the Deployment to be moved", SOON, async || {
        let places = places(&world, &space).await?;
        let of_api: Vec<_> = places.iter().filter(|(name, _)| name.starts_with("api-")).collect();
        ensure!(of_api.len() == 3 && of_api.iter().all(|(_, node)| **node == second), "{of_api:?}");
        anyhow::Ok(())
    });
    tokio::select! {
        moved = moved => moved?,
        reverting = reverting(&world, &space, "api") => reverting?,
    }
    let told = eventually_told(&world, &space, "api", "MigrationFailed").await?;
    ensure!(told.contains("takes the annotation rempart.dev/migration out of its template again"), "{told}");
    let sets: Api<ReplicaSet> = Api::namespaced(world.admin.clone(), &space);
    let made = sets.list(&ListParams::default().labels("app=api")).await?.items.len();
    ensure!(made == 2, "one by its author and one by the note, and not {made}");

    for (record, reason, said) in [
        ("deployment-notes", "VolumeInUse", "its claim notes is for one node at a time"),
        ("statefulset-ledger", "VolumePinned", "its claim ledger is bound to volume"),
        ("statefulset-vault", "ClaimEnding", "its claim vault is being deleted"),
        ("deployment-marked", "NotNow", "its annotation karpenter.sh/do-not-disrupt says not now"),
        ("pod-step", "Unmanaged", "ConfigMap flow would not make it anew"),
    ] {
        let message = eventually_says(&world, &space, record, "Migrating", reason).await?;
        ensure!(message.contains(said), "{message}");
    }
    let after = places(&world, &space).await?;
    let left: Vec<_> = before.iter().filter(|(name, _)| !name.starts_with("api-")).collect();
    ensure!(left.iter().all(|(name, node)| after.get(*name) == Some(*node)), "{before:?}, then {after:?}");
    ensure!(claims.get("vault").await.is_ok(), "its data went");
    let flows: Api<ConfigMap> = Api::namespaced(world.admin.clone(), &space);
    ensure!(flows.get("flow").await.is_ok());
    Ok(())
}

async fn taken_back(context: &Context) -> Result<()> {
    let world = World::new(context, "undo").await?;
    let open = world.node(context, "open").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    let pinned = json!({"nodeAffinity": {"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [open]}]},
    ]}}});
    for number in 0..2 {
        create(&world.admin, &volume(&space, &format!("data-db-{number}"), &json!({}), pinned.clone())).await?;
    }
    let mut set = workload("StatefulSet", &space, "db", &[(keys::SENSITIVITY, "internal")]);
    set["spec"]["replicas"] = json!(2);
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}},
    }}]);
    create(&world.admin, &set).await?;
    let both = async || {
        let places = places(&world, &space).await?;
        ensure!(places.len() == 2 && places.values().all(|node| *node == open), "{places:?}");
        anyhow::Ok(())
    };
    eventually("both to run", SOON, both).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &space);
    let first = pods.get("db-0").await?.uid();

    let said = |level: Value| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": space, "annotations": {keys::SENSITIVITY: level}}})
    };
    merge(&world.admin, &said(json!("restricted")), None).await?;
    let message = eventually_says(&world, &space, "statefulset-db", "Placeable", "VolumePinned").await?;
    let named = format!("pod db-1 waits for a node: its claim data-db-1 is bound to volume {space}-data-db-1");
    ensure!(message.starts_with(&named), "{message}");
    merge(&world.admin, &said(json!("internal")), None).await?;
    eventually("both to run again", SOON, both).await?;
    ensure!(pods.get("db-0").await?.uid() == first, "the first was taken down as well");
    eventually_says(&world, &space, "statefulset-db", "Placeable", "PoolsCleared").await?;
    Ok(())
}
