//! What a section may cost: each other section is read once, however often it is named and however
//! many rows are folded again; and the bookkeeping does not grow with the length of keys.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Bound;

use weald_crdt::{
    Applied, Area, CounterDraft, CounterType, DocType, EntryStamp, Key, MemoryView, StoreType,
    Touched, View, ViewError, ViewMut, VisitRow, counter,
};

/// Counts how often sections are read.
#[derive(Default)]
struct Counting {
    view: MemoryView,
    read: Cell<usize>,
}

impl View for Counting {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.view.get(area, key)
    }

    fn range(
        &self,
        area: Area,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), ViewError> {
        self.view.range(area, from, to, reverse, visit)
    }

    fn applied(&self, entry: &[u8; 32]) -> Result<Option<Applied>, ViewError> {
        self.read.set(self.read.get() + 1);
        self.view.applied(entry)
    }
}

impl ViewMut for Counting {
    fn put(&mut self, area: Area, key: &[u8], value: Vec<u8>) {
        self.view.put(area, key, value);
    }

    fn remove(&mut self, area: Area, key: &[u8]) {
        self.view.remove(area, key);
    }
}

fn stamp(entry: u8) -> EntryStamp {
    EntryStamp::visible(u64::from(entry) << 16, [entry; 32], [9; 32])
}

impl Counting {
    /// Applies a section, and returns how often others were read.
    fn apply(&mut self, kind: &dyn StoreType, entry: u8, payload: &[u8]) -> usize {
        let before = self.read.get();
        kind.apply(payload, &stamp(entry), self, &mut Vec::new()).unwrap();
        self.view.mark_applied(stamp(entry), payload);
        self.read.get() - before
    }
}

/// Adds to many counters, or resets them, as one who sees nothing but his own writes does.
fn on_counters(count: u32, is_reset: bool) -> Vec<u8> {
    let (mut view, mut draft) = (MemoryView::new(), CounterDraft::new());
    for number in 0..count {
        let key = Key::from(i64::from(number));
        draft.add(&mut view, &key, 1).unwrap();
        if is_reset {
            draft.reset(&mut view, &key).unwrap();
        }
    }
    draft.encode()
}

#[test]
fn many_rows_folded_again_read_each_section_once() {
    let mut view = Counting::default();
    let (added, reset) = (on_counters(4_000, false), on_counters(4_000, true));
    assert_eq!(view.apply(&CounterType, 1, &added), 0);
    // It does not reach what it has not seen.
    assert!(view.apply(&CounterType, 2, &reset) <= 1);
    assert_eq!(counter::get(&view, &Key::from(7_i64)).unwrap(), 1);
    let Ok(Touched::Rows(rows)) = CounterType.touched(&added, &stamp(1)) else { return };
    view.view.mark_unneeded(&[1; 32]);
    let before = view.read.get();
    CounterType.refold(&rows, &BTreeSet::new(), &mut view, &mut Vec::new()).unwrap();
    assert!(view.read.get() - before <= 2);
    assert_eq!(counter::get(&view, &Key::from(7_i64)).unwrap(), 0);
}

fn head(out: &mut Vec<u8>, major: u8, number: usize) {
    let major = major << 5;
    match number {
        0..=23 => out.push(major | number as u8),
        24..=0xff => out.extend([major | 24, number as u8]),
        _ => {
            out.push(major | 25);
            out.extend((number as u16).to_be_bytes());
        }
    }
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;

/// Returns a section of one type with these ids and operations.
fn section(
    kind: &str,
    ids: &[u8],
    count: usize,
    operation: impl Fn(&mut Vec<u8>, usize),
) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, ARRAY, 4);
    head(&mut out, TEXT, kind.len());
    out.extend_from_slice(kind.as_bytes());
    out.push(1);
    head(&mut out, ARRAY, ids.len());
    for id in ids {
        head(&mut out, BYTES, 32);
        out.extend_from_slice(&[*id; 32]);
    }
    head(&mut out, ARRAY, count);
    (0..count).for_each(|at| operation(&mut out, at));
    out
}

#[test]
fn a_section_that_is_named_in_turn_with_others_is_read_once() {
    let mut view = Counting::default();
    let key = Key::from("x").encode().unwrap();
    // They have very many operations, on rows that the names are not about.
    let great = section("counter", &[], 60_000, |out, _| {
        head(out, ARRAY, 4);
        out.push(0);
        head(out, BYTES, key.len());
        out.extend_from_slice(&key);
        out.extend([ARRAY << 5, 1]);
    });
    (1..4).for_each(|entry| view.view.mark_applied(stamp(entry), &great));
    let key = Key::from("elsewhere").encode().unwrap();
    let forged = section("counter", &[1, 2, 3], 40, |out, at| {
        head(out, ARRAY, 4);
        out.push(0);
        head(out, BYTES, key.len());
        out.extend_from_slice(&key);
        head(out, ARRAY, 6);
        for place in 1..4 {
            out.push(place);
            head(out, 0, at);
        }
        out.push(1);
    });
    assert_eq!(view.apply(&CounterType, 9, &forged), 3);
    assert_eq!(view.view.area(Area::Dangling).count(), 120);
}

#[test]
fn names_that_wait_at_a_long_path_take_little() {
    let forged = section("doc", &[1], 100, |out, at| {
        head(out, ARRAY, 4);
        out.push(0);
        // A path of many elements is short where it is told, and long as a key.
        head(out, ARRAY, 60);
        head(out, TEXT, 1);
        out.push(b'a');
        for step in 1..60 {
            head(out, ARRAY, 2);
            out.push(1);
            head(out, 0, at * 60 + step);
        }
        head(out, ARRAY, 128);
        for index in 0..64 {
            out.push(1);
            head(out, 0, index);
        }
        out.push(1);
    });
    let mut view = Counting::default();
    view.apply(&DocType, 9, &forged);
    let waiting: Vec<usize> =
        view.view.area(Area::Dangling).map(|(key, row)| key.len() + row.len()).collect();
    assert_eq!(waiting.len(), 6_400);
    assert!(waiting.iter().sum::<usize>() < forged.len() * 20, "{}", forged.len());
    assert_eq!(view.view.area(Area::State).count(), 100);
}
