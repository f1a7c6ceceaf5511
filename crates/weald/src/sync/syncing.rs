//! Meeting a peer and syncing with it now.
//!
//! Invariant: what is synced once is kept in sync from then on.

use weald_dag::{DatabaseId, PublicKey};
use weald_transports::{Address, SyncError};

use super::{IntoAddress, PeerSync};

impl PeerSync {
    /// Connects to whoever answers at an address, proves both ways, remembers the peer, returns its device key.
    ///
    /// # Errors
    /// Any [`SyncError`].
    pub async fn connect_to_peer(&self, address: impl IntoAddress) -> Result<PublicKey, SyncError> {
        self.actor.connect(vec![address.into_address()?], None).await
    }

    /// Connects to an address and syncs one database, or with `None` all that both may; returns the peer once
    /// both hold the same.
    ///
    /// It finds out by itself what is to be done: what is not here is fetched whole, what is here is caught up,
    /// both ways, and what broke off before goes on. The keys that are unlocked and hold something in the
    /// database open it, and so does what anyone may do there. From then on new entries go both ways at once,
    /// also after restarts.
    ///
    /// With `None` these are the databases that are here and those that users of this device want and that are
    /// not here yet; nothing is fetched that nobody here asked for.
    ///
    /// # Errors
    /// Any [`SyncError`]; [`SyncError::DatabaseUnknown`] where the peer does not give the one asked for to any of
    /// the keys here: ask for access by
    /// [`sync_with_peer_for_bootstrap`](Self::sync_with_peer_for_bootstrap), or [`join`](Self::join) by an invite.
    pub async fn sync_with_peer(
        &self,
        address: impl IntoAddress,
        database: Option<DatabaseId>,
    ) -> Result<PublicKey, SyncError> {
        self.actor.sync_with(vec![address.into_address()?], None, database).await
    }

    /// Syncs a database with a known peer, at any of its addresses.
    ///
    /// # Errors
    /// Any [`SyncError`].
    pub async fn sync_database_with_peer(
        &self,
        peer: PublicKey,
        database: DatabaseId,
    ) -> Result<(), SyncError> {
        self.actor.sync_with_known(peer, Some(database)).await
    }

    /// Connects to a peer; returns its device key.
    pub(crate) async fn reach(
        &self,
        addresses: Vec<Address>,
        expected: Option<PublicKey>,
    ) -> Result<PublicKey, SyncError> {
        self.actor.connect(addresses, expected).await
    }

    /// Syncs a database with a peer.
    pub(crate) async fn fetch(
        &self,
        addresses: Vec<Address>,
        peer: PublicKey,
        database: DatabaseId,
    ) -> Result<(), SyncError> {
        self.actor.sync_with(addresses, Some(peer), Some(database)).await.map(drop)
    }
}
