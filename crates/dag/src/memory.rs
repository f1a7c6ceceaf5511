//! A store in memory: for tests, the simulator and instances that keep nothing.
//!
//! Invariant: a snapshot shares rows with the store until the store changes; it never sees a change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::batch::Batch;
use crate::seam::{Durability, Snapshot, Store, StoreError, Visit};
use crate::space::{KeyRange, Order, Space, as_slice};

type Rows = BTreeMap<Vec<u8>, Arc<[u8]>>;
type Spaces = BTreeMap<Space, Arc<Rows>>;

/// An ordered byte map that is gone when its last handle is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    spaces: RwLock<Spaces>,
}

impl MemoryStore {
    /// Makes a store without rows.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Arc::new(MemorySnapshot { spaces }))
    }

    fn apply(&self, batch: Batch, _durability: Durability) -> Result<(), StoreError> {
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        for (space, changes) in batch.spaces() {
            // Copies the rows of this space only while a snapshot still shares them.
            let rows = Arc::make_mut(spaces.entry(space).or_default());
            for (key, value) in changes {
                match value {
                    Some(value) => drop(rows.insert(key.to_vec(), Arc::from(value))),
                    None => drop(rows.remove(key)),
                }
            }
        }
        Ok(())
    }
}

struct MemorySnapshot {
    spaces: Spaces,
}

impl Snapshot for MemorySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.spaces.get(&space).and_then(|rows| rows.get(key)).map(|value| value.to_vec()))
    }

    fn range(
        &self,
        space: Space,
        range: KeyRange,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Some(rows) = self.spaces.get(&space).filter(|_| !range.is_empty()) else {
            return Ok(());
        };
        let mut found = rows.range::<[u8], _>((as_slice(&range.from), as_slice(&range.to)));
        loop {
            let row = match order {
                Order::Ascending => found.next(),
                Order::Descending => found.next_back(),
            };
            let Some((key, value)) = row else {
                return Ok(());
            };
            if visit(key, value).is_break() {
                return Ok(());
            }
        }
    }
}
