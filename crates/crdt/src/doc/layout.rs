//! The rows of a document as the fold knows them. A leaf is a row of one slot; an element of a list
//! has its position as a second one; a counter stands in a row of its own, one step below its place.
//!
//! The row of an element is its value, then its position, each with its versions.

use std::collections::BTreeMap;

use super::operation;
use super::position::{Place, Position};
use crate::fold::{Layout, RowOperation, Slot, Slots, unpack_heads};
use crate::pack::Unpacker;
use crate::path::strip_counter;
use crate::section::Void;
use crate::stamp::Dot;

/// The slot of an element's position.
pub(super) const POSITION: &str = "position";

pub(crate) struct DocLayout;

impl Layout for DocLayout {
    const SHOWS_MAIN: bool = true;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        let on_row = |(index, operation): (u32, operation::Operation<&'a [u8]>)| {
            operation.on_row(Dot { entry: own, index }).map_err(Void::from)
        };
        (0..).zip(operations).map(on_row).collect()
    }

    fn unpack(&self, key: &[u8], row: &[u8]) -> Option<Slots> {
        if strip_counter(key).is_some() {
            return Some(Slots { main: Slot::unpack_counter(row)?, ..Slots::default() });
        }
        let mut unpacker = Unpacker::new(row);
        let main = Slot::from_heads(unpack_heads(&mut unpacker)?);
        let mut fields = BTreeMap::new();
        if !unpacker.is_empty() {
            let position = Slot::from_heads(unpack_heads(&mut unpacker)?);
            fields.insert(POSITION.to_owned(), position);
            unpacker.finish()?;
        }
        Some(Slots { main, fields })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        let position = slots.fields.get(POSITION).filter(|slot| !slot.heads().is_empty());
        if let Some(position) = position {
            position.pack(&mut row);
        }
        row
    }
}

/// Returns where an element stands: its latest position counts.
pub(super) fn place(slots: &Slots) -> Option<Place> {
    let (stamp, position) = slots.fields.get(POSITION)?.winner()?;
    Some(Place::new(&Position::unpack(position)?, &stamp))
}
