//! Keys that nobody demands any more: what selects by one goes on where it runs, and no `DaemonSet` shrinks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    ending::end,
    harness::{Context, Trial},
    world::{POOL_LABEL, SOON, TENANT_LABEL, World, create, merge, workload},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("retired::what_selects_by_a_policy_that_is_gone_goes_on_and_grows", policy_gone),
        Trial::new("retired::what_its_policy_governs_no_longer_is_freed_or_keeps_its_places", out_of_reach),
        Trial::new("retired::daemon_sets_outlive_a_renamed_level_a_dropped_demand_and_a_removed_exception", laxer),
    ]
}

const RESTRICTED: [(&str, &str); 1] = [(keys::SENSITIVITY, "restricted")];

/// A workload that stays on the nodes of these pools, so that trials side by side do not meet.
fn on_pools(world: &World, mut object: Value, pools: &[&str]) -> Value {
    let pools: Vec<_> = pools.iter().map(|pool| world.named(pool)).collect();
    object["spec"]["template"]["spec"]["affinity"] = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": pools}]},
        ]},
    }});
    object
}

/// The keys of the world's policy that the template of the `DaemonSet` selects by, once they are `expected`.
async fn eventually_selects(world: &World, namespace: &str, name: &str, expected: &[String]) -> Result<()> {
    let sets: Api<DaemonSet> = Api::namespaced(world.admin.clone(), namespace);
    let asks = format!("/{}.", world.id);
    let expected: BTreeSet<String> = expected.iter().cloned().collect();
    eventually(format!("the template of {name}"), SOON, async || {
        let template = sets.get(name).await?.spec.unwrap_or_default().template;
        let selector = template.spec.and_then(|spec| spec.node_selector).unwrap_or_default();
        let found: BTreeSet<String> = selector.into_keys().filter(|key| key.contains(&asks)).collect();
        ensure!(found == expected, "it selects by {found:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

/// Does `what`, and looks all the while whether one of these `DaemonSet`s wants fewer nodes than it had.
async fn without_shrinking(world: &World, sets: &[(&str, &str)], what: impl Future<Output = Result<()>>) -> Result<()> {
    let wanted = async |namespace: &str, name: &str| {
        let sets: Api<DaemonSet> = Api::namespaced(world.admin.clone(), namespace);
        Ok::<_, kube::Error>(sets.get(name).await?.status.unwrap_or_default().desired_number_scheduled)
    };
    let mut before = BTreeMap::new();
    for (namespace, name) in sets {
        before.insert((*namespace, *name), wanted(namespace, name).await?);
    }
    ensure!(before.values().all(|nodes| *nodes > 0), "{before:?}");
    let done = AtomicBool::new(false);
    let looking = async {
        while !done.load(Ordering::Relaxed) {
            for ((namespace, name), before) in &before {
                let now = wanted(namespace, name).await?;
                ensure!(now >= *before, "{namespace}/{name} wants {now} nodes and had {before}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    let doing = async {
        what.await?;
        done.store(true, Ordering::Relaxed);
        Ok(())
    };
    tokio::try_join!(looking, doing)?;
    Ok(())
}

async fn uids_of(world: &World, namespace: &str, app: &str) -> Result<BTreeSet<String>> {
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), namespace);
    let found = pods.list(&ListParams::default().labels(&format!("app={app}"))).await?;
    Ok(found.iter().filter_map(ResourceExt::uid).collect())
}

async fn policy_gone(context: &Context) -> Result<()> {
    let world = World::new(context, "past").await?;
    let node = world.node(context, "gouv").await?;
    world.node(context, "gouv").await?;
    let space = world.namespace(context, &[]).await?;
    create(&world.admin, &on_pools(&world, workload("DaemonSet", &space, "agent", &RESTRICTED), &["gouv"])).await?;
    let mut api = on_pools(&world, workload("Deployment", &space, "api", &RESTRICTED), &["gouv"]);
    api["spec"]["replicas"] = json!(2);
    create(&world.admin, &api).await?;
    world.eventually_placed(&space, 4).await?;
    let before = uids_of(&world, &space, "api").await?;

    without_shrinking(&world, &[(&space, "agent")], async {
        end(&world).await?;
        // No pod's admission mends the template of a DaemonSet: it is completed anew.
        eventually_selects(&world, &space, "agent", &[]).await?;
        world.eventually_placed(&space, 4).await?;
        Ok(())
    })
    .await?;
    ensure!(uids_of(&world, &space, "api").await? == before, "what only selects by it is restarted");
    let mut kept = world.stamps("gouv");
    let restricted = world.clearance("restricted");
    kept.retain(|key, _| !key.contains(&format!("/{}.", world.id)) || *key == restricted);
    world.eventually_stamps(&node, &kept).await?;

    // A node that joins is given it, and the Deployment grows.
    let joining = world.node_spec(context, "gouv");
    let joined = joining.name.clone();
    context.cluster.add_node(joining).await?;
    world.eventually_stamps(&joined, &kept).await?;
    let patch = |spec: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "api", "namespace": space}, "spec": spec})
    };
    merge(&world.admin, &patch(json!({"replicas": 3})), None).await?;
    world.eventually_placed(&space, 6).await?;

    // Nothing selects by it any more: then it goes.
    merge(&world.admin, &patch(json!({"template": {"spec": {"nodeSelector": null}}})), None).await?;
    kept.remove(&restricted);
    world.eventually_stamps(&node, &kept).await?;
    world.eventually_stamps(&joined, &kept).await?;
    Ok(())
}

async fn out_of_reach(context: &Context) -> Result<()> {
    let world = World::new(context, "reach").await?;
    let node = world.node(context, "gouv").await?;
    let (leaving, warned) = (world.namespace(context, &[]).await?, world.namespace(context, &[]).await?);
    let clearance = world.clearance("restricted");
    for space in [&leaving, &warned] {
        create(&world.admin, &on_pools(&world, workload("DaemonSet", space, "agent", &RESTRICTED), &["gouv"])).await?;
        world.eventually_placed(space, 1).await?;
        eventually_selects(&world, space, "agent", std::slice::from_ref(&clearance)).await?;
    }
    without_shrinking(&world, &[(&leaving, "agent"), (&warned, "agent")], async {
        // A namespace leaves the policy: nobody would put the key there now.
        let unlabelled = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": leaving, "labels": {TENANT_LABEL: null}}});
        merge(&world.admin, &unlabelled, None).await?;
        eventually_selects(&world, &leaving, "agent", &[]).await?;
        // The policy leaves Enforce, and keeps what it has given; then a fact changes.
        let mut warning = world.policy();
        warning["spec"]["mode"] = json!("Warn");
        world.apply(warning).await?;
        world.eventually_condition("Enforced", "False", "ModeWarn").await?;
        let mut provider = world.provider("gouv");
        provider["spec"]["offers"][0]["qualifications"] = json!([]);
        world.apply(provider).await?;
        let mut kept = world.stamps("gouv");
        kept.retain(|key, _| !key.contains("category.") && *key != world.clearance("secret"));
        world.eventually_stamps(&node, &kept).await?;
        eventually_selects(&world, &warned, "agent", std::slice::from_ref(&clearance)).await?;
        world.eventually_placed(&warned, 1).await?;
        Ok(())
    })
    .await?;
    // In Enforce again the stamp follows its verdict.
    world.apply(world.policy()).await?;
    let mut now = world.stamps("gouv");
    now.retain(|key, _| !key.contains("category.") && *key != clearance && *key != world.clearance("secret"));
    world.eventually_stamps(&node, &now).await
}

async fn laxer(context: &Context) -> Result<()> {
    context.rempart().await?;
    let world = World::ungoverned(context, "laxer").await?;
    let (plain, excepted) = (world.namespace(context, &[]).await?, world.namespace(context, &[]).await?);
    let mut strict = world.policy();
    strict["spec"]["exceptions"] = json!([{
        "name": "legacy", "namespaces": [excepted], "level": "restricted", "pools": [world.named("open")],
        "until": "2099-12-31", "reason": "a trial", "approvedBy": "nobody",
    }]);
    world.apply(strict).await?;
    world.enforced(context).await?;
    context.cluster.add_node(world.node_spec(context, "gouv")).await?;
    let exception = format!("exception.{}/{}.legacy", keys::STAMP_DOMAIN, world.id);
    let mut stamped = world.stamps("gouv");
    stamped.insert(exception.clone(), "true".to_owned());
    let gouv = world.nodes_of(&["gouv"]).await?;
    for node in &gouv {
        world.eventually_stamps(node, &stamped).await?;
    }
    let sets = [
        (plain.as_str(), "plain", vec![]),
        (plain.as_str(), "health", vec![(keys::CATEGORIES, "health")]),
        (excepted.as_str(), "legacy", vec![(keys::SENSITIVITY, "restricted")]),
    ];
    for (namespace, name, said) in &sets {
        create(&world.admin, &on_pools(&world, workload("DaemonSet", namespace, name, said), &["gouv"])).await?;
    }
    world.eventually_placed(&plain, 2).await?;
    world.eventually_placed(&excepted, 1).await?;
    eventually_selects(&world, &plain, "health", &[world.clearance("internal"), world.category("health")]).await?;
    eventually_selects(&world, &excepted, "legacy", &[exception]).await?;

    let mut lax = world.policy();
    lax["spec"]["levels"][1]["name"] = json!("inner");
    lax["spec"]["defaultLevel"] = json!("inner");
    lax["spec"]["categories"][0] = json!({"name": "health"});
    let names: Vec<_> = sets.iter().map(|(namespace, name, _)| (*namespace, *name)).collect();
    without_shrinking(&world, &names, async {
        world.apply(lax).await?;
        eventually_selects(&world, &plain, "plain", &[world.clearance("inner")]).await?;
        eventually_selects(&world, &plain, "health", &[world.clearance("inner")]).await?;
        eventually_selects(&world, &excepted, "legacy", &[world.clearance("restricted")]).await?;
        world.eventually_placed(&plain, 2).await?;
        world.eventually_placed(&excepted, 1).await?;
        // Then the keys go that nobody demands.
        let mut now = world.stamps("gouv");
        now.remove(&world.clearance("internal"));
        now.remove(&world.category("health"));
        now.insert(world.clearance("inner"), "true".to_owned());
        for node in &gouv {
            world.eventually_stamps(node, &now).await?;
        }
        Ok(())
    })
    .await
}
