//! Which stores a database has: from what is in it, with notes that merge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{message, push, room};
use weald::{
    Database, Instance, Level, StoreNameError, StoreOptions, StoreSummary, Value, WriteError,
};

fn names(database: &Database) -> Vec<(String, String, bool)> {
    let short = |store: StoreSummary| (store.name, store.type_name, store.is_empty);
    database.stores().unwrap().into_iter().map(short).collect()
}

fn name(name: &str, type_name: &str, is_empty: bool) -> (String, String, bool) {
    (name.to_owned(), type_name.to_owned(), is_empty)
}

fn two() -> ((Instance, Database), (Instance, Database)) {
    let (here, _, room) = room();
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let parcels = room.parcels(0, usize::MAX).unwrap();
    there.ingest(here.device_key(), room.id(), parcels).unwrap();
    there.mark_complete(room.id()).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    ((here, room), (there, his))
}

fn exchange(one: &(Instance, Database), other: &(Instance, Database)) {
    for (from, to) in [(one, other), (other, one)] {
        let parcels = from.1.parcels(0, usize::MAX).unwrap();
        to.0.ingest(from.0.device_key(), from.1.id(), parcels).unwrap();
    }
}

#[test]
fn the_list_is_what_is_there() {
    let (_instance, _, room) = room();
    assert!(room.stores().unwrap().is_empty());
    for number in 0..20 {
        push(&room, &number.to_string());
    }
    room.write(|tx| {
        tx.table("notes")?.put("a", &message("a"))?;
        tx.table("zoo")?.put("a", &message("a"))?;
        Ok(tx.doc("about")?.set(["topic"], "tea")?)
    })
    .unwrap();
    let all = [
        name("about", "doc", false),
        name("messages", "log", false),
        name("notes", "table", false),
        name("zoo", "table", false),
    ];
    assert_eq!(names(&room), all);
    room.write(|tx| Ok(tx.table::<Value>("zoo")?.delete("a")?)).unwrap();
    assert_eq!(names(&room), all[..3]);
}

#[test]
fn two_who_make_one_store_get_one_with_the_notes_of_both() {
    let (mine, his) = two();
    let by_text = StoreOptions::default().description("what we noted").index("by_text", ["text"]);
    let by_place = StoreOptions::default().index("by_place", ["address.city", "address.street"]);
    for (database, options) in [(&mine.1, &by_text), (&his.1, &by_place)] {
        database
            .write(|tx| {
                tx.describe("notes", "table", options)?;
                tx.table("notes")?.insert(&message("a"))?;
                Ok(())
            })
            .unwrap();
    }
    exchange(&mine, &his);
    let both = by_text.clone().index("by_place", ["address.city", "address.street"]);
    for database in [&mine.1, &his.1] {
        let stores = database.stores().unwrap();
        assert_eq!(names(database), [name("notes", "table", false)]);
        assert_eq!(stores[0].options, both);
        assert_eq!(database.table::<Value>("notes").unwrap().count().unwrap(), 2);
    }
    assert_eq!(mine.1.state_digest().unwrap(), his.1.state_digest().unwrap());
}

#[test]
fn one_name_with_two_types_made_apart_is_two_stores() {
    let (mine, his) = two();
    push(&mine.1, "hello");
    his.1.write(|tx| Ok(tx.table("messages")?.put("a", &message("a"))?)).unwrap();
    exchange(&mine, &his);
    let both = [name("messages", "log", false), name("messages", "table", false)];
    assert_eq!((names(&mine.1), names(&his.1)), (both.to_vec(), both.to_vec()));
    assert_eq!(mine.1.log::<Value>("messages").unwrap().tail(9).unwrap().len(), 1);
    assert_eq!(mine.1.table::<Value>("messages").unwrap().count().unwrap(), 1);
    let found = mine.1.doc("messages").map(drop);
    assert!(found.is_err(), "a third type is an error");
}

#[test]
fn notes_are_checked_and_may_come_before_the_store() {
    let (_instance, _, room) = room();
    push(&room, "hello");
    let options = StoreOptions::default().description("for later");
    room.write(|tx| {
        for bad in ["", "_settings", &"x".repeat(129)] {
            assert!(matches!(tx.describe(bad, "table", &options), Err(WriteError::Name(_))));
        }
        let clash = tx.describe("messages", "table", &options);
        assert!(matches!(clash, Err(WriteError::Name(StoreNameError::OtherType { .. }))));
        let unknown = tx.describe("later", "none", &options);
        assert!(matches!(unknown, Err(WriteError::Name(StoreNameError::UnknownType { .. }))));
        tx.describe("later", "log", &options)?;
        Ok(tx.describe("later", "log", &StoreOptions::default().index("by_name", ["name"]))?)
    })
    .unwrap();
    assert_eq!(names(&room), [name("later", "log", true), name("messages", "log", false)]);
    let noted = options.index("by_name", ["name"]);
    assert_eq!(room.stores().unwrap()[0].options, noted);
    // A note binds nobody.
    room.write(|tx| Ok(tx.table("later")?.put("a", &message("a"))?)).unwrap();
    assert_eq!(names(&room).len(), 3);
    assert_eq!(room.settings().my_permission().unwrap(), Some(Level::Admin(0)));
}
