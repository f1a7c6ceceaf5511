//! What a watch delivers.
//!
//! Invariant: an event is about something that is durable here.

use weald_crdt::Value;
use weald_dag::{EntryId, PublicKey, Refusal, Time};

use crate::conflict::{Conflict, RowKey};

/// Tells what happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The row was not visible before.
    Created,
    /// The row was visible with other versions before. The value may be the same: somebody wrote it
    /// again. A watch with [`crate::Filter::values`] is told only if it is another.
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

/// One row that an entry changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowChanged {
    /// The store.
    pub store: String,
    /// The row.
    pub key: RowKey,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it said before, if [`crate::Filter::values`] asked for it and there was a row.
    pub old: Option<Value>,
    /// What it says now, if [`crate::Filter::values`] asked for it and there is a row.
    pub new: Option<Value>,
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
        /// When the entry was made, by its author's clock.
        time: Time,
        /// Where the entry came from.
        origin: Origin,
        /// What the row said before, if [`crate::Filter::values`] asked for it and there was a row.
        old: Option<Value>,
        /// What the row says now, if [`crate::Filter::values`] asked for it and there is a row.
        new: Option<Value>,
        /// Whether it changed because the entry made others appear or vanish, and not by what the
        /// entry itself wrote.
        shifted: bool,
    },
    /// An entry was stored: all its changes at once, if [`crate::Filter::entries`] asked for it.
    Entry {
        /// The entry.
        entry: EntryId,
        /// Who signed it.
        author: PublicKey,
        /// When it was made, by its author's clock.
        time: Time,
        /// Where it came from.
        origin: Origin,
        /// The rows that it changed and that pass the filter.
        changes: Vec<RowChanged>,
        /// Whether it changed the settings, if the filter leaves them in.
        settings: bool,
    },
    /// An entry made a conflict, or left one standing.
    Conflict {
        /// The row and its versions.
        conflict: Conflict,
        /// The entry that did it.
        entry: EntryId,
        /// Who signed the entry.
        author: PublicKey,
        /// Where the entry came from.
        origin: Origin,
    },
    /// The settings changed: name, members or what the app keeps there.
    Settings {
        /// The entry that did it.
        entry: EntryId,
        /// Who signed the entry.
        author: PublicKey,
        /// Where the entry came from.
        origin: Origin,
    },
    /// An entry has changed which entries are visible: it limits somebody, undoes a limit, or shows
    /// what was hidden. The rows that changed by it come after this as [`Event::Changed`], or are in it
    /// with [`crate::Filter::entries`].
    Shifted {
        /// The entry that did it.
        by: EntryId,
        /// Who signed that entry.
        author: PublicKey,
        /// Where that entry came from.
        origin: Origin,
        /// How many entries are visible that were not.
        appeared: u64,
        /// How many entries are hidden that were not.
        vanished: u64,
        /// Who signed those that appeared or vanished, ascending.
        authors: Vec<PublicKey>,
        /// The rows that changed by it and pass the filter, if [`crate::Filter::entries`] asked for
        /// them.
        changes: Vec<RowChanged>,
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
    /// Events were dropped here: the watch was too slow, or it was made with
    /// [`crate::Filter::values`] while they were being written. Read again what you show.
    Lagged {
        /// How many.
        missed: u64,
    },
}
