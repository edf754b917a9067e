//! Answer from the history for a terminal.

use super::sections::{sections, verdict};
use crate::{
    history::answer::HistoryAnswer,
    terminal::{TextLayout, Tone},
};

/// How many rows a table has at most.
const MOST: usize = 200;

/// Says `answer`.
#[must_use]
pub fn text(answer: &HistoryAnswer<'_>, layout: TextLayout) -> String {
    let mut page = crate::report::text::page(layout);
    page.say(&verdict(answer), Tone::Strong);
    for section in sections(answer) {
        page.ruled_heading(&section.title);
        for (line, tone) in &section.lines {
            page.item("·", line, *tone);
        }
        let Some((header, mut rows)) = section.table else { continue };
        let left_out = rows.len().saturating_sub(MOST);
        rows.truncate(MOST);
        page.table(&header, rows, &[]);
        if left_out > 0 {
            page.say(&format!("And {left_out} more; -o json and -o markdown list each."), Tone::Faint);
        }
    }
    page.close(&verdict(answer));
    page.into_text()
}
