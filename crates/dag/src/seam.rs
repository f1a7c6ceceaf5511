//! The storage seam: an ordered byte map with named spaces, snapshots and an atomic batch.
//!
//! Invariant: a snapshot never changes, and a batch is applied whole or not at all. Nothing here
//! knows what the rows mean.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thiserror::Error;

use crate::overlay::Batch;

/// A named ordered map of byte rows. Rows of different spaces never share a key range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    name: &'static str,
    database: u32,
}

impl Space {
    /// Names the space `name` of the database with this local number; 0 is the store's own.
    pub const fn new(name: &'static str, database: u32) -> Self {
        Self { name, database }
    }

    /// Returns the kind of rows kept here.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the local number of the database, 0 for rows of the store itself.
    pub const fn database(self) -> u32 {
        self.database
    }
}

/// In which order a range is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key to the greatest.
    Ascending,
    /// From the greatest key to the smallest.
    Descending,
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where the range starts.
    pub from: Bound<Vec<u8>>,
    /// Where the range ends.
    pub to: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Covers every key of a space.
    pub const fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Covers the keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: Bound::Included(prefix.to_vec()), to: after_prefix(prefix) }
    }

    /// Covers the keys from `from` on, without an end.
    pub fn from(from: &[u8]) -> Self {
        Self { from: Bound::Included(from.to_vec()), to: Bound::Unbounded }
    }

    /// Covers the keys from `from` on and before `to`.
    pub fn between(from: &[u8], to: &[u8]) -> Self {
        Self { from: Bound::Included(from.to_vec()), to: Bound::Excluded(to.to_vec()) }
    }

    /// Returns whether no key can lie in the range; an ordered map may panic when asked for it.
    pub fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
            | (Bound::Excluded(a), Bound::Included(b)) => a >= b,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    /// Returns whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let after = match &self.from {
            Bound::Included(a) => key >= a.as_slice(),
            Bound::Excluded(a) => key > a.as_slice(),
            Bound::Unbounded => true,
        };
        let before = match &self.to {
            Bound::Included(b) => key <= b.as_slice(),
            Bound::Excluded(b) => key < b.as_slice(),
            Bound::Unbounded => true,
        };
        after && before
    }
}

/// Returns the first bound after every key that starts with `prefix`.
fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

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
    /// The store was closed.
    #[error("the store is closed; open the instance again")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_before_the_next_prefix() {
        assert_eq!(KeyRange::prefix(&[1, 255]).to, Bound::Excluded(vec![2]));
        assert_eq!(KeyRange::prefix(&[255]).to, Bound::Unbounded);
        assert!(KeyRange::prefix(b"ab").contains(b"ab\xff\xff"));
        assert!(!KeyRange::prefix(b"ab").contains(b"ac"));
        assert!(KeyRange::between(b"b", b"b").is_empty());
    }
}
