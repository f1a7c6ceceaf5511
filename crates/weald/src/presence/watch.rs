//! A watch of one topic: a bounded queue from whoever listens on links to the app.
//!
//! Invariant: the newest messages win; nobody who speaks waits for one who watches, and no lock is held while code
//! of the app runs.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::heard::Heard;

/// How many messages wait for a slow reader of a [`PresenceWatch`] before it misses the oldest.
pub const PRESENCE_WATCH_QUEUE: usize = 256;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Heard>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        if let Some(waker) = waker {
            // A waker is code of who waits; its panic must not reach who speaks.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }

    pub(super) fn push(&self, heard: Heard) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if state.waiting.len() >= PRESENCE_WATCH_QUEUE {
            state.waiting.pop_front();
            state.missed += 1;
        }
        state.waiting.push_back(heard);
        self.wake(state);
    }

    /// Nothing more will come; what waits is still delivered.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
    }

    fn pop_or_wake(&self, waker: &Waker) -> Poll<Option<Heard>> {
        let mut state = self.state();
        match state.waiting.pop_front() {
            None if !state.closed => {
                state.waker = Some(waker.clone());
                Poll::Pending
            }
            heard => Poll::Ready(heard),
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Option<Heard> {
        let mut state = self.state();
        loop {
            if let Some(heard) = state.waiting.pop_front() {
                return Some(heard);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if state.closed || left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            state = match left {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// Delivers what is said on one topic of a database, in the order in which it is heard here.
///
/// It is a [`Stream`]. At most [`PRESENCE_WATCH_QUEUE`] messages wait; a slow reader misses the oldest. Dropping it
/// ends it. It does not keep the instance open; once that is closed and nothing waits, it gives `None`.
pub struct PresenceWatch {
    pub(super) queue: Arc<Queue>,
}

impl fmt::Debug for PresenceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceWatch").finish_non_exhaustive()
    }
}

impl PresenceWatch {
    /// Waits for the next message; `None` once the instance is closed. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        std::future::poll_fn(|context| self.queue.pop_or_wake(context.waker())).await
    }

    /// Blocks until the next message; `None` once the instance is closed.
    pub fn recv(&mut self) -> Option<Heard> {
        self.queue.wait(None)
    }

    /// Blocks until the next message, at most this long; `None` when the time is over, or at once when the instance
    /// is closed.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Heard> {
        // A timeout past the end of time is none.
        self.queue.wait(Instant::now().checked_add(timeout))
    }

    /// Returns the next message if there is one; never blocks.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.queue.state().waiting.pop_front()
    }

    /// Returns how many messages were missed since the watch was made, because they were not read in time.
    pub fn missed(&self) -> u64 {
        self.queue.state().missed
    }
}

impl Stream for PresenceWatch {
    type Item = Heard;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Heard>> {
        self.queue.pop_or_wake(context.waker())
    }
}

impl Drop for PresenceWatch {
    fn drop(&mut self) {
        self.queue.close();
    }
}
