//! Operations of documents as the tests of the fold draw them: on leaves, on elements of a list that
//! are inserted, set, moved and removed, and on a counter, all below few places.

use super::operation::{Action, Operation};
use crate::path::{ElementId, Path};
use crate::section::SectionWriter;
use crate::stamp::Dot;

/// Appends an operation on one of a few places.
pub(crate) fn draw(kind: u8, value: u8, names: Vec<Dot>, section: &mut SectionWriter) {
    let list = Path::from(["l"]);
    // The first operation of the first or second entry, which often inserts it.
    let element = list.child(ElementId::new(Dot { entry: [kind >> 7; 32], index: 0 }));
    let leaf = if value == 0 { Action::Remove } else { Action::Set(vec![value]) };
    let (path, action) = match kind % 12 {
        0 => (Path::from(["a"]), leaf),
        1 => (Path::from(["a", "b"]), leaf),
        2 => (Path::from(["l"]), leaf),
        3 | 4 => (Path::from(["a"]), Action::Add(i64::from(value) - 1)),
        5 => (Path::from(["a"]), Action::Reset),
        6 | 7 => (list, Action::Insert(vec![0, value + 1], vec![value])),
        8 => (element, leaf),
        9 | 10 => (element, Action::Move(vec![0, value + 1])),
        _ => (element.child("b"), leaf),
    };
    let names = if matches!(action, Action::Insert(..)) { Vec::new() } else { names };
    Operation { path, names, action }.encode(section);
}
