//! Object streams: a text that is too large to be kept, in parts that each hold whole objects.
//!
//! Takes bytes as they come, and returns one part after the other, with the line that it begins at. Of a list of objects,
//! as `kubectl get` prints it, a part has the heading and some of the items, so that it can be read as a text of its own.
//! Memory follows the largest object, never the text.
//!
//! What such a text may not do is what nobody prints: repeat by an alias what stands in another item, or say the kind of a
//! list's items after them.

use std::io::{self, BufRead};

use crate::diagnostic::source::BYTE_ORDER_MARK;

/// How large a part grows before it is handed over, in bytes.
const PART: usize = 1 << 20;

/// The largest object, in bytes.
const LARGEST: usize = 256 << 20;

/// A part of a text, which can be read by itself.
#[derive(Debug, PartialEq, Eq)]
pub struct TextPart {
    /// It.
    pub text: String,
    /// The line of the whole text that it begins at. Of a heading that is repeated, as if it stood right before.
    pub line: u32,
}

/// Why a stream ends before its text does.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is not UTF-8.
    #[error("the part that begins at line {line} is not UTF-8")]
    NotUtf8 {
        /// Where the part begins.
        line: u32,
    },
    /// It ends within an object or a list.
    #[error("the text ends within what begins at line {line}: it is not whole")]
    Truncated {
        /// Where that begins.
        line: u32,
    },
    /// An object is too large.
    #[error("the object that begins at line {line} is larger than {} MiB", LARGEST >> 20)]
    TooLarge {
        /// Where it begins.
        line: u32,
    },
}

/// Hands each part of what `from` gives to `sink`.
///
/// # Errors
/// [`StreamError`]; what was handed over until then is whole.
pub fn parts(from: &mut dyn BufRead, sink: &mut dyn FnMut(TextPart)) -> Result<(), StreamError> {
    parts_of(PART, from, sink)
}

fn parts_of(size: usize, from: &mut dyn BufRead, sink: &mut dyn FnMut(TextPart)) -> Result<(), StreamError> {
    if from.fill_buf()?.starts_with(BYTE_ORDER_MARK.encode_utf8(&mut [0; 4]).as_bytes()) {
        from.consume(BYTE_ORDER_MARK.len_utf8());
    }
    let is_json = matches!(from.fill_buf()?.trim_ascii_start().first(), Some(b'{' | b'['));
    let parts = PartBuilder { size, line: 1, begins: 1, buffer: Vec::new(), heading: Vec::new(), sink };
    if is_json { JsonParts::new(parts).run(from) } else { YamlParts::new(parts).run(from) }
}

/// What is under way.
struct PartBuilder<'s> {
    size: usize,
    /// The line at hand.
    line: u32,
    /// The line at which `buffer` begins.
    begins: u32,
    buffer: Vec<u8>,
    /// What stands before the items of the list at hand.
    heading: Vec<u8>,
    sink: &'s mut dyn FnMut(TextPart),
}

impl PartBuilder<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if self.buffer.is_empty() {
            self.begins = self.line;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > LARGEST { Err(StreamError::TooLarge { line: self.begins }) } else { Ok(()) }
    }

    fn is_large(&self) -> bool {
        self.buffer.len() >= self.size
    }

    /// Hands over what there is, with the heading before it and `end` behind it.
    fn flush(&mut self, end: &[u8]) -> Result<(), StreamError> {
        let body = std::mem::take(&mut self.buffer);
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        let lines = self.heading.split(|byte| *byte == b'\n').count().saturating_sub(1);
        let line = self.begins.saturating_sub(u32::try_from(lines).unwrap_or(u32::MAX));
        let mut text = self.heading.clone();
        text.extend_from_slice(&body);
        text.extend_from_slice(end);
        // A heading that says no kind may be followed by one, which is that of a list, and is not waited for.
        if !self.heading.is_empty() && !says_kind(&self.heading) {
            let is_json = end.ends_with(b"}");
            text.truncate(text.len().saturating_sub(usize::from(is_json)));
            text.extend_from_slice(if is_json { b",\"kind\":\"List\"}" } else { b"\nkind: List\n" });
        }
        let text = String::from_utf8(text).map_err(|_| StreamError::NotUtf8 { line: self.begins })?;
        (self.sink)(TextPart { text, line });
        Ok(())
    }
}

fn says_kind(heading: &[u8]) -> bool {
    heading.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"kind:"))
        || heading.windows(6).any(|six| six == b"\"kind\"")
}

/// Where within a document of YAML the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum YamlState {
    /// Where a list may still begin.
    Head,
    /// Within the items of a list, which are indented so far once that is known.
    Items(Option<usize>),
    /// Behind them.
    Tail,
}

struct YamlParts<'s> {
    parts: PartBuilder<'s>,
    state: YamlState,
    /// Where in the buffer the document at hand begins.
    document: usize,
}

impl<'s> YamlParts<'s> {
    fn new(parts: PartBuilder<'s>) -> Self {
        Self { parts, state: YamlState::Head, document: 0 }
    }

    fn run(mut self, from: &mut dyn BufRead) -> Result<(), StreamError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line without an end would be all of memory.
            let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
            if io::Read::take(&mut *from, limit).read_until(b'\n', &mut line)? == 0 {
                // kubectl says behind the items that it was a list: where nobody said so before, the rest was cut off.
                if matches!(self.state, YamlState::Items(_)) && !says_kind(&self.parts.heading) {
                    return Err(StreamError::Truncated { line: self.parts.begins });
                }
                return self.parts.flush(b"");
            }
            self.line(&line)?;
            self.parts.line = self.parts.line.saturating_add(1);
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), StreamError> {
        let marks =
            |mark: &[u8]| line.strip_prefix(mark).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
        if marks(b"---") || marks(b"...") {
            if self.state != YamlState::Head || self.parts.is_large() {
                self.parts.flush(b"")?;
                self.parts.heading.clear();
            }
            self.state = YamlState::Head;
            self.document = self.parts.buffer.len();
            return self.parts.push(line);
        }
        match self.state {
            YamlState::Head if line.trim_ascii_end() == b"items:" && self.may_be_list() => {
                let mut heading = self.parts.buffer.split_off(self.document);
                self.parts.flush(b"")?;
                heading.extend_from_slice(line);
                self.parts.heading = heading;
                self.state = YamlState::Items(None);
                Ok(())
            }
            YamlState::Head => self.parts.push(line),
            YamlState::Items(indent) => self.item(line, indent),
            YamlState::Tail => Ok(()),
        }
    }

    fn item(&mut self, line: &[u8], indent: Option<usize>) -> Result<(), StreamError> {
        let text = line.trim_ascii_start();
        let at = line.len().saturating_sub(text.len());
        let dashed = text.strip_prefix(b"-").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
        if text.is_empty() || text.first() == Some(&b'#') {
            return self.parts.push(line);
        }
        if dashed && indent.is_none_or(|indent| indent == at) {
            self.state = YamlState::Items(Some(at));
            if self.parts.is_large() {
                self.parts.flush(b"")?;
            }
            return self.parts.push(line);
        }
        if at > indent.unwrap_or_default() {
            return self.parts.push(line);
        }
        self.state = YamlState::Tail;
        self.parts.flush(b"")?;
        self.parts.heading.clear();
        Ok(())
    }

    /// Whether nothing before says that this is an object with a field of that name.
    fn may_be_list(&self) -> bool {
        let head = self.parts.buffer.get(self.document..).unwrap_or_default();
        let kinds = head.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"kind:"));
        kinds.map(<[u8]>::trim_ascii).all(|kind| kind.ends_with(b"List"))
    }
}

struct JsonParts<'s> {
    parts: PartBuilder<'s>,
    depth: usize,
    string: StringState,
    /// The text of the string at hand, or of the last one, as far as it matters.
    word: Vec<u8>,
    /// Whether `word` is a key of the outermost map, whose value comes next.
    is_items: bool,
    list: ListState,
}

/// Where within a string of JSON the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StringState {
    /// In none.
    Outside,
    /// In one.
    Inside,
    /// Behind a backslash in one.
    Escaped,
}

/// Where within a list of objects the stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListState {
    /// In none, or before its items.
    Before,
    /// Within its items.
    Items,
    /// Behind them, where everything is dropped.
    Tail,
}

/// The key of a list's items.
const ITEMS: &[u8] = b"items";

impl<'s> JsonParts<'s> {
    fn new(parts: PartBuilder<'s>) -> Self {
        Self {
            parts,
            depth: 0,
            string: StringState::Outside,
            word: Vec::new(),
            is_items: false,
            list: ListState::Before,
        }
    }

    fn run(mut self, from: &mut dyn BufRead) -> Result<(), StreamError> {
        loop {
            let bytes = from.fill_buf()?;
            if bytes.is_empty() {
                // What was cut off between two items of a list would pass for a shorter list.
                let is_whole = self.depth == 0 && self.string == StringState::Outside;
                let line = self.parts.begins;
                return if is_whole { self.parts.flush(b"") } else { Err(StreamError::Truncated { line }) };
            }
            let length = bytes.len();
            let mut begin = 0;
            for at in 0..length {
                let byte = bytes.get(at).copied().unwrap_or_default();
                if byte == b'\n' {
                    self.keep(bytes.get(begin..=at).unwrap_or_default())?;
                    begin = at.saturating_add(1);
                    self.parts.line = self.parts.line.saturating_add(1);
                }
                if self.string != StringState::Outside {
                    self.string(byte);
                    continue;
                }
                match byte {
                    b'"' => {
                        self.string = StringState::Inside;
                        self.word.clear();
                    }
                    b':' => self.is_items = self.depth == 1 && self.word == ITEMS,
                    b'[' if self.is_items && self.depth == 1 && self.list == ListState::Before => {
                        self.keep(bytes.get(begin..=at).unwrap_or_default())?;
                        begin = at.saturating_add(1);
                        self.begin_items();
                    }
                    b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                    b',' => {
                        self.is_items = false;
                        if self.list == ListState::Items && self.depth == 2 && self.parts.is_large() {
                            self.keep(bytes.get(begin..at).unwrap_or_default())?;
                            begin = at.saturating_add(1);
                            self.parts.flush(b"]}")?;
                        }
                    }
                    b'}' | b']' => {
                        if self.list == ListState::Items && self.depth == 2 {
                            self.keep(bytes.get(begin..at).unwrap_or_default())?;
                            begin = at;
                            self.end_items()?;
                        }
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            self.keep(bytes.get(begin..=at).unwrap_or_default())?;
                            begin = at.saturating_add(1);
                            self.end_value()?;
                        }
                    }
                    _ => {}
                }
            }
            self.keep(bytes.get(begin..length).unwrap_or_default())?;
            from.consume(length);
        }
    }

    fn string(&mut self, byte: u8) {
        match byte {
            _ if self.string == StringState::Escaped => self.string = StringState::Inside,
            b'\\' => self.string = StringState::Escaped,
            b'"' => self.string = StringState::Outside,
            _ if self.word.len() <= ITEMS.len() => self.word.push(byte),
            _ => {}
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if self.list == ListState::Tail { Ok(()) } else { self.parts.push(bytes) }
    }

    fn begin_items(&mut self) {
        let mut heading = std::mem::take(&mut self.parts.buffer);
        // The items begin a line: places are counted from there.
        heading.push(b'\n');
        self.parts.heading = heading;
        self.depth = 2;
        self.list = ListState::Items;
        self.is_items = false;
    }

    fn end_items(&mut self) -> Result<(), StreamError> {
        self.parts.flush(b"]}")?;
        self.parts.heading.clear();
        self.list = ListState::Tail;
        Ok(())
    }

    fn end_value(&mut self) -> Result<(), StreamError> {
        self.list = ListState::Before;
        if self.parts.is_large() { self.parts.flush(b"") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::source::SourceMap, manifest::read::read_from};

    /// Each object of `text`, with its line, when parts are handed over at `size`.
    fn objects(size: usize, text: &str) -> (usize, Vec<(u32, String)>) {
        let (mut count, mut found) = (0, Vec::new());
        let file = SourceMap::default().add("f", String::new());
        let mut sink = |part: TextPart| {
            count += 1;
            read_from(file, part.line, &part.text, &mut |object| {
                let object = object.unwrap_or_else(|error| panic!("{error:?} in {:?}", part.text));
                found.push((object.get("metadata").unwrap().span.start.line, object.to_json().to_string()));
            });
        };
        parts_of(size, &mut text.as_bytes(), &mut sink).unwrap();
        (count, found)
    }

    const LISTS: [&str; 6] = [
        "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: A\n  metadata: {name: a}\n  text: |\n    - x\n- kind: B\n  metadata: {name: b}\n\nkind: List\nmetadata: {}\n---\nkind: C\nmetadata: {name: c}\n",
        "kind: PodList\napiVersion: v1\nitems:\n  - metadata: {name: a}\n  # more\n  - metadata: {name: b}\n",
        "kind: A\nmetadata: {name: a}\nitems:\n- 1\n---\nkind: B\nmetadata: {name: b}\n",
        "{\"apiVersion\":\"v1\",\"items\":[{\"kind\":\"A\",\"metadata\":{\"name\":\"],}\\\"\"}},\n{\"kind\":\"B\",\n\"metadata\":{\"items\":[1]}}],\"kind\":\"List\"}\n{\"kind\":\"C\",\"metadata\":{}}",
        "{\"kind\": \"A\", \"metadata\": {}}\n{\"kind\": \"B\",\n\"metadata\": {}}\n",
        "\n  {\n \"kind\": \"List\", \"items\": [\n  {\"kind\": \"A\", \"metadata\": {}}\n ]\n}",
    ];

    #[test]
    fn a_stream_holds_what_its_text_holds() {
        for text in LISTS {
            let (one, whole) = objects(1 << 20, text);
            let (many, parted) = objects(1, text);
            assert!(many >= one, "{text}");
            assert_eq!(parted, whole, "{text}");
            let file = SourceMap::default().add("f", String::new());
            let mut read = Vec::new();
            read_from(file, 1, text, &mut |object| read.push(object.unwrap().to_json().to_string()));
            assert_eq!(whole.into_iter().map(|(_, object)| object).collect::<Vec<_>>(), read, "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_whole_text() {
        let lines = |text| objects(1, text).1.into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(lines(LISTS[0]), [5, 9, 15]);
        assert_eq!(lines(LISTS[3]), [1, 3, 4]);
    }

    #[test]
    fn what_is_cut_off_is_told() {
        let ends = |text: &str| parts_of(1, &mut text.as_bytes(), &mut |_| {});
        for text in LISTS {
            assert!(ends(text).is_ok(), "{text}");
        }
        let json = LISTS[3].split_once('\n').unwrap().0;
        let yaml = LISTS[0].split_once("\nkind: List").unwrap().0;
        for text in [json, yaml, "{\"kind\": \"A", "{\"items\": ["] {
            assert!(matches!(ends(text), Err(StreamError::Truncated { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_no_text_is_told() {
        let mut sink = |_| {};
        assert!(matches!(parts_of(1, &mut b"a: \xff\n".as_slice(), &mut sink), Err(StreamError::NotUtf8 { line: 1 })));
    }
}
