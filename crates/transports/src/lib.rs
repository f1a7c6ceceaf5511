//! Links between instances, and the actor that syncs over them.
//!
//! What it is: the two traits that every way of reaching a peer implements ([`Transport`] dials and listens,
//! a [`Link`] moves frames), the transports that come with Weald (memory, HTTP), and the conformance suite that
//! an app's own transport can run; and the background actor ([`spawn`]) that drives sessions of `weald-sync` over
//! links for one instance ([`Host`]). What it is not: a link knows nothing of databases, keys or messages, and
//! what peers say to each other is decided in `weald-sync`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use weald_transports::{Address, MemoryNetwork, Transport};
//!
//! let network = MemoryNetwork::new();
//! let mut listener = network.transport("bob").listen().await?;
//! let address: Address = "memory:bob".parse()?;
//! let mut alice = network.transport("alice").dial(&address).await?;
//! let mut bob = listener.accept().await.ok_or("the listener was closed")?;
//! alice.send("hello".into()).await?;
//! alice.close().await?;
//! assert_eq!(bob.recv().await?.as_deref(), Some(&b"hello"[..]));
//! assert_eq!(bob.recv().await?, None);
//! # Ok(())
//! # }
//! ```

mod actor;
mod address;
mod halves;
#[cfg(feature = "http")]
mod http;
mod link;
mod listener;
mod memory;
mod pipe;
#[cfg(feature = "testing")]
mod testing;
mod transport;

pub use actor::{
    ADDRESSES_MAX, ATTEMPTS_KEPT, AccessEvent, ActorHandle, ActorOptions, BANDWIDTH_BURST,
    BANDWIDTH_MIN, BandwidthLimit, CROSSING, CommitFeed, DIAL_MAX, DIAL_STAGGER, DISCOVERED_MAX,
    DISCOVERY_MAX, DISTRUST, EVENTS_MAX, EventTeller, Events, FLUSH_MAX, HEALTH_EVERY, HISTORY_MAX,
    Host, HostError, LINKS_MAX, NOTES_EVERY, OUTBOX_BYTES, PRESENCE_QUEUE_BYTES, PeerRecord,
    PeerState, PeerStatus, PresenceFeed, READ_AHEAD_BYTES, REJECTION_EVERY, RETRY_FIRST, RETRY_MAX,
    ROUND_EVERY, STOP_MAX, SyncError, SyncEvent, SyncOutcome, SyncRecord, SyncStatus,
    UNPROVEN_LINKS_MAX, spawn,
};
pub use address::{Address, AddressError, DEFAULT_PORT, HTTP, MEMORY};
#[cfg(feature = "http")]
pub use http::{BuildError, HttpTransport, HttpTransportBuilder};
pub use link::{BoxFuture, CutReason, FRAME_MAX, Link, LinkError, LinkReceiver, LinkSender};
pub use listener::{ARRIVALS_MAX, Arrivals, DeliverError, LISTENER_CLOSE, Listener, Running};
pub use memory::{MemoryNetwork, MemoryTransport};
pub use pipe::{QUEUE_BYTES, QUEUE_FRAMES};
#[cfg(feature = "testing")]
pub use testing::{
    Ends, IN_FLIGHT_MAX, LINKS_AT_ONCE, check_backpressure, check_cancel_safety, check_cut,
    check_dial_to_nobody, check_duplex, check_half_close, check_many_links, check_order_and_sizes,
    check_oversize, check_reconnect, transport_conformance,
};
pub use transport::{DialError, ListenError, Transport};
