//! Watch backoff: how long to wait after each failure of one watch before it is taken up again.
//!
//! It is told of what a watch says and of how it fails, and answers with a wait; each watch has its own.

use std::time::Duration;

use backon::BackoffBuilder;
use kube::runtime::watcher;

use crate::operator::backoff::doubling;

/// The longest wait before a watch that broke off is taken up again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long to wait after each failure of one watch.
pub struct WatchBackoff {
    backoff: backon::ExponentialBackoff,
    /// The last failure was an answer: where the watch was is forgotten.
    expired: bool,
}

impl Default for WatchBackoff {
    fn default() -> Self {
        // With jitter: watches that broke off together are not taken up again together.
        Self { backoff: doubling(LONGEST_WAIT).with_jitter().build(), expired: false }
    }
}

impl WatchBackoff {
    /// The watch told something. That a list begins says nothing of how it will end: it is no reason to hurry again.
    pub fn heard<K>(&mut self, event: &watcher::Event<K>) {
        if !matches!(event, watcher::Event::Init) {
            *self = Self::default();
        }
    }

    /// The watch failed.
    ///
    /// An API server that was started anew answers each watch that goes on with 410, and wants the list to be read again.
    /// Who has waited for it to be back need not wait as long again; who is told so twice in a row must.
    pub fn next(&mut self, error: &watcher::Error) -> Duration {
        let expired = is_expired(error);
        if expired && !self.expired {
            *self = Self::default();
        }
        self.expired = expired;
        self.backoff.next().unwrap_or(LONGEST_WAIT)
    }
}

/// Whether the API server has forgotten what a watch goes on from.
fn is_expired(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchError, WatchStartFailed};
    let (WatchError(status) | WatchStartFailed(kube::Error::Api(status))) = error else { return false };
    status.code == 410
}

/// Whether the API server does not know the kind: its definition is gone.
pub fn is_undefined(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    let (InitialListFailed(failure) | WatchStartFailed(failure) | WatchFailed(failure)) = error else { return false };
    matches!(failure, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn lists_that_fail_again_and_again_are_asked_for_ever_less_often() {
        let mut waits = WatchBackoff::default();
        let mut waited = Duration::ZERO;
        // A watcher says of each list that it begins before it says that it failed.
        for _ in 0..30 {
            waits.heard(&watcher::Event::<ConfigMap>::Init);
            waited += waits.next(&watcher::Error::NoResourceVersion);
        }
        assert!(waited > Duration::from_secs(200), "{waited:?}");
        waits.heard(&watcher::Event::<ConfigMap>::InitDone);
        assert!(waits.next(&watcher::Error::NoResourceVersion) < Duration::from_secs(1));
    }

    #[test]
    fn who_is_told_to_read_the_list_again_does_so_soon_unless_told_so_again_and_again() {
        let mut waits = WatchBackoff::default();
        let expired =
            || watcher::Error::WatchError(Box::new(kube::core::Status::failure("too old", "Expired").with_code(410)));
        for _ in 0..10 {
            waits.next(&watcher::Error::NoResourceVersion);
        }
        assert!(waits.next(&expired()) < Duration::from_secs(1));
        let waited: Duration = (0..30)
            .map(|_| {
                waits.heard(&watcher::Event::<ConfigMap>::Init);
                waits.next(&expired())
            })
            .sum();
        assert!(waited > Duration::from_secs(200), "{waited:?}");
    }
}
