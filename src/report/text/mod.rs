//! Reports for people: what needs them first, then the rest, then a sentence that sums it up.

mod doctor;
mod drill;
mod impact;
mod not_judged;
mod plan;
mod requirements;
mod rows;
mod wishes;

use std::fmt::Display;

pub(crate) use self::doctor::verdict as doctor_verdict;
pub use self::{doctor::doctor, drill::drill, impact::impact, plan::plan};
use crate::terminal::{TextLayout, TextPage};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportDetail {
    /// Why a pool is not cleared, only of demands for which none is.
    #[default]
    Brief,
    /// Why each pool is not cleared, for every demand.
    Full,
}

/// The narrowest that is laid out: below it, lines are longer than what they are laid out for.
const NARROWEST: usize = 60;

/// The widest that is laid out: longer lines are not read.
const WIDEST: usize = 160;

/// What tables are at their best from.
const COMFORTABLE: usize = 100;

/// An empty report for `layout`.
pub(super) fn page(layout: TextLayout) -> TextPage {
    TextPage::new(TextLayout { width: layout.width.clamp(NARROWEST, WIDEST), ..layout })
}

/// `a, b, c`; or `a, b and 3 more` where there are more than `most`.
fn few<T: Display>(items: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(most).map(|item| item.to_string()).collect();
    match items.count() {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn many_are_counted() {
        assert_eq!(few(["a", "b", "c"], 3), "a, b, c");
        assert_eq!(few(["a", "b", "c", "d", "e"], 3), "a, b, c and 2 more");
        assert_eq!(few([""; 0], 3), "");
    }
}
