//! Stretches of a text with their marks: how an export takes a text apart, and an import puts it
//! together.
//!
//! Invariant: a stretch fits in a transaction; it is written whole, with its marks and no others, or
//! not at all.

use std::collections::{BTreeMap, BTreeSet};

use weald_crdt::Value;

use super::draft::{OPERATION_BYTES, TextDraft};
use super::error::TextError;
use super::shown::TextSpan;
use super::update::{is_key, is_mark};

/// About how many bytes of text and marks one stretch has.
const STRETCH_BYTES: usize = 128 << 10;

/// Takes a text apart: each stretch with the position it begins at. Of an empty text there is one.
pub(crate) fn stretches(spans: Vec<TextSpan>) -> Vec<(usize, Vec<TextSpan>)> {
    let (mut done, mut stretch) = (Vec::new(), Vec::new());
    let (mut start, mut end, mut bytes) = (0, 0, 0);
    for TextSpan { mut text, marks } in spans {
        let marks_bytes = cost(&marks);
        while !text.is_empty() {
            if bytes >= STRETCH_BYTES {
                done.push((start, std::mem::take(&mut stretch)));
                (start, bytes) = (end, 0);
            }
            let rest = text.split_off(end_of_stretch(&text));
            bytes += text.len() + marks_bytes;
            end += text.chars().count();
            stretch.push(TextSpan { text, marks: marks.clone() });
            text = rest;
        }
    }
    done.push((start, stretch));
    done
}

/// Returns the last boundary of characters that is not too far.
fn end_of_stretch(text: &str) -> usize {
    let mut places = (0..=STRETCH_BYTES.min(text.len())).rev();
    places.find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// About what marks take in a section.
fn cost(marks: &BTreeMap<String, Value>) -> usize {
    let one = |(key, value): (&String, &Value)| {
        key.len() + value.as_text().map_or(0, str::len) + OPERATION_BYTES
    };
    marks.iter().map(one).sum()
}

/// Checks that a mark can be stored.
pub(super) fn check_mark(key: &str, value: &Value) -> Result<(), TextError> {
    if !is_key(key) {
        return Err(TextError::MarkKey { length: key.len() });
    }
    if !is_mark(value) {
        let is_nan = value.as_f64().is_some_and(f64::is_nan);
        let found = if is_nan { "a float that is not a number" } else { value.kind() };
        return Err(TextError::MarkValue { found });
    }
    Ok(())
}

impl TextDraft {
    /// Puts a stretch in the place of all that there is from a position on.
    pub(super) fn write_stretch(
        &mut self,
        position: usize,
        spans: &[TextSpan],
    ) -> Result<(), TextError> {
        let length = self.replica.len()?;
        if position > length {
            return Err(TextError::OutOfRange { position, length });
        }
        for (key, value) in spans.iter().flat_map(|span| &span.marks) {
            check_mark(key, value)?;
            if *value == Value::Null {
                return Err(TextError::MarkValue { found: value.kind() });
            }
        }
        // What is inserted may take on any mark that is about.
        let about = self.replica.spans()?.into_iter().flat_map(|span| span.marks.into_keys());
        let about: BTreeSet<String> = about.collect();
        let taken_on: usize = about.iter().map(|key| key.len() + OPERATION_BYTES).sum();
        let own: usize = spans.iter().map(|span| span.text.len() + cost(&span.marks)).sum();
        // From here on nothing is refused.
        self.room_for(own + taken_on + OPERATION_BYTES)?;
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        self.delete(&(position..length))?;
        self.insert(position, &text)?;
        self.write_marks(position, spans, &about)
    }

    fn write_marks(
        &mut self,
        position: usize,
        spans: &[TextSpan],
        about: &BTreeSet<String>,
    ) -> Result<(), TextError> {
        let end = self.replica.len()?;
        if position == end {
            return Ok(());
        }
        for key in about {
            self.mark(&(position..end), key, &Value::Null)?;
        }
        let mut at = position;
        for TextSpan { text, marks } in spans.iter().filter(|span| !span.text.is_empty()) {
            let range = at..at + text.chars().count();
            for (key, value) in marks {
                self.mark(&range, key, value)?;
            }
            at = range.end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, marks: &[(&str, &str)]) -> TextSpan {
        let marks = marks.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value)));
        TextSpan { text: text.to_owned(), marks: marks.collect() }
    }

    #[test]
    fn stretches_are_bounded_and_give_the_text() {
        assert_eq!(stretches(vec![]), [(0, vec![])]);
        let spans = vec![span("ab", &[]), span("c", &[("bold", "x")])];
        assert_eq!(stretches(spans.clone()), [(0, spans)]);
        let long = "aé日😀".repeat(100_000);
        let spans = vec![span(&long, &[("link", "y")]), span("end", &[])];
        let all = stretches(spans);
        assert!(all.len() > 5);
        let mut read = String::new();
        for (start, stretch) in all {
            assert_eq!(start, read.chars().count());
            read.extend(stretch.iter().map(|span| span.text.as_str()));
            let bytes = stretch.iter().map(|span| span.text.len()).sum::<usize>();
            assert!(bytes <= 2 * STRETCH_BYTES);
        }
        assert_eq!(read, long + "end");
    }
}
