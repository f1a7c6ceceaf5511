//! The rows of a table as the fold knows them: the main slot is the row's existence.

use super::operation::{self, Operation};
use super::row;
use crate::fold::{Effect, Layout, RowOperation, SlotId, Slots};
use crate::section::Void;
use crate::stamp::Stamp;

pub(crate) struct TableLayout;

impl Layout for TableLayout {
    // Who writes a field writes existence as well, and readers see no more of it than the row.
    const SHOWS_MAIN: bool = false;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        row::unpack(row)
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        row::pack(slots)
    }

    fn pack_new(&self, _key: &[u8], stamp: Stamp, touches: &[(SlotId<'_>, Effect<'_>)]) -> Vec<u8> {
        row::pack_new(stamp, touches.iter().filter_map(field))
    }
}

/// Returns the field that is set, and to what; not existence.
fn field<'a>((slot, effect): &(SlotId<'a>, Effect<'a>)) -> Option<(&'a str, &'a [u8])> {
    match (slot, effect) {
        (SlotId::Field(name), Effect::Set(value)) => Some((name, value)),
        _ => None,
    }
}
