//! Peers: where they find this chat, how rooms come from them, and how it stands with them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tokio::time::timeout;
use weald::transport::ListenError;
use weald::transport::http::HttpTransport;
use weald::{
    AccessOptions, AccessRequest, CloseReason, Database, DatabaseId, Error, Instance, InviteError,
    Level, PeerState, PeerSync, Requests, SyncError, SyncEvents, Ticket, User,
};

use crate::app::Status;
use crate::error::ChatError;

/// How long peers may take to get the last messages before the program ends.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// The name of the one transport.
const TRANSPORT: &str = "http";

/// Reaches peers, and is reached by them.
#[derive(Debug)]
pub(crate) struct Peers {
    sync: PeerSync,
}

impl Peers {
    /// Makes ready to sync; nobody is reached before [`Peers::listen`].
    ///
    /// # Errors
    /// Any error of the library.
    pub(crate) fn new(instance: &Instance) -> Result<Self, ChatError> {
        Ok(Self { sync: instance.enable_sync()? })
    }

    /// Listens, dials the peers of last time, and returns where peers find this chat.
    ///
    /// # Errors
    /// [`ChatError::PortInUse`], [`ChatError::Listen`].
    pub(crate) async fn listen(
        &self,
        bind: Option<SocketAddr>,
        last: Option<u16>,
    ) -> Result<SocketAddr, ChatError> {
        let mut address = bind.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let again = last.map(|port| SocketAddr::new(address.ip(), port));
        if let Some(again) = again.filter(|again| address.port() == 0 && is_free(*again)) {
            address = again;
        }
        let failed = |error| ChatError::Listen { address, error };
        let transport = HttpTransport::builder().bind(address.to_string()).build();
        let transport = transport.map_err(|error| failed(Box::new(error)))?;
        self.sync.register_transport(TRANSPORT, transport);
        match self.sync.accept_connections().await {
            Ok(_) => {}
            Err(SyncError::Listen { source, .. })
                if matches!(*source, ListenError::AddressInUse { .. }) =>
            {
                return Err(ChatError::PortInUse(address));
            }
            Err(error) => return Err(failed(Box::new(error))),
        }
        let served = self.sync.server_address();
        Ok(served.and_then(|served| served.text().parse().ok()).unwrap_or(address))
    }

    /// Joins a room: fetches it if it is not here, and keeps it in sync with the peer of the ticket.
    ///
    /// # Errors
    /// Any error of the library; [`is_final`] says whether trying again can help.
    pub(crate) async fn join(&self, user: &User, ticket: &Ticket) -> Result<Database, Error> {
        let database = self.sync.join(user, ticket).await?;
        if ticket.peer().is_none() {
            // Nobody was named, so the room may have been here without whoever answers there.
            for address in ticket.addresses() {
                self.sync.sync_with_peer(address, Some(database.id())).await?;
            }
        }
        Ok(database)
    }

    /// Asks whoever a ticket names to let a person into its room.
    ///
    /// # Errors
    /// Any error of the library.
    pub(crate) async fn ask(
        &self,
        user: &User,
        ticket: &Ticket,
        level: Level,
    ) -> Result<AccessRequest, Error> {
        let options = AccessOptions::new(user.default_key(), level).name(user.name());
        self.sync.request_access(ticket, &options).await
    }

    /// Returns the requests of others.
    pub(crate) fn requests(&self) -> Requests {
        self.sync.requests()
    }

    /// Returns what happens from now on.
    pub(crate) fn events(&self) -> SyncEvents {
        self.sync.events()
    }

    /// Returns how others join a room.
    pub(crate) fn ticket(&self, room: &Database) -> Ticket {
        self.sync.ticket(room)
    }

    /// Looks how it stands with all peers.
    pub(crate) fn look(&self, status: &mut Status) {
        let peers = self.sync.list_peers();
        let linked = peers.iter().filter(|peer| peer.state == PeerState::Connected);
        let sessions = linked.clone().flat_map(|peer| peer.databases.values());
        let pending = |total: u64, one: u64| total.saturating_add(one);
        status.pending = sessions
            .filter_map(|s| s.session.as_ref())
            .map(|s| s.pending_in + s.pending_out)
            .fold(0, pending);
        status.peers = linked.count();
        status.address = self.sync.server_address().map(|address| address.text().to_owned());
        let away = peers.iter().filter(|peer| matches!(peer.state, PeerState::Waiting { .. }));
        status.away = away.filter_map(|peer| peer.last_error.as_ref()).next().map(words);
    }

    /// Waits, a few seconds at most, until the peers that keep a room have what is here.
    pub(crate) async fn settle(&self, room: DatabaseId) {
        let keeps = |databases: &std::collections::BTreeSet<_>| databases.contains(&room);
        let mut peers = self.sync.list_peers();
        peers.retain(|peer| keeps(&peer.record.databases) || peer.databases.contains_key(&room));
        let all = async {
            for peer in peers {
                // Who is away gets it when both meet again.
                let _ = self.sync.sync_database_with_peer(peer.record.key, room).await;
            }
        };
        let _ = timeout(SETTLE_MAX, all).await;
    }
}

/// Returns whether joining failed in a way that trying again does not change.
pub(crate) fn is_final(error: &Error) -> bool {
    let Error::Sync(error) = error else { return false };
    match error {
        SyncError::DatabaseUnknown { .. }
        | SyncError::WrongPeer { .. }
        | SyncError::NoTransport { .. }
        | SyncError::NoAddressGiven => true,
        SyncError::Session(reason) => {
            matches!(reason, CloseReason::Ourselves | CloseReason::Version { .. })
        }
        _ => false,
    }
}

/// Returns whether a room is not given to this person, which asking for access may change.
pub(crate) const fn is_refused(error: &Error) -> bool {
    matches!(
        error,
        Error::Sync(SyncError::DatabaseUnknown { .. } | SyncError::Revoked { .. })
            | Error::Invite(
                InviteError::Spent { .. }
                    | InviteError::UsedUp { .. }
                    | InviteError::Expired { .. }
                    | InviteError::Revoked { .. }
            )
    )
}

/// Says in the words of a chat why syncing failed.
pub(crate) fn words(error: &SyncError) -> String {
    match error {
        SyncError::DatabaseUnknown { .. } => {
            "whoever answers there does not have this room; ask for a new ticket".to_owned()
        }
        SyncError::WrongPeer { .. } => {
            "somebody else answers there now; ask for a new ticket".to_owned()
        }
        SyncError::NoAddressGiven => {
            "the ticket does not say where; ask for one while the other chat runs".to_owned()
        }
        other => other.to_string(),
    }
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}
