//! The input line takes any text; the cursor stands between two characters as a person sees them.

use crate::text::{MESSAGE_BYTES_MAX, graphemes, one_line, width};

/// Holds the line that is being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    text: String,
    /// Byte position, always at the border of a grapheme.
    cursor: usize,
}

impl Input {
    /// Starts empty.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns what is written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Inserts text at the cursor, as one line; what would make the line too long is left out and
    /// `false` returned.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let text = one_line(text);
        if self.text.len() + text.len() > MESSAGE_BYTES_MAX {
            return false;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        // A mark that joins the character before it leaves the cursor after both.
        self.cursor = self.border_at_or_after(self.cursor);
        true
    }

    /// Takes the line and leaves it empty.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts a line back, with the cursor at its end.
    pub(crate) fn restore(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Moves one character to the left.
    pub(crate) fn left(&mut self) {
        self.cursor = self.border_before();
    }

    /// Moves one character to the right.
    pub(crate) fn right(&mut self) {
        self.cursor = self.border_after();
    }

    /// Moves to the start.
    pub(crate) fn start(&mut self) {
        self.cursor = 0;
    }

    /// Moves to the end.
    pub(crate) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Removes the character before the cursor.
    pub(crate) fn backspace(&mut self) {
        let from = self.border_before();
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    /// Removes the character after the cursor.
    pub(crate) fn delete(&mut self) {
        let to = self.border_after();
        self.text.replace_range(self.cursor..to, "");
    }

    /// Removes what stands before the cursor.
    pub(crate) fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    /// Removes what stands after the cursor.
    pub(crate) fn delete_to_end(&mut self) {
        self.text.truncate(self.cursor);
    }

    /// Removes the word before the cursor.
    pub(crate) fn delete_word(&mut self) {
        let before = self.text.get(..self.cursor).unwrap_or_default();
        let kept = before.trim_end().rfind(' ').map_or(0, |space| space + 1);
        self.text.replace_range(kept..self.cursor, "");
        self.cursor = kept;
    }

    /// Returns the part that fits into `columns` with the cursor in it, and the column of the cursor.
    pub(crate) fn window(&self, columns: usize) -> (String, usize) {
        let columns = columns.max(1);
        let before = self.text.get(..self.cursor).unwrap_or_default();
        let after = self.text.get(self.cursor..).unwrap_or_default();
        let (mut shown, mut column) = (Vec::new(), 0);
        for grapheme in graphemes(before).into_iter().rev() {
            let wide = width(grapheme);
            if column + wide >= columns {
                break;
            }
            column += wide;
            shown.push(grapheme);
        }
        shown.reverse();
        let mut used = column;
        for grapheme in graphemes(after) {
            used += width(grapheme);
            if used > columns {
                break;
            }
            shown.push(grapheme);
        }
        (shown.concat(), column)
    }

    fn borders(&self) -> impl Iterator<Item = usize> {
        let ends = graphemes(&self.text).into_iter().scan(0, |end, grapheme| {
            *end += grapheme.len();
            Some(*end)
        });
        std::iter::once(0).chain(ends)
    }

    fn border_before(&self) -> usize {
        self.borders().take_while(|border| *border < self.cursor).last().unwrap_or(0)
    }

    fn border_after(&self) -> usize {
        self.borders().find(|border| *border > self.cursor).unwrap_or(self.cursor)
    }

    fn border_at_or_after(&self, at: usize) -> usize {
        self.borders().find(|border| *border >= at).unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Input {
        let mut input = Input::new();
        for c in text.chars() {
            assert!(input.insert(c.encode_utf8(&mut [0; 4])));
        }
        input
    }

    #[test]
    fn any_letter_is_text() {
        for text in ["qjkhl?/:", "äÄßé", "日本語", "👩‍👩‍👧", "e\u{301}", "العربية", "हिन्दी", "Ω≈ç√"]
        {
            assert_eq!(written(text).text(), text);
        }
    }

    #[test]
    fn paste_becomes_one_line() {
        let mut input = written("ad");
        input.left();
        input.insert("b\nc\t");
        assert_eq!(input.text(), "ab c d");
    }

    #[test]
    fn whole_characters_are_crossed_and_removed() {
        let mut input = written("a👩‍👩‍👧e\u{301}");
        input.backspace();
        assert_eq!(input.text(), "a👩‍👩‍👧");
        input.left();
        input.delete();
        assert_eq!(input.text(), "a");
        input.backspace();
        input.backspace();
        input.delete();
        assert_eq!((input.text(), input.window(5)), ("", (String::new(), 0)));
    }

    #[test]
    fn words_and_ends() {
        let mut input = written("one two  ");
        input.delete_word();
        assert_eq!(input.text(), "one ");
        input.start();
        input.right();
        input.delete_to_end();
        assert_eq!(input.text(), "o");
        input.delete_to_start();
        assert_eq!(input.take(), "");
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut input = written("the 日本 quick brown 👩‍👩‍👧 fox");
        loop {
            for columns in 1..12 {
                let (shown, column) = input.window(columns);
                assert!(column < columns && width(&shown) <= columns, "{columns} {shown:?}");
            }
            let before = input.cursor;
            input.left();
            if before == input.cursor {
                break;
            }
        }
    }

    #[test]
    fn too_long_a_line_is_refused_whole() {
        let mut input = Input::new();
        assert!(input.insert(&"x".repeat(MESSAGE_BYTES_MAX)));
        assert!(!input.insert("y"));
        assert_eq!(input.text().len(), MESSAGE_BYTES_MAX);
    }
}
