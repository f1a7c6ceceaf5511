//! Why an import of JSON Lines ended early, or passed a line over.
//!
//! Invariant: a line at fault is named by its number, and what was written before it is told.

use std::io;

use thiserror::Error;
use weald_crdt::ValueError;
use weald_dag::StoreError;
use weald_engine::CommitError;

use super::super::meter::Cancelled;
use super::lines::JSON_LINE_MAX;
use crate::error::WriteError;

/// Why an import ended early.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JsonImportError {
    /// The reader failed.
    #[error("the lines could not be read: {0}; check the disk or the link, then import them again")]
    Read(#[source] io::Error),
    /// The first line is not the header.
    #[error(
        "the first line is no header of JSON Lines for weald; begin with {{\"format\":\"weald-jsonl\",\"version\":1}}"
    )]
    NoHeader,
    /// The file is of a newer version.
    #[error("the lines are of version {found}, newer than this build knows; update it")]
    NewerVersion {
        /// The version of the file.
        found: u64,
    },
    /// A line cannot be imported. All before it are written, and nothing after it.
    #[error(
        "{bad}; mend the line, or let bad lines be skipped ({written} lines before it are written)"
    )]
    Line {
        /// The line.
        #[source]
        bad: BadLine,
        /// How many lines were written.
        written: u64,
    },
    /// A batch of lines was not committed, and nothing after it was tried.
    #[error("lines up to {line} could not be written ({written} before them are): {source}")]
    Commit {
        /// The last line of the batch.
        line: u64,
        /// How many lines were written before.
        written: u64,
        /// Why.
        #[source]
        source: CommitError,
    },
    /// The progress callback ended it.
    #[error("the import was cancelled; what was committed by then stays")]
    Cancelled,
    /// The rows at rest.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Cancelled> for JsonImportError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// A line that cannot be imported.
#[derive(Debug, Error)]
#[error("line {line} cannot be imported: {reason}")]
#[non_exhaustive]
pub struct BadLine {
    /// Its number in the file; the header is line 1.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub reason: BadLineReason,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BadLineReason {
    /// It is too long.
    #[error("it has more than {JSON_LINE_MAX} bytes; split the value")]
    TooLong,
    /// It is not JSON, or lacks `store`, `type` or `value`.
    #[error("it is no object with store, type, key and value: {0}")]
    Json(#[source] serde_json::Error),
    /// The key is none of a table.
    #[error("the key is no text, integer, {{\"$ulid\": …}}, {{\"$bytes\": …}}, or list of these")]
    Key,
    /// The key is no path in a document.
    #[error("the key is no path in a document; write a list of texts")]
    Path,
    /// The key or the value is none of a text.
    #[error(
        "it is no part of a text; write a position as the key, and a text or a list of {{\"text\": …, \"marks\": {{…}}}} as the value"
    )]
    Text,
    /// The value cannot be stored.
    #[error("the value cannot be stored: {0}")]
    Value(#[from] ValueError),
    /// There is a row under the key, and rows were to be new.
    #[error("there is a row under this key; let it be replaced or kept")]
    Exists,
    /// The store does not take it.
    #[error(transparent)]
    Write(WriteError),
}
