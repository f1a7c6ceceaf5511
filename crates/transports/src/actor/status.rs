//! What happens now, per peer and database: written by who knows it, read by anyone at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::DatabaseStatus;

use super::error::SyncError;
use super::event::{Events, SyncEvent};
use super::limits::EVENTS_MAX;
use super::peer::PeerRecord;
use crate::address::Address;

/// How it stands with the link to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// No link, and none is wanted (nothing is kept in sync with it, or no address is known).
    Idle,
    /// It is being dialled.
    Connecting,
    /// A link is open and proven both ways.
    Connected,
    /// The last attempt failed; the next one comes at this time.
    Waiting {
        /// When.
        next_retry: SystemTime,
    },
}

/// What is known of a peer now.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// What is kept of it.
    pub record: PeerRecord,
    /// How it stands with the link.
    pub state: PeerState,
    /// When a link to it was last proven.
    pub last_connected: Option<SystemTime>,
    /// Why the last attempt or link failed; `None` once one works.
    pub last_error: Option<SyncError>,
    /// How long the last health check of the current or last link took there and back.
    pub round_trip: Option<Duration>,
    /// How it stands with each database that was synced with it since the start.
    pub databases: BTreeMap<DatabaseId, SyncStatus>,
}

/// How it stands with one database and one peer.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// What the session of the current or last link says.
    pub session: DatabaseStatus,
    /// When both were last found to hold the same.
    pub last_success: Option<SystemTime>,
    /// Why the last attempt failed; `None` once one succeeded.
    pub last_error: Option<SyncError>,
    /// How many rounds ended with both holding the same, since the start.
    pub rounds: u64,
}

#[derive(Debug, Default)]
struct Facts {
    peers: BTreeMap<PublicKey, PeerStatus>,
    servers: Vec<(String, Address)>,
}

/// The shared board of an actor.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    facts: Arc<Mutex<Facts>>,
    events: broadcast::Sender<SyncEvent>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { facts: Arc::default(), events: broadcast::Sender::new(EVENTS_MAX) }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: SyncEvent) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    pub(crate) fn events(&self) -> Events {
        Events(self.events.subscribe())
    }

    /// Takes note of a peer's record.
    pub(crate) fn record(&self, record: &PeerRecord) {
        let mut facts = self.lock();
        match facts.peers.get_mut(&record.key) {
            Some(status) => status.record = record.clone(),
            None => {
                let status = PeerStatus {
                    record: record.clone(),
                    state: PeerState::Idle,
                    last_connected: None,
                    last_error: None,
                    round_trip: None,
                    databases: BTreeMap::new(),
                };
                facts.peers.insert(record.key, status);
            }
        }
    }

    /// Takes a peer off the board.
    pub(crate) fn forget(&self, peer: &PublicKey) {
        self.lock().peers.remove(peer);
    }

    /// Changes what is known of a peer that has a record.
    pub(crate) fn peer_now(&self, peer: &PublicKey, change: impl FnOnce(&mut PeerStatus)) {
        if let Some(status) = self.lock().peers.get_mut(peer) {
            change(status);
        }
    }

    /// Changes how it stands with a database; `session` is what the session says of it now.
    pub(crate) fn database(
        &self,
        peer: &PublicKey,
        database: DatabaseId,
        session: DatabaseStatus,
        change: impl FnOnce(&mut SyncStatus),
    ) {
        self.peer_now(peer, |status| {
            let new = SyncStatus {
                session: session.clone(),
                last_success: None,
                last_error: None,
                rounds: 0,
            };
            let entry = status.databases.entry(database).or_insert(new);
            entry.session = session;
            change(entry);
        });
    }

    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        self.lock().peers.values().cloned().collect()
    }

    pub(crate) fn peer(&self, peer: &PublicKey) -> Option<PeerStatus> {
        self.lock().peers.get(peer).cloned()
    }

    pub(crate) fn servers(&self) -> Vec<(String, Address)> {
        self.lock().servers.clone()
    }

    pub(crate) fn set_servers(&self, servers: Vec<(String, Address)>) {
        self.lock().servers = servers;
    }
}
