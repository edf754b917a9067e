//! Move windows: when pods may be moved ahead of an end, as officers say it.
//!
//! Takes schedules that the edge has read (calendars and time zones are no matter of the core), and tells for an instant
//! whether a window is open, when the next one opens, and which is the last before an end. Windows hold what happens ahead
//! of an end alone: at the end itself nothing waits.

use alloc::sync::Arc;
use core::fmt;

use super::{compliance::Compliance, instant::Timestamp};

/// A span of time in which moves ahead of an end may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoveWindow {
    /// Its first instant.
    pub opens: Timestamp,
    /// The first instant after it.
    pub closes: Timestamp,
}

impl MoveWindow {
    /// Whether it is open at `at`.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.opens <= at && at < self.closes
    }
}

/// When windows open and close. A function of the instant that it is asked for, and of nothing else.
pub trait WindowSchedule: fmt::Debug + Send + Sync {
    /// The window that is open at `at`, or else the next to open; nothing where none ever does.
    fn at_or_after(&self, at: Timestamp) -> Option<MoveWindow>;

    /// The window that is the last to open before `end`; nothing where none ever did.
    fn last_before(&self, end: Timestamp) -> Option<MoveWindow>;
}

/// The windows of a level: none at all, so that moves begin whenever they are due, or those of a schedule.
#[derive(Clone, Debug, Default)]
pub struct MoveWindows(Option<Arc<dyn WindowSchedule>>);

/// How the windows of a level stand at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowState {
    /// It has none: moves begin whenever they are due.
    Unrestricted,
    /// This one is open.
    Open(MoveWindow),
    /// None is, and this one opens next, where any ever does.
    Closed(Option<MoveWindow>),
}

/// What is left of windows before an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowsLeft {
    /// There are no windows to wait for.
    Unrestricted,
    /// Several: this one is the last.
    Several(MoveWindow),
    /// This one alone, which is open or opens yet.
    Last(MoveWindow),
    /// None: what has not moved moves at the end.
    None,
}

/// What a window is to a move of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowGate {
    /// The move may begin.
    Open,
    /// It waits until this instant, where one is known, or until its end has come.
    Shut(Option<Timestamp>),
}

impl MoveWindows {
    /// Those of `schedule`.
    #[must_use]
    pub fn of(schedule: Arc<dyn WindowSchedule>) -> Self {
        Self(Some(schedule))
    }

    /// Whether moves have any window to wait for.
    #[must_use]
    pub fn are_restricted(&self) -> bool {
        self.0.is_some()
    }

    /// How they stand at `at`.
    #[must_use]
    pub fn state(&self, at: Timestamp) -> WindowState {
        let Some(schedule) = &self.0 else { return WindowState::Unrestricted };
        match schedule.at_or_after(at) {
            Some(window) if window.is_open(at) => WindowState::Open(window),
            next => WindowState::Closed(next),
        }
    }

    /// What of them is left at `at` before `end`.
    #[must_use]
    pub fn left_before(&self, end: Timestamp, at: Timestamp) -> WindowsLeft {
        let Some(schedule) = &self.0 else { return WindowsLeft::Unrestricted };
        let next = schedule.at_or_after(at).filter(|window| window.opens < end);
        let Some(next) = next else { return WindowsLeft::None };
        // One that overlaps the open one is no other.
        let last = schedule.last_before(end).filter(|last| next.closes < last.opens);
        let clipped = |window: MoveWindow| MoveWindow { closes: window.closes.min(end), ..window };
        last.map_or(WindowsLeft::Last(clipped(next)), |last| WindowsLeft::Several(clipped(last)))
    }

    /// When they next open or close after `at`.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        match self.state(at) {
            WindowState::Unrestricted => None,
            WindowState::Open(window) => Some(window.closes),
            WindowState::Closed(next) => next.map(|window| window.opens),
        }
    }
}

impl WindowState {
    /// Whether a pod that stands so may begin to move: windows hold what is ahead of an end, and nothing else.
    #[must_use]
    pub fn gate(self, compliance: Compliance) -> WindowGate {
        match (compliance, self) {
            (Compliance::Compliant | Compliance::Violating, Self::Unrestricted | Self::Open(_) | Self::Closed(_))
            | (Compliance::Expiring, Self::Unrestricted | Self::Open(_)) => WindowGate::Open,
            (Compliance::Expiring, Self::Closed(next)) => WindowGate::Shut(next.map(|window| window.opens)),
        }
    }
}

/// As what follows a sentence about the end.
impl fmt::Display for WindowsLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrestricted => Ok(()),
            Self::Several(MoveWindow { opens, closes }) => {
                write!(f, "; its pods leave in the windows of the level, the last of which is from {opens} to {closes}")
            }
            Self::Last(MoveWindow { opens, closes }) => write!(
                f,
                "; the last window of the level before that is from {opens} to {closes}: what has not begun to move by then \
                 moves at the end, at any hour"
            ),
            Self::None => f.write_str(
                "; no window of the level opens before that any more: what is left of its pods moves at the end, at any hour",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    /// Windows by their seconds, in order.
    #[derive(Debug)]
    struct Table(Vec<(i64, i64)>);

    fn window((opens, closes): (i64, i64)) -> MoveWindow {
        MoveWindow { opens: Timestamp::from_seconds(opens), closes: Timestamp::from_seconds(closes) }
    }

    impl WindowSchedule for Table {
        fn at_or_after(&self, at: Timestamp) -> Option<MoveWindow> {
            self.0.iter().copied().map(window).find(|window| at < window.closes)
        }

        fn last_before(&self, end: Timestamp) -> Option<MoveWindow> {
            self.0.iter().rev().copied().map(window).find(|window| window.opens < end)
        }
    }

    fn windows(table: &[(i64, i64)]) -> MoveWindows {
        MoveWindows::of(Arc::new(Table(table.to_vec())))
    }

    #[test]
    fn windows_hold_what_is_ahead_of_an_end_and_nothing_else() {
        let next = window((20, 30));
        let states = [
            WindowState::Unrestricted,
            WindowState::Open(next),
            WindowState::Closed(Some(next)),
            WindowState::Closed(None),
        ];
        for state in states {
            for compliance in [Compliance::Compliant, Compliance::Expiring, Compliance::Violating] {
                let expected = match (compliance, state) {
                    (Compliance::Expiring, WindowState::Closed(Some(_))) => WindowGate::Shut(Some(next.opens)),
                    (Compliance::Expiring, WindowState::Closed(None)) => WindowGate::Shut(None),
                    _ => WindowGate::Open,
                };
                assert_eq!(state.gate(compliance), expected, "{compliance:?} {state:?}");
            }
        }
    }

    #[test]
    fn a_window_is_open_from_its_first_instant_and_no_longer_at_the_last() {
        let found = windows(&[(10, 20), (40, 50)]);
        let at = |seconds| found.state(Timestamp::from_seconds(seconds));
        assert_eq!(at(9), WindowState::Closed(Some(window((10, 20)))));
        assert_eq!(at(10), WindowState::Open(window((10, 20))));
        assert_eq!(at(19), WindowState::Open(window((10, 20))));
        assert_eq!(at(20), WindowState::Closed(Some(window((40, 50)))));
        assert_eq!(at(50), WindowState::Closed(None));
        assert_eq!(MoveWindows::default().state(Timestamp::from_seconds(0)), WindowState::Unrestricted);
        let change =
            |seconds| found.next_change(Timestamp::from_seconds(seconds)).map(|then| then.timestamp().as_second());
        assert_eq!([9, 10, 20, 49, 50].map(change), [Some(10), Some(20), Some(40), Some(50), None]);
    }

    #[test]
    fn what_is_left_before_an_end() {
        let found = windows(&[(10, 20), (40, 50), (70, 80)]);
        let left = |end, at| found.left_before(Timestamp::from_seconds(end), Timestamp::from_seconds(at));
        assert_eq!(left(100, 0), WindowsLeft::Several(window((70, 80))));
        assert_eq!(left(100, 49), WindowsLeft::Several(window((70, 80))));
        assert_eq!(left(100, 50), WindowsLeft::Last(window((70, 80))));
        assert_eq!(left(75, 71), WindowsLeft::Last(window((70, 75))), "it ends with the end");
        assert_eq!(left(70, 50), WindowsLeft::None, "one that opens at the end is none before it");
        assert_eq!(left(60, 0), WindowsLeft::Several(window((40, 50))));
        assert_eq!(left(5, 0), WindowsLeft::None);
        let always = MoveWindows::default();
        assert_eq!(
            always.left_before(Timestamp::from_seconds(9), Timestamp::from_seconds(0)),
            WindowsLeft::Unrestricted
        );
    }
}
