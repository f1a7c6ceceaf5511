//! Every bound of the actor, in one place.

use std::time::Duration;

use weald_sync::limits::{DISCOVERED_PAGE, DISCOVERIES_PER_LINK_MAX};

/// How many links one actor drives at once; more that come in are dropped.
pub const LINKS_MAX: usize = 1024;

/// How many links may be on their way to being proven at once; more that come in are dropped.
pub const UNPROVEN_LINKS_MAX: usize = 256;

/// How many peers that only came and proved a key are remembered, until the actor stops; the oldest go first.
pub(crate) const STRANGERS_MAX: usize = 1024;

/// How many links one proven peer may have opened to this side at once; beyond it the oldest is closed.
///
/// One is in use; a second is for a peer that dials anew before it is noticed that the first is dead.
pub(crate) const ARRIVED_PER_PEER_MAX: usize = 2;

/// How many of [`LINKS_MAX`] are kept for peers that this side dials.
pub(crate) const DIALS_RESERVED: usize = 64;

/// How many of [`LINKS_MAX`] are kept for arriving peers with whom a database is kept in sync.
pub(crate) const RELATED_RESERVED: usize = 192;

/// How many bytes wait to be sent on one link before its session is asked for no more.
pub const OUTBOX_BYTES: usize = 16 << 20;

/// How many bytes are read from a peer that does not take what is sent to it, before the link is closed.
///
/// Reading goes on meanwhile, so two sides that both send much never wait for each other.
pub const READ_AHEAD_BYTES: usize = 32 << 20;

/// Of how many pairs of a peer and a database is remembered what both held; those remembered first are forgotten.
pub(crate) const COMMON_REMEMBERED_MAX: usize = 4_096;

/// How many events wait for a slow reader of [`Events`](crate::Events) before it misses the oldest.
pub const EVENTS_MAX: usize = 4096;

/// How many databases of one peer are gathered by one discovery: as many as it may be asked for at once.
pub const DISCOVERED_MAX: usize = DISCOVERED_PAGE * DISCOVERED_PAGES_MAX;

/// How many pages one discovery asks for, however little is in them.
pub(crate) const DISCOVERED_PAGES_MAX: usize = 64;
const _: () = assert!(DISCOVERED_PAGES_MAX as u64 == DISCOVERIES_PER_LINK_MAX);

/// How long a linked peer may take to tell what it offers.
pub const DISCOVERY_MAX: Duration = Duration::from_secs(60);

/// How many bytes of presence messages wait to be said on one link, and how many bytes of anything may wait there
/// before they do.
pub const PRESENCE_QUEUE_BYTES: usize = 64 << 10;

/// How many presence messages of one author wait to be said on one link; the oldest go first.
pub(crate) const PRESENCE_QUEUED_PER_AUTHOR: usize = 64;

/// The first pause before a peer is dialled again; each failure doubles it.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest pause before a peer is dialled again.
pub const RETRY_MAX: Duration = Duration::from_secs(64);

/// How often two linked peers compare their tips although nothing seems to have happened.
pub const ROUND_EVERY: Duration = Duration::from_secs(300);

/// How long nothing may come on a link before the peer is asked whether it is there.
pub const HEALTH_EVERY: Duration = Duration::from_millis(weald_sync::limits::HEALTH_EVERY_MS);

/// How long dialling one address may take, whatever its transport says.
pub const DIAL_MAX: Duration = Duration::from_secs(20);

/// How long a closing link waits until what was sent has left, and then for the peer to close its side.
pub const FLUSH_MAX: Duration = Duration::from_millis(500);

/// How long stopping waits for links, listeners and work under way.
pub const STOP_MAX: Duration = Duration::from_secs(2);

/// Two links between the same peers that begin within this time count as dialled at once.
pub const CROSSING: Duration = Duration::from_secs(10);

/// How long a peer that broke the protocol, or at whose every address another one answers, is left alone.
///
/// One that broke the protocol is refused for as long when it comes by itself.
pub const DISTRUST: Duration = Duration::from_secs(300);

/// The least bandwidth limit, in bytes a second: with less, a peer would take this side for dead.
pub const BANDWIDTH_MIN: u64 = 32 << 10;

/// How many bytes of unused bandwidth are saved up at most.
pub const BANDWIDTH_BURST: u64 = 64 << 10;

/// Up to this many parcels are verified on the spot; more go to a thread for heavy work.
pub(crate) const VERIFY_INLINE: usize = 4;

/// How often the status of a busy link is written down.
pub(crate) const STATUS_EVERY: Duration = Duration::from_millis(100);

/// How long dialling one address goes on alone before the next address is dialled beside it.
pub const DIAL_STAGGER: Duration = Duration::from_millis(300);

/// How often, at most, what has changed of peers is noted; it is noted when the actor stops, too.
pub const NOTES_EVERY: Duration = Duration::from_secs(5);

/// How often, at most, [`SyncEvent::Rejected`](crate::SyncEvent::Rejected) is told.
pub const REJECTION_EVERY: Duration = Duration::from_secs(1);

/// How many of [`UNPROVEN_LINKS_MAX`] may come from one host.
pub(crate) const UNPROVEN_PER_HOST_MAX: usize = 64;

/// How many links of proven strangers may come from one host; beyond it the newest is closed.
pub(crate) const STRANGERS_PER_HOST_MAX: usize = 384;
