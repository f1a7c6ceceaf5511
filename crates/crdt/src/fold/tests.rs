//! The rows of documents, counters and sets are a function of the sections that count and of which
//! of them are visible, compared with the definition itself: any order, forged and dangling names,
//! void sections, entries hidden, shown again and not needed any more.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::slot::Total;
use super::{Effect, Layout, RowOperation, SlotId};
use crate::counter::{self, CounterLayout, CounterType};
use crate::doc::{self, DocLayout, DocType};
use crate::section::SectionWriter;
use crate::set::{self, SetLayout, SetType};
use crate::stamp::{Dot, EntryStamp, Stamp};
use crate::store_type::{ApplyError, Change, ChangeKind, StoreType, Touched};
use crate::view::Area;
use crate::{MemoryView, pack};

const ENTRIES: u8 = 7;

/// An operation as the generator draws it: what it does is up to the type.
#[derive(Clone, Debug)]
struct Drawn {
    kind: u8,
    value: u8,
    names: BTreeSet<(u8, u32)>,
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

fn entries() -> impl Strategy<Value = Vec<DrawnEntry>> {
    // Ids up to ENTRIES are drawn; the one after them never comes.
    let names = proptest::collection::btree_set((0..=ENTRIES, 0..4_u32), 0..5);
    let drawn = (any::<u8>(), 0..4_u8, names);
    let drawn = drawn.prop_map(|(kind, value, names)| Drawn { kind, value, names });
    let entry = (
        0..4_u64,
        prop::bool::weighted(0.1),
        any::<u32>(),
        standing(),
        proptest::collection::vec(drawn, 1..4),
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

/// A type of store under test, and how its operations are drawn.
trait Subject: Copy {
    type Layout: Layout;
    type Type: StoreType;
    const TYPE: Self::Type;
    const LAYOUT: Self::Layout;
    fn put(self, drawn: &Drawn, names: Vec<Dot>, section: &mut SectionWriter);
}

#[derive(Clone, Copy)]
struct Counters;

impl Subject for Counters {
    type Layout = CounterLayout;
    type Type = CounterType;
    const TYPE: CounterType = CounterType;
    const LAYOUT: CounterLayout = CounterLayout;

    fn put(self, drawn: &Drawn, names: Vec<Dot>, section: &mut SectionWriter) {
        counter::draw(drawn.kind, drawn.value, names, section);
    }
}

#[derive(Clone, Copy)]
struct Sets;

impl Subject for Sets {
    type Layout = SetLayout;
    type Type = SetType;
    const TYPE: SetType = SetType;
    const LAYOUT: SetLayout = SetLayout;

    fn put(self, drawn: &Drawn, names: Vec<Dot>, section: &mut SectionWriter) {
        set::draw(drawn.kind, names, section);
    }
}

#[derive(Clone, Copy)]
struct Docs;

impl Subject for Docs {
    type Layout = DocLayout;
    type Type = DocType;
    const TYPE: DocType = DocType;
    const LAYOUT: DocLayout = DocLayout;

    fn put(self, drawn: &Drawn, names: Vec<Dot>, section: &mut SectionWriter) {
        doc::draw(drawn.kind, drawn.value, names, section);
    }
}

fn stamp(entry: &DrawnEntry) -> EntryStamp {
    let is_visible = entry.standing == Standing::Visible;
    EntryStamp { is_visible, ..EntryStamp::visible(entry.time, [entry.id; 32], [9; 32]) }
}

fn payload<S: Subject>(subject: S, entry: &DrawnEntry) -> Vec<u8> {
    let mut section = SectionWriter::default();
    for drawn in &entry.operations {
        // An id is a hash, so of two entries only one can name the other.
        let known = drawn.names.iter().filter(|(id, _)| *id <= entry.id || *id == ENTRIES);
        let names = known.map(|(id, index)| {
            let entry = if *id == entry.id { [0xff; 32] } else { [*id; 32] };
            Dot { entry, index: *index }
        });
        subject.put(drawn, names.collect(), &mut section);
    }
    let mut payload = section.encode(S::TYPE.name(), 1);
    if entry.void {
        payload.push(0);
    }
    payload
}

fn apply_all<S: Subject>(subject: S, entries: &[DrawnEntry]) -> MemoryView {
    let mut view = MemoryView::new();
    for entry in entries.iter().filter(|entry| entry.standing != Standing::Unneeded) {
        let (before, mut changes) = (view.clone(), Vec::new());
        let payload = payload(subject, entry);
        match S::TYPE.apply(&payload, &stamp(entry), &mut view, &mut changes) {
            Ok(()) => check_changes(subject, &before, &view, &changes),
            Err(ApplyError::Void(_)) => assert!(entry.void && changes.is_empty()),
            Err(ApplyError::View(error)) => panic!("{error}"),
        }
        view.mark_applied(stamp(entry), &payload);
    }
    view
}

/// Lets the entry stand otherwise, and folds again what it touches.
fn stand<S: Subject>(subject: S, view: &mut MemoryView, entry: &DrawnEntry) {
    let before = view.clone();
    let payload = payload(subject, entry);
    match entry.standing {
        Standing::Unneeded => view.mark_unneeded(&[entry.id; 32]),
        _ => view.mark_applied(stamp(entry), &payload),
    }
    let Ok(Touched::Rows(rows)) = S::TYPE.touched(&payload, &stamp(entry)) else { return };
    let (with, mut changes) = (BTreeSet::from([[entry.id; 32]]), Vec::new());
    S::TYPE.refold(&rows, &with, view, &mut changes).unwrap();
    check_changes(subject, &before, view, &changes);
}

/// What readers see of a row: the live versions of its slots, and what it counts.
type Seen = Vec<(Vec<Stamp>, Total)>;

fn seen<S: Subject>(_: S, view: &MemoryView) -> BTreeMap<Vec<u8>, Seen> {
    let state = view.area(Area::State);
    state
        .map(|(key, row)| {
            let slots = S::LAYOUT.unpack(key, row).unwrap();
            let all = slots.all().skip(usize::from(!S::Layout::SHOWS_MAIN));
            let live = all.map(|slot| {
                (slot.live().map(|(stamp, _)| stamp).collect::<Vec<_>>(), slot.total())
            });
            (key.to_vec(), live.filter(|slot| !slot.0.is_empty()).collect())
        })
        .collect()
}

fn check_changes<S: Subject>(
    subject: S,
    before: &MemoryView,
    after: &MemoryView,
    changes: &[Change],
) {
    let (old, new) = (seen(subject, before), seen(subject, after));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let kind = |key: &Vec<u8>| match (old.get(key), new.get(key)) {
        (None, Some(_)) => Some(ChangeKind::Created),
        (Some(_), None) => Some(ChangeKind::Removed),
        (old, new) if old != new => Some(ChangeKind::Updated),
        _ => None,
    };
    let expected: BTreeMap<_, _> =
        keys.into_iter().filter_map(|key| Some((key.clone(), kind(key)?))).collect();
    let told: BTreeMap<_, _> =
        changes.iter().map(|change| (change.key.clone(), change.kind)).collect();
    assert_eq!(told, expected);
    assert_eq!(told.len(), changes.len());
}

/// An operation, and whether it is visible.
struct Placed<'a> {
    stamp: Stamp,
    is_visible: bool,
    operation: RowOperation<'a>,
}

impl Placed<'_> {
    fn effect(&self, slot: SlotId<'_>) -> Option<Effect<'_>> {
        let touches = &self.operation.touches;
        touches.iter().find(|(touched, _)| *touched == slot).map(|(_, effect)| *effect)
    }

    /// Returns whether this operation names another on a slot. Of one entry, each names the earlier
    /// ones.
    fn names(&self, other: &Self, slot: SlotId<'_>) -> bool {
        let is_here = self.effect(slot).is_some() && other.effect(slot).is_some();
        let is_named = if self.stamp.entry == other.stamp.entry {
            other.stamp.index < self.stamp.index
        } else {
            self.operation.names.contains(&other.stamp.dot())
        };
        is_here && is_named && self.operation.row == other.operation.row
    }
}

/// Returns whether one of `from` reaches the operation on a slot, through those that `leads` says.
fn is_reached<'a>(
    all: &'a [Placed<'a>],
    from: impl Fn(&Placed<'a>) -> bool,
    leads: impl Fn(&Placed<'a>) -> bool,
    target: &Placed<'a>,
    slot: SlotId<'_>,
) -> bool {
    let mut ahead: Vec<_> = all.iter().filter(|one| from(one)).collect();
    let mut met = BTreeSet::new();
    while let Some(one) = ahead.pop() {
        for to in all.iter().filter(|to| one.names(to, slot)) {
            if to.stamp == target.stamp {
                return true;
            }
            if leads(to) && met.insert(to.stamp) {
                ahead.push(to);
            }
        }
    }
    false
}

/// The heads of each slot of a row, by what dangling names call the slot.
type Heads = BTreeMap<(Vec<u8>, Vec<u8>), Vec<(Stamp, Option<Vec<u8>>)>>;

#[derive(Debug, Default, PartialEq)]
struct Model {
    heads: Heads,
    sums: BTreeMap<Vec<u8>, (i128, u64)>,
    dangling: BTreeMap<(Vec<u8>, Dot), BTreeSet<Vec<u8>>>,
    listed: BTreeSet<(Vec<u8>, u64, [u8; 32])>,
}

fn model<S: Subject>(subject: S, entries: &[DrawnEntry]) -> Model {
    let needed = |entry: &&DrawnEntry| entry.standing != Standing::Unneeded;
    let payloads: Vec<_> = entries
        .iter()
        .filter(needed)
        .map(|entry| (stamp(entry), payload(subject, entry)))
        .collect();
    let mut all = Vec::new();
    for (entry, payload) in &payloads {
        for (index, operation) in
            (0..).zip(S::LAYOUT.decode(payload, entry.entry).unwrap_or_default())
        {
            all.push(Placed { stamp: entry.at(index), is_visible: entry.is_visible, operation });
        }
    }
    let mut model = Model::default();
    for one in &all {
        for (slot, effect) in &one.operation.touches {
            model.add(&all, one, *slot, *effect);
        }
    }
    model.heads.values_mut().for_each(|heads| heads.sort());
    model.sums.retain(|row, _| model.heads.contains_key(&(row.clone(), vec![0])));
    model
}

impl Model {
    fn add<'a>(
        &mut self,
        all: &'a [Placed<'a>],
        one: &Placed<'a>,
        slot: SlotId<'_>,
        effect: Effect<'_>,
    ) {
        let row = one.operation.row.to_vec();
        let hidden = |other: &Placed<'_>| !other.is_visible;
        let is_head = one.is_visible && !is_reached(all, |from| from.is_visible, hidden, one, slot);
        if is_head {
            let heads = self.heads.entry((row.clone(), slot.encode())).or_default();
            heads.push((one.stamp, effect.value()));
        }
        if matches!(effect, Effect::Add(_) | Effect::Reset) {
            self.sums.entry(row.clone()).or_default();
        }
        if let Effect::Add(amount) = effect {
            let resets = |from: &Placed<'_>| {
                from.is_visible && matches!(from.effect(slot), Some(Effect::Reset))
            };
            if one.is_visible && !is_reached(all, resets, |_| true, one, slot) {
                let (sum, count) = self.sums.entry(row.clone()).or_default();
                *sum += i128::from(amount);
                *count += 1;
            }
        }
        let is_last =
            !all.iter().any(|other| other.stamp.entry == one.stamp.entry && other.names(one, slot));
        if is_last && !is_head {
            self.listed.insert((row.clone(), one.stamp.time, one.stamp.entry));
        }
        for name in &one.operation.names {
            let is_there = all.iter().any(|other| {
                other.stamp.dot() == *name && other.operation.row == one.operation.row
            });
            if name.entry != one.stamp.entry && !is_there {
                let slots = self.dangling.entry((row.clone(), *name)).or_default();
                slots.insert(slot.encode());
            }
        }
    }
}

fn check_against_model<S: Subject>(subject: S, view: &MemoryView, entries: &[DrawnEntry]) {
    let expected = model(subject, entries);
    let (mut heads, mut sums) = (Heads::new(), BTreeMap::new());
    for (area, key, row) in view.rows().filter(|row| matches!(row.0, Area::State | Area::Buried)) {
        let slots = S::LAYOUT.unpack(key, row).unwrap();
        assert_eq!(area == Area::State, slots.is_live());
        assert_eq!(S::LAYOUT.pack(key, &slots), row);
        let fields = slots.fields.iter().map(|(field, slot)| (SlotId::Field(field), slot));
        for (id, slot) in std::iter::once((SlotId::Main, &slots.main)).chain(fields) {
            let all: Vec<_> =
                slot.heads().iter().map(|(stamp, value)| (*stamp, value.clone())).collect();
            if !all.is_empty() {
                heads.insert((key.to_vec(), id.encode()), all);
            }
        }
        if slots.main.is_counter() {
            sums.insert(key.to_vec(), (slots.main.total().sum, slots.main.total().count));
        }
    }
    assert_eq!(heads, expected.heads);
    assert_eq!(sums, expected.sums);
    let about = |row: &[u8], rest: &[&[u8]]| {
        let mut key = Vec::new();
        pack::put_string(&mut key, row);
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    };
    let found: BTreeMap<_, _> =
        view.area(Area::Dangling).map(|(key, row)| (key.to_vec(), row.to_vec())).collect();
    let dangling = expected.dangling.into_iter().map(|((row, dot), slots)| {
        let mut packed = Vec::new();
        slots.iter().for_each(|slot| pack::put_string(&mut packed, slot));
        (about(&row, &[&dot.entry, &dot.index.to_be_bytes()]), packed)
    });
    assert_eq!(found, dangling.collect());
    let found: BTreeSet<_> = view.area(Area::History).map(|(key, _)| key.to_vec()).collect();
    let listed = expected.listed.into_iter();
    let listed = listed.map(|(row, time, entry)| about(&row, &[&time.to_be_bytes(), &entry]));
    assert_eq!(found, listed.collect());
}

fn any_order<S: Subject>(subject: S, entries: &[DrawnEntry]) {
    let straight = apply_all(subject, entries);
    check_against_model(subject, &straight, entries);
    let mut shuffled = entries.to_vec();
    shuffled.sort_by_key(|entry| entry.place);
    assert_eq!(apply_all(subject, &shuffled), straight);
    shuffled.reverse();
    assert_eq!(apply_all(subject, &shuffled), straight);
    for count in 0..entries.len() {
        let some = &shuffled[..count];
        check_against_model(subject, &apply_all(subject, some), some);
    }
}

fn hiding_and_showing<S: Subject>(
    subject: S,
    mut entries: Vec<DrawnEntry>,
    later: Vec<(u8, Standing)>,
) {
    let mut view = apply_all(subject, &entries);
    for (at, standing) in later {
        let at = usize::from(at) % entries.len();
        entries[at].standing = standing;
        stand(subject, &mut view, &entries[at]);
        check_against_model(subject, &view, &entries);
        assert_eq!(apply_all(subject, &entries), view);
    }
}

fn later() -> impl Strategy<Value = Vec<(u8, Standing)>> {
    proptest::collection::vec((any::<u8>(), standing()), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counters_are_the_definition_in_any_order(entries in entries()) {
        any_order(Counters, &entries);
    }

    #[test]
    fn sets_are_the_definition_in_any_order(entries in entries()) {
        any_order(Sets, &entries);
    }

    #[test]
    fn documents_are_the_definition_in_any_order(entries in entries()) {
        any_order(Docs, &entries);
    }

    #[test]
    fn counters_of_hidden_entries_are_those_of_a_fresh_fold(entries in entries(), later in later()) {
        hiding_and_showing(Counters, entries, later);
    }

    #[test]
    fn sets_of_hidden_entries_are_those_of_a_fresh_fold(entries in entries(), later in later()) {
        hiding_and_showing(Sets, entries, later);
    }

    #[test]
    fn documents_of_hidden_entries_are_those_of_a_fresh_fold(entries in entries(), later in later()) {
        hiding_and_showing(Docs, entries, later);
    }
}
