//! Exceptions: made by an officer, used by pods, ended by time. The operator runs within the trial, with a clock that the
//! trial turns.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::Api;
use rempart::api::{ExceptionStatus, PlacementPolicy, PlacementPool, PoolException};
use rempart_core::keys;
use rempart_lab::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Context, Trial},
    time::Within,
    world::{SOON, World, create, create_dry, pod, refusal},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("exceptions::a_pod_runs_on_an_exceptions_pool_until_it_ends", ends),
        Trial::new("exceptions::a_namespace_in_two_exceptions_is_refused", in_two),
    ]
}

/// The policy of `world` with an exception for `namespace`, which may use the pool `open` until 2030-06-30.
fn with_exception(world: &World, namespace: &str) -> Value {
    let mut policy = world.policy();
    policy["spec"]["exceptions"] = json!([{
        "name": "legacy",
        "namespaces": [namespace],
        "level": "restricted",
        "pools": [world.named("open")],
        "until": "2030-06-30",
        "reason": "migration wave 3",
        "approvedBy": "CISO",
    }]);
    policy
}

/// What `rempart` says of the exceptions of the policy, and of those that open the pool `open`.
async fn told(world: &World) -> Result<(Vec<ExceptionStatus>, Vec<PoolException>, Option<String>)> {
    let policy = Api::<PlacementPolicy>::all(world.admin.clone()).get(&world.id).await?.status.unwrap_or_default();
    let pool = Api::<PlacementPool>::all(world.admin.clone()).get(&world.named("open")).await?.status;
    let next = policy.next_change.map(|time| time.0.to_string());
    Ok((policy.exceptions, pool.unwrap_or_default().exceptions, next))
}

async fn eventually_told(
    world: &World,
    expected: (Vec<ExceptionStatus>, Vec<PoolException>, Option<String>),
) -> Result<()> {
    eventually("the statuses to tell of the exception", SOON, async || {
        let found = told(world).await?;
        ensure!(found == expected, "they say {found:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn ends(context: &Context) -> Result<()> {
    let world = World::new(context, "excepted").await?;
    let (open, gouv) = (world.node(context, "open").await?, world.node(context, "gouv").await?);
    let namespace = world.namespace(context, &[]).await?;
    let (operator, clock) = Within::start(context, "2030-06-30T12:00:00Z").await?;
    world.apply(with_exception(&world, &namespace)).await?;

    let key = format!("exception.{}/{}.legacy", keys::STAMP_DOMAIN, world.id);
    let and_excepted = |pool| -> BTreeMap<String, String> {
        world.stamps(pool).into_iter().chain([(key.clone(), keys::GRANTED.to_owned())]).collect()
    };
    world.eventually_stamps(&open, &and_excepted("open")).await?;
    world.eventually_stamps(&gouv, &and_excepted("gouv")).await?;
    let opened = |pools: &[&str], in_force| ExceptionStatus {
        name: "legacy".to_owned(),
        in_force,
        until: "2030-06-30".to_owned(),
        opened_pools: pools.iter().map(|pool| world.named(pool)).collect(),
    };
    let by = PoolException {
        policy: world.id.clone(),
        name: "legacy".to_owned(),
        level: "restricted".to_owned(),
        until: "2030-06-30".to_owned(),
    };
    let end = Some("2030-07-01T00:00:00Z".to_owned());
    eventually_told(&world, (vec![opened(&["open"], true)], vec![by], end)).await?;

    // Of the cleared node the pod wants nothing: it is the exception that lets it run.
    let restricted = [(keys::SENSITIVITY, "restricted")];
    let mut legacy = pod(&namespace, "legacy", &restricted);
    legacy["spec"]["nodeSelector"] = json!({(keys::POOL): world.named("open")});
    eventually("admission to know the exception", SOON, async || {
        let made = create_dry(&world.admin, &legacy).await?;
        let selector = &made.data["spec"]["nodeSelector"];
        ensure!(selector[&key] == keys::GRANTED, "{selector}");
        anyhow::Ok(())
    })
    .await?;
    create(&world.admin, &legacy).await?;
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes == [open.clone()].into(), "{nodes:?}");

    clock.turn("2030-07-01T00:00:00Z")?;
    world.eventually_stamps(&open, &world.stamps("open")).await?;
    world.eventually_stamps(&gouv, &and_excepted("gouv")).await?;
    eventually_told(&world, (vec![opened(&[], false)], vec![], None)).await?;
    let message = world.eventually_condition("Ready", "True", "Evaluated").await?;
    ensure!(message.contains("an exception has ended and can be removed: legacy with 2030-06-30"), "{message}");

    // The same key, which cleared nodes alone carry now.
    for name in ["late-1", "late-2", "late-3"] {
        create(&world.admin, &pod(&namespace, name, &restricted)).await?;
    }
    let nodes = world.eventually_placed(&namespace, 4).await?;
    ensure!(nodes == [open, gouv].into(), "{nodes:?}");
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(world.admin.clone(), &namespace);
    for late in ["late-1", "late-2", "late-3"] {
        let at = pods.get(late).await?.spec.and_then(|spec| spec.node_name);
        ensure!(at.as_ref().is_some_and(|node| node.starts_with(&world.named("gouv"))), "{late} is at {at:?}");
    }
    operator.end().await
}

async fn in_two(context: &Context) -> Result<()> {
    let world = World::new(context, "twice").await?;
    let mut policy = with_exception(&world, "claims");
    let first = policy["spec"]["exceptions"][0].clone();
    policy["spec"]["exceptions"] = json!([first, first]);
    policy["spec"]["exceptions"][1]["name"] = json!("other");
    policy["metadata"]["name"] = json!(world.named("2"));
    let told = refusal(create_dry(&world.admin, &policy).await)?;
    ensure!(told.contains("namespace \"claims\" is in two exceptions: leave it in one of them"), "{told}");
    Ok(())
}
