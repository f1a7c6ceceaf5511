//! Building indexes between commits: each step is a job, and asks for the next when it is durable.
//!
//! Invariant: for each database with something to build there is one job in the queue, or a failure
//! that whoever waits is told of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use weald_dag::StoreError;
use weald_store::WeakWriter;

use super::Job;

/// What those who wait for an index look at.
#[derive(Default)]
pub(crate) struct IndexBoard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Rises with every change.
    changes: u64,
    failed: BTreeMap<u32, StoreError>,
}

impl IndexBoard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many changes there were.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Returns why building stopped, if it did.
    pub(crate) fn failure(&self, database: u32) -> Option<StoreError> {
        self.state().failed.get(&database).cloned()
    }

    /// Waits for a change after the first `seen` ones; returns whether there was one in time.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.changes == seen {
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Wakes all who wait, to look again.
    pub(crate) fn wake(&self) {
        self.tell(|_| {});
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        state.changes += 1;
        change(&mut state);
        drop(state);
        self.changed.notify_all();
    }
}

/// What a group has left to do for the indexes of a database.
pub(super) struct IndexWork {
    pub(super) database: u32,
    /// Whether there is more, or why it was not done.
    pub(super) outcome: Result<bool, StoreError>,
}

/// Queues the steps.
pub(super) struct Indexing {
    board: Arc<IndexBoard>,
    /// Set once, before any job.
    writer: Arc<OnceLock<WeakWriter<Job>>>,
    /// The databases whose next step is in the queue.
    queued: BTreeSet<u32>,
    /// The databases whose step is staged and not durable yet.
    begun: BTreeSet<u32>,
}

impl Indexing {
    pub(super) fn new(board: Arc<IndexBoard>, writer: Arc<OnceLock<WeakWriter<Job>>>) -> Self {
        Self { board, writer, queued: BTreeSet::new(), begun: BTreeSet::new() }
    }

    /// Takes note that a step has begun.
    pub(super) fn begun(&mut self, database: u32) {
        self.queued.remove(&database);
        self.begun.insert(database);
    }

    /// The writer panicked, and what it had in hand is gone: tells those who wait. A step that is
    /// still in the queue takes that back.
    pub(super) fn panicked(&mut self, error: &StoreError) {
        let begun = std::mem::take(&mut self.begun).into_iter();
        let lost: Vec<_> = begun.chain(std::mem::take(&mut self.queued)).collect();
        self.board.tell(|state| {
            state.failed.extend(lost.into_iter().map(|database| (database, error.clone())));
        });
    }

    /// Queues the next steps of what is durable, and tells those who wait.
    pub(super) fn settle(&mut self, done: Vec<IndexWork>) {
        for IndexWork { database, outcome } in done {
            self.begun.remove(&database);
            let more = match outcome {
                Ok(more) => more,
                Err(error) => {
                    self.board.tell(|state| drop(state.failed.insert(database, error)));
                    continue;
                }
            };
            self.board.tell(|state| drop(state.failed.remove(&database)));
            if more && self.queued.insert(database) {
                let writer = self.writer.get().and_then(WeakWriter::upgrade);
                // A closing instance takes no more jobs: the next opening goes on.
                let queued =
                    writer.is_some_and(|writer| writer.submit(Job::BuildIndexes(database)).is_ok());
                if !queued {
                    self.queued.remove(&database);
                }
            }
        }
    }
}
