//! Line breaking: words of styled text, filled into lines of so many columns.
//!
//! Takes words and the columns of the first and of every further line, and returns lines of runs. A line is longer than
//! its columns only where a single word is, and words are to stay whole.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{styled::StyledWord, tone::Tone};

/// What becomes of words that are longer than a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongWords {
    /// They stay whole, as addresses and paths that somebody copies.
    Keep,
    /// They go on in the next line.
    Break,
}

/// A line, as runs of one tone each.
pub(super) type StyledLine = Vec<(String, Tone)>;

/// Fills `words` into lines of `first` columns, then of `further` ones; at least one line.
pub(super) fn wrap(words: Vec<StyledWord<'_>>, first: usize, further: usize, long: LongWords) -> Vec<StyledLine> {
    let mut lines = vec![StyledLine::new()];
    let (mut room, mut used) = (first.max(1), 0_usize);
    for word in words {
        let width: usize = word.iter().map(|(piece, _)| piece.width()).sum();
        if used > 0 && used.saturating_add(1).saturating_add(width) > room {
            lines.push(StyledLine::new());
            (room, used) = (further.max(1), 0);
        } else if used > 0 {
            space(&mut lines, word.first().map(|(_, tone)| *tone));
            used = used.saturating_add(1);
        }
        for (piece, tone) in word {
            let piece_width = piece.width();
            if long == LongWords::Keep || used.saturating_add(piece_width) <= room {
                push(&mut lines, piece, tone);
                used = used.saturating_add(piece_width);
                continue;
            }
            for character in piece.chars() {
                let columns = character.width().unwrap_or_default();
                if used > 0 && used.saturating_add(columns) > room {
                    lines.push(StyledLine::new());
                    (room, used) = (further.max(1), 0);
                }
                push(&mut lines, character.encode_utf8(&mut [0; 4]), tone);
                used = used.saturating_add(columns);
            }
        }
    }
    lines
}

/// Adds the space before a word that begins in the tone of `next`: of the same run where that does not change.
fn space(lines: &mut [StyledLine], next: Option<Tone>) {
    let Some(line) = lines.last_mut() else { return };
    match line.last_mut() {
        Some((text, tone)) if Some(*tone) == next => text.push(' '),
        _ => line.push((" ".to_owned(), Tone::Plain)),
    }
}

fn push(lines: &mut [StyledLine], piece: &str, tone: Tone) {
    let Some(line) = lines.last_mut() else { return };
    match line.last_mut() {
        Some((text, last)) if *last == tone => text.push_str(piece),
        _ => line.push((piece.to_owned(), tone)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::styled::StyledText;

    fn wrapped(text: &str, first: usize, further: usize, long: LongWords) -> Vec<String> {
        let lines = wrap(StyledText::of(text).words(), first, further, long);
        lines.into_iter().map(|line| line.into_iter().map(|(text, _)| text).collect()).collect()
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        let broken = |text, width| wrapped(text, width, width, LongWords::Break);
        assert_eq!(broken("one two three", 9), ["one two", "three"]);
        assert_eq!(broken("one two three", 5), ["one", "two", "three"]);
        assert_eq!(broken("abcdefgh i", 4), ["abcd", "efgh", "i"]);
        assert_eq!(broken("", 10), [""]);
        assert_eq!(broken("漢字漢字", 4), ["漢字", "漢字"]);
        assert_eq!(broken("漢", 1), ["漢"]);
    }

    #[test]
    fn words_that_are_to_stay_whole_do() {
        assert_eq!(wrapped("https://example.org a", 5, 3, LongWords::Keep), ["https://example.org", "a"]);
    }

    #[test]
    fn runs_of_one_tone_are_painted_once() {
        let text = StyledText::default().strong("one two").then(" three").faint("four");
        let lines = wrap(text.words(), 80, 80, LongWords::Keep);
        let run = |text: &str, tone| (text.to_owned(), tone);
        assert_eq!(lines, [[run("one two", Tone::Strong), run(" three", Tone::Plain), run("four", Tone::Faint)]]);
    }
}
