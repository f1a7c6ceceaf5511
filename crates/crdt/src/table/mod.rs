//! A table: a row is its existence and its fields, each a slot of its own. Writing touches
//! existence and fields, deleting existence only; fields of a row that does not exist are kept
//! buried and come back whole with it.

mod draft;
mod layout;
mod operation;
mod plan;
mod read;
mod row;
mod typed;

pub use draft::TableDraft;
pub use read::{FieldConflict, Row, VisitTableRow, get, prefix, range, read};
pub use typed::{TypedRow, decode_as, get_as};

use crate::fold::Slotted;
use crate::store_type::SlotConflict;
use crate::value::Value;
use layout::TableLayout;

const VERSION: u64 = 1;

/// Merges tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableType;

impl TableType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "table";
}

impl Slotted for TableType {
    type Rows = TableLayout;
    const ROWS: TableLayout = TableLayout;
    const TYPE_NAME: &'static str = Self::NAME;

    fn shown(_key: &[u8], row: &[u8]) -> Option<Value> {
        read::decode(row).map(|row| row.value)
    }

    fn side_by_side(_key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        read::slot_conflicts(row)
    }
}

#[cfg(test)]
mod tests;
