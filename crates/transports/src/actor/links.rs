//! The links of an actor, and where each leads.
//!
//! Invariant: of the links to one peer at most one stays, and both peers choose the same.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::time::Instant;
use weald_dag::{DatabaseId, PublicKey};

use super::limits::{
    ARRIVED_PER_PEER_MAX, CROSSING, DIALS_RESERVED, LINKS_MAX, RELATED_RESERVED,
    STRANGERS_PER_HOST_MAX, UNPROVEN_LINKS_MAX, UNPROVEN_PER_HOST_MAX,
};
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
    /// Whether anything was kept in sync with the peer when it was proven.
    pub(crate) related: bool,
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

    /// Returns whether there is room for a link that has come in; some stays for those that are dialled, and some
    /// for other hosts.
    pub(crate) fn has_room_for_arrival(&self, from: &Address) -> bool {
        let host = from.host();
        let (mut unproven, mut of_host) = (0, 0);
        for link in self.all.values().filter(|link| link.peer.is_none() && !link.dialled) {
            unproven += 1;
            of_host += usize::from(link.address.host() == host);
        }
        self.all.len() < LINKS_MAX - DIALS_RESERVED
            && unproven < UNPROVEN_LINKS_MAX
            && of_host < UNPROVEN_PER_HOST_MAX
    }

    pub(crate) fn is_dialled(&self, token: Token) -> bool {
        self.all.get(&token).is_some_and(|link| link.dialled)
    }

    pub(crate) fn peer(&self, token: Token) -> Option<PublicKey> {
        self.all.get(&token)?.peer
    }

    /// Returns whether a link to the peer is proven.
    pub(crate) fn reach(&self, peer: &PublicKey) -> bool {
        self.all.values().any(|link| link.peer.as_ref() == Some(peer))
    }

    /// Takes note of the peer of a link; returns its address and whether it was dialled.
    pub(crate) fn proven(
        &mut self,
        token: Token,
        peer: PublicKey,
        related: bool,
    ) -> Option<(Address, bool)> {
        let link = self.all.get_mut(&token)?;
        (link.peer, link.related) = (Some(peer), related);
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

    /// Tells one link to a peer, the newest; gives the command back where there is none.
    pub(crate) fn tell_one(&self, peer: &PublicKey, command: LinkCommand) -> Option<LinkCommand> {
        let leads = |link: &&Linked| link.peer.as_ref() == Some(peer) && !link.closing;
        let Some(link) = self.all.values().rev().find(leads) else { return Some(command) };
        link.commands.send(command).err().map(|unsent| unsent.0)
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
        losers.into_iter().for_each(|loser| self.close(loser, EndReason::Replaced));
    }

    pub(crate) fn close(&mut self, token: Token, reason: EndReason) {
        if let Some(link) = self.all.get_mut(&token) {
            link.closing = true;
            link.tell(LinkCommand::Close(reason));
        }
    }

    /// Bounds what came in, after a link is proven: so much from one key, and so much from strangers.
    pub(crate) fn thin_out(&mut self, newest: Token) {
        let Some(link) = self.all.get(&newest).filter(|link| !link.dialled) else { return };
        let (peer, related, host) = (link.peer, link.related, link.address.host());
        let arrived = self.all.iter().filter(|(_, link)| !link.dialled && !link.closing);
        let (mut of_peer, mut strangers, mut of_host) = (Vec::new(), 0, 0);
        for (token, link) in arrived.filter(|(_, link)| link.peer.is_some()) {
            if link.peer == peer {
                of_peer.push(*token);
            }
            strangers += usize::from(!link.related);
            of_host += usize::from(!link.related && link.address.host() == host);
        }
        let too_many = of_peer.len().saturating_sub(ARRIVED_PER_PEER_MAX);
        for oldest in of_peer.into_iter().take(too_many) {
            self.close(oldest, EndReason::Replaced);
            strangers -= usize::from(!related);
        }
        let most = LINKS_MAX - DIALS_RESERVED - RELATED_RESERVED;
        if !related && (strangers > most || of_host > STRANGERS_PER_HOST_MAX) {
            self.close(newest, EndReason::Crowded);
        }
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    type Commands = mpsc::UnboundedReceiver<LinkCommand>;

    fn arrive(links: &mut Links, token: Token, seed: u64, related: bool) -> Commands {
        arrive_from(links, token, (seed, related), &format!("memory:{seed}"))
    }

    fn arrive_from(
        links: &mut Links,
        token: Token,
        (seed, related): (u64, bool),
        from: &str,
    ) -> Commands {
        let (commands, told) = mpsc::unbounded_channel();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let peer = SecretKey::from_seed(&key).public();
        let address = from.parse().unwrap();
        let began = Instant::now();
        let link = Linked {
            commands,
            address,
            dialled: false,
            expected: None,
            began,
            peer: None,
            related: false,
            closing: false,
        };
        links.add(token, link);
        links.proven(token, peer, related);
        links.thin_out(token);
        told
    }

    fn links() -> Links {
        Links::new(SecretKey::from_seed(&[255; 32]).public())
    }

    fn elsewhere() -> Address {
        "memory:elsewhere".parse().unwrap()
    }

    #[test]
    fn one_host_takes_neither_all_unproven_links_nor_all_those_of_strangers() {
        let mut links = links();
        let from = "192.0.2.7:1";
        let told: Vec<_> = (0..STRANGERS_PER_HOST_MAX as u64)
            .map(|n| arrive_from(&mut links, n, (n, false), from))
            .collect();
        assert!(told.iter().all(mpsc::UnboundedReceiver::is_empty));
        let mut crowded = arrive_from(&mut links, 5_000, (5_000, false), "192.0.2.7:2");
        assert!(matches!(crowded.try_recv(), Ok(LinkCommand::Close(EndReason::Crowded))));
        let related = arrive_from(&mut links, 5_001, (5_001, true), from);
        assert!(related.is_empty());
        assert!(arrive(&mut links, 5_002, 5_002, false).is_empty());
        for n in 0..UNPROVEN_PER_HOST_MAX as u64 {
            assert!(links.has_room_for_arrival(&from.parse().unwrap()));
            drop(arrive_from(&mut links, 6_000 + n, (6_000 + n, true), from));
            if let Some(link) = links.all.get_mut(&(6_000 + n)) {
                link.peer = None;
            }
        }
        assert!(!links.has_room_for_arrival(&from.parse().unwrap()));
        assert!(links.has_room_for_arrival(&elsewhere()));
    }

    #[test]
    fn one_key_keeps_two_links_that_came_in_and_loses_the_oldest() {
        let mut links = links();
        let mut told: Vec<_> = (0..3).map(|token| arrive(&mut links, token, 1, false)).collect();
        let mut closed = |n: usize| matches!(told[n].try_recv(), Ok(LinkCommand::Close(_)));
        assert_eq!([closed(0), closed(1), closed(2)], [true, false, false]);
    }

    #[test]
    fn strangers_leave_room_for_related_peers_and_for_dialling() {
        let mut links = links();
        let most = (LINKS_MAX - DIALS_RESERVED - RELATED_RESERVED) as u64;
        let told: Vec<_> = (0..most).map(|n| arrive(&mut links, n, n, false)).collect();
        assert!(told.iter().all(mpsc::UnboundedReceiver::is_empty));
        let mut crowded = arrive(&mut links, most, most, false);
        assert!(matches!(crowded.try_recv(), Ok(LinkCommand::Close(EndReason::Crowded))));
        assert!(links.has_room_for_arrival(&elsewhere()));
        let related = |n| most + 1 + n as u64;
        for n in 0..RELATED_RESERVED - 1 {
            let told = arrive(&mut links, related(n), related(n), true);
            assert!(told.is_empty());
        }
        assert!(!links.has_room_for_arrival(&elsewhere()) && links.has_room());
    }
}
