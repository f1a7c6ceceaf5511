//! What happens now, per peer and database: written by who knows it, read by anyone at any time.
//!
//! Invariant: what is on the board is true when it is read, and whatever of it is to outlive a restart is
//! listed as changed until it was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Notify, broadcast};
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::{CloseReason, DatabaseStatus, Event, Farewell};

use super::error::SyncError;
use super::event::{Events, SyncEvent};
use super::history::{History, SyncOutcome, SyncRecord};
use super::limits::EVENTS_MAX;
use super::notes::{DatabaseNotes, NOTED_DATABASES_MAX, Notes, noted};
use super::peer::PeerRecord;
use super::status::{PeerStatus, SyncStatus};
use crate::address::Address;

/// A peer on the board.
#[derive(Debug)]
struct Posted {
    status: PeerStatus,
    history: History,
}

#[derive(Debug, Default)]
struct Facts {
    peers: BTreeMap<PublicKey, Posted>,
    /// The peers of which something changed that is to be noted.
    changed: BTreeSet<PublicKey>,
    servers: Vec<(String, Address)>,
    /// The kinds of addresses that registered transports reach.
    kinds: BTreeSet<String>,
}

/// The shared board of an actor.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    facts: Arc<Mutex<Facts>>,
    changed: Arc<Notify>,
    /// `None` once the actor has stopped.
    events: Arc<Mutex<Option<broadcast::Sender<SyncEvent>>>>,
}

impl Board {
    pub(crate) fn new() -> Self {
        let events = Arc::new(Mutex::new(Some(broadcast::Sender::new(EVENTS_MAX))));
        Self { facts: Arc::default(), changed: Arc::default(), events }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: SyncEvent) {
        if let Some(events) = &*self.sender() {
            // Nobody need listen.
            let _ = events.send(event);
        }
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<SyncEvent>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn events(&self) -> Events {
        let subscribed = self.sender().as_ref().map(broadcast::Sender::subscribe);
        Events(subscribed.unwrap_or_else(|| broadcast::channel(1).1))
    }

    /// The actor has stopped: whoever waits for events learns that none will come.
    pub(crate) fn close(&self) {
        drop(self.sender().take());
    }

    /// Takes note of a peer's record.
    pub(crate) fn record(&self, record: &PeerRecord) {
        let mut facts = self.lock();
        let posted = facts.peers.entry(record.key).or_insert_with(|| {
            let status = PeerStatus::new(record.clone());
            Posted { status, history: History::default() }
        });
        posted.status.record = record.clone();
        for database in &record.databases {
            posted.status.databases.entry(*database).or_default();
        }
    }

    /// Takes up what was noted of a peer before a restart.
    pub(crate) fn take_up(&self, peer: &PublicKey, notes: Notes) {
        let mut facts = self.lock();
        let Some(posted) = facts.peers.get_mut(peer) else { return };
        let earlier = |words: String| SyncError::Earlier { words: words.into() };
        posted.status.last_connected = notes.last_connected;
        posted.status.last_error = notes.last_error.map(earlier);
        posted.status.attempts = notes.attempts;
        for (database, noted) in notes.databases {
            let status = posted.status.databases.entry(database).or_default();
            status.last_success = noted.last_success;
            status.last_error = noted.last_error.map(earlier);
            status.attempts = noted.attempts;
            status.last = notes.history.last_of(&database).cloned();
        }
        posted.history = notes.history;
    }

    /// Waits until something is to be noted. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the peers of which something is to be noted.
    pub(crate) fn take_changed(&self) -> BTreeSet<PublicKey> {
        std::mem::take(&mut self.lock().changed)
    }

    /// Lists a peer as changed.
    pub(crate) fn touch(&self, peer: &PublicKey) {
        let mut facts = self.lock();
        if facts.peers.contains_key(peer) {
            facts.changed.insert(*peer);
            drop(facts);
            self.changed.notify_one();
        }
    }

    /// Writes down what is to be known of a peer after a restart.
    pub(crate) fn note(&self, peer: &PublicKey, notes: &mut Notes) {
        let facts = self.lock();
        let Some(Posted { status, history }) = facts.peers.get(peer) else { return };
        notes.last_connected = status.last_connected;
        notes.last_error = status.last_error.as_ref().map(in_words);
        notes.attempts = status.attempts;
        notes.history = history.clone();
        let mut last: Vec<_> = status.databases.iter().collect();
        last.sort_by_key(|(_, status)| status.last.as_ref().map(|last| std::cmp::Reverse(last.at)));
        // Those of which nothing is known come first, as `None` is the least.
        let known = last.into_iter().filter(|(_, status)| status.last.is_some());
        for (database, status) in known.take(NOTED_DATABASES_MAX) {
            let noted = DatabaseNotes {
                last_success: status.last_success,
                last_error: status.last_error.as_ref().map(in_words),
                attempts: status.attempts,
            };
            notes.databases.insert(*database, noted);
        }
    }

    /// Takes a peer off the board.
    pub(crate) fn forget(&self, peer: &PublicKey) {
        let mut facts = self.lock();
        facts.peers.remove(peer);
        facts.changed.remove(peer);
    }

    /// Changes what is known of a peer that has a record.
    pub(crate) fn peer_now(&self, peer: &PublicKey, change: impl FnOnce(&mut PeerStatus)) {
        if let Some(posted) = self.lock().peers.get_mut(peer) {
            change(&mut posted.status);
        }
    }

    /// A peer was not reached, or the link to it was lost: so were all databases kept in sync with it.
    ///
    /// A peer that has ended the session in order has failed in nothing.
    pub(crate) fn unreached(&self, peer: &PublicKey, error: &SyncError) {
        let mut facts = self.lock();
        let Some(Posted { status, history }) = facts.peers.get_mut(peer) else { return };
        status.last_error = Some(error.clone());
        if matches!(error, SyncError::Session(CloseReason::Told(Farewell::Done))) {
            drop(facts);
            return self.touch(peer);
        }
        status.attempts.note(false);
        for database in &status.record.databases {
            status.databases.entry(*database).or_default().attempts.note(false);
        }
        let outcome = SyncOutcome::Failed { error: in_words(error) };
        history.add(SyncRecord::new(SystemTime::now(), None, outcome));
        drop(facts);
        self.touch(peer);
    }

    /// No link to a peer is open any more: nothing is said of one.
    pub(crate) fn unlinked(&self, peer: &PublicKey) {
        let change = |status: &mut PeerStatus| {
            status.databases.values_mut().for_each(|status| status.session = None);
        };
        self.peer_now(peer, change);
    }

    /// Takes down what the session of a link says of a database now, or that it says nothing of it.
    pub(crate) fn session(
        &self,
        peer: &PublicKey,
        database: DatabaseId,
        session: Option<DatabaseStatus>,
        has_local_data: bool,
    ) {
        self.peer_now(peer, |status| {
            let entry = status.databases.entry(database).or_default();
            (entry.session, entry.has_local_data) = (session, has_local_data);
        });
    }

    /// Takes down that the session of a link speaks of these databases and of no other.
    pub(crate) fn only(&self, peer: &PublicKey, synced: &BTreeSet<DatabaseId>) {
        self.peer_now(peer, |status| {
            for (database, status) in &mut status.databases {
                status.session.take_if(|_| !synced.contains(database));
            }
        });
    }

    /// A sync of a database has ended, well or by an error.
    pub(crate) fn ended(
        &self,
        peer: &PublicKey,
        database: DatabaseId,
        record: SyncRecord,
        error: Option<SyncError>,
    ) {
        let mut facts = self.lock();
        let Some(Posted { status, history }) = facts.peers.get_mut(peer) else { return };
        let entry = status.databases.entry(database).or_default();
        entry.attempts.note(error.is_none());
        if error.is_none() {
            entry.last_success = Some(record.at);
            (entry.held_back, entry.left) = (None, false);
            entry.rounds += 1;
        }
        entry.last_error = error;
        history.add(record);
        entry.last = history.last_of(&database).cloned();
        drop(facts);
        self.touch(peer);
    }

    /// Takes note of what a session says that explains why two peers do not hold the same.
    pub(crate) fn heard(&self, peer: &PublicKey, event: &Event) {
        let change = |database: &DatabaseId, change: &dyn Fn(&mut SyncStatus)| {
            self.peer_now(peer, |status| change(status.databases.entry(*database).or_default()));
        };
        match event {
            Event::HeldBack { database, entry, time } => {
                change(database, &|status| status.held_back = Some((*entry, *time)));
            }
            Event::Left { database } => change(database, &|status| status.left = true),
            Event::Refused { database, entry, reason } => {
                change(database, &|status| status.refused = Some((*entry, reason.clone())));
            }
            _ => {}
        }
    }

    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        self.lock().peers.values().map(|posted| posted.status.clone()).collect()
    }

    pub(crate) fn peer(&self, peer: &PublicKey) -> Option<PeerStatus> {
        self.lock().peers.get(peer).map(|posted| posted.status.clone())
    }

    pub(crate) fn history(&self, peer: &PublicKey) -> Vec<SyncRecord> {
        let facts = self.lock();
        let history = facts.peers.get(peer).map(|posted| posted.history.records().cloned());
        history.map(Iterator::collect).unwrap_or_default()
    }

    pub(crate) fn servers(&self) -> Vec<(String, Address)> {
        self.lock().servers.clone()
    }

    pub(crate) fn set_servers(&self, servers: Vec<(String, Address)>) {
        self.lock().servers = servers;
    }

    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        self.lock().kinds.clone()
    }

    pub(crate) fn set_kinds(&self, kinds: BTreeSet<String>) {
        self.lock().kinds = kinds;
    }
}

/// Returns an error in words, short enough to be noted.
pub(crate) fn in_words(error: &SyncError) -> String {
    match error {
        SyncError::Earlier { words } => words.to_string(),
        other => noted(&other.to_string()),
    }
}
