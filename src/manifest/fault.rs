//! What is wrong with a text as such, before anybody asks what it means.
//!
//! Every code that the reader gives is here, so that they stay one list.

use granit_parser::{ErrorKind, Marker, ScanError};

use super::{
    diagnostic::Diagnostic,
    node::{Position, Span},
    source::{FileId, Lines},
};

/// A document, or what is taken for one: a part of a file that is read on its own.
#[derive(Clone, Copy)]
pub(super) struct Part<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// The line of the file that it begins at.
    pub(super) line: u32,
}

impl Part<'_> {
    pub(super) fn error(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.file, span)
    }

    /// Line `line` of the file, if it is of this part.
    fn line(&self, line: u32) -> Option<&str> {
        let index = usize::try_from(line.checked_sub(self.line)?).ok()?;
        Lines::of(self.text).nth(index).and_then(|range| self.text.get(range))
    }

    /// What to do when the text at `span` is not YAML because it has yet to become so.
    pub(super) fn template_hint(&self, span: Span) -> Option<&'static str> {
        let here = self.line(span.start.line).is_some_and(|line| line.contains("{{"));
        let around = || Lines::of(self.text).filter_map(|range| self.text.get(range));
        (here || around().any(|line| line.trim_start().starts_with("{{")))
            .then_some("this looks like a Helm template: render it first with `helm template`")
    }

    fn tab_hint(&self, span: Span) -> Option<&'static str> {
        let line = self.line(span.start.line)?;
        let indentation = line.get(..line.len() - line.trim_start().len())?;
        indentation.contains('\t').then_some("replace the tab by spaces")
    }

    /// The place of `mark`, which counts from the front of this part.
    pub(super) fn position(&self, mark: &Marker) -> Position {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position {
            line: self.line.saturating_add(narrow(mark.line().saturating_sub(1))),
            column: narrow(mark.col()).saturating_add(1),
        }
    }

    /// The place of byte `at` of this part.
    pub(super) fn locate(&self, at: usize) -> Position {
        let before = Lines::of(self.text).take_while(|line| line.start <= at);
        let (index, start) = before.enumerate().last().map_or((0, 0), |(index, line)| (index, line.start));
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        self.position(&Marker::new(0, index + 1, column))
    }

    /// What the parser of YAML says, for people.
    pub(super) fn syntax(&self, error: &ScanError) -> Diagnostic {
        let span = Span::at(self.position(error.marker()));
        let kind = error.kind();
        let (code, message) = match kind {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar => ("TabIndentation", "a tab cannot indent in YAML".to_owned()),
            ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
                ("QuoteUnclosed", "a quoted string has no end".to_owned())
            }
            ErrorKind::UnclosedFlowCollection { open } => ("Unfinished", format!("this {open} is never closed")),
            ErrorKind::UnexpectedEof
            | ErrorKind::UnexpectedEofBlockMapping
            | ErrorKind::UnexpectedEofBlockSequence
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofImplicitFlowMapping => {
                ("Unfinished", "the document ends in the middle of a value".to_owned())
            }
            ErrorKind::RecursionLimitExceeded => return self.too_deep(span),
            ErrorKind::UnknownAnchor => ("AliasUnknown", "no anchor of this name stands before this alias".to_owned()),
            ErrorKind::UnexpectedCharacter { character } => {
                ("Syntax", format!("no value can begin with {character:?} here"))
            }
            other => ("Syntax", other.to_string()),
        };
        let hint = self.template_hint(span).or_else(|| self.tab_hint(span)).or(match kind {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar => Some("replace the tab by spaces"),
            ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
                Some("add the missing quote")
            }
            ErrorKind::UnexpectedCharacter { .. } => Some("put the text in quotes"),
            ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => {
                Some("indent the key as its siblings are; a text that contains \": \" goes in quotes")
            }
            ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::InvalidIndentation
            | ErrorKind::BlockSequenceEntryNotAllowed => Some("look at the indentation, and for a missing colon"),
            ErrorKind::UnknownQuotedScalarEscape => Some("write the backslash twice, or use single quotes"),
            _ => None,
        });
        let diagnostic = self.error(code, span, message);
        match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }

    pub(super) fn too_deep(&self, span: Span) -> Diagnostic {
        self.error("TooDeep", span, format!("values are nested deeper than {DEPTH} levels"))
    }

    pub(super) fn too_many(&self, span: Span) -> Diagnostic {
        self.error(
            "TooManyValues",
            span,
            format!("the object has more than {VALUES} values, aliases counted as copies"),
        )
    }
}

/// How deep values may be nested. No manifest comes near, and whoever walks a tree may recurse.
pub(super) const DEPTH: usize = 100;

/// How many values an object may have. What an alias repeats counts each time, a long text as several.
pub(super) const VALUES: usize = 1_000_000;
