//! One database as the door keeps it in memory between groups of entries.
//!
//! Invariant: it says what the rows say plus what is staged, and nothing that could not be read
//! back from them; so it may be dropped at any time between two groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weald_auth::{AuthRefusal, Authority, Before, Claim, EpochId, Inserted, Origin, SettingsIndex};
use weald_dag::{
    Entry, EntryId, Graph, Head, Known, Ladder, Local, Number, Overlay, Parcel, PublicKey,
    Snapshot, Standing, StoreError, Time, append, index, restand,
};

use crate::authors::Authors;
use crate::catalog::Held;
use crate::fold::StoreTypes;
use crate::hidden::{self, HiddenMax, Size, Unneeded};
use crate::index::Indexes;
use crate::recent::Recent;
use crate::refused::Refused;
use crate::settings::{self, Settings};
use crate::standing::{Candidates, Turned};
use crate::unfolded::fold_waiting;
use crate::written::Written;

/// A tip with what a commit on top of it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    pub(crate) id: EntryId,
    pub(crate) known: Known,
}

/// An entry that has its place.
pub(crate) struct Placed {
    pub(crate) number: Number,
    pub(crate) local: Local,
    pub(crate) parcel: Parcel,
}

pub(crate) struct Replica {
    pub(crate) held: Held,
    pub(crate) tips: BTreeMap<Number, Tip>,
    pub(crate) authors: Authors,
    /// Whether changes tell what rows held.
    pub(crate) record: bool,
    /// The indexes that are kept with the state.
    pub(crate) indexes: Indexes,
    /// How much is kept that is hidden and not needed.
    pub(crate) hidden_max: HiddenMax,
    /// Who has written what, once that was asked.
    written: Option<Written>,
    /// How many entries were judged again for limits that took nothing.
    in_vain: u64,
    /// What was refused lately.
    pub(crate) refused: Refused,
    settings: Settings,
    published: Option<Arc<Authority>>,
    recent: Recent,
    next: Number,
    clock: Time,
    needed: u64,
    /// What the needed entries sum up to, by generation.
    ladder: Ladder,
    /// What is kept that nobody needs.
    unneeded: Unneeded,
    /// The entries whose standing was written again in this group.
    restood: BTreeMap<Number, Standing>,
    /// Whether what waits for types was looked at.
    caught_up: bool,
    /// The newest entry of the group: its row gets the head when the group is finished.
    newest: Option<Placed>,
}

impl Replica {
    pub(crate) fn load(rows: &dyn Snapshot, held: Held) -> Result<Self, StoreError> {
        let graph = Graph::new(rows, held.number);
        let (next, head) = match graph.head()? {
            Some((newest, head)) => (Number(newest.0 + 1), head),
            None => (Number(0), Head::default()),
        };
        let ladder = Ladder::new(held.number, &head);
        let mut tips = BTreeMap::new();
        for number in head.tips {
            tips.insert(number, tip(&graph, number)?);
        }
        Ok(Self {
            held,
            tips,
            authors: Authors::load(rows, held.number)?,
            record: false,
            indexes: Indexes::load(rows, held.number)?,
            hidden_max: HiddenMax::default(),
            written: None,
            in_vain: 0,
            refused: Refused::default(),
            settings: settings::load(rows, held.number)?,
            published: None,
            recent: Recent::default(),
            next,
            clock: head.clock,
            needed: head.needed,
            ladder,
            unneeded: Unneeded::load(rows, held.number)?,
            restood: BTreeMap::new(),
            caught_up: false,
            newest: None,
        })
    }

    /// Folds what waits for types that are known now, once after loading.
    pub(crate) fn catch_up(
        &mut self,
        rows: &mut Overlay,
        types: &StoreTypes,
    ) -> Result<u64, StoreError> {
        if self.caught_up {
            return Ok(0);
        }
        let folded = fold_waiting(rows, self.held.number, types, &self.indexes)?;
        self.caught_up = true;
        Ok(folded)
    }

    /// Returns the greatest time of any entry.
    pub(crate) const fn clock(&self) -> Time {
        self.clock
    }

    pub(crate) const fn next(&self) -> Number {
        self.next
    }

    /// Looks an entry up, in memory first.
    pub(crate) fn known(
        &self,
        rows: &dyn Snapshot,
        id: &EntryId,
    ) -> Result<Option<Known>, StoreError> {
        match self.recent.get(id) {
            Some(known) => Ok(Some(known)),
            None => Graph::new(rows, self.held.number).known(id),
        }
    }

    /// Looks an entry up that is to be let in and has these parents. An entry is placed after its parents,
    /// so where one of them is recent it is recent or not stored, and no row is read.
    pub(crate) fn known_after(
        &self,
        rows: &dyn Snapshot,
        id: &EntryId,
        parents: &[EntryId],
    ) -> Result<Option<Known>, StoreError> {
        if parents.iter().any(|parent| self.recent.contains(parent)) {
            return Ok(self.recent.get(id));
        }
        self.known(rows, id)
    }

    /// Returns what is before an entry with these parents, to judge it by. Nothing is kept, so an
    /// entry that is refused costs nothing.
    pub(crate) fn before(&self, parents: &[Known]) -> Before {
        let index_of = &self.settings.index_of;
        let origin = |parent: &Known| Origin {
            epoch: EpochId(parent.epoch),
            settings: index_of.get(&parent.number).copied(),
        };
        let origins: Vec<Origin> = parents.iter().map(origin).collect();
        self.settings.authority.before(&origins)
    }

    /// Returns the authority epoch of an entry that is accepted.
    pub(crate) fn epoch(&mut self, before: Before) -> EpochId {
        self.settings.authority.intern(before)
    }

    /// Returns whether an entry is, or descends from, a settings entry.
    pub(crate) fn knows_settings(&self, entry: &Known, index: SettingsIndex) -> bool {
        let Settings { authority, index_of, .. } = &self.settings;
        let settings = index_of.get(&entry.number).copied();
        authority.knows(Origin { epoch: EpochId(entry.epoch), settings }, index)
    }

    /// Returns the visible settings entries that no other one descends from.
    pub(crate) fn newest_settings(
        &self,
        rows: &dyn Snapshot,
    ) -> Result<Vec<SettingsIndex>, StoreError> {
        let Settings { authority, numbers, .. } = &self.settings;
        let tips = authority.settings_tips();
        if tips.iter().all(|tip| authority.is_visible(*tip)) {
            return Ok(tips.to_vec());
        }
        let graph = Graph::new(rows, self.held.number);
        let (mut newest, mut origins): (Vec<_>, Vec<Origin>) = (Vec::new(), Vec::new());
        let mut all: Vec<_> = (0..).map(SettingsIndex).zip(numbers).collect();
        while let Some((index, number)) = all.pop() {
            let is_known = origins.iter().any(|origin| authority.knows(*origin, index));
            if authority.is_visible(index) && !is_known {
                let epoch = EpochId(graph.local(*number)?.epoch);
                origins.push(Origin { epoch, settings: Some(index) });
                newest.push(index);
            }
        }
        Ok(newest)
    }

    /// Returns the authority over all entries.
    pub(crate) const fn authority_now(&self) -> &Authority {
        &self.settings.authority
    }

    /// Returns whether an entry of so many bytes may be kept that is hidden and not needed.
    pub(crate) const fn has_room(&self, bytes: u64) -> bool {
        self.unneeded.has_room(bytes, self.hidden_max)
    }

    /// Takes note that a hidden entry was dropped.
    pub(crate) fn dropped(&mut self, size: Size) {
        if size.came_hidden {
            self.unneeded.take(size.bytes);
        }
        self.unneeded.dropped += 1;
        self.recent.clear();
    }

    /// Stages how much is kept that nobody needs.
    pub(crate) fn save_unneeded(&self, rows: &mut Overlay) {
        self.unneeded.save(rows, self.held.number);
    }

    /// Leaves out numbers, so that the next entry gets this one.
    pub(crate) const fn skip_to(&mut self, number: Number) {
        self.next = number;
    }

    /// Puts back an authority of before.
    pub(crate) fn put_back(&mut self, authority: Authority) {
        self.settings.authority = authority;
    }

    /// Adds a settings entry to the authority.
    pub(crate) fn insert(&mut self, epoch: EpochId, claim: &Claim<'_>) -> Inserted {
        self.settings.authority.insert(epoch, claim)
    }

    pub(crate) fn settings_number(&self, index: SettingsIndex) -> Option<Number> {
        self.settings.numbers.get(usize::try_from(index.0).ok()?).copied()
    }

    pub(crate) fn settings_index(&self, number: Number) -> Option<SettingsIndex> {
        self.settings.index_of.get(&number).copied()
    }

    /// Judges what an entry does by the authority of its past.
    pub(crate) fn judge(&self, before: &Before, claim: &Claim<'_>) -> Result<(), AuthRefusal> {
        self.settings.authority.judge_before(before, claim).map(drop)
    }

    /// Gives a judged entry its place: number, tips, time. Returns whether its author has used its
    /// sequence number before.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn place(
        &mut self,
        rows: &mut Overlay,
        entry: &Entry,
        known: Known,
        parents: &[Known],
        settings: Option<SettingsIndex>,
    ) -> Result<bool, StoreError> {
        let (number, id, database) = (known.number, entry.id(), self.held.number);
        self.next = Number(number.0 + 1);
        self.clock = self.clock.max(known.time);
        for parent in parents.iter().filter(|parent| parent.standing != Standing::Visible) {
            hidden::add_child(rows, database, parent.number, number);
        }
        if known.standing == Standing::Visible {
            self.needed += 1;
            self.ladder.add(rows, known.generation, &id)?;
            for parent in parents {
                self.tips.remove(&parent.number);
            }
            self.tips.insert(number, Tip { id, known });
        } else {
            let bytes = hidden::bytes_of(entry);
            hidden::hide(rows, database, number, Size { bytes, came_hidden: true }, &[]);
            self.unneeded.add(bytes);
        }
        self.recent.insert(id, known);
        index(rows, database, &id, number);
        if let Some(index) = settings {
            self.settings.save_entry(rows, database, index, number);
            self.published = None;
        } else if let Some(written) = &mut self.written {
            written.note(entry.author(), number);
        }
        Ok(self.authors.note(entry.author(), entry.seq()))
    }

    /// Stages the row of a placed entry. That of the newest is staged again with the head.
    pub(crate) fn stage(&mut self, rows: &mut Overlay, mut placed: Placed) {
        self.stands_now(&mut placed);
        append(rows, self.held.number, placed.number, &placed.local, &placed.parcel);
        self.newest = Some(placed);
    }

    /// Takes note of an entry whose row is staged.
    pub(crate) fn settle(&mut self, placed: Placed) {
        self.newest = Some(placed);
    }

    fn stands_now(&self, placed: &mut Placed) {
        if let Some(standing) = self.restood.get(&placed.number) {
            placed.local.standing = *standing;
        }
    }

    /// Stages that entries stand otherwise. Of those that become hidden the candidates must tell the
    /// children.
    pub(crate) fn turn(
        &mut self,
        rows: &mut Overlay,
        turned: &Turned,
        candidates: &Candidates,
    ) -> Result<(), StoreError> {
        let database = self.held.number;
        for (number, (from, to)) in turned {
            restand(rows, database, *number, *to)?;
            self.restood.insert(*number, *to);
            let size = match candidates.bytes_of(*number).filter(|_| *from == Standing::Visible) {
                Some(bytes) => Size { bytes, came_hidden: false },
                None => hidden::size(rows, database, *number)?,
            };
            match (from, to) {
                (Standing::Visible, Standing::Visible) => {}
                (Standing::Visible, _) => {
                    hidden::hide(rows, database, *number, size, candidates.children_of(*number));
                }
                (_, Standing::Visible) => hidden::show(rows, database, *number)?,
                _ => {}
            }
            match (from.is_needed(), to.is_needed()) {
                (true, false) => {
                    let (generation, id) = candidates.summed(rows, database, *number)?;
                    self.ladder.take(rows, generation, &id)?;
                    self.needed -= 1;
                    if size.came_hidden {
                        self.unneeded.add(size.bytes);
                    }
                }
                (false, true) => {
                    let (generation, id) = candidates.summed(rows, database, *number)?;
                    self.ladder.add(rows, generation, &id)?;
                    self.needed += 1;
                    if size.came_hidden {
                        self.unneeded.take(size.bytes);
                    }
                }
                _ => {}
            }
        }
        // What is known of them in memory is not true any more.
        self.recent.clear();
        Ok(())
    }

    /// Takes note that what came from `first` on was judged again for a limit that took nothing. Whoever
    /// may do no more than read can limit itself, as often as it likes and on parents as old as it likes:
    /// once as much was looked at in vain as there is, it is worth to know who has written what.
    pub(crate) const fn looked_in_vain(&mut self, first: Number) {
        let entries = self.next.0.saturating_sub(first.0);
        self.in_vain = self.in_vain.saturating_add(entries);
    }

    /// Returns whether any entry of these authors is visible, settings aside; `None` while nobody needs
    /// to know.
    pub(crate) fn shows_any_of(
        &mut self,
        rows: &dyn Snapshot,
        authors: &[PublicKey],
    ) -> Result<Option<bool>, StoreError> {
        let Self { written, settings, held, .. } = self;
        let written = match written {
            Some(written) => written,
            None if self.in_vain < self.next.0 => return Ok(None),
            None => {
                let is_settings = |number| settings.index_of.contains_key(&number);
                written.insert(Written::load(rows, held.number, is_settings)?)
            }
        };
        written.shows(rows, held.number, authors).map(Some)
    }

    /// Takes up other tips.
    pub(crate) fn set_tips(
        &mut self,
        rows: &dyn Snapshot,
        numbers: &BTreeSet<Number>,
    ) -> Result<(), StoreError> {
        self.tips.retain(|number, _| numbers.contains(number));
        let graph = Graph::new(rows, self.held.number);
        for number in numbers {
            if !self.tips.contains_key(number) {
                self.tips.insert(*number, tip(&graph, *number)?);
            }
        }
        let greatest = self.generation();
        self.ladder.lower(rows, greatest)
    }

    /// Returns the greatest generation of any needed entry: each is a tip or before one.
    fn generation(&self) -> u64 {
        self.tips.values().map(|tip| tip.known.generation).max().unwrap_or(0)
    }

    /// Stages what a group leaves for its end: the newest row with the head, epochs, authors.
    pub(crate) fn finish(&mut self, rows: &mut Overlay) {
        let Some(mut newest) = self.newest.take() else { return };
        self.stands_now(&mut newest);
        self.restood.clear();
        self.save_unneeded(rows);
        let tips = self.tips.keys().copied().collect();
        let (clock, needed, generation) = (self.clock, self.needed, self.generation());
        let open = self.ladder.save(rows, generation);
        newest.local.head = Some(Head { tips, clock, needed, generation, open });
        append(rows, self.held.number, newest.number, &newest.local, &newest.parcel);
        self.settings.save_epochs(rows, self.held.number);
        self.authors.save(rows, self.held.number, self.next);
        self.recent.bound();
    }

    /// Returns the authority over all entries, for readers on other threads.
    pub(crate) fn authority(&mut self) -> Arc<Authority> {
        let authority = &self.settings.authority;
        Arc::clone(self.published.get_or_insert_with(|| Arc::new(authority.clone())))
    }
}

fn tip(graph: &Graph<'_>, number: Number) -> Result<Tip, StoreError> {
    let (local, entry) = graph.placed(number)?;
    Ok(Tip { id: entry.id(), known: Known::of(number, &local, &entry) })
}
