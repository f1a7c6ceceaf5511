//! What rows say: their value for people, and the versions of a slot that has several.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use weald_crdt::{
    Area, DocDraft, DocType, EntryStamp, Key, LogDraft, LogType, MemoryView, Path, StoreType,
    TableDraft, TableType, Value,
};

fn apply(store: &dyn StoreType, view: &mut MemoryView, entry: u8, payload: &[u8]) {
    let stamp = EntryStamp::visible(u64::from(entry), [entry; 32], [9; 32]);
    store.apply(payload, &stamp, view, &mut Vec::new()).unwrap();
    view.mark_applied(stamp, payload);
}

fn only_row(view: &MemoryView) -> (Vec<u8>, Vec<u8>) {
    let (key, row) = view.area(Area::State).next().unwrap();
    (key.to_vec(), row.to_vec())
}

#[test]
fn a_table_row_shows_its_fields_and_the_rivals_of_each() {
    let mut view = MemoryView::new();
    let edit = |view: &MemoryView, colour: &str| {
        let (mut view, mut draft) = (view.clone(), TableDraft::new());
        let fields = BTreeMap::from([("colour".to_owned(), Some(Value::from(colour)))]);
        draft.edit(&mut view, &Key::from("apple"), &fields).unwrap();
        draft.encode()
    };
    let mut draft = TableDraft::new();
    let value = Value::from([("colour", "red"), ("taste", "sweet")]);
    draft.put(&mut view.clone(), &Key::from("apple"), &value).unwrap();
    apply(&TableType, &mut view, 1, &draft.encode());
    let (key, row) = only_row(&view);
    assert_eq!(TableType.show(&key, &row), Some(value));
    assert!(TableType.conflicts(&key, &row).is_empty());
    let edits = ["green", "yellow", "brown"].map(|colour| edit(&view, colour));
    for (entry, payload) in (2..).zip(&edits) {
        apply(&TableType, &mut view, entry, payload);
    }
    let (key, row) = only_row(&view);
    let conflicts = TableType.conflicts(&key, &row);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].field.as_deref(), Some("colour"));
    assert_eq!(conflicts[0].winner.value, Value::from("brown"));
    let losers: Vec<&Value> = conflicts[0].losers.iter().map(|loser| &loser.value).collect();
    assert_eq!(losers, [&Value::from("yellow"), &Value::from("green")]);
    assert_eq!(TableType.show(&key, b"damaged"), None);
    assert!(TableType.conflicts(&key, b"damaged").is_empty());
}

#[test]
fn a_leaf_and_an_item_show_their_value() {
    let empty = MemoryView::new();
    let set = |text: &str| {
        let mut draft = DocDraft::new();
        draft.set(&mut empty.clone(), &Path::from(["a"]), &Value::from(text)).unwrap();
        draft.encode()
    };
    let mut view = MemoryView::new();
    apply(&DocType, &mut view, 1, &set("one"));
    apply(&DocType, &mut view, 2, &set("two"));
    let (key, row) = only_row(&view);
    assert_eq!(DocType.show(&key, &row), Some(Value::from("two")));
    let conflicts = DocType.conflicts(&key, &row);
    assert_eq!((conflicts.len(), &conflicts[0].field), (1, &None));
    assert_eq!(conflicts[0].losers[0].value, Value::from("one"));

    let (mut view, mut draft) = (MemoryView::new(), LogDraft::new());
    draft.append(&mut view.clone(), &Value::from(7_i64)).unwrap();
    apply(&LogType, &mut view, 1, &draft.encode());
    let (key, row) = only_row(&view);
    assert_eq!(LogType.show(&key, &row), Some(Value::from(7_i64)));
}
