//! What is known of peers, and how it stands with them.
//!
//! Invariant: what is told is read from the actor's board; nothing is asked of a peer.

use std::collections::BTreeMap;

use weald_dag::{DatabaseId, PublicKey};
use weald_transports::{Events, PeerRecord, PeerStatus, SyncRecord, SyncStatus};

use super::PeerSync;

impl PeerSync {
    /// Adds what is known of a peer: addresses, and databases to be kept in sync. Nothing known before is removed.
    ///
    /// A peer with a database and an address is dialled until it is reached, also after restarts.
    pub fn register_peer(&self, record: PeerRecord) {
        self.actor.register_peer(record);
    }

    /// Keeps a database in sync with a peer no more.
    pub fn drop_relation(&self, peer: PublicKey, database: DatabaseId) {
        self.actor.drop_relation(peer, database);
    }

    /// Returns what is known of a peer now; `None` when it is not known.
    pub fn peer(&self, peer: &PublicKey) -> Option<PeerStatus> {
        self.actor.peer(peer)
    }

    /// Returns every known peer with its status.
    pub fn list_peers(&self) -> Vec<PeerStatus> {
        self.actor.peers()
    }

    /// Returns how it stands with a database at each peer with which it is kept in sync or was synced.
    pub fn status(&self, database: &DatabaseId) -> BTreeMap<PublicKey, SyncStatus> {
        let here = self.core.held(database).is_ok_and(|held| held.is_some());
        let peers = self.actor.peers().into_iter();
        let status = |mut peer: PeerStatus| {
            let mut status = peer.databases.remove(database)?;
            status.has_local_data = here;
            Some((peer.record.key, status))
        };
        peers.filter_map(status).collect()
    }

    /// Returns what became of the last syncs with a peer, the oldest first: at most [`HISTORY_MAX`].
    ///
    /// Of peers that this device dials, registered or keeps a database in sync with it is kept over restarts; a
    /// crash may lose the last seconds.
    ///
    /// [`HISTORY_MAX`]: crate::HISTORY_MAX
    pub fn history(&self, peer: &PublicKey) -> Vec<SyncRecord> {
        self.actor.history(peer)
    }

    /// Tries everything anew: peers that wait for their next attempt are dialled at once, and on each open link
    /// every database is compared. An app calls it when the network of the device has changed.
    pub fn network_changed(&self) {
        self.actor.network_changed();
    }

    /// Returns a stream of what happens from now on.
    pub fn events(&self) -> Events {
        self.actor.events()
    }
}
