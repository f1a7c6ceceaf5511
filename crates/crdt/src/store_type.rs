//! What a store type is: a name, the check of a payload without state, and the merge of a section
//! into the rows, whole or not at all.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::fold::Slot;
use crate::read::Version;
use crate::section::Void;
use crate::stamp::{EntryStamp, Stamp};
use crate::value::Value;
use crate::view::{View, ViewError, ViewMut};

/// Merges the sections of the stores of one type; the door for an app's own types.
///
/// The rows in all areas but [`crate::Area::Local`] must be a function of the set of sections
/// applied, whatever their order.
pub trait StoreType: Send + Sync {
    /// Returns the name that payloads of this type begin with.
    fn name(&self) -> &'static str;

    /// Returns the version of its sections that this build writes; 1 by default.
    ///
    /// A build that knows no version as high keeps such sections unfolded until it is updated, if
    /// [`StoreType::check`] answers [`Void::UnknownVersion`].
    fn version(&self) -> u64 {
        1
    }

    /// Checks everything about a payload that can be checked without state.
    ///
    /// # Errors
    /// [`Void`] if the section adds nothing, on any replica.
    fn check(&self, payload: &[u8]) -> Result<(), Void>;

    /// Applies a section, and adds a [`Change`] for each row whose visible content changed.
    ///
    /// The caller filters duplicates, and answers [`crate::View::applied`] with this section from the
    /// next one on, also if it was void. A section of a hidden entry is given to types alone that
    /// ask for it with [`StoreType::folds_hidden`], as the built-in ones do.
    ///
    /// # Errors
    /// [`ApplyError::Void`] if the section adds nothing: no row changes, and names of it go on waiting.
    /// [`ApplyError::View`] if a row cannot be read; nothing was written.
    fn apply(
        &self,
        payload: &[u8],
        entry: &EntryStamp,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ApplyError>;

    /// Returns what must be folded again when the entry of this section is hidden, shown, or left
    /// out of a view of the past. The whole store by default, which is always right.
    ///
    /// # Errors
    /// [`Void`] if the section adds nothing, on any replica.
    fn touched(&self, payload: &[u8], entry: &EntryStamp) -> Result<Touched, Void> {
        let _ = (payload, entry);
        Ok(Touched::Store)
    }

    /// Folds rows again by what [`View::applied`](crate::View::applied) says now of every entry that
    /// touched them: those that the rows tell of, and `with`. Called for keys that
    /// [`StoreType::touched`] gave, so a type that always answers [`Touched::Store`] has nothing to do.
    ///
    /// # Errors
    /// [`ViewError`] if a row cannot be read; nothing was written.
    fn refold(
        &self,
        rows: &BTreeSet<Vec<u8>>,
        with: &BTreeSet<[u8; 32]>,
        view: &mut dyn ViewMut,
        changes: &mut Vec<Change>,
    ) -> Result<(), ViewError> {
        let _ = (rows, with, view, changes);
        Ok(())
    }

    /// Returns the time and id of every entry that touched a row, or the store if none is given, in
    /// the order of stamps; `None` if the rows do not tell, which is the default: all sections of
    /// the store are looked through then.
    ///
    /// # Errors
    /// [`ViewError`] if a row cannot be read.
    fn entries(
        &self,
        row: Option<&[u8]>,
        view: &dyn View,
    ) -> Result<Option<EntryTimes>, ViewError> {
        let _ = (row, view);
        Ok(None)
    }

    /// Returns whether sections of hidden entries that are needed are applied as well. Not by default.
    fn folds_hidden(&self) -> bool {
        false
    }

    /// Returns what a row of [`crate::Area::State`] says, for people and for exports; `None` for a row
    /// that is damaged or has nothing to show. The bytes by default.
    fn show(&self, key: &[u8], row: &[u8]) -> Option<Value> {
        let _ = key;
        Some(Value::Bytes(row.to_vec()))
    }

    /// Returns the slots of a row of [`crate::Area::State`] that have several live versions. None by
    /// default, as for a damaged row.
    fn conflicts(&self, key: &[u8], row: &[u8]) -> Vec<SlotConflict> {
        let _ = (key, row);
        Vec::new()
    }
}

/// Holds the live versions of a slot that has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotConflict {
    /// The field, if the row has several.
    pub field: Option<String>,
    /// The version that reading the row gives.
    pub winner: Version,
    /// The others, the latest first.
    pub losers: Vec<Version>,
}

impl SlotConflict {
    /// Takes the live versions of a slot; `None` if there are less than two, or one is damaged.
    pub(crate) fn of(field: Option<&str>, slot: &Slot) -> Option<Self> {
        let mut versions = slot
            .live()
            .rev()
            .map(|(stamp, value)| Some(Version { stamp, value: Value::decode(value).ok()? }));
        let (winner, loser) = (versions.next()??, versions.next()??);
        let mut losers = vec![loser];
        for version in versions {
            losers.push(version?);
        }
        Some(Self { field: field.map(str::to_owned), winner, losers })
    }
}

/// Times and ids of entries, in the order of stamps.
pub type EntryTimes = BTreeSet<(u64, [u8; 32])>;

/// Tells what a section touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// These rows, each of which depends on no other.
    Rows(BTreeSet<Vec<u8>>),
    /// The whole store.
    Store,
}

/// Tells that the visible content of a row changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key of the row in [`crate::Area::State`]: a table row, a log item, a leaf of a document.
    pub key: Vec<u8>,
    /// What happened to the row.
    pub kind: ChangeKind,
    /// The versions that now stand side by side, if what changed is in conflict.
    pub conflict: Option<Conflict>,
}

/// Tells what happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The row was not visible before.
    Created,
    /// The row was visible with other versions before.
    Updated,
    /// The row is not visible any more.
    Removed,
}

/// Names the versions of a conflict by their stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The version that reading gives; the latest of them if several fields of a row are in conflict.
    pub winner: Stamp,
    /// The versions that reading does not give, ascending.
    pub losers: Vec<Stamp>,
}

impl Conflict {
    /// Collects the winners and losers of the slots that have more than one live version.
    pub(crate) fn of<'a>(slots: impl Iterator<Item = &'a Slot>) -> Option<Self> {
        let mut winners = Vec::new();
        let mut losers = Vec::new();
        for slot in slots {
            let mut live = slot.live().rev().map(|(stamp, _)| stamp);
            if let (Some(winner), Some(loser)) = (live.next(), live.next()) {
                winners.push(winner);
                losers.push(loser);
                losers.extend(live);
            }
        }
        losers.sort_unstable();
        losers.dedup();
        Some(Self { winner: winners.into_iter().max()?, losers })
    }
}

/// Says why a section was not applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The section adds nothing, on any replica.
    #[error("the section is void: {0}")]
    Void(#[from] Void),
    /// A row could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
}
