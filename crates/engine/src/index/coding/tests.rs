//! The order of encodings is the order of values, by a comparison that knows nothing of encodings.

use std::cmp::Ordering;

use proptest::prelude::*;
use weald_crdt::{Decimal, Timestamp, Value};

use super::{INDEX_VALUE_BYTES_MAX, Width, put, put_text_start};

/// A number written out: its sign, then digits before and behind the point, all of one length.
fn plain(value: &Value) -> Option<(bool, String)> {
    let text = match value {
        Value::I64(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F64(number) => format!("{number:.1074}"),
        Value::Decimal(decimal) => decimal.as_str().to_owned(),
        _ => return None,
    };
    let negative = text.starts_with('-');
    let text = text.trim_start_matches(['-', '+']).to_lowercase();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole:0>800}{part:0<1600}");
    let at = usize::try_from(exponent.parse::<i64>().unwrap() + 400).unwrap();
    let placed = format!("{:0>2400}{:0<2000}", &digits[..400 + at], &digits[400 + at..]);
    let negative = negative && placed.bytes().any(|digit| digit != b'0');
    Some((negative, placed))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::I64(_) | Value::U64(_) | Value::F64(_) | Value::Decimal(_) => 2,
        Value::Text(_) => 3,
        Value::Bytes(_) => 4,
        Value::Timestamp(_) => 5,
        Value::List(_) | Value::Map(_) => 6,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ if rank(a) == 2 && rank(b) == 2 => {
            let ((a_negative, a), (b_negative, b)) = (plain(a).unwrap(), plain(b).unwrap());
            match (a_negative, b_negative) {
                (false, false) => a.cmp(&b),
                (true, true) => b.cmp(&a),
                (a, b) => b.cmp(&a),
            }
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn encoded(values: &[Value], width: Width) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        put(&mut out, Some(value), width).unwrap();
    }
    out
}

fn number() -> impl Strategy<Value = Value> {
    let edges = [0, 1, 1 << 52, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 53) + 2, u64::MAX];
    prop_oneof![
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        (-4_i64..4).prop_map(Value::I64),
        prop::sample::select(edges.to_vec()).prop_map(Value::U64),
        prop::sample::select(edges.to_vec()).prop_map(|edge| Value::F64(edge as f64)),
        prop::sample::select(edges.to_vec())
            .prop_map(|edge| Value::Decimal(Decimal::new(format!("{edge}.0")).unwrap())),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::F64),
        (-8_i32..8).prop_map(|eighths| Value::F64(f64::from(eighths) / 8.0)),
        "[-+]?[0-9]{1,4}(\\.[0-9]{1,20})?(e[-+]?[0-9]{1,2})?"
            .prop_map(|text| Value::Decimal(Decimal::new(text).unwrap())),
        "-?[0-2](\\.[0-9])?".prop_map(|text| Value::Decimal(Decimal::new(text).unwrap())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => number(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => "[a\u{0}\u{1}é]{0,4}".prop_map(Value::Text),
        1 => prop::collection::vec(0_u8..3, 0..4).prop_map(Value::Bytes),
        1 => (-3_i64..3).prop_map(|ms| Value::Timestamp(Timestamp(ms))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn encodings_sort_as_values(a in value(), b in value(), c in value(), d in value()) {
        let order = compare(&a, &b).then_with(|| compare(&c, &d));
        let (left, right) = ([a, c], [b, d]);
        for width in [Width::Key, Width::Whole] {
            prop_assert_eq!(encoded(&left, width).cmp(&encoded(&right, width)), order);
        }
    }

    #[test]
    fn cut_texts_sort_before_the_greater(
        same in 250_usize..260, a in "[ab\u{0}]{0,8}", b in "[ab\u{0}]{0,8}",
    ) {
        let texts = [a, b].map(|end| "x".repeat(same) + &end);
        let [a, b] = texts.clone().map(Value::Text);
        let keys = [&a, &b].map(|value| encoded(std::slice::from_ref(value), Width::Key));
        prop_assert!(keys[0].cmp(&keys[1]) == compare(&a, &b) || keys[0] == keys[1]);
        let begin = [&texts[0], &texts[1]].map(|text| &text[..text.len().min(INDEX_VALUE_BYTES_MAX)]);
        if begin[0] != begin[1] {
            prop_assert!(keys[0] != keys[1]);
        }
        let mut start = Vec::new();
        put_text_start(&mut start, &texts[0], Width::Whole);
        let whole = encoded(std::slice::from_ref(&b), Width::Whole);
        prop_assert_eq!(whole.starts_with(&start), texts[1].starts_with(&texts[0]));
    }
}

#[test]
fn numbers_of_all_kinds_are_one_order() {
    let decimal = |text: &str| Value::Decimal(Decimal::new(text).unwrap());
    let infinity = f64::INFINITY;
    let rising = [
        Value::F64(-infinity),
        decimal("-1e400"),
        Value::F64(f64::MIN),
        Value::I64(i64::MIN),
        decimal("-0.1"),
        decimal("-1e-400"),
        Value::F64(-0.0),
        decimal("1e-400"),
        Value::F64(5e-324),
        decimal("0.1"),
        Value::F64(0.1),
        decimal("9007199254740991.5"),
        Value::F64(9_007_199_254_740_992.0),
        Value::U64((1 << 53) + 1),
        decimal("9007199254740993.5"),
        Value::F64(9_007_199_254_740_994.0),
        Value::U64(u64::MAX - 1),
        Value::U64(u64::MAX),
        Value::F64(18_446_744_073_709_551_616.0),
        decimal("1e400"),
        Value::F64(infinity),
    ];
    for pair in rising.windows(2) {
        let [a, b] = [&pair[0], &pair[1]].map(|v| encoded(std::slice::from_ref(v), Width::Key));
        assert!(a < b, "{pair:?}");
    }
    let same = [Value::U64(1), Value::I64(1), Value::F64(1.0), decimal("1.00"), decimal("0.1e1")];
    for value in &same {
        assert_eq!(
            encoded(std::slice::from_ref(value), Width::Key),
            encoded(&same[..1], Width::Key)
        );
    }
}

#[test]
fn what_has_no_order_has_no_encoding() {
    let far = Decimal::new("1e99999999999999999999").unwrap();
    for value in [Value::List(Vec::new()), Value::Decimal(far), Value::F64(f64::NAN)] {
        assert_eq!(put(&mut Vec::new(), Some(&value), Width::Key), None);
    }
}
