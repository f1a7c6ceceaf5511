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
use crate::row_edit::{self, RowEdit};
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

    /// Sets the fields of a partial row: any struct, map or JSON object. Fields that it does not have
    /// stay as they are.
    ///
    /// A field that is null is removed, as by RFC 7396, but a map inside a field replaces what the
    /// field held. So leave the `None`s of a struct out, by
    /// `#[serde(skip_serializing_if = "Option::is_none")]`, unless they are to remove.
    ///
    /// # Errors
    /// [`WriteError`]: no such row, or a value that cannot be stored, or is no map or struct.
    pub fn merge<P: Serialize + ?Sized>(
        &mut self,
        key: impl IntoKey,
        partial: &P,
    ) -> Result<(), WriteError> {
        let (key, partial) = (key.into_key(), Value::from_serde(partial)?);
        let stored = self.stored(&key)?.ok_or(DraftError::NoRow)?;
        let mut edit = RowEdit::new();
        for (field, value) in row_edit::fields(&partial)? {
            match value {
                Value::Null if stored.get(field).is_some() => edit.insert(field.clone(), None),
                Value::Null => None,
                value => edit.insert(field.clone(), Some(value.clone())),
            };
        }
        self.stage_edit(&key, &edit)
    }

    /// Returns whether there is a row with a key, as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError::Read`] when the row cannot be read.
    pub fn contains(&self, key: impl IntoKey) -> Result<bool, WriteError> {
        Ok(self.stored(&key.into_key())?.is_some())
    }

    fn stored(&self, key: &Key) -> Result<Option<Value>, WriteError> {
        let view = self.transaction.view(&self.name, TableType::NAME)?;
        Ok(table::get(&view, key).map_err(ReadError::from)?.map(|row| row.value))
    }

    fn stage_edit(&mut self, key: &Key, edit: &RowEdit) -> Result<(), WriteError> {
        if edit.is_empty() {
            return Ok(());
        }
        self.stage(|draft, view| draft.edit(view, key, edit))
    }

    /// Deletes a row, and returns whether there was one.
    ///
    /// # Errors
    /// [`WriteError`] for a key that cannot be used.
    pub fn delete(&mut self, key: impl IntoKey) -> Result<bool, WriteError> {
        let key = key.into_key();
        self.stage(|draft, view| draft.delete(view, &key))
    }

    /// Brings a deleted row back, whole, with the fields that it had, and returns whether it was gone.
    ///
    /// # Errors
    /// [`WriteError`]: there never was such a row.
    pub fn restore(&mut self, key: impl IntoKey) -> Result<bool, WriteError> {
        let key = key.into_key();
        self.stage(|draft, view| draft.restore(view, &key))
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

    /// Writes a whole row in place of one that exists; fields that it had and the new one lacks are
    /// removed.
    ///
    /// # Errors
    /// [`WriteError`]: no such row, or as for [`TableMut::put`].
    pub fn replace(&mut self, key: impl IntoKey, row: &T) -> Result<(), WriteError> {
        let value = Value::from_serde(row)?;
        let key = key.into_key();
        self.stage(|draft, view| draft.replace(view, &key, &value))
    }
}

impl<T: Serialize + DeserializeOwned> TableMut<'_, T> {
    /// Changes a row that exists, and returns it as it is now.
    ///
    /// Only the fields that differ afterwards are written: edits of other fields, made apart, stay,
    /// and so do fields that `T` does not know. A field that `T` reads under an older name, by
    /// `serde(alias)`, moves to its new name when it changes. Nothing is written when nothing differs.
    ///
    /// # Errors
    /// [`WriteError`]: no such row, one that is not a `T`, or a value that cannot be stored.
    pub fn update(
        &mut self,
        key: impl IntoKey,
        change: impl FnOnce(&mut T),
    ) -> Result<T, WriteError> {
        let key = key.into_key();
        let stored = self.stored(&key)?.ok_or(DraftError::NoRow)?;
        let mut row: T = self.fit(&key, &stored)?;
        let before = Value::from_serde(&row)?;
        change(&mut row);
        let after = Value::from_serde(&row)?;
        let (before, after) = (row_edit::fields(&before)?, row_edit::fields(&after)?);
        let edit = row_edit::between::<T>(row_edit::fields(&stored)?, before, after);
        self.stage_edit(&key, &edit)?;
        Ok(row)
    }
}

impl<T: DeserializeOwned> TableMut<'_, T> {
    /// Returns the row with a key as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError::Read`] when the row cannot be read, or is not a `T`.
    pub fn get(&self, key: impl IntoKey) -> Result<Option<T>, WriteError> {
        let key = key.into_key();
        self.stored(&key)?.map(|row| self.fit(&key, &row)).transpose()
    }

    fn fit(&self, key: &Key, row: &Value) -> Result<T, WriteError> {
        let fit = Misfit::check(row, &self.name, || RowKey::Table(key.clone()));
        Ok(fit.map_err(ReadError::from)?)
    }
}
