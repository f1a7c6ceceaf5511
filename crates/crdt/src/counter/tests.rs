//! Operations on counters as the tests of the fold draw them.

use super::operation::Operation;
use crate::key::Key;
use crate::section::SectionWriter;
use crate::stamp::Dot;

/// Appends an operation on one of two counters.
pub(crate) fn draw(kind: u8, value: u8, names: Vec<Dot>, section: &mut SectionWriter) {
    let key = Key::from(if kind.is_multiple_of(4) { "a" } else { "b" }).encode().unwrap();
    let amount = (value > 0).then(|| [i64::MAX, -7, 1][usize::from(value) % 3]);
    Operation { key: &key, names, amount }.encode(section);
}
