//! The integrity check finds damage of every kind of row, and a rebuild mends the state.

use std::sync::Arc;

use weald_dag::{DatabaseId, Durability, MemoryStore, Store};
use weald_engine::{Commit, StoreTypes, held, verify as verify_database};

use crate::site::{NOW, Site, forked_history, key, message, setting, sign};

#[test]
fn damage_is_found() {
    let (a, _, id) = forked_history(4);
    let number = a.number(id);
    let snapshot = a.store.snapshot().unwrap();
    let space = weald_dag::Space::new("state", number);
    let mut row = None;
    let all = weald_dag::KeyRange::all();
    snapshot
        .range(space, all, weald_dag::Order::Ascending, &mut |key, value| {
            row = Some((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Break(())
        })
        .unwrap();
    let (row_key, mut value) = row.unwrap();
    *value.last_mut().unwrap() ^= 1;
    let mut batch = weald_dag::Batch::default();
    batch.put(space, row_key, value);
    a.store.apply(batch, Durability::Immediate).unwrap();
    let snapshot = a.store.snapshot().unwrap();
    let held = held(&*snapshot, &id).unwrap().unwrap();
    let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let findings =
        verify_database(&*snapshot, held, &StoreTypes::built_in(), &scratch, [1; 32]).unwrap();
    assert!(findings.listed.iter().any(|problem| problem.contains("state")), "{findings:?}");
}

type Damage = Box<dyn Fn(&[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Option<Vec<u8>>)>;

fn listed(site: &Site, space: weald_dag::Space) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (all, order) = (weald_dag::KeyRange::all(), weald_dag::Order::Ascending);
    let mut rows = Vec::new();
    let snapshot = site.store.snapshot().unwrap();
    snapshot
        .range(space, all, order, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// Settings, epochs, long payloads, names that wait, two branches.
fn of_everything() -> (Site, DatabaseId) {
    let (mut a, _, id) = forked_history(3);
    let number = a.number(id);
    for n in 0..3 {
        let sections = vec![("_settings".to_owned(), setting("k"))];
        a.commit(vec![Commit { database: number, key: key(1), sections, required: Vec::new() }]);
        a.push(id, 2, &format!("{n} {}", "long".repeat(500))).unwrap();
    }
    a.push(id, 2, "last").unwrap();
    (a, id)
}

fn findings(site: &Site, id: DatabaseId) -> Vec<String> {
    let snapshot = site.store.snapshot().unwrap();
    let held = held(&*snapshot, &id).unwrap().unwrap();
    let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let types = StoreTypes::built_in();
    verify_database(&*snapshot, held, &types, &scratch, [1; 32]).unwrap().listed
}

fn flip(row: usize, byte: usize) -> Damage {
    Box::new(move |rows| {
        let (key, mut value) = rows[row].clone();
        value[byte] ^= 1;
        (key, Some(value))
    })
}

fn lose(from_end: usize) -> Damage {
    Box::new(move |rows| (rows[rows.len() - 1 - from_end].0.clone(), None))
}

fn add(key: &'static [u8], value: &'static [u8]) -> Damage {
    Box::new(move |_| (key.to_vec(), Some(value.to_vec())))
}

#[test]
fn damage_of_every_kind_of_row_is_a_finding() {
    let author: &'static [u8] = Box::leak(Box::new(*key(1).public().as_bytes()));
    let damages: Vec<(&str, &'static str, Damage)> = vec![
        ("standing", "entries", flip(3, 0)),
        ("unknown flags", "entries", {
            Box::new(|rows| {
                let (key, mut value) = rows[3].clone();
                value[0] |= 0x80;
                (key, Some(value))
            })
        }),
        ("generation", "entries", flip(3, 1)),
        ("epoch", "entries", flip(3, 2)),
        ("parents", "entries", flip(6, 4)),
        ("signature", "entries", flip(3, 30)),
        ("newest entry lost", "entries", lose(0)),
        ("an entry lost", "entries", lose(4)),
        ("short key", "entries", add(&[0, 0], &[1])),
        ("last key", "entries", add(&[255; 8], &[1])),
        ("number", "ids", flip(2, 7)),
        ("id lost", "ids", lose(1)),
        ("id of nothing", "ids", add(&[9; 32], &[0, 0, 0, 0, 0, 0, 0, 3])),
        ("payload", "payloads", flip(0, 100)),
        ("payload lost", "payloads", lose(0)),
        ("payload of nothing", "payloads", add(&[0, 0, 0, 0, 0, 0, 0, 3, 9], &[1])),
        ("state", "state", flip(0, 0)),
        ("more state", "state", add(b"\x04chat\x03log\x01", &[1])),
        ("more buried", "buried", add(b"\x04chat\x03log\x01", &[1])),
        ("more waiting names", "dangling", add(b"\x04chat\x03log\x01", &[1])),
        ("settings elsewhere", "settings", flip(1, 7)),
        ("settings lost", "settings", lose(1)),
        ("last settings lost", "settings", lose(0)),
        ("epoch of others", "epochs", flip(1, 7)),
        ("epoch lost", "epochs", lose(1)),
        ("last epoch lost", "epochs", lose(0)),
        ("author", "authors", add(author, &[0, 0, 0, 0, 0, 0, 99, 99])),
        ("covered", "authors", add(&[], &[0, 0, 0, 0, 0, 0, 99, 99])),
        ("covered, short", "authors", add(&[], &[1])),
        ("sums of nothing", "ladder", add(&[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("waits for a type", "unfolded", add(&[0, 0, 0, 0, 0, 0, 0, 1, 0], &[])),
    ];
    let (site, id) = of_everything();
    assert_eq!(findings(&site, id), Vec::<String>::new());
    for (what, name, damage) in damages {
        let (site, id) = of_everything();
        let space = weald_dag::Space::new(name, site.number(id));
        let (key, value) = damage(&listed(&site, space));
        let mut batch = weald_dag::Batch::default();
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
        site.store.apply(batch, Durability::Immediate).unwrap();
        assert_ne!(findings(&site, id), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_rebuild_mends_the_state() {
    let (mut site, id) = of_everything();
    let (number, whole) = (site.number(id), site.digest(id));
    for name in ["state", "buried", "dangling"] {
        let space = weald_dag::Space::new(name, number);
        let mut batch = weald_dag::Batch::default();
        batch.put(space, *b"\x04chat\x03log\x01", [1]);
        if let Some((key, _)) = listed(&site, space).first() {
            batch.put(space, key.clone(), [9]);
        }
        site.store.apply(batch, Durability::Immediate).unwrap();
    }
    assert_ne!(site.digest(id), whole);
    let mut rows = site.rows();
    // In one group with an entry before and after it.
    let groups = [message(number, 1, "before"), message(number, 1, "after")];
    for commit in groups {
        site.engine.commit(&mut rows, vec![commit], NOW, &sign).unwrap()[0].as_ref().unwrap();
        assert!(site.engine.rebuild(&mut rows, number).unwrap() > 0);
    }
    site.apply(rows);
    site.assert_sound(id);
}
