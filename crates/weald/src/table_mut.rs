//! Writing to tables in a transaction.
//!
//! Invariant: an operation that fails leaves the transaction as it was; reads see what it wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{DraftError, Key, SectionDraft, TableDraft, TableType, Value, table};
use weald_engine::StoreViewMut;

use crate::conflict::RowKey;
use crate::error::{ReadError, WriteError};
use crate::key::IntoKey;
use crate::misfit::Misfit;
use crate::transaction::Transaction;

/// Writes to a table of `T` in a transaction, and reads what it will be.
pub struct TableMut<'tx, T> {
    transaction: &'tx mut Transaction,
    name: String,
    row: PhantomData<fn(T) -> T>,
}

impl<T> fmt::Debug for TableMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx, T> TableMut<'tx, T> {
    pub(crate) const fn new(transaction: &'tx mut Transaction, name: String) -> Self {
        Self { transaction, name, row: PhantomData }
    }

    fn stage<R: Default>(
        &mut self,
        run: impl FnOnce(&mut TableDraft, &mut StoreViewMut<'_>) -> Result<R, DraftError>,
    ) -> Result<R, WriteError> {
        match self.transaction.draft(&self.name, TableType::NAME)? {
            (SectionDraft::Table(draft), mut view) => Ok(run(draft, &mut view)?),
            _ => Ok(R::default()),
        }
    }

    /// Sets one field of a row that exists; edits of different fields, made apart, both stay.
    ///
    /// # Errors
    /// [`WriteError`]: no such row, or a value that cannot be stored.
    pub fn edit<V: Serialize + ?Sized>(
        &mut self,
        key: impl IntoKey,
        field: &str,
        value: &V,
    ) -> Result<(), WriteError> {
        let fields = BTreeMap::from([(field.to_owned(), Some(Value::from_serde(value)?))]);
        let key = key.into_key();
        self.stage(|draft, view| draft.edit(view, &key, &fields))
    }

    /// Removes one field of a row that exists.
    ///
    /// # Errors
    /// [`WriteError`]: no such row.
    pub fn remove_field(&mut self, key: impl IntoKey, field: &str) -> Result<(), WriteError> {
        let fields = BTreeMap::from([(field.to_owned(), None)]);
        let key = key.into_key();
        self.stage(|draft, view| draft.edit(view, &key, &fields))
    }

    /// Deletes a row, and returns whether there was one.
    ///
    /// # Errors
    /// [`WriteError`] for a key that cannot be used.
    pub fn delete(&mut self, key: impl IntoKey) -> Result<bool, WriteError> {
        let key = key.into_key();
        self.stage(|draft, view| draft.delete(view, &key))
    }
}

impl<T: Serialize> TableMut<'_, T> {
    /// Adds a row under a new key, a ULID that rises with time, and returns the key.
    ///
    /// # Errors
    /// [`WriteError`] for a value that cannot be stored, or is no map or struct.
    pub fn insert(&mut self, row: &T) -> Result<Key, WriteError> {
        let key = Key::Ulid(self.transaction.new_ulid()?);
        self.put(&key, row)?;
        Ok(key)
    }

    /// Writes a whole row; fields that it had and the new one lacks are removed.
    ///
    /// # Errors
    /// [`WriteError`] for a key or value that cannot be stored, or a value that is no map or struct.
    pub fn put(&mut self, key: impl IntoKey, row: &T) -> Result<(), WriteError> {
        let value = Value::from_serde(row)?;
        let key = key.into_key();
        self.stage(|draft, view| draft.put(view, &key, &value))
    }
}

impl<T: DeserializeOwned> TableMut<'_, T> {
    /// Returns the row with a key as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError::Read`] when the row cannot be read, or is not a `T`.
    pub fn get(&self, key: impl IntoKey) -> Result<Option<T>, WriteError> {
        let view = self.transaction.view(&self.name, TableType::NAME);
        let key = key.into_key();
        let Some(row) = table::get(&view, &key).map_err(ReadError::from)? else { return Ok(None) };
        let fit = Misfit::check(&row.value, &self.name, || RowKey::Table(key));
        Ok(Some(fit.map_err(ReadError::from)?))
    }
}
