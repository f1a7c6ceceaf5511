//! A pipe is one direction of a link inside this process: bounded, in order, ended once (finished or cut).
//!
//! Frames are numbered from 1. A reader either takes frames ([`Pipe::pop`]) or reads them and keeps them until
//! the other side has acknowledged their number ([`Pipe::read_after`], [`Pipe::acknowledge`]); the end of a
//! finished pipe has the number after its last frame.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::link::{CutReason, FRAME_MAX, LinkError};

/// How many frames one queue of a link holds before sending waits.
pub const QUEUE_FRAMES: usize = 1024;

/// How many bytes one queue of a link holds before sending waits (one frame always fits).
pub const QUEUE_BYTES: usize = 4 << 20;

/// One direction of a link.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    data: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// How many frames have left.
    passed: u64,
    finished: bool,
    /// The end itself was acknowledged.
    end_passed: bool,
    cut: Option<CutReason>,
}

/// Frames read but kept.
#[cfg(feature = "http")]
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) frames: Vec<Bytes>,
    /// The pipe ends after these frames.
    pub(crate) finished: bool,
}

/// Why a number cannot be acknowledged or read from.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// It was never handed out.
    Beyond,
    /// It was acknowledged before and is gone.
    Gone,
}

impl State {
    fn fits(&self, size: usize) -> bool {
        self.frames.is_empty()
            || (self.frames.len() < QUEUE_FRAMES && self.bytes.saturating_add(size) <= QUEUE_BYTES)
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len());
        self.passed += 1;
        Some(frame)
    }

    #[cfg(feature = "http")]
    fn held(&self) -> u64 {
        u64::try_from(self.frames.len()).unwrap_or(u64::MAX)
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame, waiting for room. Cancel safe: the frame is in whole or not at all.
    pub(crate) async fn push(&self, frame: Bytes) -> Result<(), LinkError> {
        if frame.len() > FRAME_MAX {
            return Err(LinkError::FrameTooLarge { size: frame.len(), max: FRAME_MAX });
        }
        loop {
            // Made before the look at the state, so that no wake-up between the two is missed.
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if let Some(reason) = &state.cut {
                    return Err(LinkError::Cut(reason.clone()));
                }
                if state.finished {
                    return Err(LinkError::Closed);
                }
                if state.fits(frame.len()) {
                    state.bytes += frame.len();
                    state.frames.push_back(frame);
                    drop(state);
                    self.data.notify_waiters();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Ends the pipe in order; again changes nothing.
    pub(crate) fn finish(&self) -> Result<(), LinkError> {
        let mut state = self.lock();
        if !state.finished {
            if let Some(reason) = &state.cut {
                return Err(LinkError::Cut(reason.clone()));
            }
            state.finished = true;
        }
        drop(state);
        self.wake();
        Ok(())
    }

    /// Refuses more frames. What is queued can still be read, and a pipe finished before still ends in order.
    pub(crate) fn cut(&self, reason: CutReason) {
        self.lock().cut.get_or_insert(reason);
        self.wake();
    }

    /// Refuses more frames and throws away what is queued: nobody will read it.
    pub(crate) fn abort(&self, reason: CutReason) {
        let mut state = self.lock();
        state.frames.clear();
        state.bytes = 0;
        state.finished = false;
        state.cut.get_or_insert(reason);
        drop(state);
        self.wake();
    }

    /// As [`Pipe::abort`], but lets a pipe that was finished in order come to its end.
    #[cfg(feature = "http")]
    pub(crate) fn abort_unless_finished(&self, reason: CutReason) {
        if !self.is_finished() {
            self.abort(reason);
        }
    }

    fn wake(&self) {
        self.data.notify_waiters();
        self.room.notify_waiters();
    }

    /// Returns whether the pipe was finished in order.
    pub(crate) fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Returns whether the other side has acknowledged the end.
    #[cfg(feature = "http")]
    pub(crate) fn end_acknowledged(&self) -> bool {
        self.lock().end_passed
    }

    /// Returns why the pipe is cut, if it was not finished in order.
    #[cfg(feature = "http")]
    pub(crate) fn broken_now(&self) -> Option<CutReason> {
        let state = self.lock();
        state.cut.clone().filter(|_| !state.finished)
    }

    /// Takes the next frame; `None` at the end. Cancel safe.
    pub(crate) async fn pop(&self) -> Result<Option<Bytes>, LinkError> {
        loop {
            let data = self.data.notified();
            {
                let mut state = self.lock();
                if let Some(frame) = state.take() {
                    drop(state);
                    self.room.notify_waiters();
                    return Ok(Some(frame));
                }
                if state.finished {
                    state.end_passed = true;
                    return Ok(None);
                }
                if let Some(reason) = &state.cut {
                    return Err(LinkError::Cut(reason.clone()));
                }
            }
            data.await;
        }
    }

    /// Waits until the pipe is cut without having been finished, and says why.
    #[cfg(feature = "http")]
    pub(crate) async fn broken(&self) -> CutReason {
        loop {
            let data = self.data.notified();
            if let Some(reason) = self.broken_now() {
                return reason;
            }
            data.await;
        }
    }

    /// Waits until the pipe is finished or cut.
    #[cfg(feature = "http")]
    pub(crate) async fn ended(&self) {
        loop {
            let data = self.data.notified();
            {
                let state = self.lock();
                if state.finished || state.cut.is_some() {
                    return;
                }
            }
            data.await;
        }
    }

    /// Forgets the frames up to number `through`: the other side has them.
    #[cfg(feature = "http")]
    pub(crate) fn acknowledge(&self, through: u64) -> Result<(), NumberError> {
        let mut state = self.lock();
        let last = state.passed.saturating_add(state.held());
        let end = last.saturating_add(u64::from(state.finished));
        if through > end {
            return Err(NumberError::Beyond);
        }
        if through < state.passed {
            return Err(NumberError::Gone);
        }
        while state.passed < through.min(last) && state.take().is_some() {}
        state.end_passed |= through > last;
        drop(state);
        self.room.notify_waiters();
        Ok(())
    }

    /// Reads the frames after number `after`, at least one or the end, and keeps them; waits until there is any.
    ///
    /// Stops after the frame that reaches `bytes_max`, or `frames_max` frames. An empty chunk that is not
    /// finished says that the end was acknowledged. Cancel safe.
    #[cfg(feature = "http")]
    pub(crate) async fn read_after(
        &self,
        after: u64,
        bytes_max: usize,
        frames_max: usize,
    ) -> Result<Chunk, CutReason> {
        loop {
            let data = self.data.notified();
            {
                let state = self.lock();
                let chunk = state.chunk(after, bytes_max, frames_max);
                if !chunk.frames.is_empty() || chunk.finished || state.end_passed {
                    return Ok(chunk);
                }
                if let (Some(reason), false) = (&state.cut, state.finished) {
                    return Err(reason.clone());
                }
            }
            data.await;
        }
    }
}

#[cfg(feature = "http")]
impl State {
    fn chunk(&self, after: u64, bytes_max: usize, frames_max: usize) -> Chunk {
        let skip = usize::try_from(after.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        let mut chunk = Chunk::default();
        let mut bytes = 0usize;
        for frame in self.frames.iter().skip(skip).take(frames_max) {
            if bytes >= bytes_max {
                break;
            }
            bytes = bytes.saturating_add(frame.len());
            chunk.frames.push(frame.clone());
        }
        let read = skip.saturating_add(chunk.frames.len());
        chunk.finished = self.finished && !self.end_passed && read == self.frames.len();
        chunk
    }
}

#[cfg(all(test, feature = "http"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Polls a future once: whether it is ready now.
    async fn ready<T>(future: impl Future<Output = T>) -> bool {
        let mut future = pin!(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    async fn filled(frames: &[&'static str]) -> Pipe {
        let pipe = Pipe::default();
        for frame in frames {
            pipe.push(Bytes::from_static(frame.as_bytes())).await.unwrap();
        }
        pipe
    }

    #[tokio::test]
    async fn a_pipe_is_bounded_by_frames_and_by_bytes() {
        let pipe = Pipe::default();
        for _ in 0..QUEUE_FRAMES {
            assert!(ready(pipe.push(Bytes::new())).await);
        }
        assert!(!ready(pipe.push(Bytes::new())).await);
        let pipe = Pipe::default();
        let half = Bytes::from(vec![0; FRAME_MAX / 2]);
        let mut held = 0;
        while ready(pipe.push(half.clone())).await {
            held += half.len();
        }
        assert!(held <= QUEUE_BYTES);
        pipe.pop().await.unwrap().unwrap();
        assert!(ready(pipe.push(half.clone())).await);
    }

    #[tokio::test]
    async fn what_is_not_acknowledged_is_read_again() {
        let pipe = filled(&["a", "b", "c"]).await;
        let frames = |chunk: Chunk| chunk.frames.concat();
        assert_eq!(frames(pipe.read_after(0, 2, 9).await.unwrap()), b"ab");
        assert_eq!(frames(pipe.read_after(0, 9, 1).await.unwrap()), b"a");
        pipe.acknowledge(2).unwrap();
        assert_eq!(frames(pipe.read_after(2, 9, 9).await.unwrap()), b"c");
        assert_eq!(pipe.acknowledge(1), Err(NumberError::Gone));
        assert_eq!(pipe.acknowledge(4), Err(NumberError::Beyond));
        pipe.finish().unwrap();
        assert!(pipe.read_after(2, 9, 9).await.unwrap().finished);
        pipe.acknowledge(4).unwrap();
        assert!(pipe.end_acknowledged());
    }

    #[tokio::test]
    async fn a_cut_comes_after_what_arrived_and_an_end_stays_an_end() {
        let pipe = filled(&["a"]).await;
        pipe.cut(CutReason::Dropped);
        assert_eq!(pipe.pop().await.unwrap().unwrap(), "a");
        assert!(matches!(pipe.pop().await, Err(LinkError::Cut(_))));
        assert!(matches!(pipe.push(Bytes::new()).await, Err(LinkError::Cut(_))));
        let pipe = filled(&["a"]).await;
        pipe.finish().unwrap();
        pipe.cut(CutReason::Dropped);
        assert_eq!(pipe.pop().await.unwrap().unwrap(), "a");
        assert_eq!(pipe.pop().await.unwrap(), None);
    }
}
