//! JSON reader: from a text to the composer's events.
//!
//! YAML's flow style covers nearly all of JSON, but not keys of more than 1024 characters, nor control characters that
//! JSON allows; and JSON values may follow one another without anything between them. To read JSON as what it is also
//! takes a tenth of the time.

use std::borrow::Cow;

use super::{
    compose::{CollectionKind, NodeComposer},
    document::{DEPTH, DocumentPart},
    scalar::YamlScalar,
};
use crate::diagnostic::{
    Diagnostic,
    position::{TextPosition, TextSpan},
};

/// Who is told what a text of JSON holds.
trait JsonVisitor<'t> {
    fn scalar(&mut self, span: TextSpan, scalar: YamlScalar<'t>) -> Result<(), Diagnostic>;
    fn open(&mut self, shape: CollectionKind, start: TextPosition) -> Result<(), Diagnostic>;
    fn close(&mut self, end: TextPosition) -> Result<(), Diagnostic>;
}

impl<'t> JsonVisitor<'t> for NodeComposer<'t, '_> {
    fn scalar(&mut self, span: TextSpan, scalar: YamlScalar<'t>) -> Result<(), Diagnostic> {
        self.scalar(span, scalar, 0)
    }

    fn open(&mut self, shape: CollectionKind, start: TextPosition) -> Result<(), Diagnostic> {
        self.open(shape, start, 0)
    }

    fn close(&mut self, end: TextPosition) -> Result<(), Diagnostic> {
        self.close(Some(end))
    }
}

/// Listens for whether it is JSON at all.
struct SyntaxCheck;

impl JsonVisitor<'_> for SyntaxCheck {
    fn scalar(&mut self, _: TextSpan, _: YamlScalar<'_>) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn open(&mut self, _: CollectionKind, _: TextPosition) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn close(&mut self, _: TextPosition) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// Why a text is not JSON.
pub(super) struct NotJson {
    /// How many values stand before the place where it is not.
    pub(super) values: usize,
    /// What stands at that place.
    pub(super) next: Option<u8>,
    /// What to say about it.
    pub(super) diagnostic: Diagnostic,
}

/// Why `part`, from byte `from` on, is not JSON values one after another; `None` when it is.
pub(super) fn check(part: DocumentPart<'_>, from: usize) -> Option<NotJson> {
    let mut reader = JsonReader::new(part, from);
    let mut values = 0;
    loop {
        match reader.value(&mut SyntaxCheck) {
            Ok(true) => values += 1,
            Ok(false) => return None,
            Err(diagnostic) => return Some(NotJson { values, next: reader.peek(), diagnostic }),
        }
    }
}

/// Reads the JSON values of `part`, from byte `from` on.
///
/// # Errors
/// What keeps the rest of it from being read.
pub(super) fn compose<'t>(
    part: DocumentPart<'t>,
    from: usize,
    composer: &mut NodeComposer<'t, '_>,
) -> Result<(), Diagnostic> {
    let mut reader = JsonReader::new(part, from);
    while reader.value(composer)? {
        composer.finish();
    }
    Ok(())
}

struct JsonReader<'t> {
    part: DocumentPart<'t>,
    bytes: &'t [u8],
    at: usize,
    /// The place of byte `counted`, which is not after `at`.
    position: TextPosition,
    counted: usize,
    open: Vec<CollectionKind>,
}

/// What may stand next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpectedToken {
    /// A value, or the end of the list that has just begun.
    First,
    Value,
    /// A comma or the end of the innermost list or map.
    Comma,
}

impl<'t> JsonReader<'t> {
    fn new(part: DocumentPart<'t>, from: usize) -> Self {
        let position = TextPosition { line: part.line, column: 1 };
        Self { part, bytes: part.text.as_bytes(), at: from, position, counted: 0, open: Vec::new() }
    }

    /// Reads one value; `false` when the text is at its end.
    fn value(&mut self, to: &mut impl JsonVisitor<'t>) -> Result<bool, Diagnostic> {
        if self.space().is_none() {
            return Ok(false);
        }
        let mut next = ExpectedToken::Value;
        loop {
            let Some(byte) = self.space() else { return Err(self.unfinished()) };
            let inside = self.open.last().copied();
            match (next, byte, inside) {
                (ExpectedToken::First | ExpectedToken::Comma, b']', Some(CollectionKind::List))
                | (ExpectedToken::First | ExpectedToken::Comma, b'}', Some(CollectionKind::Map)) => {
                    self.at += 1;
                    self.open.pop();
                    to.close(self.here())?;
                    next = ExpectedToken::Comma;
                }
                (ExpectedToken::Comma, b',', Some(_)) => {
                    self.at += 1;
                    next = ExpectedToken::Value;
                    if inside == Some(CollectionKind::Map) {
                        self.key(to)?;
                    }
                    continue;
                }
                (ExpectedToken::Comma, _, Some(CollectionKind::List)) => return Err(self.fault("expected `,` or `]`")),
                (ExpectedToken::Comma, _, _) => return Err(self.fault("expected `,` or `}`")),
                (ExpectedToken::First, _, Some(CollectionKind::Map)) => {
                    self.key(to)?;
                    next = ExpectedToken::Value;
                    continue;
                }
                (_, b'{' | b'[', _) => {
                    let start = self.here();
                    if self.open.len() == DEPTH {
                        return Err(self.part.too_deep(TextSpan::at(start)));
                    }
                    let shape = if byte == b'{' { CollectionKind::Map } else { CollectionKind::List };
                    self.at += 1;
                    self.open.push(shape);
                    to.open(shape, start)?;
                    next = ExpectedToken::First;
                    continue;
                }
                _ => {
                    self.scalar(to)?;
                    next = ExpectedToken::Comma;
                }
            }
            if self.open.is_empty() {
                return Ok(true);
            }
        }
    }

    fn key(&mut self, to: &mut impl JsonVisitor<'t>) -> Result<(), Diagnostic> {
        match self.space() {
            Some(b'"') => self.scalar(to)?,
            Some(_) => return Err(self.fault("expected a key in double quotes")),
            None => return Err(self.unfinished()),
        }
        match self.space() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.fault("expected `:` after the key")),
            None => return Err(self.unfinished()),
        }
        Ok(())
    }

    fn scalar(&mut self, to: &mut impl JsonVisitor<'t>) -> Result<(), Diagnostic> {
        let (from, start) = (self.at, self.here());
        let scalar = if self.peek() == Some(b'"') {
            YamlScalar { text: self.string(start)?, plain: false }
        } else {
            let rest = self.bytes.get(from..).unwrap_or_default();
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            let length = rest.iter().take_while(|byte| word(byte)).count();
            let text = self.part.text.get(from..from + length).unwrap_or_default();
            if !matches!(text, "true" | "false" | "null") && !is_number(text.as_bytes()) {
                return Err(self.fault("expected a JSON value"));
            }
            self.at += length;
            YamlScalar { text: Cow::Borrowed(text), plain: true }
        };
        to.scalar(TextSpan { start, end: self.here() }, scalar)
    }

    /// The string that begins at the quote at hand.
    fn string(&mut self, start: TextPosition) -> Result<Cow<'t, str>, Diagnostic> {
        self.at += 1;
        let mut from = self.at;
        let mut owned: Option<String> = None;
        loop {
            let ahead = self.bytes.get(self.at..).unwrap_or_default();
            let Some(length) = ahead.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
                return Err(self.unclosed(start));
            };
            self.at += length;
            let piece = self.part.text.get(from..self.at).unwrap_or_default();
            match ahead.get(length) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(piece),
                        Some(owned) => Cow::Owned(owned + piece),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(piece);
                    let Some(escaped) = self.escape() else { return Err(self.fault("no such escape in JSON")) };
                    owned.get_or_insert_default().push(escaped);
                    from = self.at;
                }
                Some(b'\n' | b'\r') => return Err(self.unclosed(start)),
                _ => return Err(self.fault("a control character must be escaped in JSON")),
            }
        }
    }

    /// The character that the escape at hand stands for. Half a surrogate pair stands for none, and becomes U+FFFD.
    fn escape(&mut self) -> Option<char> {
        let simple = match self.bytes.get(self.at + 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex(self.at)?;
                self.at += 6;
                if let Some(low @ 0xdc00..=0xdfff) = self.hex(self.at).filter(|_| (0xd800..0xdc00).contains(&unit)) {
                    self.at += 6;
                    return char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                }
                return Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return None,
        };
        self.at += 2;
        Some(simple)
    }

    /// The number of the escape `\uXXXX` at byte `at`.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.part.text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes white space over; what stands after it.
    fn space(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// The place of the byte at hand. Counts on from the last place asked for, so that a text is counted once.
    fn here(&mut self) -> TextPosition {
        let passed = self.bytes.get(self.counted..self.at).unwrap_or_default();
        for (offset, byte) in passed.iter().enumerate() {
            let lone = || self.bytes.get(self.counted + offset + 1) != Some(&b'\n');
            if *byte == b'\n' || *byte == b'\r' && lone() {
                self.position = TextPosition { line: self.position.line.saturating_add(1), column: 1 };
            } else if byte & 0xc0 != 0x80 {
                self.position.column = self.position.column.saturating_add(1);
            }
        }
        self.counted = self.at;
        self.position
    }

    fn fault(&mut self, message: &str) -> Diagnostic {
        let span = TextSpan::at(self.here());
        self.part.error("Syntax", span, message)
    }

    fn unfinished(&mut self) -> Diagnostic {
        let span = TextSpan::at(self.here());
        self.part.error("Unfinished", span, "the JSON value ends in the middle")
    }

    fn unclosed(&self, start: TextPosition) -> Diagnostic {
        self.part
            .error("QuoteUnclosed", TextSpan::at(start), "a quoted string has no end")
            .hint("add the missing quote")
    }
}

/// Whether `text` is a number as JSON writes it.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.first() == Some(&b'0')) {
        return false;
    }
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = fraction.get(length..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}
