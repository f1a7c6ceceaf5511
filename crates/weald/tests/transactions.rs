//! Transactions: all or nothing, own reads, conflicts, permissions, groups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::{Message, block_on, message, push, room, texts};
use weald::{
    CommitError, CommitFeed, DatabaseId, DatabaseSettings, DraftError, Error, Instance, Key, Level,
    Number, PublicKey, ReadError, RowKey, StoreError, StoreNameError, Subject, Value, ValueError,
    WriteError,
};

#[test]
fn one_commit_is_one_entry_over_any_number_of_stores() {
    let (_instance, alice, room) = room();
    let before = room.entry_count().unwrap();
    let committed = room
        .write(|tx| {
            tx.log("messages")?.push(&message("hello"))?;
            tx.table("people")?.put(alice.default_key(), &message("Alice"))?;
            tx.doc("about")?.set(["topic", "title"], "tea")?;
            Ok(7)
        })
        .unwrap();
    assert_eq!(committed.value, 7);
    assert!(committed.conflicts.is_empty());
    assert_eq!(room.entry_count().unwrap(), before + 1);
    assert_eq!(room.tips().unwrap(), [committed.id.unwrap()]);
    assert_eq!(texts(&room), ["hello"]);
    let person = room.table::<Message>("people").unwrap().row(alice.default_key()).unwrap();
    let person = person.unwrap();
    assert_eq!((person.value.text.as_str(), person.author), ("Alice", alice.default_key()));
    assert_eq!(Some(person.entry), committed.id);
    let title = room.doc("about").unwrap().get(["topic", "title"]).unwrap();
    assert_eq!(title, Some(Value::from("tea")));
}

#[test]
fn reads_inside_see_own_writes_and_nobody_else_does() {
    let (_instance, _, room) = room();
    push(&room, "before");
    let mut tx = room.begin().unwrap();
    tx.log("messages").unwrap().push(&message("inside")).unwrap();
    let key = tx.table("notes").unwrap().insert(&message("one")).unwrap();
    tx.table::<Message>("notes").unwrap().edit(&key, "text", "two").unwrap();
    push(&room, "meanwhile");
    let seen = tx.log::<Message>("messages").unwrap().tail(10).unwrap();
    assert_eq!(seen, [Ok(message("before")), Ok(message("inside"))]);
    let note = tx.table::<Message>("notes").unwrap().get(&key).unwrap();
    assert_eq!(note, Some(message("two")));
    assert_eq!(texts(&room), ["before", "meanwhile"]);
    tx.commit().unwrap();
    // An item stands where its commit puts it.
    assert_eq!(texts(&room), ["before", "meanwhile", "inside"]);
    let note = room.table::<Message>("notes").unwrap().get(&key).unwrap();
    assert_eq!(note, Some(message("two")));
}

#[test]
fn an_empty_or_dropped_or_failed_transaction_changes_nothing() {
    let (_instance, _, room) = room();
    let (tips, digest) = (room.tips().unwrap(), room.state_digest().unwrap());
    assert_eq!(room.write(|_| Ok(())).unwrap().id, None);
    let mut dropped = room.begin().unwrap();
    dropped.log("messages").unwrap().push(&message("never")).unwrap();
    drop(dropped);
    let given_up = room.write(|tx| {
        tx.log("messages")?.push(&message("never"))?;
        Err::<(), _>(Error::aborted("the user said no"))
    });
    assert!(matches!(given_up, Err(Error::Aborted(_))), "{given_up:?}");
    assert_eq!(room.tips().unwrap(), tips);
    assert_eq!(room.state_digest().unwrap(), digest);
}

#[test]
fn an_operation_that_fails_leaves_the_transaction_as_it_was() {
    let (_instance, _, room) = room();
    let committed = room.write(|tx| {
        let mut table = tx.table::<Value>("notes")?;
        table.put("a", &Value::from([("n", 1_i64)]))?;
        let refused = table.put("b", &Value::from("not a map"));
        assert!(matches!(refused, Err(WriteError::Draft(DraftError::NotAMap { .. }))));
        let refused = table.edit("none", "n", &1);
        assert!(matches!(refused, Err(WriteError::Draft(DraftError::NoRow))));
        let refused = table.put("c", &Value::F64(f64::NAN));
        assert!(refused.is_err());
        assert!(!table.delete("none")?);
        Ok(())
    });
    assert!(committed.unwrap().id.is_some());
    let table = room.table::<Value>("notes").unwrap();
    assert_eq!(table.count().unwrap(), 1);
    assert_eq!(table.get("a").unwrap(), Some(Value::from([("n", 1_i64)])));
}

#[test]
fn concurrent_writes_to_one_row_are_reported_as_a_conflict() {
    let (_instance, _, room) = room();
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("first"))?)).unwrap();
    let mut one = room.begin().unwrap();
    let mut other = room.begin().unwrap();
    one.table("notes").unwrap().put("a", &message("one")).unwrap();
    other.table("notes").unwrap().put("a", &message("other")).unwrap();
    let one = one.commit().unwrap();
    assert!(one.conflicts.is_empty());
    let other = other.commit().unwrap();
    assert_eq!(other.conflicts.len(), 1);
    assert_eq!(other.conflicts[0].store, "notes");
    assert_eq!(Some(other.conflicts[0].winner), other.id);
    assert_eq!(other.conflicts[0].losers, [one.id.unwrap()]);
    let notes = room.table::<Message>("notes").unwrap();
    assert_eq!(notes.get("a").unwrap(), Some(message("other")));
    let standing = notes.conflicts("a").unwrap();
    assert_eq!(standing[0].losers[0].value, Value::from("one"));
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("both"))?)).unwrap();
    assert!(notes.conflicts("a").unwrap().is_empty());
}

#[test]
fn a_row_that_was_to_stay_fails_the_commit() {
    let (_instance, _, room) = room();
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("first"))?)).unwrap();
    let mut tx = room.begin().unwrap();
    tx.require_unchanged("notes", "a").unwrap();
    tx.table("notes").unwrap().put("a", &message("mine")).unwrap();
    room.write(|tx| Ok(tx.table("notes")?.put("a", &message("theirs"))?)).unwrap();
    let tips = room.tips().unwrap();
    let failed = tx.commit();
    assert!(matches!(failed, Err(CommitError::Changed { .. })), "{failed:?}");
    assert_eq!(room.tips().unwrap(), tips);
    let mut tx = room.begin().unwrap();
    tx.require_unchanged("notes", "a").unwrap();
    tx.table("notes").unwrap().put("a", &message("mine")).unwrap();
    tx.commit().unwrap();
}

#[derive(Default)]
struct Groups(Mutex<Vec<usize>>);

impl CommitFeed for Groups {
    fn committed(&self, _: DatabaseId, numbers: &[Number], origin: Option<PublicKey>) {
        assert_eq!(origin, None);
        self.0.lock().unwrap().push(numbers.len());
    }
}

#[test]
fn commits_that_wait_together_share_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let instance = Instance::open(dir.path()).unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Demo")).unwrap();
    let groups = Arc::new(Groups::default());
    instance.add_feed(Arc::<Groups>::clone(&groups));
    let mut waiting = Vec::new();
    for number in 0..200 {
        let mut tx = room.begin().unwrap();
        tx.log("messages").unwrap().push(&message(&number.to_string())).unwrap();
        waiting.push(tx.commit_async());
    }
    let mut ids = Vec::new();
    for commit in waiting {
        ids.push(block_on(commit).unwrap().id.unwrap());
    }
    assert_eq!(room.entry_count().unwrap(), 201);
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(texts(&room), expected, "entries stand in the order of their commits");
    assert!(instance.verify().unwrap().is_sound(), "signed on two threads");
    // The last group is told after its callers were answered; closing waits for that.
    instance.close();
    let groups = groups.0.lock().unwrap();
    assert_eq!(groups.iter().sum::<usize>(), 200);
    assert!(groups.len() < 200, "{groups:?}");
}

#[test]
fn many_threads_commit_and_nothing_is_lost() {
    let (_instance, _, room) = room();
    thread::scope(|scope| {
        for thread in 0..8 {
            let room = &room;
            scope.spawn(move || {
                for number in 0..25 {
                    let text = format!("{thread}.{number}");
                    room.write(|tx| Ok(tx.table("notes")?.put(text.as_str(), &message(&text))?))
                        .unwrap();
                }
            });
        }
    });
    let notes = room.table::<Message>("notes").unwrap();
    assert_eq!(notes.count().unwrap(), 200);
    assert_eq!(room.entry_count().unwrap(), 201);
    assert_eq!(room.tips().unwrap().len(), 1, "local commits never fork");
    assert_eq!(notes.get("7.24").unwrap(), Some(message("7.24")));
}

#[test]
fn a_key_without_permission_is_refused_with_what_it_needs() {
    let instance = Instance::in_memory().unwrap();
    let alice = instance.create_user("alice", None).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    let room = alice.create_database(DatabaseSettings::named("Mine")).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    assert_eq!(his.settings().my_permission().unwrap(), None);
    let refused = his.write(|tx| Ok(tx.log("messages")?.push(&message("hi"))?));
    assert!(matches!(refused, Err(Error::Commit(CommitError::NotPermitted { .. }))), "{refused:?}");
    assert_eq!(room.entry_count().unwrap(), 1);
    let refused = his.settings().grant(Subject::Anyone, Level::Write(1), None);
    assert!(matches!(refused, Err(Error::Commit(CommitError::NotPermitted { .. }))));
    let subject = Subject::Key(bob.default_key());
    room.settings().grant(subject, Level::Write(5), Some("Bob")).unwrap();
    assert_eq!(his.settings().my_permission().unwrap(), Some(Level::Write(5)));
    push(&his, "now");
    let item = room.log::<Message>("messages").unwrap().tail(1).unwrap().remove(0);
    assert_eq!(item.author, bob.default_key());
    let members = room.settings().members().unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].name.as_deref(), Some("alice"));
    assert_eq!((members[1].subject, members[1].name.as_deref()), (subject, Some("Bob")));
}

#[test]
fn a_name_is_one_type_of_store() {
    let (_instance, _, room) = room();
    push(&room, "hello");
    let clash = room.table::<Message>("messages").map(drop);
    let Err(ReadError::Name(StoreNameError::OtherType { found, wanted, .. })) = clash else {
        panic!("{clash:?}")
    };
    assert_eq!((found.as_str(), wanted), ("log", "table"));
    let mut tx = room.begin().unwrap();
    assert!(matches!(tx.doc("messages").map(drop), Err(WriteError::Name(_))));
    tx.table("new").unwrap().insert(&message("row")).unwrap();
    assert!(matches!(tx.log::<Message>("new").map(drop), Err(WriteError::Name(_))));
    for bad in ["", "_settings", "_mine", &"x".repeat(129)] {
        assert!(matches!(tx.log::<Message>(bad).map(drop), Err(WriteError::Name(_))), "{bad}");
        assert!(matches!(room.log::<Message>(bad).map(drop), Err(ReadError::Name(_))), "{bad}");
    }
}

#[test]
fn tables_are_read_by_key_range_and_prefix_in_pages() {
    let (_instance, _, room) = room();
    room.write(|tx| {
        let mut table = tx.table("numbers")?;
        for number in 0..1_000_i64 {
            table.put(number, &message(&number.to_string()))?;
        }
        let mut words = tx.table("words")?;
        for word in ["a", "ab", "abc", "b"] {
            words.put(word, &message(word))?;
        }
        Ok(())
    })
    .unwrap();
    let numbers = room.table::<Message>("numbers").unwrap();
    let read = |rows: weald::TableRows<Message>| -> Vec<i64> {
        rows.map(|row| match row.unwrap() {
            (Key::Integer(number), _) => number,
            other => panic!("{other:?}"),
        })
        .collect()
    };
    assert_eq!(read(numbers.rows()), (0..1_000).collect::<Vec<_>>());
    assert_eq!(read(numbers.rows().reverse()), (0..1_000).rev().collect::<Vec<_>>());
    let (from, to) = (Key::Integer(100), Key::Integer(600));
    assert_eq!(read(numbers.range(from.clone()..to.clone())), (100..600).collect::<Vec<_>>());
    assert_eq!(read(numbers.range(from.clone()..=to)).len(), 501);
    assert!(read(numbers.range(Key::Integer(5)..Key::Integer(2))).is_empty());
    let words = room.table::<Message>("words").unwrap();
    let found: Vec<String> = words.prefix("ab").map(|row| row.unwrap().1.text).collect();
    assert_eq!(found, ["ab", "abc"]);
}

#[test]
fn logs_are_read_from_both_ends_and_from_a_cursor() {
    let (_instance, _, room) = room();
    for number in 0..20 {
        push(&room, &number.to_string());
    }
    let log = room.log::<Message>("messages").unwrap();
    let text = |items: Vec<weald::LogItem<Message>>| -> Vec<String> {
        items.into_iter().map(|item| item.value.unwrap().text).collect()
    };
    let last = log.tail(3).unwrap();
    assert_eq!(text(log.before(&last[0].cursor, 2).unwrap()), ["15", "16"]);
    assert_eq!(text(log.after(&last[0].cursor, 10).unwrap()), ["18", "19"]);
    assert_eq!(text(log.head(2).unwrap()), ["0", "1"]);
    assert!(log.tail(0).unwrap().is_empty());
    assert_eq!(log.get(&last[1].cursor).unwrap().as_ref(), Some(&last[1]));
    assert!(last[0].time < last[1].time && last[0].cursor < last[1].cursor);
}

#[test]
fn an_item_of_another_shape_is_a_typed_error_in_its_place() {
    let (_instance, _, room) = room();
    push(&room, "before");
    room.write(|tx| Ok(tx.log("messages")?.push(&7)?)).unwrap();
    push(&room, "after");
    let items = room.log::<Message>("messages").unwrap().tail(3).unwrap();
    assert_eq!(items[0].value, Ok(message("before")));
    assert_eq!(items[2].value, Ok(message("after")));
    let misfit = items[1].value.as_ref().unwrap_err();
    assert_eq!((misfit.store.as_str(), &misfit.key), ("messages", &RowKey::Log(items[1].cursor)));
    assert!(matches!(misfit.source, ValueError::WrongKind { .. } | ValueError::Refused { .. }));
}

#[test]
fn after_closing_everything_says_so() {
    let (instance, alice, room) = room();
    let mut tx = room.begin().unwrap();
    tx.log("messages").unwrap().push(&message("late")).unwrap();
    instance.close();
    assert!(matches!(tx.commit(), Err(CommitError::Store(StoreError::Closed))));
    assert!(matches!(room.begin().map(drop), Err(StoreError::Closed)));
    assert!(matches!(room.tips(), Err(StoreError::Closed)));
    assert!(alice.databases().is_err());
    assert!(instance.create_user("bob", None).is_err());
    instance.close();
}
