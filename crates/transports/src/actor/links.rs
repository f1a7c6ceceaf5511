//! The links of an actor, and where each leads.
//!
//! Invariant: of the links to one peer at most one stays, and both peers choose the same.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::time::Instant;
use weald_dag::{DatabaseId, PublicKey};

use super::limits::{CROSSING, LINKS_MAX, UNPROVEN_LINKS_MAX};
use super::notice::{EndReason, LinkCommand, Token};
use super::wait::{Target, Waiter};
use crate::address::Address;

/// A link that is driven.
pub(crate) struct Linked {
    pub(crate) commands: mpsc::UnboundedSender<LinkCommand>,
    /// The address dialled, or where it came from.
    pub(crate) address: Address,
    pub(crate) dialled: bool,
    pub(crate) expected: Option<PublicKey>,
    pub(crate) began: Instant,
    /// The peer, once proven.
    pub(crate) peer: Option<PublicKey>,
    /// It was told to close.
    pub(crate) closing: bool,
}

impl Linked {
    fn tell(&self, command: LinkCommand) {
        // A link that has just ended says so itself.
        let _ = self.commands.send(command);
    }

    fn leads_to(&self, target: &Target) -> bool {
        match (target.expected, self.peer) {
            _ if self.closing => false,
            (Some(expected), Some(peer)) => expected == peer,
            (expected, _) => {
                let same = target.addresses.contains(&self.address);
                self.dialled && same && (self.expected == expected || self.peer.is_some())
            }
        }
    }
}

/// All links of an actor.
pub(crate) struct Links {
    device: PublicKey,
    all: BTreeMap<Token, Linked>,
}

impl Links {
    pub(crate) const fn new(device: PublicKey) -> Self {
        Self { device, all: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, token: Token, link: Linked) {
        self.all.insert(token, link);
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Linked> {
        self.all.remove(&token)
    }

    /// Returns whether there is room for a link that is dialled.
    pub(crate) fn has_room(&self) -> bool {
        self.all.len() < LINKS_MAX
    }

    /// Returns whether there is room for a link that has come in.
    pub(crate) fn has_room_for_arrival(&self) -> bool {
        let unproven = self.all.values().filter(|link| link.peer.is_none() && !link.dialled);
        self.has_room() && unproven.count() < UNPROVEN_LINKS_MAX
    }

    pub(crate) fn peer(&self, token: Token) -> Option<PublicKey> {
        self.all.get(&token)?.peer
    }

    /// Returns whether a link to the peer is proven.
    pub(crate) fn reach(&self, peer: &PublicKey) -> bool {
        self.all.values().any(|link| link.peer.as_ref() == Some(peer))
    }

    /// Takes note of the peer of a link; returns its address and whether it was dialled.
    pub(crate) fn proven(&mut self, token: Token, peer: PublicKey) -> Option<(Address, bool)> {
        let link = self.all.get_mut(&token)?;
        link.peer = Some(peer);
        Some((link.address.clone(), link.dialled))
    }

    pub(crate) fn tell(&self, token: Token, command: LinkCommand) {
        if let Some(link) = self.all.get(&token) {
            link.tell(command);
        }
    }

    pub(crate) fn tell_all(&self, command: impl Fn() -> LinkCommand) {
        self.all.values().for_each(|link| link.tell(command()));
    }

    pub(crate) fn tell_peer(&self, peer: &PublicKey, command: impl Fn() -> LinkCommand) {
        let links = self.all.values().filter(|link| link.peer.as_ref() == Some(peer));
        links.for_each(|link| link.tell(command()));
    }

    /// Puts a waiter on a link that leads to its target, proven or about to be; gives it back if there is none.
    pub(crate) fn wait(&self, mut waiter: Waiter) -> Result<(), Waiter> {
        let Some(link) = self.all.values().rev().find(|link| link.leads_to(&waiter.target)) else {
            return Err(waiter);
        };
        waiter.reused = true;
        match link.commands.send(LinkCommand::Wait(waiter)) {
            Err(mpsc::error::SendError(LinkCommand::Wait(mut waiter))) => {
                waiter.reused = false;
                Err(waiter)
            }
            _ => Ok(()),
        }
    }

    /// A database is whole now: others with whom it is to be kept in sync can be asked and given.
    pub(crate) fn relate_others(
        &self,
        from: Token,
        database: DatabaseId,
        related: impl Fn(&PublicKey) -> bool,
    ) {
        for (token, link) in &self.all {
            if *token != from && link.peer.as_ref().is_some_and(&related) {
                link.tell(LinkCommand::Relate(database));
            }
        }
    }

    /// Two peers that dialled each other keep one link, and both the same one.
    pub(crate) fn keep_one(&mut self, newest: Token, peer: PublicKey) {
        let Some((dialled, began)) = self.all.get(&newest).map(|l| (l.dialled, l.began)) else {
            return;
        };
        // Both sides know both keys: the link that the lesser one dialled stays.
        let ours_stays = self.device < peer;
        let mut losers = Vec::new();
        for (token, link) in &self.all {
            if *token == newest || link.peer != Some(peer) || link.closing {
                continue;
            }
            let crossing = began.saturating_duration_since(link.began) < CROSSING;
            match (link.dialled == dialled, crossing) {
                (true, _) if dialled => losers.push(*token),
                // Which of its links it keeps is for the one who dialled to say.
                (true, _) => {}
                (false, true) if dialled != ours_stays => losers.push(newest),
                (false, _) => losers.push(*token),
            }
        }
        for loser in losers {
            if let Some(link) = self.all.get_mut(&loser) {
                link.closing = true;
                link.tell(LinkCommand::Close(EndReason::Replaced));
            }
        }
    }
}
