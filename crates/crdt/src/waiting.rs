//! Names whose entry was not applied yet. A row of the dangling area is (entry, index, row key) with
//! the slots named there; it goes when that entry is applied, so the area is a function of the
//! sections applied, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::pack::{self, Unpacker};
use crate::stamp::{Dot, EntryStamp};
use crate::view::{Area, RowError, View, ViewError, ViewMut, visit_prefix};

const ID_BYTES: usize = 32;
const INDEX_BYTES: usize = 4;

type Slots = BTreeSet<Vec<u8>>;

/// What waited for one entry, and what begins to wait while its section is applied.
pub(crate) struct Waiting {
    own: [u8; 32],
    due: BTreeMap<Vec<u8>, Slots>,
    new: BTreeMap<Vec<u8>, Slots>,
    applied: BTreeMap<[u8; 32], bool>,
}

impl Waiting {
    /// Loads what waited for the entry. Nothing waits for a transaction that is being written: its
    /// operations have no names yet that others could give.
    pub(crate) fn load(view: &dyn ViewMut, own: [u8; 32]) -> Result<Self, ViewError> {
        let mut due = BTreeMap::new();
        let mut damaged = None;
        if own == EntryStamp::PROVISIONAL.entry {
            return Ok(Self { own, due, new: BTreeMap::new(), applied: BTreeMap::new() });
        }
        visit_prefix(view, Area::Dangling, &own, &mut |key, row| {
            let Some(slots) = unpack(row) else {
                damaged = Some(RowError { key: key.to_vec() });
                return ControlFlow::Break(());
            };
            due.insert(key.to_vec(), slots);
            ControlFlow::Continue(())
        })?;
        match damaged {
            Some(error) => Err(ViewError::new(error)),
            None => Ok(Self { own, due, new: BTreeMap::new(), applied: BTreeMap::new() }),
        }
    }

    /// Returns whether an operation of the entry is named already, at this slot of this row.
    pub(crate) fn is_named(&self, index: u32, row: &[u8], slot: impl FnOnce() -> Vec<u8>) -> bool {
        !self.due.is_empty()
            && self
                .due
                .get(&key(&Dot { entry: self.own, index }, row))
                .is_some_and(|slots| slots.contains(&slot()))
    }

    /// Takes a name that is not a head of its slot: it waits if its entry was not applied, and is
    /// void or done otherwise.
    pub(crate) fn wait(
        &mut self,
        view: &dyn ViewMut,
        dot: &Dot,
        row: &[u8],
        slot: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), ViewError> {
        if dot.entry == self.own {
            return Ok(());
        }
        let applied = match self.applied.get(&dot.entry) {
            Some(applied) => *applied,
            None => {
                let applied = view.applied(&dot.entry)?.is_some();
                self.applied.insert(dot.entry, applied);
                applied
            }
        };
        if !applied {
            self.new.entry(key(dot, row)).or_default().insert(slot());
        }
        Ok(())
    }

    /// Reads what other sections wait for at the same rows.
    pub(crate) fn merge(&mut self, view: &dyn ViewMut) -> Result<(), ViewError> {
        for (key, slots) in &mut self.new {
            if let Some(row) = view.get(Area::Dangling, key)? {
                slots.extend(
                    unpack(&row).ok_or_else(|| ViewError::new(RowError { key: key.clone() }))?,
                );
            }
        }
        Ok(())
    }

    /// Writes what waits now, and removes what waited for the entry.
    pub(crate) fn flush(self, view: &mut dyn ViewMut) {
        for key in self.due.keys() {
            view.remove(Area::Dangling, key);
        }
        for (key, slots) in self.new {
            view.put(Area::Dangling, &key, pack(&slots));
        }
    }
}

fn key(dot: &Dot, row: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(ID_BYTES + INDEX_BYTES + row.len());
    key.extend_from_slice(&dot.entry);
    key.extend_from_slice(&dot.index.to_be_bytes());
    key.extend_from_slice(row);
    key
}

fn pack(slots: &Slots) -> Vec<u8> {
    let mut out = Vec::new();
    for slot in slots {
        pack::put_string(&mut out, slot);
    }
    out
}

fn unpack(row: &[u8]) -> Option<Slots> {
    let mut unpacker = Unpacker::new(row);
    let mut slots = Slots::new();
    while !unpacker.is_empty() {
        slots.insert(unpacker.string()?.to_vec());
    }
    Some(slots)
}

/// Removes the names that waited for an entry whose section turned out void.
pub(crate) fn settle_void(view: &mut dyn ViewMut, entry: [u8; 32]) -> Result<(), ViewError> {
    let mut keys = Vec::new();
    visit_prefix(view as &dyn View, Area::Dangling, &entry, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    for key in keys {
        view.remove(Area::Dangling, &key);
    }
    Ok(())
}
