//! What is noted of a peer beside its record: it changes with every sync, is kept in place, and is never synced.
//!
//! Invariant: its size is bounded however often was synced, and nothing in it decides what a peer may do.

mod coding;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use weald_dag::DatabaseId;

use super::attempts::Attempts;
use super::history::History;
use crate::address::Address;

/// How many databases are noted with one peer; those that were synced last stay.
pub(crate) const NOTED_DATABASES_MAX: usize = 256;

/// How much of an error is noted, in bytes.
pub(crate) const NOTED_WORDS_MAX: usize = 512;

/// What is noted of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// What it called itself last.
    pub(crate) name: String,
    /// The addresses at which it was reached, the last one first.
    pub(crate) used: Vec<Address>,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// The addresses that are tried only where the others have failed.
    pub(crate) distrusted: Vec<Address>,
    /// The pause before the next attempt, if it waits for one.
    pub(crate) retry: Option<Retry>,
    pub(crate) last_connected: Option<SystemTime>,
    /// Why the last attempt failed, in words.
    pub(crate) last_error: Option<String>,
    pub(crate) attempts: Attempts,
    pub(crate) databases: BTreeMap<DatabaseId, DatabaseNotes>,
    pub(crate) history: History,
}

/// A pause before a peer is dialled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    /// When it ends, by the clock on the wall.
    pub(crate) at: SystemTime,
    /// How long it is in all.
    pub(crate) pause: Duration,
}

impl Retry {
    /// Returns what is left of the pause; a clock that was set back makes it no longer than it was.
    pub(crate) fn left(self, now: SystemTime, most: Duration) -> Duration {
        let left = self.at.duration_since(now).unwrap_or_default();
        left.min(self.pause).min(most)
    }
}

/// What is noted of a database with a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DatabaseNotes {
    pub(crate) last_success: Option<SystemTime>,
    /// Why the last attempt failed, in words.
    pub(crate) last_error: Option<String>,
    pub(crate) attempts: Attempts,
}

/// Shortens words to what is noted of them.
pub(crate) fn noted(words: &str) -> String {
    let mut ends = (0..=NOTED_WORDS_MAX.min(words.len())).rev();
    ends.find_map(|end| words.get(..end)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p26_a_clock_set_back_makes_no_pause_longer() {
        let (second, now) = (Duration::from_secs(1), SystemTime::now());
        let retry = Retry { at: now + 10 * second, pause: 16 * second };
        assert_eq!(retry.left(now, 64 * second), 10 * second);
        assert_eq!(retry.left(now + 11 * second, 64 * second), Duration::ZERO);
        assert_eq!(retry.left(now - 9_999 * second, 64 * second), 16 * second);
        let long = Retry { at: now + 999 * second, pause: 999 * second };
        assert_eq!(long.left(now, 64 * second), 64 * second);
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let words = "ä".repeat(NOTED_WORDS_MAX);
        assert_eq!(noted(&words).len(), NOTED_WORDS_MAX);
        assert_eq!(noted(&format!("x{words}")).len(), NOTED_WORDS_MAX - 1);
        assert_eq!(noted("short"), "short");
    }
}
