//! What the handles of an actor ask of it.
//!
//! Invariant: whoever waits for an answer gets one, at once or from the link or dial that it was put on.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::CloseReason;

use super::super::error::SyncError;
use super::super::handle::Command;
use super::super::notice::LinkCommand;
use super::super::serving;
use super::super::wait::Waiter;
use super::{Core, Dial, Listens};
use crate::transport::Transport;

impl Core {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Register { name, transport } => {
                self.register(name, transport);
                self.dial_all();
            }
            Command::Accept { reply } => self.accept(reply),
            Command::NetworkChanged => self.network_changed(),
            Command::Sync { waiter, all } => self.sync_wanted(waiter, all),
            Command::SyncPeer { peer, databases, all, reply } => {
                self.sync_peer(peer, databases, all, reply);
            }
            Command::Discover { peer, reply } => {
                let unsent = self.links.tell_one(&peer, LinkCommand::Discover { reply });
                if let Some(LinkCommand::Discover { reply }) = unsent {
                    let _ = reply.send(Err(SyncError::Session(CloseReason::LinkClosed)));
                }
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
            Command::Timer { after, mut ring } => {
                // Beside the tasks that a stop waits for: the runtime ends it then.
                drop(tokio::spawn(async move {
                    if timeout(after, ring.closed()).await.is_err() {
                        let _ = ring.send(());
                    }
                }));
            }
            // Both were answered by the loop.
            Command::Hush { .. } | Command::Stop { .. } => {}
        }
    }

    /// Adds a transport; where it takes the place of one that listens it listens instead.
    fn register(&mut self, name: String, transport: Arc<dyn Transport>) {
        let replaced = self.serving.register(name.clone(), Arc::clone(&transport));
        self.common.board.set_kinds(self.serving.kinds());
        self.common.board.set_servers(self.serving.addresses());
        if let Some(replaced) = replaced {
            self.listening.spawn(async move {
                replaced.stop().await;
                (serving::listen([(name, transport)].into()).await, None)
            });
        }
    }

    /// Starts to listen; after whatever is being started already.
    pub(super) fn accept(&mut self, reply: Listens) {
        if self.serving.transports().is_empty() {
            let _ = reply.send(Err(SyncError::NoTransportEnabled));
        } else if self.listening.is_empty() {
            let silent = self.serving.silent();
            self.listening.spawn(async { (serving::listen(silent).await, Some(reply)) });
        } else {
            self.listening_next.push_back(reply);
        }
    }

    /// What did not work may work now, and what worked may not: everything is tried.
    fn network_changed(&mut self) {
        self.peers.retry_all();
        for peer in self.peers.keys() {
            for database in self.peers.databases(&peer) {
                self.links.tell_peer(&peer, || LinkCommand::Relate(database));
            }
        }
        self.dial_all();
    }

    pub(super) fn dial_all(&mut self) {
        self.peers.keys().into_iter().for_each(|peer| self.dial_if_wanted(peer));
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
    pub(super) fn sync(&mut self, waiter: Waiter) {
        let Err(waiter) = self.links.wait(waiter) else { return };
        let same = |dial: &&mut Dial| dial.target == waiter.target;
        match self.dials.values_mut().find(same) {
            Some(dial) => dial.waiters.push(waiter),
            None => self.dial(waiter.target.clone(), vec![waiter]),
        }
    }
}
