//! What is written and read: messages of about 100 bytes.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use weald::{Database, DatabaseSettings, Instance, Level};

/// How many rows go into one transaction while a database is only being filled.
pub(crate) const FILL: u64 = 1_000;

/// The key of the last message that [`leave`] writes.
pub(crate) const LAST: &str = "last";
/// Who writes and reads.
pub(crate) const USER: &str = "bench";

/// A message as a chat would keep it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) text: String,
}

impl Message {
    /// Makes the `i`-th message.
    pub(crate) fn new(i: u64) -> Self {
        Self {
            text: format!("{i:010} {}", "the quick brown fox jumps over the lazy dog ".repeat(2)),
        }
    }
}

/// Opens an instance with one user and one database that anyone may write to.
pub(crate) fn database(folder: &Path) -> Result<(Instance, Database)> {
    let instance = Instance::open(folder)?;
    let database = room(&instance)?;
    Ok((instance, database))
}

/// Makes a user, and a database that anyone may write to.
pub(crate) fn room(instance: &Instance) -> Result<Database> {
    let user = instance.create_user(USER, None)?;
    let settings = DatabaseSettings::named("bench").grant_anyone(Level::Write(10));
    Ok(user.create_database(settings)?)
}

/// Opens an instance again with the database that [`room`] made or that was joined.
pub(crate) fn open(folder: &Path) -> Result<(Instance, Database)> {
    let instance = Instance::open(folder)?;
    let database = reopen(&instance)?;
    Ok((instance, database))
}

/// Opens what [`room`] made.
pub(crate) fn reopen(instance: &Instance) -> Result<Database> {
    let user = instance.login_user(USER, None)?;
    let id = *instance.databases()?.first().context("the instance has no database")?;
    Ok(user.open_database(&id)?)
}

/// Writes rows of a table until there are `n`, many in one transaction, and returns their keys.
pub(crate) fn fill_table(database: &Database, n: u64) -> Result<Vec<weald::Key>> {
    let mut keys = Vec::new();
    for start in (0..n).step_by(usize::try_from(FILL)?) {
        let written = database.write(|tx| {
            let mut table = tx.table::<Message>("messages")?;
            let rows = start..n.min(start + FILL);
            Ok(rows.map(|i| table.insert(&Message::new(i))).collect::<Result<Vec<_>, _>>()?)
        })?;
        keys.extend(written.value);
    }
    Ok(keys)
}

/// Writes items of a log until there are `n`.
pub(crate) fn fill_log(database: &Database, n: u64) -> Result<()> {
    for start in (0..n).step_by(usize::try_from(FILL)?) {
        database.write(|tx| {
            let mut log = tx.log::<Message>("chat")?;
            let mut items = start..n.min(start + FILL);
            Ok(items.try_for_each(|i| log.push(&Message::new(i)))?)
        })?;
    }
    Ok(())
}

/// Commits messages one entry each, from many threads, so that there are `n` entries soon.
pub(crate) fn fill_entries(database: &Database, n: u64) -> Result<()> {
    const THREADS: u64 = 64;
    let share = n.div_ceil(THREADS);
    std::thread::scope(|scope| {
        let ranges = (0..THREADS).map(|thread| thread * share..n.min((thread + 1) * share));
        let threads: Vec<_> =
            ranges.map(|range| scope.spawn(move || commit_each(database, range))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => anyhow::bail!("a writing thread panicked"),
        })
    })
}

fn commit_each(database: &Database, range: std::ops::Range<u64>) -> Result<()> {
    for i in range {
        commit_one(database, i)?;
    }
    Ok(())
}

/// Leaves `n` messages of one entry each in a folder, the last under a known key.
pub(crate) fn leave(folder: &Path, n: u64) -> Result<()> {
    let (instance, database) = database(folder)?;
    fill_entries(&database, n - 1)?;
    database.write(|tx| Ok(tx.table("messages")?.put(LAST, &Message::new(n))?))?;
    instance.close();
    Ok(())
}

/// Commits one message as one entry.
pub(crate) fn commit_one(database: &Database, i: u64) -> Result<()> {
    database.write(|tx| Ok(tx.table::<Message>("messages")?.insert(&Message::new(i))?))?;
    Ok(())
}
