//! Texts kept in memory between one use and the next, so that an edit costs its operations and not
//! the document.
//!
//! Invariant: one that is in use is not in here, so no two transactions write as the same peer at
//! the same counter; one whose edits were not committed never comes back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use weald_crdt::View;

use super::replica::{Replica, ReplicaError, Standing};

/// How many texts are kept in memory; of more the least recently used is let go.
pub const TEXTS_KEPT: usize = 16;

/// Names a store: the database's local number, and its name.
type Place = (u32, String);

/// Texts that nobody is using.
#[derive(Default)]
pub(crate) struct TextPool(Mutex<VecDeque<(Place, Replica)>>);

impl TextPool {
    /// Takes the text of a store as these rows say it; loads it if none is kept that is so far.
    pub(super) fn take(
        &self,
        database: u32,
        name: &str,
        view: &dyn View,
    ) -> Result<Replica, ReplicaError> {
        let mut ahead = Vec::new();
        let found = loop {
            let Some(mut replica) = self.take_any(database, name) else { break None };
            match replica.advance(view)? {
                Standing::Current => break Some(replica),
                Standing::Ahead => ahead.push(replica),
                Standing::Useless => {}
            }
        };
        for replica in ahead {
            self.put(database, name, replica);
        }
        found.map_or_else(|| Replica::load(view), Ok)
    }

    fn take_any(&self, database: u32, name: &str) -> Option<Replica> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|(place, _)| place.0 == database && place.1 == name)?;
        kept.remove(at).map(|(_, replica)| replica)
    }

    /// Lets go of the text of a store.
    pub(crate) fn forget(&self, database: u32, name: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(place, _)| place.0 != database || place.1 != name);
    }

    /// Keeps a text that nobody is using any more.
    pub(super) fn put(&self, database: u32, name: &str, replica: Replica) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = if kept.len() >= TEXTS_KEPT { kept.pop_front() } else { None };
        kept.push_back(((database, name.to_owned()), replica));
        drop(kept);
        // Letting go of a text takes longer than others should wait.
        drop(old);
    }
}
