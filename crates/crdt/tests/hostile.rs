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
    Area, DocDraft, DocType, EntryStamp, Key, MAX_PAYLOAD_BYTES, MemoryView, Path, StoreType,
    TableDraft, TableType, Value, View, ViewMut, doc, section_type, table,
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
    string(out, BYTES, &Path::from(["a"]).encode().unwrap());
    names(out, named);
    out.push(0xf6);
}

fn stamp(number: u64) -> EntryStamp {
    let mut entry = [0; 32];
    entry[..8].copy_from_slice(&number.to_be_bytes());
    EntryStamp { time: number, entry, author: [0; 32] }
}

fn apply(kind: &dyn StoreType, payload: &[u8], number: u64, view: &mut MemoryView) {
    kind.check(payload).unwrap();
    kind.apply(payload, &stamp(number), view, &mut Vec::new()).unwrap();
    view.mark_applied(stamp(number).entry);
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
        let waiting = [&[0xff; 32][..], &[0, 0, 0, index], &row].concat();
        view.put(Area::Dangling, &waiting, [&[1, 0, 6, 1][..], b"00000"].concat());
    }
    assert_eq!(write_twice(&mut view), Value::from([("00000", 4)]));
    assert_eq!(view.area(Area::Dangling).count(), 2);
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
