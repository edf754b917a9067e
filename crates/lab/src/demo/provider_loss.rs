//! Loss of a provider: an officer's wishes among the cleared pools, a workload that is spread by them, the drill that says
//! ahead whether everything would fit, and the loss itself.
//!
//! It edits one `PlacementPolicy`, applies one Deployment, has the nodes of one provider fall silent, and prints where the
//! pods run before and after. It fails when they are not spread, or when one comes back where it may not run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    actors::DemoActors,
    matrix,
    propagation::{self, RetainedPods},
    snapshot::{ClearanceSubject, ClusterSnapshot, ObservedWorkload},
};
use crate::{
    ControlPlane, ProgressDisplay,
    terminal::{TerminalOutput, counted, listed},
};
use rempart_core::keys;

/// The level that is given wishes.
const LEVEL: &str = "internal";

/// The Deployment that is spread.
const MANIFEST: &str = "deploy/demo-loss/portal.yaml";
const NAMESPACE: &str = "ministry";
const NAME: &str = "portal";

/// How long pods of the level stay on a node that does not answer.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);

/// The annotation by which a kubelet that kwok plays says that it is not ready.
const DOWN: &str = "lab.rempart.dev/down";

/// Gives a level wishes, spreads a workload by them, asks what would become of it without a provider, and takes that away.
pub(super) async fn print(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    policy: &str,
) -> Result<()> {
    wish(terminal, cluster, actors, progress, policy).await?;
    let seen = spread(terminal, cluster, actors, progress, policy).await?;
    let by_provider = by_stamp(&seen, portal(&seen)?, keys::PROVIDER);
    let most = by_provider.iter().max_by_key(|(_, pods)| **pods).context("portal runs nowhere")?;
    let provider = most.0.clone();
    drill(terminal, actors, &provider).await?;
    lose(terminal, cluster, actors, progress, &seen, &provider).await
}

/// The officer's wishes, and the scores that follow.
async fn wish(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    policy: &str,
) -> Result<()> {
    let seen = propagation::read(&cluster.admin(), policy).await?;
    let place = seen.policy.spec.levels.iter().position(|level| level.name == LEVEL);
    let place = place.with_context(|| format!("policy {policy} has no level {LEVEL}"))?;
    let wishes = [
        ("prefer", json!([{"by": "carbonIntensity", "weight": 60}, {"by": "pue", "weight": 40}])),
        ("spread", json!({"across": "Provider", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"})),
        ("unreachableAfter", json!(format!("{}s", UNREACHABLE_AFTER.as_secs()))),
    ];
    let wishes = wishes
        .map(|(wish, value)| json!({"op": "add", "path": format!("/spec/levels/{place}/{wish}"), "value": value}));
    let patch = json!(wishes).to_string();
    terminal.say(&format!(
        "Security is satisfied; among the cleared pools the officer has wishes for level {LEVEL}: less carbon, then less power \
         lost to cooling; no two pods of three at one provider while others have none; and away from a node that does not \
         answer within {} s:",
        UNREACHABLE_AFTER.as_secs()
    ))?;
    terminal
        .command(&actors.officer.name, &format!("kubectl patch placementpolicy {policy} --type=json -p '{patch}'"))?;
    actors.officer.must(cluster, &["patch", "placementpolicy", policy, "--type=json", "-p", &patch]).await?;
    let step = progress.step("waiting for the scores");
    let level = ClearanceSubject::Level(LEVEL.to_owned());
    let seen = propagation::read_until(&cluster.admin(), policy, &step, "scores, and their admission", |seen| {
        let conditions = seen.policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        for kind in ["Ready", "Enforced"] {
            let found = rempart::api::find_condition(conditions, kind);
            let holds = found.is_some_and(|found| {
                found.status == "True" && found.observed_generation == seen.policy.metadata.generation
            });
            ensure!(holds, "the policy is not yet {kind}");
        }
        for pool in seen.pools.keys() {
            let verdict = seen.verdict(pool, &level);
            ensure!(
                verdict.is_some_and(|verdict| !verdict.cleared || verdict.score.is_some()),
                "pool {pool} has no score yet"
            );
        }
        Ok(())
    })
    .await?;
    drop(step);
    terminal.gap()?;
    terminal.say("Each cleared pool has a score now, 100 for the best; nothing that runs has moved:")?;
    terminal.gap()?;
    matrix::print(terminal, &seen)?;
    Ok(())
}

/// A workload that is made under the wishes, and where its pods are.
async fn spread(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    policy: &str,
) -> Result<ClusterSnapshot> {
    terminal.gap()?;
    terminal.say("A developer applies a Deployment, which says its level and nothing of places:")?;
    terminal.command(&actors.developer.name, &format!("kubectl apply -f {MANIFEST}"))?;
    actors.developer.must(cluster, &["apply", "-f", MANIFEST]).await?;
    let step = progress.step("waiting for its pods");
    let seen = propagation::pods_placed(&cluster.admin(), policy, &step, &RetainedPods::new()).await?;
    drop(step);
    let found = portal(&seen)?;
    print_places(terminal, &seen, found)?;
    let by_provider = by_stamp(&seen, found, keys::PROVIDER);
    let (least, most) = (by_provider.values().min(), by_provider.values().max());
    ensure!(
        by_provider.len() > 1 && most.zip(least).is_some_and(|(most, least)| most - least <= 1),
        "it is not spread: {by_provider:?}"
    );
    Ok(seen)
}

/// What `rempart drill` says ahead.
async fn drill(terminal: TerminalOutput, actors: &DemoActors, provider: &str) -> Result<()> {
    terminal.gap()?;
    terminal
        .say(&format!("Would everything still run without {provider}? The exit drill asks, and changes nothing:"))?;
    let without = format!("provider={provider}");
    let arguments = ["drill", "--cluster", "--without", &without];
    terminal.command(&actors.officer.name, &format!("rempart {}", arguments.join(" ")))?;
    let output = actors.officer.rempart(&arguments).await?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "it does not answer: {}", output.stderr);
    output.stdout.trim_end().lines().try_for_each(|line| terminal.verbatim(line))?;
    ensure!(output.stdout.contains(&format!("provider {provider}")), "it answers of something else");
    Ok(())
}

/// The nodes of `provider` fall silent, and what can run elsewhere does.
async fn lose(
    terminal: TerminalOutput,
    cluster: &ControlPlane,
    actors: &DemoActors,
    progress: ProgressDisplay,
    before: &ClusterSnapshot,
    provider: &str,
) -> Result<()> {
    let is_lost = |seen: &ClusterSnapshot, node: &str| seen.stamp(node, keys::PROVIDER) == Some(provider);
    let silent: Vec<&str> = before.nodes.keys().map(String::as_str).filter(|node| is_lost(before, node)).collect();
    let gone = portal(before)?.pods.iter().filter_map(|pod| pod.node.as_deref()).filter(|node| is_lost(before, node));
    let gone = gone.count();
    terminal.gap()?;
    terminal.say(&format!(
        "Then it happens: {} of {provider} are not ready any more. Kubernetes itself ends the pods of a node that does not \
         answer, five minutes later unless they say sooner; the level says {} s:",
        counted(silent.len(), "node"),
        UNREACHABLE_AFTER.as_secs()
    ))?;
    let mark = |value: &str| -> Vec<String> {
        let words = ["annotate", "nodes"].into_iter().chain(silent.iter().copied());
        words.map(str::to_owned).chain([format!("{DOWN}{value}")]).collect()
    };
    let annotate = async |value: &str| {
        let words = mark(value);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        actors.engineer.must(cluster, &words).await
    };
    terminal.command(&actors.engineer.name, &format!("kubectl {}", mark("=true").join(" ")))?;
    let fell = Instant::now();
    annotate("=true").await?;
    let step = progress.step("waiting until nothing of it is there any more");
    let after = propagation::read_until(&cluster.admin(), before.policy_name(), &step, "the pods to be back", |seen| {
        let found = portal(seen)?;
        let runs = found.pods.iter().filter(|pod| {
            let node = pod.node.as_deref();
            pod.running && node.is_some_and(|node| !is_lost(seen, node))
        });
        let runs = runs.count();
        ensure!(runs == found.wanted && found.pods.len() == runs, "{runs} of {} run elsewhere", found.wanted);
        Ok(())
    })
    .await?;
    let took = fell.elapsed();
    drop(step);
    for workload in &after.workloads {
        for pod in workload.pods.iter().filter(|pod| !pod.finished) {
            let Some(node) = &pod.node else { continue };
            ensure!(
                after.carries(node, &workload.need.keys),
                "pod {} of {} came back on node {node}, which is not cleared for it",
                pod.name,
                workload.title()
            );
        }
    }
    print_places(terminal, &after, portal(&after)?)?;
    terminal.say(&format!(
        "{} came back at other cleared providers, {:.0} s after its nodes fell silent.",
        counted(gone, "pod"),
        took.as_secs_f64()
    ))?;
    annotate("-").await?;
    Ok(())
}

fn portal(seen: &ClusterSnapshot) -> Result<&ObservedWorkload> {
    seen.workload("Deployment", NAMESPACE, NAME).with_context(|| format!("there is no Deployment {NAMESPACE}/{NAME}"))
}

/// How many pods of `workload` are on nodes with each value of a stamp.
fn by_stamp(seen: &ClusterSnapshot, workload: &ObservedWorkload, key: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in workload.pods.iter().filter_map(|pod| pod.node.as_deref()) {
        let count: &mut usize = counts.entry(seen.stamp(node, key).unwrap_or("no pool").to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// How many pods are in which pool, with its score.
fn print_places(terminal: TerminalOutput, seen: &ClusterSnapshot, workload: &ObservedWorkload) -> Result<()> {
    let level = ClearanceSubject::Level(LEVEL.to_owned());
    let places = by_stamp(seen, workload, keys::POOL).into_iter().map(|(pool, pods)| {
        let score = seen.verdict(&pool, &level).and_then(|verdict| verdict.score);
        let score = score.map_or_else(String::new, |score| format!(" (score {score})"));
        format!("{pods} in {pool}{score}")
    });
    terminal.item("·", &format!("{}: {}.", workload.title(), listed(places.collect::<Vec<_>>())))?;
    Ok(())
}
