//! What is written comes back as it was: at rest, over peers, as JSON, through serde.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::room;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use weald::{
    Cursor, Database, Decimal, Index, Instance, IntoKey, Key, MAX_NESTING, MAX_PAYLOAD_BYTES, Path,
    Timestamp, Ulid, Value,
};

const EXACT: &str = "exact";
/// A row, and a document, is a map around its fields.
const NESTING: usize = MAX_NESTING - 1;
/// What a section takes beside the one value in it.
const FRAME: usize = 200;
const LARGEST: usize = MAX_PAYLOAD_BYTES - FRAME;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Numbers {
    above_float: u64,
    below_float: i64,
    greatest: u64,
    least: i64,
    minus_zero: f64,
    tiny: f64,
    infinite: f64,
    third: f32,
    yes: bool,
    nothing: Option<u8>,
    unit: (),
    letter: char,
    time: Timestamp,
    price: Decimal,
}

fn numbers() -> Numbers {
    Numbers {
        above_float: (1 << 53) + 1,
        below_float: -(1 << 53) - 1,
        greatest: u64::MAX,
        least: i64::MIN,
        minus_zero: -0.0,
        tiny: f64::from_bits(1),
        infinite: f64::NEG_INFINITY,
        third: 1.0 / 3.0,
        yes: true,
        nothing: None,
        unit: (),
        letter: '\u{10ffff}',
        time: Timestamp(-1),
        price: Decimal::new("1.10").unwrap(),
    }
}

/// The same database on another device.
fn copy(instance: &Instance, database: &Database) -> Database {
    let there = Instance::in_memory().unwrap();
    let bob = there.create_user("bob", None).unwrap();
    let parcels = database.parcels(0, usize::MAX).unwrap();
    there.ingest(instance.device_key(), database.id(), parcels).unwrap();
    there.mark_complete(database.id()).unwrap();
    bob.open_database(&database.id()).unwrap()
}

/// Writes a value to a table, a log and a document, and reads it here and there.
fn comes_back(value: &Value) {
    let (instance, _, room) = room();
    room.write(|tx| {
        tx.table(EXACT)?.put("key", &Value::from([("value", value.clone())]))?;
        tx.log("log")?.push(value)?;
        Ok(tx.doc("doc")?.set(["value"], value)?)
    })
    .unwrap();
    for database in [&room, &copy(&instance, &room)] {
        let row: Value = database.table(EXACT).unwrap().get("key").unwrap().unwrap();
        assert_eq!(row.get("value"), Some(value));
        let item = database.log::<Value>("log").unwrap().tail(1).unwrap().remove(0);
        assert_eq!(item.value.as_ref(), Ok(value));
        assert_eq!(database.doc("doc").unwrap().get(["value"]).unwrap().as_ref(), Some(value));
        let text = serde_json::to_string(&row.to_json().unwrap()).unwrap();
        assert_eq!(Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap(), row);
    }
}

#[test]
fn numbers_come_back() {
    let (instance, _, room) = room();
    let exact = numbers();
    room.write(|tx| Ok(tx.table(EXACT)?.put("key", &exact)?)).unwrap();
    for database in [&room, &copy(&instance, &room)] {
        let back: Numbers = database.table(EXACT).unwrap().get("key").unwrap().unwrap();
        assert_eq!(back, exact);
        assert!(back.minus_zero.is_sign_negative());
        let row: Value = database.table(EXACT).unwrap().get("key").unwrap().unwrap();
        let text = serde_json::to_string(&row.to_json().unwrap()).unwrap();
        let row = Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        let back: Numbers = row.to_serde().unwrap();
        assert_eq!(back, exact);
        assert!(back.minus_zero.is_sign_negative());
    }
}

#[test]
fn the_deepest_values_come_back_and_deeper_ones_are_refused() {
    let deep = |depth| (0..depth).fold(Value::from(-0.0), |inner, _| Value::List(vec![inner]));
    comes_back(&deep(NESTING));
    let maps = (0..NESTING).fold(Value::Null, |inner, _| Value::from([("", inner)]));
    comes_back(&maps);
    let (_instance, _, room) = room();
    let refused = room.write(|tx| {
        let too_deep = Value::from([("value", deep(NESTING + 1))]);
        assert!(tx.table::<Value>(EXACT)?.put("key", &too_deep).is_err());
        tx.log(EXACT)?.push(&deep(NESTING + 1))?;
        assert!(tx.log(EXACT)?.push(&deep(NESTING + 2)).is_err());
        Ok(())
    });
    refused.unwrap();
}

#[test]
fn the_largest_values_come_back_and_larger_ones_are_refused() {
    let bytes: Vec<u8> = (0..=250).cycle().take(LARGEST).collect();
    let text = "weald ä\u{10ffff}\0".repeat(LARGEST / 13);
    for value in [Value::Bytes(bytes), Value::Text(text)] {
        let (instance, _, room) = room();
        let row = Value::from([("value", value.clone())]);
        room.write(|tx| Ok(tx.table(EXACT)?.put("key", &row)?)).unwrap();
        room.write(|tx| Ok(tx.log("log")?.push(&value)?)).unwrap();
        for database in [&room, &copy(&instance, &room)] {
            assert_eq!(database.table(EXACT).unwrap().get("key").unwrap(), Some(row.clone()));
            let item = database.log::<Value>("log").unwrap().tail(1).unwrap().remove(0);
            assert_eq!(item.value, Ok(value.clone()));
        }
        let json = serde_json::to_string(&row.to_json().unwrap()).unwrap();
        assert_eq!(Value::from_json(&serde_json::from_str(&json).unwrap()).unwrap(), row);
    }
    let (_instance, _, room) = room();
    let refused = room.write(|tx| {
        let large = Value::Bytes(vec![0; MAX_PAYLOAD_BYTES]);
        assert!(tx.log(EXACT)?.push(&large).is_err());
        assert!(tx.table(EXACT)?.put("key", &Value::from([("value", large)])).is_err());
        Ok(())
    });
    assert_eq!(refused.unwrap().id, None);
}

#[test]
fn all_of_unicode_comes_back() {
    let all: String = (char::MIN..=char::MAX).step_by(7).collect();
    for part in all.chars().collect::<Vec<_>>().chunks(50_000) {
        comes_back(&Value::Text(part.iter().collect()));
    }
    let planes: Vec<String> = (char::MIN..=char::MAX).step_by(1_201).map(String::from).collect();
    let map: BTreeMap<String, Value> =
        planes.iter().map(|name| (name.clone(), Value::Null)).collect();
    comes_back(&Value::Map(map));
}

/// Keys and names that look like paths, patterns, reserved names, or nothing.
const ODD: [&str; 14] = [
    "",
    ".",
    "..",
    "a.b",
    "a/b",
    "/",
    "~0~1",
    "\0",
    "\0\0a",
    "$bytes",
    "$",
    " ",
    "_id",
    "\u{feff}é",
];

#[test]
fn odd_keys_and_names_come_back() {
    let (instance, _, room) = room();
    room.write(|tx| {
        for name in ODD {
            tx.table(EXACT)?.put(name, &Value::from([(name, name)]))?;
            tx.doc("doc")?.set([name, name], name)?;
        }
        Ok(())
    })
    .unwrap();
    for database in [&room, &copy(&instance, &room)] {
        let doc = database.doc("doc").unwrap();
        for name in ODD {
            let row = database.table::<Value>(EXACT).unwrap().get(name).unwrap();
            assert_eq!(row, Some(Value::from([(name, name)])));
            assert_eq!(doc.get([name, name]).unwrap(), Some(Value::from(name)));
            assert_eq!(doc.get(Path::from([name])).unwrap(), Some(Value::from([(name, name)])));
        }
        let whole = doc.value().unwrap();
        assert_eq!(Value::from_json(&whole.to_json().unwrap()).unwrap(), whole);
        assert_eq!(database.table::<Value>(EXACT).unwrap().count().unwrap(), ODD.len() as u64);
    }
}

fn key() -> impl Strategy<Value = Key> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Key::Integer),
        prop_oneof![".{0,4}", "[a\\x00]{0,3}"].prop_map(Key::Text),
        proptest::collection::vec(prop_oneof![Just(0), Just(255), any::<u8>()], 0..4)
            .prop_map(Key::Bytes),
        any::<[u8; 16]>().prop_map(|bytes| Key::Ulid(weald::Ulid::from_bytes(bytes))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Key::Tuple)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_stand_in_the_order_of_their_keys(keys in proptest::collection::btree_set(key(), 0..30)) {
        let (_instance, _, room) = room();
        let drawn: Vec<Key> = keys.iter().cloned().collect();
        room.write(|tx| {
            for (place, key) in drawn.iter().enumerate().rev() {
                tx.table(EXACT)?.put(key, &Value::from([("place", place as u64)]))?;
            }
            Ok(())
        }).unwrap();
        let table = room.table::<Value>(EXACT).unwrap();
        let rows: Vec<(Key, Value)> = table.rows().map(Result::unwrap).collect();
        let found: Vec<Key> = rows.iter().map(|(key, _)| key.clone()).collect();
        prop_assert_eq!(&found, &drawn);
        let mut reverse: Vec<Key> = table.rows().reverse().map(|row| row.unwrap().0).collect();
        reverse.reverse();
        prop_assert_eq!(&reverse, &drawn);
        for (place, key) in drawn.iter().enumerate() {
            let expected = Value::from([("place", place as u64)]);
            prop_assert_eq!(table.get(key.into_key()).unwrap(), Some(expected));
        }
    }
}

#[test]
fn keys_and_cursors_come_back_from_rows_and_sort_there() {
    let (_instance, _user, room) = room();
    let ulid = Ulid::new(7, [9; 10]);
    let mut keys = vec![
        Key::from(-1),
        Key::from(i64::MAX),
        Key::from(""),
        Key::from("a\0b"),
        Key::from(vec![0, 255]),
        Key::from(ulid),
        Key::from(vec![Key::from(1), Key::from("x")]),
    ];
    room.write(|tx| {
        let mut table = tx.table("t")?;
        for (place, key) in keys.iter().rev().enumerate() {
            table.put(i64::try_from(place).unwrap(), &BTreeMap::from([("of", key)]))?;
        }
        tx.log("l")?.push(&ulid)?;
        Ok(tx.log("l")?.push(&ulid)?)
    })
    .unwrap();
    let table = room.table::<BTreeMap<String, Key>>("t").unwrap();
    table.indexes().declare("of", Index::on(["of"])).unwrap();
    let rows = table.query().index("of").rows();
    let found: Vec<Key> = rows.map(|row| row.unwrap().1.remove("of").unwrap()).collect();
    keys.sort();
    assert_eq!(found, keys);

    let log = room.log::<Ulid>("l").unwrap();
    let last = log.tail(1).unwrap().remove(0);
    assert_eq!(last.value, Ok(ulid));
    room.write(|tx| Ok(tx.doc("read")?.set(["alice"], &last.cursor)?)).unwrap();
    let read = room.doc("read").unwrap().get(["alice"]).unwrap().unwrap();
    assert_eq!(read.to_serde::<Cursor>().unwrap(), last.cursor);
    let json = serde_json::to_string(&(&keys, last.cursor)).unwrap();
    assert_eq!(serde_json::from_str::<(Vec<Key>, Cursor)>(&json).unwrap(), (keys, last.cursor));
    assert!(Value::Bytes(vec![1, 2]).to_serde::<Cursor>().is_err());
    assert!(Value::Bytes(vec![1, 2]).to_serde::<Key>().is_err());
    let long = Key::from("x".repeat(2_000));
    let refused = room.write(|tx| Ok(tx.table("t")?.put(9, &BTreeMap::from([("of", &long)]))?));
    assert!(refused.is_err());
}
