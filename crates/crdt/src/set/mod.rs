//! A set of values: a row for each member, which is its key. A member added while it is removed
//! elsewhere stays.

mod draft;
mod operation;
mod read;

pub use draft::SetDraft;
pub use read::{VisitMember, contains, count, members};

use std::collections::BTreeSet;

use crate::fold::{self, Layout, RowOperation, Section, Slot, Slots};
use crate::limits::MAX_COMPONENT_BYTES;
use crate::section::Void;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, EntryTimes, StoreType, Touched};
use crate::value::{Value, ValueError};
use crate::view::{View, ViewError, ViewMut};

const VERSION: u64 = 1;

/// Merges sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetType;

impl SetType {
    /// The name that payloads begin with.
    pub const NAME: &'static str = "set";
}

/// Returns the canonical bytes of a member, which are the key of its row.
///
/// # Errors
/// [`ValueError`] for a value that cannot be stored, or one of more than
/// [`MAX_COMPONENT_BYTES`] bytes.
pub fn encode_member(member: &Value) -> Result<Vec<u8>, ValueError> {
    let key = member.encode()?;
    if key.len() > MAX_COMPONENT_BYTES {
        return Err(ValueError::MemberTooLong { length: key.len() });
    }
    Ok(key)
}

/// The members as the fold knows them: the main slot says whether one is there.
pub(crate) struct SetLayout;

impl Layout for SetLayout {
    // A member that is there again is the same member.
    const SHOWS_MAIN: bool = false;

    fn decode<'a>(&self, payload: &'a [u8], own: [u8; 32]) -> Result<Vec<RowOperation<'a>>, Void> {
        let operations = operation::decode(payload, own)?;
        Ok(operations.into_iter().map(operation::Operation::on_row).collect())
    }

    fn unpack(&self, _key: &[u8], row: &[u8]) -> Option<Slots> {
        Some(Slots { main: Slot::unpack(row)?, ..Slots::default() })
    }

    fn pack(&self, _key: &[u8], slots: &Slots) -> Vec<u8> {
        let mut row = Vec::new();
        slots.main.pack(&mut row);
        row
    }
}

impl StoreType for SetType {
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
        let operations = SetLayout.decode(payload, entry.entry)?;
        let section = Section { entry, payload: &|| payload.to_vec() };
        Ok(fold::apply(&SetLayout, &section, 0, &operations, view, changes, None)?)
    }

    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let operations = SetLayout.decode(payload, entry.entry)?;
        Ok(Touched::Rows(operations.into_iter().map(|operation| operation.row.to_vec()).collect()))
    }

    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        fold::refold(&SetLayout, rows, with, view, changes)
    }

    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        fold::entries(&SetLayout, row, view).map(Some)
    }

    fn folds_hidden(&self) -> bool {
        true
    }

    fn show(&self, key: &[u8], _row: &[u8]) -> Option<Value> {
        Value::decode(key).ok()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::draw;
