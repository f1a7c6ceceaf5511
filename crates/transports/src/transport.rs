//! A transport reaches addresses of one kind: it dials them, and listens on one of its own.

use std::error::Error;
use std::time::Duration;

use crate::address::Address;
use crate::link::{BoxFuture, Link};
use crate::listener::Listener;

/// One way of reaching peers; implement it (and run the conformance suite) to add another.
///
/// Methods run inside a tokio runtime. Dropping a transport ends neither its links nor its listener.
pub trait Transport: Send + Sync {
    /// Returns the kind of addresses that it reaches, such as `http`.
    fn kind(&self) -> &'static str;

    /// Opens a link to the peer at `address`.
    ///
    /// # Errors
    /// [`DialError`] says whether the address is of another kind, nobody answered, or the peer refused.
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Link, DialError>>;

    /// Starts to accept links at the transport's own address.
    ///
    /// # Errors
    /// [`ListenError`] says whether the address is in use, not available, or missing from the configuration.
    fn listen(&self) -> BoxFuture<'_, Result<Listener, ListenError>>;
}

/// Why no link could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is of a kind that this transport does not reach.
    #[error("the {kind} transport cannot dial {address}: use a transport of kind {}", address.kind())]
    WrongKind {
        /// The address given.
        address: Address,
        /// The kind of the transport asked.
        kind: &'static str,
    },
    /// Nobody listens there.
    #[error("nobody listens at {address}: check the address and that the peer is running")]
    NobodyListens {
        /// The address dialled.
        address: Address,
    },
    /// The network did not reach the address.
    #[error("cannot reach {address}: check the address, the network and that the peer is running")]
    Unreachable {
        /// The address dialled.
        address: Address,
        /// What the network said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No answer came in time.
    #[error("{address} did not answer within {} s: check that the peer is running", after.as_secs())]
    TimedOut {
        /// The address dialled.
        address: Address,
        /// How long was waited.
        after: Duration,
    },
    /// The peer does not take more links now.
    #[error("{address} takes no more links now, try again later: {message}")]
    Refused {
        /// The address dialled.
        address: Address,
        /// What the peer said.
        message: String,
    },
    /// Something answered, but not as a Weald instance does.
    #[error("{address} does not answer as a Weald instance ({message}): check the port")]
    NotWeald {
        /// The address dialled.
        address: Address,
        /// What was wrong with the answer.
        message: String,
    },
}

/// Why a transport does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program, or another listener of this one, has the address.
    #[error("{address} is already in use: stop the other program or choose another port")]
    AddressInUse {
        /// The address asked for.
        address: Address,
    },
    /// The system does not give this address.
    #[error("cannot listen at {address}: choose an address of this machine and a port above 1023")]
    NotAvailable {
        /// The address asked for.
        address: Address,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The transport was built to dial only.
    #[error("this {kind} transport has no address to listen at: give it one when building it")]
    NoAddress {
        /// The kind of the transport.
        kind: &'static str,
    },
}
