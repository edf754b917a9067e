//! Positions in a text: lines and columns as editors count them.
//!
//! Plain data. Lines and columns count from 1, and columns count characters (Unicode scalar values), not bytes.

/// A place in a text. Both numbers count from 1, and columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextPosition {
    /// The line.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

impl TextPosition {
    /// Where every text begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A stretch of a text, from `start` to just before `end`. It may be empty: a value that is missing has a place too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextSpan {
    /// Its first character.
    pub start: TextPosition,
    /// What follows its last character.
    pub end: TextPosition,
}

impl TextSpan {
    /// The empty span at `position`.
    #[must_use]
    pub const fn at(position: TextPosition) -> Self {
        Self { start: position, end: position }
    }
}
