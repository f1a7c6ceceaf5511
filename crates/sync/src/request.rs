//! Requests for access inside a session: bytes of which the session knows nothing, and what is answered.
//!
//! Invariant: a request can be made for any database, held by the other side or not, and the answer for one
//! that takes no requests is that for one that is not there, byte for byte.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::close::PeerFault;
use crate::limits::REASON_MAX;
use crate::message::at_most;

/// Length of the salt of a short code, in bytes.
pub const SALT_LEN: usize = 16;

/// What a device says to a request for access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestAnswer {
    /// The database is not there, or it takes no such requests.
    Unavailable,
    /// Too many wait, or this device has asked too often: ask again later.
    NotNow,
    /// Somebody has to decide.
    Pending {
        /// Random bytes of the one who answers, for the short code that both can compare.
        salt: ByteArray<SALT_LEN>,
    },
    /// The key holds what was wanted, or what was given instead.
    Approved,
    /// Somebody decided against it.
    Rejected {
        /// Why, in words; at most [`REASON_MAX`] characters.
        reason: String,
    },
    /// The request itself cannot be taken, whatever the database.
    Refused {
        /// Why, as a code of who reads requests.
        code: u8,
    },
}

impl RequestAnswer {
    pub(crate) fn check(&self) -> Result<(), PeerFault> {
        match self {
            Self::Rejected { reason } => {
                at_most("characters of a reason", reason.chars().count(), REASON_MAX)
            }
            _ => Ok(()),
        }
    }
}
