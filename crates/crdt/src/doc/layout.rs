//! The leaves of a document as the fold knows them: each is a row of one slot.

use std::collections::BTreeMap;

use super::operation::{self, Operation};
use crate::fold::{Layout, RowOperation, Slot, Slots};
use crate::section::Void;

pub(super) struct DocLayout;

impl Layout for DocLayout {
    const SHOWS_MAIN: bool = true;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        Some(Slots { main: Slot::unpack(row)?, fields: BTreeMap::new() })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        row
    }
}
