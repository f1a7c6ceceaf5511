//! What can go wrong with users.
//!
//! Invariant: no message holds a secret.

use thiserror::Error;
use weald_dag::StoreError;
use weald_engine::CommitError;

use super::USER_NAME_MAX;
use crate::error::{Error, ReadError, WriteError};

/// Why something with a user did not work.
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
        "a user's name has 1 to {USER_NAME_MAX} bytes and no control characters; choose another"
    )]
    Name,
    /// Users with passwords come with a later version.
    #[error("users with a password are not available in this version; leave the password out")]
    PasswordsUnavailable,
    /// A private key of the user cannot be opened.
    #[error("the private key {key} of user '{name}' is damaged; restore the store from a backup")]
    DamagedKey {
        /// The user.
        name: String,
        /// The public half, or what stands for it.
        key: String,
    },
    /// The system database of users could not be used.
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
