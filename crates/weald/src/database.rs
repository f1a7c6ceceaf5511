//! One database, as one key of a user sees it.
//!
//! Invariant: reading goes to rows by key or range; nothing is replayed and no lock is held while
//! code of the app runs.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use thiserror::Error;
use weald_auth::SettingsError;
use weald_crdt::{CounterType, DocType, LogType, SetType, TableType};
use weald_dag::{
    DatabaseId, EntryId, Graph, Number, Parcel, PublicKey, SecretKey, Standing, StoreError, Time,
};
use weald_engine::Held;

use crate::core::Core;
use crate::counter::Counter;
use crate::doc::Doc;
use crate::error::{Error, ReadError};
use crate::log::Log;
use crate::own::OwnStore;
use crate::registry::{self, StoreSummary};
use crate::sealed::SealedError;
use crate::set::Set;
use crate::settings::{NAME, Settings};
use crate::store_ref::{StoreRef, own_type};
use crate::table::Table;
use crate::transaction::{Committed, Transaction};
use crate::watch::{self, Event, Filter, Watch, WriteCallback};

/// Why a database cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The database is not on this device.
    #[error("database {} is not here yet; sync it with a peer that has it, then open it again", id.short())]
    NotHere {
        /// The database.
        id: DatabaseId,
    },
    /// A version was asked for by an entry that is not on this device.
    #[error("entry {} is not here; sync the database, or name an entry that is", entry.short())]
    UnknownEntry {
        /// The entry.
        entry: EntryId,
    },
    /// The user has no such key.
    #[error("the user has no private key {}; use one of its own", key.short())]
    NoKey {
        /// The key.
        key: PublicKey,
    },
    /// The settings break a rule.
    #[error("the settings cannot be written: {0}")]
    Settings(#[from] SettingsError),
    /// A store cannot be sealed, unlocked or locked.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One database. Cloning is cheap; every clone keeps the instance open.
#[derive(Clone)]
pub struct Database {
    core: Arc<Core>,
    id: DatabaseId,
    number: u32,
    key: Arc<SecretKey>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("id", &self.id)
            .field("key", &self.key.public())
            .finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn new(core: &Arc<Core>, held: &Held, key: Arc<SecretKey>) -> Self {
        Self { core: Arc::clone(core), id: held.id, number: held.number, key }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    pub(crate) const fn secret(&self) -> &Arc<SecretKey> {
        &self.key
    }

    /// Returns the id.
    pub const fn id(&self) -> DatabaseId {
        self.id
    }

    /// Returns the public half of the key that signs what is written through this handle.
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// Returns the name that its settings give it; `None` also when they cannot be read.
    pub fn name(&self) -> Option<String> {
        match self.settings().get(NAME) {
            Ok(name) => name,
            Err(error) => {
                tracing::warn!(%error, "the name of a database could not be read");
                None
            }
        }
    }

    /// Returns the entries that no other one descends from.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn tips(&self) -> Result<Vec<EntryId>, StoreError> {
        let rows = self.core.rows()?;
        let graph = Graph::new(&rows, self.number);
        let head = graph.head()?;
        let mut tips = head.map_or(Ok(Vec::new()), |(_, head)| graph.ids(&head.tips))?;
        tips.sort_unstable();
        Ok(tips)
    }

    /// Returns how many entries are here and count: those that are visible, and hidden ones that a
    /// visible one descends from.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn entry_count(&self) -> Result<u64, StoreError> {
        let rows = self.core.rows()?;
        let head = Graph::new(&rows, self.number).head()?;
        Ok(head.map_or(0, |(_, head)| head.needed))
    }

    /// Returns whether an entry is here and visible; of one that is not, see
    /// [`Database::why_hidden`].
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn contains(&self, entry: &EntryId) -> Result<bool, StoreError> {
        let known = Graph::new(&self.core.rows()?, self.number).known(entry)?;
        Ok(known.is_some_and(|known| known.standing == Standing::Visible))
    }

    /// Returns how many entries `these` reach and `those` do not; each reaches itself. Entries that
    /// are not here reach nothing. The cost is that of the difference.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn difference(&self, these: &[EntryId], those: &[EntryId]) -> Result<u64, StoreError> {
        let rows = self.core.rows()?;
        let graph = Graph::new(&rows, self.number);
        let found = graph.difference(&graph.numbers(these)?, &graph.numbers(those)?)?;
        Ok(found.len() as u64)
    }

    /// Returns when an entry was made, by its author's clock; `None` if it is not here.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn time_of(&self, entry: &EntryId) -> Result<Option<Time>, StoreError> {
        Ok(Graph::new(&self.core.rows()?, self.number).known(entry)?.map(|known| known.time))
    }

    /// Returns a hash over all state, equal on every replica that holds the same entries.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn state_digest(&self) -> Result<[u8; 32], StoreError> {
        weald_engine::state_digest(&self.core.rows()?, self.number)
    }

    /// Returns whether a first sync has brought all of it. Until then it can be read, not written.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn is_complete(&self) -> Result<bool, StoreError> {
        Ok(self.core.held(&self.id)?.is_some_and(|held| held.complete))
    }

    /// Returns entries in the order in which they came here, parents first, from a place on: what
    /// [`crate::Instance::ingest`] takes on another device. Hidden entries from which nothing visible
    /// descends are left out. Sync does this by itself.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn parcels(&self, from: u64, count: usize) -> Result<Vec<Parcel>, StoreError> {
        let mut parcels = Vec::new();
        if count == 0 {
            return Ok(parcels);
        }
        let rows = self.core.rows()?;
        Graph::new(&rows, self.number).each_from(Number(from), &mut |stored| {
            if stored.local.standing.is_needed() {
                parcels.push(stored.parcel);
            }
            if parcels.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(parcels)
    }

    /// Opens a table of `T` for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn table<T>(&self, name: &str) -> Result<Table<T>, ReadError> {
        self.store(name, TableType::NAME).map(Table::new)
    }

    /// Opens a log of `T` for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn log<T>(&self, name: &str) -> Result<Log<T>, ReadError> {
        self.store(name, LogType::NAME).map(Log::new)
    }

    /// Opens a document for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn doc(&self, name: &str) -> Result<Doc, ReadError> {
        self.store(name, DocType::NAME).map(Doc::new)
    }

    /// Lists the stores that have something in them, or of which something is noted, by name and type.
    ///
    /// A name that was given to stores of two types by people who did not know of each other is
    /// listed twice; open it as either type. It costs the stores, not what is in them.
    ///
    /// # Errors
    /// [`ReadError`] when the rows cannot be read.
    pub fn stores(&self) -> Result<Vec<StoreSummary>, ReadError> {
        registry::list(&self.core.rows()?, self.number, self.sealed_stores()?)
    }

    /// Opens a store of a type of the app's own for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type, and for a
    /// type that the instance was not given.
    pub fn own(&self, name: &str, type_name: &str) -> Result<OwnStore, ReadError> {
        let store_type = own_type(&self.core, type_name)?;
        self.store(name, store_type.name()).map(OwnStore::new)
    }

    /// Opens a store of counters for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn counter(&self, name: &str) -> Result<Counter, ReadError> {
        self.store(name, CounterType::NAME).map(Counter::new)
    }

    /// Opens a set of `T` for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    pub fn set<T>(&self, name: &str) -> Result<Set<T>, ReadError> {
        self.store(name, SetType::NAME).map(Set::new)
    }

    /// Opens a text for reading.
    ///
    /// # Errors
    /// [`ReadError::Name`] for a name that cannot be used, or is in use for another type.
    #[cfg(feature = "text")]
    pub fn text(&self, name: &str) -> Result<crate::text::Text, ReadError> {
        let type_name = crate::text::TextType::NAME;
        self.store(name, type_name).map(crate::text::Text::new)
    }

    fn store(&self, name: &str, type_name: &'static str) -> Result<StoreRef, ReadError> {
        self.attend()?;
        StoreRef::open(&self.core, self.number, name, type_name)
    }

    /// Returns the settings: name, members, permissions.
    pub fn settings(&self) -> Settings {
        Settings::new(self.clone())
    }

    /// Begins a transaction on what is committed now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn begin(&self) -> Result<Transaction, StoreError> {
        self.attend()?;
        Transaction::begin(&self.core, self.number, &self.key)
    }

    /// Runs a closure in a transaction and commits it: one entry, all or nothing, durable when this
    /// returns. An error of the closure drops the transaction.
    ///
    /// # Errors
    /// That of the closure, or why the commit failed.
    pub fn write<T>(
        &self,
        run: impl FnOnce(&mut Transaction) -> Result<T, Error>,
    ) -> Result<Committed<T>, Error> {
        let mut transaction = self.begin()?;
        let value = run(&mut transaction)?;
        Ok(transaction.commit()?.with(value))
    }

    /// Watches what happens from now on.
    pub fn watch(&self, filter: Filter) -> Watch {
        self.core.watchers.watch(self.id, filter)
    }

    /// Calls back for everything that happens from now on, made here or brought by a peer, on a
    /// thread of its own, until what is returned is dropped. Handles that the callback owns keep the
    /// instance open as long.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the system gives no thread.
    pub fn on_write(
        &self,
        call: impl FnMut(&Event) + Send + 'static,
    ) -> Result<WriteCallback, StoreError> {
        watch::spawn(self.watch(Filter::all()), call)
    }

    /// Calls back for each commit that is made on this instance from now on, once it is durable, in
    /// order: with [`Event::Entry`] for each, and [`Event::Lagged`] where the callback was too slow.
    /// Otherwise as [`Database::on_write`].
    ///
    /// # Errors
    /// [`StoreError::Io`] when the system gives no thread.
    pub fn on_commit(
        &self,
        call: impl FnMut(&Event) + Send + 'static,
    ) -> Result<WriteCallback, StoreError> {
        watch::spawn(self.watch(Filter::all().local().entries()), call)
    }
}
