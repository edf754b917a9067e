//! A certificate runs out: what ran by it moves. Later it is renewed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    matrix, moves,
    paper::{Look, Paper},
    people::People,
    settle::{self, Earlier},
    snapshot::{PodView, Snapshot, Subject, Workload},
};
use crate::{ControlPlane, Progress, eventually};
use rempart::operator::clock::{Clock, SystemClock};
use rempart_core::keys;

/// Certificates that may end, the best story first. Which of them are in force depends on the day; the last has
/// no known end.
const CERTIFICATES: [(&str, &str, &str); 3] = [
    ("ovhcloud", "snc-cloud-platform", "secnumcloud"),
    ("s3ns", "premi3ns", "secnumcloud"),
    ("valmont", "server-room", "hds"),
];

/// How long a new certificate may take to reach the nodes and a waiting pod.
const PATIENCE: Duration = Duration::from_mins(1);

/// A certificate that is in force now.
struct Certificate {
    provider: &'static str,
    offer: &'static str,
    scheme: &'static str,
    /// Its place in the object, as a JSON pointer.
    path: String,
    /// The pools that stand on it.
    pools: Vec<String>,
}

impl Certificate {
    fn choose(seen: &Snapshot) -> Result<Self> {
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

/// Ends a certificate, shows what follows, and renews it.
pub(super) async fn print(
    paper: Paper,
    cluster: &ControlPlane,
    people: &People,
    progress: Progress,
    before: Snapshot,
) -> Result<()> {
    let policy = before.policy_name().to_owned();
    let certificate = Certificate::choose(&before)?;
    let Certificate { provider, offer, scheme, path, pools } = &certificate;
    let pool = pools.first().with_context(|| format!("no PlacementPool is of offer {provider}/{offer}"))?;
    let node = before.nodes_of(pool).next().map(|(name, _)| name.to_owned());
    let node = node.with_context(|| format!("pool {pool} has no node"))?;
    let on_pool = |seen: &Snapshot, found: &str| pools.iter().any(|pool| seen.stamp(found, keys::POOL) == Some(pool));

    paper.say(&format!(
        "Suppose that {scheme} of {offer} of {} ran out yesterday, and nobody had it renewed. The security officer records \
         it; nobody touches a node, a workload or the policy:",
        before.providers.get(*provider).and_then(|found| found.spec.display_name.clone()).unwrap_or_default()
    ))?;
    let yesterday = SystemClock.now().timestamp().checked_sub(jiff::SignedDuration::from_hours(24))?.strftime("%F");
    let patch = format!(r#"[{{"op": "add", "path": "{path}/validUntil", "value": "{yesterday}"}}]"#);
    let witness = moves::witness(&cluster.admin());
    paper.command(&people.officer.name, &format!("kubectl patch cloudprovider {provider} --type=json -p '{patch}'"))?;
    let withdrawn = Instant::now();
    people.officer.must(cluster, &["patch", "cloudprovider", provider, "--type=json", "-p", &patch]).await?;

    let lost = matrix::matrix(&before);
    let stamps = eventually("the node to lose its stamps", PATIENCE, async || {
        let seen = Snapshot::read(&cluster.admin(), &policy).await.map_err(|error| format!("{error:#}"))?;
        if matrix::matrix(&seen) == lost {
            return Err("no verdict has changed yet".to_owned());
        }
        let same = stamps(&seen, &node) == stamps(&before, &node);
        if same { Err(format!("{node} still has its stamps")) } else { Ok(withdrawn.elapsed()) }
    })
    .await?;

    let step = progress.step("waiting for what follows");
    let standing: Earlier =
        placed(&before).filter(|(_, node, _)| on_pool(&before, node)).map(|(_, _, uid)| uid).collect();
    let changed = settle::placed(&cluster.admin(), &policy, &step, &standing).await?;
    // The story tells how long it took; the spinner has done its duty.
    drop(step);
    paper.gap()?;
    let differences = matrix::print_difference(paper, &lost, &matrix::matrix(&changed))?;
    ensure!(differences > 0, "the certificate has ended, and no verdict differs");
    let reasons = changed.subjects().into_iter().flat_map(|subject| {
        let now = changed.verdict(pool, &subject).map(|found| found.reasons.clone()).unwrap_or_default();
        let then = before.verdict(pool, &subject).map(|found| found.reasons.clone()).unwrap_or_default();
        now.into_iter().filter(move |reason| !then.contains(reason))
    });
    let reasons: BTreeSet<String> = reasons.map(|reason| reason.message).collect();
    for reason in reasons {
        paper.item("·", &reason)?;
    }

    paper.gap()?;
    let seconds = stamps.as_secs_f64();
    paper.say(&format!("Stamps of node {node}, {seconds:.1} s after the officer entered the command:"))?;
    print_stamps(paper, &before, &changed, &node)?;

    moves::print(paper, cluster, people, progress, &before, &witness).await?;
    back_again(paper, cluster, people, progress, &policy, &certificate).await
}

fn stamps(seen: &Snapshot, node: &str) -> BTreeSet<String> {
    let labels = seen.nodes.get(node).into_iter().flatten();
    labels.filter(|(key, _)| keys::is_stamp(key)).map(|(key, value)| format!("{key}={value}")).collect()
}

fn print_stamps(paper: Paper, before: &Snapshot, after: &Snapshot, node: &str) -> Result<()> {
    let (then, now) = (stamps(before, node), stamps(after, node));
    for stamp in then.union(&now) {
        let (mark, look) = match (then.contains(stamp), now.contains(stamp)) {
            (true, false) => ("-", Look::Bad),
            (false, true) => ("+", Look::Good),
            _ => (" ", Look::Faint),
        };
        paper.item_as(mark, stamp, look)?;
    }
    Ok(())
}

/// The pods that have a node: whose, which node, and their identifiers.
fn placed(seen: &Snapshot) -> impl Iterator<Item = (&Workload, String, String)> {
    let of = |workload| move |pod: &PodView| pod.node.clone().map(|node| (workload, node, pod.uid.clone()));
    seen.workloads.iter().flat_map(move |workload| workload.pods.iter().filter_map(of(workload)))
}

/// Records the certificate again: what waits for it runs, though nobody touches it.
async fn back_again(
    paper: Paper,
    cluster: &ControlPlane,
    people: &People,
    progress: Progress,
    policy: &str,
    certificate: &Certificate,
) -> Result<()> {
    let Certificate { provider, offer, scheme, .. } = certificate;
    let seen = settle::read(&cluster.admin(), policy).await?;
    let waiting: Vec<String> = seen
        .workloads
        .iter()
        .flat_map(|found| &found.pods)
        .filter(|pod| pod.node.is_none())
        .map(|pod| pod.uid.clone())
        .collect();
    let file = format!("deploy/demo/catalogue/{provider}.yaml");
    paper.gap()?;
    paper.say(&format!(
        "Suppose that it is renewed after all. The officer records {scheme} of {offer} again, and nobody restarts anything:"
    ))?;
    paper.command(&people.officer.name, &format!("kubectl apply -f {file}"))?;
    people.officer.must(cluster, &["apply", "-f", &file]).await?;
    let recorded = Instant::now();

    let restored = |seen: &Snapshot| {
        let cleared = seen.subjects().iter().any(|subject: &Subject| {
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
    settle::until(&cluster.admin(), policy, &step, "the stamps to return", restored).await?;
    let after = settle::placed(&cluster.admin(), policy, &step, &Earlier::new()).await?;
    let took = recorded.elapsed();
    drop(step);
    let pods = after.workloads.iter().flat_map(|workload| workload.pods.iter().map(move |pod| (workload, pod)));
    let mut ran = 0_usize;
    for (workload, pod) in pods.filter(|(_, pod)| waiting.contains(&pod.uid)) {
        if let Some(node) = &pod.node {
            ran += 1;
            paper.item("·", &format!("{}/{} waited, and now runs on {node}.", workload.namespace, pod.name))?;
        }
    }
    if ran > 0 {
        paper.say(&format!(
            "That took {:.1} s: pods select what a node is cleared for, never a list of nodes.",
            took.as_secs_f64()
        ))?;
    }
    Ok(())
}
