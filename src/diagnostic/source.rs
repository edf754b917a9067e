//! Source texts: what was read, which nodes borrow from and diagnostics point into.
//!
//! A registry takes texts with the names that they are shown under, and returns their lines. It is filled first and read
//! from afterwards; nodes hold on to it.

use std::sync::OnceLock;

use super::position::TextSpan;

/// A text of [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSpan {
    /// The file.
    pub file: FileId,
    /// The stretch of it.
    pub span: TextSpan,
}

/// Every text that was read, with the name that it is shown under.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceText>,
}

#[derive(Debug)]
struct SourceText {
    name: String,
    text: String,
    /// Whether it is the text of the file. Otherwise it is there to be pointed into alone.
    whole: bool,
    /// The line of the file that it begins at.
    first_line: u32,
    /// Where each line begins, found when a diagnostic first asks: nearly no file has any.
    lines: OnceLock<Vec<usize>>,
}

impl SourceMap {
    /// Adds a text. A byte-order mark at its front is dropped.
    pub fn add(&mut self, name: impl Into<String>, text: String) -> FileId {
        self.push(name.into(), text, true, 1)
    }

    /// Adds a part of a text that begins at `line` of it.
    pub(crate) fn add_part(&mut self, name: impl Into<String>, text: String, line: u32) -> FileId {
        self.push(name.into(), text, true, line)
    }

    /// Adds the part of a text that a diagnostic points into, of a file that cannot be read.
    pub(crate) fn add_broken(&mut self, name: impl Into<String>, text: String) -> FileId {
        self.push(name.into(), text, false, 1)
    }

    fn push(&mut self, name: String, mut text: String, whole: bool, first_line: u32) -> FileId {
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceText { name, text, whole, first_line, lines: OnceLock::new() });
        id
    }

    /// Every file that can be read, in the order in which they were added.
    pub fn files(&self) -> impl Iterator<Item = FileId> + '_ {
        (0..).map(FileId).zip(&self.files).filter(|(_, source)| source.whole).map(|(id, _)| id)
    }

    /// Whether `file` has a name, so that somebody can look into it. What a cluster answers has none.
    #[must_use]
    pub fn is_file(&self, file: FileId) -> bool {
        !self.name(file).is_empty()
    }

    /// How `file` is called; empty when it is of another registry.
    #[must_use]
    pub fn name(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| &source.name)
    }

    /// What `file` says; empty when it is of another registry.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| &source.text)
    }

    /// The line of the file that its text begins at: 1, but for a part of one.
    #[must_use]
    pub fn first_line(&self, file: FileId) -> u32 {
        self.get(file).map_or(1, |source| source.first_line)
    }

    /// A line of `file`, from 1, without its line break; `None` when there is no such line.
    #[must_use]
    pub fn line(&self, file: FileId, line: u32) -> Option<&str> {
        let source = self.get(file)?;
        let starts = source.lines.get_or_init(|| {
            let ends = LineRanges::of(&source.text).map(|line| line.end);
            std::iter::once(0).chain(ends).collect()
        });
        let index = usize::try_from(line.checked_sub(source.first_line)?).ok()?;
        let start = *starts.get(index)?;
        let end = starts.get(index + 1).copied().unwrap_or(source.text.len());
        source.text.get(start..end).map(|line| line.trim_end_matches(['\r', '\n']))
    }

    fn get(&self, file: FileId) -> Option<&SourceText> {
        self.files.get(usize::try_from(file.0).ok()?)
    }
}

/// What some editors put in front of a text to say that it is UTF-8.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The lines of a text as byte ranges, each with its line break: `\n`, `\r\n` or a lone `\r`, as YAML has it.
pub(crate) struct LineRanges<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> LineRanges<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }
}

impl Iterator for LineRanges<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let length = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) if rest.get(end..end + 2) == Some(b"\r\n") => end + 2,
            Some(end) => end + 1,
            None => rest.len(),
        };
        self.at += length;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_yaml() {
        let mut sources = SourceMap::default();
        let file = sources.add("f", "\u{feff}a\nb\r\n\rc".to_owned());
        assert_eq!(sources.text(file), "a\nb\r\n\rc");
        let lines: Vec<_> = (0..7).map(|line| sources.line(file, line)).collect();
        assert_eq!(lines, [None, Some("a"), Some("b"), Some(""), Some("c"), Some(""), None]);
    }

    #[test]
    fn an_empty_text_has_one_empty_line() {
        let mut sources = SourceMap::default();
        let file = sources.add("f", String::new());
        assert_eq!(sources.line(file, 1), Some(""));
        assert_eq!(sources.line(file, 2), None);
    }

    #[test]
    fn a_foreign_file_is_empty() {
        let mut sources = SourceMap::default();
        let file = sources.add("f", "a".to_owned());
        let other = SourceMap::default();
        assert_eq!((other.name(file), other.text(file), other.line(file, 1)), ("", "", None));
    }
}
