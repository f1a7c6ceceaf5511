//! The type alone: the laws of store types, hidden entries, counters used twice, and what a hostile
//! peer may send.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use weald_crdt::laws::{StampedSection, stamped, store_type_laws};
use weald_crdt::{Area, EntryStamp, MemoryView, StoreType, Value, ViewMut};

use super::TextType;
use super::replica::{Replica, Standing};
use super::rows::{Head, Snapshot};
use super::update::{Id, Operation, Update, peer_of};

const AUTHOR: [u8; 32] = [2; 32];

fn apply(view: &mut MemoryView, section: &StampedSection) {
    let (stamp, payload) = section;
    TextType.apply(payload, stamp, view, &mut Vec::new()).unwrap();
    view.mark_applied(*stamp, payload);
}

fn folded<'a>(sections: impl IntoIterator<Item = &'a StampedSection>) -> MemoryView {
    let mut view = MemoryView::new();
    sections.into_iter().for_each(|section| apply(&mut view, section));
    view
}

fn text(view: &MemoryView) -> String {
    Replica::load(view).unwrap().text().unwrap()
}

fn of_state(view: &MemoryView) -> String {
    Replica::of_state(view).unwrap().text().unwrap()
}

/// Returns the text as one says it who keeps it in memory and reads it after each section.
fn kept_up(sections: &[StampedSection]) -> String {
    let mut view = MemoryView::new();
    let mut replica = Replica::load(&view).unwrap();
    for section in sections {
        apply(&mut view, section);
        if replica.advance(&view).unwrap() != Standing::Current {
            replica = Replica::load(&view).unwrap();
        }
        assert_eq!(replica.text().unwrap(), of_state(&view));
    }
    replica.text().unwrap()
}

fn update(nonce: u8, start: u32, deps: &[(u8, u32)], operations: Vec<Operation>) -> Update {
    let nonce_of = |byte: u8| [byte; 8];
    let peer = |byte: u8| peer_of(&AUTHOR, &nonce_of(byte)).unwrap();
    let deps = deps.iter().map(|(nonce, counter)| Id { peer: peer(*nonce), counter: *counter });
    Update { nonce: nonce_of(nonce), peer: peer(nonce), start, deps: deps.collect(), operations }
}

fn insert(at: u32, text: &str) -> Operation {
    Operation::Insert { at, text: text.to_owned() }
}

fn sections(updates: Vec<Update>) -> Vec<StampedSection> {
    stamped(updates.into_iter().map(|update| update.encode().unwrap()))
}

/// What two who type at once do, one after the other.
fn session() -> Vec<StampedSection> {
    let first = Id { peer: peer_of(&AUTHOR, &[1; 8]).unwrap(), counter: 1 };
    let delete = Operation::Delete { at: 1, length: 2, backward: true, first };
    let mark = Operation::Mark {
        start: 0,
        end: 3,
        key: "bold".to_owned(),
        value: Value::Bool(true),
        grows: 1,
    };
    sections(vec![
        update(1, 0, &[], vec![insert(0, "héllo")]),
        update(2, 0, &[(1, 4)], vec![insert(5, " wörld")]),
        update(1, 5, &[(1, 4)], vec![delete]),
        update(1, 7, &[(1, 6)], vec![mark]),
        update(2, 6, &[(2, 5), (1, 8)], vec![insert(0, ">")]),
        update(3, 0, &[(1, 4)], vec![insert(5, "!")]),
    ])
}

#[test]
fn it_keeps_the_laws_of_store_types() {
    store_type_laws(|| TextType, &session());
    let mut broken = session();
    broken[2].1[10] ^= 1;
    broken[3].1.pop();
    let wrong = broken.iter().filter(|(_, payload)| TextType.check(payload).is_err());
    assert_eq!(wrong.count(), 2);
    store_type_laws(|| TextType, &broken);
}

#[test]
fn the_text_does_not_depend_on_the_order_or_what_it_is_loaded_from() {
    let all = session();
    let text_of_all = text(&folded(&all));
    assert!(text_of_all.starts_with(">hlo") && text_of_all.contains(" wörld"), "{text_of_all}");
    for turn in 0..all.len() {
        let mut turned = all.clone();
        turned.rotate_left(turn);
        let view = folded(&turned);
        assert_eq!((text(&view), of_state(&view)), (text_of_all.clone(), text_of_all.clone()));
        let mut kept = Replica::load(&MemoryView::new()).unwrap();
        let mut view = MemoryView::new();
        for section in &turned {
            apply(&mut view, section);
            if kept.advance(&view).unwrap() != super::replica::Standing::Current {
                kept = Replica::load(&view).unwrap();
            }
            assert_eq!(kept.text().unwrap(), of_state(&view));
        }
    }
}

#[test]
fn a_missing_update_is_waited_for() {
    let all = session();
    let view = folded(all.iter().skip(1));
    assert_eq!(text(&view), "");
    let without_third = folded(all.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, s)| s));
    assert!(text(&without_third).starts_with("héllo"), "{}", text(&without_third));
}

#[test]
fn of_two_with_the_same_counters_the_smaller_entry_counts() {
    let mut both = sections(vec![
        update(1, 0, &[], vec![insert(0, "one")]),
        update(1, 0, &[], vec![insert(0, "other")]),
        update(1, 3, &[(1, 2)], vec![insert(3, "!")]),
    ]);
    both[0].0.entry = [7; 32];
    both[1].0.entry = [9; 32];
    both[2].0.entry = [8; 32];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let view = folded(order.map(|at| &both[at]));
        assert_eq!(text(&view), "one!");
    }
}

#[test]
fn what_a_hidden_entry_wrote_is_not_shown() {
    let mut all = sections(vec![
        update(1, 0, &[], vec![insert(0, "seen ")]),
        update(2, 0, &[(1, 4)], vec![insert(5, "hidden ")]),
        update(1, 5, &[(1, 4)], vec![insert(0, "also ")]),
        update(3, 0, &[(2, 6), (1, 9)], vec![insert(17, "after"), insert(12, "~")]),
    ]);
    assert_eq!(text(&folded(&all)), "also seen hi~dden after");
    all[1].0.is_visible = false;
    for turn in 0..all.len() {
        all.rotate_left(turn);
        let view = folded(&all);
        assert_eq!((text(&view), of_state(&view)), ("also seen ~after".into(), of_state(&view)));
        let replica = Replica::load(&view).unwrap();
        assert_eq!(replica.len().unwrap(), 16);
        let cursor = replica.cursor(11, super::Side::Left).unwrap();
        assert_eq!(replica.position(&cursor).unwrap(), 11);
    }
}

fn mark(start: u32, end: u32, value: Value, grows: u8) -> Operation {
    Operation::Mark { start, end, key: "k".into(), value, grows }
}

#[test]
fn wrong_updates_are_void() {
    let good = update(1, 0, &[], vec![insert(0, "x")]);
    let first = Id { peer: good.peer, counter: 0 };
    let void = [
        update(1, 0, &[], vec![]),
        update(1, 0, &[], vec![insert(0, "")]),
        update(1, 0, &[], vec![insert(u32::MAX, "x")]),
        update(1, u32::MAX, &[], vec![insert(0, "x")]),
        update(1, 0, &[(2, 1), (2, 1)], vec![insert(0, "x")]),
        update(1, 0, &[], vec![Operation::Delete { at: 0, length: 0, backward: false, first }]),
        update(1, 0, &[], vec![Operation::Delete { at: 0, length: 1, backward: true, first }]),
        update(
            1,
            0,
            &[],
            vec![Operation::Delete { at: 9, length: 1 << 28, backward: false, first }],
        ),
        update(
            1,
            0,
            &[],
            vec![Operation::Delete { at: 9, length: 1 << 20, backward: true, first }],
        ),
        update(1, 0, &[], vec![mark(1, 1, Value::Bool(true), 1)]),
        update(1, 0, &[], vec![mark(0, 1, Value::List(vec![]), 1)]),
        update(1, 0, &[], vec![mark(0, 1, Value::Null, 4)]),
    ];
    for wrong in void {
        let payload = wrong.encode().unwrap();
        assert!(TextType.check(&payload).is_err(), "{wrong:?}");
        let stamp = EntryStamp::visible(1, [1; 32], AUTHOR);
        let mut view = MemoryView::new();
        assert!(TextType.apply(&payload, &stamp, &mut view, &mut Vec::new()).is_err());
        assert_eq!(view.rows().count(), 0);
    }
}

#[test]
fn operations_that_do_not_fit_harm_nobody() {
    let here = Id { peer: peer_of(&AUTHOR, &[1; 8]).unwrap(), counter: 0 };
    let nowhere = Id { peer: 77, counter: 5 };
    let delete = |at, length, backward, first| Operation::Delete { at, length, backward, first };
    let hostile = [
        vec![insert(1_000, "far")],
        vec![delete(0, 1_000_000, false, here)],
        vec![delete(3, 60_000, true, here)],
        vec![delete(0, 2, false, nowhere)],
        vec![Operation::Mark {
            start: 50,
            end: 90,
            key: "k".into(),
            value: Value::Bool(true),
            grows: 3,
        }],
    ];
    for operations in hostile {
        for deps in [vec![(1, 4)], vec![]] {
            let all = sections(vec![
                update(1, 0, &[], vec![insert(0, "hello")]),
                update(4, 0, &deps, operations.clone()),
                update(1, 5, &[(1, 4)], vec![insert(5, " world")]),
            ]);
            let mut shown = Vec::new();
            for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
                let view = folded(order.map(|at| &all[at]));
                shown.push(of_state(&view));
                assert_eq!(text(&view), of_state(&view), "{operations:?} {deps:?} {order:?}");
            }
            assert!(shown.iter().all(|text| *text == shown[0]), "{shown:?}");
        }
    }
}

#[test]
fn a_snapshot_is_kept_beside_the_rows_and_not_believed_blindly() {
    let long = |at: u32| {
        update(1, at * 2_000, &[(1, at * 2_000 - 1)], vec![insert(0, &"x".repeat(2_000))])
    };
    let mut updates = vec![update(1, 0, &[], vec![insert(0, &"x".repeat(2_000))])];
    updates.extend((1..8).map(long));
    let all = sections(updates);
    let mut view = folded(&all);
    let snapshot = Snapshot::read(&view).unwrap().unwrap();
    assert!(snapshot.arrived >= 3 && snapshot.arrived <= Head::read(&view).unwrap().arrived);
    assert_eq!(text(&view).len(), 16_000);
    // As if the store had been folded again from other sections.
    for key in view.area(Area::Local).map(|(key, _)| key.to_vec()).collect::<Vec<_>>() {
        let mut damaged = view.clone();
        damaged.put(Area::Local, &key, vec![1, 2, 3]);
        assert_eq!(text(&damaged).len(), 16_000);
        damaged.remove(Area::Local, &key);
        assert_eq!(text(&damaged).len(), 16_000);
    }
    let fewer = folded(all.iter().take(6));
    for (key, row) in
        view.area(Area::Local).map(|(k, r)| (k.to_vec(), r.to_vec())).collect::<Vec<_>>()
    {
        let mut mixed = fewer.clone();
        mixed.put(Area::Local, &key, row);
        assert_eq!(text(&mixed).len(), 12_000);
    }
    view.remove(Area::Local, b"s");
    assert_eq!(text(&view).len(), 16_000);
}

#[test]
fn what_is_left_out_slows_nobody_down_and_comes_in_when_it_can() {
    let deps = [(9, 3)];
    let all = sections(vec![
        update(1, 0, &[], vec![insert(0, "hello")]),
        update(4, 0, &deps, vec![insert(0, "late ")]),
        update(1, 5, &[(1, 4)], vec![insert(5, &"x".repeat(5_000))]),
        update(9, 0, &[(1, 4)], vec![insert(5, "!!")]),
        update(9, 2, &[(9, 1)], vec![insert(7, "??")]),
    ]);
    let mut view = folded(&all[..2]);
    let mut replica = Replica::load(&view).unwrap();
    apply(&mut view, &all[2]);
    assert_eq!(replica.advance(&view).unwrap(), Standing::Current);
    // A snapshot tells what it lacks.
    assert!(Snapshot::read(&view).unwrap().is_some());
    let mut loaded = Replica::load(&view).unwrap();
    apply(&mut view, &all[3]);
    assert_eq!(replica.advance(&view).unwrap(), Standing::Current);
    assert_eq!(loaded.advance(&view).unwrap(), Standing::Current);
    assert_eq!(text(&view), of_state(&view));
    assert!(!text(&view).contains("late"));
    // One who writes himself what others wait for lets them in as well.
    let mut own = Replica::load(&view).unwrap();
    own.document.import([&Update::decode(&all[4].1, &AUTHOR).unwrap()]).unwrap();
    own.committed(&Update::decode(&all[4].1, &AUTHOR).unwrap(), &all[4].0.entry);
    apply(&mut view, &all[4]);
    for mut kept in [replica, loaded, own] {
        assert_eq!(kept.advance(&view).unwrap(), Standing::Useless);
    }
    assert_eq!(text(&view), of_state(&view));
    assert!(text(&view).contains("late"));
}

fn hostile_operation() -> impl Strategy<Value = Operation> {
    let id = (prop_oneof![Just(1_u8), Just(2), Just(9)], 0..40_u32)
        .prop_map(|(nonce, counter)| Id { peer: peer_of(&AUTHOR, &[nonce; 8]).unwrap(), counter });
    prop_oneof![
        (0..30_u32, "[a-zé]{1,4}").prop_map(|(at, text)| Operation::Insert { at, text }),
        (0..30_u32, 1..20_u32, any::<bool>(), id).prop_map(|(at, length, backward, first)| {
            Operation::Delete { at, length, backward: backward && length > 1, first }
        }),
        (0..30_u32, 1..9_u32).prop_map(|(start, length)| Operation::Mark {
            start,
            end: start + length,
            key: "k".to_owned(),
            value: Value::Bool(true),
            grows: 1,
        }),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 100, failure_persistence: None, ..Config::default() })]

    /// Whatever a peer with a key sends, nothing panics, and what is made of the same rows is the same.
    #[test]
    fn a_hostile_writer_is_survived(
        wild in prop::collection::vec(prop::collection::vec(hostile_operation(), 1..4), 1..6),
        turn in 0..6_usize,
    ) {
        let mut updates = vec![update(1, 0, &[], vec![insert(0, "hello world")])];
        let mut start = 0;
        for operations in wild {
            let deps = if start == 0 { vec![(1, 10)] } else { vec![(4, start - 1)] };
            let next = update(4, start, &deps, operations);
            start = next.end();
            updates.push(next);
        }
        updates.push(update(1, 11, &[(1, 10)], vec![insert(11, "!")]));
        let mut all = sections(updates);
        let one = folded(&all);
        let length = all.len();
        all.rotate_left(turn % length);
        let other = folded(&all);
        assert_eq!(one, other);
        let shown = of_state(&one);
        assert_eq!(of_state(&other), shown);
        assert_eq!(text(&one), shown);
        assert_eq!(text(&other), shown);
        assert_eq!(kept_up(&all), shown);
    }

    /// Bytes that somebody changed are void or another update, never a panic.
    #[test]
    fn changed_bytes_are_void_or_strict(place in any::<usize>(), bit in 0..8_u8, cut in any::<bool>()) {
        let (stamp, mut payload) = session().swap_remove(4);
        let at = place % payload.len();
        payload[at] ^= 1 << bit;
        if cut {
            payload.truncate(at);
        }
        if let Ok(read) = Update::decode(&payload, &stamp.author) {
            assert_eq!(read.encode().unwrap(), payload);
        }
    }
}
