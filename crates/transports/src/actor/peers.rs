//! The peers that an actor knows: what is kept of them, and when each is dialled.
//!
//! Invariant: whatever changes in a record is on the board at once and, unless the peer is a stranger, on its way
//! to the host. Strangers are those that only came and proved a key: anyone can make keys, so they cost no row.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use weald_dag::{DatabaseId, PublicKey};

use super::backoff::Backoff;
use super::error::SyncError;
use super::event::SyncEvent;
use super::host::Host;
use super::ingest::random;
use super::keeper::Keeper;
use super::limits::{DISTRUST, STRANGERS_MAX};
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::status::{Board, PeerState};
use super::wait::Target;
use crate::address::Address;

/// A peer with its dialling.
struct Known {
    record: PeerRecord,
    /// Whether the host keeps it: it was dialled, registered or related to a database.
    kept: bool,
    backoff: Backoff,
    /// When it is dialled again.
    retry_at: Option<Instant>,
    /// Whether a dial is under way for it.
    dialling: bool,
    /// Lasting failures in a row.
    distrusted: usize,
}

impl Known {
    /// Returns whether it is to be kept in sync and may be dialled.
    fn is_wanted(&self) -> bool {
        !self.record.databases.is_empty() && !self.record.addresses.is_empty()
    }

    /// Returns its addresses, each lasting failure bringing the next to the front.
    fn addresses(&self) -> Vec<Address> {
        let mut addresses = self.record.addresses.clone();
        let places = addresses.len().max(1);
        addresses.rotate_left(self.distrusted % places);
        addresses
    }

    /// Takes note of a failure; returns the pause before the next attempt.
    ///
    /// After a lasting failure the other addresses come first, and once all have failed so it is left alone
    /// for a while.
    fn failed(&mut self, lasting: bool) -> Duration {
        let mut pause = self.backoff.failed(random().map_or(0, u64::from_be_bytes));
        if lasting {
            self.distrusted += 1;
            if self.distrusted >= self.record.addresses.len() {
                pause = pause.max(DISTRUST);
            }
        }
        self.retry_at = Some(Instant::now() + pause);
        pause
    }
}

/// The peers that an actor knows.
pub(crate) struct Peers {
    all: BTreeMap<PublicKey, Known>,
    /// Those that are not kept, the one that came last at the end.
    strangers: VecDeque<PublicKey>,
    backoff: Backoff,
    board: Board,
    keeper: Keeper,
}

impl Peers {
    /// Takes the peers kept; needs a runtime to save changes on.
    pub(crate) fn new(
        host: Arc<dyn Host>,
        board: Board,
        options: &ActorOptions,
        kept: Vec<PeerRecord>,
    ) -> Self {
        let backoff = Backoff::new(options.retry_first, options.retry_max);
        let mut peers = Self {
            all: BTreeMap::new(),
            strangers: VecDeque::new(),
            backoff,
            board,
            keeper: Keeper::new(host),
        };
        for record in kept {
            peers.insert(record, true);
        }
        peers
    }

    fn insert(&mut self, record: PeerRecord, kept: bool) {
        self.board.record(&record);
        let (key, backoff) = (record.key, self.backoff);
        let known = Known { record, kept, backoff, retry_at: None, dialling: false, distrusted: 0 };
        self.all.insert(key, known);
    }

    /// Makes room for a stranger, or moves it to the end: the one that came first is forgotten first.
    fn stranger(&mut self, peer: &PublicKey) {
        match self.all.get(peer) {
            Some(known) if known.kept => return,
            Some(_) => self.strangers.retain(|stranger| stranger != peer),
            None => self.insert(PeerRecord::new(*peer), false),
        }
        self.strangers.push_back(*peer);
        while self.strangers.len() > STRANGERS_MAX {
            let Some(oldest) = self.strangers.pop_front() else { return };
            self.all.remove(&oldest);
            self.board.forget(&oldest);
        }
    }

    /// Has a peer kept from now on; returns whether it was not.
    fn keep(&mut self, peer: &PublicKey) -> bool {
        if !self.all.contains_key(peer) {
            self.insert(PeerRecord::new(*peer), false);
        }
        self.strangers.retain(|stranger| stranger != peer);
        let known = self.all.get_mut(peer);
        known.is_some_and(|known| !std::mem::replace(&mut known.kept, true))
    }

    pub(crate) fn keys(&self) -> Vec<PublicKey> {
        self.all.keys().copied().collect()
    }

    /// Takes in what the instance wants known of a peer, and keeps it.
    pub(crate) fn merge(&mut self, record: PeerRecord) {
        let peer = record.key;
        let new = self.keep(&peer);
        // A peer of which nothing is known but the key is kept too.
        self.change(&peer, |known| known.merge(record) || new);
    }

    /// Keeps a database in sync with a peer no more.
    pub(crate) fn drop_relation(&mut self, peer: &PublicKey, database: &DatabaseId) {
        self.change(peer, |record| record.databases.remove(database));
    }

    /// Takes note of what a peer calls itself. A name alone is worth a row only where something is synced.
    fn rename(&mut self, peer: &PublicKey, name: String) {
        let Some(known) = self.all.get_mut(peer) else { return };
        if name.is_empty() || known.record.name == name {
            return;
        }
        known.record.name = name;
        self.board.record(&known.record);
        if known.kept && !known.record.databases.is_empty() {
            self.keeper.save(&known.record);
        }
    }

    /// Changes a record; shows and keeps it if that says that it changed.
    fn change(&mut self, peer: &PublicKey, change: impl FnOnce(&mut PeerRecord) -> bool) {
        if let Some(known) = self.all.get_mut(peer)
            && change(&mut known.record)
        {
            self.board.record(&known.record);
            if known.kept {
                self.keeper.save(&known.record);
            }
        }
    }

    /// Returns the databases kept in sync with a peer.
    pub(crate) fn databases(&self, peer: &PublicKey) -> BTreeSet<DatabaseId> {
        self.all.get(peer).map(|known| known.record.databases.clone()).unwrap_or_default()
    }

    pub(crate) fn is_related(&self, peer: &PublicKey, database: &DatabaseId) -> bool {
        self.all.get(peer).is_some_and(|known| known.record.databases.contains(database))
    }

    /// Returns where a known peer is to be reached.
    pub(crate) fn target(&self, peer: &PublicKey) -> Option<Target> {
        let known = self.all.get(peer)?;
        Some(Target { addresses: known.addresses(), expected: Some(*peer) })
    }

    /// Returns where a peer that is to be kept in sync is to be reached, unless it is dialled or waited for.
    pub(crate) fn to_dial(&self, peer: &PublicKey) -> Option<Target> {
        let known = self.all.get(peer)?;
        let waits = known.dialling || known.retry_at.is_some();
        if waits || !known.is_wanted() { None } else { self.target(peer) }
    }

    /// Returns when the next peer is to be dialled again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.all.values().filter_map(|known| known.retry_at).min()
    }

    /// Takes the peers that are to be dialled again now.
    pub(crate) fn take_due(&mut self) -> Vec<PublicKey> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (peer, known) in &mut self.all {
            if known.retry_at.is_some_and(|at| at <= now) {
                known.retry_at = None;
                due.push(*peer);
            }
        }
        due
    }

    pub(crate) fn dialling(&mut self, peer: &PublicKey) {
        if let Some(known) = self.all.get_mut(peer) {
            known.dialling = true;
            known.retry_at = None;
            self.board.peer_now(peer, |status| status.state = PeerState::Connecting);
        }
    }

    pub(crate) fn dial_ended(&mut self, peer: &PublicKey) {
        if let Some(known) = self.all.get_mut(peer) {
            known.dialling = false;
        }
    }

    /// A link to a peer is proven; `dialled` is the address where it was dialled.
    pub(crate) fn proven(&mut self, peer: &PublicKey, name: String, dialled: Option<&Address>) {
        self.stranger(peer);
        self.rename(peer, name);
        if let Some(address) = dialled {
            let new = self.keep(peer);
            self.change(peer, |record| record.prefer(address) || new);
        }
        if let Some(known) = self.all.get_mut(peer) {
            known.retry_at = None;
            known.distrusted = 0;
        }
        self.board.peer_now(peer, |status| {
            status.state = PeerState::Connected;
            status.last_connected = Some(SystemTime::now());
            status.last_error = None;
        });
    }

    /// A round with a peer has ended well.
    pub(crate) fn settled(&mut self, peer: &PublicKey) {
        if let Some(known) = self.all.get_mut(peer) {
            known.backoff.succeeded();
        }
    }

    /// A peer has no link any more: if it is to be kept in sync it is dialled again after a pause.
    pub(crate) fn lost(&mut self, peer: &PublicKey, error: Option<&SyncError>, lasting: bool) {
        let Some(known) = self.all.get_mut(peer).filter(|known| !known.dialling) else { return };
        let retry = known.is_wanted().then(|| known.failed(lasting));
        self.board.peer_now(peer, |status| {
            status.state = match retry {
                Some(pause) => PeerState::Waiting { next_retry: SystemTime::now() + pause },
                None => PeerState::Idle,
            };
            if error.is_some() {
                status.last_error = error.cloned();
            }
        });
        if let (Some(error), Some(retry)) = (error.cloned(), retry) {
            self.board.tell(SyncEvent::Unreachable { peer: *peer, error, retry });
        }
    }

    /// Waits, for a bounded time, until all records are kept.
    pub(crate) async fn close(self) {
        self.keeper.close().await;
    }
}
