//! What the writer thread has to tell, before it is known who listens.
//!
//! Invariant: events are only made for a watch of that database.

use weald_dag::{DatabaseId, EntryId, PublicKey, Refusal};
use weald_engine::Folded;

use super::{ChangeKind, Event, Origin};
use crate::conflict::{Conflict, RowKey};

/// One thing that became durable.
pub(crate) enum Told {
    /// An entry was stored.
    Entry { origin: Option<PublicKey>, folded: Box<Folded> },
    /// An entry was refused.
    Refused { database: DatabaseId, from: PublicKey, entry: EntryId, reason: Refusal },
    /// A database became whole.
    Complete { database: DatabaseId },
}

impl Told {
    pub(super) fn database(&self) -> DatabaseId {
        match self {
            Self::Entry { folded, .. } => folded.database,
            Self::Refused { database, .. } | Self::Complete { database } => *database,
        }
    }

    /// Gives each event to `to`.
    pub(super) fn each(&self, to: &mut dyn FnMut(Event)) {
        match self {
            Self::Entry { origin, folded } => entry_events(*origin, folded, to),
            Self::Refused { from, entry, reason, .. } => {
                to(Event::Refused { entry: *entry, from: *from, reason: reason.clone() });
            }
            Self::Complete { .. } => to(Event::Complete),
        }
    }
}

fn entry_events(origin: Option<PublicKey>, folded: &Folded, to: &mut dyn FnMut(Event)) {
    let (entry, author) = (folded.id, folded.author);
    let origin = origin.map_or(Origin::Local, Origin::Peer);
    for row in &folded.changes {
        to(Event::Changed {
            store: row.store.clone(),
            key: RowKey::of(&row.type_name, &row.change.key),
            kind: kind_of(row.change.kind),
            entry,
            author,
            origin,
        });
    }
    for (row, conflict) in folded.conflicts() {
        to(Event::Conflict { conflict: Conflict::of(row, conflict), entry });
    }
    if folded.settings {
        to(Event::Settings { entry, author });
    }
    if folded.author_forked {
        to(Event::AuthorForked { author, entry });
    }
}

const fn kind_of(kind: weald_crdt::ChangeKind) -> ChangeKind {
    match kind {
        weald_crdt::ChangeKind::Created => ChangeKind::Created,
        weald_crdt::ChangeKind::Updated => ChangeKind::Updated,
        weald_crdt::ChangeKind::Removed => ChangeKind::Removed,
    }
}
