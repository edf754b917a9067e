//! Progress of a policy's admission: since when each of its steps holds, so that the next waits until API servers act on
//! it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::DesiredDigests;

/// Since when something has held without a break.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeldSince(Option<Instant>);

impl HeldSince {
    /// Whether it holds `now`.
    pub(super) fn update(&mut self, holds: bool, now: Instant) {
        self.0 = holds.then(|| self.0.unwrap_or(now));
    }

    /// The wait until it has held for `long`.
    pub(super) fn wait(self, long: Duration) -> Wait {
        self.0.map_or(Wait::NotBegun, |since| Wait::Until(since + long))
    }
}

/// A wait for API servers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// What it waits for does not hold.
    NotBegun,
    /// It ends then.
    Until(Instant),
}

impl Wait {
    /// Whether it is over `now`.
    pub(super) fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::Until(then) if then <= now)
    }
}

/// How far a policy has come.
#[derive(Debug, Default)]
pub(super) struct PolicyProgress {
    /// Its mutations are bound as they must be.
    pub(super) mutated: HeldSince,
    /// Its mutations are not bound as they must be, or have not been for long enough.
    pub(super) uncompleted: HeldSince,
    /// Its validations are there as they must be.
    pub(super) validated: HeldSince,
    /// Of its validations none is there that should not be.
    pub(super) tidied: HeldSince,
    /// Of its mutations none is there that should not be: what is written is completed as it says now.
    pub(super) released: HeldSince,
    /// What it must have, by digests, as it was when its validations were last allowed to follow its mutations.
    pub(super) enacted: Option<Arc<DesiredDigests>>,
    /// It ends: no validation is left.
    pub(super) freed: HeldSince,
    /// It ends: nothing of it is left.
    pub(super) ended: HeldSince,
}
