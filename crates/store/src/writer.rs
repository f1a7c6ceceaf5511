//! One thread that writes, for everybody.
//!
//! Invariant: jobs are processed in the order of their submission, and nobody is told that rows
//! are there before the store made them durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;
use std::{fmt, io};

use thiserror::Error;
use weald_dag::{Batch, Durability, KeyRange, Order, Overlay, Snapshot, Space, StoreError, Visit};

use crate::fault::panic_text;
use crate::queue::{Next, Queue, Size};
use crate::settle::Settle;
use crate::work::{Step, Work, WorkPanic};

/// How long the writer waits, after a group of several jobs, for as many to come again.
pub const LINGER: Duration = Duration::from_micros(300);
/// How long nothing is written before the store is told to settle.
pub const SETTLE_AFTER: Duration = Duration::from_millis(200);

/// What a writer is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriterOptions {
    /// The name of the thread; `weald-writer` by default.
    pub thread_name: String,
    /// How long to wait for a group to become as large as the last one; [`LINGER`] by default.
    pub linger: Duration,
    /// How long nothing is written before the store settles; [`SETTLE_AFTER`] by default.
    pub settle_after: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { thread_name: "weald-writer".to_owned(), linger: LINGER, settle_after: SETTLE_AFTER }
    }
}

/// The writer was closed, and takes no more jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the writer is closed; open the instance again")]
pub struct WriterClosed;

/// A way to submit jobs to the writer thread. Cloning is cheap.
///
/// Dropping the last clone waits until what is queued is done and the store has settled, except
/// on the writer thread itself, where it only lets the thread end after that.
pub struct Writer<J> {
    shared: Arc<Shared<J>>,
}

impl<J> Clone for Writer<J> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<J> fmt::Debug for Writer<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

struct Shared<J> {
    queue: Arc<Queue<J>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
}

impl<J: Send + 'static> Writer<J> {
    /// Starts the writer thread.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn spawn<W: Work<Job = J>>(
        store: Arc<dyn Settle>,
        work: W,
        options: WriterOptions,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(size::<W>));
        let writing = Writing { store, work, options: options.clone(), queue: Arc::clone(&queue) };
        let thread =
            thread::Builder::new().name(options.thread_name).spawn(move || writing.run())?;
        let thread_id = thread.thread().id();
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared: Arc::new(Shared { queue, thread, thread_id }) })
    }
}

/// A way to the writer thread that does not keep it going.
pub struct WeakWriter<J>(Weak<Shared<J>>);

impl<J> WeakWriter<J> {
    /// Returns the writer, unless the last clone of it was dropped.
    pub fn upgrade(&self) -> Option<Writer<J>> {
        self.0.upgrade().map(|shared| Writer { shared })
    }
}

impl<J> fmt::Debug for WeakWriter<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakWriter").finish_non_exhaustive()
    }
}

impl<J> Writer<J> {
    /// Returns a way to the writer thread for the work itself, to submit what is left to do.
    pub fn downgrade(&self) -> WeakWriter<J> {
        WeakWriter(Arc::downgrade(&self.shared))
    }

    /// Hands a job to the writer thread, behind all that were submitted before.
    ///
    /// Waits for room while [`MAX_WAITING_JOBS`](crate::MAX_WAITING_JOBS) or
    /// [`MAX_WAITING_BYTES`](crate::MAX_WAITING_BYTES) are queued; on the writer thread itself it
    /// never waits.
    ///
    /// # Errors
    /// [`WriterClosed`] once the writer was closed; the job is then dropped.
    pub fn submit(&self, job: J) -> Result<(), WriterClosed> {
        let may_wait = thread::current().id() != self.shared.thread_id;
        if self.shared.queue.push(job, may_wait) { Ok(()) } else { Err(WriterClosed) }
    }

    /// Takes no more jobs, and waits until what is queued is done, the store has settled and the
    /// thread has let go of it. On the writer thread itself it does not wait.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<J> Shared<J> {
    fn close(&self) {
        self.queue.close();
        if thread::current().id() == self.thread_id {
            return;
        }
        // The lock is held while joining, so that a second closer waits too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended by a panic");
        }
    }
}

impl<J> Drop for Shared<J> {
    fn drop(&mut self) {
        self.close();
    }
}

fn size<W: Work>(job: &W::Job) -> Size {
    Size { weight: W::weight(job), bytes: W::bytes(job) }
}

/// What the writer thread owns.
struct Writing<W: Work> {
    store: Arc<dyn Settle>,
    work: W,
    options: WriterOptions,
    queue: Arc<Queue<W::Job>>,
}

/// Closes and empties the queue when the thread ends, however it ends: nobody waits for it then.
struct CloseOnExit<J>(Arc<Queue<J>>);

impl<J> Drop for CloseOnExit<J> {
    fn drop(&mut self) {
        self.0.close();
        self.0.clear();
    }
}

impl<W: Work> Writing<W> {
    fn run(mut self) {
        let _close = CloseOnExit(Arc::clone(&self.queue));
        let mut unsettled = false;
        let mut last_group = 0;
        loop {
            let patience = unsettled.then_some(self.options.settle_after);
            let expected = if last_group > 1 { last_group } else { 1 };
            match self.queue.next(patience, expected, self.options.linger) {
                Next::Group(jobs) => {
                    last_group = jobs.len();
                    unsettled |= self.group(jobs);
                }
                Next::Idle => {
                    self.settle();
                    unsettled = false;
                }
                Next::Closed => {
                    if unsettled {
                        self.settle();
                    }
                    return;
                }
            }
        }
    }

    /// Runs one group to its end; returns whether something was written.
    fn group(&mut self, jobs: Vec<W::Job>) -> bool {
        let (base, unreadable) = match self.snapshot() {
            Ok(snapshot) => (snapshot, None),
            Err(error) => {
                let base: Arc<dyn Snapshot> = Arc::new(Unreadable(error.clone()));
                (base, Some(error))
            }
        };
        let mut overlay = Overlay::new(base);
        let processed = self.step(Step::Process, |work| work.process(jobs, &mut overlay));
        let Some(done) = processed else { return false };
        // The snapshot ends here: held over the commit, it would keep pages from being used again.
        let batch = overlay.into_batch();
        let written = unreadable.is_none() && !batch.is_empty();
        let outcome = match unreadable {
            Some(error) => Err(error),
            None if batch.is_empty() => Ok(()),
            None => self.apply(batch),
        };
        match outcome {
            Ok(()) => drop(self.step(Step::Committed, |work| work.committed(done))),
            Err(error) => drop(self.step(Step::Failed, |work| work.failed(done, &error))),
        }
        written
    }

    /// Runs a step of the work; a panic in it is told to the work, and the thread goes on.
    fn step<T>(&mut self, step: Step, run: impl FnOnce(&mut W) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| run(&mut self.work))) {
            Ok(value) => Some(value),
            Err(payload) => {
                let panic = WorkPanic { step, what: panic_text(&*payload) };
                tracing::error!(%panic);
                if catch_unwind(AssertUnwindSafe(|| self.work.panicked(&panic))).is_err() {
                    tracing::error!("the writer panicked again while it dropped its caches");
                }
                None
            }
        }
    }

    // A store that panics must not end the thread that everybody waits for.

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        catch_unwind(AssertUnwindSafe(|| self.store.snapshot()))
            .unwrap_or_else(|payload| Err(StoreError::Corrupt { what: panic_text(&*payload) }))
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let apply = || self.store.apply(batch, Durability::Immediate);
        catch_unwind(AssertUnwindSafe(apply)).unwrap_or_else(|payload| {
            Err(StoreError::OutcomeUnknown { reason: panic_text(&*payload) })
        })
    }

    fn settle(&self) {
        let settled = catch_unwind(AssertUnwindSafe(|| self.store.settle()))
            .unwrap_or_else(|payload| Err(StoreError::Corrupt { what: panic_text(&*payload) }));
        if let Err(error) = settled {
            tracing::warn!(%error, "the store could not settle; its next opening may take longer");
        }
    }
}

/// The rows of a store that cannot be read.
struct Unreadable(StoreError);

impl Snapshot for Unreadable {
    fn get(&self, _space: Space, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Err(self.0.clone())
    }

    fn range(
        &self,
        _space: Space,
        _range: KeyRange,
        _order: Order,
        _visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        Err(self.0.clone())
    }
}
