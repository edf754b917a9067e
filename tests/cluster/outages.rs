//! Outages: components that are killed, stopped or cut off at a bad moment, and nothing that comes of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use rempart_core::keys;
use rempart_lab::{Component, FakeNode, eventually};
use serde_json::json;

use crate::{
    harness::{Context, Trial},
    world::{POOL_LABEL, SOON, World, create, create_dry, pod, refusal, stamps_of},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("outages::an_operator_that_is_stopped_ends_at_once_and_admission_goes_on", stopped),
        Trial::serial("outages::an_operator_killed_in_the_middle_of_a_restamp_completes_it_when_it_is_back", killed),
        Trial::serial("outages::an_api_server_that_is_killed_costs_nothing", api_server),
        Trial::serial("outages::an_etcd_that_is_killed_costs_nothing", etcd),
    ]
}

/// The stamped nodes of the world, with their versions.
async fn versions(world: &World) -> Result<BTreeMap<String, Option<String>>> {
    let nodes: Api<Node> = Api::all(world.admin.clone());
    let params = ListParams::default().labels(POOL_LABEL);
    let own =
        |node: &Node| node.labels().get(POOL_LABEL).is_some_and(|pool| pool.starts_with(&format!("{}-", world.id)));
    let found = nodes.list(&params).await?.into_iter().filter(own);
    Ok(found.map(|node| (node.name_any(), node.resource_version())).collect())
}

async fn stopped(context: &Context) -> Result<()> {
    let world = World::new(context, "unattended").await?;
    let node = world.node(context, "gouv").await?;
    let namespace = world.namespace(context, &[]).await?;
    let operator = context.take_operator().await?;
    let status = operator.terminate().await.context("it did not say how it ended")?;
    ensure!(status.success(), "it ended with {status}");

    // Admission goes on, and so do stamps.
    create(&world.admin, &pod(&namespace, "web", &[(keys::SENSITIVITY, "restricted")])).await?;
    let nodes = world.eventually_placed(&namespace, 1).await?;
    ensure!(nodes == [node.clone()].into(), "it is on {nodes:?}");
    refusal(create_dry(&world.admin, &pod(&namespace, "bad", &[(keys::SENSITIVITY, "top")])).await)?;
    world.eventually_stamped(&node, "gouv").await?;
    // Nobody vouches for a node that joins meanwhile.
    let joins = world.node_spec(context, "site");
    let joined = joins.name.clone();
    context.cluster.add_node(joins).await?;
    ensure!(stamps_of(&world.admin, &joined).await?.is_empty());
    context.rempart().await?;
    world.eventually_stamped(&joined, "site").await
}

const MANY: usize = 300;

async fn killed(context: &Context) -> Result<()> {
    let world = World::new(context, "crowd").await?;
    let nodes = (0..MANY).map(|_| world.node_spec(context, "gouv")).collect::<Vec<FakeNode>>();
    context.cluster.add_nodes(nodes).await?;
    let api: Api<Node> = Api::all(world.admin.clone());
    let params = ListParams::default().labels(&format!("{POOL_LABEL}={}", world.named("gouv")));
    let restricted = world.clearance("restricted");
    // How many nodes are cleared, and none in between: whatever they carry is what they should carry before or after.
    let cleared = async || -> Result<usize> {
        let nodes = api.list(&params.clone().match_any()).await?.items;
        ensure!(nodes.len() == MANY, "there are {} nodes", nodes.len());
        Ok(nodes.iter().filter(|node| node.labels().contains_key(&restricted)).count())
    };
    let eventually_cleared = async |number: usize| {
        eventually(format!("{number} nodes to be cleared"), SOON, async || {
            let found = cleared().await?;
            ensure!(found == number, "{found} are");
            anyhow::Ok(())
        })
        .await
    };
    eventually_cleared(MANY).await?;

    let mut provider = world.provider("gouv");
    provider["spec"]["offers"][0]["qualifications"] = json!([{"scheme": "hds", "validFrom": "2024-01-01"}]);
    let operator = context.take_operator().await?;
    let writes = async || -> Result<bool> {
        let metrics = operator.get("/metrics").await?;
        let line = metrics
            .lines()
            .find(|line| line.contains("writes_total{") && line.contains("stamps") && line.contains("success"));
        Ok(line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).is_some_and(|writes| writes > 0.0))
    };
    ensure!(writes().await?, "the operator has stamped nothing");
    world.apply(provider).await?;
    // The first node has lost its clearance: the restamp is under way.
    eventually("the restamp to begin", SOON, async || {
        let found = cleared().await?;
        ensure!(found < MANY, "all are cleared");
        anyhow::Ok(())
    })
    .await?;
    operator.kill().await;
    ensure!(cleared().await? > 0, "the operator was done before it could be killed");
    context.rempart().await?;
    eventually_cleared(0).await?;
    let mut without = world.stamps("gouv");
    without.remove(&restricted);
    for node in api.list(&params).await? {
        let stamps: BTreeMap<_, _> = node.labels().clone().into_iter().filter(|(key, _)| keys::is_stamp(key)).collect();
        ensure!(stamps == without, "{}: {stamps:?}", node.name_any());
    }
    for node in api.list(&params).await? {
        api.delete(&node.name_any(), &DeleteParams::default()).await?;
    }
    Ok(())
}

async fn api_server(context: &Context) -> Result<()> {
    crash(context, Component::ApiServer).await
}

async fn etcd(context: &Context) -> Result<()> {
    crash(context, Component::Etcd).await
}

/// Kills a component under an operator that has everything in order.
async fn crash(context: &Context, component: Component) -> Result<()> {
    let world = World::new(context, "crash").await?;
    let nodes = [world.node(context, "gouv").await?, world.node(context, "site").await?];
    let namespace = world.namespace(context, &[]).await?;
    let bindings = world.admission().await?;
    let before = crate::world::settled(async || versions(&world).await).await?;
    ensure!(before.len() == nodes.len(), "{before:?}");

    let pid = context.operator_pid().await;
    context.cluster.kill(component).await?;
    context.cluster.start_again(component).await?;
    let mut provider = world.provider("gouv");
    provider["spec"]["offers"][0]["qualifications"] = json!([{"scheme": "hds", "validFrom": "2024-01-01"}]);
    eventually("the edit to be taken", SOON, async || crate::world::apply(&world.admin, &provider).await.map(drop))
        .await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    world.eventually_stamps(&nodes[0], &without).await?;

    // The other node was never written to: nothing was taken from it and given back.
    let after = versions(&world).await?;
    ensure!(after[&nodes[1]] == before[&nodes[1]], "the operator wrote to {}", nodes[1]);
    world.eventually_stamped(&nodes[1], "site").await?;
    ensure!(world.admission().await? == bindings, "admission changed");
    crate::world::admitting(&world.admin).await?;
    eventually("pods to be admitted as before", SOON, async || {
        let created = create_dry(&world.admin, &pod(&namespace, "web", &[])).await?;
        let selector = &created.data["spec"]["nodeSelector"];
        ensure!(*selector == json!({world.clearance("internal"): "true"}), "{selector}");
        anyhow::Ok(())
    })
    .await?;
    let operator = context.take_operator().await?;
    ensure!(Some(operator.pid()) == pid, "the operator did not outlive the crash");
    let status = operator.terminate().await.context("it did not say how it ended")?;
    ensure!(status.success(), "{status}");
    // New nodes and edits find a working operator.
    context.rempart().await?;
    world.apply(world.provider("gouv")).await?;
    world.eventually_stamped(&nodes[0], "gouv").await
}
