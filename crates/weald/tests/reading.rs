//! Readers share a snapshot, and see a commit as soon as it has returned.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Message, message};
use weald::{Database, DatabaseSettings, Instance, Key};

fn put(database: &Database, key: i64, text: &str) {
    let row = message(text);
    database.write(|tx| Ok(tx.table::<Message>("rows")?.put(key, &row)?)).unwrap();
}

fn get(database: &Database, key: i64) -> Option<Message> {
    database.table::<Message>("rows").unwrap().get(Key::Integer(key)).unwrap()
}

#[test]
fn a_commit_that_has_returned_is_seen_while_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::open(folder.path()).unwrap();
    let user = instance.create_user("alice", None).unwrap();
    let database = user.create_database(DatabaseSettings::named("rows")).unwrap();
    put(&database, 0, "first");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(get(&database, 0), Some(message("first")));
                }
            });
        }
        for i in 1..60 {
            let text = format!("row {i}");
            put(&database, i, &text);
            assert_eq!(get(&database, i), Some(message(&text)));
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn many_databases_are_read_from_one_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::open(folder.path()).unwrap();
    let user = instance.create_user("alice", None).unwrap();
    let database = |i: i64| {
        let database = user.create_database(DatabaseSettings::named(format!("{i}"))).unwrap();
        put(&database, i, &format!("row {i}"));
        database
    };
    let databases: Vec<(i64, Database)> = (0..24).map(|i| (i, database(i))).collect();
    for _ in 0..2 {
        for (i, database) in &databases {
            assert_eq!(get(database, *i), Some(message(&format!("row {i}"))));
            assert_eq!(get(database, *i + 1), None);
        }
    }
}
