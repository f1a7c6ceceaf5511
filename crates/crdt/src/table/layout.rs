//! The rows of a table as the fold knows them: the main slot is the row's existence.

use super::operation::{self, Operation};
use super::row;
use crate::fold::{Layout, RowOperation, Slots};
use crate::section::Void;

pub(super) struct TableLayout;

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
}
