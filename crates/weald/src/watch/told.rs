//! What the writer thread has to tell, before it is known who listens.
//!
//! Invariant: events are only made for a watch of that database, and values only for one that asks.

use weald_crdt::Value;
use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal};
use weald_engine::{Folded, RowChange, RowValues, StoreTypes};

use super::backlog::Weighed;
use super::{ChangeKind, Event, Filter, Origin, RowChanged};
use crate::conflict::{Conflict, ConflictedValue, RowKey};

/// One thing that became durable.
pub(crate) enum Told {
    /// An entry was stored.
    Entry(Box<EntryTold>),
    /// An entry was refused.
    Refused { database: DatabaseId, from: PublicKey, entry: EntryId, reason: Refusal },
    /// A database became whole.
    Complete { database: DatabaseId },
}

/// An entry that was stored.
pub(crate) struct EntryTold {
    /// The peer that brought it, if any.
    pub(crate) origin: Option<PublicKey>,
    pub(crate) folded: Folded,
    /// What stands side by side, by the place among the changes, where values were recorded.
    pub(crate) versions: Vec<(usize, Vec<ConflictedValue>)>,
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
            Self::Refused { database, .. } | Self::Complete { database } => *database,
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

    fn tell_entry(&mut self, told: &EntryTold) {
        let Folded { id: entry, author, time, .. } = told.folded;
        let origin = told.origin.map_or(Origin::Local, Origin::Peer);
        if !self.filter.admits_entry(origin, &author) {
            return;
        }
        let (mut changes, mut weight) = (Vec::new(), 0);
        for row in &told.folded.changes {
            let Some((RowChanged { store, key, kind, old, new }, bytes)) = self.changed(row) else {
                continue;
            };
            if self.filter.entries {
                changes.push(RowChanged { store, key, kind, old, new });
                weight += bytes;
            } else {
                let event =
                    Event::Changed { store, key, kind, entry, author, time, origin, old, new };
                self.push(event, bytes);
            }
        }
        let whole = self.filter.admits_database();
        if self.filter.entries {
            if whole || !changes.is_empty() {
                let settings = whole && told.folded.settings;
                self.push(Event::Entry { entry, author, time, origin, changes, settings }, weight);
            }
            return;
        }
        self.tell_conflicts(told, origin);
        if whole {
            if told.folded.settings {
                self.push(Event::Settings { entry, author, origin }, 0);
            }
            if told.folded.author_forked {
                self.push(Event::AuthorForked { author, entry }, 0);
            }
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

    fn tell_conflicts(&mut self, told: &EntryTold, origin: Origin) {
        if !self.filter.admits_conflicts() {
            return;
        }
        let Folded { id: entry, author, .. } = told.folded;
        for (place, row) in told.folded.changes.iter().enumerate() {
            let Some(found) = &row.change.conflict else { continue };
            if !self.filter.admits_store(&row.store) {
                continue;
            }
            let mut conflict = Conflict::of(row, found);
            if !self.filter.admits_row(&conflict.key) {
                continue;
            }
            let (mut bytes, wanted) = (0, self.filter.values);
            let versions = told.versions.iter().find(|(at, _)| wanted && *at == place);
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
