//! Every bound of the protocol, by name. They are checked before anything is allocated.

use weald_dag::limits::ENTRY_MAX;

/// The least protocol version that this build speaks.
pub const VERSION_MIN: u16 = 1;
/// The greatest protocol version that this build speaks.
pub const VERSION_MAX: u16 = 1;
/// Greatest length of a frame, on the link and after decompression, in bytes.
pub const FRAME_MAX: usize = 1 << 20;
/// How much of a message goes into one frame, in bytes before compression.
pub const CHUNK_MAX: usize = 512 << 10;
/// Greatest length of a message put together from its frames, in bytes.
pub const MESSAGE_MAX: usize = ENTRY_MAX + (512 << 10);
/// Greatest length of a message that carries no entries, in bytes.
pub const CONTROL_MAX: usize = 512 << 10;
/// Greatest number of controls in one message.
pub const CONTROLS_MAX: usize = 4_096;
/// How many bytes may wait for a peer to read them before the session ends.
pub const OUTBOX_MAX_BYTES: usize = 4 * WINDOW_BYTES + MESSAGE_MAX;
/// Greatest length of a Hello, in bytes.
pub const HELLO_MAX: usize = 2 << 10;
/// Greatest length of a peer's name, in characters.
pub const NAME_MAX: usize = 64;
/// How long the handshake may take, in milliseconds.
pub const HANDSHAKE_MAX_MS: u64 = 10_000;
/// How long a peer that owes an answer may send nothing that brings it nearer, in milliseconds.
pub const SILENCE_MAX_MS: u64 = 60_000;
/// How long nothing may come on a link before the peer is asked whether it is there, in milliseconds.
pub const HEALTH_EVERY_MS: u64 = 60_000;
/// Greatest number of keys that a peer may prove for one database.
pub const KEYS_MAX: usize = 16;
/// Greatest number of proofs of keys in one session, each for one database.
pub const PROOFS_MAX: usize = 4 * DATABASES_MAX;
/// Greatest length of the settings entries that show to a peer what took its access, in bytes.
pub const SHOWN_MAX_BYTES: usize = 128 << 10;
/// Greatest number of databases in one session.
pub const DATABASES_MAX: usize = 1_024;
/// Greatest number of names in one session that this side does not know or does not answer for.
pub const UNKNOWN_NAMES_MAX: usize = 4 * DATABASES_MAX;
/// How many databases are in one page of those that a peer offers.
pub const DISCOVERED_PAGE: usize = 256;
/// How many pages of what is offered a peer may ask for at once on a link.
pub const DISCOVERIES_PER_LINK_MAX: u64 = 64;
/// How long it takes until a peer that has asked so often may ask for one more page, in milliseconds.
pub const DISCOVERY_PAUSE_MS: u64 = 1_000;
/// Greatest length of the name of a database that is offered, in characters.
pub const LISTED_NAME_MAX: usize = 256;
/// Greatest length of the topic of a presence message, in bytes.
pub const PRESENCE_TOPIC_MAX: usize = 64;
/// Greatest length of what a presence message says, in bytes.
pub const PRESENCE_BODY_MAX: usize = 4 << 10;
/// By how much the time of a presence message may differ from the clock here, in milliseconds.
pub const PRESENCE_SKEW_MS: u64 = 60_000;
/// How many presence messages are remembered, so that none is heard twice: all that can be looked at while one of
/// them is of now.
pub const PRESENCE_REMEMBERED_MAX: usize = 240_000;
const _: () = assert!(
    PRESENCE_REMEMBERED_MAX as u64 == 2 * PRESENCE_SKEW_MS / 1_000 * PRESENCE_LOOKED_PER_SECOND
);
/// How many presence messages a second are said on a link.
pub const PRESENCE_PER_SECOND: u64 = 50;
/// How many presence messages a second are listened to on a link; more are dropped unread. What was said in time
/// may come at once after a delay.
pub const PRESENCE_HEARD_PER_SECOND: u64 = 2 * PRESENCE_PER_SECOND;
/// How many presence messages of all links together are looked at in a second: each costs a signature.
pub const PRESENCE_LOOKED_PER_SECOND: u64 = 2_000;
/// For how many seconds' presence messages may come at once.
pub const PRESENCE_BURST_SECONDS: u64 = 4;
/// How many tips are announced in a round; of more, their count and digest tell.
pub const TIPS_PAGE: usize = 4_096;
/// Greatest number of ids near its tips that an announcement carries, beside those of [`COMMON_MAX`].
pub const NEAR_MAX: usize = 64;
/// Greatest number of entries known to be common that are named in a round, and that are remembered after a
/// session.
pub const COMMON_MAX: usize = 16;
/// Greatest number of entries named right above what is remembered as common; of more, none is.
pub const ABOVE_MAX: usize = 16;
/// Over how many entries a side looks for what lies right above what is remembered as common.
pub const ABOVE_REACH_MAX: usize = 1 << 14;
/// Greatest number of ids in one probe.
pub const PROBE_MAX: usize = 8_192;
/// A difference of at most this many entries is sent without a finer comparison.
pub const DIRECT_MAX: usize = 64;
/// Over how many entries of either side a look for what may differ goes before it asks by other means.
pub const REACH_MAX: usize = 1 << 18;
/// How many symbols are asked for at first, at least.
pub const WINDOW_SYMBOLS_MIN: usize = 64;
/// How many symbols are asked for at first of a large graph, where the counts tell of no large difference.
pub const WINDOW_SYMBOLS_FIRST: usize = 2_048;
/// By how much each further window of symbols is larger than all before it together.
pub const WINDOW_SYMBOLS_FACTOR: usize = 3;
/// Greatest number of symbols in one message.
pub const WINDOW_SYMBOLS_MAX: usize = 16_384;
/// How many ids are gone over for one session to make symbols, before it has to wait for more.
pub const EFFORT_MAX_IDS: i64 = 1 << 25;
/// How many further ids a second gives; who has none left is told to ask for pages.
pub const EFFORT_SECOND_IDS: i64 = 1 << 18;
/// Greatest number of short ids in one message.
pub const SHORTS_MAX: usize = 32_768;
/// How large a batch of entries grows before it is sent, in bytes.
pub const BATCH_BYTES: usize = 256 << 10;
/// How many batches may be on their way without an acknowledgement.
pub const WINDOW_BATCHES: usize = 32;
/// How many bytes may be on their way without an acknowledgement; one batch may exceed it.
pub const WINDOW_BYTES: usize = 8 << 20;
/// How many batches of a peer may wait for their verdicts before the peer is at fault.
pub const INGESTING_MAX: usize = 4 * WINDOW_BATCHES;
/// How many bytes of a peer may wait for their verdicts before the peer is at fault.
pub const INGESTING_MAX_BYTES: usize = 4 * WINDOW_BYTES + MESSAGE_MAX;
/// Greatest number of ids in one want.
pub const WANT_MAX: usize = 256;
/// How many entries the first want of a round asks for.
pub const WANT_DEPTH: u32 = 256;
/// By how much the depth of each further want grows.
pub const WANT_DEPTH_FACTOR: u32 = 8;
/// Greatest depth of a want.
pub const WANT_DEPTH_MAX: u32 = 1 << 16;
/// How many wants a round may make before it starts again from the tips.
pub const WANTS_MAX: u8 = 4;
/// How many entries an answer to a want looks at; it may then be shorter than asked for.
pub const WANT_STEPS_MAX: usize = 4 * WANT_DEPTH_MAX as usize;
/// How many rounds in a row try to class every tip.
pub const ROUNDS_MAX: u8 = 3;
/// How many ids are remembered that are not held here, and how many that are not held there.
pub const DECLINED_MAX: usize = 4_096;
/// Greatest length of a request for access, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1 << 10;
/// How many requests for access may come on one link in an hour.
pub const REQUESTS_PER_HOUR_MAX: usize = 4_096;
/// Greatest length of a reason told to a peer, in characters.
pub const REASON_MAX: usize = 256;
/// How many reasons are told to a peer at the end of a round; of further tips, the class only.
pub const REASONS_MAX: usize = 64;
/// The least time until what came from one peer is announced to another, in milliseconds.
pub const RELAY_MIN_MS: u64 = 20;
/// The greatest time until what came from one peer is announced to another, in milliseconds.
pub const RELAY_MAX_MS: u64 = 100;
/// How many ids an announcement of entries between rounds carries; of more, some evenly spread.
pub const HAVE_MAX: usize = 256;
/// How many announced ids are remembered that are not held here.
pub const HEARD_MAX: usize = 1_024;
/// How many entries the peer is known to hold may be listed before a round makes the list short.
pub const FRONTIER_MAX: usize = 8_192;
