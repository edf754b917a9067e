//! Standard streams: how wide they are, and whether colours are welcome there.
//!
//! Takes what was asked for on the command line, and returns a [`TextLayout`]. The only place that asks the environment
//! (`NO_COLOR`, `CLICOLOR`, `TERM`) and the terminal itself.

use std::io::{self, IsTerminal};

use clap::ValueEnum;

use super::tone::TextLayout;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How wide what is not a terminal is taken to be.
const WIDE: usize = 100;
/// What a table can be squeezed into.
const NARROW: usize = 60;

impl ColourChoice {
    /// Whether to colour what is written to `stream`.
    fn applies(self, stream: &impl anstream::stream::RawStream) -> bool {
        let choice = match self {
            Self::Auto => anstream::AutoStream::choice(stream),
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        !matches!(choice, anstream::ColorChoice::Never)
    }
}

/// What text on standard output is laid out for.
#[must_use]
pub fn layout_of_output(choice: ColourChoice) -> TextLayout {
    let stream = io::stdout();
    TextLayout { colour: choice.applies(&stream), width: width(stream.is_terminal(), &stream) }
}

/// What text on standard error is laid out for.
#[must_use]
pub fn layout_of_errors(choice: ColourChoice) -> TextLayout {
    let stream = io::stderr();
    TextLayout { colour: choice.applies(&stream), width: width(stream.is_terminal(), &stream) }
}

fn width(terminal: bool, stream: &impl std::os::fd::AsFd) -> usize {
    let found = terminal.then(|| terminal_size::terminal_size_of(stream)).flatten();
    found.map_or(WIDE, |(terminal_size::Width(columns), _)| usize::from(columns).max(NARROW))
}
