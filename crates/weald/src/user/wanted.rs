//! What the users of a device want of each database, in memory, for whoever syncs.
//!
//! Invariant: it says what the rows of `_databases` say as soon as a change of them has returned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use weald_dag::DatabaseId;

use super::preferences::{Combined, SyncSettings};

/// The wishes of all users.
#[derive(Default)]
pub(crate) struct Wanted {
    known: RwLock<Option<Wishes>>,
    changing: Mutex<()>,
}

/// Wishes as they were read or changed.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) of: BTreeMap<DatabaseId, BTreeMap<Arc<str>, SyncSettings>>,
    /// Databases that the last user who tracked them has removed.
    pub(super) removed: BTreeSet<DatabaseId>,
}

impl Wanted {
    /// Begins a change; others wait until what is returned is dropped.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn know(&self, wishes: Wishes) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(wishes);
    }

    /// Takes note of a change that is durable; nothing is noted before all was read.
    pub(super) fn note(&self, change: impl FnOnce(&mut Wishes)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(wishes) = known.as_mut() {
            change(wishes);
        }
    }

    /// Returns the databases that somebody wants synced, here or not.
    pub(crate) fn enabled(&self) -> Vec<DatabaseId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let all = known.iter().flat_map(|wishes| &wishes.of);
        let enabled = all.filter(|(_, users)| users.values().any(|wish| wish.sync_enabled));
        enabled.map(|(id, _)| *id).collect()
    }

    /// Returns what is obeyed for a database.
    pub(crate) fn combined(&self, id: &DatabaseId) -> Combined {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(wishes) = known.as_ref() else { return Combined::unwished(false) };
        let own = wishes.of.get(id).and_then(|users| Combined::of(users.values()));
        own.unwrap_or_else(|| Combined::unwished(wishes.removed.contains(id)))
    }
}
