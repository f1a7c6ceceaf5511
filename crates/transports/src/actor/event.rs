//! What the actor tells whoever wants to know; a slow reader misses the oldest and is told how many.

use std::time::Duration;

use tokio::sync::broadcast;
use weald_dag::{DatabaseId, PublicKey, RequestId};
use weald_sync::Event;

use super::board::Board;
use super::error::SyncError;
use crate::address::Address;

/// Something that happened while syncing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SyncEvent {
    /// A link to a peer is proven both ways.
    Connected {
        /// The peer's device key.
        peer: PublicKey,
        /// What it calls itself.
        name: String,
        /// The address dialled, or where it came from.
        address: Address,
        /// Whether this instance dialled.
        dialled: bool,
    },
    /// The last link to a peer ended.
    Disconnected {
        /// The peer.
        peer: PublicKey,
        /// Why, unless it was closed in order.
        error: Option<SyncError>,
    },
    /// A peer could not be reached or proven; it is tried again.
    Unreachable {
        /// The peer.
        peer: PublicKey,
        /// Why the last attempt failed.
        error: SyncError,
        /// When the next attempt comes.
        retry: Duration,
    },
    /// Somebody came and did not prove to be a peer, such as one that speaks another version.
    ///
    /// Told at most once in [`REJECTION_EVERY`](crate::REJECTION_EVERY).
    Rejected {
        /// Where the last link came from.
        address: Address,
        /// Why the last link was ended.
        error: SyncError,
        /// How many links ended so since the event before.
        links: u64,
    },
    /// A session with a peer says something.
    Session {
        /// The peer.
        peer: PublicKey,
        /// What it says.
        event: Event,
    },
    /// The first sync of a database has brought all of it.
    Complete {
        /// The database.
        database: DatabaseId,
        /// The peer that it came from.
        peer: PublicKey,
    },
    /// Who holds what in a database, or asks for it, has changed by an invite or a request.
    Access(AccessEvent),
    /// Events were missed because they were not read in time.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// How invites and requests for access fare.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessEvent {
    /// An invite was used: the key is a member.
    Joined {
        /// The database.
        database: DatabaseId,
        /// The key.
        key: PublicKey,
    },
    /// An invite gives nothing any more; ask for a new ticket, or for access.
    InviteFailed {
        /// The database.
        database: DatabaseId,
        /// Why, in words.
        reason: String,
    },
    /// A request came that somebody here has to decide, or a newer one in its place.
    Requested {
        /// The request.
        request: RequestId,
        /// The database.
        database: DatabaseId,
        /// Who is to hold what is wanted.
        key: PublicKey,
    },
    /// A request that came here was decided.
    Decided {
        /// The request.
        request: RequestId,
        /// The database.
        database: DatabaseId,
        /// Who asked.
        key: PublicKey,
        /// Whether it was granted.
        approved: bool,
    },
    /// A peer has said something new about a request of this device.
    Answered {
        /// The request.
        request: RequestId,
        /// The database.
        database: DatabaseId,
    },
    /// A request of this device is asked no more: it was withdrawn, or another was made in its place.
    Withdrawn {
        /// The request.
        request: RequestId,
        /// The database.
        database: DatabaseId,
    },
    /// A key that became a member by an invite is one no more: others used the invite before it and the entry
    /// came later, or it was taken away.
    Fell {
        /// The database.
        database: DatabaseId,
        /// The key.
        key: PublicKey,
    },
}

/// Tells events to whoever listens to an actor. A cheap clone.
#[derive(Debug, Clone)]
pub struct EventTeller(pub(crate) Board);

impl EventTeller {
    /// Tells an event; nobody need listen.
    pub fn tell(&self, event: AccessEvent) {
        self.0.tell(SyncEvent::Access(event));
    }
}

/// A stream of [`SyncEvent`]s, from the time it was made.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<SyncEvent>);

impl Events {
    /// Waits for the next event; `None` once the actor has stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<SyncEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(SyncEvent::Lagged { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Returns the next event if there is one now.
    pub fn try_next(&mut self) -> Option<SyncEvent> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => {
                Some(SyncEvent::Lagged { missed })
            }
            Err(_) => None,
        }
    }
}
