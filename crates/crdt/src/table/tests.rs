//! The rows of a table are a function of the set of sections applied: any order, honest and forged
//! and dangling names, void sections among them, compared with the definition itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::layout::TableLayout;
use super::operation::{Action, Operation};
use super::{TableType, VERSION, row};
use crate::fold::{self, Slot, Slots};
use crate::key::Key;
use crate::section::SectionWriter;
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::store_type::{ApplyError, Change, ChangeKind, StoreType};
use crate::view::Area;
use crate::{MemoryView, Touched, pack, table};

const FIELDS: [&str; 3] = ["x", "y", "z"];
const ENTRIES: u8 = 6;

/// An operation as the generator draws it.
#[derive(Clone, Debug)]
struct Drawn {
    key: bool,
    names: BTreeSet<(u8, u32)>,
    delete: bool,
    /// For each field: 0 untouched, 1 removed, more is a value.
    fields: [u8; 3],
}

#[derive(Clone, Debug)]
struct DrawnEntry {
    id: u8,
    time: u64,
    void: bool,
    place: u32,
    standing: Standing,
    operations: Vec<Drawn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Visible,
    Hidden,
    Unneeded,
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![3 => Just(Standing::Visible), 1 => Just(Standing::Hidden), 1 => Just(Standing::Unneeded)]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    // Entries up to ENTRIES are drawn; the one after them never comes.
    let names = proptest::collection::btree_set((0..=ENTRIES, 0..4_u32), 0..5);
    (any::<bool>(), names, prop::bool::weighted(0.25), proptest::array::uniform3(0..4_u8))
        .prop_map(|(key, names, delete, fields)| Drawn { key, names, delete, fields })
}

fn entries() -> impl Strategy<Value = Vec<DrawnEntry>> {
    let entry = (
        0..4_u64,
        prop::bool::weighted(0.1),
        any::<u32>(),
        standing(),
        proptest::collection::vec(drawn(), 1..4),
    );
    proptest::collection::vec(entry, 1..usize::from(ENTRIES)).prop_map(|entries| {
        let numbered = (0..).zip(entries);
        numbered
            .map(|(id, (time, void, place, standing, operations))| DrawnEntry {
                id,
                time,
                void,
                place,
                standing,
                operations,
            })
            .collect()
    })
}

fn key(drawn: &Drawn) -> Vec<u8> {
    Key::from(if drawn.key { "a" } else { "b" }).encode().unwrap()
}

/// Returns the slots that an operation touches, with what it writes there: existence is the empty name.
fn touched(drawn: &Drawn) -> BTreeMap<&'static str, Option<Vec<u8>>> {
    if drawn.delete {
        return BTreeMap::from([("", None)]);
    }
    let fields = FIELDS.iter().zip(drawn.fields).filter(|(_, drawn)| *drawn > 0);
    let fields = fields.map(|(field, drawn)| (*field, (drawn > 1).then(|| vec![drawn])));
    std::iter::once(("", Some(Vec::new()))).chain(fields).collect()
}

fn stamp(entry: &DrawnEntry) -> EntryStamp {
    let is_visible = entry.standing == Standing::Visible;
    EntryStamp { is_visible, ..EntryStamp::visible(entry.time, [entry.id; 32], [9; 32]) }
}

fn payload(entry: &DrawnEntry) -> Vec<u8> {
    let mut section = SectionWriter::default();
    for drawn in &entry.operations {
        let name = |(id, index): &(u8, u32)| {
            let entry = if *id == entry.id { [0xff; 32] } else { [*id; 32] };
            Dot { entry, index: *index }
        };
        let names = drawn.names.iter().map(name).collect();
        let slots = touched(drawn);
        let fields = slots.iter().filter(|(slot, _)| !slot.is_empty());
        let action = if drawn.delete {
            Action::Delete
        } else {
            Action::Write {
                fields: fields
                    .clone()
                    .filter_map(|(field, value)| Some((*field, value.as_deref()?)))
                    .collect(),
                removed: fields
                    .filter(|(_, value)| value.is_none())
                    .map(|(field, _)| *field)
                    .collect(),
            }
        };
        Operation { key: &key(drawn), names, action }.encode(&mut section);
    }
    let mut payload = section.encode(TableType::NAME, VERSION);
    if entry.void {
        payload.push(0);
    }
    payload
}

fn apply_all(entries: &[DrawnEntry]) -> MemoryView {
    let mut view = MemoryView::new();
    for entry in entries.iter().filter(|entry| entry.standing != Standing::Unneeded) {
        let mut changes = Vec::new();
        let before = view.clone();
        match TableType.apply(&payload(entry), &stamp(entry), &mut view, &mut changes) {
            Ok(()) => check_changes(&before, &view, &changes),
            Err(ApplyError::Void(_)) => assert!(entry.void && changes.is_empty()),
            Err(ApplyError::View(error)) => panic!("{error}"),
        }
        view.mark_applied(stamp(entry), &payload(entry));
    }
    view
}

type Live = BTreeMap<String, Vec<Stamp>>;

/// Returns the live versions of the fields of a row that exists.
fn live(view: &MemoryView, key: &[u8]) -> Option<Live> {
    let slots = fold::load(&TableLayout, view, key).unwrap().slots;
    let fields = |slots: Slots| {
        let fields = slots.fields.into_iter().filter(|(_, slot)| slot.is_live());
        fields.map(|(field, slot)| (field, slot.live().map(|(stamp, _)| stamp).collect())).collect()
    };
    slots.is_live().then(|| fields(slots))
}

fn check_changes(before: &MemoryView, after: &MemoryView, changes: &[Change]) {
    for name in ["a", "b"] {
        let key = Key::from(name).encode().unwrap();
        let expected = match (live(before, &key), live(after, &key)) {
            (None, Some(_)) => Some(ChangeKind::Created),
            (Some(_), None) => Some(ChangeKind::Removed),
            (Some(old), Some(new)) if old != new => Some(ChangeKind::Updated),
            _ => None,
        };
        let change = changes.iter().find(|change| change.key == key);
        assert_eq!(change.map(|change| change.kind), expected);
        if let Some(conflict) = change.and_then(|change| change.conflict.as_ref()) {
            assert!(conflict.losers.iter().all(|loser| *loser < conflict.winner));
            assert!(!table::read(after, &key).unwrap().unwrap().conflicts.is_empty());
        }
    }
}

/// The definition: the heads of every slot are the operations there that no valid name reaches and
/// no later operation of the same entry follows.
type Heads = BTreeMap<(Vec<u8>, &'static str), Vec<(Stamp, Option<Vec<u8>>)>>;
type Dangling = BTreeMap<(Dot, Vec<u8>), BTreeSet<Vec<u8>>>;
type Listed = BTreeSet<(Vec<u8>, u64, u8)>;

fn model(entries: &[DrawnEntry]) -> (Heads, Dangling, Listed) {
    let mut operations = Vec::new();
    let needed = |entry: &&DrawnEntry| !entry.void && entry.standing != Standing::Unneeded;
    for entry in entries.iter().filter(needed) {
        for (index, drawn) in (0..).zip(&entry.operations) {
            operations.push((stamp(entry).at(index), drawn, entry.standing == Standing::Visible));
        }
    }
    let (mut heads, mut dangling, mut listed) = (Heads::new(), Dangling::new(), Listed::new());
    for operation in &operations {
        let (stamp, drawn, is_visible) = operation;
        for (slot, value) in touched(drawn) {
            let is_head = *is_visible && !is_reached(&operations, operation, slot);
            if is_head {
                heads.entry((key(drawn), slot)).or_default().push((*stamp, value));
            }
            let later = |other: &Placed<'_>| {
                other.0.entry == stamp.entry
                    && other.0.index > stamp.index
                    && other.1.key == drawn.key
                    && touched(other.1).contains_key(slot)
            };
            if !is_head && !operations.iter().any(later) {
                listed.insert((key(drawn), stamp.time, stamp.entry[0]));
            }
            for (id, index) in drawn.names.iter().filter(|(id, _)| *id != stamp.entry[0]) {
                let is_there = operations.iter().any(|other| {
                    let same = (other.0.entry[0], other.0.index) == (*id, *index);
                    same && other.1.key == drawn.key
                });
                if !is_there {
                    let dot = Dot { entry: [*id; 32], index: *index };
                    let id =
                        if slot.is_empty() { vec![0] } else { [&[1], slot.as_bytes()].concat() };
                    dangling.entry((dot, key(drawn))).or_default().insert(id);
                }
            }
        }
    }
    heads.values_mut().for_each(|heads| heads.sort());
    (heads, dangling, listed)
}

/// An operation, and whether it is visible.
type Placed<'a> = (Stamp, &'a Drawn, bool);

/// Of one entry, each operation names the earlier ones.
fn names(namer: &Placed<'_>, named: &Placed<'_>, slot: &str) -> bool {
    let same = namer.1.key == named.1.key;
    let here = touched(namer.1).contains_key(slot) && touched(named.1).contains_key(slot);
    let own = namer.0.entry == named.0.entry;
    let is_named = namer.1.names.contains(&(named.0.entry[0], named.0.index));
    same && here && if own { named.0.index < namer.0.index } else { is_named }
}

/// Returns whether a visible operation reaches this one on a slot, through hidden ones too.
fn is_reached(operations: &[Placed<'_>], operation: &Placed<'_>, slot: &str) -> bool {
    let mut ahead: Vec<_> = operations.iter().filter(|from| from.2).collect();
    let mut met = BTreeSet::new();
    while let Some(from) = ahead.pop() {
        for to in operations.iter().filter(|to| names(from, to, slot)) {
            if to.0 == operation.0 {
                return true;
            }
            if !to.2 && met.insert(to.0) {
                ahead.push(to);
            }
        }
    }
    false
}

fn check_against_model(view: &MemoryView, entries: &[DrawnEntry]) {
    let (expected, dangling, listed) = model(entries);
    let mut found = Heads::new();
    let rows = view.rows().filter(|row| matches!(row.0, Area::State | Area::Buried));
    for (area, key, bytes) in rows {
        let slots = row::unpack(bytes).unwrap();
        assert_eq!(area == Area::State, slots.is_live());
        assert_eq!(row::pack(&slots), bytes);
        let mut add = |name: &'static str, slot: &Slot| {
            let heads: Vec<_> =
                slot.heads().iter().map(|(stamp, value)| (*stamp, value.clone())).collect();
            if !heads.is_empty() {
                found.insert((key.to_vec(), name), heads);
            }
        };
        add("", &slots.main);
        for field in FIELDS {
            slots.fields.get(field).into_iter().for_each(|slot| add(field, slot));
        }
    }
    assert_eq!(found, expected);
    let about = |row: &[u8], rest: &[&[u8]]| {
        let mut key = Vec::new();
        pack::put_string(&mut key, row);
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    };
    let rows: BTreeMap<Vec<u8>, Vec<u8>> =
        view.area(Area::Dangling).map(|(key, row)| (key.to_vec(), row.to_vec())).collect();
    let expected = dangling.into_iter().map(|((dot, row), slots)| {
        let mut packed = Vec::new();
        slots.iter().for_each(|slot| pack::put_string(&mut packed, slot));
        (about(&row, &[&dot.entry, &dot.index.to_be_bytes()]), packed)
    });
    assert_eq!(rows, expected.collect());
    let rows: BTreeSet<Vec<u8>> = view.area(Area::History).map(|(key, _)| key.to_vec()).collect();
    let expected =
        listed.into_iter().map(|(row, time, id)| about(&row, &[&time.to_be_bytes(), &[id; 32]]));
    assert_eq!(rows, expected.collect());
}

/// Lets the entry stand otherwise, and folds again what it touches.
fn stand(view: &mut MemoryView, entry: &DrawnEntry) {
    let before = view.clone();
    match entry.standing {
        Standing::Unneeded => view.mark_unneeded(&[entry.id; 32]),
        _ => view.mark_applied(stamp(entry), &payload(entry)),
    }
    let Ok(Touched::Rows(rows)) = TableType.touched(&payload(entry), &stamp(entry)) else {
        return;
    };
    let (with, mut changes) = (BTreeSet::from([[entry.id; 32]]), Vec::new());
    TableType.refold(&rows, &with, view, &mut changes).unwrap();
    check_changes(&before, view, &changes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_the_definition_in_any_order(entries in entries()) {
        let straight = apply_all(&entries);
        check_against_model(&straight, &entries);
        let mut shuffled = entries.clone();
        shuffled.sort_by_key(|entry| entry.place);
        prop_assert_eq!(&apply_all(&shuffled), &straight);
        shuffled.reverse();
        prop_assert_eq!(&apply_all(&shuffled), &straight);
        for count in 0..entries.len() {
            check_against_model(&apply_all(&entries[..count]), &entries[..count]);
        }
    }

    #[test]
    fn hiding_and_showing_gives_what_a_fresh_fold_gives(entries in entries(), later in proptest::collection::vec((any::<u8>(), standing()), 1..12)) {
        let mut entries = entries;
        let mut view = apply_all(&entries);
        for (at, standing) in later {
            let at = usize::from(at) % entries.len();
            entries[at].standing = standing;
            stand(&mut view, &entries[at]);
            check_against_model(&view, &entries);
            prop_assert_eq!(&apply_all(&entries), &view);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_applied_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), entry in entries(), at in any::<usize>()) {
        let mut view = MemoryView::new();
        let stamp = EntryStamp::visible(1, [1; 32], [1; 32]);
        prop_assert!(TableType.check(&bytes).is_err());
        // A real section with a few bytes changed.
        let real = payload(&entry[0]);
        let at = at % real.len();
        bytes.truncate(2);
        let broken = [&real[..at], &bytes, real.get(at + bytes.len()..).unwrap_or(&[])].concat();
        let checked = TableType.check(&broken).is_ok();
        let applied = TableType.apply(&broken, &stamp, &mut view, &mut Vec::new()).is_ok();
        prop_assert_eq!(checked, applied);
        prop_assert!(applied || view == MemoryView::new());
    }
}
