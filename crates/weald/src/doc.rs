//! Reading and writing documents: nested maps that merge leaf by leaf.
//!
//! Invariant: a document that was never written reads as an empty map.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{DocType, Path, PathConflict, SectionDraft, Value, doc};

use crate::error::{ReadError, WriteError};
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

    /// Returns the value at a path, such as `["profile", "name"]`.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read or the path cannot be used.
    pub fn get(&self, path: impl Into<Path>) -> Result<Option<Value>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::get(&self.store.view(&rows), &path.into())?)
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

    /// Returns the versions at and below a path that reading does not give.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read or the path cannot be used.
    pub fn conflicts(&self, path: impl Into<Path>) -> Result<Vec<PathConflict>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::conflicts(&self.store.view(&rows), &path.into())?)
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

    /// Sets the value at a path; maps on the way come into being.
    ///
    /// # Errors
    /// [`WriteError`] for a path or value that cannot be stored, or a path through a value that is
    /// no map.
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

    /// Returns the value at a path as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError::Read`] when a row cannot be read or the path cannot be used.
    pub fn get(&self, path: impl Into<Path>) -> Result<Option<Value>, WriteError> {
        let view = self.transaction.view(&self.name, DocType::NAME);
        Ok(doc::get(&view, &path.into()).map_err(ReadError::from)?)
    }
}
