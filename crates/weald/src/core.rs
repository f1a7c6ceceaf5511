//! What all handles of one open instance share.
//!
//! Invariant: rows are written by the writer thread alone; when the last handle is dropped the
//! queue is emptied, the store settles and the directory is given up, in this order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use weald_auth::Authority;
use weald_crdt::{StoreType, Ulid};
use weald_dag::{DatabaseId, EntryId, Graph, PublicKey, SecretKey, StoreError};
use weald_engine::{Engine, Held, StoreTypes, held};
use weald_store::{Settle, Writer, WriterOptions};

use crate::access::Access;
use crate::clock::wall_millis;
use crate::desk::{Desk, IndexBoard, Job, Shared};
use crate::entropy;
use crate::explain::Refusals;
use crate::feed::Feeds;
use crate::key_ring::KeyRing;
use crate::presence::PresenceBoard;
use crate::rows::Rows;
use crate::seal::Sealer;
use crate::sealed::{SealedRows, Vault};
use crate::sync::Slot;
use crate::system::SystemDatabases;
use crate::user::{Logins, PasswordCost, Wanted};
use crate::watch::Watchers;

/// How many authors of recently read entries are remembered.
const AUTHORS_MAX: usize = 4_096;

/// An open instance.
pub(crate) struct Core {
    pub(crate) access: Arc<Access>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) index_board: Arc<IndexBoard>,
    pub(crate) device: Arc<SecretKey>,
    pub(crate) sealer: Sealer,
    pub(crate) key_ring: Arc<KeyRing>,
    pub(crate) logins: Logins,
    pub(crate) wanted: Arc<Wanted>,
    /// What trying a password costs from now on.
    pub(crate) password_cost: PasswordCost,
    /// The keys of sealed stores that are unlocked.
    pub(crate) vault: Arc<Vault>,
    pub(crate) types: StoreTypes,
    pub(crate) system: SystemDatabases,
    #[cfg(feature = "text")]
    pub(crate) texts: crate::text::TextPool,
    pub(crate) presence: Arc<PresenceBoard>,
    pub(crate) sync: Slot,
    last_ulid: Mutex<Ulid>,
    authors: RwLock<BTreeMap<(u32, EntryId), PublicKey>>,
    /// `None` once the instance was closed.
    store: RwLock<Option<Arc<dyn Settle>>>,
    /// Last: dropping it waits for the writer thread, which owns the store, too.
    writer: Writer<Job>,
}

impl Core {
    pub(crate) fn start(
        store: Arc<dyn Settle>,
        device: SecretKey,
        sealer: Sealer,
        own: Vec<Arc<dyn StoreType>>,
        password_cost: PasswordCost,
    ) -> std::io::Result<Self> {
        let types = StoreTypes::built_in();
        #[cfg(feature = "text")]
        let types = types.with(Arc::new(crate::text::TextType));
        let vault = Arc::<Vault>::default();
        let types = own.into_iter().fold(types, StoreTypes::with);
        let types = types.with_secrets(Arc::<Vault>::clone(&vault));
        let store: Arc<dyn Settle> = Arc::new(SealedRows::new(store, Arc::clone(&vault)));
        let shared = Shared { vault: Arc::clone(&vault), ..Shared::default() };
        let desk = Desk::new(Engine::new(types.clone()), shared.clone());
        let writer = Writer::spawn(Arc::clone(&store), desk, WriterOptions::default())?;
        // It is set before anybody can submit a job.
        drop(shared.writer.set(writer.downgrade()));
        let Shared { access, watchers, feeds, refusals, key_ring, index_board, .. } = shared;
        Ok(Self {
            access,
            watchers,
            feeds,
            refusals,
            index_board,
            device: Arc::new(device),
            sealer,
            key_ring,
            logins: Logins::default(),
            wanted: Arc::default(),
            password_cost,
            vault,
            types,
            system: SystemDatabases::default(),
            #[cfg(feature = "text")]
            texts: crate::text::TextPool::default(),
            presence: Arc::default(),
            sync: Slot::default(),
            last_ulid: Mutex::new(Ulid::from_bytes([0; 16])),
            authors: RwLock::default(),
            store: RwLock::new(Some(store)),
            writer,
        })
    }

    /// Returns all rows as they are now.
    pub(crate) fn rows(&self) -> Result<Rows, StoreError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.as_ref().ok_or(StoreError::Closed)?.snapshot().map(Rows)
    }

    /// Returns the store, which sync holds until it has stopped.
    pub(crate) fn store(&self) -> Result<Arc<dyn Settle>, StoreError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or(StoreError::Closed)
    }

    /// Returns a way to the writer thread, which sync holds until it has stopped.
    pub(crate) fn writer(&self) -> Writer<Job> {
        self.writer.clone()
    }

    /// Takes note of a key of a user who is logged in, by which peers may let this device in.
    pub(crate) fn unlock(&self, key: SecretKey) -> Arc<SecretKey> {
        let shared = self.key_ring.add(key);
        self.sync.keys_changed();
        shared
    }

    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.writer.submit(job).map_err(|_| StoreError::Closed)
    }

    /// Ends all writing and gives up the store; what is done on any handle afterwards is an error.
    pub(crate) fn close(&self) {
        // First, while what it has begun can still be written.
        self.sync.stop();
        self.writer.close();
        self.feeds.clear();
        self.watchers.close();
        self.presence.close();
        self.vault.clear();
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(store);
        self.index_board.wake();
    }

    /// Lets what is due in the settings of a database be seen to, by and by.
    pub(crate) fn tend(&self, held: &Held) {
        // A closing instance takes no more jobs.
        let _ = self.submit(Job::Tend(held.number));
    }

    /// Returns what the catalog says of a database.
    pub(crate) fn held(&self, id: &DatabaseId) -> Result<Option<Held>, StoreError> {
        held(&self.rows()?, id)
    }

    /// Returns who may do what in a database.
    pub(crate) fn authority(&self, held: &Held) -> Result<Arc<Authority>, StoreError> {
        match self.access.get(&held.id) {
            Some(known) => Ok(known),
            None => self.access.of(held, &self.rows()?),
        }
    }

    /// Returns a new key that is greater than those before and rises with the wall clock.
    pub(crate) fn new_ulid(&self) -> Result<Ulid, StoreError> {
        let now = wall_millis();
        let mut last = self.last_ulid.lock().unwrap_or_else(PoisonError::into_inner);
        *last =
            if now > last.milliseconds() { Ulid::new(now, entropy::bytes()?) } else { last.next() };
        Ok(*last)
    }

    /// Returns who signed an entry that is stored.
    pub(crate) fn author(
        &self,
        rows: &Rows,
        database: u32,
        entry: &EntryId,
    ) -> Result<PublicKey, StoreError> {
        let place = (database, *entry);
        let known = self.authors.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(author) = known.get(&place) {
            return Ok(*author);
        }
        drop(known);
        let author = author_of(&Graph::new(rows, database), entry)?;
        let mut known = self.authors.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= AUTHORS_MAX {
            known.clear();
        }
        known.insert(place, author);
        Ok(author)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // What is queued is still written, and told, before the watches end.
        self.close();
    }
}

/// Returns who signed an entry that a row of state names.
pub(crate) fn author_of(graph: &Graph<'_>, entry: &EntryId) -> Result<PublicKey, StoreError> {
    let number = graph.number(entry)?.ok_or_else(|| StoreError::Corrupt {
        what: format!("a row of state names entry {entry:?}, which is not stored"),
    })?;
    Ok(graph.entry(number)?.author())
}

/// The error of a caller that the writer thread did not answer.
pub(crate) fn lost() -> StoreError {
    StoreError::OutcomeUnknown { reason: "the writer stopped before it answered".into() }
}
