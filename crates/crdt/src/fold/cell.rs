//! A row that a section touches: its slots, where it rested before, and what is to be noted of it
//! beside: entries that have no head in it any more, and names of what has not come.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::listing::{self, EntryTime};
use super::operation::{Layout, SlotId, Slots};
use crate::pack::{self, Unpacker};
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::store_type::{Change, ChangeKind, Conflict};
use crate::view::{Area, RowError, View, ViewError, ViewMut, visit_prefix};

const INDEX_BYTES: usize = 4;

/// The slots, encoded, at which an operation is named that is not there.
pub(super) type Waiting = BTreeMap<Dot, BTreeSet<Vec<u8>>>;

/// A row and what is noted beside it.
#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) slots: Slots,
    /// Whether the row must be folded by the definition.
    pub(super) again: bool,
    rested: Option<(Area, Vec<u8>)>,
    was_live: bool,
    list: BTreeSet<EntryTime>,
    unlist: BTreeSet<EntryTime>,
    waiting: Waiting,
    met: BTreeSet<Dot>,
    /// The indexes of operations of the own entry that were named before they came.
    due: BTreeSet<u32>,
}

/// Loads the slots of a row, live or buried.
pub(crate) fn load<L: Layout, V: View + ?Sized>(
    layout: &L,
    view: &V,
    key: &[u8],
) -> Result<Cell, ViewError> {
    for area in [Area::State, Area::Buried] {
        if let Some(row) = view.get(area, key)? {
            let slots = layout
                .unpack(key, &row)
                .ok_or_else(|| ViewError::new(RowError { key: key.to_vec() }))?;
            let was_live = slots.is_live();
            return Ok(Cell { slots, rested: Some((area, row)), was_live, ..Cell::default() });
        }
    }
    Ok(Cell::default())
}

impl Cell {
    /// Reads which operations of the entry are named here already. Nothing names a transaction that
    /// is being written.
    pub(super) fn load_due(
        &mut self,
        view: &dyn ViewMut,
        row: &[u8],
        entry: &EntryStamp,
    ) -> Result<(), ViewError> {
        if entry.entry == EntryStamp::PROVISIONAL.entry {
            return Ok(());
        }
        let mut start = listing::prefix(row);
        start.extend_from_slice(&entry.entry);
        visit_prefix(view, Area::Dangling, &start, &mut |key, _| {
            self.due.extend(dot_of(key).map(|dot| dot.index));
            ControlFlow::Continue(())
        })
    }

    /// Returns whether nothing is known of the row, nor named of what the entry does to it.
    pub(super) fn is_absent(
        &self,
        view: &dyn ViewMut,
        row: &[u8],
        entry: &EntryStamp,
    ) -> Result<bool, ViewError> {
        if self.rested.is_some() {
            return Ok(false);
        }
        let mut named = Self::default();
        named.load_due(view, row, entry)?;
        Ok(named.due.is_empty())
    }

    pub(super) fn is_due(&self, index: u32) -> bool {
        self.due.contains(&index)
    }

    /// Notes that a head of another entry was dropped.
    pub(super) fn list(&mut self, dropped: &Stamp) {
        self.list.insert(listing::of_stamp(dropped));
    }

    /// Returns the entries that were noted while folding.
    pub(super) fn noted(&self) -> impl Iterator<Item = EntryTime> + '_ {
        self.list.iter().copied()
    }

    /// Notes a name of an operation that is not there.
    pub(super) fn wait(&mut self, name: &Dot, slot: SlotId<'_>) {
        self.waiting.entry(*name).or_default().insert(slot.encode());
    }

    /// Adds the slots at which others name the same.
    pub(super) fn merge_waiting(
        &mut self,
        view: &dyn ViewMut,
        row: &[u8],
    ) -> Result<(), ViewError> {
        for (name, slots) in &mut self.waiting {
            let key = waiting_key(row, name);
            if let Some(before) = view.get(Area::Dangling, &key)? {
                let before = unpack_slots(&before);
                slots.extend(before.ok_or_else(|| ViewError::new(RowError { key }))?);
            }
        }
        Ok(())
    }

    /// Returns the slots that the row had when it was loaded.
    pub(super) fn before<L: Layout>(&self, layout: &L, row: &[u8]) -> Slots {
        let rested = self.rested.as_ref();
        rested.and_then(|(_, bytes)| layout.unpack(row, bytes)).unwrap_or_default()
    }

    /// Takes what the definition gives in place of what was folded so far.
    pub(super) fn replace(
        &mut self,
        view: &dyn ViewMut,
        row: &[u8],
        slots: Slots,
        listed: BTreeSet<EntryTime>,
        waiting: Waiting,
    ) -> Result<(), ViewError> {
        let before = listing::listed(view, row)?;
        self.unlist = before.difference(&listed).copied().collect();
        self.list = listed.difference(&before).copied().collect();
        self.met.clear();
        visit_prefix(view, Area::Dangling, &listing::prefix(row), &mut |key, _| {
            self.met.extend(dot_of(key).filter(|dot| !waiting.contains_key(dot)));
            ControlFlow::Continue(())
        })?;
        (self.slots, self.waiting) = (slots, waiting);
        Ok(())
    }

    /// Says what readers see change.
    pub(super) fn change<L: Layout>(&self, key: &[u8]) -> Option<Change> {
        let is_live = self.slots.is_live();
        let changed = || {
            let main = std::iter::once(&self.slots.main).filter(|_| L::SHOWS_MAIN);
            main.chain(self.slots.fields.values()).filter(|slot| slot.is_changed())
        };
        let kind = match (self.was_live, is_live) {
            (false, true) => ChangeKind::Created,
            (true, false) => ChangeKind::Removed,
            (true, true) if changed().next().is_some() => ChangeKind::Updated,
            _ => return None,
        };
        let registers = changed().filter(|slot| !slot.is_counter());
        let conflict = if is_live { Conflict::of(registers) } else { None };
        Some(Change { key: key.to_vec(), kind, conflict })
    }

    /// Writes the row and what is noted beside it.
    pub(super) fn store<L: Layout>(self, layout: &L, key: &[u8], view: &mut dyn ViewMut) {
        for name in &self.met {
            view.remove(Area::Dangling, &waiting_key(key, name));
        }
        for (name, slots) in &self.waiting {
            view.put(Area::Dangling, &waiting_key(key, name), pack_slots(slots));
        }
        for entry in &self.unlist {
            view.remove(Area::History, &listing::key(key, entry));
        }
        for entry in &self.list {
            view.put(Area::History, &listing::key(key, entry), Vec::new());
        }
        let area = if self.slots.is_live() { Area::State } else { Area::Buried };
        let row = (!self.slots.is_empty()).then(|| layout.pack(key, &self.slots));
        if let Some((rested, _)) = &self.rested
            && (*rested != area || row.is_none())
        {
            view.remove(*rested, key);
        }
        if let Some(row) = row
            && self.rested.as_ref().is_none_or(|(rested, old)| *rested != area || *old != row)
        {
            view.put(area, key, row);
        }
    }
}

fn waiting_key(row: &[u8], name: &Dot) -> Vec<u8> {
    let mut key = listing::prefix(row);
    key.extend_from_slice(&name.entry);
    key.extend_from_slice(&name.index.to_be_bytes());
    key
}

fn dot_of(key: &[u8]) -> Option<Dot> {
    let (rest, index) = key.split_last_chunk::<INDEX_BYTES>()?;
    let (_, entry) = rest.split_last_chunk::<32>()?;
    Some(Dot { entry: *entry, index: u32::from_be_bytes(*index) })
}

fn pack_slots(slots: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for slot in slots {
        pack::put_string(&mut out, slot);
    }
    out
}

fn unpack_slots(row: &[u8]) -> Option<BTreeSet<Vec<u8>>> {
    let mut unpacker = Unpacker::new(row);
    let mut slots = BTreeSet::new();
    while !unpacker.is_empty() {
        slots.insert(unpacker.string()?.to_vec());
    }
    Some(slots)
}
