//! The queue between the writer thread and one watch, and all ways to wait on it.
//!
//! Invariant: the lock is never held while code of the app runs, nor while anybody waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::Event;
use super::backlog::{Backlog, Weighed};
#[cfg(unix)]
use super::wake_fd::{Signal, WakeFd};

pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

struct State {
    backlog: Backlog,
    closed: bool,
    /// How often it became non-empty; the end of the instance counts as well.
    edges: u64,
    waker: Option<Waker>,
    #[cfg(unix)]
    signal: Option<Signal>,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        let state = State {
            backlog: Backlog::new(limit),
            closed: false,
            edges: 0,
            waker: None,
            #[cfg(unix)]
            signal: None,
        };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.show();
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        if let Some(waker) = waker {
            // A waker is code of who waits; its panic must not reach the writer thread.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }

    /// Queues events, and counts `missed` ones that cannot be made.
    pub(super) fn push(&self, events: Vec<Weighed>, missed: u64) {
        let mut state = self.state();
        if state.closed || (events.is_empty() && missed == 0) {
            return;
        }
        let was_empty = state.backlog.is_empty();
        state.backlog.miss(missed);
        events.into_iter().for_each(|event| state.backlog.push(event));
        if was_empty {
            state.edges += 1;
        }
        self.wake(state);
    }

    /// Ends it when the instance is closed: what is queued is still delivered.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.edges += 1;
        self.wake(state);
    }

    /// Ends it when nobody reads it any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.backlog.clear();
        self.wake(state);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(super) fn try_pop(&self) -> Option<Event> {
        self.state().pop()
    }

    /// Takes at most this many events.
    pub(super) fn drain(&self, max: usize) -> Vec<Event> {
        let mut state = self.state();
        std::iter::from_fn(|| state.pop()).take(max).collect()
    }

    /// Takes the next event, or leaves a waker to be woken when there is one.
    pub(super) fn pop_or_wake(&self, waker: &Waker) -> Poll<Option<Event>> {
        let mut state = self.state();
        let event = state.pop();
        if event.is_none() && !state.closed {
            state.waker = Some(waker.clone());
            return Poll::Pending;
        }
        Poll::Ready(event)
    }

    /// Blocks until there is an event, the queue is closed or the time is over.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Event> {
        let mut state = self.state();
        loop {
            if let Some(event) = state.pop() {
                return Some(event);
            }
            if state.closed {
                return None;
            }
            state = match deadline {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Returns the number of edges to wait from, so that events that wait now count as one.
    pub(super) fn edges(&self) -> u64 {
        let state = self.state();
        let waits = !state.backlog.is_empty() || state.closed;
        state.edges.wrapping_sub(u64::from(waits))
    }

    /// Blocks until the queue became non-empty or closed after `seen`; returns whether it goes on.
    pub(super) fn wait_for_edge(&self, seen: &mut u64) -> bool {
        let mut state = self.state();
        loop {
            if state.edges != *seen {
                *seen = state.edges;
                return true;
            }
            if state.closed {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns a descriptor that is readable while events wait, or it is closed.
    #[cfg(unix)]
    pub(super) fn wake_fd(&self) -> std::io::Result<WakeFd> {
        let mut state = self.state();
        if state.signal.is_none() {
            state.signal = Some(Signal::new()?);
            state.show();
        }
        let signal = state.signal.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        Ok(signal.wake_fd())
    }
}

impl State {
    fn pop(&mut self) -> Option<Event> {
        let event = self.backlog.pop();
        if event.is_some() {
            self.show();
        }
        event
    }

    /// Shows on the descriptor, if there is one, whether events wait.
    fn show(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.set(self.closed || !self.backlog.is_empty());
        }
    }
}
