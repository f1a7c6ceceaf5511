//! The errors of the whole library, one variant for each family of operations.
//!
//! Invariant: each says what to do; what went wrong below is kept as its source.

use thiserror::Error;
use weald_crdt::{DraftError, ValueError, ViewError};
use weald_dag::StoreError;
use weald_engine::{CommitError, IndexError};
use weald_transports::SyncError;

use crate::database::DatabaseError;
use crate::misfit::Misfit;
use crate::open::OpenError;
use crate::presence::PresenceError;
use crate::query::CursorError;
use crate::requests::{InviteError, RequestError};
use crate::resolve::ResolveError;
use crate::settings::SettingsError;
use crate::store_ref::StoreNameError;
use crate::sync::TransportConfigError;
use crate::ticket::ParseTicketError;
use crate::user::UserError;

/// Anything that can go wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Opening an instance.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Users and their keys.
    #[error(transparent)]
    User(#[from] UserError),
    /// Finding or changing a database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Changing the settings of a database.
    #[error(transparent)]
    Settings(SettingsError),
    /// Reading from a store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing in a transaction.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Committing a transaction.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Reading a ticket.
    #[error(transparent)]
    Ticket(#[from] ParseTicketError),
    /// Inviting, and using an invite.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// Asking for access, and deciding who asks.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Saying and reading presence messages.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// Syncing with peers.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Keeping the configuration of a transport.
    #[error(transparent)]
    TransportConfig(#[from] TransportConfigError),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The app gave up its own transaction.
    #[error("the transaction was given up: {0}")]
    Aborted(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of the app, to give up a transaction from inside [`crate::Database::write`].
    pub fn aborted(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Aborted(reason.into())
    }
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Commit(error) => Self::Commit(error),
            error => Self::Settings(error),
        }
    }
}

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Self {
        Self::Read(error.into())
    }
}

impl From<Box<Misfit>> for Error {
    fn from(misfit: Box<Misfit>) -> Self {
        Self::Read(misfit.into())
    }
}

impl From<ViewError> for Error {
    fn from(error: ViewError) -> Self {
        Self::Read(error.into())
    }
}

/// Why a store could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store cannot be used under this name.
    #[error(transparent)]
    Name(#[from] StoreNameError),
    /// The store is sealed, and not unlocked on this instance.
    #[error(
        "the store '{store}' is locked; unlock it with its password, or with the key of a reader"
    )]
    Locked {
        /// The store.
        store: String,
    },
    /// A row is damaged, or a key or path cannot be used.
    #[error(transparent)]
    Rows(#[from] weald_crdt::ReadError),
    /// A row is not of the type that was asked for; it does not hide the others.
    #[error(transparent)]
    Misfit(#[from] Box<Misfit>),
    /// A text cannot be read, or a place in it is not there.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Text(#[from] crate::text::TextError),
    /// A whole document is not of the type that was asked for.
    #[error("the stored value does not fit its type: {0}")]
    Value(#[from] ValueError),
    /// The index cannot be asked, or not for this.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The cursor cannot be used.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ViewError> for ReadError {
    fn from(error: ViewError) -> Self {
        Self::Rows(error.into())
    }
}

/// Why an operation was not taken into a transaction; the transaction is as it was before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The store cannot be used under this name.
    #[error(transparent)]
    Name(#[from] StoreNameError),
    /// The operation cannot be made.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The value cannot be stored.
    #[error("the value cannot be stored: {0}")]
    Value(#[from] ValueError),
    /// The conflict cannot be resolved so.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The edit of a text cannot be made.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Text(#[from] crate::text::TextError),
    /// What the operation rests on could not be read.
    #[error(transparent)]
    Read(ReadError),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Name(error) => Self::Name(error),
            ReadError::Value(error) => Self::Value(error),
            ReadError::Store(error) => Self::Store(error),
            #[cfg(feature = "text")]
            ReadError::Text(error) => Self::Text(error),
            error @ (ReadError::Rows(_)
            | ReadError::Misfit(_)
            | ReadError::Locked { .. }
            | ReadError::Index(_)
            | ReadError::Cursor(_)) => Self::Read(error),
        }
    }
}
