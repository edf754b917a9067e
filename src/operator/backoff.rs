//! Backoff: how long the operator waits after a failure before it tries again, whatever it was that failed.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The wait after a first failure.
const FIRST: Duration = Duration::from_millis(200);

/// Waits that double up to `longest`, without end.
pub const fn doubling(longest: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(longest).with_factor(2.0).without_max_times()
}

/// The wait after so many failures in a row.
pub fn after(failures: u32, longest: Duration) -> Duration {
    // So many doublings are longer than anything that is waited for.
    const MANY: u32 = 40;
    let waits = failures.clamp(1, MANY);
    doubling(longest).build().take(waits as usize).last().unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = [0, 1, 2, 3, 8, 9, 1000, u32::MAX].map(|failures| after(failures, Duration::from_secs(30)));
        assert_eq!(waits.map(|wait| wait.as_millis()), [200, 200, 400, 800, 25_600, 30_000, 30_000, 30_000]);
    }
}
