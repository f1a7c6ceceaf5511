//! How often somebody has done something within an hour.
//!
//! Invariant: a bounded number is counted at once; the one whose hour began first is forgotten first.

use std::collections::BTreeMap;

const HOUR_MS: u64 = 60 * 60 * 1_000;
/// How many are counted at once.
pub(super) const COUNTED_MAX: usize = 1_024;

/// Of each: when its hour began, in milliseconds since 1970, and how often since.
pub(super) struct Hourly<K>(BTreeMap<K, (u64, u32)>);

impl<K> Default for Hourly<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Hourly<K> {
    /// Counts one more; returns whether it is within `limit`.
    pub(super) fn count(&mut self, who: &K, now: u64, limit: u32) -> bool {
        if !self.0.contains_key(who) && self.0.len() >= COUNTED_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (began, _))| *began);
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                self.0.remove(&oldest);
            }
        }
        let (began, times) = self.0.entry(who.clone()).or_insert((now, 0));
        // Also where the clock was set back.
        if now.abs_diff(*began) >= HOUR_MS {
            (*began, *times) = (now, 0);
        }
        *times = times.saturating_add(1);
        *times <= limit
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
