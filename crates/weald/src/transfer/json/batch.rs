//! Rows that are committed together.
//!
//! Invariant: a batch is within its limits, so that an import takes the same memory however long the
//! file is; a row that does not fit beside the others begins the next one.

use weald_crdt::DraftError;

use super::error::{BadLineReason, JsonImportError};
use super::write::{OnExisting, Row, Written};
use crate::database::Database;
use crate::error::WriteError;
#[cfg(feature = "text")]
use crate::text::TextError;
use crate::transaction::Transaction;

/// How many lines at most an import commits together.
pub const JSON_BATCH_LINES: u64 = 512;
/// From how many bytes of lines on an import commits them.
pub const JSON_BATCH_BYTES: usize = 256 << 10;

/// The rows of one commit to come.
pub(super) struct Batch<'a> {
    database: &'a Database,
    existing: OnExisting,
    transaction: Option<Transaction>,
    lines: u64,
    bytes: usize,
    /// The number of the last line in it.
    last: u64,
    /// How many lines were committed.
    pub(super) written: u64,
    /// How many lines found a row that stays.
    pub(super) kept: u64,
}

impl<'a> Batch<'a> {
    pub(super) fn new(database: &'a Database, existing: OnExisting) -> Self {
        let (transaction, written, kept) = (None, 0, 0);
        Self { database, existing, transaction, lines: 0, bytes: 0, last: 0, written, kept }
    }

    /// Stages a row of a line with this number and length, and commits when the batch is full.
    pub(super) fn stage(
        &mut self,
        store: &str,
        row: &Row,
        number: u64,
        bytes: usize,
    ) -> Result<Result<(), BadLineReason>, JsonImportError> {
        let mut written = self.try_stage(store, row)?;
        if self.lines > 0 && written.as_ref().is_err_and(is_full) {
            self.commit()?;
            written = self.try_stage(store, row)?;
        }
        match written {
            Ok(Written::Yes) => {
                self.lines += 1;
                self.bytes += bytes;
                self.last = number;
                if self.lines >= JSON_BATCH_LINES || self.bytes >= JSON_BATCH_BYTES {
                    self.commit()?;
                }
            }
            Ok(Written::Kept) => self.kept += 1,
            Err(BadLineReason::Write(WriteError::Store(error))) => return Err(error.into()),
            Err(reason) => return Ok(Err(reason)),
        }
        Ok(Ok(()))
    }

    fn try_stage(
        &mut self,
        store: &str,
        row: &Row,
    ) -> Result<Result<Written, BadLineReason>, JsonImportError> {
        let mut transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => self.database.begin()?,
        };
        let written = row.write(&mut transaction, store, self.existing);
        self.transaction = Some(transaction);
        Ok(written)
    }

    /// Commits what is staged.
    pub(super) fn commit(&mut self) -> Result<(), JsonImportError> {
        let Some(transaction) = self.transaction.take() else { return Ok(()) };
        let (line, written) = (self.last, self.written);
        transaction.commit().map_err(|source| JsonImportError::Commit { line, written, source })?;
        self.written += std::mem::take(&mut self.lines);
        self.bytes = 0;
        Ok(())
    }
}

/// Returns whether the row may fit in a transaction of its own.
fn is_full(reason: &BadLineReason) -> bool {
    match reason {
        BadLineReason::Write(WriteError::Draft(DraftError::Limit(_))) => true,
        #[cfg(feature = "text")]
        BadLineReason::Write(WriteError::Text(TextError::TooLarge { .. })) => true,
        _ => false,
    }
}
