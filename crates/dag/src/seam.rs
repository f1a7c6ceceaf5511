//! The storage seam: an ordered byte map with named spaces, snapshots and an atomic batch.
//!
//! Invariant: a snapshot never changes, and a batch is applied whole or not at all. Nothing here
//! knows what the rows mean.

use std::ops::ControlFlow;
use std::sync::Arc;

use thiserror::Error;

use crate::batch::Batch;
use crate::space::{KeyRange, Order, Space};

/// What a visitor of a range is called with; it breaks to stop.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// When a batch counts as applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The rows survive a power cut once `apply` has returned.
    #[default]
    Immediate,
    /// The rows are seen at once and survive a power cut only after a later immediate batch.
    Eventual,
}

/// A view of all rows at one moment.
pub trait Snapshot: Send + Sync {
    /// Returns the value at `key`, or `None`.
    ///
    /// # Errors
    /// Any [`StoreError`] of the store behind it.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `visit` with the value at `key`, if there is one: where it rests, if the store can do
    /// that. No lock is held meanwhile.
    ///
    /// # Errors
    /// Any [`StoreError`] of the store behind it.
    fn read(
        &self,
        space: Space,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        self.get(space, key)?.as_deref().into_iter().for_each(visit);
        Ok(())
    }

    /// Calls `visit` for each row of the range, in order, until it breaks.
    ///
    /// # Errors
    /// Any [`StoreError`] of the store behind it.
    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// An ordered byte map that rests somewhere.
pub trait Store: Send + Sync {
    /// Returns a view of the rows as they are now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError>;

    /// Applies all rows of the batch, or none.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] when the rows may or may not have been applied; after any
    /// other error they were not.
    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError>;
}

/// What can go wrong with rows at rest.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The device refused a read or a write.
    #[error("the store could not {action}: {source}; free space or repair the disk, then reopen")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the device said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A write failed in a way that leaves open whether it happened.
    #[error(
        "a write failed ({reason}) and may or may not have happened; look the entry up before writing it again"
    )]
    OutcomeUnknown {
        /// What the device said.
        reason: String,
    },
    /// A row is not what was written.
    #[error(
        "the store is damaged: {what}; run a verification, and restore the file from a backup or a peer"
    )]
    Corrupt {
        /// What was found, and where.
        what: String,
    },
    /// The rows are of a sealed store, and its key is not there.
    #[error("the store '{store}' of the database is locked; unlock it")]
    Locked {
        /// The name of the store.
        store: String,
    },
    /// The store was closed.
    #[error("the store is closed; open the instance again")]
    Closed,
}
