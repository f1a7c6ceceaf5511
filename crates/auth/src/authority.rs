//! The authority of one database: its settings entries, what they grant and the epochs they make.
//!
//! Invariant: settings entries come in causal order, each after its verdict; what is judged never
//! depends on entries that are not in the past of what is judged.

use std::sync::Arc;

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::current::Current;
use crate::epoch::{Before, EpochId, Known, Origin};
use crate::judge::{self, AuthRefusal};
use crate::need::{Claim, Need};
use crate::operation::{Operation, Subject};
use crate::rank::Rank;
use crate::resolve;
use crate::settings_index::SettingsIndex;
use crate::tables::Tables;

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
    /// Whether it has a section beside `_settings`.
    pub writes_data: bool,
    /// What its `_settings` section says.
    pub operations: Vec<Operation>,
}

impl RestoredEntry {
    fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.id,
            author: self.author,
            generation: self.generation,
            time: self.time,
            writes_data: self.writes_data,
            operations: Some(&self.operations),
        }
    }
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
        Self { tables: Arc::new(Tables::new()) }
    }

    /// Takes up what was kept: accepted settings entries by index, each with the epoch of its own
    /// past, and the tips of every epoch by id. Which of them count is worked out once, at the end.
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
        let mut tables = Tables::new();
        for (epoch, entry) in entries {
            // An epoch is interned before the entries that name it and after those that it names.
            while tables.epochs.epoch_count() <= epoch.0 {
                let index = tables.epochs.settings_count();
                let missing = RestoreError::Entry { index, epoch: epoch.0 };
                restore_epoch(&mut tables, epochs.next().ok_or(missing)?)?;
            }
            tables.keep(epoch, &entry.claim());
        }
        epochs.try_for_each(|tips| restore_epoch(&mut tables, tips))?;
        resolve_all(&mut tables);
        Ok(Self { tables: Arc::new(tables) })
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
    /// counts among its ancestors. The root counts by itself; an unknown epoch grants nothing.
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
        judge::judge(&self.tables, before, claim)
    }

    /// Judges an entry without settings, which the door has let in, among everything: `Ok` where it
    /// is visible. `is_before` answers whether it is in the past of a settings entry; of one that has
    /// just come it is always `false`.
    ///
    /// # Errors
    /// [`AuthRefusal`] with the reason why it is hidden, until other settings entries come.
    pub fn stands(
        &self,
        epoch: EpochId,
        claim: &Claim<'_>,
        is_before: &dyn Fn(SettingsIndex) -> bool,
    ) -> Result<Rank, AuthRefusal> {
        self.stands_before(&epoch.into(), claim, is_before)
    }

    /// Judges an entry by its past, which need not be interned, as [`Self::stands`] does.
    ///
    /// # Errors
    /// [`AuthRefusal`] with the reason why it is hidden, until other settings entries come.
    pub fn stands_before(
        &self,
        before: &Before,
        claim: &Claim<'_>,
        is_before: &dyn Fn(SettingsIndex) -> bool,
    ) -> Result<Rank, AuthRefusal> {
        let tables = &*self.tables;
        let need = Need::of(claim)?;
        let knows = |index| tables.epochs.is_before(before, index);
        judge::judge_among(tables, &tables.everything, &need, claim, &knows, is_before)
    }

    /// Returns whether a settings entry is visible among everything.
    pub fn is_visible(&self, index: SettingsIndex) -> bool {
        self.tables.everything.ranks.contains_key(&index)
    }

    /// Returns whether everything that was let in so far is visible, and nothing limits anybody.
    pub fn hides_nothing(&self) -> bool {
        let everything = &self.tables.everything;
        everything.limits.is_empty() && everything.ranks.len() == self.tables.entries.len()
    }

    /// Returns the settings entries whose limits may act on entries of this author and are not in the
    /// past that this epoch stands for: [`Self::stands`] asks about no others.
    pub fn limits_beside(&self, epoch: EpochId, author: &PublicKey) -> Vec<SettingsIndex> {
        let Tables { epochs, everything, .. } = &*self.tables;
        let on = [Subject::Key(*author), Subject::Anyone];
        let limits = on.into_iter().flat_map(|subject| everything.limits.on(subject));
        let beside = limits.map(|limit| limit.entry).filter(|entry| !epochs.holds(epoch, *entry));
        let mut beside: Vec<_> = beside.collect();
        beside.sort_unstable();
        beside.dedup();
        beside
    }

    /// Adds a settings entry that [`Self::judge`] accepted, with the epoch of its past.
    pub fn insert(&mut self, epoch: EpochId, claim: &Claim<'_>) -> Inserted {
        let tables = Arc::make_mut(&mut self.tables);
        let knows_all = {
            let before = Before::from(epoch);
            let count = tables.epochs.settings_count();
            tables.epochs.past(&before).is_some_and(|past| past.covers(count))
        };
        let index = tables.keep(epoch, claim);
        let mut moved = Vec::new();
        if knows_all {
            let mut everything = std::mem::take(&mut tables.everything);
            if resolve::extend(tables, &mut everything, index) {
                tables.set_by(index);
            }
            tables.everything = everything;
        } else {
            moved = resolve_all(tables);
            moved.retain(|moved| *moved != index);
        }
        let visible = tables.everything.ranks.contains_key(&index);
        if visible && tables.kept(index).is_some_and(|kept| kept.limits().next().is_some()) {
            moved.push(index);
        }
        Inserted { index, visible, moved }
    }

    /// Views what all settings entries that are visible together say.
    pub fn current(&self) -> Current<'_> {
        Current::new(&self.tables)
    }
}

/// What came of adding a settings entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// Its index.
    pub index: SettingsIndex,
    /// Whether it is visible.
    pub visible: bool,
    /// The settings entries whose effect on others has changed by it, ascending: itself if it limits
    /// somebody, and those that count now, do not count any more, or count under another rank. Only
    /// these and entries that are not in the past of all of these can stand otherwise than before.
    pub moved: Vec<SettingsIndex>,
}

fn restore_epoch(tables: &mut Tables, tips: Vec<SettingsIndex>) -> Result<(), RestoreError> {
    let place = tables.epochs.epoch_count();
    let settings = tables.epochs.settings_count();
    let ascending = tips.is_sorted_by(|a, b| a < b);
    if !ascending || tips.iter().any(|tip| tip.0 >= settings) {
        return Err(RestoreError::Epoch(place));
    }
    let interned = tables.epochs.intern(tips);
    if interned.0 == place { Ok(()) } else { Err(RestoreError::Epoch(place)) }
}

/// Resolves everything anew; returns the entries that count otherwise than before, ascending.
fn resolve_all(tables: &mut Tables) -> Vec<SettingsIndex> {
    let after = resolve::resolve(tables, None);
    let before = std::mem::replace(&mut tables.everything, after);
    let after = &tables.everything.ranks;
    let all = (0..tables.epochs.settings_count()).map(SettingsIndex);
    let moved = all.filter(|index| before.ranks.get(index) != after.get(index)).collect();
    tables.settings.clear();
    let visible: Vec<_> = tables.everything.ranks.keys().copied().collect();
    visible.into_iter().for_each(|index| tables.set_by(index));
    moved
}
