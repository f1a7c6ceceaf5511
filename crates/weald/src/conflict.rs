//! What an app is told of versions that stand side by side, and how it names a row.
//!
//! Invariant: a row is named the way its store names it, whatever the bytes of its key.

use weald_crdt::{
    CounterType, DocType, Key, LogType, Path, SetType, SlotConflict, TableType, Value,
};
use weald_dag::{EntryId, PublicKey, StoreError, Time};
use weald_engine::RowChange;

use crate::log::Cursor;
use crate::set::SetMember;

/// Names a row of a store, in the words of the store's type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RowKey {
    /// A row of a table.
    Table(Key),
    /// An item of a log.
    Log(Cursor),
    /// A leaf, an element or a counter of a document.
    Doc(Path),
    /// A counter.
    Counter(Key),
    /// A member of a set.
    Set(SetMember),
    /// The text of a store that holds one.
    Text,
    /// A row of a type that this build does not know, or a key that it cannot read.
    Other(Vec<u8>),
}

impl RowKey {
    pub(crate) fn of(type_name: &str, key: &[u8]) -> Self {
        let named = match type_name {
            TableType::NAME => Key::decode(key).map(Self::Table).ok(),
            LogType::NAME => weald_crdt::log::stamp(key).map(|stamp| Self::Log(Cursor(stamp))).ok(),
            DocType::NAME => weald_crdt::doc::path_of(key).map(Self::Doc).ok(),
            CounterType::NAME => Key::decode(key).map(Self::Counter).ok(),
            SetType::NAME => SetMember::decode(key).map(Self::Set),
            #[cfg(feature = "text")]
            crate::text::TextType::NAME => Some(Self::Text),
            _ => None,
        };
        named.unwrap_or_else(|| Self::Other(key.to_vec()))
    }

    /// Returns the key, of a row that has one.
    pub(crate) const fn key(&self) -> Option<&Key> {
        match self {
            Self::Table(key) | Self::Counter(key) => Some(key),
            _ => None,
        }
    }

    /// Returns whether this is a leaf of a document at or below a path.
    pub(crate) fn is_below(&self, above: &Path) -> bool {
        let Self::Doc(path) = self else { return false };
        // The keys of the leaves below a path begin with its own.
        let (path, above) = (path.encode(), above.encode());
        above.is_ok_and(|above| path.is_ok_and(|path| path.starts_with(&above)))
    }
}

/// Versions of one row that were written without seeing each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The store.
    pub store: String,
    /// The row.
    pub key: RowKey,
    /// The entry whose version reading gives.
    pub winner: EntryId,
    /// The entries whose versions reading does not give; the next write to the row replaces them.
    pub losers: Vec<EntryId>,
    /// The versions themselves, for each field of the row that has several, if the watch asked for
    /// them with [`crate::Filter::values`]; as they were after the entry that the event is about.
    pub values: Vec<ConflictedValue>,
}

impl Conflict {
    pub(crate) fn of(row: &RowChange, conflict: &weald_crdt::Conflict) -> Self {
        let mut losers: Vec<EntryId> =
            conflict.losers.iter().map(|stamp| EntryId::from_bytes(stamp.entry)).collect();
        losers.dedup();
        Self {
            store: row.store.clone(),
            key: RowKey::of(&row.type_name, &row.change.key),
            winner: EntryId::from_bytes(conflict.winner.entry),
            losers,
            values: Vec::new(),
        }
    }
}

/// One version of a value, with who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// What was written.
    pub value: Value,
    /// Who signed the entry.
    pub author: PublicKey,
    /// When that was, by the author's clock.
    pub time: Time,
    /// The entry.
    pub entry: EntryId,
}

/// Finds out who signed an entry.
pub(crate) type AuthorOf<'a> = dyn FnMut(&EntryId) -> Result<PublicKey, StoreError> + 'a;

impl Version {
    pub(crate) fn of(
        version: weald_crdt::Version,
        author_of: &mut AuthorOf<'_>,
    ) -> Result<Self, StoreError> {
        let weald_crdt::Version { stamp, value } = version;
        let entry = EntryId::from_bytes(stamp.entry);
        let author = author_of(&entry)?;
        Ok(Self { value, author, time: Time::from_raw(stamp.time), entry })
    }
}

/// A value of which several versions stand side by side: a field of a row, or a leaf of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictedValue {
    /// The store.
    pub store: String,
    /// The row.
    pub key: RowKey,
    /// The field of the row; `None` for a leaf of a document.
    pub field: Option<String>,
    /// The version that reading gives; `None` if what shows there is something else: values below
    /// this one, or one above that hides it.
    pub winner: Option<Version>,
    /// The versions that reading does not give, the latest first; the next write replaces them.
    pub losers: Vec<Version>,
}

impl ConflictedValue {
    /// Returns all versions, the winner first.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.winner.iter().chain(&self.losers)
    }

    /// Returns whether all versions have the same value, so that there is nothing to choose.
    pub(crate) fn is_agreed(&self) -> bool {
        let winner = self.winner.as_ref();
        winner.is_some_and(|winner| self.losers.iter().all(|loser| loser.value == winner.value))
    }

    pub(crate) fn of(
        store: &str,
        key: &RowKey,
        conflict: SlotConflict,
        author_of: &mut AuthorOf<'_>,
    ) -> Result<Self, StoreError> {
        let SlotConflict { field, winner, losers } = conflict;
        let winner = Some(Version::of(winner, author_of)?);
        let losers = losers.into_iter().map(|loser| Version::of(loser, author_of));
        let losers = losers.collect::<Result<_, _>>()?;
        Ok(Self { store: store.to_owned(), key: key.clone(), field, winner, losers })
    }
}
