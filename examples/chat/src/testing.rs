//! What tests of several modules need.

use weald::{Cursor, DatabaseId, DatabaseSettings, Instance, PublicKey};

/// Returns cursors in ascending order, from a log in memory.
pub(crate) fn cursors(count: usize) -> Vec<Cursor> {
    let instance = Instance::in_memory().unwrap();
    let user = instance.create_user("test", None::<&str>).unwrap();
    let database = user.create_database(DatabaseSettings::named("test")).unwrap();
    let filled = database.write(|tx| {
        let mut log = tx.log("log")?;
        for n in 0..count {
            log.push(&n)?;
        }
        Ok(())
    });
    filled.unwrap();
    let items = database.log::<u64>("log").unwrap().head(count).unwrap();
    items.into_iter().map(|item| item.cursor).collect()
}

/// Returns a key that nobody holds.
pub(crate) fn key(n: u8) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[0] = n;
    PublicKey::from_bytes(bytes).unwrap()
}

/// Returns the id of no room.
pub(crate) fn room(n: u8) -> DatabaseId {
    DatabaseId::from_bytes([n; 32])
}
