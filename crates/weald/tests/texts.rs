//! Texts: editing, reading, cursors, marks, concurrency, and what an app may get wrong.
#![cfg(feature = "text")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::room;
use weald::{
    Database, Error, Instance, ReadError, Side, TextCursor, TextError, Value, Verdict, WriteError,
};

const ALL: usize = usize::MAX;

fn read(database: &Database) -> String {
    database.text("note").unwrap().read().unwrap()
}

fn insert(database: &Database, at: usize, text: &str) {
    database.write(|tx| Ok(tx.text("note")?.insert(at, text)?)).unwrap();
}

fn delete(database: &Database, range: std::ops::Range<usize>) {
    database.write(|tx| Ok(tx.text("note")?.delete(range)?)).unwrap();
}

/// Hands all that one has to the other.
fn copy(from: &Database, source: &Instance, to: &Instance) {
    let verdicts = to.ingest(source.device_key(), from.id(), from.parcels(0, ALL).unwrap());
    for (_, verdict) in verdicts.unwrap() {
        assert!(matches!(verdict, Verdict::Stored(_) | Verdict::Duplicate(_)), "{verdict:?}");
    }
}

/// Alice's room, and Bob's copy of it.
fn two() -> ((Instance, Database), (Instance, Database)) {
    let (here, _, room) = room();
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    copy(&room, &here, &there);
    there.mark_complete(room.id()).unwrap();
    let his = bob.open_database(&room.id()).unwrap();
    ((here, room), (there, his))
}

fn exchange(one: &(Instance, Database), other: &(Instance, Database)) {
    copy(&one.1, &one.0, &other.0);
    copy(&other.1, &other.0, &one.0);
    assert_eq!(one.1.state_digest().unwrap(), other.1.state_digest().unwrap());
    assert_eq!(read(&one.1), read(&other.1));
}

#[test]
fn what_is_edited_is_read_inside_and_after() {
    let (_instance, _, room) = room();
    let note = room.text("note").unwrap();
    assert_eq!((note.read().unwrap().as_str(), note.len().unwrap()), ("", 0));
    assert!(note.is_empty().unwrap());
    room.write(|tx| {
        let mut note = tx.text("note")?;
        note.insert(0, "hällo wörld")?;
        note.splice(0..5, "good 🎉")?;
        assert_eq!(note.read()?, "good 🎉 wörld");
        assert_eq!(note.len()?, 12);
        note.push("!")?;
        note.delete(5..7)?;
        assert_eq!(note.read()?, "good wörld!");
        Ok(())
    })
    .unwrap();
    assert_eq!((note.read().unwrap().as_str(), note.len().unwrap()), ("good wörld!", 11));
    for at in 0..11 {
        delete(&room, 0..1);
        assert_eq!(note.len().unwrap(), 10 - at);
    }
    // Backwards, as with the backspace key.
    insert(&room, 0, "abcdef");
    room.write(|tx| {
        let mut note = tx.text("note")?;
        for at in (2..6).rev() {
            note.delete(at..at + 1)?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(read(&room), "ab");
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let (_instance, _, room) = room();
    insert(&room, 0, "stays");
    let mut tx = room.begin().unwrap();
    tx.text("note").unwrap().insert(0, "never ").unwrap();
    assert_eq!(tx.text("note").unwrap().read().unwrap(), "never stays");
    drop(tx);
    assert_eq!(read(&room), "stays");
    let given_up = room.write::<()>(|tx| {
        tx.text("note")?.delete(0..5)?;
        Err(Error::aborted("no"))
    });
    assert!(matches!(given_up, Err(Error::Aborted(_))));
    let nothing = room.write(|tx| Ok(tx.text("note")?.insert(2, "")?)).unwrap();
    assert_eq!(nothing.id, None);
    insert(&room, 5, "!");
    assert_eq!(read(&room), "stays!");
}

#[test]
fn transactions_of_one_moment_both_survive() {
    let (instance, _, room) = room();
    insert(&room, 0, "<>");
    for round in 0..3 {
        let mut first = room.begin().unwrap();
        let mut second = room.begin().unwrap();
        first.text("note").unwrap().insert(1, &format!("a{round}")).unwrap();
        second.text("note").unwrap().insert(1, &format!("b{round}")).unwrap();
        first.commit().unwrap();
        second.commit().unwrap();
    }
    // One that began before others committed.
    let mut early = room.begin().unwrap();
    insert(&room, 0, "(");
    early.text("note").unwrap().insert(0, "[").unwrap();
    early.commit().unwrap();
    std::thread::scope(|scope| {
        for name in ["x", "y", "z"] {
            let room = &room;
            scope.spawn(move || (0..20).for_each(|_| insert(room, 0, name)));
        }
    });
    let text = read(&room);
    for part in ["a0", "a1", "a2", "b0", "b1", "b2", "(", "[", "<", ">"] {
        assert_eq!(text.matches(part).count(), 1, "{text}");
    }
    for name in ["x", "y", "z"] {
        assert_eq!(text.matches(name).count(), 20, "{text}");
    }
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    copy(&room, &instance, &there);
    let his = bob.open_database(&room.id()).unwrap();
    assert_eq!(read(&his), text);
    assert_eq!(his.state_digest().unwrap(), room.state_digest().unwrap());
    assert!(instance.verify().unwrap().is_sound());
}

#[test]
fn two_who_type_at_once_read_the_same() {
    let (alice, bob) = two();
    insert(&alice.1, 0, "the quick fox");
    exchange(&alice, &bob);
    for round in 0..6 {
        insert(&alice.1, 4, &format!("very{round} "));
        insert(&bob.1, bob.1.text("note").unwrap().len().unwrap(), &format!(" and{round}"));
        delete(&bob.1, 0..1);
        delete(&alice.1, 0..2);
        exchange(&alice, &bob);
    }
    let mark = |database: &Database, range: std::ops::Range<usize>, key: &str| {
        database.write(|tx| Ok(tx.text("note")?.mark(range, key, &true)?)).unwrap();
    };
    mark(&alice.1, 0..5, "bold");
    mark(&bob.1, 3..8, "italic");
    exchange(&alice, &bob);
    let (mine, his) = (alice.1.text("note").unwrap(), bob.1.text("note").unwrap());
    assert_eq!(mine.rich().unwrap(), his.rich().unwrap());
    bob.1.write(|tx| Ok(tx.text("note")?.unmark(0..4, "bold")?)).unwrap();
    insert(&alice.1, 2, "in");
    exchange(&alice, &bob);
    assert_eq!(mine.rich().unwrap(), his.rich().unwrap());
    let text: String = mine.rich().unwrap().into_iter().map(|span| span.text).collect();
    assert_eq!(text, read(&alice.1));
}

#[test]
fn marks_hold_values_and_grow_at_their_end() {
    let (_instance, _, room) = room();
    room.write(|tx| {
        let mut note = tx.text("note")?;
        note.insert(0, "read this now")?;
        note.mark(5..9, "link", "https://example.org")?;
        note.mark(5..13, "size", &-3)?;
        note.mark(0..4, "weight", &0.5)?;
        Ok(())
    })
    .unwrap();
    insert(&room, 9, "!");
    let note = room.text("note").unwrap();
    let spans = note.rich().unwrap();
    let link = ("link".to_owned(), Value::from("https://example.org"));
    let size = ("size".to_owned(), Value::from(-3));
    assert_eq!(spans[0].text, "read");
    assert_eq!(spans[0].marks, BTreeMap::from([("weight".to_owned(), Value::F64(0.5))]));
    assert_eq!((spans[1].text.as_str(), spans[1].marks.len()), (" ", 0));
    assert_eq!(spans[2].text, "this");
    assert_eq!(spans[2].marks, BTreeMap::from([link, size.clone()]));
    assert_eq!((spans[3].text.as_str(), &spans[3].marks), ("! now", &BTreeMap::from([size])));
    insert(&room, 14, "!");
    assert_eq!(note.rich().unwrap()[3].text, "! now!");
    room.write(|tx| Ok(tx.text("note")?.unmark(0..14, "link")?)).unwrap();
    assert!(note.rich().unwrap().iter().all(|span| !span.marks.contains_key("link")));
}

#[test]
fn cursors_stay_with_their_neighbours() {
    let (alice, bob) = two();
    insert(&alice.1, 0, "0123456789");
    exchange(&alice, &bob);
    let (mine, his) = (alice.1.text("note").unwrap(), bob.1.text("note").unwrap());
    let left = mine.cursor(5, Side::Left).unwrap();
    let right = mine.cursor(5, Side::Right).unwrap();
    let start = mine.cursor(0, Side::Left).unwrap();
    let end = mine.cursor(10, Side::Right).unwrap();
    insert(&alice.1, 0, "ab");
    insert(&bob.1, 5, "cd");
    exchange(&alice, &bob);
    assert_eq!(mine.read().unwrap(), "ab01234cd56789");
    for text in [&mine, &his] {
        assert_eq!(text.position(&left).unwrap(), 7);
        assert_eq!(text.position(&right).unwrap(), 9);
        assert_eq!(text.position(&start).unwrap(), 0);
        assert_eq!(text.position(&end).unwrap(), 14);
    }
    // Both neighbours go.
    delete(&alice.1, 5..11);
    assert_eq!(mine.read().unwrap(), "ab012789");
    assert_eq!(mine.position(&left).unwrap(), 5);
    assert_eq!(mine.position(&right).unwrap(), 5);
    // It can be kept.
    let mut inside = None;
    alice
        .1
        .write(|tx| {
            let mut note = tx.text("note")?;
            note.insert(2, "new")?;
            inside = Some(note.cursor(4, Side::Left)?);
            assert_eq!(note.position(&inside.unwrap())?, 4);
            Ok(())
        })
        .unwrap();
    let kept = serde_json::to_string(&inside.unwrap()).unwrap();
    let cursor: TextCursor = serde_json::from_str(&kept).unwrap();
    assert_eq!(mine.position(&cursor).unwrap(), 4);
    let unknown = his.position(&cursor);
    assert!(matches!(unknown, Err(ReadError::Text(TextError::UnknownCursor))), "{unknown:?}");
    let past = mine.cursor(99, Side::Left);
    assert!(matches!(past, Err(ReadError::Text(TextError::OutOfRange { position: 99, .. }))));
}

#[test]
fn what_cannot_be_done_is_told_and_changes_nothing() {
    let (_instance, _, room) = room();
    insert(&room, 0, "abc");
    let mut tx = room.begin().unwrap();
    let mut note = tx.text("note").unwrap();
    let mut refused: Vec<WriteError> = Vec::new();
    refused.extend(note.insert(4, "x").err());
    refused.extend(note.delete(2..4).err());
    #[allow(clippy::reversed_empty_ranges)]
    refused.extend(note.delete(2..1).err());
    refused.extend(note.splice(1..9, "x").err());
    refused.extend(note.mark(0..0, "bold", &true).err());
    refused.extend(note.mark(0..1, "", &true).err());
    refused.extend(note.mark(0..1, "bold", &f64::NAN).err());
    refused.extend(note.mark(0..1, "bold", &u64::MAX).err());
    refused.extend(note.mark(0..1, "bold", &vec![1]).err());
    refused.extend(note.mark(0..1, "bold", &()).err());
    let huge = "x".repeat(weald_crdt::MAX_PAYLOAD_BYTES);
    refused.extend(note.insert(0, &huge).err());
    refused.extend(note.splice(0..3, &huge).err());
    assert_eq!(refused.len(), 12);
    for error in &refused {
        assert!(matches!(error, WriteError::Text(_)), "{error:?}");
    }
    let limit = weald_crdt::MAX_PAYLOAD_BYTES.to_string();
    assert!(refused[10].to_string().contains(&limit), "{}", refused[10]);
    note.delete(1..1).unwrap();
    assert_eq!(note.read().unwrap(), "abc");
    assert_eq!(tx.commit().unwrap().id, None);
    let other = room.log::<String>("note").expect_err("a text");
    assert!(matches!(other, ReadError::Name(_)));
    let mut tx = room.begin().unwrap();
    tx.text("fresh").unwrap().insert(0, "x").unwrap();
    assert!(tx.log::<String>("fresh").is_err());
    tx.log::<String>("lines").unwrap().push(&"x".to_owned()).unwrap();
    assert!(tx.text("lines").is_err());
}

#[test]
fn a_text_of_nearly_a_section_is_taken_whole() {
    let (_instance, _, room) = room();
    let large = "é".repeat(500_000);
    insert(&room, 0, &large);
    insert(&room, 1, "x");
    assert_eq!(room.text("note").unwrap().len().unwrap(), 500_001);
}

#[test]
fn a_text_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let (id, digest);
    {
        let instance = Instance::open(folder.path()).unwrap();
        let alice = instance.create_user("alice", None).unwrap();
        let room = alice.create_database(weald::DatabaseSettings::named("Notes")).unwrap();
        // Enough for a snapshot, and something after it.
        for round in 0..30 {
            insert(&room, round * 7 % 50, &format!("{round} ").repeat(60));
        }
        delete(&room, 10..200);
        (id, digest) = (room.id(), (read(&room), room.state_digest().unwrap()));
        instance.close();
    }
    for round in 0..2 {
        let instance = Instance::open(folder.path()).unwrap();
        let alice = instance.login_user("alice", None).unwrap();
        let room = alice.open_database(&id).unwrap();
        if round == 0 {
            assert_eq!((read(&room), room.state_digest().unwrap()), digest);
            insert(&room, 3, "again");
        }
        assert!(instance.verify().unwrap().is_sound());
        assert!(read(&room).contains("again"));
        instance.close();
    }
}

#[test]
fn a_text_that_was_only_read_says_nothing_of_its_name() {
    let (_instance, _user, database) = room();
    database
        .write(|tx| {
            assert_eq!(tx.text("name")?.read()?, "");
            assert!(tx.text("name")?.insert(1, "past the end").is_err());
            tx.log("name")?.push(&1)?;
            assert!(tx.text("name").is_err());
            Ok(())
        })
        .unwrap();
    assert_eq!(database.log::<i64>("name").unwrap().tail(1).unwrap().len(), 1);
}

#[test]
fn a_text_is_read_as_it_was_in_every_version() {
    let ((here, room), (there, his)) = two();
    let mut versions = vec![];
    for round in 0..6 {
        insert(&room, 0, &format!("a{round} "));
        versions.push((room.tips().unwrap(), read(&room)));
        if round % 2 == 0 {
            insert(&his, 0, &format!("b{round} "));
            copy(&his, &there, &here);
            versions.push((room.tips().unwrap(), read(&room)));
        } else {
            copy(&room, &here, &there);
        }
    }
    for (tips, text) in &versions {
        assert_eq!(room.at(tips).unwrap().text("note").unwrap().read().unwrap(), *text);
    }
    assert_eq!(read(&room), versions[versions.len() - 1].1);
}

#[test]
fn history_diff_and_audit_tell_what_a_text_said() {
    let ((here, room), (there, his)) = two();
    let (mut said, mut versions) = (vec![], vec![]);
    for round in 0..4 {
        insert(&room, 0, &format!("a{round} "));
        versions.push(room.tips().unwrap());
        said.push(read(&room));
        if round == 1 {
            room.write(|tx| Ok(tx.text("note")?.mark(0..2, "bold", &true)?)).unwrap();
        }
    }
    let value = |text: &String| Value::Text(text.clone());
    let revisions: Vec<_> = room.history_of("note").unwrap().map(Result::unwrap).collect();
    // A mark changes no word.
    assert_eq!(revisions.len(), 4);
    for (revision, text) in revisions.iter().rev().zip(&said) {
        assert_eq!(revision.after, Some(value(text)));
    }
    assert_eq!(revisions[3].before, None);
    for (newer, older) in revisions.iter().zip(&revisions[1..]) {
        assert_eq!(newer.before, older.after);
    }
    let patch = serde_json::to_string(&revisions[2].forward().unwrap()).unwrap();
    assert_eq!(patch, r#"[{"op":"replace","path":"","value":"a1 a0 "}]"#);
    let forward: Vec<_> =
        room.history_of("note").unwrap().reverse().unwrap().map(Result::unwrap).collect();
    assert!(forward.iter().eq(revisions.iter().rev()));
    let diff = room.diff(&versions[0], &versions[2]).unwrap();
    assert_eq!((&diff[0].before, &diff[0].after), (&Some(value(&said[0])), &Some(value(&said[2]))));
    let audited: Vec<_> = room.audit().store("note").map(Result::unwrap).collect();
    let changes = audited.iter().flat_map(|record| &record.stores).flat_map(|it| &it.changes);
    assert_eq!(changes.filter(|change| change.after == Some(value(&said[3]))).count(), 1);
    // What two type at once is told in the order of stamps.
    copy(&room, &here, &there);
    insert(&his, 0, "b ");
    insert(&room, 0, "c ");
    copy(&his, &there, &here);
    let newest = room.history_of("note").unwrap().next().unwrap().unwrap();
    assert_eq!(newest.after, Some(Value::Text(read(&room))));
}
