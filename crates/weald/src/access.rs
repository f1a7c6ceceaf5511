//! Who may do what in each database, shared by all readers of an instance.
//!
//! Invariant: after a commit to the settings has been answered, readers see it here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use weald_auth::Authority;
use weald_dag::{DatabaseId, StoreError};
use weald_engine::{Held, load_authority};

use crate::rows::Rows;

/// The authorities that were asked for or have changed since the instance was opened.
#[derive(Default)]
pub(crate) struct Access {
    known: RwLock<BTreeMap<DatabaseId, Arc<Authority>>>,
}

impl Access {
    /// Returns the authority of a database, from its rows the first time.
    pub(crate) fn of(&self, held: &Held, rows: &Rows) -> Result<Arc<Authority>, StoreError> {
        if let Some(known) = self.get(&held.id) {
            return Ok(known);
        }
        let loaded = Arc::new(load_authority(rows, held.number)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // What was published meanwhile is newer than what the rows said.
        Ok(Arc::clone(known.entry(held.id).or_insert(loaded)))
    }

    /// Replaces the authority of a database by a newer one.
    pub(crate) fn publish(&self, id: DatabaseId, authority: Arc<Authority>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, authority);
    }

    /// Drops everything, after a write whose outcome is unknown: the rows are asked again.
    pub(crate) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn get(&self, id: &DatabaseId) -> Option<Arc<Authority>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}
