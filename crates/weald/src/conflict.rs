//! What an app is told of versions that stand side by side, and how it names a row.
//!
//! Invariant: a row is named the way its store names it, whatever the bytes of its key.

use weald_crdt::{CounterType, DocType, Key, LogType, Path, SetType, TableType};
use weald_dag::EntryId;
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
            _ => None,
        };
        named.unwrap_or_else(|| Self::Other(key.to_vec()))
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
        }
    }
}
