//! Changes of a value as JSON patches (RFC 6902), in the exact JSON form of values.
//!
//! Invariant: applying the forward patch to what was gives what is, and the reverse patch gives back
//! what was, to the bit: `1` and `1.0` differ, and so do `0.0` and `-0.0`.

use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value as Json};
use weald_crdt::{Value, ValueError};

/// Returns the patch that leads from one value to another.
///
/// Nothing there is `null` to a patch. So what comes into being is one `add` of the whole value at
/// the root, and what goes away is one `replace` of the root by `null`; in between, a patch names
/// the places that differ. Where nothing differs it is empty.
pub(crate) fn patch(before: Option<&Value>, after: Option<&Value>) -> Result<Patch, ValueError> {
    let operations = match (before, after) {
        (None, None) => Vec::new(),
        (None, Some(after)) => {
            let (path, value) = (PointerBuf::root(), after.to_json()?);
            vec![PatchOperation::Add(AddOperation { path, value })]
        }
        (Some(_), None) => {
            let (path, value) = (PointerBuf::root(), Json::Null);
            vec![PatchOperation::Replace(ReplaceOperation { path, value })]
        }
        (Some(before), Some(after)) => {
            let mut found = Difference::default();
            found.value(&before.to_json()?, &after.to_json()?);
            found.operations
        }
    };
    Ok(Patch(operations))
}

/// Collects the operations that lead from one JSON value to another.
#[derive(Default)]
struct Difference {
    place: Vec<Token<'static>>,
    operations: Vec<PatchOperation>,
}

impl Difference {
    fn value(&mut self, before: &Json, after: &Json) {
        match (before, after) {
            (Json::Object(before), Json::Object(after)) => self.object(before, after),
            (Json::Array(before), Json::Array(after)) => self.array(before, after),
            _ if is_same(before, after) => {}
            _ => {
                let (path, value) = (self.path(), after.clone());
                self.operations.push(PatchOperation::Replace(ReplaceOperation { path, value }));
            }
        }
    }

    fn object(&mut self, before: &Map<String, Json>, after: &Map<String, Json>) {
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            self.at(Token::new(key.clone()), Self::remove);
        }
        for (key, after) in after {
            self.at(Token::new(key.clone()), |found| match before.get(key) {
                Some(before) => found.value(before, after),
                None => found.add(after),
            });
        }
    }

    /// Leaves equal items at both ends as they are; of those between, pairs are compared, and what
    /// is too many on one side is removed or added.
    fn array(&mut self, before: &[Json], after: &[Json]) {
        let same = |pair: &(&Json, &Json)| is_same(pair.0, pair.1);
        let start = before.iter().zip(after).take_while(same).count();
        let (before, after) =
            (before.get(start..).unwrap_or(&[]), after.get(start..).unwrap_or(&[]));
        let end = before.iter().rev().zip(after.iter().rev()).take_while(same).count();
        let (olds, news) = (before.len() - end, after.len() - end);
        let pairs = before.iter().zip(after).take(olds.min(news));
        for (index, (before, after)) in (start..).zip(pairs) {
            self.at(Token::from(index), |found| found.value(before, after));
        }
        // From behind, so that the places of the others stay.
        for index in (start + news..start + olds).rev() {
            self.at(Token::from(index), Self::remove);
        }
        for (index, item) in (start + olds..).zip(after.iter().take(news).skip(olds)) {
            self.at(Token::from(index), |found| found.add(item));
        }
    }

    fn at(&mut self, token: Token<'static>, run: impl FnOnce(&mut Self)) {
        self.place.push(token);
        run(self);
        self.place.pop();
    }

    fn path(&self) -> PointerBuf {
        PointerBuf::from_tokens(self.place.iter().cloned())
    }

    fn add(&mut self, value: &Json) {
        let (path, value) = (self.path(), value.clone());
        self.operations.push(PatchOperation::Add(AddOperation { path, value }));
    }

    fn remove(&mut self) {
        let path = self.path();
        self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
    }
}

/// Compares exactly: equality of JSON numbers takes `-0.0` for `0.0`.
fn is_same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a == b && a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits)
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weald_crdt::{Decimal, Timestamp};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            prop_oneof![Just(0_u64), Just((1 << 53) + 1), Just(u64::MAX)].prop_map(Value::U64),
            prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::INFINITY)].prop_map(Value::F64),
            "[a-c/~\u{0}\u{1f600}]{0,3}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::Bytes),
            Just(Value::Timestamp(Timestamp(-1))),
            Just(Value::Decimal(Decimal::new("1.50").unwrap())),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            let key = prop_oneof!["[ab]", Just(String::new()), "[/~.]{1,2}", Just("$bytes".into())];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::btree_map(key, inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    fn json(value: Option<&Value>) -> Json {
        value.map_or(Json::Null, |value| value.to_json().unwrap())
    }

    fn holds(before: Option<&Value>, after: Option<&Value>) {
        let mut document = json(before);
        json_patch::patch(&mut document, &patch(before, after).unwrap()).unwrap();
        assert!(is_same(&document, &json(after)), "{document} is not {after:?}");
        if let Some(after) = after {
            assert_eq!(&Value::from_json(&document).unwrap(), after);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_patch_leads_exactly_from_one_value_to_the_other(
            before in proptest::option::of(value()),
            after in proptest::option::of(value()),
        ) {
            holds(before.as_ref(), after.as_ref());
            holds(after.as_ref(), before.as_ref());
            prop_assert!(patch(after.as_ref(), after.as_ref()).unwrap().0.is_empty() || after.is_none());
        }

        #[test]
        fn lists_that_differ_in_the_middle_keep_their_ends(
            ends in prop::collection::vec(value(), 0..3),
            before in prop::collection::vec(value(), 0..4),
            after in prop::collection::vec(value(), 0..4),
        ) {
            let list = |middle: &[Value]| Value::List([&ends, middle, &ends].concat());
            holds(Some(&list(&before)), Some(&list(&after)));
        }
    }

    #[test]
    fn coming_into_being_and_going_away_are_one_operation_each() {
        let value = Value::from([("a", 1_i64)]);
        let text = |patch: Patch| serde_json::to_string(&patch).unwrap();
        let created = text(patch(None, Some(&value)).unwrap());
        assert_eq!(created, r#"[{"op":"add","path":"","value":{"a":1}}]"#);
        let deleted = text(patch(Some(&value), None).unwrap());
        assert_eq!(deleted, r#"[{"op":"replace","path":"","value":null}]"#);
        let changed = text(patch(Some(&value), Some(&Value::from([("a", 2_i64)]))).unwrap());
        assert_eq!(changed, r#"[{"op":"replace","path":"/a","value":2}]"#);
    }

    #[test]
    fn an_item_put_in_front_of_a_list_is_one_operation() {
        let list = |items: &[i64]| Value::List(items.iter().copied().map(Value::from).collect());
        let found = patch(Some(&list(&[1, 2, 3])), Some(&list(&[0, 1, 2, 3]))).unwrap();
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            r#"[{"op":"add","path":"/0","value":0}]"#
        );
    }
}
