//! Counters: a row for each key. Increments made apart all count; a reset takes away those that it
//! has seen, directly or through later ones, and no other.

mod draft;
mod operation;
mod read;

pub use draft::CounterDraft;
pub use read::{VisitCounter, get, range, sum};

use std::collections::BTreeSet;

use crate::fold::{self, Layout, RowOperation, Section, Slot, Slots};
use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, EntryTimes, StoreType, Touched};
use crate::value::Value;
use crate::view::{View, ViewError, ViewMut};

const VERSION: u64 = 1;

/// Merges counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterType;

impl CounterType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "counter";
}

/// The counters as the fold knows them: the main slot counts.
pub(crate) struct CounterLayout;

impl Layout for CounterLayout {
    const SHOWS_MAIN: bool = true;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(operation::Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        Some(Slots { main: Slot::unpack_counter(row)?, ..Slots::default() })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        row
    }
}

impl StoreType for CounterType {
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
        let operations = CounterLayout.decode(payload, entry.entry)?;
        let section = Section { entry, payload: &|| payload.to_vec() };
        Ok(fold::apply(&CounterLayout, &section, 0, &operations, view, changes, None)?)
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let operations = CounterLayout.decode(payload, entry.entry)?;
        Ok(Touched::Rows(operations.into_iter().map(|operation| operation.row.to_vec()).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        fold::refold(&CounterLayout, rows, with, view, changes)
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        fold::entries(&CounterLayout, row, view).map(Some)
    }

    fn folds_hidden(&self) -> bool {
        true
    }

    fn show(&self, _key: &[u8], row: &[u8]) -> Option<Value> {
        read::sum(row).map(Value::from_wide)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::draw;
