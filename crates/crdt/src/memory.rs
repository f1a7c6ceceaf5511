//! The rows of one store in memory, for tests of store types, the app's own included.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::stamp::EntryStamp;
use crate::view::{Applied, Area, View, ViewError, ViewMut, VisitRow};

/// Keeps the rows of one store in ordered maps.
///
/// Call [`MemoryView::mark_applied`] after each section that was applied.
#[derive(Clone, Debug, Default)]
pub struct MemoryView {
    rows: BTreeMap<(Area, Vec<u8>), Vec<u8>>,
    applied: BTreeMap<[u8; 32], Applied>,
}

impl MemoryView {
    /// Makes a view without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a section that was applied, or that its entry stands otherwise now.
    pub fn mark_applied(&mut self, stamp: EntryStamp, payload: &[u8]) {
        self.applied.insert(stamp.entry, Applied { stamp, payload: payload.to_vec() });
    }

    /// Forgets a section: its entry is not needed any more.
    pub fn mark_unneeded(&mut self, entry: &[u8; 32]) {
        self.applied.remove(entry);
    }

    /// Returns all rows, in order of area and key.
    pub fn rows(&self) -> impl Iterator<Item = (Area, &[u8], &[u8])> {
        self.rows.iter().map(|((area, key), value)| (*area, key.as_slice(), value.as_slice()))
    }

    /// Returns the rows of one area, in order of keys.
    pub fn area(&self, area: Area) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows().filter(move |row| row.0 == area).map(|(_, key, value)| (key, value))
    }
}

/// Two views are equal if their rows are, but for those of [`Area::Local`].
impl PartialEq for MemoryView {
    fn eq(&self, other: &Self) -> bool {
        let shared = |row: &(Area, &[u8], &[u8])| row.0 != Area::Local;
        self.rows().filter(shared).eq(other.rows().filter(shared))
    }
}

impl Eq for MemoryView {}

/// Returns whether nothing lies between the bounds; a map panics on some of these.
fn is_empty<T: Ord>(from: &Bound<T>, to: &Bound<T>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

impl View for MemoryView {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.rows.get(&(area, key.to_vec())).cloned())
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ViewError> {
        // The areas are neighbours in the map: an open end is the start of the next one.
        let from = match from {
            Bound::Included(key) => Bound::Included((area, key.to_vec())),
            Bound::Excluded(key) => Bound::Excluded((area, key.to_vec())),
            Bound::Unbounded => Bound::Included((area, Vec::new())),
        };
        let to = match (to, area) {
            (Bound::Included(key), _) => Bound::Included((area, key.to_vec())),
            (Bound::Excluded(key), _) => Bound::Excluded((area, key.to_vec())),
            (Bound::Unbounded, Area::State) => Bound::Excluded((Area::Buried, Vec::new())),
            (Bound::Unbounded, Area::Buried) => Bound::Excluded((Area::Dangling, Vec::new())),
            (Bound::Unbounded, Area::Dangling) => Bound::Excluded((Area::History, Vec::new())),
            (Bound::Unbounded, Area::History) => Bound::Excluded((Area::Local, Vec::new())),
            (Bound::Unbounded, Area::Local) => Bound::Unbounded,
        };
        if is_empty(&from, &to) {
            return Ok(());
        }
        let mut rows = self.rows.range((from, to));
        let mut show = |row: (&(Area, Vec<u8>), &Vec<u8>)| visit(&row.0.1, row.1);
        let _: ControlFlow<()> =
            if reverse { rows.rev().try_for_each(&mut show) } else { rows.try_for_each(&mut show) };
        Ok(())
    }

    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        Ok(self.applied.get(entry).cloned())
    }
}

impl ViewMut for MemoryView {
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>) {
        self.rows.insert((area, key.to_vec()), value);
    }

    fn remove(&mut self, area: Area, key: &[u8]) {
        self.rows.remove(&(area, key.to_vec()));
    }
}
