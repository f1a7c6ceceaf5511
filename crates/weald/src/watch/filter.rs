//! What a watch wants to be told.
//!
//! Invariant: a filter only leaves out; it never changes or reorders.

use std::collections::BTreeSet;

use weald_crdt::{Key, Path};
use weald_dag::PublicKey;

use super::{ChangeKind, Origin};
use crate::conflict::RowKey;
use crate::key::IntoKey;

/// How many events wait in the queue of a watch, unless its filter says otherwise.
pub const WATCH_QUEUE_EVENTS: usize = 1_024;

/// Chooses what a watch delivers.
///
/// Stores, places, kinds, origin and authors are all asked for; of several stores, several places,
/// several kinds or several authors, one is enough. Events about the whole database
/// ([`crate::Event::Settings`], [`crate::Event::Shifted`] and such) come only through a filter
/// without stores, places and kinds. [`crate::Event::Lagged`] always comes.
///
/// ```
/// use weald::{ChangeKind, Filter};
/// // Rows that others delete from two stores, with what they said.
/// let filter = Filter::all()
///     .store("tasks")
///     .store("people")
///     .kind(ChangeKind::Removed)
///     .remote()
///     .values();
/// # let _ = filter;
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    stores: BTreeSet<String>,
    places: Vec<Place>,
    kinds: BTreeSet<ChangeKind>,
    only_conflicts: bool,
    side: Option<Side>,
    authors: BTreeSet<PublicKey>,
    pub(super) values: bool,
    pub(super) entries: bool,
    pub(super) queue_events: usize,
}

/// Rows of a store.
#[derive(Clone, Debug)]
enum Place {
    Row(Key),
    Prefix(Key),
    Below(Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Local,
    Remote,
}

impl Default for Filter {
    fn default() -> Self {
        Self::all()
    }
}

impl Filter {
    /// Wants everything that happens in the database.
    pub const fn all() -> Self {
        Self {
            stores: BTreeSet::new(),
            places: Vec::new(),
            kinds: BTreeSet::new(),
            only_conflicts: false,
            side: None,
            authors: BTreeSet::new(),
            values: false,
            entries: false,
            queue_events: WATCH_QUEUE_EVENTS,
        }
    }

    /// Wants changes and conflicts of this store, and of others named so, alone. All by default.
    #[must_use]
    pub fn store(mut self, name: impl Into<String>) -> Self {
        self.stores.insert(name.into());
        self
    }

    /// Wants changes and conflicts of the row with this key, and of other places named so, alone.
    /// All by default.
    #[must_use]
    pub fn row(mut self, key: impl IntoKey) -> Self {
        self.places.push(Place::Row(key.into_key()));
        self
    }

    /// Wants changes and conflicts of rows whose key is a text, bytes or a tuple that begins with this
    /// one, and of other places named so, alone. All by default.
    #[must_use]
    pub fn prefix(mut self, start: impl IntoKey) -> Self {
        self.places.push(Place::Prefix(start.into_key()));
        self
    }

    /// Wants changes and conflicts of the leaves of documents at and below this path, and of other
    /// places named so, alone. All by default.
    #[must_use]
    pub fn path(mut self, path: impl Into<Path>) -> Self {
        self.places.push(Place::Below(path.into()));
        self
    }

    /// Wants changes of this kind, and of others named so, alone. All by default.
    #[must_use]
    pub fn kind(mut self, kind: ChangeKind) -> Self {
        self.kinds.insert(kind);
        self
    }

    /// Wants conflicts alone, or conflicts beside the kinds of changes that are named. All by default.
    #[must_use]
    pub fn conflicts(mut self) -> Self {
        self.only_conflicts = true;
        self
    }

    /// Wants what was made on this instance alone. From anywhere by default.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.side = Some(Side::Local);
        self
    }

    /// Wants what peers brought alone. From anywhere by default.
    #[must_use]
    pub fn remote(mut self) -> Self {
        self.side = Some(Side::Remote);
        self
    }

    /// Wants what this key signed, and others named so, alone. All by default.
    #[must_use]
    pub fn author(mut self, key: PublicKey) -> Self {
        self.authors.insert(key);
        self
    }

    /// Asks for what rows said before and say now, and for the versions of conflicts. An update that
    /// leaves a row with the value that it had is left out then. Without by default: each changed row
    /// of the database is read and decoded once more, while such a watch is there.
    #[must_use]
    pub fn values(mut self) -> Self {
        self.values = true;
        self
    }

    /// Asks for one [`crate::Event::Entry`] for each entry, in place of events for rows, conflicts and
    /// settings. An entry of which nothing passes the filter is left out. Not by default.
    #[must_use]
    pub fn entries(mut self) -> Self {
        self.entries = true;
        self
    }

    /// Sets how many events may wait, at least 1; [`WATCH_QUEUE_EVENTS`] by default.
    #[must_use]
    pub fn queue(mut self, events: usize) -> Self {
        self.queue_events = events.max(1);
        self
    }

    /// Returns whether events of an entry may pass.
    pub(super) fn admits_entry(&self, origin: Origin, author: &PublicKey) -> bool {
        self.admits_side(origin) && (self.authors.is_empty() || self.authors.contains(author))
    }

    /// Returns whether events about what an entry made appear or vanish may pass: it or one of those
    /// is by an author who is asked for.
    pub(super) fn admits_shift(
        &self,
        origin: Origin,
        by: &PublicKey,
        authors: &BTreeSet<PublicKey>,
    ) -> bool {
        self.admits_entry(origin, by)
            || (self.admits_side(origin) && !self.authors.is_disjoint(authors))
    }

    fn admits_side(&self, origin: Origin) -> bool {
        match self.side {
            None => true,
            Some(Side::Local) => origin == Origin::Local,
            Some(Side::Remote) => matches!(origin, Origin::Peer(_)),
        }
    }

    /// Returns whether events about no store may pass.
    pub(super) fn admits_database(&self) -> bool {
        self.stores.is_empty()
            && self.places.is_empty()
            && self.kinds.is_empty()
            && !self.only_conflicts
    }

    /// Returns whether events about no entry of an author may pass: what a peer brought, if anybody.
    pub(super) fn admits_nobodys(&self, origin: Option<Origin>) -> bool {
        let side = origin.map_or(self.side.is_none(), |origin| self.admits_side(origin));
        self.admits_database() && self.authors.is_empty() && side
    }

    pub(super) fn admits_store(&self, store: &str) -> bool {
        self.stores.is_empty() || self.stores.contains(store)
    }

    pub(super) fn admits_kind(&self, kind: ChangeKind) -> bool {
        if self.kinds.is_empty() { !self.only_conflicts } else { self.kinds.contains(&kind) }
    }

    pub(super) fn admits_conflicts(&self) -> bool {
        self.only_conflicts || self.kinds.is_empty()
    }

    pub(super) fn admits_row(&self, row: &RowKey) -> bool {
        self.places.is_empty() || self.places.iter().any(|place| place.holds(row))
    }
}

impl Place {
    fn holds(&self, row: &RowKey) -> bool {
        match self {
            Self::Row(wanted) => row.key() == Some(wanted),
            Self::Prefix(start) => row.key().is_some_and(|key| key.begins_with(start)),
            Self::Below(above) => row.is_below(above),
        }
    }
}
