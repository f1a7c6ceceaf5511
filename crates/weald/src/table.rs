//! Reading tables: rows by key, ranges and prefixes.
//!
//! Invariant: each read sees what is committed by then, and nothing is held between two of them.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use serde::de::DeserializeOwned;
use weald_crdt::{Area, Key, TableType, ValueError, View, table};
use weald_dag::{EntryId, PublicKey, Time};

use crate::conflict::{ConflictedValue, RowKey};
use crate::error::ReadError;
use crate::key::IntoKey;
use crate::misfit::Misfit;
use crate::query::{Indexes, Query, QueryRows};
use crate::resolve::row_conflicts;
use crate::store_ref::StoreRef;

/// Reads a table of `T`. Cloning is cheap; each read sees what is committed by then.
pub struct Table<T> {
    store: StoreRef,
    row: PhantomData<fn() -> T>,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), row: PhantomData }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

/// A row with who changed it last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRow<T> {
    /// Its fields.
    pub value: T,
    /// Who signed the entry that changed it last.
    pub author: PublicKey,
    /// When that was, by the author's clock.
    pub time: Time,
    /// That entry.
    pub entry: EntryId,
}

impl<T> Table<T> {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store, row: PhantomData }
    }

    pub(crate) const fn store(&self) -> &StoreRef {
        &self.store
    }

    /// Asks for rows, by key or by an index.
    pub fn query(&self) -> Query<(Key, T)> {
        Query::new(self.store.clone())
    }

    /// Returns the indexes of the table on this device.
    pub fn indexes(&self) -> Indexes {
        Indexes::new(self.store.clone(), TableType::NAME)
    }

    /// Returns the fields of a row that have several versions, unless they are all equal.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read.
    pub fn conflicts(&self, key: impl IntoKey) -> Result<Vec<ConflictedValue>, ReadError> {
        let (store, rows) = (&self.store, self.store.rows()?);
        row_conflicts(&store.core, store.database, &rows, &store.name, Some(&key.into_key()))
    }

    /// Returns whether there is a row with a key, whether it is a `T` or not.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read.
    pub fn contains(&self, key: impl IntoKey) -> Result<bool, ReadError> {
        let rows = self.store.rows()?;
        Ok(table::get(&self.store.view(&rows), &key.into_key())?.is_some())
    }

    /// Counts the rows, by visiting them.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn count(&self) -> Result<u64, ReadError> {
        let (rows, all) = (self.store.rows()?, Bound::Unbounded);
        let mut count = 0;
        let visit = &mut |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        let visited = self.store.view(&rows).range(Area::State, all, all, false, visit);
        visited.map_err(weald_crdt::ReadError::from)?;
        Ok(count)
    }
}

impl<T: DeserializeOwned> Table<T> {
    /// Returns the row with a key.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read; [`ReadError::Misfit`] when it is not a `T`.
    pub fn get(&self, key: impl IntoKey) -> Result<Option<T>, ReadError> {
        let rows = self.store.rows()?;
        let key = key.into_key();
        let row = table::get_as(&self.store.view(&rows), &key)?;
        Ok(row.map(|row| self.fit(&key, row.value)).transpose()?)
    }

    /// Returns the row with a key and who changed it last.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read; [`ReadError::Misfit`] when it is not a `T`.
    pub fn row(&self, key: impl IntoKey) -> Result<Option<TableRow<T>>, ReadError> {
        let rows = self.store.rows()?;
        let key = key.into_key();
        let Some(row) = table::get_as(&self.store.view(&rows), &key)? else {
            return Ok(None);
        };
        let entry = EntryId::from_bytes(row.stamp.entry);
        let author = self.store.core.author(&rows, self.store.database, &entry)?;
        let time = Time::from_raw(row.stamp.time);
        let value = self.fit(&key, row.value)?;
        Ok(Some(TableRow { value, author, time, entry }))
    }

    fn fit(&self, key: &Key, row: Result<T, ValueError>) -> Result<T, Box<Misfit>> {
        Misfit::of(row, &self.store.name, || RowKey::Table(key.clone()))
    }

    /// Iterates over all rows, by key. A row that is not a `T` is a [`ReadError::Misfit`] in its
    /// place, and the others follow.
    pub fn rows(&self) -> TableRows<T> {
        self.query().rows()
    }

    /// Iterates over the rows whose keys lie in a range, by key.
    pub fn range(&self, range: impl RangeBounds<Key>) -> TableRows<T> {
        self.query().range(range).rows()
    }

    /// Iterates over the rows whose key is a text, bytes or a tuple that begins with this one.
    pub fn prefix(&self, start: impl IntoKey) -> TableRows<T> {
        self.query().prefix(start).rows()
    }
}

/// Iterates over rows of a table, a page at a time.
pub type TableRows<T> = QueryRows<(Key, T)>;
