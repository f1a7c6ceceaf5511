//! A part of an order in a snapshot: its rows, page by page.
//!
//! Invariant: a page costs its own rows, unless the index is still being built.

use std::ops::{Bound, ControlFlow};

use weald_crdt::{Area, Value, View};
use weald_dag::{KeyRange, Order, Visit};
use weald_engine::{IndexDefinition, IndexRange, IndexScan, store_error};

use crate::error::ReadError;
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// A part of an order as the rows have it.
pub(crate) enum Found {
    Keys(KeyRange),
    Index(Box<IndexDefinition>, IndexRange),
}

/// A row that was found, as it rests.
pub(super) struct RawRow {
    pub(super) position: Vec<u8>,
    /// How much of the position is not the key.
    pub(super) values: usize,
    pub(super) row: Vec<u8>,
}

impl RawRow {
    pub(super) fn key(&self) -> &[u8] {
        self.position.get(self.values..).unwrap_or_default()
    }
}

impl Found {
    /// Returns up to `count` rows from behind a position on.
    pub(super) fn page(
        &self,
        rows: &Rows,
        store: &StoreRef,
        after: Option<&[u8]>,
        order: Order,
        count: usize,
    ) -> Result<Vec<RawRow>, ReadError> {
        match self {
            Self::Keys(keys) => key_page(keys, rows, store, after, order, count),
            Self::Index(definition, range) => {
                let (database, types) = (store.database, &store.core.types);
                let scan = IndexScan { rows, database, types, definition };
                let found = scan.page(range, after, order, count)?.unwrap_or_default();
                Ok(found.into_iter().map(RawRow::from).collect())
            }
        }
    }

    /// Counts the rows.
    pub(super) fn count(&self, rows: &Rows, store: &StoreRef) -> Result<u64, ReadError> {
        match self {
            Self::Keys(keys) => {
                let mut count = 0;
                each(keys, rows, store, Order::Ascending, &mut |_, _| {
                    count += 1;
                    ControlFlow::Continue(())
                })?;
                Ok(count)
            }
            Self::Index(definition, range) => {
                let (database, types) = (store.database, &store.core.types);
                let scan = IndexScan { rows, database, types, definition };
                Ok(scan.count(range)?.unwrap_or_default())
            }
        }
    }

    /// Returns bytes that no other part of any order of the store has.
    pub(super) fn identity(&self) -> Vec<u8> {
        let bound = |bound: Bound<Value>| match bound {
            Bound::Included(value) => Value::List(vec![Value::Bool(true), value]),
            Bound::Excluded(value) => Value::List(vec![Value::Bool(false), value]),
            Bound::Unbounded => Value::Null,
        };
        let parts = match self {
            Self::Keys(keys) => {
                let (from, to) = (keys.from.clone(), keys.to.clone());
                vec![bound(from.map(Value::Bytes)), bound(to.map(Value::Bytes))]
            }
            Self::Index(definition, range) => vec![
                Value::from(definition.number()),
                Value::List(range.equal.clone()),
                bound(range.from.clone()),
                bound(range.to.clone()),
                range.start.clone().map_or(Value::Null, Value::Text),
            ],
        };
        // Values with an order have an encoding.
        Value::List(parts).encode().unwrap_or_default()
    }
}

impl From<weald_engine::Indexed> for RawRow {
    fn from(found: weald_engine::Indexed) -> Self {
        Self { position: found.position, values: found.values, row: found.row }
    }
}

fn key_page(
    keys: &KeyRange,
    rows: &Rows,
    store: &StoreRef,
    after: Option<&[u8]>,
    order: Order,
    count: usize,
) -> Result<Vec<RawRow>, ReadError> {
    let mut keys = keys.clone();
    // A position that lies outside of the range is no position of this query.
    if let Some(after) = after.filter(|after| keys.contains(after)) {
        match order {
            Order::Ascending => keys.from = Bound::Excluded(after.to_vec()),
            Order::Descending => keys.to = Bound::Excluded(after.to_vec()),
        }
    }
    let mut found = Vec::new();
    if count == 0 {
        return Ok(found);
    }
    each(&keys, rows, store, order, &mut |key, row| {
        found.push(RawRow { position: key.to_vec(), values: 0, row: row.to_vec() });
        if found.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

fn each(
    keys: &KeyRange,
    rows: &Rows,
    store: &StoreRef,
    order: Order,
    visit: &mut Visit<'_>,
) -> Result<(), ReadError> {
    if keys.is_empty() {
        return Ok(());
    }
    let from = keys.from.as_ref().map(Vec::as_slice);
    let to = keys.to.as_ref().map(Vec::as_slice);
    let reverse = order == Order::Descending;
    let visited = store.view(rows).range(Area::State, from, to, reverse, visit);
    Ok(visited.map_err(|error| store_error(&error))?)
}
