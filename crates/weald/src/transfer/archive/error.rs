//! Why an archive was not taken in.
//!
//! Invariant: each says whether the file, the entries in it or this device is at fault.

use std::io;

use thiserror::Error;
use weald_dag::{DatabaseId, EntryId, Fault, ParcelError, Refusal, StoreError, Time};

use super::super::meter::Cancelled;
use crate::database::DatabaseError;
use crate::error::Error;

/// Why an archive was not taken in to its end. What was checked before stays: of a database that was
/// not here, as one that is not complete, which another import or a sync goes on with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The reader failed.
    #[error("the archive could not be read: {0}; check the disk or the link, then import it again")]
    Read(#[source] io::Error),
    /// The file begins as no archive does.
    #[error("this is no archive of a weald database; choose another file")]
    NotAnArchive,
    /// The archive is of a newer version.
    #[error("the archive has version {found}, newer than this build knows; update it")]
    NewerVersion {
        /// The version of the archive.
        found: u16,
    },
    /// The file ends too early.
    #[error("the archive ends in its middle; copy or export it again")]
    Truncated,
    /// The file is not what was written.
    #[error("the archive is damaged before byte {at}; copy or export it again")]
    Damaged {
        /// How many bytes were read by then.
        at: u64,
    },
    /// Something follows the end.
    #[error("the archive is followed by other bytes; copy or export it again")]
    Trailing,
    /// The closing line tells of another number of entries.
    #[error("the archive holds {found} entries and should hold {expected}; export it again")]
    Count {
        /// What the archive says.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The archive is of another database than the one asked for.
    #[error("the archive is of database {}, not of {}; choose another file", found.short(), expected.short())]
    OtherDatabase {
        /// The database asked for.
        expected: DatabaseId,
        /// The database in the archive.
        found: DatabaseId,
    },
    /// An entry in the archive cannot be read.
    #[error(
        "the archive holds what is no entry: {0}; export it again, with this build or an older one"
    )]
    Entry(#[from] ParcelError),
    /// An entry is not what its author signed.
    #[error("the archive is forged: {0}; ask for another")]
    Forged(#[from] Fault),
    /// An entry stands before its parents.
    #[error("entry {entry:?} stands before its parents in the archive; export it again")]
    Orphan {
        /// The entry.
        entry: EntryId,
    },
    /// An entry is refused here, as it would be on every replica.
    #[error("entry {entry:?} of the archive is refused: {reason}; ask for another")]
    Refused {
        /// The entry.
        entry: EntryId,
        /// Why.
        reason: Refusal,
    },
    /// An entry lies too far in the future.
    #[error("entry {entry:?} was made at {time}, ahead of this clock; set the clock, import again")]
    HeldBack {
        /// The entry.
        entry: EntryId,
        /// When it says it was made.
        time: Time,
    },
    /// An entry says something that this build does not understand.
    #[error("entry {entry:?} says what this build does not understand ({what}); update it")]
    Unknown {
        /// The entry.
        entry: EntryId,
        /// What is not understood.
        what: String,
    },
    /// The progress callback ended it.
    #[error("the import was cancelled; import the archive again to go on")]
    Cancelled,
    /// The instance could not take the entries, or not open the database.
    #[error(transparent)]
    Instance(Box<Error>),
}

impl From<Cancelled> for ArchiveError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<Error> for ArchiveError {
    fn from(error: Error) -> Self {
        Self::Instance(Box::new(error))
    }
}

impl From<StoreError> for ArchiveError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<DatabaseError> for ArchiveError {
    fn from(error: DatabaseError) -> Self {
        Error::from(error).into()
    }
}
