//! Monitor of every `DaemonSet`: no node that may have one of its pods is without for long.
//!
//! It takes snapshots and the second opinion on them, and returns breaches. Where nobody leads nothing follows, and
//! nothing is counted, nor is a pod that waits for the scheduler alone; a node is given time from the last moment at
//! which it was otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::Client;
use tokio::time::{Instant, sleep};

use super::{leader_gaps::LeaderGaps, snapshot::ObjectSnapshot, wall_clock::now};

const INTERVAL: Duration = Duration::from_secs(2);
/// For how long a node may be without: its stamps, the `DaemonSet`'s template, its controller and the scheduler follow one
/// after the other, and the controller tries again ever later what an API server that has just come has refused.
const TOLERANCE: Duration = Duration::from_secs(30);

/// A `DaemonSet`, by its namespace and name, and a node.
type MissingPod = (String, String);

/// Outcome of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct CoverageOutcome {
    /// Times that all were looked at.
    pub(super) looks: usize,
    /// The longest time that a node was without.
    pub(super) longest: Duration,
    /// Which `DaemonSet` and node that was.
    pub(super) of: String,
    /// Those that were without for too long.
    pub(super) breaches: Vec<String>,
}

/// Monitor of the pods of `DaemonSet`s.
#[derive(Debug, Default)]
pub(super) struct CoverageMonitor(Mutex<CoverageOutcome>);

impl CoverageMonitor {
    /// Looks again and again. Never returns.
    pub(super) async fn follow(&self, client: &Client, leader_gaps: &LeaderGaps) {
        let mut since: BTreeMap<MissingPod, Instant> = BTreeMap::new();
        let mut told = BTreeSet::new();
        loop {
            sleep(INTERVAL).await;
            let led = leader_gaps.ensure_closed().is_ok();
            let Ok(snapshot) = ObjectSnapshot::read(client, true).await else { continue };
            let mut missing = snapshot.missing_of_daemon_sets(now());
            missing.retain(|(set, node)| !snapshot.waits_for_scheduler(set, node));
            if !led {
                since.clear();
                continue;
            }
            since.retain(|pod, _| missing.contains(pod));
            let looked = Instant::now();
            let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.looks += 1;
            for pod in missing {
                let lasted = looked.duration_since(*since.entry(pod.clone()).or_insert(looked));
                if lasted > outcome.longest {
                    outcome.longest = lasted;
                    outcome.of = format!(", {} on {} at {}", pod.0, pod.1, now());
                }
                if lasted > TOLERANCE && told.insert(pod.clone()) {
                    let (set, node) = pod;
                    let what = format!("the DaemonSet {set} has had no pod on {node}, which may have one");
                    outcome.breaches.push(format!("{}: {what}, for {} s", now(), lasted.as_secs()));
                }
            }
        }
    }

    /// The outcome so far.
    pub(super) fn outcome(&self) -> CoverageOutcome {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
