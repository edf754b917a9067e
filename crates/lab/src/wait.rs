//! Waiting for a condition, with a deadline, instead of sleeping.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{LabError, Result};

/// Interval between the first attempts.
const INTERVAL: Duration = Duration::from_millis(50);
/// Interval between attempts in the long run: many that wait side by side would ask most of an API server.
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);

/// Repeats `attempt` every 50 ms, later every 250 ms, until it succeeds, and fails with its last reason after `timeout`.
///
/// ```
/// # use std::time::Duration;
/// # use rempart_lab::eventually;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let mut looks = 0;
/// let seen = eventually("the third look", Duration::from_secs(5), async || {
///     looks += 1;
///     if looks < 3 { Err(format!("this is look {looks}")) } else { Ok(looks) }
/// })
/// .await?;
/// assert_eq!(seen, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn eventually<T, E: Display>(
    what: impl Into<String>,
    timeout: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut reason = String::from("the first attempt did not end");
    let mut pause = INTERVAL;
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => reason = error.to_string(),
            Err(_) => {}
        }
        if Instant::now() + pause >= deadline {
            return Err(LabError::Timeout { what: what.into(), after: timeout, reason });
        }
        sleep(pause).await;
        pause = pause.mul_f32(1.25).min(LONGEST_INTERVAL);
    }
}
