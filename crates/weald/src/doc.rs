//! Reading and writing documents: maps and lists that nest and merge leaf by leaf.
//!
//! Invariant: a document that was never written reads as an empty map.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{DocType, Path, SectionDraft, Value, doc};

use crate::conflict::ConflictedValue;
use crate::error::{ReadError, WriteError};
use crate::list::{List, ListMut};
use crate::resolve::doc_conflicts;
use crate::store_ref::StoreRef;
use crate::transaction::Transaction;

/// Reads a document. Cloning is cheap; each read sees what is committed by then.
#[derive(Clone)]
pub struct Doc {
    store: StoreRef,
}

impl fmt::Debug for Doc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doc").finish_non_exhaustive()
    }
}

impl Doc {
    pub(crate) const fn new(store: StoreRef) -> Self {
        Self { store }
    }

    pub(crate) const fn store(&self) -> &StoreRef {
        &self.store
    }

    /// Returns the value at a path, such as `["profile", "name"]`. A counter reads as what it counts.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read or the path cannot be used.
    pub fn get(&self, path: impl Into<Path>) -> Result<Option<Value>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::get(&self.store.view(&rows), &path.into())?)
    }

    /// Returns what the counter at a path counts, exactly; `None` if no counter is there.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read or the path cannot be used.
    pub fn counter(&self, path: impl Into<Path>) -> Result<Option<i128>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::counter(&self.store.view(&rows), &path.into())?)
    }

    /// Opens the list at a path for reading. A step by index is taken at each read.
    ///
    /// # Errors
    /// [`ReadError`] when the path cannot be used.
    pub fn list(&self, path: impl Into<Path>) -> Result<List, ReadError> {
        let path = path.into();
        let rows = self.store.rows()?;
        doc::elements(&self.store.view(&rows), &path)?;
        Ok(List::new(self.store.clone(), path))
    }

    /// Returns the whole document, a map.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn value(&self) -> Result<Value, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::to_value(&self.store.view(&rows))?)
    }

    /// Returns the whole document as a type of the app's.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read, or the document is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        Ok(self.value()?.to_serde()?)
    }

    /// Returns the values at and below a path that have versions which reading does not give, unless
    /// these are all equal to what it gives.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read or the path cannot be used.
    pub fn conflicts(&self, path: impl Into<Path>) -> Result<Vec<ConflictedValue>, ReadError> {
        let (store, rows) = (&self.store, self.store.rows()?);
        doc_conflicts(&store.core, store.database, &rows, &store.name, &path.into())
    }
}

/// Writes to a document in a transaction, and reads what it will be.
pub struct DocMut<'tx> {
    transaction: &'tx mut Transaction,
    name: String,
}

impl fmt::Debug for DocMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx> DocMut<'tx> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name }
    }

    /// Sets the value at a path; maps on the way come into being. It replaces what is there: to add
    /// to a list, or change one element of it, use [`DocMut::list`].
    ///
    /// # Errors
    /// [`WriteError`] for a path or value that cannot be stored, or a path that does not lead on: by
    /// a key through something that is no map, or to an element that is not there.
    pub fn set<V: Serialize + ?Sized>(
        &mut self,
        path: impl Into<Path>,
        value: &V,
    ) -> Result<(), WriteError> {
        let (path, value) = (path.into(), Value::from_serde(value)?);
        if let (SectionDraft::Doc(draft), mut view) =
            self.transaction.draft(&self.name, DocType::NAME)?
        {
            draft.set(&mut view, &path, &value)?;
        }
        Ok(())
    }

    /// Removes what is at and below a path, and returns whether there was anything.
    ///
    /// # Errors
    /// [`WriteError`] for the whole document, or a path that cannot be used.
    pub fn remove(&mut self, path: impl Into<Path>) -> Result<bool, WriteError> {
        let path = path.into();
        match self.transaction.draft(&self.name, DocType::NAME)? {
            (SectionDraft::Doc(draft), mut view) => Ok(draft.remove(&mut view, &path)?),
            _ => Ok(false),
        }
    }

    /// Adds to the counter at a path, or takes away from it with a number below zero; where nothing
    /// is, one comes into being. What others add at the same time counts as well.
    ///
    /// # Errors
    /// [`WriteError`] if something else is there, or the path does not lead on.
    pub fn increment(&mut self, path: impl Into<Path>, by: i64) -> Result<(), WriteError> {
        let path = path.into();
        if let (SectionDraft::Doc(draft), mut view) =
            self.transaction.draft(&self.name, DocType::NAME)?
        {
            draft.increment(&mut view, &path, by)?;
        }
        Ok(())
    }

    /// Opens the list at a path for writing; where nothing is, one comes into being with its first
    /// element.
    ///
    /// # Errors
    /// [`WriteError`] if something else is there, or the path does not lead on.
    pub fn list(&mut self, path: impl Into<Path>) -> Result<ListMut<'_>, WriteError> {
        ListMut::open(self.transaction, &self.name, &path.into())
    }

    /// Returns what the counter at a path counts as the transaction sees it; `None` if no counter is
    /// there.
    ///
    /// # Errors
    /// [`WriteError::Read`] when a row cannot be read or the path cannot be used.
    pub fn counter(&self, path: impl Into<Path>) -> Result<Option<i128>, WriteError> {
        let view = self.transaction.view(&self.name, DocType::NAME)?;
        Ok(doc::counter(&view, &path.into()).map_err(ReadError::from)?)
    }

    /// Returns the value at a path as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError::Read`] when a row cannot be read or the path cannot be used.
    pub fn get(&self, path: impl Into<Path>) -> Result<Option<Value>, WriteError> {
        let view = self.transaction.view(&self.name, DocType::NAME)?;
        Ok(doc::get(&view, &path.into()).map_err(ReadError::from)?)
    }
}
