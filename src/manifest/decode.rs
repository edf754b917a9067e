//! Text decoding: from bytes to UTF-8.
//!
//! Takes the bytes of a file, and returns its text, or a diagnostic that says what it is instead.

use super::document::DocumentPart;
use crate::diagnostic::{
    Diagnostic,
    position::{TextPosition, TextSpan},
    source::{BYTE_ORDER_MARK, FileId, SourceMap},
};

/// How much of what is no text is shown, in bytes.
const SHOWN: usize = 1024;

/// Adds the text that `bytes` are to `sources`. A text in UTF-16 that says so by a mark is read, with a warning.
///
/// # Errors
/// What they are instead. Of bytes that are no text, the front is added all the same, so that the diagnostic has a line
/// to point at; it is none of [`SourceMap::files`].
pub(super) fn decode(
    mut bytes: Vec<u8>,
    name: &str,
    sources: &mut SourceMap,
) -> Result<(FileId, Option<Diagnostic>), Diagnostic> {
    if let Some(order) = ByteOrder::marked(&bytes) {
        let text = order.decode(&bytes).ok_or_else(|| {
            Diagnostic::error("Encoding", format!("{name}: the file says that it is in UTF-16, and is not"))
                .hint("save it as UTF-8")
        })?;
        let file = sources.add(name, text);
        let told =
            Diagnostic::warning("Encoding", "the file is in UTF-16").hint("save it as UTF-8, which all tools read");
        return Ok((file, Some(told.at(file, TextSpan::at(TextPosition::START)))));
    }
    if let Some(encoding) = foreign(&bytes) {
        return Err(
            Diagnostic::error("Encoding", format!("{name}: the file is in {encoding}")).hint("save it as UTF-8")
        );
    }
    let mut mark = [0; 4];
    let mark = BYTE_ORDER_MARK.encode_utf8(&mut mark);
    if bytes.starts_with(mark.as_bytes()) {
        bytes.drain(..mark.len());
    }
    let error = match String::from_utf8(bytes) {
        Ok(text) => {
            return Ok((sources.add(name, text), None));
        }
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let bad = error.as_bytes().get(at..).unwrap_or_default();
    let byte = bad.first().copied().unwrap_or_default();
    let shown = bad.iter().take(SHOWN).position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bad.len().min(SHOWN));
    let front = error.as_bytes().get(..at + shown).unwrap_or_default();
    let file = sources.add_broken(name, String::from_utf8_lossy(front).into_owned());
    let place = DocumentPart { file, text: sources.text(file), line: 1 }.locate(at);
    Err(Diagnostic::error("NotUtf8", format!("byte 0x{byte:02X} is not UTF-8"))
        .at(file, TextSpan::at(place))
        .hint("save the file as UTF-8; it may be in Latin-1 or Windows-1252"))
}

/// In which order the two bytes of a unit of UTF-16 stand.
#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// What a mark at the front of `bytes` says.
    fn marked(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, 0, 0, ..] => None,
            [0xff, 0xfe, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] => Some(Self::Big),
            _ => None,
        }
    }

    /// The text that `bytes` are behind their mark; `None` where they are none.
    fn decode(self, bytes: &[u8]) -> Option<String> {
        let (pairs, odd) = bytes.get(2..)?.as_chunks::<2>();
        let unit = |pair: &[u8; 2]| match self {
            Self::Little => u16::from_le_bytes(*pair),
            Self::Big => u16::from_be_bytes(*pair),
        };
        let units: Vec<u16> = pairs.iter().map(unit).collect();
        String::from_utf16(&units).ok().filter(|_| odd.is_empty())
    }
}

/// The encoding that `bytes` seem to be in, if it is one of those that editors on Windows write.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let zeros = |bytes: &[u8]| bytes.iter().map(|byte| *byte == 0).collect::<Vec<_>>();
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        // Without a mark: a manifest begins with ASCII.
        _ => match zeros(bytes.get(..4)?).as_slice() {
            [false, true, true, true] | [true, true, true, false] => Some("UTF-32"),
            [false, true, false, true] | [true, false, true, false] => Some("UTF-16"),
            _ => None,
        },
    }
}
