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

use std::collections::BTreeSet;

use crate::fold::{self, Layout, Section};
use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, EntryTimes, SlotConflict, StoreType, Touched};
use crate::value::Value;
use crate::view::{View, ViewError, ViewMut};
use layout::TableLayout;

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
        let operations = TableLayout.decode(payload, entry.entry)?;
        let section = Section { entry, payload: &|| payload.to_vec() };
        Ok(fold::apply(&TableLayout, &section, 0, &operations, view, changes, None)?)
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let operations = TableLayout.decode(payload, entry.entry)?;
        Ok(Touched::Rows(operations.into_iter().map(|operation| operation.row.to_vec()).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        fold::refold(&TableLayout, rows, with, view, changes)
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        fold::entries(&TableLayout, row, view).map(Some)
    }

    fn folds_hidden(&self) -> bool {
        true
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
