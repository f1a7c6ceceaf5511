//! Reading and appending to logs: items in the order of their stamps.
//!
//! Invariant: reading costs the items asked for, wherever in the log they are.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weald_crdt::{LogType, SectionDraft, Stamp, Value};
use weald_dag::{EntryId, PublicKey, Time};

use crate::conflict::RowKey;
use crate::error::{ReadError, WriteError};
use crate::misfit::Misfit;
use crate::query::{Indexes, Query};
use crate::rows::Rows;
use crate::store_ref::StoreRef;
use crate::transaction::Transaction;

/// The place of an item in its log; cursors sort as the items do. By serde it is bytes that sort
/// alike, to be kept in a row or a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub(crate) Stamp);

impl Cursor {
    /// Returns the entry that appended the item.
    pub const fn entry(&self) -> EntryId {
        EntryId::from_bytes(self.0.entry)
    }

    /// Returns when the item was appended, by its author's clock.
    pub const fn time(&self) -> Time {
        Time::from_raw(self.0.time)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&weald_crdt::log::key(&self.0))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        weald_crdt::log::stamp(&bytes).map(Self).map_err(de::Error::custom)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} {:?} {})", self.time(), self.entry(), self.0.index)
    }
}

/// An item of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogItem<T> {
    /// What was appended, or why it is not a `T`: an item that does not fit hides no other.
    pub value: Result<T, Box<Misfit>>,
    /// Who signed the entry.
    pub author: PublicKey,
    /// When it was appended, by its author's clock.
    pub time: Time,
    /// The entry that appended it.
    pub entry: EntryId,
    /// Its place in the log, to read what is before or after it.
    pub cursor: Cursor,
}

/// Reads a log of `T`. Cloning is cheap; each read sees what is committed by then.
pub struct Log<T> {
    store: StoreRef,
    item: PhantomData<fn() -> T>,
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), item: PhantomData }
    }
}

impl<T> fmt::Debug for Log<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl<T> Log<T> {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store, item: PhantomData }
    }
}

impl<T> Log<T> {
    /// Asks for items, by time or by an index.
    pub fn query(&self) -> Query<LogItem<T>> {
        Query::new(self.store.clone())
    }

    /// Returns the indexes of the log on this device.
    pub fn indexes(&self) -> Indexes {
        Indexes::new(self.store.clone(), LogType::NAME)
    }
}

impl<T: DeserializeOwned> Log<T> {
    /// Returns the last `count` items, oldest first.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn tail(&self, count: usize) -> Result<Vec<LogItem<T>>, ReadError> {
        let rows = self.store.rows()?;
        let items = weald_crdt::log::tail(&self.store.view(&rows), count)?;
        self.typed(&rows, items)
    }

    /// Returns the last `count` items before the cursor, oldest first.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn before(&self, cursor: &Cursor, count: usize) -> Result<Vec<LogItem<T>>, ReadError> {
        let rows = self.store.rows()?;
        let items = weald_crdt::log::before(&self.store.view(&rows), &cursor.0, count)?;
        self.typed(&rows, items)
    }

    /// Returns the first `count` items after the cursor, oldest first.
    ///
    /// An item that arrives late, from a peer, stands where its time puts it, which may be before
    /// the cursor: a watch tells of each.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn after(&self, cursor: &Cursor, count: usize) -> Result<Vec<LogItem<T>>, ReadError> {
        let rows = self.store.rows()?;
        let items = weald_crdt::log::after(&self.store.view(&rows), Some(&cursor.0), count)?;
        self.typed(&rows, items)
    }

    /// Returns the first `count` items, oldest first.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn head(&self, count: usize) -> Result<Vec<LogItem<T>>, ReadError> {
        let rows = self.store.rows()?;
        let items = weald_crdt::log::after(&self.store.view(&rows), None, count)?;
        self.typed(&rows, items)
    }

    /// Returns the item at a cursor.
    ///
    /// # Errors
    /// [`ReadError`] when the row cannot be read.
    pub fn get(&self, cursor: &Cursor) -> Result<Option<LogItem<T>>, ReadError> {
        let rows = self.store.rows()?;
        let Some(value) = weald_crdt::log::get(&self.store.view(&rows), &cursor.0)? else {
            return Ok(None);
        };
        let items = self.typed(&rows, vec![weald_crdt::Item { stamp: cursor.0, value }])?;
        Ok(items.into_iter().next())
    }

    fn typed(
        &self,
        rows: &Rows,
        items: Vec<weald_crdt::Item>,
    ) -> Result<Vec<LogItem<T>>, ReadError> {
        let mut typed: Vec<LogItem<T>> = Vec::with_capacity(items.len());
        for item in items {
            let cursor = Cursor(item.stamp);
            let entry = cursor.entry();
            let author = match typed.last().filter(|before| before.entry == entry) {
                Some(before) => before.author,
                None => self.store.core.author(rows, self.store.database, &entry)?,
            };
            let value = Misfit::check(&item.value, &self.store.name, || RowKey::Log(cursor));
            typed.push(LogItem { value, author, time: cursor.time(), entry, cursor });
        }
        Ok(typed)
    }
}

/// Appends to a log of `T` in a transaction.
pub struct LogMut<'tx, T: ?Sized> {
    transaction: &'tx mut Transaction,
    name: String,
    item: PhantomData<fn(&T)>,
}

impl<T: ?Sized> fmt::Debug for LogMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx, T: ?Sized> LogMut<'tx, T> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name, item: PhantomData }
    }
}

impl<T: Serialize + ?Sized> LogMut<'_, T> {
    /// Appends an item.
    ///
    /// # Errors
    /// [`WriteError`] for a value that cannot be stored; the transaction is as it was before.
    pub fn push(&mut self, item: &T) -> Result<(), WriteError> {
        let value = Value::from_serde(item)?;
        let (draft, view) = self.transaction.draft(&self.name, LogType::NAME)?;
        if let (SectionDraft::Log(draft), mut view) = (draft, view) {
            draft.append(&mut view, &value)?;
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> LogMut<'_, T> {
    /// Returns the last `count` items as the transaction sees them, its own last.
    ///
    /// # Errors
    /// [`WriteError::Read`] when a row cannot be read.
    pub fn tail(&self, count: usize) -> Result<Vec<Result<T, Box<Misfit>>>, WriteError> {
        let view = self.transaction.view(&self.name, LogType::NAME)?;
        let items = weald_crdt::log::tail(&view, count).map_err(ReadError::from)?;
        let fit = |item: weald_crdt::Item| {
            Misfit::check(&item.value, &self.name, || RowKey::Log(Cursor(item.stamp)))
        };
        Ok(items.into_iter().map(fit).collect())
    }
}
