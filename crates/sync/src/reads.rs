//! What a session reads of the instance that it speaks for: reads are arguments, never kept.

use std::sync::Arc;

use weald_dag::{DatabaseId, EntryId, PublicKey, SecretKey, Snapshot, StoreError};

use crate::discovery::ListedDatabase;

/// A database as it is held here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalDatabase {
    /// Its local number, which names its rows in a snapshot.
    pub number: u32,
    /// Whether its bootstrap has finished; until then it is neither offered nor sent.
    pub complete: bool,
}

/// What a session reads of its instance.
pub trait Reads {
    /// Returns a view of the store as it is now; a session keeps none beyond the call.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;

    /// Returns how a database is held here, or `None` when it is not.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn database(&self, id: &DatabaseId) -> Result<Option<LocalDatabase>, StoreError>;

    /// Returns whether one of these keys may read a database, by the database's authority as it is
    /// now. `Anyone` counts, also with no keys; a database that is not held here gives `false`.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn may_read(&self, id: &DatabaseId, keys: &[PublicKey]) -> Result<bool, StoreError>;

    /// Returns the complete databases here that these keys know of: that one of them or anyone may
    /// read, or in which one of them once held something. Never an instance's own.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn known_to(&self, keys: &[PublicKey]) -> Result<Vec<DatabaseId>, StoreError>;

    /// Returns what took a database from keys that may not read it: the settings entries that show
    /// it, parents first, and nothing that carries data. `None` where none of the keys ever held
    /// anything.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn taken_from(
        &self,
        id: &DatabaseId,
        keys: &[PublicKey],
    ) -> Result<Option<Vec<EntryId>>, StoreError>;

    /// Returns the keys of this side that are proven to this peer for a database beside the device
    /// key: those that hold something in it or did once; where nothing is known, those to ask with.
    /// [`NO_DATABASE`](crate::NO_DATABASE) asks for those by which the peer is to say what it offers.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn keys_for(&self, id: &DatabaseId, peer: &PublicKey) -> Result<Vec<SecretKey>, StoreError>;

    /// Returns the complete databases here that one of these keys or anyone may read, by id and behind
    /// `after`, at most `limit`. Never an instance's own, nor what is not offered. None unless the
    /// instance says otherwise.
    ///
    /// # Errors
    /// Any [`StoreError`]; it closes the session.
    fn listed(
        &self,
        _keys: &[PublicKey],
        _after: Option<DatabaseId>,
        _limit: usize,
    ) -> Result<Vec<ListedDatabase>, StoreError> {
        Ok(Vec::new())
    }
}
