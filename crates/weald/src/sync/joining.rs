//! Tickets, and joining by them.
//!
//! Invariant: a join that broke off goes on where it stopped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use weald_dag::{DatabaseId, SecretKey};
use weald_transports::{Address, HTTP, PeerRecord, SyncError};

use super::PeerSync;
use crate::database::{Database, DatabaseError};
use crate::error::Error;
use crate::requests::InviteError;
use crate::ticket::Ticket;
use crate::user::User;

impl PeerSync {
    /// Makes the ticket of a database: its id, this device, and where it listens now.
    ///
    /// Where a server listens at all addresses of this machine, the ticket names the one by which it reaches others.
    pub fn ticket(&self, database: &Database) -> Ticket {
        Self::ticket_of(database)
    }

    pub(crate) fn ticket_of(database: &Database) -> Ticket {
        let core = database.core();
        let mut ticket = Ticket::new(database.id());
        if let Some(running) = core.sync.get() {
            ticket = ticket.with_peer(core.device.public());
            for (_, address) in running.actor.servers() {
                ticket = ticket.with_address(reachable(address));
            }
        }
        match database.name() {
            Some(name) => ticket.with_name(name),
            None => ticket,
        }
    }

    /// Joins the database of a ticket for a user: tracks it, fetches it from the ticket's addresses, opens it.
    ///
    /// An invite in the ticket is proven to the peer, and used for the user's key once all of the database is
    /// here; until then it is kept sealed, also over restarts. A key that holds as much already uses nothing.
    ///
    /// A database that is here already is opened at once and kept in sync, unless the ticket's invite was made
    /// since: then it is synced first. Where fetching broke off, calling this
    /// again goes on where it stopped; where the ticket names the peer it goes on by itself, also after a restart.
    ///
    /// # Errors
    /// [`Error::Sync`] when it cannot be fetched now, [`Error::Invite`] when the invite gives nothing any more.
    pub async fn join(&self, user: &User, ticket: &Ticket) -> Result<Database, Error> {
        let id = ticket.database();
        user.track(id)?;
        if let Some(invite) = ticket.invite() {
            self.keep_invite(user, id, invite)?;
            self.actor.prove_keys();
        }
        if let Some(peer) = ticket.peer().filter(|peer| *peer != self.core.device.public()) {
            let mut record = PeerRecord::new(peer);
            record.addresses = ticket.addresses().to_vec();
            record.databases.insert(id);
            self.actor.register_peer(record);
        }
        if !self.has_heard_of(ticket)? {
            let addresses = ticket.addresses().to_vec();
            let fetched = self.actor.sync_with(addresses, ticket.peer(), Some(id)).await;
            match (fetched, ticket.invite_key()) {
                (Err(SyncError::Revoked { .. }), Some(invite)) => {
                    self.invites.give_up(id, invite)?;
                    return Err(InviteError::Spent { database: id }.into());
                }
                (fetched, _) => drop(fetched?),
            }
        } else if ticket.peer().is_none() && !ticket.addresses().is_empty() {
            // Whoever answers there is known only then.
            self.actor.sync_soon(ticket.addresses().to_vec(), id);
        }
        if !self.core.held(&id)?.is_some_and(|held| held.complete) {
            return Err(DatabaseError::NotHere { id }.into());
        }
        if let Some(failed) = self.invites.redeem(id)?.pop() {
            return Err(failed.into());
        }
        user.open_database(&id)
    }
}

impl PeerSync {
    /// Keeps an invite to be used for a user as soon as all of the database is here.
    pub(super) fn keep_invite(
        &self,
        user: &User,
        database: DatabaseId,
        invite: &SecretKey,
    ) -> Result<(), Error> {
        let held = self.core.held(&database)?.is_some_and(|held| held.complete);
        let key = if held { user.open_database(&database)?.key() } else { user.default_key() };
        self.invites.keep(&self.core, database, invite, (key, user.name()))
    }

    /// Returns whether all of a ticket's database is here, with the entry that made its invite.
    fn has_heard_of(&self, ticket: &Ticket) -> Result<bool, Error> {
        let held = self.core.held(&ticket.database())?.filter(|held| held.complete);
        match (held, ticket.invite_key()) {
            (None, _) => Ok(false),
            (Some(_), None) => Ok(true),
            (Some(held), Some(invite)) => {
                Ok(self.core.authority(&held)?.current().ever_held(&invite))
            }
        }
    }
}

/// Replaces the address of a server at all addresses by one that others can dial.
fn reachable(address: Address) -> Address {
    let all = match (address.kind(), address.host_port()) {
        (HTTP, Some((host, port))) => {
            let unspecified = host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
            unspecified.then_some(port)
        }
        _ => None,
    };
    all.map_or(address, |port| Address::from_socket(SocketAddr::new(outward_ip(), port)))
}

/// Returns the address by which this machine reaches others; its own loopback when it reaches nobody.
fn outward_ip() -> IpAddr {
    // Connecting a datagram socket sends nothing: the system only chooses the way. The address is one of those
    // reserved for documentation.
    let chosen = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    chosen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |chosen| chosen.ip())
}
