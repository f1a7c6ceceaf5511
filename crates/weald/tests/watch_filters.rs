//! What a filter leaves out, and the values that it asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::{DEADLINE, Message, bring, message, peer, push, replica, room};
use weald::{ChangeKind, Database, Event, Filter, Key, Level, Origin, Path, RowKey, Value, Watch};

fn put(room: &Database, key: &str, text: &str) {
    room.write(|tx| Ok(tx.table("notes")?.put(key, &message(text))?)).unwrap();
}

fn set(room: &Database, path: impl Into<Path>, value: i64) {
    room.write(|tx| Ok(tx.doc("about")?.set(path, &value)?)).unwrap();
}

/// Waits until the watch has been told of the last commit, which every filter here lets through.
fn rows(watch: &mut Watch, end: &RowKey) -> Vec<(RowKey, ChangeKind)> {
    let mut rows = Vec::new();
    loop {
        match watch.recv_timeout(DEADLINE) {
            Some(Event::Changed { key, .. }) if key == *end => return rows,
            Some(Event::Changed { key, kind, .. }) => rows.push((key, kind)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn places_of_tables_and_documents_add_up() {
    let (_instance, _, room) = room();
    let end = RowKey::Table("end".into());
    let filter = Filter::all().row("end").row("a").prefix("b/").path(["profile"]);
    let mut watch = room.watch(filter);
    for key in ["a", "ab", "b", "b/1", "b/2"] {
        put(&room, key, "x");
    }
    set(&room, ["profile", "name"], 1);
    set(&room, ["profiles"], 1);
    set(&room, ["profile"], 2);
    push(&room, "an item");
    put(&room, "end", "x");
    let table = |key: &str| (RowKey::Table(key.into()), ChangeKind::Created);
    let name = RowKey::Doc(["profile", "name"].into());
    let profile = RowKey::Doc(["profile"].into());
    assert_eq!(
        rows(&mut watch, &end),
        [
            table("a"),
            table("b/1"),
            table("b/2"),
            (name.clone(), ChangeKind::Created),
            (profile, ChangeKind::Created),
            (name, ChangeKind::Removed),
        ]
    );
}

#[test]
fn kinds_conflicts_and_tuples_are_chosen() {
    let (_instance, _, room) = room();
    let mut removed = room.watch(Filter::all().kind(ChangeKind::Removed).kind(ChangeKind::Created));
    let mut conflicts = room.watch(Filter::all().conflicts());
    let mut tuples = room.watch(Filter::all().prefix(vec![Key::from("x")]));
    room.settings().grant_anyone(Level::Write(3)).unwrap();
    put(&room, "a", "1");
    put(&room, "a", "2");
    let (mut one, mut other) = (room.begin().unwrap(), room.begin().unwrap());
    one.table("notes").unwrap().put("a", &message("one")).unwrap();
    other.table("notes").unwrap().put("a", &message("other")).unwrap();
    one.commit().unwrap();
    other.commit().unwrap();
    room.write(|tx| Ok(tx.table::<Message>("notes")?.delete("a")?)).unwrap();
    room.write(|tx| Ok(tx.table("notes")?.put(("x", 1_i64), &message("tuple"))?)).unwrap();
    let end = RowKey::Table(Key::Tuple(vec!["x".into(), 1.into()]));
    let a = RowKey::Table("a".into());
    let told = rows(&mut removed, &end);
    assert_eq!(told, [(a.clone(), ChangeKind::Created), (a, ChangeKind::Removed)]);
    assert!(matches!(conflicts.recv_timeout(DEADLINE), Some(Event::Conflict { .. })));
    assert_eq!(rows(&mut tuples, &end), []);
    assert_eq!(conflicts.try_next(), None);
}

#[test]
fn origin_and_author_are_chosen() {
    let (instance, alice, room) = room();
    let (_there, copy) = replica(&room);
    let mut local = room.watch(Filter::all().local());
    let mut remote = room.watch(Filter::all().remote());
    let mut by_alice = room.watch(Filter::all().author(alice.default_key()));
    let mut all = room.watch(Filter::all());
    put(&copy, "theirs", "x");
    bring(&copy, &instance);
    put(&room, "ours", "y");
    for _ in 0..2 {
        assert!(matches!(all.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
    }
    let told = |watch: &mut Watch| -> Vec<(RowKey, Origin)> {
        let one = |event| match event {
            Event::Changed { key, origin, .. } => (key, origin),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| watch.recv_timeout(DEADLINE)).take(1).map(one).collect()
    };
    let (ours, theirs) = (RowKey::Table("ours".into()), RowKey::Table("theirs".into()));
    assert_eq!(told(&mut local), [(ours.clone(), Origin::Local)]);
    assert_eq!(told(&mut remote), [(theirs, Origin::Peer(peer()))]);
    assert_eq!(told(&mut by_alice), [(ours, Origin::Local)]);
    for watch in [&mut local, &mut remote, &mut by_alice] {
        assert_eq!(watch.try_next(), None);
    }
}

#[test]
fn values_are_told_where_they_are_asked_for_and_only_if_they_are_others() {
    let (_instance, alice, room) = room();
    let mut values = room.watch(Filter::all().values());
    let mut plain = room.watch(Filter::all());
    put(&room, "a", "1");
    put(&room, "a", "2");
    put(&room, "a", "2");
    push(&room, "item");
    set(&room, ["n"], 5);
    room.write(|tx| Ok(tx.table::<Message>("notes")?.delete("a")?)).unwrap();
    let text = |text: &str| Some(Value::from([("text", text)]));
    let expected = [
        (ChangeKind::Created, None, text("1")),
        (ChangeKind::Updated, text("1"), text("2")),
        (ChangeKind::Created, None, text("item")),
        (ChangeKind::Created, None, Some(Value::from(5_i64))),
        (ChangeKind::Removed, text("2"), None),
    ];
    for (kind, old, new) in expected {
        let event = values.recv_timeout(DEADLINE).unwrap();
        let Event::Changed { kind: told, old: before, new: after, author, entry, time, .. } = event
        else {
            panic!("{event:?}");
        };
        assert_eq!((told, before, after), (kind, old, new));
        assert_eq!(author, alice.default_key());
        assert_eq!(room.time_of(&entry).unwrap(), Some(time));
    }
    assert_eq!(values.try_next(), None);
    for _ in 0..6 {
        let Some(Event::Changed { old: None, new: None, .. }) = plain.recv_timeout(DEADLINE) else {
            panic!("values that nobody asked for");
        };
    }
    assert_eq!(plain.try_next(), None);
}

#[test]
fn a_conflict_tells_its_versions_where_values_are_asked_for() {
    let (instance, alice, room) = room();
    put(&room, "a", "base");
    let (_there, copy) = replica(&room);
    let mut watch = room.watch(Filter::all().store("notes").conflicts().values());
    put(&room, "a", "ours");
    put(&copy, "a", "theirs");
    bring(&copy, &instance);
    let Some(Event::Conflict { conflict, origin, author, .. }) = watch.recv_timeout(DEADLINE)
    else {
        panic!("no conflict");
    };
    assert_eq!((origin, author), (Origin::Peer(peer()), copy.key()));
    assert_eq!(conflict.values.len(), 1);
    let value = &conflict.values[0];
    assert_eq!(value.field.as_deref(), Some("text"));
    let by: BTreeMap<_, _> =
        value.versions().map(|version| (version.author, version.value.clone())).collect();
    let expected = [(alice.default_key(), "ours".into()), (copy.key(), "theirs".into())];
    assert_eq!(by, BTreeMap::from(expected));
    assert_eq!(value.winner.as_ref().unwrap().entry, conflict.winner);
}

#[test]
fn an_entry_is_told_whole() {
    let (_instance, _, room) = room();
    let mut watch = room.watch(Filter::all().entries().values());
    let mut notes = room.watch(Filter::all().entries().store("notes"));
    let committed = room
        .write(|tx| {
            tx.table("notes")?.put("a", &message("1"))?;
            tx.log("messages")?.push(&message("2"))?;
            Ok(())
        })
        .unwrap();
    room.settings().grant_anyone(Level::Write(3)).unwrap();
    let event = watch.recv_timeout(DEADLINE).unwrap();
    let Event::Entry { entry, changes, settings: false, .. } = event else { panic!("{event:?}") };
    assert_eq!(Some(entry), committed.id);
    let stores: Vec<&str> = changes.iter().map(|change| change.store.as_str()).collect();
    assert_eq!(stores, ["messages", "notes"]);
    assert_eq!(changes[1].new, Some(Value::from([("text", "1")])));
    assert!(matches!(watch.recv_timeout(DEADLINE), Some(Event::Entry { settings: true, .. })));
    let event = notes.recv_timeout(DEADLINE).unwrap();
    let Event::Entry { changes, .. } = event else { panic!("{event:?}") };
    assert_eq!(changes.len(), 1);
    assert_eq!(notes.try_next(), None);
}
