//! A run: two replicas of `rempart run`, one of `rempart run-admission`, and a cluster in which things happen.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use rempart::{
    admission::{AdmissionSettings, MutationMode, installed::objects_of_release},
    operator::{self, MoveLimits, Options, component::OperatorComponent, lease::LeaseDuration},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    controllers,
    invariants::Witness,
    link::{ReplicaLink, client},
    mutation::EXEMPT,
    seeded::SeededRng,
    server::ApiServer,
    sim_clock::{Epoch, MachineClock},
    story::{self, StoryTeller},
};

/// For how long things happen, and for how long then nothing does.
const STORY: Duration = Duration::from_mins(2);
const QUIET: Duration = Duration::from_mins(3);
/// For so long at the end nothing may be written.
const SILENCE: Duration = Duration::from_secs(30);
/// How often controllers look.
const TICK: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    /// What did not hold.
    pub violations: Vec<String>,
    /// What happened, in order.
    pub story: Vec<String>,
    /// How many writes of the operator were carried out.
    pub writes: usize,
    /// A digest of every object at the end, and of its version: the same for the same seed.
    pub digest: u64,
}

/// Runs what `seed` decides.
///
/// # Errors
/// When the run itself cannot be made.
pub fn run_seed(seed: u64) -> anyhow::Result<RunOutcome> {
    // What draws from the thread's own generator, as waits with jitter do, draws what the seed decides.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(run(seed))
}

struct Replica {
    link: Arc<ReplicaLink>,
    clock: MachineClock,
    component: OperatorComponent,
    task: Option<JoinHandle<Result<(), operator::Error>>>,
}

impl Replica {
    fn start(&mut self, server: &Arc<ApiServer>, witness: &Arc<Witness>) {
        let client = client(Arc::clone(server), Arc::clone(&self.link), Arc::clone(witness));
        let options = Options {
            component: self.component,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            webhook_listen: None,
            namespace: "rempart-system".to_owned(),
            identity: self.link.identity.clone(),
            lease: LeaseDuration::default(),
            admission: AdmissionSettings {
                exempt: EXEMPT.map(str::to_owned).to_vec(),
                schedulers: vec!["system:kube-scheduler".to_owned()],
                ..AdmissionSettings::default()
            },
            limits: MoveLimits::default(),
            history: false,
        };
        let clock = Arc::new(self.clock.clone());
        self.task = Some(tokio::spawn(operator::run(client, options, clock, CancellationToken::new())));
    }

    /// Dies as a process does that is killed.
    fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Whether it ended though nobody asked it to.
    fn has_ended(&self) -> bool {
        self.task.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

async fn run(seed: u64) -> anyhow::Result<RunOutcome> {
    let mut dice = SeededRng::new(seed);
    let epoch = Epoch::at(story::BEGIN.parse().context("the beginning")?);
    let server = Arc::new(ApiServer::new(epoch));
    let witness = Arc::new(Witness::default());
    let is_rough = Arc::new(AtomicBool::new(true));
    let exempt = EXEMPT.map(str::to_owned);
    let installed = objects_of_release("rempart-system", &exempt, &MutationMode::Policies)?;
    server.change(|state| story::begin(state, installed));

    let mut replicas: Vec<Replica> = [("one", 0), ("two", 0), ("keeper", 1)]
        .into_iter()
        .map(|(identity, half)| {
            let component = if half == 0 { OperatorComponent::Placement } else { OperatorComponent::Admission };
            Replica {
                link: Arc::new(ReplicaLink::new(identity, component.name(), dice.fork(), Arc::clone(&is_rough))),
                clock: MachineClock::new(epoch, dice.millis(1_000..1_000_000)),
                component,
                task: None,
            }
        })
        .collect();
    for replica in &mut replicas {
        replica.start(&server, &witness);
    }
    let ticking = tokio::spawn(tick(Arc::clone(&server), Arc::clone(&witness), dice.fork()));

    let mut told: Vec<(Duration, String)> = Vec::new();
    let mut teller = StoryTeller::new(dice.fork());
    while epoch.elapsed() < STORY {
        tokio::time::sleep(dice.millis(500..9_000)).await;
        let what = if dice.happens(250) {
            harm(&mut replicas, &mut dice, &server, &witness).await
        } else {
            server.change(|state| teller.act(state))
        };
        told.push((epoch.elapsed(), what));
        if let Some(ended) = replicas.iter().find(|replica| replica.has_ended()) {
            told.push((epoch.elapsed(), format!("replica {} ended", ended.link.identity)));
        }
    }
    is_rough.store(false, Ordering::Relaxed);
    for replica in &mut replicas {
        replica.clock.set_ahead(0);
        replica.link.set_cut(false);
        if replica.task.is_none() || replica.has_ended() {
            replica.start(&server, &witness);
        }
    }
    tokio::time::sleep(QUIET).await;
    witness.settled(&server.state());
    let mut violations = witness.violations();
    if let Some((ago, what)) = witness.last_write().filter(|(ago, _)| *ago < SILENCE) {
        violations.push(format!("{what:?} was written {ago:?} before the end, long after anything happened"));
    }
    for replica in replicas.iter().filter(|replica| replica.has_ended()) {
        violations.push(format!("replica {} ended", replica.link.identity));
    }
    ticking.abort();
    let digest = digest(&server);
    told.extend(witness.log().into_iter().map(|(at, write)| (at, format!("  {write}"))));
    told.sort_by_key(|(at, _)| *at);
    let story = told.into_iter().map(|(at, what)| format!("{:8.3} s: {what}", at.as_secs_f64())).collect();
    Ok(RunOutcome { violations, story, writes: witness.writes(), digest })
}

fn digest(server: &ApiServer) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for (key, object) in &server.state().objects {
        (key, object.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Controllers, and whoever sees that everything holds.
async fn tick(server: Arc<ApiServer>, witness: Arc<Witness>, mut dice: SeededRng) {
    let mut count = 0_u32;
    loop {
        tokio::time::sleep(TICK).await;
        server.change(|state| controllers::tick(state, &mut dice));
        count = count.wrapping_add(1);
        if count.is_multiple_of(2) {
            witness.look(&server.state());
        }
    }
}

/// Does something to a replica or its machine, for a while.
async fn harm(
    replicas: &mut [Replica],
    dice: &mut SeededRng,
    server: &Arc<ApiServer>,
    witness: &Arc<Witness>,
) -> String {
    let at = dice.below(replicas.len());
    let Some(replica) = replicas.get_mut(at) else { return String::new() };
    let name = replica.link.identity.clone();
    let long = dice.millis(500..15_000);
    match dice.below(3) {
        0 => {
            replica.kill();
            tokio::time::sleep(long).await;
            replica.start(server, witness);
            format!("{name} was killed, and back after {long:?}")
        }
        1 => {
            replica.link.set_cut(true);
            tokio::time::sleep(long).await;
            replica.link.set_cut(false);
            format!("{name} was cut off for {long:?}")
        }
        _ => {
            let ahead = dice.pick(&[-600_000, -90_000, -20_000, 20_000, 90_000, 600_000]).unwrap_or_default();
            replica.clock.set_ahead(ahead);
            tokio::time::sleep(long).await;
            replica.clock.set_ahead(0);
            format!("the clock of {name} was {ahead} ms ahead for {long:?}")
        }
    }
}
