//! Conflicts: their versions, resolutions by hand and by a resolver, and devices that resolve at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::mpsc;

use common::{DEADLINE, Message, bring, message, push, replica, room};
use weald::{
    ConflictedValue, Database, Error, Event, Filter, Instance, Resolution, ResolveError, Resolver,
    RowKey, Value, WriteError,
};

fn put(room: &Database, key: &str, text: &str) {
    room.write(|tx| Ok(tx.table("notes")?.put(key, &message(text))?)).unwrap();
}

fn text(room: &Database, key: &str) -> String {
    room.table::<Message>("notes").unwrap().get(key).unwrap().unwrap().text
}

fn set(room: &Database, path: &[&str], value: impl Into<Value>) {
    let (path, value): (weald::Path, Value) = (path.iter().copied().collect(), value.into());
    room.write(|tx| Ok(tx.doc("about")?.set(path, &value)?)).unwrap();
}

/// Two devices that can bring their entries to each other.
struct Pair {
    here: (Instance, Database),
    there: (Instance, Database),
}

impl Pair {
    fn new() -> Self {
        let (instance, _, room) = room();
        put(&room, "a", "base");
        let there = replica(&room);
        Self { here: (instance, room), there }
    }

    fn exchange(&self) {
        bring(&self.here.1, &self.there.0);
        bring(&self.there.1, &self.here.0);
        let digests = [&self.here.1, &self.there.1].map(|room| room.state_digest().unwrap());
        assert_eq!(digests[0], digests[1]);
    }

    /// Both edit one row without seeing each other, then both see both.
    fn clash(&self) {
        put(&self.here.1, "a", "here");
        put(&self.there.1, "a", "there");
        self.exchange();
    }
}

fn only(mut found: Vec<ConflictedValue>) -> ConflictedValue {
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().unwrap()
}

#[test]
fn a_conflict_lists_all_versions_with_author_time_and_entry() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    assert_eq!(room.conflicts("notes").unwrap(), []);
    pair.clash();
    let conflict = only(room.conflicts("notes").unwrap());
    assert_eq!(only(room.table::<Message>("notes").unwrap().conflicts("a").unwrap()), conflict);
    assert_eq!(only(copy.conflicts("notes").unwrap()), conflict);
    assert_eq!((conflict.store.as_str(), &conflict.key), ("notes", &RowKey::Table("a".into())));
    assert_eq!(conflict.field.as_deref(), Some("text"));
    assert_eq!(conflict.winner.as_ref().unwrap().value, Value::from(text(room, "a")));
    let by: BTreeSet<_> = conflict.versions().map(|version| version.author).collect();
    assert_eq!(by, BTreeSet::from([room.key(), copy.key()]));
    for version in conflict.versions() {
        assert_eq!(room.time_of(&version.entry).unwrap(), Some(version.time));
    }
    assert_eq!(room.conflicts("other").unwrap(), []);
    assert!(room.conflicts("").is_err());
}

#[test]
fn every_resolution_does_what_it_says_on_all_devices() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    let cases = [
        (Resolution::KeepMine, Some("here")),
        (Resolution::Keep(copy.key()), Some("there")),
        (Resolution::Merged("both".into()), Some("both")),
        (Resolution::KeepWinner, None),
    ];
    for (resolution, expected) in cases {
        pair.clash();
        let conflict = only(room.conflicts("notes").unwrap());
        let winner = text(room, "a");
        assert!(room.resolve(&conflict, Resolution::Leave).unwrap().id.is_none());
        assert_eq!(only(room.conflicts("notes").unwrap()), conflict);
        let resolved = room.resolve(&conflict, resolution.clone()).unwrap();
        assert!(resolved.value && resolved.conflicts.is_empty());
        pair.exchange();
        for room in [room, copy] {
            assert_eq!(text(room, "a"), expected.unwrap_or(&winner), "{resolution:?}");
            assert_eq!(room.conflicts("notes").unwrap(), []);
        }
        let again = room.resolve(&conflict, resolution);
        let Err(Error::Write(WriteError::Resolve(ResolveError::Changed { .. }))) = again else {
            panic!("{again:?}");
        };
    }
    pair.clash();
    let conflict = only(room.conflicts("notes").unwrap());
    let nobody = Resolution::Keep(common::peer());
    assert!(room.resolve(&conflict, nobody).unwrap().id.is_none(), "nobody has written that");
}

#[test]
fn a_version_that_was_not_looked_at_is_never_replaced() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    pair.clash();
    let conflict = only(room.conflicts("notes").unwrap());
    put(copy, "a", "later");
    bring(copy, &pair.here.0);
    let late = room.resolve(&conflict, Resolution::KeepMine);
    let Err(Error::Write(WriteError::Resolve(ResolveError::Changed { .. }))) = late else {
        panic!("{late:?}");
    };
    assert_eq!(text(room, "a"), "later");
}

#[test]
fn leaves_of_documents_are_resolved_also_where_maps_and_values_hide_each_other() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    set(room, &["title"], "one");
    set(copy, &["title"], "two");
    // A value on one device, a map on the other; each way round.
    set(copy, &["x", "y"], 1_i64);
    set(room, &["x"], "value");
    set(room, &["z"], "value");
    set(copy, &["z", "y"], 1_i64);
    pair.exchange();
    let found = room.doc("about").unwrap().conflicts(weald::Path::root()).unwrap();
    assert_eq!(found, room.conflicts("about").unwrap());
    assert_eq!(found.len(), 3, "{found:?}");
    let hidden = found.iter().filter(|conflict| conflict.winner.is_none()).count();
    assert_eq!(hidden, 2);
    let shown = room.doc("about").unwrap().value().unwrap();
    assert_eq!(
        room.resolve_with("about", &|_: &ConflictedValue| Resolution::KeepWinner).unwrap(),
        3
    );
    pair.exchange();
    for room in [room, copy] {
        assert_eq!(room.conflicts("about").unwrap(), []);
        assert_eq!(room.doc("about").unwrap().value().unwrap(), shown);
    }
}

#[test]
fn a_leaf_takes_a_merged_value_unless_one_above_hides_it() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    set(room, &["n"], 1_i64);
    set(copy, &["n"], 2_i64);
    set(copy, &["x", "y"], 1_i64);
    push(room, "later");
    pair.exchange();
    let seen = copy.entry_count().unwrap();
    set(copy, &["w", "y"], 1_i64);
    let mut tx = room.begin().unwrap();
    tx.doc("about").unwrap().set(["w"], "value").unwrap();
    tx.log("messages").unwrap().push(&message("so that it is later")).unwrap();
    tx.commit().unwrap();
    assert_eq!(copy.entry_count().unwrap(), seen + 1);
    pair.exchange();
    for conflict in room.conflicts("about").unwrap() {
        let merged = room.resolve(&conflict, Resolution::Merged("merged".into()));
        let is_below = conflict.key == RowKey::Doc(["w", "y"].into());
        match merged {
            Ok(committed) => assert!(committed.value && !is_below),
            Err(Error::Write(WriteError::Resolve(ResolveError::Hidden { .. }))) => {
                assert!(is_below)
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(room.doc("about").unwrap().get(["n"]).unwrap(), Some("merged".into()));
}

#[test]
fn many_conflicts_are_resolved_in_few_commits() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    let all = |room: &Database, text: &str| {
        room.write(|tx| {
            for row in 0..150_i64 {
                tx.table("many")?.put(row, &message(text))?;
            }
            Ok(())
        })
        .unwrap();
    };
    all(room, "here");
    all(copy, "there");
    pair.exchange();
    let before = room.entry_count().unwrap();
    let mine = |_: &ConflictedValue| Resolution::KeepMine;
    assert_eq!(room.resolve_with("many", &mine).unwrap(), 150);
    assert_eq!(room.entry_count().unwrap(), before + 3);
    pair.exchange();
    for room in [room, copy] {
        assert_eq!(room.conflicts("many").unwrap(), []);
        let row = room.table::<Message>("many").unwrap().get(149_i64).unwrap();
        assert_eq!(row, Some(message("here")));
    }
}

/// Both devices look at the same conflict and resolve it, over and over.
fn rounds(pair: &Pair, resolver: &dyn Resolver) -> u64 {
    pair.clash();
    let before = pair.here.1.entry_count().unwrap();
    for _ in 0..6 {
        pair.here.1.resolve_with("notes", resolver).unwrap();
        pair.there.1.resolve_with("notes", resolver).unwrap();
        pair.exchange();
    }
    pair.here.1.entry_count().unwrap() - before
}

#[test]
fn two_devices_that_resolve_at_once_agree_after_one_entry_each() {
    let union = |conflict: &ConflictedValue| {
        let texts = conflict.versions().filter_map(|version| version.value.as_text());
        let words: BTreeSet<&str> = texts.flat_map(str::split_whitespace).collect();
        Resolution::Merged(words.into_iter().collect::<Vec<_>>().join(" ").into())
    };
    let pair = Pair::new();
    let made = rounds(&pair, &union);
    assert_eq!((made, text(&pair.here.1, "a").as_str()), (2, "here there"));
    let winner = |_: &ConflictedValue| Resolution::KeepWinner;
    let made = rounds(&pair, &winner);
    assert_eq!(made, 2);
    assert_eq!(pair.here.1.conflicts("notes").unwrap(), []);
}

#[test]
fn a_resolver_is_asked_about_what_stands_and_what_comes() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    pair.clash();
    let (sender, asked) = mpsc::channel();
    let mut watch = room.watch(Filter::all().local().store("notes"));
    let guard = room
        .on_conflict("notes", move |conflict: &ConflictedValue| {
            let panics = conflict.key == RowKey::Table("panics".into());
            sender.send(conflict.key.clone()).unwrap();
            assert!(!panics, "a bug of the app");
            Resolution::KeepMine
        })
        .unwrap();
    assert_eq!(asked.recv_timeout(DEADLINE).unwrap(), RowKey::Table("a".into()));
    assert!(matches!(watch.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
    assert_eq!(text(room, "a"), "here");
    for key in ["panics", "b"] {
        put(room, key, "here");
        assert!(matches!(watch.recv_timeout(DEADLINE), Some(Event::Changed { .. })));
        put(copy, key, "there");
        bring(copy, &pair.here.0);
        while asked.recv_timeout(DEADLINE).unwrap() != RowKey::Table(key.into()) {}
    }
    while text(room, "b") != "here"
        || !room.table::<Message>("notes").unwrap().conflicts("b").unwrap().is_empty()
    {
        watch.recv_timeout(DEADLINE).unwrap();
    }
    drop(guard);
    while asked.recv_timeout(DEADLINE).is_ok() {}
}

#[test]
fn two_resolvers_that_each_keep_their_own_come_to_an_end() {
    let pair = Pair::new();
    let (room, copy) = (&pair.here.1, &pair.there.1);
    let mine = |_: &ConflictedValue| Resolution::KeepMine;
    let _guards = [room, copy].map(|room| room.on_conflict("notes", mine).unwrap());
    let mut watches = [room, copy].map(|room| room.watch(Filter::all().local()));
    put(room, "a", "here");
    put(copy, "a", "there");
    for watch in &mut watches {
        watch.recv_timeout(DEADLINE).unwrap();
    }
    let before = room.entry_count().unwrap();
    let settled = |room: &Database| room.conflicts("notes").unwrap().is_empty();
    while !settled(room) || !settled(copy) || room.tips().unwrap() != copy.tips().unwrap() {
        for (watch, room) in watches.iter_mut().zip([room, copy]) {
            if !settled(room) {
                // The resolver has an answer on its way.
                watch.recv_timeout(DEADLINE).unwrap();
            }
        }
        bring(room, &pair.there.0);
        bring(copy, &pair.here.0);
    }
    assert_eq!(text(room, "a"), text(copy, "a"));
    // A clash, an answer of each, an answer of each to the other's, and what crosses on the way.
    let made = room.entry_count().unwrap() - before;
    assert!(made <= 12, "{made} entries for one conflict");
}

#[test]
fn a_resolution_that_cannot_be_written_does_not_hold_up_the_others() {
    let pair = Pair::new();
    for key in ["b", "c"] {
        put(&pair.here.1, key, "here");
        put(&pair.there.1, key, "there");
    }
    pair.clash();
    let room = &pair.here.1;
    let bad = |conflict: &ConflictedValue| match &conflict.key {
        RowKey::Table(key) if *key == "a".into() => Resolution::Merged(f64::NAN.into()),
        _ => Resolution::KeepWinner,
    };
    let failed = room.resolve_with("notes", &bad);
    assert!(matches!(failed, Err(Error::Write(WriteError::Draft(_)))), "{failed:?}");
    let left = room.conflicts("notes").unwrap();
    assert_eq!(only(left).key, RowKey::Table("a".into()));
}
