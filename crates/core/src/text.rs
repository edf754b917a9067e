//! Sentences for people: lists that read the same everywhere.

use alloc::format;
use alloc::string::String;

use core::{
    fmt::{self, Write as _},
    time::Duration,
};

/// `1 pool`, `3 pools`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Writes `a, b, c`.
pub fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// An iterator that displays as `a, b, c`, or as `none` when it is empty.
pub struct ListDisplay<I>(pub I);

impl<I: Iterator<Item: fmt::Display> + Clone> fmt::Display for ListDisplay<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.clone().next().is_none() {
            return f.write_str("none");
        }
        list(f, self.0.clone())
    }
}

/// A span of time in the largest unit that tells it whole: `30 days`, `36 hours`.
pub struct DurationDisplay(pub Duration);

impl fmt::Display for DurationDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
        let whole = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size));
        let (size, unit) = whole.unwrap_or((1, "second"));
        let count = seconds.checked_div(size).unwrap_or_default();
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// How many items a sentence lists before it only counts them.
const FEW: usize = 6;

/// Displays as `a, b, c`, or as `a, b, c, d, e, f and 12 more`; as `none` when it is empty.
pub struct FewDisplay<I>(pub I);

impl<I: Iterator<Item: fmt::Display> + Clone> fmt::Display for FewDisplay<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ListDisplay(self.0.clone().take(FEW)).fmt(f)?;
        match self.0.clone().skip(FEW).count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The longest part of a free text that a sentence repeats, in characters.
const BRIEF: usize = 80;

/// A free text inside a sentence: on one line, and cut when it is long.
pub struct BriefDisplay<'a>(pub &'a str);

impl fmt::Display for BriefDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.chars();
        for c in left.by_ref().take(BRIEF) {
            f.write_char(if c.is_control() { ' ' } else { c })?;
        }
        if left.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

/// A text as messages quote it: what CEL's `strings.quote` makes of it, character by character.
pub struct QuotedDisplay<'a>(pub &'a str);

impl fmt::Display for QuotedDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{b}' => f.write_str("\\v")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '"' | '\\' => write!(f, "\\{c}")?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// A number inside a sentence, short however large or small it is.
pub struct FigureDisplay(pub f64);

impl fmt::Display for FigureDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 || (1e-6..1e9).contains(&size) { write!(f, "{}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}
