//! How operations change the rows of a table. Everything is read and folded before the first row is
//! written, so that an error leaves the rows as they were.

use std::collections::BTreeMap;

use super::operation::{Action, Operation};
use super::row::Slots;
use crate::slot::Slot;
use crate::stamp::{EntryStamp, Stamp};
use crate::store_type::{Change, ChangeKind, Conflict};
use crate::view::{Area, RowError, View, ViewError, ViewMut};
use crate::waiting::Waiting;

const EXISTENCE: u8 = 0;
const FIELD: u8 = 1;

/// A row that a section touches, and where it rested before.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) slots: Slots,
    rested: Option<(Area, Vec<u8>)>,
    was_live: bool,
}

/// Loads the slots of a row, live or buried.
pub(super) fn load<V: View + ?Sized>(view: &V, key: &[u8]) -> Result<Cell, ViewError> {
    for area in [Area::State, Area::Buried] {
        if let Some(row) = view.get(area, key)? {
            let slots = Slots::unpack(&row)
                .ok_or_else(|| ViewError::new(RowError { key: key.to_vec() }))?;
            let was_live = slots.is_live();
            return Ok(Cell { slots, rested: Some((area, row)), was_live });
        }
    }
    Ok(Cell::default())
}

/// Applies operations of an entry, the first of which has the index `first`. A row that was loaded
/// already, and not written since, may be given.
pub(super) fn apply(
    first: u32,
    operations: &[Operation<'_>],
    entry: &EntryStamp,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
    loaded: Option<(&[u8], Cell)>,
) -> Result<(), ViewError> {
    let mut waiting = Waiting::load(view, entry.entry)?;
    let mut cells: BTreeMap<&[u8], Cell> = loaded.into_iter().collect();
    for (index, operation) in (first..).zip(operations) {
        let cell = match cells.entry(operation.key) {
            std::collections::btree_map::Entry::Occupied(cell) => cell.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(load(view, operation.key)?)
            }
        };
        fold(&mut cell.slots, operation, entry.at(index), view, &mut waiting)?;
    }
    waiting.merge(view)?;
    waiting.flush(view);
    for (key, cell) in cells {
        changes.extend(change(key, &cell));
        store(key, &cell, view);
    }
    Ok(())
}

fn fold(
    slots: &mut Slots,
    operation: &Operation<'_>,
    stamp: Stamp,
    view: &dyn ViewMut,
    waiting: &mut Waiting,
) -> Result<(), ViewError> {
    let mut touch =
        |slot: &mut Slot, field: Option<&str>, value: Option<&[u8]>| -> Result<(), ViewError> {
            slot.touch();
            for name in &operation.names {
                if !slot.drop_head(name) {
                    waiting.wait(view, name, operation.key, || slot_id(field))?;
                }
            }
            slot.supersede(&stamp);
            if !waiting.is_named(stamp.index, operation.key, || slot_id(field)) {
                slot.push(stamp, value.map(<[u8]>::to_vec));
            }
            Ok(())
        };
    match &operation.action {
        Action::Delete => touch(&mut slots.existence, None, None),
        Action::Write { fields, removed } => {
            touch(&mut slots.existence, None, Some(&[]))?;
            let set = fields.iter().map(|(field, value)| (*field, Some(*value)));
            for (field, value) in set.chain(removed.iter().map(|field| (*field, None))) {
                let slot = match slots.fields.get_mut(field) {
                    Some(slot) => slot,
                    None => slots.fields.entry(field.to_owned()).or_default(),
                };
                touch(slot, Some(field), value)?;
            }
            Ok(())
        }
    }
}

/// Returns a slot as dangling names know it: existence, which has no name, or a field.
fn slot_id(field: Option<&str>) -> Vec<u8> {
    let Some(field) = field else { return vec![EXISTENCE] };
    let mut id = Vec::with_capacity(1 + field.len());
    id.push(FIELD);
    id.extend_from_slice(field.as_bytes());
    id
}

/// Says what readers see change: the row's coming or going, or other live versions of a field.
fn change(key: &[u8], cell: &Cell) -> Option<Change> {
    let is_live = cell.slots.is_live();
    let changed = || cell.slots.fields.values().filter(|slot| slot.is_changed());
    let kind = match (cell.was_live, is_live) {
        (false, true) => ChangeKind::Created,
        (true, false) => ChangeKind::Removed,
        (true, true) if changed().next().is_some() => ChangeKind::Updated,
        _ => return None,
    };
    let conflict = if is_live { Conflict::of(changed()) } else { None };
    Some(Change { key: key.to_vec(), kind, conflict })
}

fn store(key: &[u8], cell: &Cell, view: &mut dyn ViewMut) {
    let area = if cell.slots.is_live() { Area::State } else { Area::Buried };
    let row = (!cell.slots.is_empty()).then(|| cell.slots.pack());
    if let Some((rested, _)) = &cell.rested
        && (*rested != area || row.is_none())
    {
        view.remove(*rested, key);
    }
    if let Some(row) = row
        && cell.rested.as_ref().is_none_or(|(rested, old)| *rested != area || *old != row)
    {
        view.put(area, key, row);
    }
}
