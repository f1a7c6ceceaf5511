//! The background actor: one task an instance that keeps its databases in sync with its peers over any transport.
//!
//! [`spawn`] starts it on threads of its own and gives an [`ActorHandle`]; what it needs of the instance is a
//! [`Host`]. What is said on a link is decided by `weald-sync`; this is its driver.

mod backoff;
mod core;
mod drive;
mod error;
mod event;
mod feed;
mod handle;
mod host;
mod ingest;
mod keeper;
mod limits;
mod links;
mod notice;
mod options;
mod outbox;
mod peer;
mod peers;
mod rounds;
mod serving;
mod spawn;
mod status;
mod wait;

pub use error::SyncError;
pub use event::{AccessEvent, EventTeller, Events, SyncEvent};
pub use feed::CommitFeed;
pub use handle::ActorHandle;
pub use host::{Host, HostError};
pub use limits::{
    CROSSING, DIAL_MAX, DISTRUST, EVENTS_MAX, FLUSH_MAX, HEALTH_EVERY, LINKS_MAX, OUTBOX_BYTES,
    READ_AHEAD_BYTES, RETRY_FIRST, RETRY_MAX, ROUND_EVERY, STOP_MAX, UNPROVEN_LINKS_MAX,
};
pub use options::ActorOptions;
pub use peer::{ADDRESSES_MAX, PeerRecord};
pub use spawn::spawn;
pub use status::{PeerState, PeerStatus, SyncStatus};
