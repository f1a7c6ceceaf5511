//! From a dial or an arrival to a link that is proven, and to its end.
//!
//! Invariant: a peer is dialled at most once at a time, and one that is to be kept in sync and has no link is
//! dialled, or waits for its next attempt.

use tokio::sync::mpsc;
use tokio::time::Instant;
use weald_dag::PublicKey;
use weald_sync::{CloseReason, Role};

use super::super::drive::{Opening, drive};
use super::super::error::SyncError;
use super::super::event::SyncEvent;
use super::super::known::Failure;
use super::super::links::Linked;
use super::super::notice::{EndReason, LinkCommand, LinkEnd, Notice, Token};
use super::super::serving;
use super::super::wait::{Target, Waiter};
use super::{Core, Dial};
use crate::address::Address;
use crate::link::Link;

impl Core {
    /// Dials a peer that is to be kept in sync and is neither linked nor about to be.
    pub(super) fn dial_if_wanted(&mut self, peer: PublicKey) {
        let databases = self.peers.databases(&peer);
        let target = self.peers.to_dial(&peer).filter(|target| {
            !self.links.reach(&peer)
                && databases.iter().any(|database| self.common.host.syncs(database))
                && self.serving.reaches(&target.addresses)
        });
        match target {
            Some(target) => self.dial(target, Vec::new()),
            None => self.peers.passed_over(&peer),
        }
    }

    pub(super) fn dial(&mut self, target: Target, waiters: Vec<Waiter>) {
        let dial = self.token();
        if let Some(peer) = target.expected.filter(|peer| !self.links.reach(peer)) {
            self.peers.dialling(&peer);
        }
        let (transports, addresses) = (self.serving.transports(), target.addresses.clone());
        let distrusted = target.expected.map(|peer| self.peers.distrusted(&peer));
        let distrusted = distrusted.unwrap_or_default();
        let notices = self.common.notices.clone();
        self.dialling.spawn(async move {
            let outcome = serving::dial(transports, addresses, &distrusted).await;
            let _ = notices.send(Notice::Dialled { dial, outcome });
        });
        self.dials.insert(dial, Dial { target, waiters });
    }

    pub(super) fn dialled(&mut self, dial: Token, outcome: Result<(Address, Link), SyncError>) {
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
                self.peers.lost(&peer, Some(&error), Failure::Passing);
            }
        }
    }

    pub(super) fn start(
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

    pub(super) fn proven(&mut self, token: Token, peer: PublicKey, name: String) {
        let dialled_here = self.links.is_dialled(token);
        if !dialled_here && self.peers.is_shunned(&peer) {
            return self.links.close(token, EndReason::Shunned);
        }
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

    pub(super) fn ended(&mut self, end: LinkEnd) {
        let LinkEnd { link: token, reason, waiters } = end;
        let Some(link) = self.links.remove(token) else { return };
        let error = reason.error(link.expected);
        let peer = link.peer.or(link.expected);
        if let Some(peer) = link.expected.filter(|_| link.peer.is_none()) {
            self.peers.dial_ended(&peer);
        }
        self.judge(&link, &reason);
        let linked_still = peer.is_some_and(|peer| self.links.reach(&peer));
        if !linked_still && let Some(peer) = peer {
            let failure = match link.peer {
                _ if !reason.is_lasting() => Failure::Passing,
                Some(_) => Failure::OfPeer,
                None => Failure::At(&link.address),
            };
            self.peers.lost(&peer, error.as_ref(), failure);
            // Who hears of it finds it in the status.
            if link.peer.is_some() {
                let error = error.clone();
                self.common.board.tell(SyncEvent::Disconnected { peer, error });
            }
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

    /// Takes note of how a peer behaved on a link that has ended.
    fn judge(&mut self, link: &Linked, reason: &EndReason) {
        match (link.peer, reason.shuns()) {
            (Some(peer), Some(pause)) => self.peers.shun(&peer, pause),
            (None, _) if !link.dialled && reason.is_rejection() => {
                let error = reason.error(None);
                self.rejections.tell(&self.common.board, &link.address, error);
            }
            _ => {}
        }
    }
}
