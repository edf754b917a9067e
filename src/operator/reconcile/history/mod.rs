//! History reconciler: tells line by line what ran where and by which facts, for whoever asks in a year.
//!
//! It compares what runs with a digest of what was told of each pod, and facts, nodes, clearances and exceptions likewise, and
//! adds an entry for each difference to a chain that begins anew with each leadership. It asks for no write: its lines are for
//! standard output. It looks when something has changed, at most every [`PACE`], and tells at most [`AT_ONCE`] entries at a time.

mod told;

use std::time::{Duration, Instant};

use self::told::ToldState;
use super::{CycleClocks, ReconcileOutcome, records::LoweredLevel, schedule::ComparisonSchedule, view::ClusterView};
use crate::{
    history::{
        chain::ChainWriter,
        entry::{HistoryEvent, LoweredWorkload},
    },
    operator::{
        cache::{ClusterCache, Departures, LastSeen, Revision},
        evaluate::Evaluation,
    },
};
use rempart_core::{instant::Timestamp, workload::WorkloadIdentity};

/// How often everything that runs is looked at while it keeps changing. With records it shares a look.
const PACE: Duration = Duration::from_secs(2);
/// How soon a look goes on that found more to tell than is told at once.
const GO_ON: Duration = Duration::from_millis(200);
/// So many entries about nodes and pods are told at a time.
const AT_ONCE: usize = 1000;
/// After so long a chain gives way to another, which tells everything anew: whoever keeps logs for so long has all of one.
const RENEWAL: Duration = Duration::from_hours(24);
/// After so long without an entry one says that nothing has changed.
const SILENCE: Duration = Duration::from_mins(10);

/// What history is told at the operator's start.
#[derive(Clone, Debug)]
pub struct HistorySettings {
    /// The name of this replica.
    pub replica: String,
}

/// The revisions of everything that history follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HistoryRevisions {
    evaluation: u64,
    nodes: Revision,
    pool_membership: Revision,
    workloads: Revision,
    namespaces: Revision,
}

/// How history stands.
#[derive(Default)]
pub struct HistoryReconciler {
    settings: Option<HistorySettings>,
    chain: Option<OpenChain>,
    /// What is to be written.
    lines: Vec<String>,
}

/// A chain that goes on.
struct OpenChain {
    writer: ChainWriter,
    /// Whether all that was there at the beginning has been told.
    complete: bool,
    seen: LastSeen<HistoryRevisions>,
    schedule: ComparisonSchedule,
    /// Whether this cycle looks.
    looks: bool,
    told: ToldState,
    begun: Instant,
    latest: Instant,
    /// When all that was seen was last told.
    told_until: Timestamp,
}

impl OpenChain {
    fn begin(replica: &str, clocks: CycleClocks) -> (Self, String) {
        let mut writer = ChainWriter::new(replica, clocks.wall.timestamp());
        let begun = HistoryEvent::Begun {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replica: replica.to_owned(),
            silence_at_most_seconds: SILENCE.as_secs(),
            late_by_at_most_seconds: PACE.as_secs(),
        };
        let line = writer.line(begun, clocks.wall.timestamp());
        let chain = Self {
            writer,
            complete: false,
            seen: LastSeen::default(),
            schedule: ComparisonSchedule::default(),
            looks: false,
            told: ToldState::default(),
            begun: clocks.monotonic,
            latest: clocks.monotonic,
            told_until: clocks.wall,
        };
        (chain, line)
    }
}

impl HistoryReconciler {
    /// One that tells, where there are settings.
    pub fn new(settings: Option<HistorySettings>) -> Self {
        Self { settings, ..Self::default() }
    }

    /// What is to be written since this was last asked, line by line.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// A cycle of the leader begins: whether it looks, for which it needs every pod that has a node.
    pub fn begins_look(&mut self, cache: &ClusterCache, evaluation: &Evaluation, clocks: CycleClocks) -> bool {
        let Some(settings) = &self.settings else { return false };
        let lines = &mut self.lines;
        let chain = self.chain.get_or_insert_with(|| {
            let (chain, line) = OpenChain::begin(&settings.replica, clocks);
            lines.push(line);
            chain
        });
        let revisions = &cache.revisions;
        let seen = HistoryRevisions {
            evaluation: evaluation.serial,
            nodes: revisions.nodes,
            pool_membership: revisions.pool_membership,
            workloads: revisions.workloads,
            namespaces: revisions.namespaces,
        };
        if chain.seen.update(seen) {
            chain.schedule.mark_due();
        }
        chain.looks = chain.schedule.is_time(clocks.monotonic);
        chain.looks
    }

    /// Tells what is new, where this cycle looks: of pods that went meanwhile as well, of which so many were `left_out`.
    pub fn reconcile(&mut self, view: &ClusterView<'_>, left_out: u64, clocks: CycleClocks) -> ReconcileOutcome {
        let mut outcome = ReconcileOutcome::default();
        let Some(chain) = &mut self.chain else { return outcome };
        if chain.looks {
            let mut events = Vec::new();
            let missed = (left_out > 0).then_some(HistoryEvent::PodsMissed { pods: left_out });
            events.extend(missed);
            let is_all = chain.told.look(view, AT_ONCE, &mut events);
            if is_all && !chain.complete {
                chain.complete = true;
                events.push(HistoryEvent::Complete);
            }
            chain.schedule.begin(clocks.monotonic, if is_all { PACE } else { GO_ON });
            if is_all {
                chain.told_until = clocks.wall;
            } else {
                chain.schedule.mark_due();
            }
            self.tell(events, clocks);
        }
        let Some(chain) = &mut self.chain else { return outcome };
        chain.schedule.report(&mut outcome);
        if outcome.wake.is_none() {
            chain.told_until = clocks.wall;
            if chain.complete && chain.begun + RENEWAL <= clocks.monotonic {
                // All is told up to this instant, at which the next one begins: nothing lies between them.
                self.renew(clocks);
                outcome.wake_at(Some(clocks.monotonic + GO_ON));
                return outcome;
            }
        }
        if chain.latest + SILENCE <= clocks.monotonic {
            self.tell(vec![HistoryEvent::Alive], clocks);
        }
        outcome.wake_at(self.chain.as_ref().map(|chain| chain.latest + SILENCE));
        outcome
    }

    /// Tells of levels that were lowered.
    pub fn tell_lowered(&mut self, lowered: Vec<LoweredLevel>, clocks: CycleClocks) {
        let event = |LoweredLevel { workload, policy, from, to, source }| {
            let WorkloadIdentity { namespace, kind, name } = workload;
            HistoryEvent::LevelLowered(LoweredWorkload {
                namespace: namespace.to_string(),
                workload_kind: kind.as_str().to_owned(),
                workload: name.to_string(),
                policy,
                from,
                to,
                level_from: source.to_string(),
            })
        };
        self.tell(lowered.into_iter().map(event).collect(), clocks);
    }

    /// This replica leads no more, or stops.
    pub fn end(&mut self, at: Timestamp) {
        if let Some(mut chain) = self.chain.take() {
            let told_until = chain.told_until.timestamp().min(at.timestamp());
            self.lines.push(chain.writer.line(HistoryEvent::Ended { told_until }, at.timestamp()));
        }
    }

    /// Ends the chain and begins another at the same instant.
    fn renew(&mut self, clocks: CycleClocks) {
        self.end(clocks.wall);
        let Some(settings) = &self.settings else { return };
        let (chain, line) = OpenChain::begin(&settings.replica, clocks);
        self.lines.push(line);
        self.chain = Some(chain);
    }

    fn tell(&mut self, events: Vec<HistoryEvent>, clocks: CycleClocks) {
        let Some(chain) = &mut self.chain else { return };
        for event in events {
            chain.latest = clocks.monotonic;
            self.lines.push(chain.writer.line(event, clocks.wall.timestamp()));
        }
    }
}

/// Of pods that went since the last look, those that the look is given.
#[must_use]
pub fn listed(
    looks: bool,
    cache: &mut ClusterCache,
) -> (Option<Vec<(String, rempart_core::cluster_objects::Pod)>>, u64) {
    if !looks {
        return (None, 0);
    }
    let Departures { pods, left_out } = cache.take_departures();
    (Some(pods), left_out)
}
