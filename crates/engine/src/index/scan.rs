//! Reading an index: a page of rows at a time, from a position on.
//!
//! Invariant: an index that is being built gives the same pages as one that is ready, by a scan of
//! its store that keeps no more rows than were asked for.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use weald_crdt::{Area, Value};
use weald_dag::{KeyRange, Order, Snapshot, StoreError};

use super::definition::{IndexDefinition, field, indexes};
use super::range::IndexRange;
use super::upkeep::{self, IndexRow, index_row, left_out, ordered, show};
use crate::fold::StoreTypes;
use crate::view::space_of;

/// A row that an index has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Its place in the index: values and key. Positions sort as the index does.
    pub position: Vec<u8>,
    /// How much of the position is values; rows with equal values have this much in common.
    pub values: usize,
    /// Whether a value was cut, so that rows with other values have the same bytes in their place.
    pub was_cut: bool,
    /// The row of state, as it rests.
    pub row: Vec<u8>,
}

impl Indexed {
    /// Returns the key of the row of state, relative to its store.
    pub fn key(&self) -> &[u8] {
        self.position.get(self.values..).unwrap_or_default()
    }
}

/// One index of a database, for reading.
pub struct IndexScan<'a> {
    /// All rows.
    pub rows: &'a dyn Snapshot,
    /// The local number of the database.
    pub database: u32,
    /// The types of stores.
    pub types: &'a StoreTypes,
    /// The index.
    pub definition: &'a IndexDefinition,
}

impl IndexScan<'_> {
    /// Returns up to `count` rows of a range in the order of the index or against it, from behind
    /// the position `after` on; `None` if the index cannot be asked for the range.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn page(
        &self,
        range: &IndexRange,
        after: Option<&[u8]>,
        order: Order,
        count: usize,
    ) -> Result<Option<Vec<Indexed>>, StoreError> {
        let Some(keys) = self.keys(range, after, order) else { return Ok(None) };
        let mut found = Vec::new();
        if count == 0 {
            return Ok(Some(found));
        }
        if !self.definition.is_ready() {
            return self.scan(range, &keys, order, count).map(Some);
        }
        let mut failed = None;
        self.each(keys, order, &mut |indexed| {
            match self.row(range, indexed) {
                Ok(row) => found.extend(row),
                Err(error) => failed = Some(error),
            }
            let more = failed.is_none() && found.len() < count;
            if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failed.map_or(Ok(Some(found)), Err)
    }

    /// Counts the rows of a range; `None` if the index cannot be asked for the range.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn count(&self, range: &IndexRange) -> Result<Option<u64>, StoreError> {
        let Some(keys) = self.keys(range, None, Order::Ascending) else { return Ok(None) };
        let mut count = 0;
        if !self.definition.is_ready() {
            self.each_row(range, &keys, &mut |_, _| count += 1)?;
            return Ok(Some(count));
        }
        let mut failed = None;
        self.each(keys, Order::Ascending, &mut |indexed| {
            // Only what was cut has to be looked at again.
            if indexed.was_cut {
                match self.row(range, indexed) {
                    Ok(row) => count += u64::from(row.is_some()),
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            } else {
                count += 1;
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(Some(count)), Err)
    }

    /// Counts the rows that are in no range because they hold a list or a map where the index
    /// orders by; only of an index that is ready.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn left_out(&self) -> Result<u64, StoreError> {
        let (mut count, range) = (0, KeyRange::prefix(&left_out(self.definition.number)));
        self.rows.range(indexes(self.database), range, Order::Ascending, &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Returns what a row holds in the fields of the index, whole; `None` where there is nothing.
    pub fn values(&self, indexed: &Indexed) -> Vec<Option<Value>> {
        let store_type = self.types.get(&self.definition.type_name);
        let row = store_type.and_then(|one| show(&**one, indexed.key(), &indexed.row));
        let fields = self.definition.shape.fields.iter();
        fields.map(|path| field(row.as_ref()?, path).cloned()).collect()
    }

    /// Returns the keys of index rows that a range asks for, behind a position.
    fn keys(&self, range: &IndexRange, after: Option<&[u8]>, order: Order) -> Option<KeyRange> {
        let head = ordered(self.definition.number);
        let place = |key: &[u8]| [head.as_slice(), key].concat();
        let whole = KeyRange::prefix(&head);
        let put = |bound: Bound<Vec<u8>>, outside| match bound {
            Bound::Included(key) => Bound::Included(place(&key)),
            Bound::Excluded(key) => Bound::Excluded(place(&key)),
            Bound::Unbounded => outside,
        };
        if !range.fits(self.definition) {
            return None;
        }
        let KeyRange { from, to } = range.keys()?;
        let mut keys = KeyRange { from: put(from, whole.from), to: put(to, whole.to) };
        // A position that lies outside leaves the range as it is, or leaves nothing of it.
        if let Some(after) = after.map(place) {
            match order {
                Order::Ascending if !starts_behind(&keys.from, &after) => {
                    keys.from = Bound::Excluded(after);
                }
                Order::Descending if !ends_before(&keys.to, &after) => {
                    keys.to = Bound::Excluded(after);
                }
                _ => {}
            }
        }
        Some(keys)
    }

    fn each(
        &self,
        keys: KeyRange,
        order: Order,
        visit: &mut dyn FnMut(Indexed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let head = ordered(self.definition.number).len();
        let mut damaged = false;
        self.rows.range(indexes(self.database), keys, order, &mut |key, value| match (
            key.get(head..),
            upkeep::decode(value),
        ) {
            (Some(position), Some((values, was_cut))) => {
                let position = position.to_vec();
                visit(Indexed { position, values, was_cut, row: Vec::new() })
            }
            _ => {
                damaged = true;
                ControlFlow::Break(())
            }
        })?;
        if damaged { Err(self.damaged()) } else { Ok(()) }
    }

    fn damaged(&self) -> StoreError {
        let IndexDefinition { name, store, .. } = self.definition;
        let what = format!("the index '{name}' of store '{store}'; drop it and declare it again");
        StoreError::Corrupt { what }
    }

    /// Reads the row that an index row tells of; `None` if it was only cut alike.
    fn row(&self, range: &IndexRange, indexed: Indexed) -> Result<Option<Indexed>, StoreError> {
        let key = self.definition.place(self.database).key(indexed.key());
        let row = self.rows.get(space_of(Area::State, self.database), &key)?;
        let Some(row) = row else { return Err(self.damaged()) };
        let store_type = self.types.get(&self.definition.type_name);
        let is_asked_for = !indexed.was_cut || {
            let value = store_type.and_then(|one| show(&**one, indexed.key(), &row));
            value.is_some_and(|value| range.holds(self.definition, &value))
        };
        Ok(is_asked_for.then_some(Indexed { row, ..indexed }))
    }

    /// Returns a page of an index that is not ready: the first rows of a range among all.
    fn scan(
        &self,
        range: &IndexRange,
        keys: &KeyRange,
        order: Order,
        count: usize,
    ) -> Result<Vec<Indexed>, StoreError> {
        let mut first = BTreeMap::new();
        let head = ordered(self.definition.number).len();
        self.each_row(range, keys, &mut |index_row, row| {
            let IndexRow { key, value } = index_row;
            first.insert(key, (value, row.to_vec()));
            if first.len() > count {
                match order {
                    Order::Ascending => first.pop_last(),
                    Order::Descending => first.pop_first(),
                };
            }
        })?;
        let found = first.into_iter().filter_map(|(key, (value, row))| {
            let (values, was_cut) = upkeep::decode(&value)?;
            Some(Indexed { position: key.get(head..)?.to_vec(), values, was_cut, row })
        });
        let mut found: Vec<_> = found.collect();
        if order == Order::Descending {
            found.reverse();
        }
        Ok(found)
    }

    /// Visits all rows of the store that lie in a range, by their own keys.
    fn each_row(
        &self,
        range: &IndexRange,
        keys: &KeyRange,
        visit: &mut dyn FnMut(IndexRow, &[u8]),
    ) -> Result<(), StoreError> {
        let place = self.definition.place(self.database);
        let Some(store_type) = self.types.get(&self.definition.type_name) else { return Ok(()) };
        let all = place.range(Bound::Unbounded, Bound::Unbounded);
        let space = space_of(Area::State, self.database);
        self.rows.range(space, all, Order::Ascending, &mut |key, row| {
            let Some(key) = place.relative(key) else { return ControlFlow::Continue(()) };
            let Some(value) = show(&**store_type, key, row) else {
                return ControlFlow::Continue(());
            };
            if let Some(index_row) = index_row(self.definition, &value, key)
                && keys.contains(&index_row.key)
                && range.holds(self.definition, &value)
            {
                visit(index_row, row);
            }
            ControlFlow::Continue(())
        })
    }
}

/// Returns whether a range starts behind a key.
fn starts_behind(from: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match from {
        Bound::Included(from) | Bound::Excluded(from) => from.as_slice() > key,
        Bound::Unbounded => false,
    }
}

/// Returns whether a range ends before a key.
fn ends_before(to: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match to {
        Bound::Included(to) | Bound::Excluded(to) => to.as_slice() < key,
        Bound::Unbounded => false,
    }
}
