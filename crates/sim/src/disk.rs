//! A disk that forgets at a power cut what was not flushed.
//!
//! Invariant: after a crash the rows are those of the flushed batches, in their order, each whole; in an
//! older copy the last of them are missing.

use std::sync::{Arc, Mutex, PoisonError};

use weald_dag::{Batch, Durability, MemoryStore, Snapshot, Store, StoreError};

fn replay(batches: &[Batch]) -> Result<MemoryStore, StoreError> {
    let rows = MemoryStore::new();
    batches.iter().try_for_each(|batch| rows.apply(batch.clone(), Durability::Immediate))?;
    Ok(rows)
}

/// A store in memory that can lose power.
pub(crate) struct Disk {
    state: Mutex<State>,
}

struct State {
    seen: MemoryStore,
    flushed: Vec<Batch>,
    unflushed: Vec<Batch>,
}

impl Disk {
    /// Makes an empty disk.
    pub(crate) fn new() -> Self {
        let seen = MemoryStore::new();
        Self { state: Mutex::new(State { seen, flushed: Vec::new(), unflushed: Vec::new() }) }
    }

    /// Makes all that is seen survive a crash.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unflushed = std::mem::take(&mut state.unflushed);
        state.flushed.extend(unflushed);
    }

    /// Cuts the power: what was not flushed is gone.
    ///
    /// # Errors
    /// Any [`StoreError`] of making the rows again.
    pub(crate) fn crash(&self) -> Result<(), StoreError> {
        self.restore(usize::MAX)
    }

    /// Returns how many batches were flushed.
    pub(crate) fn batches(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).flushed.len()
    }

    /// Cuts the power and puts an older copy in its place, which has so many of the batches.
    ///
    /// # Errors
    /// Any [`StoreError`] of making the rows again.
    pub(crate) fn restore(&self, batches: usize) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.flushed.truncate(batches);
        state.seen = replay(&state.flushed)?;
        state.unflushed.clear();
        Ok(())
    }

    /// Returns a view of what a crash would leave.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn flushed(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unflushed.is_empty() {
            return state.seen.snapshot();
        }
        replay(&state.flushed)?.snapshot()
    }
}

impl Store for Disk {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.snapshot()
    }

    fn apply(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.seen.apply(batch.clone(), durability)?;
            state.unflushed.push(batch);
        }
        if durability == Durability::Immediate {
            self.flush();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::Space;

    use super::*;

    #[test]
    fn a_crash_loses_what_was_not_flushed_and_nothing_else() {
        let (disk, space) = (Disk::new(), Space::new("test", 1));
        let put = |key: &[u8], durability| {
            let mut batch = Batch::default();
            batch.put(space, key, b"v".as_slice());
            disk.apply(batch, durability).unwrap();
        };
        let has = |key: &[u8]| disk.snapshot().unwrap().get(space, key).unwrap().is_some();
        put(b"a", Durability::Immediate);
        put(b"b", Durability::Eventual);
        disk.flush();
        put(b"c", Durability::Eventual);
        assert!(has(b"a") && has(b"b") && has(b"c"));
        disk.crash().unwrap();
        assert!(has(b"a") && has(b"b") && !has(b"c"));
        assert_eq!(disk.batches(), 2);
        disk.restore(1).unwrap();
        assert!(has(b"a") && !has(b"b"));
    }
}
