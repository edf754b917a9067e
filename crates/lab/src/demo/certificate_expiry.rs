//! Expiry of a certificate: the pools that rested on it lose their stamps, and what ran there migrates. It is renewed
//! at the end.
//!
//! It takes the snapshot before the edit, edits one `CloudProvider`, and prints which verdicts, stamps and pods have
//! changed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    actors::DemoActors,
    matrix, migration,
    propagation::{self, RetainedPods},
    snapshot::{ClearanceSubject, ClusterSnapshot, ObservedPod, ObservedWorkload},
};
use crate::{
    ControlPlane, ProgressDisplay, eventually,
    terminal::{TerminalOutput, TextStyle},
};
use rempart::operator::clock::{Clock, SystemClock};
use rempart_core::keys;

/// Certificates that may end, the best story first. Which of them are in force depends on the day; the last has
/// no known end.
const CERTIFICATES: [(&str, &str, &str); 3] = [
    ("ovhcloud", "snc-cloud-platform", "secnumcloud"),
    ("s3ns", "premi3ns", "secnumcloud"),
    ("valmont", "server-room", "hds"),
];

/// Timeout until an edit of a certificate reaches the nodes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A qualification that is in force now, and the pools that rest on it.
struct CertificateInForce {
    provider: &'static str,
    offer: &'static str,
    scheme: &'static str,
    /// JSON pointer to it in the object.
    path: String,
    /// The pools that rest on it.
    pools: Vec<String>,
}

impl CertificateInForce {
    fn choose(seen: &ClusterSnapshot) -> Result<Self> {
        let found = CERTIFICATES.iter().find_map(|(provider, offer, scheme)| {
            let object = seen.providers.get(*provider)?;
            let status = object.status.as_ref()?.offers.iter().find(|found| found.name == *offer)?;
            status.in_force.iter().find(|found| found.scheme == *scheme)?;
            let (o, recorded) = object.spec.offers.iter().enumerate().find(|(_, found)| found.name == *offer)?;
            let q = recorded.qualifications.iter().position(|found| found.scheme == *scheme)?;
            let pools =
                seen.pools.iter().filter(|(_, pool)| pool.spec.provider == *provider && pool.spec.offer == *offer);
            let path = format!("/spec/offers/{o}/qualifications/{q}");
            Some(Self { provider, offer, scheme, path, pools: pools.map(|(name, _)| name.clone()).collect() })
        });
        found.ok_or_else(|| {
            anyhow!("none of the demo's certificates is in force: bring deploy/demo/catalogue up to date")
        })
    }
}

/// Ends a certificate, prints the consequences, and renews it.
pub(super) async fn print(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    before: ClusterSnapshot,
) -> Result<()> {
    let policy = before.policy_name().to_owned();
    let certificate = CertificateInForce::choose(&before)?;
    let CertificateInForce { provider, offer, scheme, path, pools } = &certificate;
    let pool = pools.first().with_context(|| format!("no PlacementPool is of offer {provider}/{offer}"))?;
    let node = before.nodes_of(pool).next().map(|(name, _)| name.to_owned());
    let node = node.with_context(|| format!("pool {pool} has no node"))?;
    let on_pool =
        |seen: &ClusterSnapshot, found: &str| pools.iter().any(|pool| seen.stamp(found, keys::POOL) == Some(pool));

    terminal.say(&format!(
        "Suppose that {scheme} of {offer} of {} ran out yesterday, and nobody had it renewed. The security officer records \
         it; nobody touches a node, a workload or the policy:",
        before.providers.get(*provider).and_then(|found| found.spec.display_name.clone()).unwrap_or_default()
    ))?;
    let yesterday = SystemClock.now().timestamp().checked_sub(jiff::SignedDuration::from_hours(24))?.strftime("%F");
    let patch = format!(r#"[{{"op": "add", "path": "{path}/validUntil", "value": "{yesterday}"}}]"#);
    let readiness = migration::record_readiness(&cluster.admin());
    terminal
        .command(&actors.officer.name, &format!("kubectl patch cloudprovider {provider} --type=json -p '{patch}'"))?;
    let withdrawn = Instant::now();
    actors.officer.must(cluster, &["patch", "cloudprovider", provider, "--type=json", "-p", &patch]).await?;

    let lost = matrix::matrix(&before);
    let stamps = eventually("the node to lose its stamps", PATIENCE, async || {
        let seen = ClusterSnapshot::read(&cluster.admin(), &policy).await.map_err(|error| format!("{error:#}"))?;
        if matrix::matrix(&seen) == lost {
            return Err("no verdict has changed yet".to_owned());
        }
        let same = stamps(&seen, &node) == stamps(&before, &node);
        if same { Err(format!("{node} still has its stamps")) } else { Ok(withdrawn.elapsed()) }
    })
    .await?;

    let step = progress.step("waiting for what follows");
    let standing: RetainedPods =
        placed(&before).filter(|(_, node, _)| on_pool(&before, node)).map(|(_, _, uid)| uid).collect();
    let changed = propagation::pods_placed(&cluster.admin(), &policy, &step, &standing).await?;
    // The story tells how long it took; the spinner has done its duty.
    drop(step);
    terminal.gap()?;
    let differences = matrix::print_difference(terminal, &lost, &matrix::matrix(&changed))?;
    ensure!(differences > 0, "the certificate has ended, and no verdict differs");
    let reasons = changed.subjects().into_iter().flat_map(|subject| {
        let now = changed.verdict(pool, &subject).map(|found| found.reasons.clone()).unwrap_or_default();
        let then = before.verdict(pool, &subject).map(|found| found.reasons.clone()).unwrap_or_default();
        now.into_iter().filter(move |reason| !then.contains(reason))
    });
    let reasons: BTreeSet<String> = reasons.map(|reason| reason.message).collect();
    for reason in reasons {
        terminal.item("·", &reason)?;
    }

    terminal.gap()?;
    let seconds = stamps.as_secs_f64();
    terminal.say(&format!("Stamps of node {node}, {seconds:.1} s after the officer entered the command:"))?;
    print_stamps(terminal, &before, &changed, &node)?;

    migration::print(terminal, cluster, actors, progress, &before, &readiness).await?;
    back_again(terminal, cluster, actors, progress, &policy, &certificate).await
}

fn stamps(seen: &ClusterSnapshot, node: &str) -> BTreeSet<String> {
    let labels = seen.nodes.get(node).into_iter().flatten();
    labels.filter(|(key, _)| keys::is_stamp(key)).map(|(key, value)| format!("{key}={value}")).collect()
}

fn print_stamps(terminal: TerminalOutput, before: &ClusterSnapshot, after: &ClusterSnapshot, node: &str) -> Result<()> {
    let (then, now) = (stamps(before, node), stamps(after, node));
    for stamp in then.union(&now) {
        let (mark, look) = match (then.contains(stamp), now.contains(stamp)) {
            (true, false) => ("-", TextStyle::Bad),
            (false, true) => ("+", TextStyle::Good),
            _ => (" ", TextStyle::Faint),
        };
        terminal.item_as(mark, stamp, look)?;
    }
    Ok(())
}

/// The pods that have a node: whose, which node, and their identifiers.
fn placed(seen: &ClusterSnapshot) -> impl Iterator<Item = (&ObservedWorkload, String, String)> {
    let of = |workload| move |pod: &ObservedPod| pod.node.clone().map(|node| (workload, node, pod.uid.clone()));
    seen.workloads.iter().flat_map(move |workload| workload.pods.iter().filter_map(of(workload)))
}

/// Renews the certificate: pending pods run, though nobody touches them.
async fn back_again(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    policy: &str,
    certificate: &CertificateInForce,
) -> Result<()> {
    let CertificateInForce { provider, offer, scheme, .. } = certificate;
    let seen = propagation::read(&cluster.admin(), policy).await?;
    let waiting: Vec<String> = seen
        .workloads
        .iter()
        .flat_map(|found| &found.pods)
        .filter(|pod| pod.node.is_none())
        .map(|pod| pod.uid.clone())
        .collect();
    let file = format!("deploy/demo/catalogue/{provider}.yaml");
    terminal.gap()?;
    terminal.say(&format!(
        "Suppose that it is renewed after all. The officer records {scheme} of {offer} again, and nobody restarts anything:"
    ))?;
    terminal.command(&actors.officer.name, &format!("kubectl apply -f {file}"))?;
    actors.officer.must(cluster, &["apply", "-f", &file]).await?;
    let recorded = Instant::now();

    let restored = |seen: &ClusterSnapshot| {
        let cleared = seen.subjects().iter().any(|subject: &ClearanceSubject| {
            seen.pools.iter().any(|(name, pool)| {
                pool.spec.provider == *provider
                    && pool.spec.offer == *offer
                    && seen
                        .key(subject)
                        .is_some_and(|key| seen.nodes_of(name).any(|(_, labels)| labels.contains_key(&key)))
                    && certificate.pools.contains(name)
            })
        });
        ensure!(cleared, "{offer} has no stamp back yet");
        anyhow::Ok(())
    };
    let step = progress.step("waiting for the stamps to return");
    propagation::read_until(&cluster.admin(), policy, &step, "the stamps to return", restored).await?;
    let after = propagation::pods_placed(&cluster.admin(), policy, &step, &RetainedPods::new()).await?;
    let took = recorded.elapsed();
    drop(step);
    let pods = after.workloads.iter().flat_map(|workload| workload.pods.iter().map(move |pod| (workload, pod)));
    let mut ran = 0_usize;
    for (workload, pod) in pods.filter(|(_, pod)| waiting.contains(&pod.uid)) {
        if let Some(node) = &pod.node {
            ran += 1;
            terminal.item("·", &format!("{}/{} waited, and now runs on {node}.", workload.namespace, pod.name))?;
        }
    }
    if ran > 0 {
        terminal.say(&format!(
            "That took {:.1} s: pods select what a node is cleared for, never a list of nodes.",
            took.as_secs_f64()
        ))?;
    }
    Ok(())
}
