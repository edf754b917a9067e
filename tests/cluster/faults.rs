//! Objects that the code cannot read: made by relaxing their definitions for a moment, as a botched upgrade might.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject},
};
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    world::{POOLS, SOON, World, api_of, apply, create_dry, merge, pod},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("faults::a_policy_that_cannot_be_decoded_harms_itself_alone", policy),
        Trial::serial("faults::a_pool_that_cannot_be_decoded_harms_itself_alone", pool),
        Trial::serial("faults::a_provider_that_cannot_be_decoded_harms_itself_alone", provider),
        Trial::serial("faults::wrong_entries_of_a_provider_harm_themselves_alone", entries),
    ]
}

fn definition(plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.rempart.dev")},
    })
}

/// Does `work` while the specs of the kind may say anything.
async fn relaxed(world: &World, plural: &str, work: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let definition = definition(plural);
    let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let definitions = api_of(&world.admin, &definition);
    let strict = definitions.get(&name).await?.data["spec"]["versions"].clone();
    let mut loose = strict.clone();
    let schema = &mut loose[0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("x-kubernetes-validations");
    }
    let with = |versions: &Value| {
        let mut object = definition.clone();
        object["spec"] = json!({"versions": versions});
        object
    };
    merge(&world.admin, &with(&loose), None).await?;
    let done = work().await;
    merge(&world.admin, &with(&strict), None).await?;
    done
}

/// Applies an object that the strict definition refuses.
async fn force(world: &World, object: &Value) -> Result<DynamicObject> {
    let applied = eventually("the definition to be relaxed", SOON, async || apply(&world.admin, object).await).await?;
    Ok(applied)
}

/// Waits until the object's condition `Ready` is false for a reason that contains all of this.
async fn eventually_faulty(world: &World, object: &Value, parts: &[&str]) -> Result<()> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let api: Api<DynamicObject> = api_of(&world.admin, object);
    eventually(format!("{name} to say what is wrong"), SOON, async || {
        let found = api.get(name).await?.data;
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("there is no Ready")?;
        ensure!(ready["status"] == "False", "{ready}");
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(parts.iter().all(|part| message.contains(part)), "{message}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn eventually_counted(context: &Context, kind: &str, number: u32) -> Result<()> {
    let line = format!("rempart_faulty_objects{{kind=\"{kind}\"}} {number}");
    eventually(format!("the metric {line}"), SOON, async || {
        let metrics = context.operator_get("/metrics").await?;
        let found = metrics.lines().find(|found| found.contains("faulty_objects{") && found.contains(kind));
        ensure!(found == Some(&line), "it is {found:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn policy(context: &Context) -> Result<()> {
    let world = World::new(context, "decodes").await?;
    let other = World::new(context, "maybe").await?;
    let (node, others) = (world.node(context, "gouv").await?, other.node(context, "gouv").await?);
    let namespace = other.namespace(context, &[]).await?;
    let before = other.admission().await?;
    let mut odd = other.policy();
    odd["spec"]["mode"] = json!("Maybe");
    let mut newborn = other.policy();
    newborn["metadata"]["name"] = json!(context.unique("newborn"));
    newborn["spec"]["levels"] = json!("none");
    newborn["spec"]["namespaceSelector"] = json!({"matchLabels": {"nobody": "here"}});
    relaxed(&world, "placementpolicies", async || {
        force(&world, &odd).await?;
        force(&world, &newborn).await?;
        eventually_faulty(&world, &odd, &["clears nothing", "cannot be decoded", "Maybe"]).await?;
        eventually_faulty(&world, &newborn, &["clears nothing", "cannot be decoded"]).await?;
        eventually_counted(context, "PlacementPolicy", 2).await?;
        // It clears nothing, and its bindings stay as they are.
        let mut uncleared = other.stamps("gouv");
        uncleared.retain(|key, _| key.starts_with("rempart."));
        other.eventually_stamps(&others, &uncleared).await?;
        ensure!(other.admission().await? == before, "admission changed");
        if let Ok(created) = create_dry(&world.admin, &pod(&namespace, "web", &[])).await {
            let selector = &created.data["spec"]["nodeSelector"];
            ensure!(selector[other.clearance("internal")] == "true", "a pod may run anywhere: {selector}");
        }
        // All others go on.
        world.eventually_stamped(&node, "gouv").await?;
        world.node(context, "site").await?;

        // Both can be put right, or deleted as they are.
        let name = newborn["metadata"]["name"].as_str().unwrap_or_default();
        api_of(&world.admin, &newborn).delete(name, &DeleteParams::default()).await?;
        eventually("the policy that cannot be decoded to be gone", SOON, async || {
            ensure!(api_of(&world.admin, &newborn).get_opt(name).await?.is_none(), "it is still there");
            anyhow::Ok(())
        })
        .await?;
        world.apply(other.policy()).await?;
        other.eventually_stamped(&others, "gouv").await
    })
    .await?;
    other.enforced(context).await?;
    eventually_counted(context, "PlacementPolicy", 0).await
}

async fn pool(context: &Context) -> Result<()> {
    let world = World::new(context, "numbers").await?;
    let (node, other) = (world.node(context, "gouv").await?, world.node(context, "site").await?);
    let mut odd = world.pool("gouv");
    odd["spec"]["zone"] = json!(7);
    let mut shapeless = world.pool("open");
    shapeless["spec"]["nodeSelector"] = json!({"matchExpressions": [{"key": "a", "operator": "Perhaps"}]});
    relaxed(&world, "placementpools", async || {
        force(&world, &odd).await?;
        force(&world, &shapeless).await?;
        eventually_faulty(&world, &odd, &["claims no node", "cannot be decoded"]).await?;
        let parts = ["claims no node", "spec.nodeSelector.matchExpressions[0].operator", "Perhaps"];
        eventually_faulty(&world, &shapeless, &parts).await?;
        eventually_counted(context, "PlacementPool", 2).await?;
        world.eventually_stamps(&node, &BTreeMap::new()).await?;
        world.eventually_stamped(&other, "site").await?;
        world.node(context, "atlantic").await?;
        for pool in POOLS {
            world.apply(world.pool(pool)).await?;
        }
        world.eventually_stamped(&node, "gouv").await
    })
    .await?;
    eventually_counted(context, "PlacementPool", 0).await
}

async fn provider(context: &Context) -> Result<()> {
    let world = World::new(context, "garbled").await?;
    let (node, other) = (world.node(context, "gouv").await?, world.node(context, "site").await?);
    let mut odd = world.provider("gouv");
    odd["spec"]["offers"] = json!("many");
    relaxed(&world, "cloudproviders", async || {
        force(&world, &odd).await?;
        eventually_faulty(&world, &odd, &["cannot be decoded", "many"]).await?;
        eventually_counted(context, "CloudProvider", 1).await?;
        world.eventually_stamps(&node, &BTreeMap::new()).await?;
        world.eventually_stamped(&other, "site").await?;
        let message = format!("spec.provider is \"{}\", and there is no such CloudProvider", world.named("gouv"));
        eventually_faulty(&world, &world.pool("gouv"), &[&message]).await?;
        world.apply(world.provider("gouv")).await?;
        world.eventually_stamped(&node, "gouv").await
    })
    .await?;
    eventually_counted(context, "CloudProvider", 0).await
}

async fn entries(context: &Context) -> Result<()> {
    let world = World::new(context, "typo").await?;
    let node = world.node(context, "gouv").await?;
    let mut odd = world.provider("gouv");
    odd["spec"]["offers"][0]["zones"][0]["country"] = json!("UK");
    odd["spec"]["offers"][0]["zones"][0]["pue"] = json!(0.2);
    odd["spec"]["offers"][0]["qualifications"][1]["validFrom"] = json!("2027-02-31");
    relaxed(&world, "cloudproviders", async || {
        force(&world, &odd).await?;
        let parts = [
            "what is wrong counts as unknown and clears nothing: ",
            "spec.offers[0].zones[0].country: \"UK\" is not a country",
            "spec.offers[0].zones[0].pue: 0.2 cannot be",
            "spec.offers[0].qualifications[1].validFrom: \"2027-02-31\" is not a day",
        ];
        eventually_faulty(&world, &odd, &parts).await?;
        eventually_counted(context, "CloudProvider", 1).await?;
        // The certificate that is wrong is not held; the one beside it is, and so is all that needs no wrong fact.
        let mut without = world.stamps("gouv");
        without.remove(&world.category("health"));
        world.eventually_stamps(&node, &without).await?;
        world.apply(world.provider("gouv")).await?;
        world.eventually_stamped(&node, "gouv").await
    })
    .await
}
