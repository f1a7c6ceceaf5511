//! What the door says of each entry that came: the answer that sync works with.

use thiserror::Error;

use crate::id::EntryId;
use crate::ingest::GraphRefusal;
use crate::parcel::Fault;
use crate::row::Number;
use crate::time::Time;

/// Why an entry is refused for good, the same on every replica.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The graph refuses it.
    #[error(transparent)]
    Graph(#[from] GraphRefusal),
    /// Its author may not do what it does, at its place in the graph.
    #[error("its author may not do this: {reason}")]
    Authority {
        /// What was needed and what the author holds.
        reason: String,
    },
    /// Its settings are missing or do not decode.
    #[error("its settings cannot be used: {reason}")]
    Settings {
        /// What is wrong with them.
        reason: String,
    },
    /// An ancestor is refused.
    #[error("its ancestor {ancestor:?} is refused")]
    Descends {
        /// The refused ancestor.
        ancestor: EntryId,
    },
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored, durably.
    Stored(Number),
    /// It was stored before.
    Duplicate(Number),
    /// These parents are not stored; it is to come again after them.
    Missing(Vec<EntryId>),
    /// Its time lies too far ahead of this clock; it may come again later.
    HeldBack {
        /// When it says it was made.
        time: Time,
    },
    /// It would be hidden here and nothing visible descends from it.
    Unwanted,
    /// It says something that this build does not understand yet; it may come again later.
    NewerVersion {
        /// What is not understood.
        what: String,
    },
    /// It is refused for good.
    Refused(Refusal),
    /// Who sent it is at fault, not the entry.
    Fault(Fault),
}
