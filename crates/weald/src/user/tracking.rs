//! Which databases a user tracks and what it wants of them, in the system database `_databases`.
//!
//! Invariant: a database that is made is tracked from its first moment; one that its last user has
//! removed is marked so until somebody tracks it again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weald_crdt::{Key, MemoryView, TableDraft, Timestamp, Value};
use weald_dag::{DatabaseId, Graph, PublicKey, StoreError};
use weald_engine::{Commit, CommitError, Founding, Held};

use super::error::UserError;
use super::now;
use super::preferences::{DatabasePreferences, SyncSettings, TrackedRow};
use super::wanted::Wishes;
use crate::core::Core;
use crate::database::{Database, DatabaseError};
use crate::desk::Along;
use crate::error::Error;
use crate::settings::NAME;
use crate::system;
use crate::transaction::Transaction;

const TRACKED: &str = "tracked";
const REMOVED: &str = "removed";

#[derive(Serialize, Deserialize)]
struct RemovedRow {
    since: Timestamp,
}

/// A database that a user tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseSummary {
    /// Its id.
    pub id: DatabaseId,
    /// Its name, once its settings are here.
    pub name: Option<String>,
    /// Whether all of it is here.
    pub complete: bool,
    /// How many entries are here.
    pub entries: u64,
}

/// Reads what all users want, the first time it is asked for.
pub(crate) fn load(core: &Arc<Core>) -> Result<(), Error> {
    let _changing = core.wanted.changing();
    if core.wanted.is_known() {
        return Ok(());
    }
    let database = system::open(core, system::DATABASES)?;
    let mut wishes = Wishes::default();
    for row in database.table::<TrackedRow>(TRACKED)?.rows() {
        let (Key::Tuple(parts), row) = row? else { continue };
        let [Key::Text(user), Key::Bytes(id)] = parts.as_slice() else { continue };
        let Ok(id) = id.as_slice().try_into().map(DatabaseId::from_bytes) else { continue };
        let settings = row.preferences(id).sync_settings;
        wishes.of.entry(id).or_default().insert(user.as_str().into(), settings);
    }
    for row in database.table::<RemovedRow>(REMOVED)?.rows() {
        let (Key::Bytes(id), _) = row? else { continue };
        wishes.removed.extend(id.as_slice().try_into().map(DatabaseId::from_bytes));
    }
    core.wanted.know(wishes);
    Ok(())
}

/// Stores what a user wants of a database, in place of what it wanted before.
fn store(
    core: &Arc<Core>,
    mut transaction: Transaction,
    user: &Arc<str>,
    preferences: DatabasePreferences,
    since: Timestamp,
) -> Result<(), Error> {
    let id = preferences.database_id;
    let row = TrackedRow::of(&preferences, since);
    transaction.table::<TrackedRow>(TRACKED)?.put((&**user, id), &row)?;
    let mut removed = transaction.table::<RemovedRow>(REMOVED)?;
    if removed.contains(id)? {
        removed.delete(id)?;
    }
    transaction.commit()?;
    core.wanted.note(|wishes| {
        wishes.removed.remove(&id);
        wishes.of.entry(id).or_default().insert(Arc::clone(user), preferences.sync_settings);
    });
    core.sync.reconsider(id);
    Ok(())
}

fn refuse_system(core: &Core, database: DatabaseId) -> Result<(), Error> {
    match core.held(&database)? {
        Some(held) if held.system => Err(DatabaseError::NotHere { id: database }.into()),
        _ => Ok(()),
    }
}

/// Notes that a user tracks a database, if it does not yet.
pub(super) fn track(core: &Arc<Core>, user: &Arc<str>, id: DatabaseId) -> Result<(), Error> {
    refuse_system(core, id)?;
    let _changing = core.wanted.changing();
    let mut transaction = system::open(core, system::DATABASES)?.begin()?;
    if transaction.table::<TrackedRow>(TRACKED)?.contains((&**user, id))? {
        return Ok(());
    }
    store(core, transaction, user, DatabasePreferences::new(id), now())
}

/// Notes that the users whose key this is track a database, as far as they are logged in.
pub(crate) fn track_for_key(
    core: &Arc<Core>,
    key: &PublicKey,
    id: DatabaseId,
) -> Result<(), Error> {
    refuse_system(core, id)?;
    core.logins.with_key(key).iter().try_for_each(|user| track(core, user, id))
}

/// Sets what a user wants of a database, which is tracked from then on.
pub(super) fn add(
    core: &Arc<Core>,
    user: &Arc<str>,
    preferences: DatabasePreferences,
) -> Result<(), Error> {
    put(core, user, preferences, false)
}

/// Sets what a user wants of a database that it tracks.
pub(super) fn set(
    core: &Arc<Core>,
    user: &Arc<str>,
    preferences: DatabasePreferences,
) -> Result<(), Error> {
    put(core, user, preferences, true)
}

fn put(
    core: &Arc<Core>,
    user: &Arc<str>,
    preferences: DatabasePreferences,
    tracked: bool,
) -> Result<(), Error> {
    let every = preferences.sync_settings.interval_seconds;
    if every.is_some_and(|every| every == 0 || i64::try_from(every).is_err()) {
        return Err(UserError::Interval.into());
    }
    let database = preferences.database_id;
    refuse_system(core, database)?;
    let _changing = core.wanted.changing();
    let mut transaction = system::open(core, system::DATABASES)?.begin()?;
    let before = transaction.table::<TrackedRow>(TRACKED)?.get((&**user, database))?;
    let since = match before {
        Some(row) => row.since,
        None if tracked => return Err(UserError::NotTracked { database }.into()),
        None => now(),
    };
    store(core, transaction, user, preferences, since)
}

/// Takes the note away, and returns whether there was one.
pub(super) fn remove(core: &Arc<Core>, user: &str, id: DatabaseId) -> Result<bool, Error> {
    let _changing = core.wanted.changing();
    remove_each(core, user, &[id])
}

/// Takes all notes of a user away.
pub(super) fn remove_all(core: &Arc<Core>, user: &str) -> Result<(), Error> {
    let _changing = core.wanted.changing();
    let database = system::open(core, system::DATABASES)?;
    let ids: Vec<_> = rows(&database, user)?.into_iter().map(|(id, _)| id).collect();
    remove_each(core, user, &ids).map(drop)
}

fn remove_each(core: &Arc<Core>, user: &str, ids: &[DatabaseId]) -> Result<bool, Error> {
    let database = system::open(core, system::DATABASES)?;
    let mut transaction = database.begin()?;
    let mut gone = Vec::new();
    for id in ids {
        if !transaction.table::<TrackedRow>(TRACKED)?.delete((user, *id))? {
            continue;
        }
        let last = !is_tracked_by_others(&database, user, *id)?;
        if last {
            let row = RemovedRow { since: now() };
            transaction.table::<RemovedRow>(REMOVED)?.put(*id, &row)?;
        }
        gone.push((*id, last));
    }
    transaction.commit()?;
    core.wanted.note(|wishes| {
        for (id, last) in &gone {
            if let Some(users) = wishes.of.get_mut(id) {
                users.remove(user);
            }
            if *last {
                wishes.removed.insert(*id);
            }
        }
    });
    gone.iter().for_each(|(id, _)| core.sync.reconsider(*id));
    Ok(!gone.is_empty())
}

fn is_tracked_by_others(database: &Database, user: &str, id: DatabaseId) -> Result<bool, Error> {
    for row in database.table::<TrackedRow>(TRACKED)?.rows() {
        let (Key::Tuple(parts), _) = row? else { continue };
        let [Key::Text(other), Key::Bytes(found)] = parts.as_slice() else { continue };
        if other != user && found == id.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rows(database: &Database, user: &str) -> Result<Vec<(DatabaseId, TrackedRow)>, Error> {
    let mut found = Vec::new();
    for row in database.table::<TrackedRow>(TRACKED)?.prefix(vec![Key::from(user)]) {
        let (Key::Tuple(parts), row) = row? else { continue };
        let [_, Key::Bytes(id)] = parts.as_slice() else { continue };
        if let Ok(id) = id.as_slice().try_into() {
            found.push((DatabaseId::from_bytes(id), row));
        }
    }
    Ok(found)
}

/// Lists what a user wants, by database.
pub(super) fn all_preferences(
    core: &Arc<Core>,
    user: &str,
) -> Result<Vec<DatabasePreferences>, Error> {
    let rows = rows(&system::open(core, system::DATABASES)?, user)?;
    Ok(rows.into_iter().map(|(id, row)| row.preferences(id)).collect())
}

/// Returns what a user wants of a database; `None` if it does not track it.
pub(super) fn preferences(
    core: &Arc<Core>,
    user: &str,
    id: DatabaseId,
) -> Result<Option<DatabasePreferences>, Error> {
    let database = system::open(core, system::DATABASES)?;
    let row = database.table::<TrackedRow>(TRACKED)?.get((user, id))?;
    Ok(row.map(|row| row.preferences(id)))
}

/// Lists what a user tracks, by id.
pub(super) fn list(core: &Arc<Core>, user: &str) -> Result<Vec<DatabaseSummary>, Error> {
    let rows = rows(&system::open(core, system::DATABASES)?, user)?;
    Ok(rows.into_iter().map(|(id, _)| summary(core, id)).collect::<Result<_, _>>()?)
}

fn summary(core: &Core, id: DatabaseId) -> Result<DatabaseSummary, StoreError> {
    let Some(held) = core.held(&id)? else {
        return Ok(DatabaseSummary { id, name: None, complete: false, entries: 0 });
    };
    let name = core.authority(&held)?.current().setting(NAME).map(str::to_owned);
    let head = Graph::new(&core.rows()?, held.number).head()?;
    let entries = head.map_or(0, |(_, head)| head.needed);
    Ok(DatabaseSummary { id, name, complete: held.complete, entries })
}

/// Makes a database and notes that the user tracks it, both or neither.
pub(super) fn found(core: &Arc<Core>, user: &Arc<str>, founding: Founding) -> Result<Held, Error> {
    let _changing = core.wanted.changing();
    let along = along(core, user)?;
    let held = system::found(core, founding, Some(along))?;
    core.wanted.note(|wishes| {
        let users = wishes.of.entry(held.id).or_default();
        users.insert(Arc::clone(user), SyncSettings::default());
    });
    Ok(held)
}

/// Makes the commit that notes a new database, to be written with it.
fn along(core: &Arc<Core>, user: &Arc<str>) -> Result<Along, Error> {
    let number = system::open(core, system::DATABASES)?.number();
    let (user, key) = (Arc::clone(user), Arc::clone(&core.device));
    Ok(Box::new(move |held: &Held| {
        let sections = vec![(TRACKED.to_owned(), section(&user, held.id)?)];
        Ok(Commit { database: number, key, sections, required: Vec::new() })
    }))
}

/// Makes the section that notes a new database as tracked; its row is new, so nothing is read.
fn section(user: &str, id: DatabaseId) -> Result<Vec<u8>, CommitError> {
    let key = Key::Tuple(vec![Key::from(user), Key::Bytes(id.as_bytes().to_vec())]);
    let void = |reason: String| CommitError::Void { store: TRACKED.to_owned(), reason };
    let row = Value::from_serde(&TrackedRow::new());
    let row = row.map_err(|error| void(error.to_string()))?;
    let mut draft = TableDraft::new();
    let put = draft.put(&mut MemoryView::new(), &key, &row);
    put.map_err(|error| void(error.to_string()))?;
    Ok(draft.encode())
}
