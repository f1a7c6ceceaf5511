//! The entries that were placed last, in memory: the parents of most that come are among them.
//!
//! Invariant: it holds all entries that were placed since it was last cleared, and no others.

use std::collections::BTreeMap;

use weald_dag::{EntryId, Known};

/// How many are kept before all are forgotten.
const RECENT_MAX: usize = 16_384;

/// What is known of entries that were placed last. Most ids differ in their first bytes, which are compared as
/// one number.
#[derive(Debug, Default)]
pub(crate) struct Recent(BTreeMap<(u64, EntryId), Known>);

impl Recent {
    pub(crate) fn get(&self, id: &EntryId) -> Option<Known> {
        self.0.get(&key(id)).copied()
    }

    pub(crate) fn contains(&self, id: &EntryId) -> bool {
        self.0.contains_key(&key(id))
    }

    pub(crate) fn insert(&mut self, id: EntryId, known: Known) {
        self.0.insert(key(&id), known);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets all when there are too many.
    pub(crate) fn bound(&mut self) {
        if self.0.len() > RECENT_MAX {
            self.0.clear();
        }
    }
}

fn key(id: &EntryId) -> (u64, EntryId) {
    let first = id.as_bytes().first_chunk().copied().unwrap_or_default();
    (u64::from_be_bytes(first), *id)
}
