//! How operations change rows, for every store made of slots. Everything is read and folded before
//! the first row is written, so that an error leaves the rows as they were.
//!
//! A name that is a head is dropped, at the cost of the operation. What cannot be decided so (a name
//! of a hidden entry, a reset that does not follow all of a counter, an operation that was named
//! before it came) folds the row again by the definition, from all operations on it.

mod cell;
mod definition;
mod listing;
mod new;
mod operation;
mod past;
mod slot;
mod slotted;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

pub(crate) use cell::{Cell, load};
pub(crate) use listing::entries;
pub(crate) use new::is_empty;
pub(crate) use operation::{Effect, Layout, RowOperation, SlotId, Slots};
pub(crate) use slot::{Heads, Slot, unpack_heads};
pub(crate) use slotted::Slotted;

use crate::stamp::{EntryStamp, Stamp};
use crate::store_type::Change;
use crate::view::{ViewError, ViewMut};
use new::NewRows;
use past::{Found, Past};

/// The section that is being applied.
pub(crate) struct Section<'a> {
    pub(crate) entry: &'a EntryStamp,
    /// Gives its payload, of a draft as far as it is written.
    pub(crate) payload: &'a dyn Fn() -> Vec<u8>,
}

/// Applies operations of a section, the first of which has the index `first`. A row that was loaded
/// already, and not written since, may be given.
pub(crate) fn apply<'o, L: Layout>(
    layout: &L,
    section: &Section<'_>,
    first: u32,
    operations: &'o [RowOperation<'_>],
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
    mut loaded: Option<(&'o [u8], Cell)>,
) -> Result<(), ViewError> {
    let entry = section.entry;
    // A row that its only operation makes, as most sections are: there is nothing to fold.
    if let ([operation], None) = (operations, &loaded)
        && entry.is_visible
        && new::makes_row(operation)
    {
        let row = operation.row.as_ref();
        let cell = load(layout, view, row)?;
        if cell.is_absent(view, row, entry)? {
            new::write_row(layout, entry.at(first), operation, view, changes);
            return Ok(());
        }
        loaded = Some((row, cell));
    }
    let mut past = Past::new(layout, entry, operations);
    let all_absent = new::all_absent(operations, entry, view)?;
    let mut made = NewRows::new();
    let mut cells: BTreeMap<&[u8], Cell> = BTreeMap::new();
    if let Some((row, mut cell)) = loaded {
        cell.load_due(view, row, entry)?;
        cells.insert(row, cell);
    }
    for (index, operation) in (first..).zip(operations) {
        let row = operation.row.as_ref();
        if all_absent && !cells.contains_key(row) {
            match made.entry(row) {
                Entry::Vacant(place) if new::makes_row(operation) => {
                    place.insert((entry.at(index), operation));
                    continue;
                }
                Entry::Vacant(_) => {}
                Entry::Occupied(place) => {
                    let (stamp, first) = place.remove();
                    let mut cell = Cell::default();
                    fold(&mut cell, first, stamp, view, &mut past)?;
                    cells.insert(row, cell);
                }
            }
        }
        let cell = match cells.entry(row) {
            Entry::Occupied(cell) => cell.into_mut(),
            Entry::Vacant(place) => {
                let mut cell = load(layout, view, row)?;
                cell.load_due(view, row, entry)?;
                place.insert(cell)
            }
        };
        fold(cell, operation, entry.at(index), view, &mut past)?;
    }
    let before = changes.len();
    finish(layout, cells, Some(section), &BTreeSet::new(), view, changes)?;
    let mixed = changes.len() > before && !made.is_empty();
    new::write(layout, made, view, changes);
    if mixed && let Some(all) = changes.get_mut(before..) {
        all.sort_by(|one, other| one.key.cmp(&other.key));
    }
    Ok(())
}

/// Folds rows again from every entry that touched them, those in `with` among them, by what they
/// are now.
pub(crate) fn refold<L: Layout>(
    layout: &L,
    rows: &BTreeSet<Vec<u8>>,
    with: &BTreeSet<[u8; 32]>,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
) -> Result<(), ViewError> {
    let mut cells = BTreeMap::new();
    for row in rows {
        let mut cell = load(layout, view, row)?;
        cell.again = true;
        cells.insert(row.as_slice(), cell);
    }
    finish(layout, cells, None, with, view, changes)
}

fn finish<L: Layout>(
    layout: &L,
    mut cells: BTreeMap<&[u8], Cell>,
    section: Option<&Section<'_>>,
    with: &BTreeSet<[u8; 32]>,
    view: &mut dyn ViewMut,
    changes: &mut Vec<Change>,
) -> Result<(), ViewError> {
    let mut again = Vec::new();
    for (row, cell) in &mut cells {
        if cell.again {
            again.push((*row, cell));
        } else {
            cell.merge_waiting(view, row)?;
        }
    }
    definition::fold_again(layout, &mut again, section, with, view)?;
    for (row, cell) in cells {
        changes.extend(cell.change::<L>(row));
        cell.store(layout, row, view);
    }
    Ok(())
}

/// Folds one operation into the slots of its row.
fn fold<L: Layout>(
    cell: &mut Cell,
    operation: &RowOperation<'_>,
    stamp: Stamp,
    view: &dyn ViewMut,
    past: &mut Past<'_, L>,
) -> Result<(), ViewError> {
    cell.again |= !past.is_visible() || cell.is_due(stamp.index);
    let mut met = vec![false; operation.names.len()];
    for (id, effect) in &operation.touches {
        cell.slots.change(*id, Slot::touch);
        for (name, met) in operation.names.iter().zip(&mut met) {
            if let Some(dropped) = cell.slots.change(*id, |slot| slot.drop_head(name)) {
                *met = true;
                if dropped.entry != stamp.entry {
                    cell.list(&dropped);
                }
            }
        }
        let whole = cell.slots.change(*id, |slot| push(slot, stamp, *effect));
        cell.again |= *effect == Effect::Reset && !whole;
    }
    // What was a head in one slot is void, or replaced already, in the others.
    let missed = operation.names.iter().zip(&met).filter(|(_, met)| !**met);
    for (name, _) in missed {
        for (id, effect) in &operation.touches {
            match past.find(view, name, operation.row.as_ref(), *id)? {
                // It is replaced; but it may be an increment that another one follows.
                Found::Visible => cell.again |= *effect == Effect::Reset,
                Found::Hidden => cell.again = true,
                Found::Nothing => cell.wait(name, *id),
                Found::Void => {}
            }
        }
    }
    Ok(())
}

/// Puts an operation on top of the heads that it leaves, and returns whether it leaves none.
fn push(slot: &mut Slot, stamp: Stamp, effect: Effect<'_>) -> bool {
    slot.touch();
    slot.supersede(&stamp);
    let whole = slot.heads().is_empty();
    match effect {
        Effect::Add(amount) => slot.add(amount),
        Effect::Reset => slot.reset(),
        Effect::Set(_) | Effect::Remove => {}
    }
    slot.push(stamp, effect.value());
    whole
}

#[cfg(test)]
mod tests;
