//! Why an operation of the actor failed; several callers may get the same error, so it is cheap to clone.

use std::sync::Arc;
use std::time::Duration;

use weald_dag::{DatabaseId, PublicKey};
use weald_sync::{Classes, CloseReason, Tally};

use super::host::HostError;
use crate::address::{Address, AddressError};
use crate::link::LinkError;
use crate::transport::{DialError, ListenError};

/// Why syncing, connecting or serving failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// No transport was registered.
    #[error("no transport is registered: register one before connecting or serving")]
    NoTransportEnabled,
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No address was given.
    #[error("no address was given: say where the peer is, such as 192.0.2.7:8088")]
    NoAddressGiven,
    /// No transport reaches addresses of this kind.
    #[error("no transport reaches {address}: register one of kind {}", address.kind())]
    NoTransport {
        /// The address asked for.
        address: Address,
    },
    /// A transport does not listen.
    #[error("the transport {name} does not listen: {source}")]
    Listen {
        /// The name it was registered under.
        name: String,
        /// Why.
        #[source]
        source: Arc<ListenError>,
    },
    /// No link could be opened; of several addresses this is the last failure.
    #[error(transparent)]
    Dial(Arc<DialError>),
    /// The link was lost before the operation was done.
    #[error("the link to the peer was lost, try again: {0}")]
    Link(#[source] LinkError),
    /// Another device answers there than the one that was expected.
    #[error("another device than {expected} answers there: check the address or the ticket")]
    WrongPeer {
        /// Who was expected.
        expected: PublicKey,
    },
    /// The session ended: the peer speaks another version, or broke a rule.
    #[error("the session with the peer ended: {0}")]
    Session(#[source] CloseReason),
    /// The peer does not have the database, or does not let this instance read it; it does not say which.
    #[error(
        "the peer does not have database {database}, or lets no key that is unlocked here read it: check the id, log in the user who may read it, or ask for access by sync_with_peer_for_bootstrap"
    )]
    DatabaseUnknown {
        /// The database asked for.
        database: DatabaseId,
        /// The peer asked.
        peer: PublicKey,
    },
    /// The peer says that a key of this instance could read the database once and may not any more.
    #[error(
        "your access to database {database} was taken away, says the peer: what is here stays; ask an administrator for access"
    )]
    Revoked {
        /// The database.
        database: DatabaseId,
        /// The peer asked.
        peer: PublicKey,
    },
    /// The peer may not read the database any more, so it is not synced with it.
    #[error(
        "peer {peer} may not read database {database} any more: it gets nothing until somebody grants it access again"
    )]
    PeerMayNotRead {
        /// The database.
        database: DatabaseId,
        /// The peer.
        peer: PublicKey,
    },
    /// The peer has given all that it gives, and that is not all of the database.
    #[error(
        "peer {peer} does not give all of database {database}: try another peer, and check that the clocks are right"
    )]
    Incomplete {
        /// The database.
        database: DatabaseId,
        /// The peer asked.
        peer: PublicKey,
    },
    /// The database was taken out of what is kept in sync with the peer.
    #[error(
        "database {database} is kept in sync with peer {peer} no more: sync it with the peer anew"
    )]
    RelationDropped {
        /// The database.
        database: DatabaseId,
        /// The peer.
        peer: PublicKey,
    },
    /// The users of this device do not want the database synced.
    #[error(
        "database {database} is not to be synced on this device: enable its sync in a user's preferences, or add it again"
    )]
    NotSynced {
        /// The database.
        database: DatabaseId,
    },
    /// A round has ended and the two sides still do not hold the same.
    #[error(
        "database {database} is not the same here and at peer {peer} yet ({}): check that the clocks are right, that both run the same version, and who may read",
        lacking(classes)
    )]
    Unequal {
        /// The database.
        database: DatabaseId,
        /// The peer.
        peer: PublicKey,
        /// What became of the tips of both sides.
        classes: Box<Classes>,
    },
    /// The peer was asked too often for what it offers.
    #[error("peer {peer} was asked too often for its databases: ask again in a minute")]
    AskedTooOften {
        /// The peer.
        peer: PublicKey,
    },
    /// Nothing is known of the peer.
    #[error("peer {peer} is not known: connect to its address or register it first")]
    PeerUnknown {
        /// The peer asked for.
        peer: PublicKey,
    },
    /// No address of the peer is known.
    #[error("no address of peer {peer} is known: register one")]
    NoAddress {
        /// The peer asked for.
        peer: PublicKey,
    },
    /// The peer answered nothing for too long.
    #[error("the peer was silent for {} s: check that it is running, then try again", after.as_secs_f32())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The peer sends and does not take what is sent to it.
    #[error("the peer does not read what is sent to it: check that it is not overloaded")]
    NotRead,
    /// As many links are open as one instance drives.
    #[error("too many links are open: close some or try again later")]
    TooManyLinks,
    /// It failed before the last restart; of that the words are kept.
    #[error("{words} (before the last restart)")]
    Earlier {
        /// The error in words.
        words: Arc<str>,
    },
    /// The own instance could not do its part.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The system gives no more threads.
    #[error("the threads for sync cannot be started: close other programs or raise the limit")]
    Threads(#[source] Arc<std::io::Error>),
    /// Sync was stopped, or the instance dropped.
    #[error("sync is stopped: the instance was closed or dropped")]
    InstanceDropped,
}

impl From<DialError> for SyncError {
    fn from(error: DialError) -> Self {
        Self::Dial(Arc::new(error))
    }
}

/// Says what one side lacks of the other.
fn lacking(classes: &Classes) -> String {
    let side = |side: &str, tally: &Tally| {
        let Tally { missing, withheld, held_back, newer_version, .. } = tally;
        format!(
            "{side}: {missing} missing, {withheld} withheld, {held_back} held back, {newer_version} of a newer version"
        )
    };
    format!("{}; {}", side("here", &classes.theirs), side("there", &classes.ours))
}
