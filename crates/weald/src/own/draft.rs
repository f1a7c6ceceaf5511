//! The operations of a transaction on stores of an app's own types.
//!
//! Invariant: the rows that a transaction sees are those before it with its one section on top,
//! exactly what the commit will fold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use weald_crdt::{DraftError, EntryStamp, OwnDraft, StoreType, Value, View};
use weald_dag::{Overlay, StoreError};
use weald_engine::{StorePlace, StoreView, StoreViewMut};

use crate::error::WriteError;
use crate::transaction::Transaction;

/// What a transaction does to stores of own types, by the name of the store.
#[derive(Default)]
pub(crate) struct OwnDrafts(BTreeMap<String, Staged>);

/// The operations on one store, and its rows with them.
struct Staged {
    draft: OwnDraft,
    rows: Overlay,
}

impl OwnDrafts {
    pub(crate) fn type_of(&self, name: &str) -> Option<&'static str> {
        self.0.get(name).map(|staged| staged.draft.type_name())
    }

    /// Ends the drafts: store and payload of each section.
    pub(crate) fn into_sections(self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.0.into_iter().map(|(name, staged)| (name, staged.draft.encode()))
    }
}

/// Writes to a store of an app's own type in a transaction, and reads what it will be.
pub struct OwnMut<'tx> {
    transaction: &'tx mut Transaction,
    name: String,
    store_type: Arc<dyn StoreType>,
    place: StorePlace,
}

impl fmt::Debug for OwnMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnMut").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'tx> OwnMut<'tx> {
    pub(crate) fn new(
        transaction: &'tx mut Transaction,
        name: String,
        store_type: Arc<dyn StoreType>,
    ) -> Result<Self, StoreError> {
        let place = transaction.place(&name, store_type.name())?;
        Ok(Self { transaction, name, store_type, place })
    }

    /// Adds an operation: any value that the type understands.
    ///
    /// The section so far is checked and applied again, so that reads see all of it: the cost is
    /// that of all operations on this store in the transaction. Add many by [`OwnMut::extend`].
    ///
    /// # Errors
    /// [`WriteError`] for an operation that the type refuses, a value that cannot be stored, or a
    /// section over its limits; the transaction is as it was before.
    pub fn push<V: Serialize + ?Sized>(&mut self, operation: &V) -> Result<(), WriteError> {
        self.extend([operation])
    }

    /// Adds operations, all of them or none.
    ///
    /// # Errors
    /// As for [`OwnMut::push`].
    pub fn extend<V: Serialize>(
        &mut self,
        operations: impl IntoIterator<Item = V>,
    ) -> Result<(), WriteError> {
        let (name, version) = (self.store_type.name(), self.store_type.version());
        let before = self.transaction.own.0.get(&self.name);
        let before = before.map(|staged| staged.draft.clone());
        let mut draft = before.unwrap_or_else(|| OwnDraft::new(name, version));
        for operation in operations {
            draft.push(&Value::from_serde(&operation)?)?;
        }
        if draft.is_empty() {
            return Ok(());
        }
        let payload = draft.encode();
        self.store_type.check(&payload).map_err(DraftError::from)?;
        let mut rows = self.transaction.overlay();
        let mut view = StoreViewMut::new(&mut rows, self.place.clone());
        let (own, mut changes) = (EntryStamp::PROVISIONAL, Vec::new());
        self.store_type.apply(&payload, &own, &mut view, &mut changes).map_err(DraftError::from)?;
        self.transaction.own.0.insert(self.name.clone(), Staged { draft, rows });
        Ok(())
    }

    /// Returns the rows as the transaction sees them. Its own operations have a provisional stamp,
    /// later than any other: see [`weald_crdt::Stamp::is_provisional`].
    pub fn view(&self) -> impl View + '_ {
        let staged = self.transaction.own.0.get(&self.name).map(|staged| &staged.rows);
        StoreView::new(staged.unwrap_or_else(|| self.transaction.staged()), self.place.clone())
    }
}
