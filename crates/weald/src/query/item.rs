//! What a query gives: rows of tables, items of logs.
//!
//! Invariant: a row that does not fit its type is an error of its own, and hides no other.

use serde::de::DeserializeOwned;
use weald_crdt::{Key, LogType, RowError, TableType, Value, log, table};

use crate::conflict::RowKey;
use crate::error::ReadError;
use crate::log::{Cursor, LogItem};
use crate::misfit::Misfit;
use crate::rows::Rows;
use crate::store_ref::StoreRef;

/// Reads rows of the stores of one type.
pub(crate) trait Row: Sized {
    /// The name of the type of store that has such rows.
    const TYPE_NAME: &'static str;

    /// Reads a row.
    fn read(store: &StoreRef, rows: &Rows, key: &[u8], row: &[u8]) -> Result<Self, ReadError>;
}

/// What a query gives: `(Key, T)` for a row of a table, [`LogItem`] for an item of a log.
#[allow(private_bounds)]
pub trait Queried: Row {}

impl<I: Row> Queried for I {}

fn damaged(key: &[u8]) -> ReadError {
    weald_crdt::ReadError::from(RowError { key: key.to_vec() }).into()
}

impl<T: DeserializeOwned> Row for (Key, T) {
    const TYPE_NAME: &'static str = TableType::NAME;

    fn read(store: &StoreRef, _rows: &Rows, key: &[u8], row: &[u8]) -> Result<Self, ReadError> {
        let (Ok(name), Some(row)) = (Key::decode(key), table::decode_as(row)) else {
            return Err(damaged(key));
        };
        let row = Misfit::of(row.value, &store.name, || RowKey::Table(name.clone()))?;
        Ok((name, row))
    }
}

impl<T: DeserializeOwned> Row for LogItem<T> {
    const TYPE_NAME: &'static str = LogType::NAME;

    fn read(store: &StoreRef, rows: &Rows, key: &[u8], row: &[u8]) -> Result<Self, ReadError> {
        let (Ok(stamp), Ok(value)) = (log::stamp(key), Value::decode(row)) else {
            return Err(damaged(key));
        };
        let cursor = Cursor(stamp);
        let entry = cursor.entry();
        let author = store.core.author(rows, store.database, &entry)?;
        let value = Misfit::check(&value, &store.name, || RowKey::Log(cursor));
        Ok(Self { value, author, time: cursor.time(), entry, cursor })
    }
}
