//! Jobs on their way to the writer thread.
//!
//! Invariant: jobs leave in the order they came, in bounded groups; once closed, what is queued is
//! still handed out and nothing is added.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many jobs one group holds at most.
pub const MAX_GROUP_JOBS: usize = 1_024;
/// How much weight one group holds at most; a single heavier job is a group of its own.
pub const MAX_GROUP_WEIGHT: usize = 16_384;
/// How many jobs wait at most; who submits one more waits until there is room.
pub const MAX_WAITING_JOBS: usize = 8_192;

/// A queue with one consumer, which takes groups.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    /// The consumer waits here.
    filled: Condvar,
    /// Producers wait here.
    emptied: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
    /// How many waiting jobs wake the consumer; `usize::MAX` while it is busy.
    wanted: usize,
    waiting_producers: usize,
}

/// What the consumer gets.
pub(crate) enum Next<J> {
    /// Jobs, at least one.
    Group(Vec<J>),
    /// Nothing came for as long as it wanted to wait.
    Idle,
    /// Nothing will come any more.
    Closed,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        let state = State {
            jobs: VecDeque::new(),
            closed: false,
            wanted: usize::MAX,
            waiting_producers: 0,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, waiting for room if `may_wait`; returns whether it was added.
    pub(crate) fn push(&self, job: J, may_wait: bool) -> bool {
        let mut state = self.state();
        while may_wait && !state.closed && state.jobs.len() >= MAX_WAITING_JOBS {
            state.waiting_producers += 1;
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting_producers -= 1;
        }
        if state.closed {
            return false;
        }
        state.jobs.push_back(job);
        if state.jobs.len() >= state.wanted {
            // Once is enough: the consumer sets it again before it waits.
            state.wanted = usize::MAX;
            drop(state);
            self.filled.notify_one();
        }
        true
    }

    /// Lets nobody add a job any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.wanted = usize::MAX;
        drop(state);
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Drops what is queued.
    pub(crate) fn clear(&self) {
        let jobs = std::mem::take(&mut self.state().jobs);
        // Not under the lock: jobs run code of their own when they are dropped.
        drop(jobs);
    }

    /// Takes the next group. Waits `patience` for the first job, without end if `None`, and then
    /// at most `linger` until `expected` of them wait.
    pub(crate) fn next(
        &self,
        patience: Option<Duration>,
        expected: usize,
        linger: Duration,
        weigh: fn(&J) -> usize,
    ) -> Next<J> {
        let mut state = self.wait(self.state(), 1, patience);
        if state.jobs.is_empty() {
            return if state.closed { Next::Closed } else { Next::Idle };
        }
        if state.jobs.len() < expected && !state.closed {
            state = self.wait(state, expected.min(MAX_GROUP_JOBS), Some(linger));
        }
        let group = state.take_group(weigh);
        let wake = state.waiting_producers > 0;
        drop(state);
        if wake {
            self.emptied.notify_all();
        }
        Next::Group(group)
    }

    /// Waits until `wanted` jobs are there, the queue is closed, or the time is over.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State<J>>,
        wanted: usize,
        patience: Option<Duration>,
    ) -> MutexGuard<'a, State<J>> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        while state.jobs.len() < wanted && !state.closed {
            state.wanted = wanted;
            state = match deadline {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.wanted = usize::MAX;
        state
    }
}

impl<J> State<J> {
    fn take_group(&mut self, weigh: fn(&J) -> usize) -> Vec<J> {
        let mut weight = 0_usize;
        let mut count = 0;
        for job in self.jobs.iter().take(MAX_GROUP_JOBS) {
            weight = weight.saturating_add(weigh(job));
            if count > 0 && weight > MAX_GROUP_WEIGHT {
                break;
            }
            count += 1;
        }
        self.jobs.drain(..count).collect()
    }
}
