//! Comparison schedule: when a reconciler that compares everything at a pace does so next.
//!
//! It is told what came about, and asked at a clock whether it is time. Whatever is due is compared once its pace allows,
//! and what waits out failures when these are over: neither is forgotten.

use std::time::{Duration, Instant};

use super::{ReconcileOutcome, earliest};
use crate::operator::hold::HoldReason;

/// When everything is compared again.
#[derive(Debug, Default)]
pub struct ComparisonSchedule {
    is_due: bool,
    not_before: Option<Instant>,
    /// When the first of what waits out failures is compared again.
    retry_at: Option<Instant>,
}

impl ComparisonSchedule {
    /// Something is to be compared, whether or not anything was observed.
    pub fn mark_due(&mut self) {
        self.is_due = true;
    }

    /// A write that was due is not made: it is compared again, and where it waits out failures when these are over.
    pub fn put_off(&mut self, not_before: Option<Instant>) {
        match not_before {
            Some(not_before) => self.retry_at = earliest(self.retry_at, Some(not_before)),
            None => self.is_due = true,
        }
    }

    /// Whether it is time to compare.
    pub fn is_time(&mut self, now: Instant) -> bool {
        if self.retry_at.is_some_and(|retry| retry <= now) {
            (self.retry_at, self.is_due) = (None, true);
        }
        self.is_due && self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// A comparison begins: the next one comes after `pace`.
    pub fn begin(&mut self, now: Instant, pace: Duration) {
        (self.is_due, self.not_before) = (false, Some(now + pace));
    }

    /// Says what is held back, and when to ask again.
    pub fn report(&self, outcome: &mut ReconcileOutcome) {
        if self.is_due {
            outcome.holds.count(HoldReason::Pace, 1);
            outcome.wake_at(self.not_before);
        }
        outcome.wake_at(self.retry_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(2);

    #[test]
    fn nothing_that_is_due_is_forgotten() {
        let (start, mut schedule) = (Instant::now(), ComparisonSchedule::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!schedule.is_time(at(0)), "nothing came about");
        schedule.mark_due();
        assert!(schedule.is_time(at(0)));
        schedule.begin(at(0), PACE);
        schedule.put_off(Some(at(30)));
        schedule.put_off(Some(at(5)));
        schedule.mark_due();
        assert!(!schedule.is_time(at(1)), "its pace");
        let mut outcome = ReconcileOutcome::default();
        schedule.report(&mut outcome);
        assert_eq!(outcome.wake, Some(at(2)));
        assert!(schedule.is_time(at(2)));
        schedule.begin(at(2), PACE);
        let mut outcome = ReconcileOutcome::default();
        schedule.report(&mut outcome);
        assert_eq!(outcome.wake, Some(at(5)), "what waits out failures");
        assert!(!schedule.is_time(at(4)) && schedule.is_time(at(5)));
    }
}
