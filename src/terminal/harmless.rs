//! Neutral characters for those that a terminal obeys instead of showing them.
//!
//! Takes text of any origin, and returns it with every control and format character replaced by one that can be seen:
//! the picture that Unicode has for it, or U+FFFD. A text that has none is returned as it is.

use std::borrow::Cow;

/// `text` with everything in it visible.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| harmless(character) == character) {
        return text.into();
    }
    text.chars().map(harmless).collect::<String>().into()
}

/// What to show of `character`: itself, unless it would do something instead of being seen.
#[must_use]
pub fn harmless(character: char) -> char {
    match character {
        // The pictures that Unicode has for them.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        other if is_invisible(other) => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// Whether `character` is of the general categories Cc (beyond ASCII), Cf, Zl or Zp of Unicode 16, or a selector of
/// variants that can carry hidden text: bidirectional controls and joiners, marks without width, separators of lines.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(visible("a\u{1b}[2Jb\u{7f}\r\n"), "a␛[2Jb␡␍␊");
        let hidden = "\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{202e}\u{2028}\u{2066}\u{feff}\u{fff9}\u{e0041}\u{e0100}";
        assert_eq!(visible(hidden), "\u{fffd}".repeat(hidden.chars().count()));
    }

    #[test]
    fn text_of_every_script_stays_as_it_is() {
        for text in ["", "Évry, Île-de-France", "漢字", "x\u{301}y", "שלום", "مرحبا", "🇫🇷"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
