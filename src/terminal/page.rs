//! Pages of text: headings, paragraphs and list items, laid out for a width.
//!
//! Takes text of any origin part by part, and returns all of it as lines. Nothing that was given reaches the page but
//! as harmless text, and no two empty lines follow each other.

use super::{
    styled::StyledText,
    tone::{TextLayout, Tone},
    wrap::{LongWords, StyledLine, wrap},
};

/// How far everything below a ruled heading is moved in.
const INDENT: usize = 2;

/// How far a paragraph is moved in from its second line on.
const HANG: usize = 2;

/// Text under way.
#[derive(Debug)]
pub struct TextPage {
    layout: TextLayout,
    text: String,
    /// Whether a ruled heading was written last.
    headed: bool,
}

impl TextPage {
    /// An empty page.
    #[must_use]
    pub fn new(layout: TextLayout) -> Self {
        Self { layout, text: String::new(), headed: false }
    }

    /// What has been written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// What it is laid out for.
    #[must_use]
    pub fn layout(&self) -> TextLayout {
        self.layout
    }

    /// An empty line, but not at the beginning or below a ruled heading, and never two.
    pub fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") && !self.headed {
            self.text.push('\n');
        }
    }

    /// The title of a part, after an empty line.
    pub fn heading(&mut self, title: &str) {
        self.gap();
        self.line(0, StyledText::default().strong(title));
    }

    /// The title of a part, with a rule across the page below it.
    pub fn ruled_heading(&mut self, title: &str) {
        self.heading(title);
        let rule = "─".repeat(self.layout.width);
        self.push_line(0, "", vec![(rule, Tone::Faint)]);
        self.headed = true;
    }

    /// A paragraph moved in by `indent`, and by two more from its second line on. Words are never broken.
    #[expect(clippy::needless_pass_by_value, reason = "a text is made for its line")]
    pub fn line(&mut self, indent: usize, text: StyledText) {
        let room = self.layout.width.saturating_sub(indent);
        let lines = wrap(text.words(), room, room.saturating_sub(HANG), LongWords::Keep);
        for (i, line) in lines.into_iter().enumerate() {
            let indent = if i == 0 { indent } else { indent.saturating_add(HANG) };
            self.push_line(indent, "", line);
        }
    }

    /// A closing paragraph: not moved in, and standing out.
    pub fn close(&mut self, text: &str) {
        self.gap();
        self.block(0, "", text, Tone::Strong);
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str, tone: Tone) {
        self.block(INDENT, "", text, tone);
    }

    /// An entry of a list, after its `mark`.
    pub fn item(&mut self, mark: &str, text: &str, tone: Tone) {
        self.block(INDENT, &format!("{mark} "), text, tone);
    }

    fn block(&mut self, indent: usize, mark: &str, text: &str, tone: Tone) {
        let hang = mark.chars().count();
        let room = self.layout.width.saturating_sub(indent).saturating_sub(hang);
        let text = StyledText::default().run(text, tone);
        for (i, line) in wrap(text.words(), room, room, LongWords::Break).into_iter().enumerate() {
            if i == 0 {
                self.push_line(indent, mark, line);
            } else {
                self.push_line(indent.saturating_add(hang), "", line);
            }
        }
    }

    fn push_line(&mut self, indent: usize, mark: &str, line: StyledLine) {
        let mut text = " ".repeat(indent);
        text.push_str(&self.layout.paint(mark, Tone::Faint));
        for (run, tone) in line {
            text.push_str(&self.layout.paint(&run, tone));
        }
        self.push_raw(&text);
    }

    /// A line that is harmless and painted already.
    pub(super) fn push_raw(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
        self.headed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(width: usize, colour: bool, text: StyledText) -> String {
        let mut page = TextPage::new(TextLayout { width, colour });
        page.line(2, text);
        page.into_text()
    }

    #[test]
    fn lines_hang_and_words_stay_whole() {
        let text = StyledText::mark(true).then("one two three").at(Some("file.yaml:7".to_owned()));
        assert_eq!(laid_out(14, false, text), "  ✔ one two\n    three\n    (file.yaml:7)\n");
        assert_eq!(laid_out(5, false, StyledText::of("https://example.org a")), "  https://example.org\n    a\n");
    }

    #[test]
    fn colours_cost_no_columns_and_nothing_read_is_obeyed() {
        let text = || StyledText::mark(false).then("a\u{1b}[2Jb");
        assert_eq!(laid_out(80, false, text()), "  ✘ a␛[2Jb\n");
        assert_eq!(laid_out(80, true, text()), "  \u{1b}[31m✘\u{1b}[0m a␛[2Jb\n");
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let mut page = TextPage::new(TextLayout { width: 80, colour: false });
        page.ruled_heading("\u{1b}[31mred");
        page.say("a\rb\u{202e}c", Tone::Plain);
        page.table(&["x"], vec![vec![("\u{1b}]0;title\u{7}".into(), Tone::Plain)]], &[0]);
        let text = page.into_text();
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text:?}");
    }
}
