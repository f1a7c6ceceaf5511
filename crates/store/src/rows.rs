//! The rows of a batch on their way into tables.
//!
//! Invariant: each table is opened once and its rows go in by rising key; nothing is applied before
//! the transaction is committed.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{CursorError, ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use weald_dag::{Batch, Space, StoreError};

use crate::fault;
use crate::snapshot::table_name;

/// From how many rows on those behind the last key of a table go in through a cursor, which
/// searches its place once.
const APPEND_ROWS: usize = 32;

/// What a failed write leaves behind.
pub(crate) struct WriteFailure {
    pub(crate) error: StoreError,
    /// Whether the file must be opened again before it is used.
    pub(crate) reopen: bool,
}

impl From<StorageError> for WriteFailure {
    fn from(error: StorageError) -> Self {
        let reopen = !matches!(error, StorageError::ValueTooLarge(_));
        Self { error: fault::storage("write rows", error), reopen }
    }
}

impl From<CursorError> for WriteFailure {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Storage(error) => error.into(),
            error => {
                let what = format!("its keys are out of order: {error}");
                Self { error: StoreError::Corrupt { what }, reopen: true }
            }
        }
    }
}

/// Writes the rows of a batch. Keeps the names of tables in `names`.
pub(crate) fn write(
    transaction: &WriteTransaction,
    batch: &Batch,
    names: &mut BTreeMap<Space, String>,
) -> Result<(), WriteFailure> {
    for (space, rows) in batch.spaces() {
        let name = names.entry(space).or_insert_with(|| table_name(space));
        let definition = TableDefinition::<&[u8], &[u8]>::new(name);
        let mut table = transaction.open_table(definition).map_err(|error| WriteFailure {
            error: fault::table("write rows", error),
            reopen: true,
        })?;
        if rows.size_hint().0 < APPEND_ROWS {
            insert(&mut table, rows)?;
        } else {
            insert_and_append(&mut table, rows)?;
        }
    }
    Ok(())
}

fn insert<'r>(
    table: &mut Table<'_, &[u8], &[u8]>,
    rows: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>,
) -> Result<(), WriteFailure> {
    for (key, value) in rows {
        match value {
            Some(value) => drop(table.insert(key, value)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

fn insert_and_append<'r>(
    table: &mut Table<'_, &[u8], &[u8]>,
    rows: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>,
) -> Result<(), WriteFailure> {
    let last = table.last()?.map(|(key, _)| key.value().to_vec());
    let mut rows = rows.peekable();
    let within = |key: &[u8]| last.as_deref().is_some_and(|last| key <= last);
    insert(table, std::iter::from_fn(|| rows.next_if(|(key, _)| within(key))))?;
    let mut cursor = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
    for (key, value) in rows {
        // There is nothing to remove behind the last key.
        if let Some(value) = value {
            cursor.insert_before(key, value)?;
        }
    }
    cursor.close()?;
    Ok(())
}
