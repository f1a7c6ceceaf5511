//! The background actor: one task an instance that keeps its databases in sync with its peers over any transport.
//!
//! [`spawn`] starts it on threads of its own and gives an [`ActorHandle`]; what it needs of the instance is a
//! [`Host`]. What is said on a link is decided by `weald-sync`; this is its driver.

mod attempts;
mod backoff;
mod bandwidth;
mod board;
mod common;
mod core;
mod discovering;
mod drive;
mod error;
mod event;
mod feed;
mod handle;
mod history;
mod host;
mod ingest;
mod keeper;
mod known;
mod limits;
mod links;
mod marks;
mod notes;
mod notice;
mod options;
mod outbox;
mod peer;
mod peers;
mod presence;
mod rounds;
mod serving;
mod spawn;
mod status;
mod wait;

pub use attempts::ATTEMPTS_KEPT;
pub use bandwidth::BandwidthLimit;
pub use error::SyncError;
pub use event::{AccessEvent, EventTeller, Events, SyncEvent};
pub use feed::CommitFeed;
pub use handle::ActorHandle;
pub use history::{HISTORY_MAX, SyncOutcome, SyncRecord};
pub use host::{Host, HostError};
pub use limits::{
    BANDWIDTH_BURST, BANDWIDTH_MIN, CROSSING, DIAL_MAX, DIAL_STAGGER, DISCOVERED_MAX,
    DISCOVERY_MAX, DISTRUST, EVENTS_MAX, FLUSH_MAX, HEALTH_EVERY, LINKS_MAX, NOTES_EVERY,
    OUTBOX_BYTES, PRESENCE_QUEUE_BYTES, READ_AHEAD_BYTES, REJECTION_EVERY, RETRY_FIRST, RETRY_MAX,
    ROUND_EVERY, STOP_MAX, UNPROVEN_LINKS_MAX,
};
pub use options::ActorOptions;
pub use peer::{ADDRESSES_MAX, PeerRecord};
pub use presence::PresenceFeed;
pub use spawn::spawn;
pub use status::{PeerState, PeerStatus, SyncStatus};
