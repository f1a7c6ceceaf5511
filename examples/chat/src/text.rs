//! Text from others is shown without anything that could act on the terminal.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::names::is_invisible;

/// The most bytes of a message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Returns a text as one line: control characters become spaces, those that change the direction
/// of writing go.
///
/// Joiners stay: they make letters of several scripts and pictures.
pub(crate) fn one_line(text: &str) -> String {
    let shown = |c: &char| {
        !is_invisible(*c) || matches!(c, '\u{200c}' | '\u{200d}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().filter(shown).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Splits a text into what a person sees as single characters.
pub(crate) fn graphemes(text: &str) -> Vec<&str> {
    text.graphemes(true).collect()
}

/// Returns how many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Breaks a text into rows of at most `columns`, between words where it can.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let (mut row, mut used) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        let bare = width(word.trim_end_matches(' '));
        if used > 0 && used + bare > columns {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        for grapheme in graphemes(word) {
            let wide = width(grapheme);
            if used > 0 && used + wide > columns {
                if grapheme == " " {
                    continue;
                }
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push_str(grapheme);
            used += wide;
        }
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_where_they_fit() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("x", 0), ["x"]);
    }

    #[test]
    fn no_row_is_wider_than_asked() {
        let text = "a  bb   ccc dddddddddd 日本語日本語 👩‍👩‍👧 e\u{301}e\u{301}";
        for columns in 2..20 {
            assert!(wrap(text, columns).iter().all(|row| width(row.trim_end()) <= columns));
        }
    }

    #[test]
    fn what_acts_on_a_terminal_is_taken_out() {
        assert_eq!(one_line("a\u{1b}[2Jb\nbob: c\u{202e}d\u{9b}e"), "a [2Jb bob: cd e");
        assert_eq!(one_line("👩\u{200d}👧"), "👩\u{200d}👧");
    }
}
