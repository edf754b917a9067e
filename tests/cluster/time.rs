//! Certificates begin and end while nobody looks. The operator runs within the trial, with a clock that the trial turns.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::{PatchParams, WatchEvent, WatchParams},
    client::Body,
    config::KubeConfigOptions,
};
use rempart::{
    admission::{AdmissionSettings, MutationMode},
    api::{CloudProvider, PlacementPolicy, PlacementPool},
    operator::{
        self,
        clock::{Clock, SystemClock},
        component::OperatorComponent,
    },
};
use rempart_core::instant::Timestamp;
use rempart_lab::{OperatorProcess, eventually};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalogue::eventually_verdict,
    harness::{Context, Trial},
    world::{SOON, World},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::serial("time::a_clearance_ends_with_the_last_day_of_its_certificate", ends),
        Trial::serial("time::a_clearance_begins_with_the_first_day_of_its_certificate", begins),
        Trial::serial("time::successors_without_a_gap_do_not_flap", successors),
        Trial::serial("time::a_pool_is_withdrawn_in_its_lead_time_and_the_last_one_kept", lead),
        Trial::new("time::a_clock_that_is_wrong_is_refused", wrong_clock),
        Trial::serial("time::by_a_clock_that_goes_wrong_nothing_is_written_until_it_is_right", goes_wrong),
    ]
}

/// A clock that stands still until it is turned.
pub(crate) struct TrialClock(watch::Sender<Timestamp>);

impl TrialClock {
    pub(crate) fn turn(&self, time: &str) -> Result<()> {
        self.0.send_replace(instant(time)?);
        Ok(())
    }
}

fn instant(time: &str) -> Result<Timestamp> {
    Ok(time.parse::<jiff::Timestamp>().with_context(|| format!("{time} is no time"))?.into())
}

impl Clock for TrialClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    // Leases are not what is tried here.
    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }

    fn sleep_until(&self, instant: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            // The clock outlives those who sleep by it.
            let _ = time.wait_for(|now| *now >= instant).await;
        })
    }
}

/// An operator of which `rempart run` is within this process.
pub(crate) struct Within {
    /// The rest of it, which has no clock to turn.
    _admission: OperatorProcess,
    stop: CancellationToken,
    task: JoinHandle<Result<(), operator::Error>>,
    listen: std::net::SocketAddr,
}

/// `client`, but that its answers have the time of `clock`.
fn agreeing(client: Client, clock: Arc<TrialClock>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, clock) = (client.clone(), Arc::clone(&clock));
        async move {
            let mut answer = client.send(request).await?;
            let date = clock.now().timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            answer.headers_mut().insert(http::header::DATE, date.parse()?);
            Ok::<_, tower::BoxError>(answer)
        }
    });
    Client::new(service, namespace)
}

impl Within {
    /// Starts one in the place of the shared operator, and turns its clock to `time` when it has seen everything: at
    /// its start it compares its clock with the API server's.
    pub(crate) async fn start(context: &Context, time: &str) -> Result<(Self, Arc<TrialClock>)> {
        let (this, clock) = Self::beside(context, false).await?;
        clock.turn(time)?;
        Ok((this, clock))
    }

    /// The same with the time of this machine. API servers tell it the time that its clock has, or if they are `truthful`
    /// their own.
    async fn beside(context: &Context, truthful: bool) -> Result<(Self, Arc<TrialClock>)> {
        let operator = context.take_operator().await?;
        operator.terminate_placement().await;
        let kubeconfig = context.cluster.service_account_kubeconfig("rempart-system", "rempart").await?;
        let kubeconfig = kube::config::Kubeconfig::read_from(&kubeconfig)?;
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let listen = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let options = operator::Options {
            component: OperatorComponent::Placement,
            listen,
            webhook_listen: None,
            namespace: "rempart-system".to_owned(),
            identity: "trial".to_owned(),
            lease: operator::lease::LeaseDuration::default(),
            admission: AdmissionSettings {
                exempt: ["kube-system", "kube-public", "kube-node-lease"].map(str::to_owned).into(),
                schedulers: vec!["system:kube-scheduler".to_owned()],
                ..AdmissionSettings::default()
            },
            limits: operator::MoveLimits::default(),
            history: false,
        };
        let stop = CancellationToken::new();
        let clock = Arc::new(TrialClock(watch::Sender::new(SystemClock.now())));
        let client = Client::try_from(config)?;
        let client = if truthful { client } else { agreeing(client, Arc::clone(&clock)) };
        let task = tokio::spawn(operator::run(client, options, Arc::clone(&clock) as Arc<dyn Clock>, stop.clone()));
        let this = Self { _admission: operator, stop, task, listen };
        eventually("the operator to be ready", SOON, async || {
            let answer = this.get("/readyz").await?;
            ensure!(answer.contains(" 200 OK"), "{answer}");
            anyhow::Ok(())
        })
        .await?;
        Ok((this, clock))
    }

    /// What it answers at `path`.
    async fn get(&self, path: &str) -> Result<String> {
        let mut stream = tokio::net::TcpStream::connect(self.listen).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.stop.cancel();
        Ok((&mut self.task).await??)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The offer behind the pool, with these terms of its secnumcloud.
fn certified(world: &World, pool: &str, terms: &[(&str, Option<&str>)]) -> Value {
    let mut provider = world.provider(pool);
    let terms = terms.iter().map(|(from, until)| match until {
        Some(until) => json!({"scheme": "secnumcloud", "validFrom": from, "validUntil": until, "reference": "N-1"}),
        None => json!({"scheme": "secnumcloud", "validFrom": from}),
    });
    let hds = json!({"scheme": "hds", "validFrom": "2024-01-01"});
    provider["spec"]["offers"][0]["qualifications"] = terms.chain((pool == "gouv").then_some(hds)).collect();
    provider
}

/// When the statuses say that something changes next: of the policy, the pool and the provider.
async fn announced(world: &World, pool: &str) -> Result<[Option<String>; 3]> {
    let name = world.named(pool);
    let text = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| time.map(|time| time.0.to_string());
    let policy = Api::<PlacementPolicy>::all(world.admin.clone()).get(&world.id).await?.status.unwrap_or_default();
    let found = Api::<PlacementPool>::all(world.admin.clone()).get(&name).await?.status.unwrap_or_default();
    let provider = Api::<CloudProvider>::all(world.admin.clone()).get(&name).await?.status.unwrap_or_default();
    Ok([text(policy.next_change), text(found.next_expiry), text(provider.next_expiry)])
}

async fn eventually_announced(world: &World, pool: &str, expected: [Option<&str>; 3]) -> Result<()> {
    eventually("the next change to be announced", SOON, async || {
        let found = announced(world, pool).await?;
        ensure!(found.each_ref().map(Option::as_deref) == expected, "it is {found:?} instead of {expected:?}");
        anyhow::Ok(())
    })
    .await?;
    Ok(())
}

async fn ends(context: &Context) -> Result<()> {
    let world = World::new(context, "ends").await?;
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30"))])).await?;
    let node = world.node(context, "gouv").await?;
    let (operator, clock) = Within::start(context, "2030-06-30T12:00:00Z").await?;
    let end = Some("2030-07-01T00:00:00Z");
    eventually_announced(&world, "gouv", [end; 3]).await?;
    world.eventually_stamped(&node, "gouv").await?;

    clock.turn("2030-06-30T23:59:59Z")?;
    let nodes: Api<Node> = Api::all(world.admin.clone());
    let version = crate::world::settled(async || Ok(nodes.get(&node).await?.resource_version())).await?;
    world.eventually_stamped(&node, "gouv").await?;

    clock.turn("2030-07-01T00:00:00Z")?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    world.eventually_stamps(&node, &without).await?;
    ensure!(nodes.get(&node).await?.resource_version() != version);
    eventually_announced(&world, "gouv", [None; 3]).await?;
    let message = format!(
        "secnumcloud qualification N-1 of offer {}/iaas ended on 2030-06-30; level restricted of policy {} requires one in force: \
         record its renewal, or use another offer",
        world.named("gouv"),
        world.id
    );
    eventually_verdict(&world, "gouv", "restricted", false, &[("QualificationExpired", &message)]).await?;

    // A renewal that is recorded late.
    world
        .apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30")), ("2030-07-01", Some("2033-06-30"))]))
        .await?;
    world.eventually_stamped(&node, "gouv").await?;
    // A clock that is years ahead at once, as after a long sleep of the machine.
    clock.turn("2044-01-01T00:00:00Z")?;
    world.eventually_stamps(&node, &without).await?;
    operator.end().await
}

async fn begins(context: &Context) -> Result<()> {
    let world = World::new(context, "begins").await?;
    world.apply(certified(&world, "gouv", &[("2031-03-01", None)])).await?;
    context.cluster.add_node(world.node_spec(context, "gouv")).await?;
    let node = world.nodes_of(&["gouv"]).await?.pop_first().context("no node")?;
    let (operator, clock) = Within::start(context, "2031-02-28T00:00:00Z").await?;
    eventually_announced(&world, "gouv", [Some("2031-03-01T00:00:00Z"), None, None]).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    world.eventually_stamps(&node, &without).await?;
    let message = format!(
        "secnumcloud qualification of offer {}/iaas begins on 2031-03-01; level restricted of policy {} requires one in force: wait \
         for that day, or use another offer",
        world.named("gouv"),
        world.id
    );
    eventually_verdict(&world, "gouv", "restricted", false, &[("QualificationNotYetValid", &message)]).await?;
    clock.turn("2031-03-01T00:00:00Z")?;
    world.eventually_stamped(&node, "gouv").await?;
    eventually_announced(&world, "gouv", [None; 3]).await?;
    operator.end().await
}

async fn successors(context: &Context) -> Result<()> {
    let world = World::new(context, "renewed").await?;
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30")), ("2030-07-01", None)])).await?;
    // Beside it one with a gap of a day.
    world
        .apply(certified(&world, "site", &[("2024-01-01", Some("2030-06-30")), ("2030-07-02", Some("2035-12-31"))]))
        .await?;
    let renewed = world.node(context, "gouv").await?;
    let late = world.node(context, "site").await?;
    let (operator, clock) = Within::start(context, "2030-06-30T12:00:00Z").await?;
    eventually_announced(&world, "gouv", [Some("2030-07-01T00:00:00Z"), None, None]).await?;
    let nodes: Api<Node> = Api::all(world.admin.clone());
    let version = nodes.get(&renewed).await?.resource_version().context("no version")?;
    let params = WatchParams::default().fields(&format!("metadata.name={renewed}"));
    let changes = nodes.watch(&params, &version).await?;
    pin_mut!(changes);

    let mut lapsed = world.stamps("site");
    lapsed.retain(|key, _| !key.ends_with(".restricted") && !key.ends_with(".secret"));
    clock.turn("2030-07-01T00:00:00Z")?;
    world.eventually_stamps(&late, &lapsed).await?;
    eventually_announced(&world, "site", [Some("2030-07-02T00:00:00Z"), None, None]).await?;
    clock.turn("2030-07-02T00:00:00Z")?;
    world.eventually_stamped(&late, "site").await?;
    let end = Some("2036-01-01T00:00:00Z");
    eventually_announced(&world, "site", [end; 3]).await?;
    operator.end().await?;

    // Nobody wrote to the other node but this mark, at the very end.
    let mark = json!({"metadata": {"annotations": {"mark": "here"}}});
    nodes.patch(&renewed, &PatchParams::default(), &kube::api::Patch::Merge(&mark)).await?;
    while let Some(change) = changes.next().await {
        if let WatchEvent::Modified(node) = change? {
            ensure!(node.annotations().contains_key("mark"), "the operator wrote: {:?}", node.metadata);
            return Ok(());
        }
    }
    anyhow::bail!("the watch ended before the mark was seen")
}

/// The policy of `world` whose level `restricted` does `action`, 30 days ahead.
fn with_lead(world: &World, action: &str) -> Value {
    let mut policy = world.policy();
    policy["spec"]["levels"][2]["onClearanceLoss"] = json!({"action": action, "leadTime": "720h"});
    policy
}

async fn lead(context: &Context) -> Result<()> {
    let world = World::new(context, "lead").await?;
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30"))])).await?;
    let (gouv, site) = (world.node(context, "gouv").await?, world.node(context, "site").await?);
    world.apply(with_lead(&world, "Migrate")).await?;
    let (operator, clock) = Within::start(context, "2030-05-31T23:59:59Z").await?;
    eventually("the beginning of the lead time to be announced", SOON, async || {
        let [next, ..] = announced(&world, "gouv").await?;
        ensure!(next.as_deref() == Some("2030-06-01T00:00:00Z"), "it is {next:?}");
        anyhow::Ok(())
    })
    .await?;
    world.eventually_condition("QualificationEnding", "False", "NoneEnding").await?;
    world.eventually_stamped(&gouv, "gouv").await?;

    clock.turn("2030-06-01T00:00:00Z")?;
    let without = |pool: &str| {
        let mut stamps = world.stamps(pool);
        stamps.remove(&world.clearance("restricted"));
        stamps
    };
    world.eventually_stamps(&gouv, &without("gouv")).await?;
    world.eventually_stamped(&site, "site").await?;
    let ends = |pool: &str, day: &str, what: &str| {
        format!(
            "secnumcloud qualification N-1 of offer {named}/iaas, on which pool {named} stands, ends on {day}; level restricted \
             of policy {} has a lead time of 30 days, {what}",
            world.id,
            named = world.named(pool)
        )
    };
    let withdrawn = "so that new pods go to pools that outlast it: record its renewal, and the pool is taken back";
    let message = ends("gouv", "2030-06-30", withdrawn);
    eventually_verdict(&world, "gouv", "restricted", true, &[("QualificationEnding", &message)]).await?;
    let said = world.eventually_condition("QualificationEnding", "True", "PoolsLeaving").await?;
    ensure!(said == message, "{said}");
    let policy = Api::<PlacementPolicy>::all(world.admin.clone()).get(&world.id).await?.status.unwrap_or_default();
    let restricted = policy.levels.iter().find(|level| level.name == "restricted").context("no such level")?;
    ensure!(restricted.cleared_pools.len() == 2, "clearance itself stays: {restricted:?}");
    ensure!(restricted.leaving_pools == [world.named("gouv")], "{restricted:?}");

    // A renewal takes the pool back.
    let renewed = [("2024-01-01", Some("2030-06-30")), ("2030-07-01", None)];
    world.apply(certified(&world, "gouv", &renewed)).await?;
    world.eventually_stamped(&gouv, "gouv").await?;
    world.eventually_condition("QualificationEnding", "False", "NoneEnding").await?;

    // Of two that end, the last one is kept. For the level above there is no other pool at all.
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30"))])).await?;
    world.apply(certified(&world, "site", &[("2024-01-01", Some("2030-06-20"))])).await?;
    world.eventually_stamps(&site, &without("site")).await?;
    world.eventually_stamped(&gouv, "gouv").await?;
    let said = world.eventually_condition("QualificationEnding", "True", "LastPoolEnding").await?;
    let kept = "but no pool with nodes outlasts it, so that it is kept: record its renewal, or add a pool";
    ensure!(said.contains(&ends("gouv", "2030-06-30", kept)), "{said}");
    eventually_verdict(
        &world,
        "gouv",
        "restricted",
        true,
        &[("QualificationEnding", &ends("gouv", "2030-06-30", kept))],
    )
    .await?;

    // Whoever only wants to be told keeps every pool.
    world.apply(with_lead(&world, "Report")).await?;
    world.eventually_stamped(&site, "site").await?;
    let reported = ends("site", "2030-06-20", "and only reports it: record its renewal");
    eventually_verdict(&world, "site", "restricted", true, &[("QualificationEnding", &reported)]).await?;
    operator.end().await
}

async fn wrong_clock(context: &Context) -> Result<()> {
    let clock = TrialClock(watch::Sender::new(instant("2031-02-28T00:00:00Z")?));
    let refused = operator::preflight::check(&context.cluster.admin(), &clock, &MutationMode::Policies).await;
    let said = refused.err().context("a clock years ahead is accepted")?.to_string();
    ensure!(said.starts_with("this machine's clock says 2031-02-28T00:00:00Z, the API server's "), "{said}");
    ensure!(said.contains("correct the clock"), "{said}");
    operator::preflight::check(&context.cluster.admin(), &SystemClock, &MutationMode::Policies).await?;
    Ok(())
}

async fn goes_wrong(context: &Context) -> Result<()> {
    let world = World::new(context, "skewed").await?;
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2030-06-30"))])).await?;
    let node = world.node(context, "gouv").await?;
    let (operator, clock) = Within::beside(context, true).await?;
    let eventually_leads = async |leads: bool| {
        eventually(format!("it to lead: {leads}"), SOON, async || {
            let said = operator.get("/metrics").await?;
            let leader = format!("rempart_leader{{component=\"placement\"}} {}", u32::from(leads));
            ensure!(said.contains(&leader), "{said}");
            anyhow::Ok(said)
        })
        .await
    };
    eventually_leads(true).await?;
    world.eventually_stamped(&node, "gouv").await?;
    // As by it the certificate has ended.
    clock.turn("2031-01-01T00:00:00Z")?;
    let said = eventually_leads(false).await?;
    let skew = said.lines().find_map(|line| line.strip_prefix("rempart_clock_skew_seconds ")).context("no skew")?;
    ensure!(skew.parse::<i64>()? > 60, "{skew}");
    // What others declare meanwhile is not acted on.
    let nodes: Api<Node> = Api::all(world.admin.clone());
    world.apply(certified(&world, "gouv", &[("2024-01-01", Some("2025-06-30"))])).await?;
    let version = crate::world::settled(async || Ok(nodes.get(&node).await?.resource_version())).await?;
    clock.0.send_replace(SystemClock.now());
    eventually_leads(true).await?;
    let mut without = world.stamps("gouv");
    without.remove(&world.clearance("restricted"));
    world.eventually_stamps(&node, &without).await?;
    ensure!(nodes.get(&node).await?.resource_version() != version);
    operator.end().await
}
