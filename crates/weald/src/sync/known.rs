//! What is known of peers, and how it stands with them.
//!
//! Invariant: what is told is read from the actor's board; nothing is asked of a peer.

use std::collections::BTreeMap;

use weald_dag::{DatabaseId, PublicKey};
use weald_transports::{Events, PeerRecord, PeerStatus, SyncStatus};

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

    /// Returns how it stands with a database at each peer that it was synced with since the start.
    pub fn status(&self, database: &DatabaseId) -> BTreeMap<PublicKey, SyncStatus> {
        let peers = self.actor.peers().into_iter();
        let status =
            |mut peer: PeerStatus| Some((peer.record.key, peer.databases.remove(database)?));
        peers.filter_map(status).collect()
    }

    /// Returns a stream of what happens from now on.
    pub fn events(&self) -> Events {
        self.actor.events()
    }
}
