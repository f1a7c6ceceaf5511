//! Values come back from bytes, JSON and serde exactly as they went in, and bytes are canonical.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use weald_crdt::{
    Decimal, Key, MAX_COMPONENT_BYTES, MAX_NESTING, Malformed, Path, Timestamp, Ulid, Value,
    ValueError,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,8}",
        Just(String::new()),
        "[$]{0,3}(bytes|timestamp|decimal|float)",
        Just("aGk=".to_owned()),
        Just("inf".to_owned()),
        "[a./\\x00]{0,4}"
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let float = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("NaN is refused", |float| !float.is_nan());
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        (0..300_u64).prop_map(Value::U64),
        prop_oneof![float, Just(-0.0), Just(1.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
            .prop_map(Value::F64),
        text().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp(ms))),
        "-?[0-9]{1,5}([.][0-9]{1,3})?(e-?[0-9]{1,2})?"
            .prop_map(|text| Value::Decimal(Decimal::new(text).unwrap())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::btree_map(text(), inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back(value in value()) {
        let bytes = value.encode().unwrap();
        prop_assert_eq!(&Value::decode(&bytes).unwrap(), &value);
        prop_assert_eq!(&Value::from_json(&value.to_json().unwrap()).unwrap(), &value);
        let text = serde_json::to_string(&value.to_json().unwrap()).unwrap();
        prop_assert_eq!(&Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap(), &value);
        prop_assert_eq!(&Value::from_serde(&value).unwrap(), &value);
        prop_assert_eq!(&value.to_serde::<Value>().unwrap(), &value);
        // Any reader of CBOR understands the bytes.
        ciborium::from_reader::<ciborium::Value, _>(bytes.as_slice()).unwrap();
    }

    #[test]
    fn json_comes_back(json in json()) {
        prop_assert_eq!(&Value::from_json(&json).unwrap().to_json().unwrap(), &json);
        prop_assert_eq!(&Value::from_serde(&json).unwrap().to_serde::<Json>().unwrap(), &json);
    }

    #[test]
    fn bytes_are_refused_or_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..60), value in value(), at in any::<usize>()) {
        let mut broken = value.encode().unwrap();
        let at = at % broken.len();
        broken.splice(at..=at, bytes.iter().copied().take(2));
        for bytes in [&bytes, &broken] {
            if let Ok(value) = Value::decode(bytes) {
                prop_assert_eq!(&value.encode().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn keys_keep_their_order(a in key(), b in key()) {
        let (x, y) = (a.encode().unwrap(), b.encode().unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert!(a == b || !y.starts_with(&x));
        prop_assert_eq!(Key::decode(&x).unwrap(), a);
    }

    #[test]
    fn key_and_path_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(255), Just(0x20), Just(0x50), any::<u8>()], 0..20)) {
        if let Ok(key) = Key::decode(&bytes) {
            prop_assert_eq!(key.encode().unwrap(), bytes.clone());
        }
        if let Ok(path) = Path::decode(&bytes) {
            prop_assert_eq!(path.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn paths_below_one_follow_it(a in proptest::collection::vec(text(), 0..4), b in proptest::collection::vec(text(), 0..4)) {
        let (a, b) = (Path::from(a), Path::from(b));
        let (x, y) = (a.encode().unwrap(), b.encode().unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(y.starts_with(&x), b.steps().starts_with(a.steps()));
        prop_assert_eq!(Path::decode(&x).unwrap(), a);
    }
}

fn key() -> impl Strategy<Value = Key> {
    let bytes =
        proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()], 0..5);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Key::Integer),
        (-2..3_i64).prop_map(Key::Integer),
        text().prop_map(Key::Text),
        bytes.prop_map(Key::Bytes),
        any::<[u8; 16]>().prop_map(|bytes| Key::Ulid(Ulid::from_bytes(bytes))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Key::Tuple)
    })
}

#[test]
fn integers_are_exact_and_equal_by_number() {
    for number in [0, 1, (1 << 53) + 1, i64::MAX as u64, u64::MAX] {
        let value = Value::from(number);
        assert_eq!(Value::decode(&value.encode().unwrap()).unwrap().as_u64(), Some(number));
        assert_eq!(value.to_json().unwrap().to_string(), number.to_string());
        assert_eq!(value.to_serde::<u64>().unwrap(), number);
    }
    assert_eq!(Value::I64(5), Value::U64(5));
    assert_eq!(Value::I64(5).encode(), Value::U64(5).encode());
    assert_ne!(Value::I64(-1), Value::U64(u64::MAX));
    assert_ne!(Value::F64(1.0), Value::U64(1));
    assert_ne!(Value::F64(-0.0), Value::F64(0.0));
    let least = Value::from(i64::MIN);
    assert_eq!(Value::decode(&least.encode().unwrap()).unwrap().as_i64(), Some(i64::MIN));
    assert_eq!(Value::from_serde(&u128::MAX), Err(ValueError::IntegerRange));
    assert_eq!(Value::from_serde(&7_u128), Ok(Value::U64(7)));
    // -1 - u64::MAX is well-formed CBOR, and no i64.
    assert!(Value::decode(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
}

#[test]
fn minus_zero_and_not_a_number() {
    let zero = Value::F64(-0.0);
    let read = Value::decode(&zero.encode().unwrap()).unwrap();
    assert!(read.as_f64().unwrap().is_sign_negative());
    assert!(
        Value::from_json(&zero.to_json().unwrap()).unwrap().as_f64().unwrap().is_sign_negative()
    );
    assert_eq!(Value::F64(f64::NAN).encode(), Err(ValueError::NotANumber));
    assert_eq!(Value::F64(f64::NAN).to_json(), Err(ValueError::NotANumber));
    assert_eq!(Value::from_serde(&f64::NAN), Err(ValueError::NotANumber));
    assert_eq!(Value::decode(&[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]), Err(Malformed::NotANumber));
}

#[test]
fn nesting_is_bounded_everywhere() {
    let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    let deepest = nested(MAX_NESTING);
    assert_eq!(Value::decode(&deepest.encode().unwrap()).unwrap(), deepest);
    assert_eq!(Value::from_json(&deepest.to_json().unwrap()).unwrap(), deepest);
    assert_eq!(Value::from_serde(&deepest).unwrap().to_serde::<Value>().unwrap(), deepest);
    let deeper = nested(MAX_NESTING + 1);
    assert_eq!(deeper.encode(), Err(ValueError::TooDeep));
    assert_eq!(Value::from_serde(&deeper), Err(ValueError::TooDeep));
    assert_eq!(Value::from_json(&deeper.to_json().unwrap()), Err(ValueError::TooDeep));
    let bytes = vec![0x81; 100_000];
    assert_eq!(Value::decode(&bytes), Err(Malformed::TooDeep));
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    for huge in [
        [0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
        [0x5b, 127, 255, 255, 255, 255, 255, 255, 255],
    ] {
        assert_eq!(Value::decode(&huge), Err(Malformed::Truncated));
    }
    let long = "k".repeat(MAX_COMPONENT_BYTES + 1);
    assert!(matches!(
        Value::from([(long.as_str(), 1)]).encode(),
        Err(ValueError::KeyTooLong { .. })
    ));
    assert_eq!(Key::from(long.as_str()).encode(), Err(Malformed::TooLong));
    assert!(Key::from(&long[1..]).encode().is_ok());
    assert_eq!(Path::from([long.as_str()]).encode(), Err(Malformed::TooLong));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i8, i8),
    Box { width: u64, height: Option<u64> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    small: i8,
    ratio: f32,
    letter: char,
    name: String,
    absent: Option<String>,
    present: Option<u8>,
    shapes: Vec<Shape>,
    by_number: BTreeMap<i32, String>,
    by_truth: BTreeMap<bool, ()>,
    pair: (u8, String),
    made: Timestamp,
    price: Decimal,
    times: Vec<Timestamp>,
    any: Value,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    numbers: Vec<u8>,
    json: Json,
}

fn record() -> Record {
    Record {
        id: (1 << 53) + 1,
        small: -128,
        ratio: 0.1,
        letter: '\u{1F332}',
        name: "Ünïcode / with . dots".to_owned(),
        absent: None,
        present: Some(0),
        shapes: vec![
            Shape::Point,
            Shape::Circle(-0.0),
            Shape::Line(1, -1),
            Shape::Box { width: u64::MAX, height: None },
        ],
        by_number: BTreeMap::from([(-5, String::new()), (7, "seven".to_owned())]),
        by_truth: BTreeMap::from([(true, ())]),
        pair: (255, "x".to_owned()),
        made: Timestamp(-1),
        price: Decimal::new("1.10").unwrap(),
        times: vec![Timestamp(i64::MIN), Timestamp(i64::MAX)],
        any: Value::List(vec![
            Timestamp(5).into(),
            Decimal::new("2").unwrap().into(),
            Value::Bytes(vec![1]),
        ]),
        raw: vec![0, 255],
        numbers: vec![0, 255],
        json: json!({"a": [1, -1, 1.5, null, {"$bytes": "aGk="}]}),
    }
}

#[test]
fn records_come_back_through_our_own_and_other_formats() {
    let record = record();
    let value = Value::from_serde(&record).unwrap();
    assert_eq!(value.get("made"), Some(&Timestamp(-1).into()));
    assert_eq!(value.get("price"), Some(&Value::Decimal(Decimal::new("1.10").unwrap())));
    assert_eq!(value.get("raw"), Some(&Value::Bytes(vec![0, 255])));
    assert_eq!(value.get("absent"), Some(&Value::Null));
    assert_eq!(value.to_serde::<Record>().unwrap(), record);
    let stored = Value::decode(&value.encode().unwrap()).unwrap();
    assert_eq!(stored.to_serde::<Record>().unwrap(), record);
    // Other formats see plain numbers and texts.
    assert_eq!(serde_json::to_value(Timestamp(5)).unwrap(), json!(5));
    assert_eq!(serde_json::from_value::<Timestamp>(json!(5)).unwrap(), Timestamp(5));
    assert_eq!(serde_json::from_value::<Decimal>(json!("1.0")).unwrap().as_str(), "1.0");
    assert!(serde_json::from_value::<Decimal>(json!("one")).is_err());
    assert_eq!(
        serde_json::from_value::<Value>(json!([1, {"a": null}])).unwrap(),
        Value::from_json(&json!([1, {"a": null}])).unwrap()
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let refused = Value::from_serde(&BTreeMap::from([((1, 2), 3)]));
    assert_eq!(refused, Err(ValueError::KeyKind));
    let message = Value::from("x").to_serde::<u64>().unwrap_err().to_string();
    assert!(message.contains("invalid type: string \"x\", expected u64"), "{message}");
    assert!(Value::from(300_u64).to_serde::<u8>().is_err());
    assert!(Value::Null.to_serde::<Shape>().is_err());
    assert!(Value::from("Nothing").to_serde::<Shape>().is_err());
}

#[test]
fn look_alikes_of_reserved_keys_stay_maps() {
    let bytes = Value::Bytes(b"hi".to_vec());
    assert_eq!(bytes.to_json().unwrap(), json!({"$bytes": "aGk="}));
    let map = Value::from([("$bytes", "aGk=")]);
    assert_eq!(map.to_json().unwrap(), json!({"$$bytes": "aGk="}));
    assert_eq!(Value::from_json(&json!({"$$bytes": "aGk="})).unwrap(), map);
    assert_eq!(Value::from_json(&json!({"$bytes": 5})).unwrap(), Value::from([("$bytes", 5)]));
    assert_eq!(Value::F64(f64::INFINITY).to_json().unwrap(), json!({"$float": "inf"}));
}
