//! Watching: what changed, told after commit and in commit order, three ways to consume it.
//!
//! Invariant: each watch has a bounded queue of its own; one that is slow or panics harms no other,
//! and no lock is held while code of the app runs.

mod callback;
mod event;
mod filter;
mod queue;
mod told;

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use weald_dag::DatabaseId;

pub use callback::WriteCallback;
pub(crate) use callback::spawn;
pub use event::{ChangeKind, Event, Origin};
pub use filter::{Filter, WATCH_QUEUE_EVENTS};
use queue::{Popped, Queue};
pub(crate) use told::Told;

/// All watches of an instance; `None` once it is closed.
pub(crate) struct Watchers(RwLock<Option<Vec<Registered>>>);

impl Default for Watchers {
    fn default() -> Self {
        Self(RwLock::new(Some(Vec::new())))
    }
}

/// One watch, as the writer thread knows it.
#[derive(Clone)]
pub(crate) struct Registered {
    database: DatabaseId,
    filter: Arc<Filter>,
    queue: Weak<Queue>,
}

impl Watchers {
    pub(crate) fn watch(&self, database: DatabaseId, filter: Filter) -> Watch {
        let queue = Arc::new(Queue::new(filter.queue_events));
        let registered =
            Registered { database, filter: Arc::new(filter), queue: Arc::downgrade(&queue) };
        match &mut *self.0.write().unwrap_or_else(PoisonError::into_inner) {
            Some(all) => {
                all.retain(|other| other.queue.strong_count() > 0);
                all.push(registered);
            }
            None => queue.close(),
        }
        Watch { queue }
    }

    /// Returns the watches that are there now: what was committed before one was made is not told to it.
    pub(crate) fn watching(&self) -> Vec<Registered> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = all.unwrap_or_default();
        all.retain(|one| one.queue.strong_count() > 0);
        all
    }

    /// Ends every watch, and those that are still to be made.
    pub(crate) fn close(&self) {
        let all = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        let queues = all.into_iter().flatten().filter_map(|one| one.queue.upgrade());
        queues.for_each(|queue| queue.close());
    }
}

/// Queues what happened for every watch that it concerns.
pub(crate) fn tell(watching: &[Registered], told: &[Told]) {
    for told in told {
        for one in watching.iter().filter(|one| one.database == told.database()) {
            let Some(queue) = one.queue.upgrade() else { continue };
            told.each(&mut |event| {
                if one.filter.admits(&event) {
                    queue.push(event);
                }
            });
        }
    }
}

/// Delivers the events of one database, in commit order.
///
/// Dropping it ends it. It does not keep the instance open; once that is closed and the queue is
/// empty, it gives `None`.
pub struct Watch {
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Waits for the next event; `None` once the instance is closed. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| match self.queue.pop_or_wake(context.waker()) {
            Popped::Event(event) => Poll::Ready(Some(event)),
            Popped::Closed => Poll::Ready(None),
            Popped::Empty => Poll::Pending,
        })
        .await
    }

    /// Blocks until the next event; `None` once the instance is closed.
    pub fn recv(&mut self) -> Option<Event> {
        self.queue.wait(None)
    }

    /// Blocks until the next event, at most this long; `None` when the time is over, or at once when
    /// the instance is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Event> {
        // A timeout past the end of time is none.
        self.queue.wait(Instant::now().checked_add(timeout))
    }

    /// Returns the next event if there is one; never blocks.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.try_pop()
    }

    /// Returns whether no event will come any more but those that are queued.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.queue.close();
    }
}
