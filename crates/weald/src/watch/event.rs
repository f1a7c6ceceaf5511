//! What a watch delivers.
//!
//! Invariant: an event is about something that is durable here.

use weald_dag::{EntryId, PublicKey, Refusal};

use crate::conflict::{Conflict, RowKey};

/// Tells what happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The row was not visible before.
    Created,
    /// The row was visible with other content before.
    Updated,
    /// The row is not visible any more.
    Removed,
}

/// Tells where an entry came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made on this instance.
    Local,
    /// A peer with this device key brought it.
    Peer(PublicKey),
}

/// Something that happened in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A row changed.
    Changed {
        /// The store.
        store: String,
        /// The row.
        key: RowKey,
        /// What happened to it.
        kind: ChangeKind,
        /// The entry that did it.
        entry: EntryId,
        /// Who signed the entry.
        author: PublicKey,
        /// Where the entry came from.
        origin: Origin,
    },
    /// An entry made a conflict, or left one standing.
    Conflict {
        /// The row and its versions.
        conflict: Conflict,
        /// The entry that did it.
        entry: EntryId,
    },
    /// The settings changed: name, members or what the app keeps there.
    Settings {
        /// The entry that did it.
        entry: EntryId,
        /// Who signed the entry.
        author: PublicKey,
    },
    /// An author has used one sequence number twice: its key is used in two places at once.
    AuthorForked {
        /// The author.
        author: PublicKey,
        /// The entry that shows it.
        entry: EntryId,
    },
    /// An entry from a peer was refused for good.
    Refused {
        /// The entry.
        entry: EntryId,
        /// The peer that brought it.
        from: PublicKey,
        /// Why.
        reason: Refusal,
    },
    /// The first sync has brought all of the database; it can be written now.
    Complete,
    /// The watch was too slow: this many events after the last one were dropped. Read again what you show.
    Lagged {
        /// How many.
        missed: u64,
    },
}
