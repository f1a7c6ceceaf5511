//! Why an export ended early.
//!
//! Invariant: what was written until then is not whole, and nothing in the database has changed.

use std::io;

use thiserror::Error;
use weald_dag::{DatabaseId, Fault, StoreError};

use super::meter::Cancelled;
use crate::error::ReadError;

/// Why an export ended early; what it has written is to be deleted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The writer took no more.
    #[error("the export could not be written: {0}; make room, delete what was written, try again")]
    Write(#[from] io::Error),
    /// The progress callback ended it.
    #[error("the export was cancelled; delete what was written")]
    Cancelled,
    /// A first sync is under way, so there is no whole to write.
    #[error("database {} is not here whole; let its first sync end, then export it", id.short())]
    Incomplete {
        /// The database.
        id: DatabaseId,
    },
    /// An entry is here without one of its payloads.
    #[error("the archive would not be whole: {0}")]
    Withheld(Fault),
    /// A row cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Cancelled> for ExportError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
