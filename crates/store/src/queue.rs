//! Jobs on their way to the writer thread.
//!
//! Invariant: jobs leave in the order they came, in groups bounded by count, weight and bytes, and
//! so is the line; once closed, what is queued is still handed out and nothing is added.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many jobs one group holds at most.
pub const MAX_GROUP_JOBS: usize = 1_024;
/// How much weight one group holds at most; a single heavier job is a group of its own.
pub const MAX_GROUP_WEIGHT: usize = 16_384;
/// How many bytes one group holds at most; a single larger job is a group of its own.
pub const MAX_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// How many jobs wait at most; who submits one more waits until there is room.
pub const MAX_WAITING_JOBS: usize = 8_192;
/// From how many waiting bytes on who submits one more job waits until there is room.
///
/// The last job that was let in may go past it, so that a large one is not held up by small ones.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How long the writer looks out for the next job before it sleeps, after it has written something.
const LOOK_OUT: Duration = Duration::from_micros(100);

/// How much a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) weight: usize,
    pub(crate) bytes: usize,
}

/// A queue with one consumer, which takes groups.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    /// Asked once for each job, when it comes.
    measure: fn(&J) -> Size,
    /// The consumer waits here.
    filled: Condvar,
    /// Producers wait here.
    emptied: Condvar,
}

struct State<J> {
    jobs: VecDeque<(Size, J)>,
    /// How many bytes the waiting jobs are.
    bytes: usize,
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
    pub(crate) fn new(measure: fn(&J) -> Size) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            closed: false,
            wanted: usize::MAX,
            waiting_producers: 0,
        };
        Self { state: Mutex::new(state), measure, filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, waiting for room if `may_wait`; returns whether it was added.
    pub(crate) fn push(&self, job: J, may_wait: bool) -> bool {
        // Not under the lock: it is the work's own code.
        let size = (self.measure)(&job);
        let mut state = self.state();
        while may_wait && !state.closed && state.is_full() {
            state.waiting_producers += 1;
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting_producers -= 1;
        }
        if state.closed {
            return false;
        }
        state.bytes = state.bytes.saturating_add(size.bytes);
        state.jobs.push_back((size, job));
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
        let mut state = self.state();
        state.bytes = 0;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
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
    ) -> Next<J> {
        self.look_out(patience);
        let mut state = self.wait(self.state(), 1, patience);
        if state.jobs.is_empty() {
            return if state.closed { Next::Closed } else { Next::Idle };
        }
        if state.jobs.len() < expected && !state.closed {
            state = self.wait(state, expected.min(MAX_GROUP_JOBS), Some(linger));
        }
        let group = state.take_group();
        let wake = state.waiting_producers > 0;
        drop(state);
        if wake {
            self.emptied.notify_all();
        }
        Next::Group(group)
    }

    /// Looks out for the next job for a moment, giving way to every other thread, before the thread
    /// sleeps: who commits one entry after the other submits the next one as soon as it is answered,
    /// and waking a sleeping thread takes longer than that.
    fn look_out(&self, patience: Option<Duration>) {
        if patience.is_none() {
            return;
        }
        let end = Instant::now() + LOOK_OUT;
        while Instant::now() < end {
            let state = self.state();
            if !state.jobs.is_empty() || state.closed {
                return;
            }
            drop(state);
            std::thread::yield_now();
        }
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
    fn is_full(&self) -> bool {
        self.jobs.len() >= MAX_WAITING_JOBS || self.bytes >= MAX_WAITING_BYTES
    }

    fn take_group(&mut self) -> Vec<J> {
        let (mut weight, mut bytes, mut count) = (0_usize, 0_usize, 0);
        for (size, _) in self.jobs.iter().take(MAX_GROUP_JOBS) {
            weight = weight.saturating_add(size.weight);
            let more = bytes.saturating_add(size.bytes);
            if count > 0 && (weight > MAX_GROUP_WEIGHT || more > MAX_GROUP_BYTES) {
                break;
            }
            bytes = more;
            count += 1;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.jobs.drain(..count).map(|(_, job)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn queue() -> Queue<usize> {
        Queue::new(|bytes| Size { weight: 1, bytes: *bytes })
    }

    fn group(queue: &Queue<usize>) -> Vec<usize> {
        match queue.next(Some(Duration::ZERO), 1, Duration::ZERO) {
            Next::Group(jobs) => jobs,
            Next::Idle | Next::Closed => Vec::new(),
        }
    }

    #[test]
    fn a_group_is_bounded_by_bytes() {
        let queue = queue();
        for bytes in [9 * MIB, 7 * MIB, 0, 1, 40 * MIB, usize::MAX, 3] {
            assert!(queue.push(bytes, false));
        }
        assert_eq!(group(&queue), [9 * MIB, 7 * MIB, 0]);
        assert_eq!(group(&queue), [1]);
        assert_eq!(group(&queue), [40 * MIB]);
        assert_eq!(group(&queue), [usize::MAX]);
        assert_eq!(group(&queue), [3]);
        assert!(group(&queue).is_empty());
    }

    #[test]
    fn the_line_is_bounded_by_bytes() {
        let queue = queue();
        for _ in 0..4 {
            assert!(!queue.state().is_full());
            assert!(queue.push(MAX_GROUP_BYTES, true));
        }
        assert!(queue.state().is_full());
        std::thread::scope(|scope| {
            let held = scope.spawn(|| queue.push(1, true));
            while queue.state().waiting_producers == 0 {
                std::thread::yield_now();
            }
            assert!(queue.push(2, false), "the writer thread itself never waits");
            assert_eq!(group(&queue), [MAX_GROUP_BYTES]);
            assert!(held.join().unwrap());
        });
        let mut left = Vec::new();
        while !queue.state().jobs.is_empty() {
            left.extend(group(&queue));
        }
        let whole = MAX_GROUP_BYTES;
        assert_eq!(left, [whole, whole, whole, 2, 1]);
        assert_eq!(queue.state().bytes, 0);
    }
}
