//! A link is an ordered, reliable, framed duplex channel: frames arrive whole, once and in order, or the link is cut.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;

/// The most bytes one frame may have: 1 MiB of content and 64 KiB for what seals and wraps it.
pub const FRAME_MAX: usize = (1 << 20) + (64 << 10);

/// A boxed future that may be moved between threads, as the traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The sending half of a link.
///
/// Dropping it before [`close`](LinkSender::close) cuts the whole link: frames not yet delivered may be lost.
pub trait LinkSender: Send {
    /// Queues one frame and waits while the queue is full (backpressure).
    ///
    /// A future dropped before it finished has queued the frame whole or not at all.
    ///
    /// # Errors
    /// [`LinkError::FrameTooLarge`] (the link stays usable), [`LinkError::Closed`] after `close`,
    /// [`LinkError::Cut`] when the link is gone.
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), LinkError>>;

    /// Ends this direction in order: what was sent still arrives, then the peer's `recv` gives `None`.
    ///
    /// Closing twice changes nothing. The other direction stays open.
    ///
    /// # Errors
    /// [`LinkError::Cut`] when the link was gone before.
    fn close(&mut self) -> BoxFuture<'_, Result<(), LinkError>>;
}

/// The receiving half of a link.
///
/// Dropping it before the end makes the peer's sends fail; what this side sent and closed in order still arrives.
pub trait LinkReceiver: Send {
    /// Waits for the next frame; `None` once the peer has closed its side in order.
    ///
    /// Cancel safe: a future dropped before it finished has taken nothing.
    ///
    /// # Errors
    /// [`LinkError::Cut`] when the link is gone, after the frames that had already arrived.
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>>;
}

/// A channel of frames to one peer.
///
/// Use it whole, or [`split`](Link::split) it to read and write side by side. Dropping it without
/// [`close`](Link::close) cuts it.
pub struct Link {
    sender: Box<dyn LinkSender>,
    receiver: Box<dyn LinkReceiver>,
    peer: Address,
    channel_binding: Option<Vec<u8>>,
}

impl Link {
    /// Builds a link from its halves; `peer` is the address dialled, or the address that the peer came from.
    pub fn new(
        peer: Address,
        sender: impl LinkSender + 'static,
        receiver: impl LinkReceiver + 'static,
    ) -> Self {
        Self { sender: Box::new(sender), receiver: Box::new(receiver), peer, channel_binding: None }
    }

    /// Adds the bytes that bind a session to this channel, where the transport itself proves both ends (default: none).
    #[must_use]
    pub fn with_channel_binding(mut self, binding: Vec<u8>) -> Self {
        self.channel_binding = Some(binding);
        self
    }

    /// Returns the address dialled, or where the peer came from (which need not be dialable).
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// Returns the kind of the transport, such as `http`.
    pub fn kind(&self) -> &str {
        self.peer.kind()
    }

    /// Returns the bytes that bind a session to this channel; `None` on a channel that proves nothing.
    pub fn channel_binding(&self) -> Option<&[u8]> {
        self.channel_binding.as_deref()
    }

    /// Sends one frame; see [`LinkSender::send`].
    ///
    /// # Errors
    /// As [`LinkSender::send`].
    pub async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        self.sender.send(frame).await
    }

    /// Receives one frame; see [`LinkReceiver::recv`]. Cancel safe.
    ///
    /// # Errors
    /// As [`LinkReceiver::recv`].
    pub async fn recv(&mut self) -> Result<Option<Bytes>, LinkError> {
        self.receiver.recv().await
    }

    /// Ends the sending side in order; see [`LinkSender::close`].
    ///
    /// # Errors
    /// As [`LinkSender::close`].
    pub async fn close(&mut self) -> Result<(), LinkError> {
        self.sender.close().await
    }

    /// Takes the link apart, so that one task reads while another writes.
    pub fn split(self) -> (Box<dyn LinkSender>, Box<dyn LinkReceiver>) {
        (self.sender, self.receiver)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why a link did not carry a frame.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The frame is larger than a link carries; the link stays usable.
    #[error("a frame of {size} bytes is over the limit of {max} bytes: send it in parts")]
    FrameTooLarge {
        /// Bytes in the refused frame.
        size: usize,
        /// Bytes allowed ([`FRAME_MAX`]).
        max: usize,
    },
    /// This side was closed before.
    #[error("this side of the link is closed: dial again to send more")]
    Closed,
    /// The link is gone; frames on their way may be lost.
    #[error("the link was cut, dial again: {0}")]
    Cut(#[source] CutReason),
}

/// What ended a link before both sides had closed it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CutReason {
    /// One end let go of the link without closing it.
    #[error("one end dropped it without closing it")]
    Dropped,
    /// The peer's listener was closed.
    #[error("the peer stopped listening")]
    ListenerClosed,
    /// The peer does not know the session: it restarted, or heard nothing for too long.
    #[error("the peer no longer knows this session (it restarted, or heard nothing for too long)")]
    SessionUnknown,
    /// Nothing was heard from the peer for too long.
    #[error("the peer was silent for {} s", after.as_secs())]
    Silent {
        /// How long this side waited.
        after: Duration,
    },
    /// The network kept failing for as long as this side retries.
    #[error("the peer could not be reached for {} s", after.as_secs())]
    Unreachable {
        /// How long this side retried.
        after: Duration,
        /// The last failure.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The peer answered in a way that the transport does not allow.
    #[error("the peer broke the rules of the transport: {what}")]
    Protocol {
        /// What was wrong.
        what: String,
    },
}
