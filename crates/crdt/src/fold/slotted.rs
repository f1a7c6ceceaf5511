//! What store types made of slots have in common: all but their names, their rows and what these show.

use std::collections::BTreeSet;

use super::{Layout, Section, apply, entries, refold};
use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, EntryTimes, SlotConflict, StoreType, Touched};
use crate::value::Value;
use crate::view::{View, ViewError, ViewMut};

/// A store type whose rows are made of slots; the fold does the rest.
pub(crate) trait Slotted: Send + Sync {
    /// How its rows rest, and what its sections say.
    type Rows: Layout;
    const ROWS: Self::Rows;
    const TYPE_NAME: &'static str;

    /// Returns what a row of state says.
    fn shown(key: &[u8], row: &[u8]) -> Option<Value>;

    /// Returns the versions of a row that stand side by side. None by default.
    fn side_by_side(key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        let _ = (key, row);
        Vec::new()
    }
}

impl<T: Slotted> StoreType for T {
    fn name(&self) -> &'static str {
        T::TYPE_NAME
    }

    fn check(&self, payload: &[u8]) -> Result<(), Void> {
        T::ROWS.decode(payload, [0; 32]).map(drop)
    }

    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError> {
        let operations = T::ROWS.decode(payload, entry.entry)?;
        let section = Section { entry, payload: &|| payload.to_vec() };
        Ok(apply(&T::ROWS, &section, 0, &operations, view, changes, None)?)
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let operations = T::ROWS.decode(payload, entry.entry)?;
        Ok(Touched::Rows(operations.into_iter().map(|operation| operation.row.to_vec()).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        refold(&T::ROWS, rows, with, view, changes)
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        entries(&T::ROWS, row, view).map(Some)
    }

    fn folds_hidden(&self) -> bool {
        true
    }

    fn show(&self, key: &[u8], row: &[u8]) -> Option<Value> {
        T::shown(key, row)
    }

    fn conflicts(&self, key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        T::side_by_side(key, row)
    }
}
