//! Answers from the history, said for people, for paper, for spreadsheets and for programs.
//!
//! [`sections`] makes of a [`HistoryAnswer`](crate::history::answer::HistoryAnswer) what people read; [`text`] lays it out for a
//! terminal and [`markdown`] for paper, so that both say the same. [`csv`] writes placements, a line each, and [`data`] everything.

mod csv;
mod data;
mod markdown;
mod sections;
mod text;

pub(crate) use self::sections::verdict;
pub use self::{csv::csv, data::HistoryReport, markdown::markdown, text::text};
