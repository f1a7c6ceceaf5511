//! What redb reports, in the words of the seam.
//!
//! Invariant: no redb error leaves this crate unmapped, and damage is never reported as a full disk.

use std::io;
use std::sync::Arc;

use weald_dag::StoreError;

/// Maps an error of redb's storage layer; `action` completes "the store could not …".
pub(crate) fn storage(action: &'static str, error: redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(what) => StoreError::Corrupt { what },
        redb::StorageError::Io(source) => device(action, source),
        redb::StorageError::DatabaseClosed => {
            other(action, "its snapshot ended when the file was closed or reopened")
        }
        redb::StorageError::PreviousIo => other(action, "an earlier write failed"),
        error => other(action, &error.to_string()),
    }
}

/// Maps an error of the device. Bytes that are missing or make no sense are damage.
pub(crate) fn device(action: &'static str, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupt { what: format!("could not {action}: {source}") }
        }
        _ => StoreError::Io { action, source: Arc::new(source) },
    }
}

/// Maps an error of opening a table.
pub(crate) fn table(action: &'static str, error: redb::TableError) -> StoreError {
    match error {
        redb::TableError::Storage(error) => storage(action, error),
        error => StoreError::Corrupt { what: error.to_string() },
    }
}

/// Maps an error of beginning a transaction.
pub(crate) fn transaction(action: &'static str, error: redb::TransactionError) -> StoreError {
    match error {
        redb::TransactionError::Storage(error) => storage(action, error),
        error => other(action, &error.to_string()),
    }
}

/// Maps an error of opening the file again.
pub(crate) fn database(action: &'static str, error: redb::DatabaseError) -> StoreError {
    match error {
        redb::DatabaseError::Storage(error) => storage(action, error),
        error => other(action, &error.to_string()),
    }
}

/// Makes an error of the device from words.
pub(crate) fn other(action: &'static str, what: &str) -> StoreError {
    StoreError::Io { action, source: Arc::new(io::Error::other(what.to_owned())) }
}

/// Says what a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked without a message".to_owned())
}
