//! Going back: a new entry that takes back what others did, as far as it still stands.
//!
//! Invariant: history is not touched; what somebody has changed since is left and told of.

use std::sync::Arc;

use weald_crdt::DraftError;
use weald_dag::{EntryId, PublicKey};

use super::inverse::{Inverse, Memory};
use super::steps::Steps;
use crate::conflict::RowKey;
use crate::database::Database;
use crate::error::{Error, WriteError};

/// Why something was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It was changed since.
    Changed,
    /// Nothing of this kind can be taken back: items of logs, settings, and rows of types that have
    /// no inverse.
    Irreversible,
}

/// Something that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The store.
    pub store: String,
    /// The row of a table, of which all or some fields were left, or the place in a document.
    pub key: RowKey,
    /// Why.
    pub reason: SkipReason,
}

/// What a revert has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reverted {
    /// The entries that take the other back: one, or more where they are too large for one; none
    /// when there was nothing left to take back.
    pub entries: Vec<EntryId>,
    /// What was left as it is.
    pub skipped: Vec<Skipped>,
}

impl Database {
    /// Takes back what an entry did, by a new entry, as far as nobody has changed it since.
    ///
    /// In tables field by field: fields get the values that they had, a row that the entry made is
    /// deleted, one that it deleted comes back. In documents place by place, at the cost of the
    /// document; a list that was changed since is one place. To counters the opposite is added, and
    /// sets lose what it added. In texts what it typed goes, what it deleted comes back at its place,
    /// unless others deleted it too, and marks are what they were, at the cost of the text. What was
    /// changed since by anybody, and what cannot be taken back, is left and told of. What does not fit into one entry, such as the rows of a large deletion, is
    /// written by several.
    ///
    /// # Errors
    /// [`crate::DatabaseError::UnknownEntry`] for an entry that is not here, or why a commit failed;
    /// earlier ones stay.
    pub fn revert(&self, entry: EntryId) -> Result<Reverted, Error> {
        take_back(self, &[entry], None, &mut Memory::default())
    }
}

/// Takes entries back together. Changes by `own`, other than theirs, do not count as somebody else's.
pub(super) fn take_back(
    database: &Database,
    entries: &[EntryId],
    own: Option<PublicKey>,
    memory: &mut Memory,
) -> Result<Reverted, Error> {
    let mut reverted = Reverted { entries: Vec::new(), skipped: Vec::new() };
    let mut left = None;
    loop {
        let mut tx = database.begin()?;
        let (core, rows) = (Arc::clone(tx.core()), tx.begun().clone());
        let steps = Steps::new(&rows, tx.database(), &core.types);
        let mut inverse = Inverse::new(&rows, tx.database(), entries, own, steps);
        let parts = match &mut left {
            Some(parts) => parts,
            None => left.insert(inverse.parts(entries)?),
        };
        let mut is_first = true;
        while let Some(part) = parts.front() {
            let told = inverse.skipped.len();
            match inverse.part(&mut tx, part, memory) {
                Ok(()) => drop(parts.pop_front()),
                // What is staged leaves no room for it: it goes into the next entry.
                Err(Error::Write(WriteError::Draft(DraftError::Limit(_)))) if !is_first => {
                    inverse.skipped.truncate(told);
                    break;
                }
                Err(error) => return Err(error),
            }
            is_first = false;
        }
        let is_done = parts.is_empty();
        reverted.skipped.append(&mut inverse.skipped);
        drop(inverse);
        drop(rows);
        reverted.entries.extend(tx.commit()?.id);
        if is_done {
            return Ok(reverted);
        }
    }
}
