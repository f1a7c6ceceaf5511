//! Every bound of the format, by name. They are checked before anything is allocated.

/// Greatest length of the payload of one section, in bytes: a value of 1 MiB and what frames it.
pub const PAYLOAD_MAX: usize = (1 << 20) + (64 << 10);
/// Greatest length of an entry's body and payloads together, in bytes.
pub const ENTRY_MAX: usize = 4 << 20;
/// Greatest length of a store's name, in bytes of UTF-8; the least is 1.
pub const STORE_NAME_MAX: usize = 128;
/// Greatest number of parents of an entry.
pub const PARENTS_MAX: usize = 32;
/// Greatest number of sections of an entry.
pub const SECTIONS_MAX: usize = 64;
/// How far an entry's time may lie ahead of the local clock before it is held back, in milliseconds.
pub const CLOCK_AHEAD_MAX_MS: u64 = 10 * 60 * 1000;
/// Greatest length of a body, in bytes: what the limits above allow a canonical body to be.
pub const BODY_MAX: usize = 16 << 10;
/// The version of the entry format that this build writes and reads.
pub const FORMAT_VERSION: u64 = 1;
