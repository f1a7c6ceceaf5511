//! Why something cannot be said or read as presence.

use thiserror::Error;
use weald_crdt::{Malformed, ValueError};
use weald_dag::{PublicKey, StoreError};
use weald_sync::limits::{PRESENCE_BODY_MAX, PRESENCE_TOPIC_MAX};

/// Why something cannot be said or read as presence.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The topic is empty or too long.
    #[error("a topic of {found} bytes: use one of 1 to {PRESENCE_TOPIC_MAX} bytes")]
    Topic {
        /// How many bytes it has.
        found: usize,
    },
    /// What is to be said is too long.
    #[error(
        "{found} bytes are too many for a presence message, the limit is {PRESENCE_BODY_MAX}: store it instead"
    )]
    TooLong {
        /// How many bytes it has.
        found: usize,
    },
    /// The key of the handle may not read the database, so nobody would listen.
    #[error("key {} may not read the database, so nobody would listen to it; ask for access", key.short())]
    MayNotRead {
        /// The key.
        key: PublicKey,
    },
    /// The value cannot be put in bytes, or is not of the type it is read as.
    #[error("the value does not fit: {0}")]
    Value(#[from] ValueError),
    /// What was said are bytes of the app's own, and no value.
    #[error("what was said is no value: read its bytes, or have it published as a value: {0}")]
    NoValue(#[from] Malformed),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}
