//! The rows of one store in memory, for tests of store types, the app's own included.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use crate::view::{Area, View, ViewError, ViewMut, VisitRow};

/// Keeps the rows of one store in ordered maps.
///
/// Call [`MemoryView::mark_applied`] after each section that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryView {
    rows: BTreeMap<(Area, Vec<u8>), Vec<u8>>,
    applied: BTreeSet<[u8; 32]>,
}

impl MemoryView {
    /// Makes a view without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers that the section of an entry was applied.
    pub fn mark_applied(&mut self, entry: [u8; 32]) {
        self.applied.insert(entry);
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
        let from = match from {
            Bound::Included(key) => Bound::Included((area, key.to_vec())),
            Bound::Excluded(key) => Bound::Excluded((area, key.to_vec())),
            Bound::Unbounded => Bound::Included((area, Vec::new())),
        };
        // The rows from `from` on are in order, so the end is a plain test; a map's own range
        // would panic when the end lies before the start.
        let inside = |key: &(Area, Vec<u8>)| {
            key.0 == area
                && match to {
                    Bound::Included(to) => key.1.as_slice() <= to,
                    Bound::Excluded(to) => key.1.as_slice() < to,
                    Bound::Unbounded => true,
                }
        };
        let rows = self.rows.range((from, Bound::Unbounded)).take_while(|(key, _)| inside(key));
        let mut show = |row: (&(Area, Vec<u8>), &Vec<u8>)| visit(&row.0.1, row.1);
        if reverse {
            let rows: Vec<_> = rows.collect();
            let _: ControlFlow<()> = rows.into_iter().rev().try_for_each(&mut show);
        } else {
            let mut rows = rows;
            let _: ControlFlow<()> = rows.try_for_each(&mut show);
        }
        Ok(())
    }

    fn is_applied(&self, entry: &[u8; 32]) -> Result<bool, ViewError> {
        Ok(self.applied.contains(entry))
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
