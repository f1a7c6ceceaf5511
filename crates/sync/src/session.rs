//! A session: one link between two instances, from the first Hello to the close.
//!
//! Invariant: nothing is answered before the peer's proof; after a close nothing is sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::{ByteArray, ByteBuf};
use weald_dag::{DatabaseId, EntryId, Number, PublicKey, RequestId, StoreError, Verdict};

use crate::close::CloseReason;
use crate::cost::Traffic;
use crate::exchange::Exchange;
use crate::frame::Framer;
use crate::handshake::{Handshake, Peered, goodbye};
use crate::health::Health;
use crate::hello::derive;
use crate::limits::{HANDSHAKE_MAX_MS, REQUEST_BYTES_MAX, SILENCE_MAX_MS};
use crate::message::Control;
use crate::open::Open;
use crate::options::{Role, SessionOptions};
use crate::outbox::Outbox;
use crate::output::{BatchId, Event, Output};
use crate::pace::Pace;
use crate::presence::PresenceMessage;
use crate::reads::Reads;
use crate::recalled::{CommonNumbers, CommonTips, in_ids};
use crate::request::RequestAnswer;
use crate::status::{DatabaseState, DatabaseStatus};

enum Phase {
    Handshake(Box<Handshake>),
    Open(Box<Open>),
    Closed,
}

/// One link between two instances: frames, verdicts and time in, outputs out.
///
/// The driver calls a `handle` method for each thing that happens and then takes outputs by
/// [`poll`](Self::poll) until there are none. Times are milliseconds of any clock that never goes
/// back.
pub struct Session {
    phase: Phase,
    role: Role,
    traffic: Traffic,
    out: Outbox,
    device: PublicKey,
    /// What was related before the peer was known.
    related: BTreeSet<DatabaseId>,
    /// What was dropped before the peer was known.
    dropped: BTreeSet<DatabaseId>,
    peer: Option<(PublicKey, String)>,
    /// What an earlier session has shown that both held, until the peer is known.
    recalled: CommonTips,
    /// What both held when the session ended.
    common: CommonNumbers,
    /// What pauses are drawn from.
    pace: [u8; 32],
    started: u64,
    waiting_since: Option<u64>,
    health_every: Option<u64>,
}

impl Session {
    /// Starts a session on a fresh link; a dialler's Hello is the first output.
    pub fn new(options: SessionOptions, now: u64) -> Self {
        let handshake = Handshake::new(&options);
        let mut out = Outbox::default();
        if let Some(frame) = handshake.first() {
            out.frame(frame);
        }
        Self {
            phase: Phase::Handshake(Box::new(handshake)),
            role: options.role,
            traffic: Traffic::default(),
            out,
            device: options.device.public(),
            related: BTreeSet::new(),
            dropped: BTreeSet::new(),
            peer: None,
            recalled: CommonTips::new(),
            common: CommonNumbers::new(),
            pace: derive("weald 2026 sync pace v1", &[&options.seed]),
            started: now,
            waiting_since: None,
            health_every: options.health_every,
        }
    }

    /// Recalls what [`common`](Self::common) said at the end of an earlier session with the same peer. The first
    /// round of each of these databases begins from it, so call this before it does: before anything is related,
    /// or when the peer is [`Authenticated`](Event::Authenticated). It is a hint only: the peer is asked whether
    /// it still holds it. More than [`COMMON_MAX`](crate::limits::COMMON_MAX) tips of a database are not used.
    pub fn recall(&mut self, common: CommonTips) {
        match &mut self.phase {
            Phase::Handshake(_) => self.recalled = common,
            Phase::Open(open) => open.exchange.recall(common),
            Phase::Closed => {}
        }
    }

    /// Returns what both sides hold of each database, as far as it was shown in rounds and acknowledged since: to be
    /// recalled in the next session with this peer; also after the end. Where nothing was shown, or it is more than
    /// [`COMMON_MAX`](crate::limits::COMMON_MAX) tips, the database is left out.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn common(&self, reads: &dyn Reads) -> Result<CommonTips, StoreError> {
        match &self.phase {
            Phase::Open(open) => in_ids(&open.exchange.common(), reads),
            Phase::Handshake(_) | Phase::Closed => in_ids(&self.common, reads),
        }
    }

    /// Relates a database to this session: it is named to the peer, asked for where nothing of it
    /// is held here, and kept in sync until it is dropped. Called again, it starts another round.
    pub fn relate(&mut self, now: u64, database: DatabaseId, reads: &dyn Reads) {
        if let Phase::Handshake(_) = self.phase {
            self.dropped.remove(&database);
            self.related.insert(database);
        }
        self.run(now, reads, |open, out| open.exchange.relate(database, reads, out));
    }

    /// Stops syncing a database in this session: whoever dialled, the peer is told that it is unknown
    /// here, until it is related again.
    pub fn drop_relation(&mut self, now: u64, database: &DatabaseId, reads: &dyn Reads) {
        if let Phase::Handshake(_) = self.phase {
            self.dropped.insert(*database);
        }
        self.related.remove(database);
        self.run(now, reads, |open, out| {
            open.exchange.drop_relation(database, out);
            Ok(())
        });
    }

    /// Proves the keys to the peer that are there since, such as that of a user who has just logged in.
    pub fn prove(&mut self, now: u64, reads: &dyn Reads) {
        self.run(now, reads, |open, out| open.exchange.prove_all(reads, out));
    }

    /// Asks the peer for access to a database; a request longer than
    /// [`REQUEST_BYTES_MAX`](crate::limits::REQUEST_BYTES_MAX) is not sent. Before the peer is proven nothing
    /// is.
    pub fn ask(&mut self, now: u64, request: Vec<u8>, reads: &dyn Reads) {
        if request.len() <= REQUEST_BYTES_MAX {
            self.run(now, reads, |_, out| {
                out.control(Control::Ask(ByteBuf::from(request)));
                Ok(())
            });
        }
    }

    /// Asks the peer for the databases behind an id that the keys of this side may read there; a page of them
    /// comes as [`Event::Discovered`]. One question at a time: another meanwhile is not asked.
    pub fn discover(&mut self, now: u64, after: Option<DatabaseId>, reads: &dyn Reads) {
        self.run(now, reads, |open, out| open.discover(after, reads, out));
    }

    /// Says something on a topic of a database; returns whether it was said: where the peer syncs the database with
    /// this side, may read it now, and is said no more than allowed. A message that was not said is not kept.
    pub fn say(
        &mut self,
        now: u64,
        database: &DatabaseId,
        message: &PresenceMessage,
        reads: &dyn Reads,
    ) -> bool {
        let mut said = false;
        self.run(now, reads, |open, out| {
            said = open.say(database, message, reads, out)?;
            Ok(())
        });
        said
    }

    /// Returns from when on there is room to [`say`](Self::say) something.
    pub fn may_say_from(&self) -> u64 {
        match &self.phase {
            Phase::Open(open) => open.speech.from(),
            Phase::Handshake(_) | Phase::Closed => u64::MAX,
        }
    }

    /// Counts a presence message of the peer that was not listened to.
    pub fn drop_presence(&mut self) {
        if let Phase::Open(open) = &mut self.phase {
            open.speech.drop();
        }
    }

    /// Returns how many presence messages of the peer were dropped.
    pub fn dropped_presence(&self) -> u64 {
        match &self.phase {
            Phase::Open(open) => open.speech.dropped(),
            Phase::Handshake(_) | Phase::Closed => 0,
        }
    }

    /// Answers a request of the peer, also again once it is decided.
    pub fn answer(
        &mut self,
        now: u64,
        request: &RequestId,
        answer: RequestAnswer,
        reads: &dyn Reads,
    ) {
        let request = ByteArray::new(*request.as_bytes());
        self.run(now, reads, |_, out| {
            out.control(Control::Answer { request, answer });
            Ok(())
        });
    }

    /// Takes a frame from the link.
    pub fn handle_frame(&mut self, now: u64, frame: &[u8], reads: &dyn Reads) {
        self.traffic.received(frame.len());
        let Phase::Handshake(handshake) = &mut self.phase else {
            return self.run(now, reads, |open, out| open.handle(frame, reads, out));
        };
        match handshake.handle(frame) {
            Ok(step) => {
                step.send.into_iter().for_each(|frame| self.out.frame(frame));
                if let Some(peered) = step.done {
                    self.peered(now, peered, reads);
                }
            }
            Err(reason) => self.end(reason),
        }
    }

    fn peered(&mut self, now: u64, peered: Peered, reads: &dyn Reads) {
        let Peered { peer, name, first_use, transcript, seal, naming } = peered;
        self.peer = Some((peer, name.clone()));
        self.out.event(Event::Authenticated { peer, name, first_use });
        let dialled = self.role == Role::Dialler;
        let pace = Pace::new(self.pace);
        let exchange = Exchange::new(transcript, self.device, peer, naming, pace, dialled);
        let framer = Framer::new(seal);
        self.out.frame_cost = framer.cost();
        let mut health = Health::new(self.health_every, now);
        let ping = health.first(now);
        let mut open = Open::new(exchange, framer, health, now);
        open.exchange.recall(std::mem::take(&mut self.recalled));
        self.phase = Phase::Open(Box::new(open));
        if let Some(ping) = ping {
            self.out.control(Control::Ping(ping));
        }
        for database in std::mem::take(&mut self.dropped) {
            self.drop_relation(now, &database, reads);
        }
        for database in std::mem::take(&mut self.related) {
            self.run(now, reads, |open, out| open.exchange.relate(database, reads, out));
        }
    }

    /// Takes the verdicts on the parcels of an [`Output::Ingest`], after the durable commit: one for
    /// each parcel, in order.
    pub fn handle_ingested(
        &mut self,
        now: u64,
        batch: BatchId,
        verdicts: Vec<(EntryId, Verdict)>,
        reads: &dyn Reads,
    ) {
        self.run(now, reads, |open, out| open.exchange.ingested(batch, verdicts, reads, out));
    }

    /// Takes note that entries were committed here, by this instance or, where they are `relayed`, from
    /// another peer. Its own commits go to the peer at once, or after the round that is running; what
    /// is relayed is announced to it after
    /// [`RELAY_MIN_MS`](crate::limits::RELAY_MIN_MS) to [`RELAY_MAX_MS`](crate::limits::RELAY_MAX_MS),
    /// unless the peer has sent or announced it by then.
    ///
    /// All that was committed is looked up, so `numbers` need not be complete, and calls for entries
    /// that came from this peer do no harm.
    pub fn handle_committed(
        &mut self,
        now: u64,
        database: DatabaseId,
        numbers: &[Number],
        relayed: bool,
        reads: &dyn Reads,
    ) {
        if !numbers.is_empty() {
            self.run(now, reads, |open, out| {
                open.exchange.committed(&database, relayed, reads, out)
            });
        }
    }

    /// Takes note that the time of [`deadline`](Self::deadline) has come.
    pub fn handle_deadline(&mut self, now: u64, reads: &dyn Reads) {
        match &self.phase {
            Phase::Handshake(_) if self.answer_due().is_some_and(|due| due <= now) => {
                self.end(CloseReason::HandshakeTimeout);
            }
            Phase::Open(_) if self.answer_due().is_some_and(|due| due <= now) => {
                self.end(CloseReason::Silent);
            }
            _ => self.run(now, reads, |open, out| open.wake(reads, out)),
        }
    }

    /// Returns when [`handle_deadline`](Self::handle_deadline) is to be called, if at all.
    pub fn deadline(&self) -> Option<u64> {
        let (health, wakes) = match &self.phase {
            Phase::Open(open) => (open.health.deadline(), open.exchange.wakes_at()),
            Phase::Handshake(_) | Phase::Closed => (None, None),
        };
        [self.answer_due(), health, wakes].into_iter().flatten().min()
    }

    /// Returns until when the peer must have answered what it owes.
    fn answer_due(&self) -> Option<u64> {
        match &self.phase {
            Phase::Handshake(_) => Some(self.started.saturating_add(HANDSHAKE_MAX_MS)),
            Phase::Open(_) => self.waiting_since.map(|since| since.saturating_add(SILENCE_MAX_MS)),
            Phase::Closed => None,
        }
    }

    /// Takes note that the link has ended.
    pub fn handle_link_closed(&mut self, _now: u64) {
        self.out.cut();
        self.end(CloseReason::LinkClosed);
    }

    /// Says goodbye and closes.
    pub fn close(&mut self, _now: u64) {
        self.end(CloseReason::Requested);
    }

    /// Has every message of this session be replaced before it is sealed, by what a peer that lies
    /// would say.
    #[cfg(feature = "testing")]
    pub fn twist(&mut self, twist: crate::outbox::Twist) {
        self.out.twist = Some(twist);
    }

    /// Takes the next output.
    pub fn poll(&mut self) -> Option<Output> {
        let framer = match &mut self.phase {
            Phase::Open(open) => Some(&mut open.framer),
            Phase::Handshake(_) | Phase::Closed => None,
        };
        let output = self.out.poll(framer);
        if let Some(Output::Send(frame)) = &output {
            self.traffic.sent(frame.len());
        }
        output
    }

    /// Returns what has gone over the link so far, the handshake among it.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Returns the peer's device key, once it is proven.
    pub fn peer(&self) -> Option<PublicKey> {
        self.peer.as_ref().map(|(key, _)| *key)
    }

    /// Returns what the peer calls itself, once its key is proven.
    pub fn peer_name(&self) -> Option<&str> {
        self.peer.as_ref().map(|(_, name)| name.as_str())
    }

    /// Returns the keys that the peer has proven for a database, its device key first.
    pub fn peer_keys(&self, database: &DatabaseId) -> &[PublicKey] {
        match &self.phase {
            Phase::Open(open) => open.exchange.keys_for(database),
            Phase::Handshake(_) | Phase::Closed => &[],
        }
    }

    /// Returns how long the last check of the link's health took there and back, in milliseconds.
    pub fn round_trip(&self) -> Option<u64> {
        match &self.phase {
            Phase::Open(open) => open.health.round_trip(),
            Phase::Handshake(_) | Phase::Closed => None,
        }
    }

    /// Returns whether the session has ended.
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Returns where each database of this session stands.
    pub fn statuses(&self) -> BTreeMap<DatabaseId, DatabaseStatus> {
        match &self.phase {
            Phase::Open(open) => open.exchange.statuses(),
            Phase::Handshake(_) | Phase::Closed => {
                let asked = DatabaseStatus::new(DatabaseState::Asked);
                self.related.iter().map(|database| (*database, asked.clone())).collect()
            }
        }
    }

    /// Does something with an open session, then sends what the window has room for.
    fn run(
        &mut self,
        now: u64,
        reads: &dyn Reads,
        what: impl FnOnce(&mut Open, &mut Outbox) -> Result<(), CloseReason>,
    ) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        open.now = now;
        open.exchange.tick(now);
        let done = what(open, &mut self.out)
            .and_then(|()| open.exchange.pump(reads, &mut self.out))
            .and_then(|()| self.out.check());
        if let Err(reason) = done {
            return self.end(reason);
        }
        if std::mem::take(&mut open.moved_on) {
            self.waiting_since = None;
        }
        self.waiting_since =
            if open.waits_for_peer() { self.waiting_since.or(Some(now)) } else { None };
    }

    fn end(&mut self, reason: CloseReason) {
        if let Some(farewell) = reason.farewell() {
            match &self.phase {
                Phase::Handshake(_) => self.out.frame(goodbye(farewell)),
                Phase::Open(_) => self.out.control(Control::Goodbye(farewell.code())),
                Phase::Closed => {}
            }
        }
        if !self.is_closed() {
            if matches!(reason, CloseReason::NotRead { .. }) {
                self.out.cut();
            }
            // Messages are sealed before the keys go.
            if let Phase::Open(open) = &mut self.phase {
                self.out.seal(&mut open.framer);
                self.common = open.exchange.common();
            }
            self.out.close(reason);
            self.phase = Phase::Closed;
        }
    }
}
