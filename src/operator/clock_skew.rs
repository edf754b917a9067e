//! Clock skew: how far this machine's clock differs from the API server's, as every answer of the API server says.
//!
//! [`observed`] gives a client by which each answer is held against the clock. Who writes asks [`ClockSkew::is_wrong`]
//! first: by a clock that is wrong, certificates begin and end at the wrong time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Request, header::DATE};
use kube::{Client, client::Body};
use tower::{BoxError, service_fn};

use super::clock::Clock;
use rempart_core::instant::Timestamp;

/// How far the clock may differ from the API server's.
pub const TOLERANCE: Duration = Duration::from_mins(1);

/// What time it is by the API server, as of its latest answer. Cheap to clone.
///
/// Kept as what is to be added to [`Clock::uptime`], in milliseconds: a clock that is set shows before the next answer.
#[derive(Clone, Debug)]
pub struct ClockSkew(Arc<AtomicI64>);

/// Before the first answer.
const UNKNOWN: i64 = i64::MIN;

impl Default for ClockSkew {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl ClockSkew {
    /// By how many seconds `clock` is ahead; negative where it is behind, and 0 before the first answer.
    #[must_use]
    pub fn seconds(&self, clock: &dyn Clock) -> i64 {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            server => {
                let there = uptime(clock).saturating_add(server);
                clock.now().timestamp().as_millisecond().saturating_sub(there) / 1000
            }
        }
    }

    /// Whether that is more than [`TOLERANCE`].
    #[must_use]
    pub fn is_wrong(&self, clock: &dyn Clock) -> bool {
        self.seconds(clock).unsigned_abs() > TOLERANCE.as_secs()
    }

    /// What time it is by the API server; by `clock` before the first answer.
    #[must_use]
    pub fn server_time(&self, clock: &dyn Clock) -> Timestamp {
        let server = self.0.load(Ordering::Relaxed);
        let there = (server != UNKNOWN).then(|| uptime(clock).saturating_add(server));
        there
            .and_then(|there| jiff::Timestamp::from_millisecond(there).ok())
            .map_or_else(|| clock.now(), Timestamp::from)
    }

    /// Takes in an answer that has just come. One that does not say what time it is changes nothing.
    pub(super) fn take(&self, headers: &HeaderMap, clock: &dyn Clock) {
        if let Some(there) = date_of(headers) {
            let server = there.timestamp().as_millisecond().saturating_sub(uptime(clock));
            self.0.store(server, Ordering::Relaxed);
        }
    }
}

/// The uptime of `clock`, in milliseconds.
fn uptime(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.uptime().as_millis()).unwrap_or(i64::MAX)
}

/// What time an answer says that it is.
#[must_use]
pub fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().into())
}

/// `client`, each answer to which is held against `clock`, and what it tells is kept in `skew`.
#[must_use]
pub fn observed(client: Client, skew: ClockSkew, clock: Arc<dyn Clock>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, skew, clock) = (client.clone(), skew.clone(), Arc::clone(&clock));
        async move {
            let answer = client.send(request).await?;
            skew.take(answer.headers(), &*clock);
            Ok::<_, BoxError>(answer)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin};

    use super::*;

    /// A clock that says this, so long after its machine was started.
    struct SetClock(&'static str, u64);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            self.0.parse::<jiff::Timestamp>().unwrap().into()
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.1)
        }

        fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    fn told(date: &str) -> HeaderMap {
        [(DATE, date.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn an_answer_tells_how_far_the_clock_is_off() {
        for (here, seconds, wrong) in [
            ("2026-03-01T12:00:00Z", 0, false),
            ("2026-03-01T12:01:00Z", 60, false),
            ("2026-03-01T12:01:01Z", 61, true),
            ("2026-03-01T11:58:59Z", -61, true),
            ("2031-03-01T12:00:00Z", 157_766_400, true),
        ] {
            let (skew, clock) = (ClockSkew::default(), SetClock(here, 5));
            assert_eq!(skew.seconds(&clock), 0, "nothing is known yet");
            skew.take(&told("Sun, 01 Mar 2026 12:00:00 GMT"), &clock);
            assert_eq!((skew.seconds(&clock), skew.is_wrong(&clock)), (seconds, wrong), "{here}");
            skew.take(&told("no date"), &clock);
            skew.take(&HeaderMap::new(), &clock);
            assert_eq!(skew.seconds(&clock), seconds, "what says nothing changes nothing");
            let later = SetClock(here, 65);
            assert_eq!(skew.server_time(&later).to_string(), "2026-03-01T12:01:00Z", "{here}");
            assert_eq!(ClockSkew::default().server_time(&later), later.now());
        }
    }

    #[test]
    fn a_clock_that_is_set_shows_before_the_next_answer() {
        let skew = ClockSkew::default();
        skew.take(&told("Sun, 01 Mar 2026 12:00:00 GMT"), &SetClock("2026-03-01T12:00:01Z", 100));
        // An hour passes, and then somebody sets the clock.
        assert_eq!(skew.seconds(&SetClock("2026-03-01T13:00:01Z", 3700)), 1);
        assert!(skew.is_wrong(&SetClock("2026-03-02T13:00:01Z", 3700)));
        assert!(skew.is_wrong(&SetClock("2026-03-01T12:00:01Z", 3700)));
    }
}
