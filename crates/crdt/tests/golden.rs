//! Bytes that must never change: payloads travel between versions, rows rest on disks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use weald_crdt::{
    Area, CounterDraft, CounterType, Decimal, DocDraft, DocType, EntryStamp, Key, LogDraft,
    LogType, MemoryView, Path, SetDraft, SetType, StoreType, TableDraft, TableType, Timestamp,
    Ulid, Value, log,
};

/// One of every kind.
fn every_kind() -> Value {
    Value::from([
        ("bool", Value::Bool(true)),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("decimal", Decimal::new("1.10").unwrap().into()),
        ("float", Value::F64(-0.0)),
        ("greatest", Value::U64(u64::MAX)),
        ("least", Value::I64(i64::MIN)),
        (
            "list",
            Value::List(vec![Value::Null, Value::from(1), Value::from(24), Value::from(1_000)]),
        ),
        ("map", Value::from([("", Value::Map(BTreeMap::new()))])),
        ("text", Value::from("Wäld")),
        ("time", Timestamp(-1).into()),
    ])
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn rows(view: &MemoryView) -> Vec<String> {
    view.rows().map(|(area, key, row)| format!("{area:?} {} {}", hex(key), hex(row))).collect()
}

fn golden(name: &str, found: &[String], expected: &str) {
    assert_eq!(found.join("\n").trim(), expected.trim(), "{name}");
}

/// Applies a payload as the entry with this number.
fn apply(kind: &dyn StoreType, view: &mut MemoryView, number: u8, payload: &[u8]) {
    let entry = EntryStamp::visible(u64::from(number), [number; 32], [0; 32]);
    kind.apply(payload, &entry, view, &mut Vec::new()).unwrap();
    view.mark_applied(entry, payload);
}

#[test]
fn a_value_of_every_kind() {
    let bytes = every_kind().encode().unwrap();
    assert_eq!(hex(&bytes), include_str!("golden/value.hex").trim());
    assert_eq!(Value::decode(&bytes).unwrap(), every_kind());
}

#[test]
fn keys_of_every_kind() {
    let ulid = Ulid::new(1_700_000_000_000, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let key = Key::Tuple(vec![
        Key::from("a\0b"),
        Key::from(-1),
        Key::from(1),
        Key::Bytes(vec![0, 1]),
        Key::from(ulid),
        Key::Tuple(Vec::new()),
    ]);
    assert_eq!(hex(&key.encode().unwrap()), include_str!("golden/key.hex").trim());
    assert_eq!(ulid.to_string(), "01HF7YAT00041061050R3GG28A");
}

#[test]
fn sections_and_rows_of_a_log() {
    let (mut view, mut overlay, mut draft) =
        (MemoryView::new(), MemoryView::new(), LogDraft::new());
    draft.append(&mut overlay, &Value::from("hi")).unwrap();
    draft.append(&mut overlay, &Value::from([("n", 1)])).unwrap();
    let payload = draft.encode();
    apply(&LogType, &mut view, 1, &payload);
    let found = [vec![hex(&payload)], rows(&view)].concat().join("\n");
    assert_eq!(found, include_str!("golden/log.hex").trim());
}

#[test]
fn sections_and_rows_of_a_table() {
    let key = Key::from("k");
    let (mut view, mut found, mut payloads) = (MemoryView::new(), Vec::new(), Vec::new());
    for number in 1..=5 {
        let (mut overlay, mut draft) = (view.clone(), TableDraft::new());
        match number {
            1 => {
                draft.put(&mut overlay, &key, &Value::from([("a", 1), ("b", 2), ("c", 3)])).unwrap()
            }
            2 => {
                let fields = BTreeMap::from([
                    ("a".to_owned(), Some(Value::from("x"))),
                    ("b".to_owned(), None),
                ]);
                draft.edit(&mut overlay, &key, &fields).unwrap();
                draft.put(&mut overlay, &Key::from(9), &Value::Map(BTreeMap::new())).unwrap();
            }
            3 => assert!(draft.delete(&mut overlay, &key).unwrap()),
            4 => draft.put(&mut overlay, &key, &Value::from([("a", 4)])).unwrap(),
            _ => {
                draft.put(&mut overlay, &key, &Value::from([("a", 5)])).unwrap();
                draft.put(&mut overlay, &key, &Value::from([("a", 6)])).unwrap();
            }
        }
        let payload = draft.encode();
        apply(&TableType, &mut view, number, &payload);
        found.push(hex(&payload));
        found.extend(rows(&view));
        payloads.push(payload);
    }
    // Names of operations that have not come wait.
    let mut late = MemoryView::new();
    apply(&TableType, &mut late, 2, &payloads[1]);
    found.extend(rows(&late));
    assert_eq!(found.join("\n").trim(), include_str!("golden/table.hex").trim());
}

#[test]
fn sections_and_rows_of_a_document() {
    let (mut view, mut found) = (MemoryView::new(), Vec::new());
    let (ab, al) = (Path::from(["a", "b"]), Path::from(["a", "l"]));
    for number in 1..=6 {
        let (mut overlay, mut draft) = (view.clone(), DocDraft::new());
        match number {
            1 => {
                let value =
                    Value::from([("b", Value::from(1)), ("c.d/e\0", Value::Map(BTreeMap::new()))]);
                draft.set(&mut overlay, &Path::from(["a"]), &value).unwrap();
            }
            2 => {
                draft.set(&mut overlay, &ab, &Value::from("x")).unwrap();
                let nested = Value::List(vec![Value::from([("k", 1)])]);
                draft.set(&mut overlay, &al, &Value::List(vec![Value::Null, nested])).unwrap();
            }
            3 => {
                assert!(draft.remove(&mut overlay, &ab).unwrap());
                draft.insert(&mut overlay, &al, 1, &Value::from("between")).unwrap();
            }
            4 => draft.move_to(&mut overlay, &al, 0, 2).unwrap(),
            5 => draft.increment(&mut overlay, &Path::from(["n"]), -7).unwrap(),
            _ => {
                assert!(draft.remove(&mut overlay, &al.index(1)).unwrap());
                draft.set(&mut overlay, &Path::from(["n"]), &Value::from(true)).unwrap();
            }
        }
        let payload = draft.encode();
        apply(&DocType, &mut view, number, &payload);
        found.push(hex(&payload));
        found.extend(rows(&view));
    }
    golden("doc", &found, include_str!("golden/doc.hex"));
}

#[test]
fn sections_and_rows_of_counters() {
    let (mut view, mut found, key) = (MemoryView::new(), Vec::new(), Key::from("k"));
    for number in 1..=3 {
        let (mut overlay, mut draft) = (view.clone(), CounterDraft::new());
        match number {
            1 => draft.add(&mut overlay, &key, i64::MIN).unwrap(),
            2 => {
                draft.add(&mut overlay, &key, 1).unwrap();
                draft.add(&mut overlay, &Key::from(9), 24).unwrap();
            }
            _ => assert!(draft.reset(&mut overlay, &key).unwrap()),
        }
        let payload = draft.encode();
        apply(&CounterType, &mut view, number, &payload);
        found.push(hex(&payload));
        found.extend(rows(&view));
    }
    golden("counter", &found, include_str!("golden/counter.hex"));
}

#[test]
fn sections_and_rows_of_a_set() {
    let (mut view, mut found, member) = (MemoryView::new(), Vec::new(), every_kind());
    for number in 1..=2 {
        let (mut overlay, mut draft) = (view.clone(), SetDraft::new());
        if number == 1 {
            assert!(draft.add(&mut overlay, &member).unwrap());
            assert!(draft.add(&mut overlay, &Value::from("x")).unwrap());
        } else {
            assert!(draft.remove(&mut overlay, &member).unwrap());
        }
        let payload = draft.encode();
        apply(&SetType, &mut view, number, &payload);
        found.push(hex(&payload));
        found.extend(rows(&view));
    }
    golden("set", &found, include_str!("golden/set.hex"));
}

#[test]
fn a_row_with_one_version_costs_little_more_than_its_values() {
    let (mut draft, mut overlay, mut view) =
        (TableDraft::new(), MemoryView::new(), MemoryView::new());
    let value = Value::from([("name", "x".repeat(50)), ("text", "y".repeat(50))]);
    draft.put(&mut overlay, &Key::from(Ulid::new(1, [0; 10])), &value).unwrap();
    let payload = draft.encode();
    assert!(payload.len() <= value.encode().unwrap().len() + 34, "payload of {}", payload.len());
    apply(&TableType, &mut view, 1, &payload);
    let (key, row) = view.area(Area::State).next().unwrap();
    assert_eq!(key.len(), 17);
    assert!(row.len() <= value.encode().unwrap().len() + 46, "row of {}", row.len());

    let (mut draft, mut view) = (LogDraft::new(), MemoryView::new());
    draft.append(&mut overlay, &value).unwrap();
    let payload = draft.encode();
    assert!(payload.len() <= value.encode().unwrap().len() + 8, "payload of {}", payload.len());
    apply(&LogType, &mut view, 1, &payload);
    assert_eq!(log::tail(&view, 1).unwrap()[0].value, value);
}
