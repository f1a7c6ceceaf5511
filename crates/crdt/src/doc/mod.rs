//! A document: a nested map, kept as one row for each leaf. A leaf is a scalar, a list, or the
//! marker of an empty map; each is a slot of its own, so that edits of different leaves merge.
//!
//! A leaf at `p` that is not a map shows iff its stamp is greater than that of every live leaf below
//! `p`; otherwise the map shows and the leaf is a conflict.

mod draft;
mod layout;
mod operation;
mod read;
mod restore;
mod tree;

pub use draft::DocDraft;
pub use read::{conflicts, get, to_value};
pub use restore::{LeafChange, LeafState};
pub use tree::PathConflict;

use std::collections::BTreeSet;

use crate::fold::{self, Layout, Section, Slot};
use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, EntryTimes, SlotConflict, StoreType, Touched};
use crate::value::Value;
use crate::view::{View, ViewError, ViewMut};
use layout::DocLayout;

const VERSION: u64 = 1;

/// Merges documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocType;

impl DocType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "doc";
}

impl StoreType for DocType {
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
        let operations = DocLayout.decode(payload, entry.entry)?;
        let section = Section { entry, payload: &|| payload.to_vec() };
        Ok(fold::apply(&DocLayout, &section, 0, &operations, view, changes, None)?)
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let operations = DocLayout.decode(payload, entry.entry)?;
        Ok(Touched::Rows(operations.into_iter().map(|operation| operation.row.to_vec()).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        fold::refold(&DocLayout, rows, with, view, changes)
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        fold::entries(&DocLayout, row, view).map(Some)
    }

    fn show(&self, _key: &[u8], row: &[u8]) -> Option<Value> {
        let slot = Slot::unpack(row)?;
        slot.winner().and_then(|(_, value)| Value::decode(value).ok())
    }

    fn conflicts(&self, _key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        let slot = Slot::unpack(row);
        slot.and_then(|slot| SlotConflict::of(None, &slot)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
