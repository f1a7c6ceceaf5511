//! The authority of one database: its settings entries, what they grant and the epochs they make.
//!
//! Invariant: settings entries come in causal order, each after its verdict; what is judged never
//! depends on entries that are not in the past of what is judged.

use std::sync::Arc;

use weald_dag::PublicKey;

use crate::current::Current;
use crate::epoch::{Before, EpochId, Known, Origin};
use crate::extend::Extended;
use crate::judge::{self, Judgement};
use crate::need::{Claim, Need};
use crate::operation::Subject;
use crate::rank::Rank;
use crate::refusal::AuthRefusal;
use crate::settings_index::SettingsIndex;
use crate::tables::Tables;

/// Who may do what in one database, at any point of its graph.
///
/// Cloning is cheap; a clone shares everything until either changes. Judging needs no cache and so
/// no `&mut`: it is one look-up of the author and a bit for each of its few holdings.
#[derive(Clone, Debug)]
pub struct Authority {
    pub(crate) tables: Arc<Tables>,
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

    /// Returns the epoch of an entry with these parents. When it is new, [`Self::epoch_count`] grows
    /// and its tips are to be kept.
    pub fn epoch_of(&mut self, parents: &[Origin]) -> EpochId {
        let before = self.before(parents);
        self.intern(before)
    }

    /// Returns the past of an entry with these parents, to judge it by. Nothing is kept.
    pub fn before(&self, parents: &[Origin]) -> Before {
        self.tables.entries.epochs.before(parents)
    }

    /// Returns the epoch of the past of an entry that is accepted. When it is new,
    /// [`Self::epoch_count`] grows and its tips are to be kept.
    pub fn intern(&mut self, before: Before) -> EpochId {
        match before.0 {
            Known::Epoch(epoch) => epoch,
            Known::Not { tips, .. } => Arc::make_mut(&mut self.tables).entries.epochs.intern(tips),
        }
    }

    /// Returns how many epochs there are, the empty one included.
    pub fn epoch_count(&self) -> u64 {
        self.tables.entries.epochs.epoch_count()
    }

    /// Returns how many settings entries were inserted.
    pub fn settings_count(&self) -> u64 {
        self.tables.entries.epochs.settings_count()
    }

    /// Returns the settings tips that an epoch stands for, ascending; none for an unknown epoch.
    pub fn epoch_tips(&self, epoch: EpochId) -> &[SettingsIndex] {
        self.tables.entries.epochs.tips(epoch)
    }

    /// Returns the settings entries that no other settings entry descends from, ascending.
    pub fn settings_tips(&self) -> &[SettingsIndex] {
        self.tables.entries.epochs.newest()
    }

    /// Returns whether an entry is this settings entry or descends from it.
    pub fn knows(&self, entry: Origin, settings: SettingsIndex) -> bool {
        entry.settings == Some(settings) || self.tables.entries.epochs.holds(entry.epoch, settings)
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
        let need = Need::of(claim)?;
        let (tables, resolved) = (&*self.tables, &self.tables.everything);
        let knows = |index| tables.entries.epochs.is_before(before, index);
        let judgement = Judgement { tables, resolved, need: &need, claim };
        judgement.rank(&knows, &|_| true, is_before)
    }

    /// Returns why a settings entry is hidden among everything; `None` if it is visible or unknown.
    pub fn why_hidden(&self, index: SettingsIndex) -> Option<AuthRefusal> {
        judge::why_hidden(&self.tables, index)
    }

    /// Returns whether a settings entry is visible among everything.
    pub fn is_visible(&self, index: SettingsIndex) -> bool {
        self.tables.everything.counts(index)
    }

    /// Returns whether everything that was let in so far is visible, and nothing limits anybody.
    pub fn hides_nothing(&self) -> bool {
        let everything = &self.tables.everything;
        everything.shares.limits_nobody() && everything.counting() == self.tables.entries.count()
    }

    /// Returns the settings entries whose limits may act on entries of this author and are not in the
    /// past that this epoch stands for: [`Self::stands`] asks about no others.
    pub fn limits_beside(&self, epoch: EpochId, author: &PublicKey) -> Vec<SettingsIndex> {
        let Tables { entries, everything, .. } = &*self.tables;
        let shares = everything.shares.usable_by(Subject::Key(*author)).into_iter();
        let limits = shares.flat_map(|share| &share.limits).map(|limit| limit.entry);
        let mut beside: Vec<_> =
            limits.filter(|entry| !entries.epochs.holds(epoch, *entry)).collect();
        beside.sort_unstable();
        beside.dedup();
        beside
    }

    /// Adds a settings entry that [`Self::judge`] accepted, with the epoch of its past.
    pub fn insert(&mut self, epoch: EpochId, claim: &Claim<'_>) -> Inserted {
        let tables = Arc::make_mut(&mut self.tables);
        let (index, extended) = tables.add(epoch, claim);
        let mut moved = match extended {
            Extended::Hidden | Extended::Counts => Vec::new(),
            Extended::Moves => tables.resolve(),
        };
        let visible = tables.everything.counts(index);
        moved.retain(|moved| *moved != index);
        if visible && tables.entries.get(index).is_some_and(|kept| kept.limits().next().is_some()) {
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
