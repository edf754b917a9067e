//! Syntax errors of YAML, in words that help whoever wrote the manifest.
//!
//! Takes what the parser objects to, and returns a diagnostic.

use std::borrow::Cow;

use granit_parser::{ErrorKind, ScanError};

use super::document::{DocumentPart, narrow};
use crate::diagnostic::{
    Diagnostic,
    position::{TextPosition, TextSpan},
};

/// What to do about a text with `{{` where YAML has no use for it.
pub(super) const TEMPLATE: &str = "this looks like a Helm template: render it first with `helm template`";

/// What to do about a text with `{%`, which Helm does not know either.
pub(super) const OTHER_TEMPLATE: &str =
    "this looks like a template, as of Jinja: render it first with the tool whose braces these are";

const TAB: &str = "replace the tab by spaces";
const INDENTATION: &str = "look at the indentation, and for a missing colon";

/// What is wrong with `part`.
pub(super) fn diagnose(part: DocumentPart<'_>, error: &ScanError) -> Diagnostic {
    let at = part.position(error.marker());
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return part.too_deep(TextSpan::at(at));
    }
    let (code, message, hint) = explain(error.kind());
    let tab = tab(part, at, code == TAB_INDENTATION);
    let span = TextSpan::at(tab.filter(|_| code == TAB_INDENTATION).unwrap_or(at));
    let diagnostic = part.error(code, span, message);
    let hint = template(part, at).or(tab.map(|_| TAB)).or(hint);
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

const TAB_INDENTATION: &str = "TabIndentation";

fn explain(kind: &ErrorKind) -> (&'static str, Cow<'static, str>, Option<&'static str>) {
    let (code, message, hint) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => (TAB_INDENTATION, "a tab cannot indent in YAML", Some(TAB)),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("QuoteUnclosed", "a quoted string has no end", Some("add the missing quote"))
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "Syntax",
            "something follows the closing quote",
            Some("look for a missing quote, here or on a line above, or put all of the text in quotes"),
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "Syntax",
            "there is no such escape in a string in double quotes",
            Some("write the backslash twice, or use single quotes"),
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            return ("Unfinished", format!("this `{open}` is never closed").into(), None);
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return ("Syntax", format!("`{close}` closes what `{open}` opened").into(), None);
        }
        ErrorKind::MisplacedFlowCollectionEnd => ("Syntax", "nothing is open that this bracket could close", None),
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("Unfinished", "the document ends in the middle of a value", None)
        }
        ErrorKind::ExpectedFlowMappingSeparator => ("Syntax", "expected `,` or `}`", None),
        ErrorKind::ExpectedFlowSequenceSeparator => ("Syntax", "expected `,` or `]`", None),
        ErrorKind::UnknownAnchor => ("AliasUnknown", "no anchor of this name stands before this alias", None),
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("no value can begin with {character:?}");
            return ("Syntax", message.into(), Some("put the text in quotes"));
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed | ErrorKind::InvalidColonPlacement => (
            "Syntax",
            "no key can stand here",
            Some("indent the key as its siblings are; a text that contains `: ` goes in quotes"),
        ),
        ErrorKind::ExpectedBlockMappingKey => ("Syntax", "expected a key", Some(INDENTATION)),
        ErrorKind::SimpleKeyExpected => ("Syntax", "expected `:` after this key", Some(INDENTATION)),
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            ("Syntax", "no item of a list can stand here", Some(INDENTATION))
        }
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockSequenceEntry => {
            ("Syntax", "this is indented neither as what stands above it nor beneath it", Some(INDENTATION))
        }
        ErrorKind::UnsupportedYamlMajorVersion => ("Syntax", "only YAML 1 is supported", None),
        // The rest is rare, and the parser has words for it.
        other => return ("Syntax", other.to_string().into(), None),
    };
    (code, message.into(), hint)
}

/// The tab that indents the line at `from`, or one beneath it: the parser may object to a text as a whole.
fn tab(part: DocumentPart<'_>, from: TextPosition, beneath: bool) -> Option<TextPosition> {
    let mut lines = part.lines().skip_while(|(number, _)| *number < from.line);
    let lines = lines.by_ref().take(if beneath { usize::MAX } else { 1 });
    lines.into_iter().find_map(|(line, text)| {
        let before = text.chars().take_while(|character| *character == ' ').count();
        (text.chars().nth(before) == Some('\t')).then_some(TextPosition { line, column: narrow(before + 1) })
    })
}

/// What to do about `part` where it is not YAML because it has yet to become so.
fn template(part: DocumentPart<'_>, at: TextPosition) -> Option<&'static str> {
    let holds = |open: &str| {
        part.lines().any(|(line, text)| text.trim_start().starts_with(open) || (line == at.line && text.contains(open)))
    };
    if holds("{%") { Some(OTHER_TEMPLATE) } else { holds("{{").then_some(TEMPLATE) }
}

/// Whether `hint` is one of those that say that a text is a template.
pub(super) fn is_of_template(hint: Option<&str>) -> bool {
    matches!(hint, Some(TEMPLATE | OTHER_TEMPLATE))
}
