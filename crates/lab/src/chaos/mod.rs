//! Chaos runs: faults are injected for a while, and invariants are checked against what happened.
//!
//! It takes [`ChaosSettings`] and returns a [`ChaosSummary`]. The seed decides the faults (`fault_schedule`) and the
//! load (`load`); how long things take is the machine's. The invariants:
//!
//! * no pod is bound to a node that may not have it, by the [audit log](rempart_audit);
//! * the operator removes pods by eviction alone, so that budgets are asked, and no budget's workload falls below it;
//! * no Deployment has fewer ready pods than its own strategy allows (`availability` says what is discounted);
//! * no node that may have a pod of a `DaemonSet` is without for long;
//! * no workload is lost;
//! * a minute after the last fault every pod that runs stands where it may, or is kept because nothing else
//!   could take it or only its owner may move it; every `DaemonSet` has all its pods, no pod waits for a key that nobody
//!   demands, no Job has failed, and every record says what is the case.

mod actors;
mod availability;
mod daemon_sets;
mod facts;
mod fault;
mod fault_schedule;
mod inject;
mod kubelet;
mod leader_gaps;
mod load;
mod operators;
mod raw_object;
mod records;
mod requests;
mod settings;
mod setup;
mod skewed_replica;
mod snapshot;
mod summary;
mod wall_clock;
mod webhook;

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::{Instant, sleep_until};

use self::{
    actors::DeveloperActors,
    availability::AvailabilityMonitor,
    daemon_sets::CoverageMonitor,
    fault::InjectedFault,
    inject::{FaultInjector, FaultTargets},
    leader_gaps::LeaderGaps,
    load::LoadAction,
    operators::OperatorReplicas,
    snapshot::ObjectSnapshot,
    wall_clock::now,
};
pub use self::{settings::ChaosSettings, summary::ChaosSummary, wall_clock::any_seed};
use rempart_audit::{AuditTolerance, RunRecord};

use super::{ControlPlane, ProgressDisplay, eventually};

/// Time from the last fault within which every invariant must hold.
const RECOVERY: Duration = Duration::from_mins(1);

/// Runs on a control plane of its own, which ends with it.
///
/// # Errors
/// Whatever did not hold, in full, or whatever kept the run from its end. The control plane's files are kept then.
pub async fn run(settings: ChaosSettings) -> Result<ChaosSummary> {
    let cluster = setup::boot(settings.progress).await?;
    let outcome = Box::pin(run_on(&cluster, settings))
        .await
        .and_then(|summary| if summary.breaches.is_empty() { Ok(summary) } else { Err(anyhow!("{summary}")) });
    if outcome.is_err() {
        eprintln!("{}", cluster.keep());
    }
    cluster.stop().await;
    outcome
}

async fn run_on(cluster: &ControlPlane, settings: ChaosSettings) -> Result<ChaosSummary> {
    let client = setup::client(cluster)?;
    let (leader_gaps, availability) = (LeaderGaps::default(), AvailabilityMonitor::default());
    let coverage = CoverageMonitor::default();
    let [approvals, restarts, reverted] = [const { AtomicUsize::new(0) }; 3];
    let developers = DeveloperActors::new(client.clone(), &availability);
    let operators = setup::populate(cluster, &client, settings.progress).await?;
    let mut summary = ChaosSummary { settings: Some(settings), ..ChaosSummary::default() };
    let story = async {
        drive(cluster, &client, settings, &operators, &leader_gaps, &availability, &developers, &mut summary).await
    };
    tokio::select! {
        told = story => told?,
        () = availability.watch(cluster.admin(), now) => bail!("the watch of pods ended"),
        () = leader_gaps.follow(&client, &operators) => bail!("nobody looks any more whether somebody leads"),
        () = coverage.follow(&client, &leader_gaps) => bail!("nobody looks any more at DaemonSets"),
        () = actors::revert_notes(&client, &reverted) => bail!("the owner that reverts left"),
        () = actors::approve_moves(&client, &approvals) => bail!("the officer left"),
        () = kubelet::keep_running(cluster, &restarts) => bail!("the kubelet ended"),
    }
    summary.restarts = restarts.load(Ordering::Relaxed);
    summary.reverted = reverted.load(Ordering::Relaxed);
    summary.approvals = approvals.load(Ordering::Relaxed);
    let (gaps, longest) = leader_gaps.report();
    summary.unattended = longest;
    summary.unattended_in_all =
        gaps.iter().filter_map(|span| Duration::try_from(span.until.duration_since(span.from)).ok()).sum();
    summary.ready = availability.outcome();
    summary.breaches.append(&mut summary.ready.breaches);
    summary.coverage = coverage.outcome();
    summary.breaches.append(&mut summary.coverage.breaches);
    let log = setup::audit_log(cluster);
    let file = File::open(&log).with_context(|| format!("cannot open {}", log.display()))?;
    let uninstalled = std::mem::take(&mut summary.uninstalled);
    let record = RunRecord { leader_gaps: gaps, uninstalled, clock: vec![] };
    let findings = rempart_audit::check(BufReader::new(file), &record, AuditTolerance::default())?;
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
async fn drive(
    cluster: &ControlPlane,
    client: &kube::Client,
    settings: ChaosSettings,
    operators: &OperatorReplicas<'_>,
    leader_gaps: &LeaderGaps,
    availability: &AvailabilityMonitor,
    developers: &DeveloperActors<'_>,
    summary: &mut ChaosSummary,
) -> Result<()> {
    let ChaosSettings { seed, length, progress } = settings;
    let (first, later): (Vec<_>, Vec<_>) = load::acts(seed, length).into_iter().partition(|(at, _)| at.is_zero());
    let step = progress.step("placing the first workloads");
    for (_, act) in first {
        developers.act(act).await?;
    }
    eventually("the first workloads to be placed", RECOVERY, async || developers.complete().await).await?;
    let kept = setup::pods_of_the_vault(client).await?;
    step.done();

    let recorder = setup::recorder(cluster).await?;
    let targets = FaultTargets { cluster, client: client.clone(), recorder, operators, leader_gaps, availability };
    let mut injector = FaultInjector::new(targets, seed).await?;
    injector.list_all().await?;
    let beginning = Instant::now();
    let (acts, faults) = tokio::try_join!(
        apply_load(developers, beginning, later),
        inject_faults(&mut injector, beginning, fault_schedule::faults(seed, length), progress)
    )?;
    (summary.acts, summary.faults) = (acts, faults);
    sleep_until(beginning + length).await;

    injector.restore_all().await?;
    let last = Instant::now();
    let step = progress.step("waiting until everything is as it should be");
    let whole = eventually("everything to be as it should", RECOVERY, async || {
        let looked = async {
            leader_gaps.ensure_closed()?;
            developers.complete().await?;
            ObjectSnapshot::read(client, true).await?.sound(now())
        };
        looked.await.inspect_err(|error| step.note(&error.to_string()))
    });
    match whole.await {
        Ok(counted) => (summary.kept, summary.records) = counted,
        Err(error) => summary.breaches.push(format!("after the last fault: {error}")),
    }
    summary.recovered = last.elapsed();
    step.done();
    if setup::pods_of_the_vault(client).await? != kept {
        summary.breaches.push("a pod that no pool was cleared for any more was not kept".to_owned());
    }
    summary.workloads = developers.number();
    summary.uninstalled = injector.uninstalled();
    operators.check().await?;
    injector.list_all().await
}

/// The load, act by act.
async fn apply_load(
    developers: &DeveloperActors<'_>,
    beginning: Instant,
    acts: Vec<(Duration, LoadAction)>,
) -> Result<usize> {
    let number = acts.len();
    for (at, act) in acts {
        sleep_until(beginning + at).await;
        developers.act(act).await?;
    }
    Ok(number)
}

/// The faults, one by one: each is done before the next.
async fn inject_faults(
    injector: &mut FaultInjector<'_>,
    beginning: Instant,
    faults: Vec<(Duration, InjectedFault)>,
    progress: ProgressDisplay,
) -> Result<BTreeMap<&'static str, usize>> {
    let mut kinds = BTreeMap::new();
    for (at, fault) in faults {
        sleep_until(beginning + at).await;
        if progress != ProgressDisplay::Silent {
            eprintln!("  {:6.1} s  {fault}", beginning.elapsed().as_secs_f64());
        }
        injector.inject(fault).await.with_context(|| format!("in the middle of \"{fault}\""))?;
        if let Some(kind) = fault.kind() {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    Ok(kinds)
}
