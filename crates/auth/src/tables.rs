//! All settings entries of a database that were let in, and what counts among them.
//!
//! Invariant: `everything` is what one pass makes of all entries, and `unsettled` are those of them
//! that would count otherwise by the limits in their own pasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, Time};

use crate::cache::Cache;
use crate::entries::Entries;
use crate::epoch::EpochId;
use crate::extend::{Extended, extend, rank_among};
use crate::need::Claim;
use crate::operation::Operation;
use crate::past::Past;
use crate::resolve::resolve;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;

/// Up to how many entries are looked at to tell what counts in a past.
const UNSETTLED_MAX: usize = 256;

/// Decides of two writes to one setting: the greater one stands.
pub(crate) type Stamp = (Time, EntryId, usize);

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) entries: Entries,
    pub(crate) everything: Arc<Resolved>,
    /// The entries that count otherwise than they would by the limits in their own pasts, ascending.
    unsettled: Vec<SettingsIndex>,
    pub(crate) settings: BTreeMap<String, (Stamp, Arc<str>)>,
    pub(crate) cache: Cache,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            entries: Entries::new(),
            everything: Arc::default(),
            unsettled: Vec::new(),
            settings: BTreeMap::new(),
            cache: Cache::default(),
        }
    }

    /// Adds a settings entry and, unless it moves others, what it gives and takes.
    pub(crate) fn add(&mut self, epoch: EpochId, claim: &Claim<'_>) -> (SettingsIndex, Extended) {
        let index = self.entries.add(epoch, claim);
        let extended = extend(&self.entries, Arc::make_mut(&mut self.everything), index);
        if extended != Extended::Moves {
            self.settle(index);
        }
        if extended == Extended::Counts {
            self.set_by(index);
        }
        (index, extended)
    }

    /// Resolves everything anew; returns the entries that count otherwise than before, ascending.
    pub(crate) fn resolve(&mut self) -> Vec<SettingsIndex> {
        let after = Arc::new(resolve(&self.entries, None));
        let before = std::mem::replace(&mut self.everything, after);
        self.unsettled.clear();
        self.settings.clear();
        let mut moved = Vec::new();
        for index in self.entries.all() {
            let rank = self.everything.rank(index);
            if before.rank(index) != rank {
                moved.push(index);
            }
            if rank.is_some() {
                self.set_by(index);
            }
            self.settle(index);
        }
        moved
    }

    /// Returns whether what counts in a past is what counts among all, as far as it is in that past;
    /// if that would take long to tell, `false`.
    ///
    /// More limits never make an entry count better. So one that counts alike by those in its own
    /// past and by all there are counts so by those of any past between; only others are looked at.
    pub(crate) fn is_settled(&self, past: &Past) -> bool {
        if self.unsettled.is_empty() || past.covers(self.entries.count()) {
            return true;
        }
        let many = self.unsettled.len() > UNSETTLED_MAX;
        let alike = |index| {
            rank_among(&self.entries, &self.everything, index, &|other| past.contains(other))
                == self.everything.rank(index)
        };
        let mut within = self.unsettled.iter().filter(|index| past.contains(**index));
        within.all(|index| !many && alike(*index))
    }

    /// Notes an entry that would count otherwise by the limits in its own past.
    fn settle(&mut self, index: SettingsIndex) {
        let Self { entries, everything, .. } = self;
        let own = rank_among(entries, everything, index, &|other| entries.precedes(other, index));
        if own != everything.rank(index) {
            self.unsettled.push(index);
        }
    }

    /// Takes up what a visible entry sets.
    fn set_by(&mut self, index: SettingsIndex) {
        let Some(kept) = self.entries.get(index) else { return };
        for (place, operation) in kept.operations.iter().enumerate() {
            let Operation::Set { key, value } = operation else { continue };
            let stamp = (kept.time, kept.id, place);
            if self.settings.get(key).is_none_or(|(before, _)| *before < stamp) {
                self.settings.insert(key.clone(), (stamp, Arc::from(value.as_str())));
            }
        }
    }
}
