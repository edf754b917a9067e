//! Shapes of workloads: kinds, strategies, what they say of themselves, and what of them may be missing.
//!
//! It takes the seed's generator and returns workloads; it is a pure function. A shape says what must hold of it: the
//! fewest pods that may be ready at any moment.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rng::SeededRng;

/// The most pods of one workload but a `DaemonSet`.
pub(super) const REPLICAS: usize = 6;

/// A workload that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub(in super::super) struct LoadWorkload {
    pub(in super::super) kind: LoadKind,
    pub(in super::super) namespace: &'static str,
    pub(in super::super) name: String,
    /// Pods that it wants; of a `DaemonSet` the facts decide that.
    pub(in super::super) replicas: usize,
    /// Pods that its own strategy lets be unavailable.
    unavailable: usize,
    pub(super) strategy: Value,
    pub(super) annotations: Vec<(&'static str, &'static str)>,
    /// Guarded by a `PodDisruptionBudget` of one pod.
    pub(in super::super) budget: bool,
    /// Its pods have a claim that one node may have at a time.
    pub(in super::super) claim: bool,
    /// Its owner takes the note of a move out of its template again.
    pub(in super::super) reverted: bool,
    /// Its rollout is paused.
    pub(in super::super) paused: bool,
    /// For how long each of its pods runs, where they end.
    pub(super) runs_for: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum LoadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    /// A Job each of whose pods has a number, and none of which may fail.
    IndexedJob,
    CronJob,
}

const SAID: [&[(&str, &str)]; 6] = [
    &[],
    &[("rempart.dev/sensitivity", "internal")],
    &[("rempart.dev/sensitivity", "restricted")],
    &[("rempart.dev/sensitivity", "secret")],
    &[("rempart.dev/categories", "health")],
    &[("rempart.dev/sensitivity", "public")],
];

impl LoadKind {
    /// Any. Deployments mostly, since they are what has a strategy to be kept.
    fn any(rng: &mut SeededRng) -> Self {
        match rng.below(20) {
            0..=9 => Self::Deployment,
            10..=12 => Self::StatefulSet,
            13..=14 => Self::DaemonSet,
            15..=16 => Self::Job,
            17..=18 => Self::IndexedJob,
            _ => Self::CronJob,
        }
    }

    /// Whether its pods end by themselves.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Job | Self::IndexedJob | Self::CronJob)
    }
}

impl LoadWorkload {
    /// One of these shapes, of any kind.
    pub(super) fn any(rng: &mut SeededRng, number: usize) -> Self {
        let kind = LoadKind::any(rng);
        Self::of_kind(kind, rng, number)
    }

    /// One of these shapes.
    pub(super) fn of_kind(kind: LoadKind, rng: &mut SeededRng, number: usize) -> Self {
        let namespace = rng.pick(&["claims", "claims", "archive", "garden", "free"]).unwrap_or("claims");
        let said = SAID.get(rng.below(SAID.len())).copied().unwrap_or_default();
        let trait_number = rng.below(10);
        let is_deployment = kind == LoadKind::Deployment;
        let claim = matches!((kind, trait_number), (LoadKind::Deployment, 0) | (LoadKind::StatefulSet, 0..=2));
        // Pods of several nodes cannot share such a claim.
        let replicas = if is_deployment && claim { 1 } else { 1 + rng.below(REPLICAS) };
        let (strategy, unavailable) = match (kind, rng.below(5)) {
            (LoadKind::DaemonSet, 0..=2) => (rolling(&json!({"maxUnavailable": "30%"})), 0),
            (LoadKind::DaemonSet, _) => (rolling(&json!({"maxUnavailable": 2})), 0),
            (LoadKind::Deployment, 2) => (rolling(&json!({"maxSurge": 1, "maxUnavailable": 0})), 0),
            (LoadKind::Deployment, 3) => (rolling(&json!({"maxSurge": 0, "maxUnavailable": 1})), 1),
            (LoadKind::Deployment, 4) => (json!({"type": "Recreate"}), REPLICAS),
            // A quarter may be missing, rounded down.
            (LoadKind::Deployment, _) => (json!({}), replicas / 4),
            (_, _) => (json!({}), 1),
        };
        Self {
            kind,
            namespace,
            name: format!("app-{number:03}"),
            replicas,
            unavailable,
            strategy,
            annotations: said.to_vec(),
            budget: kind == LoadKind::StatefulSet || (is_deployment && matches!(trait_number, 1..=3)),
            claim,
            reverted: is_deployment && matches!(trait_number, 4 | 5),
            paused: false,
            runs_for: rng.between(Duration::from_secs(1), Duration::from_secs(8)),
        }
    }

    /// A Deployment that moves to no other place when its own is lost.
    pub(in super::super) fn kept() -> Self {
        Self {
            kind: LoadKind::Deployment,
            namespace: "vault",
            name: "kept".to_owned(),
            replicas: 2,
            unavailable: 0,
            strategy: json!({}),
            annotations: vec![],
            budget: false,
            claim: false,
            reverted: false,
            paused: false,
            runs_for: Duration::ZERO,
        }
    }

    /// With so many pods; what may be missing follows.
    pub(super) fn of(&self, replicas: usize) -> Self {
        let by_quarters = self.strategy == json!({});
        let unavailable =
            if by_quarters && self.kind == LoadKind::Deployment { replicas / 4 } else { self.unavailable };
        Self { replicas, unavailable, ..self.clone() }
    }

    /// Whether the developers may change how many pods it has.
    pub(super) fn may_be_scaled(&self) -> bool {
        self.kind == LoadKind::Deployment && !self.claim && !self.paused
    }

    /// The fewest ready pods at any time, once it has reached them.
    pub(in super::super) fn floor(&self) -> Option<usize> {
        match self.kind {
            // Where no rollout can be begun, one pod at a time is evicted.
            LoadKind::Deployment if self.reverted => Some(self.replicas.saturating_sub(self.unavailable.max(1))),
            LoadKind::Deployment => Some(self.replicas.saturating_sub(self.unavailable)),
            LoadKind::StatefulSet => Some(self.replicas.saturating_sub(1)),
            LoadKind::DaemonSet | LoadKind::Job | LoadKind::IndexedJob | LoadKind::CronJob => None,
        }
    }
}

fn rolling(how: &Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": how})
}
