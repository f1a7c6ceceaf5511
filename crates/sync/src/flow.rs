//! How much may be on its way, and how much may wait for verdicts, in a whole session.
//!
//! Invariant: what is counted in is counted out exactly once, also when a database is left.

use std::collections::BTreeMap;

use crate::close::PeerFault;
use crate::limits::{INGESTING_MAX, INGESTING_MAX_BYTES, WINDOW_BATCHES, WINDOW_BYTES};
use crate::naming::Name;
use crate::output::BatchId;

/// The window of a session and its open batches.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    out_batches: usize,
    out_bytes: usize,
    next: u64,
    ingesting: BTreeMap<BatchId, (Name, usize)>,
    in_bytes: usize,
}

impl Flow {
    /// Returns whether another batch may be sent.
    pub(crate) const fn has_room(&self) -> bool {
        self.out_batches < WINDOW_BATCHES && self.out_bytes < WINDOW_BYTES
    }

    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.out_batches += 1;
        self.out_bytes += bytes;
    }

    pub(crate) const fn acknowledged(&mut self, bytes: usize) {
        self.out_batches = self.out_batches.saturating_sub(1);
        self.out_bytes = self.out_bytes.saturating_sub(bytes);
    }

    /// Counts a batch that is handed to the driver, and names it.
    pub(crate) fn begin(&mut self, name: Name, bytes: usize) -> Result<BatchId, PeerFault> {
        let (found, limit) = (self.ingesting.len() + 1, INGESTING_MAX);
        if found > limit {
            return Err(PeerFault::TooMany { what: "batches without waiting", found, limit });
        }
        let (found, limit) = (self.in_bytes + bytes, INGESTING_MAX_BYTES);
        if found > limit {
            return Err(PeerFault::TooLong { what: "batches without waiting", found, limit });
        }
        self.in_bytes = found;
        self.next += 1;
        let batch = BatchId(self.next);
        self.ingesting.insert(batch, (name, bytes));
        Ok(batch)
    }

    /// Counts a batch out that the driver has answered; returns whose it was.
    pub(crate) fn end(&mut self, batch: BatchId) -> Option<Name> {
        let (name, bytes) = self.ingesting.remove(&batch)?;
        self.in_bytes -= bytes;
        Some(name)
    }

    /// Returns whether this side owes verdicts.
    pub(crate) fn is_ingesting(&self) -> bool {
        !self.ingesting.is_empty()
    }
}
