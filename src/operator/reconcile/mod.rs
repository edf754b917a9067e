//! Reconcilers: each compares one family of objects with what it should be, and asks for the difference.
//!
//! A [`Reconciler`] owns its memory, is given a [`ClusterView`] and the two clocks, and returns write requests with a
//! report of what it holds back and why. None has a client, and none waits: what is not written is simply still a
//! difference in the next cycle.

pub mod admission;
pub mod events;
pub mod history;
pub mod migration;
pub mod node_labels;
pub mod records;
pub mod schedule;
pub mod settings;
pub mod statuses;
pub mod view;

use std::time::Instant;

use self::view::ClusterView;
use super::{
    hold::Holds,
    write::{EventRequest, WriteRequest},
};
use rempart_core::instant::Timestamp;

/// The two clocks, as they stand in a cycle.
#[derive(Clone, Copy, Debug)]
pub struct CycleClocks {
    /// The wall clock, by which facts begin and end.
    pub wall: Timestamp,
    /// The monotonic clock, by which waits are measured.
    pub monotonic: Instant,
}

/// What a reconciler asks for.
#[derive(Debug, Default)]
pub struct ReconcileOutcome {
    /// The requests that are due.
    pub requests: Vec<WriteRequest>,
    /// What people should hear of.
    pub events: Vec<EventRequest>,
    /// What is held back.
    pub holds: Holds,
    /// When it has something to do though nothing is observed.
    pub wake: Option<Instant>,
}

impl ReconcileOutcome {
    /// It has something to do at `instant`, if not before.
    pub fn wake_at(&mut self, instant: Option<Instant>) {
        self.wake = earliest(self.wake, instant);
    }
}

/// The earlier of two instants, where there are any.
#[must_use]
pub fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Compares one family of objects with what it should be.
pub trait Reconciler {
    /// What is due at `clocks`.
    fn reconcile(&mut self, view: &ClusterView<'_>, clocks: CycleClocks) -> ReconcileOutcome;

    /// This replica begins to lead: everything is compared anew.
    fn take_over(&mut self, view: &ClusterView<'_>);
}
