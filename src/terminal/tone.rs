//! Tones of text: what a piece of it means, and how that looks where colours are welcome.
//!
//! Takes a text that is harmless already, and returns it with the ANSI sequences of its tone. Without colours, text is
//! returned as it is.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// What text is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLayout {
    /// How many columns a line may take.
    pub width: usize,
    /// Whether colours are welcome, as ANSI sequences.
    pub colour: bool,
}

impl Default for TextLayout {
    fn default() -> Self {
        Self { width: 120, colour: false }
    }
}

/// What a piece of text means to who reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Something is as it should be.
    Good,
    /// Something is not as it should be.
    Bad,
    /// Less important than what is around it.
    Faint,
    /// More important than what is around it.
    Strong,
    /// The word `error`.
    Error,
    /// The word `warning`.
    Warning,
    /// Lines and numbers that frame what was written by others.
    Frame,
}

impl Tone {
    pub(super) fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
            Self::Error => AnsiColor::Red.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default().bold(),
            Self::Frame => AnsiColor::Blue.on_default().bold(),
        }
    }
}

impl TextLayout {
    /// `text` in `tone`, where colours are welcome.
    #[must_use]
    pub fn paint(self, text: &str, tone: Tone) -> Cow<'_, str> {
        if !self.colour || text.is_empty() || tone == Tone::Plain {
            return text.into();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}").into()
    }
}
