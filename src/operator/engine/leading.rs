//! One of several replicas leads: what it means to begin, and what the others do meanwhile.

use std::time::Instant as Moment;

use super::Engine;

impl Engine {
    /// Takes in whether this replica leads.
    pub fn lead(&mut self, leads: bool) {
        if leads == std::mem::replace(&mut self.leads, leads) {
            return;
        }
        if !leads {
            return self.metrics.resigned();
        }
        // Everything is compared anew. What became of our own writes, if there ever were any, says nothing any more.
        self.admission.take_over();
        self.moves.take_over();
        self.moves.stops.take_over(&self.index);
        self.fleet_changed = true;
        self.retries.clear();
        self.said.clear();
        self.absence = None;
        self.statuses_due = true;
        self.records.anew();
        self.statuses_not_before = None;
        self.place_all();
    }

    /// Keeps up with what the leader does, so that a step that it has begun is completed in time by whoever takes over.
    pub(super) fn follow(&mut self, now: Moment) {
        self.admission.plan(&self.index, &self.settings.exempt, now, &mut Vec::new());
        self.wake_at(self.admission.wake());
        self.metrics.counted(&self.index);
        // What is only kept for writes would otherwise be kept for ever.
        self.queue.clear();
        self.outbox.clear();
        if self.under_way.is_empty() {
            self.index.bury();
        }
    }
}
