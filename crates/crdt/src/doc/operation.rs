//! The operations of a document as they travel:
//!
//! | form | what it does |
//! |---|---|
//! | `[0, path, names, value]` | sets the leaf at the path |
//! | `[1, path, names]` | removes the leaf |
//! | `[2, path, position, value]` | inserts an element into the list at the path |
//! | `[3, path, names, position]` | moves the element at the path |
//! | `[4, path, names, amount]` | adds to the counter at the path |
//! | `[5, path, names]` | resets the counter |
//!
//! A path is an array of texts and of elements, each named like an operation: `[place, index]` of its
//! insertion. The value is a scalar, or the empty map or list as the marker of one.

use super::position::Position;
use super::{DocType, POSITION, VERSION};
use crate::cbor::{ARRAY, EMPTY_LIST, EMPTY_MAP, MAP};
use crate::fold::{Effect, RowOperation, SlotId};
use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;
use crate::path::{ElementId, Path, Step};
use crate::section::{OperationWriter, SectionReader, SectionWriter, Void};
use crate::stamp::Dot;

const SET: u64 = 0;
const REMOVE: u64 = 1;
const INSERT: u64 = 2;
const MOVE: u64 = 3;
const ADD: u64 = 4;
const RESET: u64 = 5;
/// An operation with names touches one slot.
const SLOTS: usize = 1;

/// One operation on a place of a document; `B` is what holds its encoded parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation<B> {
    pub(super) path: Path,
    pub(super) names: Vec<Dot>,
    pub(super) action: Action<B>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action<B> {
    /// Sets the leaf: an encoded value.
    Set(B),
    /// Removes the leaf.
    Remove,
    /// Inserts an element into a list: its place, and its encoded value.
    Insert(B, B),
    /// Moves an element.
    Move(B),
    /// Adds to a counter.
    Add(i64),
    /// Resets a counter.
    Reset,
}

impl<'a> Operation<&'a [u8]> {
    /// Returns what the operation does to its row; `own` names the operation.
    pub(super) fn on_row(self, own: Dot) -> Result<RowOperation<'a>, Malformed> {
        let (main, position) = (SlotId::Main, SlotId::Field(POSITION));
        let (row, touches) = match self.action {
            Action::Set(value) => (self.path.encode()?, vec![(main, Effect::Set(value))]),
            Action::Remove => (self.path.encode()?, vec![(main, Effect::Remove)]),
            Action::Insert(at, value) => {
                let touches = vec![(main, Effect::Set(value)), (position, Effect::Set(at))];
                (self.path.child(ElementId::new(own)).encode()?, touches)
            }
            Action::Move(at) => (self.path.encode()?, vec![(position, Effect::Set(at))]),
            Action::Add(amount) => (self.path.encode_counter()?, vec![(main, Effect::Add(amount))]),
            Action::Reset => (self.path.encode_counter()?, vec![(main, Effect::Reset)]),
        };
        Ok(RowOperation { row: row.into(), names: self.names, touches })
    }
}

impl<B: AsRef<[u8]>> Operation<B> {
    /// Returns the same operation, whose parts are held by this one.
    pub(super) fn borrowed(&self) -> Operation<&[u8]> {
        let action = match &self.action {
            Action::Set(value) => Action::Set(value.as_ref()),
            Action::Remove => Action::Remove,
            Action::Insert(at, value) => Action::Insert(at.as_ref(), value.as_ref()),
            Action::Move(at) => Action::Move(at.as_ref()),
            Action::Add(amount) => Action::Add(*amount),
            Action::Reset => Action::Reset,
        };
        Operation { path: self.path.clone(), names: self.names.clone(), action }
    }

    pub(super) fn encode(&self, section: &mut SectionWriter) {
        section.push(|out| {
            let (kind, length) = match &self.action {
                Action::Set(_) => (SET, 4),
                Action::Remove => (REMOVE, 3),
                Action::Insert(..) => (INSERT, 4),
                Action::Move(_) => (MOVE, 4),
                Action::Add(_) => (ADD, 4),
                Action::Reset => (RESET, 3),
            };
            out.array(length);
            out.unsigned(kind);
            encode_path(&self.path, out);
            if kind != INSERT {
                out.names(&self.names, SLOTS);
            }
            match &self.action {
                Action::Set(value) => out.raw(value.as_ref()),
                Action::Insert(at, value) => {
                    out.bytes(at.as_ref());
                    out.raw(value.as_ref());
                }
                Action::Move(at) => out.bytes(at.as_ref()),
                Action::Add(amount) => out.signed(*amount),
                Action::Remove | Action::Reset => {}
            }
        });
    }
}

fn encode_path(path: &Path, out: &mut OperationWriter<'_>) {
    out.array(path.steps().len());
    for step in path.steps() {
        match step {
            Step::Key(key) => out.text(key),
            Step::Element(element) => out.dot(&element.dot()),
            // A path is resolved before an operation is made of it.
            Step::Index(index) => out.unsigned(*index as u64),
        }
    }
}

/// Decodes a payload of the entry `own`, and checks every rule of the type.
pub(super) fn decode(payload: &[u8], own: [u8; 32]) -> Result<Vec<Operation<&[u8]>>, Void> {
    let mut section = SectionReader::open(payload, DocType::NAME, VERSION, own)?;
    let mut operations = Vec::with_capacity(section.count());
    for index in (0..).take(section.count()) {
        operations.push(decode_one(&mut section, index)?);
    }
    section.reader.finish()?;
    Ok(operations)
}

fn decode_one<'a>(
    section: &mut SectionReader<'a>,
    index: u32,
) -> Result<Operation<&'a [u8]>, Void> {
    let length = section.reader.array()?;
    let kind = section.reader.unsigned()?;
    let path = decode_path(section, index)?;
    let depth = path.steps().len();
    if depth == 0 {
        return Err(Malformed::BadPath.into());
    }
    let mut names = Vec::new();
    if kind != INSERT {
        names = section.names(index)?;
        section.touch(SLOTS)?;
    }
    let action = match (kind, length) {
        (SET, 4) => Action::Set(leaf(section, depth)?),
        (REMOVE, 3) => Action::Remove,
        (INSERT, 4) => {
            let at = position(section)?;
            Action::Insert(at, leaf(section, depth + 1)?)
        }
        (MOVE, 4) if matches!(path.steps().last(), Some(Step::Element(_))) => {
            Action::Move(position(section)?)
        }
        (ADD, 4) => Action::Add(section.reader.signed()?),
        (RESET, 3) => Action::Reset,
        _ => return Err(Malformed::Expected { what: "an operation of a document" }.into()),
    };
    Ok(Operation { path, names, action })
}

fn decode_path(section: &mut SectionReader<'_>, index: u32) -> Result<Path, Void> {
    let depth = section.reader.array()?;
    if depth > MAX_NESTING {
        return Err(Malformed::TooDeep.into());
    }
    let mut steps: Vec<Step> = Vec::with_capacity(depth);
    for _ in 0..depth {
        steps.push(if section.reader.is_next(ARRAY) && !steps.is_empty() {
            ElementId::new(section.dot(index)?).into()
        } else {
            let key = section.reader.text()?;
            if key.len() > MAX_COMPONENT_BYTES {
                return Err(Malformed::TooLong.into());
            }
            key.into()
        });
    }
    Ok(steps.into())
}

fn position<'a>(section: &mut SectionReader<'a>) -> Result<&'a [u8], Malformed> {
    let at = section.reader.bytes()?;
    let expected = Malformed::Expected { what: "a position in a list" };
    Position::unpack(at).map(|_| at).ok_or(expected)
}

/// Takes the value of a leaf at a depth.
fn leaf<'a>(section: &mut SectionReader<'a>, depth: usize) -> Result<&'a [u8], Malformed> {
    let room = MAX_NESTING.checked_sub(depth).ok_or(Malformed::TooDeep)?;
    let value = section.reader.raw_value(room)?;
    let major = value.first().map_or(0, |head| head >> 5);
    if (major == MAP && value != EMPTY_MAP) || (major == ARRAY && value != EMPTY_LIST) {
        return Err(Malformed::Expected { what: "a leaf for each value of a map or list" });
    }
    Ok(value)
}
