//! Tables of text: columns that share the width of a page.
//!
//! Takes rows of cells of any origin, each with its tone, and adds them to a page as lines. Columns give way by wrapping
//! their cells, those that are to stay whole last.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

use super::{harmless::visible, page::TextPage, tone::Tone};

impl TextPage {
    /// A table. The columns of which the number is among `whole` are not broken.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<(String, Tone)>>, whole: &[usize]) {
        let layout = self.layout();
        let columns = u16::try_from(layout.width).unwrap_or(u16::MAX);
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
        let widths = table.column_max_content_widths();
        let last = widths.len().saturating_sub(1);
        // A column that alone takes half of the page gives way even so.
        let half = columns / 2;
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
            self.push_raw(&format!(" {line}"));
        }
    }
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
