//! The one background task of an instance: who is linked, who is dialled, who waits.
//!
//! Invariant: it never waits itself. Dials, links, listeners and saving run beside it and tell it what came of
//! them, so a dead peer delays nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::Role;

use super::backoff::Backoff;
use super::drive::{Common, Opening, drive};
use super::error::SyncError;
use super::event::SyncEvent;
use super::handle::Command;
use super::ingest::random;
use super::keeper::Keeper;
use super::known::Known;
use super::limits::{CROSSING, LINKS_MAX, STOP_MAX, UNPROVEN_LINKS_MAX};
use super::notice::{EndReason, LinkCommand, LinkEnd, Notice, Token};
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::serving::{self, Listening, Serving};
use super::status::PeerState;
use super::wait::{Target, Waiter};
use crate::address::Address;
use crate::link::Link;

/// A link that is driven.
struct Linked {
    commands: mpsc::UnboundedSender<LinkCommand>,
    address: Address,
    dialled: bool,
    expected: Option<PublicKey>,
    began: Instant,
    peer: Option<PublicKey>,
    /// It was told to close.
    closing: bool,
}

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
    options: ActorOptions,
    device: PublicKey,
    serving: Serving,
    listening: JoinSet<Listened>,
    links: BTreeMap<Token, Linked>,
    tasks: JoinSet<()>,
    dials: BTreeMap<Token, Dial>,
    peers: BTreeMap<PublicKey, Known>,
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
    pub(crate) fn new(common: Common, options: ActorOptions, peers: Vec<PeerRecord>) -> Self {
        let device = common.host.device().public();
        let mut core = Self {
            common,
            options,
            device,
            serving: Serving::default(),
            listening: JoinSet::new(),
            links: BTreeMap::new(),
            tasks: JoinSet::new(),
            dials: BTreeMap::new(),
            peers: BTreeMap::new(),
            last_token: 0,
        };
        for record in peers {
            core.common.board.record(&record);
            core.peers.insert(record.key, core.known(record));
        }
        core
    }

    fn known(&self, record: PeerRecord) -> Known {
        Known::new(record, Backoff::new(self.options.retry_first, self.options.retry_max))
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
        let keeper = Keeper::new(Arc::clone(&self.common.host));
        let told = loop {
            let retry = self.peers.values().filter_map(|peer| peer.retry_at).min();
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
                Next::Command(Some(command)) => self.command(command, &keeper),
                Next::Notice(Some(notice)) => self.notice(notice, &keeper),
                Next::Listened((listening, reply)) => self.serve(listening, reply),
                Next::Retry => self.dial_due(),
            }
        };
        drop(commands);
        self.stop(keeper).await;
        if let Some(told) = told {
            let _ = told.send(());
        }
    }

    async fn stop(mut self, keeper: Keeper) {
        for link in self.links.values() {
            let _ = link.commands.send(LinkCommand::Close(EndReason::Stopped));
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_MAX, ended).await.is_err() {
            self.tasks.abort_all();
        }
        self.serving.hush().await;
        self.common.board.set_servers(Vec::new());
        keeper.close().await;
    }

    fn command(&mut self, command: Command, keeper: &Keeper) {
        match command {
            Command::Register { name, transport } => {
                self.serving.register(name, transport);
                let peers: Vec<PublicKey> = self.peers.keys().copied().collect();
                peers.into_iter().for_each(|peer| self.dial_if_wanted(peer));
            }
            Command::Accept { reply } => {
                let silent = self.serving.silent();
                if self.serving.transports().is_empty() {
                    let _ = reply.send(Err(SyncError::NoTransportEnabled));
                } else {
                    self.listening.spawn(async { (serving::listen(silent).await, reply) });
                }
            }
            Command::Sync { mut waiter, all } => match self.wanted(all) {
                Ok(wanted) => {
                    waiter.databases.extend(wanted);
                    self.sync(waiter);
                }
                Err(error) => waiter.answer(Err(error)),
            },
            Command::SyncPeer { peer, databases, all, reply } => {
                self.sync_peer(peer, databases, all, reply);
            }
            Command::Prove => {
                for link in self.links.values() {
                    let _ = link.commands.send(LinkCommand::Prove);
                }
            }
            Command::AddPeer { record } => self.add_peer(record, keeper),
            Command::Unrelate { peer, database } => self.unrelate(peer, database, keeper),
            // Both were answered by the loop.
            Command::Hush { .. } | Command::Stop { .. } => {}
        }
    }

    fn notice(&mut self, notice: Notice, keeper: &Keeper) {
        match notice {
            Notice::Arrived(link) => self.arrived(link),
            Notice::Dialled { dial, outcome } => self.dialled(dial, outcome),
            Notice::Proven { link, peer, name } => self.proven(link, peer, name, keeper),
            Notice::Opened { link, database } => {
                let peer = self.links.get(&link).and_then(|link| link.peer);
                if let Some(peer) = peer {
                    let mut record = PeerRecord::new(peer);
                    record.databases.insert(database);
                    self.merge(record, keeper);
                }
            }
            Notice::Settled { link } => {
                let peer = self.links.get(&link).and_then(|link| link.peer);
                if let Some(known) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
                    known.backoff.succeeded();
                }
            }
            Notice::Complete { link, database } => self.completed(link, database),
            Notice::Ended(end) => self.ended(end),
            Notice::Deaf { listener } => {
                self.serving.ended(listener);
                self.common.board.set_servers(self.serving.addresses());
            }
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

    fn wanted(&self, all: bool) -> Result<BTreeSet<DatabaseId>, SyncError> {
        let wanted = if all { self.common.host.wanted()? } else { Vec::new() };
        Ok(wanted.into_iter().collect())
    }
}

/// Waits until a time; for ever where there is none.
async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Peers: records, dialling, relations.
impl Core {
    fn add_peer(&mut self, record: PeerRecord, keeper: &Keeper) {
        let (peer, databases) = (record.key, record.databases.clone());
        self.merge(record, keeper);
        if let Some(known) = self.peers.get(&peer) {
            for link in known.links.iter().filter_map(|link| self.links.get(link)) {
                for database in &databases {
                    let _ = link.commands.send(LinkCommand::Relate(*database));
                }
            }
        }
        self.dial_if_wanted(peer);
    }

    /// Takes in what is newly known of a peer, and keeps it if it changes anything.
    fn merge(&mut self, record: PeerRecord, keeper: &Keeper) {
        let peer = record.key;
        let fresh = self.known(PeerRecord::new(peer));
        let is_new = !self.peers.contains_key(&peer);
        let known = self.peers.entry(peer).or_insert(fresh);
        if known.record.merge(record) || is_new {
            self.common.board.record(&known.record);
            keeper.save(&known.record);
        }
    }

    fn unrelate(&mut self, peer: PublicKey, database: DatabaseId, keeper: &Keeper) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.record.databases.remove(&database) {
            self.common.board.record(&known.record);
            keeper.save(&known.record);
        }
        for link in known.links.iter().filter_map(|link| self.links.get(link)) {
            let _ = link.commands.send(LinkCommand::Drop(database));
        }
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        let due = |known: &Known| known.retry_at.is_some_and(|at| at <= now);
        let due = self.peers.iter().filter(|(_, known)| due(known));
        let due: Vec<PublicKey> = due.map(|(peer, _)| *peer).collect();
        for peer in due {
            if let Some(known) = self.peers.get_mut(&peer) {
                known.retry_at = None;
            }
            self.dial_if_wanted(peer);
        }
    }

    /// Dials a peer that is to be kept in sync and is neither linked nor about to be.
    fn dial_if_wanted(&mut self, peer: PublicKey) {
        let Some(known) = self.peers.get(&peer) else { return };
        let busy = !known.links.is_empty() || known.dial.is_some() || known.retry_at.is_some();
        if busy || !known.is_wanted() || !self.serving.reaches(&known.record.addresses) {
            return;
        }
        let target = Target { addresses: known.addresses(), expected: Some(peer) };
        self.dial(target, Vec::new());
    }

    fn dial(&mut self, target: Target, waiters: Vec<Waiter>) {
        let dial = self.token();
        if let Some(known) = target.expected.and_then(|peer| self.peers.get_mut(&peer)) {
            known.dial = Some(dial);
            known.retry_at = None;
            self.common.board.peer_now(&known.record.key, |status| {
                status.state = PeerState::Connecting;
            });
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
        if let Some(known) = target.expected.and_then(|peer| self.peers.get_mut(&peer)) {
            known.dial = None;
        }
        match outcome {
            Ok((address, link)) if self.links.len() < LINKS_MAX => {
                self.link(link, address, target.expected, waiters);
            }
            Ok(_) => self.dial_failed(target.expected, waiters, &SyncError::TooManyLinks, false),
            Err(error) => self.dial_failed(target.expected, waiters, &error, false),
        }
    }

    fn dial_failed(
        &mut self,
        peer: Option<PublicKey>,
        waiters: Vec<Waiter>,
        error: &SyncError,
        lasting: bool,
    ) {
        for waiter in waiters {
            waiter.answer(Err(error.clone()));
        }
        if let Some(peer) = peer {
            self.retry_later(peer, Some(error), lasting);
        }
    }

    /// A peer that is to be kept in sync has no link any more: it is dialled again after a pause.
    fn retry_later(&mut self, peer: PublicKey, error: Option<&SyncError>, lasting: bool) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if !known.links.is_empty() {
            return;
        }
        let random = random().map_or(0, u64::from_be_bytes);
        let retry = known.is_wanted().then(|| known.failed(lasting, random));
        let error = error.cloned();
        self.common.board.peer_now(&peer, |status| {
            status.state = match retry {
                Some(pause) => PeerState::Waiting { next_retry: SystemTime::now() + pause },
                None => PeerState::Idle,
            };
            if error.is_some() {
                status.last_error.clone_from(&error);
            }
        });
        if let (Some(error), Some(retry)) = (error, retry) {
            self.common.board.tell(SyncEvent::Unreachable { peer, error, retry });
        }
    }
}

/// Operations that wait.
impl Core {
    fn sync_peer(
        &mut self,
        peer: PublicKey,
        databases: BTreeSet<DatabaseId>,
        all: bool,
        reply: oneshot::Sender<Result<PublicKey, SyncError>>,
    ) {
        let wanted = self.wanted(all);
        let Some(known) = self.peers.get(&peer) else {
            let _ = reply.send(Err(SyncError::PeerUnknown { peer }));
            return;
        };
        let target = Target { addresses: known.addresses(), expected: Some(peer) };
        let reachable = !target.addresses.is_empty() || !known.links.is_empty();
        let mut waiter = Waiter { target, databases, required: !all, reused: false, reply };
        match wanted {
            _ if !reachable => waiter.answer(Err(SyncError::NoAddress { peer })),
            Err(error) => waiter.answer(Err(error)),
            Ok(wanted) => {
                waiter.databases.extend(wanted);
                self.sync(waiter);
            }
        }
    }

    /// Puts a waiter on a link that is there, a dial under way, or a new one.
    fn sync(&mut self, mut waiter: Waiter) {
        if let Some(commands) = self.link_for(&waiter.target) {
            waiter.reused = true;
            if let Err(mpsc::error::SendError(LinkCommand::Wait(mut waiter))) =
                commands.send(LinkCommand::Wait(waiter))
            {
                // The link has just ended.
                waiter.reused = false;
                self.dial(waiter.target.clone(), vec![waiter]);
            }
            return;
        }
        let same = |dial: &&mut Dial| dial.target == waiter.target;
        match self.dials.values_mut().find(same) {
            Some(dial) => dial.waiters.push(waiter),
            None => self.dial(waiter.target.clone(), vec![waiter]),
        }
    }

    /// Finds a link that leads to the target, proven or about to be.
    fn link_for(&self, target: &Target) -> Option<mpsc::UnboundedSender<LinkCommand>> {
        let leads = |link: &Linked| match (target.expected, link.peer) {
            _ if link.closing => false,
            (Some(expected), Some(peer)) => expected == peer,
            (expected, _) => {
                let same = target.addresses.contains(&link.address);
                link.dialled && same && (link.expected == expected || link.peer.is_some())
            }
        };
        let found = self.links.values().rev().find(|link| leads(link));
        found.map(|link| link.commands.clone())
    }
}

/// Links.
impl Core {
    fn arrived(&mut self, link: Link) {
        let unproven = self.links.values().filter(|link| link.peer.is_none() && !link.dialled);
        if self.links.len() >= LINKS_MAX || unproven.count() >= UNPROVEN_LINKS_MAX {
            tracing::warn!(peer = %link.peer(), "a link was dropped, too many are open");
            return;
        }
        let address = link.peer().clone();
        self.start(link, Role::Responder, address, None, Vec::new());
    }

    fn link(
        &mut self,
        link: Link,
        address: Address,
        expected: Option<PublicKey>,
        waiters: Vec<Waiter>,
    ) {
        self.start(link, Role::Dialler, address, expected, waiters);
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
        let dialled = role == Role::Dialler;
        let (began, peer) = (Instant::now(), None);
        let linked =
            Linked { commands: send, address, dialled, expected, began, peer, closing: false };
        self.links.insert(token, linked);
        let opening = Opening { token, role, expected, waiters, commands };
        self.tasks.spawn(drive(self.common.clone(), link, opening));
    }

    fn proven(&mut self, token: Token, peer: PublicKey, name: String, keeper: &Keeper) {
        let mut record = PeerRecord::new(peer);
        record.name.clone_from(&name);
        self.merge(record, keeper);
        let Some(link) = self.links.get_mut(&token) else { return };
        link.peer = Some(peer);
        let (address, dialled) = (link.address.clone(), link.dialled);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.proven(token);
        if dialled && known.record.prefer(&address) {
            keeper.save(&known.record);
            self.common.board.record(&known.record);
        }
        let _ = link.commands.send(LinkCommand::Accept(known.record.databases.clone()));
        self.common.board.peer_now(&peer, |status| {
            status.state = PeerState::Connected;
            status.last_connected = Some(SystemTime::now());
            status.last_error = None;
        });
        self.common.board.tell(SyncEvent::Connected { peer, name, address, dialled });
        self.keep_one(token, peer);
    }

    /// Two peers that dialled each other keep one link, and both the same one.
    fn keep_one(&mut self, newest: Token, peer: PublicKey) {
        let Some(known) = self.peers.get(&peer) else { return };
        let Some((dialled, began)) = self.links.get(&newest).map(|l| (l.dialled, l.began)) else {
            return;
        };
        // Both sides know both keys: the link that the lesser one dialled stays.
        let ours_stays = self.device < peer;
        let mut losers = Vec::new();
        for other in known.links.iter().filter(|other| **other != newest) {
            let Some(link) = self.links.get(other).filter(|link| !link.closing) else { continue };
            let crossing = began.saturating_duration_since(link.began) < CROSSING;
            match (link.dialled == dialled, crossing) {
                (true, _) if dialled => losers.push(*other),
                // Which of its links it keeps is for the one who dialled to say.
                (true, _) => {}
                (false, true) if dialled != ours_stays => losers.push(newest),
                (false, _) => losers.push(*other),
            }
        }
        for loser in losers {
            if let Some(link) = self.links.get_mut(&loser) {
                link.closing = true;
                let _ = link.commands.send(LinkCommand::Close(EndReason::Replaced));
            }
        }
    }

    /// A database is whole now: the other peers can be asked for what they have, and given what is here.
    fn completed(&self, from: Token, database: DatabaseId) {
        for (token, link) in &self.links {
            let peer = link.peer.and_then(|peer| self.peers.get(&peer));
            if *token != from && peer.is_some_and(|peer| peer.record.databases.contains(&database))
            {
                let _ = link.commands.send(LinkCommand::Relate(database));
            }
        }
    }

    fn ended(&mut self, end: LinkEnd) {
        let LinkEnd { link: token, reason, waiters } = end;
        let Some(link) = self.links.remove(&token) else { return };
        let error = reason.error(link.expected);
        let mut linked_still = false;
        if let Some(known) = link.peer.and_then(|peer| self.peers.get_mut(&peer)) {
            known.links.remove(&token);
            linked_still = !known.links.is_empty();
        }
        let lost = error.clone().unwrap_or(SyncError::Session(weald_sync::CloseReason::LinkClosed));
        for mut waiter in waiters {
            let again = linked_still || (waiter.reused && reason.is_loss());
            waiter.reused &= linked_still;
            if again { self.sync(waiter) } else { waiter.answer(Err(lost.clone())) }
        }
        if linked_still {
            return;
        }
        if let Some(peer) = link.peer {
            self.common.board.tell(SyncEvent::Disconnected { peer, error: error.clone() });
        }
        let dialling = |peer: &PublicKey| self.peers.get(peer).is_some_and(|k| k.dial.is_some());
        if let Some(peer) = link.peer.or(link.expected).filter(|peer| !dialling(peer)) {
            self.retry_later(peer, error.as_ref(), reason.is_lasting());
        }
    }
}
