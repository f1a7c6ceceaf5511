//! Authority from what was kept of it.
//!
//! Invariant: what is restored is what was inserted; what cannot have been inserted is refused.

use std::sync::Arc;

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::authority::Authority;
use crate::epoch::EpochId;
use crate::extend::Extended;
use crate::need::Claim;
use crate::operation::Operation;
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

impl Authority {
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
        let mut moves = false;
        for (epoch, entry) in entries {
            // An epoch is interned before the entries that name it and after those that it names.
            while tables.entries.epochs.epoch_count() <= epoch.0 {
                let index = tables.entries.count();
                let missing = RestoreError::Entry { index, epoch: epoch.0 };
                restore_epoch(&mut tables, epochs.next().ok_or(missing)?)?;
            }
            if moves {
                tables.entries.add(epoch, &entry.claim());
            } else {
                moves = tables.add(epoch, &entry.claim()).1 == Extended::Moves;
            }
        }
        epochs.try_for_each(|tips| restore_epoch(&mut tables, tips))?;
        if moves {
            tables.resolve();
        }
        Ok(Self { tables: Arc::new(tables) })
    }
}

fn restore_epoch(tables: &mut Tables, tips: Vec<SettingsIndex>) -> Result<(), RestoreError> {
    let place = tables.entries.epochs.epoch_count();
    let settings = tables.entries.count();
    let ascending = tips.is_sorted_by(|a, b| a < b);
    if !ascending || tips.iter().any(|tip| tip.0 >= settings) {
        return Err(RestoreError::Epoch(place));
    }
    let interned = tables.entries.epochs.intern(tips);
    if interned.0 == place { Ok(()) } else { Err(RestoreError::Epoch(place)) }
}
