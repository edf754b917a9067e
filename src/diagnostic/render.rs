//! Rendered diagnostics: the line of the file, with what is wrong in it underlined.
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
//! Takes a diagnostic and the texts that it points into, and returns text for people or a line for editors. Texts come
//! from anywhere: whatever could move a cursor, colour a screen or turn the direction of writing is shown, not sent.

use std::fmt::Write as _;

use super::{
    Diagnostic, Severity,
    snippet::SourceSnippet,
    source::{SourceMap, SourceSpan},
};
use crate::terminal::{StyledText, TextLayout, TextPage, Tone, visible};

impl Diagnostic {
    /// This, over several lines, with the line of the file that it is about. Ends with a line break.
    ///
    /// Lines of the file are cut to `layout`, and sentences go on in the next line; paths and addresses stay whole.
    #[must_use]
    pub fn render(&self, sources: &SourceMap, layout: TextLayout) -> String {
        let severity = match self.severity {
            Severity::Error => Tone::Error,
            Severity::Warning => Tone::Warning,
        };
        let heading = format!("{}[{}]", self.severity.as_str(), self.code);
        let message = format!(": {}", self.message);
        let mut out = paragraph(layout, 0, StyledText::default().run(heading, severity).run(message, Tone::Strong));
        let mut margin = String::new();
        if let Some(place) = self.place.filter(|place| sources.is_file(place.file)) {
            let number = place.span.start.line.to_string();
            margin = " ".repeat(number.len());
            let (arrow, bar) = (layout.paint("-->", Tone::Frame), layout.paint(" |", Tone::Frame));
            add(&mut out, &[&margin, &arrow, " ", &at(place, sources)]);
            let columns = layout.width.saturating_sub(number.len() + 3);
            if let Some(snippet) = SourceSnippet::of(place, sources, columns) {
                add(&mut out, &[&margin, &bar]);
                let space = if snippet.text.is_empty() { "" } else { " " };
                add(&mut out, &[&layout.paint(&number, Tone::Frame), &bar, space, &snippet.text]);
                let indent = " ".repeat(snippet.indent + 1);
                add(&mut out, &[&margin, &bar, &indent, &layout.paint(&"^".repeat(snippet.length), severity)]);
            }
        }
        for (name, text) in [("object", &self.object), ("hint", &self.hint)] {
            if let Some(text) = text {
                let text = StyledText::default().run("= ", Tone::Frame).then(format!("{name}: {text}"));
                out.push_str(&paragraph(layout, margin.len().saturating_add(1), text));
            }
        }
        out
    }

    /// This on one line, as compilers do for editors: `file:line:column: error: message`. Without a line break.
    #[must_use]
    pub fn one_line(&self, sources: &SourceMap) -> String {
        let mut out = String::new();
        if let Some(place) = self.place.filter(|place| sources.is_file(place.file)) {
            // Writing into a string does not fail.
            let _ = write!(out, "{}: ", at(place, sources));
        }
        let _ = write!(out, "{}: {}", self.severity.as_str(), visible(&self.message));
        out
    }
}

fn at(place: SourceSpan, sources: &SourceMap) -> String {
    let start = place.span.start;
    format!("{}:{}:{}", visible(sources.name(place.file)), start.line, start.column)
}

/// `text`, in lines that are as long as a line may be.
fn paragraph(layout: TextLayout, indent: usize, text: StyledText) -> String {
    let mut page = TextPage::new(layout);
    page.line(indent, text);
    page.into_text()
}

fn add(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}
