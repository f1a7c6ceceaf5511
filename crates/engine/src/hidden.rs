//! The rows of hidden entries: how large each is, its children, and which of them have none.
//!
//! Invariant: there are rows for hidden entries and for no others, so what nobody hides costs
//! nothing; every stored child of a hidden entry has a row under it.

use std::ops::ControlFlow;

use weald_dag::{Entry, KeyRange, Number, Order, Overlay, Snapshot, Space, StoreError};

/// Kind, number and more → what is told of it.
pub(crate) const fn hidden(database: u32) -> Space {
    Space::new("hidden", database)
}

/// Number → how many bytes the entry has, and whether it came hidden.
const SIZE: u8 = 0;
/// Number and that of a child → nothing.
const CHILD: u8 = 1;
/// Number of an entry without children → nothing.
const END: u8 = 2;
/// Nothing → how many of those that came hidden nobody needs, their bytes, and how many were dropped.
const UNNEEDED: u8 = 3;

fn key(kind: u8, number: Number) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&number.key());
    key
}

fn child_key(parent: Number, child: Number) -> Vec<u8> {
    let mut key = key(CHILD, parent);
    key.extend_from_slice(&child.key());
    key
}

fn number_at_end(key: &[u8]) -> Option<Number> {
    key.split_last_chunk().map(|(_, number)| Number(u64::from_be_bytes(*number)))
}

fn damaged(database: u32) -> StoreError {
    let what = format!("a row of space 'hidden' of database number {database}");
    StoreError::Corrupt { what }
}

/// Returns how many bytes an entry has with its payloads, as its body tells.
pub(crate) fn bytes_of(entry: &Entry) -> u64 {
    let payloads = entry.sections().iter().map(|section| section.length);
    payloads.fold(entry.body().len() as u64, u64::saturating_add)
}

/// What is told of one hidden entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many bytes it has with its payloads.
    pub(crate) bytes: u64,
    /// Whether it was never visible here. Of what was, this may be the last replica that has it when
    /// the limit is taken back, so it never makes room for others.
    pub(crate) came_hidden: bool,
}

impl Size {
    fn row(self) -> Vec<u8> {
        let mut row = self.bytes.to_be_bytes().to_vec();
        row.push(u8::from(self.came_hidden));
        row
    }

    fn of_row(row: &[u8]) -> Option<Self> {
        let (came_hidden, bytes) = row.split_last()?;
        let bytes = u64::from_be_bytes(bytes.try_into().ok()?);
        (*came_hidden <= 1).then_some(Self { bytes, came_hidden: *came_hidden == 1 })
    }
}

/// Stages the rows of an entry that is hidden from now on.
pub(crate) fn hide(
    rows: &mut Overlay,
    database: u32,
    number: Number,
    size: Size,
    children: &[Number],
) {
    rows.put(hidden(database), key(SIZE, number), size.row());
    for child in children {
        rows.put(hidden(database), child_key(number, *child), []);
    }
    if children.is_empty() {
        rows.put(hidden(database), key(END, number), []);
    }
}

/// Stages that an entry has no rows here any more; it is shown, or dropped.
pub(crate) fn show(rows: &mut Overlay, database: u32, number: Number) -> Result<(), StoreError> {
    for child in children(rows, database, number)? {
        rows.remove(hidden(database), child_key(number, child));
    }
    rows.remove(hidden(database), key(SIZE, number));
    rows.remove(hidden(database), key(END, number));
    Ok(())
}

/// Stages a child of a hidden entry.
pub(crate) fn add_child(rows: &mut Overlay, database: u32, parent: Number, child: Number) {
    rows.remove(hidden(database), key(END, parent));
    rows.put(hidden(database), child_key(parent, child), []);
}

/// Stages that a hidden entry has lost a child; returns whether that was the last.
pub(crate) fn remove_child(
    rows: &mut Overlay,
    database: u32,
    parent: Number,
    child: Number,
) -> Result<bool, StoreError> {
    rows.remove(hidden(database), child_key(parent, child));
    let mut is_last = true;
    let range = KeyRange::prefix(&key(CHILD, parent));
    rows.range(hidden(database), range, Order::Ascending, &mut |_, _| {
        is_last = false;
        ControlFlow::Break(())
    })?;
    if is_last {
        rows.put(hidden(database), key(END, parent), []);
    }
    Ok(is_last)
}

/// Returns what is told of a hidden entry.
pub(crate) fn size(rows: &dyn Snapshot, database: u32, number: Number) -> Result<Size, StoreError> {
    let row = rows.get(hidden(database), &key(SIZE, number))?;
    row.and_then(|row| Size::of_row(&row)).ok_or_else(|| damaged(database))
}

/// Returns the children of a hidden entry, ascending.
pub(crate) fn children(
    rows: &dyn Snapshot,
    database: u32,
    number: Number,
) -> Result<Vec<Number>, StoreError> {
    listed(rows, database, &key(CHILD, number))
}

/// Returns the hidden entries without children, ascending.
pub(crate) fn ends(rows: &dyn Snapshot, database: u32) -> Result<Vec<Number>, StoreError> {
    listed(rows, database, &[END])
}

/// Returns the entries that came hidden and are so still, as far as their rows can be read.
pub(crate) fn came_hidden(rows: &dyn Snapshot, database: u32) -> Result<Vec<Number>, StoreError> {
    let mut found = Vec::new();
    let range = KeyRange::prefix(&[SIZE]);
    rows.range(hidden(database), range, Order::Ascending, &mut |key, row| {
        let came_hidden = Size::of_row(row).is_some_and(|size| size.came_hidden);
        found.extend(number_at_end(key).filter(|_| came_hidden));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn listed(rows: &dyn Snapshot, database: u32, prefix: &[u8]) -> Result<Vec<Number>, StoreError> {
    let mut found = Vec::new();
    let range = KeyRange::prefix(prefix);
    rows.range(hidden(database), range, Order::Ascending, &mut |key, _| {
        found.push(number_at_end(key));
        ControlFlow::Continue(())
    })?;
    found.into_iter().collect::<Option<_>>().ok_or_else(|| damaged(database))
}

/// How much is kept of each database that came hidden and that nobody needs. When more of it comes,
/// what is there is dropped, but for settings; where that makes no room, what comes is not stored.
/// What was visible here once is not counted and stays: who takes a limit back finds it.
///
/// Default: [`HIDDEN_ENTRIES_MAX`] and [`HIDDEN_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenMax {
    /// How many entries.
    pub entries: u64,
    /// How many bytes in them, payloads included.
    pub bytes: u64,
}

/// How many hidden entries are kept that nobody needs.
pub const HIDDEN_ENTRIES_MAX: u64 = 1 << 17;
/// How many bytes of hidden entries are kept that nobody needs.
pub const HIDDEN_BYTES_MAX: u64 = 256 << 20;

impl Default for HiddenMax {
    fn default() -> Self {
        Self { entries: HIDDEN_ENTRIES_MAX, bytes: HIDDEN_BYTES_MAX }
    }
}

/// How much is kept that came hidden and that nobody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unneeded {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// How many were dropped so far.
    pub(crate) dropped: u64,
}

impl Unneeded {
    pub(crate) fn load(rows: &dyn Snapshot, database: u32) -> Result<Self, StoreError> {
        let Some(row) = rows.get(hidden(database), &[UNNEEDED])? else {
            return Ok(Self::default());
        };
        let mut words = row.chunks(8).map(|word| word.try_into().map(u64::from_be_bytes));
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(Ok(entries)), Some(Ok(bytes)), Some(Ok(dropped)), None) => {
                Ok(Self { entries, bytes, dropped })
            }
            _ => Err(damaged(database)),
        }
    }

    pub(crate) fn save(self, rows: &mut Overlay, database: u32) {
        if self == Self::default() {
            return rows.remove(hidden(database), [UNNEEDED]);
        }
        let row = [self.entries, self.bytes, self.dropped].map(u64::to_be_bytes).concat();
        rows.put(hidden(database), [UNNEEDED], row);
    }

    /// Returns whether an entry of so many bytes fits.
    pub(crate) const fn has_room(self, bytes: u64, max: HiddenMax) -> bool {
        self.entries < max.entries && self.bytes.saturating_add(bytes) <= max.bytes
    }

    pub(crate) const fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) const fn take(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
