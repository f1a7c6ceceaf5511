//! The one background task of an instance: it puts commands, dials, links and waiters together.
//!
//! Invariant: it never waits for a peer. Dials, links, listeners and saving run beside it and tell it what came
//! of them, so a dead peer delays nobody.

mod commands;
mod dials;
mod rejections;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::Role;

use super::drive::Common;
use super::error::SyncError;
use super::handle::Command;
use super::limits::{NOTES_EVERY, STOP_MAX};
use super::links::Links;
use super::notice::{EndReason, LinkCommand, Notice, Token};
use super::options::ActorOptions;
use super::peer::PeerRecord;
use super::peers::{KeptPeers, Peers};
use super::serving::{Listening, Serving};
use super::wait::{Target, Waiter};
use crate::address::Address;
use rejections::Rejections;

/// A dial under way.
struct Dial {
    target: Target,
    waiters: Vec<Waiter>,
}

/// Who waits for listeners.
type Listens = oneshot::Sender<Result<Vec<Address>, SyncError>>;

/// What came of asking for listeners, and who asked; nobody where a transport took the place of another.
type Listened = (Vec<Listening>, Option<Listens>);

/// The state of the actor.
pub(crate) struct Core {
    common: Common,
    serving: Serving,
    listening: JoinSet<Listened>,
    /// Who asked while others were being started.
    listening_next: VecDeque<Listens>,
    rejections: Rejections,
    links: Links,
    peers: Peers,
    dials: BTreeMap<Token, Dial>,
    dialling: JoinSet<()>,
    /// Links.
    tasks: JoinSet<()>,
    last_token: Token,
    /// When what has changed is noted.
    notes_due: Option<Instant>,
}

/// What became of looking for work.
enum Next {
    Command(Option<Command>),
    Notice(Option<Notice>),
    Listened(Listened),
    Retry,
    Changed,
    Note,
}

impl Core {
    /// Makes the actor of a host; needs the runtime that it is to run on.
    pub(crate) fn new(common: Common, options: &ActorOptions, kept: KeptPeers) -> Self {
        let (host, board) = (Arc::clone(&common.host), common.board.clone());
        Self {
            links: Links::new(host.device().public()),
            peers: Peers::new(host, board, options, kept),
            common,
            serving: Serving::default(),
            listening: JoinSet::new(),
            listening_next: VecDeque::new(),
            rejections: Rejections::default(),
            notes_due: None,
            dials: BTreeMap::new(),
            dialling: JoinSet::new(),
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
            let (retry, notes_due) = (self.peers.next_retry(), self.notes_due);
            let next = tokio::select! {
                command = commands.recv() => Next::Command(command),
                notice = notices.recv() => Next::Notice(notice),
                Some(Ok(listened)) = self.listening.join_next() => Next::Listened(listened),
                () = until(retry) => Next::Retry,
                () = self.common.board.changed() => Next::Changed,
                () = until(notes_due) => Next::Note,
                Some(_) = self.tasks.join_next() => continue,
                Some(_) = self.dialling.join_next() => continue,
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
                Next::Changed => {
                    self.notes_due.get_or_insert_with(|| Instant::now() + NOTES_EVERY);
                }
                Next::Note => {
                    self.notes_due = None;
                    self.peers.note();
                }
            }
        };
        drop(commands);
        // Who was told that a database is in sync finds the peer related to it after a restart.
        while let Ok(notice) = notices.try_recv() {
            match notice {
                Notice::Opened { link, database } => self.opened(link, database),
                Notice::Answered { waiter, outcome } => waiter.answer(outcome),
                _ => {}
            }
        }
        self.stop().await;
        if let Some(told) = told {
            let _ = told.send(());
        }
    }

    async fn stop(mut self) {
        self.links.tell_all(|| LinkCommand::Close(EndReason::Stopped));
        // Nobody waits for who does not answer.
        self.dialling.shutdown().await;
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_MAX, ended).await.is_err() {
            self.tasks.abort_all();
        }
        self.serving.hush().await;
        self.common.board.set_servers(Vec::new());
        self.peers.close().await;
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Arrived(link) if self.links.has_room_for_arrival(link.peer()) => {
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
            Notice::Answered { waiter, outcome } => waiter.answer(outcome),
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

    fn serve(&mut self, listening: Vec<Listening>, reply: Option<Listens>) {
        let notices = self.common.notices.clone();
        let outcome = self.serving.serve(listening, &mut self.last_token, &notices);
        self.common.board.set_servers(self.serving.addresses());
        match (reply, outcome) {
            (Some(reply), outcome) => drop(reply.send(outcome)),
            (None, Err(error)) => {
                tracing::warn!(%error, "a transport that took the place of another does not listen");
            }
            (None, Ok(_)) => {}
        }
        if let Some(next) = self.listening_next.pop_front() {
            self.accept(next);
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
