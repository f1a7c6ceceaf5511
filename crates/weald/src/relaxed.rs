//! A store that flushes now and then instead of with every commit.
//!
//! Invariant: while commits go on, no more than [`FLUSH_EVERY`] of them are not on the disk; when
//! they pause, the writer settles the store and all are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weald_dag::{Batch, Durability, Snapshot, Store, StoreError};
use weald_store::Settle;

/// After what time one batch is flushed with all before it.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Makes the batches of the writer eventual.
pub(crate) struct Relaxed<S> {
    store: S,
    flushed: Mutex<Instant>,
}

impl<S> Relaxed<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store, flushed: Mutex::new(Instant::now()) }
    }

    fn due(&self) -> Durability {
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        if flushed.elapsed() < FLUSH_EVERY {
            return Durability::Eventual;
        }
        *flushed = Instant::now();
        Durability::Immediate
    }
}

impl<S: Store> Store for Relaxed<S> {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn apply(&self, batch: Batch, _durability: Durability) -> Result<(), StoreError> {
        self.store.apply(batch, self.due())
    }
}

impl<S: Settle> Settle for Relaxed<S> {
    fn settle(&self) -> Result<(), StoreError> {
        self.store.settle()
    }
}
