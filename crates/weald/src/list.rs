//! The lists of documents.
//!
//! Invariant: an element is the same one wherever it is moved, and is in its list once.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weald_crdt::{DocDraft, DocType, DraftError, Path, SectionDraft, Value, doc};
use weald_engine::StoreViewMut;

use crate::error::{ReadError, WriteError};
use crate::store_ref::StoreRef;
use crate::transaction::Transaction;

/// Reads a list of a document. Cloning is cheap; each read sees what is committed by then, and costs
/// the rows of the list. Where no list is, it reads as one without elements.
#[derive(Clone)]
pub struct List {
    store: StoreRef,
    path: Path,
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("path", &self.path).finish_non_exhaustive()
    }
}

impl List {
    pub(crate) const fn new(store: StoreRef, path: Path) -> Self {
        Self { store, path }
    }

    /// Returns how many elements there are.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn len(&self) -> Result<usize, ReadError> {
        let rows = self.store.rows()?;
        let elements = doc::elements(&self.store.view(&rows), &self.path)?;
        Ok(elements.map_or(0, |elements| elements.len()))
    }

    /// Returns whether there is no element.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn is_empty(&self) -> Result<bool, ReadError> {
        Ok(self.len()? == 0)
    }

    /// Returns the element that has this index now, from 0.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn get(&self, index: usize) -> Result<Option<Value>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::get(&self.store.view(&rows), &self.path.index(index))?)
    }

    /// Returns the path of the element that has this index now. It leads to the same element when
    /// that has moved, for as long as it is there.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn element(&self, index: usize) -> Result<Option<Path>, ReadError> {
        let rows = self.store.rows()?;
        Ok(doc::locate(&self.store.view(&rows), &self.path.index(index))?)
    }

    /// Iterates over the elements in their order, all of one moment.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read.
    pub fn iter(&self) -> Result<impl DoubleEndedIterator<Item = Value> + use<>, ReadError> {
        let rows = self.store.rows()?;
        let elements = match doc::get(&self.store.view(&rows), &self.path)? {
            Some(Value::List(elements)) => elements,
            _ => Vec::new(),
        };
        Ok(elements.into_iter())
    }

    /// Returns the elements as a type of the app's.
    ///
    /// # Errors
    /// [`ReadError`] when a row cannot be read, or an element is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, ReadError> {
        self.iter()?.map(|element| Ok(element.to_serde()?)).collect()
    }
}

/// Writes to a list of a document in a transaction, and reads what it will be.
pub struct ListMut<'tx> {
    transaction: &'tx mut Transaction,
    name: &'tx str,
    path: Path,
}

impl fmt::Debug for ListMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListMut").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'tx> ListMut<'tx> {
    /// Opens the list at a path, where a list or nothing is.
    pub(crate) fn open(
        transaction: &'tx mut Transaction,
        name: &'tx str,
        path: &Path,
    ) -> Result<Self, WriteError> {
        let path = match transaction.draft(name, DocType::NAME)? {
            (SectionDraft::Doc(draft), view) => draft.locate_list(&view, path)?,
            _ => path.clone(),
        };
        Ok(Self { transaction, name, path })
    }

    fn stage<R: Default>(
        &mut self,
        run: impl FnOnce(&mut DocDraft, &mut StoreViewMut<'_>, &Path) -> Result<R, DraftError>,
    ) -> Result<R, WriteError> {
        match self.transaction.draft(self.name, DocType::NAME)? {
            (SectionDraft::Doc(draft), mut view) => Ok(run(draft, &mut view, &self.path)?),
            _ => Ok(R::default()),
        }
    }

    /// Inserts an element before the one that has this index, or at the end for the length of the
    /// list. What others insert there at the same time stands beside it, in the same order
    /// everywhere.
    ///
    /// # Errors
    /// [`WriteError`] for an index beyond the end, or a value that cannot be stored.
    pub fn insert<V: Serialize + ?Sized>(
        &mut self,
        index: usize,
        value: &V,
    ) -> Result<(), WriteError> {
        let value = Value::from_serde(value)?;
        self.stage(|draft, view, path| draft.insert(view, path, index, &value))
    }

    /// Appends an element.
    ///
    /// # Errors
    /// [`WriteError`] for a value that cannot be stored.
    pub fn push<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), WriteError> {
        let value = Value::from_serde(value)?;
        self.stage(|draft, view, path| draft.push(view, path, &value))
    }

    /// Sets the value of an element, which stays the same element.
    ///
    /// # Errors
    /// [`WriteError`] for an index beyond the end, or a value that cannot be stored.
    pub fn set<V: Serialize + ?Sized>(
        &mut self,
        index: usize,
        value: &V,
    ) -> Result<(), WriteError> {
        let value = Value::from_serde(value)?;
        self.stage(|draft, view, path| draft.set(view, &path.index(index), &value))
    }

    /// Removes an element. If somebody else changes it at the same time, it lives on with that
    /// change.
    ///
    /// # Errors
    /// [`WriteError`] for an index beyond the end.
    pub fn remove(&mut self, index: usize) -> Result<(), WriteError> {
        self.stage(|draft, view, path| draft.remove(view, &path.index(index)).map(drop))
    }

    /// Moves an element, so that it has the index `to` afterwards. If several devices move it at the
    /// same time, the latest move counts.
    ///
    /// # Errors
    /// [`WriteError`] for an index beyond the end.
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<(), WriteError> {
        self.stage(|draft, view, path| draft.move_to(view, path, from, to))
    }

    /// Returns how many elements there are as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when a row cannot be read.
    pub fn len(&self) -> Result<usize, WriteError> {
        let view = self.transaction.view(self.name, DocType::NAME)?;
        let elements = doc::elements(&view, &self.path).map_err(ReadError::from)?;
        Ok(elements.map_or(0, |elements| elements.len()))
    }

    /// Returns whether there is no element as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when a row cannot be read.
    pub fn is_empty(&self) -> Result<bool, WriteError> {
        Ok(self.len()? == 0)
    }

    /// Returns the element with this index as the transaction sees it.
    ///
    /// # Errors
    /// [`WriteError`] when a row cannot be read.
    pub fn get(&self, index: usize) -> Result<Option<Value>, WriteError> {
        let view = self.transaction.view(self.name, DocType::NAME)?;
        Ok(doc::get(&view, &self.path.index(index)).map_err(ReadError::from)?)
    }

    /// Returns the path of the element with this index, to change what is inside it. That of an
    /// element which the transaction itself inserted is of use in the transaction only.
    ///
    /// # Errors
    /// [`WriteError`] when a row cannot be read.
    pub fn element(&self, index: usize) -> Result<Option<Path>, WriteError> {
        let view = self.transaction.view(self.name, DocType::NAME)?;
        Ok(doc::locate(&view, &self.path.index(index)).map_err(ReadError::from)?)
    }
}
