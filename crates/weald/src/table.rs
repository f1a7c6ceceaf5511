//! Reading tables: rows by key, ranges and prefixes.
//!
//! Invariant: an iteration holds no snapshot between its pages, so a long one keeps nothing from
//! being reused; each page sees what is committed by then.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use serde::de::DeserializeOwned;
use weald_crdt::{Key, Value, ValueError, table};
use weald_dag::{EntryId, PublicKey, Time};

use crate::conflict::{ConflictedValue, RowKey};
use crate::error::ReadError;
use crate::key::IntoKey;
use crate::misfit::Misfit;
use crate::resolve::row_conflicts;
use crate::store_ref::StoreRef;

/// How many rows an iteration reads at a time.
pub const TABLE_PAGE_ROWS: usize = 256;

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
        let rows = self.store.rows()?;
        let mut count = 0_u64;
        let all = Bound::Unbounded;
        weald_crdt::View::range(
            &self.store.view(&rows),
            weald_crdt::Area::State,
            all,
            all,
            false,
            &mut |_, _| {
                count += 1;
                ControlFlow::Continue(())
            },
        )
        .map_err(weald_crdt::ReadError::from)?;
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
        self.range(..)
    }

    /// Iterates over the rows whose keys lie in a range, by key.
    pub fn range(&self, range: impl RangeBounds<Key>) -> TableRows<T> {
        let (from, to) = (range.start_bound().cloned(), range.end_bound().cloned());
        TableRows::new(self.store.clone(), from, to, None)
    }

    /// Iterates over the rows whose key is a text, bytes or a tuple that begins with this one.
    pub fn prefix(&self, start: impl IntoKey) -> TableRows<T> {
        let start = start.into_key();
        let from = Bound::Included(start.clone());
        TableRows::new(self.store.clone(), from, Bound::Unbounded, Some(start))
    }
}

/// Iterates over rows of a table, a page at a time.
pub struct TableRows<T> {
    store: StoreRef,
    from: Bound<Key>,
    to: Bound<Key>,
    prefix: Option<Key>,
    reverse: bool,
    page: VecDeque<(Key, Value)>,
    ended: bool,
    row: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for TableRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRows").field("from", &self.from).finish_non_exhaustive()
    }
}

impl<T> TableRows<T> {
    fn new(store: StoreRef, from: Bound<Key>, to: Bound<Key>, prefix: Option<Key>) -> Self {
        let (page, row) = (VecDeque::new(), PhantomData);
        Self { store, from, to, prefix, reverse: false, page, ended: false, row }
    }

    /// Goes from the greatest key to the smallest. From the smallest by default; a prefix is
    /// always read from its smallest key.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = self.prefix.is_none();
        self
    }

    fn next_page(&mut self) -> Result<(), ReadError> {
        let rows = self.store.rows()?;
        let (page, prefix) = (&mut self.page, self.prefix.as_ref());
        let mut past = false;
        table::range(
            &self.store.view(&rows),
            self.from.as_ref(),
            self.to.as_ref(),
            self.reverse,
            &mut |key, row| {
                if prefix.is_some_and(|prefix| !begins_with(&key, prefix)) {
                    past = true;
                    return ControlFlow::Break(());
                }
                page.push_back((key, row.value));
                if page.len() < TABLE_PAGE_ROWS {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        self.ended = past || self.page.len() < TABLE_PAGE_ROWS;
        if let Some((last, _)) = self.page.back() {
            let next = Bound::Excluded(last.clone());
            if self.reverse { self.to = next } else { self.from = next }
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for TableRows<T> {
    type Item = Result<(Key, T), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && !self.ended
            && let Err(error) = self.next_page()
        {
            self.ended = true;
            self.page.clear();
            return Some(Err(error));
        }
        let (key, value) = self.page.pop_front()?;
        let row = fit(&self.store, &key, &value);
        Some(row.map(|row| (key, row)).map_err(ReadError::from))
    }
}

fn fit<T: DeserializeOwned>(store: &StoreRef, key: &Key, row: &Value) -> Result<T, Box<Misfit>> {
    Misfit::check(row, &store.name, || RowKey::Table(key.clone()))
}

fn begins_with(key: &Key, prefix: &Key) -> bool {
    match (key, prefix) {
        (Key::Text(key), Key::Text(prefix)) => key.starts_with(prefix.as_str()),
        (Key::Bytes(key), Key::Bytes(prefix)) => key.starts_with(prefix),
        (Key::Tuple(key), Key::Tuple(prefix)) => key.starts_with(prefix),
        (key, prefix) => key == prefix,
    }
}
