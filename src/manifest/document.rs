//! Document parts: a part of a file that is read on its own, with places counted in the file.
//!
//! Takes offsets and marks within the part, and returns positions in the file. Bounds on depth and size are stated
//! here.

use granit_parser::Marker;

use crate::diagnostic::{
    Diagnostic,
    position::{TextPosition, TextSpan},
    source::{FileId, LineRanges},
};

/// How deep values may be nested. No manifest comes near, and whoever walks a tree may recurse.
pub(super) const DEPTH: usize = 100;

/// How many values an object may have. What an alias repeats counts each time, a long text as several.
pub(super) const VALUES: usize = 1_000_000;

/// A part of a file.
#[derive(Clone, Copy)]
pub(super) struct DocumentPart<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// The line of the file that it begins at.
    pub(super) line: u32,
}

impl<'t> DocumentPart<'t> {
    pub(super) fn error(&self, code: &'static str, span: TextSpan, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.file, span)
    }

    pub(super) fn too_deep(&self, span: TextSpan) -> Diagnostic {
        self.error("TooDeep", span, format!("values are nested deeper than {DEPTH} levels"))
    }

    pub(super) fn too_many(&self, span: TextSpan) -> Diagnostic {
        let message = format!("the object has more than {VALUES} values, with what aliases repeat counted each time");
        self.error("TooManyValues", span, message)
            .hint("no real manifest is that large: write out what aliases repeat, or split it")
    }

    /// Its lines, each with its number in the file.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &'t str)> + use<'t> {
        let text = self.text;
        (self.line..).zip(LineRanges::of(text).filter_map(|range| text.get(range)))
    }

    /// The place of `mark`, which counts from the front of this part.
    pub(super) fn position(&self, mark: &Marker) -> TextPosition {
        TextPosition {
            line: self.line.saturating_add(narrow(mark.line().saturating_sub(1))),
            column: narrow(mark.col()).saturating_add(1),
        }
    }

    /// The place of byte `at` of this part.
    pub(super) fn locate(&self, at: usize) -> TextPosition {
        let before = LineRanges::of(self.text).take_while(|line| line.start <= at);
        let (index, start) = before.enumerate().last().map_or((0, 0), |(index, line)| (index, line.start));
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        self.position(&Marker::new(0, index + 1, column))
    }
}

/// Files are far smaller than what this cuts.
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
