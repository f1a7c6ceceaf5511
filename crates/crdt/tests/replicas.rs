//! What people see when several devices write: nothing is lost, everybody agrees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod common;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use common::{Replica, converge};
use proptest::prelude::*;
use weald_crdt::{
    Area, ChangeKind, DocDraft, DocType, DraftError, Key, LogDraft, LogType, MAX_NAMES,
    MAX_OPERATIONS, MAX_PAYLOAD_BYTES, MemoryView, Path, SectionDraft, StoreType, TableDraft,
    TableType, Value, View, ViewMut, Void, builtin, doc, log, section_type, table,
};

fn tables(count: u8) -> Vec<Replica> {
    (1..=count).map(|name| Replica::new(&TableType, name)).collect()
}

fn table_write(
    replica: &mut Replica,
    write: impl FnOnce(&mut TableDraft, &mut MemoryView),
) -> Vec<weald_crdt::Change> {
    let (mut draft, mut overlay) = (TableDraft::new(), replica.view.clone());
    write(&mut draft, &mut overlay);
    replica.commit(draft.encode())
}

fn edit(replica: &mut Replica, key: &Key, field: &str, value: impl Into<Value>) {
    let fields = BTreeMap::from([(field.to_owned(), Some(value.into()))]);
    table_write(replica, |draft, view| draft.edit(view, key, &fields).unwrap());
}

fn put(replica: &mut Replica, key: &Key, value: &Value) {
    table_write(replica, |draft, view| draft.put(view, key, value).unwrap());
}

fn delete(replica: &mut Replica, key: &Key) {
    table_write(replica, |draft, view| assert!(draft.delete(view, key).unwrap()));
}

fn row(replica: &Replica, key: &Key) -> Option<Value> {
    table::get(&replica.view, key).unwrap().map(|row| row.value)
}

#[test]
fn edits_of_different_fields_by_three_devices_all_stay() {
    let key = Key::from("row");
    let mut replicas = tables(3);
    put(&mut replicas[0], &key, &Value::from([("a", 0), ("b", 0), ("c", 0)]));
    converge(&mut replicas);
    edit(&mut replicas[0], &key, "a", 1);
    edit(&mut replicas[1], &key, "b", 2);
    edit(&mut replicas[2], &key, "c", 3);
    converge(&mut replicas);
    assert_eq!(row(&replicas[0], &key), Some(Value::from([("a", 1), ("b", 2), ("c", 3)])));
    assert!(table::get(&replicas[0].view, &key).unwrap().unwrap().conflicts.is_empty());
}

#[test]
fn concurrent_edits_of_a_field_conflict_until_the_next_write() {
    let key = Key::from("row");
    let mut replicas = tables(2);
    put(&mut replicas[0], &key, &Value::from([("a", 0)]));
    converge(&mut replicas);
    edit(&mut replicas[0], &key, "a", 1);
    edit(&mut replicas[1], &key, "a", 2);
    let other = replicas[1].clone();
    let changes = replicas[0].pull(&other);
    let conflict = changes[0].conflict.as_ref().unwrap();
    assert_eq!(conflict.losers.len(), 1);
    converge(&mut replicas);
    let shown = table::get(&replicas[0].view, &key).unwrap().unwrap();
    assert_eq!(shown.conflicts[0].field, "a");
    assert_eq!(shown.conflicts[0].winner, conflict.winner);
    let both = [shown.value.get("a").cloned().unwrap(), shown.conflicts[0].losers[0].value.clone()];
    assert!(both.contains(&Value::from(1)) && both.contains(&Value::from(2)));
    edit(&mut replicas[1], &key, "a", 3);
    converge(&mut replicas);
    let shown = table::get(&replicas[0].view, &key).unwrap().unwrap();
    assert_eq!((shown.value, shown.conflicts.len()), (Value::from([("a", 3)]), 0));
}

#[test]
fn a_row_edited_while_deleted_elsewhere_lives_on_whole() {
    let key = Key::from(7);
    let mut replicas = tables(2);
    put(&mut replicas[0], &key, &Value::from([("a", 0), ("b", 0)]));
    converge(&mut replicas);
    delete(&mut replicas[0], &key);
    assert_eq!(row(&replicas[0], &key), None);
    assert_eq!(replicas[0].view.area(Area::State).count(), 0);
    edit(&mut replicas[1], &key, "a", 1);
    converge(&mut replicas);
    assert_eq!(row(&replicas[0], &key), Some(Value::from([("a", 1), ("b", 0)])));
}

#[test]
fn a_put_after_a_delete_stays_and_brings_no_old_field_back() {
    let key = Key::from("row");
    let mut replicas = tables(2);
    put(&mut replicas[0], &key, &Value::from([("old", 0), ("kept", 0)]));
    delete(&mut replicas[0], &key);
    put(&mut replicas[0], &key, &Value::from([("kept", 1)]));
    converge(&mut replicas);
    assert_eq!(row(&replicas[1], &key), Some(Value::from([("kept", 1)])));
    put(&mut replicas[1], &key, &Value::from([("new", 1)]));
    converge(&mut replicas);
    assert_eq!(row(&replicas[0], &key), Some(Value::from([("new", 1)])));
}

#[test]
fn more_heads_than_names_are_named_over_several_operations() {
    let key = Key::from("row");
    let count = MAX_NAMES as u8 * 2 + 10;
    let mut replicas = tables(count);
    put(&mut replicas[0], &key, &Value::from([("a", 0), ("b", 0)]));
    converge(&mut replicas);
    for (number, replica) in (0..).zip(&mut replicas) {
        edit(replica, &key, if number % 3 == 0 { "b" } else { "a" }, number);
    }
    let mut one = replicas[0].clone();
    replicas.iter().for_each(|other| drop(one.pull(other)));
    assert_eq!(table::get(&one.view, &key).unwrap().unwrap().conflicts.len(), 2);
    let mut deleted = one.clone();
    put(&mut one, &key, &Value::from([("a", 1000)]));
    let shown = table::get(&one.view, &key).unwrap().unwrap();
    assert_eq!((shown.value, shown.conflicts.len()), (Value::from([("a", 1000)]), 0));
    delete(&mut deleted, &key);
    assert_eq!(row(&deleted, &key), None);

    let mut docs: Vec<_> = (1..=count).map(|name| Replica::new(&DocType, name)).collect();
    let at = Path::from(["a"]);
    for replica in &mut docs {
        doc_write(replica, |draft, view| draft.set(view, &at, &Value::from(1)).unwrap());
    }
    let mut one = docs[0].clone();
    docs.iter().for_each(|other| drop(one.pull(other)));
    assert_eq!(doc::conflicts(&one.view, &at).unwrap()[0].losers.len(), usize::from(count) - 1);
    doc_write(&mut one, |draft, view| draft.set(view, &at, &Value::from(2)).unwrap());
    assert!(doc::conflicts(&one.view, &at).unwrap().is_empty());
}

fn doc_write(
    replica: &mut Replica,
    write: impl FnOnce(&mut DocDraft, &mut MemoryView),
) -> Vec<weald_crdt::Change> {
    let (mut draft, mut overlay) = (DocDraft::new(), replica.view.clone());
    write(&mut draft, &mut overlay);
    replica.commit(draft.encode())
}

#[test]
fn a_scalar_set_while_the_map_is_edited_gives_way_to_later_leaves() {
    let (a, ab) = (Path::from(["a"]), Path::from(["a", "b"]));
    let mut replicas = vec![Replica::new(&DocType, 1), Replica::new(&DocType, 2)];
    doc_write(&mut replicas[0], |draft, view| {
        draft.set(view, &a, &Value::from([("b", 0), ("c", 0)])).unwrap()
    });
    converge(&mut replicas);
    doc_write(&mut replicas[0], |draft, view| draft.set(view, &a, &Value::from("flat")).unwrap());
    doc_write(&mut replicas[1], |draft, view| draft.set(view, &ab, &Value::from(1)).unwrap());
    doc_write(&mut replicas[1], |draft, view| draft.set(view, &ab, &Value::from(2)).unwrap());
    converge(&mut replicas);
    assert_eq!(doc::get(&replicas[0].view, &a).unwrap(), Some(Value::from([("b", 2)])));
    let conflicts = doc::conflicts(&replicas[0].view, &Path::root()).unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&conflicts[0].path, &conflicts[0].losers[0].value), (&a, &Value::from("flat")));
    // The next write of the place names both and settles it.
    doc_write(&mut replicas[1], |draft, view| {
        draft.set(view, &a, &Value::from("flat again")).unwrap()
    });
    converge(&mut replicas);
    assert_eq!(doc::to_value(&replicas[0].view).unwrap(), Value::from([("a", "flat again")]));
    assert!(doc::conflicts(&replicas[0].view, &Path::root()).unwrap().is_empty());
}

#[test]
fn leaves_below_a_later_scalar_are_conflicts() {
    let (a, ab) = (Path::from(["a"]), Path::from(["a", "b"]));
    let mut replicas = vec![Replica::new(&DocType, 1), Replica::new(&DocType, 2)];
    doc_write(&mut replicas[0], |draft, view| draft.set(view, &ab, &Value::from(1)).unwrap());
    doc_write(&mut replicas[1], |draft, view| {
        draft.set(view, &Path::from(["z"]), &Value::from(1)).unwrap()
    });
    doc_write(&mut replicas[1], |draft, view| draft.set(view, &a, &Value::from("flat")).unwrap());
    converge(&mut replicas);
    assert_eq!(doc::get(&replicas[0].view, &a).unwrap(), Some(Value::from("flat")));
    assert_eq!(doc::get(&replicas[0].view, &ab).unwrap(), None);
    for from in [Path::root(), a.clone(), ab.clone()] {
        let conflicts = doc::conflicts(&replicas[0].view, &from).unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!((&conflicts[0].path, &conflicts[0].losers[0].value), (&ab, &Value::from(1)));
    }
    let (mut draft, mut overlay) = (DocDraft::new(), replicas[0].view.clone());
    let refused = draft.set(&mut overlay, &ab, &Value::from(2));
    assert!(matches!(refused, Err(DraftError::ThroughScalar { .. })) && draft.is_empty());
}

#[test]
fn a_log_reads_from_both_ends_in_order() {
    let mut replicas = vec![Replica::new(&LogType, 1), Replica::new(&LogType, 2)];
    for number in 0..10_u64 {
        let replica = &mut replicas[(number % 2) as usize];
        let (mut draft, mut overlay) = (LogDraft::new(), replica.view.clone());
        for part in 0..3_u64 {
            let stamp = draft.append(&mut overlay, &Value::from(number * 3 + part)).unwrap();
            assert!(stamp.is_provisional());
            assert_eq!(log::tail(&overlay, 1).unwrap()[0].value, Value::from(number * 3 + part));
        }
        let changes = replica.commit(draft.encode());
        assert_eq!(changes.iter().filter(|change| change.kind == ChangeKind::Created).count(), 3);
        let other = replicas[(number % 2) as usize].clone();
        replicas[1 - (number % 2) as usize].pull(&other);
    }
    converge(&mut replicas);
    let view = &replicas[0].view;
    let all = log::after(view, None, usize::MAX).unwrap();
    assert_eq!(
        all.iter().map(|item| item.value.as_u64().unwrap()).collect::<Vec<_>>(),
        (0..30).collect::<Vec<_>>()
    );
    assert_eq!(log::tail(view, 4).unwrap(), all[26..]);
    assert_eq!(log::before(view, &all[26].stamp, 4).unwrap(), all[22..26]);
    assert_eq!(log::after(view, Some(&all[3].stamp), 4).unwrap(), all[4..8]);
    assert_eq!(log::get(view, &all[3].stamp).unwrap().as_ref(), Some(&all[3].value));
    assert_eq!(log::stamp(&log::key(&all[3].stamp)), Ok(all[3].stamp));
    assert!(log::tail(view, 0).unwrap().is_empty());
}

#[test]
fn rows_are_read_by_range_and_prefix() {
    let mut replica = Replica::new(&TableType, 1);
    let value = Value::from([("x", 1)]);
    let tuple = |a: &str, b: i64| Key::Tuple(vec![Key::from(a), Key::from(b)]);
    let mut keys: Vec<Key> = (-3..3).map(Key::from).collect();
    keys.extend(["", "a", "ab", "b"].map(Key::from));
    keys.extend([tuple("a", -1), tuple("a", 5), tuple("b", 0)]);
    table_write(&mut replica, |draft, view| {
        keys.iter().rev().for_each(|key| draft.put(view, key, &value).unwrap())
    });
    let range = |from, to, reverse| {
        let mut found = Vec::new();
        let mut visit = |key, _| {
            found.push(key);
            ControlFlow::Continue(())
        };
        table::range(&replica.view, from, to, reverse, &mut visit).unwrap();
        found
    };
    assert_eq!(range(Bound::Unbounded, Bound::Unbounded, false), keys);
    assert_eq!(
        range(Bound::Included(&keys[1]), Bound::Excluded(&keys[4]), true),
        [&keys[3], &keys[2], &keys[1]].map(Key::clone)
    );
    assert!(range(Bound::Included(&keys[4]), Bound::Excluded(&keys[1]), false).is_empty());
    let prefix = |start: &Key| {
        let mut found = Vec::new();
        let mut visit = |key, _| {
            found.push(key);
            ControlFlow::Continue(())
        };
        table::prefix(&replica.view, start, &mut visit).unwrap();
        found
    };
    assert_eq!(prefix(&Key::from("a")), ["a", "ab"].map(Key::from));
    assert_eq!(prefix(&Key::Tuple(vec![Key::from("a")])), [tuple("a", -1), tuple("a", 5)]);
}

#[test]
fn a_failing_operation_leaves_the_transaction_as_it_was() {
    let key = Key::from("row");
    let (mut draft, mut view) = (TableDraft::new(), MemoryView::new());
    draft.put(&mut view, &key, &Value::from([("a", 1)])).unwrap();
    let before = (draft.encode(), view.clone());
    let huge = Value::from([("a", Value::Bytes(vec![0; MAX_PAYLOAD_BYTES]))]);
    assert!(matches!(
        draft.put(&mut view, &key, &huge),
        Err(DraftError::Limit(Void::TooLarge { .. }))
    ));
    assert!(matches!(draft.put(&mut view, &key, &Value::from(1)), Err(DraftError::NotAMap { .. })));
    assert!(matches!(
        draft.put(&mut view, &key, &Value::from([("a", f64::NAN)])),
        Err(DraftError::Value(_))
    ));
    let edit = BTreeMap::from([("a".to_owned(), None)]);
    assert!(matches!(draft.edit(&mut view, &Key::from("none"), &edit), Err(DraftError::NoRow)));
    assert!(!draft.delete(&mut view, &Key::from("none")).unwrap());
    assert_eq!((draft.encode(), view), before);
}

#[test]
fn sections_of_the_greatest_size_and_number_fit() {
    let (mut draft, mut view) = (LogDraft::new(), MemoryView::new());
    for _ in 0..MAX_OPERATIONS {
        draft.append(&mut view, &Value::Null).unwrap();
    }
    assert!(matches!(
        draft.append(&mut view, &Value::Null),
        Err(DraftError::Limit(Void::TooManyOperations { .. }))
    ));
    LogType.check(&draft.encode()).unwrap();
    let mut draft = LogDraft::new();
    draft.append(&mut view, &Value::Bytes(vec![0; MAX_PAYLOAD_BYTES - 100])).unwrap();
    assert!(draft.encode().len() <= MAX_PAYLOAD_BYTES);
    LogType.check(&draft.encode()).unwrap();
    assert!(LogType.check(&vec![0; MAX_PAYLOAD_BYTES + 1]).is_err());
}

#[test]
fn sections_know_their_type() {
    for name in ["log", "table", "doc", "counter", "set"] {
        let draft = SectionDraft::new(name).unwrap();
        assert!(draft.is_empty());
        let payload = draft.encode();
        assert_eq!(section_type(&payload), Ok(name));
        let kind = builtin(name).unwrap();
        assert_eq!(kind.name(), name);
        kind.check(&payload).unwrap();
        let other = builtin(if name == "log" { "doc" } else { "log" }).unwrap();
        assert_eq!(other.check(&payload), Err(Void::WrongType { found: name.to_owned() }));
    }
    assert!(SectionDraft::new("unknown").is_none() && builtin("unknown").is_none());
    assert!(section_type(b"nonsense").is_err());
}

#[test]
fn damaged_rows_are_errors_and_nothing_is_written() {
    let key = Key::from("row");
    let at = Path::from(["a"]);
    let (mut rows, mut leaves) = (Replica::new(&TableType, 1), Replica::new(&DocType, 1));
    put(&mut rows, &key, &Value::from([("a", 1)]));
    edit(&mut rows, &key, "b", 1);
    doc_write(&mut leaves, |draft, view| draft.set(view, &at, &Value::from("text")).unwrap());
    let row_key = key.encode().unwrap();
    let row = rows.view.get(Area::State, &row_key).unwrap().unwrap();
    let leaf_key = at.encode().unwrap();
    let leaf = leaves.view.get(Area::State, &leaf_key).unwrap().unwrap();
    for cut in 0..row.len() {
        rows.view.put(Area::State, &row_key, row[..cut].to_vec());
        if table::get(&rows.view, &key).is_err() {
            let (mut draft, mut view) = (TableDraft::new(), rows.view.clone());
            assert!(matches!(
                draft.put(&mut view, &key, &Value::from([("a", 1)])),
                Ok(()) | Err(DraftError::View(_))
            ));
            assert!(!draft.is_empty() || view == rows.view);
        }
    }
    for cut in 0..leaf.len() {
        leaves.view.put(Area::State, &leaf_key, leaf[..cut].to_vec());
        assert!(doc::get(&leaves.view, &at).is_err() && doc::to_value(&leaves.view).is_err());
        let (mut draft, mut view) = (DocDraft::new(), leaves.view.clone());
        assert!(matches!(draft.set(&mut view, &at, &Value::Null), Err(DraftError::View(_))));
        assert!(draft.is_empty() && view == leaves.view);
    }
    leaves.view.put(Area::State, b"no log key", Vec::new());
    assert!(log::tail(&leaves.view, 1).is_err());
}

/// One step of a device: (device, key, kind, field, value, then pull from this device).
type Step = (u8, u8, u8, u8, u8, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..3_u8, 0..2_u8, 0..6_u8, 0..3_u8, any::<u8>(), 0..6_u8), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_devices_agree_and_read_what_they_wrote(steps in steps()) {
        let mut rows = tables(3);
        let mut docs: Vec<_> = (1..=3).map(|name| Replica::new(&DocType, name)).collect();
        for (at, key, kind, field, value, from) in steps {
            let at = usize::from(at);
            table_step(&mut rows[at], &Key::from(i64::from(key)), kind, ["x", "y", "z"][usize::from(field)], value);
            doc_step(&mut docs[at], key, kind, field, value);
            if let Some(other) = rows.get(usize::from(from)).cloned() {
                rows[at].pull(&other);
                let other = docs[usize::from(from)].clone();
                docs[at].pull(&other);
            }
        }
        let table: &'static dyn StoreType = &TableType;
        for (kind, mut replicas) in [(table, rows), (&DocType, docs)] {
            converge(&mut replicas);
            // Causes after effects: the same rows.
            let mut backwards = Replica::new(kind, 9);
            for section in replicas[0].known.iter().rev() {
                backwards.apply(section.clone());
            }
            prop_assert_eq!(&backwards.view, &replicas[0].view);
            prop_assert_eq!(backwards.view.area(Area::Dangling).count(), 0);
        }
    }
}

fn table_step(replica: &mut Replica, key: &Key, kind: u8, field: &str, value: u8) {
    let (mut draft, mut overlay) = (TableDraft::new(), replica.view.clone());
    let exists = row(replica, key).is_some();
    match kind {
        0 if exists => drop(draft.delete(&mut overlay, key).unwrap()),
        1..=3 if exists => {
            let set = (kind > 1).then(|| Value::from(value));
            draft.edit(&mut overlay, key, &BTreeMap::from([(field.to_owned(), set)])).unwrap();
        }
        4 => {
            draft.put(&mut overlay, key, &Value::from([(field, value)])).unwrap();
            draft
                .edit(
                    &mut overlay,
                    key,
                    &BTreeMap::from([("x".to_owned(), Some(Value::from(value)))]),
                )
                .unwrap();
        }
        _ => draft.put(&mut overlay, key, &Value::from([(field, value), ("y", value)])).unwrap(),
    }
    if !draft.is_empty() {
        replica.commit(draft.encode());
        let written = table::get(&overlay, key).unwrap().map(|row| (row.value, row.conflicts));
        assert_eq!(
            table::get(&replica.view, key).unwrap().map(|row| (row.value, row.conflicts)),
            written
        );
    }
}

fn doc_step(replica: &mut Replica, key: u8, kind: u8, field: u8, value: u8) {
    let (mut draft, mut overlay) = (DocDraft::new(), replica.view.clone());
    let way = [["a", "x", "p"], ["a", "y", "q"], ["b", "x", "p"]][usize::from(field)];
    let path: Path = way.into_iter().take(usize::from(key) + 1 + usize::from(kind % 2)).collect();
    let value = match value % 4 {
        0 => Value::Map(BTreeMap::new()),
        1 => Value::from([("x", Value::from([("p", value)])), ("z", Value::from(value))]),
        _ => Value::from(value),
    };
    let result = if kind == 0 {
        draft.remove(&mut overlay, &path).map(drop)
    } else {
        draft.set(&mut overlay, &path, &value)
    };
    match result {
        Ok(()) if kind > 0 => assert_eq!(doc::get(&overlay, &path).unwrap(), Some(value)),
        Ok(()) => assert_eq!(doc::get(&overlay, &path).unwrap(), None),
        Err(error) => assert!(matches!(error, DraftError::ThroughScalar { .. })),
    }
    if !draft.is_empty() {
        replica.commit(draft.encode());
        assert_eq!(doc::to_value(&replica.view).unwrap(), doc::to_value(&overlay).unwrap());
    }
}
