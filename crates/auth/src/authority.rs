//! The authority of one database: its settings entries, what they grant and the epochs they make.
//!
//! Invariant: settings entries come in causal order, each after its verdict; what is judged never
//! depends on entries that are not in the past of what is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::current::Current;
use crate::epoch::{Before, EpochId, Epochs, Known, Origin};
use crate::holding::{Holding, Holdings};
use crate::judge::{self, AuthRefusal, Claim};
use crate::operation::Operation;
use crate::rank::Rank;
use crate::settings_index::SettingsIndex;
use crate::tables::{Stamp, Tables};

/// An accepted settings entry as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredEntry {
    /// Its id.
    pub id: EntryId,
    /// Who signed it.
    pub author: PublicKey,
    /// Its generation.
    pub generation: u64,
    /// The time that it names.
    pub time: Time,
    /// What its `_settings` section says.
    pub operations: Vec<Operation>,
}

/// Why kept rows are not an authority.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The first epoch is not the empty one.
    #[error("the first authority epoch is not empty; rebuild the epochs from the entries")]
    FirstEpoch,
    /// An epoch names a settings entry that did not come before it, or is there twice.
    #[error("authority epoch {0} cannot stand at its place; rebuild the epochs from the entries")]
    Epoch(u64),
    /// A settings entry names an epoch that did not come before it.
    #[error(
        "settings entry {index} names authority epoch {epoch}, which is not there before it; \
         rebuild the epochs from the entries"
    )]
    Entry {
        /// The entry's index.
        index: u64,
        /// The epoch it names.
        epoch: u64,
    },
}

/// Who may do what in one database, at any point of its graph.
///
/// Cloning is cheap; a clone shares everything until either changes. Judging needs no cache and so
/// no `&mut`: it is one look-up of the author and a bit for each of its few holdings.
#[derive(Clone, Debug)]
pub struct Authority {
    tables: Arc<Tables>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Starts without any entry; one epoch, the empty one, is there.
    pub fn new() -> Self {
        let (holdings, settings) = (Holdings::default(), BTreeMap::new());
        Self { tables: Arc::new(Tables { epochs: Epochs::new(), holdings, settings }) }
    }

    /// Takes up what was kept: accepted settings entries by index, each with the epoch of its own
    /// past, and the tips of every epoch by id. Entries are not judged again.
    ///
    /// # Errors
    /// [`RestoreError`] when an epoch or an entry names something that did not come before it.
    pub fn restore(
        entries: impl IntoIterator<Item = (EpochId, RestoredEntry)>,
        epochs: Vec<Vec<SettingsIndex>>,
    ) -> Result<Self, RestoreError> {
        let mut epochs = epochs.into_iter();
        if epochs.next().is_some_and(|tips| !tips.is_empty()) {
            return Err(RestoreError::FirstEpoch);
        }
        let mut authority = Self::new();
        for (epoch, entry) in entries {
            // An epoch is interned before the entries that name it and after those that it names.
            while authority.epoch_count() <= epoch.0 {
                let index = authority.settings_count();
                let missing = RestoreError::Entry { index, epoch: epoch.0 };
                authority.restore_epoch(epochs.next().ok_or(missing)?)?;
            }
            let RestoredEntry { id, author, generation, time, operations } = &entry;
            let (author, generation, time) = (*author, *generation, *time);
            let operations = Some(operations.as_slice());
            let claim = Claim { id: *id, author, generation, time, writes_data: false, operations };
            authority.insert(epoch, &claim);
        }
        epochs.try_for_each(|tips| authority.restore_epoch(tips))?;
        Ok(authority)
    }

    fn restore_epoch(&mut self, tips: Vec<SettingsIndex>) -> Result<(), RestoreError> {
        let place = self.epoch_count();
        let settings = self.settings_count();
        let ascending = tips.is_sorted_by(|a, b| a < b);
        if !ascending || tips.iter().any(|tip| tip.0 >= settings) {
            return Err(RestoreError::Epoch(place));
        }
        let interned = Arc::make_mut(&mut self.tables).epochs.intern(tips);
        if interned.0 == place { Ok(()) } else { Err(RestoreError::Epoch(place)) }
    }

    /// Returns the epoch of an entry with these parents. When it is new, [`Self::epoch_count`] grows
    /// and its tips are to be kept.
    pub fn epoch_of(&mut self, parents: &[Origin]) -> EpochId {
        let before = self.before(parents);
        self.intern(before)
    }

    /// Returns the past of an entry with these parents, to judge it by. Nothing is kept.
    pub fn before(&self, parents: &[Origin]) -> Before {
        self.tables.epochs.before(parents)
    }

    /// Returns the epoch of the past of an entry that is accepted. When it is new,
    /// [`Self::epoch_count`] grows and its tips are to be kept.
    pub fn intern(&mut self, before: Before) -> EpochId {
        match before.0 {
            Known::Epoch(epoch) => epoch,
            Known::Not { tips, .. } => Arc::make_mut(&mut self.tables).epochs.intern(tips),
        }
    }

    /// Returns how many epochs there are, the empty one included.
    pub fn epoch_count(&self) -> u64 {
        self.tables.epochs.epoch_count()
    }

    /// Returns how many settings entries were inserted.
    pub fn settings_count(&self) -> u64 {
        self.tables.epochs.settings_count()
    }

    /// Returns the settings tips that an epoch stands for, ascending; none for an unknown epoch.
    pub fn epoch_tips(&self, epoch: EpochId) -> &[SettingsIndex] {
        self.tables.epochs.tips(epoch)
    }

    /// Returns the settings entries that no other settings entry descends from, ascending.
    pub fn settings_tips(&self) -> &[SettingsIndex] {
        self.tables.epochs.newest()
    }

    /// Returns whether an entry is this settings entry or descends from it.
    pub fn knows(&self, entry: Origin, settings: SettingsIndex) -> bool {
        entry.settings == Some(settings) || self.tables.epochs.holds(entry.epoch, settings)
    }

    /// Judges an entry whose past has this epoch, and returns the strongest rank under which it
    /// counts. The root counts by itself; an unknown epoch grants nothing.
    ///
    /// # Errors
    /// [`AuthRefusal`], the same on every replica and for good.
    pub fn judge(&self, epoch: EpochId, claim: &Claim<'_>) -> Result<Rank, AuthRefusal> {
        self.judge_before(&epoch.into(), claim)
    }

    /// Judges an entry by its past, which need not be interned, as [`Self::judge`] does.
    ///
    /// # Errors
    /// [`AuthRefusal`], the same on every replica and for good.
    pub fn judge_before(&self, before: &Before, claim: &Claim<'_>) -> Result<Rank, AuthRefusal> {
        judge::judge(&self.tables.epochs, &self.tables.holdings, before, claim)
    }

    /// Adds a settings entry that [`Self::judge`] accepted, with the epoch of its past.
    pub fn insert(&mut self, epoch: EpochId, claim: &Claim<'_>) -> SettingsIndex {
        let tables = Arc::make_mut(&mut self.tables);
        let grant = tables.epochs.add(epoch);
        for (index, operation) in claim.operations.unwrap_or_default().iter().enumerate() {
            match operation {
                Operation::Grant { subject, level, name, expires } => {
                    let holding = Holding {
                        level: *level,
                        rank: judge::rank_of(claim, index, *level),
                        name: name.clone(),
                        expires: *expires,
                        granted_by: claim.author,
                        since: claim.time,
                        grant,
                    };
                    tables.holdings.add(*subject, holding);
                }
                Operation::Set { key, value } => {
                    tables.set(key, value, (claim.time, claim.id, index));
                }
            }
        }
        grant
    }

    /// Views what all settings entries together say.
    pub fn current(&self) -> Current<'_> {
        Current::new(&self.tables)
    }
}

impl Tables {
    fn set(&mut self, key: &str, value: &str, stamp: Stamp) {
        if self.settings.get(key).is_none_or(|(before, _)| *before < stamp) {
            self.settings.insert(key.to_owned(), (stamp, Arc::from(value)));
        }
    }
}
