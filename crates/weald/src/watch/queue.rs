//! The bounded queue between the writer thread and one watch.
//!
//! Invariant: events leave in the order they came; when it is full, updates of one row become one,
//! and what is dropped is counted and told after what is queued.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::{ChangeKind, Event};

pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

/// What the queue gives at once.
pub(super) enum Popped {
    Event(Event),
    Empty,
    Closed,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_all();
        if let Some(waker) = waker {
            // A waker is code of who waits; its panic must not reach the writer thread.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }

    pub(super) fn push(&self, event: Event) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.push(event, self.limit);
        self.wake(state);
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(super) fn try_pop(&self) -> Option<Event> {
        self.state().pop()
    }

    /// Takes the next event, or leaves a waker to be woken when there is one.
    pub(super) fn pop_or_wake(&self, waker: &Waker) -> Popped {
        let mut state = self.state();
        match state.pop() {
            Some(event) => Popped::Event(event),
            None if state.closed => Popped::Closed,
            None => {
                state.waker = Some(waker.clone());
                Popped::Empty
            }
        }
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
}

impl State {
    fn push(&mut self, event: Event, limit: usize) {
        if self.missed > 0 {
            if self.events.len() + 1 >= limit {
                self.missed = self.missed.saturating_add(1);
                return;
            }
            let missed = std::mem::take(&mut self.missed);
            self.events.push_back(Event::Lagged { missed });
        }
        if self.events.len() < limit {
            self.events.push_back(event);
        } else if let Some(event) = self.coalesce(event) {
            drop(event);
            self.missed = 1;
        }
    }

    /// Puts an update in place of the one of the same row that waits; gives it back without one.
    fn coalesce(&mut self, event: Event) -> Option<Event> {
        let Event::Changed { store, key, kind, .. } = &event else { return Some(event) };
        let same = |other: &Event| match other {
            Event::Changed { store: of, key: row, .. } => of == store && row == key,
            _ => false,
        };
        let Some(place) = self.events.iter().rposition(same) else { return Some(event) };
        let before = match self.events.remove(place) {
            Some(Event::Changed { kind, .. }) => kind,
            _ => *kind,
        };
        let mut event = event;
        if let Event::Changed { kind, .. } = &mut event {
            match joined(before, *kind) {
                Some(both) => *kind = both,
                // It came and went while nobody looked.
                None => return None,
            }
        }
        self.events.push_back(event);
        None
    }

    fn pop(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        match std::mem::take(&mut self.missed) {
            0 => None,
            missed => Some(Event::Lagged { missed }),
        }
    }
}

/// Returns what two changes of one row are together; `None` if nothing.
const fn joined(before: ChangeKind, after: ChangeKind) -> Option<ChangeKind> {
    match (before, after) {
        (ChangeKind::Created, ChangeKind::Removed) => None,
        (ChangeKind::Created, _) => Some(ChangeKind::Created),
        (_, ChangeKind::Removed) => Some(ChangeKind::Removed),
        _ => Some(ChangeKind::Updated),
    }
}
