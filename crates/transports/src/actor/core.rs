//! The one background task of an instance: it puts commands, dials, links and waiters together.
//!
//! Invariant: it never waits for a peer. Dials, links, listeners and saving run beside it and tell it what came
//! of them, so a dead peer delays nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::{CloseReason, Role};

use super::drive::{Common, Opening, drive};
use super::error::SyncError;
use super::event::SyncEvent;
use super::handle::Command;
use super::limits::STOP_MAX;
use super::links::{Linked, Links};
use super::notice::{EndReason, LinkCommand, LinkEnd, Notice, Token};
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::peers::Peers;
use super::serving::{self, Listening, Serving};
use super::wait::{Target, Waiter};
use crate::address::Address;
use crate::link::Link;

/// A dial under way.
struct Dial {
    target: Target,
    waiters: Vec<Waiter>,
}

/// Who asked for listeners, and what came of it.
type Listened = (Vec<Listening>, oneshot::Sender<Result<Vec<Address>, SyncError>>);

/// The state of the actor.
pub(crate) struct Core {
    common: Common,
    serving: Serving,
    listening: JoinSet<Listened>,
    links: Links,
    peers: Peers,
    dials: BTreeMap<Token, Dial>,
    /// Links and dials.
    tasks: JoinSet<()>,
    last_token: Token,
}

/// What became of looking for work.
enum Next {
    Command(Option<Command>),
    Notice(Option<Notice>),
    Listened(Listened),
    Retry,
}

impl Core {
    /// Makes the actor of a host; needs the runtime that it is to run on.
    pub(crate) fn new(common: Common, options: &ActorOptions, kept: Vec<PeerRecord>) -> Self {
        let (host, board) = (Arc::clone(&common.host), common.board.clone());
        Self {
            links: Links::new(host.device().public()),
            peers: Peers::new(host, board, options, kept),
            common,
            serving: Serving::default(),
            listening: JoinSet::new(),
            dials: BTreeMap::new(),
            tasks: JoinSet::new(),
            last_token: 0,
        }
    }

    fn token(&mut self) -> Token {
        self.last_token += 1;
        self.last_token
    }

    /// Runs until it is told to stop, or no handle is left.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) {
        let told = loop {
            let retry = self.peers.next_retry();
            let next = tokio::select! {
                command = commands.recv() => Next::Command(command),
                notice = notices.recv() => Next::Notice(notice),
                Some(Ok(listened)) = self.listening.join_next() => Next::Listened(listened),
                () = until(retry) => Next::Retry,
                Some(_) = self.tasks.join_next() => continue,
            };
            match next {
                Next::Command(None) | Next::Notice(None) => break None,
                Next::Command(Some(Command::Stop { reply })) => break Some(reply),
                Next::Command(Some(Command::Hush { reply })) => {
                    self.serving.hush().await;
                    self.common.board.set_servers(Vec::new());
                    let _ = reply.send(());
                }
                Next::Command(Some(command)) => self.command(command),
                Next::Notice(Some(notice)) => self.notice(notice),
                Next::Listened((listening, reply)) => self.serve(listening, reply),
                Next::Retry => {
                    let due = self.peers.take_due();
                    due.into_iter().for_each(|peer| self.dial_if_wanted(peer));
                }
            }
        };
        drop(commands);
        // Who was told that a database is in sync finds the peer related to it after a restart.
        while let Ok(notice) = notices.try_recv() {
            if let Notice::Opened { link, database } = notice {
                self.opened(link, database);
            }
        }
        self.stop().await;
        if let Some(told) = told {
            let _ = told.send(());
        }
    }

    async fn stop(mut self) {
        self.links.tell_all(|| LinkCommand::Close(EndReason::Stopped));
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_MAX, ended).await.is_err() {
            self.tasks.abort_all();
        }
        self.serving.hush().await;
        self.common.board.set_servers(Vec::new());
        self.peers.close().await;
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Register { name, transport } => {
                self.serving.register(name, transport);
                self.peers.keys().into_iter().for_each(|peer| self.dial_if_wanted(peer));
            }
            Command::Accept { reply } => {
                let silent = self.serving.silent();
                if self.serving.transports().is_empty() {
                    let _ = reply.send(Err(SyncError::NoTransportEnabled));
                } else {
                    self.listening.spawn(async { (serving::listen(silent).await, reply) });
                }
            }
            Command::Sync { waiter, all } => self.sync_wanted(waiter, all),
            Command::SyncPeer { peer, databases, all, reply } => {
                self.sync_peer(peer, databases, all, reply);
            }
            Command::Prove => self.links.tell_all(|| LinkCommand::Prove),
            Command::Reconsider { database } => self.reconsider(database),
            Command::Ask { peer } => self.links.tell_peer(&peer, || LinkCommand::Ask),
            Command::Answer { peer, request, answer } => {
                let told = || LinkCommand::Answer { request, answer: answer.clone() };
                self.links.tell_peer(&peer, told);
            }
            Command::AddPeer { record } => {
                let (peer, databases) = (record.key, record.databases.clone());
                self.peers.merge(record);
                for database in databases {
                    self.links.tell_peer(&peer, || LinkCommand::Relate(database));
                }
                self.dial_if_wanted(peer);
            }
            Command::Unrelate { peer, database } => {
                self.peers.drop_relation(&peer, &database);
                self.links.tell_peer(&peer, || LinkCommand::Drop(database));
            }
            // Both were answered by the loop.
            Command::Hush { .. } | Command::Stop { .. } => {}
        }
    }

    /// The host may want a database synced that it did not, the other way round, or at another interval.
    fn reconsider(&mut self, database: DatabaseId) {
        if !self.common.host.syncs(&database) {
            return self.links.tell_all(|| LinkCommand::Drop(database));
        }
        for peer in self.peers.keys() {
            if self.peers.is_related(&peer, &database) {
                self.links.tell_peer(&peer, || LinkCommand::Relate(database));
                self.dial_if_wanted(peer);
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Arrived(link) if self.links.has_room_for_arrival() => {
                let address = link.peer().clone();
                self.start(link, Role::Responder, address, None, Vec::new());
            }
            Notice::Arrived(link) => {
                tracing::warn!(peer = %link.peer(), "a link was dropped: too many are open");
            }
            Notice::Dialled { dial, outcome } => self.dialled(dial, outcome),
            Notice::Proven { link, peer, name } => self.proven(link, peer, name),
            Notice::Opened { link, database } => self.opened(link, database),
            Notice::Settled { link } => {
                if let Some(peer) = self.links.peer(link) {
                    self.peers.settled(&peer);
                }
            }
            Notice::Complete { link, database } => {
                let related = |peer: &PublicKey| self.peers.is_related(peer, &database);
                self.links.relate_others(link, database, related);
            }
            Notice::Ended(end) => self.ended(end),
            Notice::Deaf { listener } => {
                self.serving.ended(listener);
                self.common.board.set_servers(self.serving.addresses());
            }
        }
    }

    fn opened(&mut self, link: Token, database: DatabaseId) {
        if let Some(peer) = self.links.peer(link) {
            let mut record = PeerRecord::new(peer);
            record.databases.insert(database);
            self.peers.merge(record);
        }
    }

    fn serve(
        &mut self,
        listening: Vec<Listening>,
        reply: oneshot::Sender<Result<Vec<Address>, SyncError>>,
    ) {
        let notices = self.common.notices.clone();
        let outcome = self.serving.serve(listening, &mut self.last_token, &notices);
        self.common.board.set_servers(self.serving.addresses());
        let _ = reply.send(outcome);
    }

    fn sync_wanted(&mut self, mut waiter: Waiter, all: bool) {
        if all {
            match self.common.host.wanted() {
                Ok(wanted) => waiter.databases.extend(wanted),
                Err(error) => return waiter.answer(Err(error.into())),
            }
        }
        self.sync(waiter);
    }

    fn sync_peer(
        &mut self,
        peer: PublicKey,
        databases: BTreeSet<DatabaseId>,
        all: bool,
        reply: oneshot::Sender<Result<PublicKey, SyncError>>,
    ) {
        let target = match self.peers.target(&peer) {
            None => Err(SyncError::PeerUnknown { peer }),
            Some(target) if target.addresses.is_empty() && !self.links.reach(&peer) => {
                Err(SyncError::NoAddress { peer })
            }
            Some(target) => Ok(target),
        };
        match target {
            Ok(target) => {
                let waiter = Waiter { target, databases, required: !all, reused: false, reply };
                self.sync_wanted(waiter, all);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Puts a waiter on a link that is there, a dial under way, or a new one.
    fn sync(&mut self, waiter: Waiter) {
        let Err(waiter) = self.links.wait(waiter) else { return };
        let same = |dial: &&mut Dial| dial.target == waiter.target;
        match self.dials.values_mut().find(same) {
            Some(dial) => dial.waiters.push(waiter),
            None => self.dial(waiter.target.clone(), vec![waiter]),
        }
    }

    /// Dials a peer that is to be kept in sync and is neither linked nor about to be.
    fn dial_if_wanted(&mut self, peer: PublicKey) {
        let Some(target) = self.peers.to_dial(&peer) else { return };
        if !self.peers.databases(&peer).iter().any(|database| self.common.host.syncs(database)) {
            return;
        }
        if !self.links.reach(&peer) && self.serving.reaches(&target.addresses) {
            self.dial(target, Vec::new());
        }
    }

    fn dial(&mut self, target: Target, waiters: Vec<Waiter>) {
        let dial = self.token();
        if let Some(peer) = target.expected.filter(|peer| !self.links.reach(peer)) {
            self.peers.dialling(&peer);
        }
        let (transports, addresses) = (self.serving.transports(), target.addresses.clone());
        let notices = self.common.notices.clone();
        self.tasks.spawn(async move {
            let outcome = serving::dial(transports, addresses).await;
            let _ = notices.send(Notice::Dialled { dial, outcome });
        });
        self.dials.insert(dial, Dial { target, waiters });
    }

    fn dialled(&mut self, dial: Token, outcome: Result<(Address, Link), SyncError>) {
        let Some(Dial { target, waiters }) = self.dials.remove(&dial) else { return };
        let outcome = outcome.and_then(|dialled| {
            if self.links.has_room() { Ok(dialled) } else { Err(SyncError::TooManyLinks) }
        });
        let error = match outcome {
            Ok((address, link)) => {
                // The peer counts as being dialled until the link is proven or has ended.
                return self.start(link, Role::Dialler, address, target.expected, waiters);
            }
            Err(error) => error,
        };
        waiters.into_iter().for_each(|waiter| waiter.answer(Err(error.clone())));
        if let Some(peer) = target.expected {
            self.peers.dial_ended(&peer);
            if !self.links.reach(&peer) {
                self.peers.lost(&peer, Some(&error), false);
            }
        }
    }

    fn start(
        &mut self,
        link: Link,
        role: Role,
        address: Address,
        expected: Option<PublicKey>,
        waiters: Vec<Waiter>,
    ) {
        let token = self.token();
        let (send, commands) = mpsc::unbounded_channel();
        let linked = Linked {
            commands: send,
            address,
            dialled: role == Role::Dialler,
            expected,
            began: Instant::now(),
            peer: None,
            related: false,
            closing: false,
        };
        self.links.add(token, linked);
        let opening = Opening { token, role, expected, waiters, commands };
        self.tasks.spawn(drive(self.common.clone(), link, opening));
    }

    fn proven(&mut self, token: Token, peer: PublicKey, name: String) {
        let related = !self.peers.databases(&peer).is_empty();
        let Some((address, dialled)) = self.links.proven(token, peer, related) else { return };
        self.peers.proven(&peer, name.clone(), dialled.then_some(&address));
        if dialled {
            self.peers.dial_ended(&peer);
        }
        self.links.tell(token, LinkCommand::Accept(self.peers.databases(&peer)));
        self.common.board.tell(SyncEvent::Connected { peer, name, address, dialled });
        self.links.keep_one(token, peer);
        self.links.thin_out(token);
    }

    fn ended(&mut self, end: LinkEnd) {
        let LinkEnd { link: token, reason, waiters } = end;
        let Some(link) = self.links.remove(token) else { return };
        let error = reason.error(link.expected);
        let peer = link.peer.or(link.expected);
        if let Some(peer) = link.expected.filter(|_| link.peer.is_none()) {
            self.peers.dial_ended(&peer);
        }
        let linked_still = peer.is_some_and(|peer| self.links.reach(&peer));
        if !linked_still && let Some(peer) = peer {
            if link.peer.is_some() {
                let error = error.clone();
                self.common.board.tell(SyncEvent::Disconnected { peer, error });
            }
            self.peers.lost(&peer, error.as_ref(), reason.is_lasting());
        }
        let lost = error.unwrap_or(SyncError::Session(CloseReason::LinkClosed));
        for mut waiter in waiters {
            if linked_still || (waiter.reused && reason.is_loss()) {
                waiter.reused = false;
                self.sync(waiter);
            } else {
                waiter.answer(Err(lost.clone()));
            }
        }
    }
}

/// Waits until a time; for ever where there is none.
async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
