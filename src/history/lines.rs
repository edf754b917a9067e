//! History lines: entries among whatever else a log system keeps, as it keeps them.
//!
//! Takes the bytes of a file line by line, and finds entries in plain lines, after the timestamps of `kubectl logs` and of
//! container runtimes (CRI, whose partial lines are joined), and within JSON that holds a line as a text (Docker, Loki). A line
//! that looks like an entry and cannot be read as one is told, never passed over.

use std::io::{BufRead, Result};

use serde_json::Value;

use super::chain::{UnsealedLine, unseal};

/// What every line of an entry begins with, but for its version.
const BEGINS: &str = "{\"apiVersion\":\"rempart.dev/history/";
/// The version that is read.
const VERSION: &str = "{\"apiVersion\":\"rempart.dev/history/v1\"";
/// What no other line has in it.
const MARK: &str = "rempart.dev/history/";

/// A line that looks like an entry and cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLine {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// What was found in files.
#[derive(Debug, Default)]
pub struct FoundLines {
    /// The entries, in the order in which they stand.
    pub entries: Vec<UnsealedLine>,
    /// How many lines were read.
    pub read: u64,
    /// How many of them are something else.
    pub passed_over: u64,
    /// Those that look like entries.
    pub unreadable: Vec<UnreadableLine>,
}

/// Lines of a container runtime that are not whole yet, by stream.
#[derive(Default)]
struct PartialLines {
    out: String,
    err: String,
}

impl FoundLines {
    /// Adds what `text`, called `file`, has.
    ///
    /// # Errors
    /// Those of `text`.
    pub fn read(&mut self, file: &str, text: impl BufRead) -> Result<()> {
        let mut partial = PartialLines::default();
        let mut number = 0;
        for line in text.split(b'\n') {
            let line = line?;
            number += 1;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            self.read = self.read.saturating_add(1);
            match runtime_line(line) {
                Some((is_out, whole, rest)) => {
                    let pending = if is_out { &mut partial.out } else { &mut partial.err };
                    pending.push_str(rest);
                    if whole {
                        let line = std::mem::take(pending);
                        self.take(file, number, &line);
                    } else {
                        self.passed_over = self.passed_over.saturating_add(1);
                    }
                }
                None => self.take(file, number, line),
            }
        }
        for pending in [partial.out, partial.err] {
            if pending.contains(MARK) {
                self.tell(file, number, "the file ends before the line does".to_owned());
            }
        }
        Ok(())
    }

    fn take(&mut self, file: &str, number: u64, line: &str) {
        if !line.contains(MARK) {
            self.passed_over = self.passed_over.saturating_add(1);
            return;
        }
        let found = match line.find(BEGINS) {
            Some(at) => line.get(at..).map(str::to_owned),
            None => serde_json::from_str(line).ok().and_then(|value: Value| held(&value)),
        };
        let Some(entry) = found else {
            let why = "it names rempart.dev/history and is not as it was written: what is hashed is the line, which must be \
                       kept as it is";
            return self.tell(file, number, why.to_owned());
        };
        let entry = entry.trim_end();
        if !entry.starts_with(VERSION) {
            return self.tell(file, number, "it is of a version that this command does not know".to_owned());
        }
        match unseal(entry) {
            Ok(entry) => self.entries.push(entry),
            Err(why) => self.tell(file, number, why),
        }
    }

    fn tell(&mut self, file: &str, line: u64, why: String) {
        self.unreadable.push(UnreadableLine { file: file.to_owned(), line, why });
    }
}

/// A line as a container runtime writes it: whether it is of standard output, whether it ends here, and what it says.
fn runtime_line(line: &str) -> Option<(bool, bool, &str)> {
    let (at, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let (tags, rest) = rest.split_once(' ')?;
    at.parse::<jiff::Timestamp>().ok()?;
    let is_out = match stream {
        "stdout" => true,
        "stderr" => false,
        _ => return None,
    };
    match tags.split(':').next()? {
        "F" => Some((is_out, true, rest)),
        "P" => Some((is_out, false, rest)),
        _ => None,
    }
}

/// The entry that some text within `value` holds.
fn held(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.find(BEGINS).and_then(|at| text.get(at..)).map(str::to_owned),
        Value::Array(items) => items.iter().find_map(held),
        Value::Object(fields) => fields.values().find_map(held),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{chain::ChainWriter, entry::HistoryEvent};

    #[test]
    fn entries_are_found_in_whatever_a_log_system_keeps() {
        let at: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let entry = ChainWriter::new("a", at).line(HistoryEvent::Complete, at);
        let (first, second) = entry.split_at(70);
        let docker = serde_json::json!({"log": format!("{entry}\n"), "stream": "stdout"});
        let lines = [
            entry.clone(),
            format!("{entry}\r"),
            format!("2026-03-01T12:00:00.5Z {entry}"),
            format!("[pod/rempart-7/operator] {entry}"),
            format!("2026-03-01T12:00:00.5Z stdout F {entry}"),
            format!(
                "2026-03-01T12:00:00.5Z stdout P {first}\n2026-03-01T12:00:00.5Z stderr F {{\"level\":\"INFO\"}}\n2026-03-01T12:00:00.5Z stdout F {second}"
            ),
            docker.to_string(),
            serde_json::json!({"kubernetes": {"pod": "x"}, "message": entry}).to_string(),
        ];
        let mut found = FoundLines::default();
        found.read("a.log", lines.join("\n").as_bytes()).unwrap();
        assert_eq!(found.unreadable, []);
        assert_eq!((found.entries.len(), found.passed_over), (8, 2), "the partial line and the message");
        assert!(found.entries.iter().all(|found| found.intact));
    }

    #[test]
    fn what_looks_like_an_entry_and_is_none_is_told() {
        let at: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let entry = ChainWriter::new("a", at).line(HistoryEvent::Complete, at);
        let rewritten = serde_json::from_str::<Value>(&entry).unwrap();
        let rewritten = serde_json::json!({"stream": "stdout", "entry": rewritten}).to_string();
        let rewritten = rewritten.replace("{\"apiVersion\"", "{ \"apiVersion\"");
        let text = [
            &entry[..entry.len() - 9],
            &rewritten,
            &entry.replace("history/v1", "history/v2"),
            &format!("2026-03-01T12:00:00.5Z stdout P {entry}"),
        ];
        let mut found = FoundLines::default();
        found.read("a.log", text.join("\n").as_bytes()).unwrap();
        let lines: Vec<u64> = found.unreadable.iter().map(|line| line.line).collect();
        assert_eq!((lines, found.entries.len()), (vec![1, 2, 3, 4], 0));
    }
}
