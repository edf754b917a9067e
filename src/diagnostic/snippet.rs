//! Snippets: a line of a file, made fit to be shown, with what of it to underline.
//!
//! Takes a place and the texts that it points into, and returns the line, cut to so many columns around the place. The time
//! that it takes does not grow with the file.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

use super::source::{SourceMap, SourceSpan};
use crate::terminal::harmless;

/// Lines of more bytes are not shown: to find a column in them takes too long when there are many diagnostics.
const LONGEST: usize = 1 << 20;

/// So few columns are no room for anything.
const NARROWEST: usize = 20;

/// How many columns a tab takes.
const TAB: usize = 4;

/// A line as it is shown.
pub(super) struct SourceSnippet {
    pub(super) text: String,
    /// How many columns stand before the underline.
    pub(super) indent: usize,
    /// How many columns the underline takes, at least one.
    pub(super) length: usize,
}

impl SourceSnippet {
    /// The first line of `place` in at most `columns` columns, or a few more when these are too few.
    pub(super) fn of(place: SourceSpan, sources: &SourceMap, columns: usize) -> Option<Self> {
        let (start, end) = (place.span.start, place.span.end);
        let line = sources.line(place.file, start.line).filter(|line| line.len() <= LONGEST)?.trim_end();
        let columns = columns.max(NARROWEST);
        let index = |column: u32| usize::try_from(column).map_or(usize::MAX, |column| column.saturating_sub(1));
        let first = index(start.column);
        let last = if end.line > start.line { usize::MAX } else { index(end.column) };

        // A character may take no column, as an accent does; more than a handful on one letter is mischief.
        let reach = columns.saturating_mul(4);
        let from = first.saturating_sub(reach);
        let mut cells: Vec<SnippetCell> = line.chars().skip(from).take(reach * 2).map(SnippetCell::of).collect();
        let mut cut_after = line.chars().nth(from + cells.len()).is_some();
        let mut caret = (first - from).min(cells.len());

        // Columns before the caret: all of them when what is underlined fits then too, else about a third.
        let length = |cells: &[SnippetCell]| cells.iter().map(|cell| cell.columns).sum::<usize>();
        let underlined = cells.get(caret..cells.len().min(last.saturating_sub(from))).map_or(1, length).max(1);
        let fits = from == 0 && length(cells.get(..caret).unwrap_or_default()) + underlined < columns;
        let whole = from == 0 && !cut_after && length(&cells) <= columns;
        let mut cut_before = from > 0;
        if !whole && !fits {
            let mut room = columns / 3;
            let kept = cells.iter().take(caret).rev().take_while(|cell| take(&mut room, cell.columns)).count();
            cut_before = cut_before || kept < caret;
            cells.drain(..caret - kept);
            caret = kept;
        }
        if !whole {
            // One column for each mark of a cut.
            let mut room = columns - 1 - usize::from(cut_before);
            let kept = cells.iter().take_while(|cell| take(&mut room, cell.columns)).count();
            cut_after = cut_after || kept < cells.len();
            cells.truncate(kept);
        }

        let mark = |cut: bool| if cut { "…" } else { "" };
        let text: String = cells.iter().map(|cell| cell.text.as_ref()).collect();
        let indent = usize::from(cut_before) + length(cells.get(..caret).unwrap_or_default());
        let shown = length(cells.get(caret..).unwrap_or_default());
        Some(Self {
            text: format!("{}{text}{}", mark(cut_before), mark(cut_after)),
            indent,
            length: underlined.min(shown).max(1),
        })
    }
}

/// Takes `columns` of `room`, if there are as many.
fn take(room: &mut usize, columns: usize) -> bool {
    room.checked_sub(columns).map(|left| *room = left).is_some()
}

/// A character as it is shown.
struct SnippetCell {
    text: Cow<'static, str>,
    columns: usize,
}

impl SnippetCell {
    fn of(character: char) -> Self {
        if character == '\t' {
            return Self { text: " ".repeat(TAB).into(), columns: TAB };
        }
        let shown = harmless(character);
        Self { text: shown.to_string().into(), columns: shown.width().unwrap_or(0) }
    }
}
