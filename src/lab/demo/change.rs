//! A fact changes: a certificate is withdrawn, and later recorded again.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    matrix,
    paper::{Look, Paper, counted, listed},
    people::People,
    places,
    settle::{self, Earlier},
    snapshot::{PodView, Snapshot, Subject, Workload},
};
use crate::{
    core::keys,
    lab::{ControlPlane, Progress, eventually},
};

/// Certificates that may be withdrawn, the best story first. Which of them are in force depends on the day; the last has
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

/// Withdraws a certificate, shows what follows, records it again, and returns what the cluster is like then.
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
        "Suppose that {scheme} is withdrawn from {offer} of {}. The security officer takes it out of the CloudProvider; nobody \
         touches a node, a workload or the policy:",
        before.providers.get(*provider).and_then(|found| found.spec.display_name.clone()).unwrap_or_default()
    ))?;
    let patch = format!(r#"[{{"op": "remove", "path": "{path}"}}]"#);
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
    ensure!(differences > 0, "the certificate was withdrawn, and no verdict differs");
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

    running_pods(paper, &before, &changed, &standing)?;
    new_pods(paper, cluster, people, progress, &policy, &changed, pools, &standing).await?;
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

/// What becomes of pods that run where they may no longer.
fn running_pods(paper: Paper, before: &Snapshot, after: &Snapshot, standing: &Earlier) -> Result<()> {
    let misplaced = |workload: &Workload, node: &str| !after.carries(node, &workload.need.keys);
    let mut ended: Vec<String> = Vec::new();
    let mut stay: Vec<String> = Vec::new();
    for (workload, node, uid) in
        placed(before).filter(|(workload, node, uid)| standing.contains(uid) && misplaced(workload, node))
    {
        let still = after.workloads.iter().flat_map(|found| &found.pods).find(|pod| pod.uid == uid);
        match still {
            Some(pod) if pod.finished => {}
            Some(pod) => stay.push(format!("{}/{} on {node}", workload.namespace, pod.name)),
            None => {
                ensure!(workload.kind == "DaemonSet", "a pod of {} is gone, and nobody moves pods", workload.title());
                ended.push(format!("{} on {node}", workload.title()));
            }
        }
    }
    ended.sort_unstable();
    paper.gap()?;
    if !ended.is_empty() {
        paper.say(
            "Kubernetes itself has ended the pods of DaemonSets on nodes that their template no longer selects:",
        )?;
        ended.iter().try_for_each(|pod| paper.item("·", pod))?;
    }
    if !ended.is_empty() && !stay.is_empty() {
        paper.gap()?;
    }
    if !stay.is_empty() {
        paper.say(
            "Running pods stay where they are: this version does not move them, and the scheduler never does. These \
             run where they could no longer start:",
        )?;
        stay.iter().try_for_each(|pod| paper.item("·", pod))?;
    }
    Ok(())
}

/// Makes pods anew, and shows where they go.
#[expect(clippy::too_many_arguments, reason = "one scene of a play, private to it")]
async fn new_pods(
    paper: Paper,
    cluster: &ControlPlane,
    people: &People,
    progress: Progress,
    policy: &str,
    seen: &Snapshot,
    pools: &[String],
    standing: &Earlier,
) -> Result<()> {
    let misplaced = |workload: &Workload, pod: &PodView| {
        standing.contains(&pod.uid)
            && !pod.finished
            && pod.node.as_ref().is_some_and(|node| !seen.carries(node, &workload.need.keys))
    };
    let mut restarted = Vec::new();
    paper.gap()?;
    paper.say("New pods obey at once. The developer restarts what is concerned:")?;
    for workload in &seen.workloads {
        let Some(pod) = workload.pods.iter().find(|pod| misplaced(workload, pod)) else { continue };
        let deployment = format!("deployment/{}", workload.name);
        let arguments = match workload.kind {
            "Deployment" => ["rollout", "restart", &deployment, "-n", &workload.namespace],
            "StatefulSet" => ["delete", "pod", &pod.name, "-n", &workload.namespace],
            _ => continue,
        };
        paper.command(&people.developer.name, &format!("kubectl {}", arguments.join(" ")))?;
        people.developer.must(cluster, &arguments).await?;
        restarted.push(workload);
    }
    ensure!(!restarted.is_empty(), "no Deployment or StatefulSet had a pod at {}", listed(pools));

    let step = progress.step("waiting for the new pods");
    // Of what was restarted, no old pod may be left but where a new one waits.
    let replaced = |now: &Snapshot| {
        restarted.iter().try_for_each(|workload| {
            let found = now.workload(workload.kind, &workload.namespace, &workload.name);
            let pods = || found.into_iter().flat_map(|found| &found.pods);
            let old = |uid: &String| workload.pods.iter().any(|pod| pod.uid == *uid);
            let waits = pods().any(|pod| pod.node.is_none() && pod.unschedulable.is_some());
            let left = pods().filter(|pod| old(&pod.uid)).count();
            let new = pods().filter(|pod| !old(&pod.uid)).count();
            // A StatefulSet of several loses the one that was deleted and keeps the others.
            let done = if workload.kind == "Deployment" { left == 0 } else { left < workload.pods.len() };
            ensure!(new > 0 && (done || waits), "{} still has {} from before", workload.title(), counted(left, "pod"));
            anyhow::Ok(())
        })
    };
    settle::until(&cluster.admin(), policy, &step, "the restarted pods to be replaced", replaced).await?;
    let now = settle::placed(&cluster.admin(), policy, &step, standing).await?;
    drop(step);

    paper.gap()?;
    let mut waiting = Vec::new();
    for workload in &restarted {
        let found = now.workload(workload.kind, &workload.namespace, &workload.name);
        let found = found.with_context(|| format!("{} is gone", workload.title()))?;
        let new = || found.pods.iter().filter(|pod| !workload.pods.iter().any(|old| old.uid == pod.uid));
        let went: BTreeSet<String> = new()
            .filter_map(|pod| pod.node.as_ref())
            .map(|node| format!("{node} ({})", now.stamp(node, keys::PROVIDER).unwrap_or("no pool")))
            .collect();
        for node in new().filter_map(|pod| pod.node.as_ref()) {
            ensure!(
                !pools.iter().any(|pool| now.stamp(node, keys::POOL) == Some(pool)),
                "a new pod of {} runs on {node}",
                workload.title()
            );
        }
        if !went.is_empty() {
            paper.item(
                "·",
                &format!(
                    "{}: {} went to {}.",
                    workload.title(),
                    counted(new().filter(|pod| pod.node.is_some()).count(), "new pod"),
                    listed(went)
                ),
            )?;
        }
        waiting.extend(new().filter(|pod| pod.node.is_none()).map(|pod| (found, pod)));
    }
    if !waiting.is_empty() {
        paper.gap()?;
        paper.say("No node is left that carries all that these need, so they wait:")?;
        places::print_waiting(paper, &now, waiting)?;
    }
    Ok(())
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
        "Suppose that it is granted anew. The officer records {scheme} of {offer} again, and nobody restarts anything:"
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
