//! Reports for people: what needs them first, then the rest, then a sentence that sums it up.

mod demands;
mod impact;
mod page;
mod plan;
mod rows;
mod words;

pub use self::{impact::impact, plan::plan};

/// What the text is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How many columns there are. Below 60 lines may be longer than that.
    pub width: u16,
    /// Whether to colour, by ANSI sequences.
    pub colour: bool,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Why a pool is not cleared, only of demands for which none is.
    #[default]
    Brief,
    /// Why each pool is not cleared, for every demand.
    Full,
}
