//! Clocks: the wall clock, and the one that leases are measured by, as something that can be handed in.
//!
//! A [`Clock`] tells the time and when a time has come. [`SystemClock`] is the only one that asks the machine.

use std::{future::Future, pin::Pin, time::Duration};

use rempart_core::instant::Timestamp;

/// Tells the time, and when a time has come.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// For how long the machine has been up: a measure of what has passed, that nobody sets.
    ///
    /// It goes on while the process is stopped and while the machine is suspended.
    fn uptime(&self) -> Duration;
    /// Ends when [`now`](Self::now) has reached `instant`.
    fn sleep_until(&self, instant: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let left = instant.timestamp().duration_since(self.now().timestamp());
                match Duration::try_from(left) {
                    Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_NAP)).await,
                    _ => return,
                }
            }
        })
    }
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// How long a sleep trusts the monotonic clock, which stands still while a machine is suspended and knows nothing of
/// corrections of the wall clock. Only the clock is read again, nothing is asked of the API server.
const LONGEST_NAP: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }

    fn uptime(&self) -> Duration {
        // `std::time::Instant` is CLOCK_MONOTONIC there, which leaves out the time that the machine was suspended.
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        // Neither is ever negative. If it were: so late, nothing is anybody's any more.
        Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or(Duration::MAX)
    }
}
