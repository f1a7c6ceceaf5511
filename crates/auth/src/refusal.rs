//! Why an entry does not count, in words.
//!
//! Invariant: a refusal names what was needed, what the author holds or lost, and what to do.

use thiserror::Error;
use weald_dag::{EntryId, PublicKey, Time};

use crate::level::{Action, Level};

/// Why an entry does not count: what it needed and what its author holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthRefusal {
    /// Nothing in the entry's past grants its author anything.
    #[error(
        "{needed}, and nothing in the entry's past grants anything to {author}; ask an administrator"
    )]
    Stranger {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
    },
    /// The author holds too little.
    #[error("{needed}, and {author} holds {held}; ask an administrator")]
    TooWeak {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest level that the author holds.
        held: Level,
    },
    /// What the author held had ended when it made the entry.
    #[error(
        "{needed}, and the {held} of {author} ended at {expired} ms, before the entry's time {time}; \
         ask an administrator for a new grant"
    )]
    Expired {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The level that ended.
        held: Level,
        /// When it ended, in milliseconds since 1970.
        expired: u64,
        /// The time that the entry names.
        time: Time,
    },
    /// A grant at a priority that is stronger than its giver's.
    #[error(
        "operation {index} grants {wanted}, and {author} holds {held}; it can grant priority {} and \
         weaker",
        held.priority()
    )]
    GrantTooStrong {
        /// The place of the operation.
        index: usize,
        /// What it would give.
        wanted: Level,
        /// Who signed the entry.
        author: PublicKey,
        /// The strongest level that the author holds.
        held: Level,
    },
    /// What the author held was taken from it.
    #[error(
        "{needed}, and what {author} held was limited by entry {}; ask an administrator at least as \
         strong as the one who did it for a new grant",
        by.short()
    )]
    Limited {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The entry that limits it.
        by: EntryId,
    },
    /// What the author held came from an entry that is hidden.
    #[error(
        "{needed}, and what {author} held came from entry {}, which is hidden itself; ask an \
         administrator for a new grant",
        by.short()
    )]
    GrantHidden {
        /// What was needed.
        needed: Action,
        /// Who signed the entry.
        author: PublicKey,
        /// The entry that granted it and is hidden.
        by: EntryId,
    },
    /// An invite that was used as often as it may be.
    #[error("the invite {author} has no uses left; ask for a new one")]
    InviteUsedUp {
        /// The invite.
        author: PublicKey,
    },
    /// An invite that was used for something else than it is for.
    #[error("the invite {author} allows one grant of {gives} to a key, alone in its entry")]
    InviteMisused {
        /// The invite.
        author: PublicKey,
        /// What it gives.
        gives: Level,
    },
    /// A limit on oneself beside something else.
    #[error(
        "operation {index} limits the entry's own author; such an entry holds this one operation and \
         nothing else"
    )]
    NotAlone {
        /// The place of the operation.
        index: usize,
    },
    /// A grant of Admin to everybody.
    #[error("operation {index} grants {wanted} to anyone; anyone can be given Read or Write only")]
    AdminForAnyone {
        /// The place of the operation.
        index: usize,
        /// What it would give.
        wanted: Level,
    },
}
