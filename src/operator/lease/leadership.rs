//! Leadership: until when this replica may write, asked right before each request leaves.
//!
//! The candidate confirms it with the uptime at which a request was sent; a guarded client asks it. Time alone ends it.

use std::{sync::Arc, time::Duration};

use http::{Method, Request};
use kube::{Client, client::Body};
use tokio::sync::watch;
use tower::{BoxError, service_fn};

use super::LeaseDuration;
use crate::operator::{clock::Clock, clock_skew::ClockSkew};

/// Until when this replica may write, as far as the API server has confirmed it. Cheap to clone.
///
/// Times are [`Clock::uptime`]s. That nobody has renewed the lease needs no noticing: time passes by itself, for a
/// process that was stopped and for a machine that was suspended too.
#[derive(Clone, Debug, Default)]
pub struct Leadership(Arc<watch::Sender<Option<Duration>>>);

impl Leadership {
    /// Whether a write that begins at `now` ends while the lease is still held.
    #[must_use]
    pub fn may_write(&self, now: Duration) -> bool {
        self.0.borrow().is_some_and(|until| now < until)
    }

    /// The API server has confirmed the lease for `lease`, asked by a request that was sent at `sent`.
    pub(in crate::operator) fn confirm(&self, sent: Duration, lease: LeaseDuration) {
        let until = sent.saturating_add(lease.begins_writes());
        // An answer that comes late takes nothing back.
        self.0.send_modify(|before| *before = (*before).max(Some(until)));
    }

    /// From now on nothing is written.
    pub(in crate::operator) fn resign(&self) {
        self.0.send_if_modified(|until| until.take().is_some());
    }

    /// Ends when leadership begins or ends, and when it is prolonged.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Duration>> {
        self.0.subscribe()
    }
}

/// A request that was not sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not sent: this replica does not hold the lease, or its clock is wrong")]
pub struct NotLeading;

/// `client`, but for requests that would write while `leadership` does not allow it, or by a clock of which `skew` says
/// that it is wrong: those fail with [`NotLeading`].
///
/// The check is below everything that composes requests, so that no kind of write can do without it.
#[must_use]
pub fn guarded(client: Client, leadership: Leadership, skew: ClockSkew, clock: Arc<dyn Clock>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, leadership) = (client.clone(), leadership.clone());
        let (skew, clock) = (skew.clone(), Arc::clone(&clock));
        async move {
            let may_write = || leadership.may_write(clock.uptime()) && !skew.is_wrong(&*clock);
            if *request.method() != Method::GET && !may_write() {
                return Err(BoxError::from(NotLeading));
            }
            Ok(client.send(request).await?)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    };

    use super::*;
    use rempart_core::instant::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_replica_may_write_until_the_margin_before_the_end_of_what_was_confirmed() {
        // When requests that were confirmed were sent; now; whether it may write.
        let table: &[(&[u64], u64, bool)] = &[
            (&[], 0, false),
            (&[], 1_000, false),
            (&[100], 100, true),
            (&[100], 106, true),
            (&[100], 107, false),
            (&[100], 112, false),
            (&[100], 1_000_000, false),
            (&[100, 102], 108, true),
            (&[100, 102], 109, false),
            // Answers out of order.
            (&[102, 100], 108, true),
            (&[102, 100], 109, false),
            // A process that was stopped for a minute.
            (&[100, 102, 104], 164, false),
            (&[100, 102, 104, 164], 164, true),
        ];
        for (confirmed, now, expected) in table {
            let leadership = Leadership::default();
            confirmed
                .iter()
                .for_each(|sent| leadership.confirm(SECOND * u32::try_from(*sent).unwrap(), LeaseDuration::default()));
            let now = Duration::from_secs(*now);
            assert_eq!(leadership.may_write(now), *expected, "confirmed at {confirmed:?}, now {now:?}");
            leadership.resign();
            assert!(!leadership.may_write(now), "resigned");
        }
    }

    #[test]
    fn whoever_waits_is_told_of_a_beginning_and_of_an_end() {
        let leadership = Leadership::default();
        let mut changes = leadership.changes();
        leadership.resign();
        assert!(!changes.has_changed().unwrap(), "nothing has changed");
        leadership.confirm(SECOND, LeaseDuration::default());
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        leadership.resign();
        assert!(changes.has_changed().unwrap());
    }

    /// A clock that is set by hand.
    #[derive(Clone, Default)]
    struct Uptime(Arc<AtomicU64>);

    impl Clock for Uptime {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(0)
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn no_request_that_writes_leaves_while_the_lease_is_not_held() {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let server = service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(http::Response::new(Body::empty())) }
        });
        let (leadership, clock) = (Leadership::default(), Uptime::default());
        let skew = ClockSkew::default();
        let client = guarded(Client::new(server, "here"), leadership.clone(), skew, Arc::new(clock.clone()));
        let ask = async |method: Method| {
            let before = sent.load(Ordering::Relaxed);
            let request = Request::builder().method(&method).uri("/").body(Body::empty()).unwrap();
            let outcome = client.send(request).await;
            let left = sent.load(Ordering::Relaxed) > before;
            match outcome {
                Ok(_) => assert!(left),
                Err(kube::Error::Service(error)) => assert!(error.is::<NotLeading>() && !left, "{error}"),
                Err(error) => panic!("{error}"),
            }
            left
        };
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let all = async |expected: bool| {
            assert!(ask(Method::GET).await);
            for method in writes.clone() {
                assert_eq!(ask(method.clone()).await, expected, "{method} at {:?}", clock.uptime());
            }
        };
        all(false).await;
        leadership.confirm(clock.uptime(), LeaseDuration::default());
        all(true).await;
        // Nobody has told it anything: time has passed.
        clock.0.store(60, Ordering::Relaxed);
        all(false).await;
        leadership.confirm(clock.uptime(), LeaseDuration::default());
        all(true).await;
        leadership.resign();
        all(false).await;
    }
}
