//! What a name refers to that is not a head of its slot. Asked rarely, so it may read sections.

use std::collections::{BTreeMap, BTreeSet};

use super::operation::{Layout, RowOperation, SlotId};
use crate::stamp::{Dot, EntryStamp};
use crate::view::{ViewError, ViewMut};

/// What operations name: the rows, and their slots, at which each other one is named.
type Named<'a> = BTreeMap<Dot, BTreeMap<&'a [u8], BTreeSet<SlotId<'a>>>>;

/// The sections that were asked for while one is applied. Each is read once, and of it is kept what
/// the section names, so that memory and time are bounded by the names that a section may have.
pub(super) struct Past<'a, L> {
    layout: &'a L,
    own: &'a EntryStamp,
    operations: &'a [RowOperation<'a>],
    /// Made when something is asked for first.
    named: Option<Named<'a>>,
    /// Whether an entry is visible; `None` for one that does not count.
    sections: BTreeMap<[u8; 32], Option<bool>>,
    /// Those of the slots at which an operation is named that it touches.
    places: BTreeMap<(Dot, &'a [u8]), BTreeSet<SlotId<'a>>>,
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
    pub(super) fn new(
        layout: &'a L,
        own: &'a EntryStamp,
        operations: &'a [RowOperation<'a>],
    ) -> Self {
        let (sections, places) = (BTreeMap::new(), BTreeMap::new());
        Self { layout, own, operations, named: None, sections, places }
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
        let counts = match self.sections.get(&name.entry) {
            Some(counts) => *counts,
            None => self.read(view, &name.entry)?,
        };
        let Some(is_visible) = counts else { return Ok(Found::Nothing) };
        Ok(match self.places.get(&(*name, row)) {
            None => Found::Nothing,
            Some(slots) if !slots.contains(&slot) => Found::Void,
            Some(_) if is_visible => Found::Visible,
            Some(_) => Found::Hidden,
        })
    }

    /// Reads the section of an entry, and returns whether the entry is visible.
    fn read(&mut self, view: &dyn ViewMut, entry: &[u8; 32]) -> Result<Option<bool>, ViewError> {
        let applied = view.applied(entry)?;
        let counts = applied.as_ref().map(|applied| applied.stamp.is_visible);
        self.sections.insert(*entry, counts);
        let Some(applied) = applied else { return Ok(None) };
        let operations = self.operations;
        let named = self.named.get_or_insert_with(|| named_by(operations));
        // A void section has no operations.
        let found = self.layout.decode(&applied.payload, *entry).unwrap_or_default();
        for (index, operation) in (0..).zip(&found) {
            let dot = Dot { entry: *entry, index };
            let rows = named.get(&dot);
            let row = rows.and_then(|rows| rows.get_key_value(operation.row.as_ref()));
            let Some((row, slots)) = row else { continue };
            let touched: BTreeSet<SlotId<'_>> =
                operation.touches.iter().map(|(slot, _)| *slot).collect();
            let slots = slots.iter().copied().filter(|slot| touched.contains(slot)).collect();
            self.places.insert((dot, *row), slots);
        }
        Ok(counts)
    }
}

/// Collects what operations name.
fn named_by<'a>(operations: &'a [RowOperation<'a>]) -> Named<'a> {
    let mut named = Named::new();
    for operation in operations {
        for name in &operation.names {
            let rows = named.entry(*name).or_default();
            let slots = rows.entry(operation.row.as_ref()).or_default();
            slots.extend(operation.touches.iter().map(|(slot, _)| *slot));
        }
    }
    named
}
