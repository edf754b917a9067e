//! Rolling load: workloads of many shapes that are created, scaled, rolled and deleted.
//!
//! It takes the seed and the length of the run and returns actions with their due times; it is a pure function.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::rng::SeededRng;

/// Workloads before the first fault.
pub(super) const FIRST: usize = 14;
/// The most workloads at a time.
const MOST: usize = 26;
/// The most pods of one workload.
const REPLICAS: usize = 6;

/// A workload that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadWorkload {
    pub(super) kind: LoadKind,
    pub(super) namespace: &'static str,
    pub(super) name: String,
    pub(super) replicas: usize,
    /// Pods that its own strategy lets be unavailable.
    pub(super) unavailable: usize,
    strategy: Value,
    annotations: Vec<(&'static str, &'static str)>,
    /// Guarded by a `PodDisruptionBudget` of one pod.
    pub(super) budget: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadKind {
    Deployment,
    StatefulSet,
    Job,
}

/// A change of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoadAction {
    Create(LoadWorkload),
    Scale(LoadWorkload),
    Roll(LoadWorkload),
    Remove(LoadWorkload),
}

const SAID: [&[(&str, &str)]; 6] = [
    &[],
    &[("rempart.dev/sensitivity", "internal")],
    &[("rempart.dev/sensitivity", "restricted")],
    &[("rempart.dev/sensitivity", "secret")],
    &[("rempart.dev/categories", "health")],
    &[("rempart.dev/sensitivity", "public")],
];

impl LoadWorkload {
    /// One of these shapes. Deployments mostly, since they are what has a strategy to be kept.
    fn any(rng: &mut SeededRng, number: usize) -> Self {
        let kind = rng.pick(&[
            LoadKind::Deployment,
            LoadKind::Deployment,
            LoadKind::Deployment,
            LoadKind::StatefulSet,
            LoadKind::Job,
        ]);
        let kind = kind.unwrap_or(LoadKind::Deployment);
        let namespace = rng.pick(&["claims", "claims", "archive", "garden", "free"]).unwrap_or("claims");
        let replicas = 1 + rng.below(REPLICAS);
        let said = SAID.get(rng.below(SAID.len())).copied().unwrap_or_default();
        let (strategy, unavailable) = match (kind, rng.below(5)) {
            (LoadKind::Job | LoadKind::StatefulSet, _) => (json!({}), 1),
            // A quarter may be missing, rounded down.
            (_, 0 | 1) => (json!({}), replicas / 4),
            (_, 2) => (json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}), 0),
            (_, 3) => (json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}), 1),
            (_, _) => (json!({"type": "Recreate"}), REPLICAS),
        };
        Self {
            kind,
            namespace,
            name: format!("app-{number:03}"),
            replicas,
            unavailable,
            strategy,
            annotations: said.to_vec(),
            budget: kind == LoadKind::StatefulSet,
        }
    }

    /// A Deployment that moves to no other place when its own is lost.
    pub(super) fn kept() -> Self {
        Self {
            kind: LoadKind::Deployment,
            namespace: "vault",
            name: "kept".to_owned(),
            replicas: 2,
            unavailable: 0,
            strategy: json!({}),
            annotations: vec![],
            budget: false,
        }
    }

    /// With so many pods; what may be missing follows.
    fn of(&self, replicas: usize) -> Self {
        let by_quarters = self.strategy == json!({});
        let unavailable =
            if by_quarters && self.kind == LoadKind::Deployment { replicas / 4 } else { self.unavailable };
        Self { replicas, unavailable, ..self.clone() }
    }

    /// The fewest ready pods at any time, once it has reached them.
    pub(super) fn floor(&self) -> Option<usize> {
        match self.kind {
            LoadKind::Deployment => Some(self.replicas.saturating_sub(self.unavailable)),
            LoadKind::StatefulSet if self.budget => Some(self.replicas.saturating_sub(1)),
            LoadKind::StatefulSet | LoadKind::Job => None,
        }
    }

    /// Path of its collection in the API.
    pub(super) fn path(&self) -> String {
        let (group, plural) = match self.kind {
            LoadKind::Deployment => ("apps", "deployments"),
            LoadKind::StatefulSet => ("apps", "statefulsets"),
            LoadKind::Job => ("batch", "jobs"),
        };
        format!("/apis/{group}/v1/namespaces/{}/{plural}", self.namespace)
    }

    /// The object.
    pub(super) fn object(&self) -> Value {
        let (version, kind) = match self.kind {
            LoadKind::Deployment => ("apps/v1", "Deployment"),
            LoadKind::StatefulSet => ("apps/v1", "StatefulSet"),
            LoadKind::Job => ("batch/v1", "Job"),
        };
        let annotations: BTreeMap<_, _> = self.annotations.iter().copied().collect();
        json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": self.name, "namespace": self.namespace, "annotations": annotations},
            "spec": self.spec(),
        })
    }

    fn spec(&self) -> Value {
        let (selector, replicas) = (json!({"matchLabels": {"app": self.name}}), self.replicas);
        let restart = if self.kind == LoadKind::Job { "Never" } else { "Always" };
        let template = json!({
            "metadata": {"labels": {"app": self.name, "chaos.example/load": "yes"}},
            "spec": {
                "restartPolicy": restart,
                "containers": [{"name": "main", "image": "example.test/none"}],
                "terminationGracePeriodSeconds": 0,
            },
        });
        match self.kind {
            // A node that is cut off is no fault of the Job's.
            LoadKind::Job => {
                json!({"completions": replicas, "parallelism": 2, "backoffLimit": 50, "template": template})
            }
            LoadKind::Deployment => {
                json!({"replicas": replicas, "selector": selector, "strategy": self.strategy, "template": template})
            }
            LoadKind::StatefulSet => json!({
                "replicas": replicas, "selector": selector, "serviceName": self.name, "template": template,
                "podManagementPolicy": "Parallel",
            }),
        }
    }

    /// Its budget, if it has one.
    pub(super) fn disruption_budget(&self) -> Option<Value> {
        self.budget.then(|| {
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": self.name}}},
            })
        })
    }
}

/// The load of a run, each act with the instant before which it does not come. The first acts are of the very beginning.
pub(super) fn acts(seed: u64, length: Duration) -> Vec<(Duration, LoadAction)> {
    let mut rng = SeededRng::new(!seed);
    let mut there: Vec<LoadWorkload> = vec![LoadWorkload::kept()];
    there.extend((1..FIRST).map(|number| LoadWorkload::any(&mut rng, number)));
    let mut plan: Vec<_> =
        there.iter().cloned().map(|workload| (Duration::ZERO, LoadAction::Create(workload))).collect();
    // Nobody touches it.
    there.remove(0);
    let mut number = FIRST;
    let mut at = Duration::from_millis(500);
    while at < length {
        let Some(index) = Some(rng.below(there.len())).filter(|_| !there.is_empty()) else { break };
        let choice = rng.below(6);
        if choice < 2 && there.len() < MOST {
            let workload = LoadWorkload::any(&mut rng, number);
            number += 1;
            there.push(workload.clone());
            plan.push((at, LoadAction::Create(workload)));
        } else if choice == 2 && there.len() > FIRST / 2 {
            plan.push((at, LoadAction::Remove(there.swap_remove(index))));
        } else if let Some(workload) = there.get_mut(index).filter(|workload| workload.kind == LoadKind::Deployment) {
            if choice == 3 {
                *workload = workload.of(1 + rng.below(REPLICAS));
                plan.push((at, LoadAction::Scale(workload.clone())));
            } else {
                plan.push((at, LoadAction::Roll(workload.clone())));
            }
        }
        at += rng.between(Duration::from_millis(200), Duration::from_millis(900));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_the_load() {
        let length = Duration::from_mins(2);
        assert_eq!(acts(1, length), acts(1, length));
        assert_ne!(acts(1, length), acts(2, length));
    }

    #[test]
    fn the_load_is_bounded_and_touches_only_what_is_there() {
        for seed in 0..100 {
            let mut there = BTreeMap::new();
            for (_, act) in acts(seed, Duration::from_mins(10)) {
                match act {
                    LoadAction::Create(workload) => {
                        assert!(there.insert(workload.name.clone(), workload).is_none());
                    }
                    LoadAction::Scale(workload) | LoadAction::Roll(workload) => {
                        assert_eq!(there.insert(workload.name.clone(), workload.clone()).unwrap().kind, workload.kind);
                    }
                    LoadAction::Remove(workload) => assert!(there.remove(&workload.name).is_some()),
                }
                assert!(there.len() <= MOST + 1 && there.values().all(|workload| workload.replicas <= REPLICAS));
                assert!(there.is_empty() || there.contains_key("kept"));
            }
        }
    }

    #[test]
    fn what_may_be_missing_is_what_the_strategy_says() {
        let mut rng = SeededRng::new(5);
        for number in 0..200 {
            let workload = LoadWorkload::any(&mut rng, number).of(5);
            let object = workload.object();
            let expected = match (workload.kind, object["spec"]["strategy"]["type"].as_str()) {
                (LoadKind::Job, _) => None,
                (LoadKind::StatefulSet, _) | (_, None) => Some(4),
                (_, Some("Recreate")) => Some(0),
                (_, Some(_)) => Some(
                    5 - usize::try_from(
                        object["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"].as_u64().unwrap(),
                    )
                    .unwrap(),
                ),
            };
            assert_eq!(workload.floor(), expected, "{object}");
        }
    }
}
