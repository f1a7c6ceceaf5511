//! Why a store could not be sealed, unlocked or locked.
//!
//! Invariant: no error tells a password or a key.

use thiserror::Error;
use weald_cipher::CipherError;

use super::records::Keying;
use crate::user::PASSWORD_MAX;

/// Why a store could not be sealed, unlocked or locked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The store is not sealed, as far as this device knows.
    #[error("the store '{store}' is not sealed here; seal it, or sync first")]
    NotSealed {
        /// The store.
        store: String,
    },
    /// A store is sealed once, and stays so.
    #[error("the store '{store}' is sealed already; unlock it")]
    AlreadySealed {
        /// The store.
        store: String,
    },
    /// What is in the clear stays in the clear, here and on every peer.
    #[error("the store '{store}' has rows in the clear; seal one of another name and move them")]
    InUse {
        /// The store.
        store: String,
    },
    /// The password opens no lock of the store.
    #[error("the password of the store '{store}' is wrong; type it again")]
    WrongPassword {
        /// The store.
        store: String,
    },
    /// The password is empty or too long.
    #[error(
        "the password of the store '{store}' must have 1 to {PASSWORD_MAX} bytes; choose another"
    )]
    PasswordLength {
        /// The store.
        store: String,
    },
    /// The password was the right one before it was changed.
    #[error("the password of the store '{store}' was changed; use the new one")]
    PasswordChanged {
        /// The store.
        store: String,
    },
    /// The store is unlocked in another way.
    #[error("the store '{store}' is sealed for {}; unlock it so", match keying {
        Keying::Password => "a password",
        Keying::Readers => "the readers of the database",
    })]
    OtherKeying {
        /// The store.
        store: String,
        /// How it is sealed.
        keying: Keying,
    },
    /// No key of the store is wrapped for this key.
    #[error(
        "no key of the store '{store}' is sealed for your key; sync with a member who has it unlocked, after you were let in"
    )]
    NotAReader {
        /// The store.
        store: String,
    },
    /// Sealing or opening failed.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}
