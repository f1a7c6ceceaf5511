//! Reading a row as a type gives what the way through a value gives, whatever the type and however
//! damaged the row.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use weald_crdt::{
    Area, Decimal, EntryStamp, Key, MemoryView, StoreType, TableDraft, TableType, Timestamp, Value,
    ViewMut, table,
};

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Plain {
    a: u64,
    b: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Lenient {
    #[serde(default)]
    a: Option<i32>,
    #[serde(default, deserialize_with = "or_default")]
    b: Vec<u8>,
    #[serde(default, deserialize_with = "or_default")]
    c: Option<Inner>,
    #[serde(default, deserialize_with = "unread")]
    d: u8,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Inner {
    #[serde(rename = "")]
    empty: Option<bool>,
    a: (f64, Box<Option<Inner>>),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Rest {
    a: Value,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    A,
    B(Timestamp),
    C(u8, Box<Choice>),
    D { a: Option<Decimal> },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Any {
    Number(u32),
    Choices(Vec<Choice>),
    Map(BTreeMap<i16, Any>),
    Text(char),
}

/// Goes on after an error, as apps do.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    d: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(d).unwrap_or_default())
}

/// Does not even look.
#[allow(clippy::unnecessary_wraps)]
fn unread<'de, D: Deserializer<'de>>(_: D) -> Result<u8, D::Error> {
    Ok(7)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..300_u64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-4.0..4.0).prop_map(Value::F64),
        "[a-d]{0,2}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Value::Bytes),
        any::<i64>().prop_map(|ms| Timestamp(ms).into()),
        Just(Decimal::new("-1.50").unwrap().into()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map("[a-d1]{0,1}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn row() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-d1]{0,1}", value(), 0..4).prop_map(Value::Map)
}

fn key() -> Key {
    Key::from("key")
}

fn write(row: &Value) -> MemoryView {
    let mut draft = TableDraft::new();
    draft.put(&mut MemoryView::new(), &key(), row).unwrap();
    let mut view = MemoryView::new();
    let entry = EntryStamp::visible(1, [1; 32], [2; 32]);
    TableType.apply(&draft.encode(), &entry, &mut view, &mut Vec::new()).unwrap();
    view
}

fn same<T: DeserializeOwned + Debug>(view: &MemoryView) {
    let direct = table::get_as::<T>(view, &key()).map(|row| row.map(|row| (row.value, row.stamp)));
    let row = table::get(view, &key());
    let through = row.map(|row| row.map(|row| (row.value.to_serde::<T>(), row.stamp)));
    assert_eq!(format!("{direct:?}"), format!("{through:?}"));
}

fn same_for_all(view: &MemoryView) {
    same::<Value>(view);
    same::<serde_json::Value>(view);
    same::<Plain>(view);
    same::<Lenient>(view);
    same::<Inner>(view);
    same::<Rest>(view);
    same::<Choice>(view);
    same::<Any>(view);
    same::<Option<Plain>>(view);
    same::<(u64, String)>(view);
    same::<()>(view);
    same::<IgnoredAny>(view);
    same::<BTreeMap<String, Any>>(view);
    same::<BTreeMap<String, Choice>>(view);
    same::<BTreeMap<String, Option<Vec<u8>>>>(view);
    same::<BTreeMap<char, (bool, IgnoredAny)>>(view);
    same::<BTreeMap<String, BTreeMap<u8, f32>>>(view);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_row_is_the_same_on_both_ways(row in row()) {
        same_for_all(&write(&row));
    }

    #[test]
    fn a_damaged_row_is_the_same_on_both_ways(
        row in row(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        cut in 0..3_usize,
    ) {
        let mut view = write(&row);
        let (at, mut bytes) =
            view.area(Area::State).next().map(|(key, row)| (key.to_vec(), row.to_vec())).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        view.put(Area::State, &at, bytes);
        same_for_all(&view);
    }
}

#[test]
fn the_example_types_fit_something() {
    let plain = write(&Value::from([("a", Value::from(1_u64)), ("b", Value::from("x"))]));
    let read = table::get_as::<Plain>(&plain, &key()).unwrap().unwrap().value.unwrap();
    assert_eq!(read, Plain { a: 1, b: "x".into() });
    let inner =
        Value::from([("", Value::Null), ("a", Value::List(vec![Value::F64(0.5), Value::Null]))]);
    let lenient = write(&Value::from([
        ("a", Value::from(u64::MAX)),
        ("b", Value::List(vec![Value::from(1_u64), Value::from("no byte")])),
        ("c", inner.clone()),
        ("d", inner),
    ]));
    same_for_all(&lenient);
    let lenient = write(&Value::from([("b", Value::from("no bytes")), ("d", Value::Null)]));
    let read = table::get_as::<Lenient>(&lenient, &key()).unwrap().unwrap().value.unwrap();
    assert_eq!(read, Lenient { a: None, b: Vec::new(), c: None, d: 7 });
    let choice = Value::from([("c", Value::List(vec![Value::from(1_u64), Value::from("a")]))]);
    let read = table::get_as::<Choice>(&write(&choice), &key()).unwrap().unwrap().value.unwrap();
    assert_eq!(read, Choice::C(1, Box::new(Choice::A)));
}

#[test]
fn a_row_that_does_not_fit_says_why() {
    let view = write(&Value::from([("a", Value::from("text")), ("b", Value::from("x"))]));
    let error = table::get_as::<Plain>(&view, &key()).unwrap().unwrap().value.unwrap_err();
    assert!(error.to_string().contains("expected u64"), "{error}");
}
