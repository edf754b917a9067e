//! `rempart-lab chaos`: everything goes wrong for a while, and what must hold is held against what happened.
//!
//! A seed decides what goes wrong and what the load does (`plan`, `load`); how long things take is the machine's. What
//! must hold:
//!
//! * no pod is bound to a node that may not have it, by the [audit log](rempart_audit);
//! * the operator removes pods by eviction alone, so that budgets are asked, and no budget's workload falls below it;
//! * no Deployment has fewer ready pods than its own strategy allows (`floors` says what is discounted);
//! * no workload is lost;
//! * a minute after the last fault every pod that runs stands where it may, or is kept because nothing else could take it.

mod attendance;
mod cluster;
mod dice;
mod floors;
mod kubelet;
mod load;
mod operators;
mod people;
mod plan;
mod snapshot;
mod stage;
mod strike;
mod summary;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::BufReader,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

pub use self::summary::Summary;
use self::{
    attendance::Attendance, dice::Dice, floors::Floors, load::Act, operators::Operators, people::Developers,
    plan::Fault, snapshot::Snapshot, strike::Shaker,
};
use rempart_audit::{Record, Tolerance};

use super::{ControlPlane, Progress, eventually};

/// How long after the last fault everything must be as it should.
const RECOVERY: Duration = Duration::from_mins(1);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides what goes wrong.
    pub seed: u64,
    /// For how long things go wrong.
    pub length: Duration,
    /// How it is shown.
    pub progress: Progress,
}

#[expect(clippy::disallowed_methods, reason = "the run is held against the wall clock of the API server's log")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A seed that nobody has chosen.
pub fn any_seed() -> u64 {
    now().subsec_nanosecond().unsigned_abs().into()
}

/// Runs on a control plane of its own, which ends with it.
///
/// # Errors
/// Whatever did not hold, in full, or whatever kept the run from its end. The control plane's files are kept then.
pub async fn run(settings: Settings) -> Result<Summary> {
    let cluster = stage::boot(settings.progress).await?;
    let outcome = Box::pin(shaken(&cluster, settings))
        .await
        .and_then(|summary| if summary.breaches.is_empty() { Ok(summary) } else { Err(anyhow!("{summary}")) });
    if outcome.is_err() {
        eprintln!("{}", cluster.keep());
    }
    cluster.stop().await;
    outcome
}

async fn shaken(cluster: &ControlPlane, settings: Settings) -> Result<Summary> {
    let client = stage::client(cluster)?;
    let (attendance, floors) = (Attendance::default(), Floors::default());
    let (approvals, restarts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let developers = Developers::new(client.clone(), &floors);
    let operators = stage::set(cluster, &client, settings.progress).await?;
    let mut summary = Summary { settings: Some(settings), ..Summary::default() };
    let story =
        async { tell(cluster, &client, settings, &operators, &attendance, &floors, &developers, &mut summary).await };
    tokio::select! {
        told = story => told?,
        () = floors.watch(cluster.admin(), now) => bail!("the watch of pods ended"),
        () = attendance.follow(&client, &operators) => bail!("nobody looks any more whether somebody leads"),
        () = people::approve(&client, &approvals) => bail!("the officer left"),
        () = kubelet::keep_running(cluster, &restarts) => bail!("the kubelet ended"),
    }
    summary.restarts = restarts.load(Ordering::Relaxed);
    summary.approvals = approvals.load(Ordering::Relaxed);
    let (unattended, longest) = attendance.record();
    summary.unattended = longest;
    summary.unattended_in_all =
        unattended.iter().filter_map(|span| Duration::try_from(span.until.duration_since(span.from)).ok()).sum();
    summary.ready = floors.outcome();
    summary.breaches.append(&mut summary.ready.breaches);
    let log = stage::audit_log(cluster);
    let file = File::open(&log).with_context(|| format!("cannot open {}", log.display()))?;
    let record = Record { unattended, clock: vec![] };
    let findings = rempart_audit::check(BufReader::new(file), &record, Tolerance::default())?;
    summary.breaches.extend(findings.breaches.iter().map(ToString::to_string));
    // An API server that is killed may leave a line torn, and the next one writes on behind it.
    let torn = summary.faults.get("API servers killed").copied().unwrap_or_default();
    if findings.unreadable > torn {
        summary.breaches.push(format!("{} lines of the audit log cannot be read", findings.unreadable));
    }
    if findings.binds == 0 {
        summary.breaches.push("the audit log has no binds: nothing was checked".to_owned());
    }
    summary.findings = findings;
    Ok(summary)
}

#[expect(clippy::too_many_arguments, reason = "these are all who take part")]
async fn tell(
    cluster: &ControlPlane,
    client: &kube::Client,
    settings: Settings,
    operators: &Operators<'_>,
    attendance: &Attendance,
    floors: &Floors,
    developers: &Developers<'_>,
    summary: &mut Summary,
) -> Result<()> {
    let Settings { seed, length, progress } = settings;
    let (first, later): (Vec<_>, Vec<_>) = load::acts(seed, length).into_iter().partition(|(at, _)| at.is_zero());
    let step = progress.step("placing the first workloads");
    for (_, act) in first {
        developers.act(act).await?;
    }
    eventually("the first workloads to be placed", RECOVERY, async || developers.complete().await).await?;
    let kept = stage::pods_of_the_vault(client).await?;
    step.done();

    let mut shaker = Shaker {
        cluster,
        client: client.clone(),
        recorder: stage::recorder(cluster).await?,
        operators,
        attendance,
        floors,
        dice: Dice::new(seed.rotate_left(32)),
        state: world::State::default(),
        parted: BTreeSet::new(),
    };
    shaker.list_all().await?;
    let beginning = Instant::now();
    let (acts, faults) = tokio::try_join!(
        busy(developers, beginning, later),
        shake(&mut shaker, beginning, plan::faults(seed, length), progress)
    )?;
    (summary.acts, summary.faults) = (acts, faults);
    sleep_until(beginning + length).await;

    shaker.rest().await?;
    let last = Instant::now();
    let step = progress.step("waiting until everything is as it should be");
    let whole = eventually("everything to be as it should", RECOVERY, async || {
        let looked = async {
            attendance.restored()?;
            developers.complete().await?;
            let snapshot = Snapshot::read(client, true).await?;
            snapshot.stamps_agree(now())?;
            snapshot.compliant(now())
        };
        looked.await.inspect_err(|error| step.note(&error.to_string()))
    });
    match whole.await {
        Ok(kept) => summary.kept = kept,
        Err(error) => summary.breaches.push(format!("a minute after the last fault: {error}")),
    }
    summary.recovered = last.elapsed();
    step.done();
    if stage::pods_of_the_vault(client).await? != kept {
        summary.breaches.push("a pod that no pool was cleared for any more was not kept".to_owned());
    }
    summary.workloads = developers.number();
    operators.check().await?;
    shaker.list_all().await
}

/// The load, act by act.
async fn busy(developers: &Developers<'_>, beginning: Instant, acts: Vec<(Duration, Act)>) -> Result<usize> {
    let number = acts.len();
    for (at, act) in acts {
        sleep_until(beginning + at).await;
        developers.act(act).await?;
    }
    Ok(number)
}

/// The faults, one by one: each is done before the next.
async fn shake(
    shaker: &mut Shaker<'_>,
    beginning: Instant,
    faults: Vec<(Duration, Fault)>,
    progress: Progress,
) -> Result<BTreeMap<&'static str, usize>> {
    let mut kinds = BTreeMap::new();
    for (at, fault) in faults {
        sleep_until(beginning + at).await;
        if progress != Progress::Silent {
            eprintln!("  {:6.1} s  {fault}", beginning.elapsed().as_secs_f64());
        }
        shaker.strike(fault).await.with_context(|| format!("in the middle of \"{fault}\""))?;
        if let Some(kind) = fault.kind() {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    Ok(kinds)
}
