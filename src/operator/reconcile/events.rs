//! Event reconciler: sends what people should hear of, a few at a time.
//!
//! It takes [`EventRequest`]s from the other reconcilers and returns as many as may be on their way. When a thousand
//! workloads begin to move, so many requests at once would take more memory than all else. Reasons take turns: a flood of
//! changed clearances does not hold up the word that a move is stopped.

use std::collections::{BTreeMap, VecDeque};

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

    /// Takes up to `count` of those that wait: the oldest of the reason of which the fewest have been taken.
    fn take(&mut self, count: usize) -> Vec<EventRequest> {
        let mut taken = BTreeMap::<&'static str, usize>::new();
        let mut due = Vec::new();
        while due.len() < count {
            let turns = self.waiting.iter().map(|event| taken.get(event.reason).copied().unwrap_or(0));
            let next = turns.enumerate().min_by_key(|(_, turns)| *turns).map(|(index, _)| index);
            let Some(event) = next.and_then(|index| self.waiting.remove(index)) else { break };
            let turns = taken.entry(event.reason).or_default();
            *turns = turns.saturating_add(1);
            due.push(event);
        }
        due
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
        let due = self.take(free);
        let requests = due.into_iter().map(|event| WriteRequest::RecordEvent(Box::new(event))).collect();
        let mut holds = Holds::default();
        holds.count(HoldReason::Concurrency, self.waiting.len());
        ReconcileOutcome { requests, holds, ..ReconcileOutcome::default() }
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {}
}

#[cfg(test)]
mod tests {
    use rempart_core::instant::Timestamp;

    use super::*;

    #[test]
    fn a_flood_of_one_reason_holds_up_no_other() {
        let event =
            |name: &str, reason| EventRequest::of_policy(name, None, reason, String::new(), Timestamp::from_seconds(0));
        let mut events = EventReconciler::default();
        events.enqueue((0..100).map(|index| event(&format!("policy-{index}"), "ClearanceChanged")));
        events.enqueue([event("late", "MoveStopped")]);
        let names: Vec<_> = events.take(3).into_iter().map(|event| event.about.name.unwrap_or_default()).collect();
        assert_eq!(names, ["policy-0", "late", "policy-1"]);
        assert_eq!((events.take(200).len(), events.waiting()), (98, 0));
    }
}
