//! Text edits: a map of a manifest changed where it stands, and nothing else of the text.
//!
//! Takes a text, nodes of it and the values that they are to have, and returns the text with entries of maps added, replaced and
//! removed in the style of what is around them. It understands what manifests are written like, not all of YAML: whoever calls
//! it reads the result again, and keeps it only where it says what it must.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::{
    diagnostic::{
        position::{TextPosition, TextSpan},
        source::{BYTE_ORDER_MARK, LineRanges},
    },
    manifest::node::{ManifestNode, MapEntry, NodeContent},
};

/// How much further right the entries of a map stand that is written anew.
const INDENT: usize = 2;

/// `text`, with each of these nodes as its value says. `None` where it is written in a way that is not understood.
pub(super) fn rewrite<'n, 't: 'n>(
    text: &str,
    wanted: impl Iterator<Item = (&'n ManifestNode<'t>, &'n Value)>,
) -> Option<String> {
    let mark = text.starts_with(BYTE_ORDER_MARK);
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut editor = TextEditor::new(body);
    for (node, value) in wanted {
        editor.change(node, value)?;
    }
    let written = editor.apply()?;
    Some(if mark { format!("{BYTE_ORDER_MARK}{written}") } else { written })
}

/// A stretch of the text, by bytes, and what is to stand there.
struct TextEdit {
    range: Range<usize>,
    text: String,
}

struct TextEditor<'t> {
    text: &'t str,
    /// Where the lines begin.
    lines: Vec<usize>,
    newline: &'static str,
    edits: Vec<TextEdit>,
}

impl<'t> TextEditor<'t> {
    fn new(text: &'t str) -> Self {
        let lines = LineRanges::of(text).map(|line| line.start).collect();
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, lines, newline, edits: Vec::new() }
    }

    /// Makes `node` say `wanted`.
    fn change(&mut self, node: &ManifestNode<'_>, wanted: &Value) -> Option<()> {
        match (&node.content, wanted) {
            (NodeContent::Map(entries), Value::Object(wanted)) => self.change_map(node, entries, wanted),
            (NodeContent::List(items), Value::Array(wanted)) if items.len() == wanted.len() => {
                let changed = items.iter().zip(wanted).filter(|(item, wanted)| item.to_json() != **wanted);
                changed.map(|(item, wanted)| self.change(item, wanted)).collect()
            }
            _ => None,
        }
    }

    fn change_map(
        &mut self,
        node: &ManifestNode<'_>,
        entries: &[MapEntry<'_>],
        wanted: &Map<String, Value>,
    ) -> Option<()> {
        let added: Vec<_> = wanted.iter().filter(|(key, _)| !entries.iter().any(|entry| entry.key == **key)).collect();
        let removed: Vec<_> = entries.iter().filter(|entry| !wanted.contains_key(entry.key.as_ref())).collect();
        if self.is_flow(node) && !removed.is_empty() {
            return self.rewrite_flow(node, entries, wanted);
        }
        for entry in entries {
            let Some(value) = wanted.get(entry.key.as_ref()) else { continue };
            if entry.value.to_json() != *value {
                self.change_entry(entry, value)?;
            }
        }
        for entry in removed {
            self.remove(entry)?;
        }
        if added.is_empty() {
            return Some(());
        }
        match entries.iter().max_by_key(|entry| entry.key_span.start) {
            _ if self.is_flow(node) => {
                let written: Vec<_> = added.iter().map(|(key, value)| flow_entry(key, value)).collect();
                let at = entries.iter().map(|entry| entry.value.span.end).max();
                let (at, before) = match at {
                    Some(end) => (self.offset(end)?, ", "),
                    None => (self.offset(node.span.start)?.checked_add(1)?, ""),
                };
                self.edits.push(TextEdit { range: at..at, text: format!("{before}{}", written.join(", ")) });
            }
            Some(last) => {
                let indent = usize::try_from(last.key_span.start.column).ok()?.checked_sub(1)?;
                let lines: Vec<_> = added.iter().flat_map(|(key, value)| block_entry(key, value, indent)).collect();
                self.insert_below(self.end_of_entry(last)?, &lines)?;
            }
            None => return None,
        }
        Some(())
    }

    /// Makes the value of `entry` be `wanted`, which it is not.
    fn change_entry(&mut self, entry: &MapEntry<'_>, wanted: &Value) -> Option<()> {
        let value = &entry.value;
        match wanted {
            Value::Object(entries) if !entries.is_empty() && is_map(value) && !value.entries().is_empty() => {
                self.change(value, wanted)
            }
            Value::Array(_) => self.change(value, wanted),
            Value::Object(entries) if !entries.is_empty() && self.is_left_out(entry) => {
                let indent = usize::try_from(entry.key_span.start.column).ok()?.checked_sub(1)?.checked_add(INDENT)?;
                let lines: Vec<_> = entries.iter().flat_map(|(key, value)| block_entry(key, value, indent)).collect();
                self.insert_below(self.offset(entry.key_span.end)?, &lines)
            }
            _ => {
                let colon = self.after_colon(entry)?;
                let end = self.end_of_entry(entry)?.max(colon);
                self.edits.push(TextEdit { range: colon..end, text: format!(" {}", flow(wanted)) });
                Some(())
            }
        }
    }

    /// A map in braces, written anew where something of it goes.
    fn rewrite_flow(
        &mut self,
        node: &ManifestNode<'_>,
        entries: &[MapEntry<'_>],
        wanted: &Map<String, Value>,
    ) -> Option<()> {
        let mut written = Vec::new();
        for entry in entries {
            let Some(value) = wanted.get(entry.key.as_ref()) else { continue };
            written.push(if entry.value.to_json() == *value {
                let range = self.offset(entry.key_span.start)?..self.offset(entry.value.span.end)?;
                self.text.get(range)?.to_owned()
            } else {
                flow_entry(&entry.key, value)
            });
        }
        let added = wanted.iter().filter(|(key, _)| !entries.iter().any(|entry| entry.key == **key));
        written.extend(added.map(|(key, value)| flow_entry(key, value)));
        let range = self.range(node.span)?;
        self.edits.push(TextEdit { range, text: format!("{{{}}}", written.join(", ")) });
        Some(())
    }

    /// Takes the lines of `entry` out.
    fn remove(&mut self, entry: &MapEntry<'_>) -> Option<()> {
        let key = self.offset(entry.key_span.start)?;
        let begin = *self.lines.get(self.line_of(key))?;
        if !self.text.get(begin..key)?.trim().is_empty() {
            return None;
        }
        let range = begin..self.next_line(self.end_of_entry(entry)?);
        self.edits.push(TextEdit { range, text: String::new() });
        Some(())
    }

    /// Puts `lines` below the line of the byte `at`.
    fn insert_below(&mut self, at: usize, lines: &[String]) -> Option<()> {
        let below = self.next_line(at);
        let ends = self.text.get(..below)?.ends_with(['\n', '\r']);
        let text = lines.join(self.newline);
        let text = if ends { format!("{text}{}", self.newline) } else { format!("{}{text}", self.newline) };
        self.edits.push(TextEdit { range: below..below, text });
        Some(())
    }

    /// Where the value of `entry` ends, or its key where it has none of its own: the end of what is written there.
    fn end_of_entry(&self, entry: &MapEntry<'_>) -> Option<usize> {
        let key = self.offset(entry.key_span.end)?;
        // What an alias repeats stands elsewhere.
        if entry.value.span.start < entry.key_span.end {
            return Some(key);
        }
        Some(self.end_of(&entry.value)?.max(key))
    }

    fn end_of(&self, node: &ManifestNode<'_>) -> Option<usize> {
        let inner = match &node.content {
            _ if self.is_flow(node) => None,
            NodeContent::Map(entries) => {
                entries.iter().max_by_key(|entry| entry.key_span.start).map(|last| self.end_of_entry(last))
            }
            NodeContent::List(items) => items.last().map(|last| self.end_of(last)),
            NodeContent::Scalar(_) => None,
        };
        match inner {
            Some(end) => end,
            // A block of text ends where the next thing begins.
            None => {
                Some(self.text.get(..self.offset(node.span.end)?)?.trim_end().len().max(self.offset(node.span.start)?))
            }
        }
    }

    /// Whether there is nothing where the value of `entry` would stand.
    fn is_left_out(&self, entry: &MapEntry<'_>) -> bool {
        let Some(colon) = self.after_colon(entry) else { return false };
        let line = self.text.get(colon..self.next_line(colon)).unwrap_or_default().trim();
        entry.value.is_null() && (line.is_empty() || line.starts_with('#'))
    }

    /// The byte behind the colon of `entry`.
    fn after_colon(&self, entry: &MapEntry<'_>) -> Option<usize> {
        let key = self.offset(entry.key_span.end)?;
        let rest = self.text.get(key..)?;
        let spaces = rest.len().checked_sub(rest.trim_start_matches(' ').len())?;
        rest.get(spaces..)?.starts_with(':').then(|| key.saturating_add(spaces).saturating_add(1))
    }

    fn is_flow(&self, node: &ManifestNode<'_>) -> bool {
        let begins = self.offset(node.span.start).and_then(|at| self.text.get(at..));
        begins.is_some_and(|rest| rest.starts_with(['{', '[']))
    }

    fn range(&self, span: TextSpan) -> Option<Range<usize>> {
        Some(self.offset(span.start)?..self.offset(span.end)?)
    }

    /// The byte at `position`.
    fn offset(&self, position: TextPosition) -> Option<usize> {
        let line = usize::try_from(position.line).ok()?.checked_sub(1)?;
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
        let rest = self.text.get(start..)?;
        Some(rest.char_indices().nth(column).map_or(self.text.len(), |(at, _)| start.saturating_add(at)))
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where the line after that of the byte `at` begins.
    fn next_line(&self, at: usize) -> usize {
        self.lines.get(self.line_of(at).saturating_add(1)).copied().unwrap_or(self.text.len())
    }

    /// The text with all edits, from its end to its beginning. `None` where two of them are in each other's way.
    fn apply(mut self) -> Option<String> {
        self.edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let apart = self.edits.windows(2).all(|pair| match pair {
            [one, other] => one.range.end <= other.range.start,
            _ => true,
        });
        if !apart {
            return None;
        }
        let (mut written, mut from) = (String::with_capacity(self.text.len()), 0);
        for TextEdit { range, text } in &self.edits {
            written.push_str(self.text.get(from..range.start)?);
            written.push_str(text);
            from = range.end;
        }
        written.push_str(self.text.get(from..)?);
        Some(written)
    }
}

fn is_map(node: &ManifestNode<'_>) -> bool {
    matches!(node.content, NodeContent::Map(_))
}

/// The lines of an entry of a map, each at its place.
fn block_entry(key: &str, value: &Value, indent: usize) -> Vec<String> {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'));
    let key = if is_plain { key.to_owned() } else { Value::from(key).to_string() };
    let spaces = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            let within = indent.saturating_add(INDENT);
            let lines = entries.iter().flat_map(|(key, value)| block_entry(key, value, within));
            std::iter::once(format!("{spaces}{key}:")).chain(lines).collect()
        }
        value => vec![format!("{spaces}{key}: {}", flow(value))],
    }
}

/// An entry of a map in braces: JSON, which is YAML too.
fn flow_entry(key: &str, value: &Value) -> String {
    format!("{}: {}", Value::from(key), flow(value))
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| flow_entry(key, value)).collect();
            format!("{{{}}}", entries.join(", "))
        }
        value => value.to_string(),
    }
}
