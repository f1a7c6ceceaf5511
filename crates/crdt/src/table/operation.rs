//! The operations of a table as they travel: `[0, key, names, {field: value}]`, with the removed
//! fields as a fifth item if there are any, and `[1, key, names]` to delete. Keys are byte strings in
//! the order-preserving encoding; fields and removed fields are ascending.

use std::borrow::Cow;

use crate::cbor::{self, Reader};
use crate::fold::{Effect, RowOperation, SlotId};
use crate::key::Key;
use crate::limits::MAX_NESTING;
use crate::malformed::Malformed;
use crate::section::{SectionReader, SectionWriter, Void};
use crate::stamp::Dot;

use super::{TableType, VERSION};

const WRITE: u64 = 0;
const DELETE: u64 = 1;

/// A row's value is a map around its fields, so that fields nest one level less.
pub(super) const FIELD_NESTING: usize = MAX_NESTING - 1;

/// One operation on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) key: &'a [u8],
    pub(super) names: Vec<Dot>,
    pub(super) action: Action<'a>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action<'a> {
    /// Makes the row exist, and sets (encoded values) and removes fields.
    Write { fields: Vec<(&'a str, &'a [u8])>, removed: Vec<&'a str> },
    /// Makes the row not exist.
    Delete,
}

impl<'a> Operation<'a> {
    /// Returns what the operation does to the slots of its row.
    pub(super) fn on_row(self) -> RowOperation<'a> {
        let touches = match self.action {
            Action::Delete => vec![(SlotId::Main, Effect::Remove)],
            Action::Write { fields, removed } => {
                let mut touches = Vec::with_capacity(1 + fields.len() + removed.len());
                touches.push((SlotId::Main, Effect::Set(&[])));
                let set = fields.into_iter().map(|(field, value)| (field, Effect::Set(value)));
                let removed = removed.into_iter().map(|field| (field, Effect::Remove));
                touches.extend(set.chain(removed).map(|(name, to)| (SlotId::Field(name), to)));
                touches
            }
        };
        RowOperation { row: Cow::Borrowed(self.key), names: self.names, touches }
    }

    /// Returns how many slots the operation touches: existence and its fields.
    pub(super) fn slots(&self) -> usize {
        match &self.action {
            Action::Write { fields, removed } => 1 + fields.len() + removed.len(),
            Action::Delete => 1,
        }
    }

    pub(super) fn encode(&self, section: &mut SectionWriter) {
        section.push(|out| match &self.action {
            Action::Write { fields, removed } => {
                out.array(if removed.is_empty() { 4 } else { 5 });
                out.unsigned(WRITE);
                out.bytes(self.key);
                out.names(&self.names, self.slots());
                out.map(fields.len());
                for (field, value) in fields {
                    out.text(field);
                    out.raw(value);
                }
                if !removed.is_empty() {
                    out.array(removed.len());
                    removed.iter().for_each(|field| out.text(field));
                }
            }
            Action::Delete => {
                out.array(3);
                out.unsigned(DELETE);
                out.bytes(self.key);
                out.names(&self.names, self.slots());
            }
        });
    }
}

/// Decodes a payload of the entry `own`, and checks every rule of the type.
pub(super) fn decode(payload: &[u8], own: [u8; 32]) -> Result<Vec<Operation<'_>>, Void> {
    let mut section = SectionReader::open(payload, TableType::NAME, VERSION, own)?;
    let mut operations = Vec::with_capacity(section.count());
    for index in (0..).take(section.count()) {
        let length = section.reader.array()?;
        let kind = section.reader.unsigned()?;
        let key = section.reader.bytes()?;
        Key::decode(key)?;
        let names = section.names(index)?;
        let action = match (kind, length) {
            (WRITE, 4 | 5) => {
                let fields = fields(&mut section.reader)?;
                let removed =
                    if length == 5 { removed(&mut section.reader, &fields)? } else { Vec::new() };
                Action::Write { fields, removed }
            }
            (DELETE, 3) => Action::Delete,
            _ => return Err(Malformed::Expected { what: "an operation of a table" }.into()),
        };
        let operation = Operation { key, names, action };
        section.touch(operation.slots())?;
        operations.push(operation);
    }
    section.reader.finish()?;
    Ok(operations)
}

fn fields<'a>(reader: &mut Reader<'a>) -> Result<Vec<(&'a str, &'a [u8])>, Malformed> {
    let count = reader.map()?;
    let mut fields = Vec::with_capacity(count);
    let mut last = None;
    for _ in 0..count {
        let field = reader.component()?;
        cbor::ascending(&mut last, field)?;
        fields.push((field, reader.raw_value(FIELD_NESTING)?));
    }
    Ok(fields)
}

fn removed<'a>(
    reader: &mut Reader<'a>,
    fields: &[(&str, &[u8])],
) -> Result<Vec<&'a str>, Malformed> {
    let count = reader.array()?;
    if count == 0 {
        return Err(Malformed::NotCanonical);
    }
    let mut removed = Vec::with_capacity(count);
    let mut last = None;
    for _ in 0..count {
        let field = reader.component()?;
        cbor::ascending(&mut last, field)?;
        if fields.binary_search_by(|(other, _)| (*other).cmp(field)).is_ok() {
            return Err(Malformed::Expected { what: "a field either set or removed, not both" });
        }
        removed.push(field);
    }
    Ok(removed)
}
