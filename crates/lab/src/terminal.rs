//! Standard output for people: paragraphs, lists and tables of at most 100 columns.
//!
//! It takes text and its style, and wraps it to the width of the terminal. Colour is used only where standard output is
//! a terminal and nobody has refused it.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitStatus,
};

use anyhow::Context;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

/// The widest that anything is printed.
const WIDEST: u16 = 100;

/// The narrowest that is still worth laying out.
const NARROWEST: u16 = 60;

/// Indentation of everything below a heading.
const INDENT: usize = 2;

/// Style of a text where colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextStyle {
    Plain,
    Good,
    Bad,
    Faint,
    Strong,
}

/// Standard output, with its width and whether it takes colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TerminalOutput {
    width: u16,
    colour: bool,
}

impl TerminalOutput {
    /// Takes the width of the terminal; without one, the widest and no colour.
    pub(crate) fn new(no_colour: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let width = Table::new().width().filter(|_| terminal).unwrap_or(WIDEST);
        // As the convention has it: whoever records wants the colours.
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        Self { width: width.clamp(NARROWEST, WIDEST), colour: (terminal || forced) && !no_colour }
    }

    /// Whether long words must be broken for tables to fit.
    pub(crate) fn narrow(self) -> bool {
        self.width < WIDEST
    }

    fn columns(self) -> usize {
        usize::from(self.width)
    }

    fn paint(self, text: &str, look: TextStyle) -> String {
        let code = match look {
            TextStyle::Plain => return text.to_owned(),
            TextStyle::Good => "32",
            TextStyle::Bad => "31",
            TextStyle::Faint => "2",
            TextStyle::Strong => "1",
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    #[expect(clippy::unused_self, reason = "nothing is printed but on the paper")]
    fn line(self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", text.trim_end())
    }

    /// An empty line.
    pub(crate) fn gap(self) -> io::Result<()> {
        self.line("")
    }

    /// Something to be copied, so never broken.
    pub(crate) fn verbatim(self, text: &str) -> io::Result<()> {
        self.line(&format!("{}{text}", " ".repeat(INDENT)))
    }

    /// The title of a part.
    pub(crate) fn heading(self, text: &str) -> io::Result<()> {
        self.gap()?;
        self.line(&self.paint(text, TextStyle::Strong))?;
        self.line(&self.paint(&"─".repeat(self.columns()), TextStyle::Faint))
    }

    /// A paragraph.
    pub(crate) fn say(self, text: &str) -> io::Result<()> {
        self.say_as(text, TextStyle::Plain)
    }

    /// A paragraph that looks like `look`.
    pub(crate) fn say_as(self, text: &str, look: TextStyle) -> io::Result<()> {
        self.block("", "", text, look)
    }

    /// An entry of a list.
    pub(crate) fn item(self, mark: &str, text: &str) -> io::Result<()> {
        self.item_as(mark, text, TextStyle::Plain)
    }

    /// An entry of a list that looks like `look`.
    pub(crate) fn item_as(self, mark: &str, text: &str, look: TextStyle) -> io::Result<()> {
        let rest = " ".repeat(mark.chars().count() + 1);
        self.block(&format!("{mark} "), &rest, text, look)
    }

    /// A command line and who typed it.
    pub(crate) fn command(self, who: &str, line: &str) -> io::Result<()> {
        self.block(&format!("{who} $ "), "      ", line, TextStyle::Strong)
    }

    /// An answer, word for word.
    pub(crate) fn quote(self, text: &str, look: TextStyle) -> io::Result<()> {
        text.trim_end().lines().try_for_each(|line| self.block("│ ", "│ ", line, look))
    }

    fn block(self, first: &str, rest: &str, text: &str, look: TextStyle) -> io::Result<()> {
        let margin = " ".repeat(INDENT);
        let width = self.columns().saturating_sub(INDENT);
        for (i, line) in wrap(text, width, first.chars().count(), rest.chars().count()).iter().enumerate() {
            let mark = if i == 0 { first } else { rest };
            self.line(&format!("{margin}{}{}", self.paint(mark, TextStyle::Faint), self.paint(line, look)))?;
        }
        Ok(())
    }

    /// A table. Columns of which the number in `fixed` is set are never broken.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<(String, TextStyle)>>, fixed: &[usize]) -> io::Result<()> {
        let style = TableStyle::new().header_separator(LineStyle::none().fill('─'));
        let mut table = Table::new();
        table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width.saturating_sub(1));
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|title| self.cell(title, TextStyle::Faint)));
        for row in rows {
            table.add_row(row.iter().map(|(text, look)| self.cell(text, *look)).collect::<Vec<_>>());
        }
        let widths = table.column_max_content_widths();
        let last = widths.len().saturating_sub(1);
        for (index, width) in widths.iter().enumerate() {
            let padding = if index == last { 1 } else { 2 };
            if let Some(column) = table.column_mut(index) {
                column.set_padding((1, padding - 1));
                if fixed.contains(&index) {
                    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + padding)));
                }
            }
        }
        // A space of padding stands on the left of every column, the first one included.
        table.lines().try_for_each(|line| self.line(&format!(" {line}")))
    }

    fn cell(self, text: &str, look: TextStyle) -> Cell {
        let cell = Cell::new(text);
        if !self.colour {
            return cell;
        }
        match look {
            TextStyle::Plain => cell,
            TextStyle::Good => cell.fg(Color::DarkGreen),
            TextStyle::Bad => cell.fg(Color::DarkRed),
            TextStyle::Faint => cell.add_attribute(Attribute::Dim),
            TextStyle::Strong => cell.add_attribute(Attribute::Bold),
        }
    }
}

/// Prints the result of a command.
pub(crate) fn print_result(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}").context("cannot print")
}

/// Breaks `text` into lines of at most `width` characters, of which the first loses `first` and each other `rest`.
/// A word that is longer than a line is broken.
fn wrap(text: &str, width: usize, first: usize, rest: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let room = |lines: usize| width.saturating_sub(if lines == 0 { first } else { rest }).max(1);
    for word in text.split(' ') {
        let length = word.chars().count();
        let used = line.chars().count();
        if !line.is_empty() && used + 1 + length > room(lines.len()) {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if line.chars().count() >= room(lines.len()) {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
}

/// `1 pod`, `2 pods`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Names with commas between.
pub(crate) fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

/// Exit status of a command, for a message.
pub(crate) fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three", 9, 0, 0), ["one two", "three"]);
        assert_eq!(wrap("one two three", 9, 4, 2), ["one", "two", "three"]);
        assert_eq!(wrap("abcdefgh i", 4, 0, 0), ["abcd", "efgh", "i"]);
        assert_eq!(wrap("", 10, 0, 0), [""]);
        assert_eq!(wrap("a  b", 10, 0, 0), ["a  b"]);
    }
}
