//! The definition of a row: what its operations come to, whatever the order in which they came.
//!
//! An operation reaches what it names, and through a hidden one what that reaches. A visible
//! operation that no visible one reaches is a head. A later operation of an entry on a slot names the
//! earlier one. In a counter an increment replaces nothing: what counts are the visible increments
//! that no visible reset reaches through any operations.

use std::collections::{BTreeMap, BTreeSet};

use super::Section;
use super::cell::{Cell, Waiting};
use super::listing::{self, EntryTime};
use super::operation::{Effect, Layout, RowOperation, SlotId, Slots};
use super::slot::{Heads, Slot, Total};
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::view::{ViewError, ViewMut};

/// An operation on one slot.
struct Operation {
    stamp: Stamp,
    is_visible: bool,
    /// What it names on this slot.
    names: Vec<Dot>,
    value: Option<Vec<u8>>,
    /// What it adds to a counter, `None` for a reset; nothing for a register.
    counts: Option<Option<i64>>,
}

/// A slot's operations, by their identity.
type Operations = BTreeMap<Dot, Operation>;

/// The operations of a row: those of the main slot, and of each field.
#[derive(Default)]
struct Row {
    main: Operations,
    fields: BTreeMap<String, Operations>,
}

/// How many rows are folded at once: each section is read and decoded once for all of them.
const ROWS_AT_ONCE: usize = 4_096;

/// Folds rows from all entries that touched them: those that their heads and the listing tell, those
/// in `with`, and the section that is being applied.
pub(super) fn fold_again<L: Layout>(
    layout: &L,
    cells: &mut [(&[u8], &mut Cell)],
    section: Option<&Section<'_>>,
    with: &BTreeSet<[u8; 32]>,
    view: &dyn ViewMut,
) -> Result<(), ViewError> {
    for cells in cells.chunks_mut(ROWS_AT_ONCE) {
        let mut rows = Rows::new();
        let mut entries: BTreeSet<[u8; 32]> = with.clone();
        for (key, cell) in &*cells {
            let before = cell.before(layout, key);
            let listed = listing::listed(view, key)?;
            let known = listed.into_iter().chain(listing::heads(&before)).chain(cell.noted());
            entries.extend(known.map(|(_, entry)| entry));
            rows.insert(key, (before, Row::default()));
        }
        if let Some(section) = section {
            entries.remove(&section.entry.entry);
            take(layout, &mut rows, section.entry, &(section.payload)());
        }
        for entry in &entries {
            if let Some(applied) = view.applied(entry)? {
                take(layout, &mut rows, &applied.stamp, &applied.payload);
            }
        }
        for (key, cell) in cells {
            if let Some((before, row)) = rows.remove(*key) {
                let (slots, listed, waiting) = row.come_to(&before);
                cell.replace(view, key, slots, listed, waiting)?;
            }
        }
    }
    Ok(())
}

/// Rows by their keys, each with the slots that it had.
type Rows<'a> = BTreeMap<&'a [u8], (Slots, Row)>;

/// Adds what a section does to the rows.
fn take<L: Layout>(layout: &L, rows: &mut Rows<'_>, entry: &EntryStamp, payload: &[u8]) {
    // A void section does nothing.
    let operations = layout.decode(payload, entry.entry).unwrap_or_default();
    for (index, operation) in (0..).zip(&operations) {
        if let Some((_, row)) = rows.get_mut(operation.row.as_ref()) {
            row.take(operation, entry.at(index), entry.is_visible);
        }
    }
}

impl Row {
    /// Adds what an operation does to the row; those of one entry come by index.
    fn take(&mut self, operation: &RowOperation<'_>, stamp: Stamp, is_visible: bool) {
        for (id, effect) in &operation.touches {
            let slot = match id {
                SlotId::Main => &mut self.main,
                SlotId::Field(field) => self.fields.entry((*field).to_owned()).or_default(),
            };
            let mut names = operation.names.clone();
            let first = Stamp { index: 0, ..stamp }.dot();
            names.extend(slot.range(first..stamp.dot()).next_back().map(|(dot, _)| *dot));
            let counts = match effect {
                Effect::Add(amount) => Some(Some(*amount)),
                Effect::Reset => Some(None),
                Effect::Set(_) | Effect::Remove => None,
            };
            let value = effect.value();
            slot.insert(stamp.dot(), Operation { stamp, is_visible, names, value, counts });
        }
    }

    /// Returns the slots, the entries to be listed, and the names that wait.
    fn come_to(self, before: &Slots) -> (Slots, BTreeSet<EntryTime>, Waiting) {
        let (mut listed, mut waiting) = (BTreeSet::new(), Waiting::new());
        let every = std::iter::once(&self.main).chain(self.fields.values());
        let all: BTreeSet<Dot> = every.flat_map(BTreeMap::keys).copied().collect();
        let mut come_to = |id: SlotId<'_>, operations: &Operations, before: Option<&Slot>| {
            let mut slot = slot_of(operations);
            slot.succeed(before.unwrap_or(&Slot::default()));
            list(operations, &slot, &mut listed);
            wait(operations, id, &all, &mut waiting);
            slot
        };
        let main = come_to(SlotId::Main, &self.main, Some(&before.main));
        let mut slots = Slots { main, fields: BTreeMap::new() };
        for (field, operations) in &self.fields {
            let slot = come_to(SlotId::Field(field), operations, before.fields.get(field));
            slots.fields.insert(field.clone(), slot);
        }
        // A field that no entry has any more still is a change.
        for (field, old) in &before.fields {
            if !self.fields.contains_key(field) {
                let mut gone = Slot::default();
                gone.succeed(old);
                slots.fields.insert(field.clone(), gone);
            }
        }
        (slots, listed, waiting)
    }
}

/// Returns what a slot comes to.
fn slot_of(operations: &Operations) -> Slot {
    let visible = || operations.values().filter(|operation| operation.is_visible);
    let reached = reach(operations, visible(), |operation| !operation.is_visible);
    let heads = visible().filter(|operation| !reached.contains(&operation.stamp.dot()));
    let heads: Heads = heads.map(|operation| (operation.stamp, operation.value.clone())).collect();
    if operations.values().all(|operation| operation.counts.is_none()) {
        return Slot::from_heads(heads);
    }
    let resets = visible().filter(|operation| operation.counts == Some(None));
    let gone = reach(operations, resets, |_| true);
    let mut total = Total::default();
    for operation in visible().filter(|operation| !gone.contains(&operation.stamp.dot())) {
        if let Some(Some(amount)) = operation.counts {
            total.sum = total.sum.saturating_add(i128::from(amount));
            total.count = total.count.saturating_add(1);
        }
    }
    Slot::counting(heads, total)
}

/// Returns what is reached from these operations, going on through those that `leads` says.
fn reach<'a>(
    operations: &'a Operations,
    from: impl Iterator<Item = &'a Operation>,
    leads: impl Fn(&Operation) -> bool,
) -> BTreeSet<Dot> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&Dot> = from.flat_map(|operation| &operation.names).collect();
    while let Some(dot) = ahead.pop() {
        let Some(operation) = operations.get(dot) else { continue };
        if reached.insert(*dot) && leads(operation) {
            ahead.extend(&operation.names);
        }
    }
    reached
}

/// Lists the entries whose last operation on the slot is no head.
fn list(operations: &Operations, slot: &Slot, listed: &mut BTreeSet<EntryTime>) {
    let mut last: BTreeMap<EntryTime, Stamp> = BTreeMap::new();
    for operation in operations.values() {
        // They come by index.
        last.insert(listing::of_stamp(&operation.stamp), operation.stamp);
    }
    let lost = last.into_iter().filter(|(_, stamp)| !slot.heads().contains_key(stamp));
    listed.extend(lost.map(|(entry, _)| entry).filter(|(_, entry)| {
        // What a transaction wrote itself is told by its draft.
        *entry != EntryStamp::PROVISIONAL.entry
    }));
}

/// Notes the names of what is no operation on the row.
fn wait(operations: &Operations, id: SlotId<'_>, all: &BTreeSet<Dot>, waiting: &mut Waiting) {
    for operation in operations.values() {
        let own = operation.stamp.entry;
        for name in operation.names.iter().filter(|name| name.entry != own && !all.contains(name)) {
            waiting.entry(*name).or_default().insert(id.encode());
        }
    }
}
