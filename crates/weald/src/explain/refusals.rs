//! The entries that were refused last, for whoever asks why something does not come through.
//!
//! Invariant: bounded for each database, and only of databases that are here; nothing is decided by
//! it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal};

/// How many refused entries of a database are remembered.
pub const REFUSALS_KEPT: usize = 256;

/// An entry that a peer sent and that was refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedEntry {
    /// The entry.
    pub entry: EntryId,
    /// Who signed it.
    pub author: PublicKey,
    /// The device that sent it last.
    pub from: PublicKey,
    /// Why it was refused.
    pub reason: Refusal,
    /// When it came last, by this device's clock, in milliseconds since 1970.
    pub at_millis: u64,
    /// How often it came.
    pub times: u64,
}

/// What was refused since the instance was opened.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<DatabaseId, VecDeque<RefusedEntry>>>);

impl Refusals {
    fn databases(&self) -> MutexGuard<'_, BTreeMap<DatabaseId, VecDeque<RefusedEntry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an entry; of too many the oldest is forgotten.
    pub(crate) fn note(&self, database: DatabaseId, mut refused: RefusedEntry) {
        let mut databases = self.databases();
        let of = databases.entry(database).or_default();
        if let Some(place) = of.iter().position(|known| known.entry == refused.entry) {
            let before = of.remove(place).map_or(0, |known| known.times);
            refused.times = refused.times.saturating_add(before);
        }
        if of.len() >= REFUSALS_KEPT {
            of.pop_front();
        }
        of.push_back(refused);
    }

    pub(crate) fn of(&self, database: &DatabaseId, entry: &EntryId) -> Option<RefusedEntry> {
        let databases = self.databases();
        databases.get(database)?.iter().find(|refused| refused.entry == *entry).cloned()
    }

    pub(crate) fn all(&self, database: &DatabaseId) -> Vec<RefusedEntry> {
        self.databases().get(database).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use weald_dag::SecretKey;

    use super::*;

    #[test]
    fn the_last_refusals_are_kept_and_a_repeated_one_once() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let database = DatabaseId::from_bytes([9; 32]);
        let refused = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let reason = Refusal::Settings { reason: "x".into() };
            let entry = EntryId::from_bytes(id);
            RefusedEntry { entry, author: key, from: key, reason, at_millis: 1, times: 1 }
        };
        let refusals = Refusals::default();
        for number in 0..REFUSALS_KEPT + 10 {
            refusals.note(database, refused(number));
            refusals.note(database, refused(REFUSALS_KEPT + 99));
        }
        let all = refusals.all(&database);
        assert_eq!(all.len(), REFUSALS_KEPT);
        assert_eq!(refusals.of(&database, &refused(5).entry), None);
        let often = refusals.of(&database, &refused(REFUSALS_KEPT + 99).entry).unwrap();
        assert_eq!(often.times, REFUSALS_KEPT as u64 + 10);
        assert_eq!(refusals.all(&DatabaseId::from_bytes([8; 32])), Vec::new());
    }
}
