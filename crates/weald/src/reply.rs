//! One answer from the writer thread, awaited or waited for.
//!
//! Invariant: an [`Answer`] that is dropped unsent wakes who waits, who then learns that it is lost.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Open(Option<Waker>),
    Sent(T),
    Lost,
}

struct Slot<T> {
    state: Mutex<State<T>>,
    settled: Condvar,
}

impl<T> Slot<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, next: State<T>) {
        let mut state = self.state();
        let State::Open(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = next;
        drop(state);
        self.settled.notify_all();
        if let Some(waker) = waker {
            // A waker is code of who waits; its panic must not reach the writer thread.
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }
}

/// The side that answers, once.
pub(crate) struct Answer<T>(Arc<Slot<T>>);

impl<T> Answer<T> {
    pub(crate) fn send(self, value: T) {
        self.0.settle(State::Sent(value));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.settle(State::Lost);
    }
}

/// The side that waits; `None` when no answer will come.
pub(crate) struct Reply<T>(Arc<Slot<T>>);

/// Makes the two sides of one answer.
pub(crate) fn reply<T>() -> (Answer<T>, Reply<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Open(None)), settled: Condvar::new() });
    (Answer(Arc::clone(&slot)), Reply(slot))
}

impl<T> Reply<T> {
    /// Blocks until the answer is there.
    pub(crate) fn wait(self) -> Option<T> {
        let mut state = self.0.state();
        loop {
            match std::mem::replace(&mut *state, State::Lost) {
                State::Sent(value) => return Some(value),
                State::Lost => return None,
                open @ State::Open(_) => *state = open,
            }
            state = self.0.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state();
        match std::mem::replace(&mut *state, State::Lost) {
            State::Sent(value) => Poll::Ready(Some(value)),
            State::Lost => Poll::Ready(None),
            State::Open(_) => {
                *state = State::Open(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}
