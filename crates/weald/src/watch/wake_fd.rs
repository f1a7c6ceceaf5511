//! A file descriptor for main loops: readable while events wait.
//!
//! Invariant: at most one byte is on its way, and neither end ever blocks.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A file descriptor that is readable while a watch has events, for `poll`, `epoll`, `kqueue` or the
/// main loop of a toolkit.
///
/// It is level-triggered: it stays readable until the watch is empty. Do not read from it; take the
/// events from the [`crate::Watch`]. It is readable for good once the watch has ended: when
/// [`crate::Watch::is_closed`] says so and no event is left, take it out of the loop. Cloning is
/// cheap; the descriptor is closed with the last clone and the watch.
#[derive(Clone, Debug)]
pub struct WakeFd {
    reader: Arc<UnixStream>,
}

impl AsFd for WakeFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl AsRawFd for WakeFd {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

/// The end of the descriptor that the queue has.
pub(super) struct Signal {
    reader: Arc<UnixStream>,
    writer: UnixStream,
    raised: bool,
}

impl Signal {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self { reader: Arc::new(reader), writer, raised: false })
    }

    pub(super) fn wake_fd(&self) -> WakeFd {
        WakeFd { reader: Arc::clone(&self.reader) }
    }

    /// Makes the descriptor readable, or not.
    pub(super) fn set(&mut self, readable: bool) {
        if readable == self.raised {
            return;
        }
        let done = if readable {
            (&self.writer).write(&[1])
        } else {
            // An app that has read the byte against the contract finds the next one again.
            (&*self.reader).read(&mut [0])
        };
        if let Err(error) = done {
            tracing::debug!(%error, "the descriptor of a watch was not as it was left");
        }
        self.raised = readable;
    }
}
