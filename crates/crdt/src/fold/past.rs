//! What a name refers to that is not a head of its slot. Asked rarely, so it may read sections.

use std::collections::{BTreeMap, BTreeSet};

use super::operation::{Layout, SlotId};
use crate::stamp::{Dot, EntryStamp};
use crate::view::{ViewError, ViewMut};

/// How many operations of other sections are kept in memory; a section may name very many.
const PLACES_MAX: usize = 1 << 17;

/// Row and index of each operation of an entry, with the slots that it touches.
type Places = BTreeMap<(Vec<u8>, u32), BTreeSet<Vec<u8>>>;

/// The sections that were asked for while one is applied.
pub(super) struct Past<'a, L> {
    layout: &'a L,
    own: &'a EntryStamp,
    sections: BTreeMap<[u8; 32], Option<(bool, Places)>>,
    places: usize,
}

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An operation on the slot, of an entry that is visible.
    Visible,
    /// An operation on the slot, of an entry that is hidden but needed.
    Hidden,
    /// No operation on the row that counts: the name waits for one.
    Nothing,
    /// An operation on another slot of the row, or something of the own entry: the name is void.
    Void,
}

impl<'a, L: Layout> Past<'a, L> {
    pub(super) fn new(layout: &'a L, own: &'a EntryStamp) -> Self {
        Self { layout, own, sections: BTreeMap::new(), places: 0 }
    }

    /// Returns whether the entry that is being applied is visible.
    pub(super) fn is_visible(&self) -> bool {
        self.own.is_visible
    }

    pub(super) fn find(
        &mut self,
        view: &dyn ViewMut,
        name: &Dot,
        row: &[u8],
        slot: SlotId<'_>,
    ) -> Result<Found, ViewError> {
        if name.entry == self.own.entry {
            return Ok(Found::Void);
        }
        if !self.sections.contains_key(&name.entry) {
            let read = self.read(view, &name.entry)?;
            if self.places > PLACES_MAX {
                self.sections.clear();
                self.places = 0;
            }
            self.places += 1 + read.as_ref().map_or(0, |(_, places)| places.len());
            self.sections.insert(name.entry, read);
        }
        let Some(Some((is_visible, places))) = self.sections.get(&name.entry) else {
            return Ok(Found::Nothing);
        };
        Ok(match places.get(&(row.to_vec(), name.index)) {
            None => Found::Nothing,
            Some(slots) if !slots.contains(&slot.encode()) => Found::Void,
            Some(_) if *is_visible => Found::Visible,
            Some(_) => Found::Hidden,
        })
    }

    fn read(
        &self,
        view: &dyn ViewMut,
        entry: &[u8; 32],
    ) -> Result<Option<(bool, Places)>, ViewError> {
        let Some(applied) = view.applied(entry)? else { return Ok(None) };
        let mut places = Places::new();
        // A void section has no operations.
        let operations = self.layout.decode(&applied.payload, *entry).unwrap_or_default();
        for (index, operation) in (0..).zip(operations) {
            let slots = operation.touches.iter().map(|(slot, _)| slot.encode()).collect();
            places.insert((operation.row.into_owned(), index), slots);
        }
        Ok(Some((applied.stamp.is_visible, places)))
    }
}
