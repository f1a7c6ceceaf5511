//! One task a link drives one session: translate, call, drain. It decides nothing that the session or the actor decides.
//!
//! Invariant: batches reach the host in the order they came, and every waiter is answered or handed back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until, timeout};
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_sync::{
    Classes, CloseReason, Event, Output, PresenceMessage, Role, Session, SessionOptions, Tally,
    Unheard,
};

use super::bandwidth::{Bandwidth, Taken};
use super::board::{Board, in_words};
use super::common::CommonMemory;
use super::discovering::Discovering;
use super::error::SyncError;
use super::event::SyncEvent;
use super::feed::{CommitFeed, Committed, LinkFeed};
use super::history::SyncOutcome;
use super::host::{Host, HostError};
use super::ingest::{Done, Ingests, random};
use super::limits::{FLUSH_MAX, READ_AHEAD_BYTES, STATUS_EVERY};
use super::marks::Marks;
use super::notice::{EndReason, LinkCommand, LinkEnd, Notice, Token};
use super::outbox::Outbox;
use super::presence::{PresenceFeed, PresenceQueue};
use super::rounds::Rounds;
use super::wait::{Waiter, Waiters};
use crate::address::Address;
use crate::link::{BoxFuture, Link, LinkError, LinkReceiver};

/// What a link task shares with its actor.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) board: Board,
    pub(crate) feed: CommitFeed,
    pub(crate) presence: PresenceFeed,
    pub(crate) memory: CommonMemory,
    pub(crate) notices: mpsc::UnboundedSender<Notice>,
    pub(crate) round_every: Duration,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) health_every: Option<Duration>,
}

/// What is particular to one link.
pub(crate) struct Opening {
    pub(crate) token: Token,
    pub(crate) role: Role,
    pub(crate) expected: Option<PublicKey>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) commands: mpsc::UnboundedReceiver<LinkCommand>,
}

/// A first sync that is being noted as finished.
type Completing = BoxFuture<'static, (DatabaseId, Result<(), HostError>)>;

struct Drive {
    common: Common,
    token: Token,
    session: Session,
    began: Instant,
    receiver: Box<dyn LinkReceiver>,
    outbox: Outbox,
    commands: mpsc::UnboundedReceiver<LinkCommand>,
    ingests: Ingests,
    completing: FuturesOrdered<Completing>,
    waiters: Waiters,
    discovering: Discovering,
    /// Where the link leads.
    address: Address,
    /// The proven peer.
    peer: Option<PublicKey>,
    feed: Arc<LinkFeed>,
    /// What is to be said to the peer.
    presence: Arc<PresenceQueue>,
    /// Whether the actor has taken the peer.
    accepted: bool,
    related: BTreeSet<DatabaseId>,
    rounds: Rounds,
    marks: Marks,
    /// What was read and is not within the bandwidth yet.
    read: Option<Taken>,
    /// Bytes read since the outbox was full.
    read_ahead: usize,
    status_due: Option<Instant>,
}

/// What a task waits for.
enum Turn {
    Frame(Result<Option<Bytes>, LinkError>),
    Stored(Option<Done>),
    Completed((DatabaseId, Result<(), HostError>)),
    Command(Option<LinkCommand>),
    Push,
    Say,
    Outbox(Result<(), LinkError>),
    Deadline,
    Round,
    Status,
}

/// Drives a link to its end and says how it ended.
pub(crate) async fn drive(common: Common, link: Link, opening: Opening) {
    let (token, notices) = (opening.token, common.notices.clone());
    let (feed, presence) = (common.feed.clone(), common.presence.clone());
    let (reason, waiters) = match begin(common, link, opening) {
        Ok(mut drive) => {
            let reason = drive.run().await;
            let waiters = drive.waiters.take();
            feed.remove(token);
            presence.remove(token);
            (drive.end(reason).await, waiters)
        }
        Err((error, waiting)) => (EndReason::Host(error), waiting),
    };
    // Where the actor is gone the waiters learn it by being dropped.
    let _ = notices.send(Notice::Ended(LinkEnd { link: token, reason, waiters }));
}

fn begin(common: Common, link: Link, opening: Opening) -> Result<Drive, (HostError, Vec<Waiter>)> {
    let Opening { token, role, expected, waiters: waiting, commands } = opening;
    let seed = match random() {
        Ok(seed) => seed,
        Err(error) => return Err((error, waiting)),
    };
    let options = SessionOptions {
        role,
        device: common.host.device(),
        name: common.host.name(),
        expected_peer: expected,
        channel_binding: link.channel_binding().map(<[u8]>::to_vec),
        seed,
        plain: false,
        health_every: common
            .health_every
            .map(|every| every.as_millis().try_into().unwrap_or(u64::MAX)),
    };
    let waiters = Waiters::new(waiting, common.notices.clone());
    let address = link.peer().clone();
    let (sender, receiver) = link.split();
    let began = Instant::now();
    let up = common.bandwidth.up.clone();
    Ok(Drive {
        rounds: Rounds::default(),
        marks: Marks::default(),
        common,
        token,
        session: Session::new(options, 0),
        began,
        receiver,
        outbox: Outbox::new(sender, up),
        commands,
        ingests: Ingests::default(),
        completing: FuturesOrdered::new(),
        waiters,
        discovering: Discovering::default(),
        address,
        peer: None,
        feed: Arc::default(),
        presence: Arc::default(),
        accepted: false,
        related: BTreeSet::new(),
        read: None,
        read_ahead: 0,
        status_due: None,
    })
}

impl Drive {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn run(&mut self) -> EndReason {
        let mut step = block_in_place(|| self.drain());
        loop {
            if let Err(reason) = step {
                return reason;
            }
            let turn = self.turn().await;
            // A session reads the store and seals frames: that must not hold up other links.
            step = block_in_place(|| {
                self.take(turn)?;
                self.drain()
            });
        }
    }

    async fn turn(&mut self) -> Turn {
        let peer = self.peer;
        let deadline = self.session.deadline().map(|at| self.began + Duration::from_millis(at));
        let (status_due, next_round) = (self.status_due, self.rounds.next());
        let keeps_up = self.outbox.keeps_up();
        self.presence.press(!keeps_up);
        let may_say = self.began.checked_add(Duration::from_millis(self.session.may_say_from()));
        let Self {
            common,
            receiver,
            read,
            ingests,
            completing,
            commands,
            feed,
            presence,
            outbox,
            ..
        } = self;
        let frame = async {
            if let Some(read) = read {
                common.bandwidth.down.wait(read).await;
            }
            receiver.recv().await
        };
        let stored = async {
            match peer {
                Some(peer) if !ingests.is_empty() => ingests.next(&*common.host, peer).await,
                _ => std::future::pending().await,
            }
        };
        let saying = async {
            if !keeps_up {
                std::future::pending::<()>().await;
            }
            at(may_say).await;
            presence.filled().await;
        };
        tokio::select! {
            frame = frame => Turn::Frame(frame),
            stored = stored => Turn::Stored(stored),
            Some(completed) = completing.next() => Turn::Completed(completed),
            command = commands.recv() => Turn::Command(command),
            () = feed.filled() => Turn::Push,
            () = saying => Turn::Say,
            changed = outbox.changed() => Turn::Outbox(changed),
            () = at(deadline) => Turn::Deadline,
            () = at(next_round) => Turn::Round,
            () = at(status_due) => Turn::Status,
        }
    }

    fn take(&mut self, turn: Turn) -> Result<(), EndReason> {
        let now = self.now();
        let host = Arc::clone(&self.common.host);
        match turn {
            Turn::Frame(Ok(Some(frame))) => {
                self.read = self.common.bandwidth.down.take(frame.len());
                self.count_read_ahead(frame.len())?;
                let round_trip = self.session.round_trip();
                self.session.handle_frame(now, &frame, &*host);
                if self.session.round_trip() != round_trip {
                    self.status_soon();
                }
            }
            Turn::Frame(Ok(None)) => self.session.handle_link_closed(now),
            Turn::Frame(Err(error)) | Turn::Outbox(Err(error)) => {
                return Err(EndReason::Link(error));
            }
            Turn::Outbox(Ok(())) => {}
            Turn::Stored(Some((batch, Ok(verdicts)))) => {
                self.session.handle_ingested(now, batch, verdicts, &*host);
                self.status_soon();
            }
            Turn::Stored(Some((_, Err(error)))) => return Err(EndReason::Host(error)),
            Turn::Stored(None) => return Err(EndReason::Host(HostError::Panicked)),
            Turn::Completed((database, outcome)) => self.completed(database, outcome)?,
            Turn::Command(command) => self.command(command.unwrap_or(CLOSE_STOPPED))?,
            Turn::Push => self.push(now, &*host),
            Turn::Say => {
                if let Some(said) = self.presence.take() {
                    self.session.say(now, &said.database, &said.message, &*host);
                }
            }
            Turn::Deadline => self.session.handle_deadline(now, &*host),
            Turn::Round => {
                for database in self.rounds.take_due(Instant::now()) {
                    self.relate(database);
                }
                self.ask();
            }
            Turn::Status => self.write_status(),
        }
        Ok(())
    }

    /// Bounds what a peer can make this side queue by asking and not reading.
    fn count_read_ahead(&mut self, bytes: usize) -> Result<(), EndReason> {
        if self.outbox.has_room() {
            self.read_ahead = 0;
            return Ok(());
        }
        self.read_ahead = self.read_ahead.saturating_add(bytes);
        if self.read_ahead > READ_AHEAD_BYTES { Err(EndReason::NotRead) } else { Ok(()) }
    }

    fn drain(&mut self) -> Result<(), EndReason> {
        while self.outbox.has_room() {
            let Some(output) = self.session.poll() else { return Ok(()) };
            match output {
                Output::Send(frame) => self.outbox.push(frame.into()),
                Output::Ingest { batch, database, parcels, .. } => {
                    self.ingests.push(batch, database, parcels).map_err(EndReason::Host)?;
                }
                Output::Event(event) => self.event(event)?,
                Output::Close(reason) => return Err(EndReason::Session(reason)),
            }
        }
        Ok(())
    }

    fn command(&mut self, command: LinkCommand) -> Result<(), EndReason> {
        match command {
            LinkCommand::Accept(databases) => self.accept(databases),
            LinkCommand::Wait(waiter) => self.wait(waiter),
            LinkCommand::Ask => self.ask(),
            LinkCommand::Answer { request, answer } => {
                let host = Arc::clone(&self.common.host);
                self.session.answer(self.now(), &request, answer, &*host);
            }
            LinkCommand::Relate(database) => self.relate(database),
            LinkCommand::Discover { reply } => {
                if self.discovering.wait(reply) {
                    self.discover(None);
                }
            }
            LinkCommand::Prove => self.prove(),
            LinkCommand::Drop(database) => self.drop_relation(database),
            LinkCommand::Close(reason) => return Err(reason),
        }
        Ok(())
    }

    fn accept(&mut self, databases: BTreeSet<DatabaseId>) {
        let Some(peer) = self.peer else { return };
        self.accepted = true;
        self.status_soon();
        self.ask();
        self.waiters.proven(peer);
        for database in databases.union(&self.waiters.databases()) {
            self.relate(*database);
        }
    }

    /// Sends the peer what it is to be asked for.
    fn ask(&mut self) {
        let (true, Some(peer)) = (self.accepted, self.peer) else { return };
        let (host, now) = (Arc::clone(&self.common.host), self.now());
        for request in host.requests_to(&peer) {
            self.session.ask(now, request, &*host);
        }
    }

    /// Asks the peer for what it offers behind a database.
    fn discover(&mut self, after: Option<DatabaseId>) {
        let host = Arc::clone(&self.common.host);
        self.session.discover(self.now(), after, &*host);
    }

    /// Answers a request of the peer.
    fn asked(&mut self, peer: PublicKey, request: &[u8]) {
        let host = Arc::clone(&self.common.host);
        let answer = host.asked(peer, &self.address, request);
        self.session.answer(self.now(), &RequestId::of(request), answer, &*host);
    }

    fn wait(&mut self, waiter: Waiter) {
        let databases = waiter.databases.clone();
        self.waiters.add(waiter);
        let (true, Some(peer)) = (self.accepted, self.peer) else { return };
        self.waiters.proven(peer);
        for database in databases {
            self.relate(database);
        }
    }

    /// Proves the keys that the host has got since; the peer may give more to them.
    fn prove(&mut self) {
        let host = Arc::clone(&self.common.host);
        self.session.prove(self.now(), &*host);
        for database in self.related.clone() {
            self.relate(database);
        }
    }

    /// Syncs a database on this link from now on; runs a round if it is synced already.
    fn relate(&mut self, database: DatabaseId) {
        if !self.accepted {
            return;
        }
        let host = Arc::clone(&self.common.host);
        if !host.syncs(&database) {
            if let Some(peer) = self.peer {
                self.waiters.failed(peer, &database, &SyncError::NotSynced { database });
            }
            return;
        }
        self.related.insert(database);
        let every = host.round_every(&database, self.common.round_every);
        self.rounds.set(database, every.and_then(|every| Instant::now().checked_add(every)));
        self.marks.begin(database);
        self.session.relate(self.now(), database, &*host);
        self.status_soon();
    }

    fn drop_relation(&mut self, database: DatabaseId) {
        // Also where only the peer has asked for it: what was dropped here is not sent any more.
        self.related.remove(&database);
        self.rounds.set(database, None);
        let host = Arc::clone(&self.common.host);
        self.session.drop_relation(self.now(), &database, &*host);
        if let Some(peer) = self.peer {
            // Nothing failed between the two: it is no error of the database's status.
            let error = SyncError::RelationDropped { database, peer };
            self.waiters.failed(peer, &database, &error);
        }
    }

    fn push(&mut self, now: u64, host: &dyn Host) {
        for (database, committed) in self.feed.take() {
            let Committed { newest, relayed } = committed;
            self.session.handle_committed(now, database, &[newest], relayed, host);
        }
    }

    fn event(&mut self, event: Event) -> Result<(), EndReason> {
        if let Event::Authenticated { peer, name, .. } = &event {
            self.peer = Some(*peer);
            self.session.recall(self.common.memory.of(peer));
            self.feed = self.common.feed.add(self.token, *peer);
            self.presence = self.common.presence.add(self.token, *peer);
            self.notify(Notice::Proven { link: self.token, peer: *peer, name: name.clone() });
        }
        let Some(peer) = self.peer else { return Ok(()) };
        match &event {
            Event::Opened { database } if self.related.contains(database) => {
                self.notify(Notice::Opened { link: self.token, database: *database });
            }
            Event::Settled { database, classes, complete, .. } => {
                self.settled(peer, *database, *classes, *complete)?
            }
            Event::Denied { database, revoked: true } => {
                let error = SyncError::Revoked { database: *database, peer };
                self.database_failed(peer, *database, &error);
            }
            Event::Ended { database } => {
                let error = SyncError::PeerMayNotRead { database: *database, peer };
                self.database_failed(peer, *database, &error);
            }
            Event::Denied { database, .. } | Event::Left { database } => {
                let error = SyncError::DatabaseUnknown { database: *database, peer };
                self.database_failed(peer, *database, &error);
            }
            Event::Discovered { databases, next } => {
                if let Some(next) = self.discovering.found(databases.clone(), *next) {
                    self.discover(Some(next));
                }
                return Ok(());
            }
            Event::NotDiscovered => {
                self.discovering.failed(&SyncError::AskedTooOften { peer });
                return Ok(());
            }
            Event::Presence { database, message } => {
                return self.heard(peer, *database, message);
            }
            Event::Asked { request } => {
                self.asked(peer, request);
                return Ok(());
            }
            Event::Answered { request, answer } => {
                let opened = self.common.host.answered(peer, *request, answer.clone());
                if let Some(database) = opened {
                    self.relate(database);
                }
                // The host tells of those that it knows; anybody can answer others.
                return Ok(());
            }
            _ => {}
        }
        self.status_soon();
        self.common.board.heard(&peer, &event);
        self.common.board.tell(SyncEvent::Session { peer, event });
        Ok(())
    }

    /// Listens to a presence message, and passes it on, if it is genuine, of now and new.
    fn heard(
        &mut self,
        peer: PublicKey,
        database: DatabaseId,
        message: &PresenceMessage,
    ) -> Result<(), EndReason> {
        let Common { host, presence, .. } = &self.common;
        let heard = presence.hear(&**host, &database, message);
        match heard.map_err(|error| EndReason::Host(error.into()))? {
            Ok(()) => {
                let message = Arc::new(message.clone());
                presence.pass_on(database, &message, Some(peer));
                host.heard(database, message);
            }
            // A ring of peers brings everything twice.
            Err(Unheard::Repeated) => {}
            Err(_) => {
                self.session.drop_presence();
                self.status_soon();
            }
        }
        Ok(())
    }

    /// A round has ended; what was being fetched for the first time must be noted as whole before anyone is told.
    fn settled(
        &mut self,
        peer: PublicKey,
        database: DatabaseId,
        classes: Classes,
        complete: bool,
    ) -> Result<(), EndReason> {
        let held = self.common.host.database(&database);
        match held.map_err(|error| EndReason::Host(error.into()))? {
            Some(_) if lacks(&classes.theirs) || lacks(&classes.ours) => {
                let classes = Box::new(classes);
                let error = SyncError::Unequal { database, peer, classes };
                self.database_failed(peer, database, &error);
            }
            Some(held) if held.complete => {
                self.common.host.settled(database);
                self.succeeded(peer, database);
            }
            Some(_) if complete => {
                let noted = self.common.host.complete(database);
                self.completing.push_back(Box::pin(async move { (database, noted.await) }));
            }
            _ => {
                let error = SyncError::Incomplete { database, peer };
                self.database_failed(peer, database, &error);
            }
        }
        Ok(())
    }

    fn completed(
        &mut self,
        database: DatabaseId,
        outcome: Result<(), HostError>,
    ) -> Result<(), EndReason> {
        outcome.map_err(EndReason::Host)?;
        self.common.host.arrived(database);
        let Some(peer) = self.peer else { return Ok(()) };
        self.notify(Notice::Complete { link: self.token, database });
        self.common.board.tell(SyncEvent::Complete { database, peer });
        self.succeeded(peer, database);
        // What was written here meanwhile was not offered: only what is whole is.
        self.relate(database);
        Ok(())
    }

    fn succeeded(&mut self, peer: PublicKey, database: DatabaseId) {
        self.ended(peer, database, None);
        self.notify(Notice::Settled { link: self.token });
        self.waiters.settled(peer, &database);
    }

    fn database_failed(&mut self, peer: PublicKey, database: DatabaseId, error: &SyncError) {
        self.ended(peer, database, Some(error));
        self.waiters.failed(peer, &database, error);
    }

    /// Takes down how a sync of a database has ended.
    fn ended(&mut self, peer: PublicKey, database: DatabaseId, error: Option<&SyncError>) {
        let outcome = error
            .map_or(SyncOutcome::Equal, |error| SyncOutcome::Failed { error: in_words(error) });
        // Of a database that the session syncs no more it says nothing.
        let session = self.session.statuses().remove(&database);
        let record = self.marks.record(database, session.as_ref(), outcome);
        let board = &self.common.board;
        // First: who waits for the end looks at both.
        board.session(&peer, database, session, self.is_here(&database));
        board.ended(&peer, database, record, error.cloned());
    }

    fn is_here(&self, database: &DatabaseId) -> bool {
        self.common.host.database(database).is_ok_and(|held| held.is_some())
    }

    fn notify(&self, notice: Notice) {
        // Where the actor is gone the task is told to close.
        let _ = self.common.notices.send(notice);
    }

    fn status_soon(&mut self) {
        self.status_due.get_or_insert_with(|| Instant::now() + STATUS_EVERY);
    }

    fn write_status(&mut self) {
        self.status_due = None;
        // Of a link that the actor has not taken, as the peer is refused, nothing is said.
        let Some(peer) = self.peer.filter(|_| self.accepted) else { return };
        let round_trip = self.session.round_trip().map(Duration::from_millis);
        let dropped = self.session.dropped_presence();
        self.common.board.peer_now(&peer, |status| {
            status.round_trip = round_trip.or(status.round_trip);
            status.presence_dropped = dropped;
        });
        let synced = self.session.statuses();
        self.common.board.only(&peer, &synced.keys().copied().collect());
        for (database, session) in synced {
            self.marks.see(database, &session);
            let here = self.is_here(&database);
            self.common.board.session(&peer, database, Some(session), here);
        }
    }

    /// Remembers for the next link to the peer what both hold.
    fn remember(&self) {
        let Some(peer) = self.peer else { return };
        match self.session.common(&*self.common.host) {
            Ok(common) => self.common.memory.remember(peer, common),
            // It is only a hint, and whatever else is read says so too.
            Err(error) => tracing::debug!(%error, "what is held in common could not be read"),
        }
    }

    /// Says goodbye, lets what was sent leave, and returns the reason.
    async fn end(mut self, reason: EndReason) -> EndReason {
        let now = self.now();
        let lost = SyncError::Session(CloseReason::LinkClosed);
        self.discovering.failed(&reason.error(None).unwrap_or(lost));
        block_in_place(|| {
            // Of a link whose place another one has taken nothing is said any more.
            if !matches!(reason, EndReason::Replaced) {
                self.write_status();
            }
            match &reason {
                EndReason::Link(_) => {}
                _ => self.session.close(now),
            }
            self.remember();
            while let Some(output) = self.session.poll() {
                if let Output::Send(frame) = output {
                    self.outbox.push(frame.into());
                }
            }
        });
        self.outbox.close().await;
        // The peer ends its side once it has heard the goodbye; until then the transport may still be carrying it.
        let heard = async { while let Ok(Some(_)) = self.receiver.recv().await {} };
        if !matches!(reason, EndReason::Link(_)) && timeout(FLUSH_MAX, heard).await.is_err() {
            tracing::debug!("a peer did not answer the goodbye in time");
        }
        reason
    }
}

const CLOSE_STOPPED: LinkCommand = LinkCommand::Close(EndReason::Stopped);

/// Returns whether one side lacks what the other announced, for now or for good.
const fn lacks(tally: &Tally) -> bool {
    let Tally { missing, withheld, held_back, newer_version, .. } = tally;
    *missing + *withheld + *held_back + *newer_version > 0
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
