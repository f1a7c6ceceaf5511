//! Rows that are made where nothing was take a shorter way; what comes out is the same as by the
//! long one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use weald_crdt::{
    Area, Change, EntryStamp, Key, MemoryView, StoreType, TableDraft, TableType, Value, ViewMut,
    table,
};

/// What a transaction does to a row.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, BTreeMap<String, u8>),
    Replace(u8, BTreeMap<String, u8>),
    Edit(u8, String, u8),
    Delete(u8),
    Restore(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = || proptest::collection::btree_map("[ab]", 0..4_u8, 0..3);
    let step = prop_oneof![
        4 => (0..24_u8, row()).prop_map(|(key, row)| Step::Put(key, row)),
        1 => (0..24_u8, row()).prop_map(|(key, row)| Step::Replace(key, row)),
        1 => (0..24_u8, "[ab]", 0..4_u8).prop_map(|(key, field, to)| Step::Edit(key, field, to)),
        1 => (0..24_u8).prop_map(Step::Delete),
        1 => (0..24_u8).prop_map(Step::Restore),
    ];
    // Often rising, as generated keys are.
    (proptest::collection::vec(step, 0..24), any::<bool>()).prop_map(|(mut steps, sorted)| {
        if sorted {
            steps.sort_by_key(|step| match step {
                Step::Put(key, _) | Step::Replace(key, _) | Step::Edit(key, ..) => *key,
                Step::Delete(key) | Step::Restore(key) => *key,
            });
        }
        steps
    })
}

fn key(key: u8) -> Key {
    Key::Integer(key.into())
}

fn value(row: &BTreeMap<String, u8>) -> Value {
    Value::Map(row.iter().map(|(name, to)| (name.clone(), u64::from(*to).into())).collect())
}

/// Runs the steps; those that cannot be done leave no trace.
fn run(steps: &[Step], view: &mut MemoryView) -> (Vec<u8>, Vec<bool>) {
    let mut draft = TableDraft::new();
    let done = steps.iter().map(|step| match step {
        Step::Put(at, row) => draft.put(view, &key(*at), &value(row)).is_ok(),
        Step::Replace(at, row) => draft.replace(view, &key(*at), &value(row)).is_ok(),
        Step::Edit(at, field, to) => {
            let fields = BTreeMap::from([(field.clone(), Some(u64::from(*to).into()))]);
            draft.edit(view, &key(*at), &fields).is_ok()
        }
        Step::Delete(at) => draft.delete(view, &key(*at)).unwrap(),
        Step::Restore(at) => draft.restore(view, &key(*at)).is_ok_and(|restored| restored),
    });
    let done = done.collect();
    (draft.encode(), done)
}

fn apply(payload: &[u8], entry: u8, view: &mut MemoryView) -> Vec<Change> {
    let stamp = EntryStamp::visible(u64::from(entry), [entry; 32], [9; 32]);
    let mut changes = Vec::new();
    TableType.apply(payload, &stamp, view, &mut changes).unwrap();
    view.mark_applied(stamp, payload);
    changes
}

/// The last key of any table.
fn last() -> Key {
    Key::Tuple(vec![Key::Tuple(vec![Key::Tuple(Vec::new())])])
}

fn rows(view: &MemoryView, without: (Area, &[u8])) -> Vec<(Area, Vec<u8>, Vec<u8>)> {
    let all = view.rows().filter(|(area, key, _)| (*area, *key) != without);
    all.map(|(area, key, row)| (area, key.to_vec(), row.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_draft_is_the_same_where_the_end_is_unknown(before in steps(), steps in steps()) {
        let mut short = MemoryView::new();
        apply(&run(&before, &mut MemoryView::new()).0, 1, &mut short);
        let mut long = short.clone();
        let mut end = TableDraft::new();
        end.put(&mut MemoryView::new(), &last(), &value(&BTreeMap::new())).unwrap();
        apply(&end.encode(), 2, &mut long);
        prop_assert_eq!(run(&steps, &mut short), run(&steps, &mut long));
        let end = last().encode().unwrap();
        prop_assert_eq!(rows(&short, (Area::State, &end)), rows(&long, (Area::State, &end)));
    }

    #[test]
    fn a_section_is_the_same_where_something_waits(before in steps(), steps in steps()) {
        let mut short = MemoryView::new();
        let first = run(&before, &mut short).0;
        let second = run(&steps, &mut short.clone()).0;
        let (mut short, mut long) = (MemoryView::new(), MemoryView::new());
        // A name of what has not come, in a row that nobody touches.
        let waiting = [&[1, 0xff][..], &[7; 32], &[0; 4]].concat();
        long.put(Area::Dangling, &waiting, vec![1, 0]);
        for (entry, payload) in [(1, &first), (2, &second)] {
            prop_assert_eq!(apply(payload, entry, &mut short), apply(payload, entry, &mut long));
            let at = (Area::Dangling, waiting.as_slice());
            prop_assert_eq!(rows(&short, at), rows(&long, at));
        }
    }
}

#[test]
fn rising_keys_are_read_back_inside_the_transaction() {
    let mut view = MemoryView::new();
    let mut draft = TableDraft::new();
    for at in 0..20 {
        draft.put(&mut view, &key(at), &value(&BTreeMap::from([("a".to_owned(), at)]))).unwrap();
        draft.put(&mut view, &key(at), &value(&BTreeMap::from([("b".to_owned(), at)]))).unwrap();
    }
    let row = table::get(&view, &key(7)).unwrap().unwrap();
    assert_eq!(row.value, value(&BTreeMap::from([("b".to_owned(), 7)])));
    let mut state = MemoryView::new();
    assert_eq!(apply(&draft.encode(), 1, &mut state).len(), 20);
    assert_eq!(table::get(&state, &key(7)).unwrap().unwrap().value, row.value);
}
