//! The resolutions of recent authority epochs.
//!
//! Invariant: what is resolved for an epoch holds for good, so clones may share a cache.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::epoch::EpochId;
use crate::resolved::Resolved;

/// How many epochs are kept.
const EPOCHS_MAX: usize = 32;

type Recent = VecDeque<(EpochId, Arc<Resolved>)>;

/// The latest used resolutions, shared by clones of one authority.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache(Arc<Mutex<Recent>>);

impl Cache {
    pub(crate) fn get(&self, epoch: EpochId) -> Option<Arc<Resolved>> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.iter().position(|(known, _)| *known == epoch)?;
        let found = recent.remove(place)?;
        let resolved = Arc::clone(&found.1);
        recent.push_front(found);
        Some(resolved)
    }

    pub(crate) fn put(&self, epoch: EpochId, resolved: &Arc<Resolved>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.truncate(EPOCHS_MAX - 1);
        recent.push_front((epoch, Arc::clone(resolved)));
    }
}
