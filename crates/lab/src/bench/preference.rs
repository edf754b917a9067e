//! Preference: how often the real scheduler chooses the best pool that has room, by the steps of preferred node affinity that
//! pods are given, and how evenly pools that differ little are used.
//!
//! Four pools of five nodes, with as much room as 240 pods need, and 200 pods of ten Deployments. The order in which pods are
//! bound is the order in which a watch tells it; which pools have room follows from what was bound before.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::FigureSpread;
use crate::{ControlPlane, FakeNode, ProgressDisplay, eventually};
use rempart_core::scheduling::STEPS;

/// The label of nodes that tells their score.
const RANK: &str = "bench.example/rank";
/// The label that tells the pool.
const POOL: &str = "bench.example/pool";
const NAMESPACE: &str = super::fixture::BARE;
const NODES: usize = 5;
const PODS_OF_A_NODE: usize = 12;
const DEPLOYMENTS: usize = 10;
const REPLICAS: usize = 20;
/// Scores of the pools: clearly apart, and so near that it should not matter.
const SCORES: [(&str, [u8; 4]); 2] = [("apart", [100, 80, 50, 20]), ("close", [100, 97, 95, 92])];

/// Steps that are tried: by name, thresholds with weights.
fn tried() -> [(&'static str, Vec<(u8, u8)>); 5] {
    [
        ("none", vec![]),
        ("even", (0..9).map(|step| (89_u8.saturating_sub(step * 10), 10)).collect()),
        ("halves", vec![(89, 50), (74, 25), (54, 13), (34, 7), (14, 5)]),
        ("shipped", STEPS.to_vec()),
        ("steeper", vec![(89, 90), (74, 7), (54, 1), (34, 1), (14, 1)]),
    ]
}

/// What became of 200 pods.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreferenceRun {
    pub(super) steps: &'static str,
    pub(super) scores: &'static str,
    /// Of the pods, the share that was bound to a pool of the highest score among those with room.
    pub(super) best: f64,
    /// How much lower the chosen pool scored than the best with room, in the mean.
    pub(super) regret: f64,
    /// Pods of each pool, the best first, when half of them were bound: every pool had room for more until then where pods were
    /// spread evenly.
    pub(super) at_half: Vec<usize>,
}

/// All runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreferenceFigures {
    pub(super) rounds: usize,
    pub(super) runs: Vec<PreferenceRun>,
}

impl PreferenceFigures {
    /// The names of steps and scores in the order in which they are told.
    pub(super) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
        SCORES.into_iter().flat_map(|(scores, _)| tried().into_iter().map(move |(steps, _)| (steps, scores)))
    }

    /// The runs of one kind.
    pub(super) fn of(&self, steps: &str, scores: &str) -> Vec<&PreferenceRun> {
        self.runs.iter().filter(|run| run.steps == steps && run.scores == scores).collect()
    }

    /// A figure of the runs of one kind.
    pub(super) fn spread(&self, (steps, scores): (&str, &str), of: impl Fn(&PreferenceRun) -> f64) -> FigureSpread {
        FigureSpread::of(self.of(steps, scores).into_iter().map(of))
    }
}

pub(super) async fn measure(
    cluster: &ControlPlane,
    client: &Client,
    rounds: usize,
    progress: ProgressDisplay,
) -> Result<PreferenceFigures> {
    let mut runs = Vec::new();
    for (scores, values) in SCORES {
        let nodes = values.iter().enumerate().flat_map(|(pool, score)| {
            (0..NODES).map(move |node| {
                FakeNode::new(format!("{scores}-{pool}-{node}"))
                    .label(RANK, score.to_string())
                    .label(POOL, format!("{scores}-{pool}"))
                    .label("bench.example/scores", scores)
                    .capacity("cpu", PODS_OF_A_NODE.to_string())
            })
        });
        cluster.add_nodes(nodes).await?;
    }
    for round in 0..rounds {
        for (scores, values) in SCORES {
            for (steps, given) in tried() {
                let step = progress.step(format!("round {}: steps {steps}, scores {scores}", round + 1));
                runs.push(run(client, (steps, &given), (scores, values)).await?);
                step.done();
            }
        }
    }
    Ok(PreferenceFigures { rounds, runs })
}

async fn run(
    client: &Client,
    (steps, given): (&'static str, &[(u8, u8)]),
    (scores, values): (&'static str, [u8; 4]),
) -> Result<PreferenceRun> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let mut version = pods.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    for number in 0..DEPLOYMENTS {
        let deployment = serde_json::from_value(deployment(number, given, scores))?;
        deployments.create(&PostParams::default(), &deployment).await?;
    }
    let (mut seen, mut bound) = (BTreeSet::new(), Vec::new());
    while bound.len() < DEPLOYMENTS * REPLICAS {
        // A watch ends when it has been quiet for a while; the next one goes on where it was.
        let mut watch = std::pin::pin!(pods.watch(&WatchParams::default(), &version).await?);
        while let Some(event) = watch.try_next().await? {
            let pod = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => pod,
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(error) => anyhow::bail!("the watch failed: {error}"),
            };
            version = pod.resource_version().unwrap_or(version);
            let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else { continue };
            if seen.insert(pod.name_any()) {
                let pool = node.split('-').nth(1).and_then(|pool| pool.parse::<usize>().ok());
                bound.push(pool.with_context(|| format!("{node} is of no pool"))?);
            }
            if bound.len() >= DEPLOYMENTS * REPLICAS {
                break;
            }
        }
    }
    deployments.delete_collection(&DeleteParams::background().grace_period(0), &ListParams::default()).await?;
    eventually("the pods to go", std::time::Duration::from_mins(2), async || {
        let left = pods.list_metadata(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} are left");
        anyhow::Ok(())
    })
    .await?;
    Ok(judged(steps, (scores, values), &bound))
}

/// What `bound`, the pool of each pod in the order of binding, is worth.
fn judged(steps: &'static str, (scores, values): (&'static str, [u8; 4]), bound: &[usize]) -> PreferenceRun {
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut best, mut regret, mut at_half) = (0_u32, 0_u32, Vec::new());
    let score = |pool: usize| values.get(pool).copied().unwrap_or_default();
    for (number, pool) in bound.iter().enumerate() {
        let has_room = |pool: &usize| taken.get(pool).copied().unwrap_or_default() < NODES * PODS_OF_A_NODE;
        let highest = (0..values.len()).filter(has_room).map(score).max().unwrap_or_default();
        let missed = highest.saturating_sub(score(*pool));
        best += u32::from(missed == 0);
        regret += u32::from(missed);
        *taken.entry(*pool).or_default() += 1;
        if number + 1 == bound.len() / 2 {
            at_half = (0..values.len()).map(|pool| taken.get(&pool).copied().unwrap_or_default()).collect();
        }
    }
    let all = f64::from(u32::try_from(bound.len()).unwrap_or(u32::MAX));
    PreferenceRun { steps, scores, best: f64::from(best) / all, regret: f64::from(regret) / all, at_half }
}

fn deployment(number: usize, steps: &[(u8, u8)], scores: &str) -> Value {
    let name = format!("web-{number}");
    let term = |(above, weight): &(u8, u8)| {
        json!({"weight": weight, "preference": {
            "matchExpressions": [{"key": RANK, "operator": "Gt", "values": [above.to_string()]}]}})
    };
    let terms: Vec<Value> = steps.iter().map(term).collect();
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}});
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "affinity": affinity,
                    "nodeSelector": {"bench.example/scores": scores},
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "main", "image": "example.test/none",
                        "resources": {"requests": {"cpu": "1", "memory": "16Mi"}}}],
                },
            },
        },
    })
}
