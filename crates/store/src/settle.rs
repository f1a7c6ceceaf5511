//! Stores that have something to do when nothing happens.
//!
//! Invariant: settling changes no row.

use weald_dag::{MemoryStore, Store, StoreError};

/// A store that can be told that writing has paused.
pub trait Settle: Store {
    /// Prepares for a quick next opening, and makes eventual batches durable.
    ///
    /// # Errors
    /// Any [`StoreError`]; no row is lost that was durable before.
    fn settle(&self) -> Result<(), StoreError>;
}

impl Settle for MemoryStore {
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
