//! A fact is edited, and everything that follows from it follows without a restart.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use rempart::api::{PlacementPolicy, PlacementPool};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::json;

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, api_of, create, pod},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("catalogue::a_withdrawn_certificate_takes_the_clearance_from_every_node", certificate_withdrawn),
        Trial::new("catalogue::a_tightened_policy_takes_the_clearance_from_every_node", policy_tightened),
        Trial::new("catalogue::a_deleted_provider_takes_every_stamp_from_its_nodes", provider_deleted),
        Trial::new("catalogue::a_deleted_pool_takes_every_stamp_from_its_nodes", pool_deleted),
        Trial::new("catalogue::a_zone_that_lacks_a_fact_is_not_cleared_for_what_demands_it", unknown_fact),
        Trial::new("catalogue::a_level_without_any_demand_has_no_stamp", level_loses_its_demands),
        Trial::new("catalogue::a_pending_pod_runs_as_soon_as_a_pool_is_cleared_for_it", pending_pod),
    ]
}

/// Waits until the pool says this about the level of the world's policy: whether it is cleared, and why not.
pub(crate) async fn eventually_verdict(
    world: &World,
    pool: &str,
    level: &str,
    cleared: bool,
    reasons: &[(&str, &str)],
) -> Result<()> {
    let pools: Api<PlacementPool> = Api::all(world.admin.clone());
    let name = world.named(pool);
    eventually(format!("the verdict of {name} on {level}"), SOON, async || {
        let status = pools.get(&name).await?.status.context("there is no status")?;
        let own = |verdict: &&rempart::api::PoolVerdict| {
            verdict.policy == world.id && verdict.level.as_deref() == Some(level)
        };
        let verdict = status.verdicts.iter().find(own).context("there is no verdict")?;
        let found: Vec<_> =
            verdict.reasons.iter().map(|reason| (reason.code.as_str(), reason.message.as_str())).collect();
        ensure!(verdict.cleared == cleared && found == reasons, "it is {}, {found:?}", verdict.cleared);
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Waits until the policy says that exactly these pools of its world are cleared for the level.
pub(crate) async fn eventually_cleared(world: &World, level: &str, pools: &[&str]) -> Result<()> {
    let policies: Api<PlacementPolicy> = Api::all(world.admin.clone());
    let mut expected: Vec<_> = pools.iter().map(|pool| world.named(pool)).collect();
    expected.sort();
    eventually(format!("the pools cleared for {level} of {}", world.id), SOON, async || {
        let status = policies.get(&world.id).await?.status.context("there is no status")?;
        let standing = status.levels.iter().find(|standing| standing.name == level).context("no such level")?;
        ensure!(standing.cleared_pools == expected, "{:?} are", standing.cleared_pools);
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn certificate_withdrawn(context: &Context) -> Result<()> {
    let world = World::new(context, "withdrawn").await?;
    let nodes = [world.node(context, "gouv").await?, world.node(context, "gouv").await?];
    let other = world.node(context, "site").await?;
    eventually_cleared(&world, "restricted", &["gouv", "site"]).await?;

    let mut provider = world.provider("gouv");
    provider["spec"]["offers"][0]["qualifications"] = json!([{"scheme": "hds", "validFrom": "2024-01-01"}]);
    world.apply(provider).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    for node in &nodes {
        world.eventually_stamps(node, &without).await?;
    }
    world.eventually_stamped(&other, "site").await?;
    eventually_cleared(&world, "restricted", &["site"]).await?;
    eventually_cleared(&world, "internal", &["gouv", "open", "site"]).await?;
    let message = format!(
        "offer {}/iaas has no secnumcloud qualification; level restricted of policy {} requires one in force: record \
         it if the offer holds one, or use another offer",
        world.named("gouv"),
        world.id
    );
    eventually_verdict(&world, "gouv", "restricted", false, &[("QualificationMissing", &message)]).await?;

    world.apply(world.provider("gouv")).await?;
    for node in &nodes {
        world.eventually_stamped(node, "gouv").await?;
    }
    eventually_verdict(&world, "gouv", "restricted", true, &[]).await
}

async fn policy_tightened(context: &Context) -> Result<()> {
    let world = World::new(context, "tight").await?;
    let node = world.node(context, "gouv").await?;
    let mut policy = world.policy();
    policy["spec"]["levels"][1]["require"]["maxPUE"] = json!(1.2);
    world.apply(policy).await?;
    let mut without = world.stamps("gouv");
    without.retain(|key, _| !key.starts_with("clearance."));
    world.eventually_stamps(&node, &without).await?;
    for level in ["internal", "restricted"] {
        eventually_cleared(&world, level, &[]).await?;
    }
    // Requirements accumulate, and the reason says which level demands.
    let message = format!(
        "PUE of zone gouv-1 of offer {}/iaas is 1.25; level internal of policy {} allows at most 1.2: use another zone",
        world.named("gouv"),
        world.id
    );
    eventually_verdict(&world, "gouv", "restricted", false, &[("PUETooHigh", &message)]).await?;
    world.apply(world.policy()).await?;
    world.eventually_stamped(&node, "gouv").await
}

async fn provider_deleted(context: &Context) -> Result<()> {
    let world = World::new(context, "sold").await?;
    let node = world.node(context, "gouv").await?;
    let provider = world.provider("gouv");
    api_of(&world.admin, &provider).delete(&world.named("gouv"), &DeleteParams::default()).await?;
    world.eventually_stamps(&node, &BTreeMap::new()).await?;
    let message = format!(
        "spec.provider is \"{}\", and there is no such CloudProvider: record it, or correct the pool; \
         until then the pool's nodes carry no stamp",
        world.named("gouv")
    );
    world.eventually_pool("gouv", "False", "ProviderNotFound", &message).await?;
    world.apply(provider).await?;
    world.eventually_stamped(&node, "gouv").await
}

async fn pool_deleted(context: &Context) -> Result<()> {
    let world = World::new(context, "given-up").await?;
    let node = world.node(context, "gouv").await?;
    api_of(&world.admin, &world.pool("gouv")).delete(&world.named("gouv"), &DeleteParams::default()).await?;
    world.eventually_stamps(&node, &BTreeMap::new()).await?;
    eventually_cleared(&world, "restricted", &["site"]).await
}

async fn unknown_fact(context: &Context) -> Result<()> {
    let world = World::new(context, "unknown").await?;
    let node = world.node(context, "gouv").await?;
    let mut provider = world.provider("gouv");
    provider["spec"]["offers"][0]["zones"] = json!([{"name": "gouv-1", "region": "gouv", "country": "FR"}]);
    world.apply(provider).await?;
    let mut policy = world.policy();
    policy["spec"]["levels"][2]["require"]["maxPUE"] = json!(1.5);
    world.apply(policy).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    world.eventually_stamps(&node, &without).await?;
    let message = format!(
        "PUE of zone gouv-1 of offer {}/iaas is not known; level restricted of policy {} allows at most 1.5: record \
         the zone's pue",
        world.named("gouv"),
        world.id
    );
    eventually_verdict(&world, "gouv", "restricted", false, &[("PUEUnknown", &message)]).await
}

async fn level_loses_its_demands(context: &Context) -> Result<()> {
    let world = World::new(context, "free").await?;
    let node = world.node(context, "gouv").await?;
    let mut policy = world.policy();
    policy["spec"]["levels"][1] = json!({"name": "internal"});
    world.apply(policy).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("internal"));
    world.eventually_stamps(&node, &without).await?;

    // And admission asks for it no more.
    let namespace = world.namespace(context, &[]).await?;
    eventually("pods to be let in without a selector", SOON, async || {
        let created = crate::world::create_dry(&world.admin, &pod(&namespace, "web", &[])).await?;
        let selector = &created.data["spec"]["nodeSelector"];
        ensure!(selector.is_null(), "it is {selector}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn pending_pod(context: &Context) -> Result<()> {
    let world = World::new(context, "pending").await?;
    let node = world.node(context, "site").await?;
    let namespace = world.namespace(context, &[]).await?;
    let notes = [(keys::SENSITIVITY, "secret"), (keys::CATEGORIES, "health")];
    create(&world.admin, &pod(&namespace, "waits", &notes)).await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &namespace);
    eventually("the scheduler to find no place", SOON, async || {
        let status = pods.get("waits").await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled");
        ensure!(scheduled.is_some_and(|found| found.reason.as_deref() == Some("Unschedulable")), "{scheduled:?}");
        anyhow::Ok(())
    })
    .await?;
    let mut provider = world.provider("site");
    provider["spec"]["offers"][0]["qualifications"] =
        world.provider("gouv")["spec"]["offers"][0]["qualifications"].clone();
    world.apply(provider).await?;
    let placed = world.eventually_placed(&namespace, 1).await?;
    ensure!(placed == [node.clone()].into(), "it is on {placed:?}, not {node}");
    Ok(())
}
