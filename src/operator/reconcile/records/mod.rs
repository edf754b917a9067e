//! Record reconciler: a `WorkloadPlacement` for every workload that a policy governs.
//!
//! A comparison looks at everything that runs and notes what differs from the records that are there. It is made when
//! something has changed, and at most every [`PACE`]; whatever happened in between is one write for each record. What is
//! to be written is worked out for a few hundred records at a time: those of a large cluster do not find room at once.

mod compare;
mod conditions;
mod content;
pub mod counts;
mod entry;
mod subject;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use self::{
    compare::{CachedCluster, RecordComparison},
    counts::PolicyLevelCounts,
    entry::{entries, levels},
};
use super::{
    CycleClocks, ReconcileOutcome, Reconciler,
    schedule::ComparisonSchedule,
    view::{ClusterView, ReportRevisions},
};
use crate::api::conditions::LEVEL_LOWERED;
use crate::operator::{
    cache::{LastSeen, Revision},
    hold::HoldReason,
    metrics::Metrics,
    write::{EventRequest, WriteFailure, WriteRequest, WriteTarget},
};
use rempart_core::{sensitivity::SensitivitySource, workload::WorkloadIdentity};

/// How often everything that runs is looked at while it keeps changing.
const PACE: Duration = Duration::from_secs(2);
/// Records that are written at a time.
const CONCURRENCY: usize = 8;

/// The revisions of everything that records follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordRevisions {
    report: ReportRevisions,
    records: Revision,
    migrations: Revision,
}

impl RecordRevisions {
    fn of(view: &ClusterView<'_>) -> Self {
        Self {
            report: view.report_revisions(),
            records: view.cache.revisions.records,
            migrations: view.migrations.revision,
        }
    }
}

/// A record that is right: what it follows from, as a number, and the version at which it was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct VerifiedRecord {
    from: u64,
    record: u64,
}

/// A write of a record, and what there is to tell once it is made.
struct RecordWrite {
    request: WriteRequest,
    events: Vec<EventRequest>,
    /// The levels that it says no more, but lower ones, each with its policy.
    lowered: Vec<LoweredLevel>,
}

/// A level by which a workload was placed under a policy that now places it by a lower one.
#[derive(Clone, Debug)]
pub struct LoweredLevel {
    /// The workload.
    pub workload: WorkloadIdentity,
    /// The policy.
    pub policy: String,
    /// The level before.
    pub from: String,
    /// The level now.
    pub to: String,
    /// Who says what holds now.
    pub source: SensitivitySource,
}

/// How the records stand.
#[derive(Default)]
pub struct RecordReconciler {
    seen: LastSeen<RecordRevisions>,
    schedule: ComparisonSchedule,
    /// Whether the last comparison found more to write than it worked out.
    has_more: bool,
    ready: VecDeque<RecordWrite>,
    /// What there is to tell of records that are being written, once they are known to say it.
    untold: BTreeMap<String, Vec<EventRequest>>,
    verified: BTreeMap<String, VerifiedRecord>,
    /// When a record was last asked for.
    asked: BTreeMap<String, Instant>,
    /// The last record that was asked for: the next comparison goes on after it, so that each has its turn.
    cursor: String,
    levels: PolicyLevelCounts,
    /// The levels that were lowered since they were last taken.
    lowered: Vec<LoweredLevel>,
    metrics: Metrics,
}

impl RecordReconciler {
    /// One that has compared no record.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// What runs of the levels of each policy, least sensitive first.
    pub fn level_counts(&self) -> &PolicyLevelCounts {
        &self.levels
    }

    /// The levels that were lowered since this was last asked, each once.
    pub fn take_lowered(&mut self) -> Vec<LoweredLevel> {
        std::mem::take(&mut self.lowered)
    }

    /// A write that was due is not made now: its record is compared again, and where it waits out failures when these are
    /// over.
    pub fn put_off(&mut self, target: &WriteTarget, not_before: Option<Instant>) {
        if matches!(target, WriteTarget::Record(_)) {
            self.schedule.put_off(not_before);
        }
    }

    /// Takes in how a write ended, and returns what there is to tell. Of a record that may have been written it is told
    /// when the record is seen to say it.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>) -> Vec<EventRequest> {
        match target {
            WriteTarget::Record(name) if failure.is_none() => self.untold.remove(name).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Compares every record, and returns what there is to tell of those that were written without an answer.
    fn compare(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> Vec<EventRequest> {
        let (objects, report) = (view.objects(), view.report());
        let entries = entries(&objects, report);
        let levels = levels(report, &entries, view.evaluation, &view.cache.records);
        let cluster = CachedCluster { evaluation: view.evaluation, cache: view.cache, exempt: view.exempt() };
        let (at, now) = (clocks.wall, clocks.monotonic);
        let comparison =
            RecordComparison { entries: &entries, cluster: &cluster, migrations: view.migrations, at, now };
        let told = comparison.compare(self);
        comparison.end(&objects, self);
        for write in &self.ready {
            if let WriteTarget::Record(name) = write.request.target() {
                self.asked.insert(name, now);
            }
        }
        self.verified.retain(|name, _| entries.contains_key(name));
        self.untold.retain(|name, _| entries.contains_key(name));
        self.metrics.set_level_counts(view.evaluation, &levels);
        self.levels = levels;
        told
    }
}

impl Reconciler for RecordReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        let now = clocks.monotonic;
        let writing = view.writes.in_flight(|target| matches!(target, WriteTarget::Record(_)));
        let free = CONCURRENCY.saturating_sub(writing);
        if self.seen.update(RecordRevisions::of(view)) {
            self.schedule.mark_due();
        }
        let goes_on = self.has_more && self.ready.is_empty() && free > 0;
        let mut outcome = ReconcileOutcome::default();
        if self.schedule.is_time(now) || goes_on {
            outcome.events = self.compare(view, clocks);
        }
        for RecordWrite { request, events, lowered } in self.ready.drain(..free.min(self.ready.len())) {
            if let WriteTarget::Record(name) = request.target() {
                // Of a write that failed nobody knows whether the record says it: it came about all the same.
                let untold = self.untold.entry(name.clone()).or_default();
                // What was asked for before and failed has been counted.
                if untold.iter().all(|event| event.reason != LEVEL_LOWERED) {
                    for LoweredLevel { policy, from, .. } in &lowered {
                        self.metrics.level_lowered(policy, from);
                    }
                    self.lowered.extend(lowered);
                }
                untold.retain(|before| events.iter().all(|event| event.reason != before.reason));
                untold.extend(events);
                self.cursor = name;
            }
            outcome.requests.push(request);
        }
        outcome.holds.count(HoldReason::Concurrency, self.ready.len());
        self.schedule.report(&mut outcome);
        outcome
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {
        let levels = std::mem::take(&mut self.levels);
        *self = Self { levels, metrics: self.metrics.clone(), ..Self::default() };
    }
}
