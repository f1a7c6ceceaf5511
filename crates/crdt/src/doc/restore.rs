//! Making rows of a document what they were: each for itself, whatever is above and below.

use std::collections::BTreeMap;

use super::draft::{DocDraft, Leaves};
use super::layout::DocLayout;
use crate::cbor::EMPTY_MAP;
use crate::draft::DraftError;
use crate::fold::Layout;
use crate::view::{RowError, ViewMut};

/// What a row of a document says, to be compared and brought back; equal if readers see the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafState {
    /// The encoded value that reading gives.
    value: Option<Vec<u8>>,
}

impl LeafState {
    /// Returns what the row of [`crate::Area::State`] at a key says; nothing without a row.
    ///
    /// # Errors
    /// [`RowError`] if the row is damaged.
    pub fn of(key: &[u8], row: Option<&[u8]>) -> Result<Self, RowError> {
        let Some(row) = row else { return Ok(Self::default()) };
        let slots = DocLayout.unpack(key, row).ok_or_else(|| RowError { key: key.to_vec() })?;
        Ok(Self { value: slots.main.winner().map(|(_, value)| value.to_vec()) })
    }

    /// Returns whether it says nothing but that a map is there, or not even that.
    pub fn is_marker(&self) -> bool {
        self.value.as_ref().is_none_or(|value| *value == EMPTY_MAP)
    }
}

/// What a row is to say again, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafChange {
    /// What it says.
    pub from: LeafState,
    /// What it is to say.
    pub to: LeafState,
}

impl DocDraft {
    /// Makes rows, by their keys, say again what they said: unlike [`DocDraft::set`] it replaces
    /// nothing below and sees to nothing above.
    ///
    /// # Errors
    /// [`DraftError`] if a row cannot be read, or for a section over its limits.
    pub fn restore(
        &mut self,
        view: &mut dyn ViewMut,
        rows: &BTreeMap<Vec<u8>, LeafChange>,
    ) -> Result<(), DraftError> {
        let changed = rows.iter().filter(|(_, change)| change.from != change.to);
        let leaves: Leaves =
            changed.map(|(key, change)| (key.clone(), change.to.value.clone())).collect();
        self.stage(view, &leaves)
    }
}
