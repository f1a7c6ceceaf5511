//! Writing resolutions.
//!
//! Invariant: what is written names the versions that were looked at, all of them and no other.

use std::collections::{BTreeMap, BTreeSet};

use weald_crdt::{DocType, DraftError, Key, Path, SectionDraft, TableType, Value, doc};
use weald_dag::EntryId;

use super::resolution::Choice;
use super::{RESOLUTIONS_PER_COMMIT, Resolution, ResolveError, doc_conflicts, row_conflicts};
use crate::conflict::{ConflictedValue, RowKey};
use crate::database::Database;
use crate::error::{Error, ReadError, WriteError};
use crate::transaction::Transaction;

/// Stages the resolution of a conflict; returns whether there was something to write.
pub(super) fn resolve(
    tx: &mut Transaction,
    conflict: &ConflictedValue,
    resolution: Resolution,
) -> Result<bool, WriteError> {
    let choice = conflict.choose(resolution, &tx.author());
    if matches!(choice, Choice::Nothing) {
        return Ok(false);
    }
    check_versions(tx, conflict)?;
    let store = &conflict.store;
    match (&conflict.key, &conflict.field, choice) {
        (RowKey::Table(key), Some(field), Choice::Write(value)) => {
            write_field(tx, store, key, field, value)?;
        }
        (RowKey::Doc(path), None, Choice::Write(value)) => write_leaf(tx, store, path, &value)?,
        (RowKey::Doc(path), None, Choice::KeepShown) => keep_shown(tx, store, path)?,
        _ => return Err(ResolveError::NoVersions { store: store.clone() }.into()),
    }
    Ok(true)
}

/// Checks that the versions are still those that were looked at, so that no other is replaced.
fn check_versions(tx: &Transaction, conflict: &ConflictedValue) -> Result<(), WriteError> {
    let (rows, store) = (tx.begun(), conflict.store.as_str());
    let (core, database) = (tx.core(), tx.database());
    let found = match &conflict.key {
        RowKey::Table(key) => row_conflicts(core, database, rows, store, Some(key))?,
        RowKey::Doc(path) => doc_conflicts(core, database, rows, store, path)?,
        _ => Vec::new(),
    };
    let mut same = found.into_iter();
    let same = same.find(|one| one.key == conflict.key && one.field == conflict.field);
    let entries = |one: &ConflictedValue| -> BTreeSet<EntryId> {
        one.versions().map(|version| version.entry).collect()
    };
    if same.is_some_and(|same| entries(&same) == entries(conflict)) {
        Ok(())
    } else {
        Err(ResolveError::Changed { store: store.to_owned() }.into())
    }
}

fn write_field(
    tx: &mut Transaction,
    store: &str,
    key: &Key,
    field: &str,
    value: Value,
) -> Result<(), WriteError> {
    let fields = BTreeMap::from([(field.to_owned(), Some(value))]);
    if let (SectionDraft::Table(draft), mut view) = tx.draft(store, TableType::NAME)? {
        draft.edit(&mut view, key, &fields)?;
    }
    Ok(())
}

fn write_leaf(
    tx: &mut Transaction,
    store: &str,
    path: &Path,
    value: &Value,
) -> Result<(), WriteError> {
    match set(tx, store, path, value) {
        Err(WriteError::Draft(DraftError::ThroughScalar { .. })) => {
            Err(ResolveError::Hidden { store: store.to_owned() }.into())
        }
        set => set,
    }
}

/// Writes again what shows at a path, or above it, in place of everything that it hides.
fn keep_shown(tx: &mut Transaction, store: &str, path: &Path) -> Result<(), WriteError> {
    let mut at = path.clone();
    loop {
        let shown = doc::get(&tx.view(store, DocType::NAME)?, &at).map_err(ReadError::from)?;
        if let Some(shown) = shown {
            return set(tx, store, &at, &shown);
        }
        // Nothing shows below a value that hides it, so that one is above.
        let Some(above) = at.parent().filter(|above| !above.is_root()) else {
            return Err(ResolveError::Changed { store: store.to_owned() }.into());
        };
        at = above;
    }
}

fn set(tx: &mut Transaction, store: &str, path: &Path, value: &Value) -> Result<(), WriteError> {
    if let (SectionDraft::Doc(draft), mut view) = tx.draft(store, DocType::NAME)? {
        draft.set(&mut view, path, value)?;
    }
    Ok(())
}

/// Writes what was decided, at most [`RESOLUTIONS_PER_COMMIT`] in a commit; tells `resolved` of each.
/// A conflict that has changed meanwhile is left, and so is one whose resolution cannot be written.
///
/// # Errors
/// The first of those that cannot be written, when all others are; or why a commit failed, at once.
pub(super) fn write(
    database: &Database,
    decided: Vec<(ConflictedValue, Resolution)>,
    resolved: &mut dyn FnMut(ConflictedValue, EntryId),
) -> Result<(), Error> {
    let mut failed = None;
    let mut decided = decided.into_iter().peekable();
    while decided.peek().is_some() {
        let (mut tx, mut staged) = (database.begin()?, Vec::new());
        while staged.len() < RESOLUTIONS_PER_COMMIT
            && let Some((conflict, resolution)) = decided.peek()
        {
            match tx.resolve(conflict, resolution.clone()) {
                Ok(true) => staged.extend(decided.next().map(|(conflict, _)| conflict)),
                Ok(false) | Err(WriteError::Resolve(_)) => drop(decided.next()),
                // What is staged leaves no room for it: it goes into the next commit.
                Err(WriteError::Draft(DraftError::Limit(_))) if !staged.is_empty() => break,
                Err(error) => {
                    drop(decided.next());
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(entry) = tx.commit()?.id {
            staged.into_iter().for_each(|conflict| resolved(conflict, entry));
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}
