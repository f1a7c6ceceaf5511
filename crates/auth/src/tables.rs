//! All settings entries of a database that were let in, and what counts among them.
//!
//! Invariant: `everything` is what one pass makes of all entries; an entry of which none of the
//! `unsettled` is an ancestor and which is none of them counts in every past that holds it as it
//! counts among all.

use std::collections::BTreeMap;
use std::sync::Arc;

use weald_dag::{EntryId, Time};

use crate::cache::Cache;
use crate::entries::Entries;
use crate::epoch::EpochId;
use crate::extend::{Extended, extend, is_unsettled};
use crate::need::Claim;
use crate::operation::Operation;
use crate::past::Past;
use crate::resolve::resolve;
use crate::resolved::Resolved;
use crate::settings_index::SettingsIndex;

/// Decides of two writes to one setting: the greater one stands.
pub(crate) type Stamp = (Time, EntryId, usize);

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) entries: Entries,
    pub(crate) everything: Resolved,
    /// The first entries that count among all otherwise than in their own pasts; none of them is in
    /// the past of another.
    unsettled: Vec<SettingsIndex>,
    pub(crate) settings: BTreeMap<String, (Stamp, Arc<str>)>,
    pub(crate) cache: Cache,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            entries: Entries::new(),
            everything: Resolved::default(),
            unsettled: Vec::new(),
            settings: BTreeMap::new(),
            cache: Cache::default(),
        }
    }

    /// Adds a settings entry and, unless it moves others, what it gives and takes.
    pub(crate) fn add(&mut self, epoch: EpochId, claim: &Claim<'_>) -> (SettingsIndex, Extended) {
        let index = self.entries.add(epoch, claim);
        let extended = extend(&self.entries, &mut self.everything, index);
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
        let after = resolve(&self.entries, None);
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

    /// Returns whether what counts in a past is what counts among all and is in that past.
    pub(crate) fn is_settled(&self, past: &Past) -> bool {
        !self.unsettled.iter().any(|index| past.contains(*index))
            || past.covers(self.entries.count())
    }

    /// Notes an entry that counts among all otherwise than in its own past, if it is the first.
    fn settle(&mut self, index: SettingsIndex) {
        let mut earlier = self.unsettled.iter();
        if !earlier.any(|earlier| self.entries.precedes(*earlier, index))
            && is_unsettled(&self.entries, &self.everything, index)
        {
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
