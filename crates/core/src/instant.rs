//! Time as data: the core is told the instant and owns no clock.

use alloc::string::String;

use core::fmt;

use jiff::{civil, tz::Offset};

/// A point in time (UTC).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The instant `seconds` after 1970-01-01T00:00:00Z, or the nearest one that can be represented.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(jiff::Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        }))
    }

    /// How many whole days lie between `earlier` and it; negative when it is the earlier one.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_secs() / (24 * 60 * 60)
    }

    /// The instant that lies `duration` before it, or the earliest that can be represented.
    #[must_use]
    pub fn before(self, duration: core::time::Duration) -> Self {
        Self(self.0.saturating_sub(duration).unwrap_or(jiff::Timestamp::MIN))
    }

    /// The instant that lies `duration` after it, or the last that can be represented.
    #[must_use]
    pub fn after(self, duration: core::time::Duration) -> Self {
        Self(self.0.saturating_add(duration).unwrap_or(jiff::Timestamp::MAX))
    }

    /// How long it lies after `earlier`; nothing when it is the earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> core::time::Duration {
        core::time::Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or_default()
    }

    /// The day that it lies in.
    #[must_use]
    pub fn day(self) -> CalendarDay {
        CalendarDay(Offset::UTC.to_datetime(self.0).date())
    }

    /// The timestamp, for edges that write it down.
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        self.0
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A calendar day, as certificates give their terms. It begins at 00:00 UTC and ends at 24:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarDay(civil::Date);

/// A text that is no day of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day: write year-month-day, as 2026-11-30")]
pub struct InvalidDay(String);

impl CalendarDay {
    /// Reads `2026-11-30`, and nothing looser.
    ///
    /// # Errors
    /// [`InvalidDay`] on any other form, and on days that no calendar has.
    pub fn parse(text: &str) -> Result<Self, InvalidDay> {
        let invalid = || InvalidDay(super::name::quoted(text));
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(invalid());
        }
        civil::Date::strptime("%Y-%m-%d", text).map(Self).map_err(|_| invalid())
    }

    /// Its first instant.
    #[must_use]
    pub fn starts(self) -> Timestamp {
        // What lies beyond the representable must stay beyond: a day at the end of the calendar has not begun.
        let beyond = if self.0.year() > 0 { jiff::Timestamp::MAX } else { jiff::Timestamp::MIN };
        Timestamp(Offset::UTC.to_timestamp(self.0.at(0, 0, 0, 0)).unwrap_or(beyond))
    }

    /// The first instant after it.
    #[must_use]
    pub fn ends(self) -> Timestamp {
        self.0.tomorrow().map_or(Timestamp(jiff::Timestamp::MAX), |next| Self(next).starts())
    }

    /// The day after it; the last of the calendar is its own.
    #[must_use]
    pub fn next(self) -> Self {
        self.0.tomorrow().map_or(self, Self)
    }

    /// The day whose [`ends`](Self::ends) is `instant`, rounded down to whole days.
    #[must_use]
    pub fn ending_at(instant: Timestamp) -> Self {
        let Self(date) = instant.day();
        Self(date.yesterday().unwrap_or(date))
    }
}

impl fmt::Display for CalendarDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CalendarDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_utc() {
        let day = CalendarDay::parse("2026-11-30").unwrap();
        assert_eq!(day.starts().to_string(), "2026-11-30T00:00:00Z");
        assert_eq!(day.ends().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(CalendarDay::ending_at(day.ends()), day);
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        for text in ["0000-01-01", "0001-01-01", "9999-12-31"] {
            let day = CalendarDay::parse(text).unwrap();
            assert!(day.starts() <= day.ends());
            let _ = CalendarDay::ending_at(day.starts());
        }
        let now = Timestamp::from_seconds(1_800_000_000);
        assert!(CalendarDay::parse("9999-12-31").unwrap().starts() > now, "a day of that year has not begun");
        assert!(CalendarDay::parse("9999-12-30").unwrap().ends() > now, "nor has its eve ended");
        assert!(CalendarDay::parse("0000-01-01").unwrap().ends() < now);
        assert!(Timestamp::from_seconds(i64::MIN) < Timestamp::from_seconds(i64::MAX));
    }

    #[test]
    fn only_days_of_the_calendar_are_days() {
        for bad in [
            "",
            "2027-02-31",
            "2026-13-01",
            "2026-1-1",
            "26-11-30",
            "2026-11-30T00:00:00Z",
            " 2026-11-30",
            "2026/11/30",
            "+026-11-30",
            "２026-11-30",
        ] {
            assert!(CalendarDay::parse(bad).is_err(), "{bad}");
        }
        assert!(CalendarDay::parse("2028-02-29").is_ok());
    }
}
