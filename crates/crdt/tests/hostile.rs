//! What forged sections and flooded rows may do to others: nothing that lasts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;

use weald_crdt::{
    Area, DocDraft, DocType, DraftError, EntryStamp, Key, MAX_PAYLOAD_BYTES, MemoryView, Path,
    StoreType, TableDraft, TableType, Value, View, ViewMut, Void, doc, section_type, table,
};

const ARRAY: u8 = 4;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const MAP: u8 = 5;

fn head(out: &mut Vec<u8>, major: u8, number: usize) {
    let major = major << 5;
    match number {
        0..=23 => out.push(major | number as u8),
        24..=0xff => out.extend([major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend((number as u16).to_be_bytes());
        }
        _ => {
            out.push(major | 26);
            out.extend((number as u32).to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    head(out, major, bytes.len());
    out.extend(bytes);
}

/// Returns a section of operations that each name the first operations of the one entry listed.
fn forged(kind: &str, id: Option<u8>, count: usize, operation: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, ARRAY, 4);
    string(&mut out, TEXT, kind.as_bytes());
    out.push(1);
    head(&mut out, ARRAY, id.iter().len());
    id.iter().for_each(|id| string(&mut out, BYTES, &[*id; 32]));
    head(&mut out, ARRAY, count);
    (0..count).for_each(|_| operation(&mut out));
    out
}

fn names(out: &mut Vec<u8>, count: usize) {
    head(out, ARRAY, count * 2);
    for index in 0..count {
        out.push(1);
        head(out, 0, index);
    }
}

/// Writes `fields` fields of the row "row".
fn row_write(out: &mut Vec<u8>, named: usize, fields: usize) {
    head(out, ARRAY, 4);
    out.push(0);
    string(out, BYTES, &Key::from("row").encode().unwrap());
    names(out, named);
    head(out, MAP, fields);
    for field in 0..fields {
        string(out, TEXT, format!("{field:05}").as_bytes());
        out.push(0xf6);
    }
}

fn leaf_write(out: &mut Vec<u8>, named: usize) {
    head(out, ARRAY, 4);
    out.push(0);
    head(out, ARRAY, 1);
    string(out, TEXT, b"a");
    names(out, named);
    out.push(0xf6);
}

fn stamp(number: u64) -> EntryStamp {
    let mut entry = [0; 32];
    entry[..8].copy_from_slice(&number.to_be_bytes());
    EntryStamp::visible(number, entry, [0; 32])
}

fn apply(kind: &dyn StoreType, payload: &[u8], number: u64, view: &mut MemoryView) {
    kind.check(payload).unwrap();
    kind.apply(payload, &stamp(number), view, &mut Vec::new()).unwrap();
    view.mark_applied(stamp(number), payload);
}

/// Puts 3, then edits to 4, in one transaction on these rows, and returns what it reads.
fn write_twice(view: &mut MemoryView) -> Value {
    let mut draft = TableDraft::new();
    let key = Key::from("row");
    draft.put(view, &key, &Value::from([("00000", 3)])).unwrap();
    let fields = BTreeMap::from([("00000".to_owned(), Some(Value::from(4)))]);
    draft.edit(view, &key, &fields).unwrap();
    table::get(view, &key).unwrap().unwrap().value
}

#[test]
fn a_name_of_the_id_that_no_entry_has_means_nothing() {
    let mut named = MemoryView::new();
    apply(&TableType, &forged("table", Some(0xff), 1, |out| row_write(out, 2, 1)), 1, &mut named);
    let mut plain = MemoryView::new();
    apply(&TableType, &forged("table", None, 1, |out| row_write(out, 0, 1)), 1, &mut plain);
    assert_eq!(named, plain);
    assert_eq!(write_twice(&mut named), Value::from([("00000", 4)]));
    let mut leaves = MemoryView::new();
    apply(&DocType, &forged("doc", Some(0xff), 1, |out| leaf_write(out, 2)), 1, &mut leaves);
    assert_eq!(leaves.area(Area::Dangling).count(), 0);
}

#[test]
fn waiting_names_do_not_kill_what_a_transaction_writes() {
    let mut view = MemoryView::new();
    let row = Key::from("row").encode().unwrap();
    for index in 0..2_u8 {
        let length = [u8::try_from(row.len()).unwrap()];
        let waiting = [&length[..], &row, &[0xff; 32], &[0, 0, 0, index]].concat();
        view.put(Area::Dangling, &waiting, [&[1, 0, 6, 1][..], b"00000"].concat());
    }
    assert_eq!(write_twice(&mut view), Value::from([("00000", 4)]));
    assert_eq!(view.area(Area::Dangling).count(), 2);
}

#[test]
fn a_section_makes_a_bounded_number_of_names_wait() {
    let kinds: [(&dyn StoreType, Vec<u8>, Vec<u8>); 2] = [
        (
            &TableType,
            forged("table", Some(7), 1, |out| row_write(out, 64, 4095)),
            forged("table", Some(7), 1, |out| row_write(out, 64, 4096)),
        ),
        (
            &DocType,
            forged("doc", Some(7), 4096, |out| leaf_write(out, 64)),
            forged("doc", Some(7), 4097, |out| leaf_write(out, 64)),
        ),
    ];
    for (kind, most, more) in kinds {
        apply(kind, &most, 1, &mut MemoryView::new());
        assert!(kind.check(&more).is_err());
        let mut view = MemoryView::new();
        assert!(kind.apply(&more, &stamp(1), &mut view, &mut Vec::new()).is_err());
        assert_eq!(view, MemoryView::new());
    }
}

#[test]
fn an_entry_adds_one_head_to_a_slot() {
    let key = Key::from("row");
    let mut rows = MemoryView::new();
    apply(&TableType, &forged("table", None, 5_000, |out| row_write(out, 0, 1)), 1, &mut rows);
    assert!(rows.get(Area::State, &key.encode().unwrap()).unwrap().unwrap().len() < 100);
    assert!(table::get(&rows, &key).unwrap().unwrap().conflicts.is_empty());
    let mut leaves = MemoryView::new();
    apply(&DocType, &forged("doc", None, 5_000, |out| leaf_write(out, 0)), 1, &mut leaves);
    assert!(doc::conflicts(&leaves, &Path::root()).unwrap().is_empty());
}

fn number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Returns the rows that this many entries leave which all wrote the field "a" and saw none of
/// each other.
fn flooded_row(heads: usize) -> MemoryView {
    let mut row = vec![1];
    number(&mut row, heads);
    for at in 0..heads {
        let stamp = stamp(at as u64 + 1);
        row.extend(stamp.time.to_be_bytes());
        row.extend(stamp.entry);
        row.push(0);
    }
    number(&mut row, heads);
    (0..heads).for_each(|at| number(&mut row, at * 2));
    row.extend([1, b'a']);
    number(&mut row, heads);
    for at in 0..heads {
        number(&mut row, at * 2);
        row.extend([1, 1]);
    }
    let mut view = MemoryView::new();
    view.put(Area::State, &Key::from("row").encode().unwrap(), row);
    view
}

fn flooded_leaf(heads: usize) -> MemoryView {
    let mut row = Vec::new();
    number(&mut row, heads);
    for at in 0..heads {
        let stamp = stamp(at as u64 + 1);
        row.extend(stamp.time.to_be_bytes());
        row.extend(stamp.entry);
        row.extend([0, 1, 1, 1]);
    }
    let mut view = MemoryView::new();
    view.put(Area::State, &Path::from(["a"]).encode().unwrap(), row);
    view
}

const FLOOD: usize = 40_000;

fn losers(view: &MemoryView) -> usize {
    let row = table::get(view, &Key::from("row")).unwrap().unwrap();
    row.conflicts.first().map_or(0, |conflict| conflict.losers.len())
}

#[test]
fn a_row_with_more_heads_than_a_section_can_name_is_written_and_clears() {
    let key = Key::from("row");
    let mut state = flooded_row(FLOOD);
    let mut before = losers(&state);
    for number in 0..4 {
        let (mut draft, mut overlay) = (TableDraft::new(), state.clone());
        if number % 2 == 0 {
            draft.put(&mut overlay, &key, &Value::from([("a", number)])).unwrap();
        } else {
            let fields = BTreeMap::from([("a".to_owned(), Some(Value::from(number)))]);
            draft.edit(&mut overlay, &key, &fields).unwrap();
        }
        apply(&TableType, &draft.encode(), u64::MAX / 2 + number, &mut state);
        let row = table::get(&state, &key).unwrap().unwrap();
        assert_eq!(row.value, Value::from([("a", number)]));
        let after = losers(&state);
        assert!(after == 0 || after + 10_000 < before, "{before} then {after}");
        assert_eq!(losers(&overlay), after);
        before = after;
    }
    assert_eq!(before, 0);
    let mut state = flooded_row(FLOOD);
    for number in 0..4 {
        let (mut draft, mut overlay) = (TableDraft::new(), state.clone());
        if draft.delete(&mut overlay, &key).unwrap() {
            apply(&TableType, &draft.encode(), u64::MAX / 2 + number, &mut state);
        }
    }
    assert!(table::get(&state, &key).unwrap().is_none());
}

#[test]
fn a_leaf_with_more_heads_than_a_section_can_name_is_written_and_clears() {
    let at = Path::from(["a"]);
    let mut state = flooded_leaf(FLOOD);
    for number in 0..4 {
        let (mut draft, mut overlay) = (DocDraft::new(), state.clone());
        draft.set(&mut overlay, &at, &Value::from(number)).unwrap();
        apply(&DocType, &draft.encode(), u64::MAX / 2 + number, &mut state);
        assert_eq!(doc::get(&state, &at).unwrap(), Some(Value::from(number)));
    }
    assert!(doc::conflicts(&state, &at).unwrap().is_empty());
}

#[test]
fn a_great_value_replaces_many_heads() {
    let (key, at) = (Key::from("row"), Path::from(["a"]));
    let great = Value::Bytes(vec![7; MAX_PAYLOAD_BYTES - 20_000]);
    let (mut draft, mut view) = (TableDraft::new(), flooded_row(300));
    draft.put(&mut view, &key, &Value::from([("a", great.clone())])).unwrap();
    TableType.check(&draft.encode()).unwrap();
    assert_eq!(losers(&view), 0);
    let (mut draft, mut view) = (DocDraft::new(), flooded_leaf(300));
    draft.set(&mut view, &at, &great).unwrap();
    DocType.check(&draft.encode()).unwrap();
    assert!(doc::conflicts(&view, &at).unwrap().is_empty());
    // A row that nobody flooded still does not take a value without naming what it replaces.
    let (mut draft, mut view) = (TableDraft::new(), flooded_row(1));
    let greatest = Value::Bytes(vec![7; MAX_PAYLOAD_BYTES - 90]);
    draft.put(&mut view, &key, &Value::from([("a", greatest)])).unwrap_err();
}

#[test]
fn the_name_of_a_type_is_bounded() {
    let section = |length: usize| forged(&"t".repeat(length), None, 0, |_| {});
    assert!(section_type(&section(0)).is_err());
    assert_eq!(section_type(&section(1)), Ok("t"));
    assert_eq!(section_type(&section(128)).unwrap().len(), 128);
    assert!(section_type(&section(129)).is_err());
}

#[test]
fn a_damaged_row_says_what_to_do() {
    let mut view = MemoryView::new();
    view.put(Area::State, &Key::from("row").encode().unwrap(), vec![9]);
    let error = table::get(&view, &Key::from("row")).unwrap_err().to_string();
    assert!(error.ends_with("is damaged; verify the database and rebuild its state"), "{error}");
}

#[test]
fn a_transaction_that_names_too_much_is_to_be_split() {
    // 62 devices edit the same field of 20 rows of 254 fields at the same time.
    let fields: BTreeMap<String, Value> =
        (0..254).map(|field| (format!("{field:05}"), Value::Null)).collect();
    let (mut draft, mut state) = (TableDraft::new(), MemoryView::new());
    for row in 0..20 {
        draft.put(&mut state.clone(), &Key::from(row), &Value::Map(fields.clone())).unwrap();
    }
    apply(&TableType, &draft.encode(), 1, &mut state);
    let (mut draft, mut overlay) = (TableDraft::new(), state.clone());
    for row in 0..20 {
        let edit = BTreeMap::from([("00000".to_owned(), Some(Value::from(row)))]);
        draft.edit(&mut overlay, &Key::from(row), &edit).unwrap();
    }
    (2..64).for_each(|number| apply(&TableType, &draft.encode(), number, &mut state));
    let (mut draft, mut overlay) = (TableDraft::new(), state.clone());
    let put = |row: i64, draft: &mut TableDraft, overlay: &mut MemoryView| {
        draft.put(overlay, &Key::from(row), &Value::Map(fields.clone()))
    };
    let refused = (0..20).find_map(|row| Some((row, put(row, &mut draft, &mut overlay).err()?)));
    let (row, error) = refused.unwrap();
    assert!(matches!(error, DraftError::Limit(Void::TooManyNamedSlots { .. })), "{error}");
    assert!(error.to_string().ends_with("split the transaction"));
    apply(&TableType, &draft.encode(), 100, &mut state);
    let mut draft = TableDraft::new();
    put(row, &mut draft, &mut state.clone()).unwrap();
    apply(&TableType, &draft.encode(), 101, &mut state);
    for row in 0..=row {
        let row = table::get(&state, &Key::from(row)).unwrap().unwrap();
        assert_eq!((row.value, row.conflicts.len()), (Value::Map(fields.clone()), 0));
    }
}
