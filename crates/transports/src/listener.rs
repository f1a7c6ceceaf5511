//! A listener hands out links in the order they came; once it is closed none comes any more.

use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::address::Address;
use crate::link::Link;

/// How many links wait for `accept` before a transport refuses more.
pub const ARRIVALS_MAX: usize = 256;

/// How long closing a listener waits for its transport to stop.
pub const LISTENER_CLOSE: Duration = Duration::from_secs(5);

/// Accepts the links that peers open to a transport.
///
/// Dropping it stops listening, as [`close`](Listener::close) does, without waiting for it.
pub struct Listener {
    address: Address,
    links: mpsc::Receiver<Link>,
    /// Ends when every [`Running`] guard is gone and `keep` was dropped.
    stopped: mpsc::Receiver<()>,
    keep: Option<mpsc::Sender<()>>,
}

impl Listener {
    /// Builds a listener and the end at which its transport delivers links (for implementers of a transport).
    pub fn new(address: Address) -> (Self, Arrivals) {
        let (send, links) = mpsc::channel(ARRIVALS_MAX);
        let (keep, stopped) = mpsc::channel(1);
        let running = keep.downgrade();
        let listener = Self { address, links, stopped, keep: Some(keep) };
        (listener, Arrivals { links: send, running })
    }

    /// Returns the address listened at, with the real port where port 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the next link; `None` once closed. Cancel safe.
    pub async fn accept(&mut self) -> Option<Link> {
        self.links.recv().await
    }

    /// Stops listening and waits, at most [`LISTENER_CLOSE`], until the address is free again.
    ///
    /// Links not yet accepted are dropped; links accepted before may be cut, where the listener serves them (HTTP).
    pub async fn close(&mut self) {
        self.links.close();
        while self.links.try_recv().is_ok() {}
        self.keep = None;
        let stopped = tokio::time::timeout(LISTENER_CLOSE, self.stopped.recv()).await;
        if stopped.is_err() {
            tracing::warn!(address = %self.address, "the listener did not stop in time");
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The end of a listener at which its transport delivers links.
#[derive(Debug, Clone)]
pub struct Arrivals {
    links: mpsc::Sender<Link>,
    running: mpsc::WeakSender<()>,
}

impl Arrivals {
    /// Hands a link to the listener without waiting.
    ///
    /// # Errors
    /// [`DeliverError`] when too many wait or the listener was closed; the link is dropped.
    pub fn deliver(&self, link: Link) -> Result<(), DeliverError> {
        self.links.try_send(link).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeliverError::Full,
            mpsc::error::TrySendError::Closed(_) => DeliverError::Closed,
        })
    }

    /// Returns whether the listener was closed or dropped.
    pub fn is_closed(&self) -> bool {
        self.links.is_closed()
    }

    /// Waits until the listener is closed or dropped.
    pub async fn closed(&self) {
        self.links.closed().await;
    }

    /// Returns a guard: closing the listener waits until it is dropped.
    pub fn running(&self) -> Running {
        Running { _keep: self.running.upgrade() }
    }
}

/// Held by a transport's tasks while the address is taken.
#[derive(Debug)]
pub struct Running {
    _keep: Option<mpsc::Sender<()>>,
}

/// Why a listener did not take a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// [`ARRIVALS_MAX`] links wait for `accept`.
    #[error("{ARRIVALS_MAX} links already wait to be accepted: try again later")]
    Full,
    /// The listener was closed.
    #[error("the listener was closed: listen again")]
    Closed,
}
