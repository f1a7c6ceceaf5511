//! What can go wrong with users.
//!
//! Invariant: no message holds a secret.

use thiserror::Error;
use weald_dag::{DatabaseId, PublicKey, StoreError};
use weald_engine::CommitError;

use super::password::PasswordError;
use super::phrase::PhraseError;
use super::{USER_KEYS_MAX, USER_NAME_MAX};
use crate::error::{Error, ReadError, WriteError};

/// Why something with a user did not work. Nothing has changed then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is such a user.
    #[error("there is a user '{name}' on this device; log in, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no such user.
    #[error("there is no user '{name}' on this device; create it first")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name cannot be used.
    #[error(
        "the name of a user or key has 1 to {USER_NAME_MAX} bytes and no control characters; choose another"
    )]
    Name,
    /// The password is not that of the user.
    #[error("the password of user '{name}' is another; try again")]
    WrongPassword {
        /// The user.
        name: String,
    },
    /// The user has a password, and none was given.
    #[error("user '{name}' has a password; give it")]
    PasswordNeeded {
        /// The user.
        name: String,
    },
    /// The user has no password, and one was given.
    #[error("user '{name}' has no password; leave it out")]
    NoPassword {
        /// The user.
        name: String,
    },
    /// The password of the user is not the one with which it has logged in.
    #[error("the password of user '{name}' was changed; log in again")]
    Outdated {
        /// The user.
        name: String,
    },
    /// The user was disabled.
    #[error("user '{name}' is disabled; enable the user, then log in again")]
    Disabled {
        /// The user.
        name: String,
    },
    /// The password cannot be used or tried.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A private key of the user cannot be opened.
    #[error("the private key {key} of user '{name}' is damaged; restore the store from a backup")]
    DamagedKey {
        /// The user.
        name: String,
        /// The public half, or what stands for it.
        key: String,
    },
    /// The user has no such key.
    #[error("the user has no private key {}; use one of its own", key.short())]
    NoKey {
        /// The public half.
        key: PublicKey,
    },
    /// The user has the key already.
    #[error("the user has the private key {} already; rename it if its name should change", key.short())]
    KeyExists {
        /// The public half.
        key: PublicKey,
    },
    /// The user has as many keys as it may.
    #[error("a user has at most {USER_KEYS_MAX} private keys; delete one first")]
    TooManyKeys,
    /// The key is the default.
    #[error("the private key {} is the user's default; make another the default first", key.short())]
    DefaultKey {
        /// The public half.
        key: PublicKey,
    },
    /// Without the key the user would lose what it can do in databases.
    #[error(
        "without the private key {} the user would lose {} databases or what it may do there; hand them over to another key first, or delete the key with its access",
        key.short(), databases.len()
    )]
    LosesDatabases {
        /// The public half.
        key: PublicKey,
        /// The databases.
        databases: Vec<DatabaseId>,
    },
    /// A text is not a secret key.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The exported key is sealed, and no password was given.
    #[error("the exported key is sealed by a password; give the one that it was exported with")]
    ExportPasswordNeeded,
    /// The exported key is sealed by another password.
    #[error("the exported key is sealed by another password; give the one it was exported with")]
    WrongExportPassword,
    /// The exported key is in the clear, and a password was given.
    #[error("the key is in the clear, not sealed by a password; leave the password out")]
    NotSealed,
    /// The user does not track the database.
    #[error("the user does not track database {}; add it first", database.short())]
    NotTracked {
        /// The database.
        database: DatabaseId,
    },
    /// A database cannot be synced so often.
    #[error("the interval of sync is 1 second or more; choose another, or none")]
    Interval,
    /// The system databases could not be used.
    #[error("the users of this device could not be read or written: {0}")]
    System(#[source] Box<Error>),
}

macro_rules! from_system {
    ($($source:ty),*) => {
        $(impl From<$source> for UserError {
            fn from(error: $source) -> Self {
                Self::System(Box::new(error.into()))
            }
        })*
    };
}

from_system!(Error, StoreError, ReadError, WriteError, CommitError);
