//! Keeping indexes: rows of an index follow the rows of state in the same batch.
//!
//! Invariant: after [`update`] the rows of every index are those that its definition gives for the
//! rows of state that the changes tell of, whether it is built or being built.

use weald_crdt::{StoreType, Value};
use weald_dag::{Overlay, StoreError};

use super::coding::{self, Width};
use super::definition::{IndexDefinition, Indexes, field, indexes};
use crate::fold::{Beside, RowChange, StoreTypes};

/// The part of an index that tells of rows by their values.
const ORDERED: u8 = 0;
/// The part that tells of rows whose values cannot be indexed, lists and maps.
const LEFT_OUT: u8 = 1;
const HEAD_LEN: usize = 5;
const WAS_CUT: u8 = 1;

/// Returns what the keys of all rows of an index begin with.
pub(super) fn whole(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Returns what the keys begin with that tell of rows by their values.
pub(super) fn ordered(number: u32) -> [u8; HEAD_LEN] {
    let [a, b, c, d] = number.to_be_bytes();
    [a, b, c, d, ORDERED]
}

/// Returns what the keys begin with that tell of rows which are left out.
pub(super) fn left_out(number: u32) -> [u8; HEAD_LEN] {
    let [a, b, c, d] = number.to_be_bytes();
    [a, b, c, d, LEFT_OUT]
}

/// A row of an index.
pub(super) struct IndexRow {
    pub(super) key: Vec<u8>,
    pub(super) value: [u8; 3],
}

/// Returns the row of an index that tells of a row of state, if any does.
pub(super) fn index_row(
    definition: &IndexDefinition,
    row: &Value,
    row_key: &[u8],
) -> Option<IndexRow> {
    let mut key = ordered(definition.number).to_vec();
    let mut was_cut = false;
    let mut fits = true;
    for path in &definition.shape.fields {
        let value = field(row, path);
        if value.is_none() && !definition.shape.includes_missing {
            return None;
        }
        match coding::put(&mut key, value, Width::Key) {
            Some(cut) => was_cut |= cut,
            None => fits = false,
        }
    }
    if !fits {
        key.truncate(0);
        key.extend_from_slice(&left_out(definition.number));
    }
    // At most eight values of about three times the limit each.
    let length = u16::try_from(key.len() - HEAD_LEN).unwrap_or(u16::MAX);
    let [a, b] = length.to_be_bytes();
    key.extend_from_slice(row_key);
    Some(IndexRow { key, value: [a, b, if was_cut { WAS_CUT } else { 0 }] })
}

/// Returns how long the values in the key of an index row are, and whether one was cut.
pub(super) fn decode(value: &[u8]) -> Option<(usize, bool)> {
    let [a, b, cut] = value.try_into().ok()?;
    Some((usize::from(u16::from_be_bytes([a, b])), cut == WAS_CUT))
}

/// Brings the indexes of a database to what changed rows of a store hold now. The changes must tell
/// what rows held before and after, if the store has indexes; they do not any more if nobody has
/// asked for it.
pub(crate) fn follow(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    beside: Beside<'_>,
    changes: &mut [RowChange],
) -> Result<(), StoreError> {
    update(rows, database, types, beside.indexes, changes)?;
    if !beside.record {
        changes.iter_mut().for_each(|change| change.values = None);
    }
    Ok(())
}

fn update(
    rows: &mut Overlay,
    database: u32,
    types: &StoreTypes,
    indexes_of: &Indexes,
    changes: &[RowChange],
) -> Result<(), StoreError> {
    for change in changes {
        let definitions = indexes_of.of(&change.store, &change.type_name);
        if definitions.is_empty() {
            continue;
        }
        let Some(store_type) = types.get(&change.type_name) else { continue };
        let values = change.values.as_ref().ok_or_else(|| StoreError::Corrupt {
            what: format!("a change of store '{}' without its values", change.store),
        })?;
        let key = &change.change.key;
        let show = |row: &Option<Vec<u8>>| show(&**store_type, key, row.as_deref()?);
        let (before, after) = (show(&values.before), show(&values.after));
        for definition in definitions {
            let row = |value: &Option<Value>| index_row(definition, value.as_ref()?, key);
            replace(rows, database, row(&before), row(&after));
        }
    }
    Ok(())
}

fn replace(rows: &mut Overlay, database: u32, before: Option<IndexRow>, after: Option<IndexRow>) {
    let space = indexes(database);
    // A row that keeps its place is there, or comes when the building of the index gets to it.
    if before.as_ref().map(|row| &row.key) == after.as_ref().map(|row| &row.key) {
        return;
    }
    if let Some(before) = before {
        rows.remove(space, before.key);
    }
    if let Some(IndexRow { key, value }) = after {
        rows.put(space, key, value);
    }
}

/// Returns what a row says; one that is damaged says nothing, and has no place in an index.
pub(super) fn show(store_type: &dyn StoreType, key: &[u8], row: &[u8]) -> Option<Value> {
    store_type.show(key, row)
}
