//! A database as it was: what the ancestors of some entries make of it.
//!
//! Invariant: it never changes, but for entries that are hidden or shown while it is looked for.

use std::fmt;
use std::sync::Arc;

use weald_crdt::{CounterType, DocType, LogType, SetType, TableType};
use weald_dag::{EntryId, Graph, Number, StoreError};
use weald_engine::past;

use crate::core::Core;
use crate::counter::Counter;
use crate::database::{Database, DatabaseError};
use crate::doc::Doc;
use crate::error::ReadError;
use crate::log::Log;
use crate::own::OwnStore;
use crate::rows::Rows;
use crate::set::Set;
use crate::store_ref::{StoreRef, own_type};
use crate::table::Table;

impl Database {
    /// Returns the database as the ancestors of these entries make it, for reading: those that are
    /// visible now, the entries themselves among them. Of no entries nothing is there.
    ///
    /// [`Database::tips`], kept at some moment, brings that moment back.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownEntry`] for an entry that is not here, or any [`StoreError`].
    pub fn at(&self, tips: &[EntryId]) -> Result<Past, DatabaseError> {
        let now = self.core().rows()?;
        let numbers = numbers(&now, self.number(), tips)?;
        let rows = past_rows(self, &now, &numbers)?;
        let mut tips = tips.to_vec();
        tips.sort_unstable();
        tips.dedup();
        Ok(Past { core: Arc::clone(self.core()), database: self.number(), rows, tips })
    }
}

/// Finds entries, all of which must be here.
pub(super) fn numbers(
    rows: &Rows,
    database: u32,
    entries: &[EntryId],
) -> Result<Vec<Number>, DatabaseError> {
    let graph = Graph::new(rows, database);
    let find =
        |entry: &EntryId| graph.number(entry)?.ok_or(DatabaseError::UnknownEntry { entry: *entry });
    entries.iter().map(find).collect()
}

pub(super) fn past_rows(
    database: &Database,
    now: &Rows,
    tips: &[Number],
) -> Result<Rows, StoreError> {
    let overlay = past(Arc::clone(&now.0), database.number(), &database.core().types, tips)?;
    Ok(Rows(Arc::new(overlay)))
}

/// A version of a database, for reading. Cloning is cheap.
///
/// It holds a snapshot, and in memory what lies between then and now.
#[derive(Clone)]
pub struct Past {
    core: Arc<Core>,
    database: u32,
    rows: Rows,
    tips: Vec<EntryId>,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("tips", &self.tips).finish_non_exhaustive()
    }
}

impl Past {
    /// Returns the entries that it was asked for with, in order.
    pub fn tips(&self) -> &[EntryId] {
        &self.tips
    }

    /// Returns a hash over all state of the version: that of [`Database::state_digest`] on a device
    /// that holds these entries and their ancestors alone.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn state_digest(&self) -> Result<[u8; 32], StoreError> {
        weald_engine::state_digest(&self.rows, self.database)
    }

    /// Opens a table of `T` as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    pub fn table<T>(&self, name: &str) -> Result<Table<T>, ReadError> {
        self.store(name, TableType::NAME).map(Table::new)
    }

    /// Opens a log of `T` as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    pub fn log<T>(&self, name: &str) -> Result<Log<T>, ReadError> {
        self.store(name, LogType::NAME).map(Log::new)
    }

    /// Opens a document as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    pub fn doc(&self, name: &str) -> Result<Doc, ReadError> {
        self.store(name, DocType::NAME).map(Doc::new)
    }

    /// Opens a text as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    #[cfg(feature = "text")]
    pub fn text(&self, name: &str) -> Result<crate::text::Text, ReadError> {
        self.store(name, crate::text::TextType::NAME).map(crate::text::Text::new)
    }

    /// Opens a store of a type of the app's own as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type, and for a
    /// type that the instance was not given.
    pub fn own(&self, name: &str, type_name: &str) -> Result<OwnStore, ReadError> {
        let store_type = own_type(&self.core, type_name)?;
        self.store(name, store_type.name()).map(OwnStore::new)
    }

    /// Opens a store of counters as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    pub fn counter(&self, name: &str) -> Result<Counter, ReadError> {
        self.store(name, CounterType::NAME).map(Counter::new)
    }

    /// Opens a set of `T` as it was.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or was in use for another type.
    pub fn set<T>(&self, name: &str) -> Result<Set<T>, ReadError> {
        self.store(name, SetType::NAME).map(Set::new)
    }

    fn store(&self, name: &str, type_name: &'static str) -> Result<StoreRef, ReadError> {
        StoreRef::open_at(&self.core, self.database, self.rows.clone(), name, type_name)
    }
}
