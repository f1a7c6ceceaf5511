//! The keys of the sealed stores that are unlocked, of one instance.
//!
//! Invariant: keys are here from unlocking to locking or closing, and nowhere in the clear on disk;
//! their memory is overwritten when they are dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use weald_cipher::{Binding, EpochId, EpochKey, RowCipher, open_section, section_epoch};
use weald_dag::{DatabaseId, PublicKey, SecretKey};
use weald_engine::{Opened, Secrets};

use super::known::Records;
use super::records::Keying;

/// A store that is unlocked.
pub(crate) struct OpenStore {
    pub(crate) database: DatabaseId,
    pub(crate) type_name: String,
    pub(crate) keying: Keying,
    /// The keys of its epochs, the oldest first.
    pub(crate) ring: Vec<EpochKey>,
    pub(crate) rows: Arc<RowCipher>,
    /// Whether it is being locked: only what has begun goes on with the keys.
    closing: bool,
}

impl OpenStore {
    pub(crate) fn new(
        database: DatabaseId,
        (type_name, keying): (String, Keying),
        ring: Vec<EpochKey>,
        rows: Arc<RowCipher>,
    ) -> Self {
        Self { database, type_name, keying, ring, rows, closing: false }
    }

    /// Adds keys that are new, and returns whether there were such.
    fn extend(&mut self, keys: Vec<EpochKey>) -> bool {
        let before = self.ring.len();
        for key in keys {
            if self.ring.iter().all(|known| known.id() != key.id()) {
                self.ring.push(key);
            }
        }
        self.ring.len() > before
    }
}

type OpenStores = BTreeMap<u32, BTreeMap<String, OpenStore>>;

/// All stores that are unlocked, and whose keys unlock others.
#[derive(Default)]
pub(crate) struct Vault {
    open: RwLock<OpenStores>,
    readers: Mutex<Readers>,
    /// What `_keys` says, as the writer thread knows it.
    records: Mutex<BTreeMap<u32, Arc<Records>>>,
    /// Held while a store is unlocked, so that two do not choose differently.
    unlocking: Mutex<()>,
}

#[derive(Default)]
struct Readers {
    keys: BTreeMap<(u32, PublicKey), Weak<SecretKey>>,
    /// Those that were tried on what is there.
    tried: BTreeSet<(u32, PublicKey)>,
    /// Stores that were locked by hand, and are not unlocked by a reader's key alone.
    locked: BTreeSet<(u32, String)>,
}

fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Calls `run` with a store that is unlocked, or being locked.
    fn with<R>(&self, database: u32, store: &str, run: impl FnOnce(&OpenStore) -> R) -> Option<R> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&database)?.get(store).map(run)
    }

    fn with_mut<R>(&self, run: impl FnOnce(&mut OpenStores) -> R) -> R {
        run(&mut self.open.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the type of a store that is unlocked.
    pub(crate) fn type_of(&self, database: u32, store: &str) -> Option<String> {
        let type_name = |open: &OpenStore| (!open.closing).then(|| open.type_name.clone());
        self.with(database, store, type_name).flatten()
    }

    pub(crate) fn is_open(&self, database: u32, store: &str) -> bool {
        self.with(database, store, |open| !open.closing).unwrap_or(false)
    }

    /// Returns what seals the rows of a store at rest.
    pub(super) fn rows(&self, database: u32, store: &str) -> Option<Arc<RowCipher>> {
        self.with(database, store, |open| Arc::clone(&open.rows))
    }

    /// Returns database, keying and keys of a store that is unlocked.
    pub(super) fn ring(
        &self,
        database: u32,
        store: &str,
    ) -> Option<(DatabaseId, Keying, Vec<EpochKey>)> {
        let ring = |open: &OpenStore| {
            (!open.closing).then(|| (open.database, open.keying, open.ring.clone()))
        };
        self.with(database, store, ring).flatten()
    }

    /// Returns the stores of a database that are unlocked, with the name of the key that their rows
    /// rest under.
    pub(super) fn all_open(&self, database: u32) -> Vec<(String, [u8; 16])> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let stores = open.get(&database).into_iter().flatten().filter(|(_, open)| !open.closing);
        stores.map(|(name, open)| (name.clone(), *open.rows.epoch().as_bytes())).collect()
    }

    /// Returns the stores of a database that are unlocked for its readers.
    pub(super) fn open_for_readers(&self, database: u32) -> Vec<String> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let stores = open.get(&database).into_iter().flatten();
        let stores = stores.filter(|(_, open)| open.keying == Keying::Readers && !open.closing);
        stores.map(|(name, _)| name.clone()).collect()
    }

    /// Puts a store there, or only new keys of it if it is there.
    pub(super) fn insert(&self, database: u32, store: &str, new: OpenStore) {
        self.with_mut(|open| {
            let stores = open.entry(database).or_default();
            match stores.get_mut(store) {
                Some(known) => {
                    known.closing = false;
                    known.extend(new.ring);
                }
                None => drop(stores.insert(store.to_owned(), new)),
            }
        });
    }

    /// Adds keys to a store that is unlocked, and returns whether any of them is new.
    pub(super) fn extend(&self, database: u32, store: &str, keys: Vec<EpochKey>) -> bool {
        self.with_mut(|open| {
            let store = open.get_mut(&database).and_then(|stores| stores.get_mut(store));
            store.is_some_and(|store| store.extend(keys))
        })
    }

    /// Keeps a store from being read; returns whether it was unlocked.
    pub(super) fn begin_locking(&self, database: u32, store: &str) -> bool {
        hold(&self.readers).locked.insert((database, store.to_owned()));
        self.with_mut(|open| {
            let store = open.get_mut(&database).and_then(|stores| stores.get_mut(store));
            store.is_some_and(|store| !std::mem::replace(&mut store.closing, true))
        })
    }

    /// Drops the keys of a store that is being locked.
    pub(super) fn end_locking(&self, database: u32, store: &str) {
        self.with_mut(|open| {
            if let Some(stores) = open.get_mut(&database)
                && stores.get(store).is_some_and(|store| store.closing)
            {
                stores.remove(store);
            }
        });
    }

    /// Drops all keys.
    pub(crate) fn clear(&self) {
        self.with_mut(OpenStores::clear);
        *hold(&self.readers) = Readers::default();
        self.forget();
    }

    pub(super) fn unlocking(&self) -> MutexGuard<'_, ()> {
        hold(&self.unlocking)
    }

    /// Takes note of a key that may be a reader's; returns whether it is to be tried.
    pub(super) fn try_reader(&self, database: u32, key: &Arc<SecretKey>) -> bool {
        let (mut readers, at) = (hold(&self.readers), (database, key.public()));
        if readers.tried.contains(&at)
            && readers.keys.get(&at).is_some_and(|known| known.strong_count() > 0)
        {
            return false;
        }
        readers.keys.retain(|_, key| key.strong_count() > 0);
        readers.keys.insert(at, Arc::downgrade(key));
        true
    }

    /// A key was tried on all that is there.
    pub(super) fn tried_reader(&self, database: u32, key: PublicKey) {
        hold(&self.readers).tried.insert((database, key));
    }

    /// Returns the keys that may be those of readers of a database.
    pub(super) fn readers(&self, database: u32) -> Vec<Arc<SecretKey>> {
        let readers = hold(&self.readers);
        let keys = readers.keys.iter().filter(|((of, _), _)| *of == database);
        keys.filter_map(|(_, key)| key.upgrade()).collect()
    }

    pub(super) fn is_locked_by_hand(&self, database: u32, store: &str) -> bool {
        hold(&self.readers).locked.contains(&(database, store.to_owned()))
    }

    pub(super) fn unlock_by_hand(&self, database: u32, store: &str) {
        hold(&self.readers).locked.remove(&(database, store.to_owned()));
    }

    pub(super) fn records(&self, database: u32) -> Option<Arc<Records>> {
        hold(&self.records).get(&database).cloned()
    }

    /// Keeps what `_keys` says now; what it says of readers may be new to their keys.
    pub(super) fn keep_records(&self, database: u32, records: Arc<Records>) {
        hold(&self.records).insert(database, records);
        hold(&self.readers).tried.retain(|(of, _)| *of != database);
    }

    /// Drops what the writer thread knows of a database.
    pub(crate) fn forget_records(&self, database: u32) {
        hold(&self.records).remove(&database);
    }

    /// Drops what the writer thread knows, after rows were staged and not applied.
    pub(crate) fn forget(&self) {
        hold(&self.records).clear();
    }
}

impl Secrets for Vault {
    fn open(&self, database: u32, store: &str, author: &PublicKey, payload: &[u8]) -> Opened {
        let open = |open: &OpenStore| {
            if open.closing {
                return Opened::Locked;
            }
            let epoch = match section_epoch(payload) {
                Ok(epoch) => epoch,
                Err(error) => return Opened::Void(error.to_string()),
            };
            let Some(key) = key_of(&open.ring, epoch) else { return Opened::Locked };
            let database = open.database.as_bytes();
            let binding = Binding { database, store, author: author.as_bytes() };
            match open_section(key, &binding, payload) {
                Ok(mut section) => Opened::Section(std::mem::take(&mut *section)),
                Err(error) => Opened::Void(error.to_string()),
            }
        };
        self.with(database, store, open).unwrap_or(Opened::Locked)
    }
}

/// Returns the key of an epoch.
pub(super) fn key_of(ring: &[EpochKey], epoch: EpochId) -> Option<&EpochKey> {
    ring.iter().find(|key| key.id() == epoch)
}
