//! Text for a terminal: harmless, wrapped, coloured where colours are welcome, in tables where it has columns.
//!
//! Takes text of any origin and a [`TextLayout`], and returns lines for standard output or standard error. What was read
//! from manifests, files and clusters reaches a terminal through here alone: no control character, no bidirectional
//! control and no other invisible character of it is ever printed.

mod harmless;
mod page;
mod stream;
mod styled;
mod table;
mod tone;
mod wrap;

pub use self::{
    harmless::{harmless, visible},
    page::TextPage,
    stream::{ColourChoice, layout_of_errors, layout_of_output},
    styled::StyledText,
    tone::{TextLayout, Tone},
};
