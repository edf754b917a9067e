//! The clock of a simulated machine: virtual time, and how far its wall clock is off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rempart::operator::clock::Clock;
use rempart_core::instant::Timestamp;
use tokio::time::Instant;

/// The one true time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    began: Instant,
    wall: jiff::Timestamp,
}

impl Epoch {
    /// Now is `wall`.
    pub(crate) fn at(wall: jiff::Timestamp) -> Self {
        Self { began: Instant::now(), wall }
    }

    /// How long it has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What time it is.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.elapsed()).unwrap_or_default();
        self.wall.saturating_add(elapsed).unwrap_or(jiff::Timestamp::MAX)
    }
}

/// The clock of a machine.
#[derive(Clone, Debug)]
pub(crate) struct MachineClock {
    epoch: Epoch,
    up_before: Duration,
    ahead_millis: Arc<AtomicI64>,
}

impl MachineClock {
    /// That of a machine which was up for so long when everything began.
    pub(crate) fn new(epoch: Epoch, up_before: Duration) -> Self {
        Self { epoch, up_before, ahead_millis: Arc::default() }
    }

    /// Sets it so far ahead of the truth.
    pub(crate) fn set_ahead(&self, millis: i64) {
        self.ahead_millis.store(millis, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let ahead = jiff::SignedDuration::from_millis(self.ahead_millis.load(Ordering::Relaxed));
        self.epoch.now().saturating_add(ahead).unwrap_or(jiff::Timestamp::MAX).into()
    }

    fn uptime(&self) -> Duration {
        self.up_before.saturating_add(self.epoch.elapsed())
    }
}
