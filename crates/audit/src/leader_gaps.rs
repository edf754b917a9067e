//! Leader gaps: intervals in which no fact could be acted on, and arithmetic of time outside of them.

use std::time::Duration;

use jiff::Timestamp;

/// A time during which a fact could not be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderGap {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Why.
    pub why: String,
}

/// Time from `a` to `b`; zero when `b` is earlier.
pub(super) fn between(a: Timestamp, b: Timestamp) -> Duration {
    Duration::try_from(b.duration_since(a)).unwrap_or_default()
}

/// `at` without `less`.
pub(super) fn before(at: Timestamp, less: Duration) -> Timestamp {
    at.checked_sub(less).unwrap_or(Timestamp::MIN)
}

/// The spans, in order and without overlaps.
pub(super) fn merged(gaps: &[LeaderGap]) -> Vec<(Timestamp, Timestamp)> {
    let mut spans: Vec<_> = gaps.iter().map(|span| (span.from, span.until)).collect();
    spans.sort_unstable();
    let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (from, until) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// The instant before `at` since which `led` time has passed outside of the spans (see [`merged`]).
pub(super) fn back(at: Timestamp, led: Duration, spans: &[(Timestamp, Timestamp)]) -> Timestamp {
    let (mut at, mut left) = (at, led);
    for (from, until) in spans.iter().rev() {
        if *from >= at {
            continue;
        }
        if *until < at {
            let passed = between(*until, at);
            if passed >= left {
                return before(at, left);
            }
            left -= passed;
        }
        at = *from;
    }
    before(at, left)
}

/// Time from `a` to `b` outside of the gaps.
pub(super) fn led_time(a: Timestamp, b: Timestamp, spans: &[(Timestamp, Timestamp)]) -> Duration {
    let lost: Duration = spans.iter().map(|(from, until)| between((*from).max(a), (*until).min(b))).sum();
    between(a, b).saturating_sub(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn span(from: i64, until: i64) -> LeaderGap {
        LeaderGap { from: at(from), until: at(until), why: String::new() }
    }

    #[test]
    fn a_tolerance_reaches_back_over_times_when_nobody_led() {
        let spans = merged(&[span(50, 60), span(20, 30), span(55, 70), span(90, 95)]);
        assert_eq!(spans, [(at(20), at(30)), (at(50), at(70)), (at(90), at(95))]);
        let back = |from, seconds| back(at(from), Duration::from_secs(seconds), &spans);
        assert_eq!(back(80, 2), at(78));
        assert_eq!(back(71, 2), at(49));
        assert_eq!(back(60, 2), at(48));
        assert_eq!(back(70, 25), at(15));
        assert_eq!(back(10, 5), at(5));
        assert_eq!(back(92, 0), at(90));
        assert_eq!(led_time(at(10), at(80), &spans), Duration::from_secs(40));
        assert_eq!(led_time(at(55), at(65), &spans), Duration::ZERO);
    }
}
