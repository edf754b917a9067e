//! Lays out headings, paragraphs, lists and tables for a width, coloured or not.
//!
//! What is written comes from the manifests of others: a control character in a name would be an order to the terminal,
//! so none passes.

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use super::Look;

/// The narrowest that is laid out.
const NARROWEST: u16 = 60;

/// The widest that is laid out: longer lines are not read.
const WIDEST: u16 = 160;

/// What tables are at their best from.
const COMFORTABLE: u16 = 100;

/// How far everything below a heading is moved in.
const INDENT: &str = "  ";

/// How a piece of text looks where colours are welcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    Faint,
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }
}

/// Text under way.
#[derive(Debug)]
pub(super) struct Page {
    width: u16,
    colour: bool,
    text: String,
    /// Whether a heading was written last.
    headed: bool,
}

impl Page {
    pub(super) fn new(look: Look) -> Self {
        Self { width: look.width.clamp(NARROWEST, WIDEST), colour: look.colour, text: String::new(), headed: false }
    }

    /// What has been written.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Whether tables must give way to fit.
    pub(super) fn narrow(&self) -> bool {
        self.width < COMFORTABLE
    }

    fn columns(&self) -> usize {
        usize::from(self.width)
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
        let style = tone.style();
        if self.colour && !text.is_empty() && tone != Tone::Plain {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
        self.headed = false;
    }

    /// An empty line, but not at the beginning or below a heading, and never two.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") && !self.headed {
            self.text.push('\n');
        }
    }

    /// The title of a part.
    pub(super) fn heading(&mut self, title: &str) {
        self.gap();
        let title = self.paint(&clean(title), Tone::Strong);
        self.line(&title);
        let rule = self.paint(&"─".repeat(self.columns()), Tone::Faint);
        self.line(&rule);
        self.headed = true;
    }

    /// A paragraph without indentation.
    pub(super) fn close(&mut self, text: &str) {
        self.gap();
        for line in wrap(&clean(text), self.columns(), 0) {
            let line = self.paint(&line, Tone::Strong);
            self.line(&line);
        }
    }

    /// A paragraph.
    pub(super) fn say(&mut self, text: &str, tone: Tone) {
        self.block("", text, tone);
    }

    /// An entry of a list.
    pub(super) fn item(&mut self, mark: &str, text: &str, tone: Tone) {
        self.block(&format!("{mark} "), text, tone);
    }

    fn block(&mut self, mark: &str, text: &str, tone: Tone) {
        let hang = mark.chars().count();
        let room = self.columns().saturating_sub(INDENT.len());
        for (i, line) in wrap(&clean(text), room, hang).into_iter().enumerate() {
            let mark = if i == 0 { self.paint(mark, Tone::Faint) } else { " ".repeat(hang) };
            let line = format!("{INDENT}{mark}{}", self.paint(&line, tone));
            self.line(&line);
        }
    }

    /// A table. The columns of which the number is among `whole` are not broken.
    pub(super) fn table(&mut self, header: &[&str], rows: Vec<Vec<(String, Tone)>>, whole: &[usize]) {
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width.saturating_sub(1));
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|title| self.cell(title, Tone::Faint)));
        for row in rows {
            table.add_row(row.iter().map(|(text, tone)| self.cell(text, *tone)).collect::<Vec<_>>());
        }
        let widths = table.column_max_content_widths();
        let last = widths.len().saturating_sub(1);
        // A column that alone takes half of the page gives way even so.
        let half = self.width / 2;
        for (index, width) in widths.iter().enumerate() {
            let padding = if index == last { 1 } else { 2 };
            if let Some(column) = table.column_mut(index) {
                column.set_padding((1, padding - 1));
                if whole.contains(&index) && *width <= half {
                    let all = Width::Fixed(width.saturating_add(padding));
                    column.set_constraint(ColumnConstraint::LowerBoundary(all));
                }
            }
        }
        // A space of padding stands on the left of every column, the first one included.
        let lines: Vec<String> = table.lines().collect();
        for line in lines {
            self.line(&format!(" {line}"));
        }
    }

    fn cell(&self, text: &str, tone: Tone) -> Cell {
        let lines: Vec<String> = text.split('\n').map(clean).collect();
        let cell = Cell::new(lines.join("\n"));
        if !self.colour {
            return cell;
        }
        match tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Bad => cell.fg(Color::DarkRed),
            Tone::Faint => cell.add_attribute(Attribute::Dim),
            Tone::Strong => cell.add_attribute(Attribute::Bold),
        }
    }
}

/// `text` without what a terminal obeys: controls, and marks that turn the direction of writing.
fn clean(text: &str) -> String {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Breaks `text` into lines of at most `width` characters less `hang`, and words where they are longer than that.
fn wrap(text: &str, width: usize, hang: usize) -> Vec<String> {
    let room = width.saturating_sub(hang).max(1);
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut used) = (String::new(), 0_usize);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used.saturating_add(1).saturating_add(length) > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if used > 0 {
            line.push(' ');
            used = used.saturating_add(1);
        }
        for character in word.chars() {
            if used >= room {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(character);
            used = used.saturating_add(1);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three", 9, 0), ["one two", "three"]);
        assert_eq!(wrap("one two three", 9, 4), ["one", "two", "three"]);
        assert_eq!(wrap("abcdefgh i", 4, 0), ["abcd", "efgh", "i"]);
        assert_eq!(wrap("", 10, 0), [""]);
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let mut page = Page::new(Look { width: 80, colour: false });
        page.heading("\u{1b}[31mred");
        page.say("a\rb\u{202e}c", Tone::Plain);
        page.table(&["x"], vec![vec![("\u{1b}]0;title\u{7}".into(), Tone::Plain)]], &[0]);
        let text = page.into_text();
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text:?}");
    }
}
