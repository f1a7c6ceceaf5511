//! How operations change the leaves of a document. Everything is read and folded before the first
//! row is written, so that an error leaves the rows as they were.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::operation::Operation;
use crate::slot::Slot;
use crate::stamp::EntryStamp;
use crate::store_type::{Change, ChangeKind, Conflict};
use crate::view::{Area, RowError, View, ViewError, ViewMut};
use crate::waiting::Waiting;

/// A leaf has one slot, which dangling names know by nothing but the row.
const LEAF: fn() -> Vec<u8> = Vec::new;

/// A leaf that a section touches, and where it rested before.
#[derive(Default)]
struct Cell {
    slot: Slot,
    rested: Option<(Area, Vec<u8>)>,
    was_live: bool,
}

/// Loads the slot of a leaf, live or buried.
pub(super) fn load<V: View + ?Sized>(view: &V, path: &[u8]) -> Result<Slot, ViewError> {
    load_cell(view, path).map(|cell| cell.slot)
}

fn load_cell<V: View + ?Sized>(view: &V, path: &[u8]) -> Result<Cell, ViewError> {
    for area in [Area::State, Area::Buried] {
        if let Some(row) = view.get(area, path)? {
            let slot = Slot::unpack(&row)
                .ok_or_else(|| ViewError::new(RowError { key: path.to_vec() }))?;
            return Ok(Cell { slot, rested: Some((area, row)), was_live: area == Area::State });
        }
    }
    Ok(Cell::default())
}

/// Applies operations of an entry, the first of which has the index `first`.
pub(super) fn apply(
    first: u32,
    operations: &[Operation<'_>],
    entry: &EntryStamp,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
) -> Result<(), ViewError> {
    let mut waiting = Waiting::load(view, entry.entry)?;
    let mut cells: BTreeMap<&[u8], Cell> = BTreeMap::new();
    for (index, operation) in (first..).zip(operations) {
        let cell = match cells.entry(operation.path) {
            Entry::Occupied(cell) => cell.into_mut(),
            Entry::Vacant(place) => place.insert(load_cell(view, operation.path)?),
        };
        cell.slot.touch();
        for name in &operation.names {
            if !cell.slot.drop_head(name) {
                waiting.wait(view, name, operation.path, LEAF)?;
            }
        }
        let stamp = entry.at(index);
        cell.slot.supersede(&stamp);
        if !waiting.is_named(index, operation.path, LEAF) {
            cell.slot.push(stamp, operation.value.map(<[u8]>::to_vec));
        }
    }
    waiting.merge(view)?;
    waiting.flush(view);
    for (path, cell) in cells {
        changes.extend(change(path, &cell));
        store(path, &cell, view);
    }
    Ok(())
}

fn change(path: &[u8], cell: &Cell) -> Option<Change> {
    let kind = match (cell.was_live, cell.slot.is_live()) {
        (false, true) => ChangeKind::Created,
        (true, false) => ChangeKind::Removed,
        (true, true) if cell.slot.is_changed() => ChangeKind::Updated,
        _ => return None,
    };
    Some(Change { key: path.to_vec(), kind, conflict: Conflict::of(std::iter::once(&cell.slot)) })
}

fn store(path: &[u8], cell: &Cell, view: &mut dyn ViewMut) {
    let area = if cell.slot.is_live() { Area::State } else { Area::Buried };
    let row = (!cell.slot.heads().is_empty()).then(|| {
        let mut row = Vec::new();
        cell.slot.pack(&mut row);
        row
    });
    if let Some((rested, _)) = &cell.rested
        && (*rested != area || row.is_none())
    {
        view.remove(*rested, path);
    }
    if let Some(row) = row
        && cell.rested.as_ref().is_none_or(|(rested, old)| *rested != area || *old != row)
    {
        view.put(area, path, row);
    }
}
