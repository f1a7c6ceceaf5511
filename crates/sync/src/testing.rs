//! What tests have rounds do that seldom happens by itself.
//!
//! Invariant: it holds for the thread that asks for it, and for nothing until it does.

use std::cell::Cell;

thread_local! {
    static KEPT_BITS: Cell<u64> = const { Cell::new(u64::MAX) };
    static SENT_AT_ONCE_MAX: Cell<usize> = const { Cell::new(usize::MAX) };
    static FIRST_ATTEMPT: Cell<u8> = const { Cell::new(0) };
}

/// Has the short ids of every session that is driven on this thread keep these bits only, so that those
/// of different entries are the same; all bits are kept at first.
pub fn weaken_short_ids(kept_bits: u64) {
    KEPT_BITS.set(kept_bits);
}

/// Has every round that is begun on this thread look for the difference as if so many attempts had left
/// a tip without a class; none at first.
pub fn start_at_attempt(attempt: u8) {
    FIRST_ATTEMPT.set(attempt);
}

/// Has rounds on this thread compare more finely where a side may lack more than so many entries, though
/// it would be cheap to send them; as many as the protocol says at first.
pub fn send_at_once_at_most(entries: usize) {
    SENT_AT_ONCE_MAX.set(entries);
}

pub(crate) fn sent_at_once_max(limit: usize) -> usize {
    limit.min(SENT_AT_ONCE_MAX.get())
}

pub(crate) fn weakened(short: u64) -> u64 {
    short & KEPT_BITS.get()
}

pub(crate) fn attempt(attempt: u8) -> u8 {
    attempt.max(FIRST_ATTEMPT.get())
}
