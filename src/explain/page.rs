//! Text laid out for people: wrapped with hanging indents, in colours where they are welcome.
//!
//! The only place that knows of widths and colours, and that keeps what was read from reaching the terminal as
//! anything but text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Color, Effects, Style as Ansi};
use unicode_width::UnicodeWidthStr;

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// How many columns a line may take. Words that are longer, as addresses, are never broken.
    pub width: usize,
    /// Whether colours are welcome.
    pub colour: bool,
}

/// How a piece of text looks where colours are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Good,
    Bad,
    Faint,
    Strong,
}

impl Look {
    fn ansi(self) -> Ansi {
        match self {
            Self::Plain => Ansi::new(),
            Self::Good => Ansi::new().fg_color(Some(Color::Ansi(AnsiColor::Green))),
            Self::Bad => Ansi::new().fg_color(Some(Color::Ansi(AnsiColor::Red))),
            Self::Faint => Ansi::new().effects(Effects::DIMMED),
            Self::Strong => Ansi::new().effects(Effects::BOLD),
        }
    }
}

/// A paragraph in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Phrase(Vec<(String, Look)>);

#[expect(clippy::needless_pass_by_value, reason = "texts are given and not lent, so that sentences read as such")]
impl Phrase {
    /// Plain text.
    pub(super) fn of(text: impl ToString) -> Self {
        Self::default().then(text)
    }

    /// A mark for what is met, or is not, and a space.
    pub(super) fn mark(good: bool) -> Self {
        let (mark, look) = if good { ("✔", Look::Good) } else { ("✘", Look::Bad) };
        Self::default().run(mark, look).then(" ")
    }

    /// Text that stands out.
    pub(super) fn strong(self, text: impl ToString) -> Self {
        self.run(text, Look::Strong)
    }

    /// Text that stands back.
    pub(super) fn faint(self, text: impl ToString) -> Self {
        self.run(text, Look::Faint)
    }

    /// Plain text after it.
    pub(super) fn then(self, text: impl ToString) -> Self {
        self.run(text, Look::Plain)
    }

    /// Where it stands, in brackets; nothing where that is not known.
    pub(super) fn at(self, place: Option<String>) -> Self {
        match place {
            Some(place) => self.then(" ").faint(format!("({place})")),
            None => self,
        }
    }

    fn run(mut self, text: impl ToString, look: Look) -> Self {
        let text = text.to_string();
        // What was read may hold anything; a terminal must not obey it.
        self.0.push((text.replace(|c: char| c.is_control(), "\u{fffd}"), look));
        self
    }

    /// Its words, each as pieces of one look.
    fn words(&self) -> Vec<Vec<(&str, Look)>> {
        let mut words: Vec<Vec<(&str, Look)>> = vec![Vec::new()];
        for (text, look) in &self.0 {
            for (i, piece) in text.split(' ').enumerate() {
                if i > 0 {
                    words.push(Vec::new());
                }
                if let Some(word) = words.last_mut().filter(|_| !piece.is_empty()) {
                    word.push((piece, *look));
                }
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}

/// What is being written.
#[derive(Debug)]
pub(super) struct Page {
    style: Style,
    text: String,
}

impl Page {
    /// An empty page.
    pub(super) fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    /// An empty line, then the title of a part.
    pub(super) fn heading(&mut self, title: &str) {
        self.text.push('\n');
        self.line(0, Phrase::default().strong(title));
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A paragraph moved in by `indent`, and by two more from its second line on.
    #[expect(clippy::needless_pass_by_value, reason = "a phrase is made for its line")]
    pub(super) fn line(&mut self, indent: usize, phrase: Phrase) {
        let mut column = indent;
        self.text.push_str(&" ".repeat(indent));
        for (i, word) in phrase.words().into_iter().enumerate() {
            let width: usize = word.iter().map(|(piece, _)| piece.width()).sum();
            if i > 0 && column.saturating_add(width).saturating_add(1) > self.style.width {
                column = indent.saturating_add(2);
                self.text.push('\n');
                self.text.push_str(&" ".repeat(column));
            } else if i > 0 {
                column = column.saturating_add(1);
                self.text.push(' ');
            }
            for (piece, look) in word {
                self.piece(piece, look);
            }
            column = column.saturating_add(width);
        }
        self.text.push('\n');
    }

    fn piece(&mut self, piece: &str, look: Look) {
        if self.style.colour && look != Look::Plain {
            let ansi = look.ansi();
            // To write into a text cannot fail.
            let _ = write!(self.text, "{ansi}{piece}{ansi:#}");
        } else {
            self.text.push_str(piece);
        }
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(width: usize, colour: bool, phrase: Phrase) -> String {
        let mut page = Page::new(Style { width, colour });
        page.line(2, phrase);
        page.finish()
    }

    #[test]
    fn lines_hang_and_words_stay_whole() {
        let phrase = Phrase::mark(true).then("one two three").at(Some("file.yaml:7".to_owned()));
        assert_eq!(laid_out(14, false, phrase), "  ✔ one two\n    three\n    (file.yaml:7)\n");
        assert_eq!(laid_out(5, false, Phrase::of("https://example.org a")), "  https://example.org\n    a\n");
    }

    #[test]
    fn colours_cost_no_columns_and_nothing_read_is_obeyed() {
        let phrase = || Phrase::mark(false).then("a\u{1b}[2Jb");
        assert_eq!(laid_out(80, false, phrase()), "  ✘ a\u{fffd}[2Jb\n");
        assert_eq!(laid_out(80, true, phrase()), "  \u{1b}[31m✘\u{1b}[0m a\u{fffd}[2Jb\n");
    }
}
