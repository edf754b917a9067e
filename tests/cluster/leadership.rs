//! Several replicas, of which one writes: killed, stopped, paused, and without an API server.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use rempart_lab::{Component, FakeNode, OperatorProcess, eventually};
use serde_json::json;

use crate::{
    harness::{Context, Trial},
    world::{SOON, World, admitting, api_of, merge, nothing_ends, settled},
};

const NAMESPACE: &str = "rempart-system";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("leadership::a_leader_that_is_killed_is_followed_by_another", killed),
        Trial::serial("leadership::a_leader_that_is_stopped_gives_the_lease_back", stopped),
        Trial::serial("leadership::a_paused_leader_that_wakes_up_writes_nothing", paused),
        Trial::serial("leadership::without_an_api_server_nobody_leads_and_then_one_does", api_server),
        Trial::serial("leadership::a_missing_permission_to_hold_the_lease_shows_and_heals", may_not_lead),
    ]
}

/// A world whose shared operator has made room for two replicas: one that leads, and one that follows.
struct Pair {
    world: World,
    leader: OperatorProcess,
    follower: OperatorProcess,
}

const LEADER: &str = "first";
const FOLLOWER: &str = "second";

impl Pair {
    async fn start(context: &Context, prefix: &str) -> Result<Self> {
        let world = World::new(context, prefix).await?;
        context.take_operator().await?.terminate().await;
        let leader = context.cluster.start_operator([format!("--identity={LEADER}")]).await?;
        eventually_held(&world, LEADER).await?;
        let follower = context.cluster.start_operator([format!("--identity={FOLLOWER}")]).await?;
        let pair = Self { world, leader, follower };
        let node = pair.world.node(context, "site").await?;
        pair.world.eventually_stamped(&node, "site").await?;
        ensure!(leads(&pair.leader).await? && !leads(&pair.follower).await?, "not the first leads alone");
        ensure!(writes(&pair.follower).await?.is_empty(), "the follower writes: {:?}", writes(&pair.follower).await?);
        Ok(pair)
    }
}

async fn lease(world: &World) -> Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(world.admin.clone(), NAMESPACE);
    leases.get("rempart").await?.spec.context("the lease is empty")
}

async fn eventually_held(world: &World, by: &str) -> Result<LeaseSpec> {
    let lease = eventually(format!("{by} to hold the lease"), SOON, async || {
        let lease = lease(world).await?;
        ensure!(lease.holder_identity.as_deref() == Some(by), "{:?} holds it", lease.holder_identity);
        anyhow::Ok(lease)
    })
    .await?;
    Ok(lease)
}

async fn metric(operator: &OperatorProcess, name: &str) -> Result<f64> {
    let metrics = operator.get("/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("there is no {name} in {metrics}"))?.parse()?)
}

async fn leads(operator: &OperatorProcess) -> Result<bool> {
    Ok(operator.leads().await?)
}

/// The requests that were sent to write something, by kind and outcome.
async fn writes(operator: &OperatorProcess) -> Result<BTreeMap<String, String>> {
    let metrics = operator.get("/metrics").await?;
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("rempart_writes_total{")?.split_once("} "));
    let sent = lines.filter(|(labels, _)| !labels.contains("refused"));
    Ok(sent.map(|(labels, value)| (labels.to_owned(), value.to_owned())).collect())
}

/// Makes a node, and waits until it is stamped.
async fn eventually_stamps_new_nodes(context: &Context, world: &World) -> Result<()> {
    world.node(context, "gouv").await.map(drop)
}

async fn killed(context: &Context) -> Result<()> {
    let Pair { world, leader, follower } = Pair::start(context, "heir").await?;
    let before = lease(&world).await?;
    leader.kill().await;
    eventually_stamps_new_nodes(context, &world).await?;
    let after = lease(&world).await?;
    ensure!(after.holder_identity.as_deref() == Some(FOLLOWER), "{after:?}");
    ensure!(after.lease_transitions > before.lease_transitions, "{before:?} became {after:?}");
    ensure!(leads(&follower).await?);
    ensure!(metric(&follower, "rempart_lease_transitions_total").await? > 0.0);
    follower.terminate().await;
    context.rempart().await
}

async fn stopped(context: &Context) -> Result<()> {
    let Pair { world, leader, follower } = Pair::start(context, "abdicates").await?;
    let status = leader.terminate().await.context("it did not say how it ended")?;
    ensure!(status.success(), "{status}");
    // Nobody has waited for its end: whoever held it until now has said that it is over.
    ensure!(lease(&world).await?.holder_identity.as_deref() != Some(LEADER), "the lease is not given back");
    eventually_held(&world, FOLLOWER).await?;
    eventually_stamps_new_nodes(context, &world).await?;
    ensure!(follower.terminate().await.is_some_and(|status| status.success()));
    ensure!(lease(&world).await?.holder_identity.is_none(), "{:?}", lease(&world).await?);
    context.rempart().await
}

/// More nodes than observations are taken in at a time: who catches up sees them in parts.
const MANY: usize = 300;

async fn paused(context: &Context) -> Result<()> {
    let Pair { world, leader, follower } = Pair::start(context, "sleeper").await?;
    let node = world.node(context, "gouv").await?;
    nothing_ends(&world.admin).await?;
    let before = settled(async || writes(&leader).await).await?;
    leader.pause();
    eventually_held(&world, FOLLOWER).await?;

    // There is much to write meanwhile, and all of it is written by the other. For whoever wakes up it is news.
    let nodes: Vec<FakeNode> = (0..MANY).map(|_| world.node_spec(context, "gouv")).collect();
    let last = nodes.last().context("no nodes")?.name.clone();
    context.cluster.add_nodes(nodes).await?;
    let mut provider = world.provider("gouv");
    provider["spec"]["offers"][0]["qualifications"] = json!([{"scheme": "hds", "validFrom": "2024-01-01"}]);
    world.apply(provider).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    for node in [&node, &last] {
        world.eventually_stamps(node, &without).await?;
    }
    settled(async || writes(&follower).await).await?;

    leader.resume();
    let cleared = format!("rempart_cleared_pools{{policy=\"{}\",level=\"restricted\",category=\"\"}}", world.id);
    eventually("the paused replica to catch up", SOON, async || {
        for name in ["rempart_nodes", cleared.as_str()] {
            let (here, there) = (metric(&leader, name).await?, metric(&follower, name).await?);
            ensure!((here - there).abs() < 0.5, "{name} is {here}, not {there}");
        }
        ensure!(!leads(&leader).await?, "it leads");
        anyhow::Ok(())
    })
    .await?;
    let after = settled(async || writes(&leader).await).await?;
    ensure!(after == before, "it wrote: {before:?} became {after:?}");
    for node in [&node, &last] {
        world.eventually_stamps(node, &without).await?;
    }
    ensure!(leads(&follower).await?);
    // It has not given up: it is there when it is needed.
    follower.terminate().await;
    eventually_held(&world, LEADER).await?;
    world.apply(world.provider("gouv")).await?;
    world.eventually_stamped(&node, "gouv").await?;
    leader.terminate().await;
    context.rempart().await
}

async fn api_server(context: &Context) -> Result<()> {
    let Pair { world, leader, follower } = Pair::start(context, "interregnum").await?;
    context.cluster.kill(Component::ApiServer).await?;
    eventually("nobody to lead", SOON, async || {
        ensure!(!leads(&leader).await? && !leads(&follower).await?, "one leads");
        anyhow::Ok(())
    })
    .await?;
    context.cluster.start_again(Component::ApiServer).await?;
    eventually("one to lead", SOON, async || {
        let both = (leads(&leader).await?, leads(&follower).await?);
        ensure!(both != (true, true) && both != (false, false), "{both:?}");
        anyhow::Ok(())
    })
    .await?;
    admitting(&world.admin).await?;
    eventually_stamps_new_nodes(context, &world).await?;
    let both = (leads(&leader).await?, leads(&follower).await?);
    ensure!(both.0 != both.1, "{both:?}");
    leader.terminate().await;
    follower.terminate().await;
    context.rempart().await
}

async fn may_not_lead(context: &Context) -> Result<()> {
    let world = World::new(context, "powerless").await?;
    context.take_operator().await?.terminate().await;
    let mut role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "rempart", "namespace": NAMESPACE}});
    role["rules"] = api_of(&world.admin, &role).get("rempart").await?.data["rules"].clone();
    let mut less = role.clone();
    let rules = less["rules"].as_array_mut().context("the Role has no rules")?;
    rules.retain(|rule| rule["resources"] != json!(["leases"]));
    merge(&world.admin, &less, None).await?;
    let healed = async {
        let operator = context.cluster.start_operator::<&str>([]).await?;
        eventually("the log to name the missing permission", SOON, async || {
            let log = std::fs::read_to_string(operator.log())?;
            let sentence = "its Role in rempart-system must allow create on leases of coordination.k8s.io, and get and \
                            update on the one named rempart";
            ensure!(log.contains("the lease rempart-system/rempart") && log.contains(sentence), "{log}");
            ensure!(log.contains("leases.coordination.k8s.io \\\"rempart\\\" is forbidden"), "{log}");
            anyhow::Ok(())
        })
        .await?;
        eventually("it not to lead", SOON, async || {
            ensure!(!leads(&operator).await?, "it does");
            anyhow::Ok(())
        })
        .await?;
        let before = writes(&operator).await?;
        let joins = world.node_spec(context, "site");
        let joined = joins.name.clone();
        context.cluster.add_node(joins).await?;
        ensure!(settled(async || writes(&operator).await).await? == before, "it writes");
        merge(&world.admin, &role, None).await?;
        world.eventually_stamped(&joined, "site").await?;
        operator.terminate().await;
        anyhow::Ok(())
    };
    let healed = healed.await;
    merge(&world.admin, &role, None).await?;
    healed?;
    context.rempart().await
}
