//! What runs on the writer thread.
//!
//! Invariant: for each group `process` is called first, then exactly one of `committed`, `failed`
//! and `panicked`, all on the same thread.

use std::fmt;

use thiserror::Error;
use weald_dag::{Overlay, StoreError};

/// Turns jobs into rows, and answers who waits for them.
pub trait Work: Send + 'static {
    /// What a caller submits, with the way to answer it.
    type Job: Send + 'static;
    /// What is left to say once the outcome of a group is known.
    type Done: Send + 'static;

    /// Processes a group of jobs, in the order of their submission, staging rows on the overlay.
    ///
    /// When nothing is staged, nothing is written and [`Work::committed`] follows at once. When
    /// the store cannot be read, reads of the overlay give that error and [`Work::failed`] follows
    /// whatever is staged.
    fn process(&mut self, jobs: Vec<Self::Job>, overlay: &mut Overlay) -> Self::Done;

    /// The rows are durable: answers the callers, then watchers, then sync.
    fn committed(&mut self, done: Self::Done);

    /// The rows were not applied, or it is unknown: drops what was cached, tells the callers.
    fn failed(&mut self, done: Self::Done, error: &StoreError);

    /// A step of the work panicked, and what it held was dropped with whatever the callers wait
    /// on. If the step was [`Step::Process`] nothing of the group was written. Drops what was
    /// cached.
    fn panicked(&mut self, panic: &WorkPanic);

    /// Returns how much of a group a job fills; a group holds at most
    /// [`MAX_GROUP_WEIGHT`](crate::MAX_GROUP_WEIGHT). 1 by default.
    fn weight(_job: &Self::Job) -> usize {
        1
    }

    /// Returns how much memory a job keeps, in bytes; a group holds at most
    /// [`MAX_GROUP_BYTES`](crate::MAX_GROUP_BYTES), and no job is let in while
    /// [`MAX_WAITING_BYTES`](crate::MAX_WAITING_BYTES) wait. 0 by default.
    fn bytes(_job: &Self::Job) -> usize {
        0
    }
}

/// A bug in the work of the writer thread: it panicked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the writer panicked while it {step} ({what}); this is a bug, please report it")]
pub struct WorkPanic {
    /// What was being done.
    pub step: Step,
    /// What the panic said.
    pub what: String,
}

/// A step of the work, named after the method of [`Work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Processing a group of jobs; nothing was written.
    Process,
    /// Answering the callers of a group that is durable.
    Committed,
    /// Telling the callers of a group that was not applied, or of which it is unknown.
    Failed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "processed jobs",
            Self::Committed => "answered callers",
            Self::Failed => "reported a failure",
        })
    }
}
