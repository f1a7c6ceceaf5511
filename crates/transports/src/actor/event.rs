//! What the actor tells whoever wants to know; a slow reader misses the oldest and is told how many.

use std::time::Duration;

use tokio::sync::broadcast;
use weald_dag::{DatabaseId, PublicKey};
use weald_sync::Event;

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
    /// Events were missed because they were not read in time.
    Lagged {
        /// How many.
        missed: u64,
    },
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
