//! Diagnostics for people: the line of the file, with what is wrong in it underlined.
//!
//! ```text
//! error[QualificationMissing]: the offer names no country
//!   --> catalogue/ovh.yaml:12:21
//!    |
//! 12 |       jurisdiction: NO
//!    |                     ^^
//!    = hint: put it in quotes: "NO"
//! ```
//!
//! Texts come from anywhere. Whatever could move a cursor, colour a screen or turn the direction of writing is shown,
//! not sent.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    diagnostic::{Diagnostic, Place, Severity},
    snippet::{Snippet, visible},
    source::Sources,
};

/// How diagnostics are to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether to colour, for a terminal.
    pub colour: bool,
    /// How many columns a line of the file may take. Sentences are not broken.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: false, width: 120 }
    }
}

#[derive(Clone, Copy)]
enum Paint {
    Severity(Severity),
    Frame,
    Strong,
}

impl Look {
    fn paint(self, paint: Paint, text: &str) -> Cow<'_, str> {
        if !self.colour || text.is_empty() {
            return text.into();
        }
        let code = match paint {
            Paint::Severity(Severity::Error) => "1;31",
            Paint::Severity(Severity::Warning) => "1;33",
            Paint::Frame => "1;34",
            Paint::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m").into()
    }
}

impl Diagnostic {
    /// This, over several lines, with the line of the file that it is about. Ends with a line break.
    #[must_use]
    pub fn render(&self, sources: &Sources, look: Look) -> String {
        let severity = Paint::Severity(self.severity);
        let mut out = String::new();
        let heading = format!("{}[{}]", self.severity.as_str(), self.code);
        let message = format!(": {}", visible(&self.message));
        add(&mut out, &[&look.paint(severity, &heading), &look.paint(Paint::Strong, &message)]);
        let mut margin = String::new();
        if let Some(place) = self.place.filter(|place| sources.is_file(place.file)) {
            let number = place.span.start.line.to_string();
            margin = " ".repeat(number.len());
            let (arrow, bar) = (look.paint(Paint::Frame, "-->"), look.paint(Paint::Frame, " |"));
            add(&mut out, &[&margin, &arrow, " ", &at(place, sources)]);
            let columns = look.width.saturating_sub(number.len() + 3);
            if let Some(snippet) = Snippet::of(place, sources, columns) {
                add(&mut out, &[&margin, &bar]);
                let space = if snippet.text.is_empty() { "" } else { " " };
                add(&mut out, &[&look.paint(Paint::Frame, &number), &bar, space, &snippet.text]);
                let indent = " ".repeat(snippet.indent + 1);
                add(&mut out, &[&margin, &bar, &indent, &look.paint(severity, &"^".repeat(snippet.length))]);
            }
        }
        for (name, text) in [("object", &self.object), ("hint", &self.hint)] {
            if let Some(text) = text {
                add(&mut out, &[&margin, &look.paint(Paint::Frame, " ="), " ", name, ": ", &visible(text)]);
            }
        }
        out
    }

    /// This on one line, as compilers do for editors: `file:line:column: error: message`. Without a line break.
    #[must_use]
    pub fn one_line(&self, sources: &Sources) -> String {
        let mut out = String::new();
        if let Some(place) = self.place.filter(|place| sources.is_file(place.file)) {
            // Writing into a string does not fail.
            let _ = write!(out, "{}: ", at(place, sources));
        }
        let _ = write!(out, "{}: {}", self.severity.as_str(), visible(&self.message));
        out
    }
}

fn at(place: Place, sources: &Sources) -> String {
    let start = place.span.start;
    format!("{}:{}:{}", visible(sources.name(place.file)), start.line, start.column)
}

fn add(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}
