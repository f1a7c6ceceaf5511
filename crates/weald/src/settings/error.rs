//! Why settings were not changed.
//!
//! Invariant: nothing was written when one of these is returned.

use thiserror::Error;
use weald_auth::{Level, Subject};
use weald_dag::{EntryId, PublicKey, StoreError};
use weald_engine::CommitError;

/// Why a change to the settings was not made. Nothing was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Nobody could ever change the settings again.
    #[error(
        "this would leave the database without an administrator; grant Admin to another key first"
    )]
    LastAdministrator,
    /// A grant of more than the one who makes it holds.
    #[error("{wanted} is more than your {held} can grant; grant priority {} or weaker, or ask a stronger administrator", held.priority())]
    AboveOwnRank {
        /// What was to be granted.
        wanted: Level,
        /// What the key of the handle holds.
        held: Level,
    },
    /// A limit on somebody who holds nothing weaker than the one who makes it.
    #[error("{} holds what you cannot take: it is not weaker than you; ask a stronger administrator", called(*subject))]
    OutranksNobody {
        /// Whom it was to limit.
        subject: Subject,
    },
    /// A limit that would leave more than it says.
    #[error("{} would still hold {left}, which a stronger administrator gave; ask one to do it", called(*subject))]
    StillHolds {
        /// Whom it was to limit.
        subject: Subject,
        /// What would be left.
        left: Level,
    },
    /// A grant that would give nothing, since a stronger administrator has taken it.
    #[error(
        "{} was limited by somebody stronger than you, in entry {}, so your grant would give nothing; \
         ask an administrator at least as strong as who did that",
        called(*subject), by.short()
    )]
    LimitedByStronger {
        /// Whom it was for.
        subject: Subject,
        /// The entry that limits it.
        by: EntryId,
    },
    /// A subject that holds nothing.
    #[error("{} holds nothing in this database, so there is nothing to take; look at the members", called(*subject))]
    NotAMember {
        /// The subject.
        subject: Subject,
    },
    /// An entry that limits nobody but its author, or does not count.
    #[error("entry {} is no limit on somebody else that counts, so there is nothing to take back; look at the audit", entry.short())]
    NotALimit {
        /// The entry.
        entry: EntryId,
    },
    /// A limit would still count if its author stayed an administrator.
    #[error(
        "a limit counts as long as its author is an administrator; leave it Write or less than {leave}, and grant Admin anew afterwards"
    )]
    StillAdministrator {
        /// What it was to be left.
        leave: Level,
    },
    /// A grant of Admin to everybody.
    #[error("{wanted} cannot be given to anyone at all; give anyone Read or Write, or name a key")]
    AdminForAnyone {
        /// What was to be granted.
        wanted: Level,
    },
    /// A grant whose end has passed.
    #[error("the grant would have ended already, at {expires} ms since 1970; choose a later end")]
    AlreadyEnded {
        /// When it ends, in milliseconds since 1970.
        expires: u64,
    },
    /// The recovery key is not one of this database.
    #[error("the key {} is not the recovery key of this database, or is none any more; try the others that you kept", key.short())]
    NotTheRecoveryKey {
        /// Its public half.
        key: PublicKey,
    },
    /// A key that is to be locked out is the one that is to be let in.
    #[error("the key {} was said to be stolen, so it cannot take over; make the user a new key and its default first", key.short())]
    StolenKey {
        /// The key.
        key: PublicKey,
    },
    /// The operations break a rule of the settings.
    #[error("the settings cannot be written: {0}")]
    Operations(#[from] weald_auth::SettingsError),
    /// The entry could not be made.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for SettingsError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

fn called(subject: Subject) -> String {
    match subject {
        Subject::Key(key) => format!("the key {}", key.short()),
        Subject::Anyone => "anyone".to_owned(),
    }
}
