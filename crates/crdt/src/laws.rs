//! What every store type must do, the app's own included, as checks over sections that a test draws.
//!
//! Invariant: nothing here depends on what a type is for; one that passes may be given to an
//! instance. The checks panic when a law is broken: call them from a test, with many drawn sections.
#![allow(clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::MemoryView;
use crate::stamp::EntryStamp;
use crate::store_type::{ApplyError, Change, ChangeKind, StoreType, Touched};
use crate::view::Area;

/// How many orders of the sections are tried.
const ORDERS: u64 = 12;

/// A section with the stamp of its entry.
pub type StampedSection = (EntryStamp, Vec<u8>);

/// Stamps payloads as the sections of entries, whose ids are not in the order of their times; every
/// third has the time of the one before.
pub fn stamped(payloads: impl IntoIterator<Item = Vec<u8>>) -> Vec<StampedSection> {
    let stamp = |(place, payload): (u64, Vec<u8>)| {
        let mut entry = [0; 32];
        let (head, rest) = entry.split_at_mut(8);
        head.copy_from_slice(&mixed(place).to_be_bytes());
        rest.fill(1);
        (EntryStamp::visible((place - place / 3) << 16, entry, [2; 32]), payload)
    };
    (1..).zip(payloads).map(stamp).collect()
}

/// Checks every law of store types over these sections. `make` gives the type as a program that has
/// just started has it; the type is asked for before each section, so it cannot remember anything.
///
/// The laws: a section is void when it is applied if and only if it is when it is checked, and a
/// void one changes nothing; whatever the order of the sections, the rows are the same; changes tell
/// which rows come and go; every row that is there can be shown; and rows that the type folds again
/// are those of the sections that are left.
///
/// # Panics
/// When a law is broken.
pub fn store_type_laws<T: StoreType>(make: impl Fn() -> T, sections: &[StampedSection]) {
    let all = fold(&make, sections.iter());
    for order in 0..ORDERS {
        let shuffled = fold(&make, shuffled(sections, order).into_iter());
        same(&all, &shuffled, "the order of the sections shows in the rows");
    }
    for (key, row) in all.area(Area::State) {
        assert!(make().show(key, row).is_some(), "the row at {key:02x?} cannot be shown");
    }
    for left_out in 0..sections.len() {
        folds_again(&make, sections, left_out, &all);
    }
}

fn fold<'a, T: StoreType>(
    make: &impl Fn() -> T,
    sections: impl Iterator<Item = &'a StampedSection>,
) -> MemoryView {
    let mut view = MemoryView::new();
    for (stamp, payload) in sections {
        let (before, mut changes) = (view.clone(), Vec::new());
        let checked = make().check(payload);
        match make().apply(payload, stamp, &mut view, &mut changes) {
            Ok(()) => {
                assert!(checked.is_ok(), "what is void when checked was applied: {checked:?}");
                tells_changes(&before, &view, &changes);
            }
            Err(ApplyError::Void(void)) => {
                assert!(checked.is_err(), "what passed the check is void when applied: {void}");
                same(&before, &view, "a void section changed rows");
                assert!(changes.is_empty(), "a void section told of changes");
            }
            Err(ApplyError::View(error)) => panic!("rows that the type wrote are refused: {error}"),
        }
        view.mark_applied(*stamp, payload);
    }
    view
}

/// Rows that come are told as created, rows that go as removed, and no row is told twice.
fn tells_changes(before: &MemoryView, after: &MemoryView, changes: &[Change]) {
    let (old, new) = (state(before), state(after));
    let mut told = BTreeMap::new();
    for change in changes {
        let twice = told.insert(change.key.as_slice(), change.kind);
        assert!(twice.is_none(), "the row at {:02x?} is told of twice", change.key);
    }
    let keys: BTreeSet<&[u8]> = old.keys().chain(new.keys()).copied().collect();
    for key in keys.iter().chain(told.keys()) {
        let kind = told.get(key);
        let expected = match (old.contains_key(key), new.contains_key(key)) {
            (false, true) => kind == Some(&ChangeKind::Created),
            (true, false) => kind == Some(&ChangeKind::Removed),
            (true, true) => kind.is_none_or(|kind| *kind == ChangeKind::Updated),
            (false, false) => kind.is_none(),
        };
        assert!(expected, "what happened to the row at {key:02x?} is told as {kind:?}");
    }
}

/// Leaves a section out and takes it in again, where the type can fold single rows again.
fn folds_again<T: StoreType>(
    make: &impl Fn() -> T,
    sections: &[StampedSection],
    left_out: usize,
    all: &MemoryView,
) {
    let Some((stamp, payload)) = sections.get(left_out) else { return };
    let Ok(Touched::Rows(rows)) = make().touched(payload, stamp) else { return };
    let others = sections.iter().enumerate().filter(|(place, _)| *place != left_out);
    let without = fold(make, others.map(|(_, section)| section));
    let mut view = all.clone();
    view.mark_unneeded(&stamp.entry);
    let again = |view: &mut MemoryView, with: BTreeSet<[u8; 32]>| {
        let folded = make().refold(&rows, &with, view, &mut Vec::new());
        assert!(folded.is_ok(), "rows that the type wrote are refused: {folded:?}");
    };
    again(&mut view, BTreeSet::new());
    same(&without, &view, "rows folded again are not those of the sections that are left");
    view.mark_applied(*stamp, payload);
    again(&mut view, BTreeSet::from([stamp.entry]));
    same(all, &view, "a section that came back does not give the rows that it gave before");
}

fn state(view: &MemoryView) -> BTreeMap<&[u8], &[u8]> {
    view.area(Area::State).collect()
}

fn same(expected: &MemoryView, found: &MemoryView, what: &str) {
    let rows = |view: &MemoryView| -> Vec<_> {
        let kept = view.rows().filter(|row| row.0 != Area::Local);
        kept.map(|(area, key, row)| (area, key.to_vec(), row.to_vec())).collect()
    };
    let (expected, found) = (rows(expected), rows(found));
    assert!(expected == found, "{what}:\nexpected {expected:02x?}\nfound    {found:02x?}");
}

fn shuffled(sections: &[StampedSection], seed: u64) -> Vec<&StampedSection> {
    let mut places: Vec<_> = (0_u64..).zip(sections).collect();
    places.sort_by_key(|(place, _)| mixed(mixed(seed) ^ place));
    places.into_iter().map(|(_, section)| section).collect()
}

/// Spreads numbers over all bits, by the finisher of the SplitMix64 generator.
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
