//! Manifest reader: from a text to objects, one document at a time.
//!
//! Takes a text, and gives each object, or a diagnostic in its stead, to the sink. A broken document costs no other.
//!
//! Documents are parted by lines, before anything is parsed. That is exact: a line that begins with `---` or `...`,
//! followed by white space or nothing, ends a document even within a block or a quoted string.

use super::{
    compose::NodeComposer, document::DocumentPart, envelope::ObjectSink, json, node::ManifestObject, syntax, yaml,
};
use crate::diagnostic::{
    Diagnostic,
    position::TextSpan,
    source::{BYTE_ORDER_MARK, FileId, LineRanges},
};

/// Reads `text`, which is `file`, and gives each of its objects to `sink` in order, or what is wrong in its stead.
///
/// An object is a document, a JSON value, or an item of a list of objects. Documents that say nothing are passed over.
/// No text makes this panic, overflow its stack, or take more time or memory than in proportion to its size.
pub fn read<'t>(file: FileId, text: &'t str, sink: &mut dyn FnMut(Result<ManifestObject<'t>, Diagnostic>)) {
    read_from(file, 1, text, sink);
}

/// The same of a part of a file that begins at `line` of it, and holds whole documents.
pub fn read_from<'t>(
    file: FileId,
    mut line: u32,
    text: &'t str,
    sink: &mut dyn FnMut(Result<ManifestObject<'t>, Diagnostic>),
) {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut part = DocumentPart { file, text, line };
    let mut begin = 0;
    // Whether there is only white space, comments and directives since `begin`.
    let mut bare = true;
    for range in LineRanges::of(text) {
        let bytes = text.as_bytes().get(range.clone()).unwrap_or_default();
        match bytes {
            [b'-', b'-', b'-', rest @ ..] if ends_word(rest) => {
                // Directives stand before the line that begins their document.
                if !bare {
                    part.text = text.get(begin..range.start).unwrap_or_default();
                    read_part(part, sink);
                    (begin, part.line) = (range.start, line);
                }
                bare = false;
            }
            [b'.', b'.', b'.', rest @ ..] if ends_word(rest) => {
                part.text = text.get(begin..range.end).unwrap_or_default();
                read_part(part, sink);
                (begin, part.line, bare) = (range.end, line.saturating_add(1), true);
            }
            _ => bare = bare && says_nothing(bytes),
        }
        line = line.saturating_add(1);
    }
    part.text = text.get(begin..).unwrap_or_default();
    read_part(part, sink);
}

/// Parts `text`, which begins at `line`, into about `parts` of a like size that hold whole documents, each with the line
/// that it begins at.
#[must_use]
pub fn split(text: &str, line: u32, parts: usize) -> Vec<(u32, &str)> {
    let size = text.len() / parts.max(1);
    let (mut found, mut rest, mut line) = (Vec::new(), text, line);
    while found.len() + 1 < parts && rest.len() > size {
        let Some(at) = next_document(rest, size) else { break };
        let (front, behind) = rest.split_at(at);
        found.push((line, front));
        let lines = LineRanges::of(front).count();
        (line, rest) = (line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)), behind);
    }
    found.push((line, rest));
    found
}

/// Where a document begins in `text`, from the byte `from` on, that no directive stands before.
fn next_document(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let found = bytes.get(at..)?.windows(4).position(|four| four == b"\n---")?;
        at = at.saturating_add(found).saturating_add(1);
        let before = bytes.get(..at.saturating_sub(1))?;
        let line = before.rsplit(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        if bytes.get(at + 3..).is_some_and(ends_word) && line.first() != Some(&b'%') {
            return Some(at);
        }
    }
}

fn ends_word(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' ' | b'\t' | b'\n' | b'\r'))
}

fn says_nothing(line: &[u8]) -> bool {
    // A comment that cannot be read is at fault by itself, and not a part of the document that follows.
    if line.contains(&b'\0') {
        return false;
    }
    line.first() == Some(&b'%') || matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

fn read_part<'t>(part: DocumentPart<'t>, sink: ObjectSink<'_, 't>) {
    if part.text.trim_ascii().is_empty() {
        return;
    }
    let mut composer = NodeComposer::new(part, sink);
    if let Err(diagnostic) = compose(part, &mut composer) {
        composer.refuse(diagnostic);
    }
}

fn compose<'t>(part: DocumentPart<'t>, composer: &mut NodeComposer<'t, '_>) -> Result<(), Diagnostic> {
    let Some(from) = looks_like_json(part.text) else {
        return yaml(part, composer);
    };
    match json::check(part, from) {
        // Flow style, or a comment after a value: then it is YAML, or at least meant to be.
        Some(not) if not.values == 0 || not.next == Some(b'#') => yaml(part, composer).map_err(|error| {
            let template = syntax::is_of_template(error.hint.as_deref());
            if is_quoted(part.text, from) && !template { not.diagnostic } else { error }
        }),
        _ => json::compose(part, from, composer),
    }
}

fn yaml<'t>(part: DocumentPart<'t>, composer: &mut NodeComposer<'t, '_>) -> Result<(), Diagnostic> {
    // The parser takes this character for the end.
    if let Some(at) = part.text.find('\0') {
        let message = "the document holds a NUL character";
        return Err(part.error("NulCharacter", TextSpan::at(part.locate(at)), message).hint("is this a text file?"));
    }
    yaml::compose(part, composer)
}

/// Where the first value of `text` begins, if it may be JSON. Comments may stand before it.
fn looks_like_json(text: &str) -> Option<usize> {
    let mut body = without_comments(text);
    if let Some(rest) = body.strip_prefix("---").filter(|rest| ends_word(rest.as_bytes())) {
        body = without_comments(rest);
    }
    body.starts_with(['{', '[']).then_some(text.len() - body.len())
}

/// `text` without the white space and the comments at its front.
fn without_comments(text: &str) -> &str {
    let mut body = text.trim_ascii_start();
    while body.starts_with('#') {
        body = body.find(['\n', '\r']).and_then(|end| body.get(end..)).unwrap_or_default().trim_ascii_start();
    }
    body
}

/// Whether what begins at the bracket at `from` goes on as JSON would.
fn is_quoted(text: &str, from: usize) -> bool {
    let after = text.get(from + 1..).map(str::trim_ascii_start).unwrap_or_default();
    after.starts_with('"') || (text.as_bytes().get(from) == Some(&b'[') && after.starts_with('{'))
}
