//! What the writer thread has to tell, before it is known who listens.
//!
//! Invariant: events are only made for a watch of that database, and values only for one that asks.

use weald_crdt::Value;
use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal, Standing, Time};
use weald_engine::{Folded, RowChange, RowValues, Shift, StoreTypes, Unlocked};

use super::backlog::Weighed;
use super::{ChangeKind, Event, Filter, Origin, RowChanged};
use crate::conflict::{Conflict, ConflictedValue, RowKey};

/// One thing that became durable.
pub(crate) enum Told {
    /// An entry was stored.
    Entry(Box<EntryTold>),
    /// An entry was refused.
    Refused { database: DatabaseId, from: PublicKey, entry: EntryId, reason: Refusal },
    /// What an entry wrote to a sealed store can be read now.
    Unlocked { database: DatabaseId, unlocked: Unlocked },
    /// A database became whole.
    Complete { database: DatabaseId },
}

/// An entry that was stored.
pub(crate) struct EntryTold {
    /// The peer that brought it, if any.
    pub(crate) origin: Option<PublicKey>,
    pub(crate) folded: Folded,
    /// What stands side by side in the rows that it changed.
    pub(crate) versions: Versions,
    /// What stands side by side in the rows that changed by what it made appear or vanish.
    pub(crate) shift_versions: Versions,
}

/// What stands side by side, by the place among the changes, where values were recorded.
pub(crate) type Versions = Vec<(usize, Vec<ConflictedValue>)>;

/// Why rows changed.
#[derive(Clone, Copy)]
struct Cause {
    entry: EntryId,
    author: PublicKey,
    time: Time,
    origin: Origin,
    shifted: bool,
}

/// Collects the events for one watch.
pub(super) struct Telling<'a> {
    pub(super) filter: &'a Filter,
    pub(super) types: &'a StoreTypes,
    pub(super) events: Vec<Weighed>,
    /// Changes of which no values were recorded: the watch was made while they were written.
    pub(super) missed: u64,
}

impl Told {
    pub(super) fn database(&self) -> DatabaseId {
        match self {
            Self::Entry(told) => told.folded.database,
            Self::Refused { database, .. }
            | Self::Unlocked { database, .. }
            | Self::Complete { database } => *database,
        }
    }
}

impl Telling<'_> {
    pub(super) fn tell(&mut self, told: &Told) {
        match told {
            Told::Entry(told) => self.tell_entry(told),
            Told::Refused { from, entry, reason, .. } => {
                if self.filter.admits_nobodys(Some(Origin::Peer(*from))) {
                    let (entry, from, reason) = (*entry, *from, reason.clone());
                    self.push(Event::Refused { entry, from, reason }, 0);
                }
            }
            Told::Unlocked { unlocked, .. } => self.tell_unlocked(unlocked),
            Told::Complete { .. } => {
                if self.filter.admits_nobodys(None) {
                    self.push(Event::Complete, 0);
                }
            }
        }
    }

    fn push(&mut self, event: Event, bytes: usize) {
        self.events.push(Weighed { event, bytes });
    }

    /// Tells rows alone: of the entry itself was told when it came.
    fn tell_unlocked(&mut self, unlocked: &Unlocked) {
        let Unlocked { entry, author, time, .. } = *unlocked;
        let origin = Origin::Local;
        if self.filter.entries || !self.filter.admits_entry(origin, &author) {
            return;
        }
        let cause = Cause { entry, author, time, origin, shifted: false };
        self.tell_rows(&unlocked.changes, &cause);
    }

    fn tell_entry(&mut self, told: &EntryTold) {
        let Folded { id: entry, author, time, .. } = told.folded;
        let origin = told.origin.map_or(Origin::Local, Origin::Peer);
        let cause = Cause { entry, author, time, origin, shifted: false };
        // What is hidden is not told as an entry; what it may have changed of others is.
        let is_visible = told.folded.standing == Standing::Visible;
        if is_visible && self.filter.admits_entry(origin, &author) {
            self.tell_own(told, &cause);
        }
        if let Some(shift) = &told.folded.shift
            && self.filter.admits_shift(origin, &author, &shift.authors)
        {
            self.tell_shift(told, shift, &Cause { shifted: true, ..cause });
        }
    }

    /// Tells what an entry says itself.
    fn tell_own(&mut self, told: &EntryTold, cause: &Cause) {
        let Cause { entry, author, time, origin, .. } = *cause;
        let whole = self.filter.admits_database();
        if self.filter.entries {
            let (changes, weight) = self.collected(&told.folded.changes);
            if whole || !changes.is_empty() {
                let settings = whole && told.folded.settings;
                self.push(Event::Entry { entry, author, time, origin, changes, settings }, weight);
            }
            return;
        }
        self.tell_rows(&told.folded.changes, cause);
        self.tell_conflicts(&told.folded.changes, &told.versions, cause);
        if whole {
            if told.folded.settings {
                self.push(Event::Settings { entry, author, origin }, 0);
            }
            if told.folded.author_forked {
                self.push(Event::AuthorForked { author, entry }, 0);
            }
        }
    }

    /// Tells what an entry made appear or vanish.
    fn tell_shift(&mut self, told: &EntryTold, shift: &Shift, cause: &Cause) {
        let whole = self.filter.admits_database();
        let (changes, weight) = match self.filter.entries {
            true => self.collected(&shift.changes),
            false => (Vec::new(), 0),
        };
        if whole || !changes.is_empty() {
            let Cause { entry: by, author, origin, .. } = *cause;
            let Shift { appeared, vanished, .. } = *shift;
            let authors: Vec<_> = shift.authors.iter().copied().collect();
            let weight = weight + size_of_val(authors.as_slice());
            let event = Event::Shifted { by, author, origin, appeared, vanished, authors, changes };
            self.push(event, weight);
        }
        if !self.filter.entries {
            self.tell_rows(&shift.changes, cause);
            self.tell_conflicts(&shift.changes, &told.shift_versions, cause);
        }
    }

    /// Collects what is to be told of rows, with the bytes that it takes, about.
    fn collected(&mut self, rows: &[RowChange]) -> (Vec<RowChanged>, usize) {
        let told: Vec<_> = rows.iter().filter_map(|row| self.changed(row)).collect();
        let weight = told.iter().map(|(_, bytes)| bytes).sum();
        (told.into_iter().map(|(changed, _)| changed).collect(), weight)
    }

    fn tell_rows(&mut self, rows: &[RowChange], cause: &Cause) {
        let Cause { entry, author, time, origin, shifted } = *cause;
        for row in rows {
            let Some((RowChanged { store, key, kind, old, new }, bytes)) = self.changed(row) else {
                continue;
            };
            let event =
                Event::Changed { store, key, kind, entry, author, time, origin, old, new, shifted };
            self.push(event, bytes);
        }
    }

    /// Returns what is to be told of a row, with the bytes that it takes, about.
    fn changed(&mut self, row: &RowChange) -> Option<(RowChanged, usize)> {
        let kind = kind_of(row.change.kind);
        if !self.filter.admits_kind(kind) || !self.filter.admits_store(&row.store) {
            return None;
        }
        let key = RowKey::of(&row.type_name, &row.change.key);
        if !self.filter.admits_row(&key) {
            return None;
        }
        let store = row.store.clone();
        let named = size_of::<RowChanged>() + store.len() + row.change.key.len();
        if !self.filter.values {
            return Some((RowChanged { store, key, kind, old: None, new: None }, named));
        }
        let Some(RowValues { before, after }) = &row.values else {
            self.missed += 1;
            return None;
        };
        let old = self.show(row, before.as_deref());
        let new = self.show(row, after.as_deref());
        let values = before.as_ref().map_or(0, Vec::len) + after.as_ref().map_or(0, Vec::len);
        // Versions have changed that do not show, or the same was written again.
        let same = kind == ChangeKind::Updated && old.is_some() && old == new;
        (!same).then_some((RowChanged { store, key, kind, old, new }, named + values))
    }

    fn show(&self, row: &RowChange, rested: Option<&[u8]>) -> Option<Value> {
        self.types.get(&row.type_name)?.show(&row.change.key, rested?)
    }

    fn tell_conflicts(&mut self, rows: &[RowChange], versions: &Versions, cause: &Cause) {
        if !self.filter.admits_conflicts() {
            return;
        }
        let Cause { entry, author, origin, .. } = *cause;
        for (place, row) in rows.iter().enumerate() {
            let Some(found) = &row.change.conflict else { continue };
            if !self.filter.admits_store(&row.store) {
                continue;
            }
            let mut conflict = Conflict::of(row, found);
            if !self.filter.admits_row(&conflict.key) {
                continue;
            }
            let (mut bytes, wanted) = (0, self.filter.values);
            let versions = versions.iter().find(|(at, _)| wanted && *at == place);
            if let Some((_, versions)) = versions {
                conflict.values.clone_from(versions);
                bytes =
                    row.values.as_ref().and_then(|rows| rows.after.as_ref()).map_or(0, Vec::len);
            }
            self.push(Event::Conflict { conflict, entry, author, origin }, bytes);
        }
    }
}

const fn kind_of(kind: weald_crdt::ChangeKind) -> ChangeKind {
    match kind {
        weald_crdt::ChangeKind::Created => ChangeKind::Created,
        weald_crdt::ChangeKind::Updated => ChangeKind::Updated,
        weald_crdt::ChangeKind::Removed => ChangeKind::Removed,
    }
}
