//! Answer from the history as Markdown: a report to be printed, signed and filed.
//!
//! Text of any origin is harmless in it: controls are shown, and nothing that was read is taken for markup.

use std::fmt::{self, Write as _};

use super::sections::{at, sections, verdict};
use crate::{history::answer::HistoryAnswer, terminal::visible};

/// Text as Markdown says it of itself.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.split('\n').enumerate() {
            let (index, line) = line;
            if index > 0 {
                f.write_str("; ")?;
            }
            for character in visible(line).chars() {
                match character {
                    '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '!' | '~' => write!(f, "\\{character}")?,
                    '<' => f.write_str("&lt;")?,
                    '>' => f.write_str("&gt;")?,
                    '&' => f.write_str("&amp;")?,
                    other => f.write_char(other)?,
                }
            }
        }
        Ok(())
    }
}

/// Says `answer`.
#[must_use]
pub fn markdown(answer: &HistoryAnswer<'_>) -> String {
    let mut text = String::from("# What ran where\n\n");
    let question = &answer.question;
    // Writing to a string does not fail.
    let _ = write!(text, "From {} until {}", at(question.span.from), at(question.span.until));
    for (what, asked) in [("policy", &question.policy), ("level", &question.level), ("namespace", &question.namespace)]
    {
        if let Some(asked) = asked {
            let _ = write!(text, ", {what} {}", Escaped(asked));
        }
    }
    let _ = write!(text, ".\n\n**{}.**\n", Escaped(&verdict(answer)));
    for section in sections(answer) {
        let _ = write!(text, "\n## {}\n\n", Escaped(&section.title));
        for (line, _) in &section.lines {
            let _ = writeln!(text, "- {}", Escaped(line));
        }
        let Some((header, rows)) = section.table else { continue };
        if !section.lines.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "| {} |", header.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(header.len()));
        for row in rows {
            for (cell, _) in &row {
                let _ = write!(text, "| {} ", Escaped(cell));
            }
            text.push_str("|\n");
        }
    }
    text.push_str(
        "\n## Last entries\n\nNoted where nobody can change them, these hashes show a log that was made anew.\n\n",
    );
    for chain in &answer.log.chains {
        if let Some((seq, hash)) = &chain.head {
            let _ = writeln!(text, "- chain {}, entry {seq}: {}", Escaped(&chain.name), Escaped(hash));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_read_is_markup() {
        let text = Escaped("a|b <script> **c** [d](e)\u{1b}\nf").to_string();
        assert_eq!(text, "a\\|b &lt;script&gt; \\*\\*c\\*\\* \\[d\\](e)␛; f");
    }
}
