//! What can keep a request for access from being made or decided.

use thiserror::Error;
use weald_auth::RequestRefusal;
use weald_dag::{DatabaseId, RequestId};

use super::requested::REQUESTS_MADE_MAX;

/// Why a request was not made or not decided.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such request, or it has expired.
    #[error("there is no request {}; list those that are there", id.short())]
    Unknown {
        /// The request.
        id: RequestId,
    },
    /// It was decided before.
    #[error("request {} was decided before; ask who made it for a new one", id.short())]
    Decided {
        /// The request.
        id: RequestId,
    },
    /// Nobody who is logged in is an administrator.
    #[error("nobody who is logged in here is an administrator of database {}; log in as one", database.short())]
    NoAdministrator {
        /// The database.
        database: DatabaseId,
    },
    /// A reason is too long.
    #[error(
        "the reason is longer than {} characters; make it shorter",
        weald_sync::limits::REASON_MAX
    )]
    LongReason,
    /// Too many requests of this device are open.
    #[error("this device has {REQUESTS_MADE_MAX} requests open; withdraw some")]
    TooMany,
    /// The request cannot be made so.
    #[error(transparent)]
    Refused(#[from] RequestRefusal),
}
