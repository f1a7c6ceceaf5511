//! Lists, counters and sets against plain models of them: what a device did is undone by what was
//! done elsewhere only if that had seen it, and the order of delivery never shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use common::{Replica, converge};
use proptest::prelude::*;
use weald_crdt::{
    Change, CounterDraft, CounterType, DocDraft, DocType, DraftError, ElementId, EntryStamp, Key,
    MemoryView, Path, SetDraft, SetType, StoreType, Value, counter, doc, set,
};

fn list() -> Path {
    Path::from(["list"])
}

fn write(replica: &mut Replica, write: impl FnOnce(&mut DocDraft, &mut MemoryView)) -> Vec<Change> {
    let (mut draft, mut overlay) = (DocDraft::new(), replica.view.clone());
    write(&mut draft, &mut overlay);
    let shown = doc::to_value(&overlay).unwrap();
    let changes = replica.commit(draft.encode());
    assert_eq!(doc::to_value(&replica.view).unwrap(), shown);
    changes
}

fn docs(count: u8) -> Vec<Replica> {
    (1..=count).map(|name| Replica::new(&DocType, name)).collect()
}

fn numbers(numbers: &[i32]) -> Value {
    Value::List(numbers.iter().copied().map(Value::from).collect())
}

fn shown(replica: &Replica) -> Value {
    doc::get(&replica.view, &list()).unwrap().unwrap()
}

fn ids(replica: &Replica) -> Vec<ElementId> {
    doc::elements(&replica.view, &list()).unwrap().unwrap_or_default()
}

/// What one entry did to an element of the list.
struct Done {
    stamp: (u64, [u8; 32]),
    seen: BTreeSet<[u8; 32]>,
    element: ElementId,
    /// Whether what was there before is gone.
    clears: bool,
    moves: bool,
    /// The value that it gave: a plain one, or `None` for a map.
    value: Option<Option<i32>>,
    /// The field "x" that it gave.
    field: Option<i32>,
}

/// The list as a plain set of elements, by what is not undone.
fn model(done: &[Done]) -> BTreeMap<ElementId, Value> {
    let survives = |one: &Done, undoes: fn(&Done) -> bool| {
        !done.iter().any(|other| {
            other.element == one.element
                && other.seen.contains(&one.stamp.1)
                && (other.clears || undoes(other))
        })
    };
    let mut elements = BTreeMap::new();
    for element in done.iter().map(|one| one.element) {
        let here = || done.iter().filter(|one| one.element == element);
        let values = here().filter(|one| one.value.is_some());
        let values: Vec<_> =
            values.filter(|one| survives(one, |other| other.value.is_some())).collect();
        let fields = here().filter(|one| one.field.is_some());
        let fields: Vec<_> =
            fields.filter(|one| survives(one, |other| other.field.is_some())).collect();
        let plain = values.iter().filter_map(|one| Some((one.stamp, one.value??))).max();
        let field = fields.iter().filter_map(|one| Some((one.stamp, one.field?))).max();
        let markers = values.iter().filter(|one| one.value == Some(None)).map(|one| one.stamp);
        let map = markers.chain(field.map(|(stamp, _)| stamp)).max();
        if plain.map(|(stamp, _)| stamp) > map {
            elements.insert(element, Value::from(plain.unwrap().1));
        } else if map.is_some() {
            let map = field.map(|(_, x)| ("x".to_owned(), Value::from(x)));
            elements.insert(element, Value::Map(map.into_iter().collect()));
        }
    }
    elements
}

/// One step of a device: (device, kind, where, where to, then pull from this device).
type Step = (u8, u8, u8, u8, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..3_u8, 0..7_u8, any::<u8>(), any::<u8>(), 0..6_u8), 1..40)
}

/// Lets a device do something, and says what it was and how the list must look to it then.
fn step(replica: &mut Replica, drawn: Step, number: i32) -> Option<(Done, Vec<ElementId>)> {
    let order = ids(replica);
    let seen = replica.known.iter().map(|known| known.stamp.entry).collect();
    let (mut done, order) = if order.is_empty() || drawn.1 < 2 {
        insert(replica, order, drawn, number)
    } else {
        change(replica, order, drawn, number)?
    };
    let stamp = replica.known.last().unwrap().stamp;
    done.stamp = (stamp.time, stamp.entry);
    done.seen = seen;
    Some((done, order))
}

fn done(element: ElementId) -> Done {
    let (stamp, seen) = ((0, [0; 32]), BTreeSet::new());
    Done { stamp, seen, element, clears: false, moves: false, value: None, field: None }
}

fn insert(
    replica: &mut Replica,
    mut order: Vec<ElementId>,
    (_, kind, at, ..): Step,
    number: i32,
) -> (Done, Vec<ElementId>) {
    let index = usize::from(at) % (order.len() + 1);
    let is_plain = kind == 0;
    let value = if is_plain { Value::from(number) } else { Value::from([("x", number)]) };
    write(replica, |draft, view| draft.insert(view, &list(), index, &value).unwrap());
    let element = ids(replica).into_iter().find(|element| !order.contains(element)).unwrap();
    order.insert(index, element);
    let value = Some(is_plain.then_some(number));
    (Done { value, field: (!is_plain).then_some(number), ..done(element) }, order)
}

fn change(
    replica: &mut Replica,
    mut order: Vec<ElementId>,
    (_, kind, at, to, _): Step,
    number: i32,
) -> Option<(Done, Vec<ElementId>)> {
    let (index, to) = (usize::from(at) % order.len(), usize::from(to) % order.len());
    let element = order[index];
    let here = list().child(element);
    let is_map = doc::get(&replica.view, &here).unwrap().unwrap().as_map().is_some();
    let what = match kind {
        2 => {
            write(replica, |draft, view| {
                assert!(draft.remove(view, &list().index(index)).unwrap())
            });
            order.remove(index);
            Done { clears: true, ..done(element) }
        }
        3 | 4 if to == index => return None,
        3 | 4 => {
            write(replica, |draft, view| draft.move_to(view, &list(), index, to).unwrap());
            order.remove(index);
            order.insert(to, element);
            Done { moves: true, ..done(element) }
        }
        5 if is_map => {
            let (x, value) = (here.child("x"), Value::from(number));
            write(replica, |draft, view| draft.set(view, &x, &value).unwrap());
            Done { field: Some(number), ..done(element) }
        }
        5 => {
            let map = Value::from([("x", number)]);
            write(replica, |draft, view| draft.set(view, &list().index(index), &map).unwrap());
            Done { clears: true, value: Some(None), field: Some(number), ..done(element) }
        }
        _ => {
            let value = Value::from(number);
            write(replica, |draft, view| draft.set(view, &list().index(index), &value).unwrap());
            Done { clears: true, value: Some(Some(number)), ..done(element) }
        }
    };
    Some((what, order))
}

/// Key, amount (`None` takes away), the own entry, and what was seen.
type Counted = (u8, Option<i64>, [u8; 32], BTreeSet<[u8; 32]>);

/// Applies what a device knows in other orders, and expects the same rows.
fn reorder(kind: &'static dyn StoreType, replica: &Replica) {
    let mut sections = replica.known.clone();
    sections.reverse();
    for _ in 0..2 {
        let mut other = Replica::new(kind, 99);
        sections.iter().for_each(|section| drop(other.apply(section.clone())));
        assert!(other.view == replica.view, "{:?}\n{:?}", other.view, replica.view);
        sections.sort_by_key(|section| section.stamp.entry);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_its_model(steps in steps()) {
        let mut replicas = docs(3);
        let mut done: Vec<Done> = Vec::new();
        for (number, drawn) in (1..).zip(steps) {
            let at = usize::from(drawn.0);
            if let Some((one, order)) = step(&mut replicas[at], drawn, number) {
                prop_assert_eq!(ids(&replicas[at]), order);
                done.push(one);
            }
            let Some(other) = replicas.get(usize::from(drawn.4)).cloned() else { continue };
            let (before, known) = (ids(&replicas[at]), replicas[at].known.len());
            replicas[at].pull(&other);
            let new: BTreeSet<_> = replicas[at].known[known..].iter().map(|known| known.stamp.entry).collect();
            let moved = |element: &ElementId| done.iter().any(|one| one.element == *element && one.moves && new.contains(&one.stamp.1));
            let after = ids(&replicas[at]);
            let kept: Vec<_> = before.iter().filter(|element| after.contains(element) && !moved(element)).collect();
            let kept_after: Vec<_> = after.iter().filter(|element| before.contains(element) && !moved(element)).collect();
            prop_assert_eq!(kept, kept_after);
        }
        converge(&mut replicas);
        let values = ids(&replicas[0]).into_iter().map(|element| {
            (element, doc::get(&replicas[0].view, &list().child(element)).unwrap().unwrap())
        });
        prop_assert_eq!(values.collect::<BTreeMap<_, _>>(), model(&done));
        reorder(&DocType, &replicas[0]);
    }

    #[test]
    fn counters_and_sets_are_their_models(steps in steps()) {
        let new = |kind: &'static dyn StoreType| (1..=3).map(|name| Replica::new(kind, name)).collect::<Vec<_>>();
        let (mut counters, mut fields, mut sets) = (new(&CounterType), new(&DocType), new(&SetType));
        let mut done: Vec<Counted> = Vec::new();
        for (at, kind, key, amount, from) in steps {
            let (key, amount) = (key % 2, (kind > 1).then(|| i64::from(amount) - 100));
            let at = usize::from(at);
            let seen: BTreeSet<_> = sets[at].known.iter().map(|known| known.stamp.entry).collect();
            count(&mut counters[at], key, amount);
            count_field(&mut fields[at], key, amount);
            if toggle(&mut sets[at], key, amount.is_some()) {
                done.push((key, amount, sets[at].known.last().unwrap().stamp.entry, seen));
            }
            for replicas in [&mut counters, &mut fields, &mut sets] {
                if let Some(other) = replicas.get(usize::from(from)).cloned() {
                    replicas[at].pull(&other);
                }
            }
        }
        for (kind, replicas) in [(&CounterType as &'static dyn StoreType, &mut counters), (&DocType, &mut fields), (&SetType, &mut sets)] {
            converge(replicas);
            reorder(kind, &replicas[0]);
        }
        for key in 0..2 {
            let taken = |entry: &[u8; 32]| done.iter().any(|(other, amount, _, seen)| *other == key && amount.is_none() && seen.contains(entry));
            let live: Vec<i64> = done.iter().filter(|(other, _, entry, _)| *other == key && !taken(entry)).filter_map(|(_, amount, ..)| *amount).collect();
            let sum: i128 = live.iter().copied().map(i128::from).sum();
            prop_assert_eq!(counter::get(&counters[0].view, &Key::from(i64::from(key))).unwrap(), sum);
            let field = doc::counter(&fields[0].view, &field(key)).unwrap();
            prop_assert_eq!(field, (!live.is_empty()).then_some(sum));
            prop_assert_eq!(set::contains(&sets[0].view, &Value::from(key)).unwrap(), !live.is_empty());
        }
    }
}

fn field(key: u8) -> Path {
    Path::from(["counters".to_owned(), key.to_string()])
}

fn count(replica: &mut Replica, key: u8, amount: Option<i64>) {
    let (mut draft, mut overlay) = (CounterDraft::new(), replica.view.clone());
    let key = Key::from(i64::from(key));
    match amount {
        // Two increments of one transaction count both.
        Some(amount) => {
            draft.add(&mut overlay, &key, amount - 1).unwrap();
            draft.add(&mut overlay, &key, 1).unwrap();
        }
        None => {
            draft.reset(&mut overlay, &key).unwrap();
        }
    }
    if !draft.is_empty() {
        let expected = counter::get(&overlay, &key).unwrap();
        replica.commit(draft.encode());
        assert_eq!(counter::get(&replica.view, &key).unwrap(), expected);
    }
}

fn count_field(replica: &mut Replica, key: u8, amount: Option<i64>) {
    let (mut draft, mut overlay) = (DocDraft::new(), replica.view.clone());
    match amount {
        Some(amount) => draft.increment(&mut overlay, &field(key), amount).unwrap(),
        None => {
            draft.remove(&mut overlay, &field(key)).unwrap();
        }
    }
    if !draft.is_empty() {
        replica.commit(draft.encode());
    }
}

fn toggle(replica: &mut Replica, member: u8, add: bool) -> bool {
    let (mut draft, mut overlay) = (SetDraft::new(), replica.view.clone());
    let member = Value::from(member);
    if add {
        draft.add(&mut overlay, &member).unwrap();
    } else {
        draft.remove(&mut overlay, &member).unwrap();
    }
    if !draft.is_empty() {
        replica.commit(draft.encode());
    }
    !draft.is_empty()
}

#[test]
fn an_array_edited_at_both_ends_at_once_keeps_both() {
    let mut replicas = docs(2);
    write(&mut replicas[0], |draft, view| draft.set(view, &list(), &numbers(&[3, 4])).unwrap());
    converge(&mut replicas);
    write(&mut replicas[0], |draft, view| {
        draft.insert(view, &list(), 0, &Value::from(1)).unwrap();
        draft.insert(view, &list(), 1, &Value::from(2)).unwrap();
    });
    write(&mut replicas[1], |draft, view| {
        draft.push(view, &list(), &Value::from(5)).unwrap();
        draft.push(view, &list(), &Value::from(6)).unwrap();
    });
    converge(&mut replicas);
    assert_eq!(shown(&replicas[0]), numbers(&[1, 2, 3, 4, 5, 6]));
    assert!(doc::conflicts(&replicas[0].view, &Path::root()).unwrap().is_empty());
}

#[test]
fn two_edits_of_one_document_offline_both_stay() {
    let mut replicas = docs(2);
    let person = Value::from([("name", Value::from("Ada")), ("tags", numbers(&[1]))]);
    write(&mut replicas[0], |draft, view| draft.set(view, &Path::from(["p"]), &person).unwrap());
    converge(&mut replicas);
    write(&mut replicas[0], |draft, view| {
        draft.set(view, &Path::from(["p", "name"]), &Value::from("Ada L.")).unwrap();
        draft.increment(view, &Path::from(["p", "seen"]), 2).unwrap();
    });
    write(&mut replicas[1], |draft, view| {
        draft.push(view, &Path::from(["p", "tags"]), &Value::from(2)).unwrap();
        draft.increment(view, &Path::from(["p", "seen"]), 3).unwrap();
    });
    converge(&mut replicas);
    let expected = Value::from([
        ("name", Value::from("Ada L.")),
        ("seen", Value::from(5)),
        ("tags", numbers(&[1, 2])),
    ]);
    assert_eq!(doc::get(&replicas[1].view, &Path::from(["p"])).unwrap(), Some(expected));
}

#[test]
fn concurrent_moves_of_one_element_leave_it_in_one_place() {
    let mut replicas = docs(2);
    write(&mut replicas[0], |draft, view| {
        draft.set(view, &list(), &numbers(&[1, 2, 3, 4])).unwrap()
    });
    converge(&mut replicas);
    write(&mut replicas[0], |draft, view| draft.move_to(view, &list(), 0, 3).unwrap());
    write(&mut replicas[1], |draft, view| draft.move_to(view, &list(), 0, 1).unwrap());
    converge(&mut replicas);
    let all = [numbers(&[2, 3, 4, 1]), numbers(&[2, 1, 3, 4])];
    assert!(all.contains(&shown(&replicas[0])), "{:?}", shown(&replicas[0]));
}

#[test]
fn an_element_edited_while_removed_lives_on_where_it_was() {
    let mut replicas = docs(2);
    let task =
        |name: &str| Value::from([("name", Value::from(name)), ("done", Value::Bool(false))]);
    let tasks = Value::List(vec![task("a"), task("b"), task("c")]);
    write(&mut replicas[0], |draft, view| draft.set(view, &list(), &tasks).unwrap());
    converge(&mut replicas);
    write(&mut replicas[0], |draft, view| assert!(draft.remove(view, &list().index(1)).unwrap()));
    write(&mut replicas[1], |draft, view| {
        draft.set(view, &list().index(1).child("done"), &Value::Bool(true)).unwrap()
    });
    converge(&mut replicas);
    let done = Value::from([("done", true)]);
    assert_eq!(shown(&replicas[0]), Value::List(vec![task("a"), done, task("c")]));
}

#[test]
fn what_one_transaction_inserts_stays_together() {
    let mut replicas = docs(2);
    write(&mut replicas[0], |draft, view| draft.set(view, &list(), &numbers(&[0, 9])).unwrap());
    converge(&mut replicas);
    for (replica, first) in replicas.iter_mut().zip([10, 20]) {
        write(replica, |draft, view| {
            for number in 0..3 {
                let at = usize::try_from(number).unwrap() + 1;
                draft.insert(view, &list(), at, &Value::from(first + number)).unwrap();
            }
        });
    }
    converge(&mut replicas);
    let either = [[0, 10, 11, 12, 20, 21, 22, 9], [0, 20, 21, 22, 10, 11, 12, 9]];
    assert!(either.iter().any(|order| shown(&replicas[0]) == numbers(order)));
}

#[test]
fn elements_are_moved_apart_before_their_places_get_long() {
    let mut replicas = docs(1);
    write(&mut replicas[0], |draft, view| draft.set(view, &list(), &numbers(&[-1, -2])).unwrap());
    let mut expected = vec![-1, -2];
    for number in 0..200 {
        // Between the same two, over and over, in transactions of their own.
        let at = if number % 2 == 0 { 1 } else { expected.len() / 2 };
        write(&mut replicas[0], |draft, view| {
            draft.insert(view, &list(), at, &Value::from(number)).unwrap()
        });
        expected.insert(at, number);
    }
    // And within one transaction.
    write(&mut replicas[0], |draft, view| {
        for number in 200..500 {
            draft.insert(view, &list(), 1, &Value::from(number)).unwrap();
            expected.insert(1, number);
        }
    });
    assert_eq!(shown(&replicas[0]), numbers(&expected));
    let longest = replicas[0].view.area(weald_crdt::Area::State).map(|(_, row)| row.len()).max();
    assert!(longest.unwrap() < 300, "{longest:?}");
    reorder(&DocType, &replicas[0]);
}

#[test]
fn elements_at_one_and_the_same_place_have_an_order_and_room_between() {
    let (mut state, mut payloads) = (MemoryView::new(), Vec::new());
    for number in [1, 2] {
        let (mut draft, mut overlay) = (DocDraft::new(), MemoryView::new());
        draft.push(&mut overlay, &list(), &Value::from(number)).unwrap();
        payloads.push(draft.encode());
    }
    for (last, payload) in (1..).zip(&payloads) {
        // Their first bytes, which the places end with, are the same.
        let mut entry = [7; 32];
        entry[31] = last;
        let entry = EntryStamp::visible(u64::from(last), entry, [0; 32]);
        DocType.apply(payload, &entry, &mut state, &mut Vec::new()).unwrap();
        state.mark_applied(entry, payload);
    }
    assert_eq!(doc::get(&state, &list()).unwrap(), Some(numbers(&[1, 2])));
    let (mut draft, mut overlay) = (DocDraft::new(), state.clone());
    draft.insert(&mut overlay, &list(), 1, &Value::from(9)).unwrap();
    let entry = EntryStamp::visible(3, [0; 32], [0; 32]);
    DocType.apply(&draft.encode(), &entry, &mut state, &mut Vec::new()).unwrap();
    assert_eq!(doc::get(&state, &list()).unwrap(), Some(numbers(&[1, 9, 2])));
}

#[test]
fn where_kinds_meet_the_latest_shows_and_the_others_are_conflicts() {
    let at = Path::from(["at"]);
    let mut replicas = docs(4);
    write(&mut replicas[0], |draft, view| draft.increment(view, &at, 5).unwrap());
    write(&mut replicas[1], |draft, view| draft.push(view, &at, &Value::from(1)).unwrap());
    write(&mut replicas[2], |draft, view| draft.set(view, &at, &Value::from([("k", 1)])).unwrap());
    write(&mut replicas[3], |draft, view| {
        draft.set(view, &Path::from(["x"]), &Value::Null).unwrap();
    });
    // A later time than any other.
    write(&mut replicas[3], |draft, view| draft.set(view, &at, &Value::from("plain")).unwrap());
    converge(&mut replicas);
    let view = &replicas[0].view;
    assert_eq!(doc::get(view, &at).unwrap(), Some(Value::from("plain")));
    assert_eq!(doc::counter(view, &at).unwrap(), None);
    let lost: Vec<Value> = doc::conflicts(view, &Path::root())
        .unwrap()
        .into_iter()
        .flat_map(|conflict| conflict.losers)
        .map(|loser| loser.value)
        .collect();
    assert!(
        lost.contains(&Value::from(5)) && lost.contains(&Value::from(1)) && lost.len() == 4,
        "{lost:?}"
    );
    // The next write of the place settles all.
    write(&mut replicas[1], |draft, view| draft.set(view, &at, &numbers(&[7])).unwrap());
    converge(&mut replicas);
    assert_eq!(doc::get(&replicas[3].view, &at).unwrap(), Some(numbers(&[7])));
    assert!(doc::conflicts(&replicas[0].view, &Path::root()).unwrap().is_empty());
}

#[test]
fn a_failing_operation_on_a_list_or_counter_changes_nothing() {
    let (mut draft, mut view) = (DocDraft::new(), MemoryView::new());
    let document = Value::from([
        ("map", Value::from([("k", 1)])),
        ("list", numbers(&[1, 2])),
        ("n", Value::from(1)),
    ]);
    draft.set(&mut view, &Path::root(), &document).unwrap();
    draft.increment(&mut view, &Path::from(["count"]), 1).unwrap();
    let gone = list().child(doc::elements(&view, &list()).unwrap().unwrap()[1]);
    assert!(draft.remove(&mut view, &list().index(1)).unwrap());
    let before = (draft.encode(), view.clone());
    let one = Value::from(1);
    let (map, n) = (Path::from(["map"]), Path::from(["n"]));
    let mut deep = one.clone();
    for _ in 0..64 {
        deep = Value::List(vec![deep]);
    }
    let long = Value::List(vec![Value::Null; weald_crdt::MAX_OPERATIONS]);
    let out_of_range = [
        draft.insert(&mut view, &list(), 2, &one),
        draft.move_to(&mut view, &list(), 0, 1),
        draft.set(&mut view, &list().index(7), &one),
        draft.remove(&mut view, &list().index(1)).map(drop),
    ];
    assert!(out_of_range.iter().all(|result| matches!(result, Err(DraftError::OutOfRange { .. }))));
    let wrong_kind = [
        draft.push(&mut view, &map, &one),
        draft.push(&mut view, &n, &one),
        draft.push(&mut view, &Path::root(), &one),
        draft.increment(&mut view, &map, 1),
        draft.increment(&mut view, &n, 1),
        draft.set(&mut view, &list().child("key"), &one),
        draft.set(&mut view, &map.index(0), &one),
    ];
    assert!(
        wrong_kind.iter().all(|result| matches!(result, Err(DraftError::WrongKind { .. }))),
        "{wrong_kind:?}"
    );
    let through = draft.set(&mut view, &Path::from(["count", "x"]), &one);
    assert!(matches!(through, Err(DraftError::ThroughScalar { .. })));
    assert!(matches!(draft.set(&mut view, &gone, &one), Err(DraftError::NoElement { .. })));
    assert!(!draft.remove(&mut view, &gone).unwrap());
    let refused = [
        draft.push(&mut view, &list(), &Value::F64(f64::NAN)),
        draft.push(&mut view, &list(), &deep),
        draft.push(&mut view, &list(), &Value::Bytes(vec![0; weald_crdt::MAX_PAYLOAD_BYTES])),
        draft.set(&mut view, &list(), &long),
    ];
    assert!(
        refused
            .iter()
            .all(|result| matches!(result, Err(DraftError::Value(_) | DraftError::Limit(_)))),
        "{refused:?}"
    );
    assert!((draft.encode(), view) == before);

    let (mut draft, mut view) = (SetDraft::new(), MemoryView::new());
    let long = Value::from("x".repeat(weald_crdt::MAX_COMPONENT_BYTES));
    assert!(matches!(draft.add(&mut view, &long), Err(DraftError::Value(_))));
    assert!(draft.is_empty() && !set::contains(&view, &long).unwrap());
}

#[test]
fn counters_count_beyond_the_integers_of_a_value() {
    let (mut draft, mut view) = (CounterDraft::new(), MemoryView::new());
    for key in ["a", "b", "b"] {
        draft.add(&mut view, &Key::from(key), i64::MIN).unwrap();
    }
    let mut all = Vec::new();
    let ends = (Bound::Unbounded, Bound::Unbounded);
    counter::range(&view, ends.0, ends.1, true, &mut |key, sum| {
        all.push((key, sum));
        ControlFlow::Continue(())
    })
    .unwrap();
    let least = i128::from(i64::MIN);
    assert_eq!(all, [(Key::from("b"), least * 2), (Key::from("a"), least)]);
    let (key, row) = view.area(weald_crdt::Area::State).nth(1).unwrap();
    let shown = CounterType.show(key, row).unwrap();
    assert_eq!(shown, weald_crdt::Decimal::new((least * 2).to_string()).unwrap().into());
}
