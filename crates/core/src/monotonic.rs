//! Monotonic time as data: how long something has waited is reckoned from readings that the edge hands in.

use core::{
    ops::{Add, Sub},
    time::Duration,
};

/// A reading of a clock that never goes back: the time since an instant that is the same for all readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime(Duration);

impl MonotonicTime {
    /// The reading `elapsed` after the first possible one.
    #[must_use]
    pub const fn after(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long it lies after the first possible reading.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long it lies after `earlier`; nothing when it is the earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for MonotonicTime {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

impl Sub<Duration> for MonotonicTime {
    type Output = Self;

    /// The reading so much earlier, or the first possible one.
    fn sub(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(wait))
    }
}
