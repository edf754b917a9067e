//! Event reconciler: sends what people should hear of, a few at a time.
//!
//! It takes [`EventRequest`]s from the other reconcilers and returns as many as may be on their way. When a thousand
//! workloads begin to move, so many requests at once would take more memory than all else.

use std::collections::VecDeque;

use super::{
    CycleClocks, ReconcileOutcome, Reconciler,
    hold::{HoldReason, Holds},
    view::ClusterView,
};
use crate::operator::{
    metrics::Metrics,
    write::{EventRequest, WriteRequest, WriteTarget, queue::SHARE},
};

/// So many events may wait; the oldest are dropped then, and counted.
pub const UNSENT: usize = 4096;

/// Events that wait to be sent.
#[derive(Default)]
pub struct EventReconciler {
    waiting: VecDeque<EventRequest>,
    metrics: Metrics,
}

impl EventReconciler {
    /// Nothing waits.
    pub fn new(metrics: Metrics) -> Self {
        Self { waiting: VecDeque::new(), metrics }
    }

    /// Puts `events` behind those that wait.
    pub fn enqueue(&mut self, events: impl IntoIterator<Item = EventRequest>) {
        self.waiting.extend(events);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Another replica leads, and tells.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

impl Reconciler for EventReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, _: CycleClocks) -> ReconcileOutcome {
        for dropped in self.waiting.drain(..self.waiting.len().saturating_sub(UNSENT)) {
            let target = dropped.target();
            self.metrics.write_failed(target.kind(), "dropped");
            tracing::warn!(object = target.object(), "an event was not recorded: too many wait already");
        }
        let sending = view.writes.in_flight(|target| matches!(target, WriteTarget::Event(..)));
        let free = view.settings.concurrency.div_ceil(SHARE).saturating_sub(sending);
        let due = self.waiting.drain(..free.min(self.waiting.len()));
        let requests = due.map(|event| WriteRequest::RecordEvent(Box::new(event))).collect();
        let mut holds = Holds::default();
        holds.count(HoldReason::Concurrency, self.waiting.len());
        ReconcileOutcome { requests, holds, ..ReconcileOutcome::default() }
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {}
}
