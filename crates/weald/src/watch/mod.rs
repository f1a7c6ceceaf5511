//! Watching: what changed, told after commit and in commit order, three ways to consume it.
//!
//! Invariant: each watch has a bounded queue of its own; one that is slow or panics harms no other,
//! and no lock is held while code of the app runs.

mod backlog;
mod callback;
mod event;
mod filter;
mod queue;
mod told;
#[cfg(unix)]
mod wake_fd;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use weald_dag::{DatabaseId, StoreError};
use weald_engine::StoreTypes;

pub use backlog::WATCH_QUEUE_BYTES;
pub use callback::WriteCallback;
pub(crate) use callback::{spawn, spawn_loop};
pub use event::{ChangeKind, Event, Origin, RowChanged};
pub use filter::{Filter, WATCH_QUEUE_EVENTS};
use queue::Queue;
use told::Telling;
pub(crate) use told::{EntryTold, Told, Versions};
#[cfg(unix)]
pub use wake_fd::WakeFd;

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

    /// Returns the databases of which a watch wants old and new values.
    pub(crate) fn recorded(&self) -> BTreeSet<DatabaseId> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let all = all.iter().flatten();
        let wants = all.filter(|one| one.filter.values && one.queue.strong_count() > 0);
        wants.map(|one| one.database).collect()
    }

    /// Ends every watch, and those that are still to be made.
    pub(crate) fn close(&self) {
        let all = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        let queues = all.into_iter().flatten().filter_map(|one| one.queue.upgrade());
        queues.for_each(|queue| queue.close());
    }
}

/// Queues what happened for every watch that it concerns.
pub(crate) fn tell(watching: &[Registered], types: &StoreTypes, told: &[Told]) {
    for one in watching {
        let Some(queue) = one.queue.upgrade() else { continue };
        let mut telling = Telling { filter: &one.filter, types, events: Vec::new(), missed: 0 };
        let own = told.iter().filter(|told| told.database() == one.database);
        own.for_each(|told| telling.tell(told));
        queue.push(telling.events, telling.missed);
    }
}

/// Delivers the events of one database, in commit order.
///
/// It is a [`Stream`], and it can be polled from a main loop or waited for. Dropping it ends it. It does not keep the instance open; once that is closed and the queue is
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
        std::future::poll_fn(|context| self.queue.pop_or_wake(context.waker())).await
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

    /// Returns the events that wait, at most this many; never blocks.
    pub fn drain(&mut self, max: usize) -> Vec<Event> {
        self.queue.drain(max)
    }

    /// Calls back when there is something to take, so that a main loop can be woken: once each time
    /// the watch becomes non-empty, at once if it is not empty now, and when the instance is closed.
    /// Edges during a call are told by one more call.
    ///
    /// It runs on a thread of its own until the watch is dropped, so it may block, and it may panic.
    /// Take events where they are used, with [`Watch::try_next`] or [`Watch::drain`], until there
    /// are none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the system gives no thread.
    pub fn on_wake(&self, call: impl FnMut() + Send + 'static) -> Result<(), StoreError> {
        callback::on_wake(&self.queue, call)
    }

    /// Returns a file descriptor that is readable while events wait, on Unix. It is made with the
    /// first call.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the system gives no descriptor.
    #[cfg(unix)]
    pub fn wake_fd(&self) -> Result<WakeFd, StoreError> {
        self.queue.wake_fd().map_err(|error| StoreError::Io {
            action: "make a file descriptor for a watch",
            source: Arc::new(error),
        })
    }

    /// Returns whether no event will come any more but those that are queued.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Stream for Watch {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.pop_or_wake(context.waker())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}
