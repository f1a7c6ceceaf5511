//! What can keep an invite from being used.

use thiserror::Error;
use weald_dag::{DatabaseId, PublicKey, StoreError};
use weald_engine::CommitError;

/// Why an invite gave nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Others have used it as often as it may be.
    #[error("the invite to database {} has no uses left; ask for a new ticket", database.short())]
    UsedUp {
        /// The database.
        database: DatabaseId,
    },
    /// Its time is over.
    #[error("the invite to database {} has ended; ask for a new ticket", database.short())]
    Expired {
        /// The database.
        database: DatabaseId,
    },
    /// It was taken back, or never given.
    #[error(
        "the invite to database {} was taken back or never given; ask for a new ticket",
        database.short()
    )]
    Revoked {
        /// The database.
        database: DatabaseId,
    },
    /// What the invite gives was taken from the key that it was to be used for, by somebody stronger
    /// than who made the invite. It was not used.
    #[error(
        "the invite to database {} gives nothing to the key {}, from which somebody stronger has taken it; ask an administrator",
        database.short(), key.short()
    )]
    KeyLimited {
        /// The database.
        database: DatabaseId,
        /// The key.
        key: PublicKey,
    },
    /// A peer says that it gives nothing any more; it does not say why.
    #[error(
        "the invite to database {} was used up, has ended or was taken back; ask for a new ticket, or for access",
        database.short()
    )]
    Spent {
        /// The database.
        database: DatabaseId,
    },
    /// The ticket has no invite, or one to another database.
    #[error("the ticket has no invite to database {}; ask for one that has", database.short())]
    NotInTicket {
        /// The database.
        database: DatabaseId,
    },
    /// There is no such invite in the database.
    #[error("database {} has no invite {}; see those that it has", database.short(), key.short())]
    Unknown {
        /// The database.
        database: DatabaseId,
        /// The public half.
        key: PublicKey,
    },
    /// The entry that uses it could not be made.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for InviteError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}
