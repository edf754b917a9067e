//! Event reconciler, the operator's event recorder: sends what people should hear of, a few at a time.
//!
//! It takes [`EventRequest`]s from the other reconcilers and returns as many as may be on their way. When a thousand
//! workloads begin to move, so many requests at once would take more memory than all else. Reasons take turns, so that a
//! flood of changed clearances does not hold up the word that a move is stopped, and what is told twice of one object for
//! one reason while it waits is told as one. An event of which nobody knows whether it arrived is sent again: its name
//! makes it the same event.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::{CycleClocks, ReconcileOutcome, Reconciler, earliest, view::ClusterView};
use crate::operator::{
    hold::HoldReason,
    metrics::Metrics,
    write::{
        EventRequest, WriteFailure, WriteRequest, WriteTarget,
        queue::{SHARE, WriteQueue},
    },
};

/// So many events may wait; the oldest of the reason with the most are dropped then, and counted.
pub const UNSENT: usize = 4096;
/// So often an event is sent, unless the API server is away, before it is given up.
const ATTEMPTS: u32 = 5;

/// Events of one reason that wait. Objects take turns.
#[derive(Debug, Default)]
struct ReasonQueue {
    turns: VecDeque<String>,
    by_object: BTreeMap<String, VecDeque<EventRequest>>,
    len: usize,
}

impl ReasonQueue {
    /// Puts `event` behind those that wait, or into the last of them about the same object.
    fn push(&mut self, event: EventRequest) {
        let waiting = self.by_object.entry(event.object()).or_default();
        if waiting.back_mut().is_some_and(|last| last.join(&event)) {
            return;
        }
        if waiting.is_empty() {
            self.turns.push_back(event.object());
        }
        waiting.push_back(event);
        self.len = self.len.saturating_add(1);
    }

    fn pop(&mut self) -> Option<EventRequest> {
        let object = self.turns.pop_front()?;
        let waiting = self.by_object.get_mut(&object)?;
        let event = waiting.pop_front()?;
        if waiting.is_empty() {
            self.by_object.remove(&object);
        } else {
            self.turns.push_back(object);
        }
        self.len = self.len.saturating_sub(1);
        Some(event)
    }
}

/// An event that is on its way, or that failed and is sent again.
#[derive(Debug)]
struct SentEvent {
    /// What its write is called: it is asked for again and again while the event waits.
    target: WriteTarget,
    event: EventRequest,
    failures: u32,
}

impl SentEvent {
    fn new(event: EventRequest) -> Self {
        Self { target: event.target(), event, failures: 0 }
    }
}

/// Events that wait to be sent.
#[derive(Default)]
pub struct EventReconciler {
    /// By reason. None is empty.
    waiting: BTreeMap<&'static str, ReasonQueue>,
    /// The reasons, in the order of their turns.
    turns: VecDeque<&'static str>,
    sent: BTreeMap<WriteTarget, SentEvent>,
    /// Those that failed and are sent again, in the order of their failures.
    failed: VecDeque<SentEvent>,
    metrics: Metrics,
}

impl EventReconciler {
    /// Nothing waits.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Puts `events` behind those that wait.
    pub fn enqueue(&mut self, events: impl IntoIterator<Item = EventRequest>) {
        for event in events {
            let reason = event.reason;
            let queue = self.waiting.entry(reason).or_default();
            if queue.len == 0 {
                self.turns.push_back(reason);
            }
            queue.push(event);
        }
    }

    /// The next of those that wait: of the reason whose turn it is, the one about the object whose turn it is.
    fn pop(&mut self) -> Option<EventRequest> {
        let reason = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(reason)?;
        let event = queue.pop();
        if queue.len == 0 {
            self.waiting.remove(reason);
        } else {
            self.turns.push_back(reason);
        }
        event
    }

    /// How many wait for the first time.
    pub fn waiting(&self) -> usize {
        self.waiting.values().map(|queue| queue.len).fold(0, usize::saturating_add)
    }

    /// Drops what is too much, of the reason of which the most wait.
    fn drop_surplus(&mut self) {
        for _ in UNSENT..self.waiting().saturating_add(self.failed.len()) {
            let longest = self.waiting.values_mut().max_by_key(|queue| queue.len);
            let dropped = match self.failed.pop_front() {
                Some(SentEvent { event, .. }) => Some(event),
                None => longest.and_then(ReasonQueue::pop),
            };
            let Some(dropped) = dropped else { return };
            self.metrics.write_failed(dropped.target().kind(), "dropped");
            tracing::warn!(
                object = dropped.object(),
                reason = dropped.reason,
                "an event was not recorded: too many wait already"
            );
        }
    }

    /// Those that failed and whose wait is over, up to `count`, and when the wait of another is.
    fn take_failed(&mut self, count: usize, writes: &WriteQueue, now: Instant) -> (Vec<SentEvent>, Option<Instant>) {
        let (mut due, mut wake) = (Vec::new(), None);
        for sent in std::mem::take(&mut self.failed) {
            let not_before = writes.backs_off_until(&sent.target, now);
            if not_before.is_none() && due.len() < count {
                due.push(sent);
            } else {
                wake = earliest(wake, not_before);
                self.failed.push_back(sent);
            }
        }
        (due, wake)
    }

    /// Takes in how the event `target` ended, and returns whether that was in vain and it is not sent again. While the API
    /// server `is_away` no attempt counts.
    pub fn on_write_result(&mut self, target: &WriteTarget, failure: Option<&WriteFailure>, is_away: bool) -> bool {
        let Some(sent) = self.sent.remove(target) else { return false };
        let failures = match failure {
            // Another replica leads, and tells of what it sees from now on.
            None | Some(WriteFailure::NotLeading) => return false,
            Some(WriteFailure::Unreachable) if is_away => sent.failures,
            Some(WriteFailure::Unreachable | WriteFailure::Timeout | WriteFailure::Other | WriteFailure::Conflict) => {
                sent.failures.saturating_add(1)
            }
            // The object or its namespace is gone, or no other attempt would fare better.
            Some(
                WriteFailure::Gone
                | WriteFailure::NotFound
                | WriteFailure::Refused(_)
                | WriteFailure::OverBudget(_)
                | WriteFailure::Forbidden
                | WriteFailure::Invalid,
            ) => ATTEMPTS,
        };
        if failures < ATTEMPTS {
            self.failed.push_back(SentEvent { failures, ..sent });
        }
        failures >= ATTEMPTS
    }

    /// Another replica leads, and tells of what it sees from now on.
    pub fn clear(&mut self) {
        *self = Self::new(self.metrics.clone());
    }
}

impl Reconciler for EventReconciler {
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome {
        self.drop_surplus();
        let sending = view.writes.in_flight(|target| matches!(target, WriteTarget::Event { .. }));
        let free = view.settings.concurrency.div_ceil(SHARE).saturating_sub(sending);
        // Half of the room is for what is new, however much has failed.
        let (mut due, wake) = self.take_failed(free.div_ceil(2), view.writes, clocks.monotonic);
        while due.len() < free {
            let Some(sent) = self.pop().map(SentEvent::new) else { break };
            // What is told word for word of the same object at the same time is the same event.
            if !self.sent.contains_key(&sent.target) {
                due.push(sent);
            }
        }
        let mut outcome = ReconcileOutcome::default();
        for sent in due {
            outcome.requests.push(WriteRequest::RecordEvent(Box::new(sent.event.clone())));
            self.sent.insert(sent.target.clone(), sent);
        }
        outcome.holds.count(HoldReason::Concurrency, self.waiting());
        outcome.holds.count(HoldReason::Backoff, self.failed.len());
        outcome.wake_at(wake);
        outcome
    }

    fn take_over(&mut self, _: &ClusterView<'_>) {}
}

#[cfg(test)]
mod tests {
    use rempart_core::instant::Timestamp;

    use super::*;

    fn event(name: &str, reason: &'static str, note: &str) -> EventRequest {
        EventRequest::of_policy(name, None, reason, note.to_owned(), Timestamp::from_seconds(0))
    }

    fn names(events: &mut EventReconciler, count: usize) -> Vec<String> {
        let popped = std::iter::from_fn(|| events.pop()).take(count);
        popped.map(|event| event.about.name.unwrap_or_default()).collect()
    }

    #[test]
    fn a_flood_of_one_reason_holds_up_no_other() {
        let mut events = EventReconciler::default();
        events.enqueue((0..100).map(|index| event(&format!("policy-{index:02}"), "ClearanceChanged", "")));
        assert_eq!(names(&mut events, 1), ["policy-00"]);
        events.enqueue([event("late", "MoveStopped", ""), event("later", "MoveStopped", "")]);
        // One at a time, as room comes free.
        assert_eq!(names(&mut events, 1), ["policy-01"]);
        assert_eq!(names(&mut events, 1), ["late"]);
        assert_eq!(names(&mut events, 3), ["policy-02", "later", "policy-03"]);
        assert_eq!(names(&mut events, 200).len(), 96);
        assert_eq!(events.waiting(), 0);
    }

    #[test]
    fn what_waits_about_one_object_is_told_as_one() {
        let mut events = EventReconciler::default();
        for note in ["level high lost par", "level high gained par", "level high gained par"] {
            events.enqueue([event("state", "ClearanceChanged", note), event("health", "ClearanceChanged", note)]);
        }
        let told: Vec<_> = std::iter::from_fn(|| events.pop()).map(|event| event.note).collect();
        assert_eq!(told, ["level high lost par; then level high gained par"; 2]);
        // What would have to be cut is told by itself.
        let long = "x".repeat(800);
        events.enqueue(["a", "b"].map(|end| event("state", "ClearanceChanged", &format!("{long}{end}"))));
        assert_eq!(events.waiting(), 2);
    }

    #[test]
    fn an_event_of_which_nobody_knows_is_sent_again_and_not_for_ever() {
        let (mut events, queue, now) = (EventReconciler::default(), WriteQueue::default(), Instant::now());
        let event = event("state", "MoveStopped", "so many would move");
        let target = event.target();
        events.sent.insert(target.clone(), SentEvent::new(event));
        for attempt in 1..=ATTEMPTS {
            for (failure, is_away, lost) in
                [(WriteFailure::Unreachable, true, false), (WriteFailure::Unreachable, false, attempt == ATTEMPTS)]
            {
                assert_eq!(events.on_write_result(&target, Some(&failure), is_away), lost, "{failure:?} {attempt}");
                let (due, _) = events.take_failed(1, &queue, now);
                assert_eq!(due.len(), usize::from(!lost));
                events.sent.extend(due.into_iter().map(|sent| (sent.target.clone(), sent)));
            }
        }
    }
}
