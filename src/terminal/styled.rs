//! Styled text: runs of harmless text, each with its tone, from which a paragraph is laid out.
//!
//! Takes texts of any origin one after the other, and returns their words. What was read may hold anything: it is made
//! harmless as it is taken in.

use super::{harmless::visible, tone::Tone};

/// A paragraph in the making.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StyledText {
    runs: Vec<(String, Tone)>,
}

/// A word, as pieces of one tone each.
pub(super) type StyledWord<'t> = Vec<(&'t str, Tone)>;

#[expect(clippy::needless_pass_by_value, reason = "texts are given and not lent, so that sentences read as such")]
impl StyledText {
    /// Plain text.
    pub fn of(text: impl ToString) -> Self {
        Self::default().then(text)
    }

    /// A mark for what is met, or is not, and a space.
    pub fn mark(good: bool) -> Self {
        let (mark, tone) = if good { ("✔", Tone::Good) } else { ("✘", Tone::Bad) };
        Self::default().run(mark, tone).then(" ")
    }

    /// Text that stands out, after it.
    pub fn strong(self, text: impl ToString) -> Self {
        self.run(text, Tone::Strong)
    }

    /// Text that stands back, after it.
    pub fn faint(self, text: impl ToString) -> Self {
        self.run(text, Tone::Faint)
    }

    /// Plain text after it.
    pub fn then(self, text: impl ToString) -> Self {
        self.run(text, Tone::Plain)
    }

    /// A place in brackets after it; nothing where that is not known.
    pub fn at(self, place: Option<String>) -> Self {
        match place {
            Some(place) => self.then(" ").faint(format!("({place})")),
            None => self,
        }
    }

    /// Text of `tone` after it.
    pub fn run(mut self, text: impl ToString, tone: Tone) -> Self {
        self.runs.push((visible(&text.to_string()).into_owned(), tone));
        self
    }

    /// Its words, parted by spaces.
    pub(super) fn words(&self) -> Vec<StyledWord<'_>> {
        let mut words: Vec<StyledWord<'_>> = vec![Vec::new()];
        for (text, tone) in &self.runs {
            for (i, piece) in text.split(' ').enumerate() {
                if i > 0 {
                    words.push(Vec::new());
                }
                if let Some(word) = words.last_mut().filter(|_| !piece.is_empty()) {
                    word.push((piece, *tone));
                }
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
