//! Tables of text: columns that share the width of a page.
//!
//! Takes rows of cells of any origin, each with its tone, and adds them to a page as lines. Columns give way by wrapping
//! their cells, those that are to stay whole last. No word is broken: where the words of all columns do not fit beside each
//! other, the cells of a row stand below each other instead.

use unicode_width::UnicodeWidthStr;

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use super::{harmless::visible, page::TextPage, styled::StyledText, tone::Tone};

impl TextPage {
    /// A table. The columns of which the number is among `whole` are not broken.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<(String, Tone)>>, whole: &[usize]) {
        let layout = self.layout();
        let columns = u16::try_from(layout.width).unwrap_or(u16::MAX);
        let words = longest_words(header, &rows);
        let padding = |index: usize| if index.saturating_add(1) == header.len() { 1_u16 } else { 2 };
        let room = columns.saturating_sub(1);
        let sum = |widths: &[u16]| {
            let padded = widths.iter().enumerate().map(|(index, width)| width.saturating_add(padding(index)));
            padded.fold(0, u16::saturating_add)
        };
        if sum(&words) > room {
            return self.stacked(header, &rows);
        }
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns.saturating_sub(1));
        if layout.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let cell = |text: &str, tone| cell(text, if layout.colour { tone } else { Tone::Plain });
        table.set_header(header.iter().map(|title| cell(title, Tone::Faint)));
        for row in rows {
            table.add_row(row.iter().map(|(text, tone)| cell(text, *tone)).collect::<Vec<_>>());
        }
        // A column that alone takes half of the page gives way even so, and all do before a word is broken.
        let half = columns / 2;
        let natural = table.column_max_content_widths();
        let least = |index: usize, width: u16| {
            let all = natural.get(index).copied().filter(|all| whole.contains(&index) && *all <= half);
            all.unwrap_or(width)
        };
        let wanted: Vec<u16> = words.iter().enumerate().map(|(index, width)| least(index, *width)).collect();
        let least = if sum(&wanted) > room { words } else { wanted };
        for (index, width) in least.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((1, padding(index).saturating_sub(1)));
                let width = Width::Fixed(width.saturating_add(padding(index)));
                column.set_constraint(ColumnConstraint::LowerBoundary(width));
            }
        }
        // A space of padding stands on the left of every column, the first one included.
        let lines: Vec<String> = table.lines().collect();
        for line in lines {
            self.push_raw(&format!(" {line}"));
        }
    }

    /// The cells of each row below each other, each after the first with the title of its column.
    fn stacked(&mut self, header: &[&str], rows: &[Vec<(String, Tone)>]) {
        for row in rows {
            for (index, (text, tone)) in row.iter().enumerate() {
                let text = joined(text);
                if index == 0 {
                    let indent = if text.starts_with(' ') { 4 } else { 2 };
                    self.line(indent, StyledText::default().run(text.trim_start(), *tone));
                } else if !text.is_empty() {
                    let title = format!("{}: ", header.get(index).copied().unwrap_or_default());
                    self.line(6, StyledText::default().faint(&title).run(&text, *tone));
                }
            }
        }
    }
}

/// The columns of the longest word of each column.
fn longest_words(header: &[&str], rows: &[Vec<(String, Tone)>]) -> Vec<u16> {
    let longest = |text: &str| {
        // What stands before the first word of a line is not broken from it.
        let lines = text.split('\n').map(visible);
        let words = lines.flat_map(|line| {
            let before = line.len().saturating_sub(line.trim_start().len());
            let first = line.split_whitespace().next().map_or(0, |word| word.width().saturating_add(before));
            let others = line.split_whitespace().skip(1).map(UnicodeWidthStr::width).max().unwrap_or_default();
            [first, others]
        });
        words.max().unwrap_or_default()
    };
    let of = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|(text, _)| longest(text));
        let title = header.get(index).map_or(0, |title| longest(title));
        u16::try_from(cells.max().unwrap_or_default().max(title)).unwrap_or(u16::MAX)
    };
    (0..header.len()).map(of).collect()
}

/// The lines of a cell in one: those that go on with the line before are moved in.
fn joined(text: &str) -> String {
    text.replace("\n  ", " ").replace('\n', ", ")
}

/// A cell, whose lines are parted by line breaks of ours.
fn cell(text: &str, tone: Tone) -> Cell {
    let lines: Vec<_> = text.split('\n').map(visible).collect();
    let cell = Cell::new(lines.join("\n"));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Bad | Tone::Error => cell.fg(Color::DarkRed),
        Tone::Warning => cell.fg(Color::DarkYellow),
        Tone::Frame => cell.fg(Color::DarkBlue),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::TextLayout;

    #[test]
    fn no_word_is_broken_however_narrow_the_page() {
        let table = |width: usize, name: &str| {
            let mut page = TextPage::new(TextLayout { width, colour: false });
            let plain = |text: &str| (text.to_owned(), Tone::Plain);
            let row = vec![
                plain(name),
                plain("state: restricted\n  by namespace"),
                plain("unplaceable"),
                plain("isar-muc-1, loire"),
            ];
            page.table(&["workload", "level, said by", "outcome", "pools"], vec![vec![plain("claims")], row], &[0, 2]);
            page.into_text()
        };
        let words = ["restricted", "namespace", "unplaceable", "isar-muc-1,", "loire"];
        for width in 40..120 {
            for name in ["  Deployment api", "  StatefulSet a-database-with-a-name-that-is-long"] {
                let text = table(width, name);
                let whole = |word: &&str| text.split_whitespace().any(|found| found == *word);
                assert!(words.iter().chain(&[name.split(' ').next_back().unwrap()]).all(whole), "{width}\n{text}");
            }
        }
        insta::assert_snapshot!(table(60, "  StatefulSet a-database-with-a-name-that-is-long"), @r#"
        claims
          StatefulSet a-database-with-a-name-that-is-long
            level, said by: state: restricted by namespace
            outcome: unplaceable
            pools: isar-muc-1, loire
        "#);
    }
}
