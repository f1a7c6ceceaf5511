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
use super::board::Board;
use super::error::SyncError;
use super::event::SyncEvent;
use super::host::Host;
use super::keeper::Keeper;
use super::known::{Failure, Known};
use super::limits::STRANGERS_MAX;
use super::notes::Notes;
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::status::PeerState;
use super::wait::Target;
use crate::address::Address;

/// What is kept of peers: the record of each, and what is noted of it.
pub(crate) type KeptPeers = Vec<(PeerRecord, Option<Notes>)>;

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
        kept: KeptPeers,
    ) -> Self {
        let backoff = Backoff::new(options.retry_first, options.retry_max);
        let mut peers = Self {
            all: BTreeMap::new(),
            strangers: VecDeque::new(),
            backoff,
            board,
            keeper: Keeper::new(host),
        };
        for (record, notes) in kept {
            let peer = record.key;
            peers.insert(record, true);
            if let Some(notes) = notes {
                peers.take_up(&peer, &notes);
            }
        }
        peers
    }

    fn insert(&mut self, record: PeerRecord, kept: bool) {
        self.board.record(&record);
        self.all.insert(record.key, Known::new(record, kept, self.backoff));
    }

    /// Goes on where it stood with a peer before a restart.
    fn take_up(&mut self, peer: &PublicKey, notes: &Notes) {
        let Some(known) = self.all.get_mut(peer) else { return };
        known.take_up(notes);
        if let Some(at) = known.retry_at.filter(|_| known.is_wanted()) {
            let next_retry = SystemTime::now() + at.saturating_duration_since(Instant::now());
            self.board.peer_now(peer, |status| status.state = PeerState::Waiting { next_retry });
        }
    }

    /// Has what changed since the last time kept, of those peers that are kept at all.
    pub(crate) fn note(&self) {
        let changed = self.board.take_changed();
        let kept = changed.into_iter().filter_map(|peer| {
            let known = self.all.get(&peer).filter(|known| known.kept)?;
            let mut notes = Notes::default();
            known.note(&mut notes);
            self.board.note(&peer, &mut notes);
            Some((peer, notes.encode()))
        });
        let kept: Vec<_> = kept.collect();
        if !kept.is_empty() {
            self.keeper.remember(kept);
        }
    }

    /// Makes room for a stranger, or moves it to the end: of those without a link the one that came first is
    /// forgotten first.
    fn stranger(&mut self, peer: &PublicKey) {
        match self.all.get(peer) {
            Some(known) if known.kept => return,
            Some(_) => self.strangers.retain(|stranger| stranger != peer),
            None => self.insert(PeerRecord::new(*peer), false),
        }
        self.strangers.push_back(*peer);
        while self.strangers.len() > STRANGERS_MAX {
            // Who is linked is not forgotten for those that only make keys.
            let is_gone = |stranger: &PublicKey| {
                stranger != peer && self.all.get(stranger).is_none_or(|known| !known.linked)
            };
            let place = self.strangers.iter().position(is_gone).unwrap_or_default();
            let Some(oldest) = self.strangers.remove(place) else { return };
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
        self.change(&peer, |known| known.record.merge(record) || new);
    }

    /// Keeps a database in sync with a peer no more.
    pub(crate) fn drop_relation(&mut self, peer: &PublicKey, database: &DatabaseId) {
        self.change(peer, |known| known.record.databases.remove(database));
    }

    /// Takes note of what a peer calls itself. That is for the peer to say as often as it likes, so it makes no
    /// entry by itself: it is noted, and kept along with the next fact.
    fn rename(&mut self, peer: &PublicKey, name: String) {
        let Some(known) = self.all.get_mut(peer) else { return };
        if !name.is_empty() && known.record.name != name {
            known.record.name = name;
            self.board.record(&known.record);
        }
    }

    /// Changes what is known of a peer; shows and keeps its record if that says that it changed.
    fn change(&mut self, peer: &PublicKey, change: impl FnOnce(&mut Known) -> bool) {
        if let Some(known) = self.all.get_mut(peer)
            && change(known)
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

    /// Returns the addresses of a peer that are to be tried only where the others have failed.
    pub(crate) fn distrusted(&self, peer: &PublicKey) -> Vec<Address> {
        self.all.get(peer).map(|known| known.distrusted().to_vec()).unwrap_or_default()
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
        self.take_waiting(|at| at <= now)
    }

    /// Cuts all pauses short: what did not work may work now.
    pub(crate) fn retry_all(&mut self) {
        self.take_waiting(|_| true);
    }

    fn take_waiting(&mut self, is_due: impl Fn(Instant) -> bool) -> Vec<PublicKey> {
        let mut due = Vec::new();
        for (peer, known) in &mut self.all {
            if known.retry_at.take_if(|at| is_due(*at)).is_some() {
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

    /// A peer is not dialled: where its pause is over, nothing reaches it, or nothing is to be synced with it.
    pub(crate) fn passed_over(&self, peer: &PublicKey) {
        let Some(known) = self.all.get(peer) else { return };
        if known.dialling || known.retry_at.is_some() {
            return;
        }
        self.board.peer_now(peer, |status| {
            if matches!(status.state, PeerState::Waiting { .. }) {
                status.state = PeerState::Idle;
            }
        });
    }

    pub(crate) fn dial_ended(&mut self, peer: &PublicKey) {
        if let Some(known) = self.all.get_mut(peer) {
            known.dialling = false;
        }
    }

    /// Returns whether a peer has broken the protocol so lately that its links are refused.
    pub(crate) fn is_shunned(&self, peer: &PublicKey) -> bool {
        let until = self.all.get(peer).and_then(|known| known.shunned_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// A peer has broken the protocol: its links are refused for a while, unless this side dials it.
    pub(crate) fn shun(&mut self, peer: &PublicKey, pause: Duration) {
        if let Some(known) = self.all.get_mut(peer) {
            known.shunned_until = Instant::now().checked_add(pause);
        }
    }

    /// A link to a peer is proven; `dialled` is the address where it was dialled.
    pub(crate) fn proven(&mut self, peer: &PublicKey, name: String, dialled: Option<&Address>) {
        self.stranger(peer);
        self.rename(peer, name);
        if let Some(address) = dialled {
            let new = self.keep(peer);
            self.change(peer, |known| known.reached(address) || new);
        }
        if let Some(known) = self.all.get_mut(peer) {
            known.linked = true;
            known.retry_at = None;
            known.shunned_until = None;
        }
        self.board.peer_now(peer, |status| {
            status.state = PeerState::Connected;
            status.last_connected = Some(SystemTime::now());
            status.last_error = None;
            status.attempts.note(true);
        });
        self.board.touch(peer);
    }

    /// A round with a peer has ended well.
    pub(crate) fn settled(&mut self, peer: &PublicKey) {
        if let Some(known) = self.all.get_mut(peer) {
            known.backoff.succeeded();
        }
    }

    /// A peer has no link any more: if it is to be kept in sync it is dialled again after a pause.
    pub(crate) fn lost(
        &mut self,
        peer: &PublicKey,
        error: Option<&SyncError>,
        failure: Failure<'_>,
    ) {
        self.board.unlinked(peer);
        let Some(known) = self.all.get_mut(peer) else { return };
        known.linked = false;
        if known.dialling {
            return;
        }
        let retry = known.is_wanted().then(|| known.failed(failure));
        self.board.peer_now(peer, |status| {
            status.state = match retry {
                Some(pause) => PeerState::Waiting { next_retry: SystemTime::now() + pause },
                None => PeerState::Idle,
            };
        });
        let Some(error) = error else { return self.board.touch(peer) };
        self.board.unreached(peer, error);
        if let Some(retry) = retry {
            let error = error.clone();
            self.board.tell(SyncEvent::Unreachable { peer: *peer, error, retry });
        }
    }

    /// Waits, for a bounded time, until all is kept.
    pub(crate) async fn close(self) {
        self.note();
        self.keeper.close().await;
    }
}
