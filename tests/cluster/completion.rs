//! Completion marks: pods of templates that admission has completed are taken as they are, and of a template that is not
//! right any more they are completed as any other.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use rempart::api::PlacementPolicy;
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, api_of, create, create_dry, pod, refusal, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("completion::a_template_is_marked_with_the_level_that_it_was_completed_for", marked),
        Trial::new(
            "completion::pods_of_an_old_template_are_completed_when_their_namespace_changes_its_level",
            relabelled,
        ),
        Trial::new("completion::pods_of_an_old_template_are_completed_when_the_policy_is_made_again", made_again),
        Trial::new("completion::a_forged_mark_gains_nothing", forged),
    ]
}

/// The mark of the world's policy: its label.
fn key(world: &World) -> String {
    format!("completed.rempart.dev/{}", world.id)
}

/// The mark that the policy of the world gives, as it is now.
async fn mark(world: &World, end: &str) -> Result<String> {
    let policy = Api::<PlacementPolicy>::all(world.admin.clone()).get(&world.id).await?;
    let uid = policy.metadata.uid.context("a uid")?;
    Ok(format!("{}.{end}", &uid[..8]))
}

/// The pods of `namespace`.
async fn pods(world: &World, namespace: &str) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), namespace);
    Ok(pods.list(&ListParams::default()).await?.items)
}

fn keys_of(pod: &Pod) -> Vec<String> {
    pod.spec.iter().flat_map(|spec| spec.node_selector.iter().flatten()).map(|(key, _)| key.clone()).collect()
}

async fn template(world: &World, namespace: &str) -> Result<Value> {
    let found = Api::<Deployment>::namespaced(world.admin.clone(), namespace).get("app").await?;
    Ok(json!(found)["spec"]["template"].clone())
}

type Annotations = Vec<(&'static str, &'static str)>;

async fn marked(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let (silent, floor) =
        (world.namespace(context, &[]).await?, world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?);
    let said = |level: &'static str| vec![(keys::SENSITIVITY, level)];
    let table: [(&str, &str, Annotations, Option<&str>); 9] = [
        (&silent, "Deployment", said("restricted"), Some("restricted")),
        (&silent, "Deployment", said("public"), Some("public_keyless")),
        (&silent, "StatefulSet", vec![], Some("internal_default")),
        (&floor, "Deployment", vec![], Some("restricted_namespace")),
        (&floor, "CronJob", said("secret"), Some("secret")),
        // A level that does not decide, and what is more than a level.
        (&floor, "Deployment", said("internal"), None),
        (&silent, "Deployment", vec![(keys::CATEGORIES, "finance")], None),
        (&silent, "DaemonSet", vec![(keys::SENSITIVITY, "restricted"), (keys::CATEGORIES, "health")], None),
        (&silent, "Job", said("restricted"), Some("restricted")),
    ];
    for (namespace, kind, annotations, expected) in table {
        let made = create_dry(&world.admin, &workload(kind, namespace, "app", &annotations)).await?;
        let at = if kind == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
        let template = made.data.pointer(at).context("a template")?;
        let expected = match expected {
            Some(end) => json!(mark(world, end).await?),
            None => Value::Null,
        };
        let found = &template["metadata"]["labels"][key(world)];
        ensure!(*found == expected, "{kind} {annotations:?}: {found}, not {expected}");
    }
    // What is not right any more is taken off, whoever wrote it.
    let mut stale = workload("Deployment", &silent, "app", &[(keys::CATEGORIES, "health")]);
    stale["spec"]["template"]["metadata"]["labels"][key(world)] = json!("x.y");
    let made = create_dry(&world.admin, &stale).await?;
    ensure!(made.data["spec"]["template"]["metadata"]["labels"][key(world)].is_null(), "{}", made.data);
    Ok(())
}

async fn relabelled(context: &Context) -> Result<()> {
    let world = &World::new(context, "relabelled").await?;
    for pool in ["gouv", "site", "open"] {
        let node = world.node(context, pool).await?;
        world.eventually_stamped(&node, pool).await?;
    }
    let namespace = world.namespace(context, &[(keys::SENSITIVITY, "internal")]).await?;
    world.acted_on(context).await?;
    // A pause keeps the operator from completing the template, so that its pods are of before.
    let mut deployment = workload("Deployment", &namespace, "app", &[]);
    deployment["spec"]["paused"] = json!(true);
    create(&world.admin, &deployment).await?;
    let before = template(world, &namespace).await?;
    ensure!(before["metadata"]["labels"][key(world)] == mark(world, "internal_namespace").await?, "{before}");
    ensure!(before["spec"]["nodeSelector"] == json!({world.clearance("internal"): "true"}), "{before}");
    for level in ["secret", "public"] {
        let label = json!({"metadata": {"labels": {keys::SENSITIVITY: level}}});
        Api::<Namespace>::all(world.admin.clone())
            .patch(&namespace, &PatchParams::default(), &Patch::Merge(&label))
            .await?;
        let needed = if level == "public" { vec![] } else { vec![world.clearance(level)] };
        // From some moment on new pods carry what is needed now; refused is none.
        eventually(format!("pods of level {level}"), SOON, async || {
            let mut of_template = pod(&namespace, "trial", &[]);
            of_template["metadata"]["labels"] = before["metadata"]["labels"].clone();
            of_template["spec"]["nodeSelector"] = before["spec"]["nodeSelector"].clone();
            let made = create_dry(&world.admin, &of_template).await?;
            let found: Vec<String> = made.data["spec"]["nodeSelector"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone())
                .collect();
            ensure!(found == needed, "{found:?}");
            anyhow::Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn made_again(context: &Context) -> Result<()> {
    let world = &World::new(context, "again").await?;
    let node = world.node(context, "gouv").await?;
    world.eventually_stamped(&node, "gouv").await?;
    let namespace = world.namespace(context, &[]).await?;
    world.acted_on(context).await?;
    let mut deployment = workload("Deployment", &namespace, "app", &[(keys::SENSITIVITY, "restricted")]);
    deployment["spec"]["paused"] = json!(true);
    create(&world.admin, &deployment).await?;
    let old = template(world, &namespace).await?["metadata"]["labels"][key(world)].clone();
    ensure!(old == mark(world, "restricted").await?, "{old}");
    // The policy goes, and with it the key, not the mark.
    api_of(&world.admin, &world.policy()).delete(&world.id, &DeleteParams::default()).await?;
    eventually("the policy to be gone", SOON, async || {
        let found = Api::<PlacementPolicy>::all(world.admin.clone()).get_opt(&world.id).await?;
        ensure!(found.is_none(), "it is there");
        anyhow::Ok(())
    })
    .await?;
    let bare = json!({"spec": {"template": {"spec": {"nodeSelector": null}}}});
    Api::<Deployment>::namespaced(world.admin.clone(), &namespace)
        .patch("app", &PatchParams::default(), &Patch::Merge(&bare))
        .await?;
    let left = template(world, &namespace).await?;
    ensure!(left["metadata"]["labels"][key(world)] == old && left["spec"]["nodeSelector"].is_null(), "{left}");
    world.apply(world.policy()).await?;
    world.enforced(context).await?;
    let mut of_template = pod(&namespace, "trial", &[(keys::WORKLOAD_SENSITIVITY, "restricted")]);
    of_template["metadata"]["labels"] = left["metadata"]["labels"].clone();
    let made = create(&world.admin, &of_template).await?;
    ensure!(
        made.data["spec"]["nodeSelector"] == json!({world.clearance("restricted"): "true"}),
        "{}",
        made.data["spec"]["nodeSelector"]
    );
    Ok(())
}

async fn forged(context: &Context) -> Result<()> {
    let world = context.ministry().await?;
    let namespace = world.namespace(context, &[]).await?;
    let mut object = pod(&namespace, "forged", &[(keys::SENSITIVITY, "restricted")]);
    object["metadata"]["labels"] = json!({key(world): mark(world, "restricted").await?});
    let said = refusal(create(&world.admin, &object).await)?;
    ensure!(
        said.contains("spec.nodeSelector lacks") && said.contains(&format!("remove label {}", key(world))),
        "{said}"
    );
    // One of another level is no reason to skip it where that level is not enough.
    let floor = world.namespace(context, &[(keys::SENSITIVITY, "restricted")]).await?;
    let mut object = pod(&floor, "forged", &[]);
    object["metadata"]["labels"] = json!({key(world): mark(world, "internal").await?});
    create(&world.admin, &object).await?;
    let made = pods(world, &floor).await?;
    ensure!(made.iter().map(keys_of).collect::<Vec<_>>() == [vec![world.clearance("restricted")]], "{made:?}");
    // A mark that is right skips the mutation: what is complete stays as it is, surplus and all.
    let mut object = pod(&namespace, "complete", &[(keys::SENSITIVITY, "restricted")]);
    object["metadata"]["labels"] = json!({key(world): mark(world, "restricted").await?});
    object["spec"]["nodeSelector"] =
        json!({world.clearance("restricted"): "true", world.clearance("internal"): "true"});
    let made = create(&world.admin, &object).await?;
    let kept = made.data["spec"]["nodeSelector"].as_object().map_or(0, serde_json::Map::len);
    ensure!(kept == 2, "the mutation was asked: {}", made.data["spec"]["nodeSelector"]);
    Ok(())
}
