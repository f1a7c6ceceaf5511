//! What can go wrong with sealing and opening.
//!
//! Invariant: no error tells anything of a key, a password or of what was sealed.

use thiserror::Error;
use weald_crdt::{DraftError, Void};

/// Why something could not be sealed or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CipherError {
    /// It was changed, or sealed with another key, or for another place.
    #[error("it does not open with this key at this place; it was made elsewhere or changed")]
    NotOpened,
    /// The bytes are not what sealing gives.
    #[error("the sealed bytes are malformed: {what}; get them again")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The section is not a sealed one, or breaks a limit.
    #[error(transparent)]
    Void(#[from] Void),
    /// What is to be sealed is too long.
    #[error(transparent)]
    TooLong(#[from] DraftError),
    /// The password opens none of the keys.
    #[error("the password is wrong; type it again")]
    WrongPassword,
    /// The cost of a password is out of bounds, or there is no memory for it.
    #[error("the cost of the password is out of bounds; choose less memory or fewer passes")]
    Cost,
    /// A public key is not a point of the curve, or gives no secret to share.
    #[error("nothing can be sealed for this public key; leave its owner out")]
    UnusableKey,
    /// A lock holds no more keys.
    #[error("a lock holds no more than {max} keys; make the store anew", max = crate::EPOCHS_MAX)]
    TooManyEpochs,
}
