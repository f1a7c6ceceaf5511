//! Authority epochs: the sets of settings tips that entries have in their pasts, interned.
//!
//! Invariant: two entries have the same epoch exactly if the same settings entries are in their
//! pasts. An epoch names only settings entries that were there before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::past::Past;
use crate::settings_index::SettingsIndex;

/// Names an interned set of settings tips. Numbers are local to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochId(pub u64);

impl EpochId {
    /// The empty set: the past of the root.
    pub const EMPTY: Self = Self(0);
}

/// What authority needs to know of one parent of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The epoch of the parent's own past.
    pub epoch: EpochId,
    /// The parent's index, if it is itself a settings entry.
    pub settings: Option<SettingsIndex>,
}

/// The settings entries in the past of an entry that is to be judged. Asking for it keeps nothing,
/// so entries that are refused cost no memory.
#[derive(Clone, Debug)]
pub struct Before(pub(crate) Known);

#[derive(Clone, Debug)]
pub(crate) enum Known {
    Epoch(EpochId),
    Not { tips: Vec<SettingsIndex>, past: Past },
}

impl From<EpochId> for Before {
    fn from(epoch: EpochId) -> Self {
        Self(Known::Epoch(epoch))
    }
}

#[derive(Debug)]
struct Epoch {
    tips: Arc<[SettingsIndex]>,
    past: Past,
}

/// All epochs of one database, and the epoch of each settings entry's own past.
#[derive(Clone, Debug)]
pub(crate) struct Epochs {
    epochs: Vec<Arc<Epoch>>,
    interned: BTreeMap<Arc<[SettingsIndex]>, EpochId>,
    origins: Vec<EpochId>,
    /// The settings entries that no other reaches, ascending.
    newest: Vec<SettingsIndex>,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        let mut epochs = Self {
            epochs: Vec::new(),
            interned: BTreeMap::new(),
            origins: Vec::new(),
            newest: Vec::new(),
        };
        epochs.intern(Vec::new());
        epochs
    }

    pub(crate) const fn epoch_count(&self) -> u64 {
        self.epochs.len() as u64
    }

    pub(crate) const fn settings_count(&self) -> u64 {
        self.origins.len() as u64
    }

    pub(crate) fn tips(&self, epoch: EpochId) -> &[SettingsIndex] {
        self.get(epoch).map_or(&[], |epoch| &epoch.tips)
    }

    /// Returns the epoch of these tips, if it is interned.
    pub(crate) fn find(&self, tips: &[SettingsIndex]) -> Option<EpochId> {
        self.interned.get(tips).copied()
    }

    /// Returns whether a settings entry is in the past that an epoch stands for.
    pub(crate) fn holds(&self, epoch: EpochId, index: SettingsIndex) -> bool {
        self.get(epoch).is_some_and(|epoch| epoch.past.contains(index))
    }

    /// Returns the settings tips in the past of an entry with these parents, ascending.
    pub(crate) fn tips_of(&self, parents: &[Origin]) -> Vec<SettingsIndex> {
        let mut candidates = Vec::new();
        for parent in parents {
            match parent.settings {
                Some(index) => candidates.push(index),
                None => candidates.extend_from_slice(self.tips(parent.epoch)),
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        let origins: Vec<_> = candidates.iter().filter_map(|index| self.origin(*index)).collect();
        let covered = |index| origins.iter().any(|epoch| self.holds(*epoch, index));
        candidates.into_iter().filter(|index| !covered(*index)).collect()
    }

    /// Returns the past of an entry with these parents, without interning it.
    pub(crate) fn before(&self, parents: &[Origin]) -> Before {
        if let Some((first, rest)) = parents.split_first()
            && first.settings.is_none()
            && rest.iter().all(|parent| parent == first)
        {
            return Before(Known::Epoch(first.epoch));
        }
        let tips = self.tips_of(parents);
        Before(match self.find(&tips) {
            Some(epoch) => Known::Epoch(epoch),
            None => Known::Not { past: self.past_of(&tips), tips },
        })
    }

    /// Returns whether a settings entry is in a past.
    pub(crate) fn is_before(&self, before: &Before, index: SettingsIndex) -> bool {
        self.past(before).is_some_and(|past| past.contains(index))
    }

    /// Returns the settings entries in a past.
    pub(crate) fn past<'a>(&'a self, before: &'a Before) -> Option<&'a Past> {
        match &before.0 {
            Known::Epoch(epoch) => self.get(*epoch).map(|epoch| &epoch.past),
            Known::Not { past, .. } => Some(past),
        }
    }

    /// Returns the settings tips of a past.
    pub(crate) fn tips_before<'a>(&'a self, before: &'a Before) -> &'a [SettingsIndex] {
        match &before.0 {
            Known::Epoch(epoch) => self.tips(*epoch),
            Known::Not { tips, .. } => tips,
        }
    }

    /// Returns the settings entries in the past of one of them.
    pub(crate) fn past_of_entry(&self, index: SettingsIndex) -> Option<&Past> {
        Some(&self.get(self.origin(index)?)?.past)
    }

    /// Returns whether a settings entry is in the past of another one.
    pub(crate) fn precedes(&self, earlier: SettingsIndex, later: SettingsIndex) -> bool {
        self.origin(later).is_some_and(|epoch| self.holds(epoch, earlier))
    }

    fn past_of(&self, tips: &[SettingsIndex]) -> Past {
        let mut past = Past::default();
        for tip in tips {
            if let Some(epoch) = self.origin(*tip).and_then(|epoch| self.get(epoch)) {
                past.union(&epoch.past);
            }
            past.insert(*tip);
        }
        past
    }

    /// Interns tips that no other of them reaches, ascending.
    pub(crate) fn intern(&mut self, tips: Vec<SettingsIndex>) -> EpochId {
        if let Some(epoch) = self.find(&tips) {
            return epoch;
        }
        let past = self.past_of(&tips);
        let id = EpochId(self.epoch_count());
        let tips: Arc<[SettingsIndex]> = tips.into();
        self.interned.insert(Arc::clone(&tips), id);
        self.epochs.push(Arc::new(Epoch { tips, past }));
        id
    }

    /// Adds a settings entry whose own past is `epoch`.
    pub(crate) fn add(&mut self, epoch: EpochId) -> SettingsIndex {
        let index = SettingsIndex(self.settings_count());
        // What is newest of all and before the entry is newest in its past too.
        let covered = self.get(epoch).map(|epoch| Arc::clone(&epoch.tips)).unwrap_or_default();
        self.newest.retain(|tip| !covered.contains(tip));
        self.newest.push(index);
        self.origins.push(epoch);
        index
    }

    pub(crate) fn newest(&self) -> &[SettingsIndex] {
        &self.newest
    }

    fn get(&self, epoch: EpochId) -> Option<&Epoch> {
        self.epochs.get(usize::try_from(epoch.0).ok()?).map(Arc::as_ref)
    }

    fn origin(&self, index: SettingsIndex) -> Option<EpochId> {
        self.origins.get(usize::try_from(index.0).ok()?).copied()
    }
}
