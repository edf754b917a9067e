//! Conversion of move windows: from the `windows` of a level to schedules that the core can ask.
//!
//! Schedules are read as cron has them, and asked by the clock of their time zone, of the database that comes with this
//! version: whoever asks, wherever, is answered alike. Across a change of that clock a window opens where its time is
//! skipped right after the change, and where it comes twice at the first; it lasts as long as it says.

use std::{fmt, sync::Arc, sync::LazyLock, time::Duration};

use croner::{
    Cron, CronDateTime as _,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::field::{FieldReader, duration};
use crate::{api, diagnostic::suggest};
use rempart_core::{
    instant::Timestamp,
    move_window::{MoveWindow, MoveWindows, WindowSchedule},
    name::quoted,
};

/// The longest that a window may be open.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The time zones that there are, whatever machine this runs on.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A year from which on every date of the calendar comes about before the search ends.
const SEARCHED_YEARS: std::ops::Range<i32> = 2000..2028;

/// Reads the windows of a level; `reader` is at their list. One that cannot be read never opens.
pub(super) fn windows(found: &[api::MoveWindowSpec], reader: &mut FieldReader<'_>) -> MoveWindows {
    if found.is_empty() {
        return MoveWindows::default();
    }
    let read = found.iter().enumerate().filter_map(|(i, window)| self::window(window, reader.entry(i)));
    MoveWindows::of(Arc::new(CronWindows(read.collect())))
}

fn window(found: &api::MoveWindowSpec, mut reader: FieldReader<'_>) -> Option<CronWindow> {
    let api::MoveWindowSpec { schedule, duration: length, time_zone } = found;
    let cron = reader.field("schedule").take(self::schedule(schedule));
    let length = duration(length, "6h", reader.field("duration")).filter(|length| {
        let fits = *length <= LONGEST;
        if !fits {
            reader.field("duration").refuse(
                "is longer than a week, so that the window hardly closes: write at most 168h, or leave windows out where pods \
                 may move at any time",
            );
        }
        fits
    });
    let zone = reader.field("timeZone").take(self::zone(time_zone.as_deref().unwrap_or("UTC")));
    Some(CronWindow { cron: cron?, length: length?, zone: zone? })
}

/// A schedule that cannot be read, or that never comes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidSchedule {
    #[error(
        "{0:?} is no schedule: write the five fields of cron (minute, hour, day of the month, month, day of the week), as 0 22 \
         * * 1-5"
    )]
    Form(String),
    #[error("{written:?} is no {field}: write {allowed}, `*`, a list, a range or steps of them, as in 0 22 * * 1-5")]
    Field { written: String, field: &'static str, allowed: &'static str },
    #[error(
        "{0:?} never comes, so that the window would never open and nothing could move ahead of an end: write a day that its \
         months have"
    )]
    Never(String),
}

/// The fields of a schedule, with what each may be.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday) or SUN to SAT"),
];

fn schedule(text: &str) -> Result<Cron, InvalidSchedule> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(InvalidSchedule::Form(quoted(text)));
    }
    let Ok(cron) = parser.parse(text) else {
        // The first field that cannot be read by itself.
        let alone = |i: usize, field: &str| {
            let fields: Vec<_> = (0..FIELDS.len()).map(|j| if i == j { field } else { "*" }).collect();
            parser.parse(&fields.join(" ")).is_ok()
        };
        let wrong = fields.iter().zip(FIELDS).enumerate().find(|(i, (field, _))| !alone(*i, field));
        return Err(wrong.map_or_else(
            || InvalidSchedule::Form(quoted(text)),
            |(_, (written, (field, allowed)))| InvalidSchedule::Field { written: quoted(written), field, allowed },
        ));
    };
    if comes(&cron) { Ok(cron) } else { Err(InvalidSchedule::Never(quoted(text))) }
}

/// Whether some day of the calendar is one of `cron`: every date is on every day of the week within these years.
fn comes(cron: &Cron) -> bool {
    let is_day = |date: jiff::civil::Date| {
        let at = date.at(0, 0, 0, 0);
        let (year, month, day) = (i32::from(date.year()), u32::try_from(date.month()), u32::try_from(date.day()));
        let (Ok(month), Ok(day)) = (month, day) else { return false };
        cron.pattern.month_match(month).unwrap_or(false)
            && cron.pattern.day_match(year, month, day, at.civil_weekday()).unwrap_or(false)
    };
    let start = i16::try_from(SEARCHED_YEARS.start).map(|year| jiff::civil::date(year, 1, 1));
    let days = start.map(|start| start.series(jiff::Span::new().days(1)));
    days.is_ok_and(|mut days| days.by_ref().take_while(|date| i32::from(date.year()) < SEARCHED_YEARS.end).any(is_day))
}

/// A time zone that nobody knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
struct UnknownZone {
    written: String,
    like: Option<String>,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no time zone of the IANA database", self.written)?;
        match &self.like {
            Some(like) => write!(f, ": write {like}, if that is meant"),
            None => f.write_str(": write one of its names, as Europe/Paris"),
        }
    }
}

fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    ZONES.get(name).map_err(|_| {
        let known: Vec<String> = ZONES.available().map(|zone| zone.to_string()).collect();
        let like = suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        UnknownZone { written: quoted(name), like }
    })
}

/// A window of a schedule.
#[derive(Debug)]
struct CronWindow {
    cron: Cron,
    length: Duration,
    zone: TimeZone,
}

/// The windows of a level.
#[derive(Debug)]
struct CronWindows(Vec<CronWindow>);

/// So often a window is taken on by one that overlaps it: beyond, it is looked at again when it closes.
const MOST_JOINED: usize = 64;

impl CronWindow {
    fn window(&self, opens: Timestamp) -> MoveWindow {
        MoveWindow { opens, closes: opens.after(self.length) }
    }

    /// The next to open after `at`.
    fn next(&self, at: Timestamp) -> Option<MoveWindow> {
        let at = at.timestamp().to_zoned(self.zone.clone());
        Some(self.window(self.cron.find_next_occurrence(&at, false).ok()?.timestamp().into()))
    }

    /// The last to open before `at`; `is_at` at `at`, too.
    fn previous(&self, at: Timestamp, is_at: bool) -> Option<MoveWindow> {
        let at = at.timestamp().to_zoned(self.zone.clone());
        Some(self.window(self.cron.find_previous_occurrence(&at, is_at).ok()?.timestamp().into()))
    }
}

impl CronWindows {
    /// The last to close of those that are open at `at`.
    fn open(&self, at: Timestamp) -> Option<MoveWindow> {
        let open = self.0.iter().filter_map(|window| window.previous(at, true)).filter(|window| window.is_open(at));
        open.max_by_key(|window| window.closes)
    }
}

impl WindowSchedule for CronWindows {
    fn at_or_after(&self, at: Timestamp) -> Option<MoveWindow> {
        let first = || self.0.iter().filter_map(|window| window.next(at)).min();
        let mut found = self.open(at).or_else(first)?;
        for _ in 0..MOST_JOINED {
            match self.open(found.closes) {
                Some(next) => found.closes = next.closes,
                None => break,
            }
        }
        Some(found)
    }

    fn last_before(&self, end: Timestamp) -> Option<MoveWindow> {
        self.0.iter().filter_map(|window| window.previous(end, false)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rempart_core::move_window::{WindowState, WindowsLeft};

    fn spec(schedule: &str, duration: &str, zone: Option<&str>) -> api::MoveWindowSpec {
        api::MoveWindowSpec { schedule: schedule.into(), duration: duration.into(), time_zone: zone.map(str::to_owned) }
    }

    fn read(specs: &[api::MoveWindowSpec]) -> (MoveWindows, Vec<String>) {
        let mut problems = Vec::new();
        let windows = windows(specs, &mut FieldReader::new("windows", &mut problems));
        (windows, problems.iter().map(ToString::to_string).collect())
    }

    fn paris(schedule: &str, duration: &str) -> MoveWindows {
        let (windows, problems) = read(&[spec(schedule, duration, Some("Europe/Paris"))]);
        assert!(problems.is_empty(), "{problems:?}");
        windows
    }

    fn instant(text: &str) -> Timestamp {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    /// The window that is open at `at`, or the next, as `opens closes`.
    fn told(windows: &MoveWindows, at: &str) -> String {
        match windows.state(instant(at)) {
            WindowState::Unrestricted => "always".to_owned(),
            WindowState::Open(MoveWindow { opens, closes }) => format!("open {opens} {closes}"),
            WindowState::Closed(Some(MoveWindow { opens, closes })) => format!("next {opens} {closes}"),
            WindowState::Closed(None) => "never".to_owned(),
        }
    }

    #[test]
    fn windows_are_by_the_clock_of_their_time_zone() {
        let weekdays = paris("0 22 * * 1-5", "6h");
        // 2026-03-06 is a Friday; Paris is an hour ahead of UTC in winter.
        for (at, expected) in [
            ("2026-03-06T20:59:59.999Z", "next 2026-03-06T21:00:00Z 2026-03-07T03:00:00Z"),
            ("2026-03-06T21:00:00Z", "open 2026-03-06T21:00:00Z 2026-03-07T03:00:00Z"),
            ("2026-03-07T02:59:59.5Z", "open 2026-03-06T21:00:00Z 2026-03-07T03:00:00Z"),
            ("2026-03-07T03:00:00Z", "next 2026-03-09T21:00:00Z 2026-03-10T03:00:00Z"),
            ("2026-07-01T12:00:00Z", "next 2026-07-01T20:00:00Z 2026-07-02T02:00:00Z"),
        ] {
            assert_eq!(told(&weekdays, at), expected, "{at}");
        }
        let (utc, _) = read(&[spec("0 22 * * 1-5", "6h", None)]);
        assert_eq!(told(&utc, "2026-07-01T12:00:00Z"), "next 2026-07-01T22:00:00Z 2026-07-02T04:00:00Z");
        assert_eq!(told(&read(&[]).0, "2026-07-01T12:00:00Z"), "always");
    }

    #[test]
    fn when_clocks_go_forward_what_is_skipped_opens_right_after_and_lasts_as_long_as_it_says() {
        // In the night to 2026-03-29 Paris goes from 02:00 to 03:00, at 01:00Z.
        let skipped = paris("30 2 * * *", "1h");
        assert_eq!(told(&skipped, "2026-03-28T12:00:00Z"), "next 2026-03-29T01:00:00Z 2026-03-29T02:00:00Z");
        assert_eq!(told(&skipped, "2026-03-29T01:30:00Z"), "open 2026-03-29T01:00:00Z 2026-03-29T02:00:00Z");
        assert_eq!(told(&skipped, "2026-03-29T02:00:00Z"), "next 2026-03-30T00:30:00Z 2026-03-30T01:30:00Z");
        let across = paris("0 22 * * *", "6h");
        assert_eq!(told(&across, "2026-03-28T20:00:00Z"), "next 2026-03-28T21:00:00Z 2026-03-29T03:00:00Z");
        assert_eq!(told(&across, "2026-03-29T03:00:00Z"), "next 2026-03-29T20:00:00Z 2026-03-30T02:00:00Z");
    }

    #[test]
    fn when_clocks_go_back_what_comes_twice_opens_once_and_lasts_as_long_as_it_says() {
        // In the night to 2026-10-25 Paris goes from 03:00 to 02:00, at 01:00Z.
        let twice = paris("30 2 * * *", "30m");
        assert_eq!(told(&twice, "2026-10-24T12:00:00Z"), "next 2026-10-25T00:30:00Z 2026-10-25T01:00:00Z");
        assert_eq!(told(&twice, "2026-10-25T01:30:00Z"), "next 2026-10-26T01:30:00Z 2026-10-26T02:00:00Z");
        let across = paris("0 22 * * *", "6h");
        assert_eq!(told(&across, "2026-10-25T01:59:00Z"), "open 2026-10-24T20:00:00Z 2026-10-25T02:00:00Z");
        assert_eq!(told(&across, "2026-10-25T02:00:00Z"), "next 2026-10-25T21:00:00Z 2026-10-26T03:00:00Z");
    }

    #[test]
    fn windows_that_overlap_are_one() {
        let (windows, _) = read(&[spec("0 22 * * *", "3h", None), spec("30 0 * * *", "2h", None)]);
        assert_eq!(told(&windows, "2026-03-06T22:00:00Z"), "open 2026-03-06T22:00:00Z 2026-03-07T02:30:00Z");
        let left = windows.left_before(instant("2026-03-07T06:00:00Z"), instant("2026-03-06T23:00:00Z"));
        assert!(matches!(left, WindowsLeft::Last(_)), "{left:?}");
        // It never closes, and whoever asks is answered all the same.
        let always = paris("* * * * *", "1m");
        assert!(told(&always, "2026-03-06T22:00:00Z").starts_with("open "));
    }

    #[test]
    fn the_last_window_before_an_end_is_found() {
        let sundays = paris("0 3 * * SUN", "2h");
        let left = |at: &str| sundays.left_before(instant("2026-04-01T22:00:00Z"), instant(at));
        let last = MoveWindow { opens: instant("2026-03-29T01:00:00Z"), closes: instant("2026-03-29T03:00:00Z") };
        assert_eq!(left("2026-03-10T00:00:00Z"), WindowsLeft::Several(last));
        assert_eq!(left("2026-03-22T04:00:00Z"), WindowsLeft::Last(last));
        assert_eq!(left("2026-03-29T02:00:00Z"), WindowsLeft::Last(last));
        assert_eq!(left("2026-03-29T03:00:00Z"), WindowsLeft::None);
    }

    #[test]
    fn what_cannot_be_a_window_is_refused_with_what_to_write() {
        for (schedule, duration, zone, expected) in [
            (
                "0 0 30 2 *",
                "1h",
                None,
                "windows[0].schedule: \"0 0 30 2 *\" never comes, so that the window would never open and nothing could move \
                 ahead of an end: write a day that its months have",
            ),
            (
                "0 25 * * *",
                "1h",
                None,
                "windows[0].schedule: \"25\" is no hour: write 0 to 23, `*`, a list, a range or steps of them, as in 0 22 * * 1-5",
            ),
            (
                "0 22 * * 1-5 2026",
                "1h",
                None,
                "windows[0].schedule: \"0 22 * * 1-5 2026\" is no schedule: write the five fields of cron (minute, hour, day of \
                 the month, month, day of the week), as 0 22 * * 1-5",
            ),
            (
                "@daily",
                "1h",
                None,
                "windows[0].schedule: \"@daily\" is no schedule: write the five fields of cron (minute, hour, day of the month, \
                 month, day of the week), as 0 22 * * 1-5",
            ),
            (
                "0 22 * * MONDAY",
                "1h",
                None,
                "windows[0].schedule: \"MONDAY\" is no day of the week: write 0 to 7 (0 and 7 are Sunday) or SUN to SAT, `*`, a \
                 list, a range or steps of them, as in 0 22 * * 1-5",
            ),
            (
                "0 22 * * *",
                "0s",
                None,
                "windows[0].duration: \"0s\" is not a length of time: write hours, minutes or seconds, as 6h",
            ),
            (
                "0 22 * * *",
                "169h",
                None,
                "windows[0].duration: is longer than a week, so that the window hardly closes: write at most 168h, or leave \
                 windows out where pods may move at any time",
            ),
            (
                "0 22 * * *",
                "6h",
                Some("Europe/Pari"),
                "windows[0].timeZone: \"Europe/Pari\" is no time zone of the IANA database: write Europe/Paris, if that is meant",
            ),
            (
                "0 22 * * *",
                "6h",
                Some("Mars"),
                "windows[0].timeZone: \"Mars\" is no time zone of the IANA database: write one of its names, as Europe/Paris",
            ),
        ] {
            assert_eq!(read(&[spec(schedule, duration, zone)]).1, [expected], "{schedule} {duration} {zone:?}");
        }
        for good in ["0 0 29 2 *", "*/15 0-6,22-23 1,15 JAN-MAR *", "0 22 L * *", "0 22 * * 1-5", "0 3 * * 7"] {
            assert!(read(&[spec(good, "6h", Some("Europe/Paris"))]).1.is_empty(), "{good}");
        }
    }
}
