//! Which databases a user tracks, in the system database `_databases`.
//!
//! Invariant: a database that is made is tracked from its first moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weald_crdt::{Key, MemoryView, TableDraft, Timestamp, Value};
use weald_dag::{DatabaseId, Graph, StoreError};
use weald_engine::{Commit, CommitError, Held};

use super::now;
use crate::core::Core;
use crate::desk::Along;
use crate::error::Error;
use crate::settings::NAME;
use crate::system;

const TRACKED: &str = "tracked";

#[derive(Serialize, Deserialize)]
struct TrackedRow {
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

/// Notes that a user tracks a database, if it does not yet.
pub(super) fn track(core: &Arc<Core>, user: &str, id: DatabaseId) -> Result<(), Error> {
    let database = system::open(core, system::DATABASES)?;
    let mut transaction = database.begin()?;
    let mut table = transaction.table::<TrackedRow>(TRACKED)?;
    if table.get((user, id))?.is_some() {
        return Ok(());
    }
    table.put((user, id), &TrackedRow { since: now() })?;
    transaction.commit()?;
    Ok(())
}

/// Takes the note away, and returns whether there was one.
pub(super) fn untrack(core: &Arc<Core>, user: &str, id: DatabaseId) -> Result<bool, Error> {
    let database = system::open(core, system::DATABASES)?;
    let mut transaction = database.begin()?;
    let was = transaction.table::<TrackedRow>(TRACKED)?.delete((user, id))?;
    transaction.commit()?;
    Ok(was)
}

/// Lists what a user tracks, by id.
pub(super) fn list(core: &Arc<Core>, user: &str) -> Result<Vec<DatabaseSummary>, Error> {
    let database = system::open(core, system::DATABASES)?;
    let mut found = Vec::new();
    for row in database.table::<TrackedRow>(TRACKED)?.prefix(vec![Key::from(user)]) {
        let (Key::Tuple(parts), _) = row? else { continue };
        let [_, Key::Bytes(id)] = parts.as_slice() else { continue };
        if let Ok(id) = id.as_slice().try_into() {
            found.push(summary(core, DatabaseId::from_bytes(id))?);
        }
    }
    Ok(found)
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

/// Makes the commit that notes a new database, to be written with it.
pub(super) fn along(core: &Arc<Core>, user: &Arc<str>) -> Result<Along, Error> {
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
    let row = Value::from_serde(&TrackedRow { since: now() });
    let row = row.map_err(|error| void(error.to_string()))?;
    let mut draft = TableDraft::new();
    let put = draft.put(&mut MemoryView::new(), &key, &row);
    put.map_err(|error| void(error.to_string()))?;
    Ok(draft.encode())
}
