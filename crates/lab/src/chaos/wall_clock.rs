//! Wall clock of the run, which is the one that stamps the API server's audit log.

use jiff::Timestamp;

/// The present instant.
#[expect(clippy::disallowed_methods, reason = "the run is held against the wall clock of the API server's log")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// A seed that nobody has chosen.
pub fn any_seed() -> u64 {
    now().subsec_nanosecond().unsigned_abs().into()
}
