//! Admission latency and throughput of pods, with Rempart and without.
//!
//! A round gives each kind of pod several short turns, in an order that moves on from turn to turn, so that whatever
//! else happens on the machine hits all alike. Differences are taken within a round.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use kube::Client;
use serde::Serialize;

use super::{
    figures::{AimLimit, FigureSpread, PerformanceAim},
    fixture::{self, BARE, FLOOR, PLAIN},
    load::{self, PodLoad, PodVariant, SaturatedTurn},
    machine::{self, BackgroundLoad},
};
use crate::{Component, ControlPlane, ProgressDisplay, eventually};

/// Pods a second where latency is measured.
pub(super) const RATE: u32 = 50;
/// Pods under way at a time where throughput is measured.
pub(super) const CONCURRENCY: usize = 32;

/// Between turns, for what the last one has left behind.
const PAUSE: Duration = Duration::from_millis(100);

/// Size of the measurement.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionSize {
    pub(super) rounds: usize,
    /// Turns of each kind of pod in a round, at a steady pace.
    pub(super) paced_turns: usize,
    pub(super) paced_turn: Duration,
    /// Turns of each kind of pod in a round, as fast as possible.
    pub(super) saturated_turns: usize,
    pub(super) saturated_turn: Duration,
}

/// One kind of pod in one round.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionRound {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) pods_per_second: f64,
    pub(super) processor_ms_per_pod: f64,
}

/// One kind of pod.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariantFigures {
    pub(super) variant: PodVariant,
    pub(super) rounds: Vec<AdmissionRound>,
}

/// All kinds of pods.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionFigures {
    pub(super) size: AdmissionSize,
    pub(super) variants: Vec<VariantFigures>,
    /// Processors that were busy with something else meanwhile.
    pub(super) bystanders: f64,
}

impl VariantFigures {
    pub(super) fn spread(&self, of: fn(&AdmissionRound) -> f64) -> FigureSpread {
        FigureSpread::of(self.rounds.iter().map(of))
    }

    /// Comparison with `bare`, round by round.
    pub(super) fn against(
        &self,
        bare: &Self,
        compare: impl Fn(&AdmissionRound, &AdmissionRound) -> f64,
    ) -> FigureSpread {
        FigureSpread::of(self.rounds.iter().zip(&bare.rounds).map(|(with, without)| compare(with, without)))
    }
}

impl AdmissionFigures {
    pub(super) fn of(&self, variant: PodVariant) -> Option<&VariantFigures> {
        self.variants.iter().find(|measured| measured.variant == variant)
    }

    /// The aims of every kind of pod but the bare one.
    pub(super) fn aims(&self) -> Vec<PerformanceAim> {
        let Some(bare) = self.of(PodVariant::Bare) else { return Vec::new() };
        let aims = self.variants.iter().filter(|measured| measured.variant != PodVariant::Bare).flat_map(|measured| {
            let (p50, p99, throughput) = if measured.variant.complete() { (0.5, 2.0, 0.9) } else { (3.0, 10.0, 0.45) };
            let name = measured.variant.name();
            let more = |of: fn(&AdmissionRound) -> f64| measured.against(bare, |with, without| of(with) - of(without));
            let share = measured.against(bare, |with, without| with.pods_per_second / without.pods_per_second);
            [
                PerformanceAim::new(
                    format!("{name}: p50 more"),
                    "ms",
                    more(|round| round.p50_ms),
                    AimLimit::AtMost(p50),
                ),
                PerformanceAim::new(
                    format!("{name}: p99 more"),
                    "ms",
                    more(|round| round.p99_ms),
                    AimLimit::AtMost(p99),
                ),
                PerformanceAim::new(format!("{name}: throughput"), "of bare", share, AimLimit::AtLeast(throughput)),
            ]
        });
        aims.collect()
    }
}

/// Turns of one kind of pod in one round, as they add up.
struct RoundTally {
    latencies: Histogram<u64>,
    saturated: SaturatedTurn,
    processor: Duration,
}

impl RoundTally {
    fn new() -> Result<Self> {
        let saturated = SaturatedTurn { pods: 0, took: Duration::ZERO };
        Ok(Self { latencies: load::histogram()?, saturated, processor: Duration::ZERO })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of pods and microseconds, far below 2^52")]
    fn round(&self) -> AdmissionRound {
        let quantile = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        let pods = self.saturated.pods as f64;
        AdmissionRound {
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            pods_per_second: pods / self.saturated.took.as_secs_f64(),
            processor_ms_per_pod: self.processor.as_secs_f64() * 1000.0 / pods,
        }
    }
}

/// Measures.
pub(super) async fn measure(
    cluster: &ControlPlane,
    client: &Client,
    size: AdmissionSize,
    progress: ProgressDisplay,
) -> Result<AdmissionFigures> {
    let api_server = cluster.pid(Component::ApiServer).await?;
    let etcd = cluster.pid(Component::Etcd).await?;
    let load = PodLoad::new(client.clone(), &fixture::mark(client).await?);
    let step = progress.step("pods: warming up");
    acts(&load).await?;
    for variant in PodVariant::ALL {
        load.saturate(variant, CONCURRENCY, size.saturated_turn).await?;
    }
    clear(&load).await?;
    step.done();

    let mut variants = PodVariant::ALL.map(|variant| VariantFigures { variant, rounds: Vec::new() });
    let mut elsewhere = Vec::new();
    for round in 0..size.rounds {
        let step = progress.step(format!("pods: round {} of {}", round + 1, size.rounds));
        let mut tallies = Vec::new();
        for variant in PodVariant::ALL {
            tallies.push((variant, RoundTally::new()?));
        }
        let bystanders = BackgroundLoad::watch([api_server, etcd])?;
        for turn in 0..size.paced_turns {
            step.note("latency");
            for (variant, tally) in in_turn(&mut tallies, round + turn) {
                tokio::time::sleep(PAUSE).await;
                tally.latencies.add(load.paced(*variant, RATE, size.paced_turn).await?)?;
            }
        }
        for turn in 0..size.saturated_turns {
            step.note("throughput");
            for (variant, tally) in in_turn(&mut tallies, round + turn) {
                tokio::time::sleep(PAUSE).await;
                let before = machine::processor_time(api_server)?;
                let saturated = load.saturate(*variant, CONCURRENCY, size.saturated_turn).await?;
                tally.processor += machine::processor_time(api_server)?.saturating_sub(before);
                tally.saturated.pods += saturated.pods;
                tally.saturated.took += saturated.took;
            }
        }
        elsewhere.push(bystanders.processors()?);
        for (measured, (_, tally)) in variants.iter_mut().zip(&tallies) {
            measured.rounds.push(tally.round());
        }
        step.note("clearing away");
        clear(&load).await?;
        step.done();
    }
    Ok(AdmissionFigures { size, variants: variants.into(), bystanders: FigureSpread::of(elsewhere).median })
}

/// All of them once, beginning with another each time, and back and forth.
fn in_turn(
    tallies: &mut [(PodVariant, RoundTally)],
    turn: usize,
) -> impl Iterator<Item = &mut (PodVariant, RoundTally)> {
    let length = tallies.len();
    let mut order: Vec<_> = tallies.iter_mut().enumerate().collect();
    order.sort_by_key(|(index, _)| (index + turn) % length);
    if !turn.is_multiple_of(2) {
        order.reverse();
    }
    order.into_iter().map(|(_, tally)| tally)
}

/// Waits until the API server has taken up what the operator has bound.
async fn acts(load: &PodLoad) -> Result<()> {
    for variant in PodVariant::ALL {
        let what = format!("admission to act on pods ({})", variant.name());
        eventually(what, Duration::from_secs(30), async || {
            load.create(variant).await.map(drop).map_err(|error| format!("{error:#}"))
        })
        .await?;
    }
    Ok(())
}

async fn clear(load: &Arc<PodLoad>) -> Result<()> {
    for namespace in [BARE, PLAIN, FLOOR] {
        load.clear(namespace).await.with_context(|| format!("cannot clear {namespace}"))?;
    }
    Ok(())
}
