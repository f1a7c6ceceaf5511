//! What becomes of a conflict.
//!
//! Invariant: a resolution chooses among the versions of one conflict, or replaces them all.

use thiserror::Error;
use weald_crdt::Value;
use weald_dag::PublicKey;

use crate::conflict::ConflictedValue;

/// Says what becomes of a conflict.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Resolution {
    /// What reading gives now stays; the other versions go.
    KeepWinner,
    /// The latest version that the key of this database handle signed stays; without one, the
    /// conflict is left.
    KeepMine,
    /// The latest version that this key signed stays; without one, the conflict is left.
    Keep(PublicKey),
    /// This value takes the place of all versions.
    Merged(Value),
    /// The conflict stays as it is.
    Leave,
}

/// Decides what becomes of conflicts. A function or closure is one.
///
/// A resolver that runs on several devices should say the same everywhere for the same versions:
/// then the devices agree at once. It should depend on nothing but the versions.
pub trait Resolver {
    /// Returns what becomes of a conflict.
    fn resolve(&self, conflict: &ConflictedValue) -> Resolution;
}

impl<F: Fn(&ConflictedValue) -> Resolution> Resolver for F {
    fn resolve(&self, conflict: &ConflictedValue) -> Resolution {
        self(conflict)
    }
}

/// Why a conflict was not resolved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The versions are not those that were looked at.
    #[error(
        "the versions in store '{store}' have changed since the conflict was listed; list it again"
    )]
    Changed {
        /// The store.
        store: String,
    },
    /// A value above hides this one.
    #[error(
        "a value above this one in document '{store}' hides it; keep the winner, or set the value above"
    )]
    Hidden {
        /// The document.
        store: String,
    },
    /// The store has no versions.
    #[error("store '{store}' is no table or document, so it has nothing to resolve")]
    NoVersions {
        /// The store.
        store: String,
    },
}

impl ConflictedValue {
    /// Returns the value that a resolution chooses, or `None` for what shows now, or for nothing.
    pub(super) fn choose(&self, resolution: Resolution, mine: &PublicKey) -> Choice {
        let by = |key: &PublicKey| {
            let own = self.versions().filter(|version| version.author == *key);
            let latest = own.max_by_key(|version| (version.time, version.entry));
            latest.map_or(Choice::Nothing, |version| Choice::Write(version.value.clone()))
        };
        match resolution {
            Resolution::KeepWinner => match &self.winner {
                Some(winner) => Choice::Write(winner.value.clone()),
                None => Choice::KeepShown,
            },
            Resolution::KeepMine => by(mine),
            Resolution::Keep(key) => by(&key),
            Resolution::Merged(value) => Choice::Write(value),
            Resolution::Leave => Choice::Nothing,
        }
    }
}

/// What is to be written.
pub(super) enum Choice {
    /// This value, in place of all versions.
    Write(Value),
    /// What shows there, though none of the versions.
    KeepShown,
    /// Nothing.
    Nothing,
}
