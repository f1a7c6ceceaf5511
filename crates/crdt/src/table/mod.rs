//! A table: a row is its existence and its fields, each a slot of its own. Writing touches
//! existence and fields, deleting existence only; fields of a row that does not exist are kept
//! buried and come back whole with it.

mod draft;
mod fold;
mod operation;
mod plan;
mod read;
mod row;

pub use draft::TableDraft;
pub use read::{FieldConflict, Row, VisitTableRow, get, prefix, range, read};

use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, SlotConflict, StoreType};
use crate::value::Value;
use crate::view::ViewMut;
use crate::waiting;

const VERSION: u64 = 1;

/// Merges tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableType;

impl TableType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "table";
}

impl StoreType for TableType {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        operation::decode(payload, [0; 32]).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        match operation::decode(payload, entry.entry) {
            Ok(operations) => Ok(fold::apply(0, &operations, entry, view, changes, None)?),
            Err(void) => {
                waiting::settle_void(view, entry.entry)?;
                Err(void.into())
            }
        }
    }

    fn show(&self, _key: &[u8], row: &[u8]) -> Option<Value> {
        read::decode(row).map(|row| row.value)
    }

    fn conflicts(&self, _key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        read::slot_conflicts(row)
    }
}

#[cfg(test)]
mod tests;
