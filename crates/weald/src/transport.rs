//! Ways of reaching peers: those that come with Weald, and what an app's own needs.

pub use weald_transports::{
    Address, AddressError, Arrivals, BoxFuture, CutReason, DEFAULT_PORT, DialError, FRAME_MAX,
    Link, LinkError, LinkReceiver, LinkSender, ListenError, Listener, Running, Transport,
};

/// Links over plain HTTP requests, for simple deployments and through any proxy.
#[cfg(feature = "http")]
pub mod http {
    pub use weald_transports::{BuildError, HttpTransport, HttpTransportBuilder};
}

/// Links between instances of one process.
pub mod memory {
    pub use weald_transports::{MemoryNetwork, MemoryTransport};
}
