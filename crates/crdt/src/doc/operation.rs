//! The operations of a document as they travel: `[0, path, names, value]` sets a leaf and
//! `[1, path, names]` removes it. Paths are byte strings in the order-preserving encoding. The value is
//! a scalar, a list, or the empty map as the marker of one.

use std::borrow::Cow;

use crate::cbor::EMPTY_MAP;
use crate::fold::{Effect, RowOperation, SlotId};
use crate::limits::MAX_NESTING;
use crate::malformed::Malformed;
use crate::path::Path;
use crate::section::{SectionReader, SectionWriter, Void};
use crate::stamp::Dot;

use super::{DocType, VERSION};

const SET: u64 = 0;
const REMOVE: u64 = 1;
const MAP_MAJOR: u8 = 5;
/// An operation touches its leaf and nothing else.
const SLOTS: usize = 1;

/// One operation on a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) path: &'a [u8],
    pub(super) names: Vec<Dot>,
    /// The encoded value to set, or `None` to remove the leaf.
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Operation<'a> {
    /// Returns what the operation does to the leaf's row.
    pub(super) fn on_row(self) -> RowOperation<'a> {
        let effect = self.value.map_or(Effect::Remove, Effect::Set);
        let touches = vec![(SlotId::Main, effect)];
        RowOperation { row: Cow::Borrowed(self.path), names: self.names, touches }
    }

    pub(super) fn encode(&self, section: &mut SectionWriter) {
        section.push(|out| {
            out.array(if self.value.is_some() { 4 } else { 3 });
            out.unsigned(if self.value.is_some() { SET } else { REMOVE });
            out.bytes(self.path);
            out.names(&self.names, SLOTS);
            if let Some(value) = self.value {
                out.raw(value);
            }
        });
    }
}

/// Decodes a payload of the entry `own`, and checks every rule of the type.
pub(super) fn decode(payload: &[u8], own: [u8; 32]) -> Result<Vec<Operation<'_>>, Void> {
    let mut section = SectionReader::open(payload, DocType::NAME, VERSION, own)?;
    let mut operations = Vec::with_capacity(section.count());
    for index in (0..).take(section.count()) {
        let length = section.reader.array()?;
        let kind = section.reader.unsigned()?;
        let path = section.reader.bytes()?;
        let depth = Path::decode(path)?.components().len();
        if depth == 0 {
            return Err(Malformed::BadPath.into());
        }
        let names = section.names(index)?;
        section.touch(SLOTS)?;
        let value = match (kind, length) {
            (SET, 4) => Some(section.reader.raw_value(MAX_NESTING - depth)?),
            (REMOVE, 3) => None,
            _ => return Err(Malformed::Expected { what: "an operation of a document" }.into()),
        };
        if value.is_some_and(|value| {
            value != EMPTY_MAP && value.first().is_some_and(|head| head >> 5 == MAP_MAJOR)
        }) {
            return Err(Malformed::Expected { what: "a leaf for each value of a map" }.into());
        }
        operations.push(Operation { path, names, value });
    }
    section.reader.finish()?;
    Ok(operations)
}
