//! History, versions of the past and what differs between them, with their laws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod drawn;

use std::collections::{BTreeMap, BTreeSet};

use common::{message, push, room};
use drawn::{Step, World, step};
use proptest::prelude::*;
use weald::{
    ChangeKind, Database, DatabaseError, EntryId, Key, Patch, Path, Revision, RowKey, Value,
    apply_patch,
};

fn patched(start: serde_json::Value, patches: impl Iterator<Item = Patch>) -> serde_json::Value {
    patches.fold(start, |mut json, patch| {
        apply_patch(&mut json, &patch).unwrap();
        json
    })
}

/// Applies a history both ways, and checks what it leads to.
fn check_chain(newest_first: &[Revision], empty: &serde_json::Value, now: &serde_json::Value) {
    let back = newest_first.iter().map(|revision| revision.reverse().unwrap());
    assert_eq!(&patched(now.clone(), back), empty);
    let forth = newest_first.iter().rev().map(|revision| revision.forward().unwrap());
    assert_eq!(&patched(empty.clone(), forth), now);
}

fn check_histories(database: &Database) {
    let table = database.table::<Value>("table").unwrap();
    for key in drawn::KEYS {
        let newest: Vec<_> = table.history(key).unwrap().map(Result::unwrap).collect();
        let oldest: Vec<_> = table.history(key).unwrap().reverse().map(Result::unwrap).collect();
        assert!(newest.iter().eq(oldest.iter().rev()));
        let now =
            table.get(key).unwrap().map_or(serde_json::Value::Null, |row| row.to_json().unwrap());
        check_chain(&newest, &serde_json::Value::Null, &now);
    }
    let doc = database.doc("doc").unwrap();
    let newest: Vec<_> = doc.history().unwrap().map(Result::unwrap).collect();
    let oldest: Vec<_> = doc.history().unwrap().reverse().map(Result::unwrap).collect();
    assert!(newest.iter().eq(oldest.iter().rev()));
    check_chain(&newest, &serde_json::json!({}), &doc.value().unwrap().to_json().unwrap());
}

/// Checks the history of all rows against that of each.
fn check_whole(database: &Database) {
    let newest: Vec<_> = database.history().unwrap().map(Result::unwrap).collect();
    let oldest: Vec<_> =
        database.history().unwrap().reverse().unwrap().map(Result::unwrap).collect();
    assert!(newest.iter().eq(oldest.iter().rev()));
    let mut rows: BTreeMap<(String, RowKey), Vec<Revision>> = BTreeMap::new();
    for revision in newest {
        rows.entry((revision.store.clone(), revision.key.clone())).or_default().push(revision);
    }
    for ((store, key), revisions) in rows {
        if let RowKey::Table(key) = &key {
            let row = database.table::<Value>(&store).unwrap().history(key).unwrap();
            assert!(row.map(Result::unwrap).eq(revisions.iter().cloned()));
        }
        let now =
            revisions[0].after.as_ref().map_or(serde_json::Value::Null, |v| v.to_json().unwrap());
        check_chain(&revisions, &serde_json::Value::Null, &now);
    }
}

fn ancestors(database: &Database, tips: &[EntryId]) -> BTreeSet<EntryId> {
    let mut wanted: BTreeSet<EntryId> = tips.iter().copied().collect();
    for parcel in database.parcels(0, usize::MAX).unwrap().iter().rev() {
        if wanted.contains(&parcel.entry.id()) {
            wanted.extend(parcel.entry.parents());
        }
    }
    wanted
}

/// Everything that the drawn stores of a version say.
type Said = (Vec<(Key, Value)>, Vec<Value>, Value, String);

fn said(version: &weald::Past) -> Said {
    let rows = version.table::<Value>("table").unwrap().rows().map(Result::unwrap).collect();
    let items = version.log::<Value>("log").unwrap().tail(1_000).unwrap();
    let items = items.into_iter().map(|item| item.value.unwrap()).collect();
    let counts: Vec<_> = version.counter("counter").unwrap().iter().map(Result::unwrap).collect();
    let members: Vec<u8> = version.set("set").unwrap().iter().map(Result::unwrap).collect();
    let doc = version.doc("doc").unwrap().value().unwrap();
    (rows, items, doc, format!("{counts:?} {members:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn patches_lead_from_nothing_to_now_and_back(steps in prop::collection::vec(step(), 1..16)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.exchange();
        for database in &world.databases {
            check_histories(database);
            check_whole(database);
        }
        let [one, other] = &world.databases;
        let (one, other) = (one.history().unwrap(), other.history().unwrap());
        prop_assert!(one.map(Result::unwrap).eq(other.map(Result::unwrap)));
    }

    #[test]
    fn a_version_is_what_its_ancestors_make_on_a_fresh_device(
        steps in prop::collection::vec(step(), 1..12),
        more in prop::collection::vec(step(), 0..6),
    ) {
        let mut world = World::new();
        let mut versions = vec![Vec::new()];
        for step in steps.into_iter().chain([Step::Exchange]).chain(more) {
            if let Some(entry) = world.take(step) {
                versions.push(vec![entry]);
            }
            versions.push(world.databases[0].tips().unwrap());
        }
        world.exchange();
        let database = &world.databases[0];
        let mut before: Option<(Vec<EntryId>, Said)> = None;
        for tips in versions {
            let past = database.at(&tips).unwrap();
            if !tips.is_empty() {
                let fresh = drawn::fresh(database, &ancestors(database, &tips));
                prop_assert_eq!(past.state_digest().unwrap(), fresh.state_digest().unwrap());
                prop_assert_eq!(said(&past), said(&fresh.at(&fresh.tips().unwrap()).unwrap()));
            }
            let said = said(&past);
            if let Some((from, before)) = before {
                check_diff(database, (&from, &before), (&tips, &said));
            }
            before = Some((tips, said));
        }
    }
}

/// Checks that what differs in the table leads from one version to the other.
fn check_diff(database: &Database, from: (&[EntryId], &Said), to: (&[EntryId], &Said)) {
    let mut rows: BTreeMap<Key, Value> = from.1.0.iter().cloned().collect();
    for diff in database.diff(from.0, to.0).unwrap() {
        let RowKey::Table(key) = &diff.key else { continue };
        let mut json = rows.remove(key).map_or(serde_json::Value::Null, |v| v.to_json().unwrap());
        apply_patch(&mut json, &diff.forward().unwrap()).unwrap();
        match &diff.after {
            Some(after) => {
                assert_eq!(json, after.to_json().unwrap());
                rows.insert(key.clone(), after.clone());
            }
            None => assert_eq!(diff.kind, ChangeKind::Removed),
        }
    }
    assert!(rows.into_iter().eq(to.1.0.iter().cloned()));
    let back = database.diff(to.0, from.0).unwrap();
    assert_eq!(back.len(), database.diff(from.0, to.0).unwrap().len());
    assert!(database.diff(to.0, to.0).unwrap().is_empty());
}

#[test]
fn a_row_tells_who_changed_what() {
    let (_instance, alice, room) = room();
    let first = room.write(|tx| Ok(tx.table("notes")?.put("a", &message("one"))?)).unwrap();
    room.write(|tx| Ok(tx.table::<Value>("notes")?.edit("a", "text", "two")?)).unwrap();
    room.write(|tx| Ok(tx.table::<Value>("notes")?.delete("a")?)).unwrap();
    let notes = room.table::<Value>("notes").unwrap();
    let history: Vec<_> = notes.history("a").unwrap().map(Result::unwrap).collect();
    let kinds: Vec<_> = history.iter().map(|revision| revision.kind).collect();
    assert_eq!(kinds, [ChangeKind::Removed, ChangeKind::Updated, ChangeKind::Created]);
    let created = &history[2];
    assert_eq!(Some(created.entry), first.id);
    assert_eq!(created.author, alice.default_key());
    assert_eq!(created.author_name.as_deref(), Some("alice"));
    assert_eq!((created.store.as_str(), &created.key), ("notes", &RowKey::Table("a".into())));
    let text = |patch: Patch| serde_json::to_string(&patch).unwrap();
    assert_eq!(
        text(created.forward().unwrap()),
        r#"[{"op":"add","path":"","value":{"text":"one"}}]"#
    );
    assert_eq!(text(created.reverse().unwrap()), r#"[{"op":"replace","path":"","value":null}]"#);
    assert_eq!(
        text(history[1].forward().unwrap()),
        r#"[{"op":"replace","path":"/text","value":"two"}]"#
    );
    assert!(notes.history("none").unwrap().next().is_none());
}

#[test]
fn a_document_tells_its_whole_history_and_a_store_its_own() {
    let (_instance, _, room) = room();
    push(&room, "elsewhere");
    room.write(|tx| Ok(tx.doc("about")?.set(["a/b", "c~d", ""], "one")?)).unwrap();
    room.write(|tx| Ok(tx.doc("about")?.set(["n"], &-0.0)?)).unwrap();
    let history: Vec<_> =
        room.doc("about").unwrap().history().unwrap().map(Result::unwrap).collect();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].key, RowKey::Doc(Path::root()));
    let text = serde_json::to_string(&history[1].forward().unwrap()).unwrap();
    assert_eq!(text, r#"[{"op":"add","path":"/a~1b","value":{"c~d":{"":"one"}}}]"#);
    let leaves: Vec<_> = room.history_of("about").unwrap().map(Result::unwrap).collect();
    assert_eq!(leaves.len(), 2);
    assert_eq!(leaves[0].key, RowKey::Doc(["n"].into()));
    assert_eq!(room.history_of("messages").unwrap().count(), 1);
    assert_eq!(room.history().unwrap().count(), 3);
    assert!(room.history_of("_settings").is_err());
}

#[test]
fn a_version_is_read_like_the_database_and_an_unknown_one_is_an_error() {
    let (_instance, _, room) = room();
    push(&room, "one");
    let then = room.tips().unwrap();
    push(&room, "two");
    let past = room.at(&then).unwrap();
    let log = past.log::<common::Message>("messages").unwrap();
    assert_eq!(log.tail(10).unwrap().len(), 1);
    assert_eq!(log.tail(10).unwrap()[0].author, room.key());
    assert!(past.doc("messages").is_err(), "it was a log then, too");
    assert!(room.at(&[]).unwrap().doc("messages").is_ok());
    let unknown = EntryId::from_bytes([9; 32]);
    let refused = room.at(&[unknown]);
    assert!(matches!(refused, Err(DatabaseError::UnknownEntry { entry }) if entry == unknown));
    let refused = room.diff(&then, &[unknown]);
    assert!(matches!(refused, Err(DatabaseError::UnknownEntry { .. })));
    let diff = room.diff(&then, &room.tips().unwrap()).unwrap();
    assert_eq!(diff.len(), 1);
    assert_eq!((diff[0].store.as_str(), diff[0].kind), ("messages", ChangeKind::Created));
}
