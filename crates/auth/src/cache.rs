//! The resolutions of pasts that entries were judged by lately.
//!
//! Invariant: a past resolves for good, and a clone has a cache of its own, so tips name the same
//! past for as long as a cache lives.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::past::Past;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;

/// How many pasts are remembered.
const PASTS_MAX: usize = 32;
/// How many settings entries count in all pasts that are remembered, together; the newest past is
/// remembered however many they are.
const ENTRIES_MAX: u64 = 1 << 17;

/// A past with what counts in it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) tips: Arc<[SettingsIndex]>,
    pub(crate) past: Past,
    pub(crate) resolved: Arc<Resolved>,
}

/// The latest used resolutions.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<VecDeque<Known>>);

impl Clone for Cache {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.recent().clone()))
    }
}

impl Cache {
    fn recent(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, tips: &[SettingsIndex]) -> Option<Arc<Resolved>> {
        let mut recent = self.recent();
        let place = recent.iter().position(|known| *known.tips == *tips)?;
        let known = recent.remove(place)?;
        let resolved = Arc::clone(&known.resolved);
        recent.push_front(known);
        Some(resolved)
    }

    /// Returns what a past is best resolved from: of those that it includes, the one with the most
    /// entries that count.
    pub(crate) fn greatest_within(&self, past: &Past) -> Option<Known> {
        let recent = self.recent();
        let included = recent.iter().filter(|known| past.includes(&known.past));
        included.max_by_key(|known| known.resolved.counting()).cloned()
    }

    pub(crate) fn put(&self, known: Known) {
        let mut recent = self.recent();
        recent.truncate(PASTS_MAX - 1);
        recent.push_front(known);
        let mut entries = 0;
        let mut fits = |known: &Known| {
            entries += known.resolved.counting();
            entries <= ENTRIES_MAX
        };
        let fitting = recent.iter().map_while(|known| fits(known).then_some(())).count();
        recent.truncate(fitting.max(1));
    }
}
